//! Deviation and smoothing over a window of one series.

use crate::model::Sample;

use super::group::quantile;

/// The median absolute deviation: the median of the distances from the median.
pub(super) fn median_deviation(samples: &[Sample]) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(|sample| sample.v).collect();
    let median = quantile(0.5, &mut values);
    values.iter_mut().for_each(|v| *v = (*v - median).abs());
    // A NaN would count as the least of the distances.
    if values.iter().any(|v| v.is_nan()) { f64::NAN } else { quantile(0.5, &mut values) }
}

/// The last value, smoothed with its trend (Holt, 1957; NIST handbook 6.4.3.3), for factors between
/// 0 and 1; nothing for fewer than two samples.
pub(super) fn double_exponential(samples: &[Sample], level_factor: f64, trend_factor: f64) -> Option<f64> {
    let [first, second, ..] = samples else { return None };
    let mut trend = second.v - first.v;
    let (mut before, mut level) = (0.0, first.v);
    for (place, sample) in samples.iter().enumerate().skip(1) {
        if place > 1 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        before = level;
        level = level_factor * sample.v + (1.0 - level_factor) * (level + trend);
    }
    Some(level)
}

/// When the extreme of the values was met last, in seconds. A number wins over NaN.
pub(super) fn time_of_extreme(samples: &[Sample], wins: impl Fn(f64, f64) -> bool) -> Option<f64> {
    let (first, rest) = samples.split_first()?;
    let mut best = first;
    for sample in rest {
        if wins(sample.v, best.v) || best.v.is_nan() {
            best = sample;
        }
    }
    Some(best.t.as_seconds())
}
