//! For how much of the time an objective was measured.
//!
//! Invariants:
//! - It is told by the samples' own times: one stands for the interval before it, as long as that was learned when it came.
//!   What comes late fills what was missing.
//! - Before the first sample nothing is expected. From then on everything is, also while the program does not run.
//! - At most so many spans are kept, for as long as the budget looks back. With more, the older ones are joined in pairs: how
//!   much is missing stays exact, when it was does not.

use std::collections::VecDeque;

use crate::model::limits;
use crate::model::{Millis, Timestamp};

use super::objective::Objective;
use super::watch::Watch;

/// Which share of two spans of time an objective was measured; of both the time before its first sample does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeCoverage {
    /// Of the budget's window, or of the present period.
    pub window: MeasuredTime,
    /// Of the last day.
    pub day: MeasuredTime,
}

/// How much of a span was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeasuredTime {
    /// The time that samples stand for.
    pub measured: Millis,
    /// The time that they should stand for. Positive.
    pub expected: Millis,
}

impl MeasuredTime {
    /// The share that was measured.
    pub fn share(&self) -> f64 {
        self.measured.0 as f64 / self.expected.0 as f64
    }
}

/// A left-open span.
pub(super) type Span = (Timestamp, Timestamp);

/// The times at which samples were missing.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Presence {
    /// The time of the first sample.
    pub(super) first: Option<Timestamp>,
    /// The time of the newest.
    pub(super) newest: Option<Timestamp>,
    /// Between both, in order: spans for which no sample stands.
    pub(super) missing: VecDeque<Span>,
}

impl Presence {
    /// Of an objective of which nothing is known but its newest sample.
    pub(super) fn since(newest: Option<Timestamp>) -> Presence {
        Presence { first: newest, newest, missing: VecDeque::new() }
    }

    /// Notes a sample. What lies further back than `reach` is forgotten.
    pub(super) fn note(&mut self, t: Timestamp, interval: Option<Millis>, reach: Millis) {
        let (Some(first), Some(newest)) = (self.first, self.newest) else {
            *self = Presence::since(Some(t));
            return;
        };
        if t > newest {
            self.newest = Some(t);
            self.missing.extend(interval.and_then(|interval| unseen(newest, t, interval)));
            self.limit(t - reach);
        } else if t < first {
            self.first = Some(t);
            if let Some(span) = interval.and_then(|interval| unseen(t, first, interval)) {
                self.missing.push_front(span);
            }
            self.limit(newest - reach);
        } else if let Some(interval) = interval
            && !self.missing.is_empty()
        {
            self.fill(t, interval);
        }
    }

    /// Takes out what a sample stands for that comes after later ones.
    fn fill(&mut self, t: Timestamp, interval: Millis) {
        let at = self.missing.partition_point(|(_, until)| *until <= t - interval);
        let Some((from, until)) = self.missing.get(at).copied().filter(|(from, _)| *from < t) else { return };
        let after = (until > t && until - t > Millis(interval.0 / 2)).then_some((t, until));
        self.missing.remove(at);
        for span in after.into_iter().chain(unseen(from, t, interval)) {
            self.missing.insert(at, span);
        }
    }

    fn limit(&mut self, since: Timestamp) {
        while self.missing.front().is_some_and(|(_, until)| *until <= since) {
            self.missing.pop_front();
        }
        if self.missing.len() > limits::OBJECTIVE_MISSING_MAX {
            let newer = self.missing.split_off(self.missing.len() / 2);
            let mut older = std::mem::take(&mut self.missing).into_iter();
            while let Some((from, until)) = older.next() {
                let joined = older.next().map_or((from, until), |(begin, end)| (begin - (until - from), end));
                self.missing.push_back(joined);
            }
            self.missing.extend(newer);
        }
    }

