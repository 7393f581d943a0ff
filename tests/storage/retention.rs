//! How long which series are kept, and in how much room.

use std::sync::Arc;

use evenkeel::env::disk::{Disk, MemoryDisk};
use evenkeel::model::{Matcher, Millis, Rejection, TimeRange};
use evenkeel::storage::{RetentionRule, Store, StoreOptions};

use super::{at, batch, commit, labels, named, open, options};

fn rule(name: &str, seconds: i64) -> RetentionRule {
    RetentionRule { matchers: vec![Matcher::equal("__name__", name)], keep: Millis::seconds(seconds) }
}

fn checkpoint(store: &Store) {
    store.begin_checkpoint(Vec::new()).unwrap();
    store.finish_checkpoint().unwrap();
}

fn seconds(store: &Store, name: &str) -> Vec<i64> {
    let found = store.snapshot().select(&named(name), TimeRange::ALL, usize::MAX).unwrap();
    found.iter().flat_map(|series| series.samples.iter().map(|s| (s.t.0 - at(0).0) / 1000)).collect()
}

/// Ten blocks of ten seconds with one sample a second of each of three series.
fn fill(store: &Store) {
    for second in 0..100 {
        let t = second * 1000;
        let [short, usual, long] = ["short", "usual", "long"].map(|name| labels(name, 1));
        commit(store, t, batch(&[(&short, t, 1.5), (&usual, t, second as f64), (&long, t, 0.5)]));
        if second % 10 == 9 {
            checkpoint(store);
        }
    }
}

#[test]
fn rules_keep_some_series_shorter_and_some_longer() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let rules = vec![rule("short", 20), rule("long", 1000), rule("short", 1000)];
    let keep = StoreOptions { retention: Millis::seconds(50), retention_rules: rules, ..options() };
    let (store, ..) = open(&disk, keep.clone());
    fill(&store);
    let shown = |store: &Store| {
        assert_eq!(seconds(store, "short"), (80..100).collect::<Vec<_>>(), "the first rule counts");
        assert_eq!(seconds(store, "usual"), (50..100).collect::<Vec<_>>());
        assert_eq!(seconds(store, "long"), (0..100).collect::<Vec<_>>());
    };
    shown(&store);
    let summaries = store.snapshot().summaries(&[], TimeRange::ALL).unwrap().unwrap();
    assert_eq!(summaries.iter().map(|(_, summary)| summary.count).collect::<Vec<_>>(), [100, 20, 50]);
    let late = TimeRange { after: at(10_000), until: at(40_000) };
    assert_eq!(store.snapshot().series(&[], late).unwrap(), [labels("long", 1)]);
    let before = store.status().block_samples;
    let done = store.maintain(at(99_000)).unwrap();
    assert!(done.blocks_dropped == 0 && done.blocks_thinned > 0, "{done:?}");
    let after = store.status().block_samples;
    assert!(before == 300 && after < 220, "{after} samples are left");
    shown(&store);
    assert_eq!(store.maintain(at(99_000)).unwrap().blocks_thinned, 0, "it is done once");
    // What is past its series' time is refused as well.
    let samples =
        [(&labels("short", 2), 70_000, 1.0), (&labels("usual", 2), 70_000, 1.0), (&labels("usual", 3), 40_000, 1.0)];
    let taken = commit(&store, 99_500, batch(&samples));
    assert_eq!((taken.samples.len(), taken.rejected.counts), (1, vec![(Rejection::TooOld, 2)]));
    drop(store);
    let (store, ..) = open(&disk, keep);
    assert_eq!(seconds(&store, "short"), (80..100).collect::<Vec<_>>());
}

#[test]
fn a_block_goes_when_nothing_in_it_is_kept() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let rules = vec![rule("short", 20), rule("long", 60)];
    let (store, ..) = open(&disk, StoreOptions { retention: Millis::seconds(40), retention_rules: rules, ..options() });
    fill(&store);
    store.maintain(at(99_000)).unwrap();
    let first = store.status().first_sample.unwrap();
    assert!(first <= at(40_000));
    assert_eq!(seconds(&store, "long"), (40..100).collect::<Vec<_>>());
    assert!(store.status().blocks < 10);
}

#[test]
fn the_oldest_blocks_go_when_there_is_not_enough_room() {
    let memory = MemoryDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let sizes = || {
        let of = |dir: &str| memory.list(&super::dir().join(dir)).unwrap().iter().map(|e| e.bytes).sum::<u64>();
        of("wal") + of("blocks")
    };
    // So short that blocks of ten seconds are not merged.
    let small = StoreOptions { segment_bytes_max: 2000, retention: Millis::seconds(200), ..options() };
    let (store, ..) = open(&disk, small.clone());
    fill(&store);
    drop(store);
    // A start leaves the log in other files than a run does.
    let (store, ..) = open(&disk, small.clone());
    let all = sizes();
    assert_eq!(store.maintain(at(99_000)).unwrap().blocks_over_size, 0, "any room will do");
    drop(store);
    let limit = all - store_bytes(&memory) / 3;
    let (store, ..) = open(&disk, StoreOptions { retention_bytes: limit, ..small.clone() });
    let done = store.maintain(at(99_000)).unwrap();
    assert!(done.blocks_over_size > 0 && sizes() <= limit, "{done:?}: {} of {limit}", sizes());
    let left = seconds(&store, "usual");
    assert!(left.len() < 100 && left.last() == Some(&99) && left.is_sorted(), "the oldest went: {left:?}");
    assert_eq!(store.maintain(at(99_000)).unwrap().blocks_over_size, 0);
    drop(store);
    let (store, _, report) = open(&disk, small);
    assert!(report.damage.is_empty(), "{report}");
    assert_eq!(seconds(&store, "usual"), left);
}

/// Bytes of all blocks.
fn store_bytes(disk: &MemoryDisk) -> u64 {
    let blocks = disk.list(&super::dir().join("blocks")).unwrap().into_iter();
    blocks.filter(|entry| entry.name.ends_with(".block")).map(|entry| entry.bytes).sum()
}
