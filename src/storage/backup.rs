//! Backups: a copy of the store at one place of its log, while writers and readers go on.
//!
//! Invariants:
//! - Only durable bytes are copied; the manifest comes last, so a target without one is no backup.
//! - Files that never change are linked where the file system can; the log, which goes on growing, is copied.

use std::io;
use std::path::{Path, PathBuf};

use crate::env::disk::Disk;
use crate::model::{Seq, Timestamp};

use super::commit::CommitError;
use super::maintain::MaintainError;
use super::manifest::{Files, Manifest};
use super::store::Store;
use super::wal::{END, segment_path};

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupReport {
    /// The last entry in it.
    pub seq: Seq,
    /// The log's time at that entry.
    pub at: Timestamp,
    /// Files in it.
    pub files: u64,
    /// Bytes of them together.
    pub bytes: u64,
    /// Bytes of them that take no room beside the original, as long as that is there.
    pub linked_bytes: u64,
}

/// Why there is no backup. What was begun of it may be removed.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is something where it should go.
    #[error("{dir} is not empty; give a directory that is empty or not there yet")]
    NotEmpty {
        /// The directory.
        dir: String,
    },
    /// The log cannot be made durable.
    #[error(transparent)]
    Log(#[from] CommitError),
    /// A checkpoint that was under way cannot be finished.
    #[error(transparent)]
    Checkpoint(#[from] MaintainError),
    /// The disk failed.
    #[error("the backup cannot be written: {0}")]
    Io(#[from] io::Error),
}

impl Store {
    /// Copies everything committed so far to `dir`, which is empty or not there yet, durably. The copy
    /// opens as a store of its own.
    ///
    /// # Errors
    /// `dir` is not empty, the log cannot be synced, or the disk failed.
    pub fn backup(&self, dir: &Path) -> Result<BackupReport, BackupError> {
        let inner = &self.inner;
        let disk = &*inner.files.disk;
        match disk.list(dir) {
            Ok(entries) if entries.is_empty() => {}
            Ok(_) => return Err(BackupError::NotEmpty { dir: dir.display().to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        // Held to the end: no file that the manifest names goes meanwhile, and no segment.
        let mut manifest = inner.maintenance.lock();
        inner.finish_checkpoint(&mut manifest)?;
        let (seq, at, segments) = {
            let mut writer = inner.writer.lock();
            writer.check_open()?;
            inner.sync_log(&mut writer)?;
            (writer.seq, writer.at, inner.log.lock().segments.clone())
        };
        let target = Files::new(std::sync::Arc::clone(&inner.files.disk), dir);
        target.create_dirs()?;
        let mut copy = Copy { disk, report: BackupReport { seq, at, files: 0, bytes: 0, linked_bytes: 0 } };
        for path in named_files(&inner.files, &manifest) {
            copy.link(&path, &target.blocks)?;
        }
        for (number, bytes) in segments.range(manifest.first_segment..) {
            copy.segment(&segment_path(&inner.files.wal, *number), &target.wal, *bytes)?;
        }
        disk.sync_dir(&target.blocks)?;
        disk.sync_dir(&target.wal)?;
        target.save(&manifest)?;
        copy.report.files += 1;
        Ok(copy.report)
    }
}

/// The files that a manifest names and that never change.
fn named_files(files: &Files, manifest: &Manifest) -> Vec<PathBuf> {
    let mut named: Vec<PathBuf> = manifest.blocks.iter().map(|name| files.block(name.number)).collect();
    named.extend(manifest.series_files.iter().map(|name| files.series(name.number)));
    if manifest.attachments > 0 {
        named.push(files.attachments(manifest.attachments));
    }
    if manifest.tombstones > 0 {
        named.push(files.tombstones(manifest.tombstones));
    }
    named
}

struct Copy<'a> {
    disk: &'a dyn Disk,
    report: BackupReport,
}

impl Copy<'_> {
    /// Links a file that never changes, or copies it where that cannot be done.
    fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let Some(name) = from.file_name() else { return Ok(()) };
        let bytes = self.disk.map(from)?;
        if self.disk.link(from, &to.join(name)).is_err() {
            return self.write(&to.join(name), &[&bytes]);
        }
        self.report.files += 1;
        self.report.bytes += bytes.len() as u64;
        self.report.linked_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Copies the records of a segment; what stands behind them in its file may be of another use.
    fn segment(&mut self, from: &Path, to: &Path, length: u64) -> io::Result<()> {
        let Some(name) = from.file_name() else { return Ok(()) };
        let bytes = self.disk.read(from)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.write(&to.join(name), &[bytes.get(..length).unwrap_or(&bytes), &END])
    }

    fn write(&mut self, to: &Path, parts: &[&[u8]]) -> io::Result<()> {
        let mut file = self.disk.create(to)?;
        for part in parts {
            file.write_all(part)?;
            self.report.bytes += part.len() as u64;
        }
        self.report.files += 1;
        file.sync()
    }
}
