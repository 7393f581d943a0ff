//! History played through rules: what happened live happens again, however it is read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use evenkeel::backtest::{Backtest, ComputeAhead, Played, Span, spans};
use evenkeel::config::parse_rules;
use evenkeel::db::{Db, DbOptions, Threads, stored, workers};
use evenkeel::env::disk::{Disk, MemoryDisk};
use evenkeel::env::{ManualClock, Rng};
use evenkeel::model::{
    Alert, AlertState, Batch, Labels, Millis, STALE_NAN, Sample, TimeRange, Timestamp, Transition, TransitionKind,
};
use evenkeel::promql::SeriesSource;
use evenkeel::rules::{RuleContext, RuleGroup, RuleKind};
use evenkeel::storage::{Store, StoreOptions};
use evenkeel::testkit::MemorySeries;

const BEGIN: i64 = 1_800_000_000_000;

const RULES: &str = r#"
groups:
  - name: g
    interval: 15s
    rules:
      - {alert: High, expr: load > 60, for: 45s, annotations: {summary: "{{ $labels.host }} {{ $value }}"}}
      - {alert: Kept, expr: load > 80, keep_firing_for: 1m}
      - {alert: Failing, expr: 'sum(rate(failed_total[2m])) / sum(rate(asked_total[2m])) > 0.2', for: 30s}
      - {alert: Lost, expr: 'absent(load{host="1"})', for: 10s}
      - {record: 'job:load:sum', expr: sum(load)}
      - {alert: Sum, expr: 'job:load:sum > 160'}
      - {alert: Top, expr: 'sort_by_label(load, "host") > 90'}
      - {alert: Lasting, expr: 'ALERTS{alertname="High",alertstate="firing"} offset 20s'}
  - name: as in prometheus
    interval: 20s
    evaluation_mode: interval
    rules:
      - {alert: Slow, expr: load > 70, for: 30s}
      - {record: 'job:failed:rate', expr: 'sum(rate(failed_total[1m]))'}
      - {alert: Rising, expr: 'avg_over_time(job:failed:rate[2m]) > 0.2'}
"#;

fn groups(text: &str) -> Vec<RuleGroup> {
    parse_rules("rules.yml", text).unwrap_or_else(|error| panic!("{error}"))
}

/// What is compared of an alert that is pending or firing: everything but its present value.
type Told = (AlertState, Timestamp, Option<Timestamp>);

fn told(alert: &Alert) -> (Labels, Told) {
    (alert.labels.clone(), (alert.state, alert.active_at, alert.fired_at))
}

/// The instants after `from` and before `to` at which groups are evaluated, as far as that is known yet.
fn slots(db: &Db, from: i64, to: i64) -> Vec<i64> {
    let mut all = Vec::new();
    for group in db.rule_groups() {
        // What is followed is evaluated at any time; the phase is told by rules that are not.
        let recording = group.rules.iter().filter(|rule| rule.kind == RuleKind::Recording);
        let Some(last) = recording.map(|rule| rule.last_evaluation.0).max().filter(|last| *last > 0) else { continue };
        let first = last + ((from - last) / group.interval.0 + 1) * group.interval.0;
        all.extend((first..to).step_by(group.interval.0 as usize));
    }
    all.sort_unstable();
    all
}

/// Feeds a database for two hours, its clock always at the samples' times, and notes its alerts after each step.
fn live(seed: u64, disk: &Arc<MemoryDisk>) -> Vec<(Timestamp, BTreeMap<Labels, Told>)> {
    let mut rng = Rng::new(seed);
    let clock = Arc::new(ManualClock::new(BEGIN));
    let mut options = DbOptions::new("/data");
    options.disk = Arc::clone(disk) as Arc<dyn Disk>;
    options.clock = clock.clone();
    options.threads = Threads::None;
    options.store.reserve_bytes = 0;
    options.watch.groups = groups(RULES);
    let db = Db::open(options).unwrap();
    let (mut now, mut loads, mut counts) = (BEGIN, [50.0f64; 3], [0.0f64; 2]);
    let mut seen = Vec::new();
    while now < BEGIN + 2 * 3_600_000 {
        let next = now + 500 + rng.below(9_000) as i64;
        // A timer wakes the database at each deadline of a group, so what that records is stored then.
        let mut stops = slots(&db, now, next);
        // Windows that move on are noticed at whole seconds; behind one, everything before it was told.
        let whole = next.div_euclid(1000) * 1000;
        stops.extend((whole > now).then_some(whole));
        stops.sort_unstable();
        for stop in stops {
            clock.set(stop);
            db.step();
            if stop == whole {
                seen.push((Timestamp(stop), db.alerts().iter().map(told).collect()));
            }
        }
        now = next;
        clock.set(now);
        db.step();
        let host = rng.below(3) as usize;
        let silent = host == 1 && (now / 600_000) % 4 == 3;
        if rng.below(4) > 0 && !silent {
            loads[host] = (loads[host] + rng.normal() * 15.0).clamp(0.0, 100.0);
            let bad = (now / 400_000) % 3 == 0;
            counts[0] += 10.0;
            counts[1] += if bad { 4.0 } else { 0.0 };
            if rng.below(200) == 0 {
                counts = [0.0; 2];
            }
            let mut batch = Batch::new();
            let text = host.to_string();
            let labels = |pairs: &[(&str, &str)]| Labels::new(pairs.iter().copied()).unwrap();
            let v = if rng.below(30) == 0 { f64::from_bits(STALE_NAN) } else { loads[host] };
            batch.push(labels(&[("__name__", "load"), ("host", &text)]), Sample { t: Timestamp(now), v });
            for (name, v) in ["asked_total", "failed_total"].into_iter().zip(counts) {
                batch.push(labels(&[("__name__", name)]), Sample { t: Timestamp(now), v });
            }
            db.append(batch).unwrap();
        }
    }
    db.close().unwrap();
    seen
}

