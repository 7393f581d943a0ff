//! The operating system's disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
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
        Ok(Box::new(RealFile { file, fresh: 0..0 }))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut file = OpenOptions::new().write(true).open(path).map_err(at(path, "open"))?;
        file.seek(SeekFrom::End(0)).map_err(at(path, "seek"))?;
        Ok(Box::new(RealFile { file, fresh: 0..0 }))
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
    /// Bytes that were allocated and, as far as this process knows, never written.
    fresh: Range<u64>,
}

/// So many zeros are written ahead of what is written into fresh bytes. The file system notes which
/// of its allocated blocks were never written, so the first sync behind a write into such a block
/// waits for that note too, about as long again; this way one sync in so many bytes does.
const ZEROS_AHEAD: u64 = 1 << 20;

impl RealFile {
    /// Writes zeros into the fresh bytes behind `end`, up to the next multiple of [`ZEROS_AHEAD`].
    fn write_ahead(&mut self, end: u64) -> io::Result<()> {
        static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
        let until = end.next_multiple_of(ZEROS_AHEAD).min(self.fresh.end);
        let mut at = end.max(self.fresh.start);
        while at < until {
            let part = &ZEROS[..ZEROS.len().min((until - at) as usize)];
            self.file.write_all_at(part, at)?;
            at += part.len() as u64;
        }
        self.fresh.start = until.max(end).min(self.fresh.end);
        Ok(())
    }
}

impl DiskFile for RealFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        let end = offset + bytes.len() as u64;
        if end > self.fresh.start && !self.fresh.is_empty() {
            self.write_ahead(end)?;
        }
        Ok(())
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        let before = self.file.metadata()?.len();
        if len <= before {
            return Ok(());
        }
        match rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), before, len - before) {
            Ok(()) => {}
            // Without it on this file system, room can be missing later; that is noticed then.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => self.file.set_len(len)?,
            Err(error) => {
                // Part of it may have been taken, and the file be longer.
                let _ = self.file.set_len(before);
                return Err(error.into());
            }
        }
        self.fresh = before..len;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.fresh = 0..0;
        self.file.set_len(len)?;
        self.file.seek(SeekFrom::Start(len)).map(|_| ())
    }
}
