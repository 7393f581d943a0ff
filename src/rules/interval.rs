//! Rules that are evaluated by a query at their group's interval: recording rules, and alerting
//! rules whose expression is not followed sample by sample.
//!
//! Invariants:
//! - A group is evaluated at instants that depend on its name and interval alone, as in
//!   Prometheus, so that a restart does not shift them.
//! - A rule sees what the rules before it in its group have just made.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::model::{
    Batch, HistogramSample, Labels, Matcher, Millis, STALE_NAN, Sample, Summarized, Summary, TimeRange, Timestamp,
};
use crate::promql::{
    ElementValue, EvalOptions, Expr, Query, SeriesSamples, SeriesSource, SeriesSummaries, SourceError, Value,
};

use super::identity::stable_hash;
use super::rule::{RecordingRule, RuleGroup};

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
}

const SAME_LABELS: &str = "vector contains metrics with the same labelset after applying rule labels";

impl RecordRule {
    /// A rule that has made nothing yet.
    pub(super) fn new(def: RecordingRule, key: String, group_labels: Labels, limit: usize) -> RecordRule {
        let (query, expr) = (Query::from_expr(def.expr.clone()), def.expr.to_string());
        RecordRule { def, key, group_labels, limit, query, expr, outputs: BTreeSet::new(), error: None }
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
            let mut labels = element.builder();
            for label in self.group_labels.iter() {
                labels.set(label.name, label.value);
            }
            for (name, value) in &self.def.labels {
                labels.set(name, value);
            }
            labels.set(Labels::METRIC_NAME, &self.def.record);
            made.insert(labels.build().map_err(|error| error.to_string())?, value);
        }
        if made.len() < count { Err(SAME_LABELS.to_owned()) } else { Ok(made) }
    }
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

/// The last instant of a group's grid that is not after `now`.
pub(super) fn slot_at(group: &RuleGroup, now: Timestamp) -> Timestamp {
    let phase = phase(group);
    // An evaluator that has seen nothing yet is at the beginning of time.
    let since = now.0.max(0) - phase;
    Timestamp(since.div_euclid(group.interval.0) * group.interval.0 + phase)
}

/// The first instant of a group's grid after `now`.
pub(super) fn slot_after(group: &RuleGroup, now: Timestamp) -> Timestamp {
    slot_at(group, now) + group.interval
}

fn phase(group: &RuleGroup) -> i64 {
    let hash = stable_hash([group.file.as_bytes(), group.name.as_bytes()]);
    let interval = u64::try_from(group.interval.0).unwrap_or(1).max(1);
    i64::try_from(hash % interval).unwrap_or(0)
}

/// Stored series together with samples that are not stored yet.
pub(super) struct Overlay<'a> {
    base: &'a dyn SeriesSource,
    extra: BTreeMap<Labels, Made>,
}

/// What rules have made of one series.
#[derive(Default)]
struct Made {
    samples: Vec<Sample>,
    histograms: Vec<HistogramSample>,
}

