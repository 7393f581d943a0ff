//! What `k` events of `n` say about the share behind them.
//!
//! Sources: C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated
//! in the case of the binomial", Biometrika 26 (1934): exact bounds, as quantiles of the beta
//! distribution. E. B. Wilson, "Probable inference, the law of succession, and statistical
//! inference", JASA 22 (1927): the score interval.
//!
//! Counts are `f64`, because increases of counters may be fractions; the beta form of the exact
//! bounds takes them as they are.

use super::beta::{beta_quantile, beta_regularized};
use super::normal::{normal_cdf, normal_quantile};

/// From this expected variance on, the exact tail and the normal one agree to within a hundredth
/// of the tail, and the exact one costs √n steps.
const NORMAL_FROM: f64 = 10_000.0;

/// A share with its bounds: `0 <= low <= high <= 1`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

/// Wilson's score interval for `k` events of `n`, two-sided at `confidence` (0.95 for 95 %).
/// Without any trial nothing is known: 0..1.
pub fn wilson(k: f64, n: f64, confidence: f64) -> Interval {
    wilson_z(k, n, normal_quantile(0.5 + confidence / 2.0))
}

fn wilson_z(k: f64, n: f64, z: f64) -> Interval {
    if n.is_nan() || n <= 0.0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let p = (k / n).clamp(0.0, 1.0);
    let zz = z * z / n;
    let centre = (p + zz / 2.0) / (1.0 + zz);
    let half = z / (1.0 + zz) * (p * (1.0 - p) / n + zz / (4.0 * n)).sqrt();
    Interval {
        low: if p == 0.0 { 0.0 } else { (centre - half).max(0.0) },
        high: if p == 1.0 { 1.0 } else { (centre + half).min(1.0) },
    }
}

/// The exact one-sided lower bound: the smallest share under which `k` or more events of `n` would
/// still be seen with probability `1 - confidence`.
pub fn binomial_lower(k: f64, n: f64, confidence: f64) -> f64 {
    if !(n > 0.0 && k > 0.0) {
        return 0.0;
    }
    let k = k.min(n);
    let p = k / n;
    let near = wilson_z(k, n, normal_quantile(confidence)).low;
    if n * p * (1.0 - p) > NORMAL_FROM {
        return near;
    }
    beta_quantile(1.0 - confidence, k, n - k + 1.0, near)
}

/// The exact one-sided upper bound: the largest share under which `k` or fewer events of `n` would
/// still be seen with probability `1 - confidence`.
pub fn binomial_upper(k: f64, n: f64, confidence: f64) -> f64 {
    if n.is_nan() || n <= 0.0 {
        return 1.0;
    }
    1.0 - binomial_lower(n - k.max(0.0), n, confidence)
}

/// P(X ≥ k) for X ~ Binomial(n, p): how surprising `k` events would be if the share were `p`.
///
/// `binomial_lower(k, n, c) > p` is the same statement as `binomial_tail(k, n, p) < 1 - c`, and
/// this one is much cheaper to decide.
pub fn binomial_tail(k: f64, n: f64, p: f64) -> f64 {
    if k.is_nan() || k <= 0.0 {
        return 1.0;
    }
    if p >= 1.0 || p.is_nan() {
        return 1.0;
    }
    if p <= 0.0 || k > n {
        return 0.0;
    }
    let variance = n * p * (1.0 - p);
    if variance > NORMAL_FROM {
        return normal_cdf((n * p - k) / variance.sqrt());
    }
    beta_regularized(p, k, n - k + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_of_known_cases() {
        let check = |k: f64, n: f64, low: f64, high: f64| {
            let got = wilson(k, n, 0.95);
            assert!((got.low - low).abs() < 5e-5 && (got.high - high).abs() < 5e-5, "{k} of {n}: {got:?}");
        };
        // A perfect record of n: lower bound n / (n + z²).
        check(20.0, 20.0, 0.8389, 1.0);
        check(50.0, 50.0, 0.9287, 1.0);
        check(100.0, 100.0, 0.9630, 1.0);
        // Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        check(81.0, 263.0, 0.2553, 0.3662);
        check(15.0, 148.0, 0.0624, 0.1605);
        check(0.0, 20.0, 0.0, 0.1611);
        check(1.0, 29.0, 0.0061, 0.1718);
        assert_eq!(wilson(0.0, 0.0, 0.95), Interval { low: 0.0, high: 1.0 });
    }

    #[test]
    fn exact_bounds_of_known_cases() {
        let check = |k: f64, n: f64, low: f64, high: f64| {
            let (l, h) = (binomial_lower(k, n, 0.975), binomial_upper(k, n, 0.975));
            assert!((l - low).abs() < 5e-5 && (h - high).abs() < 5e-5, "{k} of {n}: {l} {h}");
        };
        // Newcombe (1998), table I, method 5.
        check(81.0, 263.0, 0.2527, 0.3676);
        check(15.0, 148.0, 0.0578, 0.1617);
        check(0.0, 20.0, 0.0, 0.1684);
        check(1.0, 29.0, 0.0009, 0.1776);
        // All of n: the lower bound is α^(1/n).
        assert!((binomial_lower(10.0, 10.0, 0.99) - 0.01f64.powf(0.1)).abs() < 1e-9);
        assert_eq!(binomial_lower(0.0, 0.0, 0.99), 0.0);
        assert_eq!(binomial_upper(0.0, 0.0, 0.99), 1.0);
    }

    #[test]
    fn failures_needed_for_a_credible_burn() {
        // 14.4 times the budget of 99.9 %, one-sided at 99 %.
        for (n, k) in [(10.0, 2.0), (20.0, 3.0), (50.0, 4.0), (100.0, 6.0), (200.0, 8.0), (500.0, 15.0), (1000.0, 25.0)]
        {
            assert!(binomial_tail(k, n, 0.0144) < 0.01, "{k} of {n}");
            assert!(binomial_tail(k - 1.0, n, 0.0144) >= 0.01, "{} of {n}", k - 1.0);
        }
    }

    #[test]
    fn tail_and_bound_say_the_same() {
        for n in [1.0, 3.0, 17.0, 250.0, 40_000.0, 3e6] {
            for share in [0.001, 0.02, 0.3, 0.9] {
                let k = f64::ceil(n * share);
                for p in [0.0005, 0.0144, 0.2] {
                    let bound = binomial_lower(k, n, 0.99);
                    if (bound - p).abs() > 1e-3 * p {
                        assert_eq!(bound > p, binomial_tail(k, n, p) < 0.01, "{k} of {n} against {p}: {bound}");
                    }
                }
            }
        }
    }
}
