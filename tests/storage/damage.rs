//! Every byte of a small store damaged, one at a time: noticed, told, and nothing else lost.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel::env::disk::{Disk, MemoryDisk, Survival};
use evenkeel::model::{Labels, MatchOp, Matcher, Sample, TimeRange};
use evenkeel::storage::{OpenError, ReadError, RecoveryReport, Store};

use crate::campaign;

use super::{at, batch, commit, content, dir, labels, named, open, options};

type Content = Vec<(String, Vec<(i64, u64)>)>;

fn file_of(disk: &MemoryDisk, sub: &str, suffix: &str) -> PathBuf {
    let entries = disk.list(&dir().join(sub)).unwrap();
    entries.into_iter().find(|entry| entry.name.ends_with(suffix)).unwrap().path
}

/// Two series, one block with attachments, then three transactions in the log.
fn store() -> (MemoryDisk, Content) {
    let disk = MemoryDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (store, ..) = open(&shared, options());
    let (a, b) = (labels("a", 1), labels("b", 2));
    for i in 0..4 {
        commit(&store, i * 1000, batch(&[(&a, i * 1000, i as f64), (&b, i * 1000, 0.1 * i as f64)]));
    }
    store.begin_checkpoint(vec![("rules".into(), b"state".to_vec())]).unwrap();
    store.finish_checkpoint().unwrap();
    for i in 4..7 {
        commit(&store, i * 1000, batch(&[(&a, i * 1000, i as f64), (&b, i * 1000, 0.1 * i as f64)]));
    }
    let all = content(&store.snapshot());
    (disk, all)
}

/// The bytes of a file up to the zeros that end a log, if there are any.
fn used(disk: &MemoryDisk, path: &Path) -> usize {
    let bytes = disk.read(path).unwrap();
    bytes.windows(40).position(|window| window == [0; 40]).unwrap_or(bytes.len())
}

/// Damages each byte of a file in turn and opens the store.
fn damage_each(path: impl Fn(&MemoryDisk) -> PathBuf, check: impl Fn(usize, &Store, &RecoveryReport, &MemoryDisk)) {
    let (original, _) = store();
    let path = path(&original);
    for byte in 0..used(&original, &path) {
        for mask in [0x01, 0x80] {
            let disk = original.power_cut(Survival::Most);
            disk.tamper(&path, |bytes| bytes[byte] ^= mask).unwrap();
            let shared: Arc<dyn Disk> = Arc::new(disk.clone());
            let (store, _, report) = open(&shared, options());
            check(byte, &store, &report, &disk);
            drop(store);
            // The next start is not stuck.
            let (store, ..) = open(&shared, options());
            commit(&store, 60_000, batch(&[(&labels("a", 1), 60_000, 1.0)]));
        }
    }
}

/// Whether everything found is of the original, and how many samples are missing.
fn missing(found: &Content, all: &Content) -> usize {
    let count = |content: &Content| content.iter().map(|(_, samples)| samples.len()).sum::<usize>();
    for (labels, samples) in found {
        let original = &all.iter().find(|(l, _)| l == labels).unwrap().1;
        assert!(samples.iter().all(|sample| original.contains(sample)), "{labels} has a sample that nobody wrote");
    }
    count(all) - count(found)
}

#[test]
fn damage_anywhere_is_told_and_invents_nothing() {
    let outcomes = campaign::flips::run(&[0x01, 0x80], 37).unwrap();
    outcomes.iter().for_each(|outcome| outcome.assert_clean(100));
}

#[test]
fn a_damaged_byte_of_the_log_costs_at_most_one_entry() {
    let (_, all) = store();
    damage_each(
        |disk| file_of(disk, "wal", ".log"),
        |byte, store, report, _| {
            let lost = missing(&content(&store.snapshot()), &all);
            assert!(lost == 0 || lost == 2, "byte {byte} costs {lost} samples");
            assert!(!report.damage.is_empty() || report.torn_bytes > 0, "byte {byte} is noticed");
            assert!(lost > 0 || byte < 24, "byte {byte} belongs to a record");
        },
    );
}

