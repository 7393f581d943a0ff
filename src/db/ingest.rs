//! The write path: many senders, one writer at a time, one sync for all who wait.
//!
//! A sender puts its entry into the queue and takes the writer's lock. Whoever gets the lock
//! commits everything that waits, its own entry among it, and fills in the others' results; they
//! find them when the lock comes to them. So a lone sender pays no hand-over to another thread,
//! and a crowd shares its syncs.
//!
//! A sender that must not block leaves a call to be made with the result. One thread leads: it
//! commits what waits until nothing does. Whoever queues while none leads is told to send one.
//!
//! Invariants:
//! - An entry is answered exactly once, after it is durable and the rules have seen it.
//! - The queue is bounded; a full one answers at once.
//! - While a call waits in the queue, a thread leads or somebody was told to send one.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::confidence::AccuracyTargets;
use crate::env::disk::Disk;
use crate::env::{Clock, Transport};
use crate::model::{
    Batch, DownsampleRule, MetricMetadata, Millis, RawBatch, Rejected, Seq, SeriesExemplar, Timestamp, limits,
};
use crate::notify::Notifier;
use crate::promql::Budget;
use crate::storage::{Entry, ExemplarCounts, Health, MaintainError, Store};

use super::cache::ResultsCache;
use super::core::Core;
use super::episodes::Episodes;
use super::error::AppendError;
use super::inventory::Critical;
use super::judge::{RecentWords, Trust};
use super::program::Program;
use super::scorecard::Goodness;
use super::status::Counters;
use super::threads;
use super::turns::Turns;
use super::verdicts::Verdicts;
use super::versions::Versions;
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
    /// Native histograms stored.
    pub histograms: usize,
    /// How many of them came in a finer schema than is kept.
    pub coarsened: u64,
    /// What was refused, by reason.
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

    /// The entries of a transaction and what comes with it. What comes alone needs no empty transaction
    /// before it.
    fn entries_after(self, first: Entry) -> Vec<Entry> {
        let nothing = match &first {
            Entry::Transaction(batch) => batch.is_empty(),
            Entry::Write(batch) => batch.series_count() == 0,
            _ => false,
        };
        let first = (!nothing || self.is_empty()).then_some(first);
        let exemplars = (!self.exemplars.is_empty()).then_some(Entry::Exemplars(self.exemplars));
        let metadata = (!self.metadata.is_empty()).then_some(Entry::Metadata(self.metadata));
        first.into_iter().chain(exemplars).chain(metadata).collect()
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
    /// Which samples are downsampled: rules must not look back to them.
    pub(super) downsample: Vec<DownsampleRule>,
    /// Only closed: paces the syncs of `Durability::Interval`.
    pub(super) sync: Bell,
    pub(super) started_at: Timestamp,
    /// What was known when.
    pub(super) verdicts: Mutex<Verdicts>,
    /// What fired, and what was wrong.
    pub(super) episodes: Mutex<Episodes>,
    /// Which versions run.
    pub(super) versions: Mutex<Versions>,
    /// The words for everything.
    pub(super) words: Mutex<RecentWords>,
    /// Coverage and what follows from it, when it was last looked at.
    pub(super) trust: Mutex<Option<Trust>>,
    /// Which services are critical.
    pub(super) critical: Mutex<Critical>,
    /// What alerts should reach.
    pub(super) accuracy_targets: Mutex<AccuracyTargets>,
    /// How good alerts were, when that was last looked at.
    pub(super) accuracy: Mutex<Option<(Timestamp, Goodness)>>,
    /// How the program itself is doing.
    pub(super) program: Program,
    /// Rung when something fires or ends: the verdict may be another one.
    pub(super) verdict: Bell,
    /// What queries share.
    pub(super) query_budget: Budget,
    pub(super) turns: Arc<Turns>,
    /// Answers that are kept, if any are.
    pub(super) results: Option<ResultsCache>,
    queue: Mutex<Queue>,
}

/// What waits for the writer.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    led: Led,
}

/// Whether a thread commits what waits until nothing does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Led {
    #[default]
    No,
    Yes,
}

/// What the caller of [`Db::submit`](super::Db::submit) has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "without a leader nothing is committed"]
pub enum Submitted {
    /// Have [`Db::commit_waiting`](super::Db::commit_waiting) called on a thread that may block.
    Lead,
    /// Nothing.
    Follow,
}

