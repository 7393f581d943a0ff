//! Why an alert fires, or a rule does not: the rule's state, and its expression taken apart on stored data.
//!
//! Invariants:
//! - Everything is read from one view; writers are not waited for but for the moment in which the rules' state is copied.
//! - What is told of the past is what the data says now: late samples and deletes change it, and rules are those of today.

use std::iter;
use std::ops::ControlFlow;

use crate::confidence::FiredId;
use crate::explain::{Explainer, Explanation, Names, Turn};
use crate::model::{Alert, AlertState, Labels, Matcher, Millis, TimeRange, Timestamp};
use crate::promql::{self, EvalError, EvalOptions, Expr, SeriesSet, SourceError};
use crate::rules::{AlertId, Course, GroupStatus, RuleId, RuleStatus, Standing, alert_of, course};
use crate::storage::Snapshot;

use super::Db;
use super::deploys::Deploy;
use super::error::QueryError;
use super::meter::{Metered, QueryMeter};
use super::source::Source;

/// How far back turning points are searched.
const HORIZON: Millis = Millis::days(60);
/// Alerts of a rule that are looked through for the one that is asked for, and series for the newest sample.
const ALERTS_MAX: usize = 10_000;
const NEWEST_OF_MAX: usize = 200;
/// Alerts of the rule that are named beside the one that is explained.
const OTHERS_MAX: usize = 20;
/// How long before its condition became true a deploy may have led to an alert, and how many are named.
const DEPLOY_BEFORE: Millis = Millis::hours(1);
const DEPLOYS_MAX: usize = 5;

/// Which of a rule's alerts is asked for.
#[derive(Debug, Clone)]
pub enum Which {
    /// The rule as a whole.
    Rule,
    /// The alert of this name.
    Id(AlertId),
    /// The first one whose labels satisfy all matchers.
    Matching(Vec<Matcher>),
}

/// Why a rule decides as it does, or did.
#[derive(Debug, Clone, PartialEq)]
pub struct Why {
    /// The group.
    pub group: GroupStatus,
    /// The rule; it stands in the group, too.
    pub rule: RuleStatus,
    /// The instant.
    pub at: Timestamp,
    /// The alert that is explained, if one is there.
    pub alert: Option<(AlertId, Labels)>,
    /// Further alerts that the rule makes at that instant, by the data: some, and how many there are in all.
    pub others: (Vec<(AlertId, Labels)>, usize),
    /// The name of its evidence, if it fires at that instant and that is remembered.
    pub evidence: Option<FiredId>,
    /// What `for` and `keep_firing_for` made of it.
    pub course: Course,
    /// Whether the course is the rule's own state, and not found from stored data.
    pub is_state: bool,
    /// The expression, taken apart.
    pub explanation: Explanation,
    /// What went live from an hour before the condition became true, or before the instant, up to then; of the alert's
    /// service, if it names one. The newest, oldest first.
    pub deploys: Vec<Deploy>,
}

/// The names in a view.
struct StoredNames<'a>(&'a Snapshot);

impl Names for StoredNames<'_> {
    fn values(&self, label: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, SourceError> {
        let values = self.0.label_values(label, matchers, range);
        values.map_err(|error| SourceError::Unreadable(error.to_string()))
    }

    fn newest(&self, matchers: &[Matcher], range: TimeRange) -> Result<Option<Timestamp>, SourceError> {
        let unreadable = |error: crate::storage::ReadError| SourceError::Unreadable(error.to_string());
        let found = self.0.find(matchers, range).map_err(unreadable)?;
        let mut newest = None;
        let mut some = iter::once(0..found.count().min(NEWEST_OF_MAX));
        SeriesSet::read(&found, &mut some, &mut |_, samples, histograms| {
            let inside = |t: Timestamp| Some(t).filter(|t| range.contains(*t));
            let last = samples.iter().rev().find_map(|sample| inside(sample.t));
            let last = last.max(histograms.iter().rev().find_map(|sample| inside(sample.t)));
            newest = newest.max(last);
            ControlFlow::Continue(())
        })?;
        Ok(newest)
    }
}

