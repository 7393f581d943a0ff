//! Taking entries: decide, write, sync, show; all of a group or nothing of it.
//!
//! Invariants:
//! - What is shown is in the log as durably as the options ask.
//! - A group that fails leaves no trace: not in the log, not in the head, not in any counter of order.
//! - After a failed sync nobody knows what the disk holds, so nothing more is written.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Weak};

use crate::model::limits::{LOG_RECORD_BYTES_MAX, TOMBSTONES_MAX};
use crate::model::{Seq, SeriesRef, Timestamp};

use super::admit::{Fresh, Resolved};
use super::beside::{Beside, Staged};
use super::changes::Touched;
use super::content::Stored;
use super::head::Generation;
use super::options::Durability;
use super::retire::Sweep;
use super::series::{SeriesState, SeriesStates};
use super::starts::NewStarts;
use super::status::Health;
use super::store::{Applied, Entry, Inner, Store};
use super::wal::{Encoder, EntryKind, NewSegment, RecordHeader, Segment, WriteError, allocated_bytes};

/// Why nothing of a group was taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// There is no room on the disk.
    #[error("the disk is full: {reason}; writes resume by themselves when there is room")]
    DiskFull {
        /// What the disk said.
        reason: String,
    },
    /// The disk refused for another reason; nothing was written.
    #[error("the log cannot be written: {reason}; the next write tries again")]
    Refused {
        /// What the disk said.
        reason: String,
    },
    /// The log is in doubt; nothing is written until the store is opened again.
    #[error("the log is in doubt since {reason}; restart to read back what is stored")]
    Poisoned {
        /// What happened.
        reason: String,
    },
    /// The log has not been replayed to its end.
    #[error("the log is still being replayed; write when that is done")]
    Replaying,
    /// One entry is larger than a record may be.
    #[error("one entry takes {bytes} bytes; at most {LOG_RECORD_BYTES_MAX} are taken, so send it in parts")]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
    /// As many deletes wait as may.
    #[error("{TOMBSTONES_MAX} deletes wait to be worked off already; have them cleaned, then delete again")]
    TooManyDeletes,
}

/// Whether entries are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    /// Not yet.
    Replaying,
    /// Yes.
    Open,
    /// No more.
    Poisoned(String),
}

/// The one writer's state.
pub(super) struct Writer {
    pub(super) mode: Mode,
    pub(super) seq: Seq,
    pub(super) at: Timestamp,
    /// The segment that is written; none before the first entry and after a checkpoint began.
    pub(super) segment: Option<Segment>,
    pub(super) next_segment: u64,
    /// The next number that a series gets.
    pub(super) next_series: u32,
    /// Series explained in the log since the last checkpoint began.
    pub(super) explained: Vec<u32>,
    pub(super) states: SeriesStates,
    /// Bytes logged since the last checkpoint began.
    pub(super) log_bytes: u64,
    pub(super) encoder: Encoder,
    /// The log's time at the first entry since the store was opened.
    pub(super) opened_at: Option<Timestamp>,
    /// Generations that were live before this one, as long as somebody reads them.
    pub(super) generations: Vec<Weak<Generation>>,
    pub(super) sweep: Sweep,
    /// The last entry that is known to be durable.
    pub(super) durable: Seq,
    /// Of the batch at hand. Kept for its memory.
    pub(super) resolved: Resolved,
    /// [`Stage::saved`] between two groups, empty. Kept for its memory.
    saved: Vec<(SeriesRef, SeriesState)>,
    /// [`Stage::touched`] between two groups. Kept for its memory.
    touched: Touched,
}

/// Entries of vectors that are kept for their memory: one large batch must not keep its own for ever.
pub(super) const KEPT_MAX: usize = 1 << 16;