    /// What another one knows of the time up to `until`, which lies before all that is known here.
    pub(super) fn carried_over(other: &Presence, until: Timestamp) -> Presence {
        let Some(first) = other.first.filter(|first| *first <= until) else { return Presence::default() };
        let missing = other.missing.iter().filter(|(from, _)| *from < until);
        Presence {
            first: Some(first),
            newest: other.newest.map(|newest| newest.min(until)),
            missing: missing.map(|(from, end)| (*from, (*end).min(until))).collect(),
        }
    }

    /// What is missing of the time after `after`; `silent` is the time since the newest sample, if that means something.
    fn missing_since(&self, after: Timestamp, silent: Option<Span>) -> Vec<Span> {
        let known = self.missing.iter().rev().take_while(|(_, until)| *until > after);
        let mut spans: Vec<Span> = known.map(|(from, until)| ((*from).max(after), *until)).collect();
        spans.reverse();
        spans.extend(silent.map(|(from, until)| (from.max(after), until)).filter(|(from, until)| from < until));
        spans
    }
}

/// The share of an objective's window, and of the last day, that was measured; `missing` gives what is missing after an instant.
pub(super) fn time_coverage(
    objective: &Objective,
    first: Timestamp,
    at: Timestamp,
    missing: impl Fn(Timestamp) -> Vec<Span>,
) -> Option<TimeCoverage> {
    let of = |begin: Timestamp| {
        let begin = begin.max(first);
        measured(begin, at, missing(begin))
    };
    let begin = objective.calendar.as_ref().map_or(at - objective.window, |calendar| calendar.period(at).0);
    Some(TimeCoverage { window: of(begin)?, day: of(at - Millis::days(1))? })
}

impl Watch {
    /// How much of the time it was measured, as far as is known; of a group nothing is.
    pub(super) fn time_coverage(&self, at: Timestamp) -> Option<TimeCoverage> {
        time_coverage(&self.objective, self.presence.first?, at, |begin| self.missing(begin, at))
    }

    /// For which times after `begin` and up to `at` no sample stands.
    pub(super) fn missing(&self, begin: Timestamp, at: Timestamp) -> Vec<Span> {
        let silent = self.presence.newest.zip(self.input.interval()).filter(|_| self.input.stale(at));
        self.presence.missing_since(begin, silent.map(|(newest, interval)| (newest, at - interval)))
    }
}

/// What is missing between two samples; nothing if the second is late by less than half an interval.
fn unseen(before: Timestamp, next: Timestamp, interval: Millis) -> Option<Span> {
    let late = (next - before) - interval;
    (late > Millis(interval.0 / 2)).then(|| (before, next - interval))
}

