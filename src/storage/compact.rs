//! Merging small blocks into larger ones, so that a long range touches few files.
//!
//! Invariants:
//! - Merging changes no answer: the same samples, the younger one where two share an instant.
//! - The merged block is durable and named by the manifest before its sources go.
//! - Memory holds one series at a time, besides what a block's index needs to be written.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::model::{Labels, TimeRange, Timestamp};

use super::block::{Block, BlockReader, BlockWriter, ChunkPlace, DamagedBlock, EncodedChunk, PageCache, Slice};
use super::changes::Contents;
use super::content::Content;
use super::downsample::Elsewhere;
use super::maintain::{MaintainError, MaintainReport};
use super::manifest::Manifest;
use super::retention::Cutoff;
use super::store::{Inner, Store};
use super::tombstones::Cover;

/// Blocks of one level that make one of the next. With four, a sample is rewritten about once for
/// each fourfold growth of the store.
const FAN_IN: usize = 4;
/// The level at which blocks are left as they are.
const LEVEL_MAX: u8 = 5;
/// A block spans at most this part of the retention, since only whole blocks are dropped, and of the age at
/// which it is downsampled, since only whole blocks are.
const RETENTION_PARTS: i64 = 8;
/// A chunk with fewer samples is joined with its neighbours rather than copied.
const COPIED_SAMPLES_MIN: usize = 6000;
/// So is one of native histograms with fewer of them and fewer bytes.
const COPIED_HISTOGRAMS_MIN: usize = 400;
const COPIED_HISTOGRAM_BYTES_MIN: u64 = 16 << 10;
/// Native histograms after which those at hand are encoded, if nothing overlaps them.
const HISTOGRAMS_AT_HAND: usize = 4096;

impl Store {
    /// Finishes a pending checkpoint and merges all blocks into one, without what is older than the
    /// retention at `now`. `pace` is called with the number of bytes written since the call before, and
    /// may take its time.
    ///
    /// # Errors
    /// The disk's; what was done until then stays done.
    pub fn compact_all(&self, now: Timestamp, pace: &mut dyn FnMut(u64)) -> Result<MaintainReport, MaintainError> {
        let inner = &self.inner;
        let mut manifest = inner.maintenance.lock();
        inner.finish_checkpoint(&mut manifest)?;
        let mut report = MaintainReport::default();
        let blocks = Arc::clone(&inner.shown.read().view.blocks);
        if !blocks.is_empty() {
            inner.merge_into_one(&mut manifest, (&blocks, LEVEL_MAX), &inner.cutoff(now), pace, &mut report)?;
        }
        Ok(report)
    }
}

impl Inner {
    pub(super) fn compact(
        &self,
        manifest: &mut Manifest,
        cutoff: &Cutoff,
        pace: &mut dyn FnMut(u64),
        report: &mut MaintainReport,
    ) -> Result<(), MaintainError> {
        loop {
            let blocks = Arc::clone(&self.shown.read().view.blocks);
            let Some((sources, level)) = self.choose(&blocks) else { return Ok(()) };
            self.merge_into_one(manifest, (&sources, level), cutoff, pace, report)?;
        }
    }

    fn merge_into_one(
        &self,
        manifest: &mut Manifest,
        (sources, level): (&[Arc<Block>], u8),
        cutoff: &Cutoff,
        pace: &mut dyn FnMut(u64),
        report: &mut MaintainReport,
    ) -> Result<(), MaintainError> {
        let lost = self.merge(manifest, sources, level, Aim::Keep(cutoff), pace)?;
        for (block, lost) in sources.iter().zip(lost) {
            self.put_away(block, lost, report)?;
        }
        report.blocks_merged += sources.len();
        self.status.lock().blocks_merged += sources.len() as u64;
        Ok(())
    }

    /// The oldest neighbours of one level that together do not span too much, and the level that
    /// they make. Neighbours in the manifest's order, so that "younger" keeps its meaning.
    fn choose(&self, blocks: &[Arc<Block>]) -> Option<(Vec<Arc<Block>>, u8)> {
        let fits = |run: &&[Arc<Block>]| {
            let age = self.downsampling.next_age(run[0].resolution());
            let age = age.map_or(self.options.retention, |age| age.min(self.options.retention));
            let span_max = age.0 / RETENTION_PARTS;
            let first = run.iter().map(|block| block.first()).min().unwrap_or_default();
            let last = run.iter().map(|block| block.last()).max().unwrap_or_default();
            let level = run[0].level();
            // A block that is downsampled waits for its neighbours, rather than be a part of one that is not.
            let alike = |block: &Arc<Block>| block.level() == level && block.resolution() == run[0].resolution();
            level < LEVEL_MAX && run.iter().all(alike) && (last - first).0 <= span_max
        };
        let run = blocks.windows(FAN_IN).find(fits)?;
        Some((run.to_vec(), run[0].level() + 1))
    }