fn open(disk: &Arc<MemoryDisk>) -> Store {
    let options = StoreOptions { reserve_bytes: 0, ..StoreOptions::default() };
    let (store, mut replay) = Store::open(Arc::clone(disk) as Arc<dyn Disk>, Path::new("/data"), options).unwrap();
    while replay.next().unwrap().is_some() {}
    store
}

fn play(rules: &[RuleGroup], source: &dyn SeriesSource, range: TimeRange) -> Played {
    let context = RuleContext::default();
    Backtest { groups: rules, context: &context, source, range, workers: None, ahead: ComputeAhead::default() }
        .run(&|_| ())
        .unwrap()
}

/// The alerts after all transitions until an instant.
fn alerts_at(transitions: &[Transition], at: Timestamp) -> BTreeMap<Labels, Told> {
    let mut alerts = BTreeMap::new();
    for transition in transitions.iter().filter(|transition| transition.at <= at) {
        let (labels, told) = told(&transition.alert);
        match transition.kind {
            TransitionKind::Pending | TransitionKind::Firing => alerts.insert(labels, told),
            TransitionKind::Resolved | TransitionKind::Dropped => alerts.remove(&labels),
        };
    }
    alerts
}

/// Of alerts that were active when the range began, it is not told since when: they may have been for longer than what
/// is played before it.
fn since(begin: Timestamp, mut alerts: BTreeMap<Labels, Told>) -> BTreeMap<Labels, Told> {
    for (_, active_at, fired_at) in alerts.values_mut() {
        if *active_at <= begin {
            (*active_at, *fired_at) = (begin, fired_at.map(|at| at.max(begin)));
        }
    }
    alerts
}

#[test]
fn what_happened_live_happens_again() {
    for seed in [1, 3] {
        let disk = Arc::new(MemoryDisk::new());
        let seen = live(seed, &disk);
        let store = open(&disk);
        let range = TimeRange { after: Timestamp(BEGIN + 3_600_000), until: Timestamp(BEGIN + 2 * 3_600_000) };
        let played = play(&groups(RULES), &stored(&store), range);
        let (mut compared, mut names) = (0, BTreeMap::new());
        for (at, expected) in seen.iter().filter(|(at, _)| range.contains(*at)) {
            let alerts = since(range.after, alerts_at(&played.transitions, *at));
            assert_eq!(alerts, since(range.after, expected.clone()), "seed {seed} at {}", at.0 - BEGIN);
            compared += 1;
            for labels in expected.keys() {
                *names.entry(labels.get("alertname").to_owned()).or_insert(0) += 1;
            }
        }
        assert!(compared > 300 && names.len() >= 9, "seed {seed}: {compared} {names:?}");
    }
}

#[test]
fn who_plays_and_how_history_is_read_change_nothing() {
    let disk = Arc::new(MemoryDisk::new());
    live(4, &disk);
    let store = open(&disk);
    let source = stored(&store);
    let range = TimeRange { after: Timestamp(BEGIN + 3_600_000), until: Timestamp(BEGIN + 2 * 3_600_000) };
    let rules = groups(RULES);
    let expected = play(&rules, &source, range).transitions;
    assert!(expected.len() > 100, "{}", expected.len());
    let (context, workers) = (RuleContext::default(), workers());
    let shared = Backtest {
        groups: &rules,
        context: &context,
        source: &source,
        range,
        workers: Some(&workers),
        ahead: ComputeAhead::default(),
    };
    assert_eq!(shared.run(&|_| ()).unwrap().transitions, expected);
    // A range that begins earlier decides the same behind its beginning.
    let earlier = TimeRange { after: range.after - Millis::minutes(30), ..range };
    let behind = |transitions: Vec<Transition>| {
        let mut behind: Vec<Transition> = transitions.into_iter().filter(|t| range.contains(t.at)).collect();
        behind.iter_mut().for_each(|t| t.id.seq = evenkeel::model::Seq(0));
        behind
    };
    assert_eq!(behind(play(&rules, &source, earlier).transitions), behind(expected));
}

