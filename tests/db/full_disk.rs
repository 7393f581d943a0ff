//! A disk without room: a database on it opens, answers and takes other rules; only writing waits.

use evenkeel::db::AppendError;
use evenkeel::env::Clock;
use evenkeel::env::disk::MemoryDisk;
use evenkeel::storage::StoreOptions;

use super::*;

const DOWN: &str = "groups: [{name: a, rules: [{alert: Down, expr: up == 0}]}]";
const GONE: &str = "groups: [{name: b, rules: [{alert: Gone, expr: up == 0}]}]";

fn open(disk: &MemoryDisk, clock: &Arc<ManualClock>, rules: &str) -> Db {
    let mut options = DbOptions::new("/db");
    options.disk = Arc::new(disk.clone());
    options.clock = Arc::clone(clock) as _;
    options.threads = Threads::None;
    // Each write needs a segment, and so room on the disk.
    options.store = StoreOptions { reserve_bytes: 0, segment_bytes_max: 1, ..StoreOptions::default() };
    options.watch = watch(rules);
    Db::open(options).unwrap()
}

fn watch(rules: &str) -> Watch {
    Watch { groups: evenkeel::config::parse_rules("rules.yml", rules).unwrap(), ..Watch::default() }
}

/// The alerts that are active, by name.
fn alerts(db: &Db) -> Vec<String> {
    db.alerts().iter().map(|alert| alert.labels.get("alertname").to_owned()).collect()
}

/// Asserts that nothing can be written and everything can be read.
fn only_reads(db: &Db) {
    assert!(matches!(db.append(one("up", &[], BEGIN + 1, 1.0)), Err(AppendError::ReadOnly { .. })));
    let answer = db.query("up", Timestamp(BEGIN), &EvalOptions::default()).unwrap();
    assert!(matches!(&answer.value, Value::Vector(samples) if samples.len() == 1), "{answer:?}");
}

#[test]
fn a_full_disk_opens_and_takes_other_rules() {
    let (disk, clock) = (MemoryDisk::new(), Arc::new(ManualClock::new(BEGIN)));
    let db = open(&disk, &clock, DOWN);
    db.append(one("up", &[], BEGIN, 0.0)).unwrap();
    assert_eq!(alerts(&db), ["Down"]);
    disk.set_capacity(Some(disk.used_bytes()));
    only_reads(&db);
    db.reload(watch(GONE)).unwrap();
    only_reads(&db);
    drop(db);
    for (rules, alert) in [(DOWN, "Down"), (GONE, "Gone")] {
        let db = open(&disk, &clock, rules);
        only_reads(&db);
        disk.set_capacity(None);
        clock.set(clock.now_ms() + 60_000);
        db.append(one("up", &[], clock.now_ms(), 0.0)).unwrap();
        assert_eq!(alerts(&db), [alert]);
        db.step();
        disk.set_capacity(Some(disk.used_bytes()));
    }
}
