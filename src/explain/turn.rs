//! Since when something holds, or does not: found by looking back at steps that grow, and then between two of them.
//!
//! Invariants:
//! - Between two instants at which it was looked at with different results, the exact one is found to the millisecond:
//!   at the instant told it is as it is now, and one millisecond before it was not.
//! - Work is bounded: five ranges of steps, and then at the most [`POINTS_MAX`] instants at which
//!   something came or went, or as many as it takes to halve them and the milliseconds between two of them.

use crate::model::{Millis, TimeRange, Timestamp};

/// Steps of each range, and how far apart they are: twenty minutes, four hours, a day and a half, ten days, two months.
const STEPS: i64 = 240;
const EVERY: [Millis; 5] =
    [Millis::seconds(5), Millis::minutes(1), Millis::minutes(10), Millis::hours(1), Millis::hours(6)];
/// Instants at which something came or went that are looked at one by one; of more, only halves are.
const POINTS_MAX: usize = 48;

/// What can be asked of the past.
pub(super) trait Past {
    /// Why nothing can be said.
    type Error;

    /// Whether it holds at `start`, `start + step`, … up to `end`.
    fn range(&self, start: Timestamp, end: Timestamp, step: Millis) -> Result<Vec<bool>, Self::Error>;

    /// Whether it holds at an instant.
    fn point(&self, at: Timestamp) -> Result<bool, Self::Error>;

    /// The instants inside of a range at which something happens that may change it, in the order of time; some may be
    /// missing.
    fn candidates(&self, range: TimeRange) -> Result<Vec<Timestamp>, Self::Error>;
}

/// What a search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) holds: bool,
    pub(super) since: Option<Timestamp>,
    pub(super) looked_back_to: Timestamp,
    pub(super) looked_every: Millis,
}

/// Searches for the instant since which it is as it is at `at`, not further back than `horizon`.
pub(super) fn search<P: Past>(past: &P, at: Timestamp, horizon: Millis) -> Result<Found, P::Error> {
    let holds = past.point(at)?;
    let mut end = at;
    let earliest = at - horizon;
    let mut looked_every = EVERY[0];
    for every in EVERY {
        if end <= earliest {
            break;
        }
        looked_every = every;
        let steps = STEPS.min((end - earliest).0 / every.0).max(1);
        let start = end - Millis(every.0 * steps);
        let states = past.range(start, end, every)?;
        // The last one is known: it is as it is at `at`.
        let other = states.iter().take(usize::try_from(steps).unwrap_or(0)).rposition(|state| *state != holds);
        if let Some(step) = other {
            let before = start + Millis(every.0 * step as i64);
            let since = Some(between(past, holds, before, before + every)?);
            return Ok(Found { holds, since, looked_back_to: before, looked_every });
        }
        end = start;
    }
    Ok(Found { holds, since: None, looked_back_to: end, looked_every })
}

/// The instant after `before` and not after `after` since which it is `holds`.
fn between<P: Past>(past: &P, holds: bool, before: Timestamp, after: Timestamp) -> Result<Timestamp, P::Error> {
    let (mut low, mut high) = (before, after);
    let all = past.candidates(TimeRange { after: before, until: after - Millis(1) })?;
    if all.len() <= POINTS_MAX {
        // From the newest on, so that what lasted shortest is not missed.
        for candidate in all.into_iter().rev() {
            if past.point(candidate)? != holds {
                low = candidate;
                break;
            }
            high = candidate;
        }
    } else {
        let (mut from, mut to) = (0, all.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            if past.point(all[middle])? == holds {
                (high, to) = (all[middle], middle);
            } else {
                (low, from) = (all[middle], middle + 1);
            }
        }
    }
    if low + Millis(1) < high && past.point(high - Millis(1))? != holds {
        return Ok(high);
    }
    while low + Millis(1) < high {
        let middle = Timestamp(i64::midpoint(low.0, high.0));
        if past.point(middle)? == holds { high = middle } else { low = middle }
    }
    Ok(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds from each of these instants on, or ceases to, by turns.
    struct Turns(Vec<i64>);

    impl Past for Turns {
        type Error = ();

        fn range(&self, start: Timestamp, end: Timestamp, step: Millis) -> Result<Vec<bool>, ()> {
            (0..=(end - start).0 / step.0).map(|n| self.point(start + Millis(step.0 * n))).collect()
        }

        fn point(&self, at: Timestamp) -> Result<bool, ()> {
            Ok(self.0.iter().filter(|turn| **turn <= at.0).count() % 2 == 1)
        }

        fn candidates(&self, range: TimeRange) -> Result<Vec<Timestamp>, ()> {
            // Every other turn is known of, and some instants at which nothing turns.
            let known = self.0.iter().step_by(2).flat_map(|turn| [*turn, turn + 7]).map(Timestamp);
            let mut known: Vec<_> = known.filter(|t| range.contains(*t)).collect();
            known.sort_unstable();
            Ok(known)
        }
    }

    #[test]
    fn the_last_turn_is_found_to_the_millisecond() {
        let at = 100 * 86_400_000;
        let check = |turns: &[i64], holds: bool, since: Option<i64>| {
            let found = search(&Turns(turns.to_vec()), Timestamp(at), Millis::days(90)).unwrap();
            assert_eq!((found.holds, found.since), (holds, since.map(Timestamp)), "{turns:?}");
        };
        check(&[], false, None);
        check(&[at], true, Some(at));
        check(&[at + 1], false, None);
        check(&[at - 1], true, Some(at - 1));
        check(&[at - 6_001], true, Some(at - 6_001));
        check(&[at - 60_000, at - 30_000, at - 20_000], true, Some(at - 20_000));
        check(&[at - 3_600_000 * 5 - 17], true, Some(at - 3_600_000 * 5 - 17));
        check(&[at - 86_400_000 * 30, at - 86_400_000 * 20 + 3], false, Some(at - 86_400_000 * 20 + 3));
        check(&[at - 86_400_000 * 99], true, None);
        // Known instants tell states apart that lie between two looks.
        check(&[at - 9_000, at - 8_900, at - 8_000], true, Some(at - 8_000));
    }

    #[test]
    fn random_turns_that_are_far_apart_are_found() {
        let mut seed = 7_u64;
        let mut random = |below: i64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((seed >> 33) as i64).rem_euclid(below)
        };
        for round in 0..200 {
            let at = 50 * 86_400_000 + random(1_000_000);
            let mut turns: Vec<i64> = (0..random(6)).map(|_| at - random(86_400_000 / 24) - 1).collect();
            turns.sort_unstable();
            turns.dedup_by(|a, b| *a - *b < 60_000);
            let found = search(&Turns(turns.clone()), Timestamp(at), Millis::days(40)).unwrap();
            assert_eq!(found.since, turns.last().map(|turn| Timestamp(*turn)), "round {round}: {turns:?}");
        }
    }
}
