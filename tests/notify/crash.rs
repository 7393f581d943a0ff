//! The power goes at every disk operation, and the disk is full for a while.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use evenkeel::env::disk::{DirEntry, DiskFile, Mapped, MemoryDisk, Survival};

use super::*;

/// A disk that keeps aside what a power cut before its `cut`th operation would leave.
#[derive(Clone)]
struct Cutting {
    inner: MemoryDisk,
    survival: Survival,
    cut: usize,
    done: Arc<AtomicUsize>,
    left: Arc<Mutex<Option<MemoryDisk>>>,
}

impl Cutting {
    fn new(cut: usize, survival: Survival) -> Cutting {
        let (done, left) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
        Cutting { inner: MemoryDisk::new(), survival, cut, done, left }
    }

    fn operation(&self) -> &MemoryDisk {
        if self.done.fetch_add(1, Ordering::SeqCst) == self.cut {
            *self.left.lock().unwrap() = Some(self.inner.power_cut(self.survival));
        }
        &self.inner
    }

    fn operations(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }
}

impl Disk for Cutting {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.operation().create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.operation().create(path)?;
        Ok(Box::new(CuttingFile { disk: self.clone(), file }))
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.operation().append(path)?;
        Ok(Box::new(CuttingFile { disk: self.clone(), file }))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.inner.read(path)
    }

    fn map(&self, path: &Path) -> io::Result<Mapped> {
        self.inner.map(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.list(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operation().rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operation().remove(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.operation().sync_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        self.inner.lock(path)
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        self.inner.available_bytes(path)
    }
}

struct CuttingFile {
    disk: Cutting,
    file: Box<dyn DiskFile>,
}

impl DiskFile for CuttingFile {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.operation();
        self.file.write_all(bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.operation();
        self.file.write_at(offset, bytes)
    }

    fn allocate(&mut self, len: u64) -> io::Result<()> {
        self.disk.operation();
        self.file.allocate(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.operation();
        self.file.sync()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.disk.operation();
        self.file.truncate(len)
    }
}

fn dir() -> PathBuf {
    PathBuf::from("/data/notify")
}

/// A message, with the operations done when it was sent and when the step was over.
struct Told {
    message: String,
    sent: usize,
    over: usize,
}

/// What alerts rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Basis {
    /// Something that nobody could decide again: they are durable before they are told.
    Present,
    /// The log: they are told before they are durable.
    Log,
}

/// Takes and tells a few alerts; gives what was accepted and what was told.
fn story(disk: &Cutting, basis: Basis) -> (Vec<(Transition, usize)>, Vec<Told>) {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let (counter, log) = (disk.clone(), Arc::clone(&sent));
    let recorder = Recorder::answering(move |_| {
        log.lock().unwrap().push(counter.operations());
        Ok(status(200))
    });
    let notifier = Notifier::open(Arc::new(disk.clone()), &dir(), plain()).unwrap();
    let (mut accepted, mut told) = (Vec::new(), Vec::new());
    let take = |transitions: Vec<Transition>, accepted: &mut Vec<(Transition, usize)>, told: &mut Vec<Told>| {
        let at = transitions[0].at;
        match basis {
            Basis::Present => notifier.accept(&transitions).unwrap(),
            Basis::Log => notifier.accept_logged(&transitions).unwrap(),
        }
        let taken = disk.operations();
        notifier.step(at, &recorder);
        let durable = if basis == Basis::Log { disk.operations() } else { taken };
        accepted.extend(transitions.into_iter().map(|t| (t, durable)));
        let sent = std::mem::take(&mut *sent.lock().unwrap());
        let messages = recorder.messages().into_iter().zip(sent);
        told.extend(messages.map(|(message, sent)| Told { message, sent, over: disk.operations() }));
    };
    take(vec![firing(1, "A", 1), firing(1, "B", 1)], &mut accepted, &mut told);
    take(vec![resolved(2, "A", 2)], &mut accepted, &mut told);
    // The end of an unknown alert is no news, but large enough to have the outbox rewritten.
    let mut large = resolved(3, "Unknown", 3);
    large.alert.expr = "x".repeat(5_000_000);
    notifier.accept(&[large]).unwrap();
    take(vec![resolved(5, "B", 5), firing(5, "C", 5)], &mut accepted, &mut told);
    (accepted, told)
}

fn message_of(transition: &Transition) -> String {
    let word = if transition.kind == TransitionKind::Firing { "firing" } else { "resolved" };
    format!("team {word} [{word}:{}]", transition.alert.labels.get("alertname"))
}

#[test]
fn a_power_cut_at_any_operation_loses_no_page_and_repeats_only_what_was_on_its_way() {
    for basis in [Basis::Present, Basis::Log] {
        let whole = Cutting::new(usize::MAX, Survival::Most);
        let (accepted, told) = story(&whole, basis);
        assert_eq!(accepted.len(), 5);
        assert_eq!(told[0].sent < accepted[0].1, basis == Basis::Log);
        let operations = whole.operations();
        for cut in 0..operations {
            for survival in [Survival::Least, Survival::Most, Survival::Seeded(cut as u64)] {
                check_cut(cut, survival, basis);
            }
        }
    }
}

fn check_cut(cut: usize, survival: Survival, basis: Basis) {
    let disk = Cutting::new(cut, survival);
    let (accepted, told) = story(&disk, basis);
    let left = disk.left.lock().unwrap().take().unwrap();
    let recorder = Recorder::new();
    let notifier = Notifier::open(Arc::new(left.clone()), &dir(), plain()).unwrap();
    notifier.step(seconds(1000), &recorder);
    // The log is replayed: whatever the outbox had not taken comes again, in order.
    for (transition, _) in &accepted {
        notifier.accept(std::slice::from_ref(transition)).unwrap();
        notifier.step(seconds(1000), &recorder);
    }
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for message in recorder.messages() {
        *count.entry(message).or_default() += 1;
    }
    for (transition, _) in &accepted {
        let message = message_of(transition);
        let told = told.iter().find(|told| told.message == message).unwrap();
        let after = count.get(&message).copied().unwrap_or(0);
        assert!(after <= 1, "{message} was told {after} times after a cut at {cut} ({survival:?})");
        assert!(told.over > cut || after == 0, "{message} was repeated after a cut at {cut} ({survival:?})");
        assert!(told.sent <= cut || after == 1, "{message} was lost by a cut at {cut} ({survival:?})");
    }
    assert_eq!(notifier.status().outbox_len, 1);
    drop(notifier);
    let again = Notifier::open(Arc::new(left), &dir(), plain()).unwrap();
    again.step(seconds(1001), &recorder);
    assert_eq!(recorder.messages(), [""; 0]);
}

#[test]
fn what_was_accepted_before_the_cut_is_told_without_the_log() {
    for basis in [Basis::Present, Basis::Log] {
        let whole = Cutting::new(usize::MAX, Survival::Most);
        story(&whole, basis);
        (0..whole.operations()).for_each(|cut| check_without_the_log(cut, basis));
    }
}

fn check_without_the_log(cut: usize, basis: Basis) {
    let disk = Cutting::new(cut, Survival::Least);
    let (accepted, told) = story(&disk, basis);
    let left = disk.left.lock().unwrap().take().unwrap();
    let recorder = Recorder::new();
    let notifier = Notifier::open(Arc::new(left), &dir(), plain()).unwrap();
    notifier.step(seconds(1000), &recorder);
    let after = recorder.messages();
    for (transition, done) in accepted.iter().filter(|(_, done)| *done <= cut) {
        let message = message_of(transition);
        let sent = told.iter().any(|told| told.message == message && told.sent <= cut);
        assert!(sent || after.contains(&message), "{message} accepted after {done}, cut at {cut}: {after:?}");
    }
}

#[test]
fn a_full_disk_delays_the_record_and_not_the_page() {
    let disk = MemoryDisk::new();
    let recorder = Recorder::new();
    let notifier = Notifier::open(Arc::new(disk.clone()), &dir(), plain()).unwrap();
    notifier.accept(&[firing(1, "A", 1)]).unwrap();
    disk.set_capacity(Some(disk.used_bytes()));
    let error = notifier.accept(&[firing(2, "B", 2)]).unwrap_err();
    assert!(error.to_string().starts_with("the outbox cannot be written"), "{error}");
    // Taken: the same again is no news.
    notifier.accept(&[firing(2, "B", 2)]).unwrap();
    let next = notifier.step(seconds(2), &recorder);
    assert_eq!(recorder.messages(), ["team firing [firing:A]", "team firing [firing:B]"]);
    assert!(notifier.status().disk_error.is_some());
    assert!(next.is_some_and(|next| next <= seconds(10)), "{next:?}");
    disk.set_capacity(None);
    notifier.step(seconds(10), &recorder);
    assert_eq!(notifier.status().disk_error, None);
    drop(notifier);
    let notifier = Notifier::open(Arc::new(disk.power_cut(Survival::Least)), &dir(), plain()).unwrap();
    notifier.accept(&[firing(2, "B", 2)]).unwrap();
    notifier.step(seconds(11), &recorder);
    assert_eq!(recorder.messages(), [""; 0]);
    assert_eq!(notifier.status().outbox_len, 2);
}
