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

/// Rules follow what queries look at: at every step the alerts are those that a query asks for, also once the database
/// was opened anew.
#[test]
fn rules_look_at_them_where_queries_do() {
    let exprs =
        ["increase(requests_total[3m]) > 6", "resets(requests_total[10m]) > 1", "irate(requests_total[5m]) > 0"];
    let rules: Vec<String> =
        exprs.iter().enumerate().map(|(n, expr)| format!("{{alert: R{n}, expr: '{expr}'}}")).collect();
    let labels = Labels::new([("__name__", "requests_total"), ("job", "shop")]).unwrap();
    for start_timestamps in [StartTimestamps::Used, StartTimestamps::Ignored] {
        let world = World::new(&format!("groups: [{{name: g, rules: [{}]}}]", rules.join(", ")), "");
        let open = || {
            let mut options = DbOptions::new(world.dir.path());
            options.watch = world.watch.clone();
            options.clock = Arc::clone(&world.clock) as _;
            options.threads = Threads::None;
            options.store.start_changes_max = limits::START_CHANGES_MAX;
            options.start_timestamps = start_timestamps;
            Db::open(options).unwrap()
        };
        let (mut db, mut t, mut differ) = (open(), Timestamp(BEGIN), 0);
        let firing = |db: &Db, n: usize| {
            let name = format!("R{n}");
            db.alerts().iter().find(|alert| alert.labels.get("alertname") == name).map(|alert| alert.value)
        };
        let asked = |db: &Db, expr: &str, t: Timestamp, start_timestamps: StartTimestamps| {
            let options = EvalOptions { start_timestamps, ..EvalOptions::default() };
            match db.query(expr, t, &options).unwrap().value {
                Value::Vector(elements) => elements.first().and_then(|element| element.number()),
                other => panic!("{other:?}"),
            }
        };
        for (step, (v, start)) in COUNTED.into_iter().enumerate() {
            t = t + Millis::minutes(1);
            world.clock.set(t.0);
            let mut batch = Batch::new();
            batch.push_counted(labels.clone(), Sample { t, v }, Timestamp(BEGIN) + Millis::seconds(start));
            db.append(batch).unwrap();
            if step % 3 == 2 {
                db.close().unwrap();
                db = open();
                db.step();
            }
            for (n, expr) in exprs.iter().enumerate() {
                assert_eq!(firing(&db, n), asked(&db, expr, t, start_timestamps), "{expr} at {step}");
                differ += usize::from(asked(&db, expr, t, StartTimestamps::Ignored) != firing(&db, n));
            }
        }
        assert_eq!(differ > 3, start_timestamps == StartTimestamps::Used, "{differ}");
    }
}
