//! How often an objective's input comes, learned, and when its absence means blindness.

use std::collections::VecDeque;

use crate::model::limits;
use crate::model::{Millis, Timestamp};

/// Gaps that are remembered; the median of so many shrugs off a restart or a slow scrape.
const GAPS_MAX: usize = 31;
/// Input that comes many times a second may pause this long without meaning anything.
const STALE_MIN: Millis = Millis::seconds(1);

/// The arrivals of an objective's samples.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Input {
    /// When the last transaction with a sample of it was taken.
    pub(super) last_at: Option<Timestamp>,
    /// Transactions that brought a sample, counted up to two: one proves nothing about the next.
    pub(super) seen: u8,
    /// Times between two arrivals of one series, or between its two samples if that is longer, newest last.
    gaps: VecDeque<Millis>,
    /// Their median: each decision asks for it several times.
    interval: Option<Millis>,
}

impl Input {
    /// What was saved: [`Input::gaps`] last.
    pub(super) fn restored(last_at: Option<Timestamp>, seen: u8, gaps: VecDeque<Millis>) -> Input {
        Input { last_at, seen, interval: median(&gaps), gaps }
    }

    /// Times between two arrivals of one series, newest last.
    pub(super) fn gaps(&self) -> &VecDeque<Millis> {
        &self.gaps
    }

    /// Notes a transaction with input. `gap` is the time since an earlier arrival, or sample, of one of its series:
    /// of one series, so that many targets scraped in turn do not look like one fast target.
    pub(super) fn arrived(&mut self, at: Timestamp, gap: Option<Millis>) {
        self.last_at = Some(self.last_at.map_or(at, |last| last.max(at)));
        self.seen = self.seen.saturating_add(1).min(2);
        if let Some(gap) = gap.filter(|gap| *gap > Millis::ZERO) {
            if self.gaps.len() == GAPS_MAX {
                self.gaps.pop_front();
            }
            self.gaps.push_back(gap);
            self.interval = median(&self.gaps);
        }
    }

    /// The median gap, once there is one.
    pub(super) fn interval(&self) -> Option<Millis> {
        self.interval
    }

    /// Whether two samples have been seen, so that an increase and its absence mean something.
    pub(super) fn proven(&self) -> bool {
        self.seen >= 2 && !self.gaps.is_empty()
    }

    /// The instant from which on silence is blindness: after three missed arrivals, at least a second, at
    /// most the lookback (a query finds nothing then either), unless the input is slower than that.
    pub(super) fn stale_from(&self) -> Option<Timestamp> {
        let (last, interval) = (self.last_at?, self.interval().filter(|_| self.proven())?);
        let patience = Millis(interval.0.saturating_mul(3)).clamp(STALE_MIN, limits::LOOKBACK);
        Some(last + patience.max(Millis(interval.0.saturating_add(interval.0 / 2))))
    }

    /// Whether silence at `at` is blindness.
    pub(super) fn stale(&self, at: Timestamp) -> bool {
        self.stale_from().is_some_and(|from| at >= from)
    }
}

fn median(gaps: &VecDeque<Millis>) -> Option<Millis> {
    let mut sorted: Vec<Millis> = gaps.iter().copied().collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_learned() {
        let mut input = Input::default();
        assert!(!input.proven() && !input.stale(Timestamp::MAX));
        input.arrived(Timestamp(0), None);
        assert!(!input.proven());
        for n in 1..=40 {
            input.arrived(Timestamp(n * 15_000), Some(Millis(if n % 10 == 0 { 60_000 } else { 15_000 })));
        }
        assert_eq!(input.interval(), Some(Millis::seconds(15)));
        assert_eq!(input.stale_from(), Some(Timestamp(40 * 15_000 + 45_000)));
    }

    #[test]
    fn patience_has_a_floor_and_a_cap() {
        let patience = |gap: i64| {
            let mut input = Input::default();
            input.arrived(Timestamp(-gap), None);
            input.arrived(Timestamp(0), Some(Millis(gap)));
            input.stale_from().unwrap().0
        };
        assert_eq!(patience(10), 1000);
        assert_eq!(patience(60_000), 180_000);
        assert_eq!(patience(120_000), 300_000);
        assert_eq!(patience(600_000), 900_000);
    }
}
