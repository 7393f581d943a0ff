//! What a budget is made of: calendars, slices of time, adjustments.

use evenkeel::model::{Millis, Sample, Seq, SeriesRef, Timestamp, TransitionKind};
use evenkeel::slo::{
    Adjustment, Calendar, CalendarUnit, Comparison, Indicator, Method, Objective, ObjectiveStatus, Objectives, Schedule,
};

use super::story::{START, Story, again, errors, metric, ratio, shop};

fn daily(zone: &str) -> Objective {
    let mut objective = shop(0.999, ratio());
    let calendar = Calendar::new(CalendarUnit::Day, 1, zone, None).unwrap();
    (objective.window, objective.calendar) = (calendar.length(), Some(calendar));
    objective
}

fn sliced(method: Method) -> Objective {
    let mut objective = shop(0.99, ratio());
    objective.method = method;
    objective
}

fn maintained(from: &str, length: Millis, rule: Option<&str>) -> Objective {
    let schedule = Schedule::new(from, length, "UTC", rule).unwrap();
    let mut objective = shop(0.999, ratio());
    objective.adjustments = vec![Adjustment { name: "move".to_owned(), schedule }];
    objective
}

fn counted(status: &ObjectiveStatus) -> (f64, f64) {
    (status.total, status.total - status.good)
}

#[test]
fn what_does_not_count_is_told_with_a_budget_that_is_low() {
    let mut story = Story::new(vec![maintained("2023-11-14 22:30", Millis::minutes(5), None)]);
    story.traffic(1200, 15, 20.0, 0.0);
    story.traffic(300, 15, 20.0, 90.0);
    let judgement = super::verdict::Known::of(&story).judge();
    let facts: Vec<String> =
        judgement.reasons[0].evidence.iter().map(|fact| format!("{}: {}", fact.name, fact.value)).collect();
    let told = facts.iter().find(|fact| fact.starts_with("without move: ")).unwrap_or_else(|| panic!("{facts:?}"));
    assert!(told.starts_with("without move: 6,000 events, "), "{told}");
}

/// What stored history gives is what watching gave.
fn is_counted_alike(story: &Story, objective: &Objective) {
    let mut seeded = Objectives::new(vec![objective.clone()]).unwrap();
    seeded.seed(story.now, &story.stored()).unwrap();
    let (cold, live) = (seeded.statuses(story.now).remove(0), story.status());
    assert_eq!((counted(&cold), cold.budget), (counted(&live), live.budget));
    assert_eq!(cold.adjustments, live.adjustments);
}

/// START is 22:13:20 in UTC, and in Berlin 23:13:20: midnight comes after 2,800 seconds.
const TO_MIDNIGHT: i64 = 2_800;

fn over_midnight() -> Story {
    let mut story = Story::new(vec![daily("Europe/Berlin")]);
    story.traffic(1800, 15, 20.0, 0.0);
    story.traffic(990, 15, 20.0, 10.0);
    story.traffic(1500, 15, 20.0, 0.0);
    story
}

#[test]
fn a_budget_begins_anew_at_midnight_of_its_zone() {
    let mut story = Story::new(vec![daily("Europe/Berlin")]);
    story.traffic(1800, 15, 20.0, 0.0);
    story.traffic(990, 15, 20.0, 10.0);
    let before = story.status();
    assert_eq!(counted(&before), (2775.0 * 20.0, 1980.0));
    let period = before.period.unwrap();
    assert_eq!(period.end, Timestamp(START + TO_MIDNIGHT * 1000));
    assert_eq!(period.text, "2023-11-14 to 2023-11-15, Europe/Berlin");
    assert!(!story.objectives.alerts().is_empty());
    // The first sample after midnight brings the day's first events; the failures are yesterday's.
    story.traffic(15, 15, 20.0, 0.0);
    let after = story.status();
    assert_eq!(counted(&after), (300.0, 0.0));
    assert_eq!((after.budget.left, after.budget.spent), (1.0, 0.0));
    // What burns goes on over midnight: windows of alerts roll.
    assert!(!story.objectives.alerts().is_empty());
    assert_eq!(after.burns[2].long.bad, 1980.0);
    story.traffic(1485, 15, 20.0, 0.0);
    assert_eq!(counted(&story.status()), (30_000.0, 0.0));
    // The pace of the day before says how many events today will hold.
    let expected = story.status().budget.total / 0.001;
    assert!((expected / (86_400.0 * 20.0) - 1.0).abs() < 0.01, "{expected}");
    story.survives_restarts(&[daily("Europe/Berlin")], 23);
    is_counted_alike(&story, &daily("Europe/Berlin"));
}

