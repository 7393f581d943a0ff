//! One immutable view of everything stored, for readers.
//!
//! Invariants:
//! - A snapshot shows exactly the entries up to its place in the log, whatever is written, flushed
//!   or compacted after it was taken.
//! - Samples at or before the log's time less the retention are not shown.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::model::{Labels, Matcher, Sample, Seq, SeriesRef, TimeRange, Timestamp};

use super::block::{Block, DamagedBlock, PageCache};
use super::head::Generation;
use super::index::Index;
use super::tombstones::{Cover, Tombstones};

/// Where samples are: blocks, a generation on its way into a block, the one that is written.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) blocks: Arc<Vec<Arc<Block>>>,
    pub(super) frozen: Option<Arc<Generation>>,
    pub(super) live: Arc<Generation>,
    pub(super) tombstones: Arc<Tombstones>,
}

/// A view of the store at one place of its log. Cheap to take and to clone.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(super) view: Arc<View>,
    pub(super) index: Arc<SharedIndex>,
    pub(super) seq: Seq,
    pub(super) at: Timestamp,
    pub(super) oldest: Timestamp,
}

/// The index that the writer, all snapshots and the background work share.
#[derive(Debug, Default)]
pub(super) struct SharedIndex {
    pub(super) lock: RwLock<Index>,
}

/// Why a snapshot cannot answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// More samples than asked for at the most.
    #[error("more than {limit} samples match; narrow the selector or the range")]
    TooManySamples {
        /// The limit.
        limit: usize,
    },
    /// Stored bytes that fail their checksum.
    #[error(
        "samples between {first} and {last} cannot be read from {file}: {reason}; the next maintenance sets the damaged part aside"
    )]
    Damaged {
        /// The file.
        file: String,
        /// The first sample time of the file.
        first: Timestamp,
        /// The last sample time of the file.
        last: Timestamp,
        /// What is wrong with it.
        reason: String,
    },
}

impl From<DamagedBlock> for ReadError {
    fn from(damaged: DamagedBlock) -> ReadError {
        let DamagedBlock { file, first, last, reason } = damaged;
        ReadError::Damaged { file, first, last, reason: reason.to_string() }
    }
}

impl Snapshot {
    /// The view as it was after an entry of the group that was committed last: what comes behind it
    /// in the group is hidden.
    pub fn as_of(mut self, seq: Seq, at: Timestamp) -> Snapshot {
        if seq < self.seq {
            (self.seq, self.at) = (seq, at);
        }
        self
    }

    /// The last entry that it shows.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// The log's time at that entry.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The series that satisfy all matchers and have samples inside `range`, sorted by labels, each
    /// with those samples in the order of time.
    ///
    /// # Errors
    /// More than `samples_max` samples match, or stored bytes are damaged.
    pub fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<(Labels, Vec<Sample>)>, ReadError> {
        let range = self.visible(range);
        let mut room = samples_max;
        let mut cache = PageCache::default();
        let mut found = Vec::new();
        for (series, labels) in self.matching(matchers) {
            let samples = self.read(series, &self.cover(&labels, range), range, &mut cache)?;
            room = room.checked_sub(samples.len()).ok_or(ReadError::TooManySamples { limit: samples_max })?;
            if !samples.is_empty() {
                found.push((labels, samples));
            }
        }
        Ok(found)
    }

    /// The series that satisfy all matchers and have samples inside `range`, sorted. A series whose
    /// samples in a block surround the range without touching it may be among them.
    ///
    /// # Errors
    /// Stored bytes are damaged.
    pub fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, ReadError> {
        let range = self.visible(range);
        let inside = |series: SeriesRef| {
            self.view.live.touches(series, range, self.seq)
                || self.view.frozen.as_ref().is_some_and(|frozen| frozen.touches(series, range, self.seq))
                || self.view.blocks.iter().any(|block| block.touches(series, range))
        };
        let mut cache = PageCache::default();
        let mut found = Vec::new();
        for (series, labels) in self.matching(matchers) {
            if !inside(series) {
                continue;
            }
            let cover = self.cover(&labels, range);
            // Where something is deleted only a look at the samples tells whether any are left.
            if cover.is_empty() || !self.read(series, &cover, range, &mut cache)?.is_empty() {
                found.push(labels);
            }
        }
        Ok(found)
    }

    /// The names of the labels of those series, sorted.
    ///
    /// # Errors
    /// As [`Snapshot::series`].
    pub fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, ReadError> {
        let series = self.series(matchers, range)?;
        let names: BTreeSet<&str> = series.iter().flat_map(|labels| labels.iter().map(|label| label.name)).collect();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    /// The values that the label `name` has in those series, sorted.
    ///
    /// # Errors
    /// As [`Snapshot::series`].
    pub fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, ReadError> {
        let series = self.series(matchers, range)?;
        let values: BTreeSet<&str> = series.iter().map(|labels| labels.get(name)).filter(|v| !v.is_empty()).collect();
        Ok(values.into_iter().map(str::to_owned).collect())
    }

    fn matching(&self, matchers: &[Matcher]) -> Vec<(SeriesRef, Labels)> {
        let mut found = self.index.lock.read().select(matchers);
        found.sort_unstable_by(|a, b| a.1.cmp(&b.1));
        found
    }

    /// What is deleted of a series.
    pub(super) fn cover(&self, labels: &Labels, range: TimeRange) -> Cover {
        self.view.tombstones.cover(labels, range, self.seq)
    }

    fn visible(&self, range: TimeRange) -> TimeRange {
        TimeRange { after: range.after.max(self.oldest), until: range.until }
    }

    /// The samples of one series that `cover` does not hide: blocks, then the frozen generation, then the live one; at one
    /// instant the youngest source counts.
    pub(super) fn read(
        &self,
        series: SeriesRef,
        cover: &Cover,
        range: TimeRange,
        cache: &mut PageCache,
    ) -> Result<Vec<Sample>, ReadError> {
        let mut samples = Vec::new();
        for block in self.view.blocks.iter() {
            let from = samples.len();
            block.read(series, range, cache, &mut samples)?;
            cover.thin(block.number(), &mut samples, from);
        }
        if let Some(frozen) = &self.view.frozen {
            frozen.read(series, cover, range, self.seq, &mut samples);
        }
        self.view.live.read(series, cover, range, self.seq, &mut samples);
        put_in_order(&mut samples);
        Ok(samples)
    }
}

/// Sorts by time and keeps, of several samples at one instant, the last given.
pub(super) fn put_in_order(samples: &mut Vec<Sample>) {
    if samples.is_sorted_by(|a, b| a.t < b.t) {
        return;
    }
    samples.sort_by_key(|sample| sample.t);
    samples.dedup_by(|later, kept| {
        let same = later.t == kept.t;
        if same {
            kept.v = later.v;
        }
        same
    });
}
