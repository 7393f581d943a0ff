//! Cumulative counts over time, at a resolution that fades with age.
//!
//! Invariants:
//! - Every count is cumulative, so that a window is a difference of two of them.
//! - Each tier keeps at most one point for each step of its resolution, for its span; a window
//!   reaches back at most one step further than asked.
//! - Whole numbers stay exact up to 2^53; the order of arrival is the order of addition, so a
//!   replay gives the same bits.

use std::collections::VecDeque;

use crate::model::limits;
use crate::model::{Millis, Timestamp};

/// Points of the coarsest tier that may lie before a window that ends now.
const MARGIN: usize = 4;

/// Bad events and all events, as counts or as increases.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Counts {
    pub(super) bad: f64,
    pub(super) total: f64,
}

impl Counts {
    pub(super) fn add(&mut self, more: Counts) {
        self.bad += more.bad;
        self.total += more.total;
    }

    /// The same where counters of good and of all disagree by a few: a share stays within 0..=1.
    pub(super) fn kept(self) -> Counts {
        let total = self.total.max(0.0);
        Counts { bad: self.bad.clamp(0.0, total), total }
    }

    pub(super) fn plus(self, more: Counts) -> Counts {
        Counts { bad: self.bad + more.bad, total: self.total + more.total }
    }

    fn since(self, earlier: Counts) -> Counts {
        Counts { bad: self.bad - earlier.bad, total: self.total - earlier.total }.kept()
    }

    /// The share of bad events; without any event there is none.
    pub(super) fn ratio(self) -> Option<f64> {
        (self.total > 0.0).then(|| self.bad / self.total)
    }
}

/// The cumulative counts up to and including an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) t: Timestamp,
    pub(super) sum: Counts,
}

/// One resolution.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tier {
    pub(super) step: Millis,
    pub(super) span: Millis,
    /// The newest point that has left, once one has.
    pub(super) floor: Option<Point>,
    pub(super) points: VecDeque<Point>,
}

impl Tier {
    fn new(step: Millis, span: Millis) -> Tier {
        Tier { step, span, floor: None, points: VecDeque::new() }
    }

    fn bucket(&self, t: Timestamp) -> i64 {
        t.0.div_euclid(self.step.0)
    }

    fn add(&mut self, t: Timestamp, more: Counts) {
        // A late event belongs into every later sum as well. Late ones are few and rarely late by much.
        let mut place = self.points.len();
        while place > 0 && self.points[place - 1].t > t {
            self.points[place - 1].sum.add(more);
            place -= 1;
        }
        let bucket = self.bucket(t);
        if self.points.get(place).is_some_and(|next| self.bucket(next.t) == bucket) {
            return;
        }
        if place > 0 && self.bucket(self.points[place - 1].t) == bucket {
            let last = &mut self.points[place - 1];
            last.t = t;
            last.sum.add(more);
            return;
        }
        let mut sum = match (place, &mut self.floor) {
            (0, Some(floor)) if floor.t >= t => {
                floor.sum.add(more);
                return;
            }
            (0, Some(floor)) => floor.sum,
            (0, None) => Counts::default(),
            (n, _) => self.points[n - 1].sum,
        };
        sum.add(more);
        if self.points.len() == self.points.capacity() {
            // Doubling would leave up to half of a month's points empty.
            self.points.reserve_exact(self.points.len() / 8 + 16);
        }
        self.points.insert(place, Point { t, sum });
        self.forget();
    }

    fn forget(&mut self) {
        let Some(newest) = self.points.back().map(|point| point.t) else { return };
        while self.points.front().is_some_and(|first| first.t < newest - self.span) {
            self.floor = self.points.pop_front();
        }
    }

    /// Whether the sum at `t` is still known here.
    fn reaches(&self, t: Timestamp) -> bool {
        self.floor.is_none_or(|floor| floor.t <= t)
    }

    /// How many points lie up to an instant.
    fn up_to(&self, t: Timestamp) -> usize {
        // The edge of the whole window lies within the margin: of thousands of points, each that is looked at has to come
        // from memory.
        if self.points.get(MARGIN).is_none_or(|point| point.t > t) {
            return self.points.iter().take(MARGIN).take_while(|point| point.t <= t).count();
        }
        self.points.partition_point(|point| point.t <= t)
    }

    fn at(&self, t: Timestamp) -> Counts {
        // Nearly always it is asked for now.
        if let Some(last) = self.points.back().filter(|last| last.t <= t) {
            return last.sum;
        }
        match self.up_to(t) {
            0 => self.floor.map_or(Counts::default(), |floor| floor.sum),
            n => self.points[n - 1].sum,
        }
    }
}

/// The counts of one objective.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct History {
    /// From fine to coarse.
    pub(super) tiers: Vec<Tier>,
    pub(super) now: Counts,
    /// The first instant from which on events are counted.
    pub(super) first: Option<Timestamp>,
    /// The exact counts up to the last edges of the calendar, oldest first.
    pub(super) edges: VecDeque<Point>,
}

