//! Rules that are evaluated by a query at their group's interval: recording rules, and alerting
//! rules whose expression is not followed sample by sample.
//!
//! Invariants:
//! - A rule sees what the rules before it in its group have just made.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Batch, HistogramSample, Labels, STALE_NAN, Sample, Timestamp};
use crate::promql::{ElementValue, EvalOptions, Expr, Query, SeriesSource, Value};

use super::overlay::Overlay;
use super::rule::RecordingRule;

/// A recording rule and what it made last.
#[derive(Debug)]
pub(super) struct RecordRule {
    pub(super) def: RecordingRule,
    pub(super) key: String,
    group_labels: Labels,
    limit: usize,
    query: Query,
    expr: String,
    pub(super) outputs: BTreeSet<Labels>,
    pub(super) error: Option<String>,
    /// Whether somebody else makes what it would make.
    pub(super) made_elsewhere: bool,
}

pub(super) const SAME_LABELS: &str = "vector contains metrics with the same labelset after applying rule labels";

impl RecordRule {
    /// A rule that has made nothing yet.
    pub(super) fn new(def: RecordingRule, key: String, group_labels: Labels, limit: usize) -> RecordRule {
        let (query, expr) = (Query::from_expr(def.expr.clone()), def.expr.to_string());
        let (outputs, error) = (BTreeSet::new(), None);
        RecordRule { def, key, group_labels, limit, query, expr, outputs, error, made_elsewhere: false }
    }

    /// The expression's text.
    pub(super) fn expr(&self) -> &str {
        &self.expr
    }

    /// Evaluates it at `at`; its series of the last time that are gone get a staleness marker.
    pub(super) fn evaluate(
        &mut self,
        at: Timestamp,
        options: &EvalOptions,
        overlay: &mut Overlay<'_>,
        derived: &mut Batch,
    ) {
        let made = instant(&self.query, overlay, at, options).and_then(|elements| self.outputs_of(elements));
        let made = match made {
            Ok(made) => made,
            Err(error) => {
                self.error = Some(error);
                return;
            }
        };
        self.error = None;
        let outputs = made.keys().cloned().collect();
        let gone: Vec<Labels> = self.outputs.difference(&outputs).cloned().collect();
        let ends = gone.into_iter().map(|labels| (labels, ElementValue::Number(f64::from_bits(STALE_NAN))));
        for (labels, value) in made.into_iter().chain(ends) {
            overlay.push(labels.clone(), at, &value);
            match value {
                ElementValue::Number(v) => derived.push(labels, Sample { t: at, v }),
                ElementValue::Histogram(histogram) => {
                    derived.push_histogram(labels, HistogramSample { t: at, start: Timestamp(0), histogram });
                }
            }
        }
        self.outputs = outputs;
    }

    fn outputs_of(&self, elements: Vec<(Labels, ElementValue)>) -> Result<BTreeMap<Labels, ElementValue>, String> {
        let count = elements.len();
        if self.limit > 0 && count > self.limit {
            return Err(format!("exceeded limit of {} with {count} series", self.limit));
        }
        let mut made = BTreeMap::new();
        for (element, value) in elements {
            made.insert(output_labels(&self.def, &self.group_labels, &element)?, value);
        }
        if made.len() < count { Err(SAME_LABELS.to_owned()) } else { Ok(made) }
    }
}

/// The series that a recording rule makes of an element.
pub(super) fn output_labels(def: &RecordingRule, group: &Labels, element: &Labels) -> Result<Labels, String> {
    let mut labels = element.builder();
    for label in group.iter() {
        labels.set(label.name, label.value);
    }
    for (name, value) in &def.labels {
        labels.set(name, value);
    }
    labels.set(Labels::METRIC_NAME, &def.record);
    labels.build().map_err(|error| error.to_string())
}

/// A query's result at an instant as elements; a scalar is one without labels.
pub(super) fn instant(
    query: &Query,
    source: &dyn SeriesSource,
    at: Timestamp,
    options: &EvalOptions,
) -> Result<Vec<(Labels, ElementValue)>, String> {
    let answer = query.instant(source, at, options).map_err(|error| error.to_string())?;
    match answer.value {
        Value::Vector(elements) => Ok(elements.into_iter().map(|element| (element.labels, element.value)).collect()),
        Value::Scalar(sample) => Ok(vec![(Labels::empty(), ElementValue::Number(sample.v))]),
        Value::String(..) | Value::Matrix(_) => Err("the expression has no value at an instant".to_owned()),
    }
}

/// The query of an alerting rule that is not followed.
pub(super) fn query_of(expr: &Expr) -> Query {
    Query::from_expr(expr.clone())
}