#[test]
fn a_budget_of_the_calendar_is_exhausted_by_its_own_period() {
    let mut story = Story::new(vec![daily("Europe/Berlin")]);
    story.traffic(2 * 86_400, 120, 10.0, 0.0);
    // 86 seconds of a day may be; five minutes are not.
    story.traffic(300, 30, 10.0, 100.0);
    let told = |story: &Story, kind| -> Vec<String> {
        let all = story.transitions.iter().filter(|t| t.kind == kind);
        let all = all.filter(|t| t.alert.labels.get("alertname") == "ErrorBudgetExhausted");
        all.map(|t| t.alert.annotations.get("summary").to_owned()).collect()
    };
    let fired = told(&story, TransitionKind::Firing);
    assert_eq!(fired.len(), 1, "{:#?}", story.transitions);
    let summary = &fired[0];
    assert!(summary.contains(" has spent its error budget of the day in Europe/Berlin: "), "{summary}");
    assert!(summary.contains(" events since 2023-11-16 were bad, "), "{summary}");
    story.traffic(TO_MIDNIGHT - 300 - 100, 30, 10.0, 0.0);
    assert!(told(&story, TransitionKind::Resolved).is_empty());
    story.traffic(300, 30, 10.0, 0.0);
    assert_eq!(told(&story, TransitionKind::Resolved).len(), 1);
}

#[test]
fn what_comes_late_belongs_to_the_day_in_which_it_was() {
    let mut story = over_midnight();
    let before = counted(&story.status());
    // A target that could not be reached hands in what it counted before midnight.
    let late = metric("requests_total", &[("code", "200"), ("instance", "far")]);
    let midnight = START + TO_MIDNIGHT * 1000;
    story.send(&[(late.clone(), 0.0)], Timestamp(midnight - 400_000));
    story.send(&[(late.clone(), 500.0)], Timestamp(midnight - 200_000));
    assert_eq!(counted(&story.status()), before);
    story.send(&[(late, 507.0)], Timestamp(midnight + 1000));
    assert_eq!(story.status().total, before.0 + 7.0);
}

#[test]
fn a_window_that_becomes_a_calendar_s_is_counted_again() {
    let live = over_midnight();
    let mut story = Story::new(vec![shop(0.999, ratio())]);
    again(&mut story, &live);
    story.objectives.reload(vec![daily("Europe/Berlin")]).unwrap();
    story.objectives.seed(story.now, &live.stored()).unwrap();
    assert_eq!((counted(&story.status()), story.status().budget), (counted(&live.status()), live.status().budget));
    // Another zone, in which midnight is at another time, by a restart.
    let mut other = Objectives::new(vec![daily("UTC")]).unwrap();
    other.restore(&story.objectives.save()).unwrap();
    other.seed(story.now, &live.stored()).unwrap();
    let status = other.statuses(story.now).remove(0);
    assert_eq!(status.period.unwrap().end, Timestamp(START + (TO_MIDNIGHT + 3600) * 1000));
    assert_eq!(status.total, (4290.0 - 15.0) * 20.0);
}

const MINUTE: Millis = Millis::minutes(1);

fn in_slices(method: Method) -> Story {
    let mut story = Story::new(vec![sliced(method)]);
    // To a whole minute, so that the slices are known.
    story.pass(Millis::seconds(40));
    story.traffic(1200, 15, 20.0, 0.0);
    // Within the target, then beyond it.
    story.traffic(300, 15, 20.0, 4.0);
    story.traffic(300, 15, 20.0, 20.0);
    story.traffic(600, 15, 20.0, 0.0);
    // Nothing is heard: nothing counts.
    story.pass(Millis::minutes(4));
    story.traffic(300, 15, 20.0, 0.0);
    story
}

#[test]
fn slices_of_time_count_by_their_target() {
    let method = Method::Timeslices { width: MINUTE, target: 0.95 };
    let story = in_slices(method);
    let status = story.status();
    assert_eq!(status.units, "slices of 1m");
    // 40 minutes of traffic and 5 after the silence; the one of the silence's end has its events spread over it.
    assert_eq!(counted(&status), (45.0, 5.0), "{status:#?}");
    let fired: Vec<_> = story.transitions.iter().filter(|t| t.kind == TransitionKind::Firing).collect();
    assert!(!fired.is_empty());
    let description = fired[0].alert.annotations.get("description");
    assert!(description.contains("slices of 1m were bad"), "{description}");
    story.survives_restarts(&[sliced(method)], 19);
    is_counted_alike(&story, &sliced(method));
}

