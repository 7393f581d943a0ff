//! When the counting of a sample began, as far as the query looks at it.

use std::borrow::Cow;

use super::Evaluator;
use super::row::{Operand, Row};
use super::window::{WindowSeries, Windows};
use crate::model::{Timestamp, is_stale};
use crate::promql::ast::{Expr, ExprKind};
use crate::promql::functions::Function;
use crate::promql::kernel;
use crate::promql::plan::Steps;
use crate::promql::query::{EvalError, StartTimestamps};
use crate::promql::source::SeriesSamples;

impl Evaluator<'_> {
    /// The starts of the samples that are no staleness markers; empty if they are not looked at.
    pub(super) fn starts_of<'s>(&self, series: &'s SeriesSamples) -> Cow<'s, [Timestamp]> {
        if self.options.start_timestamps == StartTimestamps::Ignored || series.starts.len() != series.samples.len() {
            return Cow::Borrowed(&[]);
        }
        if !series.samples.iter().any(|sample| is_stale(sample.v)) {
            return Cow::Borrowed(&series.starts);
        }
        let pairs = series.samples.iter().zip(&series.starts);
        Cow::Owned(pairs.filter(|(sample, _)| !is_stale(sample.v)).map(|(_, start)| *start).collect())
    }

    /// Warns if samples of a counter claim to count what others have counted.
    pub(super) fn note_overlap(
        &self,
        function: Function,
        windows: &Windows<'_>,
        series: &WindowSeries<'_>,
        steps: Steps,
        place: &str,
    ) {
        let counts = matches!(function, Function::Rate | Function::Increase);
        if !counts || !kernel::starts_overlap(&series.samples, &series.starts) {
            return;
        }
        let overlaps = |t: Timestamp| {
            let range = windows.range_at(t, &self.frame);
            let from = series.samples.partition_point(|sample| sample.t <= range.after);
            let to = series.samples.partition_point(|sample| sample.t <= range.until).max(from);
            kernel::starts_overlap(&series.samples[from..to], &series.starts[from..to])
        };
        if steps.times().any(overlaps) {
            self.notes.borrow_mut().starts_overlap(series.labels.metric_name(), place);
        }
    }

    /// When the counting of the newest samples began, in seconds, 0 if that is not known; of anything
    /// but a selector nothing.
    pub(super) fn start_timestamp(&self, arg: &Expr, steps: Steps) -> Result<Operand, EvalError> {
        let ExprKind::Selector(selector) = &arg.without_parens().kind else { return Ok(Operand::Vector(Vec::new())) };
        let span = self.frame.selector_span(selector, self.frame.lookback, steps);
        let mut rows = Vec::new();
        for series in self.reads.get(&selector.matchers, span) {
            self.check_size(rows.len() + 1, steps)?;
            let starts = self.starts_of(series);
            let samples = super::window::without_markers(&series.samples);
            let mut row = Row::absent(series.labels.clone(), steps);
            for (step, t) in steps.times().enumerate() {
                let seen = self.frame.seen(&selector.shift, t);
                let newest = series.samples.partition_point(|sample| sample.t <= seen).checked_sub(1);
                let newest = newest.map(|at| series.samples[at]);
                let Some(sample) = newest.filter(|s| s.t > seen - self.frame.lookback && !is_stale(s.v)) else {
                    continue;
                };
                let place = samples.partition_point(|other| other.t < sample.t);
                row.set(step, starts.get(place).map_or(0.0, |start| start.as_seconds()));
            }
            if row.is_present() {
                rows.push(row);
            }
        }
        Ok(Operand::Vector(self.unnamed(rows)?))
    }
}
