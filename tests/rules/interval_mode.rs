//! Groups that decide at their interval alone, beside a simple model of what Prometheus does at each evaluation.

use std::collections::{BTreeMap, BTreeSet};

use evenkeel::env::Rng;
use evenkeel::model::{Alert, AlertState, Batch, Labels, Millis, STALE_NAN, Timestamp};
use evenkeel::promql::{EvalOptions, Query, Value};
use evenkeel::rules::{AlertingRule, EvaluationMode, Evaluator, Rule, RuleContext, RuleGroup};

use super::stream::{Stream, alert, group, labels, record};

/// An alert as the model keeps it, until it is forgotten.
#[derive(Debug, Clone, PartialEq)]
struct Active {
    firing: bool,
    value: f64,
    active_at: i64,
    fired_at: Option<i64>,
    keep_since: Option<i64>,
}

/// A rule as the model keeps it.
struct Model {
    rule: Rule,
    query: Query,
    active: BTreeMap<Labels, Active>,
    /// The series of its last evaluation.
    series: BTreeSet<Labels>,
}

type Samples = BTreeMap<Labels, (i64, u64)>;

impl Model {
    fn new(rule: &Rule) -> Model {
        let query = Query::new(&rule.expr().to_string()).unwrap();
        Model { rule: rule.clone(), query, active: BTreeMap::new(), series: BTreeSet::new() }
    }

    /// One evaluation: the samples that it writes, ends among them.
    fn evaluate(&mut self, ts: i64, offset: i64, stream: &Stream) -> Samples {
        let answer = self.query.instant(stream, Timestamp(ts - offset), &EvalOptions::default()).unwrap();
        let Value::Vector(elements) = answer.value else { panic!("not a vector") };
        let elements: Vec<(Labels, f64)> =
            elements.into_iter().map(|e| (e.labels.clone(), e.number().unwrap())).collect();
        let made: BTreeMap<Labels, f64> = match &self.rule {
            Rule::Recording(rule) => elements
                .into_iter()
                .map(|(labels, v)| (labels.builder().set("__name__", &rule.record).build().unwrap(), v))
                .collect(),
            Rule::Alerting(rule) => {
                let rule = rule.clone();
                self.advance(&rule, ts, elements);
                self.active.iter().flat_map(|(labels, active)| series_of(labels, active)).collect()
            }
        };
        let now: BTreeSet<Labels> = made.keys().cloned().collect();
        let gone = self.series.difference(&now).map(|labels| (labels.clone(), f64::from_bits(STALE_NAN)));
        let samples = made.into_iter().chain(gone.collect::<Vec<_>>());
        let samples = samples.map(|(labels, v)| (labels, (ts - offset, v.to_bits()))).collect();
        self.series = now;
        samples
    }

    fn advance(&mut self, rule: &AlertingRule, ts: i64, elements: Vec<(Labels, f64)>) {
        let mut found = BTreeSet::new();
        for (labels, value) in elements {
            let labels = labels.without_metric_name().builder().set("alertname", &rule.alert).build().unwrap();
            assert!(found.insert(labels.clone()), "two elements with the labels {labels}");
            let new = Active { firing: false, value, active_at: ts, fired_at: None, keep_since: None };
            self.active.entry(labels).or_insert(new).value = value;
        }
        self.active.retain(|labels, active| {
            if found.contains(labels) {
                active.keep_since = None;
            } else {
                if !active.firing || rule.keep_firing == Millis::ZERO {
                    return false;
                }
                let since = *active.keep_since.get_or_insert(ts);
                if ts - since >= rule.keep_firing.0 {
                    return false;
                }
            }
            if !active.firing && ts - active.active_at >= rule.hold.0 {
                active.firing = true;
                active.fired_at = Some(ts);
            }
            true
        });
    }
}

fn series_of(alert: &Labels, active: &Active) -> [(Labels, f64); 2] {
    let named = |name| {
        let mut labels = alert.builder();
        labels.set("__name__", name);
        labels
    };
    let state = if active.firing { "firing" } else { "pending" };
    let shown = named("ALERTS").set("alertstate", state).build().unwrap();
    [(shown, 1.0), (named("ALERTS_FOR_STATE").build().unwrap(), (active.active_at / 1000) as f64)]
}

fn rules() -> Vec<Rule> {
    let held = |name, expr, hold, keep_firing| {
        let (hold, keep_firing) = (Millis::seconds(hold), Millis::seconds(keep_firing));
        Rule::Alerting(AlertingRule { hold, keep_firing, ..alert(name, expr) })
    };
    vec![
        record("doubled", "2 * g"),
        held("High", "doubled > 10", 0, 0),
        held("Held", "g > 3", 45, 0),
        held("Kept", "g > 8", 0, 70),
        held("Both", "g > 6", 20, 40),
        record("firing", "sum by (alertname) (ALERTS{alertstate=\"firing\"})"),
        held("Many", "count(ALERTS{alertstate=\"firing\"}) > 3", 30, 0),
        held("Old", "max by (i) (time() - ALERTS_FOR_STATE{alertname!=\"Old\"}) > 60", 0, 0),
        held("Slow", "rate(c[2m]) < 0.2", 30, 30),
    ]
}

fn samples_of(batch: &Batch) -> Samples {
    let of = |s: &evenkeel::model::BatchSample| {
        (batch.series()[s.series as usize].clone(), (s.sample.t.0, s.sample.v.to_bits()))
    };
    let samples: Samples = batch.samples().iter().map(of).collect();
    assert_eq!(samples.len(), batch.samples().len(), "a series is written twice");
    samples
}

