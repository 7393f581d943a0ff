//! What the ranks of `n` values say about the quantiles behind them.
//!
//! Source: H. A. David and H. N. Nagaraja, "Order Statistics", section 7.1: how many of n values lie below the q-quantile
//! is binomial, whatever the distribution.

use super::proportion::binomial_tail;

/// The ranks, counted from 1, of the values between which the `q`-quantile lies with `confidence`; absent on a side on
/// which so few values say nothing.
pub fn quantile_ranks(n: usize, q: f64, confidence: f64) -> [Option<usize>; 2] {
    let doubt = (1.0 - confidence) / 2.0;
    let (size, at_least) = (n as f64, |k: usize| binomial_tail(k as f64, n as f64, q));
    // P(X < k) falls with smaller k, P(X ≥ k) with larger.
    let low = (1..=n).take_while(|k| 1.0 - at_least(*k) <= doubt).last();
    let high = (1..=n).find(|k| at_least(*k) <= doubt);
    if size > 0.0 { [low, high] } else { [None, None] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_of_known_cases() {
        let check = |n, q, expected| assert_eq!(quantile_ranks(n, q, 0.95), expected, "{n} {q}");
        // Conover, "Practical Nonparametric Statistics": the median of 10 lies between the 2nd and the 9th with 97.9 %.
        check(10, 0.5, [Some(2), Some(9)]);
        check(20, 0.5, [Some(6), Some(15)]);
        // 2 · 0.5^5 is more than 5 %.
        check(5, 0.5, [None, None]);
        check(6, 0.5, [Some(1), Some(6)]);
        // 0.9^35 is 2.5 %: so many values are needed above which the 90th percentile is not.
        check(35, 0.9, [Some(28), None]);
        check(36, 0.9, [Some(29), Some(36)]);
        check(0, 0.5, [None, None]);
    }
}
