//! Exact sums side by side, of many series at the same instants.
//!
//! Invariant: each place has the value that an [`ExactSum`] of the same terms has, bit for bit.

use std::collections::HashMap;

use super::exact_sum::{ExactSum, two_sum};
use super::sample::is_stale;

/// From this size on a term is left to [`ExactSum`].
const LARGE: f64 = 1e270;

/// Sums by place: two parts each, which do for nearly every sum that metrics make.
#[derive(Debug, Clone, Default)]
pub struct SumColumn {
    high: Vec<f64>,
    low: Vec<f64>,
    /// The sums that need more; their parts are NaN and count for nothing.
    more: HashMap<usize, ExactSum>,
}

/// Places that [`SumColumn::add_row`] takes together.
const LANES: usize = 8;

impl SumColumn {
    /// So many empty sums.
    pub fn new(places: usize) -> SumColumn {
        SumColumn { high: vec![0.0; places], low: vec![0.0; places], more: HashMap::new() }
    }

    /// Adds a term to the sum at a place, which must be there.
    #[inline]
    pub fn add(&mut self, place: usize, x: f64) {
        let (high, low, fits) = added(self.high[place], self.low[place], x);
        if fits {
            (self.high[place], self.low[place]) = (high, low);
        } else {
            self.add_more(place, x);
        }
    }

    /// Adds a term to each of the sums from a place on; a marker of staleness is no term.
    pub fn add_row(&mut self, first: usize, terms: &[f64]) {
        let (highs, lows) = (&mut self.high[first..first + terms.len()], &mut self.low[first..first + terms.len()]);
        let (mut left, mut at) = (Vec::new(), 0);
        let chunks = terms.as_chunks::<LANES>().0.iter();
        let parts = highs.as_chunks_mut::<LANES>().0.iter_mut().zip(lows.as_chunks_mut::<LANES>().0);
        for (terms, (high, low)) in chunks.zip(parts) {
            let (mut new_high, mut new_low, mut all_fit) = ([0.0; LANES], [0.0; LANES], true);
            for lane in 0..LANES {
                // Zero changes no sum, not even its sign: no empty sum is the negative zero.
                let x = if is_stale(terms[lane]) { 0.0 } else { terms[lane] };
                let fits;
                (new_high[lane], new_low[lane], fits) = added(high[lane], low[lane], x);
                all_fit &= fits;
            }
            if all_fit {
                (*high, *low) = (new_high, new_low);
            } else {
                left.push(at);
            }
            at += LANES;
        }
        let rest = at..terms.len();
        for place in left.into_iter().flat_map(|at| at..at + LANES).chain(rest) {
            if !is_stale(terms[place]) {
                self.add(first + place, terms[place]);
            }
        }
    }

    #[cold]
    fn add_more(&mut self, place: usize, x: f64) {
        self.more_at(place).add(x);
    }

    /// The sum at a place, from now on kept elsewhere.
    fn more_at(&mut self, place: usize) -> &mut ExactSum {
        let high = std::mem::replace(&mut self.high[place], f64::NAN);
        let low = std::mem::replace(&mut self.low[place], f64::NAN);
        self.more.entry(place).or_insert_with(|| ExactSum::from_parts([low, high]))
    }

    /// Adds every term of another column of as many places.
    pub fn merge(&mut self, other: &SumColumn) {
        for (place, (high, low)) in other.high.iter().zip(&other.low).enumerate() {
            match other.more.get(&place) {
                Some(sum) => self.more_at(place).merge(sum),
                None => {
                    self.add(place, *low);
                    self.add(place, *high);
                }
            }
        }
    }

    /// The exact sum at a place, rounded once.
    pub fn value(&self, place: usize) -> f64 {
        let high = self.high[place];
        if high.is_nan() { self.more.get(&place).map_or(f64::NAN, ExactSum::value) } else { high + self.low[place] }
    }

    /// That sum divided by `count`.
    pub fn mean(&self, place: usize, count: f64) -> f64 {
        let high = self.high[place];
        if high.is_nan() {
            self.more.get(&place).map_or(f64::NAN, |sum| sum.mean(count))
        } else {
            (high + self.low[place]) / count
        }
    }
}

/// The two parts of a sum with one more term, and whether they are all of it. They are not of NaN, which a sum
/// that is kept elsewhere has for its parts.
#[inline]
fn added(high: f64, low: f64, x: f64) -> (f64, f64, bool) {
    let (sum, error) = two_sum(high, x);
    let (low, rest) = two_sum(low, error);
    let (high, low) = two_sum(sum, low);
    (high, low, (rest == 0.0) & (x.abs() < LARGE))
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

        #[test]
        fn a_row_adds_a_term_to_each_sum(
            rows in proptest::collection::vec(proptest::collection::vec(prop_oneof![
                6 => (-1000i32..1000).prop_map(|n| f64::from(n) / 7.0),
                2 => Just(f64::from_bits(crate::model::STALE_NAN)),
                1 => any::<f64>(),
                1 => prop_oneof![Just(f64::MAX), Just(f64::NAN), Just(f64::INFINITY), Just(-0.0), Just(1e300)],
            ], 21), 0..6),
            first in 0usize..3,
        ) {
            let mut exact = vec![ExactSum::new(); 24];
            let mut column = SumColumn::new(24);
            for row in &rows {
                column.add_row(first, row);
                let terms = row.iter().enumerate().filter(|(_, x)| !is_stale(**x));
                terms.for_each(|(at, x)| exact[first + at].add(*x));
            }
            for (place, exact) in exact.iter().enumerate() {
                prop_assert_eq!(column.value(place).to_bits(), exact.value().to_bits());
            }
        }
    }
}
