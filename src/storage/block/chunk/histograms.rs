//! Chunks of native histograms. One is decoded as a whole, so that they are short.

use std::ops::Range;
use std::sync::Arc;

use super::format::{ChunkEntry, Slice, put_chunk_histograms, take_chunk_histograms};
use super::{ChunkPlace, Chunks, EncodedChunk};
use crate::codec::{Damaged, Effort};
use crate::model::{HistogramSample, TimeRange, Timestamp};
use crate::storage::block::format::Section;

/// Histograms of a chunk.
const CHUNK_HISTOGRAMS: usize = 512;
/// Counts of buckets of all histograms of a chunk: 1 MiB when decoded, and 256 buckets if it is full.
const CHUNK_COUNTS: usize = 1 << 17;

/// The parts of histograms in the order of time that are one chunk each.
pub(in crate::storage::block) fn pieces(histograms: &[HistogramSample]) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let (mut start, mut counts) = (0, 0);
    for (at, sample) in histograms.iter().enumerate() {
        let buckets = sample.histogram.buckets();
        if at > start && (at - start == CHUNK_HISTOGRAMS || counts + buckets > CHUNK_COUNTS) {
            pieces.push(start..at);
            (start, counts) = (at, 0);
        }
        counts += buckets;
    }
    if start < histograms.len() {
        pieces.push(start..histograms.len());
    }
    pieces
}

impl Slice {
    /// A piece of this part of a timeline, which has `count` stamps.
    pub(in crate::storage::block) fn piece(&self, piece: &Range<usize>, count: usize) -> Slice {
        let to_end = self.cut == 0 && piece.end == count;
        let cut = if to_end { 0 } else { piece.len() as u32 };
        Slice { timeline: self.timeline, start: self.start + piece.start as u32, cut }
    }
}

impl EncodedChunk {
    /// Encodes the histograms of a chunk whose stamps are that part of a timeline.
    pub(in crate::storage::block) fn of_histograms(
        slice: Slice,
        samples: &[HistogramSample],
        effort: Effort,
    ) -> EncodedChunk {
        let histograms: Vec<_> = samples.iter().map(|sample| Arc::clone(&sample.histogram)).collect();
        let mut values = Vec::new();
        put_chunk_histograms(&mut values, &histograms, effort);
        let end = |sample: Option<&HistogramSample>| sample.map_or(0, |sample| sample.t.0);
        EncodedChunk {
            slice,
            count: samples.len() as u32,
            span: (end(samples.first()), end(samples.last())),
            values,
            histograms: true,
            constant: false,
            statistics: Vec::new(),
        }
    }
}

impl Chunks<'_> {
    /// The chunks of histograms of the series at a position, in the order of time.
    pub(in crate::storage::block) fn histogram_places(&mut self, position: u32) -> Result<Vec<ChunkPlace>, Damaged> {
        self.histogram_entries(position)?.into_iter().map(|entry| self.place(entry)).collect()
    }

    fn histogram_entries(&mut self, position: u32) -> Result<Vec<ChunkEntry>, Damaged> {
        if self.footer.histogram_series == 0 {
            return Ok(Vec::new());
        }
        let (directory, at) = self.series(position)?;
        Ok(directory.get(at).map_or(Vec::new(), |entry| entry.histograms.clone()))
    }

    /// Adds to `out` the histograms of a series inside `range`.
    pub(in crate::storage::block) fn histograms(
        &mut self,
        position: u32,
        range: TimeRange,
        out: &mut Vec<HistogramSample>,
    ) -> Result<(), Damaged> {
        for chunk in self.histogram_places(position)? {
            let (first, last) = chunk.bounds();
            if range.overlaps(first, last) {
                self.decode_histograms(&chunk, range, out)?;
            }
        }
        Ok(())
    }

    /// Whether a chunk of histograms of the series overlaps `range`.
    pub(in crate::storage::block) fn touches_histograms(
        &mut self,
        position: u32,
        range: TimeRange,
    ) -> Result<bool, Damaged> {
        let overlaps = |chunk: &ChunkPlace| {
            let (first, last) = chunk.bounds();
            range.overlaps(first, last)
        };
        Ok(self.histogram_places(position)?.iter().any(overlaps))
    }

    /// When the newest histogram of a series is.
    pub(in crate::storage::block) fn newest_histogram(&mut self, position: u32) -> Result<Option<Timestamp>, Damaged> {
        let Some(entry) = self.histogram_entries(position)?.pop() else { return Ok(None) };
        let chunk = self.place(entry)?;
        Ok(self.stamps_of(&chunk)?.last().map(|stamp| Timestamp(*stamp)))
    }

    /// Adds to `out` the histograms of a chunk inside `range`.
    pub(in crate::storage::block) fn decode_histograms(
        &mut self,
        chunk: &ChunkPlace,
        range: TimeRange,
        out: &mut Vec<HistogramSample>,
    ) -> Result<(), Damaged> {
        let stamps = self.stamps_of(chunk)?;
        let bytes = self.item(Section::Values, chunk.entry.place, chunk.entry.length)?;
        let histograms = take_chunk_histograms(bytes, stamps.len())?;
        for (t, histogram) in stamps.into_iter().map(Timestamp).zip(histograms) {
            if range.contains(t) {
                out.push(HistogramSample { t, start: Timestamp(0), histogram: Arc::new(histogram) });
            }
        }
        Ok(())
    }

    /// A chunk as it is stored, for a block in which its timeline is that part of another one.
    pub(in crate::storage::block) fn copy_histograms(
        &mut self,
        chunk: &ChunkPlace,
        timeline: Slice,
    ) -> Result<EncodedChunk, Damaged> {
        let stamps = self.stamps_of(chunk)?;
        let end = |stamp: Option<&i64>| stamp.copied().unwrap_or_default();
        Ok(EncodedChunk {
            slice: chunk.part_of(timeline),
            count: chunk.count() as u32,
            span: (end(stamps.first()), end(stamps.last())),
            values: self.item(Section::Values, chunk.entry.place, chunk.entry.length)?.to_vec(),
            histograms: true,
            constant: false,
            statistics: Vec::new(),
        })
    }

    /// The stamps of a chunk.
    fn stamps_of(&mut self, chunk: &ChunkPlace) -> Result<Vec<i64>, Damaged> {
        self.stamps_between(chunk, chunk.stamps.clone())
    }
}
