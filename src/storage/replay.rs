//! Reading the log back, one entry at a time, and what was found on the way.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use crate::codec::Damaged;
use crate::model::{Committed, Labels, Rejected, Seq, SeriesRef, Timestamp};

use super::commit::{Mode, Writer};
use super::manifest::Attachments;
use super::open::OpenError;
use super::open_log::FoundSegment;
use super::series::Seen;
use super::store::{Applied, Inner};
use super::wal::{EntryKind, Place, RecordHeader, Transaction, scan, segment_path};

/// Something stored that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: String,
    /// What is wrong with it, and what was done.
    pub what: String,
}

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecoveryReport {
    /// Entries replayed.
    pub entries: u64,
    /// Samples and histograms replayed.
    pub samples: u64,
    /// Samples in whole entries whose series nothing explains any more: told as damage, too.
    pub samples_lost: u64,
    /// Bytes of a last, half-written group that were cut off: an ordinary trace of a crash.
    pub torn_bytes: u64,
    /// Damage: things that were stored and are lost.
    pub damage: Vec<Damage>,
}

impl RecoveryReport {
    pub(super) fn note(&mut self, file: impl fmt::Display, what: impl Into<String>) {
        let damage = Damage { file: file.to_string(), what: what.into() };
        tracing::warn!(file = damage.file, what = damage.what, "stored data is damaged");
        self.damage.push(damage);
    }
}

impl fmt::Display for RecoveryReport {
    /// One line a finding.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} log entries with {} samples replayed", self.entries, self.samples)?;
        if self.torn_bytes > 0 {
            write!(f, "\n{} bytes of a half-written entry cut off", self.torn_bytes)?;
        }
        for damage in &self.damage {
            write!(f, "\ndamaged: {}: {}", damage.file, damage.what)?;
        }
        Ok(())
    }
}

/// The entries of the log behind the last checkpoint. The store takes writes when all were read.
pub struct Replay {
    inner: Arc<Inner>,
    report: RecoveryReport,
    attachments: Attachments,
    /// Segments that were not begun yet.
    segments: VecDeque<FoundSegment>,
    current: Option<ReplaySegment>,
    /// Numbers of the log whose series the store knows by another one.
    aliases: HashMap<u32, SeriesRef>,
}

/// The segment being replayed.
struct ReplaySegment {
    number: u64,
    bytes: Vec<u8>,
    places: std::vec::IntoIter<Place>,
}

impl Replay {
    pub(super) fn new(
        inner: Arc<Inner>,
        report: RecoveryReport,
        attachments: Attachments,
        segments: VecDeque<FoundSegment>,
    ) -> Replay {
        Replay { inner, report, attachments, segments, current: None, aliases: HashMap::new() }
    }

    /// What was saved under this name at the last checkpoint.
    pub fn attachment(&self, name: &str) -> Option<&[u8]> {
        self.attachments.parts.iter().find(|(n, _)| n == name).map(|(_, bytes)| bytes.as_slice())
    }

    /// The last entry of the last checkpoint; [`Replay::next`] gives those behind it.
    pub fn position(&self) -> (Seq, Timestamp) {
        (self.attachments.seq, self.attachments.at)
    }

    /// What was found so far.
    pub fn report(&self) -> &RecoveryReport {
        &self.report
    }

    /// Puts the next entry into the head; a snapshot then shows exactly the log up to it. After the
    /// last one, `None`, and the store takes writes.
    ///
    /// # Errors
    /// A segment cannot be read any more.
    #[expect(
        clippy::should_implement_trait,
        reason = "it is fallible and borrows nothing; an Iterator of Results is no easier to use"
    )]
    pub fn next(&mut self) -> Result<Option<Applied>, OpenError> {
        loop {
            let Some(segment) = &mut self.current else {
                let Some(found) = self.segments.pop_front() else {
                    let mut writer = self.inner.writer.lock();
                    if writer.mode == Mode::Replaying {
                        writer.mode = Mode::Open;
                    }
                    return Ok(None);
                };
                self.current = Some(self.inner.read_segment(found)?);
                continue;
            };
            let Some(place) = segment.places.next() else {
                self.current = None;
                continue;
            };
            let payload = place.payload(&segment.bytes);
            let (seq, at) = (place.header.seq, place.header.at);
            let applied = match place.header.kind {
                EntryKind::Tick => Applied::Tick { seq, at },
                EntryKind::Note => Applied::Note { seq, at, bytes: payload.to_vec() },
                EntryKind::Exemplars | EntryKind::Metadata | EntryKind::Delete => {
                    let (applied, done) = self.inner.replay_beside(place.header.kind, payload, (seq, at));
                    if let Err(damaged) = done {
                        let file = segment_path(&self.inner.files.wal, segment.number);
                        self.report.note(file.display(), format!("entry {} is lost: {damaged}", seq.0));
                    }
                    applied
                }
                EntryKind::Transaction => {
                    let committed = self.inner.replay_transaction(payload, &mut self.aliases, place.header);
                    Applied::Transaction(committed.tell(&self.inner, segment.number, &mut self.report))
                }
            };
            self.inner.show_replayed(place);
            if seq > self.attachments.seq {
                self.report.entries += 1;
                return Ok(Some(applied));
            }
        }
    }
}

/// A transaction as replayed, and what of it could not be.
struct Replayed {
    committed: Committed,
    /// Samples of series that nothing explains.
    unknown: usize,
    faults: Vec<String>,
}

