//! Opening a store: lock, manifest, blocks, the log's whole records; what is torn is cut, what is
//! damaged is kept aside and told.
//!
//! Invariant: no content of any file makes opening panic or fail for ever, save a file of a newer version.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::{Mutex, RwLock};

use crate::codec::SealError;
use crate::env::disk::{DirEntry, Disk};
use crate::model::{DownsampleError, Labels, SeriesRef};

use super::beside::{Kept, SharedKept};
use super::block::{Block, BlockError};
use super::changes::Changes;
use super::commit::Writer;
use super::downsample::Downsampling;
use super::entries::Tombstone;
use super::head::Generation;
use super::index::Index;
use super::manifest::{Attachments, BlockName, Files, Loaded, Manifest, SeriesFileName};
use super::open_log::FoundLog;
use super::options::StoreOptions;
use super::replay::{RecoveryReport, Replay};
use super::retention::Retention;
use super::series::SeriesStates;
use super::series_files;
use super::snapshot::SharedIndex;
use super::status::StoreStatus;
use super::store::{Inner, Shown, Store};
use super::tombstones::Tombstones;
use super::view::View;
use super::wal::{LogFiles, file_number};

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Somebody has it open.
    #[error("{dir} is open in another process; stop that one, or give each its own directory")]
    Locked {
        /// The directory.
        dir: String,
    },
    /// A newer version wrote it.
    #[error(
        "{file} has format version {version}, which this version of evenkeel cannot read; use the version that wrote it"
    )]
    Version {
        /// The file.
        file: String,
        /// Its version.
        version: u32,
    },
    /// The options cannot be followed.
    #[error("the store cannot be opened: {0}")]
    Downsample(#[from] DownsampleError),
    /// The disk failed.
    #[error("the store cannot be opened: {0}")]
    Io(#[from] io::Error),
}

impl Store {
    /// Opens the store in `dir`, which is created if it is not there, and takes its lock. The store
    /// takes writes when the replay was read to its end.
    ///
    /// # Errors
    /// The directory is open elsewhere, was written by a newer version, the options cannot be followed, or
    /// the disk failed.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, options: StoreOptions) -> Result<(Store, Replay), OpenError> {
        let downsampling = Downsampling::new(&options)?;
        let files = Files::new(disk, dir);
        files.disk.create_dir(dir)?;
        let directory_lock = files.disk.lock(&dir.join("LOCK")).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::Locked { dir: dir.display().to_string() },
            _ => OpenError::Io(error),
        })?;
        files.create_dirs()?;
        let mut report = RecoveryReport::default();
        let mut manifest = load_manifest(&files, &mut report)?;
        remove_unnamed(&files, &manifest)?;
        let mut log = FoundLog::read(&files, &manifest, options.segment_bytes_max, &mut report)?;
        let (mut index, mut states, mut status) = (Index::default(), SeriesStates::default(), StoreStatus::default());
        let next_series = load_series(&files, &manifest, &mut log.files, &mut report, |number, labels| {
            index.insert(SeriesRef(u64::from(number)), &labels);
            states.entry(SeriesRef(u64::from(number))).explained = true;
        })?;
        // Series that come anew get numbers that no entry of the log speaks of.
        index.reserve(SeriesRef(u64::from(next_series.max(log.next_series))));
        let blocks = open_blocks(&files, &mut manifest, &mut report)?;
        for block in &blocks {
            status.see_sample(block.first());
            status.see_sample(block.last());
        }
        let attachments = load_attachments(&files, &manifest, &mut report);
        let tombstones = load_tombstones(&files, &manifest, &mut report);
        let mut kept = Kept::new(&options);
        for fault in kept.restore(&attachments.parts, &states) {
            report.note(files.attachments(manifest.attachments).display(), fault);
        }
        let next_series = u32::try_from(index.next().0).unwrap_or(u32::MAX);
        let live = Arc::new(Generation::new(manifest.seq));
        let view =
            View { blocks: Arc::new(blocks), frozen: None, live, tombstones: Arc::new(Tombstones::new(tombstones)) };
        let inner = Arc::new(Inner {
            retention: Arc::new(Retention::new(&options)),
            downsampling,
            options,
            shown: RwLock::new(Shown {
                view: Arc::new(view),
                seq: manifest.seq,
                at: manifest.at,
                changes: Changes::default(),
            }),
            writer: Mutex::new(Writer::new((manifest.seq, manifest.at), log.next_segment, next_series, states)),
            files,
            maintenance: Mutex::new(manifest),
            pending: Mutex::new(None),
            index: Arc::new(SharedIndex::new(index)),
            kept: Arc::new(SharedKept { lock: RwLock::new(kept) }),
            status: Mutex::new(status),
            interrupts: AtomicU64::new(0),
            log: Mutex::new(log.files),
            _directory_lock: directory_lock,
        });
        let replay = Replay::new(Arc::clone(&inner), report, attachments, log.segments);
        Ok((Store { inner }, replay))
    }
}

