//! The alerts of one rule: pending, firing, resolved.
//!
//! Invariants:
//! - An alert is pending from the instant at which its condition became true, and fires at
//!   exactly `for` after it if the condition held at every instant between.
//! - While the expression has no result, or its results cannot be told apart, every alert stays
//!   as it is; when that is over the alerts are set right from the whole result.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::{Alert, AlertState, Labels, Millis, Seq, Timestamp, Transition, TransitionId, TransitionKind};
use crate::promql::{ElementValue, SeriesSource};

use super::alert_series::AlertSeries;
use super::identity::stable_hash;
use super::reading::Reading;
use super::renumbering::Renumbering;
use super::rule::{AlertingRule, EvaluationMode, RuleContext, RuleGroup};
use super::texts::{Scene, Subject, alert_labels, fill};
use super::timers::{Target, Timers};
use super::vector::Vector;

/// A rule's alerts and what they hang on.
#[derive(Debug)]
pub(super) struct AlertRule {
    pub(super) def: AlertingRule,
    /// Its number, for timers.
    pub(super) number: u32,
    /// Its identity: file, group, name and how many of that name came before.
    pub(super) key: String,
    pub(super) group_labels: Labels,
    limit: usize,
    pub(super) mode: EvaluationMode,
    expr: String,
    pub(super) instances: BTreeMap<Labels, Instance>,
    /// Of each slot of the result: the alert that it stands for.
    claims: Vec<Option<Labels>>,
    claimants: HashMap<Labels, Vec<u32>>,
    collisions: usize,
    pub(super) error: Option<String>,
    /// Whether the alerts must be compared with the whole result.
    pub(super) resync: bool,
    /// The alerts as series.
    pub(super) series: AlertSeries,
    /// The alerts that changed their state since they were last written as series.
    pub(super) told: BTreeSet<Labels>,
}

/// An alert that is pending or firing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Instance {
    /// The element's own labels, for templates.
    pub(super) element: Labels,
    pub(super) annotations: Labels,
    pub(super) firing: bool,
    pub(super) value: Reading,
    /// The value that was told last. An end tells it once more: which ones came in between depends on who looked.
    pub(super) told: f64,
    pub(super) active_at: Timestamp,
    pub(super) fired_at: Option<Timestamp>,
    pub(super) keep_since: Option<Timestamp>,
    pub(super) armed: Option<Timestamp>,
}

/// The moment of a decision, and where it goes.
pub(super) struct Moment<'a> {
    pub(super) seq: Seq,
    pub(super) at: Timestamp,
    pub(super) context: &'a RuleContext,
    /// The data that the decision is made on, for templates that ask for some.
    pub(super) source: &'a dyn SeriesSource,
    pub(super) timers: &'a mut Timers,
    pub(super) transitions: &'a mut Vec<Transition>,
}

impl Moment<'_> {
    /// Where and when texts are filled in.
    fn scene(&self) -> Scene<'_> {
        Scene { context: self.context, source: self.source, at: self.at }
    }
}

const SAME_LABELS: &str = "vector contains metrics with the same labelset after applying alert labels";

impl AlertRule {
    /// A rule without alerts.
    pub(super) fn new(def: AlertingRule, number: u32, key: String, group: &RuleGroup) -> AlertRule {
        let expr = def.expr.to_string();
        AlertRule {
            def,
            number,
            key,
            group_labels: group.labels.clone(),
            limit: group.limit,
            mode: group.mode,
            expr,
            instances: BTreeMap::new(),
            claims: Vec::new(),
            claimants: HashMap::new(),
            collisions: 0,
            error: None,
            resync: true,
            series: AlertSeries::default(),
            told: BTreeSet::new(),
        }
    }

    /// The expression's text.
    pub(super) fn expr(&self) -> &str {
        &self.expr
    }

    /// How many alerts the result that is followed stands for.
    pub(super) fn elements(&self) -> usize {
        self.claimants.len()
    }

