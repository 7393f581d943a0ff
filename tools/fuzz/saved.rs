//! What upper layers save: the states beside the blocks, the outbox, verdicts, alerts and episodes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel::codec::checksum;
use evenkeel::config::{parse_objectives, parse_rules};
use evenkeel::db::{Db, DbOptions, Threads};
use evenkeel::env::ManualClock;
use evenkeel::env::disk::{Disk, MemoryDisk, Survival};
use evenkeel::model::{Batch, Sample, Seq, TimeRange, Timestamp, Transition};
use evenkeel::notify::{Notifier, NotifyOptions};

use super::files::{DIR, START, find, put_file, repair_records, repair_seal, store_options};
use super::targets::{Target, labels};

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target::plain("attachments", states_seeds, states).with_repair(repair_states),
        Target::plain("outbox", outbox_seeds, outbox).with_repair(repair_outbox),
        Target::plain("verdicts", verdicts_seeds, verdicts).with_repair(repair_verdicts),
        Target::plain("episodes", episodes_seeds, episodes).with_repair(repair_episodes),
    ]
}

const RULES: &str = "groups:\n- name: g\n  rules:\n  - {alert: High, expr: m > 1, for: 5s, annotations: {a: '{{ $value }}'}}\n  - {alert: Low, expr: m < 1}\n  - {record: r, expr: sum(m)}\n";
const OBJECTIVES: &str =
    "objectives:\n- {service: s, name: n, objective: 99.9, window: 30d, errors: 'e_total', total: 't_total'}\n";

fn db_options(disk: MemoryDisk, clock: Arc<ManualClock>) -> Result<DbOptions, String> {
    let mut options = DbOptions::new(DIR);
    options.disk = Arc::new(disk);
    options.clock = clock;
    options.threads = Threads::None;
    options.store = store_options();
    options.watch.groups = parse_rules("rules.yml", RULES).map_err(|error| error.to_string())?;
    options.watch.objectives = parse_objectives("slo.yml", OBJECTIVES).map_err(|error| error.to_string())?;
    Ok(options)
}

fn open(disk: &MemoryDisk) -> Result<Db, String> {
    Db::open(db_options(disk.clone(), Arc::new(ManualClock::new(START)))?).map_err(|error| error.to_string())
}

fn db_disk() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let fill = || -> Result<(), String> {
        let clock = Arc::new(ManualClock::new(START - 20_000));
        let db = Db::open(db_options(disk.clone(), Arc::clone(&clock))?).map_err(|error| error.to_string())?;
        // An alert that fires and ends, and one that goes on.
        for i in 0..20 {
            let t = START - 20_000 + i * 1000;
            clock.set(t);
            let mut batch = Batch::new();
            for (name, v) in
                [("m", if i < 15 { 5.0 } else { 0.0 }), ("e_total", i as f64), ("t_total", 10.0 * i as f64)]
            {
                batch.push(labels(&[("__name__", name)]), Sample { t: Timestamp(t), v });
            }
            db.append(batch).map_err(|error| error.to_string())?;
            db.step();
        }
        db.mark_deploy("s", "v1").map_err(|error| error.to_string())?;
        db.close().map_err(|error| error.to_string())
    };
    fill().expect("a database on a disk that works");
    disk
}

thread_local! {
    static DATABASE: MemoryDisk = db_disk();
}

fn repair_states(bytes: &mut [u8]) {
    // Each part: length of its name (4), name, length (8), bytes; most are sealed themselves.
    let mut at = 32;
    while let Some(length) = bytes.get(at..at + 4).and_then(|field| field.first_chunk().copied()) {
        let after_name = at.saturating_add(4).saturating_add(u32::from_le_bytes(length) as usize);
        let Some(field) = bytes.get(after_name..after_name.saturating_add(8)) else { break };
        let length = field.first_chunk().map_or(u64::MAX, |field| u64::from_le_bytes(*field));
        let begin = after_name + 8;
        let end = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(begin);
        if end > bytes.len() {
            break;
        }
        if end - begin > 16 {
            let sum = checksum(&[&bytes[begin..end - 4]]);
            bytes[end - 4..end].copy_from_slice(&sum.to_le_bytes());
        }
        at = end;
    }
    repair_seal(bytes);
}

/// A database of which the saved states are the input.
fn states(bytes: &[u8]) -> Result<bool, String> {
    let disk = DATABASE.with(|disk| disk.power_cut(Survival::Most));
    let Some(path) = find(&disk, "blocks", ".attachments") else { return Err("there are no attachments".to_owned()) };
    disk.tamper(&path, |file| *file = bytes.to_vec()).map_err(|error| error.to_string())?;
    let Ok(db) = open(&disk) else { return Ok(false) };
    let mut batch = Batch::new();
    batch.push(labels(&[("__name__", "m")]), Sample { t: Timestamp(START + 7000), v: 7.0 });
    let _ = db.append(batch);
    let _ = db.judgement();
    Ok(true)
}

fn repair_outbox(bytes: &mut [u8]) {
    const MAGIC: [u8; 4] = [0xe7, b'E', b'K', 0x0b];
    if bytes.len() >= 16 {
        let sum = checksum(&[&bytes[..12]]);
        bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    }
    repair_records(bytes, MAGIC, |record| checksum(&[&record[8..]]), 16);
}

