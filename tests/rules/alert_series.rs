//! Alerts as series, in groups that decide at ingest.

use evenkeel::model::{Labels, Millis, STALE_NAN, Timestamp};
use evenkeel::promql::{EvalOptions, Query, Value};
use evenkeel::rules::{AlertingRule, Evaluator, Mode, Outcome, Rule, RuleContext};

use super::stream::{Stream, alert, group, labels};

/// A database of rules alone: what they make is stored and seen at once.
struct World {
    stream: Stream,
    rules: Evaluator,
}

impl World {
    fn new(rules: Vec<Rule>) -> World {
        let rules = Evaluator::new(vec![group(rules)], RuleContext::default()).unwrap();
        let mut world = World { stream: Stream::default(), rules };
        world.rules.seed(Timestamp(1_000_000), &world.stream).unwrap();
        world
    }

    /// Time up to `at`, then a sample of each series.
    fn put(&mut self, at: i64, samples: &[(&str, f64)]) {
        self.pass(at);
        let samples: Vec<_> = samples.iter().map(|(i, v)| (labels(&[("__name__", "g"), ("i", i)]), at, *v)).collect();
        let committed = self.stream.commit(at, &samples);
        let outcome = self.rules.observe(&committed, &self.stream);
        self.store(at, outcome);
    }

    fn pass(&mut self, until: i64) {
        while let Some(due) = self.rules.next_deadline().filter(|due| due.0 <= until) {
            let outcome = self.rules.tick(self.stream.tick(), due, &self.stream);
            self.store(due.0, outcome);
        }
    }

    fn store(&mut self, at: i64, mut outcome: Outcome) {
        let mut rounds = 0;
        while !outcome.derived.is_empty() {
            rounds += 1;
            assert!(rounds < 10, "rules set each other going");
            let made = &outcome.derived;
            let samples = made.samples().iter();
            let samples: Vec<_> =
                samples.map(|s| (made.series()[s.series as usize].clone(), s.sample.t.0, s.sample.v)).collect();
            let committed = self.stream.commit(at, &samples);
            assert_eq!(committed.samples.len(), samples.len(), "a sample is not in order: {samples:?}");
            outcome = self.rules.observe(&committed, &self.stream);
        }
    }

    /// What a selector's series have, as time in milliseconds after 1,000,000 and value, `None` of a marker.
    fn series(&self, selector: &str) -> Vec<(i64, Option<f64>)> {
        let matchers = evenkeel::promql::parse_selector(selector).unwrap();
        let range = evenkeel::model::TimeRange::ALL;
        let found = evenkeel::promql::SeriesSource::select(&self.stream, &matchers, range, 1000).unwrap();
        let samples = found.into_iter().flat_map(|series| series.samples);
        let value = |v: f64| (v.to_bits() != STALE_NAN).then_some(v);
        samples.map(|s| (s.t.0 - 1_000_000, value(s.v))).collect()
    }

    fn value(&self, expr: &str, at: i64) -> Option<f64> {
        let query = Query::new(expr).unwrap();
        let answer = query.instant(&self.stream, Timestamp(at), &EvalOptions::default()).unwrap();
        let Value::Vector(elements) = answer.value else { panic!("not a vector") };
        elements.first().and_then(|element| element.number())
    }
}

fn held(name: &str, expr: &str, seconds: i64) -> Rule {
    Rule::Alerting(AlertingRule { hold: Millis::seconds(seconds), ..alert(name, expr) })
}

/// The first slot of the group, in milliseconds after 1,000,000.
fn first_slot() -> i64 {
    let mut world = World::new(vec![held("A", "sort_by_label(g, \"i\") > 1", 0)]);
    world.pass(1_000_001);
    world.rules.next_deadline().unwrap().0 - 1_000_000
}

#[test]
fn each_change_and_each_interval_is_a_sample() {
    let slot = first_slot();
    assert!((2000..29_000).contains(&slot), "{slot}");
    let mut world = World::new(vec![held("High", "g > 1", 40)]);
    world.put(1_001_500, &[("a", 2.0)]);
    world.put(1_075_250, &[("a", 0.0)]);
    world.pass(1_400_000);
    let pending = "ALERTS{alertname=\"High\",alertstate=\"pending\",i=\"a\"}";
    let until = |end: i64| (0..).map(move |n| slot + 30_000 * n).take_while(move |t| *t < end);
    let mut expected = vec![(1500, Some(1.0))];
    expected.extend(until(41_500).map(|t| (t, Some(1.0))));
    expected.push((41_500, None));
    assert_eq!(world.series(pending), expected);
    let mut expected = vec![(41_500, Some(1.0))];
    expected.extend(until(75_250).filter(|t| *t > 41_500).map(|t| (t, Some(1.0))));
    expected.push((75_250, None));
    assert_eq!(world.series("ALERTS{alertstate=\"firing\"}"), expected);
    let since: Vec<_> = world.series("ALERTS_FOR_STATE").into_iter().map(|(_, v)| v).collect();
    assert_eq!((since[0], since.iter().filter(|v| v.is_none()).count()), (Some(1001.0), 1));
    assert_eq!(world.value("count(ALERTS)", 1_041_499), Some(1.0));
    assert_eq!(world.value("ALERTS{alertstate=\"pending\"}", 1_041_500), None);
    assert_eq!(world.value("ALERTS", 1_075_250), None);
    assert_eq!(world.rules.next_deadline(), None, "nothing is left to be written");
}

