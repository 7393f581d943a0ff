//! The operating system's disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;

use super::{DirEntry, Disk, DiskFile, Mapped, mmap};

/// The operating system's disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

/// Adds the operation and the path to an error's text; the kind and the system's code stay readable.
fn at(path: &Path, what: &str) -> impl FnOnce(io::Error) -> io::Error {
    let place = format!("{what} {}", path.display());
    move |error| io::Error::new(error.kind(), format!("{place}: {error}"))
}

impl Disk for RealDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path).map_err(at(path, "create directory"))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = File::create(path).map_err(at(path, "create"))?;
        Ok(Box::new(RealFile { file }))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut file = OpenOptions::new().write(true).open(path).map_err(at(path, "open"))?;
        file.seek(SeekFrom::End(0)).map_err(at(path, "seek"))?;
        Ok(Box::new(RealFile { file }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path).map_err(at(path, "read"))
    }

    fn map(&self, path: &Path) -> io::Result<Mapped> {
        let file = File::open(path).map_err(at(path, "open"))?;
        mmap::map_sealed(&file).map_err(at(path, "map"))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path).map_err(at(path, "list"))? {
            let entry = entry.map_err(at(path, "list"))?;
            let meta = entry.metadata().map_err(at(path, "list"))?;
            entries.push(DirEntry {
                name: entry.file_name().to_string_lossy().into_owned(),
                path: entry.path(),
                is_dir: meta.is_dir(),
                bytes: meta.len(),
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to).map_err(at(from, "rename"))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to).map_err(at(to, "link"))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let meta = fs::symlink_metadata(path).map_err(at(path, "remove"))?;
        let removed = if meta.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        removed.map_err(at(path, "remove"))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path).and_then(|dir| dir.sync_all()).map_err(at(path, "sync directory"))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(at(path, "open lock file"))?;
        file.try_lock().map_err(|error| at(path, "lock")(error.into()))?;
        Ok(Box::new(file))
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        let s = rustix::fs::statvfs(path).map_err(|error| at(path, "statvfs")(error.into()))?;
        Ok(s.f_bavail.saturating_mul(s.f_frsize))
    }
}

struct RealFile {
    file: File,
}

impl DiskFile for RealFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        self.file.seek(SeekFrom::Start(len)).map(|_| ())
    }
}
