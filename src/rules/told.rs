//! What is told of groups, rules and alerts.

use crate::model::{Alert, Timestamp};

use super::entry::{Entry, Kind};
use super::evaluations::Evaluation;
use super::evaluator::{Evaluator, Group};
use super::naming::{AlertId, RuleId};
use super::rule::{Rule, RuleContext, RuleGroup};
use super::status::{GroupStatus, Health, Mode, RuleKind, RuleStatus};

/// What matters of a rule to whoever looks at all of them often.
#[derive(Debug, Clone, Copy)]
pub struct RuleBrief<'a> {
    /// The group that it belongs to.
    pub group: &'a RuleGroup,
    /// The rule.
    pub rule: &'a Rule,
    /// Its expression's text.
    pub expr: &'a str,
    /// Why its last evaluation had no result, if it had none.
    pub error: Option<&'a str>,
    /// As in [`RuleStatus::last_evaluation`].
    pub last_evaluation: Timestamp,
    /// As in [`RuleStatus::is_blind`].
    pub is_blind: bool,
}

impl Evaluator {
    /// The alerts of all rules, pending and firing.
    pub fn alerts(&self) -> Vec<Alert> {
        self.rules.iter().flat_map(Entry::alerts).collect()
    }

    /// The alerts of all rules with their names.
    pub fn named_alerts(&self) -> Vec<(AlertId, Alert)> {
        let named = |entry: &Entry| {
            let rule = RuleId::of_key(entry.key());
            entry.alerts().into_iter().map(move |alert| (rule.alert(&alert.labels), alert))
        };
        self.rules.iter().flat_map(named).collect()
    }

    /// The last evaluations of a rule, the newest first; absent if there is no such rule.
    pub fn evaluations(&self, rule: RuleId) -> Option<Vec<Evaluation>> {
        let entry = self.rules.iter().find(|entry| RuleId::of_key(entry.key()) == rule)?;
        Some(entry.evaluations.newest_first())
    }

    /// How many instants of groups had passed before their rules were evaluated: those before the last one that was
    /// due are left out.
    pub fn missed_evaluations(&self) -> u64 {
        self.missed
    }

    /// What all rules may refer to.
    pub fn context(&self) -> &RuleContext {
        &self.context
    }

    /// Every group with its rules, in order.
    pub fn groups(&self) -> Vec<GroupStatus> {
        self.groups.iter().map(|group| self.group_status(group)).collect()
    }

    fn group_status(&self, group: &Group) -> GroupStatus {
        let rules: Vec<RuleStatus> =
            group.rules.iter().zip(&group.def.rules).map(|(at, def)| self.rule_status(&self.rules[*at], def)).collect();
        let last = rules.iter().map(|rule| rule.last_evaluation).max();
        GroupStatus {
            name: group.def.name.clone(),
            file: group.def.file.clone(),
            interval: group.def.interval,
            mode: group.def.mode,
            limit: group.def.limit,
            query_offset: group.def.query_offset,
            labels: group.def.labels.clone(),
            last_evaluation: last.unwrap_or(Timestamp::MIN).max(group.last_evaluation),
            rules,
        }
    }

    /// What matters of every rule to whoever looks at all of them often, in the order of the groups.
    pub fn briefs(&self) -> impl Iterator<Item = RuleBrief<'_>> {
        self.groups.iter().flat_map(|group| {
            group.rules.iter().zip(&group.def.rules).map(|(at, rule)| {
                let entry = &self.rules[*at];
                RuleBrief {
                    group: &group.def,
                    rule,
                    expr: entry.expr(),
                    error: entry.error(),
                    last_evaluation: self.known_at(entry),
                    is_blind: self.is_blind(entry),
                }
            })
        })
    }

    /// The last instant for which it is known what a rule gives: of one that is followed and works, the present.
    fn known_at(&self, entry: &Entry) -> Timestamp {
        match entry.last_evaluation {
            Some(_) if entry.kind.is_followed() && entry.error().is_none() => self.now,
            at => at.unwrap_or(Timestamp::MIN),
        }
    }

    /// Whether a selector of a followed rule has not matched any series yet.
    fn is_blind(&self, entry: &Entry) -> bool {
        match &entry.kind {
            Kind::Followed { plan, .. } => plan.leaves.iter().any(|leaf| !self.graph.feed_of(*leaf).has_met()),
            Kind::Polled { .. } | Kind::Record(_) => false,
        }
    }

    fn rule_status(&self, entry: &Entry, def: &Rule) -> RuleStatus {
        let (mode, expr, error) = match &entry.kind {
            Kind::Followed { rule, carrying: None, .. } => (Mode::Incremental, rule.expr(), &rule.error),
            Kind::Followed { rule, carrying: Some(leaf), .. } => {
                let selector = self.graph.feed_of(*leaf).selector();
                let reason = format!("{selector} selects native histograms now, whose values are not followed");
                (Mode::Interval { reason }, rule.expr(), &rule.error)
            }
            Kind::Polled { rule, reason, .. } => (Mode::Interval { reason: reason.clone() }, rule.expr(), &rule.error),
            Kind::Record(rule) => {
                let reason = "recording rules make one sample an interval".to_owned();
                (Mode::Interval { reason }, rule.expr(), &rule.error)
            }
        };
        let follows_numbers_of = match &entry.kind {
            Kind::Followed { plan, .. } => plan.by_value.iter().map(|at| self.graph.feed_of(*at).selector()).collect(),
            Kind::Polled { .. } | Kind::Record(_) => Vec::new(),
        };
        let (kind, hold, keep_firing, labels, annotations) = match def {
            Rule::Alerting(rule) => {
                (RuleKind::Alerting, rule.hold, rule.keep_firing, rule.labels.clone(), rule.annotations.clone())
            }
            Rule::Recording(rule) => {
                (RuleKind::Recording, Default::default(), Default::default(), rule.labels.clone(), Vec::new())
            }
        };
        RuleStatus {
            id: RuleId::of_key(entry.key()),
            name: def.name().to_owned(),
            kind,
            expr: expr.to_owned(),
            hold,
            keep_firing,
            labels,
            annotations,
            mode,
            follows_numbers_of,
            health: match (error, entry.last_evaluation) {
                (Some(error), _) => Health::Err(error.clone()),
                (None, None) => Health::Unknown,
                (None, Some(_)) => Health::Ok,
            },
            last_evaluation: self.known_at(entry),
            last: entry.evaluations.last().cloned(),
            is_blind: self.is_blind(entry),
            alerts: entry.alerts(),
        }
    }
}