    /// Follows what changed of the result.
    pub(super) fn follow(&mut self, result: &Vector, round: u64, moment: &mut Moment<'_>) {
        let mut touched = Vec::new();
        let all = self.claims.is_empty();
        for slot in super::node::slots_of(result, all, round) {
            self.claim(slot, result, moment, &mut touched);
        }
        let error = result.error().map(str::to_owned).or_else(|| (self.collisions > 0).then(|| SAME_LABELS.to_owned()));
        if error.is_some() {
            self.error = error;
            self.resync = true;
            return;
        }
        if std::mem::take(&mut self.resync) || self.limit > 0 {
            let wanted = self.claimants.iter().filter_map(|(labels, slots)| {
                let slot = *slots.first()?;
                let value = Reading::of_number(result.value(slot)?);
                Some((labels.clone(), (result.labels(slot).clone(), value)))
            });
            let wanted = wanted.collect();
            self.set_all(wanted, moment);
            return;
        }
        self.error = None;
        touched.sort_unstable();
        touched.dedup();
        for labels in touched {
            let element = self.claimants.get(&labels).and_then(|slots| slots.first()).copied();
            match element.and_then(|slot| Some((slot, result.value(slot)?))) {
                Some((slot, v)) => self.activate(labels, result.labels(slot), Reading::of_number(v), moment),
                None => self.deactivate(&labels, moment),
            }
        }
    }

    /// Notes which alert a slot stands for now.
    fn claim(&mut self, slot: u32, result: &Vector, moment: &Moment<'_>, touched: &mut Vec<Labels>) {
        let at = slot as usize;
        if self.claims.len() <= at {
            self.claims.resize(result.len() as usize, None);
        }
        let value = result.value(slot);
        let labels = value.map(|v| match &self.claims[at] {
            Some(labels) if !self.has_label_templates() => labels.clone(),
            _ => self.alert_labels(result.labels(slot), &Reading::of_number(v), moment),
        });
        touched.extend(labels.clone());
        if labels == self.claims[at] {
            return;
        }
        if let Some(old) = self.claims[at].take() {
            if let Some(slots) = self.claimants.get_mut(&old) {
                self.collisions -= usize::from(slots.len() == 2);
                slots.retain(|s| *s != slot);
                if slots.is_empty() {
                    self.claimants.remove(&old);
                }
            }
            touched.push(old);
        }
        if let Some(new) = labels {
            let slots = self.claimants.entry(new.clone()).or_default();
            self.collisions += usize::from(slots.len() == 1);
            slots.push(slot);
            self.claims[at] = Some(new);
        }
    }

    /// Follows the renumbering of the result's slots. Those that go stand for no alert.
    pub(super) fn renumber(&mut self, slots: &Renumbering) {
        slots.retain(&mut self.claims);
        self.claimants.values_mut().for_each(|claimants| slots.rename(claimants));
    }

    /// How many places for alerts it keeps.
    #[cfg(test)]
    pub(super) fn claims(&self) -> usize {
        self.claims.len() + self.claimants.len()
    }

    /// Forgets which slot stands for which alert: until it is followed again, with the whole result, its alerts are
    /// set by [`AlertRule::set_result`].
    pub(super) fn let_go(&mut self) {
        self.claims = Vec::new();
        self.claimants = HashMap::new();
        self.collisions = 0;
        self.resync = true;
    }

    /// Sets the alerts right from a query's result.
    pub(super) fn set_queried(&mut self, result: Result<Vec<(Labels, ElementValue)>, String>, moment: &mut Moment<'_>) {
        match result {
            Ok(elements) => self.set_result(elements, moment),
            Err(error) => self.error = Some(error),
        }
    }

    fn set_result(&mut self, elements: Vec<(Labels, ElementValue)>, moment: &mut Moment<'_>) {
        let mut wanted = BTreeMap::new();
        let count = elements.len();
        for (labels, value) in elements {
            let value = Reading::of(&value);
            wanted.insert(self.alert_labels(&labels, &value, moment), (labels, value));
        }
        if wanted.len() < count {
            self.error = Some(SAME_LABELS.to_owned());
            return;
        }
        self.set_all(wanted, moment);
    }

