//! The life of alerts at exact instants, reloads, and rules that are queried.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel::model::{AlertState, Labels, Millis, STALE_NAN, Timestamp, TransitionKind, limits};
use evenkeel::rules::{AlertingRule, Evaluator, Health, Mode, Outcome, Rule, RuleContext, Stopwatch};

use super::stream::{Stream, alert, group, labels, record};

fn up(job: &str) -> Labels {
    labels(&[("__name__", "up"), ("job", job)])
}

fn evaluator(rules: Vec<Rule>) -> Evaluator {
    Evaluator::new(vec![group(rules)], RuleContext::default()).unwrap()
}

fn kinds(outcome: &Outcome) -> Vec<(TransitionKind, i64)> {
    outcome.transitions.iter().map(|transition| (transition.kind, transition.at.0)).collect()
}

/// What recording rules made.
fn recorded(outcome: &Outcome) -> Vec<(Labels, i64, u64)> {
    let derived = &outcome.derived;
    let of = |s: &evenkeel::model::BatchSample| {
        (derived.series()[s.series as usize].clone(), s.sample.t.0, s.sample.v.to_bits())
    };
    let all = derived.samples().iter().map(of);
    all.filter(|(labels, ..)| !labels.metric_name().starts_with("ALERTS")).collect()
}

/// Calls `tick` at every deadline until `end`.
fn run_until(evaluator: &mut Evaluator, stream: &mut Stream, end: i64) -> Vec<(TransitionKind, i64)> {
    let mut all = Vec::new();
    while let Some(due) = evaluator.next_deadline().filter(|due| due.0 <= end) {
        let seq = stream.tick();
        all.extend(kinds(&evaluator.tick(seq, due, stream)));
    }
    all
}

#[test]
fn for_is_exact_to_the_millisecond() {
    let mut stream = Stream::default();
    let rule = AlertingRule { hold: Millis::seconds(60), ..alert("Down", "up == 0") };
    let mut rules = evaluator(vec![Rule::Alerting(rule)]);
    let outcome = rules.observe(&stream.commit(10_007, &[(up("a"), 10_000, 0.0)]), &stream);
    assert_eq!(kinds(&outcome), [(TransitionKind::Pending, 10_007)]);
    // Meanwhile it is written as a series, at the group's interval.
    assert_eq!(run_until(&mut rules, &mut stream, 70_006), []);
    assert_eq!(rules.next_deadline(), Some(Timestamp(70_007)));
    let seq = stream.tick();
    let outcome = rules.tick(seq, Timestamp(70_007), &stream);
    assert_eq!(kinds(&outcome), [(TransitionKind::Firing, 70_007)]);
    assert_eq!(rules.alerts()[0].state, AlertState::Firing);
    assert_eq!(outcome.transitions[0].alert.labels, labels(&[("alertname", "Down"), ("job", "a")]));
    let outcome = rules.observe(&stream.commit(75_000, &[(up("a"), 75_000, 1.0)]), &stream);
    assert_eq!(kinds(&outcome), [(TransitionKind::Resolved, 75_000)]);
    assert!(rules.alerts().is_empty());
}

#[test]
fn a_short_relief_starts_the_wait_anew() {
    let mut stream = Stream::default();
    let rule = AlertingRule { hold: Millis::seconds(60), ..alert("Down", "up == 0") };
    let mut rules = evaluator(vec![Rule::Alerting(rule)]);
    let mut put =
        |rules: &mut Evaluator, t: i64, v: f64| kinds(&rules.observe(&stream.commit(t, &[(up("a"), t, v)]), &stream));
    assert_eq!(put(&mut rules, 10_000, 0.0), [(TransitionKind::Pending, 10_000)]);
    assert_eq!(put(&mut rules, 69_000, 1.0), [(TransitionKind::Dropped, 69_000)]);
    assert_eq!(put(&mut rules, 69_500, 0.0), [(TransitionKind::Pending, 69_500)]);
    // A transaction that comes late finds the deadline worked off at its own instant.
    assert_eq!(put(&mut rules, 130_000, 1.0), [(TransitionKind::Firing, 129_500), (TransitionKind::Resolved, 130_000)]);
}

