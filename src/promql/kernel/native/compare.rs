//! Whether a histogram equals another, and whether counting began anew between two.

use std::sync::Arc;

use super::layout::{Fitted, Layout, same_bits};
use super::{Bucket, FloatHistogram, HistogramPoint};
use crate::model::{ResetHint, is_stale};

impl FloatHistogram {
    /// Whether all counts, the sum and the layout are the same, bit for bit. Empty buckets and what
    /// is known of resets do not count.
    pub fn equals(&self, other: &FloatHistogram) -> bool {
        let buckets = |a: &[Bucket], b: &[Bucket]| {
            let same = |(a, b): (&Bucket, &Bucket)| (a.index, a.count.to_bits()) == (b.index, b.count.to_bits());
            a.len() == b.len() && a.iter().zip(b).all(same)
        };
        self.schema == other.schema
            && same_bits(&[self.count, self.sum, self.zero_count], &[other.count, other.sum, other.zero_count])
            && self.zero_threshold == other.zero_threshold
            && buckets(&self.positive, &other.positive)
            && buckets(&self.negative, &other.negative)
            && (!self.is_custom() || same_bits(&self.bounds, &other.bounds))
    }

    /// Where nothing is known of resets: what the counts say since the histogram before.
    pub fn infer_reset(&mut self, before: &FloatHistogram) {
        if self.reset_hint == ResetHint::Unknown && !is_stale(before.sum) {
            self.reset_hint = if self.is_reset_since(before) { ResetHint::Reset } else { ResetHint::NoReset };
        }
    }

    /// Whether counting began anew since `before`: it is said so, or a count is smaller, or buckets
    /// are finer, which a running counter's never get.
    pub fn is_reset_since(&self, before: &FloatHistogram) -> bool {
        match self.reset_hint {
            ResetHint::Reset => return true,
            ResetHint::NoReset => return false,
            // A gauge is taken for a counter where one is asked for.
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        if self.count < before.count || self.schema > before.schema || self.zero_threshold < before.zero_threshold {
            return true;
        }
        let Ok(layout) = Layout::common([self, before].into_iter()) else { return true };
        if layout.zero_threshold != self.zero_threshold {
            // The end of the zero bucket lies inside a bucket that counted something before.
            return true;
        }
        let (now, before) = (layout.fit(self), layout.fit(before));
        let falls = |side: for<'a> fn(&'a Fitted<'_>) -> &'a [Bucket]| any_falls(side(&before), side(&now));
        now.zero_count < before.zero_count || falls(|fitted| &fitted.positive) || falls(|fitted| &fitted.negative)
    }
}

/// [`FloatHistogram::infer_reset`] of all but the first.
pub fn infer_resets(points: &mut [HistogramPoint]) {
    for at in (1..points.len()).rev() {
        let mut histogram = FloatHistogram::clone(&points[at].histogram);
        histogram.infer_reset(&points[at - 1].histogram);
        points[at].histogram = Arc::new(histogram);
    }
}

/// Whether a bucket of `before` counts less in `now`.
fn any_falls(before: &[Bucket], now: &[Bucket]) -> bool {
    let mut now = now.iter().peekable();
    before.iter().any(|bucket| {
        while now.peek().is_some_and(|other| other.index < bucket.index) {
            now.next();
        }
        match now.peek() {
            Some(other) if other.index == bucket.index => other.count < bucket.count,
            _ => true,
        }
    })
}
