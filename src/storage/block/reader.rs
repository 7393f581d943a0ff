//! An open block: pages of a mapped file, read when a question needs them.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::chunk::format::{Slice, VectorStatistics};
use super::chunk::{ChunkCache, ChunkPlace, Chunks, EncodedChunk, StoredStamps};
use super::format::Footer;
use super::index::format::Name;
use super::index::{self, Index, IndexCache};
use super::intervals::{IntervalCache, Intervals};
use super::pages;
use super::shared::SharedPages;
use crate::codec::{Coding, Damaged};
use crate::env::disk::{Disk, Mapped};
use crate::model::Summary;
use crate::model::{HistogramSample, Labels, Matcher, Millis, Sample, TimeRange, Timestamp};
use crate::storage::interval::{Interval, Resolution};

/// A sealed block.
#[derive(Debug)]
pub(in crate::storage) struct Block {
    number: u64,
    level: u8,
    path: PathBuf,
    pub(super) content: Mapped,
    pub(super) footer: Footer,
    names: OnceLock<Arc<Vec<Name>>>,
    damaged: AtomicBool,
    shared: SharedPages,
    /// How many rules of downsampling it is known to satisfy.
    satisfied: AtomicUsize,
}

/// A block that cannot be opened.
#[derive(Debug)]
pub(in crate::storage) enum BlockError {
    /// The disk did not give the bytes.
    Io(io::Error),
    /// The bytes are not a block.
    Damaged(Damaged),
}

impl From<Damaged> for BlockError {
    fn from(damaged: Damaged) -> BlockError {
        BlockError::Damaged(damaged)
    }
}

/// A page of a block that fails its check, met while reading.
#[derive(Debug)]
pub(in crate::storage) struct DamagedBlock {
    /// Its file.
    pub(in crate::storage) file: String,
    /// The first sample time of the file.
    pub(in crate::storage) first: Timestamp,
    /// The last sample time of the file.
    pub(in crate::storage) last: Timestamp,
    /// What is wrong with the page.
    pub(in crate::storage) reason: Damaged,
}

/// What a question has read of each block: neighbours in order lie on the same pages.
#[derive(Debug, Default)]
pub(in crate::storage) struct PageCache {
    blocks: HashMap<u64, (IndexCache, ChunkCache, IntervalCache)>,
}

/// A block that is being asked.
pub(in crate::storage) struct BlockReader<'a> {
    block: &'a Block,
    index: Index<'a>,
    chunks: Chunks<'a>,
    intervals: Intervals<'a>,
}

impl Block {
    /// Opens a block and checks its header and footer.
    pub(in crate::storage) fn open(
        disk: &dyn Disk,
        path: &Path,
        (number, level): (u64, u8),
    ) -> Result<Block, BlockError> {
        let content = disk.map(path).map_err(BlockError::Io)?;
        let footer = Footer::take(&content)?;
        let (names, damaged, satisfied) = (OnceLock::new(), AtomicBool::new(false), AtomicUsize::new(0));
        let shared = SharedPages::new();
        Ok(Block { number, level, path: path.to_owned(), content, footer, names, damaged, shared, satisfied })
    }

    /// Its number, which is its file's name.
    pub(in crate::storage) fn number(&self) -> u64 {
        self.number
    }

    /// How many times its samples were merged.
    pub(in crate::storage) fn level(&self) -> u8 {
        self.level
    }

    /// The bytes of its file.
    pub(in crate::storage) fn bytes(&self) -> u64 {
        self.content.len() as u64
    }

    /// How many samples it holds, native histograms included.
    pub(in crate::storage) fn samples(&self) -> u64 {
        self.footer.samples
    }

    /// How many of its series have native histograms.
    pub(in crate::storage) fn histogram_series(&self) -> u32 {
        self.footer.histogram_series
    }

    /// How many series it holds.
    pub(in crate::storage) fn series(&self) -> u32 {
        u32::try_from(self.footer.series).unwrap_or(u32::MAX)
    }

    /// The time of its first sample.
    pub(in crate::storage) fn first(&self) -> Timestamp {
        self.footer.first
    }

    /// The time of its last sample.
    pub(in crate::storage) fn last(&self) -> Timestamp {
        self.footer.last
    }

    /// The coarsest resolution of its series; zero if all samples are as they came.
    pub(in crate::storage) fn resolution(&self) -> Millis {
        self.footer.resolution
    }

    /// Whether it may hold samples inside `range`.
    pub(in crate::storage) fn overlaps(&self, range: TimeRange) -> bool {
        range.overlaps(self.footer.first, self.footer.last)
    }

    /// Whether all its samples lie inside `range`.
    pub(in crate::storage) fn is_inside(&self, range: TimeRange) -> bool {
        range.contains(self.footer.first) && range.contains(self.footer.last)
    }

    /// Whether a read has met a damaged page.
    pub(in crate::storage) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// How many rules of downsampling it is known to satisfy: what was found once need not be looked for again.
    pub(in crate::storage) fn satisfied(&self) -> &AtomicUsize {
        &self.satisfied
    }

