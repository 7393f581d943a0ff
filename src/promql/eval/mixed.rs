//! Functions of windows that hold native histograms, or numbers and histograms.

use std::sync::Arc;

use super::extended::{histograms_inside, inside};
use super::row::{Point, Row};
use super::window::{Cursor, WindowSeries, Windows};
use super::{Evaluator, Resets};
use crate::model::{HistogramSample, Millis, Sample, TimeRange, Timestamp};
use crate::promql::ast::{Expr, Span};
use crate::promql::functions::Function;
use crate::promql::kernel::{self, Change, Combined, EdgeValue, FloatHistogram, HistogramPoint, MixedLayouts};
use crate::promql::plan::Steps;
use crate::promql::query::StartTimestamps;

/// What lies in one window.
struct Window<'a> {
    samples: &'a [Sample],
    starts: &'a [Timestamp],
    histograms: &'a [HistogramPoint],
    range: TimeRange,
}

/// Where the user is told what is to be known.
struct Place {
    metric: String,
    text: String,
}

impl Evaluator<'_> {
    /// The histograms of a series that are no staleness markers.
    pub(super) fn converted(&self, samples: &[HistogramSample]) -> Vec<HistogramPoint> {
        let there = samples.iter().filter(|sample| !sample.histogram.is_stale());
        let mut points: Vec<HistogramPoint> = there.map(HistogramPoint::from).collect();
        if self.options.start_timestamps == StartTimestamps::Ignored {
            points.iter_mut().for_each(|point| point.start = Timestamp(0));
        }
        if self.resets.get() == Resets::Inferred {
            kernel::infer_resets(&mut points);
        }
        points
    }

    /// A function of each window of a series that holds histograms.
    pub(super) fn slide_mixed(
        &self,
        (function, args): (Function, &[Expr]),
        params: &[Vec<f64>],
        windows: &Windows<'_>,
        series: &WindowSeries<'_>,
        steps: Steps,
    ) -> Row {
        let mut row = Row::absent(series.labels.clone(), steps);
        row.drop_name = series.drop_name;
        let place = Place {
            metric: series.labels.metric_name().to_owned(),
            text: args.first().map_or_else(String::new, |arg| self.place(arg.without_parens().span)),
        };
        let (mut numbers, mut histograms) = (Cursor::default(), Cursor::default());
        for (step, t) in steps.times().enumerate() {
            let range = windows.range_at(t, &self.frame);
            let (from, to) = numbers.slide(&series.samples, range);
            let (first, end) = histograms.slide(&series.histograms, range);
            let window = Window {
                samples: &series.samples[from..to],
                starts: series.starts.get(from..to).unwrap_or_default(),
                histograms: &series.histograms[first..end],
                range,
            };
            if from == to && first == end {
                continue;
            }
            let mut args: Vec<f64> = params.iter().map(|values| values[step]).collect();
            if function == Function::PredictLinear {
                args.push(t.as_seconds() - range.until.as_seconds());
            }
            if let Some(point) = self.over_window(function, &args, &window, &place) {
                row.set_point(step, point);
            }
        }
        row
    }

    fn over_window(&self, function: Function, args: &[f64], window: &Window<'_>, place: &Place) -> Option<Point> {
        let Window { samples, histograms, .. } = window;
        let mixed = !samples.is_empty() && !histograms.is_empty();
        let number = |v: f64| Some(Point::Number(v));
        match function {
            Function::CountOverTime => number((samples.len() + histograms.len()) as f64),
            Function::PresentOverTime => number(1.0),
            Function::FirstOverTime | Function::LastOverTime => at_end(function, window),
            Function::TsOfFirstOverTime | Function::TsOfLastOverTime => time_at_end(function, window),
            Function::Changes | Function::Resets => number(self.pairs(function, window)),
            Function::Irate | Function::Idelta => self.last_change(function, window, place),
            Function::Rate | Function::Increase | Function::Delta | Function::SumOverTime | Function::AvgOverTime
                if mixed =>
            {
                self.notes.borrow_mut().mixed_range(&place.metric, &place.text);
                None
            }
            _ if histograms.is_empty() => of_numbers(function, args, window).map(Point::Number),
            Function::Rate | Function::Increase | Function::Delta => {
                self.changed(kernel::native_change(function, histograms, window.range), place)
            }
            Function::SumOverTime => self.summed(kernel::native_sum(each(histograms)), place),
            Function::AvgOverTime => self.summed(kernel::native_mean(each(histograms)), place),
            _ => {
                // Functions of numbers, which leave histograms out.
                if mixed {
                    self.notes.borrow_mut().ignored_in_range(&place.metric, &place.text);
                }
                of_numbers(function, args, window).map(Point::Number)
            }
        }
    }

    /// A function of an anchored or smoothed range of a series that holds histograms; `seen` reaches
    /// beyond the window.
    pub(super) fn extended_mixed(
        &self,
        (function, edge): (Function, EdgeValue),
        series: &WindowSeries<'_>,
        (seen, range): (TimeRange, TimeRange),
        place: &str,
    ) -> Option<Point> {
        let place = Place { metric: series.labels.metric_name().to_owned(), text: place.to_owned() };
        let samples = inside(&series.samples, seen);
        let histograms = histograms_inside(&series.histograms, seen);
        if matches!(function, Function::Changes | Function::Resets) {
            return self.anchored_pairs(function, samples, histograms, range).map(Point::Number);
        }
        if !samples.is_empty() && !histograms.is_empty() {
            self.notes.borrow_mut().mixed_range(&place.metric, &place.text);
            return None;
        }
        if histograms.is_empty() {
            return kernel::over_extended(function, edge, samples, range).map(Point::Number);
        }
        self.changed(kernel::native_extended(function, edge, histograms, range), &place)
    }

    /// [`Self::pairs`] from the newest sample before the window on; nothing if none lies inside.
    fn anchored_pairs(
        &self,
        function: Function,
        samples: &[Sample],
        histograms: &[HistogramPoint],
        range: TimeRange,
    ) -> Option<f64> {
        let number = samples.iter().rev().map(|sample| sample.t).find(|t| *t <= range.after);
        let histogram = histograms.iter().rev().map(|point| point.t).find(|t| *t <= range.after);
        let from = number.max(histogram).unwrap_or(range.after);
        let all = TimeRange { after: from - Millis(1), until: range.until };
        let window = Window {
            samples: inside(samples, all),
            starts: &[],
            histograms: histograms_inside(histograms, all),
            range,
        };
        let newest = window.samples.last().map(|sample| sample.t).max(window.histograms.last().map(|point| point.t));
        newest.filter(|t| *t > range.after).map(|_| self.pairs(function, &window))
    }

    /// The histogram of a smoothed selector at `seen`; what lies around it may be of both types.
    pub(super) fn smoothed_mixed(
        &self,
        samples: &[Sample],
        histograms: &[HistogramPoint],
        seen: Timestamp,
        (metric, place): (&str, Span),
    ) -> Option<Point> {
        let mut notes = self.notes.borrow_mut();
        if !samples.is_empty() {
            notes.mixed_range(metric, &self.place(place));
            return None;
        }
        match kernel::native_between(histograms, seen) {
            Ok(histogram) => histogram.map(Point::Histogram),
            Err(MixedLayouts) => {
                notes.mixed_layouts(metric, &self.place(place));
                None
            }
        }
    }

    fn changed(&self, change: Result<Option<Change>, MixedLayouts>, place: &Place) -> Option<Point> {
        let mut notes = self.notes.borrow_mut();
        match change {
            Ok(change) => {
                let change = change?;
                if change.not_a_counter {
                    notes.not_a_counter(&place.metric, &place.text);
                }
                if change.not_a_gauge {
                    notes.not_a_gauge(&place.metric, &place.text);
                }
                if change.subtraction_reconciled {
                    notes.bounds_reconciled("subtraction", &place.text);
                }
                if change.addition_reconciled {
                    notes.bounds_reconciled("addition", &place.text);
                }
                Some(Point::Histogram(Arc::new(change.histogram)))
            }
            Err(MixedLayouts) => {
                notes.mixed_layouts(&place.metric, &place.text);
                None
            }
        }
    }

    fn summed(&self, sum: Result<Combined, MixedLayouts>, place: &Place) -> Option<Point> {
        let mut notes = self.notes.borrow_mut();
        match sum {
            Ok(sum) => {
                if sum.resets_conflict {
                    notes.resets_conflict("aggregation", &place.text);
                }
                if sum.bounds_reconciled {
                    notes.bounds_reconciled("aggregation", &place.text);
                }
                Some(Point::Histogram(Arc::new(sum.histogram)))
            }
            Err(MixedLayouts) => {
                notes.mixed_layouts(&place.metric, &place.text);
                None
            }
        }
    }

    fn last_change(&self, function: Function, window: &Window<'_>, place: &Place) -> Option<Point> {
        let Window { samples, histograms, .. } = window;
        let newest_number = samples.last().map(|sample| sample.t);
        let newest_histogram = histograms.last().map(|point| point.t);
        let second_number = samples.len().checked_sub(2).map(|at| samples[at].t);
        let second_histogram = histograms.len().checked_sub(2).map(|at| histograms[at].t);
        if second_number.is_some() && second_number > newest_histogram {
            return of_numbers(function, &[], window).map(Point::Number);
        }
        if let [.., before, last] = histograms
            && second_histogram > newest_number
        {
            return self.changed(kernel::native_last_change(function, before, last), place);
        }
        if newest_number.is_some() && newest_histogram.is_some() {
            self.notes.borrow_mut().mixed_range(&place.metric, &place.text);
        }
        None
    }

    /// How often the value changed or fell from one sample to the next; a change of type is both.
    fn pairs(&self, function: Function, window: &Window<'_>) -> f64 {
        let Window { samples, histograms, .. } = window;
        let (mut at, mut next, mut count) = (0, 0, 0.0);
        let mut before: Option<Either> = None;
        while at < samples.len() || next < histograms.len() {
            let number_first = match (samples.get(at), histograms.get(next)) {
                (Some(sample), Some(point)) => sample.t < point.t,
                (sample, _) => sample.is_some(),
            };
            let now = if number_first { Either::Number(at) } else { Either::Histogram(next) };
            let differs = match (before, now) {
                (None, _) => false,
                (Some(Either::Number(a)), Either::Number(b)) => {
                    let starts = window.starts.get(a..=b).unwrap_or_default();
                    let pair = Window { samples: &samples[a..=b], starts, histograms: &[], range: window.range };
                    of_numbers(function, &[], &pair).is_some_and(|count| count > 0.0)
                }
                (Some(Either::Histogram(a)), Either::Histogram(b)) if function == Function::Changes => {
                    !histograms[b].histogram.equals(&histograms[a].histogram)
                }
                (Some(Either::Histogram(a)), Either::Histogram(b)) => {
                    kernel::is_native_reset(&histograms[a], &histograms[b])
                }
                _ => true,
            };
            count += f64::from(u8::from(differs));
            before = Some(now);
            if number_first { at += 1 } else { next += 1 }
        }
        count
    }
}