/// How much history random loads have.
const HOURS: i64 = 3;

/// Rules of every kind that is queried at an interval, some of which cannot be computed ahead.
const QUERIED: &str = r#"
groups:
  - name: chain
    interval: 15s
    rules:
      - {record: 'a:load', expr: 'sum by (host) (load)'}
      - {record: 'b:load', expr: 'max_over_time(a:load[1m]) + on () group_left () count(a:load)', labels: {kind: peak}}
      - {alert: B, expr: 'b:load > 95', for: 30s}
      - {alert: TopB, expr: 'sort_by_label(b:load, "host") > 95'}
      - {alert: Sub, expr: 'max_over_time(sum(load)[2m:10s]) > 190', for: 20s}
  - name: other
    interval: 20s
    rules:
      - {record: 'c:load', expr: 'avg_over_time(b:load[1m]) or load > 80'}
      - {record: 'd:load', expr: 'd:load + 1 or vector(0)'}
      - {alert: D, expr: 'd:load > 100'}
      - {alert: C, expr: 'c:load > 90', keep_firing_for: 40s}
  - name: order
    interval: 15s
    evaluation_mode: interval
    rules:
      - {alert: Early, expr: 'e:load > 150'}
      - {record: 'e:load', expr: 'sum(load) unless on () (load{host="1"} > 90)'}
      - {alert: Late, expr: 'e:load > 150', for: 15s}
      - {record: 'f:load', expr: 'load * on (host) group_left () (a:load / a:load)'}
      - {alert: F, expr: 'f:load{host="2"} > 85'}
  - name: offset
    interval: 15s
    query_offset: 5s
    rules:
      - {record: 'g:load', expr: 'min(load)'}
      - {alert: G, expr: 'g:load > 40'}
  - name: limited
    interval: 25s
    limit: 2
    rules:
      - {record: 'h:load', expr: 'load > 50'}
      - {alert: H, expr: 'h:load > 70'}
  - name: ahead
    interval: 15s
    rules:
      - {record: 'i:load', expr: 'load offset -20s'}
      - {alert: I, expr: 'i:load > 80'}
      - {record: 'j:load', expr: 'sum(j:base)'}
      - {alert: J, expr: 'sort_by_label(j:load, "host") > 120'}
      - {record: 'j:base', expr: 'load + 1'}
"#;

/// Rules that have all others played with them.
const ASKING: &str = r#"
  - name: asking
    interval: 15s
    rules:
      - {alert: Told, expr: 'sort_by_label(ALERTS{alertname="B"}, "host")'}
      - {alert: Asks, expr: 'sort_by_label(load, "host") > 97', annotations: {sum: '{{ query "sum(b:load)" }}'}}
"#;

#[test]
fn what_is_computed_ahead_is_what_is_computed_in_the_play() {
    check_ahead(QUERIED, 1..=3, 7, 12);
    check_ahead(&format!("{QUERIED}{ASKING}"), 4..=4, 2, 14);
}

/// Plays random loads with `ahead` rules computed ahead and with none: at least `alerts` rules decide something.
fn check_ahead(rules: &str, seeds: std::ops::RangeInclusive<u64>, ahead: usize, alerts: usize) {
    for seed in seeds {
        let source = loads(seed);
        let range = TimeRange { after: Timestamp(BEGIN + 1_800_000), until: Timestamp(BEGIN + HOURS * 3_600_000) };
        let (rules, context) = (groups(rules), RuleContext::default());
        let run = |ahead| {
            let test = Backtest { groups: &rules, context: &context, source: &source, range, workers: None, ahead };
            test.run(&|_| ()).unwrap()
        };
        let (fast, plain) = (run(ComputeAhead::WherePossible), run(ComputeAhead::Never));
        assert_eq!((fast.ahead, plain.ahead), (ahead, 0), "seed {seed}");
        let mut names: Vec<&str> = plain.transitions.iter().map(|t| t.alert.labels.get("alertname")).collect();
        names.sort_unstable();
        names.dedup();
        assert!(names.len() >= alerts && plain.recorded > 2_000, "seed {seed}: {names:?} {}", plain.recorded);
        assert_eq!(fast.recorded, plain.recorded, "seed {seed}");
        // NaN differs from itself.
        let told = |played: &Played| {
            let told = |t: &Transition| format!("{:?}", (t.at, t.kind, &t.alert, t.id.key));
            played.transitions.iter().map(told).collect::<Vec<_>>()
        };
        let (fast, plain) = (told(&fast), told(&plain));
        let differs = fast.iter().zip(&plain).position(|(a, b)| a != b);
        if let Some(at) = differs {
            panic!("seed {seed}: {} is not {}", fast[at], plain[at]);
        }
        assert_eq!(fast.len(), plain.len(), "seed {seed}");
    }
}

