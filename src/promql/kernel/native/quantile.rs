//! Estimates from a histogram's buckets: quantiles, fractions, the variance.
//!
//! Invariants:
//! - Inside a bucket observations are taken to be spread evenly: of an exponential schema on a
//!   logarithmic scale; in the zero bucket and of custom bounds on a linear one.

use super::{FloatHistogram, NativeBucket};
use crate::model::ExactSum;

/// What the user should know of an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NanNote {
    /// Nothing.
    None,
    /// The rank is that of an observation that is no number.
    Result,
    /// There are observations that are no numbers, which count as the largest.
    Observations,
}

impl FloatHistogram {
    /// The `q`-quantile. NaN for `q` NaN and for no observations; infinite for `q` outside 0 to 1.
    pub fn quantile(&self, q: f64) -> (f64, NanNote) {
        if q < 0.0 {
            return (f64::NEG_INFINITY, NanNote::None);
        }
        if q > 1.0 {
            return (f64::INFINITY, NanNote::None);
        }
        if self.count == 0.0 || q.is_nan() {
            return (f64::NAN, NanNote::None);
        }
        // Observations that are no numbers are in no bucket: only from below is a rank the right one.
        let from_below = self.sum.is_nan() || q < 0.5;
        let rank = if from_below { q * self.count } else { (1.0 - q) * self.count };
        let found = match from_below {
            true => find(self.buckets(), rank),
            false => find(self.buckets().rev(), rank),
        };
        let Some((bucket, reached)) = found else {
            // The count belongs to no observation that is a number, or to none at all.
            return match (self.sum.is_nan(), rank > 0.0) {
                (true, _) => (f64::NAN, NanNote::Result),
                (false, true) => (0.0, NanNote::None),
                (false, false) => (f64::NAN, NanNote::None),
            };
        };
        let without_start = bucket.interval.lower == f64::NEG_INFINITY;
        let bucket = self.narrowed(bucket);
        let (lower, upper) = (bucket.interval.lower, bucket.interval.upper);
        if self.is_custom() && without_start && upper <= 0.0 {
            return (upper, NanNote::None);
        }
        if self.is_custom() && !without_start && upper == f64::INFINITY {
            return (lower, NanNote::None);
        }
        let reached = reached.min(self.count);
        if reached < rank {
            return match self.sum.is_nan() {
                true => (f64::NAN, NanNote::Result),
                false => (upper, NanNote::None),
            };
        }
        let into = if from_below { rank - (reached - bucket.count) } else { reached - rank };
        let note = if self.has_nan_observations() { NanNote::Observations } else { NanNote::None };
        (self.interpolate(&bucket, into / bucket.count), note)
    }

    /// The value below which lies that fraction of a bucket.
    fn interpolate(&self, bucket: &NativeBucket, fraction: f64) -> f64 {
        let (lower, upper) = (bucket.interval.lower, bucket.interval.upper);
        if self.is_custom() || (lower <= 0.0 && upper >= 0.0) {
            return lower + (upper - lower) * fraction;
        }
        let (log_lower, log_upper) = (lower.abs().log2(), upper.abs().log2());
        if lower > 0.0 {
            (log_lower + (log_upper - log_lower) * fraction).exp2()
        } else {
            -(log_upper + (log_lower - log_upper) * (1.0 - fraction)).exp2()
        }
    }

    /// The share of observations between two values. NaN for no observations, or if a value is NaN.
    pub fn fraction(&self, lower: f64, upper: f64) -> (f64, NanNote) {
        if self.count == 0.0 || lower.is_nan() || upper.is_nan() {
            return (f64::NAN, NanNote::None);
        }
        if lower >= upper {
            return (0.0, NanNote::None);
        }
        let (total, note) = match self.has_nan_observations() {
            true => (self.observations(), NanNote::Observations),
            false if self.sum.is_nan() => (self.observations(), NanNote::None),
            false => (self.count, NanNote::None),
        };
        let below = |v| self.rank_of(v).unwrap_or(total).min(total);
        ((below(upper) - below(lower)) / self.count, note)
    }

