//! What Grafana's Prometheus data source asks, in its order and with its parameters: the health check, the
//! choice of features by version, the metric and label browsers, panels, exemplars, alert lists.

use std::sync::Arc;

use evenkeel::db::{Beside, Db, DbOptions, Threads};
use evenkeel::env::ManualClock;
use evenkeel::env::disk::MemoryDisk;
use evenkeel::model::{Exemplar, MetricKind, MetricMetadata, Sample, SeriesExemplar, Timestamp};
use evenkeel::server::ServerOptions;
use serde_json::{Value, json};

use super::client::{Answer, get, post_form, send};
use super::running::{NOW_MS, Running};
use super::shop::{Shop, batch, labels};

const SECOND: i64 = NOW_MS / 1000;

async fn data_source() -> Running {
    let mut options = DbOptions::new("/db");
    options.disk = Arc::new(MemoryDisk::new());
    options.threads = Threads::None;
    options.clock = Arc::new(ManualClock::new(NOW_MS));
    let db = Db::open(options).unwrap();
    for i in 0..=40 {
        let t = NOW_MS - (40 - i) * 15_000;
        let series = |code, factor: f64| {
            let labels: &[(&str, &str)] = match code {
                "200" => &[("__name__", "http_requests_total"), ("job", "shop"), ("code", "200")],
                _ => &[("__name__", "http_requests_total"), ("job", "shop"), ("code", "500")],
            };
            (labels, t, i as f64 * factor)
        };
        let up: &[(&str, &str)] = &[("__name__", "up"), ("job", "shop"), ("instance", "a:80")];
        db.append(batch(&[series("200", 30.0), series("500", 3.0), (up, t, 1.0)])).unwrap();
    }
    let exemplar = SeriesExemplar {
        series: labels(&[("__name__", "http_requests_total"), ("job", "shop"), ("code", "200")]),
        exemplar: Exemplar {
            labels: labels(&[("traceID", "abc")]),
            sample: Sample { t: Timestamp(NOW_MS - 60_000), v: 0.5 },
        },
    };
    let help = MetricMetadata {
        family: "http_requests_total".to_owned(),
        kind: MetricKind::Counter,
        help: "Requests.".to_owned(),
        unit: String::new(),
    };
    let beside = Beside { exemplars: vec![exemplar], metadata: vec![help] };
    db.append_with(batch(&[(&[("__name__", "beside")], NOW_MS, 1.0)]), beside).unwrap();
    let server = Running::start(ServerOptions::default()).await;
    server.state.ready(db);
    server
}

fn data(answer: &Answer) -> Value {
    let json = answer.json();
    assert_eq!((answer.status, &json["status"]), (200, &json!("success")), "{json}");
    json["data"].clone()
}

#[tokio::test]
async fn the_health_check_passes_and_features_are_chosen_by_version() {
    let server = data_source().await;
    let health = post_form(server.address, "/api/v1/query", "query=1%2B1&time=4").await;
    assert_eq!(data(&health), json!({"resultType": "scalar", "result": [4, "2"]}));
    let build = data(&get(server.address, "/api/v1/status/buildinfo").await);
    let version: Vec<u32> = build["version"].as_str().unwrap().split('.').map(|part| part.parse().unwrap()).collect();
    assert!(version >= vec![2, 24, 0], "below this it does not ask for labels by series");
    assert!(build.get("features").is_none(), "with it, it takes the server for Mimir");
    // An older way to tell servers with rules apart; only the status counts.
    assert_eq!(get(server.address, "/api/v1/rules").await.status, 200);
}