    fn set_all(&mut self, wanted: BTreeMap<Labels, (Labels, Reading)>, moment: &mut Moment<'_>) {
        self.error = None;
        let kept = self.instances.iter().filter(|(labels, instance)| {
            !wanted.contains_key(*labels) && instance.firing && self.keeps(instance, moment.at)
        });
        let count = wanted.len() + kept.count();
        if self.limit > 0 && count > self.limit {
            self.end_all(moment);
            self.error = Some(format!("exceeded limit of {} with {count} alerts", self.limit));
            return;
        }
        // In the order of labels, as by `follow`: it must not matter which of the two a restart calls for.
        let mut changes: BTreeMap<Labels, Option<_>> =
            self.instances.keys().map(|labels| (labels.clone(), None)).collect();
        changes.extend(wanted.into_iter().map(|(labels, element)| (labels, Some(element))));
        for (labels, element) in changes {
            match element {
                Some((element, v)) => self.activate(labels, &element, v, moment),
                None => self.deactivate(&labels, moment),
            }
        }
    }

    /// The condition holds.
    fn activate(&mut self, labels: Labels, element: &Labels, value: Reading, moment: &mut Moment<'_>) {
        let at = moment.at;
        if let Some(instance) = self.instances.get_mut(&labels) {
            instance.value = value;
            instance.element = element.clone();
            if self.mode == EvaluationMode::Interval {
                // Prometheus fills in the texts with each evaluation.
                let subject = Subject { alert: &self.def.alert, element, value: &instance.value };
                instance.annotations = fill(&self.def.annotations, &subject, &moment.scene());
                instance.told = instance.value.number;
            }
            if instance.keep_since.take().is_some() {
                let target = || Target::Alert { rule: self.number, labels: labels.clone() };
                moment.timers.arm(&mut instance.armed, None, target);
            }
            // `for` may have been raised by a reload.
            if instance.firing && instance.active_at + self.def.hold > at {
                instance.firing = false;
                instance.fired_at = None;
                self.rearm(&labels, moment.timers);
                self.tell(&labels, TransitionKind::Pending, moment);
            } else if !instance.firing && instance.active_at + self.def.hold <= at {
                self.fire(&labels, moment);
            } else if !instance.firing {
                // It may have been overdue before a reload raised `for`.
                self.rearm(&labels, moment.timers);
            }
            return;
        }
        let instance = Instance {
            element: element.clone(),
            annotations: Labels::empty(),
            firing: false,
            told: value.number,
            value,
            active_at: at,
            fired_at: None,
            keep_since: None,
            armed: None,
        };
        self.instances.insert(labels.clone(), instance);
        if self.def.hold <= Millis::ZERO {
            self.fire(&labels, moment);
        } else {
            self.rearm(&labels, moment.timers);
            self.tell(&labels, TransitionKind::Pending, moment);
        }
    }

    /// The condition does not hold.
    fn deactivate(&mut self, labels: &Labels, moment: &mut Moment<'_>) {
        let Some(instance) = self.instances.get_mut(labels) else { return };
        if !instance.firing {
            self.end(labels, TransitionKind::Dropped, moment);
            return;
        }
        if self.def.keep_firing > Millis::ZERO && instance.keep_since.is_none() {
            instance.keep_since = Some(moment.at);
            self.rearm(labels, moment.timers);
        }
        let over = |instance: &Instance| !self.keeps(instance, moment.at);
        if self.instances.get(labels).is_some_and(over) {
            self.end(labels, TransitionKind::Resolved, moment);
        }
    }

    /// Whether a firing alert whose condition has ceased fires on.
    fn keeps(&self, instance: &Instance, at: Timestamp) -> bool {
        let since = instance.keep_since.unwrap_or(at);
        self.def.keep_firing > Millis::ZERO && at - since < self.def.keep_firing
    }

    /// `for` or `keep_firing_for` of an alert is over.
    pub(super) fn due(&mut self, labels: &Labels, due: Timestamp, moment: &mut Moment<'_>) {
        let Some(instance) = self.instances.get_mut(labels).filter(|instance| instance.armed == Some(due)) else {
            return;
        };
        instance.armed = None;
        if instance.keep_since.is_some() {
            self.end(labels, TransitionKind::Resolved, moment);
        } else if !instance.firing && self.error.is_none() {
            self.fire(labels, moment);
        }
    }

    /// The pending alerts that wait for nothing but a result: their time was over while there was none.
    pub(super) fn overdue(&self) -> BTreeSet<Labels> {
        let is_timed = self.mode == EvaluationMode::Ingest;
        let waits = |instance: &Instance| is_timed && !instance.firing && instance.armed.is_none();
        let waiting = self.instances.iter().filter(|(_, instance)| waits(instance));
        waiting.map(|(labels, _)| labels.clone()).collect()
    }

