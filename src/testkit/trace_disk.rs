//! A disk that notes every change, and makes of its notes what a power cut at any point leaves.
//!
//! Invariants:
//! - What a successful sync of a file covered is in every image of a later point; so is a name after a
//!   sync of its directory.
//! - Of everything else, an image holds what its [`Loss`] says: nothing, all, a torn beginning, or
//!   sectors in any mixture of old and new.
//! - Bytes that a sync failed to write are never made durable by a later sync: the system has marked
//!   their pages clean and forgotten them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::env::Rng;
use crate::env::disk::{DirEntry, Disk, DiskFile, Mapped, MemoryDisk};

/// What a disk writes in one piece.
const SECTOR_BYTES: usize = 512;

/// What becomes of written bytes that no sync covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// They are gone.
    Lost,
    /// They are there.
    Kept,
    /// Of each file the first so many writes are there, the last of them torn at any byte.
    Torn(u64),
    /// Each sector is as it was before or after any of the writes to it; one may be torn.
    Scattered(u64),
}

/// What becomes of changed names whose directory was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// They are as they were.
    Lost,
    /// They are as they were changed to.
    Kept,
    /// The first so many changes are there.
    Torn(u64),
}

/// What a power cut takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Of what was written.
    pub contents: Contents,
    /// Of what was named.
    pub names: Names,
}

impl Loss {
    /// Everything that was not synced.
    pub const MOST: Loss = Loss { contents: Contents::Lost, names: Names::Lost };
}

/// A disk that notes every change.
#[derive(Clone)]
pub struct TraceDisk {
    notes: Arc<Notes>,
    disk: Arc<dyn Disk>,
}

#[derive(Default)]
struct Notes {
    trace: Mutex<Trace>,
}

#[derive(Default)]
struct Trace {
    events: Vec<Event>,
    /// What each name means now, for finding a file's path.
    names: BTreeMap<PathBuf, Node>,
    files: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Dir,
    File(usize),
}

#[derive(Debug, Clone)]
enum Event {
    Name(NameChange),
    SyncDir(PathBuf),
    Content(usize, Change),
    Sync(usize),
    SyncFailed(usize),
}

#[derive(Debug, Clone)]
enum NameChange {
    Set(PathBuf, Node),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
}

/// A change of a file's content.
#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    Resize(usize),
}

impl TraceDisk {
    /// Notes what is done to `disk`. What is in `dir` now counts as durable; elsewhere there is nothing.
    ///
    /// # Errors
    /// The disk's, while it is read.
    pub fn new(disk: Arc<dyn Disk>, dir: &Path) -> io::Result<TraceDisk> {
        let traced = TraceDisk { notes: Arc::default(), disk };
        traced.note_found(dir)?;
        Ok(traced)
    }

