//! A scripted day with restarts at random places, beside a twin that nothing happens to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use evenkeel::config::parse_rules;
use evenkeel::db::{Db, DbOptions, Threads, Watch};
use evenkeel::env::disk::{MemoryDisk, Survival};
use evenkeel::env::{Clock as _, ManualClock, Request, Response, Rng, Transport, TransportError};
use evenkeel::model::{Alert, Batch, Labels, Millis, Sample, TimeRange, Timestamp};
use evenkeel::notify::{GroupBy, Receiver, Route, Routing, Webhook};
use evenkeel::storage::StoreOptions;
use parking_lot::Mutex;

const BEGIN: i64 = 1_800_000_000_000;

/// `for`, `keep_firing_for`, silence, other alerts, recording rules, queries at the interval, and Prometheus' instants.
const RULES: &str = r#"
groups:
- name: followed
  interval: 30s
  rules:
  - {alert: High, expr: level > 7, for: 2m, keep_firing_for: 90s, labels: {severity: page}, annotations: {text: "{{ $value }}"}}
  - {alert: Instant, expr: level > 9}
  - {alert: Slow, expr: "rate(work_total[5m]) < 0.5", for: 5m}
  - {alert: Silent, expr: 'absent(level{room="c"})', for: 1m}
  - {alert: Alone, expr: 'count(ALERTS{alertname="Instant"}) > 1', for: 20s}
- name: queried
  interval: 45s
  rules:
  - {record: "level:max", expr: max(level)}
  - {alert: Recorded, expr: "level:max > 9", for: 1m}
  - {alert: Top, expr: "topk(1, level) > 8", for: 50s, keep_firing_for: 2m}
- name: as-prometheus
  interval: 1m
  evaluation_mode: interval
  rules:
  - {record: "level:sum", expr: sum(level)}
  - {alert: Sum, expr: "level:sum > 18", for: 2m, keep_firing_for: 3m}
  - {alert: Any, expr: 'count(ALERTS{alertstate="firing"}) > 2'}
"#;

/// What happens at an instant: samples of rooms and their work.
type Event = (i64, Vec<(&'static str, f64)>);

/// The day: levels that stay for a while, rooms that fall silent, and pauses of all of them.
pub(super) fn script(seed: u64, events: usize) -> Vec<Event> {
    let mut rng = Rng::new(seed);
    let (mut at, mut levels, mut silent) = (BEGIN, [0.0; 3], [0; 3]);
    (0..events)
        .map(|_| {
            at += if rng.below(40) == 0 { 1000 * rng.below(540) as i64 } else { 500 + rng.below(60_000) as i64 };
            let mut samples = Vec::new();
            for (n, room) in ["a", "b", "c"].into_iter().enumerate() {
                if rng.below(6) == 0 {
                    levels[n] = rng.below(11) as f64;
                }
                if rng.below(60) == 0 {
                    silent[n] = at + 1000 * rng.below(900) as i64;
                }
                if silent[n] <= at {
                    samples.push((room, levels[n]));
                }
            }
            (at, samples)
        })
        .collect()
}

/// What is told, each with the keys under which it came.
#[derive(Default)]
struct Heard(Mutex<BTreeMap<String, Vec<String>>>);

impl Transport for Heard {
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let key = request.headers.iter().find(|(name, _)| name == "Idempotency-Key");
        let key = key.map(|(_, key)| key.clone()).unwrap_or_default();
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
        for alert in body["alerts"].as_array().into_iter().flatten() {
            let told = ["labels", "annotations", "status", "startsAt", "endsAt"].map(|name| alert[name].to_string());
            self.0.lock().entry(told.join(" ")).or_default().push(key.clone());
        }
        Ok(Response { status: 200, retry_after: None, body: String::new() })
    }
}

type Samples = BTreeMap<String, Vec<(i64, u64)>>;

/// What is left of a day.
#[derive(Debug, PartialEq)]
pub(super) struct Day {
    /// What was told, and how often.
    pub(super) told: BTreeMap<String, usize>,
    /// Alerts and recorded series, sample by sample: every transition with its time.
    pub(super) series: Samples,
    alerts: Vec<Alert>,
}

/// How a database ends before it is opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    /// As `kill -9`: nothing that was written is lost, nothing is finished.
    Killed,
    /// The power goes: what was not synced is lost.
    PowerCut,
    /// Not at all: the rules are given again.
    Reloaded,
}

struct World {
    clock: Arc<ManualClock>,
    heard: Arc<Heard>,
    watch: Watch,
}

impl World {
    fn new() -> World {
        let mut watch = Watch { groups: parse_rules("rules.yml", RULES).unwrap(), ..Watch::default() };
        let route = Route {
            group_by: GroupBy::All,
            group_wait: Millis::ZERO,
            group_interval: Millis::seconds(1),
            repeat_interval: Millis::days(30),
            ..Route::new("r")
        };
        let receiver = Receiver { name: "r".to_owned(), webhooks: vec![Webhook::new("http://127.0.0.1:1/")] };
        watch.notify.routing = Some(Routing { route, receivers: vec![receiver] });
        World { clock: Arc::new(ManualClock::new(BEGIN)), heard: Arc::default(), watch }
    }

