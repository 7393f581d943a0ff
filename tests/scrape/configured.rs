//! From the text of a `prometheus.yml` to a batch.

use evenkeel::config::Config;
use evenkeel::env::disk::RealDisk;
use evenkeel::model::Millis;
use evenkeel::scrape::{Job, Scheme};
use evenkeel::wire::Format;

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
    assert_eq!(job.fallback_format, Some(Format::OpenMetrics));
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