#[tokio::test]
async fn the_browsers_find_metrics_labels_and_values() {
    let server = data_source().await;
    let span = format!("start={}&end={SECOND}", SECOND - 3600);
    let names = get(server.address, &format!("/api/v1/label/__name__/values?{span}&limit=40000")).await;
    assert_eq!(data(&names), json!(["beside", "http_requests_total", "up"]));
    let metadata = get(server.address, "/api/v1/metadata?limit=40000").await;
    let one = json!([{"type": "counter", "help": "Requests.", "unit": ""}]);
    assert_eq!(data(&metadata), json!({"http_requests_total": one}));
    let form = format!("{span}&match%5B%5D=http_requests_total&limit=40000");
    assert_eq!(data(&post_form(server.address, "/api/v1/labels", &form).await), json!(["__name__", "code", "job"]));
    let selector = "match%5B%5D=%7B__name__%3D%22http_requests_total%22%2Cjob%3D%22shop%22%7D";
    let values = get(server.address, &format!("/api/v1/label/code/values?{span}&{selector}&limit=40000")).await;
    assert_eq!(data(&values), json!(["200", "500"]));
    let series = post_form(server.address, "/api/v1/series", &format!("{span}&{selector}&limit=40000")).await;
    assert_eq!(data(&series).as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn panels_variables_and_annotations_get_their_values() {
    let server = data_source().await;
    let query = "query=sum+by+(code)+(rate(http_requests_total%7Bjob%3D~%22shop%7Cother%22%7D%5B1m0s%5D))";
    // Aligned to the step, as the data source asks.
    let (start, end) = ((SECOND - 300) / 15 * 15, SECOND / 15 * 15);
    let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept-Encoding", "gzip")];
    let form = format!("{query}&start={start}.000&end={end}&step=15");
    let panel = post_form(server.address, "/api/v1/query_range", &form).await;
    let panel = data(&panel);
    assert_eq!((&panel["resultType"], panel["result"].as_array().unwrap().len()), (&json!("matrix"), 2));
    let values = panel["result"][0]["values"].as_array().unwrap();
    let rate: f64 = values[0][1].as_str().unwrap().parse().unwrap();
    assert!(values.len() == 21 && (rate - 2.0).abs() < 1e-9, "{values:?}");
    let packed = send(server.address, "POST", "/api/v1/query_range", &headers, form.as_bytes()).await;
    assert_eq!((packed.status, packed.header("content-encoding")), (200, Some("gzip")));
    let instant = post_form(server.address, "/api/v1/query", &format!("query=up&time={SECOND}.123")).await;
    assert_eq!(data(&instant)["result"][0]["value"], json!([SECOND as f64 + 0.123, "1"]));
    // query_result() of a template variable.
    let variable = format!("/api/v1/query?query=topk(1%2Chttp_requests_total)&time={SECOND}");
    let variable = get(server.address, &variable).await;
    assert_eq!(data(&variable)["result"][0]["metric"]["code"], "200");
    let exemplars = format!("query=http_requests_total&start={}&end={SECOND}", SECOND - 600);
    let expected = json!([{
        "seriesLabels": {"__name__": "http_requests_total", "code": "200", "job": "shop"},
        "exemplars": [{"labels": {"traceID": "abc"}, "value": "0.5", "timestamp": SECOND as f64 - 60.0}],
    }]);
    assert_eq!(data(&post_form(server.address, "/api/v1/query_exemplars", &exemplars).await), expected);
    assert_eq!(data(&get(server.address, &format!("/api/v1/query_exemplars?{exemplars}")).await), expected);
}

#[tokio::test]
async fn mistakes_are_shown_in_the_editor() {
    let server = data_source().await;
    let wrong = post_form(server.address, "/api/v1/query_range", "query=rate(up&start=1&end=2&step=1").await;
    let json = wrong.json();
    assert_eq!((wrong.status, &json["status"], &json["errorType"]), (400, &json!("error"), &json!("bad_data")));
    assert!(json["error"].as_str().unwrap().contains("parse error"), "{json}");
    let hint = post_form(server.address, "/api/v1/query", &format!("query=rate(up%5B5m%5D)&time={SECOND}")).await;
    assert!(hint.json()["infos"][0].as_str().unwrap().starts_with("PromQL info: metric might not be a counter"));
    let tree = data(&post_form(server.address, "/api/v1/parse_query", "query=rate(up%5B5m%5D)").await);
    assert_eq!((&tree["type"], &tree["args"][0]["range"]), (&json!("call"), &json!(300_000)));
}

#[tokio::test]
async fn alert_lists_and_pages_of_groups_are_read() {
    let shop = Shop::watched().await;
    shop.trade().await;
    let rules = async |parameters: &str| data(&get(shop.server.address, &format!("/api/v1/rules{parameters}")).await);
    let group = &rules("?type=alert").await["groups"][0];
    for key in ["name", "file", "rules", "interval", "limit", "evaluationTime", "lastEvaluation"] {
        assert!(group.get(key).is_some(), "{key}");
    }
    let keys = [
        "state",
        "name",
        "query",
        "duration",
        "keepFiringFor",
        "labels",
        "annotations",
        "alerts",
        "health",
        "evaluationTime",
        "lastEvaluation",
        "type",
    ];
    for key in keys {
        assert!(group["rules"][0].get(key).is_some(), "{key}");
    }
    assert_eq!(group["rules"][0]["alerts"].as_array().unwrap().len(), 1);
    let quiet = rules("?exclude_alerts=true&type=alert").await;
    assert_eq!(quiet["groups"][0]["rules"][0]["alerts"], json!([]));
    let paging = rules("?match[]=%7Bseverity%3D%22page%22%7D").await;
    assert_eq!(paging["groups"][0]["rules"].as_array().unwrap().len(), 1);
    assert_eq!(rules("?match[]=%7Bseverity%3D%22none%22%7D").await["groups"], json!([]));
    let page = rules("?group_limit=1").await;
    assert_eq!((page["groups"].as_array().unwrap().len(), page.get("groupNextToken")), (1, None), "there is one");
    for wrong in ["?group_limit=0", "?group_limit=x", "?group_next_token=x", "?group_limit=1&group_next_token=x"] {
        assert_eq!(get(shop.server.address, &format!("/api/v1/rules{wrong}")).await.status, 400, "{wrong}");
    }
    let alerts = data(&get(shop.server.address, "/api/v1/alerts").await);
    assert!(alerts["alerts"].as_array().unwrap().iter().all(|alert| alert["value"].as_str().unwrap().contains('e')));
}