fn outbox_dir() -> PathBuf {
    Path::new(DIR).join("outbox")
}

fn outbox_seeds() -> Vec<Vec<u8>> {
    let disk = DATABASE.with(|disk| disk.power_cut(Survival::Most));
    let entries = disk.list(&outbox_dir()).unwrap_or_default();
    entries
        .into_iter()
        .filter(|entry| entry.name.ends_with(".log"))
        .filter_map(|entry| disk.read(&entry.path).ok())
        .collect()
}

fn outbox(bytes: &[u8]) -> Result<bool, String> {
    let disk = MemoryDisk::new();
    put_file(&disk, &outbox_dir().join("outbox-00000001.log"), bytes)?;
    let open = || Notifier::open(Arc::new(disk.clone()), &outbox_dir(), NotifyOptions::default());
    let Ok(notifier) = open() else { return Ok(false) };
    let (firing, position) = (notifier.firing().len(), notifier.position());
    let none: [Transition; 0] = [];
    let _ = notifier.accept(&none);
    let _ = notifier.follow(Seq(5));
    drop(notifier);
    let again = open().map_err(|error| format!("the second start fails: {error}"))?;
    if again.firing().len() != firing || again.position() < position.min(Seq(5)) {
        return Err("the second start knows of other alerts".to_owned());
    }
    Ok(true)
}

/// A file of the database, as it was written.
fn database_file(folder: &str, suffix: &str) -> Vec<Vec<u8>> {
    let disk = DATABASE.with(|disk| disk.power_cut(Survival::Most));
    let file = find(&disk, folder, suffix).and_then(|path| disk.read(&path).ok());
    vec![file.unwrap_or_default()]
}

/// The file of the saved states.
fn states_seeds() -> Vec<Vec<u8>> {
    database_file("blocks", ".attachments")
}

/// The file of what was known when.
fn verdicts_seeds() -> Vec<Vec<u8>> {
    database_file("verdicts", ".log")
}

/// The file of alerts and episodes.
fn episodes_seeds() -> Vec<Vec<u8>> {
    database_file("episodes", ".log")
}

/// A database of which the record of verdicts is the input.
fn verdicts(bytes: &[u8]) -> Result<bool, String> {
    recorded("verdicts", bytes, |db| format!("{:?}", db.judgements(TimeRange::ALL, 1000)))
}

/// A database of which the record of alerts and episodes is the input.
fn episodes(bytes: &[u8]) -> Result<bool, String> {
    recorded("episodes", bytes, |db| format!("{:?} {:?}", db.fired_alerts(TimeRange::ALL), db.episodes(TimeRange::ALL)))
}

/// Opens a database of which one record is the input, twice: it always starts, and the second start knows what the first did.
fn recorded(folder: &str, bytes: &[u8], known: impl Fn(&Db) -> String) -> Result<bool, String> {
    let disk = DATABASE.with(|disk| disk.power_cut(Survival::Most));
    let Some(path) = find(&disk, folder, ".log") else { return Err(format!("there is no file of {folder}")) };
    disk.tamper(&path, |file| *file = bytes.to_vec()).map_err(|error| error.to_string())?;
    let db = open(&disk)?;
    let first = known(&db);
    drop(db);
    let second = known(&open(&disk)?);
    if second != first {
        return Err(format!("the second start differs: {first}, then {second}").chars().take(2000).collect());
    }
    Ok(first.len() > "[] []".len())
}

fn repair_verdicts(bytes: &mut [u8]) {
    repair_recorded(bytes, *b"\xe7EKverd1");
}

fn repair_episodes(bytes: &mut [u8]) {
    repair_recorded(bytes, *b"\xe7EKepis1");
}

/// Records: magic, length, checksum of the length and the content, content.
fn repair_recorded(bytes: &mut [u8], magic: [u8; 8]) {
    let mut at = 0;
    while let Some(offset) = bytes[at..].windows(8).position(|window| window == magic) {
        at += offset;
        let length = bytes.get(at + 8..at + 12).and_then(|field| field.first_chunk().copied());
        let length = length.map_or(usize::MAX, |field| u32::from_le_bytes(field) as usize);
        let end = at.saturating_add(16).saturating_add(length);
        if end <= bytes.len() {
            let sum = checksum(&[&bytes[at + 8..at + 12], &bytes[at + 16..end]]);
            bytes[at + 12..at + 16].copy_from_slice(&sum.to_le_bytes());
            at = end;
        } else {
            at += 8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_has_something_in_each_file() {
        for (name, seeds) in [
            ("states", states_seeds()),
            ("outbox", outbox_seeds()),
            ("verdicts", verdicts_seeds()),
            ("episodes", episodes_seeds()),
        ] {
            assert!(
                seeds.iter().any(|seed| seed.len() > 100),
                "{name}: {:?}",
                seeds.iter().map(Vec::len).collect::<Vec<_>>()
            );
        }
        assert_eq!(verdicts(&verdicts_seeds()[0]), Ok(true));
        assert_eq!(episodes(&episodes_seeds()[0]), Ok(true));
    }
}