impl<'a> Overlay<'a> {
    /// Nothing but what is stored.
    pub(super) fn new(base: &'a dyn SeriesSource) -> Overlay<'a> {
        Overlay { base, extra: BTreeMap::new() }
    }

    /// Adds what a rule has just made.
    pub(super) fn push(&mut self, labels: Labels, t: Timestamp, value: &ElementValue) {
        let made = self.extra.entry(labels).or_default();
        match value {
            ElementValue::Number(v) => made.samples.push(Sample { t, v: *v }),
            ElementValue::Histogram(histogram) => {
                made.histograms.push(HistogramSample { t, start: Timestamp(0), histogram: Arc::clone(histogram) });
            }
        }
    }
}

impl Made {
    /// Adds what is inside of a range, where the series has nothing yet.
    fn add_to(&self, series: &mut SeriesSamples, range: TimeRange) {
        let (samples, histograms) = (&mut series.samples, &mut series.histograms);
        let is_free = |t: Timestamp, samples: &[Sample], histograms: &[HistogramSample]| {
            range.contains(t)
                && samples.binary_search_by_key(&t, |sample| sample.t).is_err()
                && histograms.binary_search_by_key(&t, |sample| sample.t).is_err()
        };
        for sample in &self.samples {
            if is_free(sample.t, samples, histograms) {
                samples.insert(samples.partition_point(|other| other.t < sample.t), *sample);
                if !series.starts.is_empty() {
                    series.starts.insert(samples.partition_point(|other| other.t < sample.t), Timestamp(0));
                }
            }
        }
        for sample in &self.histograms {
            if is_free(sample.t, samples, histograms) {
                histograms.insert(histograms.partition_point(|other| other.t < sample.t), sample.clone());
            }
        }
    }
}

impl SeriesSource for Overlay<'_> {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<SeriesSamples>, SourceError> {
        let mut all = self.base.select(matchers, range, samples_max)?;
        for (labels, made) in &self.extra {
            if !matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()))) {
                continue;
            }
            let at = all.binary_search_by(|series| series.labels.cmp(labels)).unwrap_or_else(|at| {
                all.insert(at, SeriesSamples::of_numbers(labels.clone(), Vec::new()));
                at
            });
            made.add_to(&mut all[at], range);
        }
        all.retain(|series| !series.samples.is_empty() || !series.histograms.is_empty());
        Ok(all)
    }

    fn resolution(&self, range: TimeRange) -> Millis {
        self.base.resolution(range)
    }

    fn raw_since(&self, matchers: &[Matcher], range: TimeRange) -> Result<Timestamp, SourceError> {
        self.base.raw_since(matchers, range)
    }

    fn summaries(
        &self,
        matchers: &[Matcher],
        windows: &[TimeRange],
        samples_max: usize,
        each: &mut dyn FnMut(SeriesSummaries) -> ControlFlow<()>,
    ) -> Result<Summarized, SourceError> {
        let mut extra: BTreeMap<&Labels, &[Sample]> = BTreeMap::new();
        for (labels, made) in &self.extra {
            if matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()))) {
                if !made.histograms.is_empty() {
                    return Ok(Summarized::NotHistograms);
                }
                extra.insert(labels, &made.samples);
            }
        }
        if extra.is_empty() {
            return self.base.summaries(matchers, windows, samples_max, each);
        }
        let mut all = Vec::new();
        let told = self.base.summaries(matchers, windows, samples_max, &mut |series| {
            all.push(series);
            ControlFlow::Continue(())
        })?;
        for (labels, samples) in extra {
            let at = all.binary_search_by(|series| series.labels.cmp(labels)).unwrap_or_else(|at| {
                let windows = vec![Summary::default(); windows.len()];
                all.insert(at, SeriesSummaries { labels: labels.clone(), windows });
                at
            });
            // What is not stored yet is newer than what is.
            for (summary, window) in all[at].windows.iter_mut().zip(windows) {
                let newest = summary.ends.map_or(Timestamp::MIN, |(_, last)| last.t);
                let newer = samples.iter().filter(|sample| window.contains(sample.t) && sample.t > newest);
                newer.for_each(|sample| summary.push(*sample));
            }
        }
        let _ended = all.into_iter().try_for_each(each);
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_depends_on_the_group_alone() {
        let group = RuleGroup {
            name: "g".to_owned(),
            file: "f".to_owned(),
            interval: Millis::minutes(1),
            limit: 0,
            query_offset: Millis::ZERO,
            labels: Labels::empty(),
            rules: Vec::new(),
        };
        let slot = slot_after(&group, Timestamp(1_000_000));
        assert!(slot > Timestamp(1_000_000) && slot <= Timestamp(1_060_000));
        assert_eq!(slot_at(&group, slot), slot);
        assert_eq!(slot_at(&group, Timestamp(slot.0 - 1)), slot - Millis::minutes(1));
        assert_eq!(slot_after(&group, slot), slot + Millis::minutes(1));
        assert!(slot_after(&group, Timestamp::MIN) > Timestamp(0));
    }
}
