//! How queries are taken in: abusive ones are refused or bounded, and the others go on.

use std::sync::Arc;

use evenkeel::db::{Db, DbOptions, Threads};
use evenkeel::env::disk::MemoryDisk;
use evenkeel::env::{ManualClock, SystemClock};
use evenkeel::model::Millis;
use evenkeel::server::ServerOptions;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::client::{Answer, get, post_form};
use super::running::{NOW_MS, Running};
use super::shop::batch;

/// A server with 500 series of eight labels, and few samples for each query.
async fn crowded(mut options: ServerOptions) -> Running {
    let mut db = DbOptions::new("/db");
    db.disk = Arc::new(MemoryDisk::new());
    db.threads = Threads::None;
    db.clock = Arc::new(ManualClock::new(NOW_MS));
    let db = Db::open(db).unwrap();
    let names: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    for t in 0..20 {
        let pairs: Vec<[(&str, &str); 3]> =
            names.iter().map(|n| [("__name__", "m"), ("n", n.as_str()), ("job", "x")]).collect();
        let rows: Vec<_> =
            pairs.iter().map(|pairs| (pairs.as_slice(), NOW_MS - 300_000 + t * 15_000, t as f64)).collect();
        db.append(batch(&rows)).unwrap();
    }
    options.query.samples_max = 200_000;
    options.query.samples_small = 50_000;
    let server = Running::start(options).await;
    server.state.ready(db);
    server
}

async fn metric(server: &Running, series: &str) -> f64 {
    let metrics = get(server.address, "/metrics").await;
    let line = metrics.text().lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series}")).parse().unwrap()
}