/// How much of the time from `begin` to `at` was measured, of which these spans are missing, in any order.
fn measured(begin: Timestamp, at: Timestamp, mut missing: Vec<Span>) -> Option<MeasuredTime> {
    let expected = at - begin;
    if expected <= Millis::ZERO {
        return None;
    }
    missing.sort_unstable();
    let (mut covered_until, mut sum) = (begin, 0);
    for (from, until) in missing {
        let (from, until) = (from.max(covered_until), until.min(at));
        if from < until {
            sum += (until - from).0;
            covered_until = until;
        }
    }
    Some(MeasuredTime { measured: Millis(expected.0 - sum), expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REACH: Millis = Millis::days(30);
    const EVERY: Option<Millis> = Some(Millis::seconds(10));

    fn t(s: i64) -> Timestamp {
        Timestamp(s * 1000)
    }

    fn noted(times: impl IntoIterator<Item = i64>) -> Presence {
        let mut presence = Presence::default();
        times.into_iter().for_each(|s| presence.note(t(s), EVERY, REACH));
        presence
    }

    fn spans(presence: &Presence) -> Vec<(i64, i64)> {
        presence.missing.iter().map(|(from, until)| (from.0 / 1000, until.0 / 1000)).collect()
    }

    #[test]
    fn a_sample_stands_for_the_interval_before_it() {
        let check = |times: &[i64], expected: &[(i64, i64)]| {
            assert_eq!(spans(&noted(times.iter().copied())), expected, "{times:?}");
        };
        check(&[0, 10, 20, 35, 50], &[]);
        check(&[0, 10, 26, 36], &[(10, 16)]);
        check(&[0, 100, 110, 300], &[(0, 90), (110, 290)]);
        // What comes late fills its place, in whatever order.
        check(&[0, 100, 10, 20, 30, 40, 50, 60, 70, 80, 90], &[]);
        check(&[0, 100, 90, 80, 70, 60, 50, 40, 30, 20, 10], &[]);
        check(&[0, 100, 50], &[(0, 40), (50, 90)]);
        check(&[0, 100, 50, 50, 200, 45], &[(0, 35), (50, 90), (100, 190)]);
        check(&[100, 0], &[(0, 90)]);
        check(&[100, 0, 91], &[(0, 81)]);
    }

    #[test]
    fn times_in_any_order_mean_the_same() {
        // Whole intervals, so that nothing is rounded off.
        let times = [0, 1, 2, 5, 6, 9, 15, 16, 30].map(|n| n * 10);
        let expected = spans(&noted(times));
        assert_eq!(expected, [(20, 40), (60, 80), (90, 140), (160, 290)]);
        for turn in 0..times.len() {
            for step in [1, 2, 4, 5, 7, 8] {
                let order = (0..times.len()).map(|n| times[(turn + n * step) % times.len()]);
                assert_eq!(spans(&noted(order.clone())), expected, "{:?}", order.collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn the_first_samples_teach_the_interval_before_any_is_missed() {
        let mut presence = Presence::default();
        presence.note(t(0), None, REACH);
        presence.note(t(100), None, REACH);
        assert_eq!(spans(&presence), []);
        assert_eq!(measured(t(0), t(100), Vec::new()).map(|time| time.share()), Some(1.0));
        assert_eq!(measured(t(100), t(100), Vec::new()), None);
    }

    #[test]
    fn spans_that_overlap_are_missing_once() {
        let of = |missing: &[(i64, i64)]| {
            let missing = missing.iter().map(|(from, until)| (t(*from), t(*until))).collect();
            measured(t(100), t(200), missing).unwrap().measured.as_seconds()
        };
        assert_eq!(of(&[]), 100.0);
        assert_eq!(of(&[(0, 110), (120, 130), (125, 140), (126, 127), (190, 300)]), 60.0);
        assert_eq!(of(&[(0, 300)]), 0.0);
    }

    #[test]
    fn with_more_spans_than_are_kept_what_is_missing_still_adds_up() {
        let most = limits::OBJECTIVE_MISSING_MAX as i64;
        let presence = noted((0..=3 * most).map(|n| n * 100));
        assert!(presence.missing.len() <= limits::OBJECTIVE_MISSING_MAX);
        let end = t(3 * most * 100);
        let all = measured(t(0), end, presence.missing_since(t(0), None)).unwrap();
        assert_eq!((all.measured, all.expected), (Millis::seconds(3 * most * 10), end - t(0)));
        // Of the last ones it is known when they were.
        let last = measured(t((3 * most - 10) * 100), end, presence.missing_since(t((3 * most - 10) * 100), None));
        assert_eq!(last.unwrap().measured, Millis::seconds(100));
        // And what no window reaches is forgotten.
        let mut presence = presence;
        presence.note(end + REACH + Millis::hours(1), EVERY, REACH);
        assert_eq!(presence.missing.len(), 1);
    }

    #[test]
    fn what_was_known_of_earlier_times_goes_on() {
        let old = noted([0, 10, 100, 110]);
        let mut new = Presence::carried_over(&old, t(50));
        assert_eq!((spans(&new), new.first, new.newest), (vec![(10, 50)], Some(t(0)), Some(t(50))));
        new.note(t(60), EVERY, REACH);
        assert_eq!(spans(&new), [(10, 50)]);
        assert_eq!(Presence::carried_over(&old, t(-1)), Presence::default());
        assert_eq!(spans(&Presence::carried_over(&old, t(500))), [(10, 90)]);
    }
}
