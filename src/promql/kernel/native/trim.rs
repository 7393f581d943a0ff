//! Cuts off the observations above or below a value.

use super::quantile::exponential_share;
use super::{Bucket, FloatHistogram};
use crate::model::ExactSum;

/// Which observations stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Those below: `</`.
    Below,
    /// Those above: `>/`.
    Above,
}

/// What is left of a bucket: how many observations, and a value in their middle.
struct Left {
    count: f64,
    middle: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scale {
    Linear,
    Logarithmic,
}

impl FloatHistogram {
    /// The histogram without the observations on the other side of `limit`. If any go, count and sum
    /// are estimated anew from what is left in the buckets.
    #[must_use]
    pub fn trimmed(&self, keep: Keep, limit: f64) -> FloatHistogram {
        let scale = if self.is_custom() { Scale::Linear } else { Scale::Logarithmic };
        let (mut count, mut sum, mut any) = (0.0, ExactSum::new(), false);
        let mut take = |before: f64, left: Left| {
            any |= left.count != before;
            count += left.count;
            sum.add(left.middle * left.count);
            left.count
        };
        let mut side = |buckets: &[Bucket], mirrored: bool| -> Vec<Bucket> {
            let left = |bucket: &Bucket| {
                let (lower, upper) = (self.bound(bucket.index - 1), self.bound(bucket.index));
                let (lower, upper) = if mirrored { (-upper, -lower) } else { (lower, upper) };
                let count = take(bucket.count, left_of(keep, scale, (lower, upper), bucket.count, limit));
                Bucket { index: bucket.index, count }
            };
            buckets.iter().map(left).filter(|bucket| bucket.count != 0.0).collect()
        };
        let positive = side(&self.positive, false);
        let negative = side(&self.negative, true);
        let mut zero_count = self.zero_count;
        if zero_count > 0.0 && !self.is_custom() {
            zero_count = take(zero_count, self.left_of_zero(keep, limit));
        }
        if !any {
            return self.clone();
        }
        FloatHistogram { count, sum: sum.value(), zero_count, positive, negative, bounds: self.bounds.clone(), ..*self }
    }

    fn left_of_zero(&self, keep: Keep, limit: f64) -> Left {
        let (mut lower, mut upper) = (-self.zero_threshold, self.zero_threshold);
        match (self.negative.is_empty(), self.positive.is_empty()) {
            (true, false) => lower = 0.0,
            (false, true) => upper = 0.0,
            _ => {}
        }
        let middle = |from: f64, to: f64| (from + to) / 2.0;
        let all = Left { count: self.zero_count, middle: middle(lower, upper) };
        let none = Left { count: 0.0, middle: 0.0 };
        match keep {
            Keep::Below if limit <= lower => none,
            Keep::Below if limit >= upper => all,
            Keep::Below => {
                Left { count: self.zero_count * (limit - lower) / (upper - lower), middle: middle(lower, limit) }
            }
            Keep::Above if limit <= lower => all,
            Keep::Above if limit >= upper => none,
            Keep::Above => {
                Left { count: self.zero_count * (upper - limit) / (upper - lower), middle: middle(limit, upper) }
            }
        }
    }
}

fn left_of(keep: Keep, scale: Scale, (lower, upper): (f64, f64), count: f64, limit: f64) -> Left {
    let (whole, none) = match keep {
        Keep::Below => (upper <= limit, lower >= limit || limit.is_nan()),
        Keep::Above => (lower >= limit, upper <= limit || limit.is_nan()),
    };
    if whole {
        return Left { count, middle: middle_of(scale, lower, upper) };
    }
    if none {
        return Left { count: 0.0, middle: 0.0 };
    }
    if lower == f64::NEG_INFINITY || upper == f64::INFINITY {
        return left_of_infinite(keep, (lower, upper), count, limit);
    }
    let share = match scale {
        Scale::Linear => (limit - lower) / (upper - lower),
        Scale::Logarithmic => exponential_share(lower, upper, limit),
    };
    match keep {
        Keep::Below => Left { count: count * share, middle: middle_of(scale, lower, limit) },
        Keep::Above => Left { count: count - count * share, middle: middle_of(scale, limit, upper) },
    }
}

/// Of a bucket without an end nothing is known of where in it observations lie, so it goes as a
/// whole; but one that ends above zero is taken to begin there.
fn left_of_infinite(keep: Keep, (lower, upper): (f64, f64), count: f64, limit: f64) -> Left {
    let from_zero = lower == f64::NEG_INFINITY && upper > 0.0 && upper.is_finite();
    match keep {
        Keep::Below if from_zero && limit > 0.0 => Left { count: count * limit / upper, middle: limit / 2.0 },
        Keep::Below if lower == f64::NEG_INFINITY && upper <= 0.0 => Left { count, middle: limit },
        Keep::Above if from_zero && limit >= 0.0 => {
            Left { count: count * (1.0 - limit / upper), middle: (limit + upper) / 2.0 }
        }
        // Only the part above the limit could stay, and where the bucket begins it does.
        Keep::Above if lower.is_finite() => Left { count, middle: limit },
        _ => Left { count: 0.0, middle: 0.0 },
    }
}

fn middle_of(scale: Scale, lower: f64, upper: f64) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) if upper > 0.0 => upper / 2.0,
        (true, false) => upper,
        (false, true) => lower,
        (false, false) if scale == Scale::Linear => (lower + upper) / 2.0,
        (false, false) => (lower * upper).abs().sqrt().copysign(lower + upper),
    }
}
