//! Whose services are, which of them are critical, and what follows if one lacks something.

use evenkeel::confidence::{CriticalServices, DeclaredService, Reason, ServiceCoverage, Verdict};
use evenkeel::model::Matcher;

use super::verdicts::{OBJECTIVES, RULES, routed, trade};
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

/// The services of series with this tier.
fn of_tier(tier: &str) -> CriticalServices {
    CriticalServices { matchers: vec![Matcher::equal("tier", tier)], declared: Vec::new() }
}

fn declared(name: &str, owner: Option<&str>) -> CriticalServices {
    let service = DeclaredService { name: name.to_owned(), owner: owner.map(str::to_owned) };
    CriticalServices { matchers: Vec::new(), declared: vec![service] }
}

/// What makes critical services blind: service, code, since when.
fn critical_reasons(db: &Db) -> Vec<(String, String, i64)> {
    let reasons = db.judgement().reasons;
    let of_critical = reasons.into_iter().filter(|reason| reason.code.starts_with("critical-"));
    of_critical.map(|Reason { service, code, since, .. }| (service.unwrap(), code, (since.0 - BEGIN) / 1000)).collect()
}

fn named(reasons: &[(&str, &str, i64)]) -> Vec<(String, String, i64)> {
    reasons.iter().map(|(service, code, since)| ((*service).to_owned(), (*code).to_owned(), *since)).collect()
}

#[test]
fn a_critical_service_that_a_sample_names_is_blind_until_it_has_an_objective_that_pages() {
    let mut world = World::new(RULES, OBJECTIVES);
    world.watch.critical = of_tier("critical");
    let db = world.open();
    trade(&world, &db, 0..600, 0.0);
    let coverage = db.coverage();
    assert_eq!((coverage.counted().count(), coverage.share()), (0, 0.0));
    let spot = db.blind_spots().into_iter().find(|spot| spot.code == "critical-unmatched").unwrap();
    assert!(spot.text.contains("tier=\"critical\""), "{}", spot.text);
    assert_eq!((db.judgement().overall, critical_reasons(&db)), (Verdict::Ok, vec![]), "search is merely there");

    db.append(one("orders_total", &[("service", "pay"), ("tier", "critical")], BEGIN + 590_000, 1.0)).unwrap();
    assert_eq!(critical_reasons(&db), [], "they are looked for once a minute");
    trade(&world, &db, 600..1200, 0.0);
    let since = critical_reasons(&db)[0].2;
    assert!((600..=645).contains(&since), "{since}");
    let expected = named(&[("pay", "critical-no-objective", since), ("pay", "critical-no-page", since)]);
    assert_eq!(critical_reasons(&db), expected);
    let judgement = db.judgement();
    assert_eq!((judgement.overall, judgement.service("pay").unwrap().verdict), (Verdict::Blind, Verdict::Blind));
    assert_eq!(judgement.service("shop").unwrap().verdict, Verdict::Ok);
    let facts: Vec<_> = judgement.service("pay").unwrap().reasons[0].evidence.clone();
    assert_eq!(
        facts.iter().map(|fact| (fact.name.as_str(), fact.value.as_str())).collect::<Vec<_>>(),
        [("critical", "its series have tier=\"critical\""), ("remedy", "add an objective of it under slo_files")]
    );
    let spots: Vec<_> = db.blind_spots().into_iter().filter(|spot| spot.code.contains("no-objective")).collect();
    let spots: Vec<_> = spots.iter().map(|spot| (spot.code.as_str(), spot.service.as_deref().unwrap())).collect();
    assert_eq!(spots, [("critical-no-objective", "pay"), ("no-objective", "search")]);
    // Coverage counts it alone.
    let coverage = db.coverage();
    assert_eq!((coverage.counted().count(), coverage.share(), coverage.services.len()), (1, 0.0, 3));
    assert_eq!(coverage.services[0].service, "pay");
    assert_eq!(metric(&db, "evenkeel_coverage_critical_incomplete"), Some(1.0));
    // Somebody is told in working hours.
    trade(&world, &db, 1200..1500, 0.0);
    let told = world.recorder.bodies.lock().iter().any(|body| body.contains("pay is critical and has no objective"));
    assert!(told, "{:?}", world.recorder.bodies.lock());

    let pay = OBJECTIVES.replace("shop", "pay");
    world.watch.objectives.extend(evenkeel::config::parse_objectives("pay.yml", &pay).unwrap());
    db.reload(world.watch.clone()).unwrap();
    assert_eq!(critical_reasons(&db), [], "that it has no input yet its objective says");
}

#[test]
fn a_declared_service_is_not_covered_though_no_series_names_it_yet() {
    let mut world = World::new(RULES, OBJECTIVES);
    world.watch.critical = declared("checkout", Some("money"));
    let db = world.open();
    trade(&world, &db, 0..600, 0.0);
    let checkout = service(&db, "checkout");
    assert!(checkout.critical && !service(&db, "search").critical);
    assert_eq!((checkout.owners, db.coverage().counted().count()), (vec!["money".to_owned()], 1));
    let reasons = named(&[("checkout", "critical-no-objective", 0), ("checkout", "critical-no-page", 0)]);
    assert_eq!(critical_reasons(&db), reasons);
    assert_eq!(metric(&db, "evenkeel_verdict_overall"), Some(3.0));
    // One that has what it needs is fine, and what is said no more does not hold any more.
    world.watch.critical = declared("shop", None);
    db.reload(world.watch.clone()).unwrap();
    assert_eq!((critical_reasons(&db), db.judgement().overall), (vec![], Verdict::Ok));
    world.watch.critical = CriticalServices::default();
    db.reload(world.watch.clone()).unwrap();
    assert_eq!(db.coverage().counted().count(), 2);
}

#[test]
fn a_critical_service_whose_pages_lead_to_nobody_is_blind() {
    for (more, expected) in [("", "critical-no-route"), ("  labels: {team: shop}\n", "")] {
        let mut world = routed(&format!("{OBJECTIVES}{more}"));
        world.watch.critical = declared("shop", None);
        let db = world.open();
        trade(&world, &db, 0..600, 0.0);
        let codes: Vec<String> = critical_reasons(&db).into_iter().map(|(_, code, _)| code).collect();
        assert_eq!(codes.join(" "), expected, "{more}");
    }
}

#[test]
fn the_time_in_which_nothing_came_is_missing_over_a_restart() {
    let world = World::new(RULES, OBJECTIVES);
    let db = world.open();
    trade(&world, &db, 0..600, 0.0);
    assert_eq!(service(&db, "shop").time, Some([1.0, 1.0]));
    assert_eq!(service(&db, "search").time, None);
    // Killed; the log is all there is.
    drop(db);
    world.clock.set(BEGIN + 1_185_000);
    let db = world.open();
    let after = |db: &Db| service(db, "shop").time.unwrap();
    assert_eq!(after(&db), [600.0 / 1185.0; 2]);
    trade(&world, &db, 1185..1800, 0.0);
    assert_eq!(after(&db), [1200.0 / 1785.0; 2]);
    let fact = db.judgement().proof.into_iter().find(|fact| fact.name == "least time measured").unwrap();
    assert_eq!(fact.value, "67.2 % (of the last day, 67.2 % of 30d, shop/availability)");
    db.close().unwrap();
    let db = world.open();
    assert_eq!(after(&db), [1200.0 / 1785.0; 2]);
}
