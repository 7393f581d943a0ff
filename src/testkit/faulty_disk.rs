//! A disk that fails at a chosen operation, or from it on.
//!
//! Invariant: operations that change something are counted in the order in which they are begun,
//! reads are not; the same calls give the same count.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::env::disk::{DirEntry, Disk, DiskFile, Mapped};

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It does nothing and gives this error.
    Error(io::ErrorKind),
    /// A write does half of its bytes and gives this error; anything else fails as [`Fault::Error`].
    Short(io::ErrorKind),
    /// It and everything after it does nothing and fails: the process is as good as dead.
    Stop,
}

/// A disk that fails at a chosen operation.
#[derive(Clone)]
pub struct FaultyDisk {
    plan: Arc<Plan>,
    disk: Arc<dyn Disk>,
}

#[derive(Default)]
struct Plan {
    done: AtomicU64,
    fault: Mutex<Option<(u64, Fault)>>,
    met: Mutex<Option<String>>,
}

/// What to do with an operation.
enum Verdict {
    Go,
    Fail(io::Error),
    Half(io::Error),
}

impl FaultyDisk {
    /// A disk that passes everything on, until told to fail.
    pub fn new(disk: Arc<dyn Disk>) -> FaultyDisk {
        FaultyDisk { plan: Arc::default(), disk }
    }

    /// Makes operation number `at` fail, counted from 0 from the beginning.
    pub fn fail_at(&self, at: u64, fault: Fault) {
        *self.plan.fault.lock() = Some((at, fault));
    }

    /// Lets everything pass again.
    pub fn heal(&self) {
        *self.plan.fault.lock() = None;
    }

    /// How many operations were begun.
    pub fn operations(&self) -> u64 {
        self.plan.done.load(Ordering::SeqCst)
    }

    /// The first operation that was made to fail.
    pub fn met(&self) -> Option<String> {
        self.plan.met.lock().clone()
    }
}

impl Plan {
    fn judge(&self, what: &str, path: &str) -> Verdict {
        let number = self.done.fetch_add(1, Ordering::SeqCst);
        let Some((at, fault)) = *self.fault.lock() else { return Verdict::Go };
        let hit = if fault == Fault::Stop { number >= at } else { number == at };
        if !hit {
            return Verdict::Go;
        }
        self.met.lock().get_or_insert_with(|| format!("{what} {path}"));
        let error = |kind| io::Error::new(kind, format!("{what} {path}: made to fail"));
        match fault {
            Fault::Error(kind) => Verdict::Fail(error(kind)),
            Fault::Short(kind) => Verdict::Half(error(kind)),
            Fault::Stop => Verdict::Fail(error(io::ErrorKind::BrokenPipe)),
        }
    }

    fn pass(&self, what: &str, path: &Path) -> io::Result<()> {
        match self.judge(what, &path.display().to_string()) {
            Verdict::Go => Ok(()),
            Verdict::Fail(error) | Verdict::Half(error) => Err(error),
        }
    }
}

impl Disk for FaultyDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.plan.pass("create directory", path)?;
        self.disk.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.plan.pass("create", path)?;
        let file = self.disk.create(path)?;
        Ok(Box::new(FaultyFile { plan: Arc::clone(&self.plan), file, name: path.display().to_string() }))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.plan.pass("open", path)?;
        let file = self.disk.append(path)?;
        Ok(Box::new(FaultyFile { plan: Arc::clone(&self.plan), file, name: path.display().to_string() }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.disk.read(path)
    }

    fn map(&self, path: &Path) -> io::Result<Mapped> {
        self.disk.map(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.plan.pass("rename", from)?;
        self.disk.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.plan.pass("link", to)?;
        self.disk.link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.plan.pass("remove", path)?;
        self.disk.remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.plan.pass("sync directory", path)?;
        self.disk.sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.disk.lock(path)
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        self.disk.available_bytes(path)
    }
}

struct FaultyFile {
    plan: Arc<Plan>,
    file: Box<dyn DiskFile>,
    name: String,
}

impl DiskFile for FaultyFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.plan.judge("write", &self.name) {
            Verdict::Go => self.file.write_all(bytes),
            Verdict::Fail(error) => Err(error),
            Verdict::Half(error) => {
                self.file.write_all(&bytes[..bytes.len() / 2])?;
                Err(error)
            }
        }
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self.plan.judge("write", &self.name) {
            Verdict::Go => self.file.write_at(offset, bytes),
            Verdict::Fail(error) => Err(error),
            Verdict::Half(error) => {
                self.file.write_at(offset, &bytes[..bytes.len() / 2])?;
                Err(error)
            }
        }
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        self.plan.pass("allocate", Path::new(&self.name))?;
        self.file.allocate(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.plan.pass("sync", Path::new(&self.name))?;
        self.file.sync()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.plan.pass("truncate", Path::new(&self.name))?;
        self.file.truncate(len)
    }
}
