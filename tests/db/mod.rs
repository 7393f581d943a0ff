//! The database as an embedder sees it: with a manual clock and no threads.

mod alert_generator;
mod blindness;
mod coverage;
mod crash;
#[path = "../../tools/rule_restarts/day.rs"]
mod day;
mod downsample;
mod episodes;
mod evidence;
mod full_disk;
mod idle;
mod long_windows;
mod native_histograms;
mod objectives;
mod restart;
mod restarts;
mod results_cache;
mod retention;
mod scorecard;
mod starts;
mod verdicts;
mod versions;
mod why;

use std::path::Path;
use std::sync::Arc;

use evenkeel::db::{Db, DbOptions, QueryMeter, Threads, Watch, Which};
use evenkeel::env::{ManualClock, Request, Response, Transport, TransportError};
use evenkeel::model::{AlertState, Batch, Labels, Millis, Sample, Timestamp};
use evenkeel::notify::{GroupBy, Receiver, Route, Routing, Webhook};
use evenkeel::promql::{EvalOptions, Value};
use evenkeel::report::WhyReport;
use parking_lot::Mutex;

/// Records what would have been sent.
#[derive(Default)]
struct Recorder {
    bodies: Mutex<Vec<String>>,
}

impl Transport for Recorder {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        self.bodies.lock().push(String::from_utf8(request.body.clone()).unwrap());
        Ok(Response { status: 200, retry_after: None, body: String::new() })
    }
}

struct World {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    recorder: Arc<Recorder>,
    watch: Watch,
}

const BEGIN: i64 = 1_800_000_000_000;

impl World {
    fn new(rules: &str, objectives: &str) -> World {
        let groups =
            if rules.is_empty() { Vec::new() } else { evenkeel::config::parse_rules("rules.yml", rules).unwrap() };
        let objectives = if objectives.is_empty() {
            Vec::new()
        } else {
            evenkeel::config::parse_objectives("slo.yml", objectives).unwrap()
        };
        let mut watch = Watch { groups, objectives, ..Watch::default() };
        let route = Route {
            group_by: GroupBy::All,
            group_wait: Millis::ZERO,
            group_interval: Millis::minutes(1),
            ..Route::new("r")
        };
        let receiver = Receiver { name: "r".to_owned(), webhooks: vec![Webhook::new("http://127.0.0.1:1/")] };
        watch.notify.routing = Some(Routing { route, receivers: vec![receiver] });
        World {
            dir: tempfile::tempdir().unwrap(),
            clock: Arc::new(ManualClock::new(BEGIN)),
            recorder: Arc::new(Recorder::default()),
            watch,
        }
    }

    fn open(&self) -> Db {
        self.open_at(self.dir.path())
    }

    fn open_at(&self, dir: &Path) -> Db {
        let mut options = DbOptions::new(dir);
        options.watch = self.watch.clone();
        options.clock = Arc::clone(&self.clock) as _;
        options.transport = Arc::clone(&self.recorder) as _;
        options.threads = Threads::None;
        Db::open(options).unwrap()
    }

    fn pages(&self) -> usize {
        self.recorder.bodies.lock().len()
    }
}

fn one(name: &str, more: &[(&str, &str)], t: i64, v: f64) -> Batch {
    let mut batch = Batch::new();
    let labels = Labels::new([("__name__", name)].into_iter().chain(more.iter().copied())).unwrap();
    batch.push(labels, Sample { t: Timestamp(t), v });
    batch
}

fn instant(db: &Db, text: &str, t: i64) -> Vec<(String, f64)> {
    match db.query(text, Timestamp(t), &EvalOptions::default()).unwrap().value {
        Value::Vector(vector) => vector.into_iter().map(|s| (s.labels.to_string(), s.number().unwrap())).collect(),
        other => panic!("{other:?}"),
    }
}

const HIGH: &str =
    "groups:\n- name: g\n  rules:\n  - alert: High\n    expr: level > 5\n    for: 10s\n    labels: {severity: page}\n";

