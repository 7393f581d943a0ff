//! The standard normal distribution.
//!
//! Sources: DLMF 7.6.2 (the series for erf) and 7.9.2 (the continued fraction for erfc).

/// Φ(x): the probability that a standard normal variable is at most `x`.
pub fn normal_cdf(x: f64) -> f64 {
    if x < 0.0 { upper_tail(-x) } else { 1.0 - upper_tail(x) }
}

/// P(Z > x) for x ≥ 0.
fn upper_tail(x: f64) -> f64 {
    if x.is_nan() {
        return f64::NAN;
    }
    let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if x < 3.0 {
        // Φ(x) = ½ + φ(x) · (x + x³/3 + x⁵/(3·5) + …)
        let (mut term, mut sum, mut k) = (x, x, 3.0);
        while term > 1e-18 * sum {
            term *= x * x / k;
            sum += term;
            k += 2.0;
        }
        return 0.5 - density * sum;
    }
    // 1/(x + 1/(x + 2/(x + 3/(x + …)))), from the back; 60 terms are more than enough from 3 on.
    let tail = (1..=60).rev().fold(x, |below, k| x + f64::from(k) / below);
    density / tail
}

/// Φ⁻¹(p): the value below which a standard normal variable lies with probability `p`.
/// Infinite at 0 and 1, NaN outside.
pub fn normal_quantile(p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if p == 0.0 || p == 1.0 {
        return if p == 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    if p > 0.5 {
        return -normal_quantile(1.0 - p);
    }
    let (mut low, mut high) = (-40.0, 0.0);
    for _ in 0..70 {
        let middle = 0.5 * (low + high);
        if normal_cdf(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_the_tables() {
        for (p, z) in [
            (0.5, 0.0),
            (0.95, 1.644_853_626_951_472_7),
            (0.975, 1.959_963_984_540_054),
            (0.99, 2.326_347_874_040_841),
            (0.999, 3.090_232_306_167_813),
            (1e-9, -5.997_807_015_007_687),
        ] {
            assert!((normal_quantile(p) - z).abs() < 1e-9, "{p}: {}", normal_quantile(p));
            assert!((normal_cdf(z) - p).abs() < 1e-12, "{z}: {}", normal_cdf(z));
        }
        assert!(normal_quantile(-0.1).is_nan() && normal_quantile(0.0).is_infinite());
    }
}
