//! The record of verdicts: what was known when, as it was known then.
//!
//! Invariants:
//! - A judgement is recorded when its word, or the set of its reasons, differs from the one recorded before; while
//!   nobody looked, the record says so: BLIND, because the program did not run.
//! - What is recorded is never changed by later knowledge; the oldest go when there is no more room.
//! - It decides nothing: a disk that cannot write it disturbs nobody, and what could not be written is tried again.

mod format;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::confidence::{Judgement, Outline, Reason, Verdict};
use crate::env::disk::{Disk, DiskFile};
use crate::model::{Millis, TimeRange, Timestamp, limits};

/// The file that grows, and the one before it.
const FILES: [&str; 2] = ["verdicts.log", "verdicts.old"];

/// A pause in the log that is longer than this is told as one.
const PAUSE_MIN: Millis = Millis::seconds(15);

/// The judgements recorded so far.
pub(super) struct Verdicts {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// The content of each record with its instant, in order.
    list: VecDeque<(Timestamp, Vec<u8>)>,
    bytes: usize,
    /// What the last one argued.
    last: Option<Gist>,
    file: Option<Box<dyn DiskFile>>,
    file_bytes: usize,
    /// Records that could not be written yet.
    unwritten: Vec<u8>,
}

/// What of a judgement makes it another one: the words, and what each reason is about, without its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Gist {
    overall: Verdict,
    services: Vec<(String, Verdict)>,
    reasons: BTreeSet<(usize, Option<String>, String, String)>,
}

impl Gist {
    fn of(outline: &Outline) -> Gist {
        let reason = |r: &Reason| (r.verdict.rank(), r.service.clone(), r.code.clone(), r.subject.clone());
        let mut services: Vec<_> = outline.services.iter().collect();
        services.sort_by(|a, b| a.0.cmp(&b.0));
        services.truncate(limits::VERDICT_LIST_MAX);
        let reasons = outline.reasons.iter().take(limits::VERDICT_LIST_MAX).map(reason).collect();
        Gist { overall: outline.overall, services: services.into_iter().cloned().collect(), reasons }
    }
}

impl Verdicts {
    /// Reads what was recorded. `alive_until` is the last instant of the log, `now` the present: if nobody looked
    /// between them, the record will say so.
    pub(super) fn open(disk: Arc<dyn Disk>, dir: &Path, alive_until: Option<Timestamp>, now: Timestamp) -> Verdicts {
        let mut verdicts = Verdicts {
            disk,
            dir: dir.join("verdicts"),
            list: VecDeque::new(),
            bytes: 0,
            last: None,
            file: None,
            file_bytes: 0,
            unwritten: Vec::new(),
        };
        for name in FILES.iter().rev() {
            verdicts.load(name);
        }
        if let Some(last) = alive_until.filter(|last| now - *last > PAUSE_MIN) {
            verdicts.record(&Judgement::not_running(last, now));
        }
        verdicts
    }