/// The files of a directory whose names are a number and `suffix`, by number.
pub(super) fn list(files: &Files, dir: &Path, suffix: &str) -> io::Result<Vec<(u64, DirEntry)>> {
    let entries = files.disk.list(dir)?.into_iter();
    let numbered = |entry: DirEntry| Some((file_number(&entry.name, suffix)?, entry));
    let mut found: Vec<(u64, DirEntry)> = entries.filter_map(numbered).collect();
    found.sort_by_key(|(number, _)| *number);
    Ok(found)
}

fn load_manifest(files: &Files, report: &mut RecoveryReport) -> Result<Manifest, OpenError> {
    let path = files.dir.join("MANIFEST");
    let lost = match files.load()? {
        Loaded::Found(manifest) => return Ok(manifest),
        Loaded::Version(version) => return Err(OpenError::Version { file: path.display().to_string(), version }),
        Loaded::Damaged(reason) => {
            files.quarantine(&path)?;
            Some(reason)
        }
        Loaded::Absent => None,
    };
    let manifest = rebuild(files)?;
    let empty = manifest.blocks.is_empty() && list(files, &files.wal, ".log")?.is_empty();
    if lost.is_some() || !empty {
        let reason = lost.unwrap_or("it is missing");
        report.note(path.display(), format!("{reason}; rebuilt from the blocks and log segments that are there"));
    }
    // Durable before the first segment or block: its absence then means loss and nothing else.
    files.save(&manifest)?;
    Ok(manifest)
}

/// The manifest that the files there allow: every block, every segment, every series file, the
/// youngest attachments. Merged blocks beside their sources, or entries beside the block that has them,
/// show the same samples, and a reader takes one of each.
fn rebuild(files: &Files) -> Result<Manifest, OpenError> {
    let blocks = list(files, &files.blocks, ".block")?;
    let attachments = list(files, &files.blocks, ".attachments")?;
    let segments = list(files, &files.wal, ".log")?;
    let series = list(files, &files.blocks, ".series")?;
    let newest = attachments.iter().rev().find_map(|(n, _)| Some((*n, files.load_attachments(*n).ok()?)));
    let tombstones = list(files, &files.blocks, ".tombstones")?;
    let all = blocks.iter().chain(&attachments).chain(&tombstones).chain(&series);
    let last_file = all.map(|(number, _)| *number).max().unwrap_or(0);
    let mut manifest = Manifest {
        first_segment: segments.first().map_or(1, |(number, _)| *number),
        next_file: last_file + 1,
        blocks: blocks.iter().map(|(number, _)| BlockName { number: *number, level: 0 }).collect(),
        series_files: series.iter().map(|(number, _)| SeriesFileName { number: *number, series: 0 }).collect(),
        ..Manifest::default()
    };
    manifest.tombstones =
        tombstones.iter().rev().map(|(number, _)| *number).find(|n| files.load_tombstones(*n).is_ok()).unwrap_or(0);
    if let Some((number, found)) = newest {
        (manifest.attachments, manifest.seq, manifest.at) = (number, found.seq, found.at);
    }
    Ok(manifest)
}

