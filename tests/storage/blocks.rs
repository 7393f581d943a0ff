//! Blocks: found by their own index, summarized, merged.

use std::sync::Arc;

use evenkeel::env::Rng;
use evenkeel::env::disk::{Disk, MemoryDisk};
use evenkeel::model::{Batch, Labels, MatchOp, Matcher, Millis, Rejection, STALE_NAN, Sample, Summary, TimeRange};
use evenkeel::storage::{Entry, Snapshot, Store, StoreOptions};

use super::{at, batch, commit, content, labels, open, options};

/// Runs a test for some seeds, or for the one of the environment.
fn for_seeds(test: &str, run: impl Fn(u64) + std::panic::RefUnwindSafe) {
    if let Ok(seed) = std::env::var("EVENKEEL_SEED") {
        return run(seed.parse().unwrap());
    }
    for seed in 0..3 {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("seed {seed}; repeat with EVENKEEL_SEED={seed} cargo test storage::blocks::{test}");
            std::panic::resume_unwind(panic);
        }
    }
}

fn long() -> StoreOptions {
    StoreOptions { retention: Millis::days(3000), out_of_order: Millis::days(1), ..options() }
}

fn checkpoint(store: &Store) {
    store.begin_checkpoint(Vec::new()).unwrap();
    store.finish_checkpoint().unwrap();
}

/// A value of one of several kinds of series.
fn value(rng: &mut Rng, kind: u64, i: i64) -> f64 {
    match kind {
        0 => 7.5,
        1 => (i % 3000) as f64 * 3.0,
        2 => rng.normal(),
        3 => rng.below(100) as f64 / 10.0 - 5.0,
        4 if rng.below(200) == 0 => f64::from_bits(STALE_NAN),
        5 if rng.below(300) == 0 => [f64::NAN, f64::INFINITY, 1e300, -0.0][rng.below(4) as usize],
        _ => i as f64,
    }
}

/// Appends `count` scrapes from number `from` on of six kinds of series; some gaps, some jitter.
fn fill(store: &Store, rng: &mut Rng, from: i64, count: i64) {
    for start in (from..from + count).step_by(500) {
        let mut all = Batch::new();
        for kind in 0..6u64 {
            let samples: Vec<Sample> = (start..(start + 500).min(from + count))
                .filter(|i| kind != 3 || i % 7 != 0)
                .map(|i| {
                    let jitter = if kind == 2 { rng.below(900) as i64 } else { 0 };
                    Sample { t: at(i * 15_000 + jitter), v: value(rng, kind, i) }
                })
                .collect();
            all.push_series(labels("m", kind), samples);
        }
        let now = at((start + 500) * 15_000);
        store.commit(now, vec![Entry::Transaction(all)]).unwrap();
    }
}

fn check_summaries(snapshot: &Snapshot, range: TimeRange) {
    let selected = snapshot.select(&[], range, usize::MAX).unwrap();
    let expected: Vec<(Labels, Summary)> =
        selected.into_iter().map(|series| (series.labels, Summary::of(&series.samples))).collect();
    let found = snapshot.summaries(&[], range).unwrap().unwrap();
    assert_eq!(found.len(), expected.len(), "{range:?}");
    for (found, expected) in found.iter().zip(&expected) {
        assert!(found == expected, "{range:?}\nfound {found:?}\nexpected {expected:?}");
    }
}

#[test]
fn summaries_say_what_the_samples_say() {
    for_seeds("summaries_say_what_the_samples_say", |seed| {
        let mut rng = Rng::new(seed);
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let (store, ..) = open(&disk, long());
        let mut from = 0;
        for round in 0..4 {
            let count = 200 + rng.below(6000) as i64;
            fill(&store, &mut rng, from, count);
            from += count;
            if round < 3 {
                checkpoint(&store);
            }
            if round == 1 + (seed as i64 % 2) {
                store.compact_all(at(from * 15_000), &mut |_| ()).unwrap();
            }
            if round == 2 && seed % 3 == 0 {
                // Late samples make sources overlap.
                let late = at((from - 300) * 15_000 + 7);
                store
                    .commit(
                        at(from * 15_000),
                        vec![Entry::Transaction({
                            let mut all = Batch::new();
                            all.push(labels("m", 1), Sample { t: late, v: 1.0 });
                            all
                        })],
                    )
                    .unwrap();
            }
        }
        let snapshot = store.snapshot();
        check_summaries(&snapshot, TimeRange::ALL);
        for _ in 0..25 {
            let after = at(rng.below(from as u64 * 15_000) as i64 - 5000);
            check_summaries(
                &snapshot,
                TimeRange { after, until: after + Millis(rng.below(from as u64 * 15_000) as i64) },
            );
        }
    });
}