#[test]
fn slices_of_time_count_by_their_ratio() {
    let method = Method::RatioTimeslices { width: MINUTE };
    let story = in_slices(method);
    let (total, bad) = counted(&story.status());
    assert_eq!(total, 45.0);
    assert!((bad - (5.0 * 0.04 + 5.0 * 0.2)).abs() < 1e-9, "{bad}");
    story.survives_restarts(&[sliced(method)], 19);
    is_counted_alike(&story, &sliced(method));
}

#[test]
fn a_gauge_is_judged_slice_by_slice() {
    let indicator = Indicator::Threshold {
        gauge: vec![evenkeel::model::Matcher::equal("__name__", "age_seconds")],
        op: Comparison::Less,
        bound: 30.0,
    };
    let method = Method::Timeslices { width: MINUTE, target: 0.5 };
    let mut objective = shop(0.9, indicator);
    objective.method = method;
    let mut story = Story::new(vec![objective.clone()]);
    story.pass(Millis::seconds(40));
    for n in 0..120 {
        story.pass(Millis::seconds(15));
        // In each minute of the second quarter of an hour three of four are too old.
        let old = (60..100).contains(&n) && n % 4 != 0;
        story.send(&[(metric("age_seconds", &[]), if old { 45.0 } else { 3.0 })], story.now);
    }
    assert_eq!(counted(&story.status()), (30.0, 10.0));
    story.survives_restarts(std::slice::from_ref(&objective), 11);
    is_counted_alike(&story, &objective);
}

#[test]
fn the_last_slice_counts_without_further_input() {
    let mut story = Story::new(vec![sliced(Method::Timeslices { width: MINUTE, target: 0.95 })]);
    story.pass(Millis::seconds(40));
    story.traffic(585, 15, 20.0, 50.0);
    let before = story.status().total;
    let entries = story.log.len();
    story.pass(Millis::minutes(3));
    assert_eq!(story.status().total, before + 1.0);
    assert!(story.log.len() - entries < 6, "{} ticks", story.log.len() - entries);
}

#[test]
fn slices_widen_the_windows_that_would_not_hold_them() {
    let wide = Method::Timeslices { width: Millis::minutes(10), target: 0.95 };
    let status = Story::new(vec![sliced(wide)]).status();
    let windows: Vec<String> =
        status.burns.iter().map(|burn| format!("{}/{}", burn.pair.long, burn.pair.short)).collect();
    assert_eq!(windows, ["2h/30m", "6h/30m", "1d/2h", "3d/6h"]);
    let check = |method: Method, expected: &str| {
        let error = Objectives::new(vec![sliced(method)]).unwrap_err().to_string();
        assert_eq!(error, expected);
    };
    check(
        Method::RatioTimeslices { width: Millis::days(4) },
        "shop/availability: slices of 4d are not kept; write one between 1s and a tenth of the window, 3d",
    );
    check(
        Method::Timeslices { width: MINUTE, target: 1.5 },
        "shop/availability: a slice cannot have a target of 1.5; write a share above 0 and up to 1, like 0.95",
    );
}

#[test]
fn what_is_maintained_does_not_count_and_is_shown() {
    // Half past ten to a quarter to eleven; START is 22:13:20.
    let objective = maintained("2023-11-14 22:30", Millis::minutes(15), Some("FREQ=DAILY"));
    let mut story = Story::new(vec![objective.clone()]);
    story.traffic(990, 15, 20.0, 0.0);
    story.traffic(900, 15, 20.0, 50.0);
    story.traffic(600, 15, 20.0, 0.0);
    assert!(story.transitions.iter().all(|t| t.kind != TransitionKind::Firing), "{:#?}", story.transitions);
    let status = story.status();
    let spans = &status.adjustments;
    assert_eq!(spans.len(), 2, "{spans:#?}");
    assert_eq!(spans[0].from, Timestamp::parse_rfc3339("2023-11-14T22:30:00Z").unwrap());
    assert_eq!(spans[1].from, Timestamp::parse_rfc3339("2023-11-15T22:30:00Z").unwrap());
    // What was sampled from 22:30:05 to 22:44:50.
    assert_eq!((spans[0].total, spans[0].bad), (60.0 * 300.0, 60.0 * 150.0));
    let whole = 2475.0 * 20.0;
    assert_eq!(counted(&status), (whole - spans[0].total, 0.0));
    story.survives_restarts(std::slice::from_ref(&objective), 13);
    is_counted_alike(&story, &objective);
}

