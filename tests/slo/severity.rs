//! The severity table: what burn alerts are told as.

use evenkeel::model::{Labels, Millis, Transition};
use evenkeel::slo::{AlertSeverity, BurnPair, Objective, ObjectiveError, Objectives, Severity, SeverityRow};

use super::story::{Story, again, metric, ratio, shop};

/// A row that takes every alert.
fn row(severity: AlertSeverity) -> SeverityRow {
    SeverityRow { alert: None, burn: None, groups: None, tiers: Vec::new(), severity }
}

fn of_tier(tier: &str, severity: AlertSeverity) -> SeverityRow {
    SeverityRow { tiers: vec![tier.to_owned()], ..row(severity) }
}

fn objective(name: &str, tier: &str, table: &[SeverityRow]) -> Objective {
    let mut objective = shop(0.999, ratio());
    objective.name = name.to_owned();
    objective.labels = Labels::new([("tier", tier)]).unwrap();
    objective.severities = table.to_vec();
    objective
}

/// What happened to the alerts of the fastest pair, which pages by itself, of those with this label.
fn changes<'s>(story: &'s Story, label: (&'s str, &'s str)) -> impl Iterator<Item = &'s Transition> {
    let (name, value) = label;
    let of_it = move |one: &&Transition| one.alert.labels.get("window") == "1h" && one.alert.labels.get(name) == value;
    story.transitions.iter().filter(of_it)
}

/// The same: which kind, and what the alert was told as.
fn words(story: &Story, label: (&str, &str)) -> Vec<String> {
    changes(story, label).map(|one| format!("{:?} {}", one.kind, one.alert.labels.get("severity"))).collect()
}

fn told(story: &Story, name: &str) -> Vec<String> {
    words(story, ("slo", name))
}

#[test]
fn the_same_burn_pages_for_one_tier_and_is_a_ticket_or_a_note_for_others() {
    let table = [of_tier("3", AlertSeverity::Ticket), of_tier("4", AlertSeverity::Log)];
    let objectives: Vec<Objective> =
        [("one", "1"), ("three", "3"), ("four", "4")].map(|(name, tier)| objective(name, tier, &table)).to_vec();
    let mut story = Story::new(objectives.clone());
    story.traffic(3600, 15, 10.0, 0.0);
    story.traffic(300, 15, 10.0, 50.0);
    story.traffic(7200, 15, 10.0, 0.0);
    let both = |severity: &str| ["Firing", "Resolved"].map(|kind| format!("{kind} {severity}"));
    assert_eq!(told(&story, "one"), both("page"));
    assert_eq!(told(&story, "three"), both("ticket"));
    assert_eq!(told(&story, "four"), both("log"));
    let at = |name: &'static str| changes(&story, ("slo", name)).next().unwrap();
    assert_eq!(at("one").at, at("three").at, "what it is called changes nothing else");
    let summary = |name: &'static str| at(name).alert.annotations.get("summary").to_owned();
    assert!(!summary("one").contains("severity table"), "{}", summary("one"));
    let ends = "(page from 14.4 or 2 % of the budget); ticket by row 1 of the severity table: tier 3";
    let (found, expected) = (summary("three"), ends.replace(" or 2 % of the budget", ""));
    assert!(found.ends_with(ends) || found.ends_with(&expected), "{found}");
    assert!(summary("four").ends_with("; log by row 2 of the severity table: tier 4"), "{}", summary("four"));
    story.survives_restarts(&objectives, 97);
}

