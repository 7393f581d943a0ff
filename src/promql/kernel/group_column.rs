//! Aggregations of many groups at many instants side by side.
//!
//! Invariant: each place has the value of an [`Accumulator`] of the same members, bit for bit.

use super::AggregateOp;
use super::group::{Accumulator, less};
use crate::model::{SumColumn, is_stale};

/// What an aggregation knows at each of so many places.
#[derive(Debug, Clone)]
pub struct Accumulators {
    op: AggregateOp,
    counts: Vec<u32>,
    sums: SumColumn,
    extremes: Vec<f64>,
    /// For what needs more than a sum.
    whole: Vec<Accumulator>,
}

impl Accumulators {
    /// Empty groups.
    pub fn new(op: AggregateOp, places: usize) -> Accumulators {
        use AggregateOp as Op;
        let of = |ops: &[Op]| if ops.contains(&op) { places } else { 0 };
        Accumulators {
            op,
            counts: vec![0; places],
            sums: SumColumn::new(of(&[Op::Sum, Op::Avg])),
            extremes: vec![f64::NAN; of(&[Op::Min, Op::Max])],
            whole: vec![Accumulator::new(op); of(&[Op::Stddev, Op::Stdvar])],
        }
    }

    /// Takes in a member.
    #[inline]
    pub fn add(&mut self, place: usize, v: f64) {
        self.counts[place] += 1;
        match self.op {
            AggregateOp::Sum | AggregateOp::Avg => self.sums.add(place, v),
            AggregateOp::Min | AggregateOp::Max => self.bound(place, v),
            AggregateOp::Stddev | AggregateOp::Stdvar => self.whole[place].add(v),
            _ => {}
        }
    }

    /// Takes a member into each of the groups from a place on, and says whether there was any; a marker of
    /// staleness is no member.
    pub fn add_row(&mut self, first: usize, members: &[f64]) -> bool {
        let mut any = 0;
        for (count, v) in self.counts[first..first + members.len()].iter_mut().zip(members) {
            let there = u32::from(!is_stale(*v));
            *count += there;
            any |= there;
        }
        match self.op {
            AggregateOp::Sum | AggregateOp::Avg => self.sums.add_row(first, members),
            AggregateOp::Min | AggregateOp::Max => {
                let members = members.iter().enumerate().filter(|(_, v)| !is_stale(**v));
                members.for_each(|(at, v)| self.bound(first + at, *v));
            }
            AggregateOp::Stddev | AggregateOp::Stdvar => {
                let members = members.iter().enumerate().filter(|(_, v)| !is_stale(**v));
                members.for_each(|(at, v)| self.whole[first + at].add(*v));
            }
            _ => {}
        }
        any > 0
    }

    fn bound(&mut self, place: usize, v: f64) {
        let extreme = &mut self.extremes[place];
        let beats = if self.op == AggregateOp::Min { less(v, *extreme) } else { less(*extreme, v) };
        if beats || extreme.is_nan() {
            *extreme = v;
        }
    }

    /// Takes in every member of as many groups of the same operator.
    pub fn merge(&mut self, other: &Accumulators) {
        self.sums.merge(&other.sums);
        self.whole.iter_mut().zip(&other.whole).for_each(|(group, other)| group.merge(other));
        for (place, v) in other.extremes.iter().enumerate() {
            if other.counts[place] > 0 {
                self.bound(place, *v);
            }
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, other)| *count += other);
    }

    /// The aggregate, if the group has members.
    pub fn value(&self, place: usize) -> Option<f64> {
        let count = self.counts[place];
        if count == 0 {
            return None;
        }
        Some(match self.op {
            AggregateOp::Sum => self.sums.value(place),
            AggregateOp::Avg => self.sums.mean(place, f64::from(count)),
            AggregateOp::Min | AggregateOp::Max => self.extremes[place],
            AggregateOp::Count => f64::from(count),
            AggregateOp::Group => 1.0,
            AggregateOp::Stddev | AggregateOp::Stdvar => self.whole[place].value(),
            _ => f64::NAN,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_place_is_an_accumulator(
            members in proptest::collection::vec((0usize..3, prop_oneof![
                4 => (-9i32..9).prop_map(|n| f64::from(n) / 3.0),
                1 => any::<f64>(),
                1 => prop_oneof![Just(f64::NAN), Just(-0.0), Just(0.0)],
            ]), 0..30),
            cut in 0usize..30,
        ) {
            use AggregateOp as Op;
            for op in [Op::Sum, Op::Avg, Op::Min, Op::Max, Op::Count, Op::Group, Op::Stddev, Op::Stdvar] {
                let (mut columns, mut rest) = (Accumulators::new(op, 3), Accumulators::new(op, 3));
                let mut model = vec![Accumulator::new(op); 3];
                for (n, (place, v)) in members.iter().enumerate() {
                    if n < cut { columns.add(*place, *v) } else { rest.add(*place, *v) }
                    model[*place].add(*v);
                }
                columns.merge(&rest);
                let row = [1.5, f64::from_bits(crate::model::STALE_NAN), -2.0];
                prop_assert!(columns.add_row(0, &row));
                prop_assert!(!columns.add_row(1, &row[1..2]));
                model[0].add(1.5);
                model[2].add(-2.0);
                for (place, group) in model.iter().enumerate() {
                    let expected = (!group.is_empty()).then(|| group.value());
                    let bits = |v: Option<f64>| v.map(|v| if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() });
                    prop_assert_eq!(bits(columns.value(place)), bits(expected), "{:?}", op);
                }
            }
        }
    }
}
