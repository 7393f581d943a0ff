//! What is judged, as metrics of the database's own.

use super::verdicts::{OBJECTIVES, RULES, trade};
use super::*;

/// The metrics of this name: labels and value.
fn metric(db: &Db, name: &str) -> Vec<(String, f64)> {
    let of_it = db.metrics().into_iter().filter(|(labels, _)| labels.metric_name() == name);
    of_it.map(|(labels, value)| (labels.to_string().replacen(name, "", 1), value)).collect()
}

fn value(db: &Db, name: &str) -> f64 {
    let all = metric(db, name);
    assert_eq!(all.len(), 1, "{name}: {all:?}");
    all[0].1
}

#[test]
fn verdicts_budgets_coverage_and_accuracy_are_metrics() {
    let world = World::new(RULES, OBJECTIVES);
    let db = world.open();
    assert_eq!((value(&db, "evenkeel_verdict_overall"), value(&db, "evenkeel_coverage_ratio")), (3.0, 0.0));
    let budget = "evenkeel_error_budget_remaining_ratio";
    assert_eq!(metric(&db, budget), [], "of what nobody has seen nothing is left or gone");
    trade(&world, &db, 0..600, 0.0);
    assert_eq!(metric(&db, "evenkeel_verdict"), [("{service=\"shop\"}".to_owned(), 0.0)]);
    let labels = "{objective=\"availability\", service=\"shop\"}".to_owned();
    assert_eq!(metric(&db, budget), [(labels, 1.0)]);
    let measured = metric(&db, "evenkeel_objective_time_coverage_ratio");
    let of = |of: &str| (format!("{{objective=\"availability\", of=\"{of}\", service=\"shop\"}}"), 1.0);
    assert_eq!(measured, [of("day"), of("window")]);
    trade(&world, &db, 600..1200, 0.3);
    assert_eq!((value(&db, "evenkeel_verdict"), value(&db, "evenkeel_verdict_overall")), (2.0, 2.0));
    assert!(value(&db, budget) < 1.0);
    // The page proved its receiver; search has no objective.
    assert_eq!((value(&db, "evenkeel_coverage_ratio"), value(&db, "evenkeel_coverage_services")), (0.5, 2.0));
    let factor = |of: &str, value: f64| (format!("{{of=\"{of}\"}}"), value);
    let factors = [factor("coverage", 0.5), factor("freshness", 1.0), factor("delivery", 1.0)];
    assert_eq!(metric(&db, "evenkeel_confidence_factor_ratio"), factors);
    assert_eq!(value(&db, "evenkeel_confidence_ratio"), 0.5);
    assert!(value(&db, "evenkeel_customers_bad_events") > 1000.0);
    // What is dear is looked at once a minute, so that it is as it was.
    world.clock.set(BEGIN + 1_244_000);
    assert!(db.coverage().share() < 0.5 && value(&db, "evenkeel_coverage_ratio") == 0.5);
    let left_out = ["services", "objectives"].map(|of| (format!("{{of=\"{of}\"}}"), 0.0));
    assert_eq!(metric(&db, "evenkeel_scorecard_left_out"), left_out);
    let cases = metric(&db, "evenkeel_accuracy_cases");
    let of: Vec<_> = cases.iter().map(|(labels, _)| labels.as_str()).collect();
    let named =
        ["page_precision", "episode_recall", "early_warning", "detection_seconds", "budget_spent", "reset_seconds"];
    assert_eq!(of, named.map(|of| format!("{{of=\"{of}\"}}")));
    let scorecard = db.scorecard();
    assert!(
        scorecard.iter().any(|(labels, value)| labels.metric_name() == "evenkeel_verdict_overall" && *value == 2.0)
    );
    assert!(scorecard.iter().all(|(labels, _)| db.metrics().iter().any(|(of_all, _)| of_all == labels)));
}

#[test]
fn words_are_those_of_the_last_look_for_two_seconds_or_until_an_alert_changes() {
    let world = World::new(RULES, OBJECTIVES);
    let db = world.open();
    trade(&world, &db, 0..600, 0.0);
    let at = |ms: i64| {
        world.clock.set(BEGIN + ms);
        value(&db, "evenkeel_verdict_overall")
    };
    // The last sample came at 585 s, every 15 s one is expected.
    at(629_000);
    db.step();
    assert_eq!([at(629_000), at(630_999), at(631_000)], [0.0, 0.0, 3.0]);
    trade(&world, &db, 645..660, 0.0);
    assert_eq!(at(645_000), 0.0);
    let queue = one("queue_length", &[("service", "shop")], BEGIN + 645_500, 101.0);
    world.clock.set(BEGIN + 645_500);
    db.append(queue).unwrap();
    assert_eq!(at(645_500), 2.0, "an alert began to fire");
}

#[test]
fn services_that_our_own_metrics_name_keep_no_job_from_being_found() {
    let world = World::new("", "");
    let db = world.open();
    db.append(one("requests_total", &[("job", "shop")], BEGIN, 1.0)).unwrap();
    db.append(one("evenkeel_verdict", &[("job", "evenkeel"), ("service", "old")], BEGIN, 0.0)).unwrap();
    let found = |db: &Db| -> Vec<String> { db.coverage().services.into_iter().map(|s| s.service).collect() };
    assert_eq!(found(&db), ["evenkeel", "shop"]);
    db.append(one("requests_total", &[("service", "search")], BEGIN, 1.0)).unwrap();
    assert_eq!(found(&db), ["old", "search"]);
}
