//! Backups: equal to the snapshot bit for bit, whatever goes on meanwhile.

use std::path::Path;
use std::sync::Arc;

use evenkeel::env::disk::{Disk, MemoryDisk, RealDisk, Survival};
use evenkeel::model::{MatchOp, Matcher, TimeRange};
use evenkeel::storage::{BackupError, Entry, Snapshot, Store, StoreOptions};
use evenkeel::testkit::{Fault, FaultyDisk};

use super::{at, batch, commit, content, labels, open, options};

fn opened(disk: &Arc<dyn Disk>, dir: &Path) -> Store {
    let (store, mut replay) = Store::open(Arc::clone(disk), dir, options()).unwrap();
    while replay.next().unwrap().is_some() {}
    assert!(replay.report().damage.is_empty(), "{}", replay.report());
    store
}

fn checkpoint(store: &Store) {
    store.begin_checkpoint(vec![("a".into(), vec![7])]).unwrap();
    store.finish_checkpoint().unwrap();
}

fn fill(store: &Store, from: i64, to: i64) {
    for i in from..to {
        commit(store, i * 1000, batch(&[(&labels("a", i as u64 % 3), i * 1000, i as f64 / 3.0)]));
        if i % 7 == 6 {
            checkpoint(store);
        }
    }
}

#[test]
fn a_backup_is_the_snapshot_bit_for_bit() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let (store, ..) = open(&disk, StoreOptions { segment_bytes_max: 300, ..options() });
    fill(&store, 0, 40);
    let matchers = vec![Matcher::new("n", MatchOp::Equal, "1").unwrap()];
    let range = TimeRange { after: at(3000), until: at(9000) };
    store.commit(at(40_000), vec![Entry::Delete { matchers, range }]).unwrap();
    checkpoint(&store);
    fill(&store, 41, 45);
    // Another one is under way: the backup finishes it.
    store.begin_checkpoint(Vec::new()).unwrap();
    fill(&store, 45, 47);
    let expected = content(&store.snapshot());
    let to = Path::new("/backups/one");
    let report = store.backup(to).unwrap();
    assert_eq!((report.seq, report.at), (store.snapshot().seq(), at(46_000)));
    assert!(report.linked_bytes > 0 && report.linked_bytes < report.bytes, "{report:?}");
    assert!(matches!(store.backup(to), Err(BackupError::NotEmpty { .. })));
    // What happens to the original afterwards does not reach it.
    fill(&store, 47, 80);
    store.maintain(at(80_000)).unwrap();
    store.clean(at(80_000), &mut |_| ()).unwrap();
    let copy = opened(&disk, to);
    assert_eq!(content(&copy.snapshot()), expected);
    assert_eq!(copy.snapshot().seq(), report.seq);
    commit(&copy, 90_000, batch(&[(&labels("a", 1), 90_000, 1.0)]));
}

#[test]
fn a_backup_under_load_is_one_of_the_states() {
    let temp = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let path = temp.path().join("data");
    let small = StoreOptions { segment_bytes_max: 2000, ..options() };
    let (store, mut replay) = Store::open(Arc::clone(&disk), &path, small).unwrap();
    while replay.next().unwrap().is_some() {}
    drop(replay);
    let whole = |snapshot: &Snapshot| {
        let found = content(snapshot);
        let expected = snapshot.seq().0 as usize;
        assert!(found.iter().all(|(_, samples)| samples.len() == expected), "{expected} of each at {expected}");
        expected
    };
    let backups = std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..600 {
                commit(&store, i * 10, batch(&[(&labels("a", 1), i * 10, 1.0), (&labels("a", 2), i * 10, 2.0)]));
                if i % 50 == 0 {
                    store.begin_checkpoint(Vec::new()).unwrap();
                }
            }
        });
        scope.spawn(|| {
            while store.snapshot().seq().0 < 600 {
                store.maintain(at(0)).unwrap();
            }
        });
        let mut backups = Vec::new();
        while backups.len() < 4 {
            let to = temp.path().join(format!("backup-{}", backups.len()));
            backups.push((store.backup(&to).unwrap(), to));
        }
        backups
    });
    for (report, to) in backups {
        let copy = opened(&disk, &to);
        assert_eq!(whole(&copy.snapshot()) as u64, report.seq.0);
    }
}

#[test]
fn a_backup_that_fails_leaves_no_manifest_and_the_store_goes_on() {
    let make = || {
        let memory = MemoryDisk::new();
        let disk = FaultyDisk::new(Arc::new(memory.clone()));
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let (store, ..) = open(&shared, options());
        fill(&store, 0, 9);
        (memory, disk, store)
    };
    let to = Path::new("/backup");
    let (_, disk, store) = make();
    let from = disk.operations();
    store.backup(to).unwrap();
    for stop in from..disk.operations() {
        let (memory, disk, store) = make();
        disk.fail_at(stop, Fault::Error(std::io::ErrorKind::Other));
        let done = store.backup(to);
        let what = format!("operation {stop}: {:?}", disk.met());
        let after: Arc<dyn Disk> = Arc::new(memory.power_cut(Survival::Least));
        match done {
            // A file that cannot be linked is copied.
            Ok(_) => assert_eq!(content(&opened(&after, to).snapshot()), content(&store.snapshot()), "{what}"),
            Err(_) if after.list(to).is_ok_and(|names| names.iter().any(|n| n.name == "MANIFEST")) => {
                // Only the last sync failed; what is there is whole.
                assert_eq!(content(&opened(&after, to).snapshot()), content(&store.snapshot()), "{what}");
            }
            Err(_) => {}
        }
        commit(&store, 10_000, batch(&[(&labels("a", 1), 10_000, 1.0)]));
    }
}