#[test]
fn what_was_appended_can_be_asked_for_at_once_and_after_a_restart() {
    let world = World::new("", "");
    let db = world.open();
    let receipt = db.append(one("level", &[("room", "a")], BEGIN, 3.5)).unwrap();
    assert_eq!((receipt.stored, receipt.rejected.total()), (1, 0));
    assert_eq!(instant(&db, "level", BEGIN), [("level{room=\"a\"}".to_owned(), 3.5)]);
    drop(db);
    assert_eq!(instant(&world.open(), "level * 2", BEGIN), [("{room=\"a\"}".to_owned(), 7.0)]);
}

#[test]
fn an_alert_without_for_fires_before_its_sender_is_answered() {
    let world = World::new(&HIGH.replace("    for: 10s\n", ""), "");
    let db = world.open();
    db.append(one("level", &[], BEGIN, 6.0)).unwrap();
    assert_eq!(db.alerts()[0].state, AlertState::Firing);
    db.step();
    assert_eq!(world.pages(), 1);
}

#[test]
fn for_is_exact_whatever_the_restarts_and_pages_come_once() {
    let world = World::new(HIGH, "");
    let db = world.open();
    world.clock.set(BEGIN + 7);
    db.append(one("level", &[], BEGIN, 6.0)).unwrap();
    let alert = db.alerts().remove(0);
    assert_eq!((alert.state, alert.active_at), (AlertState::Pending, Timestamp(BEGIN + 7)));
    drop(db);
    world.clock.set(BEGIN + 5_000);
    let db = world.open();
    assert_eq!(db.alerts(), [alert]);
    world.clock.set(BEGIN + 12_345);
    db.step();
    let alert = db.alerts().remove(0);
    assert_eq!((alert.state, alert.fired_at), (AlertState::Firing, Some(Timestamp(BEGIN + 10_007))));
    assert_eq!(world.pages(), 1);
    drop(db);
    let db = world.open();
    db.step();
    assert_eq!(db.alerts(), std::slice::from_ref(&alert));
    assert_eq!(world.pages(), 1, "a restart repeated the page");
    db.append(one("level", &[], BEGIN + 20_000, 1.0)).unwrap();
    assert_eq!(db.alerts(), [alert], "a sample from the future counted before its time");
    world.clock.set(BEGIN + 20_000);
    db.step();
    assert!(db.alerts().is_empty());
    world.clock.set(BEGIN + 120_000);
    db.step();
    assert_eq!(world.pages(), 2, "the page was not resolved");
}

#[test]
fn a_timer_that_was_due_while_down_fires_with_its_own_instant() {
    let world = World::new(HIGH, "");
    let db = world.open();
    db.append(one("level", &[], BEGIN, 6.0)).unwrap();
    drop(db);
    world.clock.set(BEGIN + 60_000);
    let db = world.open();
    db.step();
    assert_eq!(db.alerts()[0].fired_at, Some(Timestamp(BEGIN + 10_000)));
    assert_eq!(world.pages(), 1);
}

#[test]
fn reloading_keeps_the_state_of_rules_that_stay_and_resolves_those_that_go() {
    let mut world = World::new(HIGH, "");
    let db = world.open();
    db.append(one("level", &[], BEGIN, 6.0)).unwrap();
    let before = db.alerts();
    let more = format!("{HIGH}  - alert: Other\n    expr: level > 100\n");
    world.watch.groups = evenkeel::config::parse_rules("rules.yml", &more).unwrap();
    db.reload(world.watch.clone()).unwrap();
    assert_eq!(db.alerts(), before);
    world.clock.set(BEGIN + 11_000);
    db.step();
    assert_eq!(world.pages(), 1);
    world.watch.groups = Vec::new();
    db.reload(world.watch.clone()).unwrap();
    world.clock.set(BEGIN + 120_000);
    db.step();
    assert!(db.alerts().is_empty());
    assert_eq!(world.pages(), 2, "nobody was told that the rule is gone");
    assert!(world.recorder.bodies.lock()[1].contains("\"status\":\"resolved\""));
}

