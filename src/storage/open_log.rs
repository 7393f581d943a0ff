//! The log as a start finds it: what is torn is cut, what is damaged is told, the rest is made durable.
//!
//! Invariant: one segment at a time is in memory.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use crate::model::Seq;

use super::manifest::{Files, Manifest};
use super::open::{OpenError, list};
use super::replay::RecoveryReport;
use super::wal::{LogFiles, SEGMENT_HEADER_BYTES, Scan, scan, segment_path, spares, torn_bytes};

/// A segment that is to be replayed.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoundSegment {
    /// Its number.
    pub(super) number: u64,
    /// The last entry before it.
    pub(super) last: Seq,
}

/// What the log's directory holds.
pub(super) struct FoundLog {
    /// Segments to replay, in order.
    pub(super) segments: VecDeque<FoundSegment>,
    /// All files.
    pub(super) files: LogFiles,
    /// The number of the next segment.
    pub(super) next_segment: u64,
    /// A number that no entry gave to a series.
    pub(super) next_series: u32,
    /// The entry that is expected next.
    expected: u64,
}

/// A segment as it was read.
struct Read {
    segment: FoundSegment,
    bytes: Vec<u8>,
    found: Scan,
}

impl FoundLog {
    /// Reads the log behind the manifest's checkpoint. Files that nothing needs become spares or go.
    pub(super) fn read(
        files: &Files,
        manifest: &Manifest,
        segment_bytes_max: u64,
        report: &mut RecoveryReport,
    ) -> Result<FoundLog, OpenError> {
        let disk = &*files.disk;
        let mut log = FoundLog {
            segments: VecDeque::new(),
            files: LogFiles {
                spares: spares(disk, &disk.list(&files.wal)?, segment_bytes_max)?,
                ..LogFiles::default()
            },
            next_segment: manifest.first_segment,
            next_series: 0,
            expected: manifest.seq.0 + 1,
        };
        // The last one with records is treated otherwise than those before it, and the empty ones
        // behind it otherwise again.
        let (mut latest, mut empty): (Option<Read>, Vec<Read>) = (None, Vec::new());
        // Records count on from the checkpoint; those of a rebuilt manifest may begin before it.
        let mut last = Seq(0);
        for (number, entry) in list(files, &files.wal, ".log")? {
            if number < manifest.first_segment {
                log.files.retire(disk, (&files.wal, number), entry.bytes, segment_bytes_max)?;
                continue;
            }
            let bytes = disk.read(&entry.path)?;
            let found = scan(&bytes, number, last)
                .map_err(|version| OpenError::Version { file: entry.path.display().to_string(), version })?;
            log.next_segment = log.next_segment.max(number + 1);
            let newest = found.records.last().map(|place| place.header.seq);
            let read = Read { segment: FoundSegment { number, last }, bytes, found };
            match newest {
                None => empty.push(read),
                Some(newest) => {
                    last = newest;
                    for before in latest.replace(read).into_iter().chain(empty.drain(..)) {
                        log.take(files, before, report);
                    }
                }
            }
        }
        if let Some(read) = latest {
            log.take_last(files, read, manifest.seq, report)?;
        }
        for read in empty {
            // Begun by a crash, or torn before its first record was whole.
            report.torn_bytes += torn_bytes(&read.bytes, read.found.end.max(SEGMENT_HEADER_BYTES)) as u64;
            disk.remove(&segment_path(&files.wal, read.segment.number))?;
        }
        Ok(log)
    }

    /// Takes the last segment: what is torn behind its last whole group goes.
    fn take_last(
        &mut self,
        files: &Files,
        mut read: Read,
        checkpoint: Seq,
        report: &mut RecoveryReport,
    ) -> Result<(), OpenError> {
        let path = segment_path(&files.wal, read.segment.number);
        let last = read.segment.last.max(checkpoint);
        let cut = read.found.cut_torn(last);
        let end = read.found.end;
        if cut && read.found.records.is_empty() {
            report.torn_bytes += torn_bytes(&read.bytes, end).max(1) as u64;
            return Ok(files.disk.remove(&path)?);
        }
        report.torn_bytes += torn_bytes(&read.bytes, end) as u64;
        read.bytes.truncate(end);
        let settled = read.found.settled(&read.bytes, read.segment.number, last);
        make_durable(files, &path, settled.as_deref().unwrap_or(&read.bytes), &read.bytes)?;
        self.take(files, read, report);
        Ok(())
    }

    fn take(&mut self, files: &Files, read: Read, report: &mut RecoveryReport) {
        let Read { segment, bytes, mut found } = read;
        let path = segment_path(&files.wal, segment.number);
        match torn_bytes(&bytes, found.end) {
            0 => {}
            torn => found.damaged.push(found.end..found.end + torn),
        }
        for range in &found.damaged {
            let what = format!("bytes {} to {} hold no whole entry and were passed over", range.start, range.end);
            report.note(path.display(), what);
        }
        if !found.damaged.is_empty() {
            self.files.damaged.insert(segment.number);
        }
        for place in &found.records {
            let seq = place.header.seq.0;
            if seq > self.expected {
                report.note(path.display(), format!("entries {} to {} are lost", self.expected, seq - 1));
            }
            self.expected = seq + 1;
            self.next_series = self.next_series.max(place.header.next_series);
        }
        self.files.segments.insert(segment.number, found.end as u64);
        self.segments.push_back(segment);
    }
}

/// Writes the whole records of the last segment anew and puts them in its place: `bytes`, or on a full disk
/// those that were `found`.
///
/// The process before may have died, or gone on, without a successful sync. What is read of such a
/// file comes from the system's memory, and after a sync that failed another one may succeed
/// without writing anything; only bytes written and synced anew are known to be on the disk.
fn make_durable(files: &Files, path: &Path, bytes: &[u8], found: &[u8]) -> io::Result<()> {
    let next = files.wal.join("rewrite.tmp");
    let disk = &*files.disk;
    let rewrite = || {
        let mut file = disk.create(&next)?;
        file.write_all(bytes)?;
        file.sync()
    };
    match rewrite() {
        Ok(()) => {
            disk.rename(&next, path)?;
            disk.sync_dir(&files.wal)
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            // A full disk must not keep the store shut. Written over itself, each sector holds the same
            // bytes before and after.
            let _ = disk.remove(&next);
            let mut file = disk.append(path)?;
            file.write_at(0, found)?;
            file.truncate(found.len() as u64)?;
            file.sync()
        }
        Err(error) => Err(error),
    }
}