/// Reads the series files, in the order in which they were made. Gives a number that no series of
/// theirs has had. A file with damage is read as far as it goes; the next checkpoint replaces it.
fn load_series(
    files: &Files,
    manifest: &Manifest,
    log: &mut LogFiles,
    report: &mut RecoveryReport,
    mut insert: impl FnMut(u32, Labels),
) -> Result<u32, OpenError> {
    let mut next_series = manifest.next_series;
    for name in &manifest.series_files {
        let path = files.series(name.number);
        let mut each = |number: u32, text: &str| match Labels::from_text(text) {
            Ok(labels) => {
                next_series = next_series.max(number.saturating_add(1));
                insert(number, labels);
            }
            Err(error) => report.note(path.display(), format!("series {number} is lost: {error}")),
        };
        let lost = "later samples of these series in the log are lost, those in blocks are not";
        let what = match files.disk.read(&path) {
            Ok(bytes) => match series_files::load(&bytes, &mut each) {
                Ok(loaded) => {
                    next_series = next_series.max(loaded.next_series);
                    let Some((count, reason)) = loaded.lost else { continue };
                    format!("{reason}; {count} of {} series cannot be read; {lost}", loaded.series)
                }
                Err(SealError::Version(version)) => {
                    return Err(OpenError::Version { file: path.display().to_string(), version });
                }
                Err(SealError::Damaged(damaged)) => {
                    format!("{damaged}; its {} series cannot be read; {lost}", name.series)
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                format!("the series file is missing; its {} series cannot be read; {lost}", name.series)
            }
            Err(error) => return Err(error.into()),
        };
        report.note(path.display(), what);
        log.damaged_series.insert(name.number);
    }
    Ok(next_series)
}

fn open_blocks(
    files: &Files,
    manifest: &mut Manifest,
    report: &mut RecoveryReport,
) -> Result<Vec<Arc<Block>>, OpenError> {
    let mut blocks = Vec::new();
    let mut lost = BTreeSet::new();
    for name in &manifest.blocks {
        let path = files.block(name.number);
        match Block::open(&*files.disk, &path, (name.number, name.level)) {
            Ok(block) => blocks.push(Arc::new(block)),
            Err(BlockError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                report.note(path.display(), "the block is missing; its samples are lost");
                lost.insert(name.number);
            }
            Err(BlockError::Io(error)) => return Err(error.into()),
            Err(BlockError::Damaged(damaged)) => {
                report.note(path.display(), format!("{damaged}; the block was moved to quarantine"));
                files.quarantine(&path)?;
                lost.insert(name.number);
            }
        }
    }
    if !lost.is_empty() {
        manifest.blocks.retain(|name| !lost.contains(&name.number));
        files.save(manifest)?;
    }
    Ok(blocks)
}

/// Removes what an interrupted checkpoint or compaction left: files that no manifest names.
fn remove_unnamed(files: &Files, manifest: &Manifest) -> Result<(), OpenError> {
    let mut unnamed = Vec::new();
    for (number, entry) in list(files, &files.blocks, ".block")? {
        if !manifest.blocks.iter().any(|name| name.number == number) {
            unnamed.push(entry.path);
        }
    }
    for (number, entry) in list(files, &files.blocks, ".attachments")? {
        if number != manifest.attachments {
            unnamed.push(entry.path);
        }
    }
    for (number, entry) in list(files, &files.blocks, ".tombstones")? {
        if number != manifest.tombstones {
            unnamed.push(entry.path);
        }
    }
    for (number, entry) in list(files, &files.blocks, ".series")? {
        if !manifest.series_files.iter().any(|name| name.number == number) {
            unnamed.push(entry.path);
        }
    }
    for path in unnamed {
        files.disk.remove(&path)?;
    }
    Ok(())
}

fn load_attachments(files: &Files, manifest: &Manifest, report: &mut RecoveryReport) -> Attachments {
    let nothing = Attachments { seq: manifest.seq, at: manifest.at, parts: Vec::new() };
    if manifest.attachments == 0 {
        return nothing;
    }
    match files.load_attachments(manifest.attachments) {
        Ok(found) if found.seq == manifest.seq => found,
        Ok(_) => {
            let path = files.attachments(manifest.attachments);
            report.note(path.display(), "it belongs to another checkpoint; states are made anew from stored samples");
            nothing
        }
        Err(reason) => {
            let path = files.attachments(manifest.attachments);
            report.note(path.display(), format!("{reason}; states are made anew from stored samples"));
            nothing
        }
    }
}

/// The tombstones. A file that is there and damaged is left, so that the next start tells again until
/// a checkpoint writes another one.
fn load_tombstones(files: &Files, manifest: &Manifest, report: &mut RecoveryReport) -> Vec<Tombstone> {
    if manifest.tombstones == 0 {
        return Vec::new();
    }
    let mut found = files.load_tombstones(manifest.tombstones).unwrap_or_else(|reason| {
        let path = files.tombstones(manifest.tombstones);
        report.note(path.display(), format!("{reason}; what was deleted is shown again, so delete it again"));
        Vec::new()
    });
    // Blocks that were written anew since then are not named any more, and hold nothing of it.
    for tombstone in &mut found {
        tombstone.blocks.retain(|number| manifest.blocks.iter().any(|name| name.number == *number));
    }
    found
}
