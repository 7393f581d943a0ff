//! Benchmarks of `storage`.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput};
use evenkeel::env::Rng;
use evenkeel::env::disk::{Disk, MemoryDisk, RealDisk};
use evenkeel::model::{Batch, Labels, Matcher, Millis, Sample, TimeRange, Timestamp};
use evenkeel::storage::{Durability, Entry, Store, StoreOptions};

/// Series of one scrape.
const SERIES: u64 = 1000;
/// Scrapes in a store that is read.
const SCRAPES: i64 = 200;
const START: i64 = 1_700_000_000_000;

fn series(count: u64) -> Vec<Labels> {
    let label = |n: u64| {
        let (instance, code) = (format!("10.0.0.{}:9100", n % 10), format!("{}", 200 + n / 10));
        Labels::new([("__name__", "http_requests_total"), ("instance", &*instance), ("code", &*code), ("job", "api")])
    };
    (0..count).filter_map(|n| label(n).ok()).collect()
}

/// Counters of different speed with some noise.
fn scrape(series: &[Labels], i: i64) -> Batch {
    let mut batch = Batch::new();
    for (n, labels) in (0u32..).zip(series) {
        let noise = Rng::new(i as u64 ^ u64::from(n) << 32).below(20);
        let v = f64::from(n) * 1000.0 + (i * i64::from(n % 50) * 30) as f64 + noise as f64;
        batch.push(labels.clone(), Sample { t: Timestamp(START + i * 15_000), v });
    }
    batch
}

fn open(disk: &Arc<dyn Disk>, dir: &Path, durability: Durability) -> Store {
    let options = StoreOptions { durability, flush_bytes: 8 << 20, ..StoreOptions::default() };
    let (store, mut replay) = Store::open(Arc::clone(disk), dir, options).expect("the store opens");
    while replay.next().expect("the log is read").is_some() {}
    store
}

fn checkpoint(store: &Store) {
    store.begin_checkpoint(Vec::new()).expect("a checkpoint begins");
    store.finish_checkpoint().expect("a block is written");
}

fn filled(disk: &Arc<dyn Disk>) -> Store {
    let (store, series) = (open(disk, Path::new("/bench"), Durability::Synced), series(SERIES));
    for i in 0..SCRAPES {
        let entry = Entry::Transaction(scrape(&series, i));
        store.commit(Timestamp(START + i * 15_000), vec![entry]).expect("the scrape is stored");
    }
    store
}

/// Commits on the machine's disk. Checkpoints are made between the measured calls.
fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("storage/append");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let sizes = [1, 100, 1000, 10_000].map(|count| (Durability::Buffered, count));
    for (durability, count) in sizes.into_iter().chain([(Durability::Synced, 1), (Durability::Synced, 1000)]) {
        let temp = tempfile::tempdir().expect("a directory");
        let (store, series) = (open(&disk, temp.path(), durability), series(count));
        let mut i = 0;
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("{durability:?}/{count}").to_lowercase(), |bencher| {
            bencher.iter_batched(
                || {
                    if store.checkpoint_due() {
                        checkpoint(&store);
                    }
                    i += 1;
                    (Timestamp(START + i * 15_000), vec![Entry::Transaction(scrape(&series, i))])
                },
                |(at, group)| store.commit(at, group).expect("the scrape is stored"),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn read(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("storage/read");
    group.throughput(Throughput::Elements(SERIES * SCRAPES as u64));
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let store = filled(&disk);
    let matchers = [Matcher::equal("job", "api")];
    let all = |store: &Store| store.snapshot().select(&matchers, TimeRange::ALL, usize::MAX).expect("it is read");
    let reopen = || open(&disk, Path::new("/bench"), Durability::Synced);
    group.bench_function("head", |bencher| bencher.iter(|| black_box(all(&store))));
    drop(store);
    group.bench_function("reopen", |bencher| bencher.iter(|| black_box(reopen())));
    let store = reopen();
    checkpoint(&store);
    group.bench_function("block", |bencher| bencher.iter(|| black_box(all(&store))));
    // What a rule or a dashboard asks for: one series, the last five minutes.
    let one = [Matcher::equal("__name__", "http_requests_total"), Matcher::equal("code", "217")];
    let until = Timestamp(START + SCRAPES * 15_000);
    let range = TimeRange { after: until - Millis::minutes(5), until };
    group.throughput(Throughput::Elements(1));
    group.bench_function("snapshot", |bencher| bencher.iter(|| black_box(store.snapshot())));
    group.bench_function("few", |bencher| {
        bencher.iter(|| black_box(store.snapshot().select(&one, range, usize::MAX).expect("it is read")));
    });
    group.finish();
    let status = store.status();
    eprintln!(
        "storage/read: {:.2} bytes a sample in the block",
        status.block_bytes as f64 / status.block_samples as f64
    );
}

criterion::criterion_group!(benches, append, read);
