//! What the alert of an objective was decided on: what its windows had counted, and the queries that count the same of
//! stored samples.
//!
//! Invariants:
//! - A window begins at the instant for which the sum that was taken off it is exact, so that counters that are looked up
//!   at its edges add up to what was counted.

use std::iter;

use crate::model::{Labels, Millis, TimeRange, Timestamp};

use super::burn::{Companion, VANISHED_SPANS};
use super::composite::Composite;
use super::events::{Events, Reading, selector};
use super::history::Counts;
use super::objective::{Indicator, Objective};
use super::objectives::Objectives;
use super::pair::BurnPair;
use super::slices::Method;
use super::tiers::Tiers;
use super::watch::Watch;

/// What an alert was decided on.
#[derive(Debug, Clone, PartialEq)]
pub struct Grounds {
    /// The share of events that may be bad.
    pub budget: f64,
    /// The burn rate from which on it fires; absent if it does not fire for a burn rate.
    pub threshold: Option<f64>,
    /// What was counted: of a composite the windows of each part.
    pub windows: Vec<Counted>,
}

/// What a window had counted.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// The objective, with its service and group.
    pub of: String,
    /// The window; its beginning is not inside.
    pub range: TimeRange,
    /// Bad events.
    pub bad: f64,
    /// All events.
    pub total: f64,
    /// What the counts are sums of.
    pub counters: Vec<CounterQuery>,
    /// Why samples at the edges do not tell the same, if they do not.
    pub beyond: Option<String>,
}

/// A query for a part of a count.
#[derive(Debug, Clone, PartialEq)]
pub struct CounterQuery {
    /// What it counts.
    pub side: Side,
    /// Whether it is taken away instead of added.
    pub subtracted: bool,
    /// The query, at the end of the window.
    pub query: String,
}

/// What a counter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Bad events.
    Bad,
    /// Good events.
    Good,
    /// All events.
    Total,
}

impl Side {
    /// All of them.
    pub const ALL: [Side; 3] = [Side::Bad, Side::Good, Side::Total];

    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Side::Bad => "bad",
            Side::Good => "good",
            Side::Total => "total",
        }
    }
}

impl Objectives {
    /// What the alert with these labels, which has just begun to fire, was decided on; absent if it is of no objective.
    pub fn grounds(&self, alert: &Labels, at: Timestamp) -> Option<Grounds> {
        let (service, slo) = (alert.get("service"), alert.get("slo"));
        let named = |objective: &Objective| objective.service == service && objective.name == slo;
        let watches = self.watches.iter().filter(|watch| named(&watch.objective));
        let own = watches.flat_map(|watch| iter::once(watch).chain(watch.groups.members.values()));
        let composites = self.composites.iter().filter(|one| named(&one.objective));
        own.into_iter()
            .find_map(|watch| watch.grounds(alert, at))
            .or_else(|| composites.into_iter().find_map(|one| one.grounds(&self.watches, alert, at)))
    }

    /// What an objective, or one of its groups, counts in a window: the queries alone. Absent if there is no such
    /// objective, or if it is a composite.
    pub fn counters(&self, service: &str, name: &str, group: &Labels, range: TimeRange) -> Option<Counted> {
        let objective = self.definition(service, name)?;
        let objective = if group.is_empty() { objective.clone() } else { objective.of_group(group) };
        let none = Counts { bad: 0.0, total: 0.0 };
        objective.indicator.parts().is_empty().then(|| counted(&objective, range, none))
    }
}

impl Watch {
    fn grounds(&self, alert: &Labels, at: Timestamp) -> Option<Grounds> {
        let fires = |held: &Option<crate::model::Alert>| held.as_ref().is_some_and(|held| held.labels == *alert);
        let budget = self.objective.budget();
        if let Some(state) = self.pairs.iter().find(|state| fires(&state.firing)) {
            let windows = [state.pair.long, self.short_of(&state.pair, at)].map(|length| self.counted(at, length));
            return Some(Grounds { budget, threshold: Some(state.pair.threshold), windows: windows.to_vec() });
        }
        let companion = Companion::ALL.into_iter().find(|one| fires(&self.burning.firing[*one as usize]))?;
        let (window, threshold) = match companion {
            Companion::Drain => {
                let drain = self.burning.drain;
                let after = Timestamp(drain.since.unwrap_or(at).0 - 1);
                (counted(&self.objective, TimeRange { after, until: at }, drain.counts), Some(1.0))
            }
            Companion::Exhausted => {
                let after = match &self.objective.calendar {
                    None => self.history.edge(at - self.objective.window),
                    Some(calendar) => calendar.period(at).0,
                };
                (counted(&self.objective, TimeRange { after, until: at }, self.in_window(at)), Some(1.0))
            }
            Companion::Vanished => {
                let missed = self.missed(at, super::burn::VANISHED_BELOW);
                (self.counted(at, missed.map_or(VANISHED_SPANS[0], |missed| missed.span)), None)
            }
        };
        Some(Grounds { budget, threshold, windows: vec![window] })
    }

