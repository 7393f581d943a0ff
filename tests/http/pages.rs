//! The pages over stored samples: whole without a script, and nobody's text becomes markup.

use evenkeel::confidence::Verdict;
use evenkeel::model::{Batch, Millis};
use evenkeel::slo::{Indicator, Objective, Part};

use super::client::get;
use super::running::NOW_MS;
use super::shop::{Shop, availability, batch};

#[tokio::test]
async fn every_page_answers_before_and_after_the_first_samples() {
    let shop = Shop::watched().await;
    for round in 0..2 {
        for path in [
            "/",
            "/services/checkout",
            "/alerts",
            "/rules",
            "/query",
            "/query?query=up&range=1h",
            "/targets",
            "/coverage",
            "/reports/accuracy",
        ] {
            let page = get(shop.server.address, path).await;
            assert_eq!(page.status, 200, "{round} {path}: {}", page.text());
            assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
            assert!(page.text().ends_with("</html>"), "{path}");
        }
        if round == 0 {
            shop.trade().await;
        }
    }
    assert_eq!(get(shop.server.address, "/services/nobody").await.status, 404);
    assert_eq!(get(shop.server.address, "/graph?g0.expr=up").await.header("location"), Some("/query?query=up"));
}

#[tokio::test]
async fn rules_and_alerts_have_pages_that_explain_them() {
    let shop = Shop::watched().await;
    shop.trade().await;
    let address = shop.server.address;
    let groups = get(address, "/api/v1/rules").await.json()["data"]["groups"].clone();
    let id = |at: usize| groups[0]["rules"][at]["id"].as_str().unwrap().to_owned();
    let list = get(address, "/rules").await;
    assert!(
        list.text().contains(&format!("href=\"/rules/{}\"", id(0)))
            && list.text().contains("followed with each sample")
    );
    let rule = get(address, &format!("/rules/{}", id(0))).await;
    for expected in ["✓ holds since", "ends at ≤ 0.05", "Last evaluations", "class=\"line c0\"", "Why, or why not"]
    {
        assert!(rule.text().contains(expected), "{expected}: {}", rule.text());
    }
    let before = get(address, &format!("/rules/{}?at={}", id(0), (NOW_MS - 60_000) / 1000)).await;
    assert!(before.text().contains("no series is called requests_total"), "{}", before.text());
    let wrong = get(address, &format!("/rules/{}?at=%3Cscript%3E", id(0))).await;
    assert!(wrong.status == 200 && wrong.text().contains("is no time") && !wrong.text().contains("<script>"));
    assert!(get(address, &format!("/rules/{}", id(1))).await.text().contains("data-label=\"Samples read\""));
    let alert = groups[0]["rules"][0]["alerts"][0]["id"].as_str().unwrap().to_owned();
    assert!(get(address, "/alerts").await.text().contains(&format!("href=\"/alerts/{alert}\"")));
    let page = get(address, &format!("/alerts/{alert}")).await;
    for expected in ["condition true", "Who was told", "service=", "✓ "] {
        assert!(page.text().contains(expected), "{expected}: {}", page.text());
    }
    for path in ["/rules/x", "/rules/0000000000000000", "/alerts/x"] {
        assert_eq!(get(address, path).await.status, 404, "{path}");
    }
    let early = get(address, &format!("/alerts/{alert}?at=1")).await;
    assert!(early.text().contains("the condition has not held"), "one that is there now is explained at any time");
    let never = get(address, &format!("/alerts/{}{}", id(0), "0".repeat(16))).await;
    assert!(never.status == 200 && never.text().contains("not there at that time"));
}

#[tokio::test]
async fn coverage_has_a_page_that_names_what_is_missing() {
    let shop = Shop::watched().await;
    shop.trade().await;
    let page = get(shop.server.address, "/coverage").await;
    let row = |name: &str| {
        let row = page.text().split("<tr>").find(|row| row.contains(name)).unwrap_or_else(|| panic!("{}", page.text()));
        row.split("<td ").skip(1).map(|cell| cell.contains(">none<")).collect::<Vec<_>>()
    };
    // Objective, input, time, page, route, proof, owner: of what there is not nothing can be proven.
    assert_eq!(row("href=\"/services/checkout\""), [false, false, false, false, true, false, true]);
    assert_eq!(row(">search<"), [true, false, false, true, true, false, true]);
    for expected in ["0 of 2 services", "/query?query=evenkeel_adoption_ratio&amp;range=30d"] {
        assert!(page.text().contains(expected), "{expected}: {}", page.text());
    }
}

#[tokio::test]
async fn the_overview_says_the_word_and_why() {
    let shop = Shop::watched().await;
    assert!(get(shop.server.address, "/").await.text().contains("data-verdict=\"BLIND\""));
    shop.trade().await;
    let page = get(shop.server.address, "/").await;
    assert!(page.text().contains("data-verdict=\"HURTING\""));
    assert!(page.text().contains("href=\"/services/checkout\""));
    assert!(page.text().contains("class=\"chart spark\"") && page.text().contains("events bad"));
    let service = get(shop.server.address, "/services/checkout").await;
    assert!(service.text().contains("class=\"chart burn\"") && service.text().contains("99.9 %"));
}

