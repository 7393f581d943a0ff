//! How long what the database measures of itself is kept beside other samples.

use evenkeel::config::{Config, StorageSettings};
use evenkeel::storage::{RetentionRule, StoreOptions};

use super::verdicts::{OBJECTIVES, RULES, trade};
use super::*;

const DAY: i64 = 86_400_000;

/// Samples are kept for 30 days, and what is kept for another time by default is.
fn open(world: &World) -> Db {
    let StorageSettings { retention_rules, .. } = Config::default().storage;
    let rule = |rule: evenkeel::config::RetentionRule| RetentionRule { matchers: rule.matchers, keep: rule.keep };
    let mut options = DbOptions::new(world.dir.path());
    options.store = StoreOptions {
        retention: Millis::days(30),
        retention_rules: retention_rules.into_iter().map(rule).collect(),
        ..StoreOptions::default()
    };
    options.watch = world.watch.clone();
    options.clock = Arc::clone(&world.clock) as _;
    options.transport = Arc::clone(&world.recorder) as _;
    options.threads = Threads::None;
    Db::open(options).unwrap()
}

#[test]
fn the_scorecard_of_eleven_months_ago_is_there_when_other_series_are_gone() {
    let world = World::new("", "");
    let samples = |db: &Db, from: i64, to: i64| {
        for day in from..to {
            let t = BEGIN + day * DAY;
            world.clock.set(t);
            let mut batch = one("evenkeel_coverage_ratio", &[], t, day as f64 / 1000.0);
            batch.append(one("requests_total", &[("job", "shop")], t, day as f64));
            db.append(batch).unwrap();
            db.step();
        }
    };
    let mut db = open(&world);
    // Each start leaves a block behind.
    for month in 0..11 {
        samples(&db, month * 30, (month + 1) * 30);
        db.close().unwrap();
        db = open(&world);
    }
    let end = BEGIN + 330 * DAY;
    world.clock.set(end);
    db.append(one("evenkeel_coverage_ratio", &[], end, 0.33)).unwrap();
    db.step();
    let counted = |name: &str| instant(&db, &format!("count_over_time({name}[340d])"), end);
    assert_eq!(counted("evenkeel_coverage_ratio"), [("{}".to_owned(), 331.0)], "every day of eleven months");
    assert_eq!(counted("requests_total"), [("{job=\"shop\"}".to_owned(), 29.0)], "those of the last thirty");
    let old = instant(&db, "evenkeel_coverage_ratio offset 330d", end);
    assert_eq!(old, [("evenkeel_coverage_ratio".to_owned(), 0.0)]);
    let stored = db.status().store.block_samples;
    assert!((331..400).contains(&stored), "{stored} samples are left on disk of 661");
}

#[test]
fn every_number_of_the_scorecard_is_kept_and_no_other() {
    let world = World::new(RULES, OBJECTIVES);
    let db = world.open();
    trade(&world, &db, 0..600, 0.0);
    trade(&world, &db, 600..1200, 0.3);
    let kept = Config::default().storage.retention_rules;
    let takes = |labels: &Labels| kept[0].matchers.iter().all(|m| m.matches(labels.get(m.name())));
    let scorecard = db.scorecard();
    assert!(scorecard.len() > 8, "{scorecard:?}");
    for (labels, _) in db.metrics() {
        let of_it = scorecard.iter().any(|(scored, _)| *scored == labels);
        assert_eq!(takes(&labels), of_it, "{labels}");
    }
}
