//! Bytes that a sample takes before and after downsampling, index included, on generated series.
//!
//! `cargo run --release --example downsample_sizes -- [DAYS [SERIES]]`: so many days of 15 s with jitter of
//! milliseconds, shared by the series of one scrape, as many series of each kind. Blocks are merged first.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use clap::Parser;
use evenkeel::env::Rng;
use evenkeel::env::disk::{Disk, MemoryDisk};
use evenkeel::model::{Batch, DownsampleRule, Labels, Millis, Sample, TimeRange, Timestamp};
use evenkeel::storage::{Entry, Store, StoreOptions};

const START: i64 = 1_700_000_000_000;
const SCRAPE: i64 = 15_000;
const KINDS: [&str; 5] =
    ["requests, a counter", "seconds spent, a counter", "bytes, a gauge", "percent, one decimal", "a constant"];

/// Bytes that a sample takes before and after downsampling.
#[derive(Parser)]
struct Options {
    /// Days of history
    #[arg(default_value_t = 16)]
    days: i64,
    /// Series of each kind
    #[arg(default_value_t = 50)]
    series: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { days, series } = Options::parse();
    println!("{days} days of {series} series of each kind; bytes for each sample that came");
    println!("{:<28}{:>10}{:>10}{:>10}{:>10}", "", "raw", "to 5m", "to 1h", "to 5m, 1h");
    let mut sums = [0.0; 4];
    for (kind, name) in KINDS.iter().enumerate() {
        let mut row = String::new();
        for (sum, steps) in sums.iter_mut().zip([&[][..], &[5], &[60], &[5, 60]]) {
            let bytes = measure(kind, days, series, steps)?;
            *sum += bytes;
            row += &format!("{bytes:>10.3}");
        }
        println!("{name:<28}{row}");
    }
    let mean: Vec<String> = sums.iter().map(|sum| format!("{:>10.3}", sum / KINDS.len() as f64)).collect();
    println!("{:<28}{}", "mean", mean.concat());
    Ok(())
}

/// Bytes for each sample when it was downsampled step by step to so many minutes.
fn measure(kind: usize, days: i64, series: u64, steps: &[i64]) -> Result<f64, Box<dyn Error>> {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let mut store = open(&disk, None)?;
    let samples = fill(&store, kind, days, series)?;
    let end = Timestamp(START + days * 86_400_000);
    store.compact_all(end, &mut |_| ())?;
    for minutes in steps {
        drop(store);
        store = open(&disk, Some(*minutes))?;
        let mut now = Batch::new();
        let later = end + Millis::days(2) + Millis(*minutes);
        now.push(Labels::new([("__name__", "now")])?, Sample { t: later, v: 0.0 });
        store.commit(later, vec![Entry::Transaction(now)])?;
        if store.maintain(later)?.blocks_downsampled != 1 {
            return Err("the block was not downsampled".into());
        }
        let range = TimeRange { after: Timestamp::MIN, until: end };
        let counted = store.snapshot().summaries(&[], range)?.unwrap_or_default();
        if counted.iter().map(|(_, summary)| summary.count).sum::<u64>() != samples {
            return Err("samples are missing".into());
        }
    }
    Ok(store.status().block_bytes as f64 / samples as f64)
}

fn open(disk: &Arc<dyn Disk>, minutes: Option<i64>) -> Result<Store, Box<dyn Error>> {
    let rule =
        |minutes| DownsampleRule { matchers: Vec::new(), after: Millis::days(1), resolution: Millis::minutes(minutes) };
    let options = StoreOptions {
        retention: Millis::days(10_000),
        reserve_bytes: 0,
        downsample: minutes.map(rule).into_iter().collect(),
        ..StoreOptions::default()
    };
    let (store, mut replay) = Store::open(Arc::clone(disk), Path::new("/data"), options)?;
    while replay.next()?.is_some() {}
    Ok(store)
}

fn fill(store: &Store, kind: usize, days: i64, count: u64) -> Result<u64, Box<dyn Error>> {
    let mut rng = Rng::new(kind as u64);
    let labels = |n: u64| {
        let instance = format!("10.0.0.{}:9100", n / 10);
        let path = format!("/api/{}", n % 10);
        Labels::new([("__name__", "metric"), ("instance", instance.as_str()), ("path", path.as_str())])
    };
    let series: Vec<Labels> = (0..count).map(labels).collect::<Result<_, _>>()?;
    let mut levels: Vec<f64> = (0..count).map(|n| (n * n) as f64).collect();
    let mut samples = 0;
    for scrape in 0..days * 86_400_000 / SCRAPE {
        let t = Timestamp(START + scrape * SCRAPE + 1 + rng.below(20) as i64);
        let daily = 1.0 + (scrape as f64 * std::f64::consts::TAU / 5760.0).sin();
        let mut batch = Batch::new();
        for (n, labels) in series.iter().enumerate() {
            let level = &mut levels[n];
            let v = match kind {
                0 => {
                    *level += rng.poisson(daily * (1 + n % 40) as f64) as f64;
                    *level
                }
                1 => {
                    *level += daily * (1.0 + rng.unit()) * 0.3;
                    *level
                }
                2 => {
                    *level = (*level + rng.normal() * 40.0).abs();
                    (*level + 1e6).round() * 4096.0
                }
                3 => ((daily * 30.0 + rng.normal() * 2.0).clamp(0.0, 100.0) * 10.0).round() / 10.0,
                _ => 1.0,
            };
            batch.push(labels.clone(), Sample { t, v });
        }
        samples += count;
        store.commit(t, vec![Entry::Transaction(batch)])?;
        if scrape % 20_000 == 19_999 {
            store.begin_checkpoint(Vec::new())?;
            store.finish_checkpoint()?;
        }
    }
    store.begin_checkpoint(Vec::new())?;
    store.finish_checkpoint()?;
    Ok(samples)
}
