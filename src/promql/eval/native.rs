//! Functions of histograms, of classic ones and of native ones: they may stand in one vector, but
//! not for the same series at the same instant.

use std::collections::{BTreeMap, HashMap};

use super::notes::general;
use super::row::{Operand, Point, Row};
use super::{Evaluator, Resets, kernel};
use crate::model::Labels;
use crate::promql::ast::{Expr, ExprKind};
use crate::promql::functions::Function;
use crate::promql::kernel::FloatHistogram;
use crate::promql::plan::Steps;
use crate::promql::query::EvalError;

/// The buckets of a classic histogram: cumulative counts by upper bound.
type Buckets = Vec<(f64, f64)>;

/// What a function makes of a histogram of either kind, at a step, with the metric's name.
pub(super) struct Estimate<C, N> {
    pub(super) classic: C,
    pub(super) native: N,
}

impl Evaluator<'_> {
    /// A number that is known of each native histogram.
    pub(super) fn statistic(&self, function: Function, arg: &Expr, steps: Steps) -> Result<Operand, EvalError> {
        let value = |histogram: &FloatHistogram| match function {
            Function::HistogramCount => histogram.count,
            Function::HistogramSum => histogram.sum,
            Function::HistogramAvg => histogram.sum / histogram.count,
            Function::HistogramStdvar => histogram.variance(),
            _ => histogram.variance().sqrt(),
        };
        let resets = match function {
            Function::HistogramCount | Function::HistogramSum | Function::HistogramAvg => Resets::Inferred,
            _ => Resets::AsStored,
        };
        let mut rows = self.with_resets(resets, || self.vector(arg, steps))?;
        for row in &mut rows {
            self.check_deadline()?;
            row.map_steps(|_, _| None);
            row.map_histograms(|_, histogram| Some(Point::Number(value(histogram))));
        }
        rows.retain(Row::is_present);
        Ok(Operand::Vector(self.unnamed(rows)?))
    }

    pub(super) fn histogram_quantile(&self, args: &[Expr], steps: Steps) -> Result<Operand, EvalError> {
        let quantiles = self.scalar(&args[0], steps)?;
        self.note_quantile(&quantiles, &args[0]);
        let rows = self.with_resets(Resets::AsStored, || self.vector(&args[1], steps))?;
        let rows = self.quantile_rows(&quantiles, &rows, &args[1], steps)?;
        Ok(Operand::Vector(self.unnamed(rows)?))
    }

    /// The quantile of each histogram of a vector, which is the value of `arg`.
    fn quantile_rows(&self, quantiles: &[f64], rows: &[Row], arg: &Expr, steps: Steps) -> Result<Vec<Row>, EvalError> {
        let place = self.place(arg.without_parens().span);
        let estimate = Estimate {
            classic: |step: usize, metric: &str, buckets: &mut Buckets| {
                let quantile = kernel::histogram_quantile(quantiles[step], buckets);
                if quantile.forced_monotonic {
                    self.notes.borrow_mut().forced_monotonic(metric, &place);
                }
                quantile.value
            },
            native: |step: usize, metric: &str, histogram: &FloatHistogram| {
                let (value, note) = histogram.quantile(quantiles[step]);
                self.notes.borrow_mut().nan_quantile(note, metric, &place);
                value
            },
        };
        self.estimates(rows, &place, steps, &estimate)
    }

    pub(super) fn histogram_fraction(&self, args: &[Expr], steps: Steps) -> Result<Operand, EvalError> {
        let lower = self.scalar(&args[0], steps)?;
        let upper = self.scalar(&args[1], steps)?;
        let place = self.place(args[2].without_parens().span);
        let estimate = Estimate {
            classic: |step: usize, _: &str, buckets: &mut Buckets| {
                super::histogram::fraction(lower[step], upper[step], buckets)
            },
            native: |step: usize, metric: &str, histogram: &FloatHistogram| {
                let (value, note) = histogram.fraction(lower[step], upper[step]);
                self.notes.borrow_mut().nan_fraction(note, metric, &place);
                value
            },
        };
        let rows = self.with_resets(Resets::AsStored, || self.vector(&args[2], steps))?;
        let rows = self.estimates(&rows, &place, steps, &estimate)?;
        Ok(Operand::Vector(self.unnamed(rows)?))
    }

    /// Several quantiles at once, each under its own value of a label.
    pub(super) fn histogram_quantiles(&self, args: &[Expr], steps: Steps) -> Result<Operand, EvalError> {
        let label = match &args[1].without_parens().kind {
            ExprKind::String(label) => label.as_str(),
            _ => "",
        };
        let rows = self.with_resets(Resets::AsStored, || self.vector(&args[0], steps))?;
        let mut labelled: BTreeMap<Labels, Row> = BTreeMap::new();
        for arg in &args[2..] {
            let quantiles = self.scalar(arg, steps)?;
            self.note_quantile(&quantiles, arg);
            for row in self.quantile_rows(&quantiles, &rows, &args[0], steps)? {
                self.check_size(labelled.len() + 1, steps)?;
                for (step, v) in row.iter() {
                    let mut builder = row.labels.builder();
                    builder.set(label, &open_metrics(quantiles[step]));
                    let labels = builder.build().map_err(|error| EvalError::Parameter(error.to_string()))?;
                    let place = labelled.entry(labels.clone()).or_insert_with(|| Row::absent(labels, steps));
                    if place.get(step).is_some() {
                        return Err(EvalError::SameLabelset);
                    }
                    place.set(step, v);
                }
            }
        }
        Ok(Operand::Vector(self.unnamed(labelled.into_values().collect())?))
    }

    /// One value a histogram and step. Where there are a classic and a native one of the same labels,
    /// neither has a value.
    fn estimates<C, N>(
        &self,
        rows: &[Row],
        place: &str,
        steps: Steps,
        estimate: &Estimate<C, N>,
    ) -> Result<Vec<Row>, EvalError>
    where
        C: Fn(usize, &str, &mut Buckets) -> f64,
        N: Fn(usize, &str, &FloatHistogram) -> f64,
    {
        let classic = self.classic_histograms(rows, place);
        let by_labels: HashMap<&Labels, usize> =
            classic.iter().enumerate().map(|(at, histogram)| (&histogram.labels, at)).collect();
        let mut out = Vec::new();
        let mut conflicts = vec![Vec::new(); classic.len()];
        for row in rows.iter().filter(|row| row.histograms().next().is_some()) {
            self.check_size(out.len() + 1, steps)?;
            let metric = row.labels.metric_name();
            let twin = by_labels.get(&row.labels).copied();
            let mut values = Row::absent(row.labels.clone(), steps);
            for (step, histogram) in row.histograms() {
                if let Some(twin) = twin.filter(|twin| classic[*twin].is_at(rows, step)) {
                    self.notes.borrow_mut().mixed_kinds_of_histograms(metric, place);
                    conflicts[twin].push(step);
                    continue;
                }
                values.set(step, (estimate.native)(step, metric, histogram));
            }
            out.push(values);
        }
        for (histogram, conflicts) in classic.iter().zip(conflicts) {
            self.check_size(out.len() + 1, steps)?;
            let mut values = Row::absent(histogram.labels.clone(), steps);
            let mut buckets = Vec::with_capacity(histogram.buckets.len());
            for step in (0..steps.count()).filter(|step| !conflicts.contains(step)) {
                buckets.clear();
                buckets.extend(histogram.at(rows, step));
                if !buckets.is_empty() {
                    values.set(step, (estimate.classic)(step, histogram.labels.metric_name(), &mut buckets));
                }
            }
            out.push(values);
        }
        super::unique(out)
    }
}

/// A number as OpenMetrics writes it: never without a point or an exponent.
fn open_metrics(v: f64) -> String {
    let text = general(v);
    if v.is_finite() && !text.contains(['.', 'e']) { format!("{text}.0") } else { text }
}
