//! A series of an instant vector over all steps of a query.
//!
//! Invariants:
//! - A step without a value holds the bits of the staleness marker. No stored marker gets that
//!   far, and arithmetic never gives them: the marker is a signalling NaN, results are quiet ones.

use std::collections::HashMap;

use crate::model::{Labels, STALE_NAN, Sample, is_stale};
use crate::promql::plan::Steps;
use crate::promql::query::EvalError;

/// What a node gives.
pub(super) enum Operand {
    /// One number a step.
    Scalar(Vec<f64>),
    /// A string.
    Text(String),
    /// Rows, in an order that only `sort`, `topk` and `bottomk` promise.
    Vector(Vec<Row>),
}

/// One series, one value or none at each step.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) labels: Labels,
    /// Whether the metric's name is to be removed at the end of the query.
    pub(super) drop_name: bool,
    values: Vec<f64>,
}

impl Row {
    /// A row without any value yet.
    pub(super) fn absent(labels: Labels, steps: Steps) -> Row {
        Row { labels, drop_name: false, values: vec![f64::from_bits(STALE_NAN); steps.count()] }
    }

    /// A row without labels.
    pub(super) fn unnamed(values: Vec<f64>) -> Row {
        Row { labels: Labels::empty(), drop_name: false, values }
    }

    /// A row of the same series without any value yet.
    pub(super) fn like(&self) -> Row {
        let values = vec![f64::from_bits(STALE_NAN); self.values.len()];
        Row { labels: self.labels.clone(), drop_name: self.drop_name, values }
    }

    pub(super) fn get(&self, step: usize) -> Option<f64> {
        self.values.get(step).copied().filter(|v| !is_stale(*v))
    }

    /// Whether there is a value at a step.
    pub(super) fn has(&self, step: usize) -> bool {
        self.get(step).is_some()
    }

    pub(super) fn point(&self, step: usize) -> Option<f64> {
        self.get(step)
    }

    pub(super) fn set_point(&mut self, step: usize, point: f64) {
        self.set(step, point);
    }

    /// Removes the values of the steps that `keeps` does not name.
    pub(super) fn retain(&mut self, keeps: impl Fn(usize) -> bool) {
        self.map_steps(|step, v| keeps(step).then_some(v));
    }

    pub(super) fn set(&mut self, step: usize, v: f64) {
        self.values[step] = v;
    }

    pub(super) fn clear(&mut self, step: usize) {
        self.values[step] = f64::from_bits(STALE_NAN);
    }

    /// The values that are there, by step.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, f64)> {
        self.values.iter().copied().enumerate().filter(|(_, v)| !is_stale(*v))
    }

    /// Whether there is any value.
    pub(super) fn is_present(&self) -> bool {
        self.values.iter().any(|v| !is_stale(*v))
    }

    /// Changes each value.
    pub(super) fn map(&mut self, change: impl Fn(f64) -> f64) {
        self.map_steps(|_, v| Some(change(v)));
    }

    /// Changes or removes each value.
    pub(super) fn map_steps(&mut self, change: impl Fn(usize, f64) -> Option<f64>) {
        for (step, v) in self.values.iter_mut().enumerate() {
            if !is_stale(*v) {
                *v = change(step, *v).unwrap_or(f64::from_bits(STALE_NAN));
            }
        }
    }

    /// Removes the metric's name, and the type and unit that go with it.
    pub(super) fn remove_name(&mut self) {
        self.labels = without_name(&self.labels);
        self.drop_name = false;
    }

    /// The values as samples dated with their steps.
    pub(super) fn samples(&self, steps: Steps) -> Vec<Sample> {
        self.iter().map(|(step, v)| Sample { t: steps.time(step), v }).collect()
    }
}

/// The labels without those that describe the metric.
pub(super) fn without_name(labels: &Labels) -> Labels {
    if labels.iter().any(|label| is_metadata(label.name)) {
        labels.filter(|name| !is_metadata(name))
    } else {
        labels.clone()
    }
}

pub(super) fn is_metadata(name: &str) -> bool {
    matches!(name, Labels::METRIC_NAME | "__type__" | "__unit__")
}

/// Joins rows of the same labels, which must not have values at the same step; rows without
/// values are left out. Rows that will lose their name stay apart from those that keep it.
pub(super) fn unique(rows: Vec<Row>) -> Result<Vec<Row>, EvalError> {
    let mut places: HashMap<Labels, [Option<usize>; 2]> = HashMap::with_capacity(rows.len());
    let mut kept: Vec<Row> = Vec::with_capacity(rows.len());
    for row in rows {
        if !row.is_present() {
            continue;
        }
        let places = places.entry(row.labels.clone()).or_default();
        if places.iter().flatten().any(|place| row.iter().any(|(step, _)| kept[*place].get(step).is_some())) {
            return Err(EvalError::SameLabelset);
        }
        match &mut places[usize::from(row.drop_name)] {
            Some(place) => row.iter().for_each(|(step, v)| kept[*place].set(step, v)),
            place => {
                *place = Some(kept.len());
                kept.push(row);
            }
        }
    }
    Ok(kept)
}
