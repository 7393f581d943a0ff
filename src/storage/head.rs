//! Samples that are in memory: one generation between two checkpoints.
//!
//! Invariants:
//! - A column only grows, in the order of the log; each sample knows its entry, so that a view of an
//!   earlier place in the log does not see it.
//! - One writer appends; after its checkpoint has begun, a generation does not change any more.

use parking_lot::Mutex;

use crate::model::{Sample, Seq, SeriesRef, TimeRange, Timestamp};

/// Locks that the columns are spread over, so that a long read does not hold up the writer.
const SHARDS: usize = 16;

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
    times: Vec<i64>,
    values: Vec<f64>,
    /// The entry that brought the sample, counted from the generation's base.
    entries: Vec<u32>,
    unordered: bool,
}

impl Generation {
    /// An empty generation that begins behind entry `base`.
    pub(super) fn new(base: Seq) -> Generation {
        Generation { base, shards: std::array::from_fn(|_| Mutex::new(Vec::new())) }
    }

    /// Adds a sample that entry `seq` brought.
    pub(super) fn append(&self, seq: Seq, series: SeriesRef, sample: Sample) {
        let (shard, slot) = place(series);
        let mut columns = self.shards[shard].lock();
        if columns.len() <= slot {
            columns.resize_with(slot + 1, || None);
        }
        let column = columns[slot].get_or_insert_default();
        column.unordered |= column.times.last().is_some_and(|last| *last > sample.t.0);
        column.times.push(sample.t.0);
        column.values.push(sample.v);
        column.entries.push(self.entry(seq));
    }

    /// Adds to `out` the samples of a series inside `range` that entries up to `seq` brought.
    pub(super) fn read(&self, series: SeriesRef, range: TimeRange, seq: Seq, out: &mut Vec<Sample>) {
        self.with_visible(series, seq, |times, values, unordered| {
            let sample = |(t, v): (&i64, &f64)| Sample { t: Timestamp(*t), v: *v };
            if unordered {
                out.extend(times.iter().zip(values).map(sample).filter(|s| range.contains(s.t)));
            } else {
                let start = times.partition_point(|t| *t <= range.after.0);
                let end = times.partition_point(|t| *t <= range.until.0).max(start);
                out.extend(times[start..end].iter().zip(&values[start..end]).map(sample));
            }
        });
    }

    /// Whether [`Generation::read`] would add anything.
    pub(super) fn touches(&self, series: SeriesRef, range: TimeRange, seq: Seq) -> bool {
        let mut found = false;
        self.with_visible(series, seq, |times, _, unordered| {
            found = if unordered {
                times.iter().any(|t| range.contains(Timestamp(*t)))
            } else {
                let start = times.partition_point(|t| *t <= range.after.0);
                times.get(start).is_some_and(|t| range.contains(Timestamp(*t)))
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
            all.extend(taken.map(|(slot, _)| SeriesRef((slot * SHARDS + shard) as u64)));
        }
        all
    }

    fn with_visible(&self, series: SeriesRef, seq: Seq, read: impl FnOnce(&[i64], &[f64], bool)) {
        let (shard, slot) = place(series);
        let columns = self.shards[shard].lock();
        if let Some(Some(column)) = columns.get(slot) {
            let last = self.entry(seq);
            let n = match column.entries.last() {
                Some(newest) if *newest <= last => column.entries.len(),
                _ => column.entries.partition_point(|entry| *entry <= last),
            };
            read(&column.times[..n], &column.values[..n], column.unordered);
        }
    }

    fn entry(&self, seq: Seq) -> u32 {
        // Four thousand million entries take more log than any checkpoint waits for; should it come
        // to that, the youngest become visible together.
        u32::try_from(seq.0.saturating_sub(self.base.0)).unwrap_or(u32::MAX)
    }
}

fn place(series: SeriesRef) -> (usize, usize) {
    let number = super::index::slot(series);
    (number % SHARDS, number / SHARDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_sees_its_prefix_and_its_range() {
        let generation = Generation::new(Seq(10));
        let sample = |t: i64| Sample { t: Timestamp(t), v: t as f64 };
        for (seq, t) in [(11, 5), (12, 7), (12, 9), (13, 8)] {
            generation.append(Seq(seq), SeriesRef(3), sample(t));
        }
        let check = |seq: u64, after: i64, until: i64, expected: &[i64]| {
            let mut out = Vec::new();
            let range = TimeRange { after: Timestamp(after), until: Timestamp(until) };
            generation.read(SeriesRef(3), range, Seq(seq), &mut out);
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
}
