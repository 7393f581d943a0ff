//! Budgets of time slices: what counts is not the event but the slice of time in which it lies.
//!
//! Invariants:
//! - A slice counts when it is over and everything of it was heard; what comes later amends it, as long as it is
//!   remembered.
//! - A slice without input counts for nothing, neither good nor bad. One in which nothing happened is good, by
//!   ratio-slices nothing: there is no ratio.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::limits;
use crate::model::{Millis, Timestamp};

use super::history::Counts;

/// What is counted where no slices are, in the plural.
pub const EVENTS: &str = "events";

/// What a budget is made of.
///
/// Source: OpenSLO, `budgetingMethod`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// Of events: each bad one spends.
    Occurrences,
    /// Of slices of time: one is bad if less than this share of its events is good.
    Timeslices {
        /// The length of a slice.
        width: Millis,
        /// The share of good events that a good slice has at least.
        target: f64,
    },
    /// Of slices of time: each spends its share of bad events, however many they were.
    RatioTimeslices {
        /// The length of a slice.
        width: Millis,
    },
}

impl Method {
    /// The length of its slices, if it has slices.
    pub fn width(self) -> Option<Millis> {
        match self {
            Method::Occurrences => None,
            Method::Timeslices { width, .. } | Method::RatioTimeslices { width } => Some(width),
        }
    }

    /// What is counted, in the plural: `events`, `slices of 1m`.
    pub fn units(self) -> String {
        self.width().map_or_else(|| EVENTS.to_owned(), |width| format!("slices of {width}"))
    }

    /// What a slice counts with these events.
    fn worth(self, counts: Counts) -> Counts {
        let ratio = counts.kept().ratio();
        match (self, ratio) {
            (Method::Occurrences, _) => counts,
            (Method::Timeslices { target, .. }, ratio) => {
                // 1 - 0.95 is 0.050000000000000044; a slice that meets its target exactly is good.
                let bad = ratio.is_some_and(|ratio| ratio > 1.0 - target + 1e-12);
                Counts { bad: f64::from(u8::from(bad)), total: 1.0 }
            }
            (Method::RatioTimeslices { .. }, Some(ratio)) => Counts { bad: ratio, total: 1.0 },
            (Method::RatioTimeslices { .. }, None) => Counts::default(),
        }
    }
}

/// One slice of time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Slice {
    /// Its events.
    pub(super) events: Counts,
    /// What has been counted of it, once it was over.
    pub(super) counted: Option<Counts>,
}

/// The slices of one objective that can still change.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Slices {
    /// By their number since the epoch.
    pub(super) known: BTreeMap<i64, Slice>,
    /// Those to count, or to count anew.
    pub(super) changed: BTreeSet<i64>,
}

/// The slice in which an event at `t` lies: it begins behind its first instant and includes its last.
fn number(t: Timestamp, width: Millis) -> i64 {
    t.0.saturating_sub(1).div_euclid(width.0)
}

fn end(number: i64, width: Millis) -> Timestamp {
    Timestamp(number.saturating_add(1).saturating_mul(width.0))
}

impl Slices {
    /// Notes events; those of a slice that is forgotten count no more.
    pub(super) fn add(&mut self, t: Timestamp, more: Counts, width: Millis) {
        let number = number(t, width);
        let full = self.known.len() >= limits::OBJECTIVE_SLICES_MAX;
        if full && self.known.first_key_value().is_some_and(|(oldest, _)| number < *oldest) {
            return;
        }
        self.known.entry(number).or_default().events.add(more);
        self.changed.insert(number);
    }

    /// Counts the slices that end by `until`; gives each change with the instant at which it counts.
    pub(super) fn close(&mut self, until: Timestamp, method: Method) -> Vec<(Timestamp, Counts)> {
        let Some(width) = method.width() else { return Vec::new() };
        let mut out = Vec::new();
        while let Some(number) = self.changed.first().copied().filter(|number| end(*number, width) <= until) {
            self.changed.remove(&number);
            let Some(slice) = self.known.get_mut(&number) else { continue };
            let (worth, before) = (method.worth(slice.events), slice.counted.unwrap_or_default());
            if slice.counted.is_none() || worth != before {
                out.push((
                    end(number, width),
                    Counts { bad: worth.bad - before.bad, total: worth.total - before.total },
                ));
            }
            slice.counted = Some(worth);
        }
        while self.known.len() > limits::OBJECTIVE_SLICES_MAX
            && self.known.first_key_value().is_some_and(|(number, _)| !self.changed.contains(number))
        {
            self.known.pop_first();
        }
        out
    }

    /// When the first slice that is to be counted ends.
    pub(super) fn next_end(&self, method: Method) -> Option<Timestamp> {
        Some(end(*self.changed.first()?, method.width()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Millis = Millis::minutes(1);

    fn counts(bad: f64, total: f64) -> Counts {
        Counts { bad, total }
    }

    #[test]
    fn a_slice_is_judged_as_a_whole() {
        let check =
            |method: Method, events, expected| assert_eq!(method.worth(events), expected, "{method:?} {events:?}");
        let slices = Method::Timeslices { width: MINUTE, target: 0.95 };
        check(slices, counts(5.0, 100.0), counts(0.0, 1.0));
        check(slices, counts(6.0, 100.0), counts(1.0, 1.0));
        check(slices, counts(0.0, 0.0), counts(0.0, 1.0));
        let ratio = Method::RatioTimeslices { width: MINUTE };
        check(ratio, counts(6.0, 24.0), counts(0.25, 1.0));
        check(ratio, counts(0.0, 0.0), counts(0.0, 0.0));
    }

    #[test]
    fn slices_count_when_they_are_over_and_are_amended() {
        let method = Method::Timeslices { width: MINUTE, target: 0.9 };
        let mut slices = Slices::default();
        slices.add(Timestamp(30_000), counts(0.0, 10.0), MINUTE);
        // The last instant of a slice belongs to it.
        slices.add(Timestamp(60_000), counts(0.0, 10.0), MINUTE);
        slices.add(Timestamp(60_001), counts(9.0, 10.0), MINUTE);
        assert_eq!(slices.next_end(method), Some(Timestamp(60_000)));
        assert_eq!(slices.close(Timestamp(59_999), method), []);
        assert_eq!(slices.close(Timestamp(60_000), method), [(Timestamp(60_000), counts(0.0, 1.0))]);
        assert_eq!(slices.close(Timestamp(120_000), method), [(Timestamp(120_000), counts(1.0, 1.0))]);
        slices.add(Timestamp(40_000), counts(5.0, 5.0), MINUTE);
        assert_eq!(slices.close(Timestamp(120_000), method), [(Timestamp(60_000), counts(1.0, 0.0))]);
        slices.add(Timestamp(41_000), counts(0.0, 75.0), MINUTE);
        assert_eq!(slices.close(Timestamp(120_000), method), [(Timestamp(60_000), counts(-1.0, 0.0))]);
        assert_eq!(slices.next_end(method), None);
    }
}
