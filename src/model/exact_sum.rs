//! The sum of floats without any rounding until it is read.
//!
//! Invariants:
//! - The parts of an [`Expansion`] add up to the exact sum of what was added and not removed, so
//!   the value, which is that sum rounded once, is the same whatever the order.
//! - NaN and the infinities are counted apart: removing one brings the finite sum back.
//! - Terms from 2^900 on are kept scaled down, apart from the others: no part can overflow.
//!
//! Two parts, a double-double, are enough for nearly every sum that metrics make; a third is
//! added only when the exact sum needs it (Shewchuk, "Adaptive Precision Floating-Point
//! Arithmetic", 1997; grow-expansion).

/// From this size on a term is kept in the scaled expansion.
const HUGE: f64 = f64::from_bits((1023 + 900) << 52);
/// 2^-120 and 2^120: exact factors that keep 2^123 huge terms below the largest float.
const SCALE_DOWN: f64 = f64::from_bits((1023 - 120) << 52);
const SCALE_UP: f64 = f64::from_bits((1023 + 120) << 52);
/// Below this size a part cannot be scaled down exactly.
const TINY: f64 = f64::from_bits((1023 - 800) << 52);

/// A sum whose value does not depend on the order of its terms.
#[derive(Debug, Clone, Default)]
pub struct ExactSum {
    finite: Expansion,
    huge: Option<Box<Expansion>>,
    nan: u32,
    plus_infinity: u32,
    minus_infinity: u32,
}

impl ExactSum {
    /// The empty sum.
    pub fn new() -> ExactSum {
        ExactSum::default()
    }

    /// Adds a term.
    #[inline]
    pub fn add(&mut self, x: f64) {
        if x.abs() < HUGE {
            self.finite.add(x);
        } else if x.is_nan() {
            self.nan += 1;
        } else if x == f64::INFINITY {
            self.plus_infinity += 1;
        } else if x == f64::NEG_INFINITY {
            self.minus_infinity += 1;
        } else {
            self.add_huge(x * SCALE_DOWN);
        }
    }

    /// Takes away a term that was added before.
    pub fn remove(&mut self, x: f64) {
        if x.abs() < HUGE {
            self.finite.add(-x);
        } else if x.is_nan() {
            self.nan = self.nan.saturating_sub(1);
        } else if x == f64::INFINITY {
            self.plus_infinity = self.plus_infinity.saturating_sub(1);
        } else if x == f64::NEG_INFINITY {
            self.minus_infinity = self.minus_infinity.saturating_sub(1);
        } else {
            self.add_huge(-x * SCALE_DOWN);
        }
    }

    /// Adds every term of another sum.
    pub fn merge(&mut self, other: &ExactSum) {
        other.finite.parts().for_each(|part| self.finite.add(part));
        if let Some(huge) = &other.huge {
            huge.parts().for_each(|part| self.add_huge(part));
        }
        self.nan = self.nan.saturating_add(other.nan);
        self.plus_infinity = self.plus_infinity.saturating_add(other.plus_infinity);
        self.minus_infinity = self.minus_infinity.saturating_add(other.minus_infinity);
    }

    /// The exact sum, rounded once.
    pub fn value(&self) -> f64 {
        if let Some(special) = self.special() {
            return special;
        }
        match self.scaled() {
            Some(scaled) => scaled.rounded() * SCALE_UP,
            None => self.finite.rounded(),
        }
    }

    /// The sum divided by `count`; finite even where the sum itself is too large for a float.
    pub fn mean(&self, count: f64) -> f64 {
        if let Some(special) = self.special() {
            return special / count;
        }
        match self.scaled() {
            Some(scaled) => scaled.rounded() / count * SCALE_UP,
            None => self.finite.rounded() / count,
        }
    }

    /// The sum of these parts of a sum without huge terms, as [`ExactSum::parts`] gave them.
    pub fn from_parts(parts: impl IntoIterator<Item = f64>) -> ExactSum {
        let mut sum = ExactSum::new();
        parts.into_iter().for_each(|part| sum.add(part));
        sum
    }

    /// Whether [`ExactSum::parts`] says everything: no huge term, no NaN and no infinity is among the
    /// terms.
    pub fn is_plain(&self) -> bool {
        self.huge.is_none() && !self.has_special()
    }

