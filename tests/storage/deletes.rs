//! Deletes: hidden at once, gone after a clean, through restarts and power cuts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use evenkeel::env::disk::{Disk, MemoryDisk, Survival};
use evenkeel::model::{Matcher, Millis, Rejection, TimeRange, limits};
use evenkeel::storage::{Applied, CommitError, Entry, Store, StoreOptions};
use evenkeel::testkit::{Fault, FaultyDisk};

use super::{at, batch, commit, content, dir, labels, named, open, options};

fn checkpoint(store: &Store) {
    assert!(store.begin_checkpoint(Vec::new()).unwrap());
    store.finish_checkpoint().unwrap();
}

/// The instants `after < t <= until`.
fn range(after: i64, until: i64) -> TimeRange {
    TimeRange { after: at(after), until: at(until) }
}

fn delete(store: &Store, ms: i64, name: &str, range: TimeRange) {
    let applied = store.commit(at(ms), vec![Entry::Delete { matchers: named(name), range }]).unwrap();
    assert!(matches!(applied[0], Applied::Delete { .. }));
}

fn times(store: &Store, name: &str) -> Vec<i64> {
    let found = store.snapshot().select(&named(name), TimeRange::ALL, usize::MAX).unwrap();
    found.iter().flat_map(|series| series.samples.iter().map(|s| s.t.0 - at(0).0)).collect()
}

/// Blocks with seconds 1 to 3 and 4 to 6, the head with 7 to 9.
fn filled(disk: &Arc<dyn Disk>) -> Store {
    let (store, ..) = open(disk, options());
    for second in 1..10 {
        let (a, b) = (labels("a", 1), labels("b", 1));
        commit(&store, second * 1000, batch(&[(&a, second * 1000, second as f64), (&b, second * 1000, 0.5)]));
        if second == 3 || second == 6 {
            checkpoint(&store);
        }
    }
    store
}

#[test]
fn a_delete_hides_what_was_there_and_not_what_comes() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let store = filled(&disk);
    let before = store.snapshot();
    delete(&store, 9000, "a", range(1000, 8000));
    assert_eq!(times(&store, "a"), [1000, 9000]);
    assert_eq!(times(&store, "b").len(), 9);
    assert_eq!(
        before.select(&named("a"), TimeRange::ALL, usize::MAX).unwrap()[0].samples.len(),
        9,
        "a view from before"
    );
    delete(&store, 9000, "a", TimeRange::ALL);
    assert_eq!(store.snapshot().series(&[], TimeRange::ALL).unwrap(), [labels("b", 1)]);
    assert_eq!(store.snapshot().label_values("__name__", &[], TimeRange::ALL).unwrap(), ["b"]);
    // The series is as new: what was deleted can be stored again.
    let again = commit(&store, 9500, batch(&[(&labels("a", 1), 2000, 7.0), (&labels("a", 1), 9000, 9.0)]));
    assert_eq!((again.samples.len(), again.rejected.total()), (2, 0));
    assert_eq!(times(&store, "a"), [2000, 9000]);
    drop(store);
    let (store, ..) = open(&disk, options());
    assert_eq!(times(&store, "a"), [2000, 9000], "after a replay");
    checkpoint(&store);
    drop(store);
    let (store, ..) = open(&disk, options());
    assert_eq!(times(&store, "a"), [2000, 9000], "after a checkpoint");
    let late = commit(&store, 9600, batch(&[(&labels("a", 1), 8000, 7.0)]));
    assert_eq!(late.rejected.counts, [(Rejection::OutOfOrder, 1)]);
}

