//! A disk in memory that can lose power.
//!
//! Invariants:
//! - After a power cut the synced content of a file and the synced names of a directory are there. Of
//!   names and of bytes behind the synced end, any prefix of what came after may be there too, in the
//!   order in which it was done. Where synced bytes were written over, each sector is as any of the
//!   writes left it, whatever became of the others.
//! - Every clone is the same disk; what a power cut leaves is another one.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{DirEntry, Disk, DiskFile, Mapped};
use crate::env::Rng;

/// A disk in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
}

/// What a power cut leaves of that which was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    Least,
    /// Everything.
    Most,
    /// A prefix of each file's unsynced bytes and of the unsynced names, and each overwritten sector
    /// as it was at some time, drawn from this seed.
    Seeded(u64),
}

#[derive(Debug, Default)]
struct State {
    /// Names as a program sees them.
    names: BTreeMap<PathBuf, Node>,
    /// Names that survive a power cut.
    durable_names: BTreeMap<PathBuf, Node>,
    /// Changes of names since their directories were synced.
    journal: Vec<Change>,
    files: Vec<Content>,
    locks: BTreeSet<PathBuf>,
    capacity: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Dir,
    /// A position in `files`.
    File(usize),
}

#[derive(Debug, Clone, PartialEq)]
enum Change {
    Set(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

#[derive(Debug, Default)]
struct Content {
    /// As a program sees it.
    now: Image,
    /// As it was synced.
    durable: Image,
    /// What was done since.
    unsynced: Vec<Edit>,
}

/// The bytes of a file; those allocated and never written are zeros and take no memory.
#[derive(Debug, Clone, Default)]
struct Image {
    written: Vec<u8>,
    len: usize,
}

#[derive(Debug)]
enum Edit {
    Write(usize, Vec<u8>),
    Resize(usize),
}

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

impl Image {
    fn of(bytes: Vec<u8>) -> Image {
        Image { len: bytes.len(), written: bytes }
    }

    fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len];
        bytes[..self.written.len()].copy_from_slice(&self.written);
        bytes
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.written.len() < end {
            self.written.resize(end, 0);
        }
        self.written[offset..end].copy_from_slice(bytes);
        self.len = self.len.max(end);
    }

    fn apply(&mut self, edit: &Edit) {
        match edit {
            Edit::Write(offset, bytes) => self.write(*offset, bytes),
            Edit::Resize(len) => {
                self.written.truncate(*len);
                self.len = *len;
            }
        }
    }
}

impl Content {
    fn edit(&mut self, edit: Edit) {
        self.now.apply(&edit);
        self.unsynced.push(edit);
    }

    fn sync(&mut self) {
        for edit in std::mem::take(&mut self.unsynced) {
            self.durable.apply(&edit);
        }
    }

    /// What a power cut leaves; `upto` draws a number up to and including the one given.
    fn survive(&self, mut upto: impl FnMut(usize) -> usize) -> Image {
        let mut image = self.durable.clone();
        if self.unsynced.iter().any(|edit| matches!(edit, Edit::Resize(_))) {
            // A change of length is in the journal of the file system, and so is the order around it.
            self.unsynced[..upto(self.unsynced.len())].iter().for_each(|edit| image.apply(edit));
            return image;
        }
        let kept = self.durable.len + upto(self.now.len - self.durable.len);
        let mut touched = BTreeSet::new();
        for edit in &self.unsynced {
            let Edit::Write(offset, bytes) = edit else { continue };
            let end = (offset + bytes.len()).min(self.durable.len);
            touched.extend((offset / SECTOR..end.div_ceil(SECTOR)).map(|sector| sector * SECTOR));
        }
        for sector in touched {
            let end = (sector + SECTOR).min(self.durable.len);
            let mut touching = Vec::new();
            for edit in &self.unsynced {
                let Edit::Write(offset, bytes) = edit else { continue };
                let (from, until) = (sector.max(*offset), end.min(offset + bytes.len()));
                if from < until {
                    touching.push((from, &bytes[from - offset..until - offset]));
                }
            }
            for (from, bytes) in &touching[..upto(touching.len())] {
                image.write(*from, bytes);
            }
        }
        if kept > self.durable.len {
            image.write(self.durable.len, &self.now.to_vec()[self.durable.len..kept]);
        }
        image
    }
}