    fn fire(&mut self, labels: &Labels, moment: &mut Moment<'_>) {
        if let Some(instance) = self.instances.get_mut(labels) {
            instance.firing = true;
            instance.fired_at = Some(moment.at);
        }
        self.rearm(labels, moment.timers);
        self.tell(labels, TransitionKind::Firing, moment);
    }

    fn end(&mut self, labels: &Labels, kind: TransitionKind, moment: &mut Moment<'_>) {
        self.tell(labels, kind, moment);
        if let Some(mut instance) = self.instances.remove(labels) {
            let target = || Target::Alert { rule: self.number, labels: labels.clone() };
            moment.timers.arm(&mut instance.armed, None, target);
        }
    }

    /// Ends every alert, for a rule that is no more.
    pub(super) fn end_all(&mut self, moment: &mut Moment<'_>) {
        for labels in self.instances.keys().cloned().collect::<Vec<_>>() {
            let kind = if self.instances[&labels].firing { TransitionKind::Resolved } else { TransitionKind::Dropped };
            self.end(&labels, kind, moment);
        }
    }

    /// Arms an alert for what it waits for.
    pub(super) fn rearm(&mut self, labels: &Labels, timers: &mut Timers) {
        let Some(instance) = self.instances.get_mut(labels) else { return };
        let due = match (self.mode, instance.firing, instance.keep_since) {
            (EvaluationMode::Interval, _, _) | (_, true, None) => None,
            (_, false, _) => Some(instance.active_at + self.def.hold),
            (_, true, Some(since)) => Some(since + self.def.keep_firing),
        };
        timers.arm(&mut instance.armed, due, || Target::Alert { rule: self.number, labels: labels.clone() });
    }

    /// Tells of a change. Texts and value are those of the moment; an end keeps the last ones.
    fn tell(&mut self, labels: &Labels, kind: TransitionKind, moment: &mut Moment<'_>) {
        let Some(instance) = self.instances.get_mut(labels) else { return };
        if matches!(kind, TransitionKind::Pending | TransitionKind::Firing) {
            let subject = Subject { alert: &self.def.alert, element: &instance.element, value: &instance.value };
            instance.annotations = fill(&self.def.annotations, &subject, &moment.scene());
            instance.told = instance.value.number;
        }
        let told = instance.told;
        let mut alert = self.alert(labels, &self.instances[labels]);
        if matches!(kind, TransitionKind::Resolved | TransitionKind::Dropped) {
            alert.state = AlertState::Resolved;
            alert.value = told;
            alert.resolved_at = Some(moment.at);
        }
        let kind_text = format!("{kind:?}");
        let parts =
            [self.key.as_bytes(), labels.as_text().as_bytes(), kind_text.as_bytes(), &moment.at.0.to_le_bytes()];
        let id = TransitionId { seq: moment.seq, key: stable_hash(parts) };
        moment.transitions.push(Transition { id, kind, at: moment.at, alert });
        self.told.insert(labels.clone());
    }

    fn alert(&self, labels: &Labels, instance: &Instance) -> Alert {
        Alert {
            labels: labels.clone(),
            annotations: instance.annotations.clone(),
            state: if instance.firing { AlertState::Firing } else { AlertState::Pending },
            value: instance.value.number,
            active_at: instance.active_at,
            fired_at: instance.fired_at,
            resolved_at: None,
            keep_firing_since: instance.keep_since,
            expr: self.expr.clone(),
        }
    }

    /// The alerts, pending and firing, by labels.
    pub(super) fn alerts(&self) -> Vec<Alert> {
        self.instances.iter().map(|(labels, instance)| self.alert(labels, instance)).collect()
    }

    /// Whether a label depends on the value.
    pub(super) fn has_label_templates(&self) -> bool {
        self.def.labels.iter().any(|(_, text)| text.contains("{{"))
    }

    fn alert_labels(&self, element: &Labels, value: &Reading, moment: &Moment<'_>) -> Labels {
        let subject = Subject { alert: &self.def.alert, element, value };
        alert_labels(&self.group_labels, &self.def.labels, &subject, &moment.scene())
    }
}
