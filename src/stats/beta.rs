//! The regularised incomplete beta function and its inverse.
//!
//! Sources: the continued fraction of DLMF 8.17.22, evaluated by Lentz's method as modified by
//! Thompson and Barnett (J. Comput. Phys. 64, 1986); Stirling's series for ln Γ, DLMF 5.11.1.

/// Terms after which the continued fraction is taken as it is. It needs about √max(a, b) of them.
const TERMS_MAX: u32 = 20_000;

/// ln Γ(x) for x > 0.
fn ln_gamma(mut x: f64) -> f64 {
    // The series is accurate to the last digits from 12 on; below, Γ(x) = Γ(x + 1) / x.
    let mut shift = 0.0;
    while x < 12.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    let series = (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r * (1.0 / 1680.0 - r / 1188.0)))) / x;
    shift + (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

/// I_x(a, b), the regularised incomplete beta function: the probability that a Beta(a, b)
/// variable is at most `x`. NaN unless `a` and `b` are positive and finite; `x` is clamped to 0..=1.
pub fn beta_regularized(x: f64, a: f64, b: f64) -> f64 {
    if !(a > 0.0 && b > 0.0 && a.is_finite() && b.is_finite() && !x.is_nan()) {
        return f64::NAN;
    }
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (a * x.ln() + b * (-x).ln_1p() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b)).exp();
    // The fraction converges fast on this side of the mean; the other side is its mirror.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(x, a, b) / a
    } else {
        1.0 - front * fraction(1.0 - x, b, a) / b
    }
}

fn fraction(x: f64, a: f64, b: f64) -> f64 {
    let keep = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / keep(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for m in 1..=TERMS_MAX {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / keep(1.0 + even * d);
        c = keep(1.0 + even / c);
        value *= c * d;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / keep(1.0 + odd * d);
        c = keep(1.0 + odd / c);
        let step = c * d;
        value *= step;
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value
}

/// The `x` with I_x(a, b) = `p` to nine digits, by Newton steps that a shrinking bracket keeps in bounds. A good
/// guess saves most of them.
pub(super) fn beta_quantile(p: f64, a: f64, b: f64, guess: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    let mut x = if guess > 0.0 && guess < 1.0 { guess } else { a / (a + b) };
    let ln_beta = ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b);
    for _ in 0..200 {
        let miss = beta_regularized(x, a, b) - p;
        if miss > 0.0 {
            high = x;
        } else {
            low = x;
        }
        let density = ((a - 1.0) * x.ln() + (b - 1.0) * (-x).ln_1p() - ln_beta).exp();
        let newton = x - miss / density;
        // Halving in the logarithm reaches the tiny quantiles of rare failures quickly.
        let halfway = if low > 0.0 { (low * high).sqrt() } else { high / 64.0 };
        let next = if newton > low && newton < high { newton } else { halfway };
        if (next - x).abs() <= 1e-9 * next || high - low <= 1e-300 {
            return next;
        }
        x = next;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ln_gamma_of_known_arguments() {
        let check = |x: f64, expected: f64| {
            assert!(
                (ln_gamma(x) - expected).abs() < 1e-13 * expected.abs().max(1.0),
                "ln_gamma({x}) = {}",
                ln_gamma(x)
            );
        };
        check(1.0, 0.0);
        check(0.5, std::f64::consts::PI.sqrt().ln());
        check(5.0, 24f64.ln());
        check(11.0, 3_628_800f64.ln());
        check(100.0, 359.134_205_369_575_4);
    }

    #[test]
    fn the_incomplete_beta_in_closed_forms() {
        let check = |x: f64, a: f64, b: f64, expected: f64| {
            let got = beta_regularized(x, a, b);
            assert!((got - expected).abs() < 1e-12, "I_{x}({a}, {b}) = {got}, not {expected}");
        };
        check(0.3, 1.0, 1.0, 0.3);
        check(0.3, 1.0, 5.0, 1.0 - 0.7f64.powi(5));
        check(0.3, 4.0, 1.0, 0.3f64.powi(4));
        check(0.5, 7.5, 7.5, 0.5);
        // I_x(2, 3) = x²(6 − 8x + 3x²)
        check(0.4, 2.0, 3.0, 0.16 * (6.0 - 3.2 + 0.48));
        check(0.0, 2.0, 3.0, 0.0);
        check(1.0, 2.0, 3.0, 1.0);
        assert!(beta_regularized(0.5, 0.0, 1.0).is_nan());
    }

    #[test]
    fn the_quantile_inverts() {
        for (a, b) in [(1.0, 1.0), (1.0, 1e6), (3.0, 40.0), (500.0, 2.0), (20.5, 99_000.0)] {
            for p in [0.005, 0.01, 0.5, 0.975] {
                let x = beta_quantile(p, a, b, 0.3);
                assert!((beta_regularized(x, a, b) - p).abs() < 1e-8, "a {a} b {b} p {p}: {x}");
            }
        }
    }
}
