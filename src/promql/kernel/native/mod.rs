//! Native histograms in the form that calculations take.
//!
//! Invariants:
//! - Buckets are in the order of their indices, each index once, and none of them counts exactly
//!   zero: a bucket that is not there and an empty one are the same.
//! - A result of several histograms does not depend on their order.

mod bounds;
mod change;
mod compare;
mod extended;
mod layout;
mod quantile;
mod sum;
mod trim;

use std::sync::Arc;

pub use self::bounds::{Interval, NativeBucket, native_buckets};
pub use self::change::{Change, is_reset, native_change, native_last_change};
pub use self::compare::infer_resets;
pub use self::extended::{native_between, native_extended};
pub use self::layout::MixedLayouts;
pub use self::quantile::NanNote;
pub use self::sum::{Combined, native_mean, native_sum};
pub use self::trim::Keep;
use crate::model::{CUSTOM_SCHEMA, Histogram, HistogramCounts, HistogramSample, ResetHint, Span, Timestamp};

/// Indices beyond this name buckets beyond the range of floats, whatever the schema.
const INDEX_MAX: i64 = (1 << 30) - 1;

/// How many observations fell into one bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Which bucket of its side.
    pub index: i32,
    /// How many; any number in the result of a calculation.
    pub count: f64,
}

/// A native histogram whose counts are floats.
#[derive(Debug, Clone)]
pub struct FloatHistogram {
    /// Whether counts began anew before it.
    pub reset_hint: ResetHint,
    /// How bounds grow, or [`CUSTOM_SCHEMA`].
    pub schema: i32,
    /// Half the width of the bucket around zero.
    pub zero_threshold: f64,
    /// What fell into the bucket around zero.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The buckets above zero; of a custom schema all.
    pub positive: Vec<Bucket>,
    /// The buckets below zero, by their distance from it.
    pub negative: Vec<Bucket>,
    /// Upper bounds of a custom schema, without the last one, which is infinite.
    pub bounds: Arc<[f64]>,
}

impl FloatHistogram {
    /// A histogram of a schema that nothing was observed in.
    pub fn empty(schema: i32, bounds: Arc<[f64]>) -> FloatHistogram {
        FloatHistogram {
            reset_hint: ResetHint::Unknown,
            schema,
            zero_threshold: 0.0,
            zero_count: 0.0,
            count: 0.0,
            sum: 0.0,
            positive: Vec::new(),
            negative: Vec::new(),
            bounds,
        }
    }

    /// How many samples of numbers take as much memory, as Prometheus counts it.
    pub fn weight(&self) -> usize {
        let runs = |buckets: &[Bucket]| {
            let gaps = buckets.windows(2).filter(|two| two[0].index + 1 != two[1].index).count();
            gaps + usize::from(!buckets.is_empty())
        };
        let buckets = self.positive.len() + self.negative.len();
        weight(buckets + runs(&self.positive) + runs(&self.negative) + self.bounds.len())
    }

    /// Whether its bounds are given one by one.
    pub fn is_custom(&self) -> bool {
        self.schema == CUSTOM_SCHEMA
    }

    /// Every count and the sum, times `factor`. Times a negative one it is no counter any more.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> FloatHistogram {
        let mut scaled = self.mapped(|v| v * factor);
        if factor < 0.0 {
            scaled.reset_hint = ResetHint::Gauge;
        }
        scaled
    }

    /// Every count and the sum, divided. By zero nothing is left of the buckets.
    #[must_use]
    pub fn divided(&self, divisor: f64) -> FloatHistogram {
        let mut divided = self.mapped(|v| v / divisor);
        if divisor == 0.0 {
            divided.positive.clear();
            divided.negative.clear();
        } else if divisor < 0.0 {
            divided.reset_hint = ResetHint::Gauge;
        }
        divided
    }

    fn mapped(&self, change: impl Fn(f64) -> f64) -> FloatHistogram {
        let buckets = |buckets: &[Bucket]| {
            let changed = buckets.iter().map(|bucket| Bucket { index: bucket.index, count: change(bucket.count) });
            changed.filter(|bucket| bucket.count != 0.0).collect()
        };
        FloatHistogram {
            zero_count: change(self.zero_count),
            count: change(self.count),
            sum: change(self.sum),
            positive: buckets(&self.positive),
            negative: buckets(&self.negative),
            bounds: self.bounds.clone(),
            ..*self
        }
    }

    /// The same in the form that is stored and answered.
    pub fn to_histogram(&self) -> Histogram {
        let (positive_spans, positive) = spans_of(&self.positive);
        let (negative_spans, negative) = spans_of(&self.negative);
        Histogram {
            reset_hint: self.reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            sum: self.sum,
            positive_spans,
            negative_spans,
            bounds: self.bounds.to_vec(),
            counts: HistogramCounts::Float { count: self.count, zero: self.zero_count, positive, negative },
        }
    }
}

/// A histogram of a series at an instant.
#[derive(Debug, Clone)]
pub struct HistogramPoint {
    /// When.
    pub t: Timestamp,
    /// When its counting began; 0 if that is not known.
    pub start: Timestamp,
    /// What.
    pub histogram: Arc<FloatHistogram>,
}

impl HistogramPoint {
    /// The same in the form that is stored and answered.
    pub fn sample(&self) -> HistogramSample {
        HistogramSample { t: self.t, start: self.start, histogram: Arc::new(self.histogram.to_histogram()) }
    }
}

impl From<&HistogramSample> for HistogramPoint {
    fn from(sample: &HistogramSample) -> HistogramPoint {
        HistogramPoint { t: sample.t, start: sample.start, histogram: Arc::new((&*sample.histogram).into()) }
    }
}

