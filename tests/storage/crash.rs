//! Power cuts, dying processes and single failures of the disk at every operation of a workload.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use evenkeel::env::disk::{Disk, MemoryDisk, Survival};
use evenkeel::model::{Batch, Millis};
use evenkeel::storage::{Applied, CommitError, Durability, Entry, Store, StoreOptions};
use evenkeel::testkit::{Fault, FaultyDisk};

use super::{at, batch, content, dir, labels, open, options};
use crate::campaign;

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

/// One step of the workload.
enum Step {
    /// Transactions of one group.
    Commit(i64, Vec<Vec<(u64, i64, f64)>>),
    Begin,
    Finish,
    Maintain(i64),
    Reopen,
}

/// Commits in several segments, two checkpoints of which one is left open over a restart, a merge.
fn workload() -> Vec<Step> {
    let mut steps = Vec::new();
    for i in 0..24i64 {
        let group = (0..1 + i % 2)
            .map(|part| (0..3).map(|n| (n + (i / 8) as u64, i * 1000 + part, (i * 10 + part) as f64 / 4.0)).collect())
            .collect();
        steps.push(Step::Commit(i * 1000, group));
        match i {
            2 | 9 | 13 | 19 => steps.extend([Step::Begin]),
            3 | 10 | 15 | 20 => steps.extend([Step::Finish]),
            17 => steps.extend([Step::Begin, Step::Finish]),
            14 => steps.extend([Step::Reopen, Step::Begin]),
            21 => steps.extend([Step::Maintain(i * 1000)]),
            _ => {}
        }
    }
    steps
}

fn small() -> StoreOptions {
    StoreOptions { segment_bytes_max: 400, retention: Millis::days(1), ..options() }
}

fn entries(group: &[Vec<(u64, i64, f64)>]) -> Vec<Entry> {
    let batch = |samples: &Vec<(u64, i64, f64)>| {
        let mut all = Batch::new();
        for (n, ms, v) in samples {
            all.push(labels("m", *n), evenkeel::model::Sample { t: at(*ms), v: *v });
        }
        Entry::Transaction(all)
    };
    group.iter().map(batch).collect()
}

type Content = BTreeMap<String, Vec<(i64, u64)>>;

/// What must be there, and what may be besides: a prefix of the group in flight.
#[derive(Default)]
struct Expected {
    acknowledged: Content,
    in_flight: Vec<Vec<(u64, i64, f64)>>,
}

impl Expected {
    fn acknowledge(&mut self, group: &[Vec<(u64, i64, f64)>]) {
        group.iter().for_each(|samples| add(&mut self.acknowledged, samples));
    }

    /// Checks, and takes what was found as the truth from here on.
    fn settle(&mut self, store: &Store, what: &str) {
        let found: Content = content(&store.snapshot()).into_iter().collect();
        let mut allowed = self.acknowledged.clone();
        let mut states = vec![allowed.clone()];
        for samples in std::mem::take(&mut self.in_flight) {
            add(&mut allowed, &samples);
            states.push(allowed.clone());
        }
        assert!(states.contains(&found), "{what}: found {found:?}\nallowed {states:?}");
        self.acknowledged = found;
    }
}

fn add(content: &mut Content, samples: &[(u64, i64, f64)]) {
    for (n, ms, v) in samples {
        content.entry(labels("m", *n).to_string()).or_default().push((*ms, v.to_bits()));
    }
}

fn try_open(disk: &FaultyDisk) -> Option<Store> {
    try_open_with(disk, Durability::Synced)
}

fn try_open_with(disk: &FaultyDisk, durability: Durability) -> Option<Store> {
    let options = StoreOptions { durability, ..small() };
    let (store, mut replay) = Store::open(Arc::new(disk.clone()), dir(), options).ok()?;
    while replay.next().unwrap().is_some() {}
    assert!(replay.report().damage.is_empty(), "a crash is not damage: {} ({:?})", replay.report(), disk.met());
    Some(store)
}

/// Runs the workload until something fails.
fn run_until_failure(disk: &FaultyDisk, durability: Durability) -> Expected {
    run_steps(disk, durability, &workload())
}

/// Runs until something fails; what was acknowledged and what was in flight then.
fn run_steps(disk: &FaultyDisk, durability: Durability, steps: &[Step]) -> Expected {
    let mut expected = Expected::default();
    let Some(mut store) = try_open_with(disk, durability) else { return expected };
    for step in steps {
        let done = match step {
            Step::Commit(ms, group) => match store.commit(at(*ms), entries(group)) {
                Ok(_) => {
                    expected.acknowledge(group);
                    true
                }
                Err(_) => {
                    expected.in_flight = group.clone();
                    false
                }
            },
            Step::Begin => store.begin_checkpoint(vec![("a".into(), vec![1])]).is_ok(),
            Step::Finish => store.finish_checkpoint().is_ok(),
            Step::Maintain(ms) => store.maintain(at(*ms)).is_ok(),
            Step::Reopen => {
                drop(store);
                let Some(again) = try_open_with(disk, durability) else { return expected };
                store = again;
                true
            }
        };
        if !done {
            break;
        }
    }
    expected
}