    /// Whether a NaN or an infinity is among the terms.
    pub fn has_special(&self) -> bool {
        self.nan > 0 || self.plus_infinity > 0 || self.minus_infinity > 0
    }

    /// The parts of a sum without huge terms, which together are exactly the sum.
    pub fn parts(&self) -> impl Iterator<Item = f64> + Clone {
        self.finite.parts()
    }

    /// Everything that the sum consists of.
    pub fn to_terms(&self) -> SumTerms {
        SumTerms {
            finite: self.finite.parts().collect(),
            huge: self.huge.iter().flat_map(|huge| huge.parts()).collect(),
            nan: self.nan,
            plus_infinity: self.plus_infinity,
            minus_infinity: self.minus_infinity,
        }
    }

    /// The sum that consists of these terms; whatever stands among them, it is a sum.
    pub fn from_terms(terms: &SumTerms) -> ExactSum {
        let mut sum = ExactSum::from_parts(terms.finite.iter().copied());
        terms.huge.iter().filter(|part| part.is_finite()).for_each(|part| sum.add_huge(*part));
        sum.nan = sum.nan.saturating_add(terms.nan);
        sum.plus_infinity = sum.plus_infinity.saturating_add(terms.plus_infinity);
        sum.minus_infinity = sum.minus_infinity.saturating_add(terms.minus_infinity);
        sum
    }

    fn special(&self) -> Option<f64> {
        match (self.nan > 0, self.plus_infinity > 0, self.minus_infinity > 0) {
            (false, false, false) => None,
            (false, true, false) => Some(f64::INFINITY),
            (false, false, true) => Some(f64::NEG_INFINITY),
            _ => Some(f64::NAN),
        }
    }

    fn add_huge(&mut self, scaled: f64) {
        let huge = self.huge.get_or_insert_default();
        huge.add(scaled);
        if huge.parts().next().is_none() {
            self.huge = None;
        }
    }

    /// Everything together, scaled down, if there are huge terms.
    fn scaled(&self) -> Option<Expansion> {
        let mut all = (**self.huge.as_ref()?).clone();
        for part in self.finite.parts() {
            // Next to a huge sum a tiny part can only tip the rounding: its sign is enough.
            all.add(if part.abs() < TINY { TINY.copysign(part) } else { part } * SCALE_DOWN);
        }
        Some(all)
    }
}

/// What an [`ExactSum`] consists of, for storing it.
#[derive(Debug, Clone, Default)]
pub struct SumTerms {
    /// Parts that add up to the sum of the ordinary terms.
    pub finite: Vec<f64>,
    /// Parts that add up to the sum of the terms from 2^900 on, times 2^-120.
    pub huge: Vec<f64>,
    /// How many terms are NaN.
    pub nan: u32,
    /// How many are the positive infinity.
    pub plus_infinity: u32,
    /// How many are the negative one.
    pub minus_infinity: u32,
}

/// A number as an unevaluated sum of floats: `hi + lo`, or more parts where those do not do.
#[derive(Debug, Clone, Default)]
struct Expansion {
    hi: f64,
    lo: f64,
    /// Not empty: all parts, from small to large, none overlapping; `hi` and `lo` are zero.
    more: Vec<f64>,
}

impl Expansion {
    #[inline]
    fn add(&mut self, x: f64) {
        if self.more.is_empty() {
            let (sum, error) = two_sum(self.hi, x);
            let (low, rest) = two_sum(self.lo, error);
            if rest == 0.0 {
                (self.hi, self.lo) = two_sum(sum, low);
                return;
            }
            // `rest` is below `low`, which may overlap `sum`: growing sets them in order.
            let (hi, lo) = (std::mem::take(&mut self.hi), std::mem::take(&mut self.lo));
            grow(&mut self.more, lo);
            grow(&mut self.more, hi);
        }
        grow(&mut self.more, x);
        if self.more.len() <= 2 {
            let hi = self.more.pop().unwrap_or(0.0);
            let lo = self.more.pop().unwrap_or(0.0);
            (self.hi, self.lo) = two_sum(hi, lo);
            self.more = Vec::new();
        }
    }

    fn parts(&self) -> impl Iterator<Item = f64> + Clone {
        [self.lo, self.hi].into_iter().chain(self.more.iter().copied()).filter(|part| *part != 0.0)
    }

