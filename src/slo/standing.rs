//! How an objective stands, in so few numbers that thousands can be looked at every few seconds.
//!
//! Invariants:
//! - What it says is what the objective's status says at the same instant.

use crate::model::Timestamp;

use super::composite::Composite;
use super::objectives::Objectives;
use super::status::{ObjectiveStatus, Spent};
use super::time_coverage::TimeCoverage;
use super::watch::Watch;

/// What of an objective tells whether anything is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing<'o> {
    /// Whose promise it is.
    pub service: &'o str,
    /// Its name.
    pub name: &'o str,
    /// Whether an alert of it, or of one of its groups, fires.
    pub fires: bool,
    /// Whether nothing can be said of it.
    pub blind: bool,
    /// When the last input was taken.
    pub last_input: Option<Timestamp>,
    /// All events, or slices, of the window.
    pub total: f64,
    /// The share of the budget that is left.
    pub left: f64,
    /// The least that is left of one of its groups' budgets; all, if it has no groups.
    pub left_of_groups: f64,
    /// How much of the time was measured.
    pub time_coverage: Option<TimeCoverage>,
}

impl Objectives {
    /// How each objective stands at `at`, in the order of [`Objectives::statuses`].
    pub fn standings(&self, at: Timestamp) -> impl Iterator<Item = Standing<'_>> {
        let composites = self.composites.iter().map(move |composite| composite.standing(&self.watches, at));
        self.watches.iter().map(move |watch| watch.standing(at)).chain(composites)
    }

    /// The statuses of those whose standing is `wanted`, which is asked of each.
    pub fn statuses_of(&self, at: Timestamp, wanted: &mut dyn FnMut(&Standing<'_>) -> bool) -> Vec<ObjectiveStatus> {
        let wanted: Vec<bool> = self.standings(at).map(|standing| wanted(&standing)).collect();
        let (own, of_composites) = wanted.split_at(self.watches.len());
        let watches = self.watches.iter().zip(own).filter(|(_, wanted)| **wanted).map(|(watch, _)| watch.status(at));
        let composites = self.composites.iter().zip(of_composites).filter(|(_, wanted)| **wanted);
        watches.chain(composites.map(|(composite, _)| composite.status(&self.watches, at))).collect()
    }
}

impl Watch {
    fn standing(&self, at: Timestamp) -> Standing<'_> {
        let groups = self.groups.members.values();
        let Spent { all, left, .. } = self.spent(at);
        Standing {
            service: &self.objective.service,
            name: &self.objective.name,
            fires: self.fires() || groups.clone().any(Watch::fires),
            blind: self.blind_cause(at).is_some(),
            last_input: self.input.last_at,
            total: all.total,
            left,
            left_of_groups: groups.map(|group| group.spent(at).left).fold(1.0, f64::min),
            time_coverage: self.time_coverage(at),
        }
    }
}

impl Composite {
    fn standing(&self, watches: &[Watch], at: Timestamp) -> Standing<'_> {
        let status = self.status(watches, at);
        Standing {
            service: &self.objective.service,
            name: &self.objective.name,
            fires: !status.alerts.is_empty(),
            blind: status.blind.is_some(),
            last_input: status.last_input,
            total: status.total,
            left: status.budget.left,
            left_of_groups: 1.0,
            time_coverage: status.time_coverage,
        }
    }
}