impl From<&Histogram> for FloatHistogram {
    fn from(histogram: &Histogram) -> FloatHistogram {
        let spans = (&histogram.positive_spans, &histogram.negative_spans);
        let (count, zero_count, positive, negative) = match &histogram.counts {
            HistogramCounts::Integer { count, zero, positive, negative } => {
                let buckets = |spans: &[Span], counts: &[u64]| buckets_of(spans, counts.iter().map(|n| *n as f64));
                (*count as f64, *zero as f64, buckets(spans.0, positive), buckets(spans.1, negative))
            }
            HistogramCounts::Float { count, zero, positive, negative } => {
                let buckets = |spans: &[Span], counts: &[f64]| buckets_of(spans, counts.iter().copied());
                (*count, *zero, buckets(spans.0, positive), buckets(spans.1, negative))
            }
        };
        FloatHistogram {
            reset_hint: histogram.reset_hint,
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            zero_count,
            count,
            sum: histogram.sum,
            positive,
            negative,
            bounds: histogram.bounds.as_slice().into(),
        }
    }
}

/// How many samples of numbers a stored histogram takes as much memory as, as Prometheus counts it.
pub fn native_weight(histogram: &Histogram) -> usize {
    let buckets = match &histogram.counts {
        HistogramCounts::Integer { positive, negative, .. } => positive.len() + negative.len(),
        HistogramCounts::Float { positive, negative, .. } => positive.len() + negative.len(),
    };
    weight(buckets + histogram.positive_spans.len() + histogram.negative_spans.len() + histogram.bounds.len())
}

/// Prometheus' own structure takes 168 bytes with its time, and 8 for each bucket, span and bound; a
/// number with its time takes 16.
fn weight(parts: usize) -> usize {
    (168 + 8 * parts) / 16
}

/// The buckets that count anything; counts without a span, and spans without counts, are left out.
fn buckets_of(spans: &[Span], mut counts: impl Iterator<Item = f64>) -> Vec<Bucket> {
    let mut buckets: Vec<Bucket> = Vec::new();
    let mut next = 0i64;
    for span in spans {
        next = next.saturating_add(i64::from(span.offset));
        for _ in 0..span.length {
            let Some(count) = counts.next() else { return buckets };
            let index = next.clamp(-INDEX_MAX, INDEX_MAX) as i32;
            next = next.saturating_add(1);
            if count == 0.0 {
                continue;
            }
            match buckets.last_mut() {
                Some(last) if last.index >= index => last.count += count,
                _ => buckets.push(Bucket { index, count }),
            }
        }
    }
    buckets
}

/// Spans and counts of buckets.
fn spans_of(buckets: &[Bucket]) -> (Vec<Span>, Vec<f64>) {
    let mut spans: Vec<Span> = Vec::new();
    let mut end = 0;
    for bucket in buckets {
        match spans.last_mut() {
            Some(last) if bucket.index == end => last.length += 1,
            _ => spans.push(Span { offset: bucket.index - end, length: 1 }),
        }
        end = bucket.index + 1;
    }
    (spans, buckets.iter().map(|bucket| bucket.count).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(spans: &[(i32, u32)], counts: &[u64]) -> Histogram {
        Histogram {
            reset_hint: ResetHint::Unknown,
            schema: 0,
            zero_threshold: 0.0,
            sum: 1.0,
            positive_spans: spans.iter().map(|&(offset, length)| Span { offset, length }).collect(),
            negative_spans: Vec::new(),
            bounds: Vec::new(),
            counts: HistogramCounts::Integer { count: 9, zero: 0, positive: counts.to_vec(), negative: Vec::new() },
        }
    }

    #[test]
    fn spans_become_buckets_and_come_back_without_the_empty_ones() {
        let check = |spans: &[(i32, u32)], counts: &[u64], buckets: &[(i32, f64)], back: &[(i32, u32)]| {
            let float = FloatHistogram::from(&histogram(spans, counts));
            let found: Vec<_> = float.positive.iter().map(|bucket| (bucket.index, bucket.count)).collect();
            assert_eq!(found, buckets, "{spans:?} {counts:?}");
            let found: Vec<_> =
                float.to_histogram().positive_spans.iter().map(|span| (span.offset, span.length)).collect();
            assert_eq!(found, back, "{spans:?} {counts:?}");
        };
        check(&[], &[], &[], &[]);
        check(&[(-2, 2), (3, 1)], &[1, 5, 3], &[(-2, 1.0), (-1, 5.0), (3, 3.0)], &[(-2, 2), (3, 1)]);
        check(&[(0, 3)], &[1, 0, 2], &[(0, 1.0), (2, 2.0)], &[(0, 1), (1, 1)]);
        check(&[(1, 1), (0, 0), (0, 1)], &[1, 2], &[(1, 1.0), (2, 2.0)], &[(1, 2)]);
        check(&[(0, 2)], &[1], &[(0, 1.0)], &[(0, 1)]);
        // Buckets beyond everything that a float can hold come together.
        let far = [(i32::MAX, 1), (i32::MAX, 1)];
        check(&far, &[1, 2], &[((1 << 30) - 1, 3.0)], &[((1 << 30) - 1, 1)]);
        check(
            &[(i32::MIN, 1), (i32::MAX, 1), (i32::MAX, 1)],
            &[1, 2, 3],
            &[(-((1 << 30) - 1), 1.0), (0, 2.0), ((1 << 30) - 1, 3.0)],
            &[(-((1 << 30) - 1), 1), ((1 << 30) - 2, 1), ((1 << 30) - 2, 1)],
        );
    }
}
