//! The files of the log: segments, and spares that will become segments.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use crate::env::disk::{DirEntry, Disk};
use crate::model::limits::STORED_NUMBER_MAX;

use super::format::{END, SEGMENT_HEADER_BYTES};

/// Files kept for the next segments: at a checkpoint the log goes on into one while the next fills.
const SPARES_MAX: usize = 2;

/// Where a segment lies.
pub(in crate::storage) fn segment_path(wal: &Path, number: u64) -> PathBuf {
    wal.join(format!("{number:08}.log"))
}

fn spare_path(wal: &Path, number: u64) -> PathBuf {
    wal.join(format!("{number:08}.spare"))
}

/// Bytes that a segment's file takes from the beginning: the size at which the segment is closed, and
/// some more for the group that passes it.
pub(in crate::storage) fn allocated_bytes(segment_bytes_max: u64) -> u64 {
    (segment_bytes_max + segment_bytes_max / 16).max((SEGMENT_HEADER_BYTES + END.len()) as u64)
}

/// The number that a file's name is, before `suffix`. Any other file is not ours.
pub(in crate::storage) fn file_number(name: &str, suffix: &str) -> Option<u64> {
    name.strip_suffix(suffix)?.parse().ok().filter(|number| *number <= STORED_NUMBER_MAX)
}

/// The segments among the entries of the log's directory, with their numbers.
pub(in crate::storage) fn segments(entries: &[DirEntry]) -> impl Iterator<Item = (u64, &DirEntry)> {
    entries.iter().filter_map(|entry| Some((file_number(&entry.name, ".log")?, entry)))
}

/// What the log's directory holds.
#[derive(Debug, Default)]
pub(in crate::storage) struct LogFiles {
    /// The bytes of each segment that hold its header and records.
    pub(in crate::storage) segments: BTreeMap<u64, u64>,
    /// Segments with damage: kept aside instead of used again.
    pub(in crate::storage) damaged: BTreeSet<u64>,
    /// Files of a segment's size that nothing needs.
    pub(in crate::storage) spares: Vec<PathBuf>,
    /// Series files with damage: kept aside when the next checkpoint has replaced them.
    pub(in crate::storage) damaged_series: BTreeSet<u64>,
}

impl LogFiles {
    /// Bytes of all segments that hold something.
    pub(in crate::storage) fn bytes(&self) -> u64 {
        self.segments.values().sum()
    }

    /// Makes a spare of a segment's file that nothing needs any more, or removes it.
    ///
    /// # Errors
    /// The disk's; the file stays.
    pub(in crate::storage) fn retire(
        &mut self,
        disk: &dyn Disk,
        (wal, number): (&Path, u64),
        length: u64,
        segment_bytes_max: u64,
    ) -> io::Result<()> {
        let path = segment_path(wal, number);
        if self.spares.len() < SPARES_MAX && is_segment_size(length, segment_bytes_max) {
            let spare = spare_path(wal, number);
            disk.rename(&path, &spare)?;
            self.spares.push(spare);
            Ok(())
        } else {
            disk.remove(&path)
        }
    }
}

/// A file that is much longer than a segment would keep its room for ever.
fn is_segment_size(length: u64, segment_bytes_max: u64) -> bool {
    let wanted = allocated_bytes(segment_bytes_max);
    (wanted..=wanted.saturating_mul(2)).contains(&length)
}

/// The spares among the entries of the log's directory that can be used; the others are removed.
///
/// # Errors
/// The disk's.
pub(in crate::storage) fn spares(
    disk: &dyn Disk,
    entries: &[DirEntry],
    segment_bytes_max: u64,
) -> io::Result<Vec<PathBuf>> {
    let mut kept = Vec::new();
    for entry in entries.iter().filter(|entry| entry.name.ends_with(".spare")) {
        if kept.len() < SPARES_MAX && is_segment_size(entry.bytes, segment_bytes_max) {
            kept.push(entry.path.clone());
        } else {
            disk.remove(&entry.path)?;
        }
    }
    Ok(kept)
}
