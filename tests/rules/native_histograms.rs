//! Rules over series of native histograms, and of numbers and histograms by turns.

use std::sync::Arc;

use evenkeel::model::{
    Histogram, HistogramCounts, Labels, Millis, ResetHint, STALE_NAN, Span, Timestamp, TransitionKind,
};
use evenkeel::rules::{AlertingRule, Evaluator, Health, Mode, Outcome, Rule, RuleContext};

use super::stream::{Point, Stream, alert, group, labels, record};

fn series(i: &str) -> Labels {
    labels(&[("__name__", "x"), ("i", i)])
}

/// `n` observations in (1, 2]; with a sum that marks the end if there are none.
fn histogram(n: u64) -> Point {
    Point::Histogram(Arc::new(Histogram {
        reset_hint: ResetHint::Unknown,
        schema: 0,
        zero_threshold: 0.0,
        sum: if n == 0 { f64::from_bits(STALE_NAN) } else { 1.5 * n as f64 },
        positive_spans: vec![Span { offset: 1, length: 1 }],
        negative_spans: vec![],
        bounds: vec![],
        counts: HistogramCounts::Integer { count: n, zero: 0, positive: vec![n], negative: vec![] },
    }))
}

fn evaluator(rules: Vec<Rule>, stream: &Stream) -> Evaluator {
    let mut rules = Evaluator::new(vec![group(rules)], RuleContext::default()).unwrap();
    rules.seed(Timestamp(0), stream).unwrap();
    rules
}

fn kinds(outcome: &Outcome) -> Vec<(String, TransitionKind, i64)> {
    let name = |labels: &Labels| labels.get("alertname").to_owned();
    outcome.transitions.iter().map(|one| (name(&one.alert.labels), one.kind, one.at.0)).collect()
}

/// Calls `tick` at every deadline until `end`.
fn run_until(rules: &mut Evaluator, stream: &mut Stream, end: i64) -> Vec<(String, TransitionKind, i64)> {
    let mut all = Vec::new();
    while let Some(due) = rules.next_deadline().filter(|due| due.0 <= end) {
        let seq = stream.tick();
        all.extend(kinds(&rules.tick(seq, due, stream)));
    }
    all
}

fn put(
    rules: &mut Evaluator,
    stream: &mut Stream,
    at: i64,
    i: &str,
    point: Point,
) -> Vec<(String, TransitionKind, i64)> {
    let committed = stream.commit_points(at, &[(series(i), at, point)]);
    kinds(&rules.observe(&committed, stream))
}

fn told(name: &str, kind: TransitionKind, at: i64) -> Vec<(String, TransitionKind, i64)> {
    vec![(name.to_owned(), kind, at)]
}

#[test]
fn presence_is_followed_to_the_instant() {
    for (expr, at_first) in [
        ("absent(x)", vec![]),
        ("absent_over_time(x[5m])", vec![]),
        ("count(x) < 1 or vector(0) unless on () x", vec![]),
        ("vector(1) unless on () count_over_time(x[5m])", vec![]),
        ("vector(1) unless on () group(x)", vec![]),
    ] {
        let mut stream = Stream::default();
        let mut rules = evaluator(vec![Rule::Alerting(alert("Gone", expr))], &stream);
        assert_eq!(run_until(&mut rules, &mut stream, 1_000), told("Gone", TransitionKind::Firing, 0), "{expr}");
        let told_first = put(&mut rules, &mut stream, 5_000, "a", histogram(1));
        assert_eq!(told_first, told("Gone", TransitionKind::Resolved, 5_000), "{expr}");
        assert_eq!(put(&mut rules, &mut stream, 65_000, "a", histogram(2)), at_first, "{expr}");
        assert_eq!(rules.groups()[0].rules[0].mode, Mode::Incremental, "{expr}");
        let gone = told("Gone", TransitionKind::Firing, 365_000);
        assert_eq!(run_until(&mut rules, &mut stream, 400_000), gone, "{expr}");
    }
}

#[test]
fn the_end_of_a_histogram_is_noticed() {
    let mut stream = Stream::default();
    let mut rules = evaluator(vec![Rule::Alerting(alert("Few", "count(x) < 2"))], &stream);
    assert_eq!(put(&mut rules, &mut stream, 1_000, "a", histogram(1)).len(), 1);
    assert_eq!(put(&mut rules, &mut stream, 2_000, "b", Point::Number(7.0)).len(), 1, "both kinds are counted");
    assert_eq!(rules.alerts(), []);
    assert_eq!(put(&mut rules, &mut stream, 3_000, "a", histogram(0)), told("Few", TransitionKind::Firing, 3_000));
}

