//! Reading the log back, one entry at a time, and what was found on the way.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use crate::model::{Committed, Labels, Rejected, Seq, SeriesRef, Timestamp};

use super::commit::Mode;
use super::manifest::Attachments;
use super::open::OpenError;
use super::store::{Applied, Inner};
use super::wal::{EntryKind, Place, Transaction, segment_path};

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
    /// Samples replayed.
    pub samples: u64,
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
    pub(super) inner: Arc<Inner>,
    pub(super) report: RecoveryReport,
    pub(super) attachments: Attachments,
    /// Segments that were not begun yet, with the places of their records.
    pub(super) segments: VecDeque<(u64, Vec<Place>)>,
    pub(super) current: Option<ReplaySegment>,
}

/// The segment being replayed.
pub(super) struct ReplaySegment {
    number: u64,
    bytes: Vec<u8>,
    places: VecDeque<Place>,
    /// The segment's numbers of series, and the store's.
    series: HashMap<u32, (SeriesRef, Labels)>,
}

impl Replay {
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
                let Some((number, places)) = self.segments.pop_front() else {
                    let mut writer = self.inner.writer.lock();
                    if writer.mode == Mode::Replaying {
                        writer.mode = Mode::Open;
                    }
                    return Ok(None);
                };
                let bytes =
                    self.inner.files.disk.read(&segment_path(&self.inner.files.wal, number)).map_err(OpenError::Io)?;
                let series = HashMap::new();
                self.current = Some(ReplaySegment { number, bytes, places: places.into(), series });
                continue;
            };
            let Some(place) = segment.places.pop_front() else {
                self.current = None;
                continue;
            };
            let applied = self.inner.replay(segment, place, &mut self.report);
            if place.header.seq > self.attachments.seq {
                self.report.entries += 1;
                return Ok(Some(applied));
            }
        }
    }
}

impl Inner {
    fn replay(&self, segment: &mut ReplaySegment, place: Place, report: &mut RecoveryReport) -> Applied {
        let (seq, at) = (place.header.seq, place.header.at);
        let applied = match place.header.kind {
            EntryKind::Tick => Applied::Tick { seq, at },
            EntryKind::Note => Applied::Note { seq, at, bytes: place.payload(&segment.bytes).to_vec() },
            EntryKind::Transaction => Applied::Transaction(self.replay_transaction(segment, place, report)),
            EntryKind::Exemplars | EntryKind::Metadata | EntryKind::Delete => {
                let (applied, done) = self.replay_beside(place.header.kind, place.payload(&segment.bytes), (seq, at));
                if let Err(damaged) = done {
                    let file = segment_path(&self.files.wal, segment.number);
                    report.note(file.display(), format!("entry {} is lost: {damaged}", seq.0));
                }
                applied
            }
        };
        let mut writer = self.writer.lock();
        writer.log_bytes += place.length as u64;
        writer.seq = writer.seq.max(seq);
        writer.at = writer.at.max(at);
        let mut shown = self.shown.write();
        (shown.seq, shown.at) = (writer.seq, writer.at);
        applied
    }

    fn replay_transaction(&self, segment: &mut ReplaySegment, place: Place, report: &mut RecoveryReport) -> Committed {
        let (seq, at) = (place.header.seq, place.header.at);
        let mut committed =
            Committed { seq, at, new_series: Vec::new(), samples: Vec::new(), rejected: Rejected::default() };
        let file = segment_path(&self.files.wal, segment.number);
        let transaction = match Transaction::decode(place.payload(&segment.bytes), at) {
            Ok(transaction) => transaction,
            Err(damaged) => {
                report.note(file.display(), format!("entry {} is lost: {damaged}", seq.0));
                return committed;
            }
        };
        let mut writer = self.writer.lock();
        let mut index = self.index.lock.write();
        for (id, text) in transaction.series {
            match Labels::from_text(text) {
                Ok(labels) => {
                    segment.series.insert(id, (index.intern(&labels), labels));
                }
                Err(error) => report.note(file.display(), format!("a series of entry {} is lost: {error}", seq.0)),
            }
        }
        drop(index);
        let mut unknown = 0;
        for (id, sample) in transaction.samples {
            let Some((series, labels)) = segment.series.get(&id) else {
                unknown += 1;
                continue;
            };
            let state = writer.states.entry(*series);
            state.see(sample);
            if !state.met {
                state.met = true;
                committed.new_series.push((*series, labels.clone()));
            }
            committed.samples.push((*series, sample));
        }
        if unknown > 0 {
            let what = format!("{unknown} samples of entry {} are lost with the labels of their series", seq.0);
            report.note(file.display(), what);
        }
        drop(writer);
        let live = Arc::clone(&self.shown.read().view.live);
        live.append(seq, &committed.samples);
        let mut status = self.status.lock();
        committed.samples.iter().for_each(|(_, sample)| status.see_sample(sample.t));
        report.samples += committed.samples.len() as u64;
        committed
    }
}
