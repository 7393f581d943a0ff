//! Power cuts, dying processes and failures of the disk: a fixed part of the campaigns of
//! `tools/faults`, and what they do not show.

use std::io;
use std::sync::Arc;

use evenkeel::env::disk::{Disk, MemoryDisk, Survival};
use evenkeel::model::Millis;
use evenkeel::storage::{Applied, CommitError, Durability, Entry, StoreOptions};
use evenkeel::testkit::{Fault, FaultyDisk};

use crate::campaign;

use super::{at, batch, content, labels, open, options};

/// Operations between two that are made to fail here; the command takes every one.
const STRIDE: usize = 37;

#[test]
fn an_operation_that_fails_loses_nothing_acknowledged() {
    let outcomes = campaign::enumerate::run(STRIDE).unwrap();
    outcomes.iter().for_each(|outcome| outcome.assert_clean(30));
}

#[test]
fn a_power_cut_loses_nothing_acknowledged_and_a_second_start_finds_the_same() {
    let outcomes = campaign::power_cut::run(11, 2).unwrap();
    outcomes.iter().for_each(|outcome| outcome.assert_clean(200));
}

#[test]
fn a_refused_group_is_not_in_the_log_after_a_power_cut() {
    let memory = MemoryDisk::new();
    let disk = FaultyDisk::new(Arc::new(memory.clone()));
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (store, ..) = open(&shared, options());
    super::commit(&store, 0, batch(&[(&labels("m", 0), 0, 1.0)]));
    let before = content(&store.snapshot());
    // The write of two records breaks off in the second one, the first is whole in the file.
    disk.fail_at(disk.operations(), Fault::Short(io::ErrorKind::StorageFull));
    let series: Vec<_> = (0..9).map(|n| labels("m", n)).collect();
    let many: Vec<_> = series.iter().map(|labels| (labels, 2000, 3.5)).collect();
    let group = [batch(&[(&series[0], 1000, 2.0)]), batch(&many)].map(Entry::Transaction);
    assert!(matches!(store.commit(at(1000), group.to_vec()), Err(CommitError::DiskFull { .. })));
    for survival in [Survival::Least, Survival::Most, Survival::Seeded(1)] {
        let after: Arc<dyn Disk> = Arc::new(memory.power_cut(survival));
        assert_eq!(content(&open(&after, options()).0.snapshot()), before, "{survival:?}");
    }
}

#[test]
fn a_full_disk_refuses_and_heals() {
    let memory = MemoryDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    let (store, ..) = open(&disk, StoreOptions { segment_bytes_max: 4000, ..options() });
    let series = labels("m", 0);
    super::commit(&store, 0, batch(&[(&series, 0, 0.5)]));
    let (mut ms, mut refused, mut acknowledged) = (1000, 0, 1);
    memory.set_capacity(Some(memory.used_bytes() + 700));
    while refused < 20 {
        match store.commit(at(ms), vec![Entry::Transaction(batch(&[(&series, ms, ms as f64 + 0.5)]))]) {
            Ok(_) => acknowledged += 1,
            Err(CommitError::DiskFull { .. }) => {
                refused += 1;
                assert!(matches!(store.status().health, evenkeel::storage::Health::ReadOnly { .. }));
                assert_eq!(content(&store.snapshot())[0].1.len(), acknowledged, "reads go on");
            }
            Err(other) => panic!("{other}"),
        }
        ms += 1000;
    }
    // It can be opened while full, too; reads go on there as well.
    drop(store);
    let (store, ..) = open(&disk, options());
    assert_eq!(content(&store.snapshot())[0].1.len(), acknowledged);
    assert!(matches!(store.commit(at(ms), vec![Entry::Tick]), Err(CommitError::DiskFull { .. })));
    memory.set_capacity(None);
    super::commit(&store, ms, batch(&[(&series, ms, 1.0)]));
    assert_eq!(store.status().health, evenkeel::storage::Health::Healthy);
    let shown = content(&store.snapshot());
    drop(store);
    let (store, _, report) = open(&disk, options());
    assert!(report.damage.is_empty() && report.torn_bytes == 0, "{report}");
    assert_eq!(content(&store.snapshot()), shown);
    assert_eq!(shown[0].1.len(), acknowledged + 1);
}

#[test]
fn the_reserve_lets_a_checkpoint_make_room() {
    let memory = MemoryDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(memory.clone());
    memory.set_capacity(Some(60_000));
    let (store, ..) = open(&disk, StoreOptions { reserve_bytes: 20_000, segment_bytes_max: 5000, ..options() });
    let series: Vec<_> = (0..20).map(|n| labels("m", n)).collect();
    let mut ms = 0;
    let take = |ms: &mut i64| {
        *ms += 1000;
        let samples: Vec<_> = series.iter().map(|labels| (labels, *ms, *ms as f64 / 3.0)).collect();
        store.commit(at(*ms), vec![Entry::Transaction(batch(&samples))])
    };
    while take(&mut ms).is_ok() {}
    assert!(store.begin_checkpoint(Vec::new()).unwrap());
    store.finish_checkpoint().unwrap();
    take(&mut ms).unwrap();
}

#[test]
fn what_each_durability_survives() {
    for (durability, after_commit, after_sync) in
        [(Durability::Synced, 1, 1), (Durability::Interval(Millis::seconds(1)), 0, 1), (Durability::Buffered, 0, 1)]
    {
        let memory = MemoryDisk::new();
        let disk: Arc<dyn Disk> = Arc::new(memory.clone());
        let (store, ..) = open(&disk, StoreOptions { durability, ..options() });
        super::commit(&store, 0, batch(&[(&labels("m", 0), 0, 1.0)]));
        let surviving = || {
            let after: Arc<dyn Disk> = Arc::new(memory.power_cut(Survival::Least));
            open(&after, options()).1.iter().filter(|entry| matches!(entry, Applied::Transaction(_))).count()
        };
        assert_eq!(surviving(), after_commit, "{durability:?}");
        store.sync().unwrap();
        assert_eq!(surviving(), after_sync, "{durability:?}");
        drop(store);
        assert_eq!(open(&disk, options()).1.len(), 1, "the end of the process loses nothing under {durability:?}");
    }
}
