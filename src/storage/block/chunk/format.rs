//! Byte layout of chunks: values, timelines, the directory of a block's chunks, statistics.
//! `storage-format.md` describes it; change both together.

use std::ops::Range;
use std::sync::Arc;

use crate::codec::{
    CHUNK_MAX, Cursor, Damaged, Effort, Timestamps, VECTOR, Values, put_histograms, put_timestamps, put_values,
    put_varint, take_histograms,
};
use crate::model::Summary;
use crate::model::{ExactSum, Histogram, Sample, Timestamp};
use crate::storage::block::format::{put_differences, put_numbers, take_differences, take_numbers};
use crate::storage::block::pages::Place;

/// Samples of a vector: what is decoded at once.
pub(in crate::storage) const VECTOR_SAMPLES: usize = VECTOR;
/// Samples of a chunk: eight vectors.
pub(in crate::storage::block) const CHUNK_SAMPLES: usize = CHUNK_MAX;
/// Series, or timelines, that share a page of a directory.
pub(in crate::storage::block) const GROUP: usize = 128;

const TOO_LARGE: Damaged = Damaged("a number of a directory is over its bound");

/// Appends the values of a chunk: a column.
pub(in crate::storage::block) fn put_chunk_values(out: &mut Vec<u8>, values: &[f64], effort: Effort) {
    put_values(out, values, effort);
}

/// Adds the values of some vectors of a chunk of `count` samples to `out`.
pub(in crate::storage::block) fn take_chunk_values(
    bytes: &[u8],
    count: usize,
    vectors: Range<usize>,
    out: &mut Vec<f64>,
) -> Result<(), Damaged> {
    Values::open(bytes, count)?.some(vectors, out)
}

/// Appends the stamps of a timeline: a column.
pub(in crate::storage::block) fn put_stamps(out: &mut Vec<u8>, stamps: &[i64], effort: Effort) {
    put_timestamps(out, stamps, effort);
}

/// Adds the stamps of a vector of a timeline of `count` stamps to `out`.
pub(in crate::storage::block) fn take_stamps(
    bytes: &[u8],
    count: usize,
    vector: usize,
    out: &mut Vec<i64>,
) -> Result<(), Damaged> {
    Timestamps::open(bytes, count)?.vector(vector, out)
}

/// Appends the one value of a chunk whose values are all the same.
pub(in crate::storage::block) fn put_constant(out: &mut Vec<u8>, value: f64) {
    put_values(out, &[value], Effort::Young);
}

/// Takes what [`put_constant`] put.
pub(in crate::storage::block) fn take_constant(bytes: &[u8]) -> Result<f64, Damaged> {
    let mut values = Vec::new();
    Values::open(bytes, 1)?.all(&mut values)?;
    values.first().copied().ok_or(Damaged("a constant has no value"))
}

/// Appends the histograms of a chunk: a column.
pub(in crate::storage::block) fn put_chunk_histograms(
    out: &mut Vec<u8>,
    histograms: &[Arc<Histogram>],
    effort: Effort,
) {
    put_histograms(out, histograms, effort);
}

/// Takes the histograms of a chunk of `count`.
pub(in crate::storage::block) fn take_chunk_histograms(bytes: &[u8], count: usize) -> Result<Vec<Histogram>, Damaged> {
    take_histograms(bytes, count)
}

/// Where items of a stream lie that follow one another.
struct Run(Place);

impl Run {
    fn put(place: Place, out: &mut Vec<u8>) {
        put_varint(out, place.page);
        put_varint(out, u64::from(place.start));
    }

    fn take(from: &mut Cursor<'_>) -> Result<Run, Damaged> {
        Ok(Run(Place { page: from.varint()?, start: small(from.varint()?)? }))
    }

    /// The next item's place, which begins a page or follows the one before.
    fn next(&mut self, length: u32, new_page: bool) -> Result<Place, Damaged> {
        if new_page {
            self.0 = Place { page: self.0.page.checked_add(1).ok_or(TOO_LARGE)?, start: 0 };
        }
        let place = self.0;
        self.0.start = self.0.start.checked_add(length).ok_or(TOO_LARGE)?;
        Ok(place)
    }
}

fn small(n: u64) -> Result<u32, Damaged> {
    u32::try_from(n).map_err(|_| TOO_LARGE)
}

/// A vector of a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage::block) struct StampVector {
    /// Its first stamp.
    pub(in crate::storage::block) first: i64,
    /// Its last stamp.
    pub(in crate::storage::block) last: i64,
    /// The longest gap inside.
    pub(in crate::storage::block) gap_max: u64,
}

