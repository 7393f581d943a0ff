//! The series that are asked about: counters, gauges, classic and native histograms, with everything that goes wrong.
//!
//! All values and times follow from the seed; the times are the same whenever it is run.

use std::sync::Arc;

use evenkeel::env::Rng;
use evenkeel::model::{
    Batch, CUSTOM_SCHEMA, Histogram, HistogramCounts, HistogramSample, Labels, ResetHint, STALE_NAN, Sample, Span,
    Timestamp,
};

use crate::Outcome;

/// The first scrape, in milliseconds: 2026-09-21T14:14:00Z, a multiple of a minute and of seven seconds of none.
pub(crate) const FIRST: i64 = 1_790_000_040_000;
/// Time between two scrapes.
pub(crate) const EVERY: i64 = 15_000;
/// Scrapes.
pub(crate) const SCRAPES: i64 = 160;
/// The bounds of the classic histograms.
const BOUNDS: [&str; 6] = ["0.1", "0.25", "0.5", "1", "2.5", "+Inf"];

/// What a series shows.
enum Shape {
    /// Grows, and sometimes begins anew.
    Counter {
        value: f64,
        resets: f64,
        whole: bool,
    },
    Gauge {
        value: f64,
        step: f64,
    },
    /// One of a list of values that are hard to handle.
    Odd(&'static [f64]),
    Constant(f64),
    /// Exponential buckets of a schema that may change; as counters, or as gauges.
    Native {
        counts: Vec<u64>,
        negative: Vec<u64>,
        schemas: &'static [i32],
        gauge: bool,
        floats: bool,
    },
    /// Custom buckets with one of these lists of bounds.
    Custom {
        counts: Vec<u64>,
        bounds: &'static [&'static [f64]],
    },
    /// Numbers for some time, then histograms.
    Mixed {
        value: f64,
        counts: Vec<u64>,
    },
}

/// A series and when it is there.
struct Series {
    labels: Vec<(String, String)>,
    shape: Shape,
    /// Scrapes from and to which it is there.
    alive: (i64, i64),
    /// The share of scrapes that are missed.
    gaps: f64,
    /// Whether a missed scrape leaves a marker of staleness, and so does the end.
    marks: bool,
    /// Milliseconds by which its samples are late.
    late: i64,
}

enum Value {
    Number(f64),
    Histogram(Histogram),
}

/// How long before the first scrape each series has one sample: too early to be seen by any window.
const BEFORE: i64 = 45 * 60_000;

/// All samples, one batch per scrape.
///
/// Long before the others there is one sample of each series, sorted by labels: which series `limitk` takes is left to
/// the order in which Prometheus has met them.
pub(crate) fn generate(seed: u64) -> Outcome<Vec<Batch>> {
    let mut rng = Rng::new(seed ^ 0x0064_6966_6665_7200);
    let mut all = series(&mut rng);
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    let mut first = Batch::new();
    for series in &all {
        let t = Timestamp(FIRST - BEFORE);
        series.push(Value::Number(1.0), t, &mut first)?;
    }
    let mut batches = vec![first];
    for scrape in 0..SCRAPES {
        let mut batch = Batch::new();
        for series in &mut all {
            series.scrape(scrape, &mut rng, &mut batch)?;
        }
        batches.push(batch);
    }
    Ok(batches)
}

impl Series {
    fn scrape(&mut self, scrape: i64, rng: &mut Rng, batch: &mut Batch) -> Outcome<()> {
        let (from, to) = self.alive;
        let over = scrape == to && self.marks;
        if scrape < from || (scrape >= to && !over) {
            return Ok(());
        }
        let value = self.shape.next(scrape, rng);
        let missed = over || rng.unit() < self.gaps;
        let value = match value {
            value if !missed => value,
            _ if !self.marks => return Ok(()),
            Value::Number(_) => Value::Number(f64::from_bits(STALE_NAN)),
            Value::Histogram(_) => Value::Histogram(stale()),
        };
        self.push(value, Timestamp(FIRST + scrape * EVERY + self.late), batch)
    }

    fn push(&self, value: Value, t: Timestamp, batch: &mut Batch) -> Outcome<()> {
        let labels = Labels::new(self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())))?;
        match value {
            Value::Number(v) => batch.push(labels, Sample { t, v }),
            Value::Histogram(histogram) => {
                histogram.validate()?;
                let histogram = Arc::new(histogram);
                batch.push_histogram(labels, HistogramSample { t, start: Timestamp(0), histogram });
            }
        }
        Ok(())
    }
}

