//! What no pair of windows waits for: drains, exhausted budgets, vanished traffic; and that nothing is told twice.

use evenkeel::model::{Millis, TransitionKind};
use evenkeel::slo::Companion;

use super::story::{Story, ratio, shop};

use TransitionKind::{Firing, Resolved};

fn named<'s>(story: &'s Story, kind: TransitionKind, name: &str) -> Vec<&'s evenkeel::model::Transition> {
    let of_it = |t: &&evenkeel::model::Transition| t.kind == kind && t.alert.labels.get("alertname") == name;
    story.transitions.iter().filter(of_it).collect()
}

#[test]
fn a_steady_drain_is_told_before_a_tenth_of_the_budget_is_gone() {
    let mut story = Story::new(vec![shop(0.999, ratio())]);
    story.traffic(4 * 86_400, 300, 10.0, 0.02);
    let from = story.now;
    // Twice too fast: no pair but that of three days would see it, after a day and a half.
    story.traffic(30 * 3600, 300, 10.0, 0.2);
    let fired = named(&story, Firing, "ErrorBudgetDrain");
    assert_eq!(fired.len(), 1, "{:#?}", story.transitions);
    let hours = (fired[0].at - from).as_seconds() / 3600.0;
    // 2 % more than the even share of 30 days.
    assert!((14.0..=17.0).contains(&hours), "{hours}");
    assert_eq!(fired[0].alert.labels.get("severity"), "ticket");
    let summary = fired[0].alert.annotations.get("summary");
    assert!(
        summary.starts_with("shop availability spends its 30d error budget 2 times too fast since 14h"),
        "{summary}"
    );
    assert_eq!(story.status().companions[0].0, Companion::Drain);
    story.traffic(4 * 3600, 300, 10.0, 0.02);
    assert_eq!(named(&story, Resolved, "ErrorBudgetDrain").len(), 1);
    assert!(story.status().companions.is_empty());
}

#[test]
fn an_outage_pages_once_and_is_told_once() {
    let mut story = Story::new(vec![shop(0.999, ratio())]);
    story.traffic(86_400, 60, 10.0, 0.0);
    story.traffic(1200, 30, 10.0, 100.0);
    story.traffic(8 * 3600, 60, 10.0, 0.0);
    let firing: Vec<_> = story.transitions.iter().filter(|t| t.kind == Firing).collect();
    let names: Vec<_> =
        firing.iter().map(|t| (t.alert.labels.get("alertname"), t.alert.labels.get("severity"))).collect();
    // Twenty minutes are half of the budget that a day's traffic lets expect for a month.
    assert_eq!(names, [("ErrorBudgetBurn", "page")], "{firing:#?}");
    assert_eq!(named(&story, Resolved, "ErrorBudgetBurn").len(), 1);
}

#[test]
fn an_exhausted_budget_is_told_until_it_recovers() {
    let mut objective = shop(0.999, ratio());
    objective.window = Millis::days(7);
    let mut story = Story::new(vec![objective]);
    story.traffic(2 * 86_400, 120, 10.0, 0.0);
    // Ten minutes of seven days may be; fifteen are not.
    story.traffic(900, 30, 10.0, 100.0);
    assert_eq!(named(&story, Firing, "ErrorBudgetExhausted").len(), 1, "{:#?}", story.transitions);
    let summary = named(&story, Firing, "ErrorBudgetExhausted")[0].alert.annotations.get("summary");
    assert!(summary.starts_with("shop availability has spent its 1w error budget: "), "{summary}");
    story.traffic(6 * 86_400, 300, 10.0, 0.0);
    assert!(named(&story, Resolved, "ErrorBudgetExhausted").is_empty());
    story.traffic(86_400, 300, 10.0, 0.0);
    assert_eq!(named(&story, Resolved, "ErrorBudgetExhausted").len(), 1);
    assert_eq!(named(&story, Firing, "ErrorBudgetExhausted").len(), 1);
}

#[test]
fn traffic_that_vanishes_is_missed_and_a_quiet_night_is_not() {
    let mut story = Story::new(vec![shop(0.99, ratio())]);
    // Days of a request a second, nights of hardly any, for nine days.
    for _ in 0..9 {
        story.traffic(12 * 3600, 60, 1.0, 0.0);
        story.traffic(12 * 3600, 60, 0.02, 0.0);
    }
    assert!(named(&story, Firing, "TrafficVanished").is_empty(), "{:#?}", story.transitions);
    story.traffic(2 * 3600, 60, 1.0, 0.0);
    let from = story.now;
    story.traffic(1800, 60, 0.0, 0.0);
    let fired = named(&story, Firing, "TrafficVanished");
    assert_eq!(fired.len(), 1, "{:#?}", story.transitions);
    let minutes = (fired[0].at - from).as_seconds() / 60.0;
    assert!((12.0..=16.0).contains(&minutes), "{minutes}");
    story.traffic(3600, 60, 1.0, 0.0);
    assert_eq!(named(&story, Resolved, "TrafficVanished").len(), 1);
}
