//! Why over HTTP: by id, by name, of a service; a rule with its evaluations.

use serde_json::{Value, json};

use super::client::get;
use super::running::NOW_MS;
use super::shop::Shop;

async fn data(shop: &Shop, path: &str) -> Value {
    let answer = get(shop.server.address, path).await;
    let json = answer.json();
    assert_eq!((answer.status, &json["status"]), (200, &json!("success")), "{path}: {json}");
    json["data"].clone()
}

#[tokio::test]
async fn alerts_are_explained_by_id_and_by_name() {
    let shop = Shop::watched().await;
    shop.trade().await;
    let alert = data(&shop, "/api/v1/alerts").await["alerts"][0].clone();
    let id = alert["id"].as_str().unwrap();
    let why = data(&shop, &format!("/api/v1/alerts/{id}/why")).await;
    assert_eq!(
        (&why["alert"]["id"], &why["state"], &why["knownFrom"]),
        (&json!(id), &json!("firing"), &json!("state"))
    );
    assert_eq!(why["activeAt"], alert["activeAt"]);
    let condition = &why["condition"];
    assert_eq!((&condition["compared"][0]["holds"], &condition["turn"]["holds"]), (&json!(true), &json!(true)));
    assert_eq!(condition["compared"][0]["flipsAt"], "≤ 0.05");
    let window = &condition["parts"][0]["parts"][0]["parts"][0]["parts"][0]["series"][0];
    assert_eq!((&window["kind"], &window["count"]), (&json!("window"), &json!(20)));
    assert_eq!(data(&shop, "/api/v1/why?of=Errors").await["explanations"][0]["alert"]["id"], json!(id));
    let named = data(&shop, "/api/v1/why?of=Errors%7Bservice%3D%22search%22%7D").await;
    let summary = named["explanations"][0]["summary"].to_string();
    assert!(summary.contains("has not held"), "{summary}");
    let service = data(&shop, "/api/v1/why?of=checkout").await;
    assert_eq!(
        (&service["verdict"]["service"], &service["explanations"][0]["alert"]["id"]),
        (&json!("checkout"), &json!(id))
    );
    let fired = &service["fired"][0];
    assert_eq!((&fired["name"], &fired["urgency"], &fired["ended"]), (&json!("Errors"), &json!("page"), &json!(null)));
    // Before the rates were there.
    let before = (NOW_MS - 60_000) / 1000;
    let why_not = data(&shop, &format!("/api/v1/why-not?of=Errors&time={before}")).await;
    let summary = why_not["explanations"][0]["summary"].to_string();
    assert!(summary.contains("no series is called requests_total"), "{summary}");
    for (path, status) in [
        ("/api/v1/alerts/x/why", 400),
        ("/api/v1/rules/x/why-not", 400),
        ("/api/v1/rules/0000000000000000", 404),
        ("/api/v1/alerts/00000000000000000000000000000000/why", 404),
        ("/api/v1/why", 400),
        ("/api/v1/why?of=nothing", 404),
        ("/api/v1/why?of=checkout&time=1", 404),
        ("/api/v1/why?of=Errors&time=x", 400),
    ] {
        assert_eq!(get(shop.server.address, path).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn rules_show_their_last_evaluations() {
    let shop = Shop::watched().await;
    shop.trade().await;
    let groups = data(&shop, "/api/v1/rules").await;
    let rules = &groups["groups"][0]["rules"];
    let recording = data(&shop, &format!("/api/v1/rules/{}", rules[1]["id"].as_str().unwrap())).await;
    assert_eq!((&recording["name"], &recording["group"]), (&json!("service:requests:rate5m"), &json!("shop")));
    let evaluations = recording["evaluations"].as_array().unwrap();
    assert_eq!((evaluations.len(), &evaluations[0]["series"]), (20, &json!(2)));
    assert!(evaluations[0]["samples"].as_u64().unwrap() > 0);
    let alerting = data(&shop, &format!("/api/v1/rules/{}", rules[0]["id"].as_str().unwrap())).await;
    assert_eq!(alerting["evaluations"][0].get("samples"), None);
    let why_not = data(&shop, &format!("/api/v1/rules/{}/why-not", rules[0]["id"].as_str().unwrap())).await;
    assert_eq!(why_not["state"], "firing");
}

#[tokio::test]
async fn what_is_explained_leads_to_its_evidence() {
    let shop = Shop::watched().await;
    shop.trade().await;
    shop.db.step();
    let alert = data(&shop, "/api/v1/alerts").await["alerts"][0].clone();
    let id = alert["id"].as_str().unwrap();
    let why = data(&shop, &format!("/api/v1/alerts/{id}/why")).await;
    let evidence = why["evidence"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/evidence/{evidence}");
    let first = get(shop.server.address, &path).await;
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(get(shop.server.address, &path).await.body, first.body);
    let pack = first.json()["data"].take();
    assert_eq!((&pack["alert"]["name"], &pack["replayable"]), (&json!("Errors"), &json!(true)), "{pack:#}");
    let read = evenkeel::report::EvidenceReport::read(first.text()).unwrap();
    assert!(read.replay().unwrap().same);
    let page = get(shop.server.address, &format!("/alerts/{id}")).await;
    assert!(page.text().contains(&format!("href=\"{path}\"")), "{}", page.text());

    let verdict = data(&shop, "/api/v1/verdict").await;
    let of = |service: &str| {
        let all = verdict["services"].as_array().unwrap();
        all.iter().find(|one| one["service"] == service).unwrap()["evidence_id"].as_str().unwrap().to_owned()
    };
    let checkout = of("checkout");
    assert!(checkout.starts_with("verdict:checkout@2"), "{checkout}");
    let pack = data(&shop, &format!("/api/v1/evidence/{checkout}")).await;
    assert_eq!((&pack["kind"], &pack["service"]), (&json!("verdict"), &json!("checkout")), "{pack:#}");
    assert!(!pack["reasons"].as_array().unwrap().is_empty() && !pack["claims"].as_array().unwrap().is_empty());
    for (path, status) in [
        ("/api/v1/evidence/x", 400),
        ("/api/v1/evidence/verdict:checkout", 400),
        ("/api/v1/evidence/0000000000000000", 404),
        ("/api/v1/evidence/verdict:nobody@2026-01-01T00:00:00Z", 404),
    ] {
        assert_eq!(get(shop.server.address, path).await.status, status, "{path}");
    }
}
