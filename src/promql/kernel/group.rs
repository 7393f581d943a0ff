//! Aggregations over the members of one group, as members come and go.
//!
//! Invariants:
//! - The value depends on the multiset of members alone, never on their order or history.

use super::AggregateOp;
use crate::model::{ExactSum, two_product};

/// What an aggregation knows of one group: `sum`, `avg`, `min`, `max`, `count`, `group`,
/// `stddev`, `stdvar`.
#[derive(Debug, Clone)]
pub struct Accumulator {
    op: AggregateOp,
    count: u64,
    sum: ExactSum,
    /// Apart, for few operators need them and there are many groups.
    squares: Option<Box<ExactSum>>,
    extreme: f64,
}

/// What became of a group when a member left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Removal {
    /// The group is right again.
    Done,
    /// The extreme of `min` or `max` left: start over from the members that remain.
    Rebuild,
}

impl Accumulator {
    /// An empty group. Operators other than the eight have no value: NaN.
    pub fn new(op: AggregateOp) -> Accumulator {
        Accumulator { op, count: 0, sum: ExactSum::new(), squares: None, extreme: f64::NAN }
    }

    /// Whether the group has no members, and so no value.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes in a member.
    pub fn add(&mut self, v: f64) {
        self.count += 1;
        match self.op {
            AggregateOp::Sum | AggregateOp::Avg => self.sum.add(v),
            AggregateOp::Stddev | AggregateOp::Stdvar => {
                self.sum.add(v);
                let (product, error) = square(v);
                let squares = self.squares.get_or_insert_default();
                squares.add(product);
                squares.add(error);
            }
            AggregateOp::Min if self.extreme.is_nan() || less(v, self.extreme) => self.extreme = v,
            AggregateOp::Max if self.extreme.is_nan() || less(self.extreme, v) => self.extreme = v,
            _ => {}
        }
    }

    /// Lets go of a member that was taken in before.
    pub fn remove(&mut self, v: f64) -> Removal {
        self.count = self.count.saturating_sub(1);
        match self.op {
            AggregateOp::Sum | AggregateOp::Avg => self.sum.remove(v),
            AggregateOp::Stddev | AggregateOp::Stdvar => {
                self.sum.remove(v);
                let (product, error) = square(v);
                let squares = self.squares.get_or_insert_default();
                squares.remove(product);
                squares.remove(error);
            }
            AggregateOp::Min | AggregateOp::Max if v.to_bits() == self.extreme.to_bits() => return Removal::Rebuild,
            _ => {}
        }
        Removal::Done
    }

    /// Takes in every member of another group of the same operator.
    pub fn merge(&mut self, other: &Accumulator) {
        let count = self.count + other.count;
        self.sum.merge(&other.sum);
        if let Some(squares) = &other.squares {
            self.squares.get_or_insert_default().merge(squares);
        }
        if !other.is_empty() && matches!(self.op, AggregateOp::Min | AggregateOp::Max) {
            self.add(other.extreme);
        }
        self.count = count;
    }

    /// The aggregate; meaningless while [`is_empty`](Accumulator::is_empty).
    pub fn value(&self) -> f64 {
        let count = self.count as f64;
        match self.op {
            AggregateOp::Sum => self.sum.value(),
            AggregateOp::Avg => self.sum.mean(count),
            AggregateOp::Min | AggregateOp::Max => self.extreme,
            AggregateOp::Count => count,
            AggregateOp::Group => 1.0,
            AggregateOp::Stdvar => self.variance(count),
            AggregateOp::Stddev => self.variance(count).sqrt(),
            _ => f64::NAN,
        }
    }

    /// The population variance: `(n Σx² − (Σx)²) / n²`, the numerator exact and rounded once.
    fn variance(&self, count: f64) -> f64 {
        if self.sum.has_special() {
            return f64::NAN;
        }
        if self.count == 1 {
            return 0.0;
        }
        let Some(squares) = self.squares.as_ref().filter(|squares| !squares.has_special()) else {
            return f64::INFINITY;
        };
        let mut numerator = ExactSum::new();
        for part in squares.parts() {
            let (product, error) = two_product(count, part);
            numerator.add(product);
            numerator.add(error);
        }
        for a in self.sum.parts() {
            for b in self.sum.parts() {
                let (product, error) = two_product(a, b);
                numerator.remove(product);
                numerator.remove(error);
            }
        }
        (numerator.value() / count / count).max(0.0)
    }
}

