//! Instant selectors: the newest sample of each series, no older than the lookback.

use std::sync::Arc;

use super::row::{Point, Row};
use super::{Evaluator, Resets};
use crate::model::{HistogramSample, Sample, Timestamp, is_stale};
use crate::promql::ast::Selector;
use crate::promql::kernel::FloatHistogram;
use crate::promql::plan::Steps;
use crate::promql::query::EvalError;
use crate::promql::source::SeriesSamples;

/// The newest sample at or before an instant, as time goes on.
struct Newest<'a> {
    samples: &'a [Sample],
    histograms: &'a [HistogramSample],
    /// The places after the newest of each kind.
    next: (usize, usize),
    /// The histogram that was converted last, and its place.
    converted: Option<(usize, Arc<FloatHistogram>)>,
    resets: Resets,
}

/// A sample that was found: when, and its place among its kind.
#[derive(Clone, Copy)]
enum Found {
    Number(Sample),
    Histogram(Timestamp, usize),
}

impl Found {
    fn t(self) -> Timestamp {
        match self {
            Found::Number(sample) => sample.t,
            Found::Histogram(t, _) => t,
        }
    }
}

impl<'a> Newest<'a> {
    fn of(series: &'a SeriesSamples, resets: Resets) -> Newest<'a> {
        Newest { samples: &series.samples, histograms: &series.histograms, next: (0, 0), converted: None, resets }
    }

    /// The newest sample at or before `seen`, which never goes back, and after `oldest`; nothing if it
    /// is the mark of staleness.
    fn at(&mut self, seen: Timestamp, oldest: Timestamp) -> Option<Found> {
        while self.samples.get(self.next.0).is_some_and(|sample| sample.t <= seen) {
            self.next.0 += 1;
        }
        while self.histograms.get(self.next.1).is_some_and(|sample| sample.t <= seen) {
            self.next.1 += 1;
        }
        let number = self.next.0.checked_sub(1).map(|at| Found::Number(self.samples[at]));
        let histogram = self.next.1.checked_sub(1).map(|at| Found::Histogram(self.histograms[at].t, at));
        let newest = match (number, histogram) {
            (Some(number), Some(histogram)) if histogram.t() > number.t() => histogram,
            (Some(number), _) => number,
            (None, histogram) => histogram?,
        };
        let stale = match newest {
            Found::Number(sample) => is_stale(sample.v),
            Found::Histogram(_, at) => self.histograms[at].histogram.is_stale(),
        };
        (newest.t() > oldest && !stale).then_some(newest)
    }

    fn point(&mut self, found: Found) -> Point {
        match (found, &self.converted) {
            (Found::Number(sample), _) => Point::Number(sample.v),
            (Found::Histogram(_, at), Some((converted, histogram))) if *converted == at => {
                Point::Histogram(histogram.clone())
            }
            (Found::Histogram(_, at), _) => {
                let mut histogram = FloatHistogram::from(&*self.histograms[at].histogram);
                if self.resets == Resets::Inferred
                    && let Some(before) = at.checked_sub(1).map(|before| &self.histograms[before].histogram)
                {
                    histogram.infer_reset(&FloatHistogram::from(&**before));
                }
                let histogram = Arc::new(histogram);
                self.converted = Some((at, histogram.clone()));
                Point::Histogram(histogram)
            }
        }
    }
}

impl Evaluator<'_> {
    /// The newest sample of each series at each step.
    pub(super) fn select(&self, selector: &Selector, steps: Steps) -> Result<Vec<Row>, EvalError> {
        self.select_with(selector, steps, |newest, row, step, found| {
            let point = newest.point(found);
            row.set_point(step, point);
        })
    }

    /// The times of the newest samples, in seconds.
    pub(super) fn select_times(&self, selector: &Selector, steps: Steps) -> Result<Vec<Row>, EvalError> {
        self.select_with(selector, steps, |_, row, step, found| row.set(step, found.t().as_seconds()))
    }

    fn select_with(
        &self,
        selector: &Selector,
        steps: Steps,
        take: impl Fn(&mut Newest<'_>, &mut Row, usize, Found),
    ) -> Result<Vec<Row>, EvalError> {
        let span = self.frame.span(&selector.shift, self.frame.lookback, steps);
        let mut rows = Vec::new();
        for series in self.reads.get(&selector.matchers, span)? {
            self.check_size(rows.len() + 1, steps)?;
            let mut row = Row::absent(series.labels.clone(), steps);
            let mut newest = Newest::of(series, self.resets.get());
            for (step, t) in steps.times().enumerate() {
                let seen = self.frame.seen(&selector.shift, t);
                if let Some(found) = newest.at(seen, seen - self.frame.lookback) {
                    take(&mut newest, &mut row, step, found);
                }
            }
            if row.is_present() {
                rows.push(row);
            }
        }
        Ok(rows)
    }
}
