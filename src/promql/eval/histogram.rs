//! Functions of classic histograms: series that differ in `le` alone.

use std::collections::HashMap;

use super::row::{Operand, Row, without_name};
use super::{Evaluator, kernel};
use crate::model::Labels;
use crate::promql::ast::Expr;
use crate::promql::plan::Steps;
use crate::promql::query::EvalError;

/// The label that holds a bucket's upper bound.
const BOUND: &str = "le";

/// The buckets of one histogram: upper bound and place in the vector.
struct Histogram {
    labels: Labels,
    buckets: Vec<(f64, usize)>,
}

impl Evaluator<'_> {
    pub(super) fn histogram_quantile(&self, args: &[Expr], steps: Steps) -> Result<Operand, EvalError> {
        let quantiles = self.scalar(&args[0], steps)?;
        self.note_quantile(&quantiles, &args[0]);
        let place = self.place(args[1].without_parens().span);
        self.of_buckets(&args[1], steps, |step, metric, buckets| {
            let quantile = kernel::histogram_quantile(quantiles[step], buckets);
            if quantile.forced_monotonic {
                self.notes.borrow_mut().forced_monotonic(metric, &place);
            }
            quantile.value
        })
    }

    pub(super) fn histogram_fraction(&self, args: &[Expr], steps: Steps) -> Result<Operand, EvalError> {
        let lower = self.scalar(&args[0], steps)?;
        let upper = self.scalar(&args[1], steps)?;
        self.of_buckets(&args[2], steps, |step, _, buckets| fraction(lower[step], upper[step], buckets))
    }

    /// One value a histogram and step, of the buckets that are there, with the metric's name.
    fn of_buckets(
        &self,
        arg: &Expr,
        steps: Steps,
        value: impl Fn(usize, &str, &mut Vec<(f64, f64)>) -> f64,
    ) -> Result<Operand, EvalError> {
        let rows = self.vector(arg, steps)?;
        let mut out = Vec::new();
        for histogram in self.histograms(&rows, &self.place(arg.without_parens().span)) {
            self.check_size(out.len() + 1, steps)?;
            let mut row = Row::absent(without_name(&histogram.labels), steps);
            let mut buckets = Vec::with_capacity(histogram.buckets.len());
            for step in 0..steps.count() {
                buckets.clear();
                let there = histogram.buckets.iter().filter_map(|(le, at)| rows[*at].get(step).map(|v| (*le, v)));
                buckets.extend(there);
                if !buckets.is_empty() {
                    row.set(step, value(step, histogram.labels.metric_name(), &mut buckets));
                }
            }
            out.push(row);
        }
        Ok(Operand::Vector(super::unique(out)?))
    }

    fn histograms(&self, rows: &[Row], place: &str) -> Vec<Histogram> {
        let mut places: HashMap<Labels, usize> = HashMap::new();
        let mut histograms: Vec<Histogram> = Vec::new();
        for (at, row) in rows.iter().enumerate() {
            let bound = row.labels.get(BOUND);
            let Ok(le) = bound.parse::<f64>() else {
                self.notes.borrow_mut().bad_bucket_label(bound, row.labels.metric_name(), place);
                continue;
            };
            let labels = row.labels.filter(|name| name != BOUND);
            let place = *places.entry(labels.clone()).or_insert_with(|| {
                histograms.push(Histogram { labels, buckets: Vec::new() });
                histograms.len() - 1
            });
            histograms[place].buckets.push((le, at));
        }
        histograms
    }
}

/// The share of observations between two values, interpolated inside a bucket; a bucket without
/// an end on one side gives nothing to an interval that ends in it.
fn fraction(lower: f64, upper: f64, buckets: &mut [(f64, f64)]) -> f64 {
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let Some(&(last_bound, _)) = buckets.last() else { return f64::NAN };
    let mut merged: Vec<(f64, f64)> = Vec::with_capacity(buckets.len());
    for &(le, count) in buckets.iter() {
        match merged.last_mut() {
            Some(last) if last.0 == le => last.1 += count,
            _ => merged.push((le, count)),
        }
    }
    let total = merged.last().map_or(0.0, |bucket| bucket.1);
    if last_bound != f64::INFINITY || total == 0.0 || total.is_nan() || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, &merged, total) - rank_of(lower, &merged, total)) / total
}

/// How many observations lie at or below `v`.
fn rank_of(v: f64, buckets: &[(f64, f64)], total: f64) -> f64 {
    let mut rank: f64 = 0.0;
    let mut from = if buckets[0].0 > 0.0 { 0.0 } else { f64::NEG_INFINITY };
    for &(to, count) in buckets {
        if from >= v {
            return rank.min(total);
        }
        if to > v {
            return match (from.is_infinite(), to.is_infinite()) {
                (true, _) => count,
                (false, true) => rank,
                (false, false) => rank + (count - rank) * (v - from) / (to - from),
            }
            .min(total);
        }
        (rank, from) = (count, to);
    }
    total
}