/// Minutes of trade at checkout, 1,200 requests each, of which so many fail.
fn sell(shop: &Shop, minutes: i64, failures: f64) {
    for minute in 0..=minutes {
        let t = NOW_MS + minute * 60_000;
        shop.clock.set(t);
        let sold = minute as f64;
        let rows = batch(&[
            (
                &[("__name__", "requests_total"), ("service", "checkout"), ("code", "200")],
                t,
                sold * (1200.0 - failures),
            ),
            (&[("__name__", "requests_total"), ("service", "checkout"), ("code", "500")], t, sold * failures),
        ]);
        shop.db.append(rows).unwrap();
    }
}

#[tokio::test]
async fn an_objective_has_the_word_of_its_judgement() {
    let shop = Shop::watched().await;
    // Enough for a ticket, and not for a page.
    sell(&shop, 180, 5.4);
    let fires = shop.db.objectives()[0].alerts[0].labels.get("severity").to_owned();
    assert_eq!((fires.as_str(), shop.db.judgement().overall), ("ticket", Verdict::AtRisk));
    let page = get(shop.server.address, "/services/checkout").await;
    let panel = page.text().split("class=\"panel-head\"").nth(1).unwrap();
    let badge = panel.split("class=\"badge ").nth(1).unwrap();
    assert!(badge.starts_with("risk\""), "{badge:.100}");
}

/// Checkout by route, search, and both together.
fn journey() -> Vec<Objective> {
    let mut checkout = availability("checkout");
    checkout.group_by = vec!["route".to_owned()];
    let parts = vec![Part::new("search", "availability", 1.0), Part::new("checkout", "availability", 3.0)];
    let all = Objective::new("shop", "journey", 0.999, Millis::days(30), Indicator::Composite(parts));
    vec![checkout, availability("search"), all]
}

/// The names of the rows of the page's table with this heading.
fn rows(page: &str, heading: &str) -> Vec<String> {
    let table = page.split(&format!(">{heading}</h3>")).nth(1).unwrap().split("</table>").next().unwrap();
    let names = table.split("<th scope=\"row\">").skip(1);
    names.map(|row| row.split('>').nth(1).unwrap().split('<').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_service_shows_its_worst_group_first_and_a_composite_its_parts() {
    let shop = Shop::keeping(journey()).await;
    for i in 0..=40 {
        let t = NOW_MS + i * 15_000;
        shop.clock.set(t);
        let n = i as f64 * 100.0;
        let mut all = Batch::new();
        for (service, route, bad) in
            [("checkout", "/a", 0.0), ("checkout", "/list", 0.01), ("checkout", "/pay", 0.2), ("search", "/", 0.0)]
        {
            let of = |code: &str, v: f64| {
                let pairs = [("__name__", "requests_total"), ("service", service), ("route", route), ("code", code)];
                batch(&[(&pairs, t, v)])
            };
            all.append(of("200", n * (1.0 - bad)));
            all.append(of("500", n * bad));
        }
        shop.db.append(all).unwrap();
    }
    let checkout = get(shop.server.address, "/services/checkout").await;
    assert_eq!(rows(checkout.text(), "By route"), ["/pay", "/list", "/a"]);
    let whole = get(shop.server.address, "/services/shop").await;
    assert_eq!(rows(whole.text(), "Parts"), ["search/availability", "checkout/availability"]);
    let share = whole.text().rsplit("data-label=\"Of what is bad\">").next().unwrap();
    assert!(share.starts_with("100 %<"), "{share:.40}");
    assert!(whole.text().contains("href=\"/services/checkout\""));
}

#[tokio::test]
async fn the_charts_span_what_the_address_says() {
    let shop = Shop::watched().await;
    shop.trade().await;
    let shown = async |path: &str| {
        let page = get(shop.server.address, path).await;
        let text = page.text();
        ["1h", "6h", "1d"]
            .into_iter()
            .find(|span| text.contains(&format!("range={span}\" aria-current=\"true\"")))
            .map(str::to_owned)
    };
    assert_eq!(shown("/services/checkout?range=6h").await.as_deref(), Some("6h"));
    // Something fires, so without a wish the last hour is what matters.
    assert_eq!(shown("/services/checkout").await.as_deref(), Some("1h"));
    assert_eq!(shown("/services/checkout?range=nonsense").await.as_deref(), Some("1h"));
}

#[tokio::test]
async fn a_wrong_query_shows_its_place() {
    let shop = Shop::open().await;
    let page = get(shop.server.address, "/query?query=sum(").await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("1:5: parse error") && page.text().contains("\n    ^"), "{}", page.text());
}

#[tokio::test]
async fn labels_and_queries_never_become_markup() {
    let shop = Shop::open().await;
    let evil = "<img src=x onerror=alert(1)>\"'";
    assert_eq!(shop.write(&batch(&[(&[("__name__", "up"), ("job", evil)], NOW_MS, 1.0)])).await.status, 204);
    for path in ["/query?query=up", "/query?query=%3Cimg%20src%3Dx%3E", "/services/%3Cimg%20src%3Dx%3E"] {
        let page = get(shop.server.address, path).await;
        assert!(!page.text().contains("<img"), "{path}");
    }
}
