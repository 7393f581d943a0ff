//! Opening a store: lock, manifest, blocks, the log's whole records; what is torn is cut, what is
//! damaged is kept aside and told.
//!
//! Invariant: no content of any file makes opening panic or fail for ever, save a file of a newer version.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::env::disk::{DirEntry, Disk};
use crate::model::Seq;

use super::beside::Kept;
use super::block::{Block, BlockError};
use super::commit::Writer;
use super::entries::Tombstone;
use super::head::Generation;
use super::index::Index;
use super::manifest::{Attachments, BlockName, Files, Loaded, Manifest};
use super::options::StoreOptions;
use super::replay::{RecoveryReport, Replay};
use super::series::SeriesStates;
use super::snapshot::{SharedIndex, View};
use super::status::StoreStatus;
use super::store::{Inner, Shown, Store};
use super::tombstones::Tombstones;
use super::wal::{Place, SEGMENT_HEADER_BYTES, Scan, scan, segment_path};

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
    /// The disk failed.
    #[error("the store cannot be opened: {0}")]
    Io(#[from] io::Error),
}

/// The log as found: segments with their records.
type Segments = VecDeque<(u64, Vec<Place>)>;

impl Store {
    /// Opens the store in `dir`, which is created if it is not there, and takes its lock. The store
    /// takes writes when the replay was read to its end.
    ///
    /// # Errors
    /// The directory is open elsewhere, was written by a newer version, or the disk failed.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, options: StoreOptions) -> Result<(Store, Replay), OpenError> {
        let files = Files::new(disk, dir);
        files.disk.create_dir(dir)?;
        let directory_lock = files.disk.lock(&dir.join("LOCK")).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::Locked { dir: dir.display().to_string() },
            _ => OpenError::Io(error),
        })?;
        files.create_dirs()?;
        let mut report = RecoveryReport::default();
        let mut manifest = load_manifest(&files, &mut report)?;
        let (index, states, mut status) = (Index::default(), SeriesStates::default(), StoreStatus::default());
        let blocks = open_blocks(&files, &mut manifest, &mut report)?;
        for block in &blocks {
            status.see_sample(block.first());
            status.see_sample(block.last());
        }
        remove_unnamed(&files, &manifest)?;
        let attachments = load_attachments(&files, &manifest, &mut report);
        let tombstones = load_tombstones(&files, &manifest, &mut report);
        let mut kept = Kept::new(options.exemplars_max);
        for fault in kept.restore(&attachments.parts) {
            report.note(files.attachments(manifest.attachments).display(), fault);
        }
        let mut log = FoundLog::default();
        log.read(&files, &manifest, &mut report)?;
        (status.wal_bytes, status.wal_segments) = (log.bytes, log.segments.len() as u64);
        let live = Arc::new(Generation::new(manifest.seq));
        let view =
            View { blocks: Arc::new(blocks), frozen: None, live, tombstones: Arc::new(Tombstones::new(tombstones)) };
        let inner = Arc::new(Inner {
            options,
            shown: RwLock::new(Shown { view: Arc::new(view), seq: manifest.seq, at: manifest.at }),
            writer: Mutex::new(Writer::new(manifest.seq, manifest.at, log.next_segment, states)),
            files,
            maintenance: Mutex::new(manifest),
            pending: Mutex::new(None),
            index: Arc::new(SharedIndex { lock: RwLock::new(index) }),
            kept: RwLock::new(kept),
            status: Mutex::new(status),
            damaged_segments: Mutex::new(log.damaged),
            _directory_lock: directory_lock,
        });
        let replay = Replay { inner: Arc::clone(&inner), report, attachments, segments: log.segments, current: None };
        Ok((Store { inner }, replay))
    }
}

