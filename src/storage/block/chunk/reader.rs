//! Reading chunks of a block: samples of a range, summaries, and chunks as they are stored.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::sync::Arc;

use super::EncodedChunk;
use super::format::{
    self, CHUNK_SAMPLES, ChunkEntry, GROUP, SeriesEntry, Slice, StampVector, Timeline, VECTOR_SAMPLES, VectorStatistics,
};
use crate::codec::Damaged;
use crate::env::disk::Mapped;
use crate::model::Summary;
use crate::model::{ExactSum, Millis, Sample, TimeRange, Timestamp, two_product};
use crate::storage::block::format::{Footer, SECTIONS, Section};
use crate::storage::block::pages::{self, Page, Place};
use crate::storage::block::shared::SharedPages;

/// Pages of timelines that are kept while a question is answered: some 30 KiB each.
const TIMELINE_PAGES_MAX: usize = 512;
/// Stamps that are kept: 8 MiB.
const STAMPS_MAX: usize = 1 << 20;

/// What a question has read of a block's chunks.
#[derive(Debug, Default)]
pub(in crate::storage::block) struct ChunkCache {
    directory: Option<(u64, Arc<Vec<SeriesEntry>>)>,
    timelines: HashMap<u64, Arc<Vec<Timeline>>, ByNumber>,
    stamps: HashMap<(u64, usize), Arc<Vec<i64>>, ByNumber>,
    stamps_count: usize,
    pages: HashMap<Section, (u64, Page)>,
    values: Vec<f64>,
}

/// Spreads numbers of pages and timelines, which nobody outside chooses.
type ByNumber = BuildHasherDefault<NumberHasher>;

#[derive(Debug, Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

/// The chunks of an open block.
pub(in crate::storage::block) struct Chunks<'a> {
    file: &'a Mapped,
    pub(super) footer: &'a Footer,
    cache: &'a mut ChunkCache,
    shared: &'a SharedPages,
}

/// A chunk with its stamps.
#[derive(Debug, Clone)]
pub(in crate::storage) struct ChunkPlace {
    pub(super) entry: ChunkEntry,
    page: Arc<Vec<Timeline>>,
    at: usize,
    /// Its part of the timeline.
    pub(super) stamps: Range<usize>,
}

impl ChunkPlace {
    /// How many samples it has.
    pub(in crate::storage) fn count(&self) -> usize {
        self.stamps.len()
    }

    /// Bytes of its values, before their page is packed.
    pub(in crate::storage) fn bytes(&self) -> u64 {
        u64::from(self.entry.length)
    }

    /// Whether all its values are the same.
    pub(in crate::storage) fn is_constant(&self) -> bool {
        self.entry.constant
    }

    /// The number of its timeline.
    pub(in crate::storage) fn number(&self) -> u64 {
        self.entry.slice.timeline
    }

    pub(super) fn timeline(&self) -> &Timeline {
        &self.page[self.at]
    }

    /// Its stamps in a block in which its timeline is that part of another one.
    pub(super) fn part_of(&self, timeline: Slice) -> Slice {
        let at_end = timeline.cut == 0 && self.stamps.end == self.timeline().count as usize;
        let start = timeline.start + self.stamps.start as u32;
        Slice { timeline: timeline.timeline, start, cut: if at_end { 0 } else { self.count() as u32 } }
    }

    /// Instants between which all its samples lie, both included.
    pub(in crate::storage) fn bounds(&self) -> (Timestamp, Timestamp) {
        let vectors = &self.timeline().vectors;
        let first = vectors[self.stamps.start / VECTOR_SAMPLES].first;
        let last = vectors[(self.stamps.end - 1) / VECTOR_SAMPLES].last;
        (Timestamp(first), Timestamp(last))
    }
}

