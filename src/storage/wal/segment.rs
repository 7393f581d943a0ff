//! The segment that is being written.

use std::io;
use std::path::{Path, PathBuf};

use crate::env::disk::{Disk, DiskFile};

use super::format::{self, RecordHeader};

/// Where a segment lies.
pub(in crate::storage) fn segment_path(wal: &Path, number: u64) -> PathBuf {
    wal.join(format!("{number:08}.log"))
}

/// The number in a segment's name.
pub(in crate::storage) fn segment_number(name: &str) -> Option<u64> {
    name.strip_suffix(".log")?.parse().ok()
}

/// An open segment, records pending in memory and the file behind it.
pub(in crate::storage) struct Segment {
    file: Box<dyn DiskFile>,
    bytes: u64,
    pending: Vec<u8>,
    unsynced: bool,
}

/// A segment that could not be written.
#[derive(Debug)]
pub(in crate::storage) enum WriteError {
    /// Nothing of the group is in the log.
    Refused(io::Error),
    /// Nobody knows what is in the log.
    Broken(io::Error),
}

impl Segment {
    /// Creates segment `number`, durable together with its name.
    pub(in crate::storage) fn create(disk: &dyn Disk, wal: &Path, number: u64) -> io::Result<Segment> {
        let path = segment_path(wal, number);
        let mut file = disk.create(&path)?;
        let header = format::segment_header(number);
        let made = file.write_all(&header).and_then(|()| file.sync()).and_then(|()| disk.sync_dir(wal));
        if let Err(error) = made {
            // Left behind it would be an empty segment, which the next start removes.
            let _ = disk.remove(&path);
            return Err(error);
        }
        Ok(Segment { file, bytes: header.len() as u64, pending: Vec::new(), unsynced: false })
    }

    /// The bytes in its file.
    pub(in crate::storage) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it holds something that a power cut could take.
    pub(in crate::storage) fn unsynced(&self) -> bool {
        self.unsynced
    }

    /// Adds a record to the group that [`Segment::write`] will write.
    pub(in crate::storage) fn stage(&mut self, header: RecordHeader, payload: &[u8]) {
        format::put_record(&mut self.pending, header, payload);
    }

    /// Bytes staged.
    pub(in crate::storage) fn staged_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Forgets the staged records.
    pub(in crate::storage) fn unstage(&mut self) {
        self.pending.clear();
    }

    /// Writes the staged records behind the last good byte, all or none.
    pub(in crate::storage) fn write(&mut self) -> Result<(), WriteError> {
        let written = self.file.write_all(&self.pending);
        let staged = self.pending.len() as u64;
        self.pending.clear();
        // One group must not keep its memory for ever.
        self.pending.shrink_to(1 << 20);
        match written {
            Ok(()) => {
                self.bytes += staged;
                self.unsynced = true;
                Ok(())
            }
            Err(error) => Err(self.cut_back(error)),
        }
    }

    /// Makes everything written durable.
    pub(in crate::storage) fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.unsynced = false;
        Ok(())
    }

    /// Cuts off what a failed write may have left, durably, so that a later start cannot find it.
    fn cut_back(&mut self, error: io::Error) -> WriteError {
        match self.file.truncate(self.bytes).and_then(|()| self.file.sync()) {
            Ok(()) => {
                self.unsynced = false;
                WriteError::Refused(error)
            }
            Err(second) => WriteError::Broken(second),
        }
    }
}
