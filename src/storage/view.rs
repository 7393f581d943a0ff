//! Where samples are, and what the writer asks of that.
//!
//! Invariant: a view does not change; whoever has one sees the same blocks and generations until it lets go.

use std::sync::Arc;

use super::block::{Block, BlockReader, DamagedBlock, PageCache};
use super::content::{Content, Stored};
use super::head::{Generation, SeenStamps};
use super::series::Seen;
use super::tombstones::{Cover, Tombstones};
use crate::model::{HistogramSample, Labels, Millis, Sample, Seq, SeriesRef, TimeRange, Timestamp};

/// Where samples are: blocks, a generation on its way into a block, the one that is written.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) blocks: Arc<Vec<Arc<Block>>>,
    pub(super) frozen: Option<Arc<Generation>>,
    pub(super) live: Arc<Generation>,
    pub(super) tombstones: Arc<Tombstones>,
}

/// What a reader of many series sees of the head.
#[derive(Debug)]
pub(super) struct SeenHead {
    frozen: Option<SeenStamps>,
    live: SeenStamps,
}

impl View {
    /// What is seen of the head by entries up to `seq`.
    pub(super) fn seen_head(&self, seq: Seq) -> SeenHead {
        SeenHead { frozen: self.frozen.as_ref().map(|frozen| frozen.seen(seq)), live: self.live.seen(seq) }
    }

    /// Fetches what [`View::seen_samples`] is going to read of some series.
    pub(super) fn fetch(&self, series: &[SeriesRef], after: Timestamp, seen: &SeenHead) {
        if let (Some(frozen), Some(seen)) = (&self.frozen, &seen.frozen) {
            frozen.fetch(series, after, seen);
        }
        self.live.fetch(series, after, &seen.live);
    }

    /// As [`View::head_samples`], of a series of which nothing is hidden.
    pub(super) fn seen_samples(&self, series: SeriesRef, range: TimeRange, seen: &SeenHead, samples: &mut Vec<Sample>) {
        if let (Some(frozen), Some(seen)) = (&self.frozen, &seen.frozen) {
            frozen.read_seen(series, range, seen, samples);
        }
        self.live.read_seen(series, range, &seen.live, samples);
    }

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
