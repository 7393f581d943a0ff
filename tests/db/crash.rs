//! The power goes at every disk operation of a database that samples, timers, checkpoints and pages
//! keep busy. Afterwards everything must be as in a twin that nothing happened to.

use std::collections::BTreeMap;

use evenkeel::env::disk::{MemoryDisk, Survival};
use evenkeel::model::{Alert, TimeRange};
use evenkeel::storage::StoreOptions;
use evenkeel::testkit::{Fault, FaultyDisk};

use super::*;

const RULES: &str = "groups:\n- name: g\n  rules:\n  - alert: High\n    expr: level > 5\n    for: 10s\n    \
                     keep_firing_for: 5s\n    labels: {severity: page}\n  - record: level:max\n    expr: max(level)\n";
const OBJECTIVES: &str = "objectives:\n- {service: rooms, name: calm, objective: 90%, window: 1h, gauge: level <= 5}\n";

/// What happens: how late after the beginning, and the samples that come then. Alerts become pending,
/// drop, fire by a timer alone, fire between two samples, go on firing, end and fire again.
const STEPS: &[(i64, &[(&str, f64)])] = &[
    (0, &[("a", 6.0)]),
    (4_000, &[("a", 6.0), ("b", 7.0)]),
    (9_999, &[("a", 6.0)]),
    (10_000, &[]),
    (12_000, &[("b", 1.0)]),
    (14_000, &[("a", 6.0), ("b", 8.0)]),
    (20_500, &[("a", 2.0)]),
    (24_000, &[("b", 8.0)]),
    (30_000, &[("a", 9.0)]),
    (35_000, &[]),
    (80_500, &[("a", 9.0), ("b", 0.0)]),
    (100_000, &[("b", 0.0), ("c", 6.5)]),
    (170_000, &[("a", 9.0)]),
];

/// A receiver that hears nothing once the power is gone.
struct Receiver {
    disk: FaultyDisk,
    heard: Arc<Heard>,
}

/// Each thing told (alert, what, since when), with the keys under which it came.
#[derive(Default)]
struct Heard(Mutex<BTreeMap<String, Vec<String>>>);

impl Transport for Receiver {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        if self.disk.met().is_some() {
            return Err(TransportError { url: request.url.clone(), reason: "the power is gone".to_owned() });
        }
        let key = request.headers.iter().find(|(name, _)| name == "Idempotency-Key").unwrap().1.clone();
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        for alert in body["alerts"].as_array().unwrap() {
            let told = format!("{} {} {}", alert["labels"], alert["status"], alert["startsAt"]);
            self.heard.0.lock().entry(told).or_default().push(key.clone());
        }
        Ok(Response { status: 200, retry_after: None, body: String::new() })
    }
}

type Samples = BTreeMap<String, Vec<(i64, u64)>>;

/// What is seen from outside after a step.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    alerts: Vec<Alert>,
    objectives: String,
    levels: Samples,
    /// What the rules made: the recording rule's series, and the alerts as series.
    recorded: Samples,
}

/// The world of one run.
struct Run {
    watch: Watch,
    clock: Arc<ManualClock>,
    heard: Arc<Heard>,
}

impl Run {
    fn new() -> Run {
        let watch = World::new(RULES, OBJECTIVES).watch;
        Run { watch, clock: Arc::new(ManualClock::new(BEGIN)), heard: Arc::default() }
    }

    fn open(&self, disk: &FaultyDisk) -> Option<Db> {
        let mut options = DbOptions::new("/data");
        options.watch = self.watch.clone();
        options.clock = Arc::clone(&self.clock) as _;
        options.disk = Arc::new(disk.clone());
        options.transport = Arc::new(Receiver { disk: disk.clone(), heard: Arc::clone(&self.heard) });
        options.threads = Threads::None;
        options.store = StoreOptions { flush_bytes: 100, segment_bytes_max: 400, reserve_bytes: 0, ..options.store };
        Db::open(options).ok()
    }

    /// Does one step; `false` if the power went before it was over.
    fn step(&self, disk: &FaultyDisk, db: &Db, (ms, samples): (i64, &[(&str, f64)])) -> bool {
        self.clock.set(BEGIN + ms);
        // One by one: a checkpoint that the first begins is under way when the second comes.
        let mut rooms = samples.iter();
        let taken = rooms.all(|(room, v)| db.append(one("level", &[("room", room)], BEGIN + ms, *v)).is_ok());
        db.step();
        taken && disk.met().is_none()
    }
}

fn samples(db: &Db, name: &str) -> Samples {
    let Value::Matrix(matrix) = db.query(&format!("{name}[1h]"), db.now(), &EvalOptions::default()).unwrap().value
    else {
        panic!("a range selector gives a matrix")
    };
    let bits = |samples: Vec<Sample>| samples.iter().map(|s| (s.t.0 - BEGIN, s.v.to_bits())).collect();
    matrix.into_iter().map(|series| (series.labels.to_string(), bits(series.samples))).collect()
}

fn see(db: &Db) -> Seen {
    Seen {
        alerts: db.alerts(),
        objectives: format!("{:?}", db.objectives()),
        levels: samples(db, "level"),
        recorded: samples(db, "{__name__=~\"level:max|ALERTS.*\"}"),
    }
}

