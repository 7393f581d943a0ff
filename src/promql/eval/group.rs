//! Aggregations of groups that hold native histograms.

use std::fmt::Write;
use std::sync::Arc;

use super::Evaluator;
use super::aggregate::{Members, groups};
use super::notes::general;
use super::row::{Point, Row};
use crate::promql::ast::{Aggregate, AggregateOp};
use crate::promql::kernel::{self, FloatHistogram, MixedLayouts};
use crate::promql::plan::Steps;
use crate::promql::query::EvalError;

impl Evaluator<'_> {
    /// Says that histograms have no part in an aggregation of numbers.
    pub(super) fn note_ignored(&self, aggregate: &Aggregate) {
        use AggregateOp::{Bottomk, Max, Min, Quantile, Stddev, Stdvar, Topk};
        if matches!(aggregate.op, Min | Max | Stddev | Stdvar | Quantile | Topk | Bottomk) {
            let place = self.place(aggregate.expr.without_parens().span);
            self.notes.borrow_mut().ignored_in_group(aggregate.op.as_str(), &place);
        }
    }

    /// `sum`, `avg`, `count` and `group` of numbers and histograms.
    pub(super) fn fold_mixed(&self, aggregate: &Aggregate, rows: &[Row], steps: Steps) -> Result<Vec<Row>, EvalError> {
        let mut out = Vec::new();
        for group in groups(&aggregate.grouping, rows) {
            self.check_size(out.len() + 1, steps)?;
            let mut row = Row::absent(group.labels.clone(), steps);
            row.drop_name = group.rows.iter().any(|at| rows[*at].drop_name);
            for step in 0..steps.count() {
                self.check_deadline()?;
                if let Some(point) = self.mixed_value(aggregate, rows, &group, step) {
                    row.set_point(step, point);
                }
            }
            if row.is_present() {
                out.push(row);
            }
        }
        Ok(out)
    }

    fn mixed_value(&self, aggregate: &Aggregate, rows: &[Row], group: &Members, step: usize) -> Option<Point> {
        let op = aggregate.op;
        let members = group.rows.iter().map(|at| &rows[*at]);
        let histograms: Vec<(&Row, &Arc<FloatHistogram>)> =
            members.clone().filter_map(|row| Some((row, row.histogram(step)?))).collect();
        let mut accumulator = kernel::Accumulator::new(op);
        members.clone().filter_map(|row| row.get(step)).for_each(|v| accumulator.add(v));
        let there = members.filter(|row| row.has(step)).count();
        if there == 0 {
            return None;
        }
        match op {
            AggregateOp::Count => return Some(Point::Number(there as f64)),
            AggregateOp::Group => return Some(Point::Number(1.0)),
            _ if histograms.is_empty() => return Some(Point::Number(accumulator.value())),
            _ => {}
        }
        let place = || self.place(aggregate.expr.without_parens().span);
        let mut notes = self.notes.borrow_mut();
        let custom = |histogram: &Arc<FloatHistogram>| histogram.is_custom();
        let other = histograms.iter().find(|(_, histogram)| custom(histogram) != custom(histograms[0].1));
        if !accumulator.is_empty() {
            notes.mixed_group(&place());
            // Prometheus adds up histograms all the same if it began with one.
            let first = group.rows.iter().map(|at| &rows[*at]).find(|row| row.has(step));
            if let Some((row, _)) = other.filter(|_| first.is_some_and(|row| row.histogram(step).is_some())) {
                notes.mixed_layouts(row.labels.metric_name(), &place());
            }
            return None;
        }
        let all = histograms.iter().map(|(_, histogram)| &***histogram);
        let combined = if op == AggregateOp::Sum { kernel::native_sum(all) } else { kernel::native_mean(all) };
        match combined {
            Ok(combined) => {
                if combined.resets_conflict {
                    notes.resets_conflict("aggregation", &place());
                }
                if combined.bounds_reconciled {
                    notes.bounds_reconciled("aggregation", &place());
                }
                Some(Point::Histogram(Arc::new(combined.histogram)))
            }
            Err(MixedLayouts) => {
                notes.mixed_layouts(other.map_or("", |(row, _)| row.labels.metric_name()), &place());
                None
            }
        }
    }
}

/// A histogram as `count_values` writes it: what it adds up to and each bucket with its values.
pub(super) fn text(histogram: &FloatHistogram) -> String {
    let mut text = format!("{{count:{}, sum:{}", general(histogram.count), general(histogram.sum));
    for bucket in histogram.buckets() {
        let interval = bucket.interval;
        let open = if interval.lower_inclusive { '[' } else { '(' };
        let close = if interval.upper_inclusive { ']' } else { ')' };
        let (lower, upper) = (general(interval.lower), general(interval.upper));
        let _ = write!(text, ", {open}{lower},{upper}{close}:{}", general(bucket.count));
    }
    text + "}"
}
