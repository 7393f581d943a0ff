//! Health, what is there before the database is, and what is not there at all.

use evenkeel::server::ServerOptions;

use super::client::{get, send};
use super::running::Running;

#[tokio::test]
async fn before_the_replay_is_done_only_the_health_answers() {
    let server = Running::start(ServerOptions::default()).await;
    assert_eq!(get(server.address, "/-/healthy").await.status, 200);
    let ready = get(server.address, "/-/ready").await;
    assert_eq!((ready.status, ready.text()), (503, "Service Unavailable"));
    let query = get(server.address, "/api/v1/query?query=1").await;
    assert_eq!(query.status, 503);
    assert_eq!(query.json()["errorType"], "unavailable");
    assert_eq!(query.header("retry-after"), Some("1"));
    let metrics = get(server.address, "/metrics").await;
    assert!(metrics.text().contains("evenkeel_ready 0"), "{}", metrics.text());
}

#[tokio::test]
async fn what_is_not_there_says_so_in_json_under_the_api() {
    let server = Running::start(ServerOptions::default()).await;
    let check = async |method: &str, path: &str, status: u16, kind: &str| {
        let answer = send(server.address, method, path, &[], b"").await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.json()["errorType"], kind, "{path}");
    };
    check("GET", "/api/v1/nothing", 404, "not_found").await;
    check("GET", "/api/v2/alerts", 404, "not_found").await;
    check("DELETE", "/api/v1/query", 405, "bad_data").await;
    check("GET", "/api/v1/write", 405, "bad_data").await;
    assert_eq!(get(server.address, "/nothing").await.status, 404);
    assert_eq!(get(server.address, "/assets/../Cargo.toml").await.status, 404);
}

#[tokio::test]
async fn browsers_are_held_to_our_own_content() {
    let server = Running::start(ServerOptions::default()).await;
    for path in ["/", "/assets/style.css", "/api/v1/status/buildinfo", "/nothing"] {
        let answer = get(server.address, path).await;
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.starts_with("default-src 'none'; style-src 'self';"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
}

#[tokio::test]
async fn grafana_takes_the_server_for_prometheus() {
    let server = Running::start(ServerOptions::default()).await;
    let build = get(server.address, "/api/v1/status/buildinfo").await.json();
    assert_eq!(build["status"], "success");
    assert!(build["data"]["version"].is_string());
    assert!(build["data"].get("features").is_none());
    let runtime = get(server.address, "/api/v1/status/runtimeinfo").await.json();
    assert_eq!(runtime["data"]["serverTime"], "2026-11-23T15:03:22.000Z");
}

#[tokio::test]
async fn answers_are_compressed_for_those_who_ask() {
    let server = Running::start(ServerOptions::default()).await;
    let plain = get(server.address, "/assets/style.css").await;
    let packed = send(server.address, "GET", "/assets/style.css", &[("Accept-Encoding", "gzip")], b"").await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.starts_with(&[0x1f, 0x8b]) && packed.body.len() < plain.body.len());
}