fn shown(alert: &Alert) -> (Labels, Active) {
    let active = Active {
        firing: alert.state == AlertState::Firing,
        value: alert.value,
        active_at: alert.active_at.0,
        fired_at: alert.fired_at.map(|t| t.0),
        keep_since: alert.keep_firing_since.map(|t| t.0),
    };
    (alert.labels.clone(), active)
}

/// Puts samples of rules into a stream, one after the other.
fn store(stream: &mut Stream, at: i64, samples: &Samples) {
    let samples: Vec<_> = samples.iter().map(|(labels, (t, v))| (labels.clone(), *t, f64::from_bits(*v))).collect();
    stream.commit(at, &samples);
}

fn transaction(rng: &mut Rng, at: i64) -> Vec<(Labels, i64, f64)> {
    let mut samples = Vec::new();
    for i in ["1", "2", "3"] {
        let series = |name| labels(&[("__name__", name), ("i", i)]);
        match rng.below(12) {
            0 => {}
            1 => samples.push((series("g"), at - 1, f64::from_bits(STALE_NAN))),
            // Long stretches at one level, so that `for` comes to its end.
            _ => samples.push((series("g"), at - 1, ((at / 90_000 * (i.as_bytes()[0] as i64)) % 11) as f64)),
        }
        samples.push((series("c"), at, (at / 7_000 * (i.as_bytes()[0] as i64 % 3)) as f64));
    }
    samples
}

fn run(seed: u64, query_offset: Millis) -> usize {
    let mut rng = Rng::new(seed);
    let definition =
        RuleGroup { mode: EvaluationMode::Interval, interval: Millis::seconds(15), query_offset, ..group(rules()) };
    let evaluator = || Evaluator::new(vec![definition.clone()], RuleContext::default()).unwrap();
    let (mut rules, mut models) = (evaluator(), definition.rules.iter().map(Model::new).collect::<Vec<_>>());
    let (mut stream, mut reference) = (Stream::default(), Stream::default());
    let mut at = 1_000_000;
    rules.seed(Timestamp(at), &stream).unwrap();
    let mut transitions = 0;
    while at < 5_000_000 {
        let due = rules.next_deadline().unwrap().0;
        let next = at + 1 + rng.below(20_000) as i64;
        if next < due {
            at = next;
            let samples = transaction(&mut rng, at);
            reference.commit(at, &samples);
            let outcome = rules.observe(&stream.commit(at, &samples), &stream);
            assert_eq!((outcome.transitions.len(), outcome.derived.is_empty()), (0, true), "seed {seed}, at {at}");
            continue;
        }
        at = due;
        let outcome = rules.tick(stream.tick(), Timestamp(at), &stream);
        transitions += outcome.transitions.len();
        assert!(outcome.transitions.iter().all(|transition| transition.at.0 == at));
        let mut expected = Samples::new();
        for model in &mut models {
            let samples = model.evaluate(at, query_offset.0, &reference);
            store(&mut reference, at, &samples);
            expected.extend(samples);
        }
        let found = samples_of(&outcome.derived);
        assert_eq!(found, expected, "seed {seed}, series at {at}");
        store(&mut stream, at, &found);
        let found: BTreeMap<Labels, Active> = rules.alerts().iter().map(shown).collect();
        let expected: BTreeMap<Labels, Active> = models.iter().flat_map(|model| model.active.clone()).collect();
        assert_eq!(found, expected, "seed {seed}, alerts at {at}");
        if rng.below(5) == 0 {
            let saved = rules.save();
            rules = evaluator();
            stream.reopen();
            rules.seed(Timestamp(at), &stream).unwrap();
            rules.restore(&saved).unwrap();
        }
    }
    transitions
}

#[test]
fn alerts_and_series_are_those_of_a_model_of_prometheus() {
    for (seed, offset) in [(1, 0), (2, 0), (3, 7)] {
        let transitions = run(seed, Millis::seconds(offset));
        assert!(transitions > 200, "only {transitions} transitions with seed {seed}");
    }
}

#[test]
fn a_limit_that_is_exceeded_clears_the_alerts_and_writes_nothing() {
    let definition = RuleGroup {
        mode: EvaluationMode::Interval,
        limit: 2,
        ..group(vec![Rule::Alerting(AlertingRule { keep_firing: Millis::minutes(9), ..alert("Up", "g > 0") })])
    };
    let mut rules = Evaluator::new(vec![definition], RuleContext::default()).unwrap();
    let mut stream = Stream::default();
    rules.seed(Timestamp(1_000_000), &stream).unwrap();
    let mut at = |count: usize, rules: &mut Evaluator| {
        let due = rules.next_deadline().unwrap();
        let g = |i: usize| labels(&[("__name__", "g"), ("i", &i.to_string())]);
        let samples: Vec<_> = (0..4).map(|i| (g(i), due.0 - 1, if i < count { 1.0 } else { 0.0 })).collect();
        rules.observe(&stream.commit(due.0 - 1, &samples), &stream);
        let outcome = rules.tick(stream.tick(), due, &stream);
        let found = samples_of(&outcome.derived);
        let ends = found.values().filter(|(_, v)| *v == STALE_NAN).count();
        (rules.alerts().len(), found.len() - ends, ends)
    };
    assert_eq!(at(2, &mut rules), (2, 4, 0));
    assert_eq!(at(3, &mut rules), (0, 0, 0));
    assert_eq!(at(1, &mut rules), (1, 2, 2));
    // What fires on counts as well.
    assert_eq!(at(0, &mut rules), (1, 2, 0));
}