    fn load(&mut self, name: &str) {
        let path = self.dir.join(name);
        self.file_bytes = 0;
        let bytes = match self.disk.read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                tracing::error!("{}: earlier verdicts cannot be read: {error}", path.display());
                return;
            }
        };
        let contents = format::read(&bytes);
        if contents.damaged > 0 {
            let (damaged, path) = (contents.damaged, path.display());
            tracing::warn!("{path}: {damaged} bytes are no verdicts and were passed over");
        }
        for (content, judgement) in contents.records {
            self.keep(content, &judgement);
        }
        self.file_bytes = bytes.len();
    }

    fn keep(&mut self, content: Vec<u8>, judgement: &Judgement) {
        self.last = Some(Gist::of(&judgement.into()));
        self.bytes += content.len();
        // The record is in order, whatever clocks did.
        let at = self.list.back().map_or(judgement.at, |(last, _)| judgement.at.max(*last));
        self.list.push_back((at, content));
        while self.bytes > limits::VERDICTS_BYTES_MAX {
            let Some((_, oldest)) = self.list.pop_front() else { break };
            self.bytes -= oldest.len();
        }
    }

    /// Whether a judgement of these words would be another one than the last.
    pub(super) fn is_news(&self, outline: &Outline) -> bool {
        self.last.as_ref() != Some(&Gist::of(outline))
    }

    /// Records a judgement if it differs from the last one.
    pub(super) fn note(&mut self, judgement: &Judgement) {
        if self.is_news(&judgement.into()) {
            self.record(judgement);
        }
        self.write();
    }

    fn record(&mut self, judgement: &Judgement) {
        let content = format::content(judgement);
        if self.unwritten.len() < limits::VERDICTS_BYTES_MAX {
            format::write(&mut self.unwritten, &content);
        }
        self.keep(content, judgement);
    }

    /// Writes what could not be written before.
    pub(super) fn write(&mut self) {
        if self.unwritten.is_empty() {
            return;
        }
        if let Err(error) = self.try_write() {
            // Whatever the file holds now is behind us: what was written in part is damage that is passed over.
            self.file = None;
            tracing::warn!("{}: verdicts cannot be recorded: {error}; tried again", self.dir.display());
        }
    }

    fn try_write(&mut self) -> io::Result<()> {
        let [current, before] = FILES.map(|name| self.dir.join(name));
        if self.file_bytes > limits::VERDICTS_BYTES_MAX / 2 {
            self.file = None;
            self.disk.rename(&current, &before)?;
            self.disk.sync_dir(&self.dir)?;
            self.file_bytes = 0;
        }
        let file = match &mut self.file {
            Some(file) => file,
            slot => {
                self.disk.create_dir(&self.dir)?;
                let file = match self.file_bytes {
                    0 => self.disk.create(&current)?,
                    _ => self.disk.append(&current)?,
                };
                self.disk.sync_dir(&self.dir)?;
                slot.insert(file)
            }
        };
        file.write_all(&self.unwritten)?;
        file.sync()?;
        self.file_bytes += self.unwritten.len();
        self.unwritten.clear();
        Ok(())
    }

    /// What was known at `at`; absent if nothing was recorded by then.
    pub(super) fn at(&self, at: Timestamp) -> Option<Judgement> {
        let after = self.list.partition_point(|(t, _)| *t <= at);
        format::judgement(&self.list.get(after.checked_sub(1)?)?.1).ok()
    }

    /// The judgements recorded in a span, oldest first, the one that held at its beginning before them; the newest
    /// `most` of them.
    pub(super) fn within(&self, range: TimeRange, most: usize) -> Vec<Judgement> {
        let from = self.list.partition_point(|(t, _)| *t <= range.after).saturating_sub(1);
        let to = self.list.partition_point(|(t, _)| *t <= range.until);
        let from = from.max(to.saturating_sub(most));
        self.list.range(from..to.max(from)).filter_map(|(_, content)| format::judgement(content).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::format::tests::some;
    use super::*;
    use crate::env::disk::MemoryDisk;

    fn open(disk: &MemoryDisk, alive_until: Option<i64>, now: i64) -> Verdicts {
        Verdicts::open(Arc::new(disk.clone()), Path::new("/db"), alive_until.map(Timestamp), Timestamp(now))
    }

    fn words(verdicts: &Verdicts, from: i64, to: i64) -> Vec<(i64, &'static str)> {
        let range = TimeRange { after: Timestamp(from), until: Timestamp(to) };
        verdicts.within(range, 100).iter().map(|judgement| (judgement.at.0, judgement.overall.as_str())).collect()
    }

    #[test]
    fn what_was_known_stays_known_as_it_was() {
        let disk = MemoryDisk::new();
        let mut verdicts = open(&disk, None, 0);
        assert!(verdicts.at(Timestamp(5)).is_none());
        for (at, verdict) in [(10, Verdict::Blind), (20, Verdict::Ok), (25, Verdict::Ok), (30, Verdict::Hurting)] {
            verdicts.note(&some(at, verdict));
        }
        // After a kill and an hour's pause.
        let hour = 3_600_000;
        let mut verdicts = open(&disk, Some(40), hour);
        verdicts.note(&some(hour, Verdict::Ok));
        let again = open(&disk, Some(hour), hour + 1000);
        let check = |at: i64, word: Option<&str>| {
            let known = again.at(Timestamp(at)).map(|judgement| judgement.overall.as_str());
            assert_eq!(known, word, "{at}");
        };
        check(9, None);
        check(10, Some("BLIND"));
        check(29, Some("OK"));
        check(30, Some("HURTING"));
        check(41, Some("BLIND"));
        check(hour - 1, Some("BLIND"));
        check(hour, Some("OK"));
        assert_eq!(again.at(Timestamp(22)).unwrap(), some(20, Verdict::Ok), "the second OK said nothing new");
        assert_eq!(words(&again, 21, 35), [(20, "OK"), (30, "HURTING")]);
        let pause = again.at(Timestamp(100)).unwrap();
        assert_eq!(
            pause.reasons[0].text,
            "the program did not run from 1970-01-01T00:00:00.040Z to 1970-01-01T01:00:00.000Z"
        );
    }

    #[test]
    fn a_full_disk_delays_the_record_and_a_long_one_forgets_its_beginning() {
        let disk = MemoryDisk::new();
        let mut verdicts = open(&disk, None, 0);
        disk.set_capacity(Some(0));
        verdicts.note(&some(1, Verdict::Ok));
        assert_eq!(words(&verdicts, 0, 9), [(1, "OK")]);
        assert!(open(&disk, None, 0).at(Timestamp(9)).is_none());
        disk.set_capacity(None);
        verdicts.note(&some(2, Verdict::Ok));
        assert_eq!(words(&open(&disk, None, 0), 0, 9), [(1, "OK")]);

        let size = verdicts.bytes as i64;
        let many = limits::VERDICTS_BYTES_MAX as i64 / size * 3;
        for at in 3..many {
            verdicts.note(&some(at, if at % 2 == 0 { Verdict::Ok } else { Verdict::Blind }));
        }
        assert!(verdicts.bytes <= limits::VERDICTS_BYTES_MAX);
        let again = open(&disk, None, 0);
        assert!(again.at(Timestamp(10)).is_none());
        assert_eq!(words(&again, many - 3, many - 2), words(&verdicts, many - 3, many - 2));
        assert!(again.list.len() as i64 * size > limits::VERDICTS_BYTES_MAX as i64 / 3);
    }
}
