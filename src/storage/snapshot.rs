//! One immutable view of everything stored, for readers.
//!
//! Invariants:
//! - A snapshot shows exactly the entries up to its place in the log, whatever is written, flushed
//!   or compacted after it was taken.
//! - Samples at or before the log's time less their series' retention are not shown.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::model::{
    HistogramSample, Labels, Matcher, Millis, Sample, Seq, SeriesRef, Summarized, TimeRange, Timestamp,
};

use super::block::{Block, BlockReader, DamagedBlock, PageCache};
use super::content::{Content, Stored, StoredSeries};
use super::head::Generation;
use super::index::Index;
use super::retention::Cutoff;
use super::series::Seen;
use super::tombstones::{Cover, Tombstones};
use crate::model::Summary;

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
    pub(super) cutoff: Cutoff,
}

/// The index that the writer, all snapshots and the background work share.
#[derive(Debug, Default)]
pub(super) struct SharedIndex {
    pub(super) lock: RwLock<Index>,
}

/// Series whose labels are made under one lock.
const SERIES_PER_LOCK: usize = 1024;

impl SharedIndex {
    /// The series that satisfy all matchers, with their labels, in no particular order. Labels are made for
    /// a few at a time: new series must not wait for all of them.
    pub(super) fn select(&self, matchers: &[Matcher]) -> Vec<(SeriesRef, Labels)> {
        let series = self.lock.read().candidates(matchers);
        let mut named = Vec::with_capacity(series.len());
        for part in series.chunks(SERIES_PER_LOCK) {
            let index = self.lock.read();
            // One that was retired meanwhile had no sample that any reader still sees here.
            named.extend(part.iter().filter_map(|series| Some((*series, index.labels(*series)?))));
        }
        named
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

/// A series that satisfies matchers, with its sources: blocks in their order, then the head.
type Found = (Labels, Vec<Source>);

/// A question to all sources of a view.
pub(super) struct Asked<'a> {
    snapshot: &'a Snapshot,
    range: TimeRange,
    pub(super) blocks: Vec<(&'a Block, BlockReader<'a>)>,
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
            let mut found = Vec::new();
            for (labels, sources) in asked.matching(matchers)? {
                let Content { samples, histograms, .. } = asked.content(&labels, &sources)?;
                let weights = histograms.iter().map(|histogram| histogram.histogram.weight());
                let taken = weights.sum::<usize>() + samples.len();
                room = room.checked_sub(taken).ok_or(ReadError::TooManySamples { limit: samples_max })?;
                if taken > 0 {
                    found.push(StoredSeries { labels, samples, histograms });
                }
            }
            Ok(found)
        })
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
        let mut found = Vec::new();
        let told = self.window_summaries(matchers, &[range], usize::MAX, &mut |labels, mut summaries| {
            found.extend(summaries.pop().map(|summary| (labels, summary)));
            ControlFlow::Continue(())
        })?;
        Ok((told == Summarized::Wholly).then_some(found))
    }

    /// As [`Snapshot::summaries`], for several ranges; each series, in order, goes to `each`, which may end
    /// the reading. It ends as well at a series that may have native histograms between the first and the
    /// last instant.
    ///
    /// # Errors
    /// A series has more than `samples_max` samples between the first and the last instant that are to be read,
    /// or stored bytes are damaged.
    pub fn window_summaries(
        &self,
        matchers: &[Matcher],
        windows: &[TimeRange],
        samples_max: usize,
        each: &mut dyn FnMut(Labels, Vec<Summary>) -> ControlFlow<()>,
    ) -> Result<Summarized, ReadError> {
        let Some(hull) = windows.iter().copied().reduce(TimeRange::hull) else { return Ok(Summarized::Wholly) };
        self.ask(hull, |asked| {
            for (labels, sources) in asked.matching(matchers)? {
                if asked.touches_histograms(&labels, &sources)? {
                    return Ok(Summarized::NotHistograms);
                }
                let summaries = asked.summaries(&labels, &sources, windows, samples_max)?;
                let there = summaries.iter().any(|summary| summary.count + summary.stale > 0);
                if there && each(labels, summaries).is_break() {
                    break;
                }
            }
            Ok(Summarized::Wholly)
        })
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
            for (labels, sources) in asked.matching(matchers)? {
                if asked.touches(&labels, &sources)? {
                    series.push(labels);
                }
            }
            Ok(series)
        })
    }

    /// The names of the labels of those series, sorted. Without matchers, names of a block that
    /// overlaps the range count even if their series have no sample in it.
    ///
    /// # Errors
    /// As [`Snapshot::series`].
    pub fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, ReadError> {
        let collect = |series: &[Labels], names: &mut BTreeSet<String>| {
            for label in series.iter().flat_map(Labels::iter) {
                if !names.contains(label.name) {
                    names.insert(label.name.to_owned());
                }
            }
        };
        let mut names = BTreeSet::new();
        if !matchers.is_empty() || !self.view.tombstones.is_empty() {
            collect(&self.series(matchers, range)?, &mut names);
            return Ok(names.into_iter().collect());
        }
        self.ask(range, |asked| {
            collect(&asked.head_series(&[]), &mut names);
            asked.blocks.iter().for_each(|(_, reader)| names.extend(reader.label_names().map(str::to_owned)));
            Ok(names.into_iter().collect())
        })
    }

    /// The values that the label `name` has in those series, sorted. Without matchers, values of a
    /// block that overlaps the range count even if their series have no sample in it.
    ///
    /// # Errors
    /// As [`Snapshot::series`].
    pub fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, ReadError> {
        let collect = |series: &[Labels]| -> Vec<String> {
            let values = series.iter().map(|labels| labels.get(name)).filter(|value| !value.is_empty());
            values.map(str::to_owned).collect()
        };
        let mut values = if matchers.is_empty() && self.view.tombstones.is_empty() {
            self.ask(range, |asked| {
                let mut values = collect(&asked.head_series(&[]));
                for (_, reader) in &mut asked.blocks {
                    reader.label_values(name, &mut values)?;
                }
                Ok(values)
            })?
        } else {
            collect(&self.series(matchers, range)?)
        };
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }

    /// Checks every byte of every block.
    ///
    /// # Errors
    /// The first damage found.
    pub fn verify(&self) -> Result<(), ReadError> {
        self.view.blocks.iter().try_for_each(|block| block.check()).map_err(ReadError::from)
    }

    /// Asks the blocks that may have samples of a range, and the head.
    fn ask<T>(
        &self,
        range: TimeRange,
        question: impl FnOnce(&mut Asked<'_>) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let range = TimeRange { after: range.after.max(self.cutoff.all()), until: range.until };
        let blocks: Vec<&Block> =
            self.view.blocks.iter().map(|block| &**block).filter(|block| block.overlaps(range)).collect();
        let mut caches: Vec<PageCache> = blocks.iter().map(|_| PageCache::default()).collect();
        let mut asked = Asked { snapshot: self, range, blocks: Vec::with_capacity(blocks.len()) };
        for (block, cache) in blocks.into_iter().zip(&mut caches) {
            asked.blocks.push((block, block.ask(cache)?));
        }
        question(&mut asked)
    }
}

