//! The severity table: what the label `severity` of a burn alert is, by what burns, for how many, of which tier.
//!
//! Invariants:
//! - The first row that an alert satisfies counts. Without one it has the severity of its burn pair.
//! - The table changes what an alert is called, never whether it fires.
//! - It is looked up when an alert begins, and while it fires: then it is raised, and never lowered.

use std::fmt;

use crate::model::{Alert, Labels, Millis, Timestamp, TransitionKind};

use super::alert::{self, BurnSeen};
use super::objective::Objective;
use super::pair::{BurnPair, Severity};
use super::watch::PairState;

/// The label of an objective by which a row knows its tier.
pub const TIER_LABEL: &str = "tier";

/// What an alert is told as, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AlertSeverity {
    /// A person, now.
    Page,
    /// A person, in working hours.
    Ticket,
    /// Nobody by itself.
    Log,
}

impl AlertSeverity {
    /// All of them.
    pub const ALL: [AlertSeverity; 3] = [AlertSeverity::Page, AlertSeverity::Ticket, AlertSeverity::Log];

    /// The value of the label `severity`.
    pub fn as_str(self) -> &'static str {
        match self {
            AlertSeverity::Page => "page",
            AlertSeverity::Ticket => "ticket",
            AlertSeverity::Log => "log",
        }
    }
}

impl From<Severity> for AlertSeverity {
    fn from(severity: Severity) -> AlertSeverity {
        match severity {
            Severity::Page => AlertSeverity::Page,
            Severity::Ticket => AlertSeverity::Ticket,
        }
    }
}

/// A row of the table. What is absent takes every alert.
#[derive(Debug, Clone, PartialEq)]
pub struct SeverityRow {
    /// Alerts of pairs of this severity.
    pub alert: Option<Severity>,
    /// Alerts whose long window burns at least so fast.
    pub burn: Option<f64>,
    /// Alerts while at least so many groups of the objective burn.
    pub groups: Option<usize>,
    /// Alerts of objectives whose label `tier` is one of these; empty for all.
    pub tiers: Vec<String>,
    /// What they are told as.
    pub severity: AlertSeverity,
}

impl SeverityRow {
    /// Whether it takes every alert that `other` takes.
    pub fn covers(&self, other: &SeverityRow) -> bool {
        let tiers = self.tiers.is_empty()
            || !other.tiers.is_empty() && other.tiers.iter().all(|tier| self.tiers.contains(tier));
        tiers
            && (self.alert.is_none() || self.alert == other.alert)
            && self.burn.is_none_or(|burn| other.burn.is_some_and(|more| more >= burn))
            && self.groups.is_none_or(|groups| other.groups.is_some_and(|more| more >= groups))
    }

    /// Whether it can take an alert of this pair.
    fn concerns(&self, objective: &Objective, pair: &BurnPair) -> bool {
        let tier = objective.labels.get(TIER_LABEL);
        self.alert.is_none_or(|alert| alert == pair.severity)
            && (self.tiers.is_empty() || self.tiers.iter().any(|known| known == tier))
    }
}

impl fmt::Display for SeverityRow {
    /// Its conditions: `tier 1 or 2, burn from 6, from 3 groups`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alert = self.alert.map(|alert| format!("alert {}", alert.as_str()));
        let burn = self.burn.map(|burn| format!("burn from {burn}"));
        let groups = self.groups.map(|groups| format!("groups from {groups}"));
        let tiers = (!self.tiers.is_empty()).then(|| format!("tier {}", self.tiers.join(" or ")));
        let conditions: Vec<String> = [alert, burn, groups, tiers].into_iter().flatten().collect();
        f.write_str(if conditions.is_empty() { "every alert" } else { "" })?;
        f.write_str(&conditions.join(", "))
    }
}

/// What an alert is told as, and by which row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Told<'o> {
    pub(super) severity: AlertSeverity,
    /// The row with its number in the table, counted from 1; absent if none took it.
    pub(super) row: Option<(usize, &'o SeverityRow)>,
    /// Groups that burned.
    pub(super) groups: usize,
}

impl fmt::Display for Told<'_> {
    /// What the summary of an alert says of it; of an alert that no row took nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((number, row)) = self.row else { return Ok(()) };
        let found = row.groups.map_or(String::new(), |_| format!("; {} burn", self.groups));
        write!(f, "; {} by row {number} of the severity table: {row}{found}", self.severity.as_str())
    }
}

