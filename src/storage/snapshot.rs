//! One immutable view of everything stored, for readers.
//!
//! Invariants:
//! - A snapshot shows exactly the entries up to its place in the log, whatever is written, flushed
//!   or compacted after it was taken.
//! - Samples at or before the log's time less their series' retention are not shown.

use std::iter;
use std::ops::ControlFlow;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::model::{Labels, Matcher, Millis, Sample, Seq, SeriesRef, Summarized, TimeRange, Timestamp};

use super::beside::SharedKept;
use super::block::{Block, BlockReader, DamagedBlock, PageCache};
use super::changes::Version;
use super::content::{Content, StoredSeries};
use super::found::Found;
use super::index::{Index, KnownPairs};
use super::remembered::Remembered;
use super::retention::Cutoff;
use super::selection::Selection;
use super::tombstones::Cover;
use super::view::{SeenHead, View};
use crate::model::Summary;

/// A view of the store at one place of its log. Cheap to take and to clone.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(super) view: Arc<View>,
    pub(super) index: Arc<SharedIndex>,
    pub(super) kept: Arc<SharedKept>,
    pub(super) seq: Seq,
    pub(super) at: Timestamp,
    pub(super) cutoff: Cutoff,
    pub(super) version: Version,
}

/// The index that the writer, all snapshots and the background work share.
#[derive(Debug, Default)]
pub(super) struct SharedIndex {
    pub(super) lock: RwLock<Index>,
    /// What was found for matchers of late.
    pub(super) remembered: Remembered,
}

/// Series whose labels are made under one lock.
const SERIES_PER_LOCK: usize = 1024;

impl SharedIndex {
    /// Of these series.
    pub(super) fn new(index: Index) -> SharedIndex {
        SharedIndex { lock: RwLock::new(index), remembered: Remembered::default() }
    }

    /// The series that satisfy all matchers, with their labels, in no particular order.
    pub(super) fn select(&self, matchers: &[Matcher]) -> Vec<(SeriesRef, Labels)> {
        let mut found = Found::new();
        self.find(matchers, &mut found);
        found.finish();
        let head = |at: usize| match found.sources(at).next()? {
            Source::Head(series) => Some((series, found.labels(at))),
            Source::Block(..) => None,
        };
        (0..found.len()).filter_map(head).collect()
    }

    /// Adds the series that satisfy all matchers. Labels are read for a few at a time: new series must not
    /// wait for all of them.
    fn find(&self, matchers: &[Matcher], found: &mut Found<Source>) {
        let series = self.lock.read().candidates(matchers);
        found.begin_place();
        let (mut known, mut known_at, mut numbers) = (KnownPairs::for_series(series.len()), None, Vec::new());
        for part in series.chunks(SERIES_PER_LOCK) {
            let index = self.lock.read();
            if known_at != Some(index.forgotten()) {
                known.clear();
                known_at = Some(index.forgotten());
            }
            for series in part {
                let pairs = &mut found.pairs;
                let mut number = |name: &str, value: &str| pairs.number(name, value);
                // One that was retired meanwhile had no sample that any reader still sees here.
                if index.numbers_of(*series, &mut known, &mut number, &mut numbers) {
                    found.add(&numbers, Source::Head(*series));
                }
            }
        }
    }
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

/// Where the samples of a series are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// A block, by its place among those that are asked, and the series' position in it.
    Block(usize, u32),
    /// The head, by number.
    Head(SeriesRef),
}

/// One of the series that were found, by its number, with its sources: blocks in their order, then the head.
#[derive(Clone, Copy)]
pub(super) struct One<'f> {
    pub(super) found: &'f Found<Source>,
    pub(super) series: usize,
}

impl One<'_> {
    pub(super) fn labels(self) -> Labels {
        self.found.labels(self.series)
    }
}

