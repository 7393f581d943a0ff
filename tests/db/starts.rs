//! Queries that look at when counting began, on what was stored and on the same in memory.

use evenkeel::model::limits;
use evenkeel::promql::{Query, StartTimestamps};
use evenkeel::testkit::MemorySeries;

use super::*;

/// Samples a minute apart: value and start in seconds, of a process that is started anew twice, once without a fall.
const COUNTED: [(f64, i64); 12] = [
    (5.0, 30),
    (9.0, 30),
    (14.0, 30),
    (20.0, 220),
    (22.0, 220),
    (23.0, 220),
    (1.0, 390),
    (4.0, 390),
    (8.0, 390),
    (8.0, 390),
    (9.0, 390),
    (12.0, 390),
];

const ASKED: [&str; 9] = [
    "start_timestamp(requests_total)",
    "rate(requests_total[3m])",
    "increase(requests_total[10m])",
    "irate(requests_total[5m])",
    "resets(requests_total[10m])",
    "sum(rate(requests_total[4m])) / 2",
    "max_over_time(rate(requests_total[2m])[5m:1m])",
    "increase(requests_total[1d])",
    "sum by (job) (resets(requests_total[2d]))",
];

fn open(world: &World) -> Db {
    let mut options = DbOptions::new(world.dir.path());
    options.clock = Arc::clone(&world.clock) as _;
    options.threads = Threads::None;
    options.store.start_changes_max = limits::START_CHANGES_MAX;
    Db::open(options).unwrap()
}

/// Stores the samples, in memory too; the end of their time.
fn fill(world: &World, db: &Db, memory: &mut MemorySeries) -> Timestamp {
    let labels = Labels::new([("__name__", "requests_total"), ("job", "shop")]).unwrap();
    let mut t = Timestamp(BEGIN);
    for (v, start) in COUNTED {
        t = t + Millis::minutes(1);
        world.clock.set(t.0);
        let (sample, start) = (Sample { t, v }, Timestamp(BEGIN) + Millis::seconds(start));
        let mut batch = Batch::new();
        batch.push_counted(labels.clone(), sample, start);
        assert_eq!(db.append(batch).unwrap().stored, 1);
        memory.insert_with_start(labels.clone(), sample, start);
    }
    t
}

#[test]
fn what_is_stored_answers_as_what_is_in_memory() {
    let world = World::new("", "");
    let (mut db, mut memory) = (open(&world), MemorySeries::default());
    let end = fill(&world, &db, &mut memory);
    let (begin, step) = (Timestamp(BEGIN), Millis::seconds(30));
    for round in ["in the head", "in a block"] {
        for text in ASKED {
            let mut differ = false;
            for start_timestamps in [StartTimestamps::Used, StartTimestamps::Ignored] {
                let options = EvalOptions { start_timestamps, ..EvalOptions::default() };
                let expected = Query::new(text).unwrap().range(&memory, begin, end, step, &options).unwrap();
                let got = db.query_range(text, (begin, end), step, &options).unwrap();
                assert_eq!(got.value, expected.value, "{text} {round}");
                let plain = db.query_range(text, (begin, end), step, &EvalOptions::default()).unwrap();
                differ |= got.value != plain.value;
            }
            assert!(differ, "{text} {round}: starts change the answer");
        }
        // One long window alone: what else would be answered from statistics.
        let used = EvalOptions { start_timestamps: StartTimestamps::Used, ..EvalOptions::default() };
        let expected = Query::new("increase(requests_total[1d])").unwrap().instant(&memory, end, &used).unwrap();
        assert_eq!(db.query("increase(requests_total[1d])", end, &used).unwrap().value, expected.value, "{round}");
        db.close().unwrap();
        db = open(&world);
        db.step();
    }
}

#[test]
fn without_room_for_them_none_are_kept() {
    let world = World::new("", "");
    let (db, mut memory) = (world.open(), MemorySeries::default());
    let end = fill(&world, &db, &mut memory);
    let used = EvalOptions { start_timestamps: StartTimestamps::Used, ..EvalOptions::default() };
    for text in &ASKED[1..] {
        let [with, without] =
            [&used, &EvalOptions::default()].map(|options| db.query(text, end, options).unwrap().value);
        assert_eq!(with, without, "{text}");
    }
    assert_eq!(db.status().store.start_changes, 0);
}
