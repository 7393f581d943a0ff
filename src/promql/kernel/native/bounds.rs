//! Between which values a bucket's observations lie.

use crate::model::{CUSTOM_SCHEMA, Histogram};

use super::{Bucket, FloatHistogram};

/// The values of a bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The smallest.
    pub lower: f64,
    /// The largest.
    pub upper: f64,
    /// Whether the smallest is among them.
    pub lower_inclusive: bool,
    /// Whether the largest is among them.
    pub upper_inclusive: bool,
}

/// A bucket with the values that fall into it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NativeBucket {
    /// Which values.
    pub interval: Interval,
    /// How many observations.
    pub count: f64,
}

/// The buckets of a stored histogram that count anything, from the smallest values to the largest.
pub fn native_buckets(histogram: &Histogram) -> Vec<NativeBucket> {
    FloatHistogram::from(histogram).buckets().collect()
}

impl FloatHistogram {
    /// The buckets that count anything, from the smallest values to the largest. The one around zero
    /// hides the parts of others that it overlaps; it is left out if it counts less than nothing.
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = NativeBucket> {
        let negative = self.negative.iter().rev().map(|bucket| self.native(bucket, Side::Negative));
        let zero = (self.zero_count > 0.0).then(|| NativeBucket {
            interval: Interval {
                lower: -self.zero_threshold,
                upper: self.zero_threshold,
                lower_inclusive: true,
                upper_inclusive: true,
            },
            count: self.zero_count,
        });
        let positive = self.positive.iter().map(|bucket| self.native(bucket, Side::Positive));
        negative.chain(zero).chain(positive)
    }

    fn native(&self, bucket: &Bucket, side: Side) -> NativeBucket {
        let (mut lower, upper) = (self.bound(bucket.index - 1), self.bound(bucket.index));
        if !self.is_custom() && lower < self.zero_threshold {
            lower = self.zero_threshold;
        }
        let interval = if self.is_custom() {
            Interval { lower, upper, lower_inclusive: bucket.index == 0, upper_inclusive: true }
        } else if side == Side::Positive {
            Interval { lower, upper, lower_inclusive: false, upper_inclusive: true }
        } else {
            Interval { lower: -upper, upper: -lower, lower_inclusive: true, upper_inclusive: false }
        };
        NativeBucket { interval, count: bucket.count }
    }

    /// The upper bound of a bucket of the positive side.
    pub(super) fn bound(&self, index: i32) -> f64 {
        if self.schema != CUSTOM_SCHEMA {
            return exponential(index, self.schema);
        }
        match usize::try_from(index) {
            Ok(index) => self.bounds.get(index).copied().unwrap_or(f64::INFINITY),
            Err(_) => f64::NEG_INFINITY,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Positive,
    Negative,
}

/// `2^(index · 2^-schema)`. The last bucket before infinity ends with the largest float, so that
/// the one for infinity alone begins there.
fn exponential(index: i32, schema: i32) -> f64 {
    let index = i64::from(index);
    let schema = schema.clamp(-4, 8);
    let (whole, part) = if schema <= 0 {
        (index << -schema, 0.0)
    } else {
        let parts = 1i64 << schema;
        (index.div_euclid(parts), index.rem_euclid(parts) as f64 / parts as f64)
    };
    if whole == 1024 && part == 0.0 {
        return f64::MAX;
    }
    scale(part.exp2(), whole)
}

/// `fraction · 2^exponent`, subnormal results included; the fraction is between 1 and 2.
fn scale(fraction: f64, exponent: i64) -> f64 {
    match exponent {
        1024.. => f64::INFINITY,
        -1022..=1023 => fraction * f64::from_bits(((exponent + 1023) as u64) << 52),
        // Two steps, since the factor itself would be subnormal; only the second one rounds.
        -1080..=-1023 => fraction * f64::from_bits(((exponent + 1023 + 100) as u64) << 52) * 2f64.powi(-100),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_bounds_are_powers_of_two_and_roots_between() {
        let check = |schema, index, expected: f64| {
            let found = exponential(index, schema);
            assert!((found - expected).abs() <= expected * 1e-15, "{schema} {index}: {found} for {expected}");
        };
        check(0, 0, 1.0);
        check(0, -1, 0.5);
        check(0, 1023, 2f64.powi(1023));
        check(0, 1024, f64::MAX);
        check(0, -1074, f64::from_bits(1));
        check(0, -1076, 0.0);
        check(-4, 1, 65536.0);
        check(-4, -1, 1.0 / 65536.0);
        check(-4, 64, f64::MAX);
        check(1, 1, std::f64::consts::SQRT_2);
        check(1, -1, std::f64::consts::FRAC_1_SQRT_2);
        check(8, 1, 1.002_711_275_050_202_6);
        check(8, 256 * 1024, f64::MAX);
        check(8, 256 * 1023 + 128, std::f64::consts::SQRT_2 * 2f64.powi(1023));
        assert_eq!(exponential((1 << 30) - 1, 8), f64::INFINITY);
        assert_eq!(exponential(-(1 << 30), -4), 0.0);
        assert_eq!(exponential(1025, 0), f64::INFINITY);
    }

    #[test]
    fn bounds_rise_across_every_exponent() {
        for schema in -4..=8 {
            let reach = if schema < 0 { 1080 >> -schema } else { 1080 << schema };
            let mut before = exponential(-reach, schema);
            for index in 1 - reach..=reach {
                let bound = exponential(index, schema);
                assert!(bound > before || !(1e-307..=1e308).contains(&bound), "{schema} {index}");
                before = bound;
            }
        }
    }
}
