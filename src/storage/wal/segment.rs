//! The segment that is being written.

use std::io;
use std::path::{Path, PathBuf};

use crate::env::disk::{Disk, DiskFile};

use super::files::{allocated_bytes, segment_path};
use super::format::{self, END, RecordHeader, SEGMENT_HEADER_BYTES};

/// An open segment, records pending in memory and the file behind it.
pub(in crate::storage) struct Segment {
    number: u64,
    file: Box<dyn DiskFile>,
    /// Bytes that hold the header and records.
    bytes: u64,
    /// How long the file is.
    allocated: u64,
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

/// Where a new segment lies, and how much it is to hold.
#[derive(Debug, Clone, Copy)]
pub(in crate::storage) struct NewSegment<'a> {
    /// The log's directory.
    pub(in crate::storage) wal: &'a Path,
    /// The segment's number.
    pub(in crate::storage) number: u64,
    /// The size at which it is closed.
    pub(in crate::storage) bytes_max: u64,
}

impl Segment {
    /// Creates a segment of full length, durable together with its name: from a spare, or anew.
    ///
    /// # Errors
    /// The disk's. The spare is gone then.
    pub(in crate::storage) fn create(
        disk: &dyn Disk,
        new: NewSegment<'_>,
        spare: Option<PathBuf>,
    ) -> io::Result<Segment> {
        let path = segment_path(new.wal, new.number);
        let allocated = allocated_bytes(new.bytes_max);
        let begin = || -> io::Result<Box<dyn DiskFile>> {
            let mut file = match &spare {
                Some(spare) => disk.append(spare)?,
                None => disk.create(&path)?,
            };
            if spare.is_none() {
                file.allocate(allocated)?;
            }
            let mut header = format::segment_header(new.number).to_vec();
            header.extend(END);
            file.write_at(0, &header)?;
            file.sync()?;
            if let Some(spare) = &spare {
                disk.rename(spare, &path)?;
            }
            disk.sync_dir(new.wal)?;
            Ok(file)
        };
        let file = begin().inspect_err(|_| {
            // What cannot be removed is an empty segment or a spare, which the next start removes.
            for path in spare.iter().chain([&path]) {
                let _ = disk.remove(path);
            }
        })?;
        let bytes = SEGMENT_HEADER_BYTES as u64;
        Ok(Segment { number: new.number, file, bytes, allocated, pending: Vec::new(), unsynced: false })
    }

    /// Its number.
    pub(in crate::storage) fn number(&self) -> u64 {
        self.number
    }

    /// The bytes that hold its header and records.
    pub(in crate::storage) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it holds something that a power cut could take.
    pub(in crate::storage) fn unsynced(&self) -> bool {
        self.unsynced
    }

    /// Adds a record to the group that [`Segment::write`] will write.
    pub(in crate::storage) fn stage(&mut self, header: RecordHeader, payload: &[u8]) {
        format::put_record(&mut self.pending, self.number, header, payload);
    }

    /// Bytes staged.
    pub(in crate::storage) fn staged_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Bytes by which the staged records, and the end behind them, pass the end of the file.
    pub(in crate::storage) fn missing_bytes(&self) -> u64 {
        (self.bytes + (self.pending.len() + END.len()) as u64).saturating_sub(self.allocated)
    }

    /// Forgets the staged records.
    pub(in crate::storage) fn unstage(&mut self) {
        self.pending.clear();
    }

    /// Writes the staged records behind the last good byte, all or none.
    pub(in crate::storage) fn write(&mut self) -> Result<(), WriteError> {
        let staged = self.pending.len() as u64;
        let written = self.write_staged();
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

    fn write_staged(&mut self) -> io::Result<()> {
        let missing = self.missing_bytes();
        if missing > 0 {
            self.file.allocate(self.allocated + missing)?;
            self.allocated += missing;
        }
        // Where the records end is told, so that a start knows a log that was not torn.
        self.pending.extend(END);
        self.file.write_at(self.bytes, &self.pending)
    }

    /// Makes everything written durable.
    pub(in crate::storage) fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        self.unsynced = false;
        Ok(())
    }

    /// Cuts off what a failed write may have left, durably, so that a later start cannot find it. The
    /// next write takes room for itself.
    fn cut_back(&mut self, error: io::Error) -> WriteError {
        match self.file.truncate(self.bytes).and_then(|()| self.file.sync()) {
            Ok(()) => {
                self.allocated = self.bytes;
                self.unsynced = false;
                WriteError::Refused(error)
            }
            Err(second) => WriteError::Broken(second),
        }
    }
}
