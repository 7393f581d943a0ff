//! The write path: many senders, one writer at a time, one sync for all who wait.
//!
//! A sender puts its entry into the queue and takes the writer's lock. Whoever gets the lock
//! commits everything that waits, its own entry among it, and fills in the others' results; they
//! find them when the lock comes to them. So a lone sender pays no hand-over to another thread,
//! and a crowd shares its syncs.
//!
//! Invariants:
//! - An entry is answered exactly once, after it is durable and the rules have seen it.
//! - The queue is bounded; a full one answers at once.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::env::disk::Disk;
use crate::env::{Clock, Transport};
use crate::model::{Batch, MetricMetadata, Millis, RawBatch, Rejected, Seq, SeriesExemplar, Timestamp, limits};
use crate::notify::Notifier;
use crate::storage::{Entry, ExemplarCounts, Health, MaintainError, Store};

use super::core::Core;
use super::error::AppendError;
use super::status::Counters;
use super::wake::Bell;

/// How long the timer waits before it logs again what the disk refused.
const TICK_RETRY: Millis = Millis::seconds(1);

/// What became of a batch that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt {
    /// Its place in the log.
    pub seq: Seq,
    /// The log's time when it was taken.
    pub at: Timestamp,
    /// Samples stored.
    pub stored: usize,
    /// Samples refused, by reason.
    pub rejected: Rejected,
    /// What became of the exemplars that came beside the samples.
    pub exemplars: ExemplarCounts,
}

/// What comes with samples: it shares their sync.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Beside {
    /// Exemplars, of series of the batch or of others.
    pub exemplars: Vec<SeriesExemplar>,
    /// What metric families are.
    pub metadata: Vec<MetricMetadata>,
}

impl Beside {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.exemplars.is_empty() && self.metadata.is_empty()
    }

    /// Refuses what no log record can hold, as [`check_size`] does.
    fn check(&self) -> Result<(), AppendError> {
        /// Lengths, time and value beside the labels.
        const EXEMPLAR_BYTES: usize = 40;
        /// Lengths and type beside the texts.
        const METADATA_BYTES: usize = 32;
        let exemplars = self
            .exemplars
            .iter()
            .map(|one| one.series.as_text().len() + one.exemplar.labels.as_text().len() + EXEMPLAR_BYTES);
        let metadata =
            self.metadata.iter().map(|one| one.family.len() + one.help.len() + one.unit.len() + METADATA_BYTES);
        let bytes = exemplars.sum::<usize>().max(metadata.sum());
        if bytes <= limits::LOG_RECORD_BYTES_MAX {
            return Ok(());
        }
        Err(AppendError::Invalid(format!(
            "exemplars or metadata of {bytes} bytes; at most {} are taken, so send them in parts",
            limits::LOG_RECORD_BYTES_MAX
        )))
    }

    fn entries(self) -> Vec<Entry> {
        let exemplars = (!self.exemplars.is_empty()).then_some(Entry::Exemplars(self.exemplars));
        let metadata = (!self.metadata.is_empty()).then_some(Entry::Metadata(self.metadata));
        exemplars.into_iter().chain(metadata).collect()
    }
}

/// Everything that the handles of one database share.
pub(super) struct Inner {
    pub(super) store: Store,
    pub(super) notifier: Notifier,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) disk: Arc<dyn Disk>,
    /// The directory of everything.
    pub(super) dir: PathBuf,
    pub(super) core: Mutex<Core>,
    pub(super) counters: Counters,
    /// Rung when an earlier deadline may have come up.
    pub(super) timer: Bell,
    /// Rung when there is something to deliver, one for each deliverer: while one waits for a slow
    /// receiver, another speaks with the rest.
    pub(super) delivery: [Bell; 2],
    /// Rung when the log has grown enough for a checkpoint.
    pub(super) upkeep: Bell,
    /// Only closed: paces the background work on blocks.
    pub(super) pace: Bell,
    /// Bytes a second that it writes; 0 for any number.
    pub(super) compaction_bytes_per_second: u64,
    /// Only closed: paces the syncs of `Durability::Interval`.
    pub(super) sync: Bell,
    pub(super) started_at: Timestamp,
    queue: Mutex<VecDeque<Waiting>>,
}

/// An entry in the queue with the place for its result.
pub(super) struct Waiting {
    pub(super) entry: Entry,
    pub(super) slot: Arc<Slot>,
}

