//! Writing a block, front to back.

use std::io;
use std::path::Path;

use super::chunk::format::{self as chunk_format, ChunkEntry, GROUP, SeriesEntry, Slice};
use super::chunk::{EncodedChunk, TimelineWriter, cut, pieces};
use super::format::{Footer, Packing, Section};
use super::index::IndexWriter;
use super::intervals::IntervalWriter;
use super::pages::{PageWriter, Place, Stream};
use crate::codec::Effort;
use crate::env::disk::Disk;
use crate::model::{HistogramSample, Labels, Sample, Timestamp};
use crate::storage::interval::{Interval, Resolution};

/// Bytes of a page of a young block: short chunks of many series, worth compressing together.
const YOUNG_PAGE_BYTES: usize = 32 << 10;
/// Bytes of a page of a merged block: a long chunk has one to itself, and a read touches little more.
const MERGED_PAGE_BYTES: usize = 8 << 10;
/// Bytes of a page of statistics.
const STATISTICS_PAGE_BYTES: usize = 8 << 10;

/// A block in the making. Series come in the order of their labels, samples in the order of time.
pub(in crate::storage) struct BlockWriter {
    pages: PageWriter,
    effort: Effort,
    values: Stream,
    statistics: Stream,
    timelines: TimelineWriter,
    index: IndexWriter,
    intervals: IntervalWriter,
    /// Series of the page of the directory that is being filled.
    group: Vec<SeriesEntry>,
    /// Where their values and statistics begin.
    group_places: (Place, Place),
    group_samples: u64,
    samples: u64,
    /// Series that have native histograms.
    histogram_series: u32,
    first: Timestamp,
    last: Timestamp,
}

impl BlockWriter {
    /// Begins the file of a block of that level.
    pub(in crate::storage) fn create(disk: &dyn Disk, path: &Path, level: u8) -> io::Result<BlockWriter> {
        let pages = PageWriter::create(disk.create(path)?);
        let (bytes, packing, effort) = if level == 0 {
            (YOUNG_PAGE_BYTES, Packing::Zstd(64), Effort::Young)
        } else {
            (MERGED_PAGE_BYTES, Packing::Zstd(32), Effort::Cold)
        };
        Ok(BlockWriter {
            pages,
            effort,
            values: Stream::new(Section::Values, packing, bytes),
            statistics: Stream::new(Section::Statistics, Packing::Zstd(16), STATISTICS_PAGE_BYTES),
            timelines: TimelineWriter::new(packing, effort),
            index: IndexWriter::default(),
            intervals: IntervalWriter::new(),
            group: Vec::new(),
            group_places: Default::default(),
            group_samples: 0,
            samples: 0,
            histogram_series: 0,
            first: Timestamp::MAX,
            last: Timestamp::MIN,
        })
    }

    /// Adds a series with its samples and native histograms; without any it is left out.
    pub(in crate::storage) fn add(
        &mut self,
        labels: &Labels,
        samples: &[Sample],
        histograms: &[HistogramSample],
    ) -> io::Result<()> {
        let mut chunks = self.encode(samples)?;
        chunks.extend(self.encode_histograms(histograms)?);
        self.add_chunks(labels, &chunks)
    }

    /// Cuts and encodes samples.
    pub(in crate::storage) fn encode(&mut self, samples: &[Sample]) -> io::Result<Vec<EncodedChunk>> {
        debug_assert!(samples.is_sorted_by(|a, b| a.t < b.t), "samples are in order");
        let mut chunks = Vec::new();
        let stamps: Vec<i64> = samples.iter().map(|sample| sample.t.0).collect();
        for part in cut(&stamps) {
            let slice = self.intern(&stamps[part.clone()])?;
            chunks.push(EncodedChunk::of(slice, &samples[part], self.effort));
        }
        Ok(chunks)
    }

    /// Cuts and encodes native histograms.
    pub(in crate::storage) fn encode_histograms(
        &mut self,
        histograms: &[HistogramSample],
    ) -> io::Result<Vec<EncodedChunk>> {
        debug_assert!(histograms.is_sorted_by(|a, b| a.t < b.t), "histograms are in order");
        let mut chunks = Vec::new();
        let stamps: Vec<i64> = histograms.iter().map(|histogram| histogram.t.0).collect();
        for part in cut(&stamps) {
            let whole = self.intern(&stamps[part.clone()])?;
            let part = &histograms[part];
            for piece in pieces(part) {
                let slice = whole.piece(&piece, part.len());
                chunks.push(EncodedChunk::of_histograms(slice, &part[piece], self.effort));
            }
        }
        Ok(chunks)
    }

