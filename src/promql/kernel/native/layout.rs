//! One bucket layout for several histograms.
//!
//! Invariants:
//! - The zero bucket ends inside no bucket that counts anything, of none of the histograms that had
//!   a smaller one; so no count has to be split.
//! - The layout does not depend on the order of the histograms.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Bucket, FloatHistogram};

/// Exponential buckets and custom ones have no layout in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MixedLayouts;

/// A layout that several histograms can be brought into.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) bounds: Arc<[f64]>,
    /// Whether custom bounds were left out because not all have them.
    pub(super) reconciled: bool,
}

/// A histogram's counts in a layout.
pub(super) struct Fitted<'a> {
    pub(super) zero_count: f64,
    pub(super) positive: Cow<'a, [Bucket]>,
    pub(super) negative: Cow<'a, [Bucket]>,
}

impl Layout {
    /// The finest layout that all can be brought into.
    pub(super) fn common<'a>(
        histograms: impl Iterator<Item = &'a FloatHistogram> + Clone,
    ) -> Result<Layout, MixedLayouts> {
        let schema = histograms.clone().map(|one| one.schema).min().unwrap_or(0);
        let custom = histograms.clone().any(FloatHistogram::is_custom);
        if custom && !histograms.clone().all(FloatHistogram::is_custom) {
            return Err(MixedLayouts);
        }
        if custom {
            let (bounds, reconciled) = common_bounds(histograms);
            return Ok(Layout { schema, zero_threshold: 0.0, bounds, reconciled });
        }
        let mut zero_threshold = histograms.clone().map(|one| one.zero_threshold).fold(0.0, f64::max);
        loop {
            let wider =
                histograms.clone().map(|one| one.threshold_beyond(zero_threshold)).fold(zero_threshold, f64::max);
            if wider <= zero_threshold {
                break;
            }
            zero_threshold = wider;
        }
        Ok(Layout { schema, zero_threshold, bounds: Arc::from([]), reconciled: false })
    }

    /// The counts of a histogram in this layout, which it was made for.
    pub(super) fn fit<'a>(&self, histogram: &'a FloatHistogram) -> Fitted<'a> {
        if histogram.is_custom() {
            let same = same_bits(&histogram.bounds, &self.bounds);
            let positive = if same { Cow::Borrowed(&*histogram.positive) } else { self.rebound(histogram) };
            return Fitted { zero_count: histogram.zero_count, positive, negative: Cow::Borrowed(&[]) };
        }
        let mut zero_count = histogram.zero_count;
        let mut side = |buckets: &'a [Bucket]| {
            let inside = |bucket: &Bucket| histogram.bound(bucket.index) <= self.zero_threshold;
            let merged = match self.zero_threshold > histogram.zero_threshold {
                true => buckets.iter().take_while(|bucket| inside(bucket)).count(),
                false => 0,
            };
            zero_count += buckets[..merged].iter().map(|bucket| bucket.count).sum::<f64>();
            reduced(&buckets[merged..], histogram.schema - self.schema)
        };
        let (positive, negative) = (side(&histogram.positive), side(&histogram.negative));
        Fitted { zero_count, positive, negative }
    }

    /// The buckets between the bounds that all have in common.
    fn rebound<'a>(&self, histogram: &FloatHistogram) -> Cow<'a, [Bucket]> {
        let target = |bucket: &Bucket| {
            let upper = histogram.bound(bucket.index);
            self.bounds.partition_point(|bound| *bound < upper) as i32
        };
        Cow::Owned(merged(&histogram.positive, target))
    }
}

impl FloatHistogram {
    /// `threshold`, moved up to the end of a bucket that it lies in, if this histogram has to give up
    /// buckets for it.
    fn threshold_beyond(&self, threshold: f64) -> f64 {
        if threshold <= self.zero_threshold {
            return threshold;
        }
        let around =
            |bucket: &&Bucket| self.bound(bucket.index - 1) < threshold && self.bound(bucket.index) > threshold;
        let buckets = self.positive.iter().chain(&self.negative);
        buckets.filter(around).map(|bucket| self.bound(bucket.index)).fold(threshold, f64::max)
    }
}

/// The bounds that all have, and whether some have others.
fn common_bounds<'a>(mut histograms: impl Iterator<Item = &'a FloatHistogram>) -> (Arc<[f64]>, bool) {
    let Some(first) = histograms.next() else { return (Arc::from([]), false) };
    let (mut bounds, mut reconciled) = (first.bounds.clone(), false);
    for other in histograms {
        if !same_bits(&bounds, &other.bounds) {
            let has = |bound: &&f64| other.bounds.binary_search_by(|other| other.total_cmp(bound)).is_ok();
            bounds = bounds.iter().filter(has).copied().collect();
            reconciled = true;
        }
    }
    (bounds, reconciled)
}

pub(super) fn same_bits(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Buckets of a schema that is coarser by `levels`: each holds `2^levels` of the finer ones.
fn reduced(buckets: &[Bucket], levels: i32) -> Cow<'_, [Bucket]> {
    if levels <= 0 {
        return Cow::Borrowed(buckets);
    }
    Cow::Owned(merged(buckets, |bucket| ((bucket.index - 1) >> levels.min(31)) + 1))
}

/// Buckets under new indices, which rise with the old ones.
fn merged(buckets: &[Bucket], index: impl Fn(&Bucket) -> i32) -> Vec<Bucket> {
    let mut merged: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        let index = index(bucket);
        match merged.last_mut() {
            Some(last) if last.index == index => last.count += bucket.count,
            _ => merged.push(Bucket { index, count: bucket.count }),
        }
    }
    merged
}
