//! When the counting of samples began: stored with them, kept over restarts and checkpoints, told to who asks.

use std::sync::Arc;

use evenkeel::env::disk::{Disk, MemoryDisk, Survival};
use evenkeel::model::{
    Batch, Histogram, HistogramCounts, HistogramSample, Labels, Millis, ResetHint, Sample, TimeRange, Timestamp, limits,
};
use evenkeel::storage::{Entry, Store, StoreOptions, verify};

use super::{at, commit, dir, labels, open, options};

fn keeping() -> StoreOptions {
    StoreOptions { start_changes_max: limits::START_CHANGES_MAX, ..options() }
}

/// Appends a sample of each series whose counting began at a time; both in milliseconds.
fn append(store: &Store, samples: &[(&str, i64, i64)]) {
    let mut batch = Batch::new();
    for (name, t, start) in samples {
        batch.push_counted(labels(name, 1), Sample { t: at(*t), v: *t as f64 }, at(*start));
    }
    commit(store, samples.iter().map(|(_, t, _)| *t).max().unwrap(), batch);
}

/// The starts of all samples, as text: `a 0 1000`, `-` where none is known.
fn shown(store: &Store) -> Vec<String> {
    let snapshot = store.snapshot();
    let series = snapshot.select(&[], TimeRange::ALL, usize::MAX).unwrap();
    let line = |mut series| {
        let starts = snapshot.tell_starts(&mut series);
        let show = |start: Timestamp| if start.0 == 0 { "-".to_owned() } else { (start.0 - at(0).0).to_string() };
        let starts = starts.into_iter().chain(series.histograms.iter().map(|histogram| histogram.start));
        format!("{} {}", series.labels.metric_name(), starts.map(show).collect::<Vec<_>>().join(" "))
    };
    series.into_iter().map(line).collect()
}

fn checkpoint(store: &Store) {
    assert!(store.begin_checkpoint(Vec::new()).unwrap());
    store.finish_checkpoint().unwrap();
}

fn fill(store: &Store) {
    append(store, &[("a", 1000, 500), ("b", 1000, 600)]);
    append(store, &[("a", 2000, 500), ("b", 2000, 1500)]);
    append(store, &[("a", 3000, 2500), ("b", 3000, 1500)]);
}

const FILLED: [&str; 2] = ["a 500 500 2500", "b 600 1500 1500"];

#[test]
fn they_share_the_sync_of_their_samples_and_survive_it() {
    let memory = MemoryDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let (store, ..) = open(&disk, keeping());
    let syncs = store.status().fsyncs;
    fill(&store);
    assert_eq!((store.status().fsyncs - syncs, store.status().start_changes), (3, 4));
    assert_eq!(shown(&store), FILLED);
    let after: Arc<dyn Disk> = Arc::new(memory.power_cut(Survival::Least));
    let report = verify(&after, dir(), &mut |_, _| {}).unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    let (again, ..) = open(&after, keeping());
    assert_eq!(shown(&again), FILLED);
    append(&again, &[("a", 4000, 2500), ("b", 4000, 3500)]);
    assert_eq!(shown(&again), ["a 500 500 2500 2500", "b 600 1500 1500 3500"]);
}

#[test]
fn what_was_said_before_takes_no_bytes() {
    let bytes = |start: i64| {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let (store, ..) = open(&disk, keeping());
        append(&store, &[("a", 1000, 500)]);
        let before = store.status().wal_bytes;
        append(&store, &[("a", 2000, start)]);
        store.status().wal_bytes - before
    };
    // A tag, a length, a count, a series, a time of the log and one of the target.
    assert_eq!((bytes(500), bytes(1500)), (bytes(0) - 16, bytes(500) + 16));
}

#[test]
fn a_checkpoint_carries_them_on() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let (store, ..) = open(&disk, keeping());
    fill(&store);
    assert!(store.begin_checkpoint(Vec::new()).unwrap());
    append(&store, &[("a", 4000, 3500), ("c", 4000, 3500)]);
    store.finish_checkpoint().unwrap();
    let kept = ["a 500 500 2500 3500", "b 600 1500 1500", "c 3500"];
    assert_eq!(shown(&store), kept);
    drop(store);
    for _ in 0..2 {
        let (store, ..) = open(&disk, keeping());
        assert_eq!(shown(&store), kept);
        checkpoint(&store);
    }
    let report = verify(&disk, dir(), &mut |_, _| {}).unwrap();
    assert!(report.faults.is_empty(), "{:?}", report.faults);
    // A store that keeps none forgets them with its next checkpoint.
    let (store, ..) = open(&disk, options());
    assert_eq!(shown(&store), ["a ", "b ", "c "]);
    checkpoint(&store);
    drop(store);
    let (store, ..) = open(&disk, keeping());
    assert_eq!(shown(&store), ["a ", "b ", "c "]);
}

#[test]
fn only_the_newest_sample_of_a_series_says_something() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let (store, ..) = open(&disk, StoreOptions { out_of_order: Millis::seconds(60), ..keeping() });
    append(&store, &[("a", 1000, 500), ("a", 3000, 500)]);
    append(&store, &[("a", 2000, 1500)]);
    append(&store, &[("a", 3000, 1500)]);
    assert_eq!(shown(&store), ["a 500 500 500"], "a late sample and one that is there");
    append(&store, &[("a", 4000, 4500), ("a", 5000, 4500)]);
    assert_eq!(shown(&store), ["a 500 500 500 500 4500"], "counting cannot begin behind its sample");
    let mut batch = Batch::new();
    batch.push_counted(labels("b", 1), Sample { t: at(90_000_000), v: 1.0 }, at(500));
    assert_eq!(commit(&store, 5000, batch).rejected.total(), 1);
    assert_eq!(store.status().start_changes, 2, "a sample that is refused says nothing");
}