#[test]
fn merging_changes_no_answer() {
    for_seeds("merging_changes_no_answer", |seed| {
        let mut rng = Rng::new(seed);
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let (store, ..) = open(&disk, long());
        let mut from = 0;
        for round in 0..5 {
            let count = 100 + rng.below(9000) as i64;
            // Overlap the block before now and then: what is there already is known or a duplicate.
            fill(&store, &mut rng, from, count);
            from += count;
            checkpoint(&store);
            if round % 2 == 1 {
                let before = content(&store.snapshot());
                let mut written = 0;
                let report = store.compact_all(at(from * 15_000), &mut |bytes| written += bytes).unwrap();
                assert!(report.blocks_merged > 0 && written > 0);
                assert_eq!(store.status().blocks, 1);
                assert_eq!(content(&store.snapshot()), before, "round {round}");
                store.snapshot().verify().unwrap();
            }
        }
        check_summaries(&store.snapshot(), TimeRange::ALL);
    });
}

/// Series with labels of different kinds: few values, many values, absent ones.
fn various(rng: &mut Rng, n: u64) -> Labels {
    let instance = format!("10.0.{}.{}:9100", n / 250, n % 250);
    let pod = format!("api-{:04x}-{}", rng.below(1 << 16), n % 7);
    let job = ["api", "db", "cache"][rng.below(3) as usize];
    let zone = ["", "eu", "us"][rng.below(3) as usize];
    Labels::new([("__name__", "m"), ("instance", &*instance), ("pod", &*pod), ("job", job), ("zone", zone)]).unwrap()
}

#[test]
fn a_block_finds_what_matches() {
    for_seeds("a_block_finds_what_matches", |seed| {
        use MatchOp::{Equal, Match, NotEqual, NotMatch};
        let mut rng = Rng::new(seed);
        let all: Vec<Labels> = (0..1300).map(|n| various(&mut rng, n)).collect();
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let (store, ..) = open(&disk, options());
        let mut scrape = Batch::new();
        all.iter().for_each(|labels| scrape.push(labels.clone(), Sample { t: at(0), v: 1.0 }));
        commit(&store, 0, scrape);
        checkpoint(&store);
        drop(store);
        let (store, ..) = open(&disk, options());
        let snapshot = store.snapshot();
        let atoms = [
            ("job", Equal, "api"),
            ("job", NotEqual, "api"),
            ("job", Match, "api|db|none"),
            ("job", NotMatch, "api|db"),
            ("job", Match, ".*"),
            ("zone", Equal, ""),
            ("zone", NotEqual, ""),
            ("zone", Match, ".+"),
            ("zone", Match, "eu|"),
            ("zone", NotMatch, ".+"),
            ("none", Equal, ""),
            ("none", Equal, "x"),
            ("none", NotEqual, "x"),
            ("pod", Match, "api-0.*"),
            ("pod", Match, "api-[0-9a-f]+-[13]"),
            ("pod", NotMatch, "api-.*-3"),
            ("pod", Match, ".*ff.*"),
            ("instance", Equal, "10.0.3.7:9100"),
            ("instance", NotEqual, "10.0.3.7:9100"),
            ("instance", Match, "10\\.0\\.[12]\\..*"),
            ("__name__", Equal, "m"),
        ];
        for _ in 0..60 {
            let picked = (0..rng.below(4)).map(|_| atoms[rng.below(atoms.len() as u64) as usize]);
            let matchers: Vec<Matcher> = picked.map(|(n, op, v)| Matcher::new(n, op, v).unwrap()).collect();
            let fits = |labels: &&Labels| matchers.iter().all(|m| m.matches(labels.get(m.name())));
            let mut expected: Vec<Labels> = all.iter().filter(fits).cloned().collect();
            expected.sort_unstable();
            assert_eq!(snapshot.series(&matchers, TimeRange::ALL).unwrap(), expected, "{matchers:?}");
            let has = snapshot.has_series(&matchers, TimeRange::ALL).unwrap();
            assert_eq!(has, !expected.is_empty(), "{matchers:?}");
        }
        assert_eq!(snapshot.label_names(&[], TimeRange::ALL).unwrap(), ["__name__", "instance", "job", "pod", "zone"]);
        let mut pods: Vec<String> = all.iter().map(|labels| labels.get("pod").to_owned()).collect();
        pods.sort_unstable();
        pods.dedup();
        assert_eq!(snapshot.label_values("pod", &[], TimeRange::ALL).unwrap(), pods);
        assert!(snapshot.label_values("pod", &[], TimeRange { after: at(0), until: at(9) }).unwrap().is_empty());
    });
}

