//! The durable memory of the notifier: what was taken and what was told.
//!
//! Invariants:
//! - [`Outbox::append`] returns after the records, and all before them, are synced, or with an error.
//! - After a failed write nothing more is appended to that file: [`Outbox::rewrite`] must bring the
//!   whole state into a new one.
//! - A new file gets its name when it is complete and synced; only the highest number counts.
//! - What an earlier process wrote is written anew at a start: it may have ended without a sync.
//! - No content of a file keeps the outbox shut, save a whole header of another version.

pub(crate) mod format;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::disk::{Disk, DiskFile};
use crate::model::limits;

use format::{Header, Record};
pub use format::{OUTBOX_VERSION_READ_MIN, OUTBOX_VERSION_WRITTEN};

/// The open outbox.
pub(super) struct Outbox {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    number: u64,
    file: Option<Box<dyn DiskFile>>,
    bytes: u64,
    /// Whether some of it is not durable yet.
    unsynced: bool,
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
            unsynced: false,
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
        if let Header::Version(version) = format::check_header(&content) {
            return Err(OutboxError::Version { path, version });
        }
        let found = format::scan(&content);
        if found.damaged > 0 {
            self.keep_aside(&path, &content, found.damaged);
        }
        let cut_bytes = (found.damaged + content.len() - found.end) as u64;
        match self.rewrite(&found.records) {
            // The records are not folded yet: the next rewrite is not to wait for twice their size.
            Ok(()) => self.bytes_rewritten = 0,
            Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                // A full disk must not keep the outbox shut; going on in the old file is the next best.
                let mut file = self.disk.append(&path)?;
                file.truncate(found.end as u64)?;
                file.sync()?;
                (self.bytes, self.file) = (found.end as u64, Some(file));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(Recovered { records: found.records, cut_bytes })
    }

    /// Copies a damaged file for a person to look at: the file itself goes once a new one is there.
    fn keep_aside(&self, path: &Path, content: &[u8], damaged: usize) {
        let aside = path.with_extension("damaged");
        let file = path.display();
        tracing::error!(%file, "{damaged} bytes of the outbox are damaged: alerts may be told twice, or not at all");
        let copy = || {
            let mut copy = self.disk.create(&aside)?;
            copy.write_all(content)?;
            copy.sync()
        };
        if let Err(error) = copy() {
            tracing::warn!("the damaged outbox cannot be kept aside: {error}");
        }
    }

    /// Appends records and syncs them, all in one.
    pub(super) fn append(&mut self, records: &[Record]) -> io::Result<()> {
        self.write(records)?;
        self.sync()
    }

    /// Appends records; [`Outbox::sync`] makes them durable.
    pub(super) fn write(&mut self, records: &[Record]) -> io::Result<()> {
        let mut bytes = Vec::new();
        write_all(&mut bytes, records);
        self.with_file(|file| file.write_all(&bytes))?;
        self.unsynced = true;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Makes durable what was written.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.unsynced || self.file.is_none() {
            self.with_file(|file| file.sync())?;
            self.unsynced = false;
        }
        Ok(())
    }

    /// A file whose write or sync fails is given up.
    fn with_file(&mut self, act: impl FnOnce(&mut dyn DiskFile) -> io::Result<()>) -> io::Result<()> {
        let Some(mut file) = self.file.take() else {
            return Err(io::Error::other("the outbox waits for a new file after a failed write"));
        };
        act(&mut *file)?;
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
        write_all(&mut bytes, records);
        let temporary = self.dir.join(format!("outbox-{number:08}.tmp"));
        let path = path_of(&self.dir, number);
        let mut file = self.disk.create(&temporary)?;
        file.write_all(&bytes)?;
        file.sync()?;
        self.disk.rename(&temporary, &path)?;
        self.disk.sync_dir(&self.dir)?;
        let old = std::mem::replace(&mut self.number, number);
        (self.bytes, self.unsynced) = (bytes.len() as u64, false);
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

/// Transitions of one record. Thousands of alerts at once must not make one that is too long to be read.
const TRANSITIONS_MAX: usize = 64;

fn write_all(out: &mut Vec<u8>, records: &[Record]) {
    for record in records {
        match record {
            Record::Accepted(transitions) if transitions.len() > TRANSITIONS_MAX => {
                let parts = transitions.chunks(TRANSITIONS_MAX).map(|part| Record::Accepted(part.to_vec()));
                parts.for_each(|part| format::write_record(out, &part));
            }
            record => format::write_record(out, record),
        }
    }
}

fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("outbox-{number:08}.log"))
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_prefix("outbox-")?.strip_suffix(".log")?.parse().ok()
}
