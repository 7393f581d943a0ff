//! Files of a database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel::codec::checksum;
use evenkeel::env::disk::{Disk, MemoryDisk, Survival};
use evenkeel::model::{Batch, Millis, Sample, TimeRange, Timestamp};
use evenkeel::storage::{Entry, OpenError, Store, StoreOptions};

use super::histograms;
use super::targets::{Target, labels};

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target::plain("log", || store_file("wal", ".log"), |bytes| store_with("wal", ".log", bytes))
            .with_repair(repair_log),
        Target::plain("series-file", || store_file("blocks", ".series"), |b| store_with("blocks", ".series", b))
            .with_repair(repair_seal),
        Target::plain("block", || store_file("blocks", ".block"), |bytes| store_with("blocks", ".block", bytes))
            .with_repair(repair_seal),
        Target::plain("manifest", || store_file("", "MANIFEST"), |bytes| store_with("", "MANIFEST", bytes))
            .with_repair(repair_seal),
    ]
}

pub(super) fn put_file(disk: &MemoryDisk, path: &Path, bytes: &[u8]) -> Result<(), String> {
    let write = || {
        disk.create_dir(path.parent().unwrap_or(path))?;
        let mut file = disk.create(path)?;
        file.write_all(bytes)?;
        file.sync()
    };
    write().map_err(|error| error.to_string())
}

pub(super) const DIR: &str = "/data";
pub(super) const START: i64 = 1_700_000_000_000;

pub(super) fn store_options() -> StoreOptions {
    StoreOptions {
        segment_bytes_max: 1500,
        reserve_bytes: 0,
        out_of_order: Millis::seconds(10),
        start_changes_max: 100,
        ..StoreOptions::default()
    }
}

/// A small store with a block, attachments, a series file if there is one, and a log.
fn store_disk() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let fill = || -> Result<(), String> {
        let store = open_store(&disk).map_err(|error| error.to_string())?;
        for i in 0..12i64 {
            let mut batch = Batch::new();
            for n in 0..4 {
                let text = (n + i / 5).to_string();
                let labels = labels(&[("__name__", "m"), ("n", text.as_str())]);
                let sample = Sample { t: Timestamp(START + i * 1000), v: (i * n) as f64 / 3.0 };
                batch.push_counted(labels, sample, Timestamp(START + i / 4 * 3000 - n));
            }
            let histogram = histograms::sample(START + i * 1000, histograms::growing(i.unsigned_abs()));
            batch.push_histogram(labels(&[("__name__", "h")]), histogram);
            let group = vec![Entry::Transaction(batch), Entry::Note(vec![1, 2, 3])];
            store.commit(Timestamp(START + i * 1000), group).map_err(|error| error.to_string())?;
            if i == 6 {
                store.begin_checkpoint(vec![("rules".into(), vec![9; 30])]).map_err(|error| error.to_string())?;
                store.finish_checkpoint().map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    };
    fill().expect("a store on a disk that works");
    disk
}

fn open_store(disk: &MemoryDisk) -> Result<Store, OpenError> {
    let (store, mut replay) = Store::open(Arc::new(disk.clone()), Path::new(DIR), store_options())?;
    while replay.next()?.is_some() {}
    Ok(store)
}

/// The last file of that kind below a folder.
pub(super) fn find(disk: &MemoryDisk, folder: &str, suffix: &str) -> Option<PathBuf> {
    let dir = if folder.is_empty() { PathBuf::from(DIR) } else { Path::new(DIR).join(folder) };
    let entries = disk.list(&dir).ok()?;
    entries.into_iter().rfind(|entry| !entry.is_dir && entry.name.ends_with(suffix)).map(|entry| entry.path)
}

fn store_file(folder: &str, suffix: &str) -> Vec<Vec<u8>> {
    let disk = store_disk();
    let file = find(&disk, folder, suffix).and_then(|path| disk.read(&path).ok());
    vec![file.unwrap_or_default()]
}

thread_local! {
    static STORE: MemoryDisk = store_disk();
}

/// Opens a store of which one file is the input, twice: no panic, and the second start is like the first.
fn store_with(folder: &str, suffix: &str, bytes: &[u8]) -> Result<bool, String> {
    let disk = STORE.with(|disk| disk.power_cut(Survival::Most));
    let Some(path) = find(&disk, folder, suffix) else { return Ok(false) };
    disk.tamper(&path, |file| *file = bytes.to_vec()).map_err(|error| error.to_string())?;
    let content = |store: &Store| {
        let all = store.snapshot().select(&[], TimeRange::ALL, 1 << 20);
        all.map(|all| format!("{all:?}")).map_err(|error| error.to_string())
    };
    let Ok(store) = open_store(&disk) else { return Ok(false) };
    let mut first = content(&store);
    if first.is_err() {
        let _ = store.maintain(Timestamp(START + 20_000));
        first = content(&store);
    }
    drop(store);
    let store = open_store(&disk).map_err(|error| format!("the second start fails: {error}"))?;
    let second = content(&store);
    if second != first {
        return Err(format!("the second start differs: {first:?}, then {second:?}").chars().take(2000).collect());
    }
    let mut batch = Batch::new();
    batch.push(labels(&[("__name__", "m"), ("n", "0")]), Sample { t: Timestamp(START + 60_000), v: 1.0 });
    let _ = store.commit(Timestamp(START + 60_000), vec![Entry::Transaction(batch)]);
    Ok(first.is_ok())
}

/// The last four bytes are the checksum of all before.
pub(super) fn repair_seal(bytes: &mut [u8]) {
    if let Some(end) = bytes.len().checked_sub(4) {
        let sum = checksum(&[&bytes[..end]]);
        bytes[end..].copy_from_slice(&sum.to_le_bytes());
    }
}

/// Every record's checksum: of its segment's number, of its header behind the checksum, of its payload.
fn repair_log(bytes: &mut [u8]) {
    const MAGIC: [u8; 4] = [0xe7, b'E', b'K', 0x1a];
    let Some(number) = bytes.get(12..20).map(<[u8]>::to_vec) else { return };
    if bytes.len() >= 24 {
        let sum = checksum(&[&bytes[..20]]);
        bytes[20..24].copy_from_slice(&sum.to_le_bytes());
    }
    repair_records(bytes, MAGIC, |record| checksum(&[&number, &record[8..]]), 40);
}

/// Records: magic, checksum, length of what is behind a header of so many bytes.
pub(super) fn repair_records(bytes: &mut [u8], magic: [u8; 4], sum: impl Fn(&[u8]) -> u32, header: usize) {
    let mut at = 0;
    while let Some(offset) = bytes[at..].windows(4).position(|window| window == magic) {
        at += offset;
        let length = bytes.get(at + 8..at + 12).and_then(|field| field.first_chunk().copied());
        let length = length.map_or(usize::MAX, |field| u32::from_le_bytes(field) as usize);
        let end = at.saturating_add(header).saturating_add(length);
        if end <= bytes.len() && at + header <= end {
            let sum = sum(&bytes[at..end]).to_le_bytes();
            bytes[at + 4..at + 8].copy_from_slice(&sum);
            at = end;
        } else {
            at += 4;
        }
    }
}
