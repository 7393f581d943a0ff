//! Orders: `topk`, `bottomk`, `sort`, `sort_desc`.
//!
//! Invariants:
//! - NaN comes last in every order, so that a number always wins over it.
//! - Of equal values `topk` and `bottomk` take the first by labels, for the order in which rows come is not the
//!   same at one instant and over a range. Sorting keeps equal values as they came.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::aggregate::Members;
use super::row::Row;
use crate::model::Labels;
use crate::promql::ast::AggregateOp;
use crate::promql::kernel::{Direction, rank_key};
use crate::promql::plan::Steps;

/// Steps that are ranked side by side: the values of a row at so many steps come with one line of the cache.
const STEPS_AT_ONCE: usize = 8;

/// A value among others: the better one is the lesser one.
#[derive(Debug)]
struct Ranked<'r> {
    key: u64,
    v: f64,
    at: usize,
    labels: &'r Labels,
}

impl Ord for Ranked<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key).then_with(|| self.labels.cmp(other.labels))
    }
}

impl PartialOrd for Ranked<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked<'_> {}

/// The first `counts[step]` values of each group at each step. An answer for one instant comes in
/// the order of the values.
pub(super) fn select(op: AggregateOp, groups: &[Members], rows: Vec<Row>, counts: &[f64], steps: Steps) -> Vec<Row> {
    let direction = if op == AggregateOp::Topk { Direction::Descending } else { Direction::Ascending };
    let mut kept: Vec<Row> = rows.iter().map(Row::like).collect();
    let mut first_step = Vec::new();
    for group in groups {
        for (part, counts) in counts.chunks(STEPS_AT_ONCE).enumerate() {
            let first = part * STEPS_AT_ONCE;
            let mut ranked: [BinaryHeap<Ranked<'_>>; STEPS_AT_ONCE] = Default::default();
            for at in &group.rows {
                let row = &rows[*at];
                for (n, (ranked, count)) in ranked.iter_mut().zip(counts).enumerate() {
                    let Some(v) = row.get(first + n) else { continue };
                    let one = Ranked { key: rank_key(direction, v), v, at: *at, labels: &row.labels };
                    if (ranked.len() as f64) < count.floor() {
                        ranked.push(one);
                    } else if let Some(mut worst) = ranked.peek_mut()
                        && one < *worst
                    {
                        *worst = one;
                    }
                }
            }
            for (step, ranked) in (first..).zip(ranked) {
                for one in ranked.into_sorted_vec() {
                    kept[one.at].set(step, one.v);
                    first_step.push(one.at);
                }
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
        rows.sort_by_key(|row| rank_key(direction, value(row)));
    }
}