/// The place for one result.
#[derive(Default)]
pub(super) struct Slot(Mutex<Option<Result<Receipt, AppendError>>>);

impl Slot {
    pub(super) fn fill(&self, result: Result<Receipt, AppendError>) {
        *self.0.lock() = Some(result);
    }

    fn take(&self) -> Option<Result<Receipt, AppendError>> {
        self.0.lock().take()
    }
}

/// What [`Inner`] is made of, besides what it makes itself.
pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) notifier: Notifier,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) core: Core,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) compaction_bytes_per_second: u64,
}

/// Refuses a batch that no log record can hold, before it fails the group that it would share.
fn check_size(label_bytes: usize, series: usize, samples: usize) -> Result<(), AppendError> {
    /// At most two lengths of ten bytes beside each label set.
    const SERIES_BYTES: usize = 20;
    /// At most ten bytes each for the series and the time, and eight for the value.
    const SAMPLE_BYTES: usize = 28;
    let bytes = label_bytes + series * SERIES_BYTES + samples * SAMPLE_BYTES;
    if bytes <= limits::LOG_RECORD_BYTES_MAX {
        return Ok(());
    }
    Err(AppendError::Invalid(format!(
        "a transaction of {samples} samples takes up to {bytes} bytes in the log; at most {} are taken, so send it in parts",
        limits::LOG_RECORD_BYTES_MAX
    )))
}

