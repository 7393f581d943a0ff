//! Faults that leave nobody seeing, each caused in a database with virtual time, and when the verdict says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use evenkeel::confidence::Verdict;
use evenkeel::config::{parse_objectives, parse_rules};
use evenkeel::db::{Db, DbOptions, Threads, Watch};
use evenkeel::env::disk::MemoryDisk;
use evenkeel::env::{Clock, ManualClock, Request, Response, Transport, TransportError};
use evenkeel::model::{Batch, Labels, Matcher, Millis, Sample, Timestamp};
use evenkeel::notify::{GroupBy, Receiver, Route, Routing, Webhook};

const BEGIN: i64 = 1_800_000_000_000;
const SCRAPE: Millis = Millis::seconds(15);
const OBJECTIVE: &str =
    "objectives: [{service: shop, objective: 99.9, errors: 'requests_total{code=\"500\"}', total: requests_total}]";

/// A fault, when it must be told of, and how that came out.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) fault: &'static str,
    /// The code of the reason that is expected.
    pub(crate) code: &'static str,
    pub(crate) within: Millis,
    /// How long after the fault the reason was there; none if it never was.
    pub(crate) after: Option<Millis>,
}

impl Row {
    pub(crate) fn holds(&self) -> bool {
        self.after.is_some_and(|after| after <= self.within)
    }
}

/// A receiver that can be made to refuse.
#[derive(Default)]
struct Line {
    cut: AtomicBool,
}

impl Transport for Line {
    fn send(&self, _request: &Request) -> Result<Response, TransportError> {
        let status = if self.cut.load(Ordering::Relaxed) { 503 } else { 200 };
        Ok(Response { status, retry_after: None, body: String::new() })
    }
}

struct World {
    clock: Arc<ManualClock>,
    disk: MemoryDisk,
    line: Arc<Line>,
    db: Option<Db>,
    good: f64,
    bad: f64,
}

/// What is scraped of the shop.
#[derive(Debug, Clone, Copy)]
struct Scrape {
    /// Requests, and those of them that fail; absent: its counters are not there.
    requests: Option<(f64, f64)>,
    /// Whether its two targets answer; absent: there is no `up`.
    up: Option<[f64; 2]>,
}

const WELL: Scrape = Scrape { requests: Some((300.0, 0.0)), up: Some([1.0, 1.0]) };

impl World {
    fn new(rules: &str, objectives: &str) -> World {
        let world = World {
            clock: Arc::new(ManualClock::new(BEGIN)),
            disk: MemoryDisk::new(),
            line: Arc::new(Line::default()),
            db: None,
            good: 0.0,
            bad: 0.0,
        };
        World { db: Some(world.open(watch(rules, objectives))), ..world }
    }

    fn open(&self, watch: Watch) -> Db {
        let mut options = DbOptions::new("/db");
        options.watch = watch;
        options.clock = Arc::clone(&self.clock) as _;
        options.transport = Arc::clone(&self.line) as _;
        options.disk = Arc::new(self.disk.clone());
        options.store.reserve_bytes = 0;
        // Each write needs a segment, and so room on the disk.
        options.store.segment_bytes_max = 1;
        options.threads = Threads::None;
        Db::open(options).expect("it opens")
    }

    fn db(&self) -> &Db {
        self.db.as_ref().expect("open")
    }

    /// Lets a time pass in which this is scraped; what cannot be stored is lost.
    fn pass(&mut self, span: Millis, scrape: Scrape) {
        for _ in 0..(span.0 / SCRAPE.0).max(1) {
            self.clock.advance(SCRAPE.0);
            let t = Timestamp(self.clock.now_ms());
            let mut batch = Batch::new();
            let mut push = |name: &str, label: (&str, &str), v: f64| {
                let labels = Labels::new([("__name__", name), ("job", "shop"), label]).expect("labels");
                batch.push(labels, Sample { t, v });
            };
            if let Some((all, failed)) = scrape.requests {
                (self.good, self.bad) = (self.good + all - failed, self.bad + failed);
                push("requests_total", ("code", "200"), self.good);
                push("requests_total", ("code", "500"), self.bad);
            }
            for (n, v) in scrape.up.into_iter().flatten().enumerate() {
                push("up", ("instance", ["a", "b"][n]), v);
            }
            if !batch.is_empty() {
                let _lost = self.db().append(batch);
            }
            self.db().step();
        }
    }

    fn told(&self, code: &str) -> bool {
        self.db().judgement().reasons.iter().any(|reason| reason.verdict == Verdict::Blind && reason.code == code)
    }

