//! The engine's switches and bounds.

use std::ops::ControlFlow;

use evenkeel::model::{Labels, Matcher, Millis, Sample, Summarized, TimeRange, Timestamp};
use evenkeel::promql::{
    Deadline, EvalError, EvalOptions, NameDropping, Query, SeriesSamples, SeriesSource, SeriesSummaries, SourceError,
    Value,
};
use evenkeel::testkit::MemorySeries;
use proptest::prelude::*;

fn series(name: &str, values: &[f64]) -> MemorySeries {
    let mut store = MemorySeries::default();
    let labels = Labels::new([("__name__", name), ("job", "x")]).unwrap();
    store.insert(labels, values.iter().enumerate().map(|(i, v)| Sample { t: Timestamp(i as i64 * 60_000), v: *v }));
    store
}

/// The labels of the answer to an instant query.
fn names(text: &str, name_dropping: NameDropping) -> Result<Vec<String>, EvalError> {
    let mut store = series("a", &[1.0, 2.0]);
    for name in ["b", "c_total"] {
        let labels = Labels::new([("__name__", name), ("job", "x")]).unwrap();
        store.insert(labels, [Sample { t: Timestamp(0), v: 1.0 }, Sample { t: Timestamp(60_000), v: 3.0 }]);
    }
    let options = EvalOptions { name_dropping, ..EvalOptions::default() };
    match Query::new(text).unwrap().instant(&store, Timestamp(60_000), &options)?.value {
        Value::Vector(vector) => Ok(vector.iter().map(|one| one.labels.to_string()).collect()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_are_dropped_at_once_by_default() {
    let check = |text: &str, eager: Result<&str, EvalError>, delayed: Result<&str, EvalError>| {
        for (name_dropping, expected) in [(NameDropping::Eager, eager), (NameDropping::Delayed, delayed)] {
            let found = names(text, name_dropping).map(|names| names.join(" "));
            assert_eq!(found, expected.map(str::to_owned), "{text} {name_dropping:?}");
        }
    };
    let same = |text: &str, expected: &'static str| check(text, Ok(expected), Ok(expected));
    same("a", "a{job=\"x\"}");
    same("abs(a)", "{job=\"x\"}");
    same("-a", "{job=\"x\"}");
    same("a * 2", "{job=\"x\"}");
    same("a > bool 0", "{job=\"x\"}");
    same("a > bool ignoring() b", "{job=\"x\"}");
    same("a > 0", "a{job=\"x\"}");
    same("rate(c_total[2m])", "{job=\"x\"}");
    same("last_over_time(a[2m])", "a{job=\"x\"}");
    same("last_over_time(abs(a)[2m:1m])", "{job=\"x\"}");
    same("topk(1, a)", "a{job=\"x\"}");
    same("sum by (__name__) (a)", "a");
    check("sum by (__name__) (abs(a))", Ok("{}"), Ok("{}"));
    check("abs({job=\"x\"})", Err(EvalError::SameLabelset), Err(EvalError::SameLabelset));
    // Only the delayed way leaves the name for label_replace to see, and for sums to ignore.
    let renamed = "label_replace(abs(a), \"__name__\", \"abs_$1\", \"__name__\", \"(.+)\")";
    check(renamed, Ok("{job=\"x\"}"), Ok("abs_a{job=\"x\"}"));
    check("sum(abs({job=\"x\"}))", Err(EvalError::SameLabelset), Ok("{}"));
}

#[test]
fn samples_and_time_are_bounded() {
    let store = series("a", &[1.0; 100]);
    let at = Timestamp(100 * 60_000);
    let query = |text: &str, options: &EvalOptions| Query::new(text).unwrap().instant(&store, at, options).map(|_| ());
    let few = EvalOptions { samples_max: 50, ..EvalOptions::default() };
    assert_eq!(query("a", &few), Ok(()));
    assert_eq!(query("sum_over_time(a[2h])", &few), Err(EvalError::Source(SourceError::TooManySamples { limit: 50 })));
    assert_eq!(query("count_over_time(vector(1)[2h:1m])", &few), Err(EvalError::TooManySamples));
    let range = Query::new("vector(1)").unwrap().range(&store, Timestamp(0), at, Millis(1000), &few);
    assert_eq!(range.unwrap_err(), EvalError::TooManySamples);

    let late = EvalOptions { deadline: Some(Deadline::new(|| true)), ..EvalOptions::default() };
    assert_eq!(query("a", &late), Err(EvalError::TimedOut));
    assert_eq!(query("1 + 1", &late), Err(EvalError::TimedOut));
}

#[test]
fn a_range_query_needs_a_range() {
    let store = MemorySeries::default();
    let range = |text: &str, start: i64, end: i64, step: i64| {
        let query = Query::new(text).unwrap();
        let answer = query.range(&store, Timestamp(start), Timestamp(end), Millis(step), &EvalOptions::default());
        answer.map_err(|error| error.to_string())
    };
    assert!(range("1", 0, 10, 0).unwrap_err().starts_with("zero or negative query resolution"));
    assert_eq!(range("1", 10, 0, 1).unwrap_err(), "end timestamp must not be before start time");
    let Value::Matrix(matrix) = range("1", 0, 10, 3).unwrap().value else { panic!("a matrix expected") };
    let times: Vec<i64> = matrix[0].samples.iter().map(|sample| sample.t.0).collect();
    assert_eq!(times, [0, 3, 6, 9]);
}

/// Counts how often it is asked.
struct Counting(MemorySeries, std::sync::atomic::AtomicUsize);

impl SeriesSource for Counting {
    fn select(&self, matchers: &[Matcher], range: TimeRange, max: usize) -> Result<Vec<SeriesSamples>, SourceError> {
        self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.0.select(matchers, range, max)
    }
}

#[test]
fn each_selector_is_read_once() {
    let source = Counting(series("a", &[1.0; 100]), Default::default());
    let query = Query::new("max_over_time(rate(a[5m])[10m:1m]) / a > avg_over_time(a[5m])").unwrap();
    let options = EvalOptions::default();
    query.range(&source, Timestamp(0), Timestamp(6_000_000), Millis(15_000), &options).unwrap();
    assert_eq!(source.1.into_inner(), 1);
}

/// A range query gives at each step what an instant query gives there.
#[test]
fn steps_do_not_depend_on_each_other() {
    let mut store = series("c_total", &[0.0, 3.0, 5.0, 1.0, 2.0, f64::NAN, 4.0, 9.0, 9.0, 12.0]);
    let other = Labels::new([("__name__", "c_total"), ("job", "y")]).unwrap();
    store.insert(other, (3..9).map(|i| Sample { t: Timestamp(i * 45_000), v: (i * i) as f64 }));
    let queries = [
        "c_total",
        "rate(c_total[3m])",
        "sum(c_total) / count(c_total)",
        "topk(1, c_total)",
        "c_total > 3",
        "quantile_over_time(0.3, c_total[4m])",
        "predict_linear(c_total[4m] offset 1m, 60)",
        "absent(c_total{job=\"y\"})",
        "c_total{job=\"x\"} + ignoring(job) c_total{job=\"y\"}",
        "sum_over_time(rate(c_total[2m])[3m:20s])",
        "c_total @ 100",
        "count_values(\"v\", c_total)",
        "c_total unless c_total > 3 or c_total{job=\"y\"}",
        "timestamp(c_total)",
    ];
    let options = EvalOptions::default();
    for text in queries {
        let query = Query::new(text).unwrap();
        let step = Millis(25_000);
        let answer = query.range(&store, Timestamp(0), Timestamp(900_000), step, &options).unwrap();
        let Value::Matrix(matrix) = answer.value else { panic!("a matrix expected") };
        for i in 0..=36 {
            let t = Timestamp(i * step.0);
            let Value::Vector(vector) = query.instant(&store, t, &options).unwrap().value else {
                panic!("a vector expected")
            };
            let mut alone: Vec<_> =
                vector.iter().map(|one| (one.labels.clone(), one.number().unwrap().to_bits())).collect();
            alone.sort();
            let at = |samples: &[Sample]| samples.iter().find(|sample| sample.t == t).map(|sample| sample.v.to_bits());
            let together: Vec<_> =
                matrix.iter().filter_map(|series| Some((series.labels.clone(), at(&series.samples)?))).collect();
            assert_eq!(together, alone, "{text} at {t}");
        }
    }
}

#[test]
fn the_deepest_query_that_reads_can_be_evaluated() {
    let store = series("a", &[1.0]);
    let wrap = |n: usize, open: &str, close: &str| format!("{}a{}", open.repeat(n), close.repeat(n));
    for text in [
        wrap(125, "abs(", ")"),
        wrap(125, "-(", ")"),
        wrap(125, "sum(", ")"),
        wrap(125, "1 + ", ""),
        wrap(120, "", " + 1"),
    ] {
        let Ok(query) = Query::new(&text) else { continue };
        assert!(query.instant(&store, Timestamp(0), &EvalOptions::default()).is_ok(), "{text}");
        assert!(!query.expr().to_string().is_empty());
    }
}

/// Series of two metrics with gaps, markers, resets and NaN.
fn uneven() -> MemorySeries {
    let mut store = MemorySeries::default();
    let values = [1.0, 4.0, f64::NAN, 2.0, 2.0, 7.5, -3.0, 0.0, 9.0, f64::INFINITY, 5.0, 6.0];
    for (n, (name, k, le)) in [
        ("m", "a", ""),
        ("m", "b", ""),
        ("m", "c", "1"),
        ("n_bucket", "a", "1"),
        ("n_bucket", "a", "+Inf"),
        ("n_bucket", "b", "x"),
    ]
    .into_iter()
    .enumerate()
    {
        let labels = Labels::new([("__name__", name), ("k", k), ("le", le)]).unwrap();
        let sample = |i: usize| {
            let stale = (i + n) % 9 == 5;
            let v = if stale { f64::from_bits(evenkeel::model::STALE_NAN) } else { values[(i * (n + 1) + n) % 12] };
            Sample { t: Timestamp(i as i64 * (20_000 + n as i64 * 7_000)), v }
        };
        store.insert(labels, (n..25).filter(|i| (i + n) % 4 != 0).map(sample));
    }
    store
}

fn random_query() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "NaN",
        "time()",
        "m",
        "m{k=\"a\"}",
        "n_bucket",
        "{k=~\".+\"}",
        "m offset 1m",
        "n_bucket @ 100 offset -20s",
        "none",
        "vector(2)",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 20, 3, |inner| {
        let op = prop::sample::select(vec![
            "+",
            "%",
            "^",
            "== bool",
            ">",
            "!=",
            "and",
            "or",
            "unless",
            "* on (k) group_left (le)",
            "- ignoring (le) group_right",
            "< on (k)",
        ]);
        let wrap = prop::sample::select(vec![
            "(X)",
            "-X",
            "sum(X)",
            "avg by (k) (X)",
            "max without (le) (X)",
            "stddev(X)",
            "topk(2, X)",
            "bottomk by (k) (1, X)",
            "quantile(0.3, X)",
            "count_values(\"v\", X)",
            "abs(X)",
            "clamp(X, 0, 3)",
            "round(X, 2)",
            "vector(scalar(X))",
            "rate(X[2m:20s])",
            "max_over_time(X[1m:25s] offset 30s)",
            "last_over_time(X[3m:])",
            "absent(X)",
            "absent_over_time(X[1m:30s])",
            "label_replace(X, \"k\", \"$1$1\", \"k\", \"(.*)\")",
            "label_join(X, \"le\", \"\", \"k\")",
            "timestamp(X)",
            "sgn(X)",
            "histogram_quantile(0.7, X)",
            "histogram_fraction(0, 2, X)",
            "sort_desc(X)",
            "hour(X)",
            "sum_over_time(X[2m:20s])",
            "avg_over_time(X[2m:20s])",
            "quantile_over_time(0.5, X[2m:30s])",
        ]);
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(lhs, op, rhs)| format!("({lhs}) {op} ({rhs})")),
            // The X is where the operand goes.
            (wrap, inner).prop_map(|(wrap, inner)| wrap.replace('X', &format!("({inner})"))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_queries_answer_alike_in_every_form(text in random_query(), delayed in any::<bool>()) {
        let Ok(query) = Query::new(&text) else { return Ok(()) };
        let store = uneven();
        let name_dropping = if delayed { NameDropping::Delayed } else { NameDropping::Eager };
        let options = EvalOptions { name_dropping, ..EvalOptions::default() };
        let step = Millis(35_000);
        let together = query.range(&store, Timestamp(0), Timestamp(350_000), step, &options);
        let mut failed = false;
        for i in 0..=10 {
            let t = Timestamp(i * step.0);
            let alone = match query.instant(&store, t, &options) {
                Ok(answer) => answer.value,
                Err(_) => {
                    failed = true;
                    continue;
                }
            };
            let mut alone: Vec<(Labels, u64)> = match alone {
                Value::Scalar(sample) => vec![(Labels::empty(), sample.v.to_bits())],
                Value::Vector(vector) => vector.iter().map(|one| (one.labels.clone(), one.number().unwrap().to_bits())).collect(),
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            };
            alone.sort();
            if let Ok(answer) = &together {
                let Value::Matrix(matrix) = &answer.value else { return Err(TestCaseError::fail("a matrix expected")) };
                let at = |samples: &[Sample]| samples.iter().find(|sample| sample.t == t).map(|sample| sample.v.to_bits());
                let found: Vec<_> = matrix.iter().filter_map(|one| Some((one.labels.clone(), at(&one.samples)?))).collect();
                prop_assert_eq!(found, alone, "{} at {}", &text, t);
            }
        }
        prop_assert_eq!(together.is_err(), failed, "{}: {:?}", &text, together);
    }
}

/// Has nothing to say of windows but their samples, as a source of series with histograms.
struct Unsummarized(MemorySeries);

impl SeriesSource for Unsummarized {
    fn select(&self, matchers: &[Matcher], range: TimeRange, max: usize) -> Result<Vec<SeriesSamples>, SourceError> {
        self.0.select(matchers, range, max)
    }

    fn summaries(
        &self,
        _: &[Matcher],
        _: &[TimeRange],
        _: usize,
        _: &mut dyn FnMut(SeriesSummaries) -> ControlFlow<()>,
    ) -> Result<Summarized, SourceError> {
        Ok(Summarized::NotHistograms)
    }
}

#[test]
fn what_no_summary_speaks_for_is_read() {
    let query = |source: &dyn SeriesSource, text: &str| {
        let (day, options) = (86_400_000, EvalOptions::default());
        let query = Query::new(text).unwrap();
        query.range(source, Timestamp(day), Timestamp(4 * day), Millis(day), &options).unwrap().value
    };
    let values: Vec<f64> = (0..4000).map(|i| f64::from(i % 7)).collect();
    let (summarized, read) = (series("a", &values), Unsummarized(series("a", &values)));
    for text in ["count_over_time(a[1d])", "max_over_time(a[1d])", "sum(increase(a[1d] offset 1h)) + count(a)"] {
        let (expected, found) = (query(&summarized, text), query(&read, text));
        assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{text}");
        assert!(matches!(&found, Value::Matrix(matrix) if matrix.len() == 1 && matrix[0].samples.len() > 1), "{text}");
    }
}