/// A column of timestamps that series share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::storage::block) struct Timeline {
    /// How many stamps it has.
    pub(in crate::storage::block) count: u32,
    /// Its vectors.
    pub(in crate::storage::block) vectors: Vec<StampVector>,
    /// Where its stamps lie.
    pub(in crate::storage::block) place: Place,
    /// How many bytes they take: none if in each vector all gaps are equal.
    pub(in crate::storage::block) length: u32,
}

/// Appends a page of timelines whose stamps lie from `place` on: columns of counts, of lengths with
/// whether a page begins, and for each vector of first stamps, spans and longest gaps.
pub(in crate::storage::block) fn put_timelines(out: &mut Vec<u8>, place: Place, timelines: &[Timeline]) {
    put_varint(out, timelines.len() as u64);
    Run::put(place, out);
    let vectors = || timelines.iter().flat_map(|timeline| &timeline.vectors);
    put_numbers(out, timelines.iter().map(|timeline| u64::from(timeline.count)));
    let mut page = place.page;
    put_numbers(
        out,
        timelines.iter().map(|timeline| {
            let new_page = timeline.length > 0 && timeline.place.page != page;
            page += u64::from(new_page);
            u64::from(timeline.length) << 1 | u64::from(new_page)
        }),
    );
    put_differences(out, vectors().map(|vector| vector.first as u64));
    put_differences(out, vectors().map(|vector| vector.last.wrapping_sub(vector.first) as u64));
    put_differences(out, vectors().map(|vector| vector.gap_max));
}

/// Takes a page of timelines.
pub(in crate::storage::block) fn take_timelines(bytes: &[u8]) -> Result<Vec<Timeline>, Damaged> {
    let mut from = Cursor::new(bytes);
    let n = from.length()?;
    let mut run = Run::take(&mut from)?;
    let counts = take_numbers(&mut from, n)?;
    if counts.iter().any(|count| *count == 0 || *count > CHUNK_SAMPLES as u64) {
        return Err(Damaged("a timeline has an impossible count"));
    }
    let lengths = take_numbers(&mut from, n)?;
    let total = counts.iter().map(|count| (*count as usize).div_ceil(VECTOR_SAMPLES)).sum();
    let firsts = take_differences(&mut from, total)?;
    let spans = take_differences(&mut from, total)?;
    let gaps = take_differences(&mut from, total)?;
    from.end()?;
    let mut timelines = Vec::with_capacity(n);
    let mut at = 0;
    for (count, length) in counts.into_iter().zip(lengths) {
        let end = at + (count as usize).div_ceil(VECTOR_SAMPLES);
        let vector = |at: usize| StampVector {
            first: firsts[at] as i64,
            last: (firsts[at] as i64).wrapping_add_unsigned(spans[at]),
            gap_max: gaps[at],
        };
        let vectors: Vec<StampVector> = (at..end).map(vector).collect();
        if vectors.iter().any(|v| v.last < v.first) || vectors.windows(2).any(|two| two[1].first <= two[0].last) {
            return Err(Damaged("the vectors of a timeline are not in order"));
        }
        let place = run.next(small(length >> 1)?, length & 1 == 1)?;
        timelines.push(Timeline { count: count as u32, vectors, place, length: small(length >> 1)? });
        at = end;
    }
    Ok(timelines)
}

/// The stamps of a chunk: a part of a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) struct Slice {
    /// The timeline's number.
    pub(in crate::storage::block) timeline: u64,
    /// Where the part begins.
    pub(in crate::storage::block) start: u32,
    /// Its stamps if it ends before the timeline does; else 0.
    pub(in crate::storage::block) cut: u32,
}

/// A chunk of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage::block) struct ChunkEntry {
    /// Its stamps.
    pub(in crate::storage::block) slice: Slice,
    /// Where its values lie.
    pub(in crate::storage::block) place: Place,
    /// How many bytes they take.
    pub(in crate::storage::block) length: u32,
    /// Whether all values are the same.
    pub(in crate::storage::block) constant: bool,
    /// Whether the series' statistics tell of it.
    pub(in crate::storage::block) summarized: bool,
}

/// A series of a block: its chunks and its statistics.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::storage::block) struct SeriesEntry {
    /// Its chunks of samples in the order of time.
    pub(in crate::storage::block) chunks: Vec<ChunkEntry>,
    /// Its chunks of native histograms in the order of time.
    pub(in crate::storage::block) histograms: Vec<ChunkEntry>,
    /// Where its statistics lie.
    pub(in crate::storage::block) statistics: Place,
    /// How many bytes they take.
    pub(in crate::storage::block) statistics_length: u32,
}

/// In what is stored of a chunk: that it holds native histograms. One of samples that are all the same has
/// no statistics.
const HISTOGRAMS: u64 = 6;

