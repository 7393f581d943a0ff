//! Kept answers to range queries: whatever is written, and in whatever order, they are what evaluating every
//! step gives.

use std::collections::HashMap;

use evenkeel::db::QueryMeter;
use evenkeel::env::disk::MemoryDisk;
use evenkeel::env::{Clock, Rng};
use evenkeel::model::{
    DownsampleRule, Histogram, HistogramCounts, HistogramSample, Matcher, ResetHint, STALE_NAN, TimeRange,
};
use evenkeel::promql::MatrixSeries;
use evenkeel::storage::StoreOptions;

use super::*;

const QUERIES: [&str; 34] = [
    "a_total",
    "sum(a_total)",
    "rate(a_total[2m])",
    "sum by (job) (rate(a_total[5m]))",
    "increase(lag_total[3m]) / on () group_left sum(a_total)",
    "rate(level[4m])",
    "avg_over_time(level[3m] offset 2m)",
    "level offset -1m",
    "sum by (job) (rate(a_total[2m])) offset 5m",
    "rate(a_total[2m] smoothed)",
    "increase(a_total[2m] anchored)",
    "max_over_time(sum(rate(a_total[1m]))[5m:30s])",
    "count_over_time({job=~\".+\"}[10m])",
    "topk(2, a_total)",
    "bottomk by (job) (1, level)",
    "absent(a_total{pod=\"p1\"})",
    "absent_over_time(level{pod=\"p2\"}[1m])",
    "level > 30 or lag_total",
    "a_total unless on (pod) level",
    "rate(h[3m])",
    "histogram_quantile(0.9, rate(h[3m]))",
    "sum(h) + 1",
    "{__name__=~\"h|level\"}",
    "sum_over_time({__name__=~\"h|level\"}[2m])",
    "histogram_quantile(0.5, sum by (le, job) (rate(b_bucket[3m])))",
    "label_replace(level, \"z\", \"$1\", \"pod\", \"p(.)\")",
    "quantile by (job) (0.3, level)",
    "stddev(level) - stdvar by (job) (level)",
    "time() - timestamp(level)",
    "predict_linear(level[5m], 60)",
    "changes(level[4m]) + resets(a_total[4m])",
    "count_values(\"v\", floor(level / 20))",
    "limit_ratio(0.5, level)",
    "level @ end()",
];

/// What a dashboard asks again and again.
struct Panel {
    text: &'static str,
    step: i64,
    range: i64,
}

struct Run {
    db: Db,
    clock: Arc<ManualClock>,
    rng: Rng,
    counters: HashMap<String, f64>,
}

impl Run {
    /// A database whose options are drawn.
    fn new(seed: u64) -> Run {
        Run::open(seed, |options, rng| {
            options.store = StoreOptions {
                retention: Millis::minutes(if rng.below(3) == 0 { 100 } else { 100_000 }),
                retention_bytes: if rng.below(3) == 0 { 30_000 } else { 0 },
                out_of_order: Millis::minutes(50),
                flush_bytes: 8_000,
                segment_bytes_max: 8_000,
                reserve_bytes: 0,
                idle: Millis::minutes(10),
                ..StoreOptions::default()
            };
            if rng.below(3) == 0 {
                let (after, resolution) = (Millis::minutes(60), Millis::minutes(5));
                options.store.downsample = vec![DownsampleRule { matchers: Vec::new(), after, resolution }];
            }
            // Sometimes so small that answers are put out all the time.
            options.results_cache_bytes = if rng.below(3) == 0 { 24_000 } else { 64 << 20 };
        })
    }

    fn open(seed: u64, choose: impl FnOnce(&mut DbOptions, &mut Rng)) -> Run {
        let (clock, mut rng) = (Arc::new(ManualClock::new(BEGIN)), Rng::new(seed));
        let mut options = DbOptions::new("/db");
        (options.disk, options.clock) = (Arc::new(MemoryDisk::new()), Arc::clone(&clock) as _);
        options.threads = Threads::None;
        choose(&mut options, &mut rng);
        Run { db: Db::open(options).unwrap(), clock, rng, counters: HashMap::new() }
    }

    fn below(&mut self, n: i64) -> i64 {
        self.rng.below(n as u64) as i64
    }