    fn counted(&self, at: Timestamp, length: Millis) -> Counted {
        let range = TimeRange { after: self.history.edge(at - length), until: at };
        counted(&self.objective, range, self.history.window(at, length))
    }
}

impl Composite {
    fn grounds(&self, watches: &[Watch], alert: &Labels, at: Timestamp) -> Option<Grounds> {
        let fires = |held: &Option<crate::model::Alert>| held.as_ref().is_some_and(|held| held.labels == *alert);
        let budget = self.objective.budget();
        let lengths = match self.pairs.iter().find(|state| fires(&state.firing)) {
            Some(state) => {
                let BurnPair { long, .. } = state.pair;
                Some((vec![long, self.short_of(watches, &state.pair, at)], state.pair.threshold))
            }
            None => {
                let exhausted = fires(&self.burning.firing[Companion::Exhausted as usize]);
                exhausted.then(|| (vec![self.objective.passed(at)], 1.0))
            }
        };
        let (lengths, threshold) = lengths?;
        let parts = self.of(watches).map(|(watch, _)| watch);
        let windows = parts.flat_map(|watch| lengths.iter().map(|length| watch.counted(at, *length)));
        Some(Grounds { budget, threshold: Some(threshold), windows: windows.collect() })
    }
}

/// What a window had counted, with the queries for it.
fn counted(objective: &Objective, range: TimeRange, counts: Counts) -> Counted {
    let window = range.until - range.after;
    let mut beyond = None;
    let mut counters = Vec::new();
    match &objective.indicator {
        Indicator::Ratio { good: part, total } | Indicator::ErrorRatio { errors: part, total } => {
            let is_ratio = matches!(objective.indicator, Indicator::Ratio { .. });
            let side = if is_ratio { Side::Good } else { Side::Bad };
            for (side, events) in [(side, part), (Side::Total, total)] {
                beyond = beyond.or_else(|| queries(side, events, window, &mut counters));
            }
        }
        Indicator::Threshold { gauge, op, bound } => {
            let query = format!("sum(count_over_time({}[{window}]))", selector(gauge));
            counters.push(CounterQuery { side: Side::Total, subtracted: false, query });
            beyond = Some(format!("samples that are not {op} {bound} are counted one by one, which no query does"));
        }
        Indicator::Composite(_) => {}
    }
    if objective.method != Method::Occurrences {
        beyond = Some(format!("{} are counted, not what happened in them", objective.units()));
    } else if !objective.adjustments.is_empty() {
        beyond = beyond.or_else(|| Some("events within adjustments do not count".to_owned()));
    }
    let of = format!("{}/{}", objective.service, objective.title());
    Counted { of, range, bad: counts.bad, total: counts.total, counters, beyond }
}

/// The queries for a sum of counters; gives why they do not tell what was counted, if they do not.
fn queries(side: Side, events: &Events, window: Millis, out: &mut Vec<CounterQuery>) -> Option<String> {
    let mut beyond = None;
    for term in &events.terms {
        let selected = selector(&term.series);
        let query = match term.reading {
            Reading::Value => format!("sum(increase({selected}[{window}] anchored))"),
            Reading::Each => format!("sum(sum_over_time({selected}[{window}]))"),
            Reading::One => format!("sum(count_over_time({selected}[{window}]))"),
            Reading::Observations | Reading::ObservationsUpTo(_) => {
                beyond = Some("it counts the observations of native histograms, which a pack does not hold".to_owned());
                continue;
            }
        };
        out.push(CounterQuery { side, subtracted: term.subtracted, query });
    }
    beyond
}