    /// Begins to ask it.
    pub(in crate::storage) fn ask<'a>(&'a self, cache: &'a mut PageCache) -> Result<BlockReader<'a>, DamagedBlock> {
        let names = match self.names.get() {
            Some(names) => Arc::clone(names),
            None => {
                let names = index::names(&self.content, &self.footer).map_err(|reason| self.damage(reason))?;
                Arc::clone(self.names.get_or_init(|| Arc::new(names)))
            }
        };
        let (index, chunks, intervals) = cache.blocks.entry(self.number).or_default();
        Ok(BlockReader {
            block: self,
            index: Index::new(&self.content, &self.footer, names, index, &self.shared),
            chunks: Chunks::new(&self.content, &self.footer, chunks, &self.shared),
            intervals: Intervals::new(&self.content, &self.footer, intervals),
        })
    }

    /// Checks every byte of the file.
    pub(in crate::storage) fn check(&self) -> Result<(), DamagedBlock> {
        pages::check(&self.content).map_err(|reason| self.damage(reason))
    }

    fn damage(&self, reason: Damaged) -> DamagedBlock {
        self.damaged.store(true, Ordering::Relaxed);
        DamagedBlock { file: self.path.display().to_string(), first: self.footer.first, last: self.footer.last, reason }
    }
}