fn list(files: &Files, dir: &Path, suffix: &str) -> io::Result<Vec<(u64, DirEntry)>> {
    let entries = files.disk.list(dir)?.into_iter();
    let numbered = |entry: DirEntry| Some((entry.name.strip_suffix(suffix)?.parse().ok()?, entry));
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

/// The manifest that the files there allow: every block, every segment, the youngest attachments.
/// Merged blocks beside their sources, or entries beside the block that has them, show the same
/// samples, and a reader takes one of each.
fn rebuild(files: &Files) -> Result<Manifest, OpenError> {
    let blocks = list(files, &files.blocks, ".block")?;
    let attachments = list(files, &files.blocks, ".attachments")?;
    let segments = list(files, &files.wal, ".log")?;
    let newest = attachments.iter().rev().find_map(|(n, _)| Some((*n, files.load_attachments(*n).ok()?)));
    let tombstones = list(files, &files.blocks, ".tombstones")?;
    let last_file = blocks.iter().chain(&attachments).chain(&tombstones).map(|(number, _)| *number).max().unwrap_or(0);
    let mut manifest = Manifest {
        first_segment: segments.first().map_or(1, |(number, _)| *number),
        next_file: last_file + 1,
        blocks: blocks.iter().map(|(number, _)| BlockName { number: *number, level: 0 }).collect(),
        ..Manifest::default()
    };
    manifest.tombstones =
        tombstones.iter().rev().map(|(number, _)| *number).find(|n| files.load_tombstones(*n).is_ok()).unwrap_or(0);
    if let Some((number, found)) = newest {
        (manifest.attachments, manifest.seq, manifest.at) = (number, found.seq, found.at);
    }
    Ok(manifest)
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
    for (number, entry) in list(files, &files.wal, ".log")? {
        if number < manifest.first_segment {
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

/// What the log's directory holds.
#[derive(Default)]
struct FoundLog {
    segments: Segments,
    bytes: u64,
    damaged: BTreeSet<u64>,
    next_segment: u64,
}

impl FoundLog {
    fn read(&mut self, files: &Files, manifest: &Manifest, report: &mut RecoveryReport) -> Result<(), OpenError> {
        self.next_segment = manifest.first_segment;
        let mut scans = Vec::new();
        // Records count on from the checkpoint; those of a rebuilt manifest may begin before it.
        let mut last = Seq(0);
        for (number, entry) in list(files, &files.wal, ".log")? {
            let bytes = files.disk.read(&entry.path)?;
            let found = scan(&bytes, number, last)
                .map_err(|version| OpenError::Version { file: entry.path.display().to_string(), version })?;
            if let Some(place) = found.records.last() {
                last = place.header.seq;
            }
            self.next_segment = self.next_segment.max(number + 1);
            scans.push((number, bytes.len(), found));
        }
        let with_records = scans.iter().rposition(|(_, _, found)| !found.records.is_empty());
        let mut expected = manifest.seq.0 + 1;
        for (position, (number, length, found)) in scans.into_iter().enumerate() {
            if with_records.is_none_or(|last| position > last) {
                // Begun by a crash, or torn before its first record was whole.
                report.torn_bytes += length.saturating_sub(SEGMENT_HEADER_BYTES) as u64;
                files.disk.remove(&segment_path(&files.wal, number))?;
                continue;
            }
            let is_last = with_records == Some(position);
            self.bytes += length as u64;
            self.take(files, (number, length, found), is_last, &mut expected, report)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        files: &Files,
        (number, length, found): (u64, usize, Scan),
        is_last: bool,
        expected: &mut u64,
        report: &mut RecoveryReport,
    ) -> Result<(), OpenError> {
        let path = segment_path(&files.wal, number);
        let mut damaged = found.damaged;
        if is_last {
            make_durable(files, &path, found.end)?;
            report.torn_bytes += (length - found.end) as u64;
            self.bytes -= (length - found.end) as u64;
        } else if found.end < length {
            damaged.push(found.end..length);
        }
        for range in &damaged {
            let what = format!("bytes {} to {} hold no whole entry and were passed over", range.start, range.end);
            report.note(path.display(), what);
        }
        if !damaged.is_empty() {
            self.damaged.insert(number);
        }
        for place in &found.records {
            let seq = place.header.seq.0;
            if seq > *expected {
                report.note(path.display(), format!("entries {} to {} are lost", *expected, seq - 1));
            }
            *expected = seq + 1;
        }
        self.segments.push_back((number, found.records));
        Ok(())
    }
}

/// Writes the first `length` bytes of the last segment anew and puts them in its place.
///
/// The process before may have died, or gone on, without a successful sync. What is read of such a
/// file comes from the system's memory, and after a sync that failed another one may succeed
/// without writing anything; only bytes written and synced anew are known to be on the disk.
fn make_durable(files: &Files, path: &Path, length: usize) -> io::Result<()> {
    let next = files.wal.join("rewrite.tmp");
    let disk = &*files.disk;
    let bytes = disk.read(path)?;
    let rewrite = || {
        let mut file = disk.create(&next)?;
        file.write_all(bytes.get(..length).unwrap_or(&bytes))?;
        file.sync()
    };
    match rewrite() {
        Ok(()) => {
            disk.rename(&next, path)?;
            disk.sync_dir(&files.wal)
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            // A full disk must not keep the store shut; this is the next best.
            let _ = disk.remove(&next);
            let mut file = disk.append(path)?;
            file.truncate(length as u64)?;
            file.sync()
        }
        Err(error) => Err(error),
    }
}