impl Shape {
    fn next(&mut self, scrape: i64, rng: &mut Rng) -> Value {
        match self {
            Shape::Counter { value, resets, whole } => {
                if rng.unit() < *resets {
                    *value = 0.0;
                }
                let rise = rng.unit() * 20.0;
                *value += if *whole { rise.floor() } else { (rise * 1000.0).round() / 1000.0 };
                Value::Number(*value)
            }
            Shape::Gauge { value, step } => {
                *value += rng.normal() * *step;
                Value::Number((*value * 1000.0).round() / 1000.0)
            }
            Shape::Odd(list) => Value::Number(list[rng.below(list.len() as u64) as usize]),
            Shape::Constant(value) => Value::Number(*value),
            Shape::Native { counts, negative, schemas, gauge, floats } => {
                let schema = schemas[(scrape as usize / 23) % schemas.len()];
                grow(counts, rng, *gauge);
                grow(negative, rng, *gauge);
                Value::Histogram(exponential(counts, negative, schema, *gauge, *floats))
            }
            Shape::Custom { counts, bounds } => {
                let bounds = bounds[(scrape as usize / 31) % bounds.len()];
                grow(counts, rng, false);
                Value::Histogram(custom(&counts[..=bounds.len()], bounds))
            }
            Shape::Mixed { value, counts } => {
                *value += (rng.unit() * 9.0).floor();
                grow(counts, rng, false);
                let number = (scrape / 13) % 2 == 0;
                if number { Value::Number(*value) } else { Value::Histogram(exponential(counts, &[], 1, false, false)) }
            }
        }
    }
}

/// More observations, or now and then none at all; a gauge's buckets go up and down.
fn grow(counts: &mut [u64], rng: &mut Rng, gauge: bool) {
    let reset = !gauge && rng.unit() < 0.03;
    for count in counts {
        if gauge || reset {
            *count = 0;
        }
        let most = if rng.unit() < 0.4 { 1 } else { 12 };
        *count += rng.below(most);
    }
}

/// The first count is the zero bucket's; the others are dealt to two spans.
fn exponential(counts: &[u64], negative: &[u64], schema: i32, gauge: bool, floats: bool) -> Histogram {
    let (zero, positive) = counts.split_first().map_or((0, counts), |(zero, rest)| (*zero, rest));
    let half = positive.len() / 2;
    let spans = |length: usize, rest: usize| {
        let mut spans = vec![Span { offset: -2, length: length as u32 }, Span { offset: 2, length: rest as u32 }];
        spans.retain(|span| span.length > 0);
        spans
    };
    let total = zero + positive.iter().chain(negative).sum::<u64>();
    let counts = if floats {
        let halves = |list: &[u64]| list.iter().map(|n| *n as f64 * 0.5).collect::<Vec<f64>>();
        let (zero, count) = (zero as f64 * 0.5, total as f64 * 0.5);
        HistogramCounts::Float { count, zero, positive: halves(positive), negative: halves(negative) }
    } else {
        HistogramCounts::Integer { count: total, zero, positive: positive.to_vec(), negative: negative.to_vec() }
    };
    Histogram {
        reset_hint: if gauge { ResetHint::Gauge } else { ResetHint::Unknown },
        schema,
        zero_threshold: 0.001,
        sum: total as f64 * 0.75 - negative.iter().sum::<u64>() as f64,
        positive_spans: spans(half, positive.len() - half),
        negative_spans: spans(negative.len(), 0),
        bounds: Vec::new(),
        counts,
    }
}

fn custom(counts: &[u64], bounds: &[f64]) -> Histogram {
    let count = counts.iter().sum::<u64>();
    Histogram {
        reset_hint: ResetHint::Unknown,
        schema: CUSTOM_SCHEMA,
        zero_threshold: 0.0,
        sum: count as f64 * 0.5,
        positive_spans: vec![Span { offset: 0, length: counts.len() as u32 }],
        negative_spans: Vec::new(),
        bounds: bounds.to_vec(),
        counts: HistogramCounts::Integer { count, zero: 0, positive: counts.to_vec(), negative: Vec::new() },
    }
}

fn stale() -> Histogram {
    let counts = HistogramCounts::Integer { count: 0, zero: 0, positive: Vec::new(), negative: Vec::new() };
    let none = Vec::new;
    Histogram {
        reset_hint: ResetHint::Unknown,
        schema: 0,
        zero_threshold: 0.0,
        sum: f64::from_bits(STALE_NAN),
        positive_spans: none(),
        negative_spans: none(),
        bounds: Vec::new(),
        counts,
    }
}

/// Builds the list: each series is there from the beginning to the end, unless told otherwise.
struct List<'a> {
    rng: &'a mut Rng,
    all: Vec<Series>,
}

impl List<'_> {
    fn add(&mut self, name: &str, labels: &[(&str, &str)], shape: Shape) {
        let mut pairs = vec![("__name__".to_owned(), name.to_owned())];
        pairs.extend(labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        // In the order of names, in which series are compared.
        pairs.sort();
        let gaps = [0.0, 0.0, 0.05, 0.15][self.rng.below(4) as usize];
        // A third begins late or ends early.
        let alive = match self.rng.below(6) {
            0 => (self.rng.below(60) as i64, SCRAPES),
            1 => (0, 80 + self.rng.below(70) as i64),
            _ => (0, SCRAPES),
        };
        let late = [0, 0, 0, 137, 4211][self.rng.below(5) as usize];
        let marks = self.rng.below(2) == 0;
        self.all.push(Series { labels: pairs, shape, alive, gaps, marks, late });
    }

    fn bits(&mut self, list: &[f64]) -> f64 {
        list[self.rng.below(list.len() as u64) as usize]
    }
}