    /// The nearest float; ties to even, decided over all parts.
    fn rounded(&self) -> f64 {
        let Some((&last, mut below)) = self.more.split_last() else { return self.hi + self.lo };
        let mut hi = last;
        let mut error = 0.0;
        while let Some((&part, rest)) = below.split_last() {
            below = rest;
            (hi, error) = two_sum(hi, part);
            if error != 0.0 {
                break;
            }
        }
        // `hi` may have been rounded at an exact half that a smaller part says is none.
        if let Some(&next) = below.last()
            && error != 0.0
            && (error < 0.0) == (next < 0.0)
        {
            let twice = error * 2.0;
            let stepped = hi + twice;
            if stepped - hi == twice {
                hi = stepped;
            }
        }
        hi
    }
}

fn grow(parts: &mut Vec<f64>, mut x: f64) {
    let mut kept = 0;
    for at in 0..parts.len() {
        let (sum, error) = two_sum(x, parts[at]);
        if error != 0.0 {
            parts[kept] = error;
            kept += 1;
        }
        x = sum;
    }
    parts.truncate(kept);
    if x != 0.0 {
        parts.push(x);
    }
}

/// The rounded sum and its error, exactly (Knuth, TAOCP 4.2.2).
#[inline]
pub(super) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let from_b = sum - a;
    let from_a = sum - from_b;
    (sum, (a - from_a) + (b - from_b))
}

/// The rounded product and its error, exactly, unless it under- or overflows.
pub fn two_product(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    (product, a.mul_add(b, -product))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(terms: &[f64]) -> f64 {
        let mut sum = ExactSum::new();
        terms.iter().for_each(|&x| sum.add(x));
        sum.value()
    }

    #[test]
    fn known_sums_are_rounded_once() {
        let check = |terms: &[f64], expected: f64| {
            assert_eq!(sum(terms).to_bits(), expected.to_bits(), "{terms:?}");
            let back: Vec<f64> = terms.iter().rev().copied().collect();
            assert_eq!(sum(&back).to_bits(), expected.to_bits(), "{back:?}");
        };
        check(&[], 0.0);
        check(&[0.1; 10], 1.0);
        check(&[1e100, 1.0, -1e100], 1.0);
        check(&[1e16, 1.0, 1e-16], 1e16 + 2.0);
        check(&[1e16, 1.0, -1e-16], 1e16);
        check(&[1.0, 1e100, 1e-100, -1e100], 1.0);
        check(&[f64::MAX, f64::MAX, -f64::MAX], f64::MAX);
        check(&[f64::MAX, f64::MAX], f64::INFINITY);
        check(&[f64::MAX, 5e-324, -f64::MAX], 5e-324);
        check(&[f64::INFINITY, 1.0], f64::INFINITY);
        check(&[f64::INFINITY, f64::NEG_INFINITY], f64::NAN);
        check(&[f64::NAN, 1.0], f64::NAN);
    }

    #[test]
    fn a_mean_of_huge_values_is_finite() {
        let mut sum = ExactSum::new();
        sum.add(f64::MAX);
        sum.add(f64::MAX);
        assert_eq!(sum.mean(2.0), f64::MAX);
    }

    #[test]
    fn what_came_and_went_leaves_no_trace() {
        let mut rng = 7u64;
        let mut next = move || {
            rng = rng.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            rng >> 11
        };
        for _ in 0..200 {
            let mut terms: Vec<f64> = (0..40)
                .map(|_| match next() % 12 {
                    0 => f64::NAN,
                    1 => f64::INFINITY,
                    2 => f64::from_bits((next() << 11) | (next() % 2048)),
                    n => (next() as f64 - 4e15) * 10f64.powi(3 * i32::try_from(n).unwrap() - 20),
                })
                .collect();
            let keep = (next() % 40) as usize;
            let mut moving = ExactSum::new();
            terms.iter().for_each(|&x| moving.add(x));
            terms[keep..].iter().for_each(|&x| moving.remove(x));
            terms.truncate(keep);
            assert_eq!(moving.value().to_bits(), sum(&terms).to_bits());
            for at in (1..terms.len()).rev() {
                terms.swap(at, (next() % (at as u64 + 1)) as usize);
            }
            let mut halves = ExactSum::new();
            let mut other = ExactSum::new();
            terms.iter().enumerate().for_each(|(i, &x)| if i % 2 == 0 { halves.add(x) } else { other.add(x) });
            halves.merge(&other);
            assert_eq!(halves.value().to_bits(), moving.value().to_bits());
        }
    }
}
