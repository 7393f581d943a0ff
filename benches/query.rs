//! Benchmarks of queries: reading one, and evaluating some over an hour of a hundred series.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use evenkeel::model::{Labels, Millis, Sample, Timestamp};
use evenkeel::promql::{EvalOptions, Query, parse};
use evenkeel::testkit::MemorySeries;

const QUERY: &str = "sum by (job, le) (rate(http_request_duration_seconds_bucket{job=~\"api|web\", code!~\"5..\"}[5m])) \
                     / on (job) group_left sum by (job) (rate(http_requests_total[5m])) > 0.05 and on (job) up == 1";

/// Counters that are sampled every 15 seconds for two hours, each host at its own instant of the interval.
fn store(series: usize) -> MemorySeries {
    let mut store = MemorySeries::default();
    for n in 0..series {
        let (instance, job) = (format!("host-{n}"), format!("job-{}", n % 10));
        let pairs = [("__name__", "requests_total"), ("instance", instance.as_str()), ("job", job.as_str())];
        let Ok(labels) = Labels::new(pairs) else { continue };
        let offset = (n % 5) as i64 * 1000;
        let sample = |i: i64| Sample { t: Timestamp(i * 15_000 + offset), v: (i * (n as i64 + 1)) as f64 };
        store.insert(labels, (0..480).map(sample));
    }
    store
}

fn run(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("query");
    group.throughput(Throughput::Bytes(QUERY.len() as u64));
    group.bench_function("parse", |bencher| bencher.iter(|| parse(black_box(QUERY))));
    let store = store(100);
    let options = EvalOptions::default();
    let (start, end, step) = (Timestamp(3_600_000), Timestamp(7_200_000), Millis(15_000));
    group.throughput(Throughput::Elements(100 * 240));
    let texts = [
        "requests_total",
        "rate(requests_total[5m])",
        "sum by (job) (rate(requests_total[5m]))",
        "max_over_time(requests_total[30m])",
        "avg_over_time(requests_total[30m])",
        "changes(requests_total[30m])",
        "quantile_over_time(0.9, requests_total[30m])",
        "sum by (instance) (rate(requests_total[5m])) / on (instance) requests_total",
        "rate(requests_total[5m]) * on (job) group_left sum by (job) (requests_total)",
        "count by (job) (requests_total{instance=~\"host-.*[05]|host-1[12].*\"})",
    ];
    for text in texts {
        let Ok(query) = Query::new(text) else { continue };
        group.bench_with_input(BenchmarkId::new("range", text), &query, |bencher, query| {
            bencher.iter(|| query.range(&store, start, end, step, &options));
        });
    }
    group.finish();
}

criterion::criterion_group!(benches, run);