    /// The place of a column of stamps in this block.
    pub(in crate::storage) fn intern(&mut self, stamps: &[i64]) -> io::Result<Slice> {
        self.timelines.intern(&mut self.pages, stamps)
    }

    /// Adds a downsampled series: the samples that are kept, and what they stand for. Native
    /// histograms stay as they are.
    pub(in crate::storage) fn add_intervals(
        &mut self,
        labels: &Labels,
        intervals: &[Interval],
        resolution: Resolution,
        histograms: Vec<EncodedChunk>,
    ) -> io::Result<()> {
        let kept: Vec<Sample> = intervals.iter().map(|interval| interval.sample).collect();
        let mut chunks = self.encode(&kept)?;
        // Of the samples that are kept nobody wants to know these.
        chunks.iter_mut().for_each(|chunk| chunk.statistics.clear());
        chunks.extend(histograms);
        self.add_series(labels, &chunks, intervals, resolution)
    }

    /// Adds a series with its chunks, whose stamps have their place in this block, those of samples before
    /// those of histograms; without chunks it is left out.
    pub(in crate::storage) fn add_chunks(&mut self, labels: &Labels, chunks: &[EncodedChunk]) -> io::Result<()> {
        self.add_series(labels, chunks, &[], Resolution::default())
    }

    fn add_series(
        &mut self,
        labels: &Labels,
        chunks: &[EncodedChunk],
        intervals: &[Interval],
        resolution: Resolution,
    ) -> io::Result<()> {
        if chunks.is_empty() {
            return Ok(());
        }
        self.intervals.add(&mut self.pages, intervals, resolution)?;
        if self.group.is_empty() {
            self.group_places = (self.values.place(&self.pages), self.statistics.place(&self.pages));
        }
        let mut entry = SeriesEntry::default();
        for chunk in chunks {
            let place = self.values.put(&mut self.pages, &chunk.values)?;
            let (length, summarized) = (chunk.values.len() as u32, !chunk.statistics.is_empty());
            let stored = ChunkEntry { slice: chunk.slice, place, length, constant: chunk.constant, summarized };
            if chunk.histograms {
                entry.histograms.push(stored);
            } else {
                entry.chunks.push(stored);
            }
            self.group_samples += u64::from(chunk.count);
            self.first = self.first.min(Timestamp(chunk.span.0));
            self.last = self.last.max(Timestamp(chunk.span.1));
        }
        let statistics: Vec<_> = chunks.iter().flat_map(|chunk| chunk.statistics.iter().cloned()).collect();
        if !statistics.is_empty() {
            let mut bytes = Vec::new();
            chunk_format::put_statistics(&mut bytes, &statistics);
            entry.statistics = self.statistics.put(&mut self.pages, &bytes)?;
            entry.statistics_length = bytes.len() as u32;
        }
        self.histogram_series += u32::from(!entry.histograms.is_empty());
        self.index.add(labels);
        self.group.push(entry);
        if self.group.len() == GROUP {
            self.close_group()?;
        }
        Ok(())
    }

    /// Samples and histograms added so far.
    pub(in crate::storage) fn samples(&self) -> u64 {
        self.samples + self.group_samples
    }

    /// Bytes written so far.
    pub(in crate::storage) fn bytes(&self) -> u64 {
        self.pages.bytes()
    }

    /// Writes index and footer and makes the file's content durable; its name is the caller's affair.
    pub(in crate::storage) fn finish(mut self) -> io::Result<()> {
        self.close_group()?;
        self.values.close(&mut self.pages)?;
        self.statistics.close(&mut self.pages)?;
        self.timelines.finish(&mut self.pages)?;
        let series = self.index.len() as u64;
        self.index.finish(&mut self.pages)?;
        self.intervals.finish(&mut self.pages)?;
        let resolution = self.intervals.coarsest();
        let BlockWriter { samples, first, last, histogram_series, .. } = self;
        self.pages.finish(|sections| Footer { sections, series, samples, first, last, resolution, histogram_series })
    }

    fn close_group(&mut self) -> io::Result<()> {
        if self.group.is_empty() {
            return Ok(());
        }
        let mut raw = Vec::new();
        let (values, statistics) = self.group_places;
        chunk_format::put_directory(&mut raw, values, statistics, self.group_samples, &self.group);
        self.samples += std::mem::take(&mut self.group_samples);
        self.group.clear();
        self.pages.put(Section::Directory, &raw, Packing::Zstd(32))
    }
}
