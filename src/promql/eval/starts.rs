//! When the counting of a sample began, as far as the query looks at it.

use std::borrow::Cow;

use super::Evaluator;
use super::row::{Operand, Row};
use super::window::{WindowSeries, Windows};
use crate::model::{TimeRange, Timestamp, is_stale};
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
        for series in self.reads.get(&selector.matchers, span)? {
            self.check_size(rows.len() + 1, steps)?;
            let mut row = Row::absent(series.labels.clone(), steps);
            for (step, t) in steps.times().enumerate() {
                let seen = self.frame.seen(&selector.shift, t);
                let window = TimeRange { after: seen - self.frame.lookback, until: seen };
                if let Some(start) = newest_start(series, window) {
                    let used = self.options.start_timestamps == StartTimestamps::Used;
                    row.set(step, if used { start.as_seconds() } else { 0.0 });
                }
            }
            if row.is_present() {
                rows.push(row);
            }
        }
        Ok(Operand::Vector(self.unnamed(rows)?))
    }
}

/// The start of the newest sample in a window, unless that is a staleness marker.
fn newest_start(series: &SeriesSamples, window: TimeRange) -> Option<Timestamp> {
    let number = series.samples.partition_point(|sample| sample.t <= window.until).checked_sub(1);
    let histogram = series.histograms.partition_point(|sample| sample.t <= window.until).checked_sub(1);
    let number = number.map(|at| (series.samples[at], series.starts.get(at).copied().unwrap_or(Timestamp(0))));
    let histogram = histogram.map(|at| &series.histograms[at]);
    let (t, stale, start) = match (number, histogram) {
        (Some((sample, _)), Some(histogram)) if histogram.t > sample.t => {
            (histogram.t, histogram.histogram.is_stale(), histogram.start)
        }
        (Some((sample, start)), _) => (sample.t, is_stale(sample.v), start),
        (None, histogram) => histogram.map(|one| (one.t, one.histogram.is_stale(), one.start))?,
    };
    (window.contains(t) && !stale).then_some(start)
}
