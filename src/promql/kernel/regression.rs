//! `deriv` and `predict_linear`: a straight line through the samples by least squares.

use crate::model::{Sample, Timestamp};

/// A line, `x` in seconds after the instant it was fitted around.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Line {
    /// Per second.
    pub(super) slope: f64,
    /// The value at that instant.
    pub(super) intercept: f64,
}

/// The least-squares line, fitted around `origin`; nothing for fewer than two samples. A constant
/// gives exactly itself, an infinite constant NaN.
pub(super) fn fit(samples: &[Sample], origin: Timestamp) -> Option<Line> {
    let [first, _, ..] = samples else { return None };
    if samples.iter().all(|sample| sample.v == first.v) {
        return Some(if first.v.is_infinite() {
            Line { slope: f64::NAN, intercept: f64::NAN }
        } else {
            Line { slope: 0.0, intercept: first.v }
        });
    }
    let [mut sum_x, mut sum_y, mut sum_xy, mut sum_xx] = [Compensated::default(); 4];
    for sample in samples {
        let x = (sample.t - origin).as_seconds();
        sum_x.add(x);
        sum_y.add(sample.v);
        sum_xy.add(x * sample.v);
        sum_xx.add(x * x);
    }
    let n = samples.len() as f64;
    let (x, y) = (sum_x.value(), sum_y.value());
    let covariance = sum_xy.value() - x * y / n;
    let variance = sum_xx.value() - x * x / n;
    let slope = covariance / variance;
    Some(Line { slope, intercept: y / n - slope * x / n })
}

/// A sum with a running correction (Neumaier, 1974); its terms always come in the order of time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Compensated {
    sum: f64,
    correction: f64,
}

impl Compensated {
    pub(super) fn add(&mut self, x: f64) {
        let sum = self.sum + x;
        if sum.is_infinite() {
            self.correction = 0.0;
        } else if self.sum.abs() >= x.abs() {
            self.correction += (self.sum - sum) + x;
        } else {
            self.correction += (x - sum) + self.sum;
        }
        self.sum = sum;
    }

    pub(super) fn value(self) -> f64 {
        self.sum + self.correction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found() {
        let samples: Vec<Sample> =
            (0..5).map(|i| Sample { t: Timestamp(i * 10_000), v: 3.0 + 2.0 * i as f64 }).collect();
        assert_eq!(fit(&samples, Timestamp(0)), Some(Line { slope: 0.2, intercept: 3.0 }));
        let flat = [Sample { t: Timestamp(0), v: 0.1 }, Sample { t: Timestamp(7), v: 0.1 }];
        assert_eq!(fit(&flat, Timestamp(0)), Some(Line { slope: 0.0, intercept: 0.1 }));
        assert_eq!(fit(&flat[..1], Timestamp(0)), None);
    }
}