/// A question to all sources of a view.
pub(super) struct Asked<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) range: TimeRange,
    pub(super) blocks: Vec<(&'a Block, BlockReader<'a>)>,
    /// What is seen of the head, once a series was read from it.
    seen: Option<SeenHead>,
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

    /// The series that satisfy all matchers and have samples or native histograms inside `range`, sorted
    /// by labels, each with them in the order of time.
    ///
    /// # Errors
    /// More than `samples_max` samples match, where a histogram counts for what it weighs, or stored bytes
    /// are damaged.
    pub fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<StoredSeries>, ReadError> {
        self.ask(range, |asked| {
            let mut room = samples_max;
            let mut selected = Vec::new();
            let found = asked.matching(matchers)?;
            for series in found.sorted() {
                let one = One { found: &found, series: *series as usize };
                let mut content = Content::default();
                asked.content(one, &mut content)?;
                let Content { samples, histograms, .. } = content;
                let weights = histograms.iter().map(|histogram| histogram.histogram.weight());
                let taken = weights.sum::<usize>() + samples.len();
                room = room.checked_sub(taken).ok_or(ReadError::TooManySamples { limit: samples_max })?;
                if taken > 0 {
                    selected.push(StoredSeries { labels: one.labels(), samples, histograms });
                }
            }
            Ok(selected)
        })
    }

    /// The series that satisfy all matchers and may have samples inside `range`, for reading them later.
    ///
    /// # Errors
    /// Stored bytes are damaged.
    pub fn find(&self, matchers: &[Matcher], range: TimeRange) -> Result<Selection<'_>, ReadError> {
        let found = self.ask(range, |asked| asked.matching(matchers))?;
        Ok(Selection::new(self, range, found))
    }

    /// The series that satisfy all matchers and have samples inside `range`, sorted by labels, each
    /// with the summary of those samples: what [`Summary::of`] says of them, without reading most of them.
    /// Samples that were downsampled count as they were; the samples of an interval are where its last one is.
    /// None if a series may have native histograms inside the range: a summary says nothing of them.
    ///
    /// # Errors
    /// Stored bytes are damaged.
    pub fn summaries(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> Result<Option<Vec<(Labels, Summary)>>, ReadError> {
        let mut selection = self.find(matchers, range)?;
        selection.sort();
        let mut found = Vec::new();
        let told = selection.summaries(
            &mut iter::once(0..selection.len()),
            &[range],
            usize::MAX,
            &mut |at, mut summaries| {
                found.extend(summaries.pop().map(|summary| (selection.labels(at), summary)));
                ControlFlow::Continue(())
            },
        )?;
        Ok((told == Summarized::Wholly).then_some(found))
    }

    /// The coarsest resolution of what is stored inside `range`; zero if all of it is as it came.
    pub fn resolution(&self, range: TimeRange) -> Millis {
        let blocks = self.view.blocks.iter().filter(|block| block.overlaps(range));
        blocks.map(|block| block.resolution()).max().unwrap_or_default()
    }

    /// The last instant inside `range` up to which some of the series that satisfy all matchers are downsampled;
    /// the beginning of the range if none are.
    ///
    /// # Errors
    /// Stored bytes are damaged.
    pub fn raw_since(&self, matchers: &[Matcher], range: TimeRange) -> Result<Timestamp, ReadError> {
        let mut since = range.after;
        let blocks = self.view.blocks.iter().filter(|block| block.resolution() > Millis::ZERO);
        for block in blocks.filter(|block| block.overlaps(range)) {
            let mut cache = PageCache::default();
            let mut reader = block.ask(&mut cache)?;
            for position in reader.select(matchers)? {
                if !reader.resolution(position)?.is_raw() {
                    since = since.max(block.last().min(range.until));
                    break;
                }
            }
        }
        Ok(since)
    }

    /// The series that satisfy all matchers and have samples inside `range`, sorted. A series whose
    /// samples in a block surround the range without touching it may be among them.
    ///
    /// # Errors
    /// Stored bytes are damaged.
    pub fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, ReadError> {
        self.ask(range, |asked| {
            let mut series = Vec::new();
            let found = asked.matching(matchers)?;
            for number in found.sorted() {
                let one = One { found: &found, series: *number as usize };
                if asked.touches(one)? {
                    series.push(one.labels());
                }
            }
            Ok(series)
        })
    }

    /// Checks every byte of every block.
    ///
    /// # Errors
    /// The first damage found.
    pub fn verify(&self) -> Result<(), ReadError> {
        self.view.blocks.iter().try_for_each(|block| block.check()).map_err(ReadError::from)
    }

    /// Asks the blocks that may have samples of a range, and the head.
    pub(super) fn ask<T>(
        &self,
        range: TimeRange,
        question: impl FnOnce(&mut Asked<'_>) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let range = TimeRange { after: range.after.max(self.cutoff.all()), until: range.until };
        let blocks: Vec<&Block> =
            self.view.blocks.iter().map(|block| &**block).filter(|block| block.overlaps(range)).collect();
        let mut caches: Vec<PageCache> = blocks.iter().map(|_| PageCache::default()).collect();
        let mut asked = Asked { snapshot: self, range, blocks: Vec::with_capacity(blocks.len()), seen: None };
        for (block, cache) in blocks.into_iter().zip(&mut caches) {
            asked.blocks.push((block, block.ask(cache)?));
        }
        question(&mut asked)
    }
}

impl Asked<'_> {
    /// The series that satisfy all matchers, with all their sources.
    pub(super) fn matching(&mut self, matchers: &[Matcher]) -> Result<Arc<Found<Source>>, ReadError> {
        let blocks: Vec<u64> = self.blocks.iter().map(|(block, _)| block.number()).collect();
        let SharedIndex { lock, remembered } = &*self.snapshot.index;
        // Should the head grow while it is searched, what is found belongs to an extent that was never there.
        let extent = lock.read().extent(matchers);
        if let Some(found) = remembered.get(matchers, &blocks, extent) {
            return Ok(found);
        }
        let found = Arc::new(self.search(matchers)?);
        remembered.keep(matchers, &blocks, extent, &found);
        Ok(found)
    }

    fn search(&mut self, matchers: &[Matcher]) -> Result<Found<Source>, ReadError> {
        let mut found = Found::new();
        for (at, (_, reader)) in self.blocks.iter_mut().enumerate() {
            let positions = reader.select(matchers)?;
            found.begin_place();
            let Found { pairs, .. } = &mut found;
            let mut series = Vec::new();
            let mut numbers = Vec::new();
            reader.numbers(
                &positions,
                |name, value| pairs.number(name, value),
                |position, some| {
                    numbers.extend_from_slice(some);
                    series.push((position, numbers.len()));
                },
            )?;
            let mut start = 0;
            for (position, end) in series {
                found.add(&numbers[start..end], Source::Block(at, position));
                start = end;
            }
        }
        self.snapshot.index.find(matchers, &mut found);
        found.finish();
        Ok(found)
    }

    pub(super) fn head_touches(&self, series: SeriesRef, range: TimeRange) -> bool {
        let (view, seq) = (&self.snapshot.view, self.snapshot.seq);
        view.live.touches(series, range, seq)
            || view.frozen.as_ref().is_some_and(|frozen| frozen.touches(series, range, seq))
    }

    pub(super) fn touches(&mut self, one: One<'_>) -> Result<bool, ReadError> {
        if !self.cover(one).is_empty() {
            // Where something is deleted only the samples tell whether any are left.
            let mut content = Content::default();
            self.content(one, &mut content)?;
            return Ok(!content.samples.is_empty() || !content.histograms.is_empty());
        }
        let range = self.range_of(one);
        for source in one.found.sources(one.series) {
            let touches = match source {
                Source::Head(series) => self.head_touches(series, range),
                Source::Block(at, position) => {
                    let (block, reader) = &mut self.blocks[at];
                    block.is_inside(range) || reader.touches(position, range)?
                }
            };
            if touches {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether one series may have native histograms inside the range.
    pub(super) fn touches_histograms(&mut self, one: One<'_>) -> Result<bool, ReadError> {
        let range = self.range_of(one);
        let (view, seq) = (&self.snapshot.view, self.snapshot.seq);
        for source in one.found.sources(one.series) {
            let touches = match source {
                Source::Head(series) => {
                    let mut generations = view.frozen.iter().chain([&view.live]);
                    generations.any(|generation| generation.touches_histograms(series, range, seq))
                }
                Source::Block(at, position) => self.blocks[at].1.touches_histograms(position, range)?,
            };
            if touches {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Fetches what [`Asked::content`] is going to read of the head for some series.
    pub(super) fn fetch(&mut self, found: &Found<Source>, which: impl Iterator<Item = usize>) {
        let head = |source: Source| match source {
            Source::Head(series) => Some(series),
            Source::Block(..) => None,
        };
        let series: Vec<SeriesRef> = which.flat_map(|series| found.sources(series).filter_map(head)).collect();
        let view = &self.snapshot.view;
        let seen = self.seen.get_or_insert_with(|| view.seen_head(self.snapshot.seq));
        view.fetch(&series, self.range.after, seen);
    }

    /// Puts into `content`, which is empty, what one series has that `cover` does not hide: blocks, then the frozen
    /// generation, then the live one; at one instant the youngest source counts.
    pub(super) fn content(&mut self, one: One<'_>, content: &mut Content) -> Result<(), ReadError> {
        let (cover, range) = (self.cover(one), self.range_of(one));
        let is_raw = self.resolution(one)? == Millis::ZERO;
        for source in one.found.sources(one.series) {
            match source {
                Source::Block(at, position) => {
                    let (block, reader) = &mut self.blocks[at];
                    let from = (content.samples.len(), content.histograms.len());
                    if is_raw {
                        reader.samples(position, range, &mut content.samples)?;
                        cover.thin(block.number(), &mut content.samples, from.0);
                    }
                    reader.histograms(position, range, &mut content.histograms)?;
                    cover.thin(block.number(), &mut content.histograms, from.1);
                }
                Source::Head(series) => {
                    if is_raw {
                        self.head_samples(series, &cover, range, &mut content.samples);
                    }
                    let (view, seq) = (&self.snapshot.view, self.snapshot.seq);
                    view.head_histograms(series, &cover, range, seq, &mut content.histograms);
                }
            }
            content.end_source();
        }
        if !is_raw {
            // Intervals are put in order by themselves; of histograms, all are there.
            content.put_in_order();
            content.samples = self.intervals(one)?.into_iter().map(|interval| interval.sample).collect();
        }
        content.put_in_order();
        Ok(())
    }

    pub(super) fn head_samples(
        &mut self,
        series: SeriesRef,
        cover: &Cover,
        range: TimeRange,
        samples: &mut Vec<Sample>,
    ) {
        let (view, seq) = (&self.snapshot.view, self.snapshot.seq);
        if cover.is_empty() {
            let seen = self.seen.get_or_insert_with(|| view.seen_head(seq));
            view.seen_samples(series, range, seen, samples);
        } else {
            view.head_samples(series, cover, range, seq, samples);
        }
    }

    /// The asked range without what is past the series' time.
    pub(super) fn range_of(&self, one: One<'_>) -> TimeRange {
        if !self.snapshot.cutoff.varies_after(self.range.after) {
            return self.range;
        }
        TimeRange { after: self.range.after.max(self.snapshot.cutoff.of(&one.labels())), until: self.range.until }
    }

    /// What is deleted of a series.
    pub(super) fn cover(&self, one: One<'_>) -> Cover {
        let tombstones = &self.snapshot.view.tombstones;
        if tombstones.is_empty() {
            return Cover::default();
        }
        tombstones.cover(&one.labels(), self.range, self.snapshot.seq)
    }
}