impl History {
    /// A history for windows up to `window`: every second for ten minutes, every five for two
    /// hours, every minute for three days, every ten minutes (or a 4320th) for the rest; each
    /// with a margin, so that a window's far edge is still inside. About 11,000 points of 24 bytes
    /// for an objective over 30 days whose input comes every second.
    pub(super) fn new(window: Millis) -> History {
        let coarse = Millis((window.0 / 4320).max(Millis::minutes(10).0));
        let tiers = [
            (Millis::seconds(1), Millis::minutes(11)),
            (Millis::seconds(5), Millis::minutes(130)),
            (Millis::minutes(1), Millis::hours(3 * 24 + 2)),
            (coarse, Millis(i64::MAX)),
        ];
        let most = window + coarse + coarse;
        let mut tiers: Vec<Tier> = tiers.into_iter().map(|(step, span)| Tier::new(step, span.min(most))).collect();
        // A tier that spans the whole window makes coarser ones pointless.
        if let Some(enough) = tiers.iter().position(|tier| tier.span >= most) {
            tiers.truncate(enough + 1);
        }
        History { tiers, now: Counts::default(), first: None, edges: VecDeque::new() }
    }

    /// Notes that events are counted from `t` on, even if none happened yet.
    pub(super) fn begin(&mut self, t: Timestamp) {
        self.first = Some(self.first.map_or(t, |first| first.min(t)));
    }

    /// Counts events at `t`.
    pub(super) fn add(&mut self, t: Timestamp, more: Counts) {
        self.begin(t);
        if more == Counts::default() {
            return;
        }
        self.now.add(more);
        // An event that comes late belongs before the edges behind it.
        self.edges.iter_mut().rev().take_while(|edge| edge.t >= t).for_each(|edge| edge.sum.add(more));
        for tier in &mut self.tiers {
            tier.add(t, more);
        }
    }

    fn sum_at(&self, t: Timestamp) -> Counts {
        let tier = self.tiers.iter().find(|tier| tier.reaches(t)).or(self.tiers.last());
        tier.map_or(Counts::default(), |tier| tier.at(t))
    }

    /// The events of the left-open window that ends at `until`.
    pub(super) fn window(&self, until: Timestamp, length: Millis) -> Counts {
        self.sum_at(until).since(self.sum_at(until - length))
    }

    /// The events from one instant to another, both included, and what the resolution does not tell from them.
    pub(super) fn covering(&self, from: Timestamp, until: Timestamp) -> Counts {
        let before = self.sum_at(Timestamp(from.0 - 1));
        let tier = self.tiers.iter().find(|tier| tier.reaches(until)).or(self.tiers.last());
        let upto = tier.and_then(|tier| tier.points.get(tier.points.partition_point(|point| point.t < until)));
        upto.map_or(self.now, |point| point.sum).since(before)
    }

    /// The instant for which the sum that is known at `t` is exact: `t`, or the end of the step before if what came
    /// around `t` is kept as one.
    pub(super) fn edge(&self, t: Timestamp) -> Timestamp {
        let tier = self.tiers.iter().find(|tier| tier.reaches(t)).or(self.tiers.last());
        let merged = tier.filter(|tier| {
            let next = tier.points.get(tier.points.partition_point(|point| point.t <= t));
            next.is_some_and(|next| tier.bucket(next.t) == tier.bucket(t))
        });
        merged.map_or(t, |tier| Timestamp(tier.bucket(t) * tier.step.0 - 1))
    }

    /// The shortest window of at least `least` that holds so many events; `most` if none up to that does.
    pub(super) fn holding(&self, until: Timestamp, events: f64, least: Millis, most: Millis) -> Millis {
        if self.window(until, least).total >= events {
            return least;
        }
        let before = self.sum_at(until).total - events;
        let edge = self.tiers.iter().find_map(|tier| {
            let after = tier.points.partition_point(|point| point.sum.total <= before);
            tier.points.get(after.checked_sub(1)?).map(|point| point.t)
        });
        edge.map_or(most, |edge| (until - edge).clamp(least, most.max(least)))
    }

    /// Keeps the counts up to an edge of the calendar: exactly, if nothing behind it is counted yet.
    pub(super) fn mark(&mut self, edge: Timestamp) {
        let newest = self.tiers.iter().filter_map(|tier| tier.points.back()).map(|point| point.t).max();
        let sum = if newest.is_none_or(|newest| newest <= edge) { self.now } else { self.sum_at(edge) };
        self.edges.push_back(Point { t: edge, sum });
        if self.edges.len() > limits::OBJECTIVE_EDGES_MAX {
            self.edges.pop_front();
        }
    }

    /// The events since an edge of the calendar: exactly, if the edge was kept.
    pub(super) fn since_edge(&self, edge: Timestamp, until: Timestamp) -> Counts {
        let kept = self.edges.iter().rev().find(|kept| kept.t == edge).map(|kept| kept.sum);
        self.sum_at(until).since(kept.unwrap_or_else(|| self.sum_at(edge)))
    }

