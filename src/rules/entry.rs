//! One rule among all, with the way in which it is evaluated.

use std::collections::BTreeSet;

use crate::model::{Alert, Batch, Labels, Millis, STALE_NAN, Sample, Timestamp};
use crate::promql::Query;

use super::alerting::{AlertRule, Moment};
use super::evaluations::{Evaluation, Evaluations};
use super::foretold::Foretold;
use super::interval::RecordRule;
use super::plan::Plan;

/// A rule and how it is evaluated.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// Which group it belongs to.
    pub(super) group: usize,
    pub(super) query_offset: Millis,
    pub(super) last_evaluation: Option<Timestamp>,
    pub(super) evaluations: Evaluations,
}

/// How a rule is evaluated.
#[derive(Debug)]
pub(super) enum Kind {
    /// Followed at a node of the graph; while a leaf whose values matter carries native histograms, evaluated
    /// at the group's interval.
    Followed { rule: AlertRule, plan: Plan, query: Query, carrying: Option<usize> },
    /// Evaluated at the group's interval.
    Polled { rule: AlertRule, query: Query, reason: String, foretold: Foretold },
    /// A recording rule.
    Record(RecordRule),
}

impl Kind {
    /// Whether samples decide, and not the group's interval.
    pub(super) fn is_followed(&self) -> bool {
        matches!(self, Kind::Followed { carrying: None, .. })
    }
}

impl Entry {
    pub(super) fn key(&self) -> &str {
        match &self.kind {
            Kind::Followed { rule, .. } | Kind::Polled { rule, .. } => &rule.key,
            Kind::Record(rule) => &rule.key,
        }
    }

    /// The expression's text.
    pub(super) fn expr(&self) -> &str {
        match &self.kind {
            Kind::Followed { rule, .. } | Kind::Polled { rule, .. } => rule.expr(),
            Kind::Record(rule) => rule.expr(),
        }
    }

    /// Why it has no result, if it has none.
    pub(super) fn error(&self) -> Option<&str> {
        match &self.kind {
            Kind::Followed { rule, .. } | Kind::Polled { rule, .. } => rule.error.as_deref(),
            Kind::Record(rule) => rule.error.as_deref(),
        }
    }

    pub(super) fn alerts(&self) -> Vec<Alert> {
        match &self.kind {
            Kind::Followed { rule, .. } | Kind::Polled { rule, .. } => rule.alerts(),
            Kind::Record(_) => Vec::new(),
        }
    }

    /// Notes an evaluation.
    pub(super) fn evaluated(&mut self, evaluation: Evaluation) {
        self.last_evaluation = Some(evaluation.at);
        self.evaluations.push(evaluation);
    }

    /// The rule, if it makes alerts.
    pub(super) fn alerting(&mut self) -> Option<&mut AlertRule> {
        match &mut self.kind {
            Kind::Followed { rule, .. } | Kind::Polled { rule, .. } => Some(rule),
            Kind::Record(_) => None,
        }
    }

    /// Whether it needs its group's interval: to be evaluated, or because its alerts are written then.
    pub(super) fn needs_slot(&self) -> bool {
        match &self.kind {
            Kind::Followed { rule, carrying: None, .. } => !rule.instances.is_empty() || !rule.series.open.is_empty(),
            Kind::Followed { .. } | Kind::Polled { .. } | Kind::Record(_) => true,
        }
    }

    /// The rule is no more: its alerts and series end, but for those that go on as another's.
    pub(super) fn leave(&mut self, goes_on: &BTreeSet<Labels>, moment: &mut Moment<'_>, derived: &mut Batch) {
        let mut put = |labels: Labels, sample| {
            if !goes_on.contains(&labels) {
                derived.push(labels, sample);
            }
        };
        let t = moment.at - self.query_offset;
        match &mut self.kind {
            Kind::Followed { rule, .. } | Kind::Polled { rule, .. } => {
                // Its timers went with the graph that it was followed in.
                rule.instances.values_mut().for_each(|instance| instance.armed = None);
                rule.end_all(moment);
                rule.series.end_all(t, &mut put);
            }
            Kind::Record(rule) => {
                for labels in std::mem::take(&mut rule.outputs) {
                    put(labels, Sample { t, v: f64::from_bits(STALE_NAN) });
                }
            }
        }
    }
}

/// Writes the alerts of these rules that changed. Gives the groups of those that did.
pub(super) fn write_told(
    entries: &mut [Entry],
    numbers: BTreeSet<usize>,
    at: Timestamp,
    derived: &mut Batch,
) -> BTreeSet<usize> {
    let mut groups = BTreeSet::new();
    for number in numbers {
        let Some(entry) = entries.get_mut(number) else { continue };
        let (t, group) = (at - entry.query_offset, entry.group);
        if let Some(rule) = entry.alerting().filter(|rule| !rule.told.is_empty()) {
            rule.write_told(t, &mut |labels, sample| derived.push(labels, sample));
            groups.insert(group);
        }
    }
    groups
}
