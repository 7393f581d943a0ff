//! Exemplars, metadata, and what the administrator may do over HTTP.

use std::sync::Arc;

use evenkeel::db::{Beside, Db, DbOptions, Threads};
use evenkeel::env::ManualClock;
use evenkeel::env::disk::{Disk, MemoryDisk};
use evenkeel::model::{Exemplar, MetricKind, MetricMetadata, Sample, SeriesExemplar, Timestamp};
use evenkeel::server::ServerOptions;

use super::client::{Answer, get, post_form, send};
use super::running::{NOW_MS, Running};
use super::shop::{Shop, batch, labels};

struct Administered {
    server: Running,
    db: Db,
    disk: MemoryDisk,
}

fn db_options(disk: &MemoryDisk, dir: &str) -> DbOptions {
    let mut options = DbOptions::new(dir);
    options.disk = Arc::new(disk.clone());
    options.threads = Threads::None;
    options.clock = Arc::new(ManualClock::new(NOW_MS));
    options
}

async fn administered() -> Administered {
    let disk = MemoryDisk::new();
    let db = Db::open(db_options(&disk, "/db")).unwrap();
    let options = ServerOptions { admin_api: true, ..ServerOptions::default() };
    let server = Running::at(Arc::new(ManualClock::new(NOW_MS)), options).await;
    server.state.ready(db.clone());
    for (name, v) in [("a", 1.0), ("b", 2.0)] {
        db.append(batch(&[(&[("__name__", name)], NOW_MS - 500, v)])).unwrap();
    }
    Administered { server, db, disk }
}

impl Administered {
    async fn post(&self, path: &str) -> Answer {
        post_form(self.server.address, &format!("/api/v1/admin/tsdb/{path}"), "").await
    }

    async fn data(&self, target: &str) -> String {
        let answer = get(self.server.address, &format!("/api/v1/{target}")).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer.json()["data"].to_string()
    }
}

#[tokio::test]
async fn exemplars_and_metadata_answer_in_prometheus_own_shape() {
    let shop = administered().await;
    let exemplar = |series: &str, trace: &str, t: i64| SeriesExemplar {
        series: labels(&[("__name__", series), ("job", "x")]),
        exemplar: Exemplar { labels: labels(&[("trace_id", trace)]), sample: Sample { t: Timestamp(t), v: 0.5 } },
    };
    let metadata = |family: &str, help: &str| MetricMetadata {
        family: family.to_owned(),
        kind: MetricKind::Counter,
        help: help.to_owned(),
        unit: String::new(),
    };
    let beside = Beside {
        exemplars: vec![exemplar("a", "1", NOW_MS - 2500), exemplar("a", "2", NOW_MS), exemplar("b", "3", NOW_MS)],
        metadata: vec![metadata("a", "older"), metadata("a", "newer"), metadata("b", "one")],
    };
    let receipt = shop.db.append_with(batch(&[(&[("__name__", "a")], NOW_MS, 2.0)]), beside).unwrap();
    assert_eq!((receipt.stored, receipt.exemplars.stored), (1, 3));
    let seconds = NOW_MS as f64 / 1000.0;
    let two = serde_json::json!([
        {"seriesLabels": {"__name__": "a", "job": "x"}, "exemplars": [
            {"labels": {"trace_id": "1"}, "value": "0.5", "timestamp": seconds - 2.5},
            {"labels": {"trace_id": "2"}, "value": "0.5", "timestamp": seconds},
        ]},
    ]);
    let asked = "query_exemplars?query=rate(a%5B1m%5D)%2Bsum(nothing)";
    assert_eq!(shop.data(asked).await, two.to_string());
    let later = shop.data(&format!("{asked}&start={}&end={seconds}", seconds - 1.0)).await;
    assert!(!later.contains("\"1\"") && later.contains("\"2\""), "{later}");
    assert_eq!(get(shop.server.address, "/api/v1/query_exemplars?query=1").await.status, 204);
    assert_eq!(get(shop.server.address, "/api/v1/query_exemplars?query=sum(").await.status, 400);
    let a = r#"[{"help":"newer","type":"counter","unit":""},{"help":"older","type":"counter","unit":""}]"#;
    let b = r#"[{"help":"one","type":"counter","unit":""}]"#;
    assert_eq!(shop.data("metadata").await, format!("{{\"a\":{a},\"b\":{b}}}"));
    assert_eq!(shop.data("metadata?metric=b").await, format!("{{\"b\":{b}}}"));
    assert_eq!(shop.data("metadata?limit=1").await, format!("{{\"a\":{a}}}"));
    let newest = r#"[{"help":"newer","type":"counter","unit":""}]"#;
    assert_eq!(shop.data("metadata?limit_per_metric=1&metric=a").await, format!("{{\"a\":{newest}}}"));
    assert_eq!(get(shop.server.address, "/api/v1/metadata?limit=x").await.status, 400);
}

#[tokio::test]
async fn series_are_deleted_and_cleaned() {
    let shop = administered().await;
    assert_eq!(shop.post("delete_series?match[]=a").await.status, 204);
    assert_eq!(shop.data("series?match[]=%7B__name__%3D~%22.%2B%22%7D").await, r#"[{"__name__":"b"}]"#);
    assert_eq!(shop.post("clean_tombstones").await.status, 204);
    assert_eq!(shop.db.status().store.block_samples, 1);
    for bad in ["delete_series", "delete_series?match[]=%7B%7D", "delete_series?match[]=a&start=2&end=1"] {
        assert_eq!(shop.post(bad).await.status, 400, "{bad}");
    }
    let times = format!("delete_series?match[]=b&start={}&end={}", NOW_MS / 1000 + 1, NOW_MS / 1000 + 2);
    assert_eq!(shop.post(&times).await.status, 204);
    assert_eq!(shop.data("series?match[]=b").await, r#"[{"__name__":"b"}]"#, "nothing of it lies there");
}

#[tokio::test]
async fn a_snapshot_opens_as_a_database() {
    let shop = administered().await;
    let answer = shop.post("snapshot").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let name = answer.json()["data"]["name"].as_str().unwrap().to_owned();
    let dir = format!("/db/snapshots/{name}");
    shop.db.append(batch(&[(&[("__name__", "c")], NOW_MS, 3.0)])).unwrap();
    assert!(shop.disk.list(format!("{dir}/outbox").as_ref()).unwrap().len() == 1);
    let copy = Db::open(db_options(&shop.disk, &dir)).unwrap();
    let names = |db: &Db| db.label_values("__name__", &[], evenkeel::model::TimeRange::ALL).unwrap();
    assert_eq!(
        (names(&copy), names(&shop.db)),
        (vec!["a".into(), "b".into()], vec!["a".into(), "b".into(), "c".into()])
    );
    assert_eq!(shop.post("snapshot?skip_head=true").await.status, 400);
}

#[tokio::test]
async fn nothing_of_it_unless_the_server_was_started_for_it() {
    let shop = Shop::open().await;
    for path in ["delete_series?match[]=a", "clean_tombstones", "snapshot"] {
        let answer = send(shop.server.address, "POST", &format!("/api/v1/admin/tsdb/{path}"), &[], b"").await;
        assert_eq!((answer.status, answer.json()["errorType"].as_str()), (500, Some("unavailable")), "{path}");
        assert!(answer.text().contains("--enable-admin-api"), "{}", answer.text());
    }
}
