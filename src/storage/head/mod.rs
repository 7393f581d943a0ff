//! Samples that are in memory: one generation between two checkpoints.
//!
//! Invariants:
//! - A column only grows, in the order of the log; each sample knows its entry, so that a view of an
//!   earlier place in the log does not see it.
//! - One writer appends; after its checkpoint has begun, a generation does not change any more.
//! - A reader holds a lock for one column, or for a few while it fetches them, the writer for [`CHUNK`] samples.

mod arena;
mod histograms;
mod stamps;

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::model::{HistogramSample, Sample, Seq, SeriesRef, TimeRange, Timestamp};

use super::pages::{PAGE, Pages, place, series_at};
use super::tombstones::Cover;
use arena::{Arena, Column, POINT_WORDS, Point, Run, point_of};
use histograms::HistogramColumns;
use stamps::Stamps;

pub(super) use stamps::SeenStamps;

/// Locks that the columns are spread over, by page.
const SHARDS: usize = 16;
/// Samples that the writer appends under the same locks. Enough for the memory of many of them to be
/// fetched at once, few enough that no reader waits for long.
const CHUNK: usize = 512;
/// Points of a cache line.
const POINTS_PER_LINE: usize = 5;
/// Points that are fetched at once at the most: what a core's own cache holds.
const FETCHED_MAX: usize = 16 << 10;

/// The samples taken between two checkpoints.
#[derive(Debug)]
pub(super) struct Generation {
    /// The last entry before it.
    base: Seq,
    stamps: RwLock<Stamps>,
    shards: [RwLock<Shard>; SHARDS],
    histograms: HistogramColumns,
}

/// The columns of some pages. At one time a page's columns lie in one arena, so neighbours in number
/// tend to be neighbours in memory.
#[derive(Debug, Default)]
struct Shard {
    columns: Pages<[Column; PAGE]>,
    arena: Arena,
}

impl Shard {
    fn column(&self, page: usize, at: usize) -> Column {
        self.columns.get(page / SHARDS).map_or(Column::default(), |columns| columns[at])
    }
}

impl Generation {
    /// An empty generation that begins behind entry `base`.
    pub(super) fn new(base: Seq) -> Generation {
        Generation {
            base,
            stamps: RwLock::default(),
            shards: std::array::from_fn(|_| RwLock::default()),
            histograms: HistogramColumns::default(),
        }
    }

    /// Adds the native histograms that entry `seq` brought.
    pub(super) fn append_histograms(&self, seq: Seq, histograms: &[(SeriesRef, HistogramSample)]) {
        self.histograms.append(self.entry(seq), histograms);
    }

    /// Adds to `out` the native histograms of a series inside `range` that entries up to `seq` brought and
    /// `cover` does not hide.
    pub(super) fn read_histograms(
        &self,
        series: SeriesRef,
        cover: &Cover,
        range: TimeRange,
        seq: Seq,
        out: &mut Vec<HistogramSample>,
    ) {
        let hidden: Vec<(u32, TimeRange)> = cover.spans().map(|(seq, range)| (self.entry(seq), range)).collect();
        self.histograms.read(series, &hidden, range, self.entry(seq), out);
    }

    /// Whether it has a native histogram of a series inside `range`, by entries up to `seq`.
    pub(super) fn touches_histograms(&self, series: SeriesRef, range: TimeRange, seq: Seq) -> bool {
        self.histograms.touches(series, range, self.entry(seq))
    }