#[test]
fn the_urgency_of_what_fires_is_that_of_its_label() {
    let table = [of_tier("3", AlertSeverity::Ticket), of_tier("4", AlertSeverity::Log)];
    let mut own = objective("own", "3", &table);
    own.ticket_labels = Labels::new([("severity", "warning")]).unwrap();
    let objectives = vec![objective("one", "1", &table), own, objective("four", "4", &table)];
    let mut story = Story::new(objectives);
    story.traffic(3600, 15, 10.0, 0.0);
    story.traffic(300, 15, 10.0, 50.0);
    let alerts = story.objectives.alerts().into_iter().map(|alert| alert.labels);
    let labels: Vec<Labels> = alerts.filter(|labels| labels.get("window") == "1h").collect();
    let words: Vec<_> = labels.iter().map(|labels| labels.get("severity")).collect();
    assert_eq!(words, ["page", "warning", "log"], "the labels of tickets say what a ticket is called");
    let urgency: Vec<_> = labels.iter().map(|labels| story.objectives.severity(labels)).collect();
    assert_eq!(urgency, AlertSeverity::ALL.map(Some));
    // Coverage asks who hears of it when pages would come; of a log nobody does.
    let pages = story.objectives.page_labels(|_| true);
    let names: Vec<_> = pages.iter().map(|labels| (labels.get("slo"), labels.get("severity"))).collect();
    assert_eq!(names, [("one", "page"), ("one", "page"), ("own", "warning"), ("own", "warning")]);
}

/// Traffic of tenants for so many minutes: each with the share of a hundred requests that fail.
fn tenants(story: &mut Story, minutes: i64, failing: &[(&str, f64)]) {
    for _ in 0..minutes * 4 {
        story.pass(Millis::seconds(15));
        let of = |tenant: &str, code| metric("requests_total", &[("code", code), ("tenant", tenant)]);
        let counts =
            failing.iter().flat_map(|(tenant, bad)| [(of(tenant, "200"), 100.0 - bad), (of(tenant, "500"), *bad)]);
        story.count(&counts.collect::<Vec<_>>());
    }
}

#[test]
fn an_alert_is_raised_when_more_tenants_burn_and_never_lowered() {
    let table = [SeverityRow { groups: Some(2), ..row(AlertSeverity::Page) }, row(AlertSeverity::Ticket)];
    let mut by_tenant = objective("answers", "1", &table);
    by_tenant.group_by = vec!["tenant".to_owned()];
    let mut story = Story::new(vec![by_tenant.clone()]);
    let of = |story: &Story, tenant: &str| words(story, ("tenant", tenant));
    tenants(&mut story, 60, &[("a", 0.0), ("b", 0.0), ("c", 0.0)]);
    tenants(&mut story, 10, &[("a", 30.0), ("b", 0.0), ("c", 0.0)]);
    assert_eq!(of(&story, "a"), ["Firing ticket"], "one tenant is hurt");
    let began = changes(&story, ("tenant", "a")).next().unwrap().at;
    tenants(&mut story, 10, &[("a", 30.0), ("b", 30.0), ("c", 0.0)]);
    assert_eq!(of(&story, "a"), ["Firing ticket", "Resolved ticket", "Firing page"]);
    assert_eq!(of(&story, "b")[0], "Firing page");
    let raised = &changes(&story, ("tenant", "a")).nth(2).unwrap().alert;
    assert!(raised.active_at > began && raised.fired_at == Some(raised.active_at), "another alert, from now on");
    let summary = raised.annotations.get("summary");
    assert!(summary.ends_with("; page by row 1 of the severity table: groups from 2; 2 burn"), "{summary}");
    let alerts = story.objectives.alerts();
    let of_a = alerts.iter().filter(|alert| alert.labels.get("tenant") == "a");
    let of_a: Vec<_> = of_a.map(|alert| (alert.labels.get("window"), alert.labels.get("severity"))).collect();
    assert_eq!(of_a, [("1h", "page"), ("1d", "ticket")], "the slower pair need not page as well");
    // One has recovered long before the other: what pages goes on paging until it is over.
    tenants(&mut story, 120, &[("a", 30.0), ("b", 0.0), ("c", 0.0)]);
    assert_eq!(of(&story, "a").len(), 3, "{:?}", of(&story, "a"));
    tenants(&mut story, 240, &[("a", 0.0), ("b", 0.0), ("c", 0.0)]);
    assert_eq!(of(&story, "a").last().map(String::as_str), Some("Resolved page"));
    story.survives_restarts(&[by_tenant], 211);
}

