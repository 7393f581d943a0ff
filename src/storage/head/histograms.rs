//! The native histograms of a generation, beside its columns of samples: few series have any.
//!
//! Invariant: a column is in the order of the log, and each histogram knows its entry.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;

use crate::model::{HistogramSample, SeriesRef, TimeRange};

/// Histograms by series, each with its entry.
type Columns = HashMap<SeriesRef, Vec<(u32, HistogramSample)>>;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct HistogramColumns {
    columns: RwLock<Columns>,
    /// What they take in memory; 0 if there are none, so that a reader of samples need not wait for a lock.
    bytes: AtomicUsize,
}

impl HistogramColumns {
    /// Adds those that an entry brought, which comes after all others.
    pub(super) fn append(&self, entry: u32, histograms: &[(SeriesRef, HistogramSample)]) {
        if histograms.is_empty() {
            return;
        }
        let mut columns = self.columns.write();
        let mut bytes = 0;
        for (series, sample) in histograms {
            bytes += size_of::<(u32, HistogramSample)>() + sample.histogram.bytes();
            columns.entry(*series).or_default().push((entry, sample.clone()));
        }
        self.bytes.fetch_add(bytes, Ordering::Release);
    }

    /// Adds to `out` those of a series inside `range` that entries up to `entry` brought, but for those of
    /// entries and ranges that are hidden.
    pub(super) fn read(
        &self,
        series: SeriesRef,
        hidden: &[(u32, TimeRange)],
        range: TimeRange,
        entry: u32,
        out: &mut Vec<HistogramSample>,
    ) {
        if self.bytes() == 0 {
            return;
        }
        let columns = self.columns.read();
        let column = columns.get(&series).map_or(&[][..], Vec::as_slice);
        for (of, sample) in column.iter().take_while(|(of, _)| *of <= entry) {
            let is_hidden = hidden.iter().any(|(upto, range)| of <= upto && range.contains(sample.t));
            if range.contains(sample.t) && !is_hidden {
                out.push(sample.clone());
            }
        }
    }

    /// Whether there are any of a series inside `range`, by entries up to `entry`.
    pub(super) fn touches(&self, series: SeriesRef, range: TimeRange, entry: u32) -> bool {
        if self.bytes() == 0 {
            return false;
        }
        let columns = self.columns.read();
        let column = columns.get(&series).map_or(&[][..], Vec::as_slice);
        column.iter().take_while(|(of, _)| *of <= entry).any(|(_, sample)| range.contains(sample.t))
    }

    /// Whether a series has any.
    pub(super) fn has(&self, series: SeriesRef) -> bool {
        self.bytes() > 0 && self.columns.read().contains_key(&series)
    }

    /// The series that have any.
    pub(super) fn series(&self) -> Vec<SeriesRef> {
        self.columns.read().keys().copied().collect()
    }

    /// Bytes that they take in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Histogram, HistogramCounts, ResetHint, Timestamp};

    fn sample(t: i64) -> HistogramSample {
        let histogram = Histogram {
            reset_hint: ResetHint::Unknown,
            schema: 0,
            zero_threshold: 0.0,
            sum: t as f64,
            positive_spans: vec![],
            negative_spans: vec![],
            bounds: vec![],
            counts: HistogramCounts::Integer { count: 0, zero: 0, positive: vec![], negative: vec![] },
        };
        HistogramSample { t: Timestamp(t), start: Timestamp(0), histogram: Arc::new(histogram) }
    }

    #[test]
    fn a_view_sees_its_prefix_and_its_range_without_what_is_hidden() {
        let columns = HistogramColumns::default();
        assert!(!columns.has(SeriesRef(3)) && columns.bytes() == 0);
        for (entry, t) in [(1, 5), (2, 7), (2, 9), (4, 8)] {
            columns.append(entry, &[(SeriesRef(3), sample(t))]);
        }
        let range = |after, until| TimeRange { after: Timestamp(after), until: Timestamp(until) };
        let check = |entry: u32, asked: TimeRange, hidden: &[(u32, TimeRange)], expected: &[i64]| {
            let mut out = Vec::new();
            columns.read(SeriesRef(3), hidden, asked, entry, &mut out);
            assert_eq!(out.iter().map(|sample| sample.t.0).collect::<Vec<_>>(), expected);
            if hidden.is_empty() {
                assert_eq!(columns.touches(SeriesRef(3), asked, entry), !expected.is_empty());
            }
        };
        check(0, range(0, 100), &[], &[]);
        check(1, range(0, 100), &[], &[5]);
        check(3, range(5, 9), &[], &[7, 9]);
        check(4, range(7, 100), &[], &[9, 8]);
        check(4, range(9, 100), &[], &[]);
        check(4, range(0, 100), &[(3, range(4, 8))], &[9, 8]);
        check(4, range(0, 100), &[(4, range(7, 8)), (1, range(8, 9))], &[5, 7, 9]);
        assert_eq!((columns.series(), columns.has(SeriesRef(2))), (vec![SeriesRef(3)], false));
    }
}