#[test]
fn what_only_a_block_knows_still_decides() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let keep = StoreOptions { out_of_order: Millis::seconds(10), ..options() };
    let (store, ..) = open(&disk, keep.clone());
    let a = labels("a", 1);
    commit(&store, 0, batch(&[(&a, 0, 1.0), (&a, 60_000, 2.0)]));
    checkpoint(&store);
    drop(store);
    let (store, ..) = open(&disk, keep);
    let taken = commit(
        &store,
        61_000,
        batch(&[
            (&a, 60_000, 2.0),
            (&a, 60_000, 3.0),
            (&a, 0, 1.0),
            (&a, 55_000, 4.0),
            (&a, 55_000, 5.0),
            (&a, 61_000, 6.0),
        ]),
    );
    assert_eq!(taken.samples.len(), 2, "one is late and new, one is new");
    assert_eq!(taken.rejected.counts, [(Rejection::Duplicate, 2), (Rejection::OutOfOrder, 1)]);
    assert_eq!(content(&store.snapshot())[0].1.len(), 4);
}

#[test]
fn series_of_one_scrape_share_their_stamps() {
    let store_of = |count: u64, own_jitter: bool| {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let (store, ..) = open(&disk, long());
        let mut all = Batch::new();
        for n in 0..count {
            let mut rng = Rng::new(if own_jitter { n } else { 0 });
            // Some began later.
            let stamps =
                (0..4000i64).map(|i| i * 15_000 + rng.below(2000) as i64).skip(if n % 5 == 4 { 700 } else { 0 });
            all.push_series(labels("m", n), stamps.map(|t| Sample { t: at(t), v: 1.0 }));
        }
        store.commit(at(4000 * 15_000), vec![Entry::Transaction(all)]).unwrap();
        checkpoint(&store);
        store.compact_all(at(4000 * 15_000), &mut |_| ()).unwrap();
        store.status().block_bytes
    };
    let (one, shared, own) = (store_of(1, false), store_of(50, false), store_of(50, true));
    assert!(shared < one + 50 * 60, "{one} bytes for one series, {shared} for fifty of one scrape");
    assert!(own > 30 * one, "{own} bytes for fifty with stamps of their own");
}

/// Series that all say the same take nearly nothing: counts may then be larger than the bytes behind them.
#[test]
fn many_series_that_are_alike_are_read_again() {
    // Values, and how the times of a series lie beside those of the one before.
    type Kind = (&'static str, fn(i64) -> f64, i64);
    let kinds: [Kind; 6] = [
        ("up", |_| 1.0, 0),
        ("stale", |i| if i % 2 == 0 { f64::from_bits(STALE_NAN) } else { 1.0 }, 0),
        ("linear", |i| i as f64, 0),
        ("up", |_| 1.0, 1),
        ("linear", |i| i as f64 * 15.0, 7),
        ("reset", |i| (i % 2) as f64, 0),
    ];
    for (name, value, shift) in kinds {
        for (series, count) in [(3000, 1), (3000, 3), (400, 40), (40, 1500)] {
            let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
            let (store, ..) = open(&disk, long());
            let mut all = Batch::new();
            for n in 0..series {
                let samples = (0..count).map(|i| Sample { t: at(i * 15_000 + n as i64 * shift), v: value(i) });
                all.push_series(labels(name, n), samples);
            }
            store.commit(at(count * 15_000 + 60_000), vec![Entry::Transaction(all)]).unwrap();
            checkpoint(&store);
            store.compact_all(at(i64::MAX / 4), &mut |_| ()).unwrap();
            store.snapshot().verify().unwrap_or_else(|error| panic!("{name} {series} {count} {shift}: {error}"));
            let whole = TimeRange { after: at(-1), until: at(i64::MAX / 2) };
            let found = store.snapshot().select(&[], whole, usize::MAX);
            let found = found.unwrap_or_else(|error| panic!("{name} {series} {count} {shift}: {error}"));
            assert_eq!(found.len(), series as usize, "{name} {count} {shift}");
            assert!(found.iter().all(|one| one.samples.len() == count as usize));
        }
    }
}
