//! The series of one objective: what was last seen of each, and what a new sample adds.
//!
//! Invariants:
//! - An increase is anchored: it is counted from the last value seen, whatever the gap, so that the
//!   increases of a counter add up to what it counted, resets included.
//! - A series is known by its labels: the numbers that the store gives out end with the process.
//! - What is forgotten depends on the log alone, not on which series the store has retired.

use std::collections::{HashMap, HashSet};

use crate::model::limits;
use crate::model::{Labels, Millis, Sample, Timestamp};

use super::events::Reading;
use super::objective::{Indicator, Objective};

/// An increase over a longer gap is spread over it: it did not all happen at its end.
const SPREAD_FROM: Millis = limits::LOOKBACK;
/// Into so many parts.
const SPREAD_PARTS: i64 = 60;

/// Which side of the ratio a series feeds, and how often it counts there. A series can feed both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Roles {
    /// Good, bad or gauge: the numerator.
    pub(super) part: Option<f64>,
    /// All events.
    pub(super) total: Option<f64>,
}

/// The last sample of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cursor {
    pub(super) t: Timestamp,
    pub(super) v: f64,
    /// When it arrived, in the log's time.
    pub(super) seen_at: Timestamp,
}

/// A series that is bound to its number.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) labels: Labels,
    pub(super) reading: Reading,
    pub(super) roles: Roles,
    /// The group that it belongs to; empty if the objective has none.
    pub(super) group: Labels,
    pub(super) cursor: Option<Cursor>,
    pub(super) origin: Origin,
}

/// How a series came to be bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is new in the log: with its target under watch, it has begun from nothing.
    Log,
    /// The store knew it before the objective did: it may have counted for long.
    Store,
}

/// Increases at one instant: of the numerator and of all events.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Increase {
    pub(super) part: f64,
    pub(super) total: f64,
}

/// Increases by the instant at which they count, in order. What one transaction brings is nearly always of one instant,
/// so there is no tree.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Increases(Vec<(Timestamp, Increase)>);

impl Increases {
    /// The increase at an instant; nothing so far if there is none.
    fn at(&mut self, t: Timestamp) -> &mut Increase {
        let place = match self.0.last() {
            Some((last, _)) if *last == t => self.0.len() - 1,
            Some((last, _)) if *last > t => self.0.partition_point(|(of, _)| *of < t),
            _ => self.0.len(),
        };
        if self.0.get(place).is_none_or(|(of, _)| *of != t) {
            self.0.insert(place, (t, Increase::default()));
        }
        &mut self.0[place].1
    }

    /// Adds more at an instant.
    pub(super) fn add(&mut self, t: Timestamp, more: Increase) {
        let at = self.at(t);
        at.part += more.part;
        at.total += more.total;
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Timestamp, Increase)> {
        self.0.iter().copied()
    }
}

impl IntoIterator for Increases {
    type Item = (Timestamp, Increase);
    type IntoIter = std::vec::IntoIter<(Timestamp, Increase)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// All series of one objective.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct SeriesSet {
    pub(super) bound: Vec<Series>,
    /// Positions of `bound` whose series was retired.
    pub(super) vacant: Vec<usize>,
    /// Series of a saved state or of stored history that have not been seen since.
    pub(super) dormant: HashMap<Labels, Cursor>,
    /// Since when a target (`job` and `instance`) has been watched.
    pub(super) targets: HashMap<Labels, Timestamp>,
    /// Series beyond the bound, which are not counted.
    pub(super) refused: u64,
}

impl SeriesSet {
    /// Binds what is read from a series, if the indicator selects it, and gives its position.
    pub(super) fn bind(
        &mut self,
        objective: &Objective,
        series: &Labels,
        reading: Reading,
        origin: Origin,
    ) -> Option<usize> {
        let roles = roles(&objective.indicator, series, reading)?;
        let labels = reading.labels(series);
        if self.vacant.is_empty() && self.bound.len() >= limits::OBJECTIVE_SERIES_MAX {
            self.refused += 1;
            return None;
        }
        let cursor = self.dormant.remove(&labels);
        let group = objective.group_of(series);
        let series = Series { labels, reading, roles, group, cursor, origin };
        match self.vacant.pop() {
            Some(place) => {
                self.bound[place] = series;
                Some(place)
            }
            None => {
                self.bound.push(series);
                Some(self.bound.len() - 1)
            }
        }
    }