#[test]
fn what_comes_and_goes_within_a_millisecond_keeps_its_order() {
    let mut world = World::new(vec![held("High", "g > 1", 0)]);
    // Transactions of one instant, which samples of other times decide.
    for (t, v) in [(1_000_001, 2.0), (1_000_002, 0.0), (1_000_003, 2.0), (1_000_004, 0.0)] {
        let committed = world.stream.commit(1_001_000, &[(labels(&[("__name__", "g"), ("i", "b")]), t, v)]);
        let outcome = world.rules.observe(&committed, &world.stream);
        world.store(1_001_000, outcome);
    }
    let firing = world.series("ALERTS{i=\"b\",alertstate=\"firing\"}");
    assert_eq!(firing, [(1000, Some(1.0)), (1001, None), (1002, Some(1.0)), (1003, None)]);
    world.put(1_001_001, &[("a", 2.0)]);
    world.put(1_001_002, &[("a", 0.0)]);
    world.put(1_001_003, &[("a", 2.0)]);
    let firing = world.series("ALERTS{i=\"a\",alertstate=\"firing\"}");
    assert_eq!(firing, [(1001, Some(1.0)), (1002, None), (1003, Some(1.0))]);
}

#[test]
fn rules_that_select_alerts_follow_at_once_and_never_set_themselves_going() {
    let mut world = World::new(vec![
        held("High", "g > 1", 0),
        held("Quiet", "g > 0 unless on () ALERTS{alertname=\"High\"}", 0),
        held("Deep", "count(ALERTS{alertname=\"Quiet\"}) > 1", 0),
        held("Flip", "absent(ALERTS{alertname=\"Flip\"})", 0),
    ]);
    let modes: Vec<bool> = world.rules.groups()[0].rules.iter().map(|rule| rule.mode == Mode::Incremental).collect();
    assert_eq!(modes, [true, true, true, false]);
    let firing = |world: &World| {
        let mut names: Vec<String> =
            world.rules.alerts().iter().map(|alert| alert.labels.get("alertname").to_owned()).collect();
        names.dedup();
        names
    };
    world.put(1_000_001, &[("a", 1.0), ("b", 1.0)]);
    assert_eq!(firing(&world), ["Quiet", "Deep"]);
    world.put(1_000_500, &[("b", 2.0)]);
    assert_eq!(firing(&world), ["High"], "both others are decided with the same sample");
    world.put(1_000_700, &[("b", 1.0)]);
    assert_eq!(firing(&world), ["Quiet", "Deep"]);
    // As in Prometheus, one that contradicts itself changes with each interval.
    world.pass(1_000_000 + first_slot() + 5 * 30_000);
    let flips = world.series("ALERTS{alertname=\"Flip\"}");
    assert_eq!(flips.iter().map(|(_, v)| v.is_some()).collect::<Vec<_>>(), [true, false, true, false, true, false]);
}

#[test]
fn labels_are_those_that_prometheus_writes() {
    let mut rule = alert("High", "g > 1");
    rule.labels = vec![("severity".into(), "page".into()), ("none".into(), "{{ if false }}x{{ end }}".into())];
    let mut world = World::new(vec![Rule::Alerting(rule)]);
    world.put(1_000_100, &[("a", 2.0)]);
    let known: Vec<Labels> =
        world.stream.known().map(|(_, labels)| labels).filter(|l| l.metric_name() != "g").collect();
    let of = |name, state: &[(&str, &str)]| {
        let mut pairs = vec![("__name__", name), ("alertname", "High"), ("i", "a"), ("severity", "page")];
        // One whose template gives nothing shows the template.
        pairs.push(("none", "{{ if false }}x{{ end }}"));
        pairs.extend(state);
        labels(&pairs)
    };
    assert_eq!(known, [of("ALERTS", &[("alertstate", "firing")]), of("ALERTS_FOR_STATE", &[])]);
}
