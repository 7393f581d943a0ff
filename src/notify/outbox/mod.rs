//! The durable memory of the notifier: what was taken and what was told.
//!
//! Invariants:
//! - [`Outbox::append`] returns after the records are synced, or with an error.
//! - After a failed write nothing more is appended to that file: [`Outbox::rewrite`] must bring the
//!   whole state into a new one.
//! - A new file gets its name when it is complete and synced; only the highest number counts.

pub(crate) mod format;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::disk::{Disk, DiskFile};
use crate::model::limits;

use format::{HEADER_BYTES, Header, Record};
pub use format::{OUTBOX_VERSION_READ_MIN, OUTBOX_VERSION_WRITTEN};

/// The open outbox.
pub(super) struct Outbox {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    number: u64,
    file: Option<Box<dyn DiskFile>>,
    bytes: u64,
    /// The size after the last rewrite: the next one waits until the file has doubled.
    bytes_rewritten: u64,
    _lock: Box<dyn Send + Sync>,
}

/// What was read at open.
pub(super) struct Recovered {
    pub(super) records: Vec<Record>,
    pub(super) cut_bytes: u64,
}

/// An outbox that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutboxError {
    #[error("{0}")]
    Disk(#[from] io::Error),
    #[error(
        "{path} has version {version}; this program reads versions {OUTBOX_VERSION_READ_MIN} to {OUTBOX_VERSION_WRITTEN}; open it with a newer program"
    )]
    Version { path: PathBuf, version: u32 },
    #[error("{path} is not an outbox; move it away and start again")]
    Foreign { path: PathBuf },
}

impl Outbox {
    /// Opens the outbox in `dir`, creating it if it is not there, and cuts a torn end.
    pub(super) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<(Outbox, Recovered), OutboxError> {
        disk.create_dir(dir)?;
        let lock = disk.lock(&dir.join("LOCK"))?;
        let entries = disk.list(dir)?;
        let newest = entries.iter().filter_map(|entry| number_of(&entry.name)).max();
        for entry in &entries {
            let older = number_of(&entry.name).is_some_and(|n| Some(n) < newest);
            if older || entry.name.ends_with(".tmp") {
                disk.remove(&entry.path)?;
            }
        }
        let mut outbox = Outbox {
            disk,
            dir: dir.to_owned(),
            number: newest.unwrap_or(0),
            file: None,
            bytes: 0,
            bytes_rewritten: 0,
            _lock: lock,
        };
        let recovered = match newest {
            Some(_) => outbox.recover()?,
            None => Recovered { records: Vec::new(), cut_bytes: 0 },
        };
        if outbox.file.is_none() {
            outbox.rewrite(&recovered.records)?;
        }
        Ok((outbox, recovered))
    }

    fn recover(&mut self) -> Result<Recovered, OutboxError> {
        let path = path_of(&self.dir, self.number);
        let content = self.disk.read(&path)?;
        match format::check_header(&content) {
            Header::Readable => {}
            Header::Version(version) => return Err(OutboxError::Version { path, version }),
            Header::Foreign => return Err(OutboxError::Foreign { path }),
        }
        let mut rest = &content[HEADER_BYTES..];
        let records: Vec<Record> = std::iter::from_fn(|| format::read_record(&mut rest)).collect();
        let cut_bytes = rest.len() as u64;
        self.bytes = content.len() as u64 - cut_bytes;
        if cut_bytes == 0 {
            self.file = Some(self.disk.append(&path)?);
        }
        // After a torn end the state goes into a new file, so that the damaged one is never appended to.
        Ok(Recovered { records, cut_bytes })
    }

    /// Appends records and syncs them, all in one.
    pub(super) fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let Some(mut file) = self.file.take() else {
            return Err(io::Error::other("the outbox waits for a new file after a failed write"));
        };
        let mut bytes = Vec::new();
        records.iter().for_each(|record| format::write_record(&mut bytes, record));
        // A file whose write or sync failed is dropped here and not used again.
        file.write_all(&bytes)?;
        file.sync()?;
        self.bytes += bytes.len() as u64;
        self.file = Some(file);
        Ok(())
    }

    /// Whether [`Outbox::rewrite`] is due: the file is large, or was given up.
    pub(super) fn rewrite_due(&self) -> bool {
        self.file.is_none() || self.bytes > limits::OUTBOX_FILE_BYTES_MAX.max(self.bytes_rewritten.saturating_mul(2))
    }

    /// Whether the last write failed.
    pub(super) fn broken(&self) -> bool {
        self.file.is_none()
    }

    /// Starts a new file that holds `records` and nothing else; the old one is removed.
    pub(super) fn rewrite(&mut self, records: &[Record]) -> io::Result<()> {
        let number = self.number + 1;
        let mut bytes = format::header().to_vec();
        records.iter().for_each(|record| format::write_record(&mut bytes, record));
        let temporary = self.dir.join(format!("outbox-{number:08}.tmp"));
        let path = path_of(&self.dir, number);
        let mut file = self.disk.create(&temporary)?;
        file.write_all(&bytes)?;
        file.sync()?;
        self.disk.rename(&temporary, &path)?;
        self.disk.sync_dir(&self.dir)?;
        let old = std::mem::replace(&mut self.number, number);
        self.bytes = bytes.len() as u64;
        self.bytes_rewritten = self.bytes;
        self.file = Some(file);
        if old > 0 {
            // The old file is not looked at any more; one that cannot be removed now goes at the next open.
            let _ = self.disk.remove(&path_of(&self.dir, old));
        }
        Ok(())
    }

    /// The length of the file.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("outbox-{number:08}.log"))
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix("outbox-")?.strip_suffix(".log")?.parse().ok()
}