/// Positions of series are in the order of labels.
impl BlockReader<'_> {
    /// The positions of the series that satisfy all matchers, in order.
    pub(in crate::storage) fn select(&mut self, matchers: &[Matcher]) -> Result<Vec<u32>, DamagedBlock> {
        self.index.select(matchers).map_err(|reason| self.block.damage(reason))
    }

    /// The position of a series.
    pub(in crate::storage) fn find(&mut self, labels: &Labels) -> Result<Option<u32>, DamagedBlock> {
        self.index.find(labels).map_err(|reason| self.block.damage(reason))
    }

    /// The labels of a series.
    pub(in crate::storage) fn labels(&mut self, position: u32) -> Result<Labels, DamagedBlock> {
        self.index.labels(position).map_err(|reason| self.block.damage(reason))
    }

    /// Calls `each` with each position and its label pairs as `number` counts them.
    pub(in crate::storage) fn numbers(
        &mut self,
        positions: &[u32],
        number: impl FnMut(&str, &str) -> u32,
        each: impl FnMut(u32, &[u32]),
    ) -> Result<(), DamagedBlock> {
        self.index.numbers(positions, number, each).map_err(|reason| self.block.damage(reason))
    }

    /// The names of labels, sorted.
    pub(in crate::storage) fn label_names(&self) -> impl Iterator<Item = &str> {
        self.index.names.iter().map(|name| name.text.as_str())
    }

    /// Adds the values of a label to `out`, sorted.
    pub(in crate::storage) fn label_values(&mut self, name: &str, out: &mut Vec<String>) -> Result<(), DamagedBlock> {
        self.index.label_values(name, out).map_err(|reason| self.block.damage(reason))
    }

    /// Adds to `out` the samples of a series inside `range`.
    pub(in crate::storage) fn samples(
        &mut self,
        position: u32,
        range: TimeRange,
        out: &mut Vec<Sample>,
    ) -> Result<(), DamagedBlock> {
        self.chunks.samples(position, range, out).map_err(|reason| self.block.damage(reason))
    }

    /// How the values of a chunk are stored, and how many of them stand apart from the others.
    pub(in crate::storage) fn coding(&mut self, chunk: &ChunkPlace) -> Result<(Coding, u64), DamagedBlock> {
        self.chunks.coding(chunk).map_err(|reason| self.block.damage(reason))
    }

    /// How the stamps of all timelines are stored.
    pub(in crate::storage) fn stored_stamps(&mut self, see: &mut dyn FnMut(StoredStamps)) {
        self.chunks.stored_stamps(see);
    }

    /// Adds to `out` the native histograms of a series inside `range`.
    pub(in crate::storage) fn histograms(
        &mut self,
        position: u32,
        range: TimeRange,
        out: &mut Vec<HistogramSample>,
    ) -> Result<(), DamagedBlock> {
        self.chunks.histograms(position, range, out).map_err(|reason| self.block.damage(reason))
    }

    /// Whether a chunk of native histograms of the series overlaps `range`.
    pub(in crate::storage) fn touches_histograms(
        &mut self,
        position: u32,
        range: TimeRange,
    ) -> Result<bool, DamagedBlock> {
        self.chunks.touches_histograms(position, range).map_err(|reason| self.block.damage(reason))
    }

    /// When the newest native histogram of a series is.
    pub(in crate::storage) fn newest_histogram(&mut self, position: u32) -> Result<Option<Timestamp>, DamagedBlock> {
        self.chunks.newest_histogram(position).map_err(|reason| self.block.damage(reason))
    }

    /// The chunks of native histograms of a series, in the order of time.
    pub(in crate::storage) fn histogram_chunks(&mut self, position: u32) -> Result<Vec<ChunkPlace>, DamagedBlock> {
        self.chunks.histogram_places(position).map_err(|reason| self.block.damage(reason))
    }

    /// Adds all native histograms of a chunk to `out`.
    pub(in crate::storage) fn decode_histograms(
        &mut self,
        chunk: &ChunkPlace,
        out: &mut Vec<HistogramSample>,
    ) -> Result<(), DamagedBlock> {
        self.chunks.decode_histograms(chunk, TimeRange::ALL, out).map_err(|reason| self.block.damage(reason))
    }

    /// A chunk of native histograms as it is stored, for a block in which its timeline is that part of
    /// another one.
    pub(in crate::storage) fn copy_histograms(
        &mut self,
        chunk: &ChunkPlace,
        timeline: Slice,
    ) -> Result<EncodedChunk, DamagedBlock> {
        self.chunks.copy_histograms(chunk, timeline).map_err(|reason| self.block.damage(reason))
    }

    /// How long the intervals of a series are.
    pub(in crate::storage) fn resolution(&mut self, position: u32) -> Result<Resolution, DamagedBlock> {
        if self.block.resolution() == Millis::ZERO {
            return Ok(Resolution::default());
        }
        self.intervals.resolution(position).map_err(|reason| self.block.damage(reason))
    }

    /// Adds to `out` the intervals of a series whose last samples lie inside `range`.
    pub(in crate::storage) fn intervals(
        &mut self,
        position: u32,
        range: TimeRange,
        out: &mut Vec<Interval>,
    ) -> Result<(), DamagedBlock> {
        let mut kept = Vec::new();
        if self.resolution(position)?.is_raw() {
            self.samples(position, range, &mut kept)?;
            out.extend(kept.into_iter().map(Interval::of));
            return Ok(());
        }
        self.samples(position, TimeRange::ALL, &mut kept)?;
        let intervals = self.intervals.of(position, &kept).map_err(|reason| self.block.damage(reason))?;
        out.extend(intervals.into_iter().filter(|interval| range.contains(interval.end())));
        Ok(())
    }

    /// Whether a chunk of the series overlaps `range`.
    pub(in crate::storage) fn touches(&mut self, position: u32, range: TimeRange) -> Result<bool, DamagedBlock> {
        self.chunks.touches(position, range).map_err(|reason| self.block.damage(reason))
    }

    /// Instants between which the samples of a series lie that `range` may contain.
    pub(in crate::storage) fn bounds(
        &mut self,
        position: u32,
        range: TimeRange,
    ) -> Result<Option<(Timestamp, Timestamp)>, DamagedBlock> {
        self.chunks.bounds(position, range).map_err(|reason| self.block.damage(reason))
    }

    /// The newest sample of a series.
    pub(in crate::storage) fn newest(&mut self, position: u32) -> Result<Option<Sample>, DamagedBlock> {
        self.chunks.newest(position).map_err(|reason| self.block.damage(reason))
    }

    /// Adds to `summary` what is known of the samples of a series inside `range`, which follow those
    /// that it knows of.
    pub(in crate::storage) fn summarize(
        &mut self,
        position: u32,
        range: TimeRange,
        summary: &mut Summary,
    ) -> Result<(), DamagedBlock> {
        self.chunks.summarize(position, range, summary).map_err(|reason| self.block.damage(reason))
    }

    /// The chunks of samples of a series, in the order of time.
    pub(in crate::storage) fn chunks(&mut self, position: u32) -> Result<Vec<ChunkPlace>, DamagedBlock> {
        self.chunks.places(position).map_err(|reason| self.block.damage(reason))
    }

    /// Adds all samples of a chunk to `out`.
    pub(in crate::storage) fn decode(&mut self, chunk: &ChunkPlace, out: &mut Vec<Sample>) -> Result<(), DamagedBlock> {
        self.chunks.decode(chunk, 0..chunk.count(), out).map_err(|reason| self.block.damage(reason))
    }

    /// The stamps of a chunk's whole timeline.
    pub(in crate::storage) fn timeline(&mut self, chunk: &ChunkPlace) -> Result<Vec<i64>, DamagedBlock> {
        self.chunks.timeline(chunk).map_err(|reason| self.block.damage(reason))
    }

    /// The statistics of each of a series' chunks, for [`BlockReader::copy`].
    pub(in crate::storage) fn statistics(
        &mut self,
        position: u32,
        chunks: &[ChunkPlace],
    ) -> Result<Vec<Vec<VectorStatistics>>, DamagedBlock> {
        self.chunks.chunk_statistics(position, chunks).map_err(|reason| self.block.damage(reason))
    }

    /// A chunk as it is stored, for a block in which its timeline is that part of another one.
    pub(in crate::storage) fn copy(
        &mut self,
        chunk: &ChunkPlace,
        timeline: Slice,
        statistics: Vec<VectorStatistics>,
    ) -> Result<EncodedChunk, DamagedBlock> {
        self.chunks.copy(chunk, timeline, statistics).map_err(|reason| self.block.damage(reason))
    }
}