/// The run that nothing happens to: what is seen after each step, what is told, how many operations it takes.
fn twin() -> (Vec<Seen>, BTreeMap<String, Vec<String>>, u64) {
    let (run, disk) = (Run::new(), FaultyDisk::new(Arc::new(MemoryDisk::new())));
    let db = run.open(&disk).unwrap();
    let mut seen = Vec::new();
    for step in STEPS {
        assert!(run.step(&disk, &db, *step));
        seen.push(see(&db));
    }
    assert!(db.status().store.checkpoints >= 5, "the workload makes {} checkpoints", db.status().store.checkpoints);
    let told = run.heard.0.lock().clone();
    (seen, told, disk.operations())
}

fn check(seen: &Seen, twin: &Seen, what: &str) {
    assert_eq!(seen.levels, twin.levels, "{what}");
    assert_eq!(seen.alerts, twin.alerts, "{what}");
    assert_eq!(seen.objectives, twin.objectives, "{what}");
    assert_eq!(seen.recorded, twin.recorded, "{what}");
}

#[test]
fn the_twin_does_what_the_steps_are_for() {
    let (seen, told, operations) = twin();
    assert!(operations > 150, "{operations} operations");
    let high = |seen: &Seen| -> Vec<(AlertState, i64, Option<i64>)> {
        let mine = seen.alerts.iter().filter(|alert| alert.labels.get("alertname") == "High");
        mine.map(|alert| (alert.state, alert.active_at.0 - BEGIN, alert.fired_at.map(|t| t.0 - BEGIN))).collect()
    };
    let (pending, firing) = (AlertState::Pending, AlertState::Firing);
    assert_eq!(high(&seen[2]), [(pending, 0, None), (pending, 4_000, None)]);
    assert_eq!(high(&seen[3]), [(firing, 0, Some(10_000)), (pending, 4_000, None)]);
    assert_eq!(high(&seen[7]), [(firing, 0, Some(10_000)), (firing, 14_000, Some(24_000))]);
    let text = format!("{told:#?}");
    assert_eq!(told.values().map(Vec::len).max(), Some(1), "{text}");
    assert!(told.len() >= 7 && text.contains("resolved") && text.contains("calm"), "{text}");
}

/// The log lets go of what decided a page before anybody has looked after it.
#[test]
fn a_checkpoint_keeps_what_was_decided_and_not_told() {
    let (run, memory) = (Run::new(), MemoryDisk::new());
    let all = TimeRange { after: Timestamp::MIN, until: Timestamp::MAX };
    let db = run.open(&FaultyDisk::new(Arc::new(memory.clone()))).unwrap();
    db.append(one("level", &[("room", "a")], BEGIN, 6.0)).unwrap();
    run.clock.set(BEGIN + 10_000);
    db.append(one("level", &[("room", "b")], BEGIN + 10_000, 1.0)).unwrap();
    let fired = db.fired_alerts(all);
    assert_eq!(fired.len(), 1);
    db.close().unwrap();
    assert!(run.heard.0.lock().is_empty());
    let left = memory.power_cut(Survival::Least);
    let db = run.open(&FaultyDisk::new(Arc::new(left))).unwrap();
    assert_eq!(db.fired_alerts(all), fired);
    db.step();
    let heard = run.heard.0.lock().clone();
    assert!(heard.len() == 1 && format!("{heard:?}").contains("firing"), "{heard:?}");
}

#[test]
fn a_power_cut_at_any_operation_loses_no_sample_no_state_and_no_page() {
    let (expected, told, operations) = twin();
    for stop in 0..operations {
        let survival = [Survival::Least, Survival::Seeded(stop), Survival::Most][stop as usize % 3];
        let (run, memory) = (Run::new(), MemoryDisk::new());
        let disk = FaultyDisk::new(Arc::new(memory.clone()));
        disk.fail_at(stop, Fault::Stop);
        let mut done = 0;
        if let Some(db) = run.open(&disk) {
            done = STEPS.iter().take_while(|step| run.step(&disk, &db, **step)).count();
        }
        let what = format!("power cut at operation {stop} ({:?}) in step {done}, {survival:?}", disk.met().unwrap());
        let disk = FaultyDisk::new(Arc::new(memory.power_cut(survival)));
        let db = run.open(&disk).unwrap_or_else(|| panic!("{what}: it does not open"));
        if let Some(last) = done.checked_sub(1) {
            // What was acknowledged is there at once, before anything is sent again.
            let found = samples(&db, "level");
            for (series, samples) in &expected[last].levels {
                assert!(samples.iter().all(|sample| found[series].contains(sample)), "{what}: {series}");
            }
        }
        for (step, expected) in STEPS.iter().zip(&expected).skip(done) {
            assert!(run.step(&disk, &db, *step), "{what}");
            check(&see(&db), expected, &format!("{what}, seen at {}", step.0));
        }
        let heard = run.heard.0.lock();
        assert!(heard.keys().eq(told.keys()), "{what}: told {heard:#?}\ninstead of {told:#?}");
        for (message, keys) in heard.iter() {
            assert!(keys.len() <= 2 && keys.iter().all(|key| *key == keys[0]), "{what}: {message} {keys:?}");
        }
    }
}
