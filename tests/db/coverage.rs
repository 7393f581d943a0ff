//! Whose services are, which of them are critical, and what follows if one lacks something.

use evenkeel::confidence::ServiceCoverage;

use super::verdicts::{OBJECTIVES, RULES, trade};
use super::*;

fn service(db: &Db, name: &str) -> ServiceCoverage {
    let coverage = db.coverage();
    let found = coverage.services.iter().find(|service| service.service == name);
    found.unwrap_or_else(|| panic!("{name}: {coverage:?}")).clone()
}

fn metric(db: &Db, name: &str) -> Option<f64> {
    let metrics = db.metrics();
    metrics.iter().find(|(labels, _)| labels.metric_name() == name).map(|(_, value)| *value)
}

/// A sample of each of these series, so that something names their services.
fn series(db: &Db, all: &[&[(&str, &str)]]) {
    for more in all {
        db.append(one("requests_total", more, BEGIN, 1.0)).unwrap();
    }
}

#[test]
fn the_owner_of_a_service_is_told_by_its_objectives_then_its_rules_then_its_series() {
    let objectives =
        format!("{OBJECTIVES}  labels: {{team: sales}}\n  annotations: {{owner: '{{{{ $labels.who }}}}'}}\n");
    let rules = "
groups:
- name: others
  labels: {squad: night}
  rules:
  - {alert: A, expr: up == 0, labels: {severity: page, service: shop, team: rules}}
  - {alert: B, expr: up == 0, labels: {severity: page, service: search, team: find}}
  - {alert: C, expr: up == 0, labels: {severity: page, service: search}, annotations: {owner: ann}}
  - {alert: D, expr: up == 0, labels: {severity: page, service: mail}}
  - {alert: E, expr: up == 0, labels: {severity: page, service: maps, team: '{{ $labels.team }}', squad: atlas}}
";
    let world = World::new(rules, &objectives);
    let db = world.open();
    series(
        &db,
        &[
            &[("service", "shop"), ("team", "series")],
            &[("service", "pay"), ("team", "money"), ("squad", "coins")],
            &[("service", "pay"), ("team", "banks"), ("i", "2")],
            &[("service", "pay"), ("squad", "coins"), ("i", "3")],
            &[("service", "jobs")],
        ],
    );
    let owners = |name: &str| service(&db, name).owners;
    assert_eq!(owners("shop"), ["sales"], "a template says nothing yet, and an objective more than a rule");
    assert_eq!(owners("search"), ["ann", "find"]);
    assert_eq!((owners("mail"), owners("maps")), (vec!["night".to_owned()], vec!["atlas".to_owned()]));
    assert_eq!(owners("pay"), ["banks", "money"]);
    let jobs = service(&db, "jobs");
    assert!(jobs.owners.is_empty() && jobs.gaps(db.coverage().at).contains(&"owner"));
}

#[test]
fn adoption_asks_for_an_owner_and_not_for_a_proof_and_coverage_the_other_way_round() {
    let owned = format!("{OBJECTIVES}  labels: {{team: sales}}\n");
    for (objectives, adopted) in [(OBJECTIVES, 0), (owned.as_str(), 1)] {
        let world = World::new(RULES, objectives);
        let db = world.open();
        trade(&world, &db, 0..600, 0.0);
        let coverage = db.coverage();
        assert_eq!((coverage.covered(), coverage.adopted(), coverage.services.len()), (0, adopted, 2));
        assert_eq!(metric(&db, "evenkeel_adoption_ratio"), Some(adopted as f64 / 2.0));
        // A page proves the receiver.
        trade(&world, &db, 600..1200, 0.3);
        let coverage = db.coverage();
        assert_eq!((coverage.covered(), coverage.adopted()), (1, adopted));
        assert_eq!((coverage.share(), coverage.adoption()), (0.5, adopted as f64 / 2.0));
    }
}
