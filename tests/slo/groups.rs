//! Objectives by group: budgets of their own beside an exact total.

use evenkeel::confidence::Verdict;
use evenkeel::model::{Labels, Millis, Timestamp, TransitionKind};
use evenkeel::slo::{Objective, ObjectiveStatus, Objectives};

use super::story::{START, Story, again, metric, ratio, shop};
use super::verdict::Known;

fn by_route(groups_max: usize) -> Objective {
    let mut objective = shop(0.999, ratio());
    objective.group_by = vec!["route".to_owned()];
    objective.groups_max = groups_max;
    objective
}

/// Traffic of routes: each with its requests in a step of 15 seconds, and how many of them fail.
fn step(story: &mut Story, routes: &[(&str, f64, f64)]) {
    story.pass(Millis::seconds(15));
    let mut values = Vec::new();
    for (route, all, bad) in routes {
        let of = |code| metric("requests_total", &[("code", code), ("route", route)]);
        values.push((of("200"), all - bad));
        values.push((of("500"), *bad));
    }
    story.count(&values);
}

fn steps(story: &mut Story, minutes: i64, routes: &[(&str, f64, f64)]) {
    (0..minutes * 4).for_each(|_| step(story, routes));
}

fn group<'a>(status: &'a ObjectiveStatus, route: &str) -> &'a ObjectiveStatus {
    let groups = status.groups.as_ref().unwrap();
    groups.budgets.iter().find(|group| group.group.get("route") == route).unwrap()
}

fn names(status: &ObjectiveStatus) -> Vec<String> {
    let groups = status.groups.as_ref().unwrap();
    groups.budgets.iter().map(|group| group.group.get("route").to_owned()).collect()
}

fn incident(groups_max: usize) -> Story {
    let mut story = Story::new(vec![by_route(groups_max)]);
    steps(&mut story, 30, &[("/pay", 100.0, 0.0), ("/list", 300.0, 0.0)]);
    steps(&mut story, 10, &[("/pay", 100.0, 20.0), ("/list", 300.0, 0.0)]);
    // A route that is new, born under watch; the other two go on.
    steps(&mut story, 10, &[("/pay", 100.0, 0.0), ("/list", 300.0, 0.0), ("/new", 10.0, 1.0)]);
    // One vanishes.
    steps(&mut story, 60, &[("/list", 300.0, 0.0), ("/new", 10.0, 0.0)]);
    story
}

#[test]
fn each_group_has_a_budget_and_the_total_is_exact() {
    let story = incident(100);
    let status = story.status();
    // The first value of what was there at the start is where counting begins.
    let (pay, list, new) = (100.0 * (50.0 * 4.0 - 1.0), 300.0 * (110.0 * 4.0 - 1.0), 10.0 * 70.0 * 4.0);
    let counted = |status: &ObjectiveStatus| (status.total, status.total - status.good);
    assert_eq!(counted(group(&status, "/pay")), (pay, 800.0));
    assert_eq!(counted(group(&status, "/list")), (list, 0.0));
    assert_eq!(counted(group(&status, "/new")), (new, 40.0));
    assert_eq!(counted(&status), (pay + list + new, 840.0));
    assert_eq!(names(&status).len(), 3);
    let groups = status.groups.as_ref().unwrap();
    assert_eq!((groups.without_budget, groups.total_without, groups.bad_without), (0, 0.0, 0.0));
    assert_eq!(group(&status, "/pay").series, 2);
    assert_eq!(group(&status, "/pay").title(), "availability{route=\"/pay\"}");
    assert!(group(&status, "/pay").query.contains("route=\"/pay\""), "{}", group(&status, "/pay").query);
}

