//! `sort_by_label` and `sort_by_label_desc`: the order of people, in which `node2` comes before `node10`.

use std::cmp::Ordering;

use super::Evaluator;
use super::row::{Operand, Row};
use crate::promql::ast::{Expr, Span};
use crate::promql::kernel::Direction;
use crate::promql::label_change::text_of;
use crate::promql::plan::Steps;
use crate::promql::query::EvalError;

impl Evaluator<'_> {
    /// The rows in the order of the labels named by the arguments after the vector, then of all labels.
    pub(super) fn sort_by_label(
        &self,
        direction: Direction,
        args: &[Expr],
        span: Span,
        steps: Steps,
    ) -> Result<Operand, EvalError> {
        let mut rows = self.vector(&args[0], steps)?;
        if steps.count() > 1 {
            self.notes.borrow_mut().sort_is_ineffective(&self.place(span));
        }
        let names: Vec<&str> = args[1..].iter().map(text_of).collect();
        rows.sort_by(|a, b| {
            let order = order(&names, a, b);
            if direction == Direction::Descending { order.reverse() } else { order }
        });
        Ok(Operand::Vector(rows))
    }
}

fn order(names: &[&str], a: &Row, b: &Row) -> Ordering {
    let by_name = |name: &&str| natural(a.labels.get(name), b.labels.get(name));
    names.iter().map(by_name).find(|order| order.is_ne()).unwrap_or_else(|| a.labels.cmp(&b.labels))
}

/// Runs of digits are compared as numbers, everything else as text.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    while !left.is_empty() && !right.is_empty() {
        let (l, r);
        (l, left) = run(left);
        (r, right) = run(right);
        let digits = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let order = if digits(l) && digits(r) { numbers(l, r) } else { l.cmp(r) };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// The run of digits, or of anything else, at the front, and what follows it.
fn run(text: &str) -> (&str, &str) {
    let digit = text.starts_with(|c: char| c.is_ascii_digit());
    text.split_at(text.find(|c: char| c.is_ascii_digit() != digit).unwrap_or(text.len()))
}

/// Digits of any length as numbers.
fn numbers(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_count_as_numbers() {
        let sorted = ["", "4m5", "4m600", "4m1000", "a", "a0", "a2", "a10", "a10b", "b1"];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(natural(a, b), i.cmp(&j), "{a:?} {b:?}");
            }
        }
        assert_eq!(natural("a01", "a1"), Ordering::Less);
        assert_eq!(natural("99999999999999999999999", "100000000000000000000000"), Ordering::Less);
    }
}