    fn open(&self, disk: &MemoryDisk) -> Db {
        let mut options = DbOptions::new(Path::new("/data"));
        options.watch = self.watch.clone();
        options.clock = Arc::clone(&self.clock) as _;
        options.disk = Arc::new(disk.clone());
        options.transport = Arc::clone(&self.heard) as _;
        options.threads = Threads::None;
        options.store = StoreOptions { flush_bytes: 20_000, reserve_bytes: 0, ..options.store };
        Db::open(options).unwrap()
    }

    fn event(&self, db: &Db, (at, samples): &Event) {
        // What is due meanwhile is delivered when it is due: a busy second is not one message.
        while self.clock.now_ms() < *at {
            self.clock.set((self.clock.now_ms() + 1000).min(*at));
            db.time_moved();
            db.step();
        }
        let mut batch = Batch::new();
        for (room, level) in samples {
            let labels = |name| Labels::new([("__name__", name), ("room", *room)]).unwrap();
            batch.push(labels("level"), Sample { t: Timestamp(*at), v: *level });
            let work = ((*at - BEGIN) / 1000) as f64 * if *level > 5.0 { 0.1 } else { 1.0 };
            batch.push(labels("work_total"), Sample { t: Timestamp(*at), v: work.floor() });
        }
        if !samples.is_empty() {
            db.append(batch).unwrap();
        }
        db.step();
    }
}

/// Lives through the day, with so many restarts at random events.
pub(super) fn live(events: &[Event], restarts: usize, seed: u64) -> Day {
    let (mut rng, world, mut disk) = (Rng::new(seed), World::new(), MemoryDisk::new());
    let mut db = world.open(&disk);
    let mut left = restarts;
    for (n, event) in events.iter().enumerate() {
        world.event(&db, event);
        if rng.below((events.len() - n) as u64) >= left as u64 {
            continue;
        }
        left -= 1;
        let end = [End::Closed, End::Killed, End::PowerCut, End::Reloaded][rng.below(4) as usize];
        match end {
            End::Closed => db.close().unwrap(),
            End::Killed => drop(db),
            End::PowerCut => {
                let survivor = disk.power_cut(Survival::Seeded(seed ^ n as u64));
                drop(db);
                disk = survivor;
            }
            End::Reloaded => {
                db.reload(world.watch.clone()).unwrap();
                db.step();
                continue;
            }
        }
        if let Some((at, _)) = events.get(n + 1) {
            // It stays away for a part of the time until the next event.
            let away = rng.below((*at - event.0).max(1) as u64) as i64;
            world.clock.set(event.0 + away);
        }
        db = world.open(&disk);
        db.step();
    }
    let last = events.last().map_or(BEGIN, |(at, _)| *at);
    world.event(&db, &(last + 1_200_000, Vec::new()));
    let matchers = evenkeel::promql::parse_selector("{__name__=~\"level:.*|ALERTS.*\"}").unwrap();
    let series = db.select(&matchers, TimeRange::ALL, 10_000_000).unwrap();
    let bits = |samples: Vec<Sample>| samples.iter().map(|s| (s.t.0 - BEGIN, s.v.to_bits())).collect();
    let told = world.heard.0.lock();
    Day {
        told: told.iter().map(|(text, keys)| (text.clone(), distinct(keys))).collect(),
        series: series.into_iter().map(|series| (series.labels.to_string(), bits(series.samples))).collect(),
        alerts: db.alerts(),
    }
}

/// How often something was told, but for repetitions of one message, which a receiver recognises by its key.
fn distinct(keys: &[String]) -> usize {
    keys.iter().collect::<std::collections::BTreeSet<_>>().len()
}

/// The first thing in which two days differ, in words.
pub(super) fn difference(disturbed: &Day, twin: &Day) -> Option<String> {
    if let Some((text, n)) = disturbed.told.iter().find(|(text, n)| twin.told.get(*text) != Some(n)) {
        return Some(format!("told {n} times: {text}, by the twin {:?}", twin.told.get(text)));
    }
    if let Some((text, n)) = twin.told.iter().find(|(text, _)| !disturbed.told.contains_key(*text)) {
        return Some(format!("not told: {text}, by the twin {n} times"));
    }
    for (labels, samples) in &twin.series {
        let found = disturbed.series.get(labels).map(Vec::as_slice).unwrap_or_default();
        if let Some(missing) = samples.iter().find(|sample| !found.contains(sample)) {
            return Some(format!("{labels} lacks a sample: {missing:?}"));
        }
        if let Some(more) = found.iter().find(|sample| !samples.contains(sample)) {
            return Some(format!("{labels} has a sample that the twin has not: {more:?}"));
        }
    }
    (disturbed != twin).then(|| "other alerts or series are left".to_owned())
}
