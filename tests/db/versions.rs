//! Deploys that nobody marks: a version comes up that was not there.

use super::*;

/// A world that looks at the versions that series name.
fn world() -> World {
    let mut world = World::new(&HIGH.replace("    for: 10s\n", ""), "");
    world.watch.deploy_series = evenkeel::promql::parse_selector("build_info").unwrap();
    world
}

/// So many seconds, in which these versions of the shop are scraped.
fn pass(world: &World, db: &Db, from: i64, seconds: i64, versions: &[&str]) -> i64 {
    for s in (from..from + seconds).step_by(15) {
        world.clock.set(BEGIN + s * 1000);
        for version in versions {
            let labels = [("job", "shop"), ("version", *version), ("instance", "a")];
            db.append(one("build_info", &labels, BEGIN + s * 1000, 1.0)).unwrap();
        }
        db.step();
    }
    from + seconds
}

fn live(db: &Db) -> Vec<String> {
    db.deploys().iter().map(|deploy| format!("{} {}", deploy.service, deploy.version)).collect()
}

#[test]
fn a_version_that_comes_up_is_a_deploy_over_restarts_and_back_again() {
    let world = world();
    let mut db = world.open();
    let mut s = pass(&world, &db, 0, 300, &["1.0"]);
    assert_eq!(live(&db), [""; 0], "it was there");
    s = pass(&world, &db, s, 60, &["1.0", "1.1"]);
    assert_eq!(live(&db), ["shop 1.1"]);
    let at = db.deploys()[0].at;
    assert_eq!(at, Timestamp(BEGIN + 300_000), "at the look after its first sample");
    s = pass(&world, &db, s, 600, &["1.1"]);
    drop(db);
    db = world.open();
    s = pass(&world, &db, s, 60, &["1.1"]);
    assert_eq!(live(&db), ["shop 1.1"], "a restart marks nothing");
    drop(db);
    db = world.open();
    // It went live while nobody looked; what ran before is out of sight by now.
    s = pass(&world, &db, s + 900, 60, &["1.2"]);
    assert_eq!(live(&db), ["shop 1.1", "shop 1.2"]);
    s = pass(&world, &db, s, 600, &["1.2"]);
    s = pass(&world, &db, s, 60, &["1.1"]);
    assert_eq!(live(&db), ["shop 1.1", "shop 1.2", "shop 1.1"], "back");
    db.mark_deploy("shop", "v2").unwrap();
    pass(&world, &db, s, 60, &["2"]);
    assert_eq!(live(&db).len(), 4, "marked by hand, and not twice: {:?}", live(&db));
}

#[test]
fn an_explanation_names_what_went_live_before() {
    let world = world();
    let db = world.open();
    let s = pass(&world, &db, 0, 300, &["1.0"]);
    let s = pass(&world, &db, s, 120, &["1.1"]);
    world.clock.set(BEGIN + s * 1000);
    db.append(one("level", &[], BEGIN + s * 1000, 6.0)).unwrap();
    let rule = db.rule_groups()[0].rules[0].id;
    let why =
        |which: Which| db.why(rule, &which, None, &EvalOptions::default(), &QueryMeter::default()).unwrap().unwrap();
    let id = rule.alert(&db.alerts()[0].labels);
    let report = WhyReport::new(&why(Which::Id(id)));
    assert_eq!((report.deploys.len(), report.deploys[0].version.as_str()), (1, "1.1"));
    let last = report.summary.last().unwrap();
    assert!(
        last.starts_with("shop 1.1 went live at ") && last.ends_with("2m before the condition became true"),
        "{last}"
    );
    let later = BEGIN + s * 1000 + 2 * 3_600_000;
    world.clock.set(later);
    db.append(one("level", &[], later, 7.0)).unwrap();
    assert_eq!(why(Which::Rule).deploys, [], "too long ago");
}