#[test]
fn native_histograms_are_told_theirs() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let (store, ..) = open(&disk, keeping());
    let histogram = Arc::new(Histogram {
        reset_hint: ResetHint::Unknown,
        schema: 0,
        zero_threshold: 0.5,
        sum: 2.0,
        positive_spans: vec![],
        negative_spans: vec![],
        bounds: vec![],
        counts: HistogramCounts::Integer { count: 3, zero: 3, positive: vec![], negative: vec![] },
    });
    for (t, start) in [(1000, 500), (2000, 500), (3000, 2500)] {
        let mut batch = Batch::new();
        let histogram = HistogramSample { t: at(t), start: at(start), histogram: Arc::clone(&histogram) };
        batch.push_histogram(labels("h", 1), histogram);
        commit(&store, t, batch);
    }
    checkpoint(&store);
    assert_eq!(shown(&store), ["h 500 500 2500"]);
    drop(store);
    assert_eq!(shown(&open(&disk, keeping()).0), ["h 500 500 2500"]);
}

#[test]
fn a_series_that_leaves_memory_takes_its_own_with_it() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let (store, ..) = open(&disk, StoreOptions { idle: Millis::seconds(10), ..keeping() });
    append(&store, &[("a", 1000, 500), ("b", 1000, 500)]);
    append(&store, &[("b", 60_000, 500)]);
    checkpoint(&store);
    while store.retire().more {}
    assert_eq!(shown(&store), ["a ", "b 500 500"]);
    assert_eq!(store.status().start_changes, 1);
    append(&store, &[("a", 61_000, 60_500)]);
    assert_eq!(shown(&store), ["a - 60500", "b 500 500"]);
    drop(store);
    // The last checkpoint was before it left, so that a start knows it again; the next one is not.
    let (store, ..) = open(&disk, StoreOptions { idle: Millis::seconds(10), ..keeping() });
    assert_eq!(shown(&store), ["a 500 60500", "b 500 500"]);
    append(&store, &[("b", 120_000, 500)]);
    append(&store, &[("b", 140_000, 500)]);
    checkpoint(&store);
    while store.retire().more {}
    append(&store, &[("a", 141_000, 140_500)]);
    checkpoint(&store);
    assert_eq!(shown(&store), ["a - - 140500", "b 500 500 500 500"]);
    drop(store);
    assert_eq!(shown(&open(&disk, keeping()).0), ["a - - 140500", "b 500 500 500 500"]);
}

#[test]
fn a_group_that_fails_leaves_none() {
    let memory = MemoryDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let (store, ..) = open(&disk, StoreOptions { segment_bytes_max: 1, ..keeping() });
    append(&store, &[("a", 1000, 500)]);
    memory.set_capacity(Some(memory.used_bytes()));
    let mut batch = Batch::new();
    batch.push_counted(labels("a", 1), Sample { t: at(2000), v: 1.0 }, at(1500));
    store.commit(at(2000), vec![Entry::Transaction(batch.clone())]).unwrap_err();
    assert_eq!(store.status().start_changes, 1);
    memory.set_capacity(None);
    store.commit(at(2000), vec![Entry::Transaction(batch)]).unwrap();
    assert_eq!(shown(&store), ["a 500 1500"]);
}

#[test]
fn damaged_ones_are_told_and_leave_the_samples() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    // A store that keeps none passes on what an upper layer gives under the name.
    let (store, ..) = open(&disk, options());
    append(&store, &[("a", 1000, 500)]);
    assert!(store.begin_checkpoint(vec![("store.starts".into(), vec![9])]).unwrap());
    store.finish_checkpoint().unwrap();
    drop(store);
    assert_eq!(verify(&disk, dir(), &mut |_, _| {}).unwrap().faults.len(), 1);
    let (store, _, report) = open(&disk, keeping());
    assert_eq!(report.damage.len(), 1, "{report}");
    assert!(report.damage[0].what.starts_with("when counting began is lost: "), "{report}");
    append(&store, &[("a", 2000, 500)]);
    assert_eq!(shown(&store), ["a - 500"]);
}

#[test]
fn those_of_unknown_series_are_passed_over() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let (store, ..) = open(&disk, keeping());
    fill(&store);
    checkpoint(&store);
    drop(store);
    let series = disk.list(&dir().join("blocks")).unwrap().into_iter().find(|entry| entry.name.ends_with(".series"));
    disk.remove(&series.unwrap().path).unwrap();
    let (store, ..) = open(&disk, keeping());
    assert_eq!((store.status().start_changes, shown(&store)), (0, vec!["a ".to_owned(), "b ".to_owned()]));
    let name = Labels::new([("__name__", "a"), ("n", "1")]).unwrap();
    let mut batch = Batch::new();
    batch.push_counted(name, Sample { t: at(4000), v: 1.0 }, at(3500));
    commit(&store, 4000, batch);
    assert_eq!(shown(&store), ["a - - - 3500", "b "]);
}
