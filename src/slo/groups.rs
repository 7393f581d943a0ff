//! The groups of an objective: budgets of their own for the label combinations that spend most.
//!
//! Invariants:
//! - At most so many groups as the objective says have a budget; whatever is not in one counts in the total,
//!   which is exact.
//! - Who has a budget follows from the log alone. While there is room, a group has one from its first sample on.
//!   Later, once an hour of the log's time, a group without one takes the place of the one that spends least, if it
//!   spends clearly more; never of one that fires.
//! - A group of which nothing is left within the window is forgotten.

use std::collections::BTreeMap;

use crate::model::limits;
use crate::model::{Labels, Millis, Timestamp};

use super::history::Counts;
use super::objective::Objective;
use super::pair::{BurnPair, Severity};
use super::watch::{FAILURES_MIN, Portion, Watch};

/// A group takes another one's place if it spends so many times as much: two that are alike do not change places.
const CLEARLY_MORE: f64 = 2.0;
/// The groups of one objective.
#[derive(Debug, Clone, Default)]
pub(super) struct Groups {
    /// Those with a budget of their own, each watched like an objective. Their series are the objective's.
    pub(super) members: BTreeMap<Labels, Watch>,
    /// Others that were heard since the last comparison, with what they counted.
    pub(super) beyond: BTreeMap<Labels, Counts>,
    /// Whether in that time there were more than can be known by name.
    pub(super) overflown: bool,
    /// Those without a budget that the last comparison knew.
    pub(super) left_out: usize,
}

impl Groups {
    /// The group's watch; a new one if there is room.
    pub(super) fn member(&mut self, objective: &Objective, pairs: &[BurnPair], group: &Labels) -> Option<&mut Watch> {
        if !self.members.contains_key(group) {
            // Whoever was left out in the last comparison is before it.
            if self.members.len() >= objective.groups_max || self.beyond.len() + self.left_out > 0 {
                return None;
            }
            self.members.insert(group.clone(), Watch::new(objective.of_group(group), pairs.to_vec()));
        }
        self.members.get_mut(group)
    }

    /// Counts what a group without a budget has brought.
    pub(super) fn count_beyond(&mut self, group: Labels, more: Counts) {
        if let Some(known) = self.beyond.get_mut(&group) {
            known.add(more);
        } else if self.beyond.len() < limits::OBJECTIVE_GROUPS_BEYOND {
            self.beyond.insert(group, more);
        } else {
            self.overflown = true;
        }
    }

    /// Gives each group what it brought in one transaction.
    pub(super) fn take(
        &mut self,
        objective: &Objective,
        pairs: &[BurnPair],
        portions: BTreeMap<Labels, Portion>,
        at: Timestamp,
    ) {
        for (group, portion) in portions {
            match self.member(objective, pairs, &group) {
                Some(watch) => watch.accept(portion, at),
                None => {
                    let counts = portion.increases.iter().map(|(_, more)| objective.indicator.counts(more));
                    let sum = counts.fold(Counts::default(), Counts::plus);
                    self.count_beyond(group, sum);
                }
            }
        }
    }

    /// Compares all groups by what they spent in the last `span`: forgets those of which nothing is left, and lets those
    /// in that spend most.
    pub(super) fn compare(&mut self, objective: &Objective, pairs: &[BurnPair], at: Timestamp, span: Millis) {
        self.members.retain(|_, watch| {
            let quiet = watch.input.last_at.is_none_or(|last| last < at - limits::OBJECTIVE_MEMORY);
            !quiet || watch.fires() || watch.history.window(at, objective.window).total > 0.0
        });
        let budget = objective.budget();
        let spent = |counts: &Counts| counts.bad + counts.total * budget;
        let mut waiting: Vec<(Labels, Counts)> = std::mem::take(&mut self.beyond).into_iter().collect();
        waiting.sort_by(|a, b| spent(&b.1).total_cmp(&spent(&a.1)).then_with(|| a.0.cmp(&b.0)));
        // Who comes in now is not compared: it has counted nothing yet.
        let quiet = self.members.iter().filter(|(_, watch)| !watch.fires());
        let lately = |(group, watch): (&Labels, &Watch)| (group.clone(), spent(&watch.history.window(at, span)));
        let mut quietest: Vec<(Labels, f64)> = quiet.map(lately).collect();
        quietest.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| b.0.cmp(&a.0)));
        (self.left_out, self.overflown) = (0, false);
        for (group, counts) in waiting {
            if self.members.len() >= objective.groups_max {
                let yields = quietest.pop_if(|(_, least)| spent(&counts) > *least * CLEARLY_MORE);
                let Some((least, _)) = yields else {
                    self.left_out += 1;
                    continue;
                };
                self.members.remove(&least);
            }
            self.members.insert(group.clone(), Watch::new(objective.of_group(&group), pairs.to_vec()));
        }
    }

    /// Whether an alert of this severity fires for one of them.
    pub(super) fn fire(&self, severity: Severity) -> bool {
        let of_severity =
            |watch: &Watch| watch.pairs.iter().any(|state| state.pair.severity == severity && state.firing.is_some());
        self.members.values().any(of_severity)
    }

    /// How many of them burn over a pair's long window: spend faster than evenly, and not by a failure or two.
    pub(super) fn burning(&self, pair: &BurnPair, at: Timestamp) -> usize {
        let burns = |watch: &&Watch| {
            let counts = watch.history.window(at, pair.long);
            counts.bad >= FAILURES_MIN && counts.ratio().is_some_and(|ratio| ratio > watch.objective.budget())
        };
        self.members.values().filter(burns).count()
    }

    /// How many groups were heard lately that have no budget.
    pub(super) fn without_budget(&self) -> usize {
        self.left_out.max(self.beyond.len())
    }
}