/// Called with the result of an entry.
type Done = Box<dyn FnOnce(Result<Receipt, AppendError>) + Send>;

/// An entry in the queue with the place for its result.
pub(super) struct Waiting {
    pub(super) entry: Entry,
    pub(super) slot: Arc<Slot>,
    /// Since when it waits, on the clock's steady time.
    pub(super) queued: Duration,
}

/// The place for one result.
#[derive(Default)]
pub(super) struct Slot {
    result: Mutex<Option<Result<Receipt, AppendError>>>,
    /// Told instead of keeping the result.
    joint: Option<Arc<Joint>>,
}

/// One result of several entries, for a call that is made when all are answered.
struct Joint(Mutex<JointState>);

struct JointState {
    left: usize,
    result: Option<Result<Receipt, AppendError>>,
    done: Option<Done>,
}

impl Slot {
    fn of(joint: &Arc<Joint>) -> Slot {
        Slot { joint: Some(Arc::clone(joint)), ..Slot::default() }
    }

    pub(super) fn fill(&self, result: Result<Receipt, AppendError>) {
        match &self.joint {
            Some(joint) => joint.add(result),
            None => *self.result.lock() = Some(result),
        }
    }

    fn take(&self) -> Option<Result<Receipt, AppendError>> {
        self.result.lock().take()
    }
}

impl Joint {
    fn new(entries: usize, done: Done) -> Joint {
        Joint(Mutex::new(JointState { left: entries, result: None, done: Some(done) }))
    }

    fn add(&self, result: Result<Receipt, AppendError>) {
        let mut state = self.0.lock();
        let result = match state.result.take() {
            Some(first) => joined(first, result),
            None => result,
        };
        state.left = state.left.saturating_sub(1);
        if state.left > 0 {
            state.result = Some(result);
            return;
        }
        let done = state.done.take();
        drop(state);
        if let Some(done) = done {
            done(result);
        }
    }

    /// For entries that were not queued.
    fn fail(&self, error: AppendError) {
        self.0.lock().left = 0;
        self.add(Err(error));
    }
}

/// The result of an entry and of one that came with it: that of the first, unless the second failed.
fn joined(first: Result<Receipt, AppendError>, second: Result<Receipt, AppendError>) -> Result<Receipt, AppendError> {
    let (mut receipt, second) = (first?, second?);
    receipt.exemplars.add(second.exemplars);
    Ok(receipt)
}

/// Gives up the lead if a commit panics, so that the next sender's thread takes it.
struct Leading<'a>(&'a Inner);

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.queue.lock().led = Led::No;
        }
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
    pub(super) results_cache_bytes: u64,
    pub(super) compaction_bytes_per_second: u64,
    pub(super) downsample: Vec<DownsampleRule>,
    pub(super) verdicts: Verdicts,
    pub(super) episodes: Episodes,
}

/// Refuses a batch that no log record can hold, before it fails the group that it would share.
fn check_size(
    label_bytes: usize,
    series: usize,
    samples: usize,
    histograms: impl Iterator<Item = usize>,
) -> Result<(), AppendError> {
    /// At most two lengths of ten bytes beside each label set.
    const SERIES_BYTES: usize = 20;
    /// At most ten bytes each for the series and the time, and eight for the value.
    const SAMPLE_BYTES: usize = 28;
    /// A number of 64 bits takes ten bytes at the most, and eight in memory.
    const HISTOGRAM_SHARE: usize = 2;
    let histogram_bytes = histograms.map(|bytes| HISTOGRAM_SHARE * bytes).sum::<usize>();
    let bytes = label_bytes + series * SERIES_BYTES + samples * SAMPLE_BYTES + histogram_bytes;
    if bytes <= limits::LOG_RECORD_BYTES_MAX {
        return Ok(());
    }
    Err(AppendError::Invalid(format!(
        "a transaction of {samples} samples takes up to {bytes} bytes in the log; at most {} are taken, so send it in parts",
        limits::LOG_RECORD_BYTES_MAX
    )))
}

