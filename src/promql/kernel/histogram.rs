//! Quantiles of classic histograms: cumulative counts by upper bound.

/// The quantile of a classic histogram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HistogramQuantile {
    /// The estimate, NaN where there is none.
    pub value: f64,
    /// Whether a bucket counted fewer than a smaller one, and was raised.
    pub forced_monotonic: bool,
}

/// Differences below this share of the counts are rounding errors of a sum or a rate; the number
/// is the one Prometheus uses.
const SMALL_DELTA: f64 = 1e-12;

/// Estimates the `q`-quantile of buckets `(le, cumulative count)`, in any order, by linear
/// interpolation inside the bucket that holds the rank. The buckets are left sorted, merged and
/// monotonic.
///
/// NaN for `q` NaN, no bucket `+Inf`, fewer than two buckets, or no observations; infinite for
/// `q` outside 0 to 1.
pub fn histogram_quantile(q: f64, buckets: &mut Vec<(f64, f64)>) -> HistogramQuantile {
    let plain = |value| HistogramQuantile { value, forced_monotonic: false };
    if q.is_nan() {
        return plain(f64::NAN);
    }
    if q < 0.0 {
        return plain(f64::NEG_INFINITY);
    }
    if q > 1.0 {
        return plain(f64::INFINITY);
    }
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    if buckets.last().is_none_or(|last| last.0 != f64::INFINITY) {
        return plain(f64::NAN);
    }
    buckets.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    let forced_monotonic = make_monotonic(buckets);
    HistogramQuantile { value: interpolate(q, buckets), forced_monotonic }
}

fn make_monotonic(buckets: &mut [(f64, f64)]) -> bool {
    let mut forced = false;
    let mut before = buckets[0].1;
    for (_, count) in &mut buckets[1..] {
        if *count == before {
            continue;
        }
        let small = almost_equal(before, *count);
        if small || *count < before {
            forced |= !small;
            *count = before;
        } else {
            before = *count;
        }
    }
    forced
}

fn almost_equal(a: f64, b: f64) -> bool {
    if a.is_nan() && b.is_nan() {
        return true;
    }
    let (difference, size) = ((a - b).abs(), a.abs() + b.abs());
    if a == 0.0 || b == 0.0 || size < f64::MIN_POSITIVE {
        return difference < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    difference / size.min(f64::MAX) < SMALL_DELTA
}

fn interpolate(q: f64, buckets: &[(f64, f64)]) -> f64 {
    let [.., second_last, last] = buckets else { return f64::NAN };
    if last.1 == 0.0 || last.1.is_nan() {
        return f64::NAN;
    }
    let mut rank = q * last.1;
    let Some(at) = buckets[..buckets.len() - 1].iter().position(|(_, count)| *count >= rank) else {
        return second_last.0;
    };
    let (end, mut count) = buckets[at];
    if at == 0 {
        if end <= 0.0 {
            return end;
        }
        return end * (rank / count);
    }
    let (start, below) = buckets[at - 1];
    count -= below;
    rank -= below;
    start + (end - start) * (rank / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_have_known_values() {
        let inf = f64::INFINITY;
        let check = |q, buckets: &[(f64, f64)], expected: f64, forced| {
            let got = histogram_quantile(q, &mut buckets.to_vec());
            assert_eq!(got.value.to_bits(), expected.to_bits(), "{q} {buckets:?}: {}", got.value);
            assert_eq!(got.forced_monotonic, forced, "{q} {buckets:?}");
        };
        let four = [(0.1, 1.0), (inf, 4.0), (0.2, 3.0)];
        check(0.25, &four, 0.1, false);
        check(0.5, &four, 0.1 + 0.1 * 0.5, false);
        check(0.9, &four, 0.2, false);
        check(0.0, &four, 0.0, false);
        check(0.5, &[(-1.0, 3.0), (inf, 4.0)], -1.0, false);
        check(0.5, &[(0.1, 1.0), (0.2, 3.0)], f64::NAN, false);
        check(0.5, &[(inf, 3.0)], f64::NAN, false);
        check(0.5, &[(1.0, 0.0), (inf, 0.0)], f64::NAN, false);
        check(0.5, &[(1.0, 2.0), (2.0, 1.0), (inf, 4.0)], 1.0, true);
        check(0.5, &[(1.0, 2.0), (2.0, 2.0 - 1e-13), (inf, 4.0)], 1.0, false);
        check(0.5, &[(1.0, 1.0), (1.0, 1.0), (inf, 4.0)], 1.0, false);
        check(-1.0, &four, -inf, false);
        check(2.0, &four, inf, false);
        check(0.5, &[], f64::NAN, false);
    }
}
