//! Range vectors: windows that slide over the samples of each series, and functions of them.

use std::borrow::Cow;
use std::sync::Arc;

use super::Evaluator;
use super::extended::edges_of;
use super::row::{Operand, Row};
use crate::model::{ExactSum, Labels, Millis, ResetHint, Sample, TimeRange, Timestamp, is_stale};
use crate::promql::ast::{Edges, Expr, ExprKind, Shift};
use crate::promql::functions::Function;
use crate::promql::kernel::{self, FloatHistogram, HistogramPoint};
use crate::promql::plan::{Frame, Steps, WindowValues};
use crate::promql::query::EvalError;
use crate::promql::value::MatrixSeries;

/// The series of a range vector with all samples that any window needs.
pub(super) struct Windows<'a> {
    pub(super) series: Vec<WindowSeries<'a>>,
    length: Millis,
    shift: Shift,
}

pub(super) struct WindowSeries<'a> {
    pub(super) labels: Labels,
    pub(super) drop_name: bool,
    /// Without staleness markers.
    pub(super) samples: Cow<'a, [Sample]>,
    /// When the counting of each sample began; empty if that is not known or not asked for.
    pub(super) starts: Cow<'a, [Timestamp]>,
    /// Without staleness markers.
    pub(super) histograms: Vec<HistogramPoint>,
}

impl Windows<'_> {
    /// The window that is seen at `t`.
    pub(super) fn range_at(&self, t: Timestamp, frame: &Frame) -> TimeRange {
        let until = frame.seen(&self.shift, t);
        TimeRange { after: until - self.length, until }
    }

    /// Each series with the samples of the window that is seen at `t`, and whether its name is to be
    /// removed.
    pub(super) fn seen_at(&self, t: Timestamp, frame: &Frame) -> Vec<(MatrixSeries, bool)> {
        let range = self.range_at(t, frame);
        let inside = |series: &WindowSeries<'_>| {
            let histograms = series.histograms.iter().filter(|point| range.contains(point.t));
            let matrix = MatrixSeries {
                labels: series.labels.clone(),
                samples: series.samples.iter().copied().filter(|sample| range.contains(sample.t)).collect(),
                histograms: histograms.map(HistogramPoint::sample).collect(),
            };
            (matrix, series.drop_name)
        };
        self.series.iter().map(inside).collect()
    }
}

/// What has a place in time.
pub(super) trait Dated {
    fn t(&self) -> Timestamp;
}

impl Dated for Sample {
    fn t(&self) -> Timestamp {
        self.t
    }
}

impl Dated for HistogramPoint {
    fn t(&self) -> Timestamp {
        self.t
    }
}

/// The part of a series' samples that lies in a window; both ends only move forward.
#[derive(Default)]
pub(super) struct Cursor {
    from: usize,
    to: usize,
}

impl Cursor {
    pub(super) fn slide<T: Dated>(&mut self, samples: &[T], range: TimeRange) -> (usize, usize) {
        while samples.get(self.to).is_some_and(|sample| sample.t() <= range.until) {
            self.to += 1;
        }
        while samples.get(self.from).is_some_and(|sample| sample.t() <= range.after) {
            self.from += 1;
        }
        (self.from, self.to.max(self.from))
    }
}

/// The sum of a window that slides: exact, so that it is the same as if summed anew, bit for bit.
struct RunningSum {
    sum: ExactSum,
    from: usize,
    to: usize,
}

impl RunningSum {
    fn new() -> RunningSum {
        RunningSum { sum: ExactSum::new(), from: 0, to: 0 }
    }

    /// The sum of `samples[from..to]`; neither end may lie before an earlier one.
    fn slide(&mut self, samples: &[Sample], from: usize, to: usize) -> &ExactSum {
        if from >= self.to {
            *self = RunningSum { sum: ExactSum::new(), from, to: from };
        }
        samples[self.from..from].iter().for_each(|sample| self.sum.remove(sample.v));
        samples[self.to..to].iter().for_each(|sample| self.sum.add(sample.v));
        (self.from, self.to) = (from, to);
        &self.sum
    }
}

