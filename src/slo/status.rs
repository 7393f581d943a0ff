//! How an objective stands, with its evidence.

use crate::model::{Alert, Labels, Millis, TimeRange, Timestamp};
use crate::stats::binomial_lower;

use super::burn::Companion;
use super::history::Counts;
use super::objective::titled;
use super::pair::BurnPair;
use super::severity::AlertSeverity;
use super::tiers::Tiers;
use super::time_coverage::TimeCoverage;
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
    /// The rolling window; with a calendar what its periods are taken for where a length is needed.
    pub window: Millis,
    /// The window in words: `30d`, `month in Europe/Berlin`.
    pub window_text: String,
    /// The present period, if the window follows the calendar.
    pub period: Option<Period>,
    /// The budget in words: `30d error budget`, `error budget of the month in Europe/Berlin`.
    pub budget_text: String,
    /// What is counted, in the plural: `events`, `slices of 1m`.
    pub units: String,
    /// Good events, or slices, of the window.
    pub good: f64,
    /// All events, or slices, of the window.
    pub total: f64,
    /// The share of bad events in the window; absent without events.
    pub error_ratio: Option<f64>,
    /// Bad events, or slices, of the last hour.
    pub bad_in_hour: f64,
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
    /// How much of the time was measured, once there was a sample. Of a group that is not known.
    pub time_coverage: Option<TimeCoverage>,
    /// How many series are counted.
    pub series: usize,
    /// How many series were refused because there are too many.
    pub series_refused: u64,
    /// The expression that gives the error ratio over the window.
    pub query: String,
    /// Why nothing can be said, if so.
    pub blind: Option<Blind>,
    /// What fires besides the pairs: which, and since when.
    pub companions: Vec<(Companion, Timestamp)>,
    /// The times in which events do not count: those of the window and the next to come.
    pub adjustments: Vec<AdjustmentSpan>,
    /// The budgets of its groups, if it has groups. The numbers above are of all together.
    pub groups: Option<GroupsStatus>,
    /// Of a composite: its parts.
    pub parts: Vec<PartStatus>,
}

/// A part of a composite.
#[derive(Debug, Clone, PartialEq)]
pub struct PartStatus {
    /// Whose objective it is.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its share of all weights.
    pub weight: f64,
    /// Its share of bad events in its window; absent without events.
    pub error_ratio: Option<f64>,
    /// How much of its own budget is left.
    pub budget_left: f64,
    /// Its share in what is bad of the composite, by weight.
    pub share_of_bad: f64,
    /// Whether nothing can be said of it.
    pub blind: bool,
}

/// A period of the calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// When it began.
    pub begin: Timestamp,
    /// When the next one begins, with a new budget.
    pub end: Timestamp,
    /// Both in local time, with the zone: `2026-11-01 to 2026-12-01, Europe/Berlin`
    pub text: String,
}

/// A time in which events do not count.
#[derive(Debug, Clone, PartialEq)]
pub struct AdjustmentSpan {
    /// What happens then.
    pub name: String,
    /// When it begins.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// Events that did not count.
    pub total: f64,
    /// The bad ones of them.
    pub bad: f64,
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
    /// What it is told as, if it fires.
    pub told_as: Option<AlertSeverity>,
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
    /// The share of events that may be bad.
    pub budget: f64,
}

impl WindowBurn {
    /// The lower bound of the burn rate, one-sided at 99 %. Computed when it is asked for: a hundred times as dear as the rest.
    pub fn burn_low(&self) -> f64 {
        binomial_lower(self.bad, self.n, CONFIDENCE) / self.budget
    }
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

/// What of an error budget is spent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent {
    /// The events of the window.
    pub(super) all: Counts,
    /// Bad events that the window may hold.
    pub(super) budget: f64,
    /// The share that is left.
    pub(super) left: f64,
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