impl Inner {
    pub(super) fn new(parts: Parts) -> Inner {
        let started_at = Timestamp(parts.clock.now_ms());
        Inner {
            store: parts.store,
            notifier: parts.notifier,
            clock: parts.clock,
            transport: parts.transport,
            disk: parts.disk,
            dir: parts.dir,
            core: Mutex::new(parts.core),
            counters: Counters::default(),
            timer: Bell::default(),
            delivery: Default::default(),
            upkeep: Bell::default(),
            pace: Bell::default(),
            compaction_bytes_per_second: parts.compaction_bytes_per_second,
            sync: Bell::default(),
            started_at,
            queue: Mutex::new(VecDeque::new()),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp(self.clock.now_ms())
    }

    pub(super) fn wake_delivery(&self) {
        self.delivery.iter().for_each(Bell::ring);
    }

    pub(super) fn append(&self, batch: Batch, beside: Beside) -> Result<Receipt, AppendError> {
        let label_bytes = batch.series().iter().map(|labels| labels.as_text().len()).sum();
        let fits = check_size(label_bytes, batch.series().len(), batch.samples().len());
        self.take(fits, Entry::Transaction(batch), beside)
    }

    pub(super) fn write(&self, batch: RawBatch, beside: Beside) -> Result<Receipt, AppendError> {
        let fits = check_size(batch.label_bytes(), batch.series_count(), batch.sample_count());
        self.take(fits, Entry::Write(batch), beside)
    }

    fn take(&self, fits: Result<(), AppendError>, entry: Entry, beside: Beside) -> Result<Receipt, AppendError> {
        let begun = self.clock.elapsed();
        let result = fits.and_then(|()| beside.check()).and_then(|()| {
            let mut entries = beside.entries();
            let nothing = match &entry {
                Entry::Transaction(batch) => batch.is_empty(),
                Entry::Write(batch) => batch.series_count() == 0,
                _ => false,
            };
            // What comes alone needs no empty transaction before it.
            if !nothing || entries.is_empty() {
                entries.insert(0, entry);
            }
            self.submit_all(entries)
        });
        self.counters.appended(&result, self.clock.elapsed().saturating_sub(begun));
        result
    }

    /// Queues an entry and sees it through.
    pub(super) fn submit(&self, entry: Entry) -> Result<Receipt, AppendError> {
        self.submit_all(vec![entry])
    }

    /// Queues an entry and what comes with it, and sees them through. The answer is that of the first
    /// entry, unless another failed.
    fn submit_all(&self, entries: Vec<Entry>) -> Result<Receipt, AppendError> {
        let slots: Vec<Arc<Slot>> = entries.iter().map(|_| Arc::default()).collect();
        {
            let mut queue = self.queue.lock();
            if queue.len() + entries.len() > limits::WRITE_QUEUE_MAX {
                return Err(AppendError::Full { waiting: queue.len() });
            }
            queue
                .extend(entries.into_iter().zip(&slots).map(|(entry, slot)| Waiting { entry, slot: Arc::clone(slot) }));
        }
        let mut answers = slots.iter().map(|slot| self.see_through(slot));
        let mut first = answers.next().unwrap_or(Err(AppendError::Full { waiting: 0 }));
        for answer in answers {
            match (&mut first, answer) {
                (Ok(receipt), Ok(other)) => receipt.exemplars.add(other.exemplars),
                (Ok(_), Err(error)) => first = Err(error),
                (Err(_), _) => {}
            }
        }
        first
    }

    /// Commits what waits until this slot is filled.
    fn see_through(&self, slot: &Slot) -> Result<Receipt, AppendError> {
        let mut core = self.core.lock();
        loop {
            if let Some(result) = slot.take() {
                return result;
            }
            let group: Vec<Waiting> = {
                let mut queue = self.queue.lock();
                let n = queue.len().min(limits::GROUP_COMMIT_MAX);
                queue.drain(..n).collect()
            };
            core.commit(self, group);
        }
    }

    /// Whether somebody waits for an entry to be committed.
    pub(super) fn is_busy(&self) -> bool {
        !self.queue.lock().is_empty()
    }

    /// Writes what a checkpoint froze, compacts, and drops what is past its retention.
    pub(super) fn upkeep_step(&self, pace: &mut dyn FnMut(u64)) {
        if matches!(self.store.status().health, Health::ReadOnly { .. }) {
            // Nobody may be writing; whether the disk takes entries again is asked here.
            self.core.lock().tick(self, self.now());
        }
        let done = self.store.finish_checkpoint().and_then(|()| self.store.maintain_paced(self.now(), pace));
        match done {
            Ok(report) if !report.is_empty() => tracing::info!("{report}"),
            Ok(_) => {}
            Err(error @ MaintainError::Interrupted) => tracing::debug!("{error}"),
            Err(error) => tracing::error!("upkeep failed and is tried again: {error}"),
        }
    }

    /// Lets time pass up to now; gives the next deadline.
    pub(super) fn tick_if_due(&self) -> Option<Timestamp> {
        let mut core = self.core.lock();
        let now = self.now();
        if core.next_deadline().is_some_and(|due| due <= now) {
            core.pass_time(self, now);
            core.after(self);
        }
        // What is still due could not be logged: the disk gets a moment, not an endless loop.
        core.next_deadline().map(|due| if due <= now { now + TICK_RETRY } else { due })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Db, DbOptions, Threads, Watch};
    use crate::env::ManualClock;
    use crate::env::disk::MemoryDisk;
    use crate::model::{Labels, Sample};
    use crate::rules::{AlertingRule, Rule, RuleGroup};

    #[test]
    fn a_deadline_that_cannot_be_logged_is_tried_again_later() {
        let (disk, clock) = (MemoryDisk::new(), Arc::new(ManualClock::new(1_000_000)));
        let mut options = DbOptions::new("/db");
        (options.disk, options.clock) = (Arc::new(disk.clone()), Arc::clone(&clock) as _);
        (options.threads, options.watch) = (Threads::None, Watch { groups: vec![group()], ..Watch::default() });
        let db = Db::open(options).unwrap();
        let mut batch = Batch::new();
        batch.push(Labels::new([("__name__", "up")]).unwrap(), Sample { t: Timestamp(1_000_000), v: 0.0 });
        db.append(batch).unwrap();
        let due = db.inner.tick_if_due().unwrap();
        assert_eq!(due, Timestamp(1_060_000), "`for` is over");
        clock.set(due.0);
        disk.set_capacity(Some(disk.used_bytes()));
        for _ in 0..3 {
            assert_eq!(db.inner.tick_if_due(), Some(due + TICK_RETRY));
        }
        disk.set_capacity(None);
        assert!(db.inner.tick_if_due().unwrap() > due);
        assert!(db.alerts()[0].fired_at == Some(due), "the deadline is passed at its own instant");
    }

    fn group() -> RuleGroup {
        let rule = AlertingRule {
            alert: "Down".to_owned(),
            expr: crate::promql::parse("up == 0").unwrap(),
            hold: Millis::minutes(1),
            keep_firing: Millis::ZERO,
            labels: Vec::new(),
            annotations: Vec::new(),
        };
        RuleGroup {
            name: "g".to_owned(),
            file: "g.yml".to_owned(),
            interval: Millis::minutes(1),
            limit: 0,
            query_offset: Millis::ZERO,
            labels: Labels::empty(),
            rules: vec![Rule::Alerting(rule)],
        }
    }
}