    /// Writes the samples of `sources` that are kept into one block of `level` that takes their
    /// place; gives for each source the number of samples that could not be read.
    pub(super) fn merge(
        &self,
        manifest: &mut Manifest,
        sources: &[Arc<Block>],
        level: u8,
        aim: Aim<'_>,
        pace: &mut dyn FnMut(u64),
    ) -> Result<Vec<u64>, MaintainError> {
        let (view, upto) = {
            let shown = self.shown.read();
            (Arc::clone(&shown.view), shown.seq)
        };
        let (tombstones, cutoff) = (&view.tombstones, aim.cutoff());
        let mut elsewhere = Elsewhere::new(self, &view, sources);
        let interrupts = self.interrupts.load(Ordering::Relaxed);
        let mut lost = Vec::new();
        let merged = self.write_block(manifest, level, |writer| {
            let mut caches: Vec<PageCache> = sources.iter().map(|_| PageCache::default()).collect();
            let mut merge = Merge::begin(sources, &mut caches, cutoff.all());
            let mut told = writer.bytes();
            while let Some((labels, places)) = merge.next_series() {
                merge.cutoff = cutoff.of(&labels);
                merge.cover = tombstones.cover(&labels, TimeRange::ALL, upto);
                match merge.lower(&labels, &places, aim, &mut elsewhere) {
                    None => {
                        let chunks = merge.chunks(&places, writer)?;
                        writer.add_chunks(&labels, &chunks)?;
                    }
                    Some((intervals, resolution)) => {
                        let histograms = merge.histograms(&places, writer)?;
                        writer.add_intervals(&labels, &intervals, resolution, histograms)?;
                    }
                }
                pace(writer.bytes() - told);
                told = writer.bytes();
                if self.interrupts.load(Ordering::Relaxed) != interrupts {
                    return Err(MaintainError::Interrupted);
                }
            }
            lost = merge.lost();
            Ok(())
        })?;
        // What is past its time or deleted is not shown before either.
        let same = lost.iter().all(|lost| *lost == 0) && matches!(aim, Aim::Keep(_));
        let contents = if same { Contents::Same } else { Contents::Changed };
        self.replace_blocks(manifest, sources, merged, (upto, contents))?;
        Ok(lost)
    }
}

/// What becomes of the samples of blocks that are written anew.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aim<'a> {
    /// Those behind the cutoff are kept as they are.
    Keep(&'a Cutoff),
    /// They are downsampled as well, as far as their age demands it.
    Downsample(&'a Cutoff),
}

impl<'a> Aim<'a> {
    pub(super) fn cutoff(self) -> &'a Cutoff {
        match self {
            Aim::Keep(cutoff) | Aim::Downsample(cutoff) => cutoff,
        }
    }
}

/// A merge of blocks, series by series in the order of labels.
pub(super) struct Merge<'a> {
    pub(super) sources: Vec<MergeSource<'a>>,
    /// Samples of the series at hand at or before this are past their time.
    pub(super) cutoff: Timestamp,
    /// What is deleted of the series at hand.
    pub(super) cover: Cover,
    /// Where timelines of the sources lie in the block that is written.
    timelines: HashMap<(usize, u64), Slice>,
}

/// One block of a merge.
pub(super) struct MergeSource<'a> {
    pub(super) block: &'a Block,
    /// None if it cannot be read at all.
    pub(super) reader: Option<BlockReader<'a>>,
    /// The next series, if there is one.
    labels: Option<Labels>,
    position: u32,
    /// Samples read so far.
    pub(super) read: u64,
}

impl MergeSource<'_> {
    /// Goes to the series at `position`, or the first behind it that can be read.
    fn go_to(&mut self, position: u32) {
        self.labels = None;
        let Some(reader) = &mut self.reader else { return };
        let found = (position..self.block.series()).find_map(|at| Some((at, reader.labels(at).ok()?)));
        if let Some((at, labels)) = found {
            (self.position, self.labels) = (at, Some(labels));
        }
    }
}