impl Evaluator<'_> {
    /// The windows of an expression that the check found to be a range vector.
    pub(super) fn windows(&self, expr: &Expr, steps: Steps) -> Result<Windows<'_>, EvalError> {
        match &expr.without_parens().kind {
            ExprKind::Range { selector, range } => {
                let span = self.frame.selector_span(selector, *range, steps);
                let series = self.reads.get(&selector.matchers, span)?.iter().map(|series| WindowSeries {
                    labels: series.labels.clone(),
                    drop_name: false,
                    samples: without_markers(&series.samples),
                    starts: self.starts_of(series),
                    histograms: self.converted(&series.histograms),
                });
                Ok(Windows { series: series.collect(), length: *range, shift: selector.shift })
            }
            ExprKind::Subquery { expr, range, step, shift, .. } => {
                let inner = self.frame.inner_steps(*range, *step, shift, steps)?;
                let rows = if inner.count() == 0 { Vec::new() } else { self.vector(expr, inner)? };
                let series = rows.into_iter().map(|row| WindowSeries {
                    samples: Cow::Owned(row.samples(inner)),
                    starts: Cow::Borrowed(&[]),
                    histograms: resampled(&row, inner),
                    labels: row.labels,
                    drop_name: row.drop_name,
                });
                Ok(Windows { series: series.collect(), length: *range, shift: *shift })
            }
            _ => Ok(Windows { series: Vec::new(), length: Millis(1), shift: Shift::default() }),
        }
    }

    /// A function of a range vector, series by series.
    pub(super) fn over_range(&self, function: Function, args: &[Expr], steps: Steps) -> Result<Operand, EvalError> {
        let edges = edges_of(args);
        if edges != Edges::Plain {
            return self.over_extended(function, edges, args, steps);
        }
        if let Some(series) = self.reads.values(function, args, steps, &self.frame, || self.check_deadline())? {
            return self.read_values(function, &self.place(args[0].without_parens().span), series, steps);
        }
        if let Some(scan) = self.scan_of_call(function, args, steps)?
            && let Some(rows) = self.scan_rows(&scan, steps)?
        {
            let range = args.iter().find(|arg| arg.value_type() == crate::promql::ValueType::Matrix);
            let place = range.map_or_else(String::new, |range| self.place(range.without_parens().span));
            match scan.metric() {
                Some(name) if !rows.is_empty() => self.note_counter(function, name, &place),
                _ => rows.iter().for_each(|row| self.note_counter(function, row.labels.metric_name(), &place)),
            }
            self.note_quantiles(function, args, scan.params(), &rows);
            return self.named(function, rows);
        }
        let (mut windows, mut params) = (None, Vec::new());
        let mut range_place = String::new();
        for arg in args {
            match arg.value_type() {
                crate::promql::ValueType::Matrix => {
                    range_place = self.place(arg.without_parens().span);
                    windows = Some(self.windows(arg, steps)?);
                }
                _ => params.push(self.scalar(arg, steps)?),
            }
        }
        let Some(windows) = windows else { return Ok(Operand::Vector(Vec::new())) };
        if function == Function::DoubleExponentialSmoothing {
            check_factors(&params, &self.any_inside(&windows, steps)?)?;
        }
        let mut rows = Vec::new();
        for series in &windows.series {
            self.check_size(rows.len() + 1, steps)?;
            let row = match series.histograms.is_empty() {
                true => self.slide(function, &params, &windows, series, steps),
                false => self.slide_mixed((function, args), &params, &windows, series, steps),
            };
            self.note_overlap(function, &windows, series, steps, &range_place);
            if row.iter().next().is_some() {
                self.note_counter(function, series.labels.metric_name(), &range_place);
            }
            if row.is_present() {
                rows.push(row);
            }
        }
        self.note_quantiles(function, args, &params, &rows);
        self.named(function, rows)
    }

    /// A function of windows of which only its values were read, one for each step.
    fn read_values(
        &self,
        function: Function,
        place: &str,
        series: &[WindowValues],
        steps: Steps,
    ) -> Result<Operand, EvalError> {
        let mut rows = Vec::new();
        for series in series {
            self.check_deadline()?;
            let mut row = Row::absent(series.labels.clone(), steps);
            for (step, v) in series.values.iter().enumerate().filter_map(|(step, v)| Some((step, (*v)?))) {
                row.set(step, v);
            }
            if row.is_present() {
                self.note_counter(function, series.labels.metric_name(), place);
                rows.push(row);
            }
        }
        self.named(function, rows)
    }

    fn named(&self, function: Function, rows: Vec<Row>) -> Result<Operand, EvalError> {
        match function {
            // They give back samples as they were, so that the name still fits.
            Function::LastOverTime | Function::FirstOverTime => Ok(Operand::Vector(rows)),
            _ => Ok(Operand::Vector(self.unnamed(rows)?)),
        }
    }

    fn slide(
        &self,
        function: Function,
        params: &[Vec<f64>],
        windows: &Windows<'_>,
        series: &WindowSeries<'_>,
        steps: Steps,
    ) -> Row {
        let mut row = Row::absent(series.labels.clone(), steps);
        row.drop_name = series.drop_name;
        let mut cursor = Cursor::default();
        let mut args = Vec::with_capacity(2);
        // Under `@` every step sees the same window.
        let mut before: Option<(TimeRange, Option<f64>)> = None;
        let mut running = RunningSum::new();
        for (step, t) in steps.times().enumerate() {
            let range = windows.range_at(t, &self.frame);
            let (from, to) = cursor.slide(&series.samples, range);
            if from == to {
                continue;
            }
            args.clear();
            args.extend(params.iter().map(|values| values[step]));
            if function == Function::PredictLinear {
                args.push(t.as_seconds() - range.until.as_seconds());
            }
            let value = match (before, function) {
                (Some((same, value)), _) if same == range && args.is_empty() => value,
                (_, Function::SumOverTime) => Some(running.slide(&series.samples, from, to).value()),
                (_, Function::AvgOverTime) => Some(running.slide(&series.samples, from, to).mean((to - from) as f64)),
                _ if !series.starts.is_empty() => {
                    let (samples, starts) = (&series.samples[from..to], &series.starts[from..to]);
                    kernel::over_range_with_starts(function, &args, samples, starts, range)
                }
                _ => kernel::over_range(function, &args, &series.samples[from..to], range),
            };
            before = Some((range, value));
            if let Some(v) = value {
                row.set(step, v);
            }
        }
        row
    }

    pub(super) fn note_counter(&self, function: Function, name: &str, place: &str) {
        let counts = ["_total", "_sum", "_count", "_bucket"].iter().any(|suffix| name.ends_with(suffix));
        if matches!(function, Function::Rate | Function::Increase) && !name.is_empty() && !counts {
            self.notes.borrow_mut().maybe_not_a_counter(name, place);
        }
    }

    /// Only where a window held something was the quantile asked for.
    fn note_quantiles(&self, function: Function, args: &[Expr], params: &[Vec<f64>], rows: &[Row]) {
        if function == Function::QuantileOverTime {
            let asked = |step: &usize| rows.iter().any(|row| row.get(*step).is_some());
            let bad = |q: f64| !(0.0..=1.0).contains(&q);
            let steps = (0..params[0].len()).filter(|step| bad(params[0][*step])).filter(asked);
            self.note_quantile(&steps.map(|step| params[0][step]).collect::<Vec<_>>(), &args[0]);
        }
    }

    /// Warns of quantiles outside 0 to 1.
    pub(super) fn note_quantile(&self, values: &[f64], arg: &Expr) {
        for q in values.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
            self.notes.borrow_mut().quantile_out_of_range(*q, &self.place(arg.without_parens().span));
        }
    }

    /// Whether any series has a sample in the window, for each step.
    pub(super) fn any_in_window(&self, arg: &Expr, steps: Steps) -> Result<Vec<bool>, EvalError> {
        let windows = self.windows(arg, steps)?;
        self.any_inside(&windows, steps)
    }

    fn any_inside(&self, windows: &Windows<'_>, steps: Steps) -> Result<Vec<bool>, EvalError> {
        let mut any = vec![false; steps.count()];
        for series in &windows.series {
            self.check_deadline()?;
            let (mut numbers, mut histograms) = (Cursor::default(), Cursor::default());
            for (any, t) in any.iter_mut().zip(steps.times()) {
                let range = windows.range_at(t, &self.frame);
                let there = |(from, to): (usize, usize)| from < to;
                *any |= there(numbers.slide(&series.samples, range));
                *any |= there(histograms.slide(&series.histograms, range));
            }
        }
        Ok(any)
    }
}