#[test]
fn an_alert_fires_on_for_as_long_as_asked() {
    let mut stream = Stream::default();
    let rule = AlertingRule { keep_firing: Millis::seconds(30), ..alert("Down", "up == 0") };
    let mut rules = evaluator(vec![Rule::Alerting(rule)]);
    let mut put =
        |rules: &mut Evaluator, t: i64, v: f64| kinds(&rules.observe(&stream.commit(t, &[(up("a"), t, v)]), &stream));
    assert_eq!(put(&mut rules, 1_000, 0.0), [(TransitionKind::Firing, 1_000)]);
    assert_eq!(put(&mut rules, 2_000, 1.0), []);
    assert_eq!(rules.alerts()[0].keep_firing_since, Some(Timestamp(2_000)));
    assert_eq!(put(&mut rules, 20_000, 0.0), []);
    assert_eq!(rules.alerts()[0].keep_firing_since, None);
    assert_eq!(put(&mut rules, 30_000, 1.0), []);
    assert_eq!(run_until(&mut rules, &mut stream, 100_000), [(TransitionKind::Resolved, 60_000)]);
}

#[test]
fn silence_is_noticed_without_any_sample() {
    let mut stream = Stream::default();
    let mut rules = evaluator(vec![Rule::Alerting(alert("Absent", "absent(up{job=\"a\"})"))]);
    rules.seed(Timestamp(0), &stream).unwrap();
    assert_eq!(run_until(&mut rules, &mut stream, 1_000), [(TransitionKind::Firing, 0)]);
    let outcome = rules.observe(&stream.commit(5_000, &[(up("a"), 5_000, 1.0)]), &stream);
    assert_eq!(kinds(&outcome), [(TransitionKind::Resolved, 5_000)]);
    assert_eq!(run_until(&mut rules, &mut stream, 400_000), [(TransitionKind::Firing, 305_000)]);
    rules.observe(&stream.commit(400_000, &[(up("a"), 400_000, 1.0)]), &stream);
    let stale = f64::from_bits(STALE_NAN);
    let outcome = rules.observe(&stream.commit(401_000, &[(up("a"), 401_000, stale)]), &stream);
    assert_eq!(kinds(&outcome), [(TransitionKind::Firing, 401_000)]);
}

#[test]
fn a_sample_dated_ahead_counts_from_its_own_time() {
    let mut stream = Stream::default();
    let mut rules = evaluator(vec![Rule::Alerting(alert("Down", "up == 0"))]);
    let outcome = rules.observe(&stream.commit(1_000, &[(up("a"), 4_321, 0.0)]), &stream);
    assert_eq!(kinds(&outcome), []);
    // It may be noticed at the next whole second.
    assert_eq!(rules.next_deadline(), Some(Timestamp(5_000)));
    assert_eq!(run_until(&mut rules, &mut stream, 5_000), [(TransitionKind::Firing, 4_321)]);
}

#[test]
fn colliding_alerts_are_an_error_that_clears() {
    let mut stream = Stream::default();
    let rule = AlertingRule { labels: vec![("job".to_owned(), "all".to_owned())], ..alert("Down", "up == 0") };
    let mut rules = evaluator(vec![Rule::Alerting(rule)]);
    rules.observe(&stream.commit(1_000, &[(up("a"), 1_000, 0.0)]), &stream);
    assert_eq!(rules.alerts().len(), 1);
    rules.observe(&stream.commit(2_000, &[(up("b"), 2_000, 0.0)]), &stream);
    let health = |rules: &Evaluator| rules.groups()[0].rules[0].health.clone();
    assert!(matches!(health(&rules), Health::Err(text) if text.contains("same labelset")));
    assert_eq!(rules.alerts().len(), 1, "what was decided stays");
    let outcome = rules.observe(&stream.commit(3_000, &[(up("a"), 3_000, 1.0)]), &stream);
    assert_eq!(health(&rules), Health::Ok);
    assert_eq!(kinds(&outcome), []);
    assert_eq!(rules.alerts()[0].active_at, Timestamp(1_000));
}