/// A chunk of a series that is being merged.
struct MergeChunk {
    source: usize,
    kind: ChunkKind,
    position: u32,
    /// Which of its series' chunks it is.
    number: usize,
    place: ChunkPlace,
}

/// What a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkKind {
    Samples,
    Histograms,
}

impl MergeChunk {
    /// Whether it is as long as a chunk should be.
    fn is_long(&self) -> bool {
        match self.kind {
            ChunkKind::Samples => self.place.count() >= COPIED_SAMPLES_MIN,
            ChunkKind::Histograms => {
                self.place.count() >= COPIED_HISTOGRAMS_MIN || self.place.bytes() >= COPIED_HISTOGRAM_BYTES_MIN
            }
        }
    }
}

/// The chunks of a series in the new block, each kind in the order of time.
#[derive(Default)]
struct Encoded {
    samples: Vec<EncodedChunk>,
    histograms: Vec<EncodedChunk>,
}

impl Encoded {
    /// Adds chunks made anew.
    fn add(&mut self, content: &Content, writer: &mut BlockWriter) -> io::Result<()> {
        self.samples.extend(writer.encode(&content.samples)?);
        self.histograms.extend(writer.encode_histograms(&content.histograms)?);
        Ok(())
    }
}

impl<'a> Merge<'a> {
    fn begin(sources: &'a [Arc<Block>], caches: &'a mut [PageCache], cutoff: Timestamp) -> Merge<'a> {
        let begin = |(block, cache): (&'a Arc<Block>, &'a mut PageCache)| {
            let mut source = MergeSource { block, reader: block.ask(cache).ok(), labels: None, position: 0, read: 0 };
            source.go_to(0);
            source
        };
        Merge {
            sources: sources.iter().zip(caches).map(begin).collect(),
            cutoff,
            cover: Cover::default(),
            timelines: HashMap::new(),
        }
    }

    /// The next series, with its position in each source that has it.
    fn next_series(&mut self) -> Option<(Labels, Vec<(usize, u32)>)> {
        let labels = self.sources.iter().filter_map(|source| source.labels.as_ref()).min()?.clone();
        let mut places = Vec::new();
        for (at, source) in self.sources.iter_mut().enumerate() {
            if source.labels.as_ref() == Some(&labels) {
                places.push((at, source.position));
                source.go_to(source.position + 1);
            }
        }
        Some((labels, places))
    }

    /// The chunks of a series in the new block: copied where they are long, overlap nothing and lose
    /// nothing, else made anew.
    fn chunks(
        &mut self,
        places: &[(usize, u32)],
        writer: &mut BlockWriter,
    ) -> Result<Vec<EncodedChunk>, MaintainError> {
        let mut all = Vec::new();
        for (source, position) in places {
            let Some(reader) = &mut self.sources[*source].reader else { continue };
            let samples = reader.chunks(*position).unwrap_or_default();
            let histograms = reader.histogram_chunks(*position).unwrap_or_default();
            for (kind, places) in [(ChunkKind::Samples, samples), (ChunkKind::Histograms, histograms)] {
                for (number, place) in places.into_iter().enumerate() {
                    all.push(MergeChunk { source: *source, kind, position: *position, number, place });
                }
            }
        }
        all.sort_by_key(|chunk| chunk.place.bounds().0);
        let mut encoded = Encoded::default();
        let mut run: Vec<MergeChunk> = Vec::new();
        let mut last = Timestamp::MIN;
        let mut rest = all.into_iter().peekable();
        while let Some(chunk) = rest.next() {
            let bounds = chunk.place.bounds();
            let apart = bounds.0 > last && rest.peek().is_none_or(|next| next.place.bounds().0 > bounds.1);
            let young = self.sources[chunk.source].block.level() == 0;
            let clear = bounds.0 > last;
            last = last.max(bounds.1);
            if apart && !young && self.cover.is_empty() && bounds.0 > self.cutoff && chunk.is_long() {
                encoded.add(&self.decode(&mut run), writer)?;
                let copied = self.copy(&chunk, writer)?;
                match chunk.kind {
                    ChunkKind::Samples => encoded.samples.extend(copied),
                    ChunkKind::Histograms => encoded.histograms.extend(copied),
                }
            } else {
                let histograms = run.iter().filter(|chunk| chunk.kind == ChunkKind::Histograms);
                if clear && histograms.map(|chunk| chunk.place.count()).sum::<usize>() >= HISTOGRAMS_AT_HAND {
                    encoded.add(&self.decode(&mut run), writer)?;
                }
                run.push(chunk);
            }
        }
        encoded.add(&self.decode(&mut run), writer)?;
        encoded.samples.append(&mut encoded.histograms);
        Ok(encoded.samples)
    }

    /// What chunks hold, in order, without what is too old or cannot be read.
    fn decode(&mut self, run: &mut Vec<MergeChunk>) -> Content {
        // In the order of sources: at one instant the last one given counts.
        run.sort_by_key(|chunk| (chunk.source, chunk.number));
        let mut content = Content::default();
        let mut before = None;
        for chunk in run.drain(..) {
            if before.replace(chunk.source).is_some_and(|before| before != chunk.source) {
                content.end_source();
            }
            let source = &mut self.sources[chunk.source];
            let Some(reader) = &mut source.reader else { continue };
            let (samples, histograms) = (content.samples.len(), content.histograms.len());
            let read = match chunk.kind {
                ChunkKind::Samples => reader.decode(&chunk.place, &mut content.samples),
                ChunkKind::Histograms => reader.decode_histograms(&chunk.place, &mut content.histograms),
            };
            if read.is_err() {
                content.samples.truncate(samples);
                content.histograms.truncate(histograms);
                continue;
            }
            source.read += chunk.place.count() as u64;
            self.cover.thin(source.block.number(), &mut content.samples, samples);
            self.cover.thin(source.block.number(), &mut content.histograms, histograms);
        }
        content.end_source();
        content.put_in_order();
        content.samples.retain(|sample| sample.t > self.cutoff);
        content.histograms.retain(|histogram| histogram.t > self.cutoff);
        content
    }

    /// The native histograms of a series whose samples are downsampled: as they are.
    fn histograms(
        &mut self,
        places: &[(usize, u32)],
        writer: &mut BlockWriter,
    ) -> Result<Vec<EncodedChunk>, MaintainError> {
        let mut run = Vec::new();
        for (source, position) in places {
            let Some(reader) = &mut self.sources[*source].reader else { continue };
            let chunks = reader.histogram_chunks(*position).unwrap_or_default();
            run.extend(chunks.into_iter().enumerate().map(|(number, place)| MergeChunk {
                source: *source,
                kind: ChunkKind::Histograms,
                position: *position,
                number,
                place,
            }));
        }
        let content = self.decode(&mut run);
        Ok(writer.encode_histograms(&content.histograms)?)
    }

    fn copy(&mut self, chunk: &MergeChunk, writer: &mut BlockWriter) -> Result<Option<EncodedChunk>, MaintainError> {
        let Some(reader) = &mut self.sources[chunk.source].reader else { return Ok(None) };
        let key = (chunk.source, chunk.place.number());
        let slice = match self.timelines.get(&key) {
            Some(slice) => *slice,
            None => {
                let Ok(stamps) = reader.timeline(&chunk.place) else { return Ok(None) };
                let slice = writer.intern(&stamps)?;
                self.timelines.insert(key, slice);
                slice
            }
        };
        let copied = match chunk.kind {
            ChunkKind::Samples => copied(reader, chunk, slice),
            ChunkKind::Histograms => reader.copy_histograms(&chunk.place, slice),
        };
        if copied.is_ok() {
            self.sources[chunk.source].read += chunk.place.count() as u64;
        }
        Ok(copied.ok())
    }

    /// For each source, the samples that could not be read.
    fn lost(&self) -> Vec<u64> {
        self.sources.iter().map(|source| source.block.samples().saturating_sub(source.read)).collect()
    }
}

fn copied(reader: &mut BlockReader<'_>, chunk: &MergeChunk, slice: Slice) -> Result<EncodedChunk, DamagedBlock> {
    let chunks = reader.chunks(chunk.position)?;
    let mut statistics = reader.statistics(chunk.position, &chunks)?;
    let statistics = statistics.get_mut(chunk.number).map(std::mem::take).unwrap_or_default();
    reader.copy(&chunk.place, slice, statistics)
}