#[test]
fn a_rule_on_values_turns_to_its_interval_and_back_and_keeps_its_alerts() {
    let mut stream = Stream::default();
    let rule = || Rule::Alerting(AlertingRule { hold: Millis::seconds(60), ..alert("High", "x > 5") });
    let mut rules = evaluator(vec![rule()], &stream);
    let begun = put(&mut rules, &mut stream, 10_007, "a", Point::Number(9.0));
    assert_eq!(begun, told("High", TransitionKind::Pending, 10_007));
    assert_eq!(put(&mut rules, &mut stream, 20_000, "b", histogram(3)), []);
    let mode = |rules: &Evaluator| rules.groups()[0].rules[0].mode.clone();
    let reason = "{__name__=\"x\"} selects native histograms now, whose values are not followed".to_owned();
    assert_eq!(mode(&rules), Mode::Interval { reason });
    // A restart knows it from the windows, and since when the alert has been pending from the state.
    let saved = rules.save();
    stream.reopen();
    let mut rules = Evaluator::new(vec![group(vec![rule()])], RuleContext::default()).unwrap();
    rules.restore(&saved).unwrap();
    rules.seed(Timestamp(20_000), &stream).unwrap();
    assert_ne!(mode(&rules), Mode::Incremental);
    assert_eq!(run_until(&mut rules, &mut stream, 80_000), told("High", TransitionKind::Firing, 70_007));
    // What changes is seen at the interval, not before.
    assert_eq!(put(&mut rules, &mut stream, 80_500, "a", Point::Number(1.0)), []);
    let resolved = run_until(&mut rules, &mut stream, 111_000);
    assert!(matches!(&resolved[..], [(_, TransitionKind::Resolved, at)] if *at > 80_500), "{resolved:?}");
    // The histogram's end lets it be followed again, at once and with all that has changed since.
    assert_eq!(put(&mut rules, &mut stream, 111_500, "a", Point::Number(8.0)), []);
    let again = put(&mut rules, &mut stream, 112_000, "b", histogram(0));
    assert_eq!((mode(&rules), again), (Mode::Incremental, told("High", TransitionKind::Pending, 112_000)));
    let dropped = put(&mut rules, &mut stream, 112_500, "a", Point::Number(1.0));
    assert_eq!(dropped, told("High", TransitionKind::Dropped, 112_500));
    assert_eq!(run_until(&mut rules, &mut stream, 600_000), []);
}

#[test]
fn an_alert_on_a_histogram_has_the_value_zero_and_shows_the_histogram() {
    let mut stream = Stream::default();
    let rule = AlertingRule {
        hold: Millis::seconds(5),
        annotations: vec![("is".to_owned(), "{{ $value }}".to_owned())],
        ..alert("Any", "x")
    };
    let rule = || Rule::Alerting(rule.clone());
    let mut rules = evaluator(vec![rule()], &stream);
    assert_eq!(put(&mut rules, &mut stream, 1_000, "a", histogram(2)), told("Any", TransitionKind::Pending, 1_000));
    let text = "{count:2, sum:3, (1,2]:2}";
    let check = |rules: &Evaluator| {
        let alerts = rules.alerts();
        assert_eq!((alerts.len(), alerts[0].value, alerts[0].annotations.get("is")), (1, 0.0, text));
    };
    check(&rules);
    let saved = rules.save();
    stream.reopen();
    let mut rules = Evaluator::new(vec![group(vec![rule()])], RuleContext::default()).unwrap();
    rules.restore(&saved).unwrap();
    rules.seed(Timestamp(1_000), &stream).unwrap();
    assert_eq!(run_until(&mut rules, &mut stream, 6_000), told("Any", TransitionKind::Firing, 6_000));
    check(&rules);
}

#[test]
fn recording_rules_make_histograms_that_later_rules_see() {
    let mut stream = Stream::default();
    let recorded = vec![record("sum:x", "sum(x)"), record("count:x", "histogram_count({__name__=\"sum:x\"})")];
    let mut rules = evaluator(recorded, &stream);
    put(&mut rules, &mut stream, 1_000, "a", histogram(2));
    put(&mut rules, &mut stream, 1_000, "b", histogram(3));
    let slot = rules.next_deadline().unwrap();
    let derived = rules.tick(stream.tick(), slot, &stream).derived;
    assert_eq!(derived.histograms().len(), 1);
    let made = &derived.histograms()[0];
    assert_eq!(derived.series()[made.series as usize], labels(&[("__name__", "sum:x")]));
    assert_eq!(made.sample.t, slot);
    let expected = HistogramCounts::Float { count: 5.0, zero: 0.0, positive: vec![5.0], negative: vec![] };
    assert_eq!(format!("{:?}", made.sample.histogram.counts), format!("{expected:?}"));
    assert_eq!(made.sample.histogram.validate(), Ok(()));
    let counted: Vec<f64> = derived.samples().iter().map(|one| one.sample.v).collect();
    assert_eq!(counted, [5.0]);
    assert_eq!(rules.groups()[0].rules[0].health, Health::Ok);
    // The end of a histogram is a marker, as that of a number.
    put(&mut rules, &mut stream, slot.0 + 1, "a", histogram(0));
    put(&mut rules, &mut stream, slot.0 + 1, "b", histogram(0));
    let derived = rules.tick(stream.tick(), rules.next_deadline().unwrap(), &stream).derived;
    assert!(derived.histograms().is_empty() && derived.samples().len() == 2, "{derived:?}");
    assert!(derived.samples().iter().all(|one| one.sample.v.to_bits() == STALE_NAN));
}
