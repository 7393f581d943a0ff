//! Orders: `topk`, `bottomk`, `sort`, `sort_desc`.
//!
//! Invariants:
//! - NaN comes last in every order, so that a number always wins over it.
//! - Of equal values `topk` and `bottomk` take the first by labels, for the order in which rows come is not the
//!   same at one instant and over a range. Sorting keeps equal values as they came.

use std::cmp::Ordering;

use super::aggregate::Members;
use super::row::Row;
use crate::promql::ast::AggregateOp;
use crate::promql::plan::Steps;

/// Which values come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Ascending,
    Descending,
}

fn order(direction: Direction, a: f64, b: f64) -> Ordering {
    let numbers = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    let numbers = if direction == Direction::Descending { numbers.reverse() } else { numbers };
    a.is_nan().cmp(&b.is_nan()).then(numbers)
}

/// The first `counts[step]` values of each group at each step. An answer for one instant comes in
/// the order of the values.
pub(super) fn select(op: AggregateOp, groups: &[Members], rows: Vec<Row>, counts: &[f64], steps: Steps) -> Vec<Row> {
    let direction = if op == AggregateOp::Topk { Direction::Descending } else { Direction::Ascending };
    let mut kept: Vec<Row> = rows.iter().map(Row::like).collect();
    let mut first_step = Vec::new();
    for group in groups {
        for (step, count) in counts.iter().enumerate() {
            if *count < 1.0 {
                continue;
            }
            let mut ranked: Vec<(usize, f64)> =
                group.rows.iter().filter_map(|at| rows[*at].get(step).map(|v| (*at, v))).collect();
            let labels = |at: usize| &rows[at].labels;
            ranked.sort_by(|a, b| order(direction, a.1, b.1).then_with(|| labels(a.0).cmp(labels(b.0))));
            ranked.truncate(*count as usize);
            for (at, v) in ranked {
                kept[at].set(step, v);
                first_step.push(at);
            }
        }
    }
    if steps.count() != 1 {
        kept.retain(Row::is_present);
        return kept;
    }
    let mut slots: Vec<Option<Row>> = kept.into_iter().map(Some).collect();
    first_step.into_iter().filter_map(|at| slots[at].take()).collect()
}

/// The rows in the order of their values; it can only show in an answer for one instant.
pub(super) fn sort(direction: Direction, rows: &mut [Row], steps: Steps) {
    if steps.count() == 1 {
        let value = |row: &Row| row.get(0).unwrap_or(f64::NAN);
        rows.sort_by(|a, b| order(direction, value(a), value(b)));
    }
}