/// A sample, by its place among those of its type.
#[derive(Clone, Copy)]
enum Either {
    Number(usize),
    Histogram(usize),
}

fn each(points: &[HistogramPoint]) -> impl Iterator<Item = &FloatHistogram> {
    points.iter().map(|point| &*point.histogram)
}

fn of_numbers(function: Function, args: &[f64], window: &Window<'_>) -> Option<f64> {
    match window.starts.is_empty() {
        true => kernel::over_range(function, args, window.samples, window.range),
        false => kernel::over_range_with_starts(function, args, window.samples, window.starts, window.range),
    }
}

/// The first or last sample.
fn at_end(function: Function, window: &Window<'_>) -> Option<Point> {
    let (number, histogram) = match function {
        Function::FirstOverTime => (window.samples.first(), window.histograms.first()),
        _ => (window.samples.last(), window.histograms.last()),
    };
    let number_wins = match (number, histogram) {
        (Some(sample), Some(point)) if function == Function::FirstOverTime => sample.t < point.t,
        (Some(sample), Some(point)) => sample.t > point.t,
        (number, _) => number.is_some(),
    };
    match (number, histogram) {
        (Some(sample), _) if number_wins => Some(Point::Number(sample.v)),
        (_, histogram) => histogram.map(|point| Point::Histogram(point.histogram.clone())),
    }
}

fn time_at_end(function: Function, window: &Window<'_>) -> Option<Point> {
    let (number, histogram) = match function {
        Function::TsOfFirstOverTime => (window.samples.first(), window.histograms.first()),
        _ => (window.samples.last(), window.histograms.last()),
    };
    let times = number.map(|sample| sample.t).into_iter().chain(histogram.map(|point| point.t));
    let t = if function == Function::TsOfFirstOverTime { times.min() } else { times.max() };
    t.map(|t| Point::Number(t.as_seconds()))
}