#[test]
fn an_adjustment_of_the_past_takes_the_incident_out() {
    let mut live = Story::new(vec![shop(0.999, ratio())]);
    live.traffic(1800, 15, 20.0, 0.0);
    live.traffic(600, 15, 20.0, 30.0);
    assert!(!live.objectives.alerts().is_empty());
    assert!(live.status().budget.spent > 0.0);
    let objective = maintained("2023-11-14 22:40", Millis::hours(1), None);
    let stored = live.stored();
    live.objectives.reload(vec![objective]).unwrap();
    live.objectives.seed(live.now, &stored).unwrap();
    let status = live.status();
    assert_eq!((status.budget.spent, status.budget.left), (0.0, 1.0));
    assert_eq!(status.adjustments[0].bad, 40.0 * 90.0);
    // Its alerts are not forgotten, but resolved with the next thing that happens.
    assert!(!live.objectives.alerts().is_empty());
    let transitions = live.objectives.tick(Seq(99_999), live.now + Millis(1));
    let more = evenkeel::model::Committed {
        seq: Seq(100_000),
        at: live.now + Millis(2),
        new_series: vec![],
        samples: vec![(SeriesRef(0), Sample { t: live.now + Millis(2), v: 1e6 })],
        histograms: vec![],
        starts: Vec::new(),
        coarsened: 0,
        rejected: Default::default(),
    };
    let all: Vec<_> = transitions.into_iter().chain(live.objectives.observe(&more)).collect();
    assert!(all.iter().any(|t| t.kind == TransitionKind::Resolved) && live.objectives.alerts().is_empty(), "{all:#?}");
    // Without it the incident counts again.
    live.objectives.reload(vec![shop(0.999, ratio())]).unwrap();
    live.objectives.seed(live.now, &stored).unwrap();
    assert_eq!(live.status().budget.spent, 40.0 * 90.0);
}

#[test]
fn another_method_is_counted_from_what_is_stored_and_back_again() {
    let method = Method::Timeslices { width: MINUTE, target: 0.95 };
    let live = in_slices(method);
    let mut story = Story::new(vec![sliced(Method::Occurrences)]);
    again(&mut story, &live);
    let events = counted(&story.status());
    story.objectives.reload(vec![sliced(method)]).unwrap();
    story.objectives.seed(story.now, &live.stored()).unwrap();
    assert_eq!(counted(&story.status()), counted(&live.status()));
    let mut back = Objectives::new(vec![sliced(Method::Occurrences)]).unwrap();
    back.restore(&story.objectives.save()).unwrap();
    back.seed(story.now, &live.stored()).unwrap();
    assert_eq!(counted(&back.statuses(story.now)[0]), events);
}

#[test]
fn a_longer_window_is_counted_from_what_is_stored_and_keeps_what_is_not() {
    let mut week = shop(0.999, errors());
    week.window = Millis::days(2);
    let month = shop(0.999, errors());
    let mut story = Story::new(vec![week.clone()]);
    for n in 0..5 * 24 * 4 {
        story.pass(Millis::minutes(15));
        let bad = if n % 10 == 0 { 1.0 } else { 0.0 };
        story.count(&[(metric("requests_total", &[]), 100.0), (metric("errors_total", &[]), bad)]);
    }
    // The window holds two days; five are stored.
    assert!(story.status().total < 2.1 * 9600.0);
    let mut stored = story.stored();
    let saved = story.objectives.save();
    let longer = |stored: &super::story::Stored| {
        let mut longer = Objectives::new(vec![month.clone()]).unwrap();
        longer.restore(&saved).unwrap();
        longer.seed(story.now, stored).unwrap();
        counted(&longer.statuses(story.now)[0])
    };
    assert_eq!(longer(&stored), (100.0 * 479.0, 47.0));
    // Of what is stored no more, what was counted stays: two days of it and not one.
    stored.since = story.now - Millis::days(1);
    let (total, _) = longer(&stored);
    assert!((total - 2.0 * 9600.0).abs() < 300.0, "{total}");
}
