//! The store: what it consists of, and its entries.
//!
//! Locks, in the order in which they may be taken: maintenance, writer, pending, index, kept, shown, log, status.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::{Mutex, RwLock};

use crate::model::{
    Batch, Committed, Labels, Matcher, MetricMetadata, Millis, RawBatch, Seq, SeriesExemplar, SeriesRef, TimeRange,
    Timestamp,
};

use super::beside::SharedKept;
use super::changes::{Changes, Contents};
use super::checkpoint::Checkpoint;
use super::commit::Writer;
use super::downsample::Downsampling;
use super::exemplars::ExemplarCounts;
use super::manifest::{Files, Manifest};
use super::options::{Durability, StoreOptions};
use super::retention::{Cutoff, Retention};
use super::snapshot::{SharedIndex, Snapshot};
use super::status::{BlockStatus, StoreStatus};
use super::view::View;
use super::wal::LogFiles;

/// Something to be put into the log.
#[derive(Debug, Clone)]
pub enum Entry {
    /// Samples that are taken together.
    Transaction(Batch),
    /// The same, in the bytes in which a write request told them.
    Write(RawBatch),
    /// Time moved and nothing arrived.
    Tick,
    /// Bytes of an upper layer, which the store does not read.
    Note(Vec<u8>),
    /// Exemplars of series; they need no samples beside them.
    Exemplars(Vec<SeriesExemplar>),
    /// What metric families are.
    Metadata(Vec<MetricMetadata>),
    /// What was stored of some series up to now is not shown any more.
    Delete {
        /// The series: those that satisfy all of them.
        matchers: Vec<Matcher>,
        /// The instants.
        range: TimeRange,
    },
}

/// An entry that is in the log and in the head.
#[derive(Debug, Clone, PartialEq)]
pub enum Applied {
    /// Samples.
    Transaction(Committed),
    /// Time moved and nothing arrived.
    Tick {
        /// Its place in the log.
        seq: Seq,
        /// The log's time.
        at: Timestamp,
    },
    /// Bytes of an upper layer.
    Note {
        /// Its place in the log.
        seq: Seq,
        /// The log's time.
        at: Timestamp,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Exemplars. If none of them is new, nothing was logged, and the place is that of the entry before.
    Exemplars {
        /// Its place in the log.
        seq: Seq,
        /// The log's time.
        at: Timestamp,
        /// What became of them.
        counts: ExemplarCounts,
    },
    /// What metric families are; logged as exemplars are.
    Metadata {
        /// Its place in the log.
        seq: Seq,
        /// The log's time.
        at: Timestamp,
    },
    /// A delete.
    Delete {
        /// Its place in the log.
        seq: Seq,
        /// The log's time.
        at: Timestamp,
    },
}

impl Applied {
    /// Its place in the log.
    pub fn seq(&self) -> Seq {
        match self {
            Applied::Transaction(committed) => committed.seq,
            Applied::Tick { seq, .. }
            | Applied::Note { seq, .. }
            | Applied::Exemplars { seq, .. }
            | Applied::Metadata { seq, .. }
            | Applied::Delete { seq, .. } => *seq,
        }
    }

    /// The log's time.
    pub fn at(&self) -> Timestamp {
        match self {
            Applied::Transaction(committed) => committed.at,
            Applied::Tick { at, .. }
            | Applied::Note { at, .. }
            | Applied::Exemplars { at, .. }
            | Applied::Metadata { at, .. }
            | Applied::Delete { at, .. } => *at,
        }
    }
}

/// Stored samples: one log, one writer at a time, any number of readers.
pub struct Store {
    pub(super) inner: Arc<Inner>,
}

/// What [`Store`] and [`Replay`](super::Replay) share.
pub(super) struct Inner {
    pub(super) options: StoreOptions,
    pub(super) retention: Arc<Retention>,
    pub(super) downsampling: Downsampling,
    pub(super) files: Files,
    /// Held by whoever changes the set of files in the background.
    pub(super) maintenance: Mutex<Manifest>,
    pub(super) writer: Mutex<Writer>,
    /// A checkpoint that has begun and is not yet in a block.
    pub(super) pending: Mutex<Option<Arc<Checkpoint>>>,
    pub(super) index: Arc<SharedIndex>,
    /// What is kept beside samples.
    pub(super) kept: Arc<SharedKept>,
    pub(super) shown: RwLock<Shown>,
    pub(super) status: Mutex<StoreStatus>,
    /// How often merges were told to end.
    pub(super) interrupts: AtomicU64,
    /// What the log's directory holds.
    pub(super) log: Mutex<LogFiles>,
    /// Given back last.
    pub(super) _directory_lock: Box<dyn Send + Sync>,
}

/// What the next snapshot shows.
pub(super) struct Shown {
    pub(super) view: Arc<View>,
    pub(super) seq: Seq,
    pub(super) at: Timestamp,
    pub(super) changes: Changes,
}

impl Store {
    /// A view of everything committed so far; cheap.
    pub fn snapshot(&self) -> Snapshot {
        self.inner.snapshot()
    }