#[test]
fn pairs_that_are_not_unique_are_an_error_that_clears() {
    let mut stream = Stream::default();
    let mut rules = evaluator(vec![Rule::Alerting(alert("Ratio", "a / on (job) b > 1"))]);
    let series = |name: &str, i: &str| labels(&[("__name__", name), ("job", "x"), ("i", i)]);
    rules.observe(&stream.commit(1_000, &[(series("a", "1"), 1_000, 4.0), (series("b", "1"), 1_000, 2.0)]), &stream);
    assert_eq!(rules.alerts().len(), 1);
    rules.observe(&stream.commit(2_000, &[(series("b", "2"), 2_000, 2.0)]), &stream);
    let health = |rules: &Evaluator| rules.groups()[0].rules[0].health.clone();
    assert!(matches!(health(&rules), Health::Err(text) if text.contains("found duplicate series for the match group")));
    let stale = f64::from_bits(STALE_NAN);
    rules.observe(&stream.commit(3_000, &[(series("b", "1"), 3_000, stale)]), &stream);
    assert_eq!(health(&rules), Health::Ok);
    assert_eq!(rules.alerts()[0].value, 2.0);
}

/// Both shares lie within the bounds of what is not looked at all the time, and bringing one up to date moves the other:
/// they must not ask for one another without end.
#[test]
fn shares_near_a_threshold_are_decided_exactly() {
    let mut stream = Stream::default();
    let share = "sum by (job) (rate(c[1m])) / on () group_left () sum(rate(c[1m])) > 0.5";
    let mut rules = evaluator(vec![Rule::Alerting(alert("Half", share))]);
    let counter = |job: &str| labels(&[("__name__", "c"), ("job", job)]);
    for n in 0..20 {
        for (job, lag, step) in [("a", 0, 100.0), ("b", 3_300, 101.0)] {
            let t = n * 10_000 + lag;
            run_until(&mut rules, &mut stream, t);
            rules.observe(&stream.commit(t, &[(counter(job), t, n as f64 * step)]), &stream);
        }
    }
    let alerts: Vec<Labels> = rules.alerts().into_iter().map(|alert| alert.labels).collect();
    assert_eq!(alerts, [labels(&[("alertname", "Half"), ("job", "b")])]);
}

#[test]
fn texts_are_filled_in_when_the_alert_changes() {
    let mut stream = Stream::default();
    let rule = AlertingRule {
        labels: vec![("level".to_owned(), "{{ if gt $value 5.0 }}high{{ else }}low{{ end }}".to_owned())],
        annotations: vec![("summary".to_owned(), "{{ $labels.job }} at {{ $value | humanize }}".to_owned())],
        ..alert("Hot", "heat > 1")
    };
    let mut rules = evaluator(vec![Rule::Alerting(rule)]);
    let heat = labels(&[("__name__", "heat"), ("job", "oven")]);
    let outcome = rules.observe(&stream.commit(1_000, &[(heat.clone(), 1_000, 2.0)]), &stream);
    let alert = &outcome.transitions[0].alert;
    assert_eq!((alert.labels.get("level"), alert.annotations.get("summary")), ("low", "oven at 2"));
    let outcome = rules.observe(&stream.commit(2_000, &[(heat, 2_000, 9_000.0)]), &stream);
    let mut told: Vec<_> =
        outcome.transitions.iter().map(|t| (t.alert.labels.get("level").to_owned(), t.kind)).collect();
    told.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        told,
        [("high".to_owned(), TransitionKind::Firing), ("low".to_owned(), TransitionKind::Resolved)],
        "the labels are the identity"
    );
}

/// A stopwatch that shows a millisecond more each time.
#[derive(Default)]
struct Ticks(AtomicU64);

