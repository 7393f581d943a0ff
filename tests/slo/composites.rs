//! Composites: several objectives together, each with its weight.

use evenkeel::confidence::Verdict;
use evenkeel::model::{Matcher, Millis, TimeRange, Timestamp, Transition, TransitionKind};
use evenkeel::slo::{Calendar, CalendarUnit, Change, Indicator, Objective, Objectives, Part, what_if};

use super::story::{START, Story, metric};
use super::verdict::Known;

fn part(service: &str, window: Millis) -> Objective {
    let of = |name: &str| vec![Matcher::equal("__name__", name), Matcher::equal("service", service)].into();
    let indicator = Indicator::ErrorRatio { errors: of("errors_total"), total: of("requests_total") };
    let mut objective = Objective::new(service, "availability", 0.99, window, indicator);
    objective.pairs = Some(Vec::new());
    objective
}

fn journey(weights: [f64; 2]) -> Objective {
    let parts = ["cart", "pay"].into_iter().zip(weights).map(|(service, w)| Part::new(service, "availability", w));
    Objective::new("shop", "journey", 0.999, Millis::days(30), Indicator::Composite(parts.collect()))
}

fn all(weights: [f64; 2]) -> Vec<Objective> {
    // The composite stands before its parts: the order of a file means nothing.
    vec![journey(weights), part("cart", Millis::days(30)), part("pay", Millis::days(30))]
}

/// Minutes of traffic: of each service its requests in 15 seconds and how many of them fail.
fn minutes(story: &mut Story, minutes: i64, cart: [f64; 2], pay: [f64; 2]) {
    for _ in 0..minutes * 4 {
        story.pass(Millis::seconds(15));
        let mut values = Vec::new();
        for (service, [all, bad]) in [("cart", cart), ("pay", pay)] {
            values.push((metric("requests_total", &[("service", service)]), all));
            values.push((metric("errors_total", &[("service", service)]), bad));
        }
        story.count(&values);
    }
}

fn incident() -> Story {
    let mut story = Story::new(all([1.0, 3.0]));
    minutes(&mut story, 60, [1000.0, 0.0], [100.0, 0.0]);
    minutes(&mut story, 10, [1000.0, 0.0], [100.0, 20.0]);
    minutes(&mut story, 60, [1000.0, 0.0], [100.0, 0.0]);
    story
}

#[test]
fn shares_are_weighted_and_not_events() {
    let story = incident();
    let statuses = story.objectives.statuses(story.now);
    let [cart, pay, whole] = statuses.as_slice() else { panic!("three") };
    assert_eq!((whole.service.as_str(), whole.name.as_str()), ("shop", "journey"));
    let expected = 0.75 * pay.error_ratio.unwrap() + 0.25 * cart.error_ratio.unwrap();
    assert!((whole.error_ratio.unwrap() - expected).abs() < 1e-12, "{whole:#?}");
    assert_eq!(whole.total, cart.total + pay.total);
    let parts: Vec<_> = whole.parts.iter().map(|p| (p.service.as_str(), p.weight, p.share_of_bad)).collect();
    assert_eq!(parts, [("cart", 0.25, 0.0), ("pay", 0.75, 1.0)]);
    // What the parts spent of their whole windows, by weight, against what the composite allows.
    let spent = |part: &evenkeel::slo::ObjectiveStatus| part.budget.spent / (part.budget.total / 0.01);
    let left = 1.0 - (0.75 * spent(pay) + 0.25 * spent(cart)) / 0.001;
    assert!((whole.budget.left - left).abs() < 1e-9, "{} {left}", whole.budget.left);
    assert!(whole.query.starts_with("(1 * (sum(increase(errors_total{service=\"cart\"}[30d]))"), "{}", whole.query);
    assert!(whole.query.ends_with(") / 4"), "{}", whole.query);
}

