//! Exact sums side by side, of many series at the same instants.
//!
//! Invariant: each place has the value that an [`ExactSum`] of the same terms has, bit for bit.

use std::collections::HashMap;

use super::exact_sum::{ExactSum, two_sum};

/// From this size on a term is left to [`ExactSum`].
const LARGE: f64 = 1e270;

/// Sums by place: two parts each, which do for nearly every sum that metrics make.
#[derive(Debug, Clone, Default)]
pub struct SumColumn {
    parts: Vec<(f64, f64)>,
    /// The sums that need more; their parts count for nothing.
    more: HashMap<usize, ExactSum>,
}

impl SumColumn {
    /// So many empty sums.
    pub fn new(places: usize) -> SumColumn {
        SumColumn { parts: vec![(0.0, 0.0); places], more: HashMap::new() }
    }

    /// Adds a term to the sum at a place, which must be there.
    #[inline]
    pub fn add(&mut self, place: usize, x: f64) {
        let (hi, lo) = self.parts[place];
        let (sum, error) = two_sum(hi, x);
        let (low, rest) = two_sum(lo, error);
        // Not of NaN, which a sum that is kept elsewhere has for its part.
        if rest == 0.0 && x.abs() < LARGE {
            self.parts[place] = two_sum(sum, low);
        } else {
            self.add_more(place, x);
        }
    }

    #[cold]
    fn add_more(&mut self, place: usize, x: f64) {
        let (hi, lo) = std::mem::replace(&mut self.parts[place], (f64::NAN, f64::NAN));
        self.more.entry(place).or_insert_with(|| ExactSum::from_parts([lo, hi])).add(x);
    }

    /// Adds every term of another column of as many places.
    pub fn merge(&mut self, other: &SumColumn) {
        for (place, (hi, lo)) in other.parts.iter().enumerate() {
            match other.more.get(&place) {
                Some(sum) => {
                    let (hi, lo) = std::mem::replace(&mut self.parts[place], (f64::NAN, f64::NAN));
                    self.more.entry(place).or_insert_with(|| ExactSum::from_parts([lo, hi])).merge(sum);
                }
                None => {
                    self.add(place, *lo);
                    self.add(place, *hi);
                }
            }
        }
    }

    /// The exact sum at a place, rounded once.
    pub fn value(&self, place: usize) -> f64 {
        let (hi, lo) = self.parts[place];
        if hi.is_nan() { self.more.get(&place).map_or(f64::NAN, ExactSum::value) } else { hi + lo }
    }

    /// That sum divided by `count`.
    pub fn mean(&self, place: usize, count: f64) -> f64 {
        let (hi, lo) = self.parts[place];
        if hi.is_nan() { self.more.get(&place).map_or(f64::NAN, |sum| sum.mean(count)) } else { (hi + lo) / count }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_place_has_the_exact_sum(
            terms in proptest::collection::vec((0usize..3, prop_oneof![
                4 => (-1000i32..1000).prop_map(|n| f64::from(n) / 7.0),
                2 => any::<f64>(),
                1 => any::<u64>().prop_map(f64::from_bits),
                1 => prop_oneof![Just(f64::MAX), Just(f64::NAN), Just(f64::INFINITY), Just(-0.0), Just(1e300)],
            ]), 0..60),
            cut in 0usize..60,
        ) {
            let cut = cut.min(terms.len());
            let mut exact = vec![ExactSum::new(); 3];
            let (mut column, mut rest) = (SumColumn::new(3), SumColumn::new(3));
            terms[..cut].iter().for_each(|(place, x)| column.add(*place, *x));
            terms[cut..].iter().for_each(|(place, x)| rest.add(*place, *x));
            column.merge(&rest);
            terms.iter().for_each(|(place, x)| exact[*place].add(*x));
            for (place, exact) in exact.iter().enumerate() {
                prop_assert_eq!(column.value(place).to_bits(), exact.value().to_bits());
                prop_assert_eq!(column.mean(place, 3.0).to_bits(), exact.mean(3.0).to_bits());
            }
        }
    }
}