    /// Waits at most two hours until it is told.
    fn watch_for(&mut self, fault: &'static str, code: &'static str, within: Millis, scrape: Scrape) -> Row {
        let begun = self.clock.now_ms();
        let mut after = self.told(code).then_some(Millis::ZERO);
        while after.is_none() && self.clock.now_ms() - begun < Millis::hours(2).0 {
            self.pass(SCRAPE, scrape);
            after = self.told(code).then(|| Millis(self.clock.now_ms() - begun));
        }
        Row { fault, code, within, after }
    }
}

fn watch(rules: &str, objectives: &str) -> Watch {
    let groups = if rules.is_empty() { Vec::new() } else { parse_rules("rules.yml", rules).expect("rules") };
    let objectives =
        if objectives.is_empty() { Vec::new() } else { parse_objectives("slo.yml", objectives).expect("objectives") };
    let mut watch = Watch { groups, objectives, ..Watch::default() };
    let mut route = Route::new("on-call");
    (route.group_by, route.group_wait) = (GroupBy::All, Millis::ZERO);
    let receiver = Receiver { name: "on-call".to_owned(), webhooks: vec![Webhook::new("http://127.0.0.1:1/")] };
    watch.notify.routing = Some(Routing { route, receivers: vec![receiver] });
    watch
}

/// Ten minutes in which all is well, and known to be.
fn well() -> World {
    let mut world = World::new("", OBJECTIVE);
    world.pass(Millis::minutes(10), WELL);
    assert_eq!(world.db().judgement().overall, Verdict::Ok, "{:?}", world.db().judgement().reasons);
    world
}

/// Causes every fault.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    // What is stored goes on while this is scraped.
    let scraped = [
        ("every target of a job is down", "targets-down", SCRAPE, Scrape { requests: None, up: Some([0.0, 0.0]) }),
        (
            "the targets answer, the objective's series are gone",
            "input-stopped",
            Millis(SCRAPE.0 * 4),
            Scrape { requests: None, ..WELL },
        ),
        (
            "the whole job is gone, or its sender stopped",
            "input-stopped",
            Millis(SCRAPE.0 * 4),
            Scrape { requests: None, up: None },
        ),
    ];
    for (fault, code, within, scrape) in scraped {
        rows.push(well().watch_for(fault, code, within, scrape));
    }
    rows.push(gap());
    rows.push(nothing_matches());
    rows.push(one_sample());
    rows.push(failing_rule());
    rows.push(refusing_receiver());
    rows.push(full_disk());
    rows.push(restarted());
    rows.push(nobody_looked());
    rows.push(World::new("", "").watch_for("no objective is watched", "no-objective", Millis::ZERO, WELL));
    rows.push(vanished());
    rows.push(clock(Millis::hours(1), "clock-jumped", "the clock is set an hour forward"));
    rows.push(clock(Millis(-60_000), "clock-jumped", "the clock is set a minute back"));
    rows.push(clock(Millis(-60_000), "clock-behind", "the clock is behind the log: time stands still for rules"));
    rows.push(not_reloaded());
    rows.push(late());
    rows.extend(blind_spots());
    rows
}

fn gap() -> Row {
    let mut world = well();
    world.pass(Millis::seconds(15), Scrape { requests: None, up: None });
    assert_eq!(world.db().judgement().overall, Verdict::Ok, "one missed scrape is none of it");
    let mut row = world.watch_for(
        "scrapes pause for longer than three intervals",
        "input-stopped",
        Millis(SCRAPE.0 * 3),
        Scrape { requests: None, up: None },
    );
    world.pass(Millis::minutes(1), WELL);
    row.after = row.after.filter(|_| world.db().judgement().overall == Verdict::Ok);
    row
}

fn nothing_matches() -> Row {
    let mut world = well();
    world.db().reload(watch("", &OBJECTIVE.replace("requests_total", "request_total"))).expect("a reload");
    world.watch_for("an objective's selector matches nothing", "no-series", Millis::ZERO, WELL)
}

fn one_sample() -> Row {
    let mut world = World::new("", OBJECTIVE);
    world.pass(SCRAPE, WELL);
    world.watch_for("one sample only: nothing proves another", "not-proven", Millis::ZERO, WELL)
}

fn failing_rule() -> Row {
    let mut world = well();
    let rules = "groups: [{name: g, interval: 30s, rules: [{alert: Broken, expr: 'up * on (job) up > 0'}]}]";
    world.db().reload(watch(rules, OBJECTIVE)).expect("a reload");
    world.watch_for("a rule cannot be evaluated", "rule-failing", Millis::seconds(60), WELL)
}

fn refusing_receiver() -> Row {
    let mut world = well();
    world.line.cut.store(true, Ordering::Relaxed);
    let outage = Scrape { requests: Some((300.0, 300.0)), ..WELL };
    // The page is due after some ten minutes at the most; from then on a minute of refusals.
    while world.db().alerts().is_empty() {
        world.pass(SCRAPE, outage);
    }
    world.watch_for("the receiver refuses every message", "receiver-failing", Millis::seconds(120), outage)
}