#[test]
fn the_first_row_counts_and_a_faster_burn_raises() {
    let table = [
        SeverityRow { burn: Some(100.0), ..row(AlertSeverity::Page) },
        SeverityRow { alert: Some(Severity::Page), ..row(AlertSeverity::Ticket) },
        row(AlertSeverity::Log),
    ];
    let mut story = Story::new(vec![objective("answers", "1", &table)]);
    story.traffic(3600, 15, 10.0, 0.0);
    // Of an hour five minutes fail by half: it burns 40 times too fast.
    story.traffic(300, 15, 10.0, 50.0);
    assert_eq!(told(&story, "answers"), ["Firing ticket"]);
    story.traffic(1200, 15, 10.0, 50.0);
    assert_eq!(told(&story, "answers"), ["Firing ticket", "Resolved ticket", "Firing page"]);
    let page = &changes(&story, ("slo", "answers")).nth(2).unwrap().alert;
    assert!((100.0..105.0).contains(&page.value), "as soon as it burns so fast: {}", page.value);
}

#[test]
fn a_table_that_changes_renames_what_cannot_be_called_so_any_more() {
    let mut story = Story::new(vec![objective("answers", "3", &[])]);
    story.traffic(3600, 15, 10.0, 0.0);
    story.traffic(300, 15, 10.0, 50.0);
    assert_eq!(told(&story, "answers"), ["Firing page"]);
    let lower = [SeverityRow { burn: Some(500.0), ..row(AlertSeverity::Page) }, row(AlertSeverity::Ticket)];
    story.objectives.reload(vec![objective("answers", "3", &lower)]).unwrap();
    story.traffic(60, 15, 10.0, 50.0);
    assert_eq!(told(&story, "answers"), ["Firing page"], "it could be a page, so it stays one");
    story.objectives.reload(vec![objective("answers", "3", &[row(AlertSeverity::Ticket)])]).unwrap();
    story.traffic(60, 15, 10.0, 50.0);
    assert_eq!(told(&story, "answers"), ["Firing page", "Resolved page", "Firing ticket"]);
}

#[test]
fn without_a_table_nothing_is_looked_up_and_with_one_that_takes_nothing_all_stays() {
    let play = |table: &[SeverityRow]| {
        let mut story = Story::new(vec![objective("answers", "1", table)]);
        story.traffic(3600, 15, 10.0, 0.0);
        story.traffic(600, 15, 10.0, 20.0);
        story.traffic(7200, 15, 10.0, 0.0);
        story
    };
    let plain = play(&[]);
    let tables = play(&[of_tier("9", AlertSeverity::Log)]);
    assert!(!plain.transitions.is_empty() && plain.transitions == tables.transitions);
    let mut same = Story::new(vec![objective("answers", "1", &[])]);
    again(&mut same, &plain);
    assert_eq!(same.transitions, plain.transitions);
}

#[test]
fn pairs_whose_alerts_would_be_alike_are_refused() {
    let pair =
        |severity, threshold| BurnPair { severity, threshold, long: Millis::hours(1), short: Millis::minutes(5) };
    let with = |table: &[SeverityRow]| {
        let mut objective = objective("answers", "1", table);
        objective.pairs = Some(vec![pair(Severity::Page, 14.4), pair(Severity::Ticket, 3.0)]);
        Objectives::new(vec![objective]).map(|_| ())
    };
    assert_eq!(with(&[]), Ok(()));
    assert_eq!(with(&[of_tier("2", AlertSeverity::Ticket)]), Ok(()), "of another tier");
    let error = with(&[row(AlertSeverity::Ticket)]).unwrap_err();
    assert!(matches!(error, ObjectiveError::PairsAlike { .. }), "{error}");
    let expected =
        "shop/answers: the severity table may give both pairs over 1h the same severity; change one of them, or a row";
    assert_eq!(error.to_string(), expected);
}
