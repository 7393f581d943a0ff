//! How long a backtest takes: 90 days of history and 100 rules, generated.
//!
//! `cargo run --release --example backtest_speed -- DIR [DAYS [SECONDS]]`: writes DAYS of 500 series with a sample every
//! SECONDS to DIR, unless a database is there, and plays them through 100 rules: 50 thresholds of gauges, 25 shares
//! of failed requests, 10 quantiles, 15 on what 5 rules record. Prints time and throughput.

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use evenkeel::backtest::{Backtest, ComputeAhead, spans};
use evenkeel::config::parse_rules;
use evenkeel::env::Rng;
use evenkeel::env::disk::{Disk, RealDisk};
use evenkeel::model::{Batch, Labels, Millis, Sample, TimeRange, Timestamp};
use evenkeel::rules::RuleContext;
use evenkeel::storage::{Durability, Entry, Store, StoreOptions};

const START: i64 = 1_760_000_000_000;
const JOBS: u64 = 25;
const BOUNDS: [&str; 4] = ["0.1", "0.5", "1", "+Inf"];

/// How long a backtest takes.
#[derive(Parser)]
struct Options {
    /// Database that is played, and written first unless it is there
    dir: PathBuf,
    /// Days of history
    #[arg(default_value_t = 90)]
    days: i64,
    /// Seconds between two samples
    #[arg(default_value_t = 60)]
    seconds: i64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { dir, days, seconds } = Options::parse();
    let store = open(&dir)?;
    if store.snapshot().at() < Timestamp(START) {
        let begun = Instant::now();
        let samples = fill(&store, days, seconds)?;
        store.compact_all(store.snapshot().at(), &mut |_| ())?;
        let (bytes, took) = (store.status().block_bytes, begun.elapsed().as_secs_f64());
        println!("{samples} samples of {} series written in {took:.1} s, {bytes} bytes", JOBS * 20);
    }
    let groups = parse_rules("rules.yml", &rules())?;
    let until = store.snapshot().at();
    let range = TimeRange { after: until - Millis::days(days), until };
    let source = evenkeel::db::stored(&store);
    let workers = evenkeel::db::workers();
    for (name, workers) in [("one thread", None), ("all threads", Some(&workers))] {
        let begun = Instant::now();
        let context = RuleContext::default();
        let played = Backtest {
            groups: &groups,
            context: &context,
            source: &source,
            range,
            workers,
            ahead: ComputeAhead::default(),
        }
        .run(&|_| ())?;
        let took = begun.elapsed().as_secs_f64();
        let count: usize = groups.iter().map(|group| group.rules.len()).sum();
        let fired = spans(&played.transitions, range).len();
        println!(
            "{name}: {days} days, {count} rules in {} parts: {took:.2} s; {} samples played, {:.2} M samples a second, {} recorded; {} transitions, {fired} alerts fired",
            played.parts,
            played.samples,
            played.samples as f64 / took / 1e6,
            played.recorded,
            played.transitions.len(),
        );
    }
    Ok(())
}

fn open(dir: &Path) -> Result<Store, Box<dyn Error>> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    disk.create_dir(dir)?;
    let options = StoreOptions {
        durability: Durability::Buffered,
        retention: Millis::days(10_000),
        reserve_bytes: 0,
        ..StoreOptions::default()
    };
    let (store, mut replay) = Store::open(disk, dir, options)?;
    while replay.next()?.is_some() {}
    Ok(store)
}

/// A gauge, five counters of requests by code, a histogram, and what is left to twenty, for each job.
fn series(job: u64) -> Result<Vec<Labels>, Box<dyn Error>> {
    let job = format!("job-{job}");
    let mut all = Vec::new();
    for code in ["200", "201", "404", "500", "503"] {
        all.push(Labels::new([("__name__", "requests_total"), ("job", &*job), ("code", code)])?);
    }
    for le in BOUNDS {
        all.push(Labels::new([("__name__", "latency_seconds_bucket"), ("job", &*job), ("le", le)])?);
    }
    for n in 0..11 {
        let n = n.to_string();
        all.push(Labels::new([("__name__", "queue"), ("job", &*job), ("n", &*n)])?);
    }
    Ok(all)
}