#[test]
fn a_damaged_byte_of_an_entry_that_explains_series_costs_their_samples_in_the_log() {
    let disk = MemoryDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (store, ..) = open(&shared, options());
    let (a, b) = (labels("a", 1), labels("b", 2));
    commit(&store, 0, batch(&[(&a, 0, 1.0)]));
    commit(&store, 1000, batch(&[(&a, 1000, 1.0), (&b, 1000, 1.0)]));
    commit(&store, 2000, batch(&[(&a, 2000, 1.0), (&b, 2000, 1.0)]));
    drop(store);
    let path = file_of(&disk, "wal", ".log");
    let at_of_labels = disk.read(&path).unwrap().windows(8).position(|bytes| bytes == b"__name__").unwrap();
    disk.tamper(&path, |bytes| bytes[at_of_labels] ^= 1).unwrap();
    for round in 0..2 {
        let (store, _, report) = open(&shared, options());
        assert_eq!(report.samples_lost, 2, "round {round}: {report}");
        assert!(report.to_string().contains("1 samples of entry 2 are lost with the labels"), "{report}");
        // The series is explained anew, by a number that no lost sample had.
        let t = 3000 + round * 1000;
        commit(&store, t, batch(&[(&a, t, 1.0), (&b, t, 1.0)]));
        let found = content(&store.snapshot());
        assert_eq!(
            found[0].1.iter().map(|(t, _)| *t).collect::<Vec<_>>(),
            (3..4 + round).map(|i| i * 1000).collect::<Vec<_>>()
        );
        assert_eq!(found[1].1.len() as i64, 3 + round, "the other one lost nothing");
    }
}

/// Loses series files in all ways: the samples in the log that rest on them are told as lost, the rest is
/// there, and the series are explained anew.
#[test]
fn a_damaged_series_file_costs_what_the_log_has_of_its_series() {
    let check = |damage: &dyn Fn(&MemoryDisk, &Path), what: &str| {
        let (disk, all) = store();
        let path = file_of(&disk, "blocks", ".series");
        damage(&disk, &path);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        for round in 0..2 {
            let (store, _, report) = open(&shared, options());
            assert_eq!(report.samples_lost, 6, "{what}, round {round}: {report}");
            assert!(report.damage.iter().any(|found| found.file.ends_with(".series")), "{what}: {report}");
            let mut found = content(&store.snapshot());
            found.iter_mut().for_each(|(_, samples)| samples.retain(|(t, _)| *t < 60_000));
            assert_eq!(missing(&found, &all), 6, "{what}, round {round}: blocks speak for themselves");
            let t = 60_000 + round * 1000;
            commit(&store, t, batch(&[(&labels("a", 1), t, 1.0)]));
        }
        let (store, ..) = open(&shared, options());
        assert_eq!(content(&store.snapshot())[0].1.len(), 4 + 2, "{what}: what came after the damage is whole");
        store.begin_checkpoint(Vec::new()).unwrap();
        store.finish_checkpoint().unwrap();
        drop(store);
        let (store, _, report) = open(&shared, options());
        assert!(report.damage.is_empty(), "{what}: the checkpoint has replaced it: {report}");
        assert_eq!(content(&store.snapshot())[0].1.len(), 4 + 2, "{what}");
    };
    check(&|disk, path| disk.remove(path).unwrap(), "missing");
    let length = {
        let disk = store().0;
        disk.read(&file_of(&disk, "blocks", ".series")).unwrap().len()
    };
    for byte in 0..length {
        check(&|disk, path| disk.tamper(path, |bytes| bytes[byte] ^= 0x10).unwrap(), &format!("byte {byte}"));
        check(&|disk, path| disk.tamper(path, |bytes| bytes.truncate(byte)).unwrap(), &format!("cut at {byte}"));
    }
}

#[test]
fn a_damaged_log_segment_is_kept_aside() {
    let (disk, all) = store();
    let path = file_of(&disk, "wal", ".log");
    let length = used(&disk, &path);
    // Inside the second of three records.
    disk.tamper(&path, |bytes| bytes[length - 60] ^= 1).unwrap();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (store, applied, report) = open(&shared, options());
    assert_eq!((applied.len(), missing(&content(&store.snapshot()), &all)), (2, 2), "{report}");
    assert!(report.to_string().contains("entries 6 to 6 are lost"), "{report}");
    store.begin_checkpoint(Vec::new()).unwrap();
    store.finish_checkpoint().unwrap();
    assert!(disk.list(&dir().join("wal")).unwrap().is_empty());
    assert_eq!(disk.list(&dir().join("quarantine")).unwrap().len(), 1);
}

