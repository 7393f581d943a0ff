//! Benchmarks of `storage`.

use std::hint::black_box;
use std::iter;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput};
use evenkeel::env::Rng;
use evenkeel::env::disk::{Disk, MemoryDisk, RealDisk};
use evenkeel::model::{Batch, Labels, MatchOp, Matcher, Millis, Sample, TimeRange, Timestamp};
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
    // What a sum by a label asks for: groups without label texts, each series into the same room.
    group.throughput(Throughput::Elements(SERIES));
    group.bench_function("grouped", |bencher| bencher.iter(|| black_box(sums(&store, &matchers, range))));
    group.finish();
    let status = store.status();
    eprintln!(
        "storage/read: {:.2} bytes a sample in the block",
        status.block_bytes as f64 / status.block_samples as f64
    );
}

/// The sum of the last values of the series of each instance.
fn sums(store: &Store, matchers: &[Matcher], range: TimeRange) -> Vec<(Labels, f64)> {
    let snapshot = store.snapshot();
    let found = snapshot.find(matchers, range).expect("they are found");
    let (group_of, groups) = found.groups(|name| name == "instance");
    let mut sums: Vec<(Labels, f64)> = groups.into_iter().map(|labels| (labels, 0.0)).collect();
    let read = found.read(&mut iter::once(0..found.len()), &mut |at, samples, _| {
        sums[group_of[at] as usize].1 += samples.last().map_or(0.0, |sample| sample.v);
        ControlFlow::Continue(())
    });
    read.expect("they are read");
    sums
}

/// Large only when something is measured.
fn sized(measured: u64, tried: u64) -> u64 {
    if std::env::args().any(|arg| arg == "--bench") { measured } else { tried }
}

/// One block of many series: found by patterns, and one of them read.
fn index(criterion: &mut Criterion) {
    let count = sized(1_000_000, 2000);
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let store = open(&disk, Path::new("/bench"), Durability::Buffered);
    let series = |n: u64| {
        let (pod, node) =
            (format!("api-{:08x}-{}", n.wrapping_mul(0x9e37_79b9) as u32, n % 5), format!("node-{}", n % 300));
        Labels::new([("__name__", "requests_total"), ("job", "api"), ("node", &*node), ("pod", &*pod)]).expect("labels")
    };
    for start in (0..count).step_by(50_000) {
        let mut batch = Batch::new();
        for n in start..count.min(start + 50_000) {
            batch.push(series(n), Sample { t: Timestamp(START), v: n as f64 });
        }
        store.commit(Timestamp(START), vec![Entry::Transaction(batch)]).expect("it is stored");
    }
    checkpoint(&store);
    drop(store);
    let store = open(&disk, Path::new("/bench"), Durability::Buffered);
    let mut group = criterion.benchmark_group("storage/index");
    group.sample_size(10);
    let one = series(count / 2).get("pod").to_owned();
    for (name, op, value) in [
        ("one", MatchOp::Equal, one.as_str()),
        ("prefix", MatchOp::Match, "api-00f.*"),
        ("inside", MatchOp::Match, ".*00f7.*"),
        ("automaton", MatchOp::Match, "api-[0-9]+f-[13]"),
    ] {
        let matchers = [Matcher::equal("job", "api"), Matcher::new("pod", op, value).expect("a pattern")];
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                black_box(store.snapshot().select(&matchers, TimeRange::ALL, usize::MAX).expect("it is read"))
            });
        });
    }
    group.finish();
    eprintln!("storage/index: {:.1} bytes a series of one sample", store.status().block_bytes as f64 / count as f64);
}

/// Thirty days in one merged block: the last minutes of a series, and all of it from statistics or
/// from its samples.
fn long(criterion: &mut Criterion) {
    let (days, count) = (sized(30, 1) as i64, 20);
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let store = open(&disk, Path::new("/bench"), Durability::Buffered);
    let series = series(count);
    for day in 0..days {
        for (n, labels) in series.iter().enumerate() {
            let mut rng = Rng::new(day as u64 ^ (n as u64) << 32);
            let mut v = 0.0;
            let samples = (day * 5760..(day + 1) * 5760).map(|i| {
                v += if n == 0 { 0.0 } else { rng.below(20) as f64 };
                Sample { t: Timestamp(START + i * 15_000), v }
            });
            let mut batch = Batch::new();
            batch.push_series(labels.clone(), samples);
            let at = Timestamp(START + (day + 1) * 86_400_000);
            store.commit(at, vec![Entry::Transaction(batch)]).expect("it is stored");
        }
        checkpoint(&store);
    }
    let end = Timestamp(START + days * 86_400_000);
    store.compact_all(end, &mut |_| ()).expect("one block is made");
    let mut group = criterion.benchmark_group("storage/long");
    let all = [Matcher::equal("job", "api")];
    let one = [Matcher::equal("instance", "10.0.0.7:9100"), Matcher::equal("code", "200")];
    let lately = TimeRange { after: end - Millis::minutes(5), until: end };
    group.bench_function("few", |bencher| {
        bencher.iter(|| black_box(store.snapshot().select(&one, lately, usize::MAX).expect("it is read")));
    });
    group.throughput(Throughput::Elements(count * days as u64 * 5760));
    group.bench_function("samples", |bencher| {
        bencher.iter(|| black_box(store.snapshot().select(&all, TimeRange::ALL, usize::MAX).expect("it is read")));
    });
    group.bench_function("summaries", |bencher| {
        bencher.iter(|| black_box(store.snapshot().summaries(&all, TimeRange::ALL).expect("it is read")));
    });
    group.finish();
    let status = store.status();
    eprintln!("storage/long: {:.2} bytes a sample", status.block_bytes as f64 / status.block_samples as f64);
}

criterion::criterion_group!(benches, append, read, index, long);