    fn note_found(&self, dir: &Path) -> io::Result<()> {
        let entries = match self.disk.list(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for above in dir.ancestors().collect::<Vec<_>>().into_iter().rev().filter(|above| above.parent().is_some()) {
            if !self.notes.trace.lock().names.contains_key(above) {
                self.note(Event::Name(NameChange::Set(above.to_owned(), Node::Dir)));
                self.note(Event::SyncDir(above.parent().unwrap_or(above).to_owned()));
            }
        }
        for entry in entries {
            if entry.is_dir {
                self.note_found(&entry.path)?;
            } else {
                let id = self.next_file();
                self.note(Event::Name(NameChange::Set(entry.path.clone(), Node::File(id))));
                self.note(Event::Content(id, Change::Write(0, self.disk.read(&entry.path)?)));
                self.note(Event::Sync(id));
            }
        }
        self.note(Event::SyncDir(dir.to_owned()));
        Ok(())
    }

    fn next_file(&self) -> usize {
        let mut trace = self.notes.trace.lock();
        trace.files += 1;
        trace.files - 1
    }

    /// How many changes were noted.
    pub fn changes(&self) -> usize {
        self.notes.trace.lock().events.len()
    }

    /// The changes in words, for a report.
    pub fn describe(&self, change: usize) -> String {
        match self.notes.trace.lock().events.get(change) {
            None => "the end".to_owned(),
            Some(Event::Name(NameChange::Set(path, Node::Dir))) => format!("create directory {}", path.display()),
            Some(Event::Name(NameChange::Set(path, _))) => format!("create {}", path.display()),
            Some(Event::Name(NameChange::Remove(path))) => format!("remove {}", path.display()),
            Some(Event::Name(NameChange::Rename(from, to))) => format!("rename {} to {}", from.display(), to.display()),
            Some(Event::SyncDir(path)) => format!("sync directory {}", path.display()),
            Some(Event::Content(file, Change::Write(at, bytes))) => {
                format!("write {} bytes at {at} of file {file}", bytes.len())
            }
            Some(Event::Content(file, Change::Resize(len))) => format!("cut file {file} to {len} bytes"),
            Some(Event::Sync(file)) => format!("sync file {file}"),
            Some(Event::SyncFailed(file)) => format!("failed sync of file {file}"),
        }
    }

    /// What a disk in memory holds if the power is cut after the first `changes` changes.
    pub fn image(&self, changes: usize, loss: Loss) -> MemoryDisk {
        let trace = self.notes.trace.lock();
        let mut state = State::default();
        trace.events.iter().take(changes).for_each(|event| state.see(event));
        drop(trace);
        state.image(loss)
    }

    fn note(&self, event: Event) {
        let mut trace = self.notes.trace.lock();
        if let Event::Name(change) = &event {
            change.apply(&mut trace.names);
        }
        trace.events.push(event);
    }

    fn follow(&self, file: Box<dyn DiskFile>, id: usize, at: usize) -> Box<dyn DiskFile> {
        Box::new(TraceFile { disk: self.clone(), file, id, at, length: at })
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            NameChange::Set(path, node) => {
                names.insert(path.clone(), *node);
            }
            NameChange::Remove(path) => names.retain(|name, _| !name.starts_with(path)),
            NameChange::Rename(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }

    fn is_in(&self, dir: &Path) -> bool {
        match self {
            NameChange::Set(path, _) | NameChange::Remove(path) => path.parent() == Some(dir),
            NameChange::Rename(from, to) => from.parent() == Some(dir) || to.parent() == Some(dir),
        }
    }
}

/// What is durable after some changes, and what is not yet.
#[derive(Default)]
struct State {
    names: BTreeMap<PathBuf, Node>,
    pending_names: Vec<NameChange>,
    files: Vec<File>,
}

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    pending: Vec<Pending>,
}

struct Pending {
    change: Change,
    /// A sync has failed since: no later one will write it.
    forgotten: bool,
}

impl State {
    fn file(&mut self, id: usize) -> &mut File {
        if self.files.len() <= id {
            self.files.resize_with(id + 1, File::default);
        }
        &mut self.files[id]
    }

    fn see(&mut self, event: &Event) {
        match event {
            Event::Name(change) => self.pending_names.push(change.clone()),
            Event::SyncDir(path) => {
                let all = std::mem::take(&mut self.pending_names);
                let (done, open): (Vec<_>, Vec<_>) = all.into_iter().partition(|change| change.is_in(path));
                done.iter().for_each(|change| change.apply(&mut self.names));
                self.pending_names = open;
            }
            Event::Content(id, change) => {
                self.file(*id).pending.push(Pending { change: change.clone(), forgotten: false });
            }
            Event::Sync(id) => {
                let file = self.file(*id);
                for pending in std::mem::take(&mut file.pending) {
                    if pending.forgotten {
                        file.pending.push(pending);
                    } else {
                        // What was forgotten there before is overwritten for good.
                        let left = std::mem::take(&mut file.pending).into_iter();
                        file.pending = left.flat_map(|before| before.outside(&pending.change)).collect();
                        pending.change.apply(&mut file.durable);
                    }
                }
            }
            Event::SyncFailed(id) => self.file(*id).pending.iter_mut().for_each(|pending| pending.forgotten = true),
        }
    }