impl Replayed {
    /// Takes what is lost into the report.
    fn tell(self, inner: &Inner, segment: u64, report: &mut RecoveryReport) -> Committed {
        let seq = self.committed.seq.0;
        report.samples += (self.committed.samples.len() + self.committed.histograms.len()) as u64;
        report.samples_lost += self.unknown as u64;
        let lost = (self.unknown > 0)
            .then(|| format!("{} samples of entry {seq} are lost with the labels of their series", self.unknown));
        for what in self.faults.into_iter().chain(lost) {
            report.note(segment_path(&inner.files.wal, segment).display(), what);
        }
        self.committed
    }
}

impl Inner {
    fn read_segment(&self, found: FoundSegment) -> Result<ReplaySegment, OpenError> {
        let path = segment_path(&self.files.wal, found.number);
        let bytes = self.files.disk.read(&path)?;
        let scanned = scan(&bytes, found.number, found.last)
            .map_err(|version| OpenError::Version { file: path.display().to_string(), version })?;
        Ok(ReplaySegment { number: found.number, bytes, places: scanned.records.into_iter() })
    }

    fn show_replayed(&self, place: Place) {
        let mut writer = self.writer.lock();
        writer.log_bytes += place.bytes();
        writer.seq = writer.seq.max(place.header.seq);
        writer.at = writer.at.max(place.header.at);
        writer.durable = writer.seq;
        let mut shown = self.shown.write();
        (shown.seq, shown.at) = (writer.seq, writer.at);
    }

    fn replay_transaction(
        &self,
        payload: &[u8],
        aliases: &mut HashMap<u32, SeriesRef>,
        header: RecordHeader,
    ) -> Replayed {
        let RecordHeader { seq, at, .. } = header;
        let committed = Committed {
            seq,
            at,
            new_series: vec![],
            samples: vec![],
            histograms: vec![],
            starts: vec![],
            coarsened: 0,
            rejected: Rejected::default(),
        };
        let mut replayed = Replayed { committed, unknown: 0, faults: Vec::new() };
        let mut writer = self.writer.lock();
        let writer = &mut *writer;
        let decoded = Transaction::split(payload).and_then(|transaction| {
            self.replay_series(transaction, writer, aliases, &mut replayed)?;
            transaction.samples(at, &mut replayed.committed.samples)?;
            transaction.histograms(at, &mut replayed.committed.histograms)?;
            replayed.committed.starts = transaction.changes()?;
            Ok(())
        });
        if let Err(damaged) = decoded {
            replayed.committed.samples.clear();
            replayed.committed.histograms.clear();
            replayed.committed.starts.clear();
            replayed.faults.push(format!("entry {} is lost: {damaged}", seq.0));
        }
        let (mut unknown, new_series) = (0, &mut replayed.committed.new_series);
        let index = self.index.lock.read();
        // Whether the series of something is known; if so, what is to be seen of it is.
        let mut meet = |series: &mut SeriesRef, seen: Seen| {
            if let Some(known) = (!aliases.is_empty()).then(|| aliases.get(&(series.0 as u32))).flatten() {
                *series = *known;
            } else if !writer.states.get(*series).is_some_and(|state| state.explained) {
                unknown += 1;
                return false;
            }
            let state = writer.states.entry(*series);
            state.see_any(seen);
            if !state.met
                && let Some(labels) = index.labels(*series)
            {
                state.met = true;
                new_series.push((*series, labels));
            }
            true
        };
        replayed.committed.samples.retain_mut(|(series, sample)| meet(series, Seen::Number(*sample)));
        replayed.committed.histograms.retain_mut(|(series, sample)| meet(series, Seen::Histogram(sample.t)));
        drop(index);
        replayed.unknown = unknown;
        replayed.committed.starts.retain_mut(|change| match aliases.get(&(change.series.0 as u32)) {
            Some(known) => {
                change.series = *known;
                true
            }
            None => writer.states.get(change.series).is_some_and(|state| state.explained),
        });
        self.keep_starts(&replayed.committed.starts, at);
        let live = Arc::clone(&self.shown.read().view.live);
        live.append(seq, &replayed.committed.samples);
        live.append_histograms(seq, &replayed.committed.histograms);
        let mut status = self.status.lock();
        status.see_samples(&replayed.committed.samples);
        status.see_histograms(&replayed.committed.histograms);
        replayed
    }

    /// Takes note of the series that an entry explains.
    fn replay_series(
        &self,
        transaction: Transaction<'_>,
        writer: &mut Writer,
        aliases: &mut HashMap<u32, SeriesRef>,
        replayed: &mut Replayed,
    ) -> Result<(), Damaged> {
        let mut index = self.index.lock.write();
        transaction.series(|number, text| {
            let labels = match Labels::from_text(text) {
                Ok(labels) => labels,
                Err(error) => {
                    let what =
                        format!("series {number}, explained by entry {}, is lost: {error}", replayed.committed.seq.0);
                    return replayed.faults.push(what);
                }
            };
            let series = SeriesRef(u64::from(number));
            match index.find(&labels) {
                // A block has it, or it was explained anew after damage.
                Some(known) if known != series => {
                    aliases.insert(number, known);
                    return;
                }
                Some(_) => {}
                None => index.insert(series, &labels),
            }
            aliases.remove(&number);
            writer.states.entry(series).explained = true;
            writer.explained.push(number);
        })
    }
}
