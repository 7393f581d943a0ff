//! A server with a database in it, and two services' worth of samples.

use std::sync::Arc;

use evenkeel::db::{Db, DbOptions, Threads, Watch};
use evenkeel::env::ManualClock;
use evenkeel::env::disk::MemoryDisk;
use evenkeel::model::{Batch, Labels, Matcher, Millis, Sample, Timestamp};
use evenkeel::rules::{AlertingRule, EvaluationMode, RecordingRule, Rule, RuleGroup};
use evenkeel::server::ServerOptions;
use evenkeel::slo::{Indicator, Objective};
use evenkeel::storage::StoreOptions;
use evenkeel::testkit::FaultyDisk;
use evenkeel::wire::encode_remote_write;

use super::client::{Answer, send};
use super::running::{NOW_MS, Running};

/// A server, its clock, its disk and its database.
pub(crate) struct Shop {
    pub(crate) server: Running,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) disk: MemoryDisk,
    /// What the server asks; it has no threads and is stepped.
    pub(crate) db: Db,
    /// What stands before the disk and can make it fail.
    pub(crate) faults: FaultyDisk,
}

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::new(pairs.iter().copied()).unwrap()
}

/// Labels, milliseconds and value of a sample.
pub(crate) type Row<'a> = (&'a [(&'a str, &'a str)], i64, f64);

pub(crate) fn batch(samples: &[Row<'_>]) -> Batch {
    let mut batch = Batch::new();
    for (pairs, t, v) in samples {
        batch.push(labels(pairs), Sample { t: Timestamp(*t), v: *v });
    }
    batch
}

impl Shop {
    /// Empty; nothing is watched.
    pub(crate) async fn open() -> Shop {
        Shop::with(Watch::default(), StoreOptions::default()).await
    }

    /// Empty, with one alerting rule, one recording rule and one objective.
    pub(crate) async fn watched() -> Shop {
        Shop::stored(StoreOptions::default()).await
    }

    /// Empty, with these objectives.
    pub(crate) async fn keeping(objectives: Vec<Objective>) -> Shop {
        Shop::with(Watch { objectives, ..Watch::default() }, StoreOptions::default()).await
    }

    /// As [`Shop::watched`], on a disk that is used like this.
    pub(crate) async fn stored(store: StoreOptions) -> Shop {
        let watch = Watch { groups: vec![rules()], objectives: vec![availability("checkout")], ..Watch::default() };
        Shop::with(watch, store).await
    }

    async fn with(watch: Watch, store: StoreOptions) -> Shop {
        let disk = MemoryDisk::new();
        let clock = Arc::new(ManualClock::new(NOW_MS));
        let mut options = DbOptions::new("/db");
        let faults = FaultyDisk::new(Arc::new(disk.clone()));
        options.disk = Arc::new(faults.clone());
        options.store = store;
        options.threads = Threads::None;
        options.clock = Arc::clone(&clock) as _;
        options.watch = watch;
        let server = Running::at(Arc::clone(&clock), ServerOptions::default()).await;
        let db = Db::open(options).unwrap();
        server.state.ready(db.clone());
        Shop { server, clock, disk, db, faults }
    }

    /// Sends a batch by remote-write.
    pub(crate) async fn write(&self, batch: &Batch) -> Answer {
        self.write_bytes(&encode_remote_write(batch)).await
    }

    /// Sends a body by remote-write.
    pub(crate) async fn write_bytes(&self, body: &[u8]) -> Answer {
        let headers = [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "snappy")];
        send(self.server.address, "POST", "/api/v1/write", &headers, body).await
    }

    /// Two services for ten minutes at 15 s: checkout fails one in ten from the start.
    pub(crate) async fn trade(&self) {
        for i in 0..=40 {
            let t = NOW_MS + i * 15_000;
            self.clock.set(t);
            let n = i as f64 * 30.0;
            let batch = batch(&[
                (&[("__name__", "up"), ("job", "shop")], t, 1.0),
                (&[("__name__", "requests_total"), ("service", "checkout"), ("code", "200")], t, n * 0.9),
                (&[("__name__", "requests_total"), ("service", "checkout"), ("code", "500")], t, n * 0.1),
                (&[("__name__", "requests_total"), ("service", "search"), ("code", "200")], t, n),
            ]);
            assert_eq!(self.write(&batch).await.status, 204);
        }
    }
}

fn rules() -> RuleGroup {
    let expr = |text: &str| evenkeel::promql::parse(text).unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let errors = "sum by (service) (rate(requests_total{code=\"500\"}[5m])) / sum by (service) (rate(requests_total[5m])) > 0.05";
    RuleGroup {
        name: "shop".to_owned(),
        file: "shop.yaml".to_owned(),
        interval: Millis::seconds(15),
        mode: EvaluationMode::Ingest,
        limit: 0,
        query_offset: Millis::ZERO,
        labels: Labels::empty(),
        rules: vec![
            Rule::Alerting(AlertingRule {
                alert: "Errors".to_owned(),
                expr: expr(errors),
                hold: Millis::minutes(1),
                keep_firing: Millis::ZERO,
                labels: vec![pair("severity", "page")],
                annotations: vec![pair("summary", "{{ $labels.service }} fails")],
            }),
            Rule::Recording(RecordingRule {
                record: "service:requests:rate5m".to_owned(),
                expr: expr("sum by (service) (rate(requests_total[5m]))"),
                labels: vec![],
            }),
        ],
    }
}

/// Of the requests of a service 99.9 % are good.
pub(crate) fn availability(service: &str) -> Objective {
    let all = vec![Matcher::equal("__name__", "requests_total"), Matcher::equal("service", service)];
    let errors = [all.clone(), vec![Matcher::equal("code", "500")]].concat();
    let indicator = Indicator::ErrorRatio { errors: errors.into(), total: all.into() };
    Objective::new(service, "availability", 0.999, Millis::days(30), indicator)
}
