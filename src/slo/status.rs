//! How an objective stands, with its evidence.

use crate::model::{Alert, Labels, Millis, TimeRange, Timestamp};
use crate::stats::binomial_lower;

use super::history::Counts;
use super::objective::titled;
use super::pair::BurnPair;
use super::watch::{CONFIDENCE, PairState, Watch};

/// How an objective stands at an instant.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectiveStatus {
    /// Whose promise it is.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Of a group: the labels that tell it from others. Of the whole objective: empty.
    pub group: Labels,
    /// The promised share of good events.
    pub objective: f64,
    /// The rolling window.
    pub window: Millis,
    /// Good events of the window.
    pub good: f64,
    /// All events of the window.
    pub total: f64,
    /// The share of bad events in the window; absent without events.
    pub error_ratio: Option<f64>,
    /// The error budget.
    pub budget: Budget,
    /// Each burn pair with its two windows.
    pub burns: Vec<BurnStatus>,
    /// The alerts that fire.
    pub alerts: Vec<Alert>,
    /// Since when events are counted.
    pub counted_since: Option<Timestamp>,
    /// When the last input was taken.
    pub last_input: Option<Timestamp>,
    /// How often input comes, learned.
    pub interval: Option<Millis>,
    /// How many series are counted.
    pub series: usize,
    /// How many series were refused because there are too many.
    pub series_refused: u64,
    /// The expression that gives the error ratio over the window.
    pub query: String,
    /// Why nothing can be said, if so.
    pub blind: Option<Blind>,
    /// The budgets of its groups, if it has groups. The numbers above are of all together.
    pub groups: Option<GroupsStatus>,
}

/// The budgets of an objective's groups.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupsStatus {
    /// The labels by which they are told apart.
    pub by: Vec<String>,
    /// Those with a budget of their own, the one with the least left first.
    pub budgets: Vec<ObjectiveStatus>,
    /// How many may have one.
    pub most: usize,
    /// How many were heard lately that have none; their events count in the total alone.
    pub without_budget: usize,
    /// Whether there are still more than can be known by name.
    pub more: bool,
    /// Events of the window that are in no budget but the total's.
    pub total_without: f64,
    /// The bad ones of them.
    pub bad_without: f64,
}

impl ObjectiveStatus {
    /// Its name with its group: `availability`, `availability{route="/pay"}`.
    pub fn title(&self) -> String {
        titled(&self.name, &self.group)
    }

    /// The pair with the highest burn rate in its long window, the first of equals.
    pub fn worst_burn(&self) -> Option<&BurnStatus> {
        let burn = |status: &&BurnStatus| status.long.burn.unwrap_or(f64::NEG_INFINITY);
        self.burns.iter().rev().max_by(|a, b| burn(a).total_cmp(&burn(b)))
    }
}

/// An error budget over the objective's window.
///
/// While less than a window has been counted, the events of the whole window are estimated from the traffic
/// so far: a bad first minute does not spend a month's budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Bad events that the window may hold.
    pub total: f64,
    /// Bad events that it holds.
    pub spent: f64,
    /// The share that is left: 1 untouched, 0 used up, negative overspent.
    pub left: f64,
    /// How long what is left lasts at the lower burn rate of the first pair's two windows: the long one alone would
    /// go on for an hour after all is well, the short one alone would jump. Absent if nothing burns.
    pub exhausted_in: Option<Millis>,
}

/// A burn pair and its windows.
#[derive(Debug, Clone, PartialEq)]
pub struct BurnStatus {
    /// The pair.
    pub pair: BurnPair,
    /// The long window.
    pub long: WindowBurn,
    /// The short window.
    pub short: WindowBurn,
    /// Since when it fires, if it does.
    pub firing_since: Option<Timestamp>,
}