    /// Sorts the series into the groups of an objective that was changed.
    pub(super) fn regroup(&mut self, objective: &Objective) {
        self.bound.iter_mut().for_each(|series| series.group = objective.group_of(&series.labels));
    }

    /// Frees the position of a series; what was last seen of it is kept by its labels.
    pub(super) fn retire(&mut self, place: usize) {
        let Some(series) = self.bound.get_mut(place) else { return };
        let labels = std::mem::replace(&mut series.labels, Labels::empty());
        if let Some(cursor) = series.cursor.take() {
            self.dormant.insert(labels, cursor);
        }
        self.vacant.push(place);
    }

    /// Notes the target of a series whose first sample comes at `t`.
    pub(super) fn meet(&mut self, series: usize, t: Timestamp) {
        let first = self.bound.get(series).filter(|series| series.cursor.is_none());
        if let Some(labels) = first.map(|series| series.labels.clone()) {
            self.watch_target(&labels, t);
        }
    }

    /// Notes that the target of this series has been watched since `t`.
    pub(super) fn watch_target(&mut self, labels: &Labels, t: Timestamp) {
        let target = target(labels);
        if let Some(since) = self.targets.get_mut(&target) {
            *since = (*since).min(t);
        } else if self.targets.len() < limits::OBJECTIVE_SERIES_MAX {
            self.targets.insert(target, t);
        }
    }

    /// Takes a sample, adds what it means to `out` and gives the cursor that it replaced. `None` if the
    /// sample means nothing: it is not a finite number, or not newer than the last.
    pub(super) fn take(
        &mut self,
        series: usize,
        sample: Sample,
        at: Timestamp,
        indicator: &Indicator,
        out: &mut Increases,
    ) -> Option<Option<Cursor>> {
        let Series { labels, reading, roles, cursor, origin, .. } = self.bound.get(series)?;
        let (reading, roles, before, origin) = (*reading, *roles, *cursor, *origin);
        if !sample.v.is_finite() || before.is_some_and(|cursor| cursor.t >= sample.t) {
            return None;
        }
        if let Indicator::Threshold { op, bound, .. } = indicator {
            let bad = if op.holds(sample.v, *bound) { 0.0 } else { 1.0 };
            add(out, sample.t, bad, Roles { part: Some(1.0), total: None });
            add(out, sample.t, 1.0, Roles { part: None, total: Some(1.0) });
        } else if reading == Reading::Each {
            add(out, sample.t, sample.v.max(0.0), roles);
        } else if reading == Reading::One {
            add(out, sample.t, 1.0, roles);
        } else {
            match before {
                // A counter that fell was reset: everything it shows came after.
                Some(last) => {
                    let more = if sample.v < last.v { sample.v } else { sample.v - last.v };
                    spread(out, last.t, sample.t, more, roles);
                }
                // Born: its target was watched before, so the counter stood at nothing until now.
                // Otherwise we are new to the target, and the value is where we begin.
                None if origin == Origin::Log
                    && self.targets.get(&target(labels)).is_some_and(|since| *since < sample.t) =>
                {
                    add(out, sample.t, sample.v.max(0.0), roles);
                }
                None => {
                    out.at(sample.t);
                }
            }
        }
        self.bound[series].cursor = Some(Cursor { t: sample.t, v: sample.v, seen_at: at });
        Some(before)
    }

    /// Forgets series that were not seen since `before`, and those seen longest ago if there are too many; then
    /// targets of which nothing else is known. To be called at instants that follow from the log.
    pub(super) fn forget(&mut self, before: Timestamp) {
        let before = self.newest_to_forget().map_or(before, |most| most.max(before));
        let is_old = |cursor: &Cursor| cursor.seen_at <= before;
        self.dormant.retain(|_, cursor| !is_old(cursor));
        self.dormant.shrink_to(self.dormant.len() * 2);
        for series in self.bound.iter_mut().filter(|series| series.cursor.as_ref().is_some_and(is_old)) {
            // As if the store had retired it, and it came back.
            (series.cursor, series.origin) = (None, Origin::Log);
        }
        let seen = self.bound.iter().filter(|series| series.cursor.is_some()).map(|series| &series.labels);
        let known: HashSet<Labels> = seen.chain(self.dormant.keys()).map(target).collect();
        self.targets.retain(|target, since| *since > before || known.contains(target));
        self.targets.shrink_to(self.targets.len() * 2);
    }