    /// The series that some [`Committed::new_series`](crate::model::Committed) has named since the
    /// store was opened, for those who come later.
    pub fn known_series(&self) -> Vec<(SeriesRef, Labels)> {
        let writer = self.inner.writer.lock();
        self.inner
            .index
            .lock
            .read()
            .all()
            .filter(|(series, _)| writer.states.get(*series).is_some_and(|s| s.met))
            .collect()
    }

    /// How often [`Store::sync`] is to be called, if the options ask for it.
    pub fn sync_interval(&self) -> Option<Millis> {
        match self.inner.options.durability {
            Durability::Interval(every) => Some(every),
            Durability::Synced | Durability::Buffered => None,
        }
    }

    /// Counters and sizes.
    pub fn status(&self) -> StoreStatus {
        let mut status = self.inner.status.lock().clone();
        let (view, seq, at) = {
            let shown = self.inner.shown.read();
            (Arc::clone(&shown.view), shown.seq, shown.at)
        };
        {
            let kept = self.inner.kept.lock.read();
            status.start_changes = kept.starts.len() as u64;
            status.start_changes_dropped = kept.starts.dropped();
        }
        status.series = self.inner.index.lock.read().len() as u64;
        (status.last_seq, status.last_at) = (seq, at);
        status.head_bytes = view.frozen.iter().chain([&view.live]).map(|generation| generation.bytes() as u64).sum();
        {
            let log = self.inner.log.lock();
            (status.wal_bytes, status.wal_segments) = (log.bytes(), log.segments.len() as u64);
        }
        status.blocks = view.blocks.len() as u64;
        status.block_bytes = view.blocks.iter().map(|block| block.bytes()).sum();
        status.block_samples = view.blocks.iter().map(|block| block.samples()).sum();
        status
    }

    /// The blocks that queries see now, in the order of time.
    pub fn blocks(&self) -> Vec<BlockStatus> {
        let view = Arc::clone(&self.inner.shown.read().view);
        let status = |block: &Arc<super::block::Block>| BlockStatus {
            number: block.number(),
            level: block.level(),
            first: block.first(),
            last: block.last(),
            series: block.series(),
            samples: block.samples(),
            bytes: block.bytes(),
        };
        let mut blocks: Vec<BlockStatus> = view.blocks.iter().map(status).collect();
        blocks.sort_by_key(|block| (block.first, block.number));
        blocks
    }
}

impl Inner {
    pub(super) fn snapshot(&self) -> Snapshot {
        let shown = self.shown.read();
        Snapshot {
            view: Arc::clone(&shown.view),
            index: Arc::clone(&self.index),
            kept: Arc::clone(&self.kept),
            seq: shown.seq,
            at: shown.at,
            cutoff: Cutoff::new(&self.retention, shown.at),
            version: shown.changes.version(),
        }
    }

    /// Replaces the view that the next snapshots show by one that shows the same samples.
    pub(super) fn show(&self, change: impl FnOnce(&mut View)) {
        self.show_other(Contents::Same, change);
    }

    /// Replaces the view that the next snapshots show.
    pub(super) fn show_other(&self, contents: Contents, change: impl FnOnce(&mut View)) {
        let mut shown = self.shown.write();
        let mut view = View::clone(&shown.view);
        change(&mut view);
        shown.view = Arc::new(view);
        if contents == Contents::Changed {
            shown.changes.change_everything();
        }
    }
}