impl Asked<'_> {
    /// The series that satisfy all matchers, sorted, with all their sources.
    fn matching(&mut self, matchers: &[Matcher]) -> Result<Vec<Found>, ReadError> {
        let mut all: Vec<(Labels, Source)> = Vec::new();
        for (at, (_, reader)) in self.blocks.iter_mut().enumerate() {
            for position in reader.select(matchers)? {
                all.push((reader.labels(position)?, Source::Block(at, position)));
            }
        }
        let head = self.snapshot.index.select(matchers);
        all.extend(head.into_iter().map(|(series, labels)| (labels, Source::Head(series))));
        // Stable: of one series, sources stay in their order. Runs that are sorted already cost little.
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let mut found: Vec<Found> = Vec::with_capacity(all.len());
        for (labels, source) in all {
            match found.last_mut() {
                Some((last, sources)) if *last == labels => sources.push(source),
                _ => found.push((labels, vec![source])),
            }
        }
        Ok(found)
    }

    fn head_series(&self, matchers: &[Matcher]) -> Vec<Labels> {
        let series = self.snapshot.index.select(matchers);
        let touches = |(series, labels): &(SeriesRef, Labels)| self.head_touches(*series, self.range_of(labels));
        series.into_iter().filter(touches).map(|(_, labels)| labels).collect()
    }

    fn head_touches(&self, series: SeriesRef, range: TimeRange) -> bool {
        let (view, seq) = (&self.snapshot.view, self.snapshot.seq);
        view.live.touches(series, range, seq)
            || view.frozen.as_ref().is_some_and(|frozen| frozen.touches(series, range, seq))
    }

    fn touches(&mut self, labels: &Labels, sources: &[Source]) -> Result<bool, ReadError> {
        if !self.cover(labels).is_empty() {
            // Where something is deleted only the samples tell whether any are left.
            let content = self.content(labels, sources)?;
            return Ok(!content.samples.is_empty() || !content.histograms.is_empty());
        }
        let range = self.range_of(labels);
        for source in sources {
            let touches = match *source {
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
    fn touches_histograms(&mut self, labels: &Labels, sources: &[Source]) -> Result<bool, ReadError> {
        let range = self.range_of(labels);
        let (view, seq) = (&self.snapshot.view, self.snapshot.seq);
        for source in sources {
            let touches = match *source {
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

    /// What one series has that `cover` does not hide: blocks, then the frozen generation, then the live one; at one
    /// instant the youngest source counts.
    pub(super) fn content(&mut self, labels: &Labels, sources: &[Source]) -> Result<Content, ReadError> {
        let (cover, range) = (self.cover(labels), self.range_of(labels));
        let is_raw = self.resolution(sources)? == Millis::ZERO;
        let mut content = Content::default();
        for source in sources {
            match *source {
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
            content.samples = self.intervals(labels, sources)?.into_iter().map(|interval| interval.sample).collect();
        }
        content.put_in_order();
        Ok(content)
    }

    pub(super) fn head_samples(&self, series: SeriesRef, cover: &Cover, range: TimeRange, samples: &mut Vec<Sample>) {
        self.snapshot.view.head_samples(series, cover, range, self.snapshot.seq, samples);
    }

    /// The asked range without what is past the series' time.
    pub(super) fn range_of(&self, labels: &Labels) -> TimeRange {
        if !self.snapshot.cutoff.may_hide(self.range.after) {
            return self.range;
        }
        TimeRange { after: self.range.after.max(self.snapshot.cutoff.of(labels)), until: self.range.until }
    }

    /// What is deleted of a series.
    pub(super) fn cover(&self, labels: &Labels) -> Cover {
        self.snapshot.view.tombstones.cover(labels, self.range, self.snapshot.seq)
    }
}

impl View {
    /// Adds what the head has of a series inside `range`, by entries up to `seq` and not hidden by `cover`.
    pub(super) fn head_samples(
        &self,
        series: SeriesRef,
        cover: &Cover,
        range: TimeRange,
        seq: Seq,
        samples: &mut Vec<Sample>,
    ) {
        if let Some(frozen) = &self.frozen {
            frozen.read(series, cover, range, seq, samples);
        }
        self.live.read(series, cover, range, seq, samples);
    }

    /// Adds the native histograms that the head has of a series inside `range`, by entries up to `seq` and
    /// not hidden by `cover`.
    pub(super) fn head_histograms(
        &self,
        series: SeriesRef,
        cover: &Cover,
        range: TimeRange,
        seq: Seq,
        histograms: &mut Vec<HistogramSample>,
    ) {
        for generation in self.frozen.iter().chain([&self.live]) {
            generation.read_histograms(series, cover, range, seq, histograms);
        }
    }

    /// The newest of a series among blocks that end at or after `t`; the others cannot matter to
    /// what is of that time. A page that cannot be read cannot contradict; the read that meets it next
    /// reports it.
    pub(super) fn newest_in_blocks(&self, labels: &Labels, t: Timestamp, seq: Seq) -> Option<Seen> {
        let cover = self.tombstones.cover(labels, TimeRange::ALL, seq);
        let newest = |block: &Block| {
            let mut cache = PageCache::default();
            let mut reader = block.ask(&mut cache).ok()?;
            let position = reader.find(labels).ok()??;
            if cover.is_empty() {
                let number = reader.newest(position).ok()?.map(Seen::Number);
                let histogram = reader.newest_histogram(position).ok()?.map(Seen::Histogram);
                return number.into_iter().chain(histogram).max_by_key(Seen::t);
            }
            let content = left_in_block(block, &mut reader, position, &cover, TimeRange::ALL)?;
            let number = content.samples.last().map(|sample| Seen::Number(*sample));
            let histogram = content.histograms.last().map(|histogram| Seen::Histogram(histogram.t));
            number.into_iter().chain(histogram).max_by_key(Seen::t)
        };
        let late = self.blocks.iter().filter(|block| block.last() >= t);
        // Of two at one instant, the younger block's.
        late.filter_map(|block| newest(block)).max_by_key(Seen::t)
    }

    /// What stands at an instant of a series, by entries up to `seq`: in the head, else in the youngest
    /// block that has something there.
    pub(super) fn stored_at(&self, series: SeriesRef, labels: &Labels, t: Timestamp, seq: Seq) -> Option<Stored> {
        let range = TimeRange { after: Timestamp(t.0.saturating_sub(1)), until: t };
        let cover = self.tombstones.cover(labels, range, seq);
        let mut head = Content::default();
        self.head_samples(series, &cover, range, seq, &mut head.samples);
        self.head_histograms(series, &cover, range, seq, &mut head.histograms);
        let last = |content: &Content| {
            let histogram = content.histograms.last().map(Stored::histogram);
            histogram.or_else(|| content.samples.last().map(|sample| Stored::Number(sample.v.to_bits())))
        };
        let in_block = |block: &Block| {
            let mut cache = PageCache::default();
            let mut reader = block.ask(&mut cache).ok()?;
            let position = reader.find(labels).ok()??;
            last(&left_in_block(block, &mut reader, position, &cover, range)?)
        };
        let mut blocks = self.blocks.iter().rev().filter(|block| block.overlaps(range));
        last(&head).or_else(|| blocks.find_map(|block| in_block(block)))
    }

    /// Whether a downsampled block may have something to say about this instant.
    pub(super) fn has_downsampled_at(&self, t: Timestamp) -> bool {
        let covers = |block: &Arc<Block>| block.resolution() > Millis::ZERO && t <= block.last();
        self.blocks.iter().any(|block| covers(block) && block.first() - block.resolution() < t)
    }

    /// Whether an interval of the series has taken in what there was at this instant, without keeping it.
    pub(super) fn is_inside_interval(&self, labels: &Labels, t: Timestamp, seq: Seq) -> bool {
        let inside = |block: &Block| -> Result<bool, DamagedBlock> {
            let until = Timestamp(t.0.saturating_add(block.resolution().0));
            let range = TimeRange { after: Timestamp(t.0.saturating_sub(1)), until };
            let mut cache = PageCache::default();
            let mut reader = block.ask(&mut cache)?;
            let Some(position) = reader.find(labels)? else { return Ok(false) };
            let mut intervals = Vec::new();
            reader.intervals(position, range, &mut intervals)?;
            self.tombstones.cover(labels, range, seq).thin_intervals(block.number(), &mut intervals, 0);
            Ok(intervals.iter().any(|interval| interval.start() <= t && t < interval.end()))
        };
        let downsampled = self.blocks.iter().filter(|block| block.resolution() > Millis::ZERO);
        // What cannot be read cannot contradict.
        downsampled.filter(|block| t <= block.last()).any(|block| inside(block).unwrap_or(false))
    }
}

/// What a block has of a series inside `range` that `cover` does not hide; None if it cannot be read.
fn left_in_block(
    block: &Block,
    reader: &mut BlockReader<'_>,
    position: u32,
    cover: &Cover,
    range: TimeRange,
) -> Option<Content> {
    let mut content = Content::default();
    reader.samples(position, range, &mut content.samples).ok()?;
    reader.histograms(position, range, &mut content.histograms).ok()?;
    cover.thin(block.number(), &mut content.samples, 0);
    cover.thin(block.number(), &mut content.histograms, 0);
    Some(content)
}
