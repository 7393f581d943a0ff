//! Health, what is there before the database is, and what is not there at all.

use evenkeel::model::Pattern;
use evenkeel::server::{Origins, ServerOptions};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

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
async fn what_is_not_there_says_so_as_prometheus_does() {
    let server = Running::start(ServerOptions::default()).await;
    let check = async |method: &str, path: &str, status: u16, text: &str| {
        let answer = send(server.address, method, path, &[], b"").await;
        assert_eq!((answer.status, answer.text()), (status, text), "{path}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{path}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{path}");
    };
    check("GET", "/api/v1/nothing", 404, "404 page not found\n").await;
    check("DELETE", "/api/v1/query", 405, "Method Not Allowed\n").await;
    check("GET", "/api/v1/write", 405, "Method Not Allowed\n").await;
    assert_eq!(get(server.address, "/api/v2/alerts").await.status, 404);
    assert_eq!(get(server.address, "/nothing").await.status, 404);
    assert_eq!(get(server.address, "/assets/../Cargo.toml").await.status, 404);
}

#[tokio::test]
async fn pages_of_allowed_origins_may_read_the_api() {
    let any = Running::start(ServerOptions::default()).await;
    let pattern = Pattern::new("https://.*[.]example").unwrap();
    let options = ServerOptions { origins: Origins::Matching(pattern), ..ServerOptions::default() };
    let some = Running::start(options).await;
    let check = async |server: &Running, method: &str, path: &str, origin: &str, status: u16, allowed: bool| {
        let answer = send(server.address, method, path, &[("Origin", origin)], b"").await;
        assert_eq!(answer.status, status, "{method} {path}");
        let expected = allowed.then_some(origin);
        assert_eq!(answer.header("access-control-allow-origin"), expected, "{method} {path} {origin}");
        assert_eq!(answer.header("access-control-allow-methods").is_some(), allowed);
        assert!(answer.head.to_ascii_lowercase().contains("vary: origin"));
    };
    check(&any, "OPTIONS", "/api/v1/query", "http://x", 204, true).await;
    check(&any, "OPTIONS", "/api/v1/nothing", "http://x", 204, true).await;
    check(&any, "GET", "/api/v1/status/buildinfo", "http://x", 200, true).await;
    check(&some, "GET", "/api/v1/status/buildinfo", "https://a.example", 200, true).await;
    check(&some, "GET", "/api/v1/status/buildinfo", "https://a.example.org", 200, false).await;
    check(&some, "OPTIONS", "/api/v1/query", "http://x", 204, false).await;
    let none = send(any.address, "OPTIONS", "/api/v1/query", &[], b"").await;
    assert_eq!((none.status, none.header("access-control-allow-origin")), (204, None));
    let page = send(any.address, "GET", "/", &[("Origin", "http://x")], b"").await;
    assert_eq!(page.header("access-control-allow-origin"), None, "only the API");
}

#[tokio::test]
async fn the_server_says_what_it_is() {
    let flags = vec![("query.timeout".to_owned(), "2m".to_owned())];
    let options = ServerOptions { flags, ..ServerOptions::default() };
    let server = Running::start(options).await;
    let data = async |path: &str| get(server.address, &format!("/api/v1/{path}")).await.json()["data"].take();
    assert_eq!(data("status/flags").await["query.timeout"], "2m");
    assert_eq!(data("status/walreplay").await, serde_json::json!({"min": 0, "max": 0, "current": 0}));
    let features = data("features").await;
    assert_eq!((&features["promql_functions"]["rate"], &features["api"]["admin"]), (&true.into(), &false.into()));
    let starting = data("notifications").await;
    assert_eq!((starting.as_array().unwrap().len(), &starting[0]["active"]), (1, &true.into()));
    server.state.note_reload(&Err::<(), &str>("line 3"));
    assert_eq!(data("notifications").await[1]["text"], "Configuration reload has failed.");
    assert_eq!(data("status/runtimeinfo").await["reloadConfigSuccess"], false);
    server.state.note_reload(&Ok::<(), &str>(()));
    assert_eq!(data("notifications").await.as_array().unwrap().len(), 1);
    let described = get(server.address, "/api/v1/openapi.yaml").await;
    assert!(described.text().starts_with("openapi: 3.1.0\n"));
    let newer = get(server.address, "/api/v1/openapi.yaml?openapi_version=3.2").await;
    assert!(newer.text().starts_with("openapi: 3.2.0\n"));
    assert_eq!(get(server.address, "/api/v1/openapi.yaml?openapi_version=2").await.status, 400);
}

#[tokio::test]
async fn notifications_are_followed_as_they_come() {
    let server = Running::start(ServerOptions::default()).await;
    let mut peer = TcpStream::connect(server.address).await.unwrap();
    let request = b"GET /api/v1/notifications/live HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: gzip\r\n\r\n";
    peer.write_all(request).await.unwrap();
    let mut seen = String::new();
    let mut wait_for = async |text: &str| {
        while !seen.contains(text) {
            let mut bytes = [0; 1024];
            let n = peer.read(&mut bytes).await.unwrap();
            assert!(n > 0, "{seen}");
            seen.push_str(std::str::from_utf8(&bytes[..n]).unwrap());
        }
    };
    wait_for("replays its log").await;
    server.state.note_reload(&Err::<(), &str>("line 3"));
    wait_for("Configuration reload has failed.\",\"date\":\"2026-11-23T15:03:22.000Z\",\"active\":true").await;
    assert!(seen.to_ascii_lowercase().contains("content-type: text/event-stream"));
    // A stream that lasts does not hold up the end.
    server.stop().await;
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