fn operations() -> u64 {
    let disk = FaultyDisk::new(Arc::new(MemoryDisk::new()));
    let expected = run_until_failure(&disk, Durability::Synced);
    assert!(expected.in_flight.is_empty() && expected.acknowledged.len() == 5);
    disk.operations()
}

#[test]
fn a_power_cut_after_any_operation_loses_nothing_acknowledged() {
    let count = operations();
    assert!(count > 100, "the workload has {count} operations");
    for stop in 0..=count {
        let memory = MemoryDisk::new();
        let disk = FaultyDisk::new(Arc::new(memory.clone()));
        disk.fail_at(stop, Fault::Stop);
        let mut expected = run_until_failure(&disk, Durability::Synced);
        let survivals = [Survival::Least, Survival::Most, Survival::Seeded(stop), Survival::Seeded(stop + 1000)];
        for survival in survivals {
            let what = format!("stopped at operation {stop} ({:?}), {survival:?}", disk.met());
            let after = FaultyDisk::new(Arc::new(memory.power_cut(survival)));
            let mut expected =
                Expected { acknowledged: expected.acknowledged.clone(), in_flight: expected.in_flight.clone() };
            let store = try_open(&after).unwrap();
            expected.settle(&store, &what);
            // It goes on from there, and a second start sees the same.
            let more = vec![vec![(0, 100_000, 1.0)]];
            store.commit(at(100_000), entries(&more)).unwrap();
            expected.acknowledge(&more);
            drop(store);
            expected.settle(&try_open(&after).unwrap(), &what);
        }
        // The process dies and the machine stays up.
        disk.heal();
        expected.settle(&try_open(&disk).unwrap(), &format!("killed at operation {stop}"));
    }
}

/// Entries of one size, so that those of an earlier use of a file stand exactly where the next ones come;
/// groups of several, so that a power cut tears them in the middle.
fn reuse() -> Vec<Step> {
    let mut steps = Vec::new();
    for i in 0..16i64 {
        let samples = |part: i64| (0..3).map(|n| (n, i * 1000 + part, (i * 10 + part) as f64 + 0.123_456_7)).collect();
        steps.push(Step::Commit(i * 1000, (0..1 + i % 3 * 2).map(samples).collect()));
        match i {
            2 | 5 | 9 | 14 => steps.extend([Step::Begin, Step::Finish]),
            7 | 11 => steps.push(Step::Reopen),
            _ => {}
        }
    }
    steps
}

/// How many segments of the log hold entries of an earlier use of their files behind their own.
fn used_again(disk: &dyn Disk) -> usize {
    let segments = disk.list(&dir().join("wal")).unwrap();
    let stale = |bytes: Vec<u8>| {
        let end = bytes.windows(40).position(|window| window == [0; 40]).unwrap_or(bytes.len());
        bytes[end..].windows(4).any(|window| window == [0xe7, b'E', b'K', 0x1a])
    };
    segments.iter().filter(|e| e.name.ends_with(".log")).filter(|e| stale(disk.read(&e.path).unwrap())).count()
}

#[test]
fn what_a_file_of_the_log_held_before_never_comes_back() {
    let run = |disk: &FaultyDisk, durability| run_steps(disk, durability, &reuse());
    let memory = MemoryDisk::new();
    let disk = FaultyDisk::new(Arc::new(memory.clone()));
    run(&disk, Durability::Synced);
    assert!(used_again(&memory) > 0, "the files are used again");
    for stop in 0..=disk.operations() {
        for durability in [Durability::Synced, Durability::Buffered] {
            let memory = MemoryDisk::new();
            let disk = FaultyDisk::new(Arc::new(memory.clone()));
            disk.fail_at(stop, Fault::Stop);
            let reached = run(&disk, durability);
            for seed in 0..if durability == Durability::Synced { 4 } else { 3 } {
                let survival =
                    [Survival::Least, Survival::Most, Survival::Seeded(stop * 8 + seed)][seed.min(2) as usize];
                let what = format!("stopped at operation {stop} ({:?}), {durability:?}, {survival:?}", disk.met());
                let after = FaultyDisk::new(Arc::new(memory.power_cut(survival)));
                let mut expected = Expected::default();
                if durability == Durability::Synced {
                    expected.acknowledged = reached.acknowledged.clone();
                    expected.in_flight = reached.in_flight.clone();
                } else {
                    for step in reuse() {
                        if let Step::Commit(_, group) = step {
                            expected.in_flight.extend(group);
                        }
                    }
                }
                expected.settle(&try_open(&after).unwrap(), &what);
                expected.settle(&try_open(&after).unwrap(), &format!("{what}, opened again"));
            }
        }
    }
}

