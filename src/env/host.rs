//! Facts of the machine that the program runs on: `/proc`, `/sys` and file system sizes.

use std::io;
use std::path::{Path, PathBuf};

/// Reads of the machine. A test gives texts of its own.
pub trait Host: Send + Sync {
    /// The text of a pseudo-file such as `/proc/stat`.
    ///
    /// # Errors
    /// It is absent or unreadable.
    fn read(&self, path: &Path) -> io::Result<String>;

    /// The names in a directory.
    ///
    /// # Errors
    /// It is absent or unreadable.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;

    /// Sizes of the file system mounted at `path`.
    ///
    /// # Errors
    /// It is absent or unreadable.
    fn space(&self, path: &Path) -> io::Result<FileSystemSpace>;
}

/// What statvfs says of a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSystemSpace {
    /// Bytes in all.
    pub size_bytes: u64,
    /// Bytes not used, those reserved for root included.
    pub free_bytes: u64,
    /// Bytes that an ordinary user may still write.
    pub available_bytes: u64,
    /// File nodes in all.
    pub files: u64,
    /// File nodes not used.
    pub files_free: u64,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}

/// The machine itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealHost;

impl Host for RealHost {
    fn read(&self, path: &Path) -> io::Result<String> {
        std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut names =
            std::fs::read_dir(path)?.map(|entry| entry.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn space(&self, path: &Path) -> io::Result<FileSystemSpace> {
        let s = rustix::fs::statvfs(path)?;
        Ok(FileSystemSpace {
            size_bytes: s.f_blocks.saturating_mul(s.f_frsize),
            free_bytes: s.f_bfree.saturating_mul(s.f_frsize),
            available_bytes: s.f_bavail.saturating_mul(s.f_frsize),
            files: s.f_files,
            files_free: s.f_ffree,
            read_only: s.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        })
    }
}
