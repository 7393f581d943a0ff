//! Objectives that are edited while the database runs, or between two runs: nothing that is stored is lost to them.

use evenkeel::config::parse_objectives;
use evenkeel::db::Db;
use evenkeel::model::{Batch, Labels, Millis, Sample, TimeRange, Timestamp};
use evenkeel::slo::ObjectiveStatus;

use super::{BEGIN, World};

const PLAIN: &str = "objectives:\n- {service: shop, objective: 99, errors: errors_total, total: requests_total}\n";

/// BEGIN is 2027-01-15 08:00 in UTC.
const EDITED: &str = "
adjustments: [{name: move, from: 2027-01-15 08:20, for: 5m}]
objectives:
  - {service: shop, objective: 99.5, errors: errors_total, total: requests_total, group_by: [route], window: day,
     time_zone: Asia/Kathmandu}
  - {service: shop, name: minutes, objective: 99, errors: errors_total, total: requests_total, slices: {width: 1m, target: 95},
     window: day, time_zone: Asia/Kathmandu}
  - {service: shop, name: all, objective: 99, composite: [{objective: availability}, {objective: minutes}], window: day,
     time_zone: Asia/Kathmandu}
";

/// A minute of traffic, sample by sample, of two routes of which one fails for a while.
fn minute(world: &World, db: &Db, n: i64) {
    for step in 0..4 {
        let t = BEGIN + n * 60_000 + step * 15_000;
        world.clock.set(t);
        let mut batch = Batch::new();
        let at = (n * 4 + step) as f64;
        for (route, rate) in [("/pay", 10.0), ("/list", 50.0)] {
            let failed = if route == "/pay" { (at - 60.0).clamp(0.0, 60.0) * 5.0 } else { 0.0 };
            for (name, v) in [("requests_total", at * rate), ("errors_total", failed)] {
                let labels = Labels::new([("__name__", name), ("route", route), ("instance", "a")]).unwrap();
                batch.push(labels, Sample { t: Timestamp(t), v });
            }
        }
        db.append(batch).unwrap();
        db.step();
    }
}

/// What can be told of a status that does not depend on how long it was watched.
fn told(status: &ObjectiveStatus) -> String {
    let groups = status.groups.iter().flat_map(|groups| &groups.budgets);
    let groups: Vec<String> = groups.map(|g| format!("{} {} {}", g.title(), g.good, g.total)).collect();
    let spans: Vec<String> = status.adjustments.iter().map(|s| format!("{} {} {}", s.from, s.bad, s.total)).collect();
    let left = (status.budget.left * 1e9).round();
    format!("{} {} of {} {left} {groups:?} {spans:?}", status.name, status.good, status.total)
}

fn all(db: &Db) -> Vec<String> {
    db.objectives().iter().map(told).collect()
}

#[test]
fn edits_are_counted_from_what_is_stored_live_and_over_restarts() {
    let world = World::new("", EDITED);
    let edited = world.watch.clone();
    let db = world.open();
    (0..45).for_each(|n| minute(&world, &db, n));
    let expected = all(&db);
    assert_eq!(expected.len(), 3);
    assert!(expected[0].contains("/pay") && expected[0].contains("2027-01-15T08:20"), "{expected:#?}");
    db.close().unwrap();
    // The same again after a restart.
    let db = world.open();
    assert_eq!(all(&db), expected);
    db.close().unwrap();

    let mut world = World::new("", PLAIN);
    let db = world.open();
    (0..45).for_each(|n| minute(&world, &db, n));
    let plain = all(&db);
    db.reload(edited.clone()).unwrap();
    assert_eq!(all(&db), expected);
    // And goes on from there, also over a restart.
    minute(&world, &db, 45);
    let later = all(&db);
    let range = TimeRange { after: Timestamp(BEGIN), until: Timestamp(BEGIN) + Millis::minutes(46) };
    assert!(db.burn_history("shop", "all", range, 10).is_some());
    db.close().unwrap();
    world.watch = edited;
    let db = world.open();
    assert_eq!(all(&db), later);
    db.close().unwrap();
    // Back between two runs.
    world.watch.objectives = parse_objectives("slo.yml", PLAIN).unwrap();
    let db = world.open();
    let back = all(&db);
    assert_ne!(back, plain);
    assert_eq!(db.objectives()[0].total, 60.0 * (46.0 * 4.0 - 1.0));
    db.close().unwrap();
}