impl MemoryDisk {
    /// An empty disk without a limit.
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }

    /// Sets how many bytes all files together may have; `None`: any number.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.shared.state.lock().capacity = bytes;
    }

    /// The bytes of all files together.
    pub fn used_bytes(&self) -> u64 {
        self.shared.state.lock().used()
    }

    /// What the disk holds after the power was cut now. This disk goes on as if nothing had happened.
    pub fn power_cut(&self, survival: Survival) -> MemoryDisk {
        let state = self.shared.state.lock();
        let mut rng = match survival {
            Survival::Seeded(seed) => Some(Rng::new(seed)),
            Survival::Least | Survival::Most => None,
        };
        let mut upto = |n: usize| match (&mut rng, survival) {
            (Some(rng), _) => rng.below(n as u64 + 1) as usize,
            (None, Survival::Most) => n,
            (None, _) => 0,
        };
        let mut names = state.durable_names.clone();
        for change in &state.journal[..upto(state.journal.len())] {
            change.apply(&mut names);
        }
        let survive = |content: &Content| {
            let image = content.survive(&mut upto);
            Content { durable: image.clone(), now: image, unsynced: Vec::new() }
        };
        let files = state.files.iter().map(survive).collect();
        let after = State { durable_names: names.clone(), names, files, capacity: state.capacity, ..State::default() };
        MemoryDisk { shared: Arc::new(Shared { state: Mutex::new(after) }) }
    }

    /// Changes the bytes of a file behind the store's back.
    ///
    /// # Errors
    /// There is no such file.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        let file = state.file(path)?;
        let content = &mut state.files[file];
        let mut bytes = content.now.to_vec();
        change(&mut bytes);
        content.now = Image::of(bytes);
        content.durable = content.now.clone();
        content.unsynced.clear();
        Ok(())
    }
}

impl State {
    fn used(&self) -> u64 {
        // A file with two names takes its room once.
        let files: BTreeSet<usize> = self
            .names
            .values()
            .filter_map(|node| match node {
                Node::File(file) => Some(*file),
                Node::Dir => None,
            })
            .collect();
        files.into_iter().filter_map(|file| self.files.get(file)).map(|content| content.now.len as u64).sum()
    }

    fn room(&self) -> usize {
        let room = self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used()));
        usize::try_from(room).unwrap_or(usize::MAX)
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Node::File(file)) => Ok(*file),
            Some(Node::Dir) => Err(failed(io::ErrorKind::IsADirectory, path)),
            None => Err(failed(io::ErrorKind::NotFound, path)),
        }
    }

    fn check_parent(&self, path: &Path) -> io::Result<()> {
        let parent = parent_of(path);
        if parent.parent().is_none() || self.names.get(parent) == Some(&Node::Dir) {
            Ok(())
        } else {
            Err(failed(io::ErrorKind::NotFound, parent))
        }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.journal.push(change);
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Change::Set(path, node) => {
                names.insert(path.clone(), *node);
            }
            Change::Remove(path) => names.retain(|name, _| !name.starts_with(path)),
            Change::Rename(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }

    fn concerns(&self, dir: &Path) -> bool {
        match self {
            Change::Set(path, _) | Change::Remove(path) => parent_of(path) == dir,
            Change::Rename(from, to) => parent_of(from) == dir || parent_of(to) == dir,
        }
    }
}

fn parent_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn failed(kind: io::ErrorKind, path: &Path) -> io::Error {
    io::Error::new(kind, format!("{}: {kind}", path.display()))
}

