//! How long a start takes with many series and a full log, and what one synced commit costs.
//!
//! `cargo run --release --example restart -- DIR [SERIES [SAMPLES_PER_SERIES]]`. `DIR` must be empty or absent.
//! Series come in transactions of a thousand, as from scrapes. A checkpoint is made after the first
//! sample of each, so that the labels are in a series file; then the log is filled.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use evenkeel::env::disk::{Disk, RealDisk};
use evenkeel::model::{Batch, Labels, Millis, Sample, Timestamp};
use evenkeel::storage::{Durability, Entry, Store, StoreOptions};

const START: i64 = 1_700_000_000_000;
/// Series of one transaction.
const TARGET: usize = 1000;

/// How long a start takes with many series and a full log, and what one synced commit costs.
#[derive(Parser)]
struct Options {
    /// Directory of the database; empty or absent
    dir: PathBuf,
    /// Series
    #[arg(default_value_t = 1_000_000)]
    series: usize,
    /// Samples of each series
    #[arg(default_value_t = 16)]
    samples: i64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { dir, series: count, samples } = Options::parse();
    let dir = dir.as_path();
    if dir.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err("the directory is not empty".into());
    }
    let series = series(count)?;
    let store = open(dir, Durability::Buffered)?;
    time("first sample of each series", || fill(&store, &series, 0..1))?;
    store.begin_checkpoint(Vec::new())?;
    time("checkpoint with the new series", || Ok(store.finish_checkpoint()?))?;
    time("further samples", || fill(&store, &series, 1..samples))?;
    let status = store.status();
    println!(
        "log: {} MiB in {} segments, {} samples",
        status.wal_bytes >> 20,
        status.wal_segments,
        status.samples_appended
    );
    store.sync()?;
    drop(store);
    for entry in RealDisk.list(&dir.join("blocks"))? {
        println!("{}: {:.1} bytes a series", entry.name, entry.bytes as f64 / count as f64);
    }
    let store = time("start", || open(dir, Durability::Synced))?;
    println!("memory: {} MiB resident at most", peak_mib().unwrap_or(0));
    let mut lone = Vec::new();
    for i in 0..2000 {
        let t = START + (samples + i) * 15_000;
        let mut batch = Batch::new();
        batch.push(series[0].clone(), Sample { t: Timestamp(t), v: i as f64 });
        let begun = Instant::now();
        store.commit(Timestamp(t), vec![Entry::Transaction(batch)])?;
        lone.push(begun.elapsed());
    }
    let warm = &mut lone[100..];
    warm.sort_unstable();
    println!("lone synced commit: median {:?}, p99 {:?}", warm[warm.len() / 2], warm[warm.len() * 99 / 100]);
    Ok(())
}

fn series(count: usize) -> Result<Vec<Labels>, Box<dyn Error>> {
    let label = |n: usize| {
        let (target, metric) = (n / TARGET, n % TARGET / 10);
        Labels::new([
            ("__name__", format!("service_requests_{metric}_total").as_str()),
            ("cluster", "production-eu-west-1"),
            ("code", format!("{}", 200 + n % 10).as_str()),
            ("handler", "/api/v1/orders"),
            ("instance", format!("10.{}.{}.{}:9100", target >> 8, target & 0xff, target % 7).as_str()),
            ("job", "orders"),
            ("namespace", "shop"),
            ("pod", format!("orders-7d9f8b6c5d-{target:05x}").as_str()),
        ])
    };
    Ok((0..count).map(label).collect::<Result<_, _>>()?)
}

fn open(dir: &Path, durability: Durability) -> Result<Store, Box<dyn Error>> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let options = StoreOptions { durability, retention: Millis::days(3650), ..StoreOptions::default() };
    let (store, mut replay) = time("  open", || Ok(Store::open(disk, dir, options)?))?;
    time("  replay", || {
        while replay.next()?.is_some() {}
        Ok(())
    })?;
    println!("  {}", replay.report());
    Ok(store)
}

fn fill(store: &Store, series: &[Labels], rounds: std::ops::Range<i64>) -> Result<(), Box<dyn Error>> {
    for round in rounds {
        for (target, part) in series.chunks(TARGET).enumerate() {
            let t = Timestamp(START + round * 15_000 + target as i64 * 7);
            let mut batch = Batch::new();
            for (n, labels) in (0u32..).zip(part) {
                let v = match n % 4 {
                    0 => f64::from(n) * 1000.0 + (round * i64::from(n)) as f64,
                    1 => f64::from(n) / 8.0 + round as f64,
                    2 => (f64::from(n) + round as f64).sqrt(),
                    _ => 1.0,
                };
                batch.push(labels.clone(), Sample { t, v });
            }
            store.commit(t, vec![Entry::Transaction(batch)])?;
        }
    }
    Ok(())
}

fn time<T>(what: &str, work: impl FnOnce() -> Result<T, Box<dyn Error>>) -> Result<T, Box<dyn Error>> {
    let begun = Instant::now();
    let done = work()?;
    println!("{what}: {:.3} s", begun.elapsed().as_secs_f64());
    Ok(done)
}

/// The most memory that the process has had in mebibytes, if the system tells.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib >> 10)
}