impl Stopwatch for Ticks {
    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

#[test]
fn the_last_evaluations_of_a_rule_are_kept() {
    let mut stream = Stream::default();
    let followed = Rule::Alerting(alert("Down", "up == 0"));
    let recording = record("up:sum", "sum(sum_over_time(up[5m]))");
    let twins = Rule::Alerting(alert("Twins", "sum by (job) (up) / on () up"));
    let rules = || vec![followed.clone(), recording.clone(), twins.clone()];
    let mut evaluator = evaluator(rules());
    evaluator.seed(Timestamp(0), &stream).unwrap();
    evaluator.measure_with(Arc::new(Ticks::default()));
    for t in 1..=30 {
        evaluator.observe(
            &stream.commit(t * 10_000, &[(up("a"), t * 10_000, (t % 2) as f64), (up("b"), t * 10_000, 1.0)]),
            &stream,
        );
    }
    run_until(&mut evaluator, &mut stream, 400_000);
    let ids: Vec<_> = evaluator.groups()[0].rules.iter().map(|rule| rule.id).collect();
    let of = |evaluator: &Evaluator, at: usize| evaluator.evaluations(ids[at]).unwrap();
    let kept = of(&evaluator, 0);
    assert_eq!(kept.len(), limits::RULE_EVALUATIONS_KEPT);
    assert!(kept.windows(2).all(|pair| pair[0].at > pair[1].at), "the newest first");
    assert!(kept.windows(2).all(|pair| pair[0].series + pair[1].series == 1), "evaluated when it changes");
    assert_eq!((kept[19].samples, kept[19].took), (None, Duration::from_millis(1)));
    let recorded = &of(&evaluator, 1)[0];
    assert!(recorded.samples.is_some_and(|samples| samples > 20), "{recorded:?}");
    assert_eq!((recorded.series, recorded.error.as_deref()), (1, None));
    assert!(of(&evaluator, 2).iter().any(|one| one.error.is_some()), "pairs that are not unique");
    let before = of(&evaluator, 1);
    evaluator.reload(vec![group(rules())], RuleContext::default(), &stream).unwrap();
    assert_eq!(of(&evaluator, 1), before, "a reload keeps them");
}

#[test]
fn texts_ask_the_data_that_decided() {
    let mut stream = Stream::default();
    let summary =
        "{{ with query \"count(up == 0)\" }}{{ . | first | value }} down{{ end }} at {{ (now | toTime).Unix }}";
    let mut rule = alert("Down", "up == 0");
    rule.annotations = vec![("summary".to_owned(), summary.to_owned())];
    rule.labels = vec![("all".to_owned(), "{{ query \"count(up)\" | first | value }}".to_owned())];
    let mut rules = evaluator(vec![Rule::Alerting(rule)]);
    let both = [(up("a"), 10_000, 0.0), (up("b"), 10_000, 0.0)];
    let outcome = rules.observe(&stream.commit(10_000, &both), &stream);
    let told: Vec<_> = outcome.transitions.iter().map(|transition| &transition.alert).collect();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].annotations.get("summary"), "2 down at 10");
    assert_eq!(told[0].labels.get("all"), "2");
}

#[test]
fn a_reload_keeps_alerts_of_rules_that_stay_and_ends_the_others() {
    let mut stream = Stream::default();
    let stays = || AlertingRule { hold: Millis::seconds(60), ..alert("Stays", "up == 0") };
    let mut rules = evaluator(vec![Rule::Alerting(stays()), Rule::Alerting(alert("Goes", "up == 0"))]);
    rules.observe(&stream.commit(1_000, &[(up("a"), 1_000, 0.0)]), &stream);
    let new = vec![group(vec![Rule::Alerting(stays()), Rule::Alerting(alert("New", "up < 1"))])];
    rules.reload(new, RuleContext::default(), &stream).unwrap();
    rules.adopt(stream.known());
    let outcome = rules.tick(stream.tick(), Timestamp(2_000), &stream);
    let mut told: Vec<_> =
        outcome.transitions.iter().map(|t| (t.alert.labels.get("alertname").to_owned(), t.kind, t.at.0)).collect();
    told.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        told,
        [("Goes".to_owned(), TransitionKind::Resolved, 2_000), ("New".to_owned(), TransitionKind::Firing, 2_000)]
    );
    assert_eq!(run_until(&mut rules, &mut stream, 61_000), [(TransitionKind::Firing, 61_000)]);
    // A series met before the reload is still followed after it.
    let outcome = rules.observe(&stream.commit(62_000, &[(up("a"), 62_000, 1.0)]), &stream);
    assert_eq!(outcome.transitions.len(), 2);
}