/// Raises the alerts of pairs, each given with what it sees now: one ends as what it was and begins as what it is. An alert
/// stays what it is while another one of the objective is as urgent.
pub(super) fn raise(
    objective: &Objective,
    pairs: &mut [PairState],
    seen: &[(usize, BurnSeen)],
    at: Timestamp,
) -> Vec<(TransitionKind, Alert)> {
    let mut changes = Vec::new();
    for (n, seen) in seen {
        // One that begins now has just been looked up.
        let Some(before) = pairs[*n].firing.as_ref().filter(|alert| alert.fired_at != Some(at)) else { continue };
        let Some(raised) = alert::raised(objective, before, seen, at) else { continue };
        // Who is told already need not be told by another pair.
        let severity = seen.told(objective).severity;
        if pairs.iter().filter_map(|state| objective.told_now(state)).any(|told| told <= severity) {
            continue;
        }
        changes.push((TransitionKind::Resolved, alert::resolved(before.clone(), at)));
        changes.push((TransitionKind::Firing, raised.clone()));
        pairs[*n].firing = Some(raised);
    }
    changes
}

impl Objective {
    /// Two pairs whose alerts could not be told apart once the table has named them: their long window.
    pub(super) fn alike(&self, pairs: &[BurnPair]) -> Option<Millis> {
        let labels = |pair: &BurnPair| -> Vec<Labels> {
            self.severities_of(pair).into_iter().filter_map(|told| alert::labels(self, pair, told).ok()).collect()
        };
        let known: Vec<Vec<Labels>> = pairs.iter().map(labels).collect();
        let alike = |n: &usize| known[..*n].iter().flatten().any(|earlier| known[*n].contains(earlier));
        (0..pairs.len()).find(alike).map(|n| pairs[n].long)
    }

    /// What an alert of a pair is told as that burns so fast, while so many groups burn.
    pub(super) fn told_as(&self, pair: &BurnPair, burn: f64, groups: usize) -> Told<'_> {
        let takes = |row: &SeverityRow| {
            row.concerns(self, pair)
                && row.burn.is_none_or(|least| burn >= least)
                && row.groups.is_none_or(|least| groups >= least)
        };
        let row = self.severities.iter().enumerate().find(|(_, row)| takes(row)).map(|(n, row)| (n + 1, row));
        let severity = row.map_or(pair.severity.into(), |(_, row)| row.severity);
        Told { severity, row, groups }
    }

    /// Everything that an alert of a pair may be told as, its own severity first.
    pub(super) fn severities_of(&self, pair: &BurnPair) -> Vec<AlertSeverity> {
        let own = AlertSeverity::from(pair.severity);
        let (mut all, mut always) = (Vec::new(), false);
        for row in self.severities.iter().filter(|row| row.concerns(self, pair)) {
            all.push(row.severity);
            // What comes behind takes nothing more.
            always = row.burn.is_none() && row.groups.is_none();
            if always {
                break;
            }
        }
        if !always {
            all.push(own);
        }
        all.sort_by_key(|severity| (*severity != own, *severity));
        all.dedup();
        all
    }

    /// What a pair that pages is told as at its most urgent, or one that the table lets page; absent if nobody is told.
    pub(super) fn page_of(&self, pair: &BurnPair) -> Option<AlertSeverity> {
        let most = self.severities_of(pair).into_iter().min()?;
        let pages = pair.severity == Severity::Page && most != AlertSeverity::Log || most == AlertSeverity::Page;
        pages.then_some(most)
    }

    /// What the alert of a pair is told as that fires.
    pub(super) fn told_now(&self, state: &PairState) -> Option<AlertSeverity> {
        self.told_by(&state.pair, &state.firing.as_ref()?.labels)
    }

    /// What the alert of a pair is told as that has these labels; absent if it can have none of them.
    pub(super) fn told_by(&self, pair: &BurnPair, labels: &Labels) -> Option<AlertSeverity> {
        let has = |severity: &AlertSeverity| alert::labels(self, pair, *severity).as_ref() == Ok(labels);
        self.severities_of(pair).into_iter().find(has)
    }
}
