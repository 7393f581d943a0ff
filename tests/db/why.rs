//! Why an alert fires, and why it does not: on a database with a clock of its own.

use std::sync::Arc;

use evenkeel::db::{Db, DbOptions, QueryMeter, Threads, Watch, Which, Why};
use evenkeel::env::ManualClock;
use evenkeel::env::disk::MemoryDisk;
use evenkeel::explain::{Part, PartValue, WindowEvidence};
use evenkeel::model::{Batch, Labels, Millis, Sample, Timestamp};
use evenkeel::promql::{EvalOptions, parse, parse_selector};
use evenkeel::rules::{AlertingRule, EvaluationMode, Rule, RuleGroup, RuleId, Standing};

const START: i64 = 1_700_000_000_000;

/// A database with one rule, and how to feed it.
struct Shop {
    db: Db,
    clock: Arc<ManualClock>,
}

impl Shop {
    fn new(expr: &str, hold: Millis, keep_firing: Millis) -> Shop {
        let clock = Arc::new(ManualClock::new(START));
        let mut options = DbOptions::new("/db");
        (options.disk, options.clock) = (Arc::new(MemoryDisk::new()), Arc::clone(&clock) as _);
        let rule = AlertingRule {
            alert: "Errors".to_owned(),
            expr: parse(expr).unwrap(),
            hold,
            keep_firing,
            labels: vec![("severity".to_owned(), "page".to_owned())],
            annotations: Vec::new(),
        };
        let group = RuleGroup {
            name: "shop".to_owned(),
            file: "rules.yml".to_owned(),
            interval: Millis::minutes(1),
            mode: EvaluationMode::Ingest,
            limit: 0,
            query_offset: Millis::ZERO,
            labels: Labels::empty(),
            rules: vec![Rule::Alerting(rule)],
        };
        (options.threads, options.watch) = (Threads::None, Watch { groups: vec![group], ..Watch::default() });
        Shop { db: Db::open(options).unwrap(), clock }
    }

    /// Stores one sample for each series at `t` seconds after the start.
    fn put(&self, t: i64, samples: &[(&str, &str, f64)]) {
        self.clock.set(START + t * 1000);
        let mut batch = Batch::new();
        for (name, job, v) in samples {
            let labels = Labels::new([("__name__", *name), ("job", *job)]).unwrap();
            batch.push(labels, Sample { t: Timestamp(START + t * 1000), v: *v });
        }
        self.db.append(batch).unwrap();
    }

    fn rule(&self) -> RuleId {
        self.db.rule_groups()[0].rules[0].id
    }

    fn why(&self, which: &Which, at: Option<i64>) -> Why {
        let at = at.map(|t| Timestamp(START + t * 1000));
        self.db.why(self.rule(), which, at, &EvalOptions::default(), &QueryMeter::default()).unwrap().unwrap()
    }
}

fn matching(selector: &str) -> Which {
    Which::Matching(parse_selector(selector).unwrap())
}

/// Seconds after the start.
fn after(t: Option<Timestamp>) -> Option<f64> {
    t.map(|t| (t.0 - START) as f64 / 1000.0)
}

fn find<'p>(part: &'p Part, text: &str) -> &'p Part {
    fn below<'p>(part: &'p Part, text: &str) -> Option<&'p Part> {
        if part.text == text { Some(part) } else { part.children.iter().find_map(|child| below(child, text)) }
    }
    below(part, text).unwrap_or_else(|| panic!("no part {text} in {part:#?}"))
}

#[test]
fn a_firing_alert_says_what_decided_it_and_what_would_end_it() {
    let shop = Shop::new("errors / total > 0.05", Millis::seconds(60), Millis::ZERO);
    for t in 0..20 {
        let errors = if t < 10 { 1.0 } else { 8.0 };
        let (a, b) = ([("errors", "a", errors), ("total", "a", 100.0)], [("errors", "b", 1.0), ("total", "b", 100.0)]);
        shop.put(t * 15, &[a, b].concat());
    }
    let id = shop.rule().alert(&shop.db.alerts()[0].labels);
    let why = shop.why(&Which::Id(id), None);
    assert_eq!((why.alert.as_ref().unwrap().0, why.is_state), (id, true));
    assert_eq!(why.course.standing, Standing::Firing);
    assert_eq!((after(why.course.active_at), after(why.course.fires_at)), (Some(150.0), Some(210.0)));
    let root = &why.explanation.root;
    let turn = root.turn.as_ref().unwrap();
    assert_eq!((turn.holds, after(turn.since)), (true, Some(150.0)));
    let (labels, sample) = turn.sample.clone().unwrap();
    assert_eq!((labels.get("job"), sample.t), ("a", Timestamp(START + 150_000)), "the sample that decided");
    let pair = &root.compared[0];
    assert_eq!((pair.labels.get("job"), pair.lhs, pair.rhs, pair.flips_at()), ("a", 0.08, 0.05, "≤ 0.05".to_owned()));
    assert_eq!(root.compared_total, 2);
    let errors = find(root, "errors");
    assert_eq!(errors.series_total, 2);
    assert_eq!(errors.series[0].labels.get("job"), "a", "what belongs to the alert comes first");
    let last = Sample { t: Timestamp(START + 285_000), v: 8.0 };
    assert_eq!(errors.series[0].window, WindowEvidence::Latest(last));
    assert_eq!(why.explanation.unfinished, None);
}