impl Disk for MemoryDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        let mut missing: Vec<&Path> = path.ancestors().take_while(|dir| dir.parent().is_some()).collect();
        missing.retain(|dir| !state.names.contains_key(*dir));
        for dir in missing.into_iter().rev() {
            state.change(Change::Set(dir.to_owned(), Node::Dir));
        }
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.shared.state.lock();
        state.check_parent(path)?;
        let file = state.files.len();
        state.files.push(Content::default());
        state.change(Change::Set(path.to_owned(), Node::File(file)));
        Ok(Box::new(MemoryFile { disk: self.clone(), file }))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.shared.state.lock().file(path)?;
        Ok(Box::new(MemoryFile { disk: self.clone(), file }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.shared.state.lock();
        let file = state.file(path)?;
        Ok(state.files[file].now.to_vec())
    }

    fn map(&self, path: &Path) -> io::Result<Mapped> {
        self.read(path).map(Mapped::new)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.shared.state.lock();
        if state.names.get(path) != Some(&Node::Dir) {
            return Err(failed(io::ErrorKind::NotFound, path));
        }
        let inside = state.names.iter().filter(|(name, _)| parent_of(name) == path);
        let entry = |(name, node): (&PathBuf, &Node)| DirEntry {
            name: name.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            path: name.clone(),
            is_dir: *node == Node::Dir,
            bytes: match node {
                Node::File(file) => state.files[*file].now.len as u64,
                Node::Dir => 0,
            },
        };
        Ok(inside.map(entry).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        state.file(from)?;
        state.check_parent(to)?;
        state.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        let file = state.file(from)?;
        state.check_parent(to)?;
        if state.names.contains_key(to) {
            return Err(failed(io::ErrorKind::AlreadyExists, to));
        }
        state.change(Change::Set(to.to_owned(), Node::File(file)));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        if !state.names.contains_key(path) {
            return Err(failed(io::ErrorKind::NotFound, path));
        }
        state.change(Change::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.shared.state.lock();
        let journal = std::mem::take(&mut state.journal);
        let (done, open): (Vec<Change>, Vec<Change>) = journal.into_iter().partition(|change| change.concerns(path));
        for change in done {
            change.apply(&mut state.durable_names);
        }
        state.journal = open;
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let mut state = self.shared.state.lock();
        if !state.locks.insert(path.to_owned()) {
            return Err(failed(io::ErrorKind::WouldBlock, path));
        }
        Ok(Box::new(Lock { disk: self.clone(), path: path.to_owned() }))
    }

    fn available_bytes(&self, _path: &Path) -> io::Result<u64> {
        let state = self.shared.state.lock();
        Ok(state.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used())))
    }
}

struct Lock {
    disk: MemoryDisk,
    path: PathBuf,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.disk.shared.state.lock().locks.remove(&self.path);
    }
}

struct MemoryFile {
    disk: MemoryDisk,
    file: usize,
}

