//! Samples that are in memory: one generation between two checkpoints.
//!
//! Invariants:
//! - A column only grows, in the order of the log; each sample knows its entry, so that a view of an
//!   earlier place in the log does not see it.
//! - One writer appends; after its checkpoint has begun, a generation does not change any more.

use parking_lot::Mutex;

use crate::model::{Sample, Seq, SeriesRef, TimeRange, Timestamp};

use super::tombstones::Cover;

/// Locks that the columns are spread over, so that a long read does not hold up the writer.
const SHARDS: usize = 16;
/// So many series with numbers in a row share a lock: those of one target come together, and the
/// writer takes a lock once for all of them.
const ROW: usize = 64;

/// The samples taken between two checkpoints.
#[derive(Debug)]
pub(super) struct Generation {
    /// The last entry before it.
    base: Seq,
    shards: [Mutex<Vec<Option<Box<Column>>>>; SHARDS],
}

/// The samples of one series, in the order in which they came.
#[derive(Debug, Default)]
struct Column {
    points: Vec<Point>,
    unordered: bool,
}

/// A sample in memory. One vector of these and not one a field: an append then touches one place in
/// memory. Packed, because four bytes in 24 would be padding.
#[derive(Debug, Clone, Copy)]
#[repr(C, packed(4))]
struct Point {
    t: i64,
    v: f64,
    /// The entry that brought the sample, counted from the generation's base.
    entry: u32,
}

impl Point {
    fn sample(self) -> Sample {
        Sample { t: Timestamp(self.t), v: self.v }
    }
}

impl Generation {
    /// An empty generation that begins behind entry `base`.
    pub(super) fn new(base: Seq) -> Generation {
        Generation { base, shards: std::array::from_fn(|_| Mutex::new(Vec::new())) }
    }

    /// Adds the samples that entry `seq` brought.
    pub(super) fn append(&self, seq: Seq, samples: &[(SeriesRef, Sample)]) {
        let entry = self.entry(seq);
        let shard_of = |sample: &(SeriesRef, Sample)| place(sample.0).0;
        for row in samples.chunk_by(|a, b| shard_of(a) == shard_of(b)) {
            let mut columns = self.shards[shard_of(&row[0])].lock();
            for (series, sample) in row {
                let slot = place(*series).1;
                if columns.len() <= slot {
                    columns.resize_with(slot + 1, || None);
                }
                let column = columns[slot].get_or_insert_default();
                column.unordered |= column.points.last().is_some_and(|last| last.t > sample.t.0);
                column.points.push(Point { t: sample.t.0, v: sample.v, entry });
            }
        }
    }

    /// Adds to `out` the samples of a series inside `range` that entries up to `seq` brought and `cover`
    /// does not hide.
    pub(super) fn read(&self, series: SeriesRef, cover: &Cover, range: TimeRange, seq: Seq, out: &mut Vec<Sample>) {
        let hidden = |point: &Point| {
            !cover.is_empty() && cover.hides(Seq(self.base.0 + u64::from(point.entry)), Timestamp(point.t))
        };
        self.with_visible(series, seq, |points, unordered| {
            if unordered {
                let inside = |point: &&Point| range.contains(Timestamp(point.t)) && !hidden(point);
                out.extend(points.iter().filter(inside).map(|point| point.sample()));
            } else {
                let start = points.partition_point(|point| point.t <= range.after.0);
                let end = points.partition_point(|point| point.t <= range.until.0).max(start);
                out.extend(points[start..end].iter().filter(|point| !hidden(point)).map(|point| point.sample()));
            }
        });
    }

    /// Whether [`Generation::read`] would add anything.
    pub(super) fn touches(&self, series: SeriesRef, range: TimeRange, seq: Seq) -> bool {
        let mut found = false;
        self.with_visible(series, seq, |points, unordered| {
            let inside = |point: &Point| range.contains(Timestamp(point.t));
            found = if unordered {
                points.iter().any(inside)
            } else {
                let start = points.partition_point(|point| point.t <= range.after.0);
                points.get(start).is_some_and(inside)
            };
        });
        found
    }

    /// The series that have samples.
    pub(super) fn series(&self) -> Vec<SeriesRef> {
        let mut all = Vec::new();
        for (shard, columns) in self.shards.iter().enumerate() {
            let columns = columns.lock();
            let taken = columns.iter().enumerate().filter(|(_, column)| column.is_some());
            all.extend(taken.map(|(slot, _)| series_at(shard, slot)));
        }
        all
    }

    fn with_visible(&self, series: SeriesRef, seq: Seq, read: impl FnOnce(&[Point], bool)) {
        let (shard, slot) = place(series);
        let columns = self.shards[shard].lock();
        if let Some(Some(column)) = columns.get(slot) {
            let last = self.entry(seq);
            let n = match column.points.last() {
                Some(newest) if newest.entry <= last => column.points.len(),
                _ => column.points.partition_point(|point| point.entry <= last),
            };
            read(&column.points[..n], column.unordered);
        }
    }

    fn entry(&self, seq: Seq) -> u32 {
        // Four thousand million entries take more log than any checkpoint waits for; should it come
        // to that, the youngest become visible together.
        u32::try_from(seq.0.saturating_sub(self.base.0)).unwrap_or(u32::MAX)
    }
}

/// Where a series' column is: its shard, and its place in there.
fn place(series: SeriesRef) -> (usize, usize) {
    let number = super::index::slot(series);
    let row = number / ROW;
    (row % SHARDS, row / SHARDS * ROW + number % ROW)
}

/// The series whose column is there.
fn series_at(shard: usize, slot: usize) -> SeriesRef {
    let row = slot / ROW * SHARDS + shard;
    SeriesRef((row * ROW + slot % ROW) as u64)
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
            assert_eq!(out, [Sample { t: Timestamp(n as i64), v: 0.0 }]);
        }
    }
}
