//! What a series has: samples and native histograms, from several sources.
//!
//! Invariant: at one instant there is a sample or a histogram, never both: that of the youngest source,
//! and of one source the one given last, histograms after samples.

use std::sync::Arc;

use crate::model::{Histogram, HistogramSample, Labels, Sample, Timestamp};

/// A series with what it has in a range.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSeries {
    /// Which series.
    pub labels: Labels,
    /// Its samples, in the order of time.
    pub samples: Vec<Sample>,
    /// Its native histograms, in the order of time; at no instant of a sample.
    pub histograms: Vec<HistogramSample>,
}

/// What stands at an instant of a series.
#[derive(Debug, Clone)]
pub(super) enum Stored {
    /// A sample, by its value's bits.
    Number(u64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

impl Stored {
    /// What a histogram is at its instant.
    pub(super) fn histogram(sample: &HistogramSample) -> Stored {
        Stored::Histogram(Arc::clone(&sample.histogram))
    }

    /// Whether both are the same bit for bit.
    pub(super) fn is_same(&self, other: &Stored) -> bool {
        match (self, other) {
            (Stored::Number(a), Stored::Number(b)) => a == b,
            (Stored::Histogram(a), Stored::Histogram(b)) => a.same_bits(b),
            _ => false,
        }
    }
}

/// What is gathered of one series, source by source, the youngest last.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) samples: Vec<Sample>,
    pub(super) histograms: Vec<HistogramSample>,
    /// Where both of each source that is done end.
    ends: Vec<(usize, usize)>,
}

impl Content {
    /// Forgets everything but its room.
    pub(super) fn clear(&mut self) {
        self.samples.clear();
        self.histograms.clear();
        self.ends.clear();
    }

    /// A source has given all that it has.
    pub(super) fn end_source(&mut self) {
        self.ends.push((self.samples.len(), self.histograms.len()));
    }

    /// Puts both in the order of time, one of them at an instant.
    pub(super) fn put_in_order(&mut self) {
        if self.histograms.is_empty() {
            put_in_order(&mut self.samples, |sample| sample.t);
        } else if self.samples.is_empty() {
            put_in_order(&mut self.histograms, |histogram| histogram.t);
        } else {
            self.put_both_in_order();
        }
        self.ends.clear();
    }

    fn put_both_in_order(&mut self) {
        let source = |at: usize, end: fn(&(usize, usize)) -> usize| self.ends.partition_point(|ends| end(ends) <= at);
        let samples = self.samples.iter().enumerate().map(|(at, one)| (one.t, source(at, |ends| ends.0), 0, at));
        let histograms = self.histograms.iter().enumerate().map(|(at, one)| (one.t, source(at, |ends| ends.1), 1, at));
        let mut all: Vec<(Timestamp, usize, u8, usize)> = samples.chain(histograms).collect();
        all.sort_unstable();
        let last_at_instants = all.chunk_by(|a, b| a.0 == b.0).filter_map(<[_]>::last);
        let (mut samples, mut histograms) = (Vec::new(), Vec::new());
        for (_, _, kind, at) in last_at_instants {
            match kind {
                0 => samples.push(self.samples[*at]),
                _ => histograms.push(self.histograms[*at].clone()),
            }
        }
        (self.samples, self.histograms) = (samples, histograms);
    }
}

/// Sorts by time and keeps, of several at one instant, the last given.
fn put_in_order<T>(all: &mut Vec<T>, t: impl Fn(&T) -> Timestamp) {
    if all.is_sorted_by(|a, b| t(a) < t(b)) {
        return;
    }
    all.sort_by_key(|one| t(one));
    all.dedup_by(|later, kept| {
        let same = t(later) == t(kept);
        if same {
            std::mem::swap(later, kept);
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HistogramCounts, ResetHint};

    fn histogram(t: i64, sum: f64) -> HistogramSample {
        let histogram = Histogram {
            reset_hint: ResetHint::Unknown,
            schema: 0,
            zero_threshold: 0.0,
            sum,
            positive_spans: vec![],
            negative_spans: vec![],
            bounds: vec![],
            counts: HistogramCounts::Integer { count: 0, zero: 0, positive: vec![], negative: vec![] },
        };
        HistogramSample { t: Timestamp(t), start: Timestamp(0), histogram: Arc::new(histogram) }
    }

    #[test]
    fn the_youngest_source_counts_at_an_instant() {
        type Source<'a> = (&'a [(i64, f64)], &'a [(i64, f64)]);
        let check = |sources: &[Source<'_>], samples: &[(i64, f64)], histograms: &[(i64, f64)]| {
            let mut content = Content::default();
            for (samples, histograms) in sources {
                content.samples.extend(samples.iter().map(|(t, v)| Sample { t: Timestamp(*t), v: *v }));
                content.histograms.extend(histograms.iter().map(|(t, sum)| histogram(*t, *sum)));
                content.end_source();
            }
            content.put_in_order();
            assert_eq!(content.samples.iter().map(|s| (s.t.0, s.v)).collect::<Vec<_>>(), samples);
            let found: Vec<_> = content.histograms.iter().map(|h| (h.t.0, h.histogram.sum)).collect();
            assert_eq!(found, histograms);
        };
        check(&[(&[(1, 1.0), (3, 3.0)], &[]), (&[(2, 2.0), (1, 9.0)], &[])], &[(1, 9.0), (2, 2.0), (3, 3.0)], &[]);
        check(&[(&[], &[(5, 1.0), (3, 2.0), (5, 3.0)])], &[], &[(3, 2.0), (5, 3.0)]);
        check(&[(&[(1, 1.0)], &[(2, 2.0)]), (&[(2, 7.0)], &[(1, 8.0)])], &[(2, 7.0)], &[(1, 8.0)]);
        check(&[(&[(1, 1.0), (2, 2.0)], &[(2, 3.0)])], &[(1, 1.0)], &[(2, 3.0)]);
        check(&[(&[], &[(4, 1.0)]), (&[], &[]), (&[(4, 2.0)], &[])], &[(4, 2.0)], &[]);
    }
}