#[tokio::test]
async fn queries_of_death_are_refused_or_bounded() {
    let server = crowded(ServerOptions::default()).await;
    let at = NOW_MS / 1000;
    let deep = "(".repeat(10_000) + "1" + &")".repeat(10_000);
    let wide = vec!["m"; 2000].join("+");
    let long = "a".repeat(300_000);
    // The endpoint, the query, and the answers that will do.
    let cases: [(&str, &str, &[u16]); 17] = [
        // Every series against every other.
        ("query", "m * on(job) group_left() m", &[422]),
        ("query", "count(m) by (n) * on() group_left() m", &[422]),
        // Windows beyond all time.
        ("query", "sum_over_time(m[290y])", &[200]),
        ("query", "sum_over_time(m[300y])", &[400]),
        ("query", "m offset 290y", &[200]),
        ("query", "m @ 9e15", &[200, 400, 422]),
        // More inner steps than any memory holds.
        ("query", "max_over_time(vector(1)[290y:1ms])", &[422]),
        ("query", "count_over_time(max_over_time(m[5m:1ms])[5m:1ms])", &[422]),
        ("query", "sum_over_time(sum_over_time(sum_over_time(m[1h:1s])[1h:1s])[1h:1s])", &[422]),
        // More values than the query may hold.
        ("range", "m", &[422]),
        ("range", "m or m or m", &[422]),
        ("range", "label_replace(m, \"x\", \"$1$1$1$1$1$1$1$1\", \"job\", \"(.*)\")", &[422]),
        // Text without end.
        ("query", &deep, &[400]),
        ("query", &wide, &[200, 400, 422]),
        ("query", &long, &[400, 413]),
        // Patterns that explode elsewhere.
        ("query", "m{n=~\"((((((.*)*)*)*)*)*)*b\"}", &[200]),
        ("query", "m{n=~\"(x{1000}){1000}\"}", &[400]),
    ];
    let mut wrong = Vec::new();
    for (endpoint, query, expected) in cases {
        let text: String = query.bytes().map(|b| format!("%{b:02X}")).collect();
        let answer = match endpoint {
            "range" => {
                let form = format!("query={text}&start={}&end={at}&step=1", at - 10_000);
                post_form(server.address, "/api/v1/query_range", &form).await
            }
            _ => post_form(server.address, "/api/v1/query", &format!("query={text}&time={at}")).await,
        };
        let shown = &query[..query.len().min(80)];
        if !expected.contains(&answer.status) {
            wrong.push(format!("{shown}: {} {}", answer.status, &answer.text()[..200.min(answer.text().len())]));
        }
        if answer.status != 200 {
            assert_eq!(answer.json()["status"], "error", "{shown}");
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    let good = get(server.address, &format!("/api/v1/query?query=count(m)&time={}", at - 15)).await;
    assert_eq!(good.json()["data"]["result"][0]["value"][1], "500", "and others are answered");
    assert!(metric(&server, "evenkeel_query_total{outcome=\"too_large\"}").await >= 5.0);
    assert_eq!(metric(&server, "evenkeel_query_running").await, 0.0);
}

#[tokio::test]
async fn odd_parameters_end_no_thread() {
    let server = crowded(ServerOptions::default()).await;
    let numbers = [
        "0",
        "-1",
        "1e300",
        "-1e300",
        "NaN",
        "Inf",
        "9223372036854775807",
        "-9223372036854775808",
        "0.0000001",
        "x",
        "",
    ];
    for start in numbers {
        for end in numbers {
            for step in ["1", "1e300", "0.0001", "9223372036"] {
                let target = format!("/api/v1/query_range?query=m&start={start}&end={end}&step={step}");
                let status = get(server.address, &target).await.status;
                assert!([200, 400, 422].contains(&status), "{target}: {status}");
            }
        }
    }
    for odd in numbers {
        for target in [
            format!("query?query=m&time={odd}"),
            format!("query?query=m&lookback_delta={odd}"),
            format!("query?query=m&timeout={odd}"),
            format!("query?query=m&limit={odd}"),
            format!("series?match[]=m&start={odd}&limit=1"),
            format!("labels?end={odd}&limit={odd}"),
            format!("status/tsdb?limit={odd}"),
            format!("rules?group_limit={odd}"),
        ] {
            let status = get(server.address, &format!("/api/v1/{target}")).await.status;
            assert!([200, 400, 422].contains(&status), "{target}: {status}");
        }
    }
}

#[tokio::test]
async fn a_large_query_is_answered_alone() {
    let server = crowded(ServerOptions::default()).await;
    let at = NOW_MS / 1000;
    // Between the two limits: 500 series with 201 values each.
    let target = format!("/api/v1/query_range?query=m&start={}&end={at}&step=1&stats=all", at - 200);
    let large = get(server.address, &target).await;
    assert_eq!(large.status, 200, "{}", &large.text()[..200]);
    assert_eq!(large.json()["data"]["result"].as_array().unwrap().len(), 500);
    let stats = &large.json()["data"]["stats"];
    assert!(stats["samples"]["totalQueryableSamples"].as_u64().unwrap() >= 500 * 14, "{stats}");
    assert!(stats["timings"]["execTotalTime"].is_number());
}

#[tokio::test]
async fn a_range_that_is_asked_for_again_is_kept_unless_its_asker_wants_it_anew() {
    let server = crowded(ServerOptions::default()).await;
    let at = NOW_MS / 1000;
    let (start, end) = (at - 290, at - 90);
    let ask = async |more: &str| {
        let target = format!("/api/v1/query_range?query=sum(m)&start={start}&end={end}&step=10&stats=all{more}");
        let answer = get(server.address, &target).await.json();
        let steps = answer["data"]["stats"]["resultsCache"].clone();
        (
            answer["data"]["result"].clone(),
            steps["stepsReused"].as_u64().unwrap(),
            steps["stepsEvaluated"].as_u64().unwrap(),
        )
    };
    let (first, reused, evaluated) = ask("").await;
    assert_eq!((first[0]["values"].as_array().unwrap().len(), reused, evaluated), (21, 0, 21));
    assert_eq!(ask("").await, (first.clone(), 21, 0));
    assert_eq!(ask("&nocache=1").await, (first, 0, 0));
    for (outcome, expected) in [("hit", 1.0), ("partial", 0.0), ("miss", 1.0), ("bypass", 0.0)] {
        let name = format!("evenkeel_results_cache_requests_total{{outcome=\"{outcome}\"}}");
        assert_eq!(metric(&server, &name).await, expected, "{outcome}");
    }
    assert!(metric(&server, "evenkeel_results_cache_bytes").await > 21.0 * 8.0);
}

/// An expression that takes long and little memory: a sort of many values at each of many steps.
const LONG: &str = "quantile_over_time(0.5,vector(1)[1h:1s])+quantile_over_time(0.6,vector(1)[1h:1s])\
                    +quantile_over_time(0.7,vector(1)[1h:1s])+quantile_over_time(0.8,vector(1)[1h:1s])";

fn long_query() -> String {
    let text: String = LONG.bytes().map(|b| format!("%{b:02X}")).collect();
    format!("/api/v1/query_range?query={text}&start=0&end=10000&step=1")
}

#[tokio::test]
async fn a_query_ends_when_its_peer_goes() {
    let mut options = ServerOptions::default();
    options.query.at_once = 1;
    let server = crowded(options).await;
    let mut peer = TcpStream::connect(server.address).await.unwrap();
    let request = format!("GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", long_query());
    peer.write_all(request.as_bytes()).await.unwrap();
    while metric(&server, "evenkeel_query_running").await == 0.0 {
        tokio::task::yield_now().await;
    }
    drop(peer);
    while metric(&server, "evenkeel_query_total{outcome=\"abandoned\"}").await == 0.0 {
        tokio::task::yield_now().await;
    }
    // The one place is free as soon as the evaluation has noticed.
    assert_eq!(get(server.address, "/api/v1/query?query=1").await.status, 200);
}

#[tokio::test]
async fn one_question_too_many_is_told_to_come_back() {
    let mut options = ServerOptions::default();
    (options.query.at_once, options.query.waiting_max) = (1, 0);
    let server = crowded(options).await;
    let (address, target) = (server.address, long_query());
    let busy = tokio::spawn(async move { get(address, &target).await.status });
    while metric(&server, "evenkeel_query_running").await == 0.0 {
        tokio::task::yield_now().await;
    }
    let refused: Answer = get(server.address, "/api/v1/query?query=1").await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("1")), "{}", refused.text());
    assert_eq!(refused.json()["errorType"], "unavailable");
    assert_eq!(get(server.address, "/api/v1/alerts").await.status, 200, "what is in memory is told all the same");
    assert!(metric(&server, "evenkeel_query_total{outcome=\"refused\"}").await > 0.0);
    busy.abort();
}

#[tokio::test]
async fn a_query_ends_with_its_time() {
    let mut db = DbOptions::new("/db");
    (db.disk, db.threads) = (Arc::new(MemoryDisk::new()), Threads::None);
    db.clock = Arc::new(ManualClock::new(NOW_MS));
    let doors = evenkeel::server::Doors {
        targets: Arc::new(evenkeel::server::NoTargets),
        reload: None,
        clock: Arc::new(SystemClock::new()),
        host: Arc::new(evenkeel::env::RealHost),
        setup: Arc::new(evenkeel::server::NoSetup),
    };
    let mut options = ServerOptions::default();
    options.query.slow = Millis(1);
    let server = Running::with(evenkeel::server::ServerState::new(doors, options)).await;
    server.state.ready(Db::open(db).unwrap());
    let late = get(server.address, &format!("{}&timeout=50ms", long_query())).await;
    assert_eq!((late.status, late.json()["errorType"].as_str()), (503, Some("timeout")), "{}", late.text());
    assert_eq!(metric(&server, "evenkeel_query_total{outcome=\"timed_out\"}").await, 1.0);
    assert_eq!(metric(&server, "evenkeel_query_slow_total").await, 1.0);
}