/// Appends a page of the directory whose values and statistics lie from these places on.
pub(in crate::storage::block) fn put_directory(
    out: &mut Vec<u8>,
    values: Place,
    statistics: Place,
    samples: u64,
    series: &[SeriesEntry],
) {
    put_varint(out, series.len() as u64);
    put_varint(out, samples);
    Run::put(values, out);
    Run::put(statistics, out);
    let chunks = || series.iter().flat_map(|series| series.chunks.iter().chain(&series.histograms));
    put_numbers(out, series.iter().map(|series| (series.chunks.len() + series.histograms.len()) as u64));
    put_differences(out, chunks().map(|chunk| chunk.slice.timeline));
    put_numbers(out, chunks().map(|chunk| u64::from(chunk.slice.start)));
    put_numbers(out, chunks().map(|chunk| u64::from(chunk.slice.cut)));
    let mut page = values.page;
    let mut lengths = |chunk: &ChunkEntry, kind: u64| {
        let new_page = chunk.place.page != page;
        page = chunk.place.page;
        put_varint(out, u64::from(chunk.length) << 3 | kind | u64::from(new_page));
    };
    for series in series {
        for chunk in &series.chunks {
            lengths(chunk, u64::from(chunk.constant) << 1 | u64::from(chunk.summarized) << 2);
        }
        series.histograms.iter().for_each(|chunk| lengths(chunk, HISTOGRAMS));
    }
    let mut page = statistics.page;
    put_numbers(
        out,
        series.iter().map(|series| {
            let new_page = series.statistics_length > 0 && series.statistics.page != page;
            page += u64::from(new_page);
            u64::from(series.statistics_length) << 1 | u64::from(new_page)
        }),
    );
}

/// Takes a page of the directory, and the number of samples that it tells of.
pub(in crate::storage::block) fn take_directory(bytes: &[u8]) -> Result<(Vec<SeriesEntry>, u64), Damaged> {
    let mut from = Cursor::new(bytes);
    let n = from.length()?;
    let samples = from.varint()?;
    let (mut values, mut statistics) = (Run::take(&mut from)?, Run::take(&mut from)?);
    let counts = take_numbers(&mut from, n)?;
    let total = counts.iter().try_fold(0usize, |sum, n| sum.checked_add(usize::try_from(*n).ok()?));
    let total = total.ok_or(TOO_LARGE)?;
    let timelines = take_differences(&mut from, total)?;
    let starts = take_numbers(&mut from, total)?;
    let cuts = take_numbers(&mut from, total)?;
    let lengths = take_numbers(&mut from, total)?;
    let statistics_lengths = take_numbers(&mut from, n)?;
    from.end()?;
    let mut series = Vec::with_capacity(n);
    let mut at = 0;
    for (count, statistics_length) in counts.into_iter().zip(statistics_lengths) {
        let (mut chunks, mut histograms) = (Vec::with_capacity(count as usize), Vec::new());
        for _ in 0..count {
            let (length, flags) = (small(lengths[at] >> 3)?, lengths[at] & 7);
            let slice = Slice { timeline: timelines[at], start: small(starts[at])?, cut: small(cuts[at])? };
            let place = values.next(length, flags & 1 == 1)?;
            if flags & HISTOGRAMS == HISTOGRAMS {
                histograms.push(ChunkEntry { slice, place, length, constant: false, summarized: false });
            } else {
                let (constant, summarized) = (flags & 2 != 0, flags & 4 != 0);
                chunks.push(ChunkEntry { slice, place, length, constant, summarized });
            }
            at += 1;
        }
        let length = small(statistics_length >> 1)?;
        let place = statistics.next(length, statistics_length & 1 == 1)?;
        series.push(SeriesEntry { chunks, histograms, statistics: place, statistics_length: length });
    }
    Ok((series, samples))
}

/// The statistics of one vector: nothing if it is to be decoded.
pub(in crate::storage) type VectorStatistics = Option<Summary>;

const STORED: u8 = 1;
/// The values never fall or never rise: the ends are the bounds.
const ENDS_BOUND: u8 = 2;
/// The sum is one float.
const ONE_PART: u8 = 4;
const RESETS: u8 = 8;
/// The first value is the least; only with [`ENDS_BOUND`].
const RISING: u8 = 16;

/// Whether a summary of a vector can be stored: numbers only, with an exact sum of ordinary size.
pub(in crate::storage::block) fn is_storable(summary: &Summary) -> bool {
    summary.stale == 0 && summary.count > 0 && summary.sum.is_plain() && summary.reset_sum.is_plain()
}