    /// When the next count leaves a window that ends now, if anything is in it.
    pub(super) fn next_change(&self, length: Millis, now: Timestamp) -> Option<Timestamp> {
        let edge = now - length;
        let tier = self.tiers.iter().find(|tier| tier.reaches(edge)).or(self.tiers.last())?;
        let first = tier.points.partition_point(|point| point.t <= edge);
        tier.points.get(first).map(|point| point.t + length)
    }

    /// If nothing more arrives: the first instant after `after` at which what is left in the window is `low`.
    pub(super) fn sinks(&self, length: Millis, after: Timestamp, low: impl Fn(Counts) -> bool) -> Option<Timestamp> {
        let edge = after - length;
        let tier = self.tiers.iter().find(|tier| tier.reaches(edge)).or(self.tiers.last())?;
        let first = tier.points.partition_point(|point| point.t <= edge);
        let leaving = tier.points.range(first..).find(|point| low(self.now.since(point.sum)));
        leaving.map(|point| point.t + length)
    }

    /// Takes over what another history knows of the time up to `until`.
    pub(super) fn fill_from(&mut self, other: &History, until: Timestamp) {
        // What has left counts in no window any more.
        let floor = other.tiers.last().and_then(|tier| tier.floor);
        let mut last = floor.map_or(Counts::default(), |floor| floor.sum);
        let mut points: Vec<Point> = other.tiers.iter().flat_map(|tier| tier.points.iter().copied()).collect();
        points.sort_by_key(|point| point.t);
        for point in points.into_iter().take_while(|point| point.t <= until) {
            self.add(point.t, Counts { bad: point.sum.bad - last.bad, total: point.sum.total - last.total });
            last = point.sum;
        }
        self.first = other.first.filter(|first| *first <= until);
    }

    /// How many points are held.
    #[cfg(test)]
    fn points(&self) -> usize {
        self.tiers.iter().map(|tier| tier.points.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(bad: f64, total: f64) -> Counts {
        Counts { bad, total }
    }

    #[test]
    fn windows_are_differences_at_every_age() {
        let mut history = History::new(Millis::days(30));
        // One event a second for two days, the first of each minute bad.
        let last = 2 * 86_400;
        for s in 1..=last {
            history.add(Timestamp(s * 1000), counts(if s % 60 == 0 { 1.0 } else { 0.0 }, 1.0));
        }
        let now = Timestamp(last * 1000);
        for (window, step) in [(300, 0), (3600, 5), (7200, 5), (6 * 3600, 60), (86_400, 60)] {
            let got = history.window(now, Millis::seconds(window));
            assert!((got.total - window as f64).abs() <= step as f64, "{window}: {got:?}");
            assert!((got.bad - (window / 60) as f64).abs() <= 1.0, "{window}: {got:?}");
        }
        assert_eq!(history.window(now, Millis::days(30)), counts(2880.0, 172_800.0));
        assert!(history.points() < 661 + 1561 + 4440 + 4350, "{}", history.points());
    }

    #[test]
    fn late_events_count_where_they_belong() {
        let mut history = History::new(Millis::days(30));
        for s in 1..=1000 {
            history.add(Timestamp(s * 1000), counts(0.0, 1.0));
        }
        history.add(Timestamp(500_500), counts(7.0, 7.0));
        let bad = |until: i64, length| history.window(Timestamp(until), Millis::seconds(length)).bad;
        assert_eq!(bad(1_000_000, 499), 0.0);
        assert_eq!(bad(1_000_000, 501), 7.0);
        assert_eq!(bad(500_000, 300), 0.0);
        assert_eq!(history.window(Timestamp(1_000_000), Millis::seconds(100)).total, 100.0);
        // Older than anything that is known: it counts for the whole and for no window.
        history.add(Timestamp(-5_000_000), counts(3.0, 3.0));
        assert_eq!(history.window(Timestamp(1_000_000), Millis::seconds(100)).bad, 0.0);
        assert_eq!(history.window(Timestamp(1_000_000), Millis::days(1)).bad, 10.0);
    }

    #[test]
    fn points_up_to_an_instant_are_found_wherever_it_lies() {
        for points in 0..12 {
            let mut tier = Tier::new(Millis(1), Millis::days(1));
            (1..=points).for_each(|n| tier.add(Timestamp(n * 10), counts(0.0, 1.0)));
            for t in 0..=130 {
                let expected = tier.points.partition_point(|point| point.t <= Timestamp(t));
                assert_eq!(tier.up_to(Timestamp(t)), expected, "{points} points, up to {t}");
            }
        }
    }

    #[test]
    fn a_window_sinks_when_the_failures_leave() {
        let mut history = History::new(Millis::days(30));
        for s in 1..=600 {
            history.add(Timestamp(s * 1000), counts(if s <= 60 { 1.0 } else { 0.0 }, 1.0));
        }
        let low = |left: Counts| left.ratio().is_none_or(|ratio| ratio < 0.01);
        let at = history.sinks(Millis::seconds(600), Timestamp(600_000), low);
        // Below 1 % when 5 of the 545 events left are bad.
        assert_eq!(at, Some(Timestamp(655_000)));
        assert_eq!(history.sinks(Millis::seconds(5000), Timestamp(9_000_000), low), None);
    }
}