impl DiskFile for MemoryFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.disk.shared.state.lock().files[self.file].now.len;
        self.write_at(end as u64, bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.shared.state.lock();
        let room = state.room();
        let content = &mut state.files[self.file];
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let inside = content.now.len.saturating_sub(offset);
        let fitting = room.saturating_add(inside).min(bytes.len());
        content.edit(Edit::Write(offset, bytes[..fitting].to_vec()));
        if fitting < bytes.len() { Err(full()) } else { Ok(()) }
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        let mut state = self.disk.shared.state.lock();
        let room = state.room();
        let content = &mut state.files[self.file];
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        match len.saturating_sub(content.now.len) {
            0 => Ok(()),
            more if more > room => Err(full()),
            _ => {
                content.edit(Edit::Resize(len));
                Ok(())
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.shared.state.lock().files[self.file].sync();
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        self.disk.shared.state.lock().files[self.file].edit(Edit::Resize(len));
        Ok(())
    }
}

fn full() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "no space left on the disk in memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_cut_keeps_what_was_synced_and_a_prefix_of_the_rest() {
        let disk = MemoryDisk::new();
        let dir = Path::new("/d");
        let (a, b) = (dir.join("a"), dir.join("b"));
        disk.create_dir(dir).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        let mut file = disk.create(&a).unwrap();
        file.write_all(b"synced").unwrap();
        file.sync().unwrap();
        assert!(disk.power_cut(Survival::Least).read(&a).is_err(), "the name was not synced");
        disk.sync_dir(dir).unwrap();
        file.write_all(b" and not").unwrap();
        disk.rename(&a, &b).unwrap();
        assert_eq!(disk.power_cut(Survival::Least).read(&a).unwrap(), b"synced");
        assert_eq!(disk.power_cut(Survival::Most).read(&b).unwrap(), b"synced and not");
        for seed in 0..32 {
            let after = disk.power_cut(Survival::Seeded(seed));
            let bytes = after.read(&a).or_else(|_| after.read(&b)).unwrap();
            assert!(bytes.starts_with(b"synced") && b"synced and not".starts_with(&bytes[..]));
        }
    }

    #[test]
    fn a_full_disk_takes_what_fits_and_locks_exclude() {
        let disk = MemoryDisk::new();
        disk.set_capacity(Some(4));
        let mut file = disk.create(Path::new("/f")).unwrap();
        assert_eq!(file.write_all(b"abcdef").unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(disk.read(Path::new("/f")).unwrap(), b"abcd");
        let held = disk.lock(Path::new("/LOCK")).unwrap();
        assert_eq!(disk.lock(Path::new("/LOCK")).err().unwrap().kind(), io::ErrorKind::WouldBlock);
        drop(held);
        disk.lock(Path::new("/LOCK")).unwrap();
    }

    #[test]
    fn a_power_cut_leaves_each_overwritten_sector_as_it_was_at_some_time() {
        let disk = MemoryDisk::new();
        let path = Path::new("/f");
        let mut file = disk.create(path).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        file.allocate(3 * SECTOR as u64).unwrap();
        assert_eq!(disk.read(path).unwrap(), [0; 3 * SECTOR]);
        file.sync().unwrap();
        file.write_at(SECTOR as u64 / 2, &[1; 2 * SECTOR]).unwrap();
        file.write_at(SECTOR as u64, &[2; SECTOR]).unwrap();
        assert_eq!(disk.power_cut(Survival::Least).read(path).unwrap(), [0; 3 * SECTOR]);
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            let bytes = disk.power_cut(Survival::Seeded(seed)).read(path).unwrap();
            assert_eq!(bytes.len(), 3 * SECTOR);
            let of = |at: usize| bytes[at];
            assert!(bytes[SECTOR..2 * SECTOR].iter().all(|byte| *byte == of(SECTOR)), "a sector is whole");
            assert_eq!((of(0), of(3 * SECTOR - 1)), (0, 0), "what nobody wrote over is as it was");
            seen.insert((of(SECTOR - 1), of(SECTOR), of(2 * SECTOR)));
        }
        assert_eq!(seen.len(), 2 * 3 * 2, "in every combination: {seen:?}");
    }

    #[test]
    fn allocated_bytes_need_no_room_later() {
        let disk = MemoryDisk::new();
        disk.set_capacity(Some(100));
        let mut file = disk.create(Path::new("/f")).unwrap();
        assert_eq!(file.allocate(101).unwrap_err().kind(), io::ErrorKind::StorageFull);
        file.allocate(60).unwrap();
        disk.set_capacity(Some(60));
        file.write_at(10, &[1; 50]).unwrap();
        assert_eq!(file.write_at(59, &[1; 2]).unwrap_err().kind(), io::ErrorKind::StorageFull);
        file.truncate(20).unwrap();
        assert_eq!(disk.used_bytes(), 20);
    }
}