#[test]
fn the_group_that_hurts_is_told_and_the_total_does_not_say_it_again() {
    let mut story = Story::new(vec![by_route(100)]);
    steps(&mut story, 30, &[("/pay", 100.0, 0.0), ("/list", 300.0, 0.0)]);
    steps(&mut story, 30, &[("/pay", 100.0, 20.0), ("/list", 300.0, 0.0)]);
    let fired: Vec<&Labels> = story.transitions.iter().map(|t| &t.alert.labels).collect();
    assert!(!fired.is_empty() && fired.iter().all(|labels| labels.get("route") == "/pay"), "{fired:?}");
    let summary = story.transitions[0].alert.annotations.get("summary");
    assert!(summary.starts_with("shop availability{route=\"/pay\"} burns"), "{summary}");
    let judgement = Known::of(&story).judge();
    assert_eq!(judgement.overall, Verdict::Hurting);
    let about: Vec<&str> = judgement.reasons.iter().map(|reason| reason.subject.as_str()).collect();
    assert_eq!(about, ["availability{route=\"/pay\"}"]);
    // All of them a little: no group alone is evidence, but all together are.
    let mut story = Story::new(vec![by_route(100)]);
    let routes: Vec<String> = (0..100).map(|n| format!("/r{n}")).collect();
    for n in 0..170usize {
        // Four of a hundred fail, each group once, then once more.
        let fails = |r: usize| n > 120 && (r + 100 - (n - 121) * 4 % 100) % 100 < 4;
        let all: Vec<_> =
            routes.iter().enumerate().map(|(r, route)| (route.as_str(), 1.0, f64::from(u8::from(fails(r))))).collect();
        step(&mut story, &all);
    }
    let fired: Vec<_> = story.transitions.iter().map(|t| t.alert.labels.get("route")).collect();
    assert!(fired.first() == Some(&""), "{fired:?}");
}

#[test]
fn a_group_without_the_label_that_falls_silent_blinds_nobody() {
    let mut story = Story::new(vec![by_route(100)]);
    let unnamed = metric("requests_total", &[("code", "200")]);
    for _ in 0..120 {
        step(&mut story, &[("/list", 300.0, 0.0)]);
        story.count(&[(unnamed.clone(), 100.0)]);
    }
    steps(&mut story, 30, &[("/list", 300.0, 0.0)]);
    let status = story.status();
    let silent = status.groups.as_ref().unwrap().budgets.iter().find(|group| group.group.is_empty()).unwrap();
    assert!(silent.blind.is_some() && status.blind.is_none());
    let judgement = Known::of(&story).judge();
    assert_eq!(judgement.overall, Verdict::Ok, "{:#?}", judgement.reasons);
}

#[test]
fn groups_beyond_the_limit_count_in_the_total_and_the_worst_gets_a_place() {
    let mut story = Story::new(vec![by_route(2)]);
    let quiet = [("/a", 100.0, 0.0), ("/b", 50.0, 0.0), ("/c", 10.0, 0.0), ("/d", 10.0, 0.0)];
    steps(&mut story, 70, &quiet);
    let status = story.status();
    assert_eq!(names(&status), ["/a", "/b"]);
    let groups = status.groups.as_ref().unwrap();
    assert_eq!((groups.most, groups.without_budget, groups.more), (2, 2, false));
    assert_eq!((groups.total_without, groups.bad_without), (20.0 * 279.0, 0.0));
    assert_eq!(status.total, 170.0 * 279.0);
    // The smallest begins to fail: within an hour of the log's time it has a budget.
    steps(&mut story, 65, &[("/a", 100.0, 0.0), ("/b", 50.0, 0.0), ("/c", 10.0, 5.0), ("/d", 10.0, 0.0)]);
    let status = story.status();
    assert!(names(&status).contains(&"/c".to_owned()), "{:?}", names(&status));
    assert_eq!(names(&status).len(), 2);
    assert_eq!(status.total, 170.0 * (279.0 + 260.0));
    assert_eq!(status.total - status.good, 5.0 * 260.0);
    story.survives_restarts(&[by_route(2)], 61);
}

#[test]
fn a_group_that_vanishes_blinds_nobody_and_is_forgotten_when_its_window_is_empty() {
    let mut objective = by_route(100);
    objective.window = Millis::days(2);
    let mut story = Story::new(vec![objective]);
    steps(&mut story, 30, &[("/pay", 100.0, 0.0), ("/list", 300.0, 0.0)]);
    steps(&mut story, 10, &[("/pay", 100.0, 50.0), ("/list", 300.0, 0.0)]);
    assert!(!story.objectives.alerts().is_empty());
    steps(&mut story, 8 * 60, &[("/list", 300.0, 0.0)]);
    assert!(story.objectives.alerts().is_empty(), "{:#?}", story.objectives.alerts());
    let resolved = story.transitions.iter().filter(|t| t.kind == TransitionKind::Resolved).count();
    assert_eq!(resolved * 2, story.transitions.len());
    let status = story.status();
    assert!(status.blind.is_none() && group(&status, "/pay").blind.is_some());
    assert_ne!(Known::of(&story).judge().overall, Verdict::Blind);
    for _ in 0..9 * 24 {
        story.pass(Millis::hours(1));
        step(&mut story, &[("/list", 300.0, 0.0)]);
    }
    assert_eq!(names(&story.status()), ["/list"]);
}

