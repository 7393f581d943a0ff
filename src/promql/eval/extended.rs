//! Anchored and smoothed selectors: values at the edges of windows and between samples.

use super::Evaluator;
use super::row::{Operand, Row};
use crate::model::{Sample, TimeRange, is_stale};
use crate::promql::ast::{Edges, Expr, ExprKind, Selector, Span};
use crate::promql::functions::Function;
use crate::promql::kernel::{self, EdgeValue, HistogramPoint};
use crate::promql::plan::Steps;
use crate::promql::query::EvalError;
use crate::promql::value_type::ValueType;

/// The edges of a range vector, if they are not plain.
pub(super) fn edges_of(args: &[Expr]) -> Edges {
    let edges = args.iter().find_map(|arg| match &arg.without_parens().kind {
        ExprKind::Range { selector, .. } => Some(selector.edges),
        _ => None,
    });
    edges.unwrap_or_default()
}

impl Evaluator<'_> {
    /// A function of an anchored or smoothed range.
    pub(super) fn over_extended(
        &self,
        function: Function,
        edges: Edges,
        args: &[Expr],
        steps: Steps,
    ) -> Result<Operand, EvalError> {
        let Some(arg) = args.iter().find(|arg| arg.value_type() == ValueType::Matrix) else {
            return Ok(Operand::Vector(Vec::new()));
        };
        let edge = self.edge_value(function, edges)?;
        let ahead = if edge == EdgeValue::Between { self.frame.lookback } else { crate::model::Millis::ZERO };
        let windows = self.windows(arg, steps)?;
        let place = self.place(arg.without_parens().span);
        let mut rows = Vec::new();
        for series in &windows.series {
            self.check_size(rows.len() + 1, steps)?;
            let mut row = Row::absent(series.labels.clone(), steps);
            for (step, t) in steps.times().enumerate() {
                let range = windows.range_at(t, &self.frame);
                let seen = TimeRange { after: range.after - self.frame.lookback, until: range.until + ahead };
                if !series.histograms.is_empty() {
                    if let Some(point) = self.extended_mixed((function, edge), series, (seen, range), &place) {
                        row.set_point(step, point);
                    }
                    continue;
                }
                let inside = inside(&series.samples, seen);
                if let Some(v) = kernel::over_extended(function, edge, inside, range) {
                    row.set(step, v);
                }
            }
            if row.iter().next().is_some() {
                self.note_counter(function, series.labels.metric_name(), &place);
            }
            if row.is_present() {
                rows.push(row);
            }
        }
        Ok(Operand::Vector(self.unnamed(rows)?))
    }

    fn edge_value(&self, function: Function, edges: Edges) -> Result<EdgeValue, EvalError> {
        let (known, edge): (&[Function], EdgeValue) = match edges {
            Edges::Smoothed => (&kernel::SMOOTHED, EdgeValue::Between),
            _ => (&kernel::ANCHORED, EdgeValue::Before),
        };
        if known.contains(&function) {
            return Ok(edge);
        }
        let names: Vec<&str> = known.iter().map(|function| function.name()).collect();
        Err(EvalError::Parameter(format!(
            "{} modifier can only be used with: {} - not with {}",
            edges.as_str(),
            names.join(", "),
            function.name()
        )))
    }

    /// The value of each series at each step, on the line between the samples around it.
    pub(super) fn select_smoothed(
        &self,
        selector: &Selector,
        place: Span,
        steps: Steps,
    ) -> Result<Vec<Row>, EvalError> {
        let lookback = self.frame.lookback;
        let span = self.frame.selector_span(selector, lookback, steps);
        let mut rows = Vec::new();
        for series in self.reads.get(&selector.matchers, span)? {
            self.check_size(rows.len() + 1, steps)?;
            let samples = super::window::without_markers(&series.samples);
            let histograms = self.converted(&series.histograms);
            let mut row = Row::absent(series.labels.clone(), steps);
            for (step, t) in steps.times().enumerate() {
                let seen = self.frame.seen(&selector.shift, t);
                let around = TimeRange { after: seen - lookback, until: seen + lookback };
                let histograms = histograms_inside(&histograms, around);
                if !histograms.is_empty() {
                    let metric = series.labels.metric_name();
                    let numbers = inside(&samples, around);
                    if let Some(point) = self.smoothed_mixed(numbers, histograms, seen, (metric, place)) {
                        row.set_point(step, point);
                    }
                    continue;
                }
                if let Some(v) = kernel::between(inside(&samples, around), seen) {
                    row.set(step, v);
                }
            }
            if row.is_present() {
                rows.push(row);
            }
        }
        Ok(rows)
    }
}

/// The histograms inside a range.
pub(super) fn histograms_inside(points: &[HistogramPoint], range: TimeRange) -> &[HistogramPoint] {
    let from = points.partition_point(|point| point.t <= range.after);
    let to = points.partition_point(|point| point.t <= range.until).max(from);
    &points[from..to]
}

/// The samples inside a range.
pub(super) fn inside(samples: &[Sample], range: TimeRange) -> &[Sample] {
    debug_assert!(samples.iter().all(|sample| !is_stale(sample.v)), "markers are taken out before");
    let from = samples.partition_point(|sample| sample.t <= range.after);
    let to = samples.partition_point(|sample| sample.t <= range.until).max(from);
    &samples[from..to]
}
