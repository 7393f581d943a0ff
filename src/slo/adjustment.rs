//! Times in which events do not count: maintenance, by agreement.
//!
//! Invariants:
//! - An event does not count if it lies within an adjustment by its own time, whenever it comes; one at the very
//!   beginning still does, because an increase lies before the sample that shows it.
//! - What did not count is not lost: it is kept with the adjustment that it fell into.

use std::collections::BTreeMap;

use crate::model::limits;
use crate::model::{Millis, TimeRange, Timestamp};

use super::history::Counts;
use super::schedule::Schedule;

/// Spans are looked up for so long at once.
const LOOKED_UP: Millis = Millis::days(8);

/// A time, once or again and again, in which events of an objective do not count.
#[derive(Debug, Clone, PartialEq)]
pub struct Adjustment {
    /// What happens then, for people.
    pub name: String,
    /// When.
    pub schedule: Schedule,
}

/// What did not count within one span of an adjustment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Excluded {
    pub(super) until: Timestamp,
    pub(super) name: String,
    pub(super) counts: Counts,
}

/// The adjustments of one objective as time goes by.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Exclusions {
    /// By when each span began; of two that overlap the earlier one takes the events.
    pub(super) taken: BTreeMap<Timestamp, Excluded>,
    /// The spans around the last event, by which adjustment they are, and for which time they are known.
    near: Vec<(Timestamp, Timestamp, usize)>,
    known: Option<TimeRange>,
}

impl Exclusions {
    /// Takes events if they do not count; says whether it did.
    pub(super) fn take(&mut self, adjustments: &[Adjustment], t: Timestamp, more: Counts) -> bool {
        if adjustments.is_empty() {
            return false;
        }
        if !self.known.is_some_and(|known| known.contains(t)) {
            let range = TimeRange { after: t - Millis(1) - LOOKED_UP, until: t + LOOKED_UP };
            self.near = spans(adjustments, range);
            self.known = Some(range);
        }
        let Some((from, until, n)) = self.near.iter().find(|(from, until, _)| *from < t && t <= *until) else {
            return false;
        };
        let (until, name) = (*until, adjustments[*n].name.clone());
        let excluded = self.taken.entry(*from).or_insert(Excluded { until, name, counts: Counts::default() });
        excluded.counts.add(more);
        while self.taken.len() > limits::OBJECTIVE_EXCLUDED_MAX {
            self.taken.pop_first();
        }
        true
    }
}

/// The spans of all adjustments that touch a range, in the order of their beginnings, and whose they are.
pub(super) fn spans(adjustments: &[Adjustment], range: TimeRange) -> Vec<(Timestamp, Timestamp, usize)> {
    let of = |(n, adjustment): (usize, &Adjustment)| {
        let spans = adjustment.schedule.between(range.after, range.until);
        spans.into_iter().map(move |(from, until)| (from, until, n))
    };
    let mut all: Vec<_> = adjustments.iter().enumerate().flat_map(of).collect();
    all.sort_unstable();
    all
}
