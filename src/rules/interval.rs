//! Rules that are evaluated by a query at their group's interval: recording rules, and alerting
//! rules whose expression is not followed sample by sample.
//!
//! Invariants:
//! - A group is evaluated at instants that depend on its name and interval alone, as in
//!   Prometheus, so that a restart does not shift them.
//! - A rule sees what the rules before it in its group have just made.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use crate::model::{Batch, Labels, Matcher, Millis, STALE_NAN, Sample, Summarized, Summary, TimeRange, Timestamp};
use crate::promql::{
    EvalOptions, Expr, Query, SeriesSamples, SeriesSource, SeriesSummaries, SourceError, Value, VectorSample,
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
    pub(super) fn evaluate(&mut self, at: Timestamp, overlay: &mut Overlay<'_>, derived: &mut Batch) {
        let made = instant(&self.query, overlay, at).and_then(|elements| self.outputs_of(elements));
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
        let ends = gone.into_iter().map(|labels| (labels, f64::from_bits(STALE_NAN)));
        for (labels, v) in made.into_iter().chain(ends) {
            let sample = Sample { t: at, v };
            overlay.push(labels.clone(), sample);
            derived.push(labels, sample);
        }
        self.outputs = outputs;
    }

    fn outputs_of(&self, elements: Vec<(Labels, f64)>) -> Result<BTreeMap<Labels, f64>, String> {
        let count = elements.len();
        if self.limit > 0 && count > self.limit {
            return Err(format!("exceeded limit of {} with {count} series", self.limit));
        }
        let mut made = BTreeMap::new();
        for (element, v) in elements {
            let mut labels = element.builder();
            for label in self.group_labels.iter() {
                labels.set(label.name, label.value);
            }
            for (name, value) in &self.def.labels {
                labels.set(name, value);
            }
            labels.set(Labels::METRIC_NAME, &self.def.record);
            made.insert(labels.build().map_err(|error| error.to_string())?, v);
        }
        if made.len() < count { Err(SAME_LABELS.to_owned()) } else { Ok(made) }
    }
}

/// A query's result at an instant as elements; a scalar is one without labels.
pub(super) fn instant(query: &Query, source: &dyn SeriesSource, at: Timestamp) -> Result<Vec<(Labels, f64)>, String> {
    let answer = query.instant(source, at, &EvalOptions::default()).map_err(|error| error.to_string())?;
    match answer.value {
        Value::Vector(elements) => elements.into_iter().map(number_of).collect(),
        Value::Scalar(sample) => Ok(vec![(Labels::empty(), sample.v)]),
        Value::String(..) | Value::Matrix(_) => Err("the expression has no value at an instant".to_owned()),
    }
}

/// An element whose value is a number.
fn number_of(element: VectorSample) -> Result<(Labels, f64), String> {
    match element.number() {
        Some(v) => Ok((element.labels, v)),
        None => Err(format!(
            "{} is a native histogram, which rules do not give; make a number of it, as histogram_count() does",
            element.labels
        )),
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
    extra: BTreeMap<Labels, Vec<Sample>>,
}

impl<'a> Overlay<'a> {
    /// Nothing but what is stored.
    pub(super) fn new(base: &'a dyn SeriesSource) -> Overlay<'a> {
        Overlay { base, extra: BTreeMap::new() }
    }

    fn push(&mut self, labels: Labels, sample: Sample) {
        self.extra.entry(labels).or_default().push(sample);
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
        for (labels, samples) in &self.extra {
            if !matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()))) {
                continue;
            }
            let inside: Vec<Sample> = samples.iter().copied().filter(|sample| range.contains(sample.t)).collect();
            match all.binary_search_by(|series| series.labels.cmp(labels)) {
                Ok(at) => {
                    all[at].samples.extend(inside);
                    all[at].samples.sort_by_key(|sample| sample.t);
                    all[at].samples.dedup_by_key(|sample| sample.t);
                }
                Err(at) if !inside.is_empty() => {
                    all.insert(at, SeriesSamples::of_numbers(labels.clone(), inside));
                }
                Err(_) => {}
            }
        }
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
        for (labels, samples) in &self.extra {
            if matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()))) {
                extra.insert(labels, samples);
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