/// Three series that come and go, one of them with samples at the very instants of a group.
fn loads(seed: u64) -> MemorySeries {
    let mut rng = Rng::new(seed);
    let mut source = MemorySeries::default();
    let on_time = groups(QUERIED)[0].next_evaluation(Timestamp(BEGIN)).0;
    for (host, start) in [BEGIN, BEGIN + 137, on_time].into_iter().enumerate() {
        let (mut t, mut v, mut samples) = (start, 60.0, Vec::new());
        while t < BEGIN + HOURS * 3_600_000 {
            v = (v + rng.normal() * 12.0f64).clamp(0.0, 100.0);
            let stale = rng.below(40) == 0;
            samples.push(Sample { t: Timestamp(t), v: if stale { f64::from_bits(STALE_NAN) } else { v } });
            t += 15_000 * if rng.below(60) == 0 { 1 + rng.below(60) as i64 } else { 1 };
        }
        let host = host.to_string();
        source.insert(Labels::new([("__name__", "load"), ("host", &host)]).unwrap(), samples);
    }
    source
}

/// A series of one value a minute.
fn series(text: &str, values: &[f64]) -> MemorySeries {
    let mut source = MemorySeries::default();
    let labels = Labels::new([("__name__", text)]).unwrap();
    let at = |n: usize| Timestamp(BEGIN + n as i64 * 60_000);
    source.insert(labels, values.iter().enumerate().map(|(n, v)| Sample { t: at(n), v: *v }));
    source
}

/// When alerts fired, in minutes.
fn fired(rules: &str, source: &MemorySeries, from: i64, to: i64) -> Vec<(String, f64, Option<f64>)> {
    let minute = |t: Timestamp| (t.0 - BEGIN) as f64 / 60_000.0;
    let range = TimeRange { after: Timestamp(BEGIN + from * 60_000), until: Timestamp(BEGIN + to * 60_000) };
    let played = play(&groups(rules), source, range);
    let told = |span: Span| (span.rule().to_owned(), minute(span.start), span.end.map(minute));
    spans(&played.transitions, range).into_iter().map(told).collect()
}

#[test]
fn windows_and_for_are_warm_when_the_range_begins() {
    let rule =
        |expr: &str, hold: &str| format!("groups: [{{name: g, rules: [{{alert: A, expr: '{expr}', for: {hold}}}]}}]");
    let mut values = vec![1.0; 30];
    values.extend([9.0; 60]);
    values.extend([1.0; 30]);
    let x = series("x", &values);
    let check = |expr: &str, hold: &str, from: i64, expected: &[(f64, Option<f64>)]| {
        let found = fired(&rule(expr, hold), &x, from, 110);
        let found: Vec<_> = found.into_iter().map(|(_, start, end)| (start, end)).collect();
        assert_eq!(found, expected, "{expr} for {hold} from {from}");
    };
    check("x > 5", "10m", 0, &[(40.0, Some(90.0))]);
    // It has been pending for nine minutes when the range begins.
    check("x > 5", "10m", 39, &[(40.0, Some(90.0))]);
    // What was longer ago than the longest for and an interval is not looked at; it fires when the range begins.
    check("x > 5", "10m", 60, &[(59.0, Some(90.0))]);
    check("x > 5", "10m", 80, &[(79.0, Some(90.0))]);
    check("avg_over_time(x[10m]) == 9", "0s", 50, &[(49.0, Some(90.0))]);
    check("avg_over_time(x[10m]) == 9", "0s", 100, &[]);
    check("x > 5", "10m", 95, &[]);
}

#[test]
fn what_rules_record_takes_the_place_of_what_was_stored() {
    let rules = "groups: [{name: g, interval: 1m, rules: [{record: r, expr: x * 2}, {alert: A, expr: r > 10}]}]";
    let mut source = series("x", &[1.0; 60]);
    // Stored by another rule; it would fire.
    let labels = Labels::new([("__name__", "r")]).unwrap();
    source.insert(labels, (0..60).map(|n| Sample { t: Timestamp(BEGIN + n * 60_000), v: 100.0 }));
    let found = fired(rules, &source, 30, 59);
    // Only until the rules are played, long before the range.
    assert!(found.is_empty(), "{found:?}");
    let without = "groups: [{name: g, rules: [{alert: A, expr: r > 10}]}]";
    assert_eq!(fired(without, &source, 30, 59).len(), 1);
}