#[test]
fn the_past_is_told_by_the_data() {
    let shop = Shop::new("errors > 5", Millis::seconds(60), Millis::seconds(45));
    for t in 0..60 {
        shop.put(t * 10, &[("errors", "a", if (12..30).contains(&t) { 9.0 } else { 1.0 })]);
    }
    assert!(shop.db.alerts().is_empty());
    let check = |at: i64, standing: Standing, times: [Option<f64>; 4]| {
        let why = shop.why(&matching("{alertname=\"Errors\",job=\"a\"}"), Some(at));
        let course = why.course;
        assert_eq!(course.standing, standing, "at {at}");
        assert_eq!(
            [course.active_at, course.fires_at, course.ceased_at, course.ends_at].map(after),
            times,
            "at {at}: active, fires, ceased, ends"
        );
    };
    check(119, Standing::Inactive, [None, None, None, None]);
    check(120, Standing::Pending, [Some(120.0), Some(180.0), None, None]);
    check(179, Standing::Pending, [Some(120.0), Some(180.0), None, None]);
    check(180, Standing::Firing, [Some(120.0), Some(180.0), None, None]);
    check(310, Standing::Kept, [Some(120.0), Some(180.0), Some(300.0), Some(345.0)]);
    check(345, Standing::Inactive, [Some(120.0), Some(180.0), Some(300.0), Some(345.0)]);
    // By its name alone, too.
    let why = shop.why(&matching("{alertname=\"Errors\"}"), Some(200));
    let (id, labels) = why.alert.unwrap();
    assert_eq!(labels.get("severity"), "page");
    assert_eq!(shop.why(&Which::Id(id), Some(200)).alert.unwrap().0, id);
    assert_eq!(shop.why(&Which::Id(id), Some(500)).alert, None, "it is over, and a hash names nothing by itself");
}

#[test]
fn windows_leave_and_extrapolate_between_samples() {
    let shop = Shop::new("increase(errors[1m]) > 3", Millis::ZERO, Millis::ZERO);
    for t in 0..40 {
        shop.put(t * 10, &[("errors", "a", if t < 20 { 0.0 } else { 10.0 })]);
    }
    let why = shop.why(&Which::Rule, Some(215));
    let turn = why.explanation.root.turn.unwrap();
    let since = turn.since.unwrap();
    let holds = |t: i64| {
        let answer = shop.db.query("increase(errors[1m]) > 3", Timestamp(t), &EvalOptions::default()).unwrap();
        matches!(answer.value, evenkeel::promql::Value::Vector(elements) if !elements.is_empty())
    };
    assert!(turn.holds && holds(since.0) && !holds(since.0 - 1), "turned at {since}");
    let window = &find(&why.explanation.root.children[0], "errors[1m]").series[0].window;
    let WindowEvidence::Window { count, resets, min, max, .. } = window else { panic!("{window:?}") };
    assert_eq!((*count, *resets, *min, *max), (6, 0, 0.0, 10.0));
    // It is over when the rise leaves the window, not when a sample comes.
    let after_end = shop.why(&Which::Rule, Some(300)).explanation.root.turn.unwrap();
    let ceased = after_end.since.unwrap();
    assert!(!after_end.holds && !holds(ceased.0) && holds(ceased.0 - 1), "ceased at {ceased}");
}

#[test]
fn what_is_missing_is_named() {
    let finding = |expr: &str, at: i64| {
        let shop = Shop::new(expr, Millis::ZERO, Millis::ZERO);
        for t in 0..10 {
            shop.put(t * 15, &[("errors", "shop", 1.0), ("total", "cart", 100.0)]);
        }
        let why = shop.why(&Which::Rule, Some(at));
        assert_eq!(why.course.standing, Standing::Inactive, "{expr}");
        let part = why.explanation.root.first_finding().unwrap_or_else(|| panic!("{expr}: {:#?}", why.explanation));
        (part.finding.clone().unwrap(), part.hints.clone())
    };
    let check = |expr: &str, expected: &str, hint: &str| {
        let (text, hints) = finding(expr, 140);
        assert!(text.contains(expected), "{expr}: {text}");
        assert!(hint.is_empty() || hints.iter().any(|given| given == hint), "{expr}: {hints:?}");
    };
    check("errrs > 1", "no series is called errrs", "there is errors");
    check("errors{job=\"shp\"} > 1", "job=\"shp\" matches none", "there is job=\"shop\"");
    check("errors{cluster=\"a\"} > 1", "they have no label cluster", "");
    check("errors > 5", "the nearest, errors{job=\"shop\"}, is 1 and would have to be > 5: 4 away", "");
    check("errors / total > 0.1", "no element of the left has a partner on the right, by all labels", "");
    check("errors and total", "no element of the left has a partner on the right", "");
    check("errors unless errors", "the right side has a partner for each of the 1 on the left", "");
    check("absent(errors)", "nothing is absent", "");
    check("rate(errors[10s]) > 0", "a rate needs two samples", "");
    check("sum(rate(nothing[5m])) > 0", "no series is called nothing", "");
    let (text, _) = finding("errors > 0", 800);
    assert!(text.contains("the last sample of a series that matches came at"), "{text}");
}

#[test]
fn many_series_are_elided_and_counted() {
    let shop = Shop::new("errors > 5", Millis::ZERO, Millis::ZERO);
    let jobs: Vec<String> = (0..300).map(|n| format!("job-{n:03}")).collect();
    let samples: Vec<_> = jobs.iter().enumerate().map(|(n, job)| ("errors", job.as_str(), n as f64)).collect();
    shop.put(0, &samples);
    let why = shop.why(&matching("{job=\"job-100\"}"), None);
    let PartValue::Vector { elements, total } = &why.explanation.root.value else { panic!() };
    assert_eq!((*total, elements[0].labels.get("job")), (294, "job-100"));
    assert!(elements.len() < 10);
    assert_eq!((why.explanation.root.compared_total, why.explanation.root.children[0].series_total), (300, 300));
    assert_eq!(why.others.1, 294);
}