impl Queue {
    /// Takes entries that share a sync, all of them or none.
    fn push(&mut self, entries: impl ExactSizeIterator<Item = Waiting>) -> Result<(), AppendError> {
        if self.waiting.len() + entries.len() > limits::WRITE_QUEUE_MAX {
            return Err(AppendError::Full { waiting: self.waiting.len() });
        }
        self.waiting.extend(entries);
        Ok(())
    }

    fn next_group(&mut self) -> Vec<Waiting> {
        let n = self.waiting.len().min(limits::GROUP_COMMIT_MAX);
        self.waiting.drain(..n).collect()
    }
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
            downsample: parts.downsample,
            sync: Bell::default(),
            started_at,
            verdicts: Mutex::new(parts.verdicts),
            versions: Mutex::default(),
            episodes: Mutex::new(parts.episodes),
            words: Mutex::default(),
            trust: Mutex::default(),
            critical: Mutex::default(),
            accuracy_targets: Mutex::default(),
            accuracy: Mutex::default(),
            program: Program::default(),
            verdict: Bell::default(),
            query_budget: Budget::new(limits::QUERIES_SAMPLES_MAX),
            turns: Turns::new(threads::processors() / 2),
            results: ResultsCache::new(parts.results_cache_bytes),
            queue: Mutex::default(),
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
        let histograms = batch.histograms().iter().map(|histogram| histogram.sample.histogram.bytes());
        let fits = check_size(label_bytes, batch.series().len(), batch.samples().len(), histograms);
        self.take(fits, Entry::Transaction(batch), beside)
    }

    fn take(&self, fits: Result<(), AppendError>, entry: Entry, beside: Beside) -> Result<Receipt, AppendError> {
        let begun = self.clock.elapsed();
        let result = fits.and_then(|()| beside.check()).and_then(|()| self.submit_all(beside.entries_after(entry)));
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
        let queued = self.clock.elapsed();
        let waiting =
            entries.into_iter().zip(&slots).map(|(entry, slot)| Waiting { entry, slot: Arc::clone(slot), queued });
        self.queue.lock().push(waiting)?;
        let mut answers = slots.iter().map(|slot| self.see_through(slot));
        let first = answers.next().unwrap_or(Err(AppendError::Full { waiting: 0 }));
        answers.fold(first, joined)
    }

    /// Commits what waits until this slot is filled.
    fn see_through(&self, slot: &Slot) -> Result<Receipt, AppendError> {
        let mut core = self.core.lock();
        loop {
            if let Some(result) = slot.take() {
                return result;
            }
            let group = self.queue.lock().next_group();
            core.commit(self, group);
        }
    }

    /// Queues a write and what comes with it; `done` is called with the result.
    pub(super) fn submit_write(self: &Arc<Inner>, batch: RawBatch, beside: Beside, done: Done) -> Submitted {
        let begun = self.clock.elapsed();
        let inner = Arc::clone(self);
        let done = move |result| {
            inner.counters.appended(&result, inner.clock.elapsed().saturating_sub(begun));
            done(result);
        };
        let histograms = batch.histograms().iter().map(|(_, sample)| sample.histogram.bytes());
        let fits = check_size(batch.label_bytes(), batch.series_count(), batch.sample_count(), histograms);
        if let Err(error) = fits.and_then(|()| beside.check()) {
            done(Err(error));
            return Submitted::Follow;
        }
        let entries = beside.entries_after(Entry::Write(batch));
        let joint = Arc::new(Joint::new(entries.len(), Box::new(done)));
        let waiting =
            entries.into_iter().map(|entry| Waiting { entry, slot: Arc::new(Slot::of(&joint)), queued: begun });
        let mut queue = self.queue.lock();
        let pushed = queue.push(waiting);
        let led = queue.led;
        if pushed.is_ok() {
            queue.led = Led::Yes;
        }
        drop(queue);
        match (pushed, led) {
            (Err(error), _) => {
                joint.fail(error);
                Submitted::Follow
            }
            (Ok(()), Led::No) => Submitted::Lead,
            (Ok(()), Led::Yes) => Submitted::Follow,
        }
    }

    /// Commits what waits until nothing does.
    pub(super) fn commit_waiting(&self) {
        let _leading = Leading(self);
        loop {
            let mut core = self.core.lock();
            let group = {
                let mut queue = self.queue.lock();
                let group = queue.next_group();
                if group.is_empty() {
                    queue.led = Led::No;
                    return;
                }
                group
            };
            core.commit(self, group);
        }
    }

    /// Whether somebody waits for an entry to be committed.
    pub(super) fn is_busy(&self) -> bool {
        !self.queue.lock().waiting.is_empty()
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
        self.retire_idle();
        self.audit_step();
    }

    /// Has everybody forget the series that are idle, a few at a time: senders wait meanwhile.
    fn retire_idle(&self) {
        let (mut all, mut more) = (0, true);
        while more {
            let mut core = self.core.lock();
            let retired = self.store.retire();
            if !retired.series.is_empty() {
                core.evaluator.retire(&retired.series);
                core.objectives.retire(&retired.series);
            }
            MutexGuard::unlock_fair(core);
            (all, more) = (all + retired.series.len(), retired.more);
        }
        self.core.lock().evaluator.tidy();
        if all > 0 {
            tracing::info!("{all} idle series left memory; their samples stay");
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
    use crate::model::{Labels, RawBatchBuilder, Sample};
    use crate::rules::{AlertingRule, EvaluationMode, Rule, RuleGroup};

    #[test]
    fn a_deadline_that_cannot_be_logged_is_tried_again_later() {
        let (disk, clock) = (MemoryDisk::new(), Arc::new(ManualClock::new(1_000_000)));
        let mut options = DbOptions::new("/db");
        (options.disk, options.clock) = (Arc::new(disk.clone()), Arc::clone(&clock) as _);
        (options.threads, options.watch) = (Threads::None, Watch { groups: vec![group()], ..Watch::default() });
        // Each group needs room for a segment of its own; what fits into one has its room already.
        options.store.segment_bytes_max = 1;
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

    #[test]
    fn one_thread_commits_what_others_leave() {
        let mut options = DbOptions::new("/db");
        (options.disk, options.clock) = (Arc::new(MemoryDisk::new()), Arc::new(ManualClock::new(1_000_000)));
        options.threads = Threads::None;
        let db = Db::open(options).unwrap();
        let (results, received) = std::sync::mpsc::channel();
        let submit = |t| {
            let mut raw = RawBatchBuilder::default();
            raw.push_sample(Sample { t: Timestamp(t), v: 1.0 });
            raw.push_series(b"x", 0, 0);
            let labels = |_: &[u8], _, _| Ok(Labels::new([("__name__", "x")]).unwrap());
            let results = results.clone();
            db.submit(raw.finish("x".into(), labels), Beside::default(), move |result| results.send(result).unwrap())
        };
        assert_eq!([submit(1_000_000), submit(1_000_001)], [Submitted::Lead, Submitted::Follow]);
        assert!(received.try_recv().is_err(), "nobody leads yet");
        let syncs = db.status().store.fsyncs;
        db.commit_waiting();
        let seqs: Vec<u64> = received.try_iter().map(|result| result.unwrap().seq.0).collect();
        assert_eq!(seqs.len(), 2);
        assert_eq!(seqs[1], seqs[0] + 1);
        assert_eq!(db.status().store.fsyncs, syncs + 1, "one sync for both");
        assert_eq!(submit(1_000_002), Submitted::Lead, "the lead was given up");
        // A sender that may block commits what waits, too.
        db.mark_deploy("a", "1").unwrap();
        assert_eq!(received.try_iter().count(), 1);
        db.commit_waiting();
        for n in 0..limits::WRITE_QUEUE_MAX as i64 {
            let expected = if n == 0 { Submitted::Lead } else { Submitted::Follow };
            assert_eq!(submit(1_000_003 + n), expected);
        }
        assert_eq!(submit(2_000_000), Submitted::Follow);
        assert!(matches!(received.try_recv(), Ok(Err(AppendError::Full { .. }))));
        db.commit_waiting();
        assert_eq!(received.try_iter().filter(Result::is_ok).count(), limits::WRITE_QUEUE_MAX);
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
            interval: Millis::days(1),
            mode: EvaluationMode::Ingest,
            limit: 0,
            query_offset: Millis::ZERO,
            labels: Labels::empty(),
            rules: vec![Rule::Alerting(rule)],
        }
    }
}