#[test]
fn what_cannot_be_followed_is_queried_at_the_interval() {
    let mut stream = Stream::default();
    let rule = alert("Sorted", "sort_by_label(up, \"job\") == 0");
    let mut rules = evaluator(vec![Rule::Alerting(rule), record("job:up:sum", "sum by (job) (up)")]);
    rules.seed(Timestamp(0), &stream).unwrap();
    let status = &rules.groups()[0].rules[0];
    assert!(
        matches!(&status.mode, Mode::Interval { reason } if reason == "sort_by_label is not followed"),
        "{status:?}"
    );
    rules.observe(&stream.commit(1_000, &[(up("a"), 1_000, 0.0)]), &stream);
    let slot = rules.next_deadline().unwrap();
    let outcome = rules.tick(stream.tick(), slot, &stream);
    assert_eq!(kinds(&outcome), [(TransitionKind::Firing, slot.0)]);
    let made = labels(&[("__name__", "job:up:sum"), ("job", "a")]);
    assert_eq!(recorded(&outcome), [(made.clone(), slot.0, 0.0f64.to_bits())]);
    let stale = f64::from_bits(STALE_NAN);
    rules.observe(&stream.commit(slot.0 + 1, &[(up("a"), slot.0 + 1, stale)]), &stream);
    let next = rules.next_deadline().unwrap();
    assert_eq!(next, slot + Millis::seconds(30));
    let outcome = rules.tick(stream.tick(), next, &stream);
    assert_eq!(kinds(&outcome), [(TransitionKind::Resolved, next.0)]);
    assert_eq!(recorded(&outcome), [(made, next.0, STALE_NAN)]);
    let outcome = rules.tick(stream.tick(), next + Millis::seconds(30), &stream);
    assert!(outcome.derived.is_empty());
}

#[test]
fn rules_may_live_on_the_writer_thread() {
    fn needs_send(_: &impl Send) {}
    needs_send(&evaluator(Vec::new()));
}

#[test]
fn a_reload_before_the_first_entry_is_fine() {
    let stream = Stream::default();
    let mut rules = evaluator(vec![record("a:b", "up")]);
    rules.reload(vec![group(vec![record("a:b", "up")])], RuleContext::default(), &stream).unwrap();
    assert!(rules.next_deadline().is_some());
}

#[test]
fn a_rule_whose_selector_met_nothing_is_blind() {
    let mut stream = Stream::default();
    let mut rules = evaluator(vec![Rule::Alerting(alert("Down", "up == 0"))]);
    assert!(rules.groups()[0].rules[0].is_blind);
    rules.observe(&stream.commit(1_000, &[(up("a"), 1_000, 1.0)]), &stream);
    assert!(!rules.groups()[0].rules[0].is_blind);
}

#[test]
fn after_a_long_pause_the_present_counts() {
    let mut stream = Stream::default();
    let rule = AlertingRule { hold: Millis::minutes(2), ..alert("Absent", "absent(up)") };
    let mut rules = evaluator(vec![Rule::Alerting(rule)]);
    rules.observe(&stream.commit(1_000, &[(up("a"), 1_000, 1.0)]), &stream);
    // Nobody was watching for an hour; the first sample after it is all there is to see.
    let outcome = rules.observe(&stream.commit(3_600_000, &[(up("a"), 3_600_000, 1.0)]), &stream);
    assert_eq!(kinds(&outcome), []);
}