fn series(rng: &mut Rng) -> Vec<Series> {
    let mut list = List { rng, all: Vec::new() };
    for job in ["api", "web"] {
        for instance in ["a:1", "b:2"] {
            add_target(&mut list, job, instance);
        }
    }
    add_odd(&mut list);
    list.all
}

fn add_target(list: &mut List<'_>, job: &str, instance: &str) {
    let target = [("job", job), ("instance", instance)];
    let with = |more: &[(&'static str, &'static str)]| [&target[..], more].concat();
    for code in ["200", "404", "500"] {
        let resets = list.bits(&[0.0, 0.02, 0.1]);
        let shape = Shape::Counter { value: 0.0, resets, whole: true };
        list.add("requests_total", &with(&[("code", code), ("path", "/x")]), shape);
    }
    list.add("busy_seconds_total", &target, Shape::Counter { value: 3e6, resets: 0.02, whole: false });
    list.add("temperature", &with(&[("room", "hall")]), Shape::Gauge { value: -3.0, step: 2.0 });
    list.add("temperature", &with(&[("room", "attic")]), Shape::Gauge { value: 21.5, step: 0.4 });
    list.add("up", &target, Shape::Odd(&[1.0, 1.0, 1.0, 0.0]));
    list.add("my.metric", &with(&[("label.one", "ü"), ("code", "200")]), Shape::Gauge { value: 5.0, step: 1.0 });
    let version = if job == "api" { "1.2" } else { "1.10" };
    list.add("target_info", &[&target[..], &[("version", version), ("zone", "north")]].concat(), Shape::Constant(1.0));
    list.add("build_info", &[&target[..], &[("version", version), ("branch", "main")]].concat(), Shape::Constant(1.0));
    add_classic(list, &target);
    let schemas: &[i32] = if instance == "a:1" { &[2] } else { &[3, 1] };
    let native = |gauge, floats| Shape::Native { counts: vec![0; 9], negative: vec![0; 3], schemas, gauge, floats };
    list.add("latency_seconds", &target, native(false, false));
    list.add("latency_gauge", &target, native(true, job == "web"));
    let bounds: &[&[f64]] =
        if job == "api" { &[&[0.5, 1.0, 4.0]] } else { &[&[0.5, 1.0, 4.0, 8.0], &[0.25, 1.0, 4.0]] };
    list.add("size_bytes", &target, Shape::Custom { counts: vec![0; 5], bounds });
    list.add("mixed", &target, Shape::Mixed { value: 0.0, counts: vec![0; 5] });
}

/// Each bucket misses scrapes by itself, so that some scrapes are not monotonic.
fn add_classic(list: &mut List<'_>, target: &[(&str, &str)]) {
    for (i, le) in BOUNDS.iter().enumerate() {
        let value = i as f64 * 1000.0;
        let shape = Shape::Counter { value, resets: 0.0, whole: true };
        list.add("duration_seconds_bucket", &[target, &[("le", le)]].concat(), shape);
    }
    list.add("duration_seconds_sum", target, Shape::Counter { value: 0.0, resets: 0.0, whole: false });
    list.add("duration_seconds_count", target, Shape::Counter { value: 6000.0, resets: 0.0, whole: true });
}

fn add_odd(list: &mut List<'_>) {
    const NAN: f64 = f64::NAN;
    const INF: f64 = f64::INFINITY;
    let kinds: [(&str, &'static [f64]); 7] = [
        ("nan", &[NAN, NAN, 1.0, 2.0]),
        ("inf", &[INF, -INF, 0.0, 7.0]),
        ("zero", &[0.0, -0.0]),
        ("huge", &[1e308, 1.7e308, -1e308]),
        ("tiny", &[5e-324, 1e-300, -1e-310]),
        ("whole", &[-2.0, -1.0, 0.0, 1.0, 2.0, 3.0]),
        ("half", &[-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]),
    ];
    for (kind, values) in kinds {
        list.add("odd", &[("kind", kind), ("job", "api")], Shape::Odd(values));
    }
    list.add("odd", &[("kind", "constant"), ("job", "web"), ("instance", "a:1")], Shape::Constant(42.5));
    // Buckets whose bound is none, or whose last is missing.
    for (job, bounds) in [("bad", ["0.5", "x", "+Inf"]), ("open", ["0.5", "1", "2"])] {
        for le in bounds {
            let shape = Shape::Counter { value: 0.0, resets: 0.0, whole: true };
            list.add("broken_bucket", &[("job", job), ("le", le)], shape);
        }
    }
}