/// `double_exponential_smoothing` takes factors between 0 and 1, where there is something to smooth.
fn check_factors(params: &[Vec<f64>], any: &[bool]) -> Result<(), EvalError> {
    for (name, values) in ["smoothing", "trend"].iter().zip(params) {
        let mut asked = values.iter().zip(any).filter(|(_, any)| **any).map(|(factor, _)| *factor);
        if let Some(bad) = asked.find(|factor| *factor <= 0.0 || *factor >= 1.0) {
            let letter = if *name == "smoothing" { "sf" } else { "tf" };
            let text = format!("invalid {name} factor. Expected: 0 < {letter} < 1, got: {bad:.6}");
            return Err(EvalError::Parameter(text));
        }
    }
    Ok(())
}

pub(super) fn without_markers(samples: &[Sample]) -> Cow<'_, [Sample]> {
    if samples.iter().any(|sample| is_stale(sample.v)) {
        Cow::Owned(samples.iter().copied().filter(|sample| !is_stale(sample.v)).collect())
    } else {
        Cow::Borrowed(samples)
    }
}

/// The histograms of a subquery: nothing is known of what happened between its steps.
fn resampled(row: &Row, steps: Steps) -> Vec<HistogramPoint> {
    let point = |(step, histogram): (usize, &Arc<FloatHistogram>)| {
        let mut histogram = FloatHistogram::clone(histogram);
        if histogram.reset_hint != ResetHint::Gauge {
            histogram.reset_hint = ResetHint::Unknown;
        }
        HistogramPoint { t: steps.time(step), start: Timestamp(0), histogram: Arc::new(histogram) }
    };
    row.histograms().map(point).collect()
}
