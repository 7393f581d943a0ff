//! What was known when, and what nobody would be told of.

use evenkeel::confidence::Verdict;
use evenkeel::model::{Matcher, TimeRange};
use evenkeel::report::HeldWordsReport;

use super::*;

pub(super) const OBJECTIVES: &str = "
objectives:
- service: shop
  objective: 99.9
  errors: requests_total{service=\"shop\",code=\"500\"}
  total: requests_total{service=\"shop\"}
";

pub(super) const RULES: &str = "
groups:
- name: shop
  rules:
  - {alert: Slow, expr: 'queue_length{service=\"shop\"} > 100', labels: {severity: page, service: shop}}
";

/// Traffic every 15 s, of which a share fails; the database looks after each.
pub(super) fn trade(world: &World, db: &Db, seconds: std::ops::Range<i64>, bad: f64) {
    for s in seconds.step_by(15) {
        let t = BEGIN + s * 1000;
        world.clock.set(t);
        let n = s as f64 * 20.0;
        let mut batch = one("requests_total", &[("service", "shop"), ("code", "200")], t, n * (1.0 - bad));
        batch.append(one("requests_total", &[("service", "shop"), ("code", "500")], t, n * bad));
        batch.append(one("requests_total", &[("service", "search"), ("code", "200")], t, n));
        db.append(batch).unwrap();
        db.step();
    }
}

fn word(db: &Db, s: i64) -> Option<Verdict> {
    db.judgement_at(Timestamp(BEGIN + s * 1000)).map(|judgement| judgement.overall)
}

#[test]
fn the_past_is_told_as_it_was_known() {
    let world = World::new(RULES, OBJECTIVES);
    let db = world.open();
    assert_eq!(word(&db, 0), None);
    trade(&world, &db, 0..600, 0.0);
    trade(&world, &db, 600..1200, 0.3);
    // Nothing comes any more: the verdict is HURTING as long as the alert is, and blind with it.
    world.clock.set(BEGIN + 1_300_000);
    db.step();
    let known: Vec<_> = [0, 45, 599, 1190, 1299].map(|s| word(&db, s)).into_iter().collect();
    let [blind, ok, hurting] = [Verdict::Blind, Verdict::Ok, Verdict::Hurting].map(Some);
    assert_eq!(known, [blind, ok, ok, hurting, hurting]);
    let last = db.judgement();
    assert!(last.reasons.iter().any(|reason| reason.code == "input-stopped"), "{last:?}");
    // Killed, and started an hour later.
    drop(db);
    world.clock.set(BEGIN + 4_900_000);
    let db = world.open();
    db.step();
    assert_eq!([45, 599, 1190].map(|s| word(&db, s)), [ok, ok, hurting]);
    let pause = db.judgement_at(Timestamp(BEGIN + 3_000_000)).unwrap();
    assert_eq!((pause.overall, pause.reasons[0].code.as_str()), (Verdict::Blind, "not-running"));
    let range = TimeRange { after: Timestamp(BEGIN + 20_000), until: Timestamp(BEGIN + 4_000_000) };
    let changes = db.judgements(range, 100);
    let words: Vec<_> = changes.iter().map(|judgement| judgement.overall).collect();
    let mut different = words.clone();
    different.dedup();
    assert_eq!(different, [Verdict::Ok, Verdict::Hurting, Verdict::Blind], "{words:?}");
    assert_eq!(db.judgements(range, 1).len(), 1);
}

/// The minutes of each word within January 2027, in which `BEGIN` lies, as they are reported.
fn january(db: &Db) -> String {
    let [after, until] = ["2026-12-31T23:59:59.999Z", "2027-01-31T23:59:59.999Z"];
    let [after, until] = [after, until].map(|text| Timestamp::parse_rfc3339(text).unwrap());
    let range = TimeRange { after, until };
    serde_json::to_string(&HeldWordsReport::new(&db.held_words(range), range)).unwrap()
}

#[test]
fn a_closed_month_is_reported_in_the_same_bytes_after_a_restart() {
    let world = World::new(RULES, OBJECTIVES);
    let db = world.open();
    trade(&world, &db, 0..600, 0.0);
    trade(&world, &db, 600..1200, 0.3);
    world.clock.set(Timestamp::parse_rfc3339("2027-02-01T00:00:00Z").unwrap().0);
    db.step();
    let before = january(&db);
    let json: serde_json::Value = serde_json::from_str(&before).unwrap();
    let of = |service: &serde_json::Value| -> [f64; 5] {
        ["ok", "at_risk", "hurting", "blind", "unrecorded"]
            .map(|word| service[format!("{word}_minutes")].as_f64().unwrap())
    };
    let shop = of(&json["services"][0]);
    assert_eq!(json["services"][0]["service"], "shop");
    assert_eq!(shop, of(&json["overall"]));
    assert!((shop.iter().sum::<f64>() - 31.0 * 1440.0).abs() < 1e-6, "{json}");
    // Fourteen days and eight hours before anything was known, and ten minutes of good trade but for its first samples.
    assert_eq!(shop[4], 14.0 * 1440.0 + 480.0);
    assert!((9.0..10.5).contains(&shop[0]) && shop[3] < 1.0 && shop[2] > 1000.0, "{json}");
    // Killed, and started a week later.
    drop(db);
    world.clock.set(Timestamp::parse_rfc3339("2027-02-08T00:00:00Z").unwrap().0);
    let db = world.open();
    db.step();
    assert_eq!(january(&db), before);
}

#[test]
fn coverage_and_blind_spots_name_what_is_missing() {
    let world = World::new(RULES, OBJECTIVES);
    let db = world.open();
    trade(&world, &db, 0..600, 0.0);
    let gaps = |db: &Db| -> Vec<(String, Vec<&'static str>)> {
        let coverage = db.coverage();
        coverage.services.iter().map(|service| (service.service.clone(), service.gaps(coverage.at))).collect()
    };
    let named = |gaps: &[(&str, &[&'static str])]| -> Vec<(String, Vec<&'static str>)> {
        gaps.iter().map(|(service, gaps)| ((*service).to_owned(), gaps.to_vec())).collect()
    };
    assert_eq!(
        gaps(&db),
        named(&[("search", &["objective", "page", "proof", "owner"]), ("shop", &["proof", "owner"])])
    );
    assert_eq!(db.coverage().share(), 0.0);
    let codes: Vec<String> = db.blind_spots().into_iter().map(|spot| spot.code).collect();
    assert_eq!(codes, ["no-objective", "no-page", "no-proof", "no-proof", "rule-unmatched"]);
    // A page that its receiver took proves the route.
    trade(&world, &db, 600..1200, 0.3);
    assert!(world.pages() > 0);
    assert_eq!(gaps(&db), named(&[("search", &["objective", "page", "owner"]), ("shop", &["owner"])]));
    assert_eq!(db.coverage().share(), 0.5);
    let service = &db.coverage().services[1];
    assert_eq!(
        (service.pages.as_slice(), service.receivers.as_slice()),
        (&["availability".to_owned()][..], &["r".to_owned()][..])
    );
}

#[test]
fn errors_that_nobody_looks_at_are_counted_and_the_most_come_first() {
    let polled = "groups:\n- name: polled\n  evaluation_mode: interval\n  rules:\n  - {alert: A, expr: 'rate(polled_errors_total[5m]) > 9'}\n";
    let world = World::new(&format!("{RULES}{}", polled.trim_start_matches("groups:\n")), OBJECTIVES);
    let db = world.open();
    trade(&world, &db, 0..60, 0.3);
    for t in 0..60 {
        let at = BEGIN + 60_000 + t * 10_000;
        world.clock.set(at);
        let n = t as f64;
        for (name, labels, v) in [
            ("pay_errors_total", &[("service", "pay")][..], n * 10.0),
            ("pay_errors_total", &[("service", "pay"), ("i", "2")], n),
            ("answers_total", &[("job", "web"), ("code", "503")], n * 2.0),
            ("answers_total", &[("job", "web"), ("code", "200")], n * 2.0),
            ("polled_errors_total", &[("job", "web")], n * 3.0),
            ("still_errors_total", &[("job", "web")], 7.0),
            ("evenkeel_made_up_errors_total", &[], n),
        ] {
            db.append(one(name, labels, at, v)).unwrap();
        }
    }
    let spots = db.blind_spots();
    let told: Vec<_> = spots.iter().filter(|spot| spot.code == "errors-unwatched").collect();
    let of = |n: usize| (told[n].service.as_deref(), told[n].text.split(' ').next().unwrap(), told[n].events.unwrap());
    assert_eq!(
        (told.len(), of(0).0, of(0).1, of(1).0, of(1).1),
        (2, Some("pay"), "pay_errors_total", Some("web"), "answers_total")
    );
    assert!((649..=680).contains(&of(0).2) && (118..=125).contains(&of(1).2), "{told:?}");
}

/// A world in which alerts with `team="shop"` go to one receiver, critical ones to another, and the rest to nobody.
pub(super) fn routed(objectives: &str) -> World {
    let mut world = World::new("", objectives);
    let to = |receiver: &str, name: &str, value: &str| {
        let all = Route { group_by: GroupBy::All, group_wait: Millis::ZERO, ..Route::new(receiver) };
        Route { matchers: vec![Matcher::equal(name, value)], ..all }
    };
    let receiver = |name: &str| Receiver { name: name.to_owned(), webhooks: vec![Webhook::new("http://127.0.0.1:1/")] };
    let nobody = Receiver { name: "nobody".to_owned(), webhooks: Vec::new() };
    let routes = vec![to("team", "team", "shop"), to("on-call", "severity", "critical")];
    let route = Route { routes, ..Route::new("nobody") };
    world.watch.notify.routing =
        Some(Routing { route, receivers: vec![nobody, receiver("team"), receiver("on-call")] });
    world
}

#[test]
fn coverage_asks_for_the_route_of_the_labels_that_a_page_will_have() {
    let check = |more: &str, receivers: &[&str], before: &[&str], after: &[&str]| {
        let world = routed(&format!("{OBJECTIVES}{more}"));
        let db = world.open();
        let shop = || {
            let coverage = db.coverage();
            let shop = coverage.services.iter().find(|service| service.service == "shop").unwrap();
            (shop.receivers.clone(), shop.gaps(coverage.at))
        };
        trade(&world, &db, 0..600, 0.0);
        assert_eq!(shop(), (strings(receivers), before.to_vec()), "{more}");
        // The page comes, and proves whoever it was said to go to.
        trade(&world, &db, 600..1200, 0.3);
        assert_eq!(shop(), (strings(receivers), after.to_vec()), "{more}");
    };
    check("", &[], &["route", "owner"], &["route", "owner"]);
    check("  labels: {team: shop}\n", &["team"], &["proof"], &[]);
    check("  page_labels: {severity: critical}\n", &["on-call"], &["proof", "owner"], &["owner"]);
    check("  ticket_labels: {severity: critical}\n", &[], &["route", "owner"], &["route", "owner"]);
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn coverage_knows_the_routes_of_rules_and_of_what_cannot_page_yet() {
    let mut world = routed("");
    let rules = "groups: [{name: shop, rules: [{alert: Slow, expr: requests_total > 1e9, labels: {severity: critical, service: shop}}]}]";
    world.watch.groups = evenkeel::config::parse_rules("rules.yml", rules).unwrap();
    let db = world.open();
    trade(&world, &db, 0..600, 0.0);
    let coverage = db.coverage();
    let receivers: Vec<_> =
        coverage.services.iter().map(|service| (service.service.as_str(), service.receivers.clone())).collect();
    assert_eq!(receivers, [("search", vec![]), ("shop", strings(&["on-call"]))]);
}