/// The burn rate of one window and what it rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowBurn {
    /// The nominal length.
    pub window: Millis,
    /// How much of it has been counted; less than the length while history is young.
    pub covered: Millis,
    /// Bad events.
    pub bad: f64,
    /// All events.
    pub n: f64,
    /// Bad events over all, in budgets; absent without events.
    pub burn: Option<f64>,
    /// The lower bound of the burn rate, one-sided at 99 %.
    pub burn_low: f64,
}

/// Why nothing can be said of an objective.
#[derive(Debug, Clone, PartialEq)]
pub struct Blind {
    /// What kind of blindness.
    pub cause: BlindCause,
    /// The cause in words, with its numbers.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// The kinds of an objective's blindness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlindCause {
    /// No series satisfies a selector.
    NoSeries,
    /// Fewer than two samples so far.
    NotProven,
    /// Input came and stopped.
    InputStopped,
}

/// One instant of a burn chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BurnPoint {
    /// The instant.
    pub t: Timestamp,
    /// The burn rate over the short window of the first pair; absent without events.
    pub short: Option<f64>,
    /// The burn rate over its long window.
    pub long: Option<f64>,
    /// The share of the budget left.
    pub budget_left: f64,
}

/// The course of an objective's burn rate.
#[derive(Debug, Clone, PartialEq)]
pub struct BurnHistory {
    /// The pair whose windows the points show: the fastest.
    pub pair: BurnPair,
    /// The thresholds of all pairs, highest first.
    pub thresholds: Vec<BurnPair>,
    /// The points in the order of time.
    pub points: Vec<BurnPoint>,
}

impl Watch {
    pub(super) fn status(&self, at: Timestamp) -> ObjectiveStatus {
        let mut status = self.status_of_all(at);
        if !self.objective.group_by.is_empty() {
            status.groups = Some(self.groups_status(at, &status));
        }
        status
    }

    fn groups_status(&self, at: Timestamp, all: &ObjectiveStatus) -> GroupsStatus {
        let series = self.series.by_group(&self.objective);
        let of = |(group, watch): (&Labels, &Watch)| ObjectiveStatus {
            group: group.clone(),
            series: series.get(group).copied().unwrap_or(0),
            ..watch.status_of_all(at)
        };
        let mut budgets: Vec<ObjectiveStatus> = self.groups.members.iter().map(of).collect();
        budgets.sort_by(|a, b| a.budget.left.total_cmp(&b.budget.left));
        let total: f64 = budgets.iter().map(|group| group.total).sum();
        let good: f64 = budgets.iter().map(|group| group.good).sum();
        GroupsStatus {
            by: self.objective.group_by.clone(),
            budgets,
            most: self.objective.groups_max,
            without_budget: self.groups.without_budget(),
            more: self.groups.overflown,
            total_without: (all.total - total).max(0.0),
            bad_without: (all.total - all.good - (total - good)).max(0.0),
        }
    }

    fn status_of_all(&self, at: Timestamp) -> ObjectiveStatus {
        let objective = &self.objective;
        let all = self.history.window(at, objective.window);
        ObjectiveStatus {
            service: objective.service.clone(),
            name: objective.name.clone(),
            objective: objective.objective,
            window: objective.window,
            good: all.total - all.bad,
            total: all.total,
            error_ratio: all.ratio(),
            budget: self.budget(at),
            burns: self
                .pairs
                .iter()
                .map(|state| BurnStatus {
                    pair: state.pair,
                    long: self.window_burn(at, state.pair.long),
                    short: self.window_burn(at, state.pair.short),
                    firing_since: state.firing.as_ref().map(|alert| alert.active_at),
                })
                .collect(),
            alerts: self.pairs.iter().filter_map(|state| state.firing.clone()).collect(),
            counted_since: self.history.first,
            last_input: self.input.last_at,
            interval: self.input.interval(),
            series: self.series.len(),
            series_refused: self.series.refused,
            query: objective.indicator.error_query(objective.window),
            blind: self.blind(at),
            group: Labels::empty(),
            groups: None,
        }
    }