#[test]
fn it_fires_and_says_whose_fault_it_is() {
    let mut story = Story::new(all([1.0, 3.0]));
    minutes(&mut story, 60, [1000.0, 0.0], [100.0, 0.0]);
    minutes(&mut story, 10, [1000.0, 0.0], [100.0, 20.0]);
    let firing: Vec<_> = story.transitions.iter().map(|t| (t.kind, t.alert.labels.get("slo").to_owned())).collect();
    assert!(firing.contains(&(TransitionKind::Firing, "journey".to_owned())), "{firing:?}");
    let judgement = Known::of(&story).judge();
    assert_eq!(judgement.overall, Verdict::Hurting);
    let text = &judgement.reasons[0].text;
    assert!(text.contains("100 % of it by pay/availability"), "{text}");
    // It ends with the burn, also if nothing comes any more.
    minutes(&mut story, 40, [1000.0, 0.0], [100.0, 0.0]);
    let before = story.log.len();
    story.pass(Millis::days(4));
    assert!(story.objectives.alerts().is_empty());
    assert!(story.log.len() - before < 20_000, "{} ticks", story.log.len() - before);
}

#[test]
fn a_part_without_events_has_no_say_and_one_without_input_blinds() {
    let mut story = Story::new(all([1.0, 1.0]));
    minutes(&mut story, 60, [1000.0, 10.0], [0.0, 0.0]);
    let whole = story.objectives.statuses(story.now).remove(2);
    assert!((whole.error_ratio.unwrap() - 0.01).abs() < 1e-9, "{whole:#?}");
    assert_eq!(whole.blind, None);
    let mut story = Story::new(all([1.0, 1.0]));
    for _ in 0..20 {
        story.pass(Millis::seconds(15));
        story.count(&[(metric("requests_total", &[("service", "cart")]), 10.0)]);
    }
    let blind = story.objectives.statuses(story.now).remove(2).blind.unwrap();
    assert!(blind.reason.starts_with("part pay/availability: no series match"), "{}", blind.reason);
}

#[test]
fn a_restart_at_any_place_changes_nothing() {
    let story = incident();
    assert!(story.transitions.len() >= 2, "{:#?}", story.transitions);
    story.survives_restarts(&all([1.0, 3.0]), 37);
}

#[test]
fn other_weights_are_reckoned_at_once_and_a_composite_that_is_gone_is_resolved() {
    let mut story = Story::new(all([1.0, 3.0]));
    minutes(&mut story, 60, [1000.0, 0.0], [100.0, 0.0]);
    minutes(&mut story, 10, [1000.0, 0.0], [100.0, 20.0]);
    let before = story.objectives.statuses(story.now).remove(2).error_ratio.unwrap();
    let firing = story.objectives.alerts().len();
    story.objectives.reload(all([3.0, 1.0])).unwrap();
    let after = story.objectives.statuses(story.now).remove(2).error_ratio.unwrap();
    assert!((after * 3.0 - before).abs() < 1e-12, "{before} {after}");
    assert_eq!(story.objectives.alerts().len(), firing);
    story.objectives.reload(vec![part("cart", Millis::days(30)), part("pay", Millis::days(30))]).unwrap();
    assert!(story.objectives.alerts().is_empty());
    let due = story.objectives.next_deadline().unwrap().max(story.now);
    let resolved = story.objectives.tick(evenkeel::model::Seq(99_999), due);
    assert_eq!(resolved.iter().filter(|t| t.kind == TransitionKind::Resolved).count(), firing);
}

#[test]
fn it_can_be_charted() {
    let story = incident();
    let range = TimeRange { after: Timestamp(START), until: story.now };
    let course = story.objectives.burn_history("shop", "journey", range, 50).unwrap();
    assert!(course.points.iter().any(|point| point.long.is_some_and(|burn| burn > 10.0)), "{course:?}");
    let last = course.points.last().unwrap().budget_left;
    assert!((last - story.objectives.statuses(story.now)[2].budget.left).abs() < 1e-9, "{last}");
}

#[test]
fn what_cannot_be_put_together_is_refused() {
    let check = |objectives: Vec<Objective>, expected: &str| {
        assert_eq!(Objectives::new(objectives).unwrap_err().to_string(), expected);
    };
    check(
        vec![journey([1.0, 1.0]), part("cart", Millis::days(30))],
        "shop/journey: there is no objective pay/availability that could be its part; add it, or correct the name",
    );
    check(
        vec![journey([1.0, 1.0]), part("cart", Millis::days(30)), part("pay", Millis::days(7))],
        "shop/journey: its part pay/availability is kept over 1w, and the whole over 30d; give both the same window",
    );
    check(vec![journey([1.0, -1.0])], "shop/journey: a weight of -1 means nothing; write a number above 0");
    let mut monthly = journey([1.0, 1.0]);
    monthly.calendar = Some(Calendar::new(CalendarUnit::Month, 1, "UTC", None).unwrap());
    check(
        [vec![monthly], all([1.0, 1.0]).split_off(1)].concat(),
        "shop/journey: its part cart/availability is kept over 30d, and the whole over month in UTC; give both the same \
         window",
    );
    let mut grouped = journey([1.0, 1.0]);
    grouped.group_by = vec!["route".to_owned()];
    check(vec![grouped], "shop/journey: slices, groups and adjustments belong to its parts; move them there");
}

