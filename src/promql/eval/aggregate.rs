//! Aggregations over the series of each group.

use std::collections::{BTreeMap, HashMap};

use super::notes::general;
use super::row::{Operand, Row};
use super::{Evaluator, kernel};
use crate::model::Labels;
use crate::promql::ast::{Aggregate, AggregateOp, Grouping};
use crate::promql::plan::Steps;
use crate::promql::query::EvalError;

/// The members of one group, by their place in the vector.
pub(super) struct Members {
    pub(super) labels: Labels,
    pub(super) rows: Vec<usize>,
}

impl Evaluator<'_> {
    pub(super) fn eval_aggregate(&self, aggregate: &Aggregate, steps: Steps) -> Result<Vec<Row>, EvalError> {
        let param = match &aggregate.param {
            Some(param) => Some(self.eval(param, steps)?),
            None => None,
        };
        if let (AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk, Some(Operand::Scalar(values))) =
            (aggregate.op, &param)
        {
            check_counts(values)?;
        }
        if let Some(rows) = self.scan_groups(aggregate, steps)? {
            return Ok(rows);
        }
        let rows = self.vector(&aggregate.expr, steps)?;
        let with_histograms = rows.iter().any(|row| row.histograms().next().is_some());
        // What takes no series looks at none.
        let takes_none = |param: &Operand| matches!(param, Operand::Scalar(counts) if counts.iter().all(|k| *k < 1.0));
        let ranks = matches!(aggregate.op, AggregateOp::Topk | AggregateOp::Bottomk);
        if with_histograms && !(ranks && param.as_ref().is_some_and(takes_none)) {
            self.note_ignored(aggregate);
        }
        match (aggregate.op, param) {
            (AggregateOp::CountValues, Some(Operand::Text(label))) => {
                self.count_values(&label, aggregate, &rows, steps)
            }
            (AggregateOp::Quantile, Some(Operand::Scalar(values))) => {
                if let Some(param) = &aggregate.param {
                    self.note_quantile(&values, param);
                }
                self.fold(aggregate, &rows, steps, |step, members| kernel::quantile(values[step], members))
            }
            (AggregateOp::Topk | AggregateOp::Bottomk, Some(Operand::Scalar(counts))) => {
                let groups = groups(&aggregate.grouping, &rows);
                Ok(super::ranking::select(aggregate.op, &groups, rows, &counts, steps))
            }
            (AggregateOp::Limitk, Some(Operand::Scalar(counts))) => Ok(self.limitk(aggregate, rows, &counts)),
            (AggregateOp::LimitRatio, Some(Operand::Scalar(ratios))) => {
                self.limit_ratio(aggregate.param.as_ref(), rows, &ratios, steps)
            }
            (AggregateOp::Sum | AggregateOp::Avg | AggregateOp::Count | AggregateOp::Group, _) if with_histograms => {
                self.fold_mixed(aggregate, &rows, steps)
            }
            _ => self.fold(aggregate, &rows, steps, |_, members| {
                let mut accumulator = kernel::Accumulator::new(aggregate.op);
                members.iter().for_each(|v| accumulator.add(*v));
                accumulator.value()
            }),
        }
    }

    /// One value a group and step, of the values that are there.
    fn fold(
        &self,
        aggregate: &Aggregate,
        rows: &[Row],
        steps: Steps,
        value: impl Fn(usize, &mut [f64]) -> f64,
    ) -> Result<Vec<Row>, EvalError> {
        let mut out = Vec::new();
        let mut members = Vec::new();
        for group in groups(&aggregate.grouping, rows) {
            self.check_size(out.len() + 1, steps)?;
            let mut row = Row::absent(group.labels, steps);
            row.drop_name = group.rows.iter().any(|at| rows[*at].drop_name);
            for step in 0..steps.count() {
                members.clear();
                members.extend(group.rows.iter().filter_map(|at| rows[*at].get(step)));
                if !members.is_empty() {
                    row.set(step, value(step, &mut members));
                }
            }
            if row.is_present() {
                out.push(row);
            }
        }
        Ok(out)
    }

    fn count_values(
        &self,
        label: &str,
        aggregate: &Aggregate,
        rows: &[Row],
        steps: Steps,
    ) -> Result<Vec<Row>, EvalError> {
        if label.is_empty() {
            return Err(EvalError::Parameter("invalid label name \"\"".to_owned()));
        }
        // `by` keeps the label, even if it does not name it; `without` drops it if it does.
        let by = matches!(aggregate.grouping, Grouping::By(_));
        let keeps = |name: &str| (by && name == label) || aggregate.grouping.keeps(name);
        let mut out: BTreeMap<Labels, Row> = BTreeMap::new();
        let mut counted: HashMap<(usize, String), Labels> = HashMap::new();
        for (at, row) in rows.iter().enumerate() {
            self.check_size(out.len() + 1, steps)?;
            let numbers = row.iter().map(|(step, v)| (step, value_text(v)));
            let histograms = row.histograms().map(|(step, histogram)| (step, super::group::text(histogram)));
            for (step, text) in numbers.chain(histograms) {
                let labels = counted.entry((at, text.clone())).or_insert_with(|| {
                    let mut builder = row.labels.filter(|name| name == label || keeps(name)).builder();
                    builder.set(label, &text);
                    builder.build().unwrap_or_else(|_| row.labels.clone()).filter(keeps)
                });
                if !out.contains_key(labels) {
                    self.check_size(out.len() + 1, steps)?;
                    out.insert(labels.clone(), Row::absent(labels.clone(), steps));
                }
                if let Some(count) = out.get_mut(labels) {
                    let before = count.get(step).unwrap_or(0.0);
                    count.set(step, before + 1.0);
                    count.drop_name |= row.drop_name;
                }
            }
        }
        Ok(out.into_values().collect())
    }
}

/// A value as Go's `FormatFloat(v, 'f', -1, 64)` writes it.
fn value_text(v: f64) -> String {
    if v.is_infinite() {
        return if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    v.to_string()
}

fn check_counts(values: &[f64]) -> Result<(), EvalError> {
    values.iter().try_for_each(|k| check_count(*k)).map_err(EvalError::Parameter)
}

/// Whether a number can say how many elements are asked for.
///
/// # Errors
/// Why not.
pub fn check_count(k: f64) -> Result<(), String> {
    if k.is_nan() {
        return Err("Parameter value is NaN".to_owned());
    }
    if k >= i64::MAX as f64 {
        return Err(format!("Scalar value {} overflows int64", general(k)));
    }
    if k <= i64::MIN as f64 {
        return Err(format!("Scalar value {} underflows int64", general(k)));
    }
    Ok(())
}

/// The groups in the order in which they are first met.
pub(super) fn groups(grouping: &Grouping, rows: &[Row]) -> Vec<Members> {
    let mut places: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<Members> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let labels = row.labels.filter(|name| grouping.keeps(name));
        let place = *places.entry(labels.clone()).or_insert_with(|| {
            groups.push(Members { labels, rows: Vec::new() });
            groups.len() - 1
        });
        groups[place].rows.push(at);
    }
    groups
}
