//! What is wrong with an objective, or with one of its groups, by itself.
//!
//! Invariants:
//! - Pages say of an objective what the judgement says, for both ask here.
//! - A group that is heard no more makes nobody blind: the objective's own input shows whether anything comes.

use crate::model::Timestamp;
use crate::slo::{Blind, BurnStatus, Companion, ObjectiveStatus, Severity, Standing};

use super::verdict::Verdict;

/// Less of a budget than this is a risk.
const BUDGET_LEFT_LOW: f64 = 0.1;
/// A group whose budget is fewer bad events than this has it spent by chance: only an alert, which rests on evidence, says
/// something of it.
const GROUP_BUDGET_MIN: f64 = 10.0;

/// One thing that is wrong.
#[derive(Debug, Clone, Copy)]
pub(super) enum Finding<'a> {
    /// The budget burns, by the most urgent pair that fires, and since when.
    Burns(&'a BurnStatus, Timestamp),
    /// A companion tells of what no pair sees, since when.
    Tells(Companion, Timestamp),
    /// Nothing can be said.
    Blind(&'a Blind),
    /// No input has come since the start.
    Unheard,
    /// Little of the budget is left.
    BudgetLow,
}

impl Finding<'_> {
    /// The word that it argues for.
    pub(super) fn verdict(self) -> Verdict {
        match self {
            Finding::Burns(burn, _) if burn.pair.severity == Severity::Page => Verdict::Hurting,
            Finding::Blind(_) | Finding::Unheard | Finding::Tells(Companion::Vanished, _) => Verdict::Blind,
            Finding::Burns(..) | Finding::Tells(..) | Finding::BudgetLow => Verdict::AtRisk,
        }
    }
}

/// Whether there is nothing to say against an objective, nor against any group of it: then nobody needs its whole status.
pub fn is_fine(standing: &Standing<'_>, started_at: Timestamp) -> bool {
    !standing.fires
        && !standing.blind
        && standing.last_input.is_some_and(|last| last > started_at)
        && standing.left >= BUDGET_LEFT_LOW
        && standing.left_of_groups >= BUDGET_LEFT_LOW
}

/// The word for an objective by itself, of a program that started at `started_at`. Its groups have words of their own.
pub fn objective_verdict(objective: &ObjectiveStatus, started_at: Timestamp) -> Verdict {
    worst(&findings(objective, started_at))
}

/// The word for a group of an objective.
pub fn group_verdict(group: &ObjectiveStatus) -> Verdict {
    worst(&group_findings(group))
}

fn worst(findings: &[Finding<'_>]) -> Verdict {
    findings.iter().fold(Verdict::Ok, |word, finding| word.or_worse(finding.verdict()))
}

/// All that is wrong with an objective.
pub(super) fn findings(objective: &ObjectiveStatus, started_at: Timestamp) -> Vec<Finding<'_>> {
    let mut found = told(objective);
    let low = found.is_empty() && objective.budget.left < BUDGET_LEFT_LOW;
    found.extend(unseen(objective, started_at).or(low.then_some(Finding::BudgetLow)));
    found
}

/// All that is wrong with a group.
pub(super) fn group_findings(group: &ObjectiveStatus) -> Vec<Finding<'_>> {
    let mut found = told(group);
    found.retain(|finding| !matches!(finding, Finding::Tells(Companion::Vanished, _)));
    let low = group.budget.left < BUDGET_LEFT_LOW && group.budget.total >= GROUP_BUDGET_MIN;
    found.extend((found.is_empty() && low).then_some(Finding::BudgetLow));
    found
}

/// What alerts tell.
fn told(objective: &ObjectiveStatus) -> Vec<Finding<'_>> {
    let burning = burning(objective);
    // What drains is told of by what burns.
    let companions = objective.companions.iter().filter(|(which, _)| burning.is_none() || *which != Companion::Drain);
    let companions = companions.map(|(which, since)| Finding::Tells(*which, *since));
    burning.into_iter().chain(companions).collect()
}

/// One finding for a burning budget, however many pairs say so: the most urgent, then the fastest.
fn burning(objective: &ObjectiveStatus) -> Option<Finding<'_>> {
    let firing = objective.burns.iter().filter_map(|burn| Some((burn, burn.firing_since?)));
    let urgency = |burn: &BurnStatus| (burn.pair.severity == Severity::Page, burn.pair.threshold);
    let first = firing.max_by(|(a, _), (b, _)| {
        let ((a_page, a_burn), (b_page, b_burn)) = (urgency(a), urgency(b));
        a_page.cmp(&b_page).then(a_burn.total_cmp(&b_burn))
    });
    first.map(|(burn, since)| Finding::Burns(burn, since))
}

fn unseen(objective: &ObjectiveStatus, started_at: Timestamp) -> Option<Finding<'_>> {
    let unheard = objective.last_input.is_none_or(|last| last <= started_at);
    objective.blind.as_ref().map(Finding::Blind).or(unheard.then_some(Finding::Unheard))
}

/// Whether nothing is known of an objective now.
pub(super) fn is_unseen(objective: &ObjectiveStatus, started_at: Timestamp) -> bool {
    unseen(objective, started_at).is_some()
}