#[test]
fn a_power_cut_during_the_start_after_a_power_cut_changes_nothing() {
    let count = operations();
    for stop in (0..=count).step_by(3) {
        let memory = MemoryDisk::new();
        let disk = FaultyDisk::new(Arc::new(memory.clone()));
        disk.fail_at(stop, Fault::Stop);
        let reached = run_until_failure(&disk, Durability::Synced);
        let once = memory.power_cut(Survival::Seeded(stop));
        for second in 0.. {
            let memory = once.power_cut(Survival::Least);
            let start = FaultyDisk::new(Arc::new(memory.clone()));
            start.fail_at(second, Fault::Stop);
            let opened = try_open(&start).is_some();
            let survival = [Survival::Least, Survival::Most, Survival::Seeded(second)][second as usize % 3];
            let what = format!("stopped at operation {stop}, and at {second} of the start, {survival:?}");
            let twice = FaultyDisk::new(Arc::new(memory.power_cut(survival)));
            let mut expected =
                Expected { acknowledged: reached.acknowledged.clone(), in_flight: reached.in_flight.clone() };
            expected.settle(&try_open(&twice).unwrap(), &what);
            if opened {
                break;
            }
        }
    }
}

#[test]
fn without_a_sync_a_power_cut_leaves_a_whole_prefix() {
    let mut history = Expected::default();
    for step in workload() {
        if let Step::Commit(_, group) = step {
            history.in_flight.extend(group);
        }
    }
    for stop in 0..=operations() {
        let memory = MemoryDisk::new();
        let disk = FaultyDisk::new(Arc::new(memory.clone()));
        disk.fail_at(stop, Fault::Stop);
        run_until_failure(&disk, Durability::Buffered);
        for survival in [Survival::Least, Survival::Seeded(stop)] {
            let after = FaultyDisk::new(Arc::new(memory.power_cut(survival)));
            let mut expected = Expected { in_flight: history.in_flight.clone(), ..Expected::default() };
            expected.settle(&try_open(&after).unwrap(), &format!("stopped at operation {stop}, {survival:?}"));
        }
    }
}

/// Runs to the end, opening again where a store is poisoned or does not open.
fn run_through_failure(disk: &FaultyDisk, what: &str) -> Expected {
    let mut expected = Expected::default();
    let reopen = |expected: &mut Expected| {
        let store = try_open(disk).or_else(|| try_open(disk)).unwrap();
        expected.settle(&store, what);
        store
    };
    let mut store = reopen(&mut expected);
    for step in workload() {
        match step {
            Step::Commit(ms, group) => match store.commit(at(ms), entries(&group)) {
                Ok(_) => expected.acknowledge(&group),
                Err(CommitError::Poisoned { .. }) => {
                    expected.in_flight = group;
                    drop(store);
                    store = reopen(&mut expected);
                }
                Err(_) => {
                    let now: Content = content(&store.snapshot()).into_iter().collect();
                    assert_eq!(now, expected.acknowledged, "{what}: a refused group leaves no trace");
                    store.commit(at(ms), entries(&group)).unwrap();
                    expected.acknowledge(&group);
                }
            },
            Step::Begin => {
                if store.begin_checkpoint(Vec::new()).is_err() {
                    drop(store);
                    store = reopen(&mut expected);
                }
            }
            Step::Finish => store.finish_checkpoint().or_else(|_| store.finish_checkpoint()).unwrap(),
            Step::Maintain(ms) => {
                store.maintain(at(ms)).or_else(|_| store.maintain(at(ms))).unwrap();
            }
            Step::Reopen => {
                drop(store);
                store = reopen(&mut expected);
            }
        }
    }
    expected.settle(&store, what);
    expected
}

#[test]
fn any_operation_may_fail_once() {
    let count = operations();
    for fault in [Fault::Error(io::ErrorKind::Other), Fault::Short(io::ErrorKind::StorageFull)] {
        for failing in 0..count {
            let memory = MemoryDisk::new();
            let disk = FaultyDisk::new(Arc::new(memory.clone()));
            disk.fail_at(failing, fault);
            let what = format!("{fault:?} at operation {failing}");
            let mut expected = run_through_failure(&disk, &what);
            let after = FaultyDisk::new(Arc::new(memory.power_cut(Survival::Least)));
            expected.settle(&try_open(&after).unwrap(), &format!("{what} ({:?}), then a power cut", disk.met()));
        }
    }
}

#[test]
fn a_refused_group_is_not_in_the_log_after_a_power_cut() {
    let memory = MemoryDisk::new();
    let disk = FaultyDisk::new(Arc::new(memory.clone()));
    let store = try_open(&disk).unwrap();
    let first = vec![vec![(0, 0, 1.0)]];
    store.commit(at(0), entries(&first)).unwrap();
    // The write of two records breaks off in the second one, the first is whole in the file.
    disk.fail_at(disk.operations(), Fault::Short(io::ErrorKind::StorageFull));
    let second = vec![vec![(0, 1000, 2.0)], (0..9).map(|n| (n, 2000, 3.5 + n as f64)).collect()];
    assert!(matches!(store.commit(at(1000), entries(&second)), Err(CommitError::DiskFull { .. })));
    for survival in [Survival::Least, Survival::Most, Survival::Seeded(1)] {
        let after = FaultyDisk::new(Arc::new(memory.power_cut(survival)));
        let mut expected = Expected::default();
        expected.acknowledge(&first);
        expected.settle(&try_open(&after).unwrap(), "after the refused group");
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