/// The square and its error; a square near the largest float counts as infinite, so that sums of
/// squares never hold scaled terms.
fn square(v: f64) -> (f64, f64) {
    if v.is_finite() && v.abs() < 1e135 { two_product(v, v) } else { (v * v * f64::INFINITY, 0.0) }
}

/// The order of values for extremes: numbers as usual, negative zero below zero, NaN never less.
pub(super) fn less(a: f64, b: f64) -> bool {
    a < b || (a == b && a.is_sign_negative() && b.is_sign_positive())
}

/// The `q`-quantile by linear interpolation between the two nearest ranks; `values` gets sorted,
/// NaN first. NaN for no values or `q` NaN; infinite for `q` outside 0 to 1.
pub fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let order = |a: &f64, b: &f64| b.is_nan().cmp(&a.is_nan()).then_with(|| a.total_cmp(b));
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = (rank.floor() as usize).min(last);
    let weight = rank - rank.floor();
    // Only the two values around the rank have to be in their places.
    let (_, lower, above) = values.select_nth_unstable_by(lower, order);
    let lower = *lower;
    let upper = above.iter().copied().min_by(order).unwrap_or(lower);
    lower * (1.0 - weight) + upper * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_known_values() {
        let check = |op, members: &[f64], expected: f64| {
            let mut group = Accumulator::new(op);
            members.iter().for_each(|&v| group.add(v));
            assert_eq!(group.value().to_bits(), expected.to_bits(), "{op:?} {members:?}");
            group.add(1e30);
            if group.remove(1e30) == Removal::Done {
                assert_eq!(group.value().to_bits(), expected.to_bits(), "{op:?} {members:?} and back");
            }
            let mut merged = Accumulator::new(op);
            for &v in members {
                let mut one = Accumulator::new(op);
                one.add(v);
                merged.merge(&one);
            }
            assert_eq!(merged.value().to_bits(), expected.to_bits(), "{op:?} {members:?} merged");
        };
        check(AggregateOp::Sum, &[0.1, 0.2, 0.3], 0.6);
        check(AggregateOp::Avg, &[1.0, 2.0, 6.0], 3.0);
        check(AggregateOp::Min, &[f64::NAN, 2.0, 1.0], 1.0);
        check(AggregateOp::Max, &[2.0, f64::NAN], 2.0);
        check(AggregateOp::Count, &[2.0, f64::NAN], 2.0);
        check(AggregateOp::Group, &[2.0, 3.0], 1.0);
        check(AggregateOp::Stdvar, &[1.0, 2.0, 3.0, 4.0], 1.25);
        check(AggregateOp::Stddev, &[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], 2.0);
        check(AggregateOp::Stdvar, &[0.1, 0.1, 0.1], 0.0);
        check(AggregateOp::Stdvar, &[1e8 + 1.0, 1e8 + 2.0, 1e8 + 3.0, 1e8 + 4.0], 1.25);
        check(AggregateOp::Stdvar, &[1.0, f64::INFINITY], f64::NAN);
    }

    #[test]
    fn an_extreme_that_leaves_asks_for_a_rebuild() {
        let mut group = Accumulator::new(AggregateOp::Max);
        group.add(1.0);
        group.add(2.0);
        assert_eq!(group.remove(1.0), Removal::Done);
        assert_eq!(group.remove(2.0), Removal::Rebuild);
    }

    #[test]
    fn quantiles_interpolate() {
        let check = |q, values: &[f64], expected: f64| {
            assert_eq!(quantile(q, &mut values.to_vec()).to_bits(), expected.to_bits(), "{q} {values:?}");
        };
        check(0.5, &[3.0, 1.0, 2.0], 2.0);
        check(0.8, &[0.0, 1.0, 2.0], 1.6 * 1.0);
        check(0.0, &[2.0, f64::NAN], f64::NAN);
        check(1.0, &[2.0, f64::NAN], 2.0);
        check(-0.1, &[1.0], f64::NEG_INFINITY);
        check(1.1, &[1.0], f64::INFINITY);
        check(0.5, &[], f64::NAN);
    }
}