/// What a group has changed in the writer, for taking it back, and what it will show.
pub(super) struct Stage {
    seq: Seq,
    at: Timestamp,
    /// Series from this number on are new in the group.
    pub(super) next_series: u32,
    explained: usize,
    /// States before each change, in order.
    pub(super) saved: Vec<(SeriesRef, SeriesState)>,
    pub(super) fresh: Fresh,
    /// What the group has stored so far, from the first one on that is late and to be compared with it.
    pub(super) values: Option<HashMap<(SeriesRef, Timestamp), Stored>>,
    pub(super) applied: Vec<Applied>,
    pub(super) touched: Touched,
    pub(super) starts: NewStarts,
    beside: Vec<Beside>,
}

impl Writer {
    pub(super) fn new(
        (seq, at): (Seq, Timestamp),
        next_segment: u64,
        next_series: u32,
        states: SeriesStates,
    ) -> Writer {
        Writer {
            mode: Mode::Replaying,
            seq,
            at,
            segment: None,
            next_segment,
            next_series,
            explained: Vec::new(),
            states,
            log_bytes: 0,
            encoder: Encoder::default(),
            opened_at: None,
            generations: Vec::new(),
            sweep: Sweep::default(),
            durable: seq,
            resolved: Resolved::default(),
            saved: Vec::new(),
            touched: Touched::default(),
        }
    }

    pub(super) fn check_open(&self) -> Result<(), CommitError> {
        match &self.mode {
            Mode::Open => Ok(()),
            Mode::Replaying => Err(CommitError::Replaying),
            Mode::Poisoned(reason) => Err(CommitError::Poisoned { reason: reason.clone() }),
        }
    }

    fn take_back(&mut self, stage: Stage) {
        if let Some(segment) = &mut self.segment {
            segment.unstage();
        }
        // A state may have changed several times; the first one saved is the one before the group.
        for (series, state) in stage.saved.into_iter().rev() {
            *self.states.entry(series) = state;
        }
        for number in stage.next_series..self.next_series {
            self.states.remove(SeriesRef(u64::from(number)));
        }
        (self.seq, self.at, self.next_series) = (stage.seq, stage.at, stage.next_series);
        self.explained.truncate(stage.explained);
    }
}

impl Store {
    /// Takes a group of entries at clock time `at`: one record for each, one write and one sync for
    /// all. Samples that break a rule are left out and told in [`Committed::rejected`](crate::model::Committed::rejected). A group of
    /// ticks alone is not synced: nobody was promised anything. Whoever acts on one calls
    /// [`Store::sync`] first.
    ///
    /// # Errors
    /// Nothing of the group is stored. After [`CommitError::Poisoned`] from a sync that failed, the
    /// group may be found in the log when the store is opened again.
    pub fn commit(&self, at: Timestamp, group: Vec<Entry>) -> Result<Vec<Applied>, CommitError> {
        let mut writer = self.inner.writer.lock();
        writer.check_open()?;
        if group.is_empty() {
            return Ok(Vec::new());
        }
        let applied = self.inner.commit(&mut writer, at, group);
        let mut status = self.inner.status.lock();
        let health = match &applied {
            Ok(_) => Health::Healthy,
            Err(CommitError::Poisoned { reason }) => Health::Poisoned { reason: reason.clone() },
            Err(CommitError::TooLarge { .. } | CommitError::TooManyDeletes | CommitError::Replaying) => return applied,
            Err(error) => Health::ReadOnly { reason: error.to_string() },
        };
        status.set_health(health, at);
        drop(status);
        applied
    }

    /// Makes everything committed durable; for [`Durability::Interval`].
    ///
    /// # Errors
    /// [`CommitError::Poisoned`]: the sync failed, now or earlier.
    pub fn sync(&self) -> Result<(), CommitError> {
        let mut writer = self.inner.writer.lock();
        writer.check_open()?;
        self.inner.sync_log(&mut writer)
    }
}