fn fill(store: &Store, days: i64, seconds: i64) -> Result<u64, Box<dyn Error>> {
    let mut rng = Rng::new(7);
    let all: Vec<Vec<Labels>> = (0..JOBS).map(series).collect::<Result<_, _>>()?;
    let mut counters = vec![[0.0f64; 9]; JOBS as usize];
    let mut samples = 0;
    for round in 0..days * 86_400 / seconds {
        let (mut entries, begun) = (Vec::new(), START + round * seconds * 1000);
        for (job, labels) in all.iter().enumerate() {
            // Targets are scraped one after the other.
            let t = Timestamp(begun + job as i64 * 37);
            // Twice a month each job has a bad hour.
            let bad = (round * seconds / 3600 + job as i64 * 17) % 360 == 0;
            let counts = &mut counters[job];
            let asked = 50.0 * seconds as f64;
            let failed = if bad { 0.2 } else { 0.0005 };
            let added =
                [asked, 5.0, 3.0, asked * failed, asked * failed / 3.0, asked * 0.9, asked * 0.98, asked * 0.99, asked];
            for (count, add) in counts.iter_mut().zip(added) {
                *count += add + (rng.below(5)) as f64;
            }
            let mut batch = Batch::new();
            for (n, labels) in labels.iter().enumerate() {
                let v = match n {
                    0..=8 => counts[n],
                    _ => (rng.below(60)) as f64 + if bad { 100.0 } else { 0.0 },
                };
                batch.push(labels.clone(), Sample { t, v });
                samples += 1;
            }
            entries.push(Entry::Transaction(batch));
        }
        store.commit(Timestamp(begun + JOBS as i64 * 37), entries)?;
        if store.checkpoint_due() {
            store.begin_checkpoint(Vec::new())?;
            store.finish_checkpoint()?;
        }
    }
    store.begin_checkpoint(Vec::new())?;
    store.finish_checkpoint()?;
    Ok(samples)
}

fn rules() -> String {
    let mut text = String::from("groups:\n");
    let mut group = |name: &str, rules: Vec<(String, String)>| {
        let _ = writeln!(text, "- name: {name}\n  rules:");
        for (name, expr) in rules {
            let kind = if name.contains(':') { "record" } else { "alert" };
            let hold = if kind == "alert" { ", for: 5m, labels: {severity: page}" } else { "" };
            let _ = writeln!(text, "  - {{{kind}: '{name}', expr: '{expr}'{hold}}}");
        }
    };
    let queue = |n: u64| (format!("Queue{n}"), format!("queue{{job=\"job-{}\",n=\"{}\"}} > 90", n % JOBS, n % 11));
    group("queues", (0..50).map(queue).collect());
    let failed = |job: u64| {
        let (all, bad) = (format!("job=\"job-{job}\""), format!("job=\"job-{job}\",code=~\"5..\""));
        let share = format!("sum(rate(requests_total{{{bad}}}[5m])) / sum(rate(requests_total{{{all}}}[5m])) > 0.01");
        (format!("Failing{job}"), share)
    };
    group("failures", (0..25).map(failed).collect());
    let slow = |job: u64| {
        let buckets = format!("sum by (le) (rate(latency_seconds_bucket{{job=\"job-{job}\"}}[5m]))");
        (format!("Slow{job}"), format!("histogram_quantile(0.99, {buckets}) > 0.9"))
    };
    group("latency", (0..10).map(slow).collect());
    let recorded = |n: u64| (format!("job:requests:rate{n}m"), format!("sum by (job) (rate(requests_total[{n}m]))"));
    let mut last: Vec<_> = (5..10).map(recorded).collect();
    last.extend(
        (0..10).map(|n| (format!("Silent{n}"), format!("job:requests:rate{}m{{job=\"job-{n}\"}} < 1", 5 + n % 5))),
    );
    group("recorded", last);
    text
}