impl Db {
    /// Why a rule, or one of its alerts, is as it is at an instant; absent if there is no such rule.
    ///
    /// # Errors
    /// The rule's expression cannot be evaluated.
    pub fn why(
        &self,
        rule: RuleId,
        which: &Which,
        at: Option<Timestamp>,
        options: &EvalOptions,
        meter: &QueryMeter,
    ) -> Result<Option<Why>, QueryError> {
        self.inner.counters.queried();
        let (groups, context) = {
            let core = self.inner.core.lock();
            (core.evaluator.groups(), core.evaluator.context().clone())
        };
        let known = |group: &GroupStatus| group.rules.iter().find(|one| one.id == rule).cloned();
        let Some((group, rule)) = groups.into_iter().find_map(|group| known(&group).map(|rule| (group, rule))) else {
            return Ok(None);
        };
        let (now, expr) = (at.unwrap_or_else(|| self.inner.now()), promql::parse(&rule.expr)?);
        let seen = now - group.query_offset;
        let snapshot = self.inner.store.snapshot();
        let source = Metered { source: Source::new(self.inner.store.snapshot()), meter, clock: &*self.inner.clock };
        let options = self.shared(options);
        let names = StoredNames(&snapshot);
        let mut explainer = Explainer { source: &source, names: &names, options, focus: None, horizon: HORIZON };
        // What cannot be evaluated is told by the explanation.
        let elements = explainer.elements(&expr, seen).unwrap_or_default();
        let of = |(element, value): &(Labels, _)| {
            let (labels, id) = alert_of((&group, &rule), (element, value), &context, &source, now);
            (id, labels, element.clone())
        };
        let alerts: Vec<(AlertId, Labels, Labels)> = elements.iter().take(ALERTS_MAX).map(of).collect();
        let chosen = choose(&alerts, &rule, &group, which);
        explainer.focus = chosen.as_ref().map(|(_, _, focus)| focus.clone());
        let explanation = explainer.explain(&expr, seen);
        let alert = chosen.and_then(|(id, labels, _)| Some((id?, labels)));
        let live = alert.as_ref().and_then(|(_, labels)| rule.alerts.iter().find(|one| one.labels == *labels));
        let (course, is_state) = match live.filter(|_| at.is_none()) {
            Some(live) => (of_state(live, &rule), true),
            None => (of_history(&explainer, &expr, &rule, (now, group.query_offset), &explanation)?, false),
        };
        let rest = alerts.iter().filter(|(id, ..)| alert.as_ref().is_none_or(|(own, _)| own != id));
        let others = rest.take(OTHERS_MAX).map(|(id, labels, _)| (*id, labels.clone())).collect();
        let service = alert.as_ref().map_or("", |(_, labels)| labels.get("service"));
        let deploys = self.deploys_before(service, course.active_at.unwrap_or(now).min(now), now);
        let others = (others, elements.len());
        let evidence = alert.as_ref().and_then(|(_, labels)| self.evidence_of_alert(labels, now));
        Ok(Some(Why { evidence, others, group, rule, at: now, alert, course, is_state, explanation, deploys }))
    }
}

impl Db {
    /// What went live of a service, or at all, from an hour before `from` up to `at`.
    fn deploys_before(&self, service: &str, from: Timestamp, at: Timestamp) -> Vec<Deploy> {
        let range = TimeRange { after: from - DEPLOY_BEFORE, until: at };
        let mut deploys = self.deploys();
        deploys.retain(|deploy| range.contains(deploy.at) && (service.is_empty() || deploy.service == service));
        deploys.drain(..deploys.len().saturating_sub(DEPLOYS_MAX));
        deploys
    }
}

/// The alert that is asked for: its name and labels, and the labels of the element that makes it. One that is there
/// neither by the data nor by the state has no name, and its labels are what is asked for.
fn choose(
    alerts: &[(AlertId, Labels, Labels)],
    rule: &RuleStatus,
    group: &GroupStatus,
    which: &Which,
) -> Option<(Option<AlertId>, Labels, Labels)> {
    let fits = |id: AlertId, labels: &Labels| match which {
        Which::Rule => false,
        Which::Id(wanted) => *wanted == id,
        Which::Matching(matchers) => matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()))),
    };
    if let Some((id, labels, element)) = alerts.iter().find(|(id, labels, _)| fits(*id, labels)) {
        return Some((Some(*id), labels.clone(), element.clone()));
    }
    // What the rule itself sets says nothing of the element.
    let own = |name: &str| {
        name == "alertname" || rule.labels.iter().any(|(own, _)| own == name) || !group.labels.get(name).is_empty()
    };
    let live = rule.alerts.iter().map(|alert| (rule.id.alert(&alert.labels), &alert.labels));
    if let Some((id, labels)) = live.into_iter().find(|(id, labels)| fits(*id, labels)) {
        return Some((Some(id), labels.clone(), labels.filter(|name| !own(name))));
    }
    let Which::Matching(matchers) = which else { return None };
    let exact = matchers.iter().filter(|matcher| matcher.op() == crate::model::MatchOp::Equal && !own(matcher.name()));
    let labels = Labels::new(exact.map(|matcher| (matcher.name(), matcher.value()))).ok()?;
    (!labels.is_empty()).then(|| (None, labels.clone(), labels))
}

/// The course of an alert by the rule's own state.
fn of_state(alert: &Alert, rule: &RuleStatus) -> Course {
    let standing = match (alert.state, alert.keep_firing_since) {
        (AlertState::Firing, Some(_)) => Standing::Kept,
        (AlertState::Firing, None) => Standing::Firing,
        (AlertState::Pending, _) => Standing::Pending,
        (AlertState::Resolved, _) => Standing::Inactive,
    };
    Course {
        standing,
        active_at: Some(alert.active_at),
        fires_at: alert.fired_at.or_else(|| Some(alert.active_at + rule.hold)),
        ceased_at: alert.keep_firing_since,
        ends_at: alert.keep_firing_since.map(|since| since + rule.keep_firing),
    }
}

/// The course of an alert by stored data.
fn of_history(
    explainer: &Explainer<'_>,
    expr: &Expr,
    rule: &RuleStatus,
    (at, offset): (Timestamp, Millis),
    explanation: &Explanation,
) -> Result<Course, QueryError> {
    let unknown = Turn {
        holds: !explanation.root.is_empty(),
        since: None,
        looked_back_to: at,
        looked_every: Millis::ZERO,
        sample: None,
    };
    let turn = explanation.root.turn.as_ref().unwrap_or(&unknown);
    let before = match turn.since.filter(|_| !turn.holds) {
        None => None,
        // A search that finds no time for this one leaves it open.
        Some(since) => match explainer.turned(expr, since - Millis(1)) {
            Ok(before) => before.since,
            Err(EvalError::TimedOut) => None,
            Err(error) => return Err(QueryError::Eval(error)),
        },
    };
    let shift = |t: Option<Timestamp>| t.map(|t| t + offset);
    Ok(course((rule.hold, rule.keep_firing), at, turn.holds, shift(turn.since), shift(before)))
}