impl Inner {
    fn commit(&self, writer: &mut Writer, at: Timestamp, group: Vec<Entry>) -> Result<Vec<Applied>, CommitError> {
        self.provide_segment(writer)?;
        let mut stage = Stage {
            seq: writer.seq,
            at: writer.at,
            next_series: writer.next_series,
            explained: writer.explained.len(),
            saved: std::mem::take(&mut writer.saved),
            fresh: Fresh::default(),
            values: None,
            applied: Vec::with_capacity(group.len()),
            touched: std::mem::take(&mut writer.touched),
            starts: NewStarts::default(),
            beside: Vec::new(),
        };
        writer.at = writer.at.max(at);
        stage.touched.begin(writer.at);
        let written = self.stage_and_write(writer, &mut stage, group);
        match written {
            Ok(()) => {
                self.apply(&mut stage, writer);
                writer.opened_at.get_or_insert(writer.at);
                stage.saved.clear();
                stage.saved.shrink_to(KEPT_MAX);
                writer.saved = stage.saved;
                writer.touched = stage.touched;
                Ok(stage.applied)
            }
            Err(error) => {
                writer.take_back(stage);
                Err(error)
            }
        }
    }

    fn stage_and_write(&self, writer: &mut Writer, stage: &mut Stage, group: Vec<Entry>) -> Result<(), CommitError> {
        let only_ticks = group.iter().all(|entry| matches!(entry, Entry::Tick));
        for entry in group {
            self.stage(writer, stage, entry)?;
        }
        let Some(segment) = &mut writer.segment else { return Err(CommitError::Replaying) };
        let staged = segment.staged_bytes() as u64;
        // What fits into the file has its room already.
        match segment.missing_bytes() {
            0 => {}
            missing => self.look_for_room(missing)?,
        }
        match segment.write() {
            Ok(()) => {}
            Err(WriteError::Refused(error)) => return Err(refusal(&error)),
            Err(WriteError::Broken(error)) => {
                return Err(self.poison(writer, "a write could not be taken back", &error));
            }
        }
        writer.log_bytes += staged;
        let mut log = self.log.lock();
        log.segments.insert(segment.number(), segment.bytes());
        drop(log);
        match self.options.durability {
            Durability::Synced if !only_ticks => self.sync_log(writer),
            Durability::Synced | Durability::Interval(_) | Durability::Buffered => Ok(()),
        }
    }

    /// Asks the disk whether it has room for `wanted` bytes besides the reserve.
    fn look_for_room(&self, wanted: u64) -> Result<(), CommitError> {
        let available = self.files.disk.available_bytes(&self.files.dir).unwrap_or(u64::MAX);
        let reserve = self.options.reserve_bytes;
        if available >= wanted.saturating_add(reserve) {
            return Ok(());
        }
        let reason = format!("{available} bytes are free, {wanted} and a reserve of {reserve} are needed");
        Err(CommitError::DiskFull { reason })
    }

    /// Makes sure that there is a segment with room; the one before it is durable then.
    fn provide_segment(&self, writer: &mut Writer) -> Result<(), CommitError> {
        let full = writer.segment.as_ref().is_some_and(|s| s.bytes() >= self.options.segment_bytes_max);
        if full {
            self.sync_log(writer)?;
        }
        if full || writer.segment.is_none() {
            let new = NewSegment {
                wal: &self.files.wal,
                number: writer.next_segment,
                bytes_max: self.options.segment_bytes_max,
            };
            let spare = self.log.lock().spares.pop();
            if spare.is_none() {
                self.look_for_room(allocated_bytes(new.bytes_max))?;
            }
            let segment = Segment::create(&*self.files.disk, new, spare).map_err(|error| refusal(&error))?;
            self.log.lock().segments.insert(segment.number(), segment.bytes());
            writer.next_segment += 1;
            writer.segment = Some(segment);
        }
        Ok(())
    }

    /// Syncs the log if anything in it is not durable yet.
    pub(super) fn sync_log(&self, writer: &mut Writer) -> Result<(), CommitError> {
        let Some(segment) = writer.segment.as_mut().filter(|segment| segment.unsynced()) else { return Ok(()) };
        let synced = segment.sync();
        self.status.lock().fsyncs += 1;
        if synced.is_ok() {
            writer.durable = writer.seq;
        }
        synced.map_err(|error| self.poison(writer, "a sync failed", &error))
    }

