//! Reading series one by one gives what evaluating node by node gives, whoever shares the work.

use std::ops::Range;
use std::sync::Arc;

use evenkeel::env::Rng;
use evenkeel::model::{
    Histogram, HistogramCounts, HistogramSample, Labels, Matcher, Millis, ResetHint, STALE_NAN, Sample, TimeRange,
    Timestamp,
};
use evenkeel::promql::{
    Answer, EvalOptions, Parallel, Query, SeriesSamples, SeriesSet, SeriesSource, SourceError, Value, Visit, Workers,
};
use evenkeel::testkit::MemorySeries;

/// A source whose series cannot be read one by one: whoever tries it meets a native histogram.
struct Together<'a>(&'a MemorySeries);

struct Unreadable<'a>(Box<dyn SeriesSet + 'a>);

impl SeriesSource for Together<'_> {
    fn select(&self, matchers: &[Matcher], range: TimeRange, max: usize) -> Result<Vec<SeriesSamples>, SourceError> {
        self.0.select(matchers, range, max)
    }

    fn find<'s>(
        &'s self,
        matchers: &[Matcher],
        range: TimeRange,
        max: usize,
    ) -> Result<Box<dyn SeriesSet + 's>, SourceError> {
        Ok(Box::new(Unreadable(self.0.find(matchers, range, max)?)))
    }
}

impl SeriesSet for Unreadable<'_> {
    fn count(&self) -> usize {
        self.0.count()
    }

    fn sort(&mut self) {
        self.0.sort();
    }

    fn labels(&self, at: usize) -> Labels {
        self.0.labels(at)
    }

    fn has_name(&self, name: &str) -> bool {
        self.0.has_name(name)
    }

    fn groups(&self, keep: &dyn Fn(&str) -> bool) -> (Vec<u32>, Vec<Labels>) {
        self.0.groups(keep)
    }

    fn read(&self, which: &mut dyn Iterator<Item = Range<usize>>, visit: &mut Visit<'_>) -> Result<(), SourceError> {
        let histogram = Arc::new(Histogram {
            reset_hint: ResetHint::Unknown,
            schema: 0,
            zero_threshold: 0.0,
            sum: 0.0,
            positive_spans: Vec::new(),
            negative_spans: Vec::new(),
            bounds: Vec::new(),
            counts: HistogramCounts::Float { count: 0.0, zero: 0.0, positive: Vec::new(), negative: Vec::new() },
        });
        let one = HistogramSample { t: Timestamp(0), start: Timestamp(0), histogram };
        self.0.read(which, &mut |at, samples, _| visit(at, samples, std::slice::from_ref(&one)))
    }
}

/// Every part on a thread of its own.
struct Threads;

impl Parallel for Threads {
    fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|scope| (0..parts).for_each(|part| drop(scope.spawn(move || work(part)))));
    }
}

/// Series with gaps, resets, marks of staleness and numbers of all kinds.
fn store(rng: &mut Rng) -> MemorySeries {
    let mut store = MemorySeries::default();
    for number in 0..150 {
        let (job, pod) = (format!("job{}", number % 4), format!("pod{number}"));
        let name = if number % 10 == 0 { "b_total" } else { "a_total" };
        let labels = Labels::new([("__name__", name), ("job", job.as_str()), ("pod", pod.as_str())]).unwrap();
        let (mut t, mut v) = (rng.below(60_000) as i64, 0.0);
        let mut samples = Vec::new();
        while t < 3_600_000 {
            v = match rng.below(40) {
                0 => 0.0,
                1 => f64::NAN,
                2 => 1e300 * rng.normal(),
                3 => f64::INFINITY,
                _ => v + rng.unit(),
            };
            let stale = rng.below(30) == 0;
            samples.push(Sample { t: Timestamp(t), v: if stale { f64::from_bits(STALE_NAN) } else { v } });
            t += if rng.below(20) == 0 { 400_000 } else { 15_000 };
        }
        store.insert(labels, samples);
    }
    store
}

const QUERIES: [&str; 18] = [
    "a_total",
    "{job=\"job1\"} offset 3m",
    "rate(a_total[5m])",
    "sum by (job) (rate(a_total[5m]))",
    "avg without (pod) (increase(a_total[2m] offset 1m))",
    "max by (job) (a_total)",
    "min(delta(a_total[3m]))",
    "stddev by (job) (a_total)",
    "stdvar(irate(a_total[1m]))",
    "count by (job, __name__) ({job=~\".+\"})",
    "group by (job) (last_over_time({job=~\".+\"}[4m]))",
    "sum by (job) (sum_over_time(a_total[7m]))",
    "max by (pod) (max_over_time(a_total[10m]))",
    "sum(min_over_time(a_total[10m] @ 1800))",
    "sum by (job) (changes(a_total[9m]) + resets(a_total[9m]))",
    "quantile_over_time(0.7, a_total[6m])",
    "sum by (job) (predict_linear(a_total[6m], 600))",
    "max_over_time(sum by (job) (rate(b_total[2m]))[10m:30s])",
];

/// A series: its labels, and for each point its time and the bits of its value.
type Plain = (String, Vec<(i64, u64)>);

/// The answer without the bits that tell one NaN from another.
fn plain(answer: Answer) -> (Vec<Plain>, Vec<String>, Vec<String>) {
    let bits = |v: f64| if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() };
    let Value::Matrix(matrix) = answer.value else { panic!("a matrix expected") };
    let series = matrix.iter().map(|series| {
        let points = series.samples.iter().map(|sample| (sample.t.0, bits(sample.v)));
        (series.labels.to_string(), points.collect())
    });
    (series.collect(), answer.warnings, answer.infos)
}

#[test]
fn one_by_one_is_as_good_as_together() {
    let seed = 5;
    let store = store(&mut Rng::new(seed));
    for text in QUERIES {
        let query = Query::new(text).unwrap();
        for step in [1_000, 15_000, 61_000, 600_000] {
            let ask = |source: &dyn SeriesSource, workers: Option<Workers>| {
                let options = EvalOptions { workers, ..EvalOptions::default() };
                let (start, end) = (Timestamp(300_000), Timestamp(3_900_000));
                query.range(source, start, end, Millis(step), &options).map(plain)
            };
            let expected = ask(&Together(&store), None);
            assert_eq!(ask(&store, None), expected, "{text}, step {step}, seed {seed}");
            assert_eq!(ask(&store, Some(Workers::new(Threads))), expected, "{text}, step {step}, shared");
        }
    }
}