#[test]
fn it_is_decided_as_any_objective_is() {
    let mut story = Story::new(all([1.0, 3.0]));
    // Two days, so that every pair speaks.
    minutes(&mut story, 2 * 24 * 60, [1000.0, 0.0], [100.0, 0.0]);
    // Two failures at night are one request that was tried again.
    minutes(&mut story, 1, [1000.0, 0.0], [100.0, 0.5]);
    minutes(&mut story, 60, [1000.0, 0.0], [100.0, 0.0]);
    let own = |story: &Story| -> Vec<_> {
        let all = story.objectives.alerts().into_iter().filter(|alert| alert.labels.get("slo") == "journey");
        let mut names: Vec<_> = all
            .map(|alert| ["alertname", "severity", "window"].map(|name| alert.labels.get(name).to_owned()).join(" "))
            .collect();
        names.sort();
        names
    };
    assert_eq!(story.transitions.len(), 0, "{:?}", story.transitions);
    minutes(&mut story, 120, [1000.0, 0.0], [100.0, 100.0]);
    // Of one severity one alert fires, and no ticket beside a page, though every pair burns; and nothing is left.
    assert_eq!(own(&story), ["ErrorBudgetBurn page 1h", "ErrorBudgetExhausted ticket "]);
    let exhausted = |t: &&Transition| t.alert.labels.get("alertname") == "ErrorBudgetExhausted";
    let summary = story.transitions.iter().find(exhausted).unwrap().alert.annotations.get("summary").to_owned();
    assert!(summary.contains(" events by weight of the last 30d were bad"), "{summary}");
    minutes(&mut story, 60, [1000.0, 0.0], [100.0, 0.0]);
    // What the page told of gives rise to no ticket when it has ended.
    assert_eq!(own(&story), ["ErrorBudgetExhausted ticket "]);
    let companions = story.objectives.statuses(story.now).remove(2).companions;
    assert_eq!(companions.iter().map(|(which, _)| *which).collect::<Vec<_>>(), [evenkeel::slo::Companion::Exhausted]);
    story.survives_restarts(&all([1.0, 3.0]), 2001);
}

#[test]
fn what_it_would_have_been_is_what_it_was_and_another_target_is_played() {
    let story = incident();
    let parts = story.objectives.definitions_of_parts(&journey([1.0, 3.0]));
    assert_eq!(parts.len(), 2);
    let asked =
        |change: &Change| what_if(&change.of(&journey([1.0, 3.0])), &parts, story.now, &story.stored()).unwrap();
    let same = asked(&Change::default());
    let live = story.objectives.statuses(story.now).pop().unwrap();
    assert_eq!((same.status.error_ratio, same.status.budget), (live.error_ratio, live.budget));
    assert_eq!(same.status.parts, live.parts);
    let told = |kind: TransitionKind| {
        let whole = story.transitions.iter().filter(move |t| t.kind == kind && t.alert.labels.get("slo") == "journey");
        whole.map(|t| (t.at, t.alert.labels.clone())).collect::<Vec<_>>()
    };
    let would: Vec<_> = same.alerts.iter().map(|alert| (alert.from, alert.labels.clone())).collect();
    assert_eq!(would, told(TransitionKind::Firing));
    assert!(same.alerts.iter().any(|alert| alert.pages && alert.until.is_some()), "{:#?}", same.alerts);
    let loose = asked(&Change { objective: Some(0.9), ..Change::default() });
    assert!(loose.alerts.len() < same.alerts.len() && loose.status.objective == 0.9, "{:#?}", loose.alerts);
    let day = asked(&Change { window: Some(Millis::days(1)), ..Change::default() });
    assert_eq!((day.status.window, day.status.parts.len()), (Millis::days(1), 2));
}
