//! Benchmarks of `rules`: what a transaction costs where a thousand rules watch.

use std::hint::black_box;

use criterion::{BatchSize, Criterion};
use evenkeel::model::{Committed, Labels, Matcher, Millis, Rejected, Sample, Seq, SeriesRef, TimeRange, Timestamp};
use evenkeel::promql::{SeriesSamples, SeriesSource, SourceError, parse};
use evenkeel::rules::{AlertingRule, EvaluationMode, Evaluator, Rule, RuleContext, RuleGroup};

const RULES: u64 = 1000;
const TARGETS: u64 = 200;
const METRICS: u64 = 100;

/// No rule is queried here, so nothing is ever read.
struct Nothing;

impl SeriesSource for Nothing {
    fn select(&self, _: &[Matcher], _: TimeRange, _: usize) -> Result<Vec<SeriesSamples>, SourceError> {
        Ok(Vec::new())
    }
}

/// Ten rules for each metric: a threshold of the rate by target, with ten different bounds.
fn evaluator() -> Evaluator {
    let rules = (0..RULES).map(|n| {
        let text = format!("sum by (instance) (rate(metric_{}_total[5m])) > {}", n % METRICS, 100 + n / METRICS);
        Rule::Alerting(AlertingRule {
            alert: format!("Rule{n}"),
            expr: parse(&text).unwrap_or_else(|error| panic!("{error}")),
            hold: Millis::minutes(1),
            keep_firing: Millis::ZERO,
            labels: Vec::new(),
            annotations: Vec::new(),
        })
    });
    let group = RuleGroup {
        name: "bench".to_owned(),
        file: "bench.yml".to_owned(),
        interval: Millis::minutes(1),
        mode: EvaluationMode::Ingest,
        limit: 0,
        query_offset: Millis::ZERO,
        labels: Labels::empty(),
        rules: rules.collect(),
    };
    Evaluator::new(vec![group], RuleContext::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// A scrape of one target: one sample of each of its series. `prefix` decides whether rules watch.
fn scrape(prefix: &str, target: u64, round: u64, first: bool) -> Committed {
    let at = Timestamp(i64::try_from(1_000_000 + round * 15_000 + target * 70).unwrap_or(i64::MAX));
    let base = if prefix == "metric" { 1 } else { 1_000_000 };
    let series = |metric: u64| SeriesRef(base + target * METRICS + metric);
    let labels = |metric: u64| {
        let (name, instance) = (format!("{prefix}_{metric}_total"), format!("host-{target}"));
        Labels::new([("__name__", name.as_str()), ("instance", instance.as_str()), ("job", "bench")])
            .unwrap_or_else(|error| panic!("{error}"))
    };
    let new_series = if first { (0..METRICS).map(|m| (series(m), labels(m))).collect() } else { Vec::new() };
    let sample = |metric: u64| Sample { t: at, v: (round * (10 + metric)) as f64 };
    Committed {
        seq: Seq(1 + round * TARGETS + target),
        at,
        new_series,
        samples: (0..METRICS).map(|m| (series(m), sample(m))).collect(),
        histograms: Vec::new(),
        starts: Vec::new(),
        coarsened: 0,
        rejected: Rejected::default(),
    }
}

fn warmed() -> (Evaluator, u64) {
    let mut rules = evaluator();
    let rounds = 21;
    for round in 0..rounds {
        for target in 0..TARGETS {
            for prefix in ["metric", "other"] {
                rules.observe(&scrape(prefix, target, round, round == 0), &Nothing);
            }
        }
    }
    (rules, rounds)
}

fn run(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rules");
    group.sample_size(10);
    let (mut rules, mut round) = warmed();
    let mut target = 0;
    let mut next = |prefix: &'static str| {
        target += 1;
        if target == TARGETS {
            (target, round) = (0, round + 1);
        }
        scrape(prefix, target, round, false)
    };
    group.bench_function("scrape of 100 series, 1000 rules, 20000 series watched", |bench| {
        bench.iter_batched(|| next("metric"), |c| black_box(rules.observe(&c, &Nothing)), BatchSize::PerIteration);
    });
    // The clock stands still here: what time brings would otherwise be counted too.
    let mut seq = u64::MAX / 2;
    let still = next("other");
    rules.observe(&still, &Nothing);
    group.bench_function("scrape of 100 series that no rule watches", |bench| {
        bench.iter_batched(
            || {
                seq += 1;
                Committed { seq: Seq(seq), ..still.clone() }
            },
            |c| black_box(rules.observe(&c, &Nothing)),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion::criterion_group!(benches, run);