    /// Adds the samples that entry `seq` brought.
    pub(super) fn append(&self, seq: Seq, samples: &[(SeriesRef, Sample)]) {
        let entry = self.entry(seq);
        for chunk in samples.chunks(CHUNK) {
            let mut stamps = self.stamps.write();
            stamps.begin(entry);
            let mut stamped = [0; CHUNK];
            for (stamp, (_, sample)) in stamped.iter_mut().zip(chunk) {
                *stamp = stamps.stamp(sample.t.0);
            }
            let stamps = RwLockWriteGuard::downgrade(stamps);
            let mut shards: [Option<RwLockWriteGuard<'_, Shard>>; SHARDS] = Default::default();
            let mut fetched = 0;
            for (series, _) in chunk {
                let (page, at) = place(*series);
                let shard = shards[page % SHARDS].get_or_insert_with(|| self.shards[page % SHARDS].write());
                fetched ^= shard.arena.touch(shard.column(page, at));
            }
            std::hint::black_box(fetched);
            for (stamp, (series, sample)) in stamped.iter().zip(chunk) {
                let (page, at) = place(*series);
                let shard = shards[page % SHARDS].get_or_insert_with(|| self.shards[page % SHARDS].write());
                let Shard { columns, arena } = &mut **shard;
                let column = &mut columns.entry(page / SHARDS, || [Column::default(); PAGE])[at];
                let before = arena.push(column, Point { stamp: *stamp, v: sample.v });
                if before.is_some_and(|before| before != *stamp && stamps.time(before) > sample.t.0) {
                    column.set_unordered();
                }
            }
        }
    }

    /// Adds to `out` the samples of a series inside `range` that entries up to `seq` brought and `cover`
    /// does not hide.
    pub(super) fn read(&self, series: SeriesRef, cover: &Cover, range: TimeRange, seq: Seq, out: &mut Vec<Sample>) {
        self.each_visible(series, cover, range.after, seq, |sample| {
            if range.contains(sample.t) {
                out.push(sample);
            }
            true
        });
    }

    /// What a reader of many series needs to know of the entries up to `seq`.
    pub(super) fn seen(&self, seq: Seq) -> SeenStamps {
        self.stamps.read().seen(self.entry(seq))
    }

    /// Fetches what [`Generation::read_seen`] is going to read of some series. The memory of a column is a chain, of
    /// which each link waits for the one before it; those of several columns are fetched together.
    pub(super) fn fetch(&self, series: &[SeriesRef], after: Timestamp, seen: &SeenStamps) {
        // Nobody waits here while it holds what another one waits for: what is locked is not fetched.
        let mut shards: [Option<RwLockReadGuard<'_, Shard>>; SHARDS] = Default::default();
        let mut next: Vec<(usize, Run)> = Vec::with_capacity(series.len());
        for series in series {
            let (page, at) = place(*series);
            let place = page % SHARDS;
            if shards[place].is_none() {
                shards[place] = self.shards[place].try_read();
            }
            let run = shards[place].as_ref().and_then(|shard| shard.arena.last_run(shard.column(page, at)));
            next.extend(run.map(|run| (place, run)));
        }
        let (mut fetched, mut left) = (0, FETCHED_MAX);
        while !next.is_empty() && left > 0 {
            next.retain_mut(|(place, run)| {
                let Some(shard) = &shards[*place] else { return false };
                let points = shard.arena.points_of(*run);
                fetched ^= points.iter().step_by(POINTS_PER_LINE).fold(0, |all, [stamp, ..]| all ^ stamp);
                left = left.saturating_sub(points.len());
                let early = points.first().is_none_or(|[stamp, ..]| *stamp < seen.end && seen.time(*stamp) <= after.0);
                let before = if early { None } else { shard.arena.before(*run) };
                before.map(|before| *run = before).is_some()
            });
        }
        std::hint::black_box(fetched);
    }

    /// As [`Generation::read`] for the entries that `seen` is of, of a series of which nothing is hidden.
    pub(super) fn read_seen(&self, series: SeriesRef, range: TimeRange, seen: &SeenStamps, out: &mut Vec<Sample>) {
        let (page, at) = place(series);
        let shard = self.shards[page % SHARDS].read();
        let column = shard.column(page, at);
        if column.len() == 0 {
            return;
        }
        let is_ordered = !column.is_unordered();
        // Stamps grow along a column; what is asked for most often is its end.
        let early_enough =
            |point: Point| is_ordered && point.stamp < seen.end && seen.time(point.stamp) <= range.after.0;
        for run in shard.arena.runs(column, early_enough).into_iter().rev() {
            let run = match run.last() {
                Some(last) if last[0] < seen.end => run,
                _ => &run[..run.partition_point(|words| words[0] < seen.end)],
            };
            let time = |words: &[u32; POINT_WORDS]| Timestamp(seen.time(words[0]));
            let sample = |words: &[u32; POINT_WORDS]| Sample { t: time(words), v: point_of(words).v };
            if is_ordered {
                let from = run.partition_point(|words| time(words) <= range.after);
                let run = &run[from..];
                let run = match run.last() {
                    Some(last) if time(last) <= range.until => run,
                    _ => &run[..run.partition_point(|words| time(words) <= range.until)],
                };
                out.extend(run.iter().map(sample));
            } else {
                out.extend(run.iter().map(sample).filter(|sample| range.contains(sample.t)));
            }
        }
    }

    /// Whether it has anything of a series inside `range`, by entries up to `seq`.
    pub(super) fn touches(&self, series: SeriesRef, range: TimeRange, seq: Seq) -> bool {
        let mut found = false;
        self.each_visible(series, &Cover::default(), range.after, seq, |sample| {
            found = range.contains(sample.t);
            !found
        });
        found || self.touches_histograms(series, range, seq)
    }

    /// Whether it has anything of a series.
    pub(super) fn has(&self, series: SeriesRef) -> bool {
        let (page, at) = place(series);
        self.shards[page % SHARDS].read().column(page, at).len() > 0 || self.histograms.has(series)
    }

    /// The series of which it has anything, each once.
    pub(super) fn series(&self) -> Vec<SeriesRef> {
        let mut all = Vec::new();
        for (n, shard) in self.shards.iter().enumerate() {
            for (page, columns) in shard.read().columns.iter() {
                let taken = columns.iter().enumerate().filter(|(_, column)| column.len() > 0);
                all.extend(taken.map(|(at, _)| series_at(page * SHARDS + n, at)));
            }
        }
        let histograms = self.histograms.series();
        if !histograms.is_empty() {
            all.extend(histograms);
            all.sort_unstable();
            all.dedup();
        }
        all
    }

    /// Bytes that its samples take in memory.
    pub(super) fn bytes(&self) -> usize {
        let columns: usize = self.shards.iter().map(|shard| shard.read().arena.bytes()).sum();
        columns + self.stamps.read().bytes() + self.histograms.bytes()
    }

    /// Gives the samples of a series behind `after` that entries up to `seq` brought and `cover` does not
    /// hide, and perhaps some earlier ones, while `take` wants more.
    fn each_visible(
        &self,
        series: SeriesRef,
        cover: &Cover,
        after: Timestamp,
        seq: Seq,
        mut take: impl FnMut(Sample) -> bool,
    ) {
        let (page, at) = place(series);
        let shard = self.shards[page % SHARDS].read();
        let column = shard.column(page, at);
        if column.len() == 0 {
            return;
        }
        let stamps = self.stamps.read();
        let end = stamps.end(self.entry(seq));
        let hidden: Vec<(u32, TimeRange)> =
            cover.spans().map(|(seq, range)| (stamps.end(self.entry(seq)), range)).collect();
        // What is asked for most often is the end of a column.
        let early_enough = |point: Point| !column.is_unordered() && stamps.time(point.stamp) <= after.0;
        for point in shard.arena.points(column, early_enough).take_while(|point| point.stamp < end) {
            let t = Timestamp(stamps.time(point.stamp));
            if hidden.iter().any(|(end, range)| point.stamp < *end && range.contains(t)) {
                continue;
            }
            if !take(Sample { t, v: point.v }) {
                return;
            }
        }
    }

    fn entry(&self, seq: Seq) -> u32 {
        // Four thousand million entries take more log than any checkpoint waits for; should it come
        // to that, the youngest become visible together.
        u32::try_from(seq.0.saturating_sub(self.base.0)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_sees_its_prefix_and_its_range() {
        let generation = Generation::new(Seq(10));
        let sample = |t: i64| Sample { t: Timestamp(t), v: t as f64 };
        for (seq, t) in [(11, 5), (12, 7), (12, 9), (13, 8)] {
            generation.append(Seq(seq), &[(SeriesRef(3), sample(t))]);
        }
        let check = |seq: u64, after: i64, until: i64, expected: &[i64]| {
            let mut out = Vec::new();
            let range = TimeRange { after: Timestamp(after), until: Timestamp(until) };
            generation.read(SeriesRef(3), &Cover::default(), range, Seq(seq), &mut out);
            let mut seen = Vec::new();
            generation.read_seen(SeriesRef(3), range, &generation.seen(Seq(seq)), &mut seen);
            assert_eq!(seen, out);
            assert_eq!(out.iter().map(|s| s.t.0).collect::<Vec<_>>(), expected);
            assert_eq!(generation.touches(SeriesRef(3), range, Seq(seq)), !expected.is_empty());
        };
        check(10, 0, 100, &[]);
        check(11, 0, 100, &[5]);
        check(12, 5, 9, &[7, 9]);
        check(13, 7, 100, &[9, 8]);
        check(13, 9, 100, &[]);
        check(13, 9, 5, &[]);
        assert_eq!(generation.series(), [SeriesRef(3)]);
        assert_eq!([2, 3, 4, 9999].map(|n| generation.has(SeriesRef(n))), [false, true, false, false]);
    }

    #[test]
    fn every_series_has_a_place_of_its_own() {
        let generation = Generation::new(Seq(0));
        let samples: Vec<_> = (0..5000).map(|n| (SeriesRef(n), Sample { t: Timestamp(n as i64), v: 0.0 })).collect();
        generation.append(Seq(1), &samples);
        let mut series = generation.series();
        series.sort_unstable();
        assert!(series.iter().copied().eq((0..5000).map(SeriesRef)));
        for n in [0, 63, 64, 1023, 1024, 4999] {
            let mut out = Vec::new();
            generation.read(SeriesRef(n), &Cover::default(), TimeRange::ALL, Seq(1), &mut out);
            generation.read_seen(SeriesRef(n), TimeRange::ALL, &generation.seen(Seq(0)), &mut out);
            assert_eq!(out, [Sample { t: Timestamp(n as i64), v: 0.0 }]);
        }
    }
}