    /// One scrape of everything, with gaps, ends and resets; some senders are late.
    fn write(&mut self, now: i64) {
        let mut batch = Batch::new();
        for pod in 0..4 {
            let labels = |name: &str, le: &str| {
                let (job, pod) = (format!("j{}", pod % 2), format!("p{pod}"));
                let pairs = [("__name__", name), ("job", job.as_str()), ("pod", pod.as_str()), ("le", le)];
                Labels::new(pairs.into_iter().filter(|(_, value)| !value.is_empty())).unwrap()
            };
            let t = now - self.below(20_000);
            for (name, le) in
                [("a_total", ""), ("level", ""), ("lag_total", ""), ("b_bucket", "1"), ("b_bucket", "+Inf")]
            {
                let labels = labels(name, le);
                let last = self.counters.entry(labels.to_string()).or_default();
                let grows = (self.rng.unit() * 10.0).floor() * if le == "1" { 0.5 } else { 1.0 };
                *last = if self.rng.below(40) == 0 { 0.0 } else { *last + grows };
                let mut v = if name == "level" { (self.rng.unit() * 1000.0).round() / 10.0 } else { *last };
                match self.rng.below(30) {
                    0 => v = f64::from_bits(STALE_NAN),
                    1 if name == "level" => v = f64::NAN,
                    2 if name == "level" => v = -0.0,
                    3..6 => continue,
                    _ => {}
                }
                let t = match self.rng.below(60) {
                    _ if name == "lag_total" => t - 300_000,
                    0 => t + 45_000,
                    1 => t - self.rng.below(2_400_000) as i64,
                    2 => t - self.rng.below(150_000) as i64,
                    _ => t,
                };
                batch.push(labels, Sample { t: Timestamp(t), v });
            }
            if self.below(3) > 0 {
                let t = t - if self.below(20) == 0 { self.below(600_000) } else { 0 };
                let count = self.counters.entry(format!("h{pod}")).or_default();
                *count = if self.rng.below(30) == 0 { 1.0 } else { *count + self.rng.below(9) as f64 };
                let histogram = histogram(*count as u64);
                batch.push_mixed(
                    labels("h", ""),
                    [],
                    [HistogramSample { t: Timestamp(t), start: Timestamp(0), histogram }],
                );
            }
        }
        self.db.append(batch).unwrap();
    }

    fn delete(&mut self, now: i64) {
        let matchers = match self.below(3) {
            0 => vec![Matcher::equal("pod", &format!("p{}", self.below(4)))],
            1 => vec![Matcher::equal(Labels::METRIC_NAME, "level"), Matcher::equal("job", "j1")],
            _ => vec![Matcher::equal(Labels::METRIC_NAME, "a_total")],
        };
        let after = now - self.below(3_000_000);
        let range = TimeRange { after: Timestamp(after), until: Timestamp(after + self.below(900_000)) };
        self.db.delete_series(matchers, range).unwrap();
    }

    /// Asks once with and once without what is kept.
    fn check(&mut self, panel: &Panel, now: i64, seed: u64) {
        let end = match self.below(12) {
            0 => now - self.below(1_200_000),
            1 => now + self.below(60_000),
            _ => now,
        };
        // Most clients align by themselves; all others share an alignment rarely.
        let start =
            (end - panel.range).div_euclid(panel.step) * panel.step + if self.below(12) == 0 { 1000 } else { 0 };
        let (span, step) = ((Timestamp(start), Timestamp(end)), Millis(panel.step));
        let options = EvalOptions::default();
        let kept = self.db.query_range(panel.text, span, step, &options);
        let anew = self.db.query_range_uncached(panel.text, span, step, &options, &QueryMeter::default());
        let describe = || {
            format!(
                "{} by {step} over {}..{} (now {}), seed {seed}",
                panel.text,
                start - BEGIN,
                end - BEGIN,
                now - BEGIN
            )
        };
        match (kept, anew) {
            (Ok(kept), Ok(anew)) => {
                assert_eq!((kept.warnings, kept.infos), (anew.warnings, anew.infos), "{}", describe());
                assert_eq!(plain(&kept.value), plain(&anew.value), "{}", describe());
            }
            (kept, anew) => {
                let texts = [kept, anew].map(|one| one.err().map(|error| error.to_string()));
                assert_eq!(texts[0], texts[1], "{}", describe());
            }
        }
    }

    fn metric(&self, name: &str, label: &str) -> f64 {
        let of =
            |labels: &Labels| labels.metric_name() == name && (label.is_empty() || labels.to_string().contains(label));
        self.db.metrics().into_iter().filter(|(labels, _)| of(labels)).map(|(_, v)| v).sum()
    }
}

fn histogram(count: u64) -> Arc<Histogram> {
    let counts = HistogramCounts::Integer { count, zero: count, positive: vec![], negative: vec![] };
    Arc::new(Histogram {
        reset_hint: ResetHint::Unknown,
        schema: 0,
        zero_threshold: 0.5,
        sum: count as f64 * 0.1,
        positive_spans: vec![],
        negative_spans: vec![],
        bounds: vec![],
        counts,
    })
}

/// Labels and, of each point, its time and what it is; the bits that tell one NaN from another left out.
fn plain(value: &Value) -> Vec<(String, Vec<(i64, String)>)> {
    let Value::Matrix(matrix) = value else { panic!("a matrix expected") };
    let number = |v: f64| format!("{v:?} {:x}", if v.is_nan() { 0 } else { v.to_bits() });
    let one = |series: &MatrixSeries| {
        let numbers = series.samples.iter().map(|sample| (sample.t.0 - BEGIN, number(sample.v)));
        let histograms = series
            .histograms
            .iter()
            .map(|one| (one.t.0 - BEGIN, format!("{:?} {}", one.histogram, number(one.histogram.sum))));
        (series.labels.to_string(), numbers.chain(histograms).collect())
    };
    matrix.iter().map(one).collect()
}

