//! Restarts between which the rules change or the log is lost.

use evenkeel::storage::StoreOptions;

use super::*;

fn open(world: &World, flush: u64) -> Db {
    let mut options = DbOptions::new(world.dir.path());
    options.watch = world.watch.clone();
    options.clock = Arc::clone(&world.clock) as _;
    options.transport = Arc::clone(&world.recorder) as _;
    options.threads = Threads::None;
    options.store = StoreOptions { flush_bytes: flush, ..options.store };
    Db::open(options).unwrap()
}

#[test]
fn a_reload_while_a_checkpoint_is_under_way_saves_the_state_that_belongs_to_it() {
    let mut world = World::new(HIGH, "");
    let db = open(&world, 10);
    db.append(one("level", &[], BEGIN, 1.0)).unwrap();
    db.append(one("level", &[], BEGIN + 1, 1.0)).unwrap();
    let more = format!("{HIGH}  - alert: Other\n    expr: level > 100\n");
    world.watch.groups = evenkeel::config::parse_rules("rules.yml", &more).unwrap();
    db.reload(world.watch.clone()).unwrap();
    world.clock.set(BEGIN + 1000);
    db.append(one("level", &[], BEGIN + 1000, 6.0)).unwrap();
    world.clock.set(BEGIN + 5000);
    db.append(one("level", &[], BEGIN + 5000, 6.0)).unwrap();
    let before = db.alerts();
    drop(db);
    assert_eq!(open(&world, 10).alerts(), before);
}

#[test]
fn a_rule_that_stays_goes_on_firing_when_others_come() {
    let mut world = World::new(HIGH, "");
    let db = open(&world, 1 << 20);
    db.append(one("level", &[], BEGIN, 6.0)).unwrap();
    world.clock.set(BEGIN + 20_000);
    db.step();
    let before = db.alerts();
    assert_eq!(world.pages(), 1);
    db.close().unwrap();
    let more = format!("{HIGH}  - alert: Other\n    expr: level > 100\n");
    world.watch.groups = evenkeel::config::parse_rules("rules.yml", &more).unwrap();
    world.clock.set(BEGIN + 21_000);
    let db = open(&world, 1 << 20);
    db.step();
    world.clock.set(BEGIN + 140_000);
    db.append(one("level", &[], BEGIN + 140_000, 6.0)).unwrap();
    db.step();
    assert_eq!(db.alerts()[0].fired_at, before[0].fired_at);
    assert_eq!(world.pages(), 1);
}

#[test]
fn receivers_hear_of_the_end_of_a_rule_that_is_gone_at_a_start() {
    let mut world = World::new(HIGH, "");
    let db = open(&world, 1 << 20);
    db.append(one("level", &[], BEGIN, 6.0)).unwrap();
    world.clock.set(BEGIN + 20_000);
    db.step();
    assert_eq!(world.pages(), 1);
    db.close().unwrap();
    world.watch.groups = Vec::new();
    world.clock.set(BEGIN + 21_000);
    let db = open(&world, 1 << 20);
    db.step();
    world.clock.set(BEGIN + 300_000);
    db.append(one("level", &[], BEGIN + 300_000, 6.0)).unwrap();
    db.step();
    assert_eq!(world.pages(), 2, "nobody is told that the rule is gone");
}

#[test]
fn a_log_that_was_lost_does_not_hide_new_pages() {
    let world = World::new(&HIGH.replace("    for: 10s\n", ""), "");
    let db = open(&world, 1 << 20);
    for i in 0..10 {
        world.clock.set(BEGIN + i);
        db.append(one("level", &[], BEGIN + i, if i % 2 == 0 { 6.0 } else { 1.0 })).unwrap();
        db.step();
    }
    drop(db);
    std::fs::remove_dir_all(world.dir.path().join("wal")).unwrap();
    std::fs::remove_dir_all(world.dir.path().join("blocks")).unwrap();
    std::fs::remove_file(world.dir.path().join("MANIFEST")).unwrap();
    world.clock.set(BEGIN + 400_000);
    let db = open(&world, 1 << 20);
    db.step();
    let before = world.pages();
    db.append(one("level", &[("room", "new")], BEGIN + 400_000, 6.0)).unwrap();
    db.step();
    assert_eq!(world.pages(), before + 1);
}