#[test]
fn rules_that_are_new_at_a_restart_do_not_page_for_the_past() {
    let mut world = World::new("", "");
    let db = world.open();
    db.append(one("level", &[], BEGIN, 6.0)).unwrap();
    world.clock.set(BEGIN + 15_000);
    db.append(one("level", &[], BEGIN + 15_000, 1.0)).unwrap();
    drop(db);
    world.watch.groups = evenkeel::config::parse_rules("rules.yml", &HIGH.replace("    for: 10s\n", "")).unwrap();
    let db = world.open();
    db.step();
    assert!(db.alerts().is_empty());
    assert_eq!(world.pages(), 0);
}

#[test]
fn many_senders_share_syncs_and_each_gets_its_own_receipt() {
    let world = World::new("", "");
    let db = world.open();
    let before = db.status().store.fsyncs;
    std::thread::scope(|scope| {
        for sender in 0..8 {
            let db = db.clone();
            scope.spawn(move || {
                for i in 0..50 {
                    let name = format!("s{sender}");
                    let receipt = db.append(one("n", &[("sender", &name)], BEGIN + i, i as f64)).unwrap();
                    assert_eq!(receipt.stored, 1);
                }
            });
        }
    });
    assert!(db.status().store.fsyncs - before <= 400);
    let total: f64 = instant(&db, "count_over_time(n[1h])", BEGIN + 1000).iter().map(|(_, v)| v).sum();
    assert_eq!(total, 400.0);
}

#[test]
fn deploys_are_remembered() {
    let world = World::new("", "");
    let db = world.open();
    db.mark_deploy("checkout", "v2").unwrap();
    assert!(db.mark_deploy("", "v2").is_err());
    assert!(db.mark_deploy("checkout", &"v".repeat(5000)).is_err());
    let deploys = db.deploys();
    assert_eq!((deploys[0].service.as_str(), deploys[0].version.as_str()), ("checkout", "v2"));
    drop(db);
    assert_eq!(world.open().deploys(), deploys);
}

#[test]
fn a_second_process_is_refused() {
    let world = World::new("", "");
    let _db = world.open();
    let mut options = DbOptions::new(world.dir.path());
    options.threads = Threads::None;
    let Err(error) = Db::open(options) else { panic!("opened twice") };
    assert!(error.to_string().contains("another"), "{error}");
}

#[test]
fn a_transaction_that_no_record_can_hold_is_refused_by_itself() {
    let world = World::new("", "");
    let db = world.open();
    let mut batch = Batch::new();
    let labels = Labels::new([("__name__", "much")]).unwrap();
    batch.push_series(labels, (0..2_500_000).map(|i| Sample { t: Timestamp(BEGIN - i), v: 0.0 }));
    let error = db.append(batch).unwrap_err().to_string();
    assert!(error.starts_with("a transaction of 2500000 samples") && error.ends_with("send it in parts"), "{error}");
    assert_eq!(db.append(one("little", &[], BEGIN, 1.0)).unwrap().stored, 1);
}

#[test]
fn a_rule_that_a_reload_brings_follows_the_series_that_were_there() {
    let mut world = World::new("", "");
    let db = world.open();
    db.append(one("level", &[], BEGIN, 1.0)).unwrap();
    world.watch.groups = evenkeel::config::parse_rules("rules.yml", &HIGH.replace("    for: 10s\n", "")).unwrap();
    db.reload(world.watch.clone()).unwrap();
    assert!(db.alerts().is_empty());
    world.clock.set(BEGIN + 1_000);
    db.append(one("level", &[], BEGIN + 1_000, 6.0)).unwrap();
    assert_eq!(db.alerts()[0].state, AlertState::Firing);
}