    pub(super) fn status_of_all(&self, at: Timestamp) -> ObjectiveStatus {
        let objective = &self.objective;
        let all = self.in_window(at);
        let period = objective.calendar.as_ref().map(|calendar| {
            let (begin, end) = calendar.period(at);
            let [from, until] = [begin, end].map(|edge| calendar.local_text(edge));
            // Midnights go without saying.
            let day = |text: &str| text.strip_suffix(" 00:00").map(str::to_owned);
            let (from, until) = day(&from).zip(day(&until)).unwrap_or((from, until));
            Period { begin, end, text: format!("{from} to {until}, {}", calendar.zone_name()) }
        });
        ObjectiveStatus {
            service: objective.service.clone(),
            name: objective.name.clone(),
            objective: objective.objective,
            window: objective.window,
            window_text: objective.window_text(),
            budget_text: objective.budget_text(),
            units: objective.units(),
            adjustments: self.adjustment_spans(at),
            period,
            good: all.total - all.bad,
            total: all.total,
            error_ratio: all.ratio(),
            bad_in_hour: self.history.window(at, Millis::hours(1)).bad,
            budget: self.budget(at),
            burns: self
                .pairs
                .iter()
                .map(|state| BurnStatus {
                    pair: state.pair,
                    long: self.window_burn(at, state.pair.long),
                    short: self.window_burn(at, state.pair.short),
                    firing_since: state.firing.as_ref().map(|alert| alert.active_at),
                    told_as: self.objective.told_now(state),
                })
                .collect(),
            alerts: self.own_alerts().cloned().collect(),
            counted_since: self.history.first,
            last_input: self.input.last_at,
            interval: self.input.interval(),
            time_coverage: self.time_coverage(at),
            series: self.series.len(),
            series_refused: self.series.refused,
            query: match &self.query {
                Some(query) => query.clone(),
                None => objective.error_query(objective.passed(at)),
            },
            blind: self.blind(at),
            companions: Companion::ALL
                .into_iter()
                .filter_map(|companion| Some((companion, self.burning.firing[companion as usize].as_ref()?.active_at)))
                .collect(),
            group: Labels::empty(),
            groups: None,
            parts: Vec::new(),
        }
    }

    /// The alerts that fire of all together, or of this group.
    pub(super) fn own_alerts(&self) -> impl Iterator<Item = &Alert> {
        let pairs = self.pairs.iter().map(|state| &state.firing);
        pairs.chain(&self.burning.firing).filter_map(Option::as_ref)
    }

    /// The alerts that fire, those of groups last.
    pub(super) fn alerts(&self) -> Vec<Alert> {
        self.own_alerts().chain(self.groups.members.values().flat_map(Watch::own_alerts)).cloned().collect()
    }

    pub(super) fn covered(&self, at: Timestamp, window: Millis) -> Millis {
        self.history.first.map_or(Millis::ZERO, |first| (at - first).clamp(Millis::ZERO, window))
    }

    /// All that the whole window is expected to hold. While a rolling window is young, that of the pace so far. Of a
    /// period that is not over: what it holds, and for the rest the pace of a whole length up to now, which knows nights
    /// and weekends.
    fn expected(&self, at: Timestamp, so_far: Counts) -> f64 {
        let window = self.objective.window;
        let covered = self.covered(at, window).max(Millis(1));
        match &self.objective.calendar {
            None => so_far.total * (window.0 as f64 / covered.0 as f64),
            Some(calendar) => {
                let (begin, end) = calendar.period(at);
                let counted_from = self.history.first.map_or(at, |first| first.clamp(begin, at));
                // Of the time before counting began the pace is taken as well.
                let missing = (end - at) + (counted_from - begin);
                let pace = self.history.window(at, window).total / covered.0 as f64;
                so_far.total + pace * missing.0.max(0) as f64
            }
        }
    }

    /// What was spent of the budget.
    pub(super) fn spent(&self, at: Timestamp) -> Spent {
        let all = self.in_window(at);
        let budget = self.expected(at, all) * self.objective.budget();
        Spent { all, budget, left: if budget > 0.0 { 1.0 - all.bad / budget } else { 1.0 } }
    }

