//! Draws that the library's generator does not have.

use evenkeel::env::Rng;

/// How many of `n` trials succeed.
pub(crate) fn binomial(rng: &mut Rng, n: u64, p: f64) -> u64 {
    if n == 0 || p <= 0.0 {
        return 0;
    }
    if p >= 1.0 {
        return n;
    }
    if p > 0.5 {
        return n - binomial(rng, n, 1.0 - p);
    }
    let mean = n as f64 * p;
    if n <= 16 {
        return (0..n).filter(|_| rng.unit() < p).count() as u64;
    }
    if mean > 100.0 {
        let value = mean + (mean * (1.0 - p)).sqrt() * rng.normal();
        return value.round().clamp(0.0, n as f64) as u64;
    }
    // By inversion: the probabilities one after the other.
    let odds = p / (1.0 - p);
    let mut probability = (n as f64 * (-p).ln_1p()).exp();
    let (mut left, mut k) = (rng.unit(), 0);
    while left > probability && k < n {
        left -= probability;
        probability *= odds * (n - k) as f64 / (k + 1) as f64;
        k += 1;
    }
    k
}

/// A number between two, evenly over their logarithms.
pub(crate) fn log_uniform(rng: &mut Rng, low: f64, high: f64) -> f64 {
    (low.ln() + rng.unit() * (high / low).ln()).exp()
}

/// A number between two.
pub(crate) fn uniform(rng: &mut Rng, low: f64, high: f64) -> f64 {
    low + rng.unit() * (high - low)
}
