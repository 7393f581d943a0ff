//! A series of an instant vector over all steps of a query.
//!
//! Invariants:
//! - A step without a number holds the bits of the staleness marker. No stored marker gets that
//!   far, and arithmetic never gives them: the marker is a signalling NaN, results are quiet ones.
//! - A step with a histogram has no number. The histograms are as many as the steps, or, as of
//!   nearly all series, none at all.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{HistogramSample, Labels, STALE_NAN, Sample, Timestamp, is_stale};
use crate::promql::kernel::FloatHistogram;
use crate::promql::plan::Steps;
use crate::promql::query::EvalError;
use crate::promql::value::ElementValue;
use crate::promql::without_name;

/// What a node gives.
pub(super) enum Operand {
    /// One number a step.
    Scalar(Vec<f64>),
    /// A string.
    Text(String),
    /// Rows, in an order that only `sort`, `topk` and `bottomk` promise.
    Vector(Vec<Row>),
}

/// One value.
#[derive(Debug, Clone)]
pub(super) enum Point {
    Number(f64),
    Histogram(Arc<FloatHistogram>),
}

/// One series, one value or none at each step.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) labels: Labels,
    /// Whether the metric's name is to be removed at the end of the query.
    pub(super) drop_name: bool,
    values: Vec<f64>,
    histograms: Vec<Option<Arc<FloatHistogram>>>,
}

impl Row {
    /// A row without any value yet.
    pub(super) fn absent(labels: Labels, steps: Steps) -> Row {
        let values = vec![f64::from_bits(STALE_NAN); steps.count()];
        Row { labels, drop_name: false, values, histograms: Vec::new() }
    }

    /// A row without labels.
    pub(super) fn unnamed(values: Vec<f64>) -> Row {
        Row { labels: Labels::empty(), drop_name: false, values, histograms: Vec::new() }
    }

    /// A row of these numbers; a step without one holds the staleness marker.
    pub(super) fn of_numbers(labels: Labels, values: Vec<f64>) -> Row {
        Row { labels, drop_name: false, values, histograms: Vec::new() }
    }

    /// A row of the same series without any value yet.
    pub(super) fn like(&self) -> Row {
        let values = vec![f64::from_bits(STALE_NAN); self.values.len()];
        Row { labels: self.labels.clone(), drop_name: self.drop_name, values, histograms: Vec::new() }
    }

    /// The number at a step, if there is one.
    pub(super) fn get(&self, step: usize) -> Option<f64> {
        self.values.get(step).copied().filter(|v| !is_stale(*v))
    }

    /// The values of all steps, the marker of staleness where there is none; nothing if some are histograms.
    pub(super) fn numbers(&self) -> Option<&[f64]> {
        self.histograms.is_empty().then_some(self.values.as_slice())
    }

    /// The histogram at a step, if there is one.
    pub(super) fn histogram(&self, step: usize) -> Option<&Arc<FloatHistogram>> {
        self.histograms.get(step)?.as_ref()
    }

    /// The number or the histogram at a step, if there is one.
    pub(super) fn point(&self, step: usize) -> Option<Point> {
        match self.get(step) {
            Some(v) => Some(Point::Number(v)),
            None => self.histogram(step).cloned().map(Point::Histogram),
        }
    }

    /// Whether there is a number or a histogram at a step.
    pub(super) fn has(&self, step: usize) -> bool {
        self.get(step).is_some() || self.histogram(step).is_some()
    }

    pub(super) fn set(&mut self, step: usize, v: f64) {
        self.values[step] = v;
        if let Some(slot) = self.histograms.get_mut(step) {
            *slot = None;
        }
    }

    pub(super) fn set_histogram(&mut self, step: usize, histogram: Arc<FloatHistogram>) {
        if self.histograms.is_empty() {
            self.histograms.resize(self.values.len(), None);
        }
        self.values[step] = f64::from_bits(STALE_NAN);
        self.histograms[step] = Some(histogram);
    }

    pub(super) fn set_point(&mut self, step: usize, point: Point) {
        match point {
            Point::Number(v) => self.set(step, v),
            Point::Histogram(histogram) => self.set_histogram(step, histogram),
        }
    }

    pub(super) fn clear(&mut self, step: usize) {
        self.set(step, f64::from_bits(STALE_NAN));
    }

