//! Deletes that are worked off on demand, and backups: the store's copy with the outbox beside it.
//!
//! Invariants:
//! - The outbox of a backup never knows a decision that its log does not have.

use std::io;
use std::path::Path;

use crate::storage::{BackupError, BackupReport, MaintainError, MaintainReport};

use super::Db;
use super::ingest::Inner;

/// How often an outbox that is being written anew is looked for again.
const OUTBOX_TRIES: usize = 10;

impl Db {
    /// Makes deleted samples go from the disk now, by a checkpoint and by writing the blocks anew that
    /// hold them.
    ///
    /// # Errors
    /// The disk's; what was done until then stays done.
    pub fn clean(&self) -> Result<MaintainReport, MaintainError> {
        let inner = &*self.inner;
        inner.core.lock().checkpoint_now(inner);
        inner.store.clean(inner.now(), &mut |_| ())
    }

    /// Copies the whole database to `dir`, which is empty or not there yet, while it goes on. The copy
    /// opens as a database of its own.
    ///
    /// # Errors
    /// `dir` is not empty, the log cannot be synced, or the disk failed.
    pub fn backup(&self, dir: &Path) -> Result<BackupReport, BackupError> {
        let inner = &*self.inner;
        // Read before the place of the backup is fixed: what it decided is in the log by then.
        let outbox = inner.read_outbox()?;
        let mut report = inner.store.backup(dir)?;
        if let Some((name, bytes)) = outbox {
            let target = dir.join("outbox");
            inner.disk.create_dir(&target)?;
            let mut file = inner.disk.create(&target.join(name))?;
            file.write_all(&bytes)?;
            file.sync()?;
            inner.disk.sync_dir(&target)?;
            inner.disk.sync_dir(dir)?;
            report.files += 1;
            report.bytes += bytes.len() as u64;
        }
        Ok(report)
    }

    /// A backup below `snapshots` in the database's own directory; gives its name there.
    ///
    /// # Errors
    /// As [`Db::backup`].
    pub fn snapshot_beside(&self) -> Result<(String, BackupReport), BackupError> {
        let at = self.inner.now().to_string().replace([':', '.'], "");
        let name = format!("{at}-{}", self.inner.store.snapshot().seq().0);
        let report = self.backup(&self.inner.dir.join("snapshots").join(&name))?;
        Ok((name, report))
    }
}

impl Inner {
    /// The outbox that counts: its name and what it holds. A torn end is as after a crash.
    fn read_outbox(&self) -> io::Result<Option<(String, Vec<u8>)>> {
        let dir = self.dir.join("outbox");
        for _ in 0..OUTBOX_TRIES {
            let entries = self.disk.list(&dir)?;
            let newest =
                entries.into_iter().filter(|entry| entry.name.ends_with(".log")).max_by(|a, b| a.name.cmp(&b.name));
            let Some(newest) = newest else { return Ok(None) };
            match self.disk.read(&newest.path) {
                Ok(bytes) => return Ok(Some((newest.name, bytes))),
                // Replaced by a newer one in between.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("the outbox is written anew again and again"))
    }
}
