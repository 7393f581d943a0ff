//! What a series and a sample cost in memory and time: commits without syncs, by number of series.
//!
//! `cargo run --release --example head_cost -- [series ...]`

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use clap::Parser;
use evenkeel::env::Rng;
use evenkeel::env::disk::{Disk, RealDisk};
use evenkeel::model::{Labels, RawBatch, RawBatchBuilder, Sample, Timestamp};
use evenkeel::storage::{Durability, Entry, Store, StoreOptions};

const START: i64 = 1_700_000_000_000;
/// Series of a write request.
const REQUEST: usize = 2000;
/// Scrapes after the one that makes the series known.
const SCRAPES: i64 = 6;

fn read_labels(bytes: &[u8], _: usize, _: usize) -> Result<Labels, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    Labels::from_text(text).map_err(|error| error.to_string())
}

/// Seven labels: a thousand series for each instance, as an exporter has them.
fn labels(n: usize) -> Labels {
    let (instance, pod) = (format!("10.{}.{}.7:9100", n / 256_000, n / 1000 % 256), format!("api-{:x}", n / 1000));
    let (path, code) = (format!("/v1/things/{}", n % 50), format!("{}", 200 + n / 50 % 20));
    let pairs = [
        ("__name__", "http_requests_total"),
        ("cluster", "eu-west-1"),
        ("instance", &instance),
        ("job", "api"),
        ("path", &path),
        ("pod", &pod),
        ("code", &code),
    ];
    Labels::new(pairs).expect("they name a series")
}

/// The requests of one scrape of all series, in an order that does not help the cache.
fn requests(texts: &[Labels], order: &[u32], t: i64) -> Vec<RawBatch> {
    let batch = |numbers: &[u32]| {
        let (mut bytes, mut batch) = (Vec::new(), RawBatchBuilder::with_capacity(numbers.len()));
        for (position, n) in numbers.iter().enumerate() {
            let labels = texts[*n as usize].as_text().as_bytes();
            batch.push_sample(Sample { t: Timestamp(t), v: (t / 1000 + position as i64) as f64 });
            batch.push_series(labels, bytes.len(), position);
            bytes.extend(labels);
        }
        batch.finish(Bytes::from(bytes), read_labels)
    };
    order.chunks(REQUEST).map(batch).collect()
}

/// Commits each request by itself; gives the nanoseconds a sample.
fn commit(store: &Store, requests: Vec<RawBatch>, t: i64, samples: usize) -> f64 {
    let begun = processor_time();
    for request in requests {
        store.commit(Timestamp(t), vec![Entry::Write(request)]).expect("it is stored");
    }
    (processor_time() - begun) / samples as f64
}

/// Nanoseconds that this thread has had a processor: others on the machine do not count.
fn processor_time() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(f64::NAN)
}

/// Bytes of memory that this process has.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0.0);
    pages * 4096.0
}

fn measure(count: usize) {
    let dir = std::env::temp_dir().join(format!("evenkeel-head-{}-{count}", std::process::id()));
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let options = StoreOptions { durability: Durability::Buffered, ..StoreOptions::default() };
    let (store, mut replay) = Store::open(disk, Path::new(&dir), options).expect("the store opens");
    while replay.next().expect("the log is read").is_some() {}
    let texts: Vec<Labels> = (0..count).map(labels).collect();
    let mut rng = Rng::new(1);
    let mut order: Vec<u32> = (0..count as u32).collect();
    for shuffled in [false, true] {
        if shuffled {
            for at in (1..order.len()).rev() {
                order.swap(at, rng.below(at as u64 + 1) as usize);
            }
        }
        if !shuffled {
            let first = requests(&texts, &order, START);
            let before = resident();
            let new = commit(&store, first, START, count);
            let grown = resident() - before;
            let head = store.status().head_bytes as f64;
            println!(
                "{count:>8} series: new {new:>5.0} ns; {:.0} bytes a series, {:.0} of them in pieces for samples",
                grown / count as f64,
                head / count as f64
            );
        }
        let mut times = Vec::new();
        let from = if shuffled { SCRAPES + 1 } else { 1 };
        for scrape in from..from + SCRAPES {
            let t = START + scrape * 15_000;
            times.push(commit(&store, requests(&texts, &order, t), t, count));
        }
        times.sort_by(f64::total_cmp);
        let what = if shuffled { "shuffled" } else { "in order" };
        println!(
            "{count:>8} series: known, {what}: {:>5.1} ns a sample (best {:.1})",
            times[times.len() / 2],
            times[0]
        );
    }
    println!(
        "{count:>8} series: {:.1} bytes a sample in the head",
        store.status().head_bytes as f64 / store.status().samples_appended as f64
    );
    drop(store);
    if let Err(error) = std::fs::remove_dir_all(&dir) {
        println!("{} stays: {error}", dir.display());
    }
}

/// What a series and a sample cost in memory and time.
#[derive(Parser)]
struct Options {
    /// Numbers of series
    #[arg(default_values_t = [10_000, 100_000, 1_000_000])]
    series: Vec<usize>,
}

fn main() {
    Options::parse().series.into_iter().for_each(measure);
}