    /// How many observations are at most `v`, which is no NaN. It does not fall while buckets grow: it can be taken
    /// for a counter.
    pub fn observations_below(&self, v: f64) -> f64 {
        self.rank_of(v).unwrap_or_else(|| self.observations())
    }

    /// How many observations lie below `v`; nothing if `v` lies above all buckets.
    fn rank_of(&self, v: f64) -> Option<f64> {
        let mut rank = 0.0;
        for bucket in self.buckets() {
            let around_zero = bucket.interval.lower <= 0.0 && bucket.interval.upper >= 0.0;
            let bucket = self.narrowed_for_fraction(bucket);
            let (lower, upper) = (bucket.interval.lower, bucket.interval.upper);
            if lower >= v {
                return Some(rank);
            }
            if upper > v {
                return Some(match self.is_custom() || around_zero {
                    // Nothing is known of how observations are spread without a lower end.
                    true if lower == f64::NEG_INFINITY => bucket.count,
                    true => rank + bucket.count * (v - lower) / (upper - lower),
                    false => rank + bucket.count * exponential_share(lower, upper, v),
                });
            }
            rank += bucket.count;
        }
        None
    }

    /// The population variance: each observation counts as one in the middle of its bucket.
    pub fn variance(&self) -> f64 {
        let mean = self.sum / self.count;
        let mut squares = ExactSum::new();
        for bucket in self.buckets() {
            let (lower, upper) = (bucket.interval.lower, bucket.interval.upper);
            let middle = match (self.is_custom(), lower <= 0.0 && upper >= 0.0) {
                (true, _) => (upper + lower) / 2.0,
                (false, true) => 0.0,
                (false, false) => (upper * lower).sqrt().copysign(upper),
            };
            let delta = middle - mean;
            squares.add(bucket.count * delta * delta);
        }
        squares.value() / self.count
    }

    /// The observations that are in buckets.
    fn observations(&self) -> f64 {
        self.buckets().map(|bucket| bucket.count).sum()
    }

    /// Infinite observations of both signs make the sum NaN as well, but those are in buckets.
    fn has_nan_observations(&self) -> bool {
        self.sum.is_nan() && self.observations() < self.count
    }

    /// A bucket around zero without its half that has no observations, if all others lie on one side;
    /// the first one of custom bounds begins at zero if it ends above.
    fn narrowed(&self, mut bucket: NativeBucket) -> NativeBucket {
        let interval = &mut bucket.interval;
        if self.is_custom() {
            if interval.lower == f64::NEG_INFINITY && interval.upper > 0.0 {
                interval.lower = 0.0;
            }
        } else if interval.lower < 0.0 && interval.upper > 0.0 {
            match (self.negative.is_empty(), self.positive.is_empty()) {
                (true, false) => interval.lower = 0.0,
                (false, true) => interval.upper = 0.0,
                _ => {}
            }
        }
        bucket
    }

    /// The same as fractions see it: custom bounds around zero begin there as well.
    fn narrowed_for_fraction(&self, mut bucket: NativeBucket) -> NativeBucket {
        let interval = &mut bucket.interval;
        if interval.lower <= 0.0 && interval.upper >= 0.0 {
            match (self.negative.is_empty(), self.positive.is_empty()) {
                (true, false) => interval.lower = 0.0,
                (false, true) => interval.upper = 0.0,
                _ => {}
            }
        }
        bucket
    }
}

/// The bucket in which the observations counted so far reach `rank`, or the last one, with how many
/// have been counted then.
fn find(buckets: impl Iterator<Item = NativeBucket>, rank: f64) -> Option<(NativeBucket, f64)> {
    let (mut count, mut last) = (0.0, None);
    for bucket in buckets {
        count += bucket.count;
        last = Some((bucket, count));
        if count >= rank {
            break;
        }
    }
    last
}

/// Which part of a bucket lies below `v`, on a logarithmic scale.
pub(super) fn exponential_share(lower: f64, upper: f64, v: f64) -> f64 {
    let (log_lower, log_upper, log_v) = (lower.abs().log2(), upper.abs().log2(), v.abs().log2());
    if v > 0.0 {
        (log_v - log_lower) / (log_upper - log_lower)
    } else {
        1.0 - (log_v - log_upper) / (log_lower - log_upper)
    }
}