/// Appends the statistics of a series' vectors: flags, columns of first, last, other bounds, sums,
/// then what few have. Times and counts are the timeline's.
pub(in crate::storage::block) fn put_statistics(out: &mut Vec<u8>, vectors: &[VectorStatistics]) {
    let (mut flags, mut firsts, mut lasts, mut bounds, mut sums) = (vec![], vec![], vec![], vec![], vec![]);
    let (mut changes, mut rest) = (vec![], vec![]);
    for vector in vectors {
        let Some((summary, (first, last))) = vector.as_ref().and_then(|summary| Some((summary, summary.ends?))) else {
            flags.push(0);
            continue;
        };
        let mut flag = STORED;
        firsts.push(first.v);
        lasts.push(last.v);
        let bits = |v: f64| v.to_bits();
        let (low, high) = (bits(summary.min), bits(summary.max));
        if (low, high) == (bits(first.v), bits(last.v)) {
            flag |= ENDS_BOUND | RISING;
        } else if (low, high) == (bits(last.v), bits(first.v)) {
            flag |= ENDS_BOUND;
        } else {
            bounds.extend([summary.min, summary.max]);
        }
        let parts: Vec<f64> = summary.sum.parts().collect();
        match parts.as_slice() {
            [one] => {
                flag |= ONE_PART;
                sums.push(*one);
            }
            more => put_parts(&mut rest, more),
        }
        if summary.resets > 0 {
            flag |= RESETS;
            put_varint(&mut rest, summary.resets);
            put_parts(&mut rest, &summary.reset_sum.parts().collect::<Vec<f64>>());
        }
        changes.push(summary.changes);
        flags.push(flag);
    }
    out.extend(flags);
    for column in [firsts, lasts, bounds, sums] {
        for part in column.chunks(CHUNK_MAX) {
            let mut bytes = Vec::new();
            put_values(&mut bytes, part, Effort::Cold);
            put_varint(out, bytes.len() as u64);
            out.extend(bytes);
        }
    }
    put_numbers(out, changes);
    out.extend(rest);
}

fn put_parts(out: &mut Vec<u8>, parts: &[f64]) {
    put_varint(out, parts.len() as u64);
    parts.iter().for_each(|part| out.extend(part.to_bits().to_le_bytes()));
}

fn take_parts(from: &mut Cursor<'_>) -> Result<ExactSum, Damaged> {
    let n = from.length()?;
    let mut sum = ExactSum::new();
    for _ in 0..n {
        sum.add(from.f64()?);
    }
    Ok(sum)
}

/// Takes the statistics of `count` vectors. Their times, counts and gaps are for the caller to add.
pub(in crate::storage::block) fn take_statistics(bytes: &[u8], count: usize) -> Result<Vec<VectorStatistics>, Damaged> {
    let mut from = Cursor::new(bytes);
    let flags = from.bytes(count)?;
    let having = |mask: u8, value: u8| flags.iter().filter(|flag| **flag & mask == value).count();
    let stored = having(STORED, STORED);
    let column = |from: &mut Cursor<'_>, n: usize| -> Result<std::vec::IntoIter<f64>, Damaged> {
        let mut values = Vec::new();
        for start in (0..n).step_by(CHUNK_MAX) {
            let length = from.length()?;
            Values::open(from.bytes(length)?, (n - start).min(CHUNK_MAX))?.all(&mut values)?;
        }
        Ok(values.into_iter())
    };
    let mut firsts = column(&mut from, stored)?;
    let mut lasts = column(&mut from, stored)?;
    let mut bounds = column(&mut from, 2 * having(STORED | ENDS_BOUND, STORED))?;
    let mut sums = column(&mut from, having(STORED | ONE_PART, STORED | ONE_PART))?;
    let mut changes = take_numbers(&mut from, stored)?.into_iter();
    let mut vectors = Vec::with_capacity(count);
    for flag in flags {
        if flag & STORED == 0 {
            vectors.push(None);
            continue;
        }
        let next = |column: &mut std::vec::IntoIter<f64>| column.next().ok_or(Damaged("a column is too short"));
        let (first, last) = (next(&mut firsts)?, next(&mut lasts)?);
        let (min, max) = match (flag & ENDS_BOUND != 0, flag & RISING != 0) {
            (true, true) => (first, last),
            (true, false) => (last, first),
            (false, _) => (next(&mut bounds)?, next(&mut bounds)?),
        };
        let mut summary = Summary { min, max, changes: changes.next().unwrap_or_default(), ..Summary::default() };
        let at = |v: f64| Sample { t: Timestamp(0), v };
        summary.ends = Some((at(first), at(last)));
        summary.sum =
            if flag & ONE_PART != 0 { ExactSum::from_parts([next(&mut sums)?]) } else { take_parts(&mut from)? };
        if flag & RESETS != 0 {
            summary.resets = from.varint()?;
            summary.reset_sum = take_parts(&mut from)?;
        }
        vectors.push(Some(summary));
    }
    from.end()?;
    Ok(vectors)
}
