//! From the text of a `prometheus.yml` to a batch.

use std::sync::Arc;

use evenkeel::config::Config;
use evenkeel::env::disk::RealDisk;
use evenkeel::model::{Histogram, HistogramCounts, Labels, MetricKind, Millis, ResetHint, Timestamp, is_stale};
use evenkeel::scrape::{Encoding, Job, Protocol, Scheme};
use evenkeel::wire::{Format, HistogramReading, PointValue, push_family};

use super::{Bench, serve, value};

fn jobs(text: &str) -> Vec<Job> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("prometheus.yml");
    std::fs::write(&path, text).unwrap();
    let config = Config::load(&RealDisk, &path).unwrap();
    config.scrape.iter().map(|job| Job::try_from(job).unwrap()).collect()
}

#[test]
fn every_option_of_a_job_is_carried_over() {
    let job = &jobs(
        r#"
scrape_configs:
  - job_name: app
    scrape_interval: 5s
    scrape_timeout: 2s
    metrics_path: /m
    scheme: https
    honor_labels: true
    honor_timestamps: false
    sample_limit: 7
    body_size_limit: 1KB
    params: {module: [a, b]}
    fallback_scrape_protocol: OpenMetricsText1.0.0
    static_configs: [{targets: ["app:80"], labels: {zone: x}}]
"#,
    )[0];
    assert_eq!((job.interval, job.timeout, job.scheme), (Millis::seconds(5), Millis::seconds(2), Scheme::Https));
    assert_eq!((job.metrics_path.as_str(), job.honor_labels, job.honor_timestamps), ("/m", true, false));
    assert_eq!((job.sample_limit, job.body_bytes_max), (7, 1024));
    assert_eq!(job.params, [("module".to_owned(), "a".to_owned()), ("module".to_owned(), "b".to_owned())]);
    assert_eq!(job.fallback_format, Some(Encoding::Text(Format::OpenMetrics)));
    assert_eq!((&*job.protocols, job.histograms), (&Protocol::TEXTS[..], HistogramReading::default()));
    assert_eq!(job.targets[0].labels, [("zone".to_owned(), "x".to_owned())]);
}

#[tokio::test]
async fn a_configured_job_with_rules_is_scraped() {
    let (site, address) = serve().await;
    site.says("200 OK", "X: y", b"keep_me{pod=\"p-1\"} 1\ndrop_me 2\n");
    let jobs = jobs(&format!(
        r#"
scrape_configs:
  - job_name: shop
    scrape_interval: 10s
    fallback_scrape_protocol: PrometheusText0.0.4
    basic_auth: {{username: me, password: secret}}
    static_configs: [{{targets: ["{address}", "gone:80"]}}]
    relabel_configs:
      - {{source_labels: [__address__], regex: "gone.*", action: drop}}
      - {{source_labels: [__address__], regex: "(.*):.*", target_label: instance, replacement: "${{1}}"}}
    metric_relabel_configs:
      - {{source_labels: [__name__], regex: "drop_.*", action: drop}}
      - {{source_labels: [pod], regex: "(.)-(.)", target_label: shard, replacement: "$2"}}
"#
    ));
    let mut bench = Bench::new();
    bench.scraper.reload(&jobs, &[]).await.unwrap();
    let batch = bench.round().await;
    assert_eq!(bench.scraper.targets().len(), 1);
    let last = batch.series().last().unwrap().to_string();
    assert_eq!(last, r#"keep_me{instance="127.0.0.1", job="shop", pod="p-1", shard="1"}"#);
    assert_eq!(value(&batch, "scrape_samples_scraped"), Some(2.0));
    assert_eq!(value(&batch, "scrape_samples_post_metric_relabeling"), Some(1.0));
    assert!(site.last_head().to_lowercase().contains("authorization: basic bwu6c2vjcmv0"));
}

#[test]
fn histograms_and_protocols_are_inherited_and_overridden() {
    let jobs = jobs(
        r#"
global: {scrape_native_histograms: true, always_scrape_classic_histograms: true}
scrape_configs:
  - job_name: inherits
  - job_name: says
    scrape_native_histograms: false
    convert_classic_histograms_to_nhcb: true
    scrape_protocols: [PrometheusText0.0.4, PrometheusProto]
"#,
    );
    let reading = |native, convert_classic| HistogramReading { native, always_classic: true, convert_classic };
    assert_eq!(jobs[0].histograms, reading(true, false));
    assert_eq!(jobs[0].protocols, [&[Protocol::Proto][..], &Protocol::TEXTS].concat());
    assert_eq!(jobs[1].histograms, reading(false, true));
    assert_eq!(jobs[1].protocols, [Protocol::Text0, Protocol::Proto]);
}

#[tokio::test]
async fn native_histograms_are_asked_for_and_taken() {
    let (site, address) = serve().await;
    let histogram = Histogram {
        reset_hint: ResetHint::Unknown,
        schema: 2,
        zero_threshold: 0.25,
        sum: 1.5,
        positive_spans: vec![],
        negative_spans: vec![],
        bounds: vec![],
        counts: HistogramCounts::Integer { count: 3, zero: 3, positive: vec![], negative: vec![] },
    };
    let mut body = Vec::new();
    let labels = Labels::new([("path", "/a")]).unwrap();
    let sent = PointValue::Histogram(Arc::new(histogram.clone()));
    push_family(&mut body, "latency", MetricKind::Histogram, &[(labels, sent, Timestamp(0))]);
    let number = [(Labels::empty(), PointValue::Number(7.0), Timestamp(0))];
    push_family(&mut body, "level", MetricKind::Unknown, &number);
    let kind = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
    site.says("200 OK", &format!("Content-Type: {kind}"), &body);
    let mut bench = Bench::new();
    let jobs = jobs(&format!(
        "scrape_configs:\n- job_name: shop\n  scrape_interval: 10s\n  scrape_native_histograms: true\n  static_configs: [{{targets: [\"{address}\"]}}]\n"
    ));
    bench.scraper.reload(&jobs, &[]).await.unwrap();
    let batch = bench.round().await;
    let head = site.last_head();
    let asked = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,";
    assert!(head.contains(asked), "{head}");
    assert_eq!((value(&batch, "up"), value(&batch, "level")), (Some(1.0), Some(7.0)));
    assert_eq!(value(&batch, "scrape_samples_scraped"), Some(2.0));
    let taken = &batch.histograms()[0];
    let series = batch.series()[taken.series as usize].to_string();
    assert_eq!(series, format!("latency{{instance=\"{address}\", job=\"shop\", path=\"/a\"}}"));
    assert!(taken.sample.histogram.same_bits(&histogram), "{taken:?}");
    assert_eq!(taken.sample.t, batch.samples()[0].sample.t);
    // What is not in the next answer ends.
    site.says("200 OK", &format!("Content-Type: {kind}"), b"");
    let batch = bench.round().await;
    assert!(batch.histograms().is_empty());
    assert!(["latency", "level"].iter().all(|name| value(&batch, name).is_some_and(is_stale)));
    // A body that is cut off is a failed scrape.
    site.says("200 OK", &format!("Content-Type: {kind}"), &body[..body.len() - 1]);
    let batch = bench.round().await;
    assert_eq!(value(&batch, "up"), Some(0.0));
    assert!(bench.status(&batch).await.last_error.contains("longer than what is there"));
}
