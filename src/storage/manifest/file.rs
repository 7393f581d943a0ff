//! Where the store's files lie, and how a manifest replaces the one before it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::codec::SealError;
use crate::env::disk::Disk;

use super::format::{Attachments, Manifest};
use crate::storage::entries::{Tombstone, tombstones_from_bytes, tombstones_to_bytes};

/// The files of one store.
#[derive(Clone)]
pub(in crate::storage) struct Files {
    /// The disk that they are on.
    pub(in crate::storage) disk: Arc<dyn Disk>,
    /// The store's directory.
    pub(in crate::storage) dir: PathBuf,
    /// The directory of log segments.
    pub(in crate::storage) wal: PathBuf,
    /// The directory of blocks, series files and attachments.
    pub(in crate::storage) blocks: PathBuf,
}

/// The manifest as found.
#[derive(Debug)]
pub(in crate::storage) enum Loaded {
    /// A sound one.
    Found(Manifest),
    /// None.
    Absent,
    /// One whose bytes fail their check.
    Damaged(&'static str),
    /// One of another version.
    Version(u32),
}

impl Files {
    /// The files below `dir`.
    pub(in crate::storage) fn new(disk: Arc<dyn Disk>, dir: &Path) -> Files {
        Files { disk, dir: dir.to_owned(), wal: dir.join("wal"), blocks: dir.join("blocks") }
    }

    /// Where a block lies.
    pub(in crate::storage) fn block(&self, number: u64) -> PathBuf {
        self.blocks.join(format!("{number:08}.block"))
    }

    /// Where attachments lie.
    pub(in crate::storage) fn attachments(&self, number: u64) -> PathBuf {
        self.blocks.join(format!("{number:08}.attachments"))
    }

    /// Where tombstones lie.
    pub(in crate::storage) fn tombstones(&self, number: u64) -> PathBuf {
        self.blocks.join(format!("{number:08}.tombstones"))
    }

    /// Where a series file lies.
    pub(in crate::storage) fn series(&self, number: u64) -> PathBuf {
        self.blocks.join(format!("{number:08}.series"))
    }

    /// Creates the directories, durably.
    pub(in crate::storage) fn create_dirs(&self) -> io::Result<()> {
        self.disk.create_dir(&self.dir)?;
        self.disk.create_dir(&self.wal)?;
        self.disk.create_dir(&self.blocks)?;
        self.disk.sync_dir(&self.dir)?;
        // The directory's own name; a parent that may not be opened is the owner's affair.
        if let Some(parent) = self.dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            let _ = self.disk.sync_dir(parent);
        }
        Ok(())
    }

    /// Reads the manifest.
    pub(in crate::storage) fn load(&self) -> io::Result<Loaded> {
        match self.disk.read(&self.dir.join("MANIFEST")) {
            Ok(bytes) => Ok(match Manifest::from_bytes(&bytes) {
                Ok(manifest) => Loaded::Found(manifest),
                Err(SealError::Damaged(damaged)) => Loaded::Damaged(damaged.0),
                Err(SealError::Version(version)) => Loaded::Version(version),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Loaded::Absent),
            Err(error) => Err(error),
        }
    }

    /// Replaces the manifest in one durable step. After an error either one may be the valid one,
    /// so no file of either may be removed.
    pub(in crate::storage) fn save(&self, manifest: &Manifest) -> io::Result<()> {
        let (next, current) = (self.dir.join("MANIFEST.tmp"), self.dir.join("MANIFEST"));
        self.write_whole(&next, &manifest.to_bytes())?;
        self.disk.rename(&next, &current)?;
        self.disk.sync_dir(&self.dir)
    }

    /// Writes attachments, durable with their name.
    pub(in crate::storage) fn save_attachments(&self, number: u64, attachments: &Attachments) -> io::Result<()> {
        self.write_whole(&self.attachments(number), &attachments.to_bytes())?;
        self.disk.sync_dir(&self.blocks)
    }

    /// Reads attachments; `Err` says in words why they cannot be used.
    pub(in crate::storage) fn load_attachments(&self, number: u64) -> Result<Attachments, String> {
        let bytes = self.disk.read(&self.attachments(number)).map_err(|error| error.to_string())?;
        Attachments::from_bytes(&bytes).map_err(|damaged| damaged.to_string())
    }

    /// Writes tombstones, durable with their name, under a number that `manifest` gives and gets; without
    /// any it gets 0.
    pub(in crate::storage) fn save_tombstones(
        &self,
        manifest: &mut Manifest,
        tombstones: &[&Tombstone],
    ) -> io::Result<()> {
        if tombstones.is_empty() {
            manifest.tombstones = 0;
            return Ok(());
        }
        let number = manifest.next_file;
        manifest.next_file += 1;
        manifest.tombstones = number;
        self.write_whole(&self.tombstones(number), &tombstones_to_bytes(tombstones.iter().copied()))?;
        self.disk.sync_dir(&self.blocks)
    }

    /// Reads tombstones; `Err` says in words why they cannot be used.
    pub(in crate::storage) fn load_tombstones(&self, number: u64) -> Result<Vec<Tombstone>, String> {
        let bytes = self.disk.read(&self.tombstones(number)).map_err(|error| error.to_string())?;
        tombstones_from_bytes(&bytes).map_err(|damaged| damaged.to_string())
    }

    /// Moves a file out of the way, into `quarantine`, keeping its bytes.
    pub(in crate::storage) fn quarantine(&self, path: &Path) -> io::Result<()> {
        let dir = self.dir.join("quarantine");
        self.disk.create_dir(&dir)?;
        self.disk.sync_dir(&self.dir)?;
        let Some(name) = path.file_name() else { return Ok(()) };
        self.disk.rename(path, &dir.join(name))?;
        self.disk.sync_dir(&dir)
    }

    fn write_whole(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.disk.create(path)?;
        file.write_all(bytes)?;
        file.sync()
    }
}

/// The manifest that these bytes are; `Err` says in words why they are none.
pub(in crate::storage) fn manifest_of(bytes: &[u8]) -> Result<Manifest, String> {
    Manifest::from_bytes(bytes).map_err(|error| match error {
        SealError::Damaged(damaged) => damaged.to_string(),
        SealError::Version(version) => format!("it has version {version}, which is not known here"),
    })
}

/// The attachments that these bytes are; `Err` says in words why they are none.
pub(in crate::storage) fn attachments_of(bytes: &[u8]) -> Result<Attachments, String> {
    Attachments::from_bytes(bytes).map_err(|damaged| damaged.to_string())
}
