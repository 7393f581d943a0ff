//! The API over stored samples: shapes to the letter, errors with their place.

use evenkeel::model::{Batch, Labels, Timestamp};

use super::client::{get, post_form, send};
use super::running::NOW_MS;
use super::shop::{Shop, batch};
use crate::campaign::histograms::growing;

#[tokio::test]
async fn queries_answer_in_prometheus_own_shape() {
    let shop = Shop::open().await;
    let samples = batch(&[
        (&[("__name__", "m"), ("a", "1")], NOW_MS - 500, 0.25),
        (&[("__name__", "m"), ("a", "2")], NOW_MS - 500, f64::INFINITY),
    ]);
    let written = shop.write(&samples).await;
    assert_eq!(written.status, 204);
    assert_eq!(written.header("x-prometheus-remote-write-samples-written"), Some("2"));
    let check = async |target: &str, expected: &str| {
        let answer = get(shop.server.address, target).await;
        assert_eq!((answer.status, answer.text()), (200, expected), "{target}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    };
    check(
        "/api/v1/query?query=m&time=1795446202",
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"m","a":"1"},"value":[1795446202,"0.25"]},{"metric":{"__name__":"m","a":"2"},"value":[1795446202,"+Inf"]}]}}"#,
    )
    .await;
    check(
        "/api/v1/query?query=m&limit=1",
        r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"m","a":"1"},"value":[1795446202,"0.25"]}]},"warnings":["results truncated due to limit"]}"#,
    )
    .await;
    check(
        "/api/v1/query?query=m%7Ba%3D%221%22%7D%5B1m%5D",
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"m","a":"1"},"values":[[1795446201.500,"0.25"]]}]}}"#,
    )
    .await;
    check(
        "/api/v1/query?query=1%2B1&time=2026-11-23T15:03:22.25Z",
        r#"{"status":"success","data":{"resultType":"scalar","result":[1795446202.250,"2"]}}"#,
    )
    .await;
    check("/api/v1/query?query=nothing", r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#).await;
    check(
        "/api/v1/query_range?query=sum(m%7Ba%3D%221%22%7D)&start=1795446202&end=1795446212&step=5",
        r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1795446202,"0.25"],[1795446207,"0.25"],[1795446212,"0.25"]]}]}}"#,
    )
    .await;
    let posted = post_form(shop.server.address, "/api/v1/query?query=nonsense(", "query=1%2B1&time=4").await;
    assert_eq!(posted.text(), r#"{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}"#);
}

