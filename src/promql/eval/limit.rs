//! `limitk` and `limit_ratio`: some of the series of each group, whatever their values.

use xxhash_rust::xxh64::xxh64;

use super::Evaluator;
use super::aggregate::groups;
use super::row::Row;
use crate::model::Labels;
use crate::promql::ast::{Aggregate, Expr};
use crate::promql::plan::Steps;
use crate::promql::query::EvalError;

impl Evaluator<'_> {
    /// The first `counts[step]` series of each group that have a value, at each step.
    pub(super) fn limitk(&self, aggregate: &Aggregate, rows: Vec<Row>, counts: &[f64]) -> Vec<Row> {
        let mut kept: Vec<Vec<bool>> = rows.iter().map(|_| vec![false; counts.len()]).collect();
        for group in groups(&aggregate.grouping, &rows) {
            for (step, count) in counts.iter().enumerate().filter(|(_, count)| **count >= 1.0) {
                let there = group.rows.iter().filter(|at| rows[**at].has(step));
                there.take(*count as usize).for_each(|at| kept[*at][step] = true);
            }
        }
        retained(rows, |at, step| kept[at][step])
    }

    /// Those series whose labels fall into the first part of all hashes or, for a negative ratio, into
    /// the last: with ratios that differ by one, each series is in exactly one of both answers.
    pub(super) fn limit_ratio(
        &self,
        param: Option<&Expr>,
        rows: Vec<Row>,
        ratios: &[f64],
        steps: Steps,
    ) -> Result<Vec<Row>, EvalError> {
        if ratios.iter().any(|ratio| ratio.is_nan()) {
            return Err(EvalError::Parameter("Ratio value is NaN".to_owned()));
        }
        let place = param.map_or_else(String::new, |param| self.place(param.without_parens().span));
        for ratio in ratios.iter().filter(|ratio| ratio.abs() > 1.0) {
            self.notes.borrow_mut().ratio_is_capped(*ratio, &place);
        }
        self.check_size(rows.len(), steps)?;
        let offsets: Vec<f64> = rows.iter().map(|row| hash_offset(&row.labels)).collect();
        let keeps = |ratio: f64, offset: f64| {
            let ratio = ratio.clamp(-1.0, 1.0);
            if ratio >= 0.0 { offset < ratio } else { offset >= 1.0 + ratio }
        };
        Ok(retained(rows, |at, step| keeps(ratios[step], offsets[at])))
    }
}

fn retained(mut rows: Vec<Row>, keeps: impl Fn(usize, usize) -> bool) -> Vec<Row> {
    for (at, row) in rows.iter_mut().enumerate() {
        row.retain(|step| keeps(at, step));
    }
    rows.retain(Row::is_present);
    rows
}

/// Where the hash of a label set lies between 0 and 1: the one that Prometheus computes, XXH64 of the
/// names and values in their order, each after its length, so that both choose the same series.
fn hash_offset(labels: &Labels) -> f64 {
    let mut bytes = Vec::new();
    for label in labels.iter() {
        for text in [label.name, label.value] {
            match u8::try_from(text.len()) {
                Ok(length) if length < u8::MAX => bytes.push(length),
                // Limits keep lengths within three bytes.
                _ => {
                    bytes.push(u8::MAX);
                    bytes.extend_from_slice(&text.len().to_le_bytes()[..3]);
                }
            }
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    xxh64(&bytes, 0) as f64 / u64::MAX as f64
}
