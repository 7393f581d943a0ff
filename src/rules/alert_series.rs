//! What a rule's alerts look like as series: `ALERTS` and `ALERTS_FOR_STATE`, as Prometheus writes them.
//!
//! Invariants:
//! - A series is open while its alert is in its state; when that ends, a staleness marker follows.
//! - A series never gets two samples at one instant, nor one before another: what ends at the instant at which it
//!   began ends a millisecond later.

use std::collections::BTreeMap;

use crate::model::{Labels, STALE_NAN, Sample, Timestamp};

use super::alerting::{AlertRule, Instance};
use super::rule::EvaluationMode;

/// The metric that says in which state alerts are.
pub(super) const ALERTS: &str = "ALERTS";
/// The metric that says since when they are pending or firing.
pub(super) const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";
/// The label of [`ALERTS`] that names the state.
pub(super) const ALERT_STATE: &str = "alertstate";

/// The series that a rule's alerts have.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct AlertSeries {
    /// Those that are open, with the time of the newest sample.
    pub(super) open: BTreeMap<Labels, Timestamp>,
    /// Those that ended a moment ago, with the time of the marker: they may come back at the same instant.
    pub(super) ended: BTreeMap<Labels, Timestamp>,
}

/// Takes what is written.
pub(super) type Put<'a> = dyn FnMut(Labels, Sample) + 'a;

impl AlertSeries {
    fn write(&mut self, series: Labels, sample: Sample, put: &mut Put<'_>) {
        let mut t = sample.t;
        match self.open.get(&series) {
            Some(newest) if *newest >= t => return,
            Some(_) => {}
            None => t = self.ended.remove(&series).map_or(t, |ended| t.max(Timestamp(ended.0 + 1))),
        }
        self.open.insert(series.clone(), t);
        put(series, Sample { t, v: sample.v });
    }

    fn end(&mut self, series: &Labels, t: Timestamp, put: &mut Put<'_>) {
        let Some(newest) = self.open.remove(series) else { return };
        let t = t.max(Timestamp(newest.0 + 1));
        self.ended.insert(series.clone(), t);
        put(series.clone(), Sample { t, v: f64::from_bits(STALE_NAN) });
    }

    /// Forgets ends before `t`: nothing can be written before them any more.
    fn forget_ends(&mut self, t: Timestamp) {
        self.ended.retain(|_, ended| *ended >= t);
    }

    /// Ends every series.
    pub(super) fn end_all(&mut self, t: Timestamp, put: &mut Put<'_>) {
        for series in self.open.keys().cloned().collect::<Vec<_>>() {
            self.end(&series, t, put);
        }
    }
}

impl AlertRule {
    /// Writes every alert, at an evaluation of its group. What Prometheus would not write is not written in
    /// [`EvaluationMode::Interval`]: nothing, while the rule has no result.
    pub(super) fn write_all(&mut self, t: Timestamp, put: &mut Put<'_>) {
        self.told.clear();
        self.series.forget_ends(t);
        if self.instances.is_empty() && self.series.open.is_empty() {
            return;
        }
        if self.mode == EvaluationMode::Interval && self.error.is_some() {
            return;
        }
        let wanted: BTreeMap<Labels, f64> =
            self.instances.iter().flat_map(|(labels, instance)| self.series_of(labels, instance)).collect();
        let gone: Vec<Labels> =
            self.series.open.keys().filter(|labels| !wanted.contains_key(*labels)).cloned().collect();
        for (series, v) in wanted {
            self.series.write(series, Sample { t, v }, put);
        }
        gone.iter().for_each(|series| self.series.end(series, t, put));
    }

    /// Writes the alerts that changed their state since this or [`AlertRule::write_all`] was called.
    pub(super) fn write_told(&mut self, t: Timestamp, put: &mut Put<'_>) {
        self.series.forget_ends(t);
        for labels in std::mem::take(&mut self.told) {
            let wanted = self.instances.get(&labels).map(|instance| self.series_of(&labels, instance));
            let wanted: Vec<(Labels, f64)> = wanted.into_iter().flatten().collect();
            let names = [(ALERTS, "pending"), (ALERTS, "firing"), (ALERTS_FOR_STATE, "")];
            let all = names.into_iter().filter_map(|(name, state)| self.series_labels(&labels, name, state));
            for gone in all.filter(|series| !wanted.iter().any(|(labels, _)| labels == series)).collect::<Vec<_>>() {
                self.series.end(&gone, t, put);
            }
            for (series, v) in wanted {
                self.series.write(series, Sample { t, v }, put);
            }
        }
    }

    /// The series of an alert, with their values.
    fn series_of(&self, labels: &Labels, instance: &Instance) -> impl Iterator<Item = (Labels, f64)> + use<> {
        let state = if instance.firing { "firing" } else { "pending" };
        let since = instance.active_at.0.div_euclid(1000) as f64;
        // Labels that are too many or too long for one more make no series.
        let state = self.series_labels(labels, ALERTS, state).map(|series| (series, 1.0));
        let since = self.series_labels(labels, ALERTS_FOR_STATE, "").map(|series| (series, since));
        state.into_iter().chain(since)
    }

    fn series_labels(&self, labels: &Labels, name: &str, state: &str) -> Option<Labels> {
        let mut builder = labels.builder();
        if self.has_label_templates() {
            // Prometheus begins with the labels as they are written: one whose template gives nothing shows it.
            let written = self.group_labels.iter().map(|label| (label.name, label.value));
            for (name, text) in written.chain(self.def.labels.iter().map(|(name, text)| (name.as_str(), text.as_str())))
            {
                if labels.get(name).is_empty() {
                    builder.set(name, text);
                }
            }
        }
        builder.set(Labels::METRIC_NAME, name);
        if !state.is_empty() {
            builder.set(ALERT_STATE, state);
        }
        builder.build().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::is_stale;

    #[test]
    fn what_begins_and_ends_at_one_instant_has_a_time_for_each() {
        let (mut series, mut written) = (AlertSeries::default(), Vec::new());
        let mut put = |_: Labels, sample: Sample| written.push((sample.t.0, is_stale(sample.v)));
        let (labels, t) = (Labels::empty(), Timestamp(100));
        let sample = |t| Sample { t: Timestamp(t), v: 1.0 };
        series.write(labels.clone(), sample(100), &mut put);
        series.write(labels.clone(), sample(100), &mut put);
        series.end(&labels, t, &mut put);
        series.end(&labels, t, &mut put);
        series.forget_ends(t);
        series.write(labels.clone(), sample(100), &mut put);
        series.end(&labels, Timestamp(200), &mut put);
        series.forget_ends(Timestamp(201));
        series.write(labels.clone(), sample(201), &mut put);
        assert_eq!(written, [(100, false), (101, true), (102, false), (200, true), (201, false)]);
        assert!(series.ended.is_empty());
    }
}
