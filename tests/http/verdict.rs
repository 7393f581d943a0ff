//! The verdict now and then, coverage, blind spots, badges.

use evenkeel::model::Timestamp;
use serde_json::{Value, json};

use super::client::get;
use super::running::NOW_MS;
use super::shop::Shop;

async fn data(shop: &Shop, path: &str) -> Value {
    let answer = get(shop.server.address, path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()["data"].take()
}

#[tokio::test]
async fn the_verdict_can_be_asked_for_as_it_was() {
    let shop = Shop::watched().await;
    shop.db.step();
    shop.trade().await;
    shop.db.step();
    let now = data(&shop, "/api/v1/verdict").await;
    assert_eq!(now["verdict"], "HURTING");
    let reasons = now["reasons"].as_array().unwrap();
    let burns = |reason: &Value| reason["code"] == "burning" && reason["subject"] == "availability";
    assert!(reasons.iter().any(burns), "{reasons:#?}");
    let then = data(&shop, &format!("/api/v1/verdict?at={}", NOW_MS / 1000 + 5)).await;
    assert_eq!(then["verdict"], "BLIND");
    let history = data(&shop, "/api/v1/verdict/history").await;
    let words: Vec<_> = history.as_array().unwrap().iter().map(|change| change["verdict"].clone()).collect();
    assert_eq!(words, ["BLIND", "HURTING"]);
    assert_eq!(history[1]["services"], json!([{"service": "checkout", "verdict": "HURTING"}]));
    let early = get(shop.server.address, "/api/v1/verdict?at=1").await;
    assert_eq!((early.status, &early.json()["errorType"]), (404, &json!("not_found")));
    assert_eq!(get(shop.server.address, "/api/v1/verdict?at=noon").await.status, 400);
}

#[tokio::test]
async fn the_seconds_of_a_time_may_be_left_out_of_our_own_endpoints() {
    let shop = Shop::watched().await;
    shop.db.step();
    shop.trade().await;
    shop.db.step();
    // A whole minute of the trade.
    let minute = (NOW_MS + 300_000) / 60_000 * 60;
    let spelled = Timestamp(minute * 1000).to_string().replace(":00.000Z", "Z");
    assert_eq!(spelled.len(), "2026-11-20T03:00Z".len());
    for path in ["verdict?at=", "verdict/history?start=", "episodes?start=", "why?of=Errors&time="] {
        let [short, whole] = [spelled.clone(), minute.to_string()].map(|time| format!("/api/v1/{path}{time}"));
        assert_eq!(data(&shop, &short).await, data(&shop, &whole).await, "{path}");
    }
    // What is Prometheus' takes what Prometheus takes.
    let refused = get(shop.server.address, &format!("/api/v1/query?query=1&time={spelled}")).await;
    let error = refused.json()["error"].to_string();
    assert_eq!(refused.status, 400);
    assert!(error.contains(&format!("cannot parse \\\"{spelled}\\\" to a valid timestamp")), "{error}");
}

#[tokio::test]
async fn the_minutes_of_each_word_are_added_up() {
    let shop = Shop::watched().await;
    shop.db.step();
    shop.trade().await;
    shop.db.step();
    let begin = NOW_MS / 1000;
    // Nobody looked between the first sample and the last, ten minutes later; five minutes before there is no record.
    let path = format!("/api/v1/reports/verdicts?start={}&end={}.999", begin - 300, begin + 599);
    let report = data(&shop, &path).await;
    let overall = json!({
        "ok_minutes": 0.0,
        "at_risk_minutes": 0.0,
        "hurting_minutes": 0.0,
        "blind_minutes": 10.0,
        "unrecorded_minutes": 5.0,
    });
    assert_eq!(report["overall"], overall);
    assert_eq!(
        (&report["services"][0]["service"], &report["services"][0]["blind_minutes"]),
        (&json!("checkout"), &json!(10.0))
    );
    // What is to come is left out.
    let to_now = data(&shop, &format!("/api/v1/reports/verdicts?start={begin}&end={}", begin + 9999)).await;
    assert_eq!(to_now["to"], Timestamp(NOW_MS + 600_000).to_string());
    for refused in ["end=1795446300".to_owned(), format!("start={}", begin + 9999), format!("start={begin}&end=1")] {
        let answer = get(shop.server.address, &format!("/api/v1/reports/verdicts?{refused}")).await;
        assert_eq!(answer.status, 400, "{refused}: {}", answer.text());
    }
}

#[tokio::test]
async fn the_verdict_says_what_its_certainty_is_made_of() {
    let shop = Shop::watched().await;
    shop.db.step();
    shop.trade().await;
    let now = data(&shop, "/api/v1/verdict").await;
    assert_eq!(now["confidence"]["value"], 0.0);
    let factors = now["confidence"]["factors"].as_array().unwrap();
    let told: Vec<_> = factors.iter().map(|f| json!([f["name"], f["k"], f["n"], f["value"], f["lacking"]])).collect();
    let expected = [
        json!(["coverage", 0, 2, 0.0, ["checkout", "search"]]),
        json!(["freshness", 1, 1, 1.0, []]),
        json!(["delivery", 0, 0, 0.0, []]),
    ];
    assert_eq!(told, expected);
    assert!(factors.iter().all(|factor| factor["source"].is_string()));
    let hurt = now["customers"]["bad_events_1h"].as_f64().unwrap();
    assert!(hurt > 0.0 && now["customers"]["by"] == Value::Null, "{}", now["customers"]);
    let then = data(&shop, &format!("/api/v1/verdict?at={}", NOW_MS / 1000 + 5)).await;
    assert_eq!((&then["confidence"], &then["customers"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn who_would_be_told_is_answered() {
    let shop = Shop::watched().await;
    shop.trade().await;
    let coverage = data(&shop, "/api/v1/coverage").await;
    assert_eq!((&coverage["covered"], &coverage["counted"], &coverage["scope"]), (&json!(0), &json!(2), &json!("all")));
    assert_eq!(coverage["services"][0]["gaps"], json!(["route", "owner"]));
    assert_eq!(coverage["services"][1]["gaps"], json!(["objective", "page", "route", "owner"]));
    assert_eq!((&coverage["adopted"], &coverage["adoption"]), (&json!(0), &json!(0.0)));
    let scorecard = data(&shop, "/api/v1/scorecard").await;
    let scored =
        |name: &str| scorecard.as_array().unwrap().iter().filter(|one| one["metric"]["__name__"] == name).count();
    assert_eq!((scored("evenkeel_verdict_overall"), scored("evenkeel_accuracy_cases")), (1, 6), "{scorecard}");
    let spots = data(&shop, "/api/v1/blindspots").await;
    assert!(spots.as_array().unwrap().iter().any(|spot| spot["code"] == "no-route" && spot["service"] == "checkout"));
}

#[tokio::test]
async fn badges_say_the_word() {
    let shop = Shop::watched().await;
    shop.trade().await;
    let badge = get(shop.server.address, "/badge.svg?service=checkout").await;
    assert_eq!(badge.header("content-type"), Some("image/svg+xml"));
    assert_eq!(badge.header("cache-control"), Some("no-cache, no-store"));
    assert!(badge.text().contains("checkout: HURTING"), "{}", badge.text());
    let same = get(shop.server.address, "/badge/verdict.svg?service=checkout").await;
    assert_eq!((same.text(), same.header("content-type")), (badge.text(), Some("image/svg+xml")));
    let shields = get(shop.server.address, "/badge.json").await.json();
    assert_eq!(shields, json!({"schemaVersion": 1, "label": "services", "message": "HURTING", "color": "critical"}));
    assert_eq!(get(shop.server.address, "/badge.svg?service=nobody").await.status, 404);
}