    /// The numbers that are there, by step.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, f64)> {
        self.values.iter().copied().enumerate().filter(|(_, v)| !is_stale(*v))
    }

    /// The histograms that are there, by step.
    pub(super) fn histograms(&self) -> impl Iterator<Item = (usize, &Arc<FloatHistogram>)> {
        self.histograms.iter().enumerate().filter_map(|(step, histogram)| Some((step, histogram.as_ref()?)))
    }

    /// The steps at which there is a number or a histogram; those with numbers first.
    pub(super) fn steps(&self) -> impl Iterator<Item = usize> {
        self.iter().map(|(step, _)| step).chain(self.histograms().map(|(step, _)| step))
    }

    /// Whether there is any value.
    pub(super) fn is_present(&self) -> bool {
        self.values.iter().any(|v| !is_stale(*v)) || self.histograms.iter().any(Option::is_some)
    }

    /// Changes each number.
    pub(super) fn map(&mut self, change: impl Fn(f64) -> f64) {
        self.map_steps(|_, v| Some(change(v)));
    }

    /// Changes or removes each number.
    pub(super) fn map_steps(&mut self, change: impl Fn(usize, f64) -> Option<f64>) {
        for (step, v) in self.values.iter_mut().enumerate() {
            if !is_stale(*v) {
                *v = change(step, *v).unwrap_or(f64::from_bits(STALE_NAN));
            }
        }
    }

    /// Changes each histogram into another value, or removes it.
    pub(super) fn map_histograms(&mut self, change: impl Fn(usize, &Arc<FloatHistogram>) -> Option<Point>) {
        for step in 0..self.histograms.len() {
            let Some(histogram) = self.histograms[step].take() else { continue };
            if let Some(point) = change(step, &histogram) {
                self.set_point(step, point);
            }
        }
    }

    /// Removes each histogram.
    pub(super) fn drop_histograms(&mut self) {
        self.histograms = Vec::new();
    }

    /// Removes the values of the steps that `keeps` does not name.
    pub(super) fn retain(&mut self, keeps: impl Fn(usize) -> bool) {
        self.map_steps(|step, v| keeps(step).then_some(v));
        for (step, histogram) in self.histograms.iter_mut().enumerate() {
            if !keeps(step) {
                *histogram = None;
            }
        }
    }

    /// Takes over the values of another row.
    pub(super) fn join(&mut self, other: &Row) {
        other.iter().for_each(|(step, v)| self.set(step, v));
        other.histograms().for_each(|(step, histogram)| self.set_histogram(step, histogram.clone()));
    }

    /// How many samples it counts for: a histogram for as many as its size takes.
    pub(super) fn extra_samples(&self) -> usize {
        self.histograms().map(|(_, histogram)| histogram.weight()).sum()
    }

    /// Removes the metric's name, and the type and unit that go with it.
    pub(super) fn remove_name(&mut self) {
        self.labels = without_name(&self.labels);
        self.drop_name = false;
    }

    /// The numbers as samples dated with their steps.
    pub(super) fn samples(&self, steps: Steps) -> Vec<Sample> {
        self.iter().map(|(step, v)| Sample { t: steps.time(step), v }).collect()
    }

    /// The histograms in the form of an answer, dated with their steps.
    pub(super) fn histogram_samples(&self, steps: Steps) -> Vec<HistogramSample> {
        let sample = |(step, histogram): (usize, &Arc<FloatHistogram>)| HistogramSample {
            t: steps.time(step),
            start: Timestamp(0),
            histogram: Arc::new(histogram.to_histogram()),
        };
        self.histograms().map(sample).collect()
    }

    /// The first step in the form of an answer.
    pub(super) fn element(&self) -> Option<ElementValue> {
        Some(match self.point(0)? {
            Point::Number(v) => ElementValue::Number(v),
            Point::Histogram(histogram) => ElementValue::Histogram(Arc::new(histogram.to_histogram())),
        })
    }
}

/// Joins rows of the same labels, which must not have values at the same step; rows without
/// values are left out. Rows that will lose their name stay apart from those that keep it.
pub(super) fn unique(mut rows: Vec<Row>) -> Result<Vec<Row>, EvalError> {
    // Rows of selected series come in the order of labels, mostly without another of the same ones.
    if rows.is_sorted_by(|a, b| a.labels < b.labels) {
        rows.retain(Row::is_present);
        return Ok(rows);
    }
    let mut places: HashMap<Labels, [Option<usize>; 2]> = HashMap::with_capacity(rows.len());
    let mut kept: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        if !row.is_present() {
            continue;
        }
        let places = places.entry(row.labels.clone()).or_default();
        if places.iter().flatten().any(|place| row.steps().any(|step| kept[*place].has(step))) {
            return Err(EvalError::SameLabelset);
        }
        match &mut places[usize::from(row.drop_name)] {
            Some(place) => kept[*place].join(&row),
            place => {
                *place = Some(kept.len());
                kept.push(row);
            }
        }
    }
    Ok(kept)
}