    pub(super) fn budget(&self, at: Timestamp) -> Budget {
        let Spent { all, budget: total, left } = self.spent(at);
        let burn = self.pairs.first().and_then(|PairState { pair, .. }| {
            let [long, short] = [pair.long, pair.short].map(|length| self.history.window(at, length).ratio());
            Some(long?.min(short?) / self.objective.budget())
        });
        let lasts = burn
            .filter(|burn| *burn > 0.0)
            .map(|burn| Millis((left.max(0.0) * self.objective.window.0 as f64 / burn).min(1e15) as i64));
        // A budget that outlives its period is not exhausted: the next one begins with a new one.
        let renewed_in = self.objective.calendar.as_ref().map(|calendar| calendar.period(at).1 - at);
        let exhausted_in = lasts.filter(|lasts| renewed_in.is_none_or(|renewed| *lasts < renewed));
        Budget { total, spent: all.bad, left, exhausted_in }
    }

    /// The share of a whole window's expected events that was bad in the window up to `at`.
    pub(super) fn spent_share(&self, at: Timestamp) -> f64 {
        let counts = self.in_window(at);
        let whole = self.expected(at, counts);
        if whole > 0.0 { counts.bad / whole } else { 0.0 }
    }

    /// The adjustments of the window with what they took, and the next one to come.
    fn adjustment_spans(&self, at: Timestamp) -> Vec<AdjustmentSpan> {
        let adjustments = &self.objective.adjustments;
        if adjustments.is_empty() {
            return Vec::new();
        }
        let since = at - self.objective.reach();
        let taken = self.exclusions.taken.iter().filter(|(_, excluded)| excluded.until > since);
        let mut spans: Vec<AdjustmentSpan> = taken
            .map(|(from, excluded)| AdjustmentSpan {
                name: excluded.name.clone(),
                from: *from,
                until: excluded.until,
                total: excluded.counts.total,
                bad: excluded.counts.bad,
            })
            .collect();
        let ahead = super::adjustment::spans(adjustments, TimeRange { after: at, until: at + AHEAD });
        let next = ahead.into_iter().find(|(from, ..)| spans.iter().all(|span| span.from != *from));
        spans.extend(next.map(|(from, until, n)| {
            let name = adjustments[n].name.clone();
            AdjustmentSpan { name, from, until, total: 0.0, bad: 0.0 }
        }));
        spans
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
            budget,
        }
    }

    /// Why nothing can be said, if so.
    pub(super) fn blind_cause(&self, at: Timestamp) -> Option<BlindCause> {
        let nothing = self.series.len() == 0 && self.heard == [None; 2];
        if nothing || self.heard[1].is_some() && self.lacks_bucket() {
            Some(BlindCause::NoSeries)
        } else if !self.input.proven() {
            Some(BlindCause::NotProven)
        } else {
            self.input.stale(at).then_some(BlindCause::InputStopped)
        }
    }

    fn blind(&self, at: Timestamp) -> Option<Blind> {
        let cause = self.blind_cause(at)?;
        let (since, last) = (self.since.unwrap_or(at), self.input.last_at);
        let ago = |last: Timestamp| rounded(at - last);
        let (reason, since) = match (cause, last) {
            (BlindCause::NoSeries, Some(_)) => {
                let good = self.objective.indicator.sides().map_or_else(String::new, |[good, _]| good.text());
                (
                    format!(
                        "no series match {good}: the histogram has no such bucket; add it, or promise another time"
                    ),
                    since,
                )
            }
            (BlindCause::NoSeries, _) => (format!("no series match {}", self.objective.indicator.selectors()), since),
            (_, None) => ("not proven yet: no sample since the start".to_owned(), since),
            (BlindCause::NotProven, Some(last)) => (format!("not proven yet: one sample, {} ago", ago(last)), since),
            (BlindCause::InputStopped, Some(last)) => {
                let expected = rounded(self.input.interval().unwrap_or(Millis::ZERO));
                (format!("input stopped: last sample {} ago, expected every {expected}", ago(last)), last)
            }
        };
        Some(Blind { cause, reason, since })
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

/// How far ahead an adjustment is told of.
const AHEAD: Millis = Millis::days(31);

/// A span that a person can run a query over: whole minutes, at least one.
pub(super) fn shown_span(span: Millis) -> Millis {
    Millis((span.0 / 60_000).max(1) * 60_000)
}

/// A span to the second once it is longer than two: nobody needs the milliseconds of an hour.
fn rounded(span: Millis) -> Millis {
    if span.0 >= 2000 { Millis((span.0 + 500) / 1000 * 1000) } else { span }
}