    /// If more series are known than may be: up to when those are seen that must go.
    fn newest_to_forget(&self) -> Option<Timestamp> {
        let bound = self.bound.iter().filter_map(|series| series.cursor);
        let mut seen: Vec<_> = bound.chain(self.dormant.values().copied()).map(|cursor| cursor.seen_at).collect();
        let excess = seen.len().checked_sub(limits::OBJECTIVE_SERIES_MAX).filter(|excess| *excess > 0)?;
        Some(*seen.select_nth_unstable(excess - 1).1)
    }

    /// How many series of each group are known.
    pub(super) fn by_group(&self, objective: &Objective) -> HashMap<Labels, usize> {
        let bound = self.bound.iter().filter(|series| series.cursor.is_some()).map(|series| series.group.clone());
        let mut counts = HashMap::new();
        for group in bound.chain(self.dormant.keys().map(|labels| objective.group_of(labels))) {
            *counts.entry(group).or_insert(0) += 1;
        }
        counts
    }

    /// How many series are known, seen lately or not.
    pub(super) fn len(&self) -> usize {
        self.bound.len() - self.vacant.len() + self.dormant.len()
    }

    /// Every cursor with its labels, sorted, for saving.
    pub(super) fn cursors(&self) -> Vec<(&Labels, Cursor)> {
        let bound = self.bound.iter().filter_map(|series| Some((&series.labels, series.cursor?)));
        let mut all: Vec<_> = bound.chain(self.dormant.iter().map(|(labels, cursor)| (labels, *cursor))).collect();
        all.sort_unstable_by(|a, b| a.0.as_text().cmp(b.0.as_text()));
        all
    }
}

/// Whether an indicator reads a series.
pub(super) fn selects(indicator: &Indicator, labels: &Labels) -> bool {
    indicator.readings().into_iter().any(|reading| roles(indicator, labels, reading).is_some())
}

/// Which side of the ratio a series feeds with what is read from it, if any.
fn roles(indicator: &Indicator, labels: &Labels, reading: Reading) -> Option<Roles> {
    let roles = match indicator {
        Indicator::Ratio { good: part, total } | Indicator::ErrorRatio { errors: part, total } => {
            Roles { part: part.weight(labels, reading), total: total.weight(labels, reading) }
        }
        Indicator::Threshold { gauge, .. } => {
            let selected = gauge.iter().all(|m| m.matches(labels.get(m.name()))).then_some(1.0);
            Roles { part: selected, total: selected }
        }
        Indicator::Composite(_) => return None,
    };
    (roles.part.is_some() || roles.total.is_some()).then_some(roles)
}

fn target(labels: &Labels) -> Labels {
    labels.filter(|name| name == "job" || name == "instance")
}

/// Adds increases to others.
pub(super) fn join(out: &mut Increases, more: &Increases) {
    more.iter().for_each(|(t, more)| out.add(t, more));
}

fn add(out: &mut Increases, t: Timestamp, more: f64, roles: Roles) {
    let [part, total] = [roles.part, roles.total].map(|weight| more * weight.unwrap_or(0.0));
    out.add(t, Increase { part, total });
}