    /// The alerts that fire, those of groups last.
    pub(super) fn alerts(&self) -> Vec<Alert> {
        let groups = self.groups.members.values().flat_map(|group| group.pairs.iter());
        self.pairs.iter().chain(groups).filter_map(|state| state.firing.clone()).collect()
    }

    fn covered(&self, at: Timestamp, window: Millis) -> Millis {
        self.history.first.map_or(Millis::ZERO, |first| (at - first).clamp(Millis::ZERO, window))
    }

    fn budget(&self, at: Timestamp) -> Budget {
        let all = self.history.window(at, self.objective.window);
        let covered = self.covered(at, self.objective.window).max(Millis(1));
        let expected = all.total * (self.objective.window.0 as f64 / covered.0 as f64);
        let total = expected * self.objective.budget();
        let left = if total > 0.0 { 1.0 - all.bad / total } else { 1.0 };
        let burn = self.pairs.first().and_then(|PairState { pair, .. }| {
            let [long, short] = [pair.long, pair.short].map(|length| self.history.window(at, length).ratio());
            Some(long?.min(short?) / self.objective.budget())
        });
        let exhausted_in = burn
            .filter(|burn| *burn > 0.0)
            .map(|burn| Millis((left.max(0.0) * self.objective.window.0 as f64 / burn).min(1e15) as i64));
        Budget { total, spent: all.bad, left, exhausted_in }
    }

    fn window_burn(&self, at: Timestamp, window: Millis) -> WindowBurn {
        let Counts { bad, total } = self.history.window(at, window);
        let budget = self.objective.budget();
        WindowBurn {
            window,
            covered: self.covered(at, window),
            bad,
            n: total,
            burn: (total > 0.0).then(|| bad / total / budget),
            burn_low: binomial_lower(bad, total, CONFIDENCE) / budget,
        }
    }

    fn blind(&self, at: Timestamp) -> Option<Blind> {
        let since = self.since.unwrap_or(at);
        if self.series.len() == 0 && self.heard == [None; 2] {
            let reason = format!("no series match {}", self.objective.indicator.selectors());
            return Some(Blind { cause: BlindCause::NoSeries, reason, since });
        }
        if !self.input.proven() {
            let reason = match self.input.last_at {
                None => "not proven yet: no sample since the start".to_owned(),
                Some(last) => format!("not proven yet: one sample, {} ago", rounded(at - last)),
            };
            return Some(Blind { cause: BlindCause::NotProven, reason, since });
        }
        let (last, from) = (self.input.last_at?, self.input.stale_from()?);
        (at >= from).then(|| {
            let expected = self.input.interval().unwrap_or(Millis::ZERO);
            let reason =
                format!("input stopped: last sample {} ago, expected every {}", rounded(at - last), rounded(expected));
            Blind { cause: BlindCause::InputStopped, reason, since: last }
        })
    }

    /// The burn rate at `points` instants, evenly over the range and ending with its end.
    pub(super) fn burn_history(&self, range: TimeRange, points: usize) -> Option<BurnHistory> {
        let pair = self.pairs.first()?.pair;
        let mut thresholds: Vec<BurnPair> = self.pairs.iter().map(|state| state.pair).collect();
        thresholds.sort_by(|a, b| b.threshold.total_cmp(&a.threshold));
        let count = points.max(1) as i64;
        let length = i128::from((range.until - range.after).0.max(0));
        let burn = |t, window| self.history.window(t, window).ratio().map(|ratio| ratio / self.objective.budget());
        let points = (1..=count).map(|n| {
            let t = Timestamp(range.after.0.saturating_add((length * i128::from(n) / i128::from(count)) as i64));
            BurnPoint { t, short: burn(t, pair.short), long: burn(t, pair.long), budget_left: self.budget(t).left }
        });
        Some(BurnHistory { pair, thresholds, points: points.collect() })
    }
}

/// A span to the second once it is longer than two: nobody needs the milliseconds of an hour.
fn rounded(span: Millis) -> Millis {
    if span.0 >= 2000 { Millis((span.0 + 500) / 1000 * 1000) } else { span }
}