    fn image(self, loss: Loss) -> MemoryDisk {
        let mut names = self.names;
        let kept = match loss.names {
            Names::Lost => 0,
            Names::Kept => self.pending_names.len(),
            Names::Torn(seed) => Rng::new(seed).below(self.pending_names.len() as u64 + 1) as usize,
        };
        self.pending_names[..kept].iter().for_each(|change| change.apply(&mut names));
        let files = self.files.into_iter().enumerate();
        let contents: Vec<Vec<u8>> = files.map(|(id, file)| file.survive(loss.contents, id)).collect();
        let disk = MemoryDisk::new();
        // A disk in memory without a limit takes everything; names come in the order of their paths,
        // so a directory before what is in it.
        let mut dirs = vec![PathBuf::from("/")];
        for (path, node) in names {
            match node {
                Node::Dir => {
                    let _ = disk.create_dir(&path);
                    dirs.push(path);
                }
                Node::File(id) => {
                    let _ = disk.create(&path).and_then(|mut file| {
                        file.write_all(contents.get(id).map_or(&[], Vec::as_slice))?;
                        file.sync()
                    });
                }
            }
        }
        for dir in dirs {
            let _ = disk.sync_dir(&dir);
        }
        disk
    }
}

impl Pending {
    /// What a later change of the same file leaves of it.
    fn outside(self, later: &Change) -> Vec<Pending> {
        let Change::Write(at, bytes) = &self.change else { return vec![self] };
        let (start, end) = match later {
            Change::Write(start, new) => (*start, start + new.len()),
            Change::Resize(len) => (*len, usize::MAX),
        };
        let last = at + bytes.len();
        if end <= *at || last <= start {
            return vec![self];
        }
        let pieces = [(*at, start), (end, last)].into_iter().filter(|(from, to)| from < to);
        let piece = |(from, to): (usize, usize)| {
            let change = Change::Write(from, bytes[from - at..to - at].to_vec());
            Pending { change, forgotten: self.forgotten }
        };
        pieces.map(piece).collect()
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(at, new) => put(bytes, *at, new),
            Change::Resize(len) => bytes.resize(*len, 0),
        }
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    if bytes.len() < at + new.len() {
        bytes.resize(at + new.len(), 0);
    }
    bytes[at..at + new.len()].copy_from_slice(new);
}

impl File {
    fn survive(self, contents: Contents, id: usize) -> Vec<u8> {
        let mut bytes = self.durable;
        match contents {
            Contents::Lost => {}
            Contents::Kept => self.pending.iter().for_each(|pending| pending.change.apply(&mut bytes)),
            Contents::Torn(seed) => {
                let mut rng = Rng::new(seed ^ (id as u64) << 32);
                let whole = rng.below(self.pending.len() as u64 + 1) as usize;
                self.pending[..whole].iter().for_each(|pending| pending.change.apply(&mut bytes));
                if let Some(Pending { change: Change::Write(at, new), .. }) = self.pending.get(whole) {
                    put(&mut bytes, *at, &new[..rng.below(new.len() as u64 + 1) as usize]);
                }
            }
            Contents::Scattered(seed) => {
                let mut rng = Rng::new(seed ^ (id as u64) << 32);
                let kept_in_four = rng.below(5);
                for pending in &self.pending {
                    pending.change.scatter(&mut bytes, &mut rng, kept_in_four);
                }
            }
        }
        bytes
    }
}

impl Change {
    /// Applies some of the sectors, about `kept_in_four` of four.
    fn scatter(&self, bytes: &mut Vec<u8>, rng: &mut Rng, kept_in_four: u64) {
        let Change::Write(start, new) = self else {
            if rng.below(4) < kept_in_four {
                self.apply(bytes);
            }
            return;
        };
        let end = start + new.len();
        let mut at = *start;
        while at < end {
            let next = end.min((at / SECTOR_BYTES + 1) * SECTOR_BYTES);
            let piece = &new[at - start..next - start];
            if rng.below(4) < kept_in_four {
                put(bytes, at, piece);
            } else if rng.below(16) == 0 {
                put(bytes, at, &piece[..rng.below(piece.len() as u64) as usize]);
            }
            at = next;
        }
        if bytes.len() < end && rng.below(2) == 0 {
            // The new length is there before the bytes are.
            bytes.resize(end, 0);
        }
    }
}

impl Disk for TraceDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)?;
        let missing: Vec<PathBuf> = {
            let trace = self.notes.trace.lock();
            let above = path.ancestors().take_while(|dir| dir.parent().is_some());
            above.filter(|dir| !trace.names.contains_key(*dir)).map(Path::to_owned).collect()
        };
        for dir in missing.into_iter().rev() {
            self.note(Event::Name(NameChange::Set(dir, Node::Dir)));
        }
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.disk.create(path)?;
        let id = self.next_file();
        self.note(Event::Name(NameChange::Set(path.to_owned(), Node::File(id))));
        Ok(self.follow(file, id, 0))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.disk.append(path)?;
        let length = self.disk.read(path)?.len();
        let node = self.notes.trace.lock().names.get(path).copied();
        match node {
            Some(Node::File(id)) => Ok(self.follow(file, id, length)),
            _ => Err(io::Error::other(format!("{}: it was not made through this disk", path.display()))),
        }
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
        self.disk.rename(from, to)?;
        self.note(Event::Name(NameChange::Rename(from.to_owned(), to.to_owned())));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)?;
        self.note(Event::Name(NameChange::Remove(path.to_owned())));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)?;
        self.note(Event::SyncDir(path.to_owned()));
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.disk.lock(path)
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        self.disk.available_bytes(path)
    }
}

struct TraceFile {
    disk: TraceDisk,
    file: Box<dyn DiskFile>,
    id: usize,
    /// Where the next write goes.
    at: usize,
    length: usize,
}

impl TraceFile {
    fn note_written(&mut self, at: usize, bytes: &[u8]) {
        self.disk.note(Event::Content(self.id, Change::Write(at, bytes.to_vec())));
        self.length = self.length.max(at + bytes.len());
    }