    fn poison(&self, writer: &mut Writer, what: &str, error: &io::Error) -> CommitError {
        let reason = format!("{what}: {error}");
        tracing::error!(reason, "the log takes no more writes");
        writer.mode = Mode::Poisoned(reason.clone());
        self.status.lock().set_health(Health::Poisoned { reason: reason.clone() }, writer.at);
        CommitError::Poisoned { reason }
    }

    fn stage(&self, writer: &mut Writer, stage: &mut Stage, entry: Entry) -> Result<(), CommitError> {
        let (seq, at) = (Seq(writer.seq.0 + 1), writer.at);
        let (kind, note) = match entry {
            Entry::Transaction(batch) => {
                let committed = self.admit(writer, stage, &batch, seq);
                stage.applied.push(Applied::Transaction(committed));
                (EntryKind::Transaction, None)
            }
            Entry::Write(batch) => {
                let committed = self.admit(writer, stage, &batch, seq);
                stage.applied.push(Applied::Transaction(committed));
                (EntryKind::Transaction, None)
            }
            Entry::Tick => {
                stage.applied.push(Applied::Tick { seq, at });
                (EntryKind::Tick, Some(Vec::new()))
            }
            Entry::Note(bytes) => (EntryKind::Note, Some(bytes)),
            other => {
                if let Entry::Delete { matchers, range } = &other {
                    stage.touched.add_delete(matchers, range.after);
                }
                let Some(Staged { applied, logged }) = self.stage_beside(other, writer.seq, at)? else { return Ok(()) };
                stage.applied.push(applied);
                let Some((kind, payload, beside)) = logged else { return Ok(()) };
                stage.beside.push(beside);
                (kind, Some(payload))
            }
        };
        let payload = note.as_deref().unwrap_or_else(|| writer.encoder.finish());
        if payload.len() > LOG_RECORD_BYTES_MAX {
            return Err(CommitError::TooLarge { bytes: payload.len() });
        }
        if let Some(segment) = &mut writer.segment {
            let unsynced = u32::try_from(writer.seq.0.saturating_sub(writer.durable.0)).unwrap_or(u32::MAX);
            let next_series = writer.next_series;
            segment.stage(RecordHeader { seq, at, kind, next_series, unsynced }, payload);
        }
        if let (EntryKind::Note, Some(bytes)) = (kind, note) {
            stage.applied.push(Applied::Note { seq, at, bytes });
        }
        writer.seq = seq;
        Ok(())
    }

    /// Shows a group that is in the log.
    fn apply(&self, stage: &mut Stage, writer: &mut Writer) {
        if !stage.fresh.is_empty() {
            stage.fresh.show(&mut self.index.lock.write());
        }
        let live = Arc::clone(&self.shown.read().view.live);
        let mut status = self.status.lock();
        for applied in &stage.applied {
            let Applied::Transaction(committed) = applied else { continue };
            status.count_rejected(&committed.rejected);
            status.see_samples(&committed.samples);
            status.samples_appended += committed.samples.len() as u64;
            status.see_histograms(&committed.histograms);
            status.histograms_appended += committed.histograms.len() as u64;
        }
        drop(status);
        for applied in &stage.applied {
            let Applied::Transaction(committed) = applied else { continue };
            live.append(committed.seq, &committed.samples);
            live.append_histograms(committed.seq, &committed.histograms);
        }
        self.keep_starts(&std::mem::take(&mut stage.starts.changes), writer.at);
        std::mem::take(&mut stage.beside).into_iter().for_each(|beside| self.apply_beside(beside, writer));
        if let Some(last) = stage.applied.last() {
            let mut shown = self.shown.write();
            (shown.seq, shown.at) = (last.seq(), last.at());
            // Under the same lock: who sees the group is told of what it touched.
            shown.changes.take(&mut stage.touched);
        }
    }
}

fn refusal(error: &io::Error) -> CommitError {
    let reason = error.to_string();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => CommitError::DiskFull { reason },
        _ => CommitError::Refused { reason },
    }
}