#[test]
fn a_kept_answer_is_what_evaluating_every_step_gives() {
    let (mut hits, mut partial, mut invalidated, mut evicted) = (0.0, 0.0, 0.0, 0.0);
    let seeds = match std::env::var("EVENKEEL_SEED") {
        // A range of seeds, `8..200`, for a longer campaign.
        Ok(text) => match text.split_once("..") {
            Some((first, end)) => first.parse().unwrap()..end.parse().unwrap(),
            None => text.parse().unwrap()..text.parse::<u64>().unwrap() + 1,
        },
        Err(_) => 0..6,
    };
    for seed in seeds {
        let mut run = Run::new(seed);
        let panels: Vec<Panel> = (0..10)
            .map(|_| {
                let text = QUERIES[run.below(QUERIES.len() as i64) as usize];
                let step = [15_000, 30_000, 60_000, 20_000][run.below(4) as usize];
                Panel { text, step, range: [300_000, 900_000, 2_400_000][run.below(3) as usize] }
            })
            .collect();
        let mut now = BEGIN;
        for _ in 0..200 {
            now += if run.below(80) == 0 { 600_000 } else { run.below(30_000) };
            run.clock.set(now);
            if run.below(20) > 0 {
                run.write(now);
            }
            if run.below(40) == 0 {
                run.delete(now);
            }
            if run.below(6) == 0 {
                run.db.step();
            }
            for _ in 0..2 {
                let panel = &panels[run.below(panels.len() as i64) as usize];
                run.check(panel, now, seed);
            }
        }
        hits += run.metric("evenkeel_results_cache_requests_total", "hit");
        partial += run.metric("evenkeel_results_cache_requests_total", "partial");
        invalidated += run.metric("evenkeel_results_cache_invalidations_total", "");
        evicted += run.metric("evenkeel_results_cache_evictions_total", "");
    }
    if std::env::var("EVENKEEL_SEED").is_err() {
        println!("{hits} hits, {partial} partial, {invalidated} cut short, {evicted} evicted");
        assert!(hits > 20.0 && partial > 800.0 && invalidated > 100.0 && evicted > 10.0, "the cache was hardly used");
    }
}

#[test]
fn what_is_kept_while_writers_write_is_not_older_than_it_says() {
    let mut run = Run::open(7, |options, _| options.store.out_of_order = Millis::minutes(50));
    let panels: Vec<Panel> =
        QUERIES.iter().map(|text| Panel { text, step: 15_000, range: 900_000 }).step_by(3).collect();
    let mut now = BEGIN;
    for _ in 0..4 {
        let db = run.db.clone();
        let clock = Arc::clone(&run.clock);
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let ask = || {
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    for panel in &panels {
                        let end = clock.now_ms() / panel.step * panel.step;
                        let span = (Timestamp(end - panel.range), Timestamp(end));
                        // Some cannot be answered now and then: two series lose what tells them apart.
                        let _ = db.query_range(panel.text, span, Millis(panel.step), &EvalOptions::default());
                    }
                }
            };
            (0..2).for_each(|_| drop(scope.spawn(ask)));
            for _ in 0..60 {
                now += 5_000;
                run.clock.set(now);
                run.write(now);
            }
            over.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        panels.iter().for_each(|panel| run.check(panel, now, 7));
    }
}

const OF_WINDOWS: &str = "rate increase delta changes resets avg_over_time sum_over_time count_over_time min_over_time \
                          max_over_time last_over_time first_over_time present_over_time stddev_over_time";

#[test]
fn long_windows_give_the_same_however_few_of_them_are_asked_for() {
    let small =
        StoreOptions { flush_bytes: 8_000, segment_bytes_max: 8_000, reserve_bytes: 0, ..StoreOptions::default() };
    let mut run = Run::open(1, |options, _| options.store = small);
    let mut now = BEGIN;
    for n in 0..1500_i64 {
        now += 60_000;
        run.clock.set(now);
        let level = if n % 71 == 0 { f64::NAN } else { ((n * n) % 1009) as f64 / 10.0 };
        let mut batch = one("a_total", &[("pod", "a")], now - n % 7000, ((n * 7) % 1501) as f64);
        batch.append(one("level", &[("pod", "b")], now - n % 900, level));
        run.db.append(batch).unwrap();
        if n % 300 == 0 {
            run.db.step();
        }
        // At one refresh a few steps are new, which reads summaries of chunks; all of them read samples.
        if n > 1300 && n % 50 == 0 {
            for function in OF_WINDOWS.split_whitespace() {
                let text = format!("{function}({{pod=~\".\"}}[13h])");
                let panel = Panel { text: text.leak(), step: 300_000, range: 7_200_000 };
                run.check(&panel, now, n as u64);
            }
        }
    }
    assert!(run.metric("evenkeel_results_cache_requests_total", "partial") > 20.0);
}
