//! Every byte of every file of a small database damaged, every file cut to every length, emptied and
//! taken away: whatever is answered then was stored, and what is missing is told.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel::env::disk::{Disk, MemoryDisk, Survival};
use evenkeel::model::{Batch, MatchOp, Matcher, Millis, STALE_NAN, Sample, TimeRange};
use evenkeel::storage::{Entry, OpenError, Store, StoreOptions, verify};

use super::cases::{Found, Outcome, Tally};
use super::histograms::growing;
use super::model::{Content, select};
use super::workload::{START, dir, labels};

/// What is done to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// A byte is changed by this mask.
    Flip(usize, u8),
    /// It ends after so many bytes.
    Cut(usize),
    /// A sector reads as zeros.
    Zeroed(usize),
    /// It is gone.
    Gone,
}

const SECTOR_BYTES: usize = 512;
const ATTACHMENT: &str = "states";

/// A small database and what is in it.
struct Database {
    disk: MemoryDisk,
    content: Content,
    files: Vec<(PathBuf, usize)>,
}

fn options() -> StoreOptions {
    StoreOptions {
        segment_bytes_max: 1200,
        retention: Millis::days(30),
        out_of_order: Millis::seconds(30),
        reserve_bytes: 0,
        ..StoreOptions::default()
    }
}

fn batch(ms: i64) -> Batch {
    let mut batch = Batch::new();
    let i = ms / 1000;
    let values = [
        ("requests_total", 17.0 * i as f64),
        ("latency_seconds", 0.25 + (i % 7) as f64 / 1000.0),
        ("noise", (i as f64 * 1.7).sin()),
        ("gone", if i % 9 == 8 { f64::from_bits(STALE_NAN) } else { 1.0 }),
    ];
    for (n, (name, v)) in values.into_iter().enumerate() {
        let text = (n as i64 + i / 20).to_string();
        let labels = labels([("__name__", name), ("job", "flips"), ("n", text.as_str())]);
        batch.push(labels, Sample { t: START + Millis(ms), v });
    }
    if i % 3 == 0 {
        let labels = |name| labels([("__name__", name), ("job", "flips")]);
        batch.push_histogram(labels("sizes"), growing(START + Millis(ms), i.unsigned_abs()));
        batch.push_histogram(labels("gone"), growing(START + Millis(ms), i.unsigned_abs() % 9));
    }
    batch
}

impl Database {
    /// A merged block, two small ones with a late sample in one, attachments, several log segments.
    fn build() -> Result<Database, Found> {
        let disk = MemoryDisk::new();
        let (store, ..) = open(&disk).map_err(|error| error.to_string())?;
        let failed = |error: &dyn std::fmt::Display| format!("the database cannot be built: {error}");
        for i in 0..40 {
            let ms = i * 1000;
            let at = START + Millis(ms);
            store.commit(at, vec![Entry::Transaction(batch(ms))]).map_err(|e| failed(&e))?;
            if i % 5 == 0 && i <= 25 {
                store.begin_checkpoint(vec![(ATTACHMENT.into(), vec![7; 20])]).map_err(|e| failed(&e))?;
                store.finish_checkpoint().map_err(|e| failed(&e))?;
            }
            if i == 17 {
                store.maintain(at).map_err(|e| failed(&e))?;
                store.commit(at, vec![Entry::Transaction(batch(ms - 500))]).map_err(|e| failed(&e))?;
            }
        }
        let content = select(&store.snapshot(), &[], TimeRange::ALL)?;
        drop(store);
        let mut files = Vec::new();
        list(&disk, dir(), &mut files)?;
        Ok(Database { disk, content, files })
    }

    fn damages(&self, masks: &[u8], stride: usize) -> Vec<(usize, Damage)> {
        let mut all = Vec::new();
        for (number, (_, length)) in self.files.iter().enumerate() {
            all.push((number, Damage::Gone));
            for at in (number % stride..*length).step_by(stride) {
                all.extend(masks.iter().map(|mask| (number, Damage::Flip(at, *mask))));
                all.push((number, Damage::Cut(at)));
            }
            all.extend((0..*length).step_by(SECTOR_BYTES).map(|at| (number, Damage::Zeroed(at))));
        }
        all
    }

    fn try_one(&self, number: usize, damage: Damage, tally: &mut Tally) -> Result<(), Found> {
        let path = &self.files[number].0;
        let disk = self.disk.power_cut(Survival::Most);
        let failed = |error: std::io::Error| format!("the damage cannot be done: {error}");
        match damage {
            Damage::Gone => disk.remove(path).map_err(failed)?,
            _ => disk.tamper(path, |bytes| damage.apply(bytes)).map_err(failed)?,
        }
        if disk.read(path).ok() == self.disk.read(path).ok() {
            return Ok(());
        }
        tally.case();
        self.check(&disk, path, damage, tally).map_err(|found| format!("{damage:?} of {}: {found}", path.display()))
    }