fn full_disk() -> Row {
    let mut world = well();
    world.disk.set_capacity(Some(world.disk.used_bytes()));
    world.watch_for("the disk is full", "storage-read-only", Millis::hours(1), WELL)
}

fn restarted() -> Row {
    let mut world = well();
    drop(world.db.take());
    world.clock.advance(1000);
    world.db = Some(world.open(watch("", OBJECTIVE)));
    world.watch_for("the program has started anew", "no-input-since-start", Millis::ZERO, WELL)
}

fn nobody_looked() -> Row {
    let mut world = well();
    let died = Timestamp(world.clock.now_ms());
    drop(world.db.take());
    world.clock.advance(Millis::hours(1).0);
    world.db = Some(world.open(watch("", OBJECTIVE)));
    world.db().step();
    let then = world.db().judgement_at(died + Millis::minutes(30));
    let told = then.is_some_and(|judgement| judgement.reasons.iter().any(|reason| reason.code == "not-running"));
    Row {
        fault: "the program did not run for an hour (told of that hour)",
        code: "not-running",
        within: Millis::ZERO,
        after: told.then_some(Millis::ZERO),
    }
}

fn clock(by: Millis, code: &'static str, fault: &'static str) -> Row {
    let mut world = well();
    world.clock.jump(by.0);
    world.watch_for(fault, code, SCRAPE, WELL)
}

fn not_reloaded() -> Row {
    let mut world = well();
    let mut twice = watch("", OBJECTIVE);
    twice.objectives.extend(twice.objectives.clone());
    world.db().reload(twice).expect_err("the same objective twice");
    let mut row = world.watch_for("a configuration could not be reloaded", "reload-failed", Millis::ZERO, WELL);
    world.db().reload(watch("", OBJECTIVE)).expect("a reload");
    row.after = row.after.filter(|_| !world.told("reload-failed"));
    row
}

/// Nobody lets time pass: `for` is over, and nothing is decided.
fn late() -> Row {
    let rules = "groups: [{name: g, interval: 1h, rules: [{alert: Low, expr: 'up < 2', for: 12m}]}]";
    let mut world = World::new(rules, "");
    world.pass(Millis::minutes(10), WELL);
    let due = world.clock.now_ms() + Millis::minutes(2).0 + SCRAPE.0;
    let (mut after, fault) = (None, "decisions lag: a deadline has passed");
    while after.is_none() && world.clock.now_ms() < due + Millis::hours(1).0 {
        world.clock.advance(1000);
        after = world.told("decisions-late").then(|| Millis(world.clock.now_ms() - due));
    }
    world.db().step();
    after = after.filter(|_| !world.told("decisions-late"));
    Row { fault, code: "decisions-late", within: Millis::seconds(15), after }
}

fn vanished() -> Row {
    let mut world = well();
    world.pass(Millis::hours(27), WELL);
    let none = Scrape { requests: Some((0.0, 0.0)), ..WELL };
    world.watch_for("requests stop coming", "traffic-vanished", Millis::minutes(16), none)
}

/// What goes unseen before anything is wrong: named by the blind spots.
fn blind_spots() -> Vec<Row> {
    let mut world = well();
    let spots = |world: &World, code: &str| world.db().blind_spots().iter().any(|spot| spot.code == code);
    let row = |fault, code, told: bool| Row { fault, code, within: Millis::ZERO, after: told.then_some(Millis::ZERO) };
    let mut rows = vec![row("no receiver has ever taken a message", "no-proof", spots(&world, "no-proof"))];
    world.pass(SCRAPE, Scrape { up: Some([1.0, 0.0]), ..WELL });
    rows.push(row("one of two targets is down", "target-down", spots(&world, "target-down")));
    let mut unrouted = watch("", OBJECTIVE);
    unrouted.notify.routing = None;
    world.db().reload(unrouted).expect("a reload");
    rows.push(row("a page would reach nobody", "no-route", spots(&world, "no-route")));
    let rules = "groups: [{name: g, rules: [{alert: Full, expr: 'disk > 1', labels: {severity: page, team: db}}]}]";
    let mut dropped = watch(rules, OBJECTIVE);
    if let Some(routing) = &mut dropped.notify.routing {
        let matchers = vec![Matcher::equal("team", "db")];
        routing.route.routes.push(Route { matchers, ..Route::new("nobody") });
        routing.receivers.push(Receiver { name: "nobody".to_owned(), webhooks: Vec::new() });
    }
    world.db().reload(dropped).expect("a reload");
    rows.push(row("a rule's alert that no route leads to anybody", "rule-unrouted", spots(&world, "rule-unrouted")));
    rows
}
