//! Files and directories behind a trait, so that a test can hold the disk in memory or break it.
//!
//! Invariants:
//! - A file that is mapped is written once, front to back, and never changed in place afterwards. Only
//!   files that are read whole are allocated ahead and overwritten.
//! - What was not synced may be lost or torn by a power cut; a name is durable after its directory
//!   was synced.

mod memory;
mod mmap;
mod real;

use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use memory::{MemoryDisk, Survival};
pub use real::RealDisk;

/// A disk.
pub trait Disk: Send + Sync {
    /// Creates a directory and its parents; no error if it is there.
    ///
    /// # Errors
    /// The operating system's, with the path.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Creates an empty file for writing; one of that name is replaced.
    ///
    /// # Errors
    /// The operating system's, with the path.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for writing behind its end.
    ///
    /// # Errors
    /// The operating system's, with the path.
    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// The whole content, for small files.
    ///
    /// # Errors
    /// The operating system's, with the path.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The content of a sealed file that nobody changes any more, mapped where the disk can.
    ///
    /// # Errors
    /// The operating system's, with the path.
    fn map(&self, path: &Path) -> io::Result<Mapped>;

    /// The entries of a directory, by name.
    ///
    /// # Errors
    /// The operating system's, with the path.
    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// Renames a file or directory, replacing a file of the new name in one step.
    ///
    /// # Errors
    /// The operating system's, with the path.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name on the same file system. Only for files that nobody changes any more.
    ///
    /// # Errors
    /// The operating system's; [`io::ErrorKind::Unsupported`] if this disk cannot.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let text = format!("link {} to {}: this disk cannot", from.display(), to.display());
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }

    /// Removes a file, or a directory with all that is in it.
    ///
    /// # Errors
    /// The operating system's, with the path.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// The operating system's, with the path.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes a lock that no other process, and no other caller in this one, can take until it is dropped.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if somebody has it, or the operating system's.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;

    /// Bytes that can still be written to the file system that holds `path`.
    ///
    /// # Errors
    /// The operating system's, with the path.
    fn available_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// A file being written.
pub trait DiskFile: Send {
    /// Writes behind the end.
    ///
    /// # Errors
    /// The operating system's; then part of `bytes` may have been written.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Writes over what stands at `offset`, and behind the end what does not fit before it. Where
    /// [`DiskFile::write_all`] goes on does not change by it.
    ///
    /// # Errors
    /// The operating system's; then part of `bytes` may have been written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes the file at least `len` bytes long and takes the room for them on the disk, so that
    /// writing there needs none. What was never written there reads as zeros.
    ///
    /// # Errors
    /// The operating system's; [`io::ErrorKind::StorageFull`] if there is not so much room.
    fn allocate(&mut self, len: u64) -> io::Result<()>;

    /// Makes the content durable.
    ///
    /// # Errors
    /// The operating system's; then nothing is known of what was written since the last success.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to `len` bytes and goes on from there.
    ///
    /// # Errors
    /// The operating system's.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, without the directory.
    pub name: String,
    /// The path.
    pub path: PathBuf,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// The length of a file.
    pub bytes: u64,
}

/// The content of a sealed file.
#[derive(Clone)]
pub struct Mapped(Arc<dyn AsRef<[u8]> + Send + Sync>);

impl Mapped {
    /// Content that is held by `owner`.
    pub fn new(owner: impl AsRef<[u8]> + Send + Sync + 'static) -> Mapped {
        Mapped(Arc::new(owner))
    }
}

impl Deref for Mapped {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

impl std::fmt::Debug for Mapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mapped({} bytes)", self.len())
    }
}
