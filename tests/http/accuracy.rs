//! Episodes, alerts that fired, what people say of them, and the report over both.

use serde_json::{Value, json};

use super::client::{get, post_form, send};
use super::shop::Shop;

async fn data(shop: &Shop, path: &str) -> Value {
    let answer = get(shop.server.address, path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()["data"].take()
}

/// The clock of these tests stands in 2026: the last thirty days are asked for.
#[tokio::test]
async fn people_say_of_an_alert_what_it_was() {
    let shop = Shop::watched().await;
    shop.trade().await;
    shop.db.step();
    let fired = data(&shop, "/api/v1/alerts/fired").await;
    let page = fired.as_array().unwrap().iter().find(|one| one["name"] == "ErrorBudgetBurn").unwrap().clone();
    assert_eq!((&page["urgency"], &page["outcome"]), (&json!("page"), &Value::Null));
    let id = page["id"].as_str().unwrap();
    let path = format!("/api/v1/alerts/fired/{id}/outcome");
    let address = shop.server.address;
    let answer = post_form(address, &path, "outcome=useful&by=ann&note=a+deploy").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["data"]["outcome_by"], "ann");
    for (path, form, status, said) in [
        (path.as_str(), "outcome=good", 400, "none of useful, noise, duplicate, too-late, test"),
        (path.as_str(), "by=ann", 400, "none of useful"),
        ("/api/v1/alerts/fired/0000000000000000/outcome", "outcome=noise", 404, "no alert 0000000000000000"),
        ("/api/v1/alerts/fired/x/outcome", "outcome=noise", 404, "no alert x is remembered"),
    ] {
        let answer = post_form(address, path, form).await;
        assert_eq!(answer.status, status, "{form}: {}", answer.text());
        assert!(answer.text().contains(said), "{form}: {}", answer.text());
    }
    let elsewhere = [("Origin", "http://elsewhere.example"), ("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(send(address, "POST", &path, &elsewhere, b"outcome=noise").await.status, 403);

    let report = data(&shop, "/api/v1/reports/accuracy?time_zone=Europe/Berlin").await;
    let all = &report["classes"][0];
    assert_eq!((&all["class"], &all["precision"]["k"]), (&json!("all"), &json!(2)), "{report:#}");
    assert_eq!(report["outcomes"]["useful"], 1);
    let claim = &report["claims"][0];
    assert_eq!((&claim["met"], &claim["needs"]), (&json!("insufficient"), &json!(149)), "{claim}");
    assert_eq!(get(address, "/api/v1/reports/accuracy?time_zone=Berlin").await.status, 400);
    let past = data(&shop, "/api/v1/reports/accuracy?start=0&end=1").await;
    assert_eq!(past["classes"][0]["pages"], 0);
    let episodes = data(&shop, "/api/v1/episodes").await;
    assert_eq!(episodes[0]["service"], "checkout", "{episodes:#}");
    assert_eq!(episodes[0]["end"], Value::Null);
    assert!(episodes[0]["told_by"].as_array().unwrap().contains(&page["id"]), "{episodes:#}");
}

#[tokio::test]
async fn the_page_needs_no_script_and_one_click() {
    let shop = Shop::watched().await;
    shop.trade().await;
    shop.db.step();
    let address = shop.server.address;
    let page = get(address, "/reports/accuracy?time_zone=Europe/Berlin").await;
    assert_eq!(page.status, 200);
    for expected in [
        "Accuracy of alerts",
        "hours of Europe/Berlin",
        "needs 149 labelled pages",
        "value=\"too-late\"",
        "and goes on",
    ] {
        assert!(page.text().contains(expected), "{expected}: {}", page.text());
    }
    let fired = data(&shop, "/api/v1/alerts/fired").await;
    let id = fired[0]["id"].as_str().unwrap();
    let answer = post_form(address, &format!("/alerts/fired/{id}/outcome"), "outcome=noise&by=Ada").await;
    assert_eq!((answer.status, answer.header("location")), (303, Some(&*format!("/reports/accuracy#alert-{id}"))));
    assert!(get(address, "/reports/accuracy").await.text().contains("<b>noise</b> by Ada at <time "));
    let answer = post_form(address, &format!("/alerts/fired/{id}/outcome"), "outcome=noise&by=").await;
    assert_eq!(answer.status, 303);
    let page = get(address, "/reports/accuracy").await;
    assert!(page.text().contains("<b>noise</b> by anonymous at <time "), "{}", page.text());
    assert!(page.text().contains("placeholder=\"your name\""), "{}", page.text());
    assert!(page.text().contains(&format!("href=\"/api/v1/evidence/{id}\"")), "{}", page.text());
    assert_eq!(get(address, "/reports/accuracy?time_zone=x").await.status, 400);
}