#[test]
fn a_damaged_byte_of_a_block_is_told_by_the_start_or_by_the_read() {
    let (_, all) = store();
    damage_each(
        |disk| file_of(disk, "blocks", ".block"),
        |byte, store, report, disk| {
            let snapshot = store.snapshot();
            let read = snapshot.select(&[], TimeRange::ALL, usize::MAX);
            let found = snapshot.select(&named("a"), TimeRange::ALL, usize::MAX);
            let told = !report.damage.is_empty();
            assert!(told || snapshot.verify().is_err(), "byte {byte} is noticed");
            if read.is_ok() && !told {
                // It lies in a list of series, which a read of everything does not need.
                assert!(found.is_err(), "byte {byte} is noticed by a search");
            }
            let lost = if told {
                8
            } else {
                let error = read.as_ref().err().or(found.as_ref().err()).unwrap();
                assert!(matches!(error, ReadError::Damaged { .. }), "{error}");
                let done = store.maintain(at(7000)).unwrap();
                assert_eq!(done.quarantined.len(), 1, "byte {byte}");
                done.quarantined[0].1 as usize
            };
            assert_eq!(
                lost,
                if read.is_ok() && !told { 0 } else { 8 },
                "byte {byte} costs the block's one page, or nothing"
            );
            assert_eq!(missing(&content(&store.snapshot()), &all), lost, "byte {byte}");
            assert_eq!(disk.list(&dir().join("quarantine")).unwrap().len(), 1);
        },
    );
}

#[test]
fn a_damaged_manifest_is_rebuilt() {
    let (_, all) = store();
    damage_each(
        |_| dir().join("MANIFEST"),
        |byte, store, report, _| {
            assert_eq!(content(&store.snapshot()), all, "byte {byte} costs nothing");
            assert_eq!(report.damage.len(), 1, "byte {byte} is told: {report}");
        },
    );
    let (disk, all) = store();
    disk.remove(&dir().join("MANIFEST")).unwrap();
    let shared: Arc<dyn Disk> = Arc::new(disk);
    let (store, mut replay) = Store::open(shared, dir(), options()).unwrap();
    assert_eq!(replay.attachment("rules"), Some(b"state".as_slice()));
    while replay.next().unwrap().is_some() {}
    assert_eq!((replay.report().entries, content(&store.snapshot())), (3, all));
}

#[test]
fn damaged_attachments_are_told_and_not_given() {
    damage_each(
        |disk| file_of(disk, "blocks", ".attachments"),
        |byte, _, report, _| assert_eq!(report.damage.len(), 1, "byte {byte} is told: {report}"),
    );
}

#[test]
fn files_of_another_version_stop_the_start() {
    let rewrite = |bytes: &mut Vec<u8>, version_at: usize, end: usize| {
        bytes[version_at] = 99;
        let crc = evenkeel::codec::checksum(&[&bytes[..end]]);
        bytes[end..end + 4].copy_from_slice(&crc.to_le_bytes());
    };
    let check = |path: &Path, change: &dyn Fn(&mut Vec<u8>)| {
        let (disk, _) = store();
        disk.tamper(path, change).unwrap();
        let found = Store::open(Arc::new(disk), dir(), options()).err().unwrap();
        assert!(matches!(found, OpenError::Version { version: 99, .. }), "{found}");
    };
    check(&dir().join("MANIFEST"), &|bytes| rewrite(bytes, 8, bytes.len() - 4));
    let (disk, _) = store();
    check(&file_of(&disk, "wal", ".log"), &|bytes| rewrite(bytes, 8, 20));
}

#[test]
fn a_damaged_page_hides_nothing_else() {
    let disk = MemoryDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (store, ..) = open(&shared, options());
    let mut rng = evenkeel::env::Rng::new(1);
    let series: Vec<Labels> = (0..3).map(|n| labels("noise", n)).collect();
    for i in 0..6000 {
        let mut batch = evenkeel::model::Batch::new();
        for labels in &series {
            batch.push(labels.clone(), Sample { t: at(i * 1000), v: f64::from_bits(rng.bits()) });
        }
        commit(&store, i * 1000, batch);
    }
    let all = content(&store.snapshot());
    store.begin_checkpoint(Vec::new()).unwrap();
    store.finish_checkpoint().unwrap();
    drop(store);
    disk.tamper(&file_of(&disk, "blocks", ".block"), |bytes| bytes[100] ^= 1).unwrap();
    let (store, _, report) = open(&shared, options());
    assert!(report.damage.is_empty(), "pages are checked when they are read");
    let last = Matcher::new("n", MatchOp::Equal, "2").unwrap();
    assert_eq!(store.snapshot().select(&[last], TimeRange::ALL, usize::MAX).unwrap()[0].samples.len(), 6000);
    let error = store.snapshot().select(&[], TimeRange::ALL, usize::MAX).unwrap_err();
    assert!(error.to_string().contains("00000001.block"), "{error}");
    let done = store.maintain(at(6_000_000)).unwrap();
    let lost = done.quarantined[0].1 as usize;
    assert!((1000..=6000).contains(&lost));
    assert_eq!(missing(&content(&store.snapshot()), &all), lost);
}