#[test]
fn deleted_bytes_go_with_a_clean_and_the_tombstones_with_them() {
    let memory = MemoryDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let store = filled(&disk);
    let tombstones = || {
        let names = memory.list(&dir().join("blocks")).unwrap().into_iter();
        names.filter(|entry| entry.name.ends_with(".tombstones")).count()
    };
    delete(&store, 9000, "a", TimeRange::ALL);
    delete(&store, 9000, "c", TimeRange::ALL);
    checkpoint(&store);
    assert_eq!(store.status().block_samples, 6 + 6 + 3, "the head was written without what is deleted");
    assert_eq!(tombstones(), 1);
    let shown = content(&store.snapshot());
    let done = store.clean(at(9000), &mut |_| ()).unwrap();
    assert_eq!(done.deletes_done, 2, "one hid nothing");
    assert_eq!((store.status().block_samples, tombstones()), (9, 0));
    assert_eq!(content(&store.snapshot()), shown);
    drop(store);
    let (store, _, report) = open(&disk, options());
    assert!(report.damage.is_empty(), "{report}");
    assert_eq!(content(&store.snapshot()), shown);
}

#[test]
fn a_merge_works_a_delete_off() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let (store, ..) = open(&disk, StoreOptions { retention: Millis::days(1), ..options() });
    for second in 0..4 {
        commit(
            &store,
            second * 1000,
            batch(&[(&labels("a", 1), second * 1000, 1.0), (&labels("b", 1), second * 1000, 1.0)]),
        );
        checkpoint(&store);
    }
    delete(&store, 4000, "a", range(0, 2000));
    checkpoint(&store);
    let done = store.maintain(at(4000)).unwrap();
    assert_eq!((done.blocks_merged, done.deletes_done), (4, 1));
    assert_eq!((times(&store, "a"), store.status().block_samples), (vec![0, 3000], 6));
}

#[test]
fn a_delete_during_a_checkpoint_covers_the_block_that_it_makes() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let store = filled(&disk);
    assert!(store.begin_checkpoint(Vec::new()).unwrap());
    commit(&store, 10_000, batch(&[(&labels("a", 1), 10_000, 10.0)]));
    delete(&store, 10_000, "a", range(0, 20_000));
    assert!(times(&store, "a").is_empty());
    store.finish_checkpoint().unwrap();
    assert!(times(&store, "a").is_empty());
    commit(&store, 11_000, batch(&[(&labels("a", 1), 11_000, 11.0)]));
    assert_eq!(times(&store, "a"), [11_000]);
    drop(store);
    let (store, ..) = open(&disk, options());
    assert_eq!(times(&store, "a"), [11_000]);
    checkpoint(&store);
    store.clean(at(11_000), &mut |_| ()).unwrap();
    assert_eq!(times(&store, "a"), [11_000]);
}

#[test]
fn deletes_that_wait_are_bounded() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let store = filled(&disk);
    let one = || Entry::Delete { matchers: vec![Matcher::equal("n", "2")], range: TimeRange::ALL };
    for _ in 0..limits::TOMBSTONES_MAX / 100 {
        store.commit(at(9000), (0..100).map(|_| one()).collect()).unwrap();
    }
    let full = store.commit(at(9000), vec![one()]);
    assert_eq!(full, Err(CommitError::TooManyDeletes));
    commit(&store, 9500, batch(&[(&labels("a", 1), 9500, 1.0)]));
    checkpoint(&store);
    assert_eq!(store.clean(at(9500), &mut |_| ()).unwrap().deletes_done, limits::TOMBSTONES_MAX);
    store.commit(at(9600), vec![one()]).unwrap();
}

#[test]
fn damaged_tombstones_are_told_and_nothing_else_is_lost() {
    let memory = MemoryDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let store = filled(&disk);
    delete(&store, 9000, "a", TimeRange::ALL);
    checkpoint(&store);
    drop(store);
    let blocks = memory.list(&dir().join("blocks")).unwrap();
    let file = &blocks.iter().find(|entry| entry.name.ends_with(".tombstones")).unwrap().path;
    memory.tamper(file, |bytes| bytes[20] ^= 1).unwrap();
    let (store, _, report) = open(&disk, options());
    assert_eq!(report.damage.len(), 1, "{report}");
    assert!(report.to_string().contains("delete it again"), "{report}");
    assert_eq!(times(&store, "a").len(), 6, "those that were in blocks at the delete");
    delete(&store, 9000, "a", TimeRange::ALL);
    assert!(times(&store, "a").is_empty());
}

/// The steps of the crash test: what is deleted, and what is written, so that the states between are known.
#[derive(Clone, Copy)]
enum Step {
    Commit(i64),
    Delete(i64, i64),
    Begin,
    Finish,
    Clean,
    Maintain,
}