#[tokio::test]
async fn native_histograms_are_taken_and_counted() {
    let shop = Shop::open().await;
    let write = async |steps: &[(&str, i64, u64)]| {
        let mut batch = Batch::new();
        for (name, ms, step) in steps {
            let labels = Labels::new([("__name__", *name)]).unwrap();
            batch.push_histogram(labels, growing(Timestamp(NOW_MS + ms), *step));
        }
        let answer = shop.write(&batch).await;
        let written = answer.header("x-prometheus-remote-write-histograms-written").map(str::to_owned);
        (answer.status, written.unwrap_or_default(), answer.text().to_owned())
    };
    let none = String::new;
    assert_eq!(write(&[("h", 0, 1), ("i", 0, 1)]).await, (204, "2".to_owned(), none()));
    assert_eq!(write(&[("h", 0, 1), ("h", 1, 2)]).await, (204, "1".to_owned(), none()), "the same again is no fault");
    let text = "0 samples and 1 native histogram stored; 1 sample refused: 1 × duplicate sample for timestamp; \
        the first: duplicate sample for timestamp at 2026-11-23T15:03:22.001Z in series h\n";
    assert_eq!(write(&[("h", 1, 3), ("i", 1, 1)]).await, (400, "1".to_owned(), text.to_owned()));
    let names = get(shop.server.address, "/api/v1/label/__name__/values").await;
    assert_eq!(names.text(), r#"{"status":"success","data":["h","i"]}"#);
}

#[tokio::test]
async fn a_bad_parameter_is_named() {
    let shop = Shop::open().await;
    let check = async |target: &str, status: u16, kind: &str, beginning: &str| {
        let answer = get(shop.server.address, target).await;
        let json = answer.json();
        assert_eq!((answer.status, json["errorType"].as_str()), (status, Some(kind)), "{target}");
        let text = json["error"].as_str().unwrap();
        assert!(text.starts_with(beginning), "{target}: {text}");
    };
    let bad = "bad_data";
    check("/api/v1/query?query=sum(", 400, bad, "invalid parameter \"query\": 1:5: parse error: ").await;
    check("/api/v1/query", 400, bad, "invalid parameter \"query\": ").await;
    check(
        "/api/v1/query?query=1&time=x",
        400,
        bad,
        "invalid parameter \"time\": invalid time value for 'time': cannot parse \"x\" to a valid timestamp",
    )
    .await;
    check("/api/v1/query?query=1&limit=x", 400, bad, "invalid parameter \"limit\": ").await;
    check(
        "/api/v1/query?query=1&timeout=x",
        400,
        bad,
        "invalid parameter \"timeout\": cannot parse \"x\" to a valid duration",
    )
    .await;
    let range = "/api/v1/query_range?query=1";
    check(range, 400, bad, "invalid parameter \"start\": ").await;
    check(
        &format!("{range}&start=2&end=1&step=1"),
        400,
        bad,
        "invalid parameter \"end\": end timestamp must not be before start time",
    )
    .await;
    check(&format!("{range}&start=1&end=2&step=0"), 400, bad, "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer").await;
    check(
        &format!("{range}&start=0&end=11001&step=1"),
        400,
        bad,
        "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
    )
    .await;
    assert_eq!(get(shop.server.address, &format!("{range}&start=0&end=11000&step=1")).await.status, 200);
    check("/api/v1/series", 400, bad, "no match[] parameter provided").await;
    check("/api/v1/series?match[]=%7B%7D", 400, bad, "invalid parameter \"match[]\": ").await;
    check("/api/v1/labels?match[]=%7B%7D", 400, bad, "match[] must contain at least one non-empty matcher").await;
    check("/api/v1/query_exemplars?query=up&start=2&end=1", 400, bad, "end timestamp must not be before start").await;
    check("/api/v1/rules?type=x", 400, bad, "invalid parameter \"type\": ").await;
    check(&format!("{range}&start=0&end=10&step=0.0005"), 400, bad, "exceeded maximum resolution of 11,000").await;
    check(&format!("{range}&start=0&end=0.1&step=0.0005"), 400, bad, "invalid parameter \"step\": zero or negative")
        .await;
    check(
        &format!("{range}&start=0&end=10&step=1&timeout=0"),
        400,
        bad,
        "invalid parameter \"query\": context deadline exceeded",
    )
    .await;
    check(
        "/api/v1/query?query=1&timeout=1e20",
        400,
        bad,
        "invalid parameter \"timeout\": cannot parse \"1e20\" to a valid duration. It overflows int64",
    )
    .await;
    check("/api/v1/query?query=1&lookback_delta=x", 400, bad, "error parsing lookback delta duration: cannot parse")
        .await;
    check("/api/v1/query?query=1&limit=-1", 400, bad, "invalid parameter \"limit\": limit must be non-negative").await;
    check(
        "/api/v1/rules?exclude_alerts=x",
        400,
        bad,
        "invalid parameter \"exclude_alerts\": error converting exclude_alerts: ",
    )
    .await;
    check("/api/v1/status/tsdb?limit=0", 400, bad, "limit must be a positive number").await;
}

#[tokio::test]
async fn names_values_and_series_are_listed() {
    let shop = Shop::open().await;
    let written = shop
        .write(&batch(&[
            (&[("__name__", "a"), ("x", "1")], NOW_MS, 1.0),
            (&[("__name__", "b"), ("x", "2"), ("http.code", "200")], NOW_MS, 1.0),
        ]))
        .await;
    assert_eq!(written.status, 204);
    let check = async |target: &str, expected: &str| {
        let answer = get(shop.server.address, target).await;
        assert_eq!(answer.text(), format!("{{\"status\":\"success\",\"data\":{expected}}}"), "{target}");
    };
    check("/api/v1/labels", r#"["__name__","http.code","x"]"#).await;
    check("/api/v1/labels?match[]=a", r#"["__name__","x"]"#).await;
    check("/api/v1/label/x/values", r#"["1","2"]"#).await;
    check("/api/v1/label/x/values?match[]=b&match[]=a", r#"["1","2"]"#).await;
    check("/api/v1/label/U__http_2e_code/values", r#"["200"]"#).await;
    check("/api/v1/label/absent/values", "[]").await;
    check("/api/v1/series?match[]=a", r#"[{"__name__":"a","x":"1"}]"#).await;
    check("/api/v1/series?match[]=nothing", "[]").await;
    let cut = get(shop.server.address, "/api/v1/labels?limit=1").await.json();
    assert_eq!(cut["data"].as_array().unwrap().len(), 1);
    assert_eq!(cut["warnings"][0], "results truncated due to limit");
    let tsdb = get(shop.server.address, "/api/v1/status/tsdb").await.json();
    assert_eq!(tsdb["data"]["headStats"]["numSeries"], 2);
    assert_eq!(tsdb["data"]["seriesCountByMetricName"][0]["value"], 1);
}

#[tokio::test]
async fn a_write_is_refused_with_its_reason() {
    let shop = Shop::open().await;
    let address = shop.server.address;
    let check = async |headers: &[(&str, &str)], body: &[u8], status: u16, part: &str| {
        let answer = send(address, "POST", "/api/v1/write", headers, body).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(answer.text().contains(part), "{}", answer.text());
    };
    let proto = ("Content-Type", "application/x-protobuf");
    check(&[("Content-Type", "application/json")], b"", 415, "application/json").await;
    check(&[], b"", 415, "content type").await;
    let second = ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");
    check(&[second], b"", 415, "write.v2").await;
    check(&[proto, ("Content-Encoding", "gzip")], b"", 415, "gzip").await;
    check(&[proto], b"this is not snappy", 400, "snappy").await;
    // 4 GiB announced by five bytes.
    check(&[proto], b"\xff\xff\xff\xff\x0f\x00", 413, "4294967295 bytes").await;
    let mut encoder = Vec::new();
    encoder.extend_from_slice(&[3, 2 << 2, 0x0a, 0x7f, 0x00]);
    check(&[proto], &encoder, 400, "byte").await;
    assert_eq!(get(address, "/api/v1/labels").await.json()["data"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn samples_that_cannot_be_stored_are_counted_and_the_others_stay() {
    let shop = Shop::open().await;
    let name: &[(&str, &str)] = &[("__name__", "m")];
    assert_eq!(shop.write(&batch(&[(name, NOW_MS, 1.0)])).await.status, 204);
    let mixed = shop
        .write(&batch(&[
            (name, NOW_MS, 2.0),
            (&[("__name__", "n")], NOW_MS, 1.0),
            (&[("__name__", "o")], NOW_MS + 86_400_000, 1.0),
        ]))
        .await;
    assert_eq!(mixed.status, 400);
    assert_eq!(mixed.header("x-prometheus-remote-write-samples-written"), Some("1"));
    assert!(mixed.text().contains("1 × duplicate sample for timestamp"), "{}", mixed.text());
    assert!(mixed.text().contains("1 × timestamp too far in the future"), "{}", mixed.text());
    assert!(
        mixed.text().contains("the first: duplicate sample for timestamp at 2026-11-23T15:03:22.000Z"),
        "{}",
        mixed.text()
    );
    let kept = get(shop.server.address, "/api/v1/query?query=n").await.json();
    assert_eq!(kept["data"]["result"][0]["value"][1], "1");
}

#[tokio::test]
async fn rules_alerts_and_the_verdict_follow_the_samples() {
    let shop = Shop::watched().await;
    let address = shop.server.address;
    let before = get(address, "/api/v1/verdict").await.json();
    assert_eq!(before["data"]["verdict"], "BLIND");
    shop.trade().await;
    let alerts = get(address, "/api/v1/alerts").await.json();
    let alert = alerts["data"]["alerts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|alert| alert["labels"]["alertname"] == "Errors")
        .unwrap_or_else(|| panic!("{alerts}"));
    assert_eq!(alert["state"], "firing");
    assert_eq!(alert["annotations"]["summary"], "checkout fails");
    assert_eq!(alert["value"], "1e-01");
    let rules = get(address, "/api/v1/rules").await.json();
    let group = &rules["data"]["groups"][0];
    assert_eq!((group["name"].as_str(), group["interval"].as_f64()), (Some("shop"), Some(15.0)));
    assert_eq!(group["rules"][0]["type"], "alerting");
    assert_eq!(group["rules"][0]["state"], "firing");
    assert_eq!(group["rules"][0]["duration"], 60.0);
    assert_eq!(group["rules"][1]["type"], "recording");
    assert!(group["rules"][1].get("state").is_none());
    let only = get(address, "/api/v1/rules?type=record").await.json();
    assert_eq!(only["data"]["groups"][0]["rules"].as_array().unwrap().len(), 1);
    let verdict = get(address, "/api/v1/verdict").await.json();
    assert_eq!(verdict["data"]["verdict"], "HURTING", "{verdict}");
    assert_eq!(verdict["data"]["exit_code"], 2);
    let objectives = get(address, "/api/v1/objectives").await.json();
    assert_eq!(objectives["data"][0]["service"], "checkout");
    assert!(objectives["data"][0]["burns"][0]["short"]["burn"].as_f64().unwrap() > 50.0);
}

#[tokio::test]
async fn deploys_are_marked_and_listed() {
    let shop = Shop::open().await;
    let address = shop.server.address;
    let marked = post_form(address, "/api/v1/deploys", "service=checkout&version=v2").await;
    assert_eq!(marked.status, 200, "{}", marked.text());
    let list = get(address, "/api/v1/deploys").await.json();
    assert_eq!(list["data"][0]["version"], "v2");
    assert_eq!(list["data"][0]["at"], "2026-11-23T15:03:22.000Z");
    assert_eq!(post_form(address, "/api/v1/deploys", "service=checkout").await.status, 400);
}

#[tokio::test]
async fn a_query_is_formatted_without_data() {
    let shop = Shop::open().await;
    let formatted = post_form(shop.server.address, "/api/v1/format_query", "query=sum( up )by(job)").await.json();
    assert_eq!(formatted["data"], "sum by (job) (up)");
    let parsed = get(shop.server.address, "/api/v1/parse_query?query=up").await.json();
    assert_eq!((&parsed["data"]["type"], &parsed["data"]["name"]), (&"vectorSelector".into(), &"up".into()));
}

#[tokio::test]
async fn lists_that_are_empty_are_there() {
    let shop = Shop::open().await;
    let check = async |path: &str, expected: &str| {
        assert_eq!(
            get(shop.server.address, path).await.text(),
            format!("{{\"status\":\"success\",\"data\":{expected}}}")
        );
    };
    check("/api/v1/metadata", "{}").await;
    check("/api/v1/query_exemplars?query=up", "[]").await;
    check("/api/v1/targets", r#"{"activeTargets":[],"droppedTargets":[],"droppedTargetCounts":{}}"#).await;
    check("/api/v1/alertmanagers", r#"{"activeAlertmanagers":[],"droppedAlertmanagers":[]}"#).await;
    assert_eq!(get(shop.server.address, "/-/ready").await.status, 200);
    let metrics = get(shop.server.address, "/metrics").await;
    assert!(metrics.text().contains("evenkeel_ready 1") && metrics.text().contains("process_cpu_seconds_total "));
    assert_eq!(send(shop.server.address, "POST", "/-/reload", &[], b"").await.status, 404);
}