    /// After a write at `at` that failed: how much of `bytes` it left, read back.
    fn note_partly_written(&mut self, at: usize, bytes: &[u8]) -> usize {
        let path = {
            let trace = self.disk.notes.trace.lock();
            trace.names.iter().find(|(_, node)| **node == Node::File(self.id)).map(|(path, _)| path.clone())
        };
        let Some(found) = path.and_then(|path| self.disk.disk.read(&path).ok()) else { return 0 };
        let there = found.get(at..).unwrap_or_default();
        let same = there.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        if same > 0 {
            self.note_written(at, &bytes[..same]);
        }
        same
    }
}

impl DiskFile for TraceFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(bytes);
        self.at += match &written {
            Ok(()) => {
                self.note_written(self.at, bytes);
                bytes.len()
            }
            Err(_) => self.note_partly_written(self.at, bytes),
        };
        written
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let written = self.file.write_at(offset, bytes);
        match &written {
            Ok(()) => self.note_written(at, bytes),
            Err(_) => {
                self.note_partly_written(at, bytes);
            }
        }
        written
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        self.file.allocate(len)?;
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len > self.length {
            self.length = len;
            self.disk.note(Event::Content(self.id, Change::Resize(len)));
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let synced = self.file.sync();
        self.disk.note(if synced.is_ok() { Event::Sync(self.id) } else { Event::SyncFailed(self.id) });
        synced
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.truncate(len)?;
        self.at = usize::try_from(len).unwrap_or(usize::MAX);
        self.length = self.at;
        self.disk.note(Event::Content(self.id, Change::Resize(self.at)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{Fault, FaultyDisk};

    const LOSSES: [Contents; 4] = [Contents::Lost, Contents::Kept, Contents::Torn(3), Contents::Scattered(4)];

    #[test]
    fn what_was_synced_is_in_every_image_and_the_rest_only_as_far_as_it_survived() {
        let (dir, path) = (Path::new("/d"), Path::new("/d/f"));
        let disk = TraceDisk::new(Arc::new(MemoryDisk::new()), dir).unwrap();
        disk.create_dir(dir).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        let mut file = disk.create(path).unwrap();
        file.write_all(&[1; 600]).unwrap();
        file.sync().unwrap();
        assert!(disk.image(disk.changes(), Loss::MOST).read(path).is_err(), "the name was not synced");
        disk.sync_dir(dir).unwrap();
        let synced = disk.changes();
        file.write_all(&[2; 2000]).unwrap();
        for contents in LOSSES {
            let loss = Loss { contents, names: Names::Lost };
            assert_eq!(disk.image(synced, loss).read(path).unwrap(), [1; 600], "{loss:?}");
            let bytes = disk.image(disk.changes(), loss).read(path).unwrap();
            assert!(bytes[..600] == [1; 600] && bytes[600..].iter().all(|b| [0, 2].contains(b)), "{loss:?}");
            assert_eq!(bytes.len() == 600, contents == Contents::Lost, "{loss:?}");
        }
        let scattered: std::collections::BTreeSet<Vec<u8>> = (0..64)
            .map(|seed| Loss { contents: Contents::Scattered(seed), names: Names::Lost })
            .map(|loss| disk.image(disk.changes(), loss).read(path).unwrap())
            .collect();
        assert!(scattered.iter().any(|b| b.len() == 2600 && b[600..700] == [0; 100] && b[2599] == 2), "reordered");
        // A second disk takes over what the first one left.
        let loss = Loss { contents: Contents::Kept, names: Names::Lost };
        let second = TraceDisk::new(Arc::new(disk.image(disk.changes(), loss)), dir).unwrap();
        assert_eq!(second.image(second.changes(), Loss::MOST).read(path).unwrap().len(), 2600);
    }

    #[test]
    fn bytes_that_a_sync_failed_to_write_are_not_made_durable_by_a_later_one() {
        let path = Path::new("/f");
        let faulty = FaultyDisk::new(Arc::new(MemoryDisk::new()));
        let disk = TraceDisk::new(Arc::new(faulty.clone()), Path::new("/")).unwrap();
        let mut file = disk.create(path).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        file.write_all(b"lost").unwrap();
        faulty.fail_at(faulty.operations(), Fault::Error(io::ErrorKind::Other));
        file.sync().unwrap_err();
        file.write_all(b"kept").unwrap();
        file.sync().unwrap();
        assert_eq!(disk.read(path).unwrap(), b"lostkept");
        assert_eq!(disk.image(disk.changes(), Loss::MOST).read(path).unwrap(), b"\0\0\0\0kept");
        faulty.fail_at(faulty.operations(), Fault::Short(io::ErrorKind::StorageFull));
        file.write_all(b"half").unwrap_err();
        let all = Loss { contents: Contents::Kept, names: Names::Kept };
        let image = disk.image(disk.changes(), all);
        assert_eq!(image.read(path).unwrap(), b"lostkeptha");
    }
}
