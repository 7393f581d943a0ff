//! What an objective would have been, and samples that are no counters.

use evenkeel::model::{Matcher, Millis, TransitionKind};
use evenkeel::slo::{Calendar, CalendarUnit, Change, Events, Indicator, Method, Objectives, Reading, WhatIf, what_if};

use super::story::{Story, metric, ratio, shop};

fn incident() -> Story {
    let mut story = Story::new(vec![shop(0.999, ratio())]);
    story.traffic(3600, 15, 20.0, 0.0);
    story.traffic(600, 15, 20.0, 15.0);
    story.traffic(3600, 15, 20.0, 0.0);
    story.traffic(120, 15, 20.0, 1.0);
    story
}

fn asked(story: &Story, change: &Change) -> WhatIf {
    what_if(&change.of(&shop(0.999, ratio())), &[], story.now, &story.stored()).unwrap()
}

#[test]
fn as_it_is_it_would_have_been_as_it_was() {
    let story = incident();
    let same = asked(&story, &Change::default());
    let live = story.status();
    assert_eq!((same.status.total, same.status.good, same.status.budget), (live.total, live.good, live.budget));
    let fired: Vec<_> = story
        .transitions
        .iter()
        .filter(|t| t.kind == TransitionKind::Firing)
        .map(|t| (t.at, &t.alert.labels))
        .collect();
    let would: Vec<_> = same.alerts.iter().map(|alert| (alert.from, &alert.labels)).collect();
    assert_eq!(would, fired);
    assert!(same.alerts.iter().any(|alert| alert.pages && alert.until.is_some()), "{:#?}", same.alerts);
}

#[test]
fn another_target_window_and_method_are_played() {
    let story = incident();
    let pages = |what_if: &WhatIf| what_if.alerts.iter().filter(|alert| alert.pages).count();
    let loose = asked(&story, &Change { objective: Some(0.9), ..Change::default() });
    assert_eq!(loose.status.objective, 0.9);
    assert!(pages(&loose) < pages(&asked(&story, &Change::default())), "{:#?}", loose.alerts);
    let hour = asked(&story, &Change { window: Some(Millis::hours(1)), ..Change::default() });
    assert_eq!(hour.status.total, 20.0 * 3600.0);
    let slices = Some(Method::Timeslices { width: Millis::minutes(1), target: 0.9 });
    let sliced = asked(&story, &Change { method: slices, ..Change::default() });
    // The slices at both ends of the incident are bad by its share of them.
    let bad = sliced.status.total - sliced.status.good;
    assert!((9.0..=11.0).contains(&bad) && sliced.status.units == "slices of 1m", "{bad}");
    let calendar = Calendar::new(CalendarUnit::Day, 1, "Europe/Berlin", None).unwrap();
    let daily = asked(&story, &Change { calendar: Some(calendar), ..Change::default() });
    assert_eq!(daily.status.window_text, "day in Europe/Berlin");
    assert!(daily.status.total < story.status().total);
}

#[test]
fn groups_alert_in_what_would_have_been() {
    let mut objective = shop(0.999, ratio());
    objective.group_by = vec!["code".to_owned()];
    let story = incident();
    let played = what_if(&objective, &[], story.now, &story.stored()).unwrap();
    assert_eq!(played.status.groups.as_ref().unwrap().budgets.len(), 2);
    assert!(played.alerts.iter().any(|alert| alert.labels.get("code") == "500"), "{:#?}", played.alerts);
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let story = incident();
    let change = Change { objective: Some(0.5), ..Change::default() };
    let error = what_if(&change.of(&shop(0.999, ratio())), &[], story.now, &story.stored()).unwrap_err();
    assert!(error.to_string().contains("can never be reached"), "{error}");
}

#[test]
fn deltas_count_as_they_come() {
    let of = |name: &str| vec![Matcher::equal("__name__", name)].into();
    let indicator = Indicator::ErrorRatio { errors: of("failed"), total: of("handled") }.of_deltas();
    let objective = shop(0.99, indicator);
    let mut story = Story::new(vec![objective.clone()]);
    for n in 0..40 {
        story.pass(Millis::seconds(15));
        let failed = if n % 10 == 9 { 3.0 } else { 0.0 };
        // The first one counts as well: it is no counter that began before.
        story.send(&[(metric("handled", &[]), 50.0), (metric("failed", &[]), failed)], story.now);
    }
    let status = story.status();
    assert_eq!((status.total, status.total - status.good), (2000.0, 12.0));
    assert_eq!(status.query, "sum(sum_over_time(failed[30d])) / sum(sum_over_time(handled[30d]))");
    story.survives_restarts(std::slice::from_ref(&objective), 7);
    let mut seeded = Objectives::new(vec![objective]).unwrap();
    seeded.seed(story.now, &story.stored()).unwrap();
    assert_eq!(seeded.statuses(story.now)[0].total, 2000.0);
}

#[test]
fn a_stored_ratio_is_averaged_over_its_samples() {
    let of = |reading| Events::read(vec![Matcher::equal("__name__", "error_ratio")], reading);
    let indicator = Indicator::ErrorRatio { errors: of(Reading::Each), total: of(Reading::One) };
    let objective = shop(0.99, indicator);
    let mut story = Story::new(vec![objective.clone()]);
    for n in 0..100 {
        story.pass(Millis::seconds(15));
        let ratio = if n >= 30 { 0.5 } else { 0.0 };
        story.send(&[(metric("error_ratio", &[]), ratio)], story.now);
    }
    let status = story.status();
    assert_eq!((status.total, status.total - status.good), (100.0, 35.0));
    assert!(story.transitions.iter().any(|t| t.kind == TransitionKind::Firing));
    story.survives_restarts(std::slice::from_ref(&objective), 7);
    let mut seeded = Objectives::new(vec![objective]).unwrap();
    seeded.seed(story.now, &story.stored()).unwrap();
    assert_eq!(seeded.statuses(story.now)[0].error_ratio, Some(0.35));
}