    fn check(&self, disk: &MemoryDisk, path: &Path, damage: Damage, tally: &mut Tally) -> Result<(), Found> {
        // Before the start, which mends what it can.
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let verified = verify(&shared, dir(), &mut |_, _| ()).map_err(|error| format!("verify stops: {error}"))?;
        let (store, told_at_start, attachment) = match open(disk) {
            Ok(opened) => opened,
            Err(OpenError::Locked { .. }) => return Err("it says that it is open elsewhere".to_owned()),
            Err(error) => {
                // The same again: a start that refuses must change nothing.
                tally.add("refused to open", 1);
                let text = error.to_string();
                let named = path.file_name().is_some_and(|name| text.contains(&*name.to_string_lossy()));
                return match open(disk) {
                    Err(again) if again.to_string() == text && named => Ok(()),
                    _ => Err(format!("the refusal does not name the file or does not last: {text}")),
                };
            }
        };
        let (found, errors) = self.read_all(&store);
        let lost = self.compare(&found)?;
        let told = told_at_start || errors > 0;
        match verified.faults_found {
            0 if told => tally.add("verify finds nothing, a start or a read does", 1),
            0 => {}
            _ => tally.add("verify finds it", 1),
        }
        match (lost, told) {
            (0, false) => tally.add("without effect", 1),
            (0, true) => tally.add("told, nothing lost", 1),
            (_, true) => tally.add("told, something lost", 1),
            // A log that ends at the end of an entry cannot know that there was another one.
            (_, false) if matches!(damage, Damage::Cut(_) | Damage::Gone) && is_log(path) => {
                tally.add("log ends early", 1);
            }
            (_, false) => return Err(format!("{lost} samples are missing and nothing tells")),
        }
        if attachment.as_deref().is_some_and(|bytes| bytes != [7; 20]) {
            return Err("an attachment has bytes that nobody gave".to_owned());
        }
        if errors > 0 {
            let done = store.maintain(START + Millis::seconds(40)).map_err(|e| format!("upkeep stops: {e}"))?;
            let (after, errors) = self.read_all(&store);
            self.compare(&after)?;
            if errors > 0 || done.quarantined.is_empty() {
                return Err(format!("after upkeep {errors} reads fail still: {done}"));
            }
        }
        drop(store);
        let (store, ..) = open(disk).map_err(|error| format!("the second start fails: {error}"))?;
        let (again, _) = self.read_all(&store);
        self.compare(&again)?;
        let at = START + Millis::seconds(60);
        store.commit(at, vec![Entry::Transaction(batch(60_000))]).map_err(|e| format!("it takes no writes: {e}"))?;
        Ok(())
    }

    /// Each series by itself, so that one damaged page hides nothing else.
    fn read_all(&self, store: &Store) -> (Content, usize) {
        let snapshot = store.snapshot();
        let (mut found, mut errors) = (Content::new(), 0);
        let names: BTreeSet<&str> = self.content.iter().map(|(labels, _)| labels.get("__name__")).collect();
        for name in names {
            let matchers: Vec<Matcher> = Matcher::new("__name__", MatchOp::Equal, name).into_iter().collect();
            match select(&snapshot, &matchers, TimeRange::ALL) {
                Ok(some) => found.extend(some),
                Err(_) => errors += 1,
            }
        }
        // And all at once, which must not invent series either.
        match select(&snapshot, &[], TimeRange::ALL) {
            Ok(all) if errors == 0 => (all, 0),
            Ok(_) => (found, errors),
            Err(_) => (found, errors.max(1)),
        }
    }

    /// How many samples are missing; an error if there is one that nobody wrote.
    fn compare(&self, found: &Content) -> Result<usize, Found> {
        let mut count = 0;
        for (labels, samples) in found {
            let known = self.content.iter().find(|(l, _)| l == labels);
            let Some((_, known)) = known else { return Err(format!("{labels} was never written")) };
            if let Some(sample) = samples.iter().find(|sample| !known.contains(sample)) {
                return Err(format!("{labels} has {sample:?}, which nobody wrote"));
            }
            count += samples.len();
        }
        Ok(self.content.iter().map(|(_, samples)| samples.len()).sum::<usize>().saturating_sub(count))
    }
}

impl Damage {
    fn apply(self, bytes: &mut Vec<u8>) {
        match self {
            Damage::Flip(at, mask) => bytes[at] ^= mask,
            Damage::Cut(length) => bytes.truncate(length),
            Damage::Zeroed(at) => {
                let end = bytes.len().min(at + SECTOR_BYTES);
                bytes[at..end].fill(0);
            }
            Damage::Gone => bytes.clear(),
        }
    }
}

fn is_log(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "log")
}

fn list(disk: &MemoryDisk, dir: &Path, files: &mut Vec<(PathBuf, usize)>) -> Result<(), Found> {
    for entry in disk.list(dir).map_err(|error| error.to_string())? {
        if entry.is_dir {
            list(disk, &entry.path, files)?;
        } else {
            files.push((entry.path, entry.bytes as usize));
        }
    }
    Ok(())
}

/// The store, whether the start told of anything, and the attachment that it gave.
fn open(disk: &MemoryDisk) -> Result<(Store, bool, Option<Vec<u8>>), OpenError> {
    let (store, mut replay) = Store::open(Arc::new(disk.clone()), dir(), options())?;
    let attachment = replay.attachment(ATTACHMENT).map(<[u8]>::to_vec);
    while replay.next()?.is_some() {}
    let report = replay.report();
    Ok((store, !report.damage.is_empty() || report.torn_bytes > 0, attachment))
}

/// Each of `masks` at every `stride`th byte, and every `stride`th length.
pub(crate) fn run(masks: &[u8], stride: usize) -> Result<Vec<Outcome>, Found> {
    let database = Database::build()?;
    let damages = database.damages(masks, stride);
    let bytes: usize = database.files.iter().map(|(_, length)| length).sum();
    let name = format!("damage in {} files of {bytes} bytes", database.files.len());
    Ok(vec![Outcome::of(name, damages.len(), |case, tally| {
        let (number, damage) = damages[case];
        database.try_one(number, damage, tally)
    })])
}