#[test]
fn a_restart_at_any_place_changes_nothing() {
    let story = incident(100);
    assert!(story.transitions.len() >= 4, "{:#?}", story.transitions);
    story.survives_restarts(&[by_route(100)], 17);
}

#[test]
fn stored_history_gives_what_watching_gave() {
    for most in [100, 2] {
        let story = incident(most);
        let mut seeded = Objectives::new(vec![by_route(most)]).unwrap();
        seeded.seed(story.now, &story.stored()).unwrap();
        let (cold, live) = (seeded.statuses(story.now).remove(0), story.status());
        assert_eq!((cold.total, cold.good), (live.total, live.good));
        if most == 100 {
            for route in ["/pay", "/list", "/new"] {
                let (cold, live) = (group(&cold, route), group(&live, route));
                assert_eq!((cold.total, cold.good, cold.budget), (live.total, live.good, live.budget), "{route}");
            }
        }
    }
}

#[test]
fn groups_that_are_asked_for_later_are_counted_from_what_is_stored() {
    let live = incident(100);
    let mut story = Story::new(vec![shop(0.999, ratio())]);
    again(&mut story, &live);
    story.objectives.reload(vec![by_route(100)]).unwrap();
    story.objectives.seed(story.now, &live.stored()).unwrap();
    let (after, was) = (story.status(), live.status());
    assert_eq!((after.total, after.good), (was.total, was.good));
    let of = |status: &ObjectiveStatus| (group(status, "/pay").total, group(status, "/pay").good);
    assert_eq!(of(&after), of(&was));
    // What comes goes on from there.
    let mut both = [live, story];
    both.iter_mut().for_each(|story| step(story, &[("/list", 300.0, 0.0), ("/pay", 100.0, 0.0)]));
    assert_eq!(both[0].status().total, both[1].status().total);
    assert_eq!(of(&both[0].status()), of(&both[1].status()));
}

#[test]
fn labels_that_alerts_carry_anyway_are_renamed_and_odd_groups_refused() {
    let mut objective = by_route(100);
    objective.group_by = vec!["service".to_owned()];
    let mut story = Story::new(vec![objective]);
    for n in 0..200 {
        story.pass(Millis::seconds(15));
        let of = |code| metric("requests_total", &[("code", code), ("service", "cart")]);
        let bad = if n > 120 { 50.0 } else { 0.0 };
        story.count(&[(of("200"), 100.0 - bad), (of("500"), bad)]);
    }
    let labels = &story.transitions[0].alert.labels;
    assert_eq!((labels.get("service"), labels.get("exported_service")), ("shop", "cart"));
    let check = |by: &[&str], most: usize, expected: &str| {
        let mut objective = by_route(most);
        objective.group_by = by.iter().map(|name| (*name).to_owned()).collect();
        let error = Objectives::new(vec![objective]).unwrap_err().to_string();
        assert_eq!(error, expected);
    };
    check(
        &["route", "route"],
        5,
        "shop/availability: the label \"route\" stands twice among those of the groups; remove one",
    );
    check(&["__name__"], 5, "shop/availability: groups cannot be told apart by the label \"__name__\"; name another");
    check(&["route"], 0, "shop/availability: 0 groups cannot have a budget; between 1 and 10000 can");
}

#[test]
fn the_course_of_a_group_can_be_asked_for() {
    let story = incident(100);
    let range = evenkeel::model::TimeRange { after: Timestamp(START), until: story.now };
    let route = |route| Labels::new([("route", route)]).unwrap();
    let course = story.objectives.burn_history_of_group("shop", "availability", &route("/pay"), range, 60).unwrap();
    assert!(course.points.iter().any(|point| point.long.is_some_and(|burn| burn > 14.4)), "{course:?}");
    let none = story.objectives.burn_history_of_group("shop", "availability", &route("/x"), range, 60);
    assert_eq!(none, None);
}