impl<'a> Chunks<'a> {
    /// Of a block.
    pub(in crate::storage::block) fn new(
        file: &'a Mapped,
        footer: &'a Footer,
        cache: &'a mut ChunkCache,
        shared: &'a SharedPages,
    ) -> Chunks<'a> {
        Chunks { file, footer, cache, shared }
    }

    /// The chunks of samples of the series at a position, in the order of time.
    pub(in crate::storage::block) fn places(&mut self, position: u32) -> Result<Vec<ChunkPlace>, Damaged> {
        let (directory, at) = self.series(position)?;
        let entries = directory.get(at).map_or(&[][..], |entry| &entry.chunks);
        entries.iter().map(|entry| self.place(*entry)).collect()
    }

    pub(super) fn series(&mut self, position: u32) -> Result<(Arc<Vec<SeriesEntry>>, usize), Damaged> {
        let (page, at) = (u64::from(position) / GROUP as u64, position as usize % GROUP);
        let known = self.cache.directory.as_ref().filter(|(number, _)| *number == page);
        let directory = match known {
            Some((_, directory)) => Arc::clone(directory),
            None => {
                let read = || Ok(format::take_directory(&self.read(Section::Directory, page)?)?.0);
                let directory = self.shared.get(&self.shared.directory, page, read)?;
                self.cache.directory = Some((page, Arc::clone(&directory)));
                directory
            }
        };
        if at >= directory.len() {
            return Err(Damaged("a series lies behind the end of its page"));
        }
        Ok((directory, at))
    }

    pub(super) fn place(&mut self, entry: ChunkEntry) -> Result<ChunkPlace, Damaged> {
        let (number, at) = (entry.slice.timeline / GROUP as u64, (entry.slice.timeline % GROUP as u64) as usize);
        let page = match self.cache.timelines.get(&number) {
            Some(page) => Arc::clone(page),
            None => {
                let read = || format::take_timelines(&self.read(Section::Timelines, number)?);
                let page = self.shared.get(&self.shared.timelines, number, read)?;
                if self.cache.timelines.len() >= TIMELINE_PAGES_MAX {
                    self.cache.timelines.clear();
                }
                self.cache.timelines.insert(number, Arc::clone(&page));
                page
            }
        };
        let timeline = page.get(at).ok_or(Damaged("a chunk has an unknown timeline"))?;
        let (start, whole) = (entry.slice.start as usize, timeline.count as usize);
        let end = if entry.slice.cut > 0 { start.saturating_add(entry.slice.cut as usize) } else { whole };
        if start >= end || end > whole {
            return Err(Damaged("a chunk lies behind the end of its timeline"));
        }
        Ok(ChunkPlace { entry, page, at, stamps: start..end })
    }

    /// Adds to `out` the samples of a series inside `range`.
    pub(in crate::storage::block) fn samples(
        &mut self,
        position: u32,
        range: TimeRange,
        out: &mut Vec<Sample>,
    ) -> Result<(), Damaged> {
        let (directory, at) = self.series(position)?;
        for entry in directory.get(at).map_or(&[][..], |entry| &entry.chunks) {
            let chunk = self.place(*entry)?;
            let (first, last) = chunk.bounds();
            if range.overlaps(first, last) {
                let inside = self.inside(&chunk, range)?;
                self.decode(&chunk, inside, out)?;
            }
        }
        Ok(())
    }

    /// Whether a chunk of the series overlaps `range`, be it of samples or of histograms.
    pub(in crate::storage::block) fn touches(&mut self, position: u32, range: TimeRange) -> Result<bool, Damaged> {
        let (directory, at) = self.series(position)?;
        for entry in directory.get(at).map_or(&[][..], |entry| &entry.chunks) {
            let (first, last) = self.place(*entry)?.bounds();
            if range.overlaps(first, last) {
                return Ok(true);
            }
        }
        self.touches_histograms(position, range)
    }

    /// Instants between which the samples of a series lie that `range` may contain.
    pub(in crate::storage::block) fn bounds(
        &mut self,
        position: u32,
        range: TimeRange,
    ) -> Result<Option<(Timestamp, Timestamp)>, Damaged> {
        let mut bounds: Option<(Timestamp, Timestamp)> = None;
        for chunk in self.places(position)? {
            let (first, last) = chunk.bounds();
            if range.overlaps(first, last) {
                bounds = Some(bounds.map_or((first, last), |(start, _)| (start, last)));
            }
        }
        Ok(bounds)
    }

    /// The newest sample of a series.
    pub(in crate::storage::block) fn newest(&mut self, position: u32) -> Result<Option<Sample>, Damaged> {
        let Some(chunk) = self.places(position)?.pop() else { return Ok(None) };
        let mut samples = Vec::new();
        let end = chunk.count();
        self.decode(&chunk, end - 1..end, &mut samples)?;
        Ok(samples.pop())
    }

    /// Which samples of a chunk lie inside `range`.
    pub(in crate::storage::block) fn inside(
        &mut self,
        chunk: &ChunkPlace,
        range: TimeRange,
    ) -> Result<Range<usize>, Damaged> {
        let start = self.behind(chunk, range.after)?;
        let end = self.behind(chunk, range.until)?.max(start);
        Ok(start..end)
    }

    /// How many samples of a chunk are at or before `t`.
    fn behind(&mut self, chunk: &ChunkPlace, t: Timestamp) -> Result<usize, Damaged> {
        let vectors = &chunk.timeline().vectors;
        let vector = vectors.partition_point(|vector| vector.last <= t.0);
        let at = match vectors.get(vector) {
            None => chunk.stamps.end,
            Some(found) if t.0 < found.first => vector * VECTOR_SAMPLES,
            Some(_) => {
                let stamps = self.stamps(chunk, vector)?;
                vector * VECTOR_SAMPLES + stamps.partition_point(|stamp| *stamp <= t.0)
            }
        };
        Ok(at.clamp(chunk.stamps.start, chunk.stamps.end) - chunk.stamps.start)
    }

    /// Adds some samples of a chunk to `out`.
    pub(in crate::storage::block) fn decode(
        &mut self,
        chunk: &ChunkPlace,
        samples: Range<usize>,
        out: &mut Vec<Sample>,
    ) -> Result<(), Damaged> {
        if samples.is_empty() {
            return Ok(());
        }
        let vectors = samples.start / VECTOR_SAMPLES..samples.end.div_ceil(VECTOR_SAMPLES);
        let skipped = vectors.start * VECTOR_SAMPLES;
        let mut values = std::mem::take(&mut self.cache.values);
        values.clear();
        self.values(chunk, vectors, &mut values)?;
        let values_inside = values.get(samples.start - skipped..samples.end - skipped);
        let mut rest = values_inside.ok_or(Damaged("a chunk has fewer values than stamps"))?;
        let (mut at, end) = (chunk.stamps.start + samples.start, chunk.stamps.start + samples.end);
        out.reserve(samples.len());
        while at < end {
            let vector = at / VECTOR_SAMPLES;
            let stamps = self.stamps(chunk, vector)?;
            let (from, until) = (at % VECTOR_SAMPLES, (end - vector * VECTOR_SAMPLES).min(VECTOR_SAMPLES));
            let stamps = stamps.get(from..until).ok_or(Damaged("a timeline has fewer stamps than it says"))?;
            let (now, later) = rest.split_at(stamps.len());
            out.extend(stamps.iter().zip(now).map(|(t, v)| Sample { t: Timestamp(*t), v: *v }));
            rest = later;
            at += stamps.len();
        }
        self.cache.values = values;
        Ok(())
    }

    /// Adds the values of some vectors of a chunk to `out`.
    fn values(&mut self, chunk: &ChunkPlace, vectors: Range<usize>, out: &mut Vec<f64>) -> Result<(), Damaged> {
        let count = chunk.count();
        let bytes = self.item(Section::Values, chunk.entry.place, chunk.entry.length)?;
        if chunk.entry.constant {
            let n = count.min(vectors.end * VECTOR_SAMPLES) - vectors.start * VECTOR_SAMPLES;
            out.resize(n, format::take_constant(bytes)?);
            Ok(())
        } else {
            format::take_chunk_values(bytes, count, vectors, out)
        }
    }

    /// The stamps of a vector of a chunk's timeline.
    fn stamps(&mut self, chunk: &ChunkPlace, vector: usize) -> Result<Arc<Vec<i64>>, Damaged> {
        let key = (chunk.entry.slice.timeline, vector);
        if let Some(stamps) = self.cache.stamps.get(&key) {
            return Ok(Arc::clone(stamps));
        }
        let shared = self.shared;
        let per_timeline = (CHUNK_SAMPLES / VECTOR_SAMPLES) as u64;
        let shared_key = key.0.wrapping_mul(per_timeline).wrapping_add(vector as u64);
        let stamps = shared.get(&shared.stamps, shared_key, || self.read_stamps(chunk, vector))?;
        self.cache.stamps_count += stamps.len();
        if self.cache.stamps_count > STAMPS_MAX {
            self.cache.stamps.clear();
            self.cache.stamps_count = stamps.len();
        }
        self.cache.stamps.insert(key, Arc::clone(&stamps));
        Ok(stamps)
    }

    fn read_stamps(&mut self, chunk: &ChunkPlace, vector: usize) -> Result<Vec<i64>, Damaged> {
        let timeline = chunk.timeline();
        let count = timeline.count as usize;
        let n = (count - vector * VECTOR_SAMPLES).min(VECTOR_SAMPLES);
        let mut stamps = Vec::with_capacity(n);
        if timeline.length == 0 {
            let StampVector { first, gap_max, .. } = timeline.vectors[vector];
            stamps.extend((0..n as u64).map(|i| first.wrapping_add_unsigned(i.wrapping_mul(gap_max))));
        } else {
            let bytes = self.item(Section::Stamps, timeline.place, timeline.length)?;
            format::take_stamps(bytes, count, vector, &mut stamps)?;
        }
        Ok(stamps)
    }

    /// Adds to `summary` what is known of the samples of a series inside `range`.
    pub(in crate::storage::block) fn summarize(
        &mut self,
        position: u32,
        range: TimeRange,
        summary: &mut Summary,
    ) -> Result<(), Damaged> {
        let mut statistics = None;
        let mut vector = 0;
        for chunk in self.places(position)? {
            let vectors = chunk.count().div_ceil(VECTOR_SAMPLES);
            let (first, last) = chunk.bounds();
            if range.overlaps(first, last) {
                let inside = self.inside(&chunk, range)?;
                let known: &[VectorStatistics] = if chunk.entry.summarized {
                    let all = match &mut statistics {
                        Some(all) => all,
                        None => statistics.insert(self.statistics(position)?),
                    };
                    all.get(vector..vector + vectors).ok_or(Damaged("a series has fewer statistics than vectors"))?
                } else {
                    &[]
                };
                self.summarize_chunk(&chunk, inside, known, summary)?;
            }
            if chunk.entry.summarized {
                vector += vectors;
            }
        }
        Ok(())
    }

    fn summarize_chunk(
        &mut self,
        chunk: &ChunkPlace,
        inside: Range<usize>,
        known: &[VectorStatistics],
        summary: &mut Summary,
    ) -> Result<(), Damaged> {
        if chunk.entry.constant && inside.len() > 1 {
            let value = format::take_constant(self.item(Section::Values, chunk.entry.place, chunk.entry.length)?)?;
            if let Some(mut same) = constant(value, inside.len()) {
                for vector in inside.start / VECTOR_SAMPLES..inside.end.div_ceil(VECTOR_SAMPLES) {
                    let part = inside.start.max(vector * VECTOR_SAMPLES)..inside.end.min((vector + 1) * VECTOR_SAMPLES);
                    self.add_times(chunk, part, &mut same)?;
                }
                summary.merge(&same);
                return Ok(());
            }
        }
        let mut at = inside.start;
        let mut samples = Vec::new();
        while at < inside.end {
            let vector = at / VECTOR_SAMPLES;
            let whole = vector * VECTOR_SAMPLES..chunk.count().min((vector + 1) * VECTOR_SAMPLES);
            let part = at..whole.end.min(inside.end);
            match known.get(vector) {
                Some(Some(known)) if part == whole => {
                    let mut known = known.clone();
                    let (first, last) = known.ends.map_or((0.0, 0.0), |(first, last)| (first.v, last.v));
                    known.ends = None;
                    known.count = part.len() as u64;
                    self.add_times(chunk, part.clone(), &mut known)?;
                    if let Some(ends) = &mut known.ends {
                        (ends.0.v, ends.1.v) = (first, last);
                    }
                    summary.merge(&known);
                }
                _ => {
                    samples.clear();
                    self.decode(chunk, part.clone(), &mut samples)?;
                    summary.extend(&samples);
                }
            }
            at = part.end;
        }
        Ok(())
    }

    /// Adds the times of some samples of a chunk, all of one vector, to a summary: ends and gaps.
    fn add_times(&mut self, chunk: &ChunkPlace, part: Range<usize>, summary: &mut Summary) -> Result<(), Damaged> {
        let timeline = chunk.timeline();
        let mut at = chunk.stamps.start + part.start;
        let end = chunk.stamps.start + part.end;
        while at < end {
            let vector = at / VECTOR_SAMPLES;
            let whole = vector * VECTOR_SAMPLES..((vector + 1) * VECTOR_SAMPLES).min(timeline.count as usize);
            let until = whole.end.min(end);
            let (first, last, gap_max) = if (at..until) == whole {
                let StampVector { first, last, gap_max } = timeline.vectors[vector];
                (first, last, gap_max)
            } else {
                let stamps = self.stamps(chunk, vector)?;
                let stamps = stamps.get(at - whole.start..until - whole.start).filter(|stamps| !stamps.is_empty());
                let stamps = stamps.ok_or(Damaged("a timeline has fewer stamps than it says"))?;
                let StampVector { first, last, gap_max } = StampVector::of(stamps);
                (first, last, gap_max)
            };
            let value = summary.ends.map_or(summary.min, |(first, _)| first.v);
            let (first, last) = (Sample { t: Timestamp(first), v: value }, Sample { t: Timestamp(last), v: value });
            let mut gap = Millis(i64::try_from(gap_max).unwrap_or(i64::MAX));
            if let Some((_, before)) = summary.ends {
                gap = gap.max(first.t - before.t);
            }
            summary.gap_max = summary.gap_max.max(gap);
            summary.ends = Some((summary.ends.map_or(first, |(first, _)| first), last));
            at = until;
        }
        Ok(())
    }

    /// The statistics of a series.
    fn statistics(&mut self, position: u32) -> Result<Vec<VectorStatistics>, Damaged> {
        let vectors = |chunk: &ChunkPlace| chunk.count().div_ceil(VECTOR_SAMPLES);
        let chunks = self.places(position)?;
        let count = chunks.iter().filter(|chunk| chunk.entry.summarized).map(vectors).sum();
        let (directory, at) = self.series(position)?;
        let Some(entry) = directory.get(at) else { return Ok(Vec::new()) };
        let (place, length) = (entry.statistics, entry.statistics_length);
        format::take_statistics(self.item(Section::Statistics, place, length)?, count)
    }

    /// A chunk as it is stored, for a block in which its timeline is that part of another one.
    pub(in crate::storage::block) fn copy(
        &mut self,
        chunk: &ChunkPlace,
        timeline: Slice,
        statistics: Vec<VectorStatistics>,
    ) -> Result<EncodedChunk, Damaged> {
        let (slice, count) = (chunk.part_of(timeline), chunk.count() as u32);
        let mut ends = Vec::new();
        self.decode(chunk, 0..1, &mut ends)?;
        self.decode(chunk, chunk.count() - 1..chunk.count(), &mut ends)?;
        let span = (ends.first().map_or(0, |s| s.t.0), ends.last().map_or(0, |s| s.t.0));
        let values = self.item(Section::Values, chunk.entry.place, chunk.entry.length)?.to_vec();
        let constant = chunk.entry.constant;
        Ok(EncodedChunk { slice, count, span, values, histograms: false, constant, statistics })
    }

    /// The statistics of each chunk of a series; empty where there are none.
    pub(in crate::storage::block) fn chunk_statistics(
        &mut self,
        position: u32,
        chunks: &[ChunkPlace],
    ) -> Result<Vec<Vec<VectorStatistics>>, Damaged> {
        if !chunks.iter().any(|chunk| chunk.entry.summarized) {
            return Ok(vec![Vec::new(); chunks.len()]);
        }
        let mut all = self.statistics(position)?.into_iter();
        let of = |chunk: &ChunkPlace| {
            let n = if chunk.entry.summarized { chunk.count().div_ceil(VECTOR_SAMPLES) } else { 0 };
            all.by_ref().take(n).collect()
        };
        Ok(chunks.iter().map(of).collect())
    }

    /// The stamps of a chunk's timeline at these places.
    pub(super) fn stamps_between(&mut self, chunk: &ChunkPlace, places: Range<usize>) -> Result<Vec<i64>, Damaged> {
        let mut all = Vec::with_capacity(places.len());
        let mut at = places.start;
        while at < places.end {
            let (vector, from) = (at / VECTOR_SAMPLES, at % VECTOR_SAMPLES);
            let until = (places.end - vector * VECTOR_SAMPLES).min(VECTOR_SAMPLES);
            let stamps = self.stamps(chunk, vector)?;
            let stamps = stamps.get(from..until).ok_or(Damaged("a timeline has fewer stamps than it says"))?;
            all.extend_from_slice(stamps);
            at += stamps.len();
        }
        Ok(all)
    }

    /// All stamps of a chunk's timeline.
    pub(in crate::storage::block) fn timeline(&mut self, chunk: &ChunkPlace) -> Result<Vec<i64>, Damaged> {
        let mut all = Vec::with_capacity(chunk.timeline().count as usize);
        for vector in 0..chunk.timeline().vectors.len() {
            all.extend_from_slice(&self.stamps(chunk, vector)?);
        }
        Ok(all)
    }

    /// The bytes of a chunk's values.
    pub(super) fn values_of(&mut self, chunk: &ChunkPlace) -> Result<&[u8], Damaged> {
        self.item(Section::Values, chunk.entry.place, chunk.entry.length)
    }

    /// How many pages a section has.
    pub(super) fn pages(&self, section: Section) -> u64 {
        self.footer.sections[section as usize].pages
    }

    pub(super) fn item(&mut self, section: Section, place: Place, length: u32) -> Result<&[u8], Damaged> {
        let cached = self.cache.pages.get(&section).is_some_and(|(number, _)| *number == place.page);
        if !cached {
            let key = place.page.wrapping_mul(SECTIONS as u64).wrapping_add(section as u64);
            let page = self.shared.page(key, || self.read(section, place.page))?;
            self.cache.pages.insert(section, (place.page, page));
        }
        let page = self.cache.pages.get(&section).map_or(&[][..], |(_, page)| page);
        let start = place.start as usize;
        page.get(start..start + length as usize).ok_or(Damaged("an item lies behind the end of its page"))
    }

    pub(super) fn read(&self, section: Section, page: u64) -> Result<Page, Damaged> {
        pages::read(self.file, self.footer, section, page)
    }
}

/// The summary of `count` samples of one value but for their times, if it can be told exactly.
fn constant(value: f64, count: usize) -> Option<Summary> {
    let (product, error) = two_product(value, count as f64);
    let exact = value == 0.0 || (1e-200..1e200).contains(&value.abs());
    exact.then(|| Summary {
        count: count as u64,
        min: value,
        max: value,
        sum: ExactSum::from_parts([product, error]),
        ..Summary::default()
    })
}