const STEPS: [Step; 17] = [
    Step::Commit(1),
    Step::Commit(2),
    Step::Begin,
    Step::Finish,
    Step::Commit(3),
    Step::Delete(0, 1),
    Step::Begin,
    Step::Delete(2, 3),
    Step::Finish,
    Step::Commit(4),
    Step::Begin,
    Step::Finish,
    Step::Delete(3, 4),
    Step::Clean,
    Step::Begin,
    Step::Clean,
    Step::Maintain,
];

type Content = BTreeMap<i64, f64>;

fn try_open(disk: &FaultyDisk) -> Option<Store> {
    let options = StoreOptions { segment_bytes_max: 200, ..options() };
    let (store, mut replay) = Store::open(Arc::new(disk.clone()), dir(), options).ok()?;
    while replay.next().ok()?.is_some() {}
    assert!(replay.report().damage.is_empty(), "a crash is not damage: {} ({:?})", replay.report(), disk.met());
    Some(store)
}

fn shown(store: &Store) -> Content {
    let found = store.snapshot().select(&named("a"), TimeRange::ALL, usize::MAX).unwrap();
    found.iter().flat_map(|series| series.samples.iter().map(|s| ((s.t.0 - at(0).0) / 1000, s.v))).collect()
}

/// Runs until something fails; what is certain then, and what it may be instead.
fn run(disk: &FaultyDisk) -> (Content, Content) {
    let mut certain = Content::new();
    let Some(store) = try_open(disk) else { return (certain.clone(), certain) };
    let a = labels("a", 1);
    for (ms, step) in (0i64..).zip(STEPS) {
        let mut next = certain.clone();
        let done = match step {
            Step::Commit(second) => {
                next.insert(second, second as f64);
                let entry = Entry::Transaction(batch(&[(&a, second * 1000, second as f64)]));
                store.commit(at(second * 1000), vec![entry]).is_ok()
            }
            Step::Delete(after, until) => {
                next.retain(|second, _| *second <= after || *second > until);
                let range = range(after * 1000, until * 1000);
                store.commit(at(ms), vec![Entry::Delete { matchers: named("a"), range }]).is_ok()
            }
            Step::Begin => store.begin_checkpoint(Vec::new()).is_ok(),
            Step::Finish => store.finish_checkpoint().is_ok(),
            Step::Clean => store.clean(at(5000), &mut |_| ()).is_ok(),
            Step::Maintain => store.maintain(at(5000)).is_ok(),
        };
        if !done {
            return (certain, next);
        }
        certain = next;
        assert_eq!(shown(&store), certain);
    }
    (certain.clone(), certain)
}

#[test]
fn a_power_cut_brings_nothing_deleted_back() {
    let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    let (last, _) = run(&disk);
    assert_eq!(last.keys().copied().collect::<Vec<_>>(), [2]);
    for stop in 0..=disk.operations() {
        let memory = MemoryDisk::new();
        let disk = FaultyDisk::new(Arc::new(memory.clone()));
        disk.fail_at(stop, Fault::Stop);
        let (certain, maybe) = run(&disk);
        for survival in [Survival::Least, Survival::Most, Survival::Seeded(stop), Survival::Seeded(stop + 1000)] {
            let what = format!("stopped at operation {stop} ({:?}), {survival:?}", disk.met());
            let after = FaultyDisk::new(Arc::new(memory.power_cut(survival)));
            let store = try_open(&after).unwrap();
            let found = shown(&store);
            assert!(found == certain || found == maybe, "{what}: {found:?}, not {certain:?} nor {maybe:?}");
            checkpoint(&store);
            store.clean(at(5000), &mut |_| ()).unwrap();
            assert_eq!(shown(&store), found, "{what}, cleaned");
            drop(store);
            assert_eq!(shown(&try_open(&after).unwrap()), found, "{what}, opened again");
            let left = after.list(Path::new("/data/blocks")).unwrap();
            assert!(left.iter().all(|entry| !entry.name.ends_with(".tombstones")), "{what}: {left:?}");
        }
    }
}