fn spread(out: &mut Increases, from: Timestamp, to: Timestamp, more: f64, roles: Roles) {
    let gap = to - from;
    if gap <= SPREAD_FROM || more == 0.0 {
        return add(out, to, more, roles);
    }
    // Whole numbers stay whole: the n-th part ends where n/60 of the increase, rounded, is reached.
    let up_to = |n: i64| if n == SPREAD_PARTS { more } else { (more * n as f64 / SPREAD_PARTS as f64).floor() };
    for n in 1..=SPREAD_PARTS {
        let t = Timestamp(from.0 + (i128::from(gap.0) * i128::from(n) / i128::from(SPREAD_PARTS)) as i64);
        let part = up_to(n) - up_to(n - 1);
        if part > 0.0 || n == SPREAD_PARTS {
            add(out, t, part, roles);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Matcher;

    fn bind(set: &mut SeriesSet, indicator: &Indicator, labels: &Labels, origin: Origin) -> Option<usize> {
        let objective = Objective::new("s", "o", 0.9, Millis::days(30), indicator.clone());
        set.bind(&objective, labels, Reading::Value, origin)
    }

    fn set() -> (SeriesSet, Indicator) {
        let counter = |name| vec![Matcher::equal("__name__", name)].into();
        let indicator = Indicator::ErrorRatio { errors: counter("errors"), total: counter("total") };
        (SeriesSet::default(), indicator)
    }

    fn labels(name: &str, instance: &str) -> Labels {
        Labels::new([("__name__", name), ("instance", instance)]).unwrap()
    }

    fn total(set: &mut SeriesSet, indicator: &Indicator, series: usize, t: i64, v: f64) -> f64 {
        let mut out = Increases::default();
        set.take(series, Sample { t: Timestamp(t), v }, Timestamp(t), indicator, &mut out);
        out.iter().map(|(_, increase)| increase.part + increase.total).sum()
    }

    #[test]
    fn increases_are_anchored_and_survive_resets() {
        let (mut set, indicator) = set();
        let series = bind(&mut set, &indicator, &labels("total", "a"), Origin::Log).unwrap();
        set.watch_target(&labels("total", "a"), Timestamp(1000));
        for (t, v, expected) in [
            (1000, 1_000_000.0, 0.0),
            (2000, 1_000_010.0, 10.0),
            (3000, 4.0, 4.0),
            (4000, f64::NAN, 0.0),
            (5000, 6.0, 2.0),
            (5000, 9.0, 0.0),
            (4500, 5.0, 0.0),
        ] {
            assert_eq!(total(&mut set, &indicator, series, t, v), expected, "{t} {v}");
        }
    }

    #[test]
    fn a_series_born_under_watch_counts_from_nothing() {
        let (mut set, indicator) = set();
        let all = bind(&mut set, &indicator, &labels("total", "a"), Origin::Log).unwrap();
        set.watch_target(&labels("total", "a"), Timestamp(1000));
        assert_eq!(total(&mut set, &indicator, all, 1000, 50.0), 0.0);
        let errors = bind(&mut set, &indicator, &labels("errors", "a"), Origin::Log).unwrap();
        assert_eq!(total(&mut set, &indicator, errors, 2000, 3.0), 3.0);
        // A target that is met for the first time may have counted for years.
        let other = bind(&mut set, &indicator, &labels("errors", "b"), Origin::Log).unwrap();
        set.watch_target(&labels("errors", "b"), Timestamp(2000));
        assert_eq!(total(&mut set, &indicator, other, 2000, 700.0), 0.0);
        assert_eq!(bind(&mut set, &indicator, &labels("other", "b"), Origin::Log), None);
        // Nor does one that the store knew before count from nothing.
        let old = Labels::new([("__name__", "errors"), ("instance", "a"), ("code", "500")]).unwrap();
        let old = bind(&mut set, &indicator, &old, Origin::Store).unwrap();
        assert_eq!(total(&mut set, &indicator, old, 3000, 700.0), 0.0);
        assert_eq!(total(&mut set, &indicator, old, 4000, 701.0), 1.0);
    }

    #[test]
    fn a_long_gap_is_spread_and_adds_up() {
        let (mut set, indicator) = set();
        let series = bind(&mut set, &indicator, &labels("total", "a"), Origin::Log).unwrap();
        let mut out = Increases::default();
        for (t, v) in [(0, 0.0), (7_200_000, 601.0)] {
            set.take(series, Sample { t: Timestamp(t), v }, Timestamp(t), &indicator, &mut out);
        }
        assert_eq!(out.iter().map(|(_, i)| i.total).sum::<f64>(), 601.0);
        let first_hour = out.iter().filter(|(t, _)| *t <= Timestamp(3_600_000));
        assert_eq!(first_hour.map(|(_, i)| i.total).sum::<f64>(), 300.0);
    }
}
