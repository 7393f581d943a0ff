//! How long the value of a window holds while no sample comes.
//!
//! Invariants:
//! - Up to the instant that is given the function's value stays within the tolerance of what it is now, and there
//!   is one or there is none throughout. Without a tolerance it keeps every bit, but for values that move by
//!   themselves: those are due at the next whole second.

use crate::model::{Millis, Timestamp};
use crate::promql::Function;
use crate::promql::kernel::{self, Motion};

use super::leaf::Glance;
use super::timers::{earliest, next_soft_step};

/// How many samples that leave or enter, or other breaks, are looked ahead over, where a value follows from a
/// window's ends; and where all of its samples have to be looked at.
const BREAKS_MAX: [usize; 2] = [3, 1];

/// Values that move are looked at at multiples of so many milliseconds.
const STEP_MS: i64 = 50;

/// After which time a value is looked at again at the soonest that moves fast.
const SOON: Millis = Millis(100);

/// A function of a window with its scalar arguments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windowed<'a> {
    pub(super) function: Function,
    pub(super) args: &'a [f64],
    /// By which share of itself a value may be off before it has to be known anew.
    pub(super) tolerance: f64,
}

/// A value and how long it holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Holding {
    pub(super) value: Option<f64>,
    /// When it has to be looked at again, if ever.
    pub(super) until: Option<Timestamp>,
    /// The last instant for which it is known to the last bit.
    pub(super) exact_until: Timestamp,
}

impl Windowed<'_> {
    fn at(&self, glance: &Glance<'_>) -> (Option<f64>, Motion) {
        kernel::moving(self.function, self.args, glance.window(), glance.resets(), glance.range())
    }

    /// The value at the time of a glance.
    pub(super) fn holding(&self, glance: Glance<'_>) -> Holding {
        let (value, mut motion) = self.at(&glance);
        let (mut seen, mut now, mut exact_until) = (glance, value, Timestamp::MAX);
        // A value that is none can be off by nothing.
        let slack = value.map_or(0.0, |v| v.abs() * self.tolerance);
        let follows_from_ends = matches!(self.function, Function::Rate | Function::Increase | Function::Delta);
        let mut breaks = BREAKS_MAX[usize::from(!follows_from_ends)];
        loop {
            let turns = motion.until.map(|until| seen.now + (until - seen.range().until));
            let next = earliest(turns, earliest(seen.leaves(), seen.enters()));
            if motion.is_moving() {
                exact_until = exact_until.min(seen.now);
                let due = match crossing(value, now, motion.speed, slack, seen.now) {
                    Some(due) => due,
                    None if seen.now > glance.now => seen.now,
                    None => seen.now + SOON,
                };
                if next.is_none_or(|next| due <= next) {
                    return Holding { value, until: Some(due), exact_until };
                }
            }
            let Some(next) = next.filter(|_| breaks > 0) else { return Holding { value, until: next, exact_until } };
            seen = seen.later(next);
            (now, motion) = self.at(&seen);
            let is_same = now.map(f64::to_bits) == value.map(f64::to_bits);
            let is_near = matches!((value, now), (Some(a), Some(b)) if slack > 0.0 && (a - b).abs() <= slack);
            if !is_same && !is_near {
                return Holding { value, until: Some(next), exact_until };
            }
            if !is_same {
                exact_until = exact_until.min(next - Millis(1));
            }
            breaks -= 1;
        }
    }
}

/// When a value that moves from `now` on has to be looked at: before it has left the slack around `value`, or without
/// any slack at the next whole second. Nothing if it would have to be at once again.
fn crossing(value: Option<f64>, now: Option<f64>, speed: f64, slack: f64, at: Timestamp) -> Option<Timestamp> {
    if slack == 0.0 {
        return Some(next_soft_step(at));
    }
    let millis = (slack - (now? - value?).abs()) / speed.abs();
    // Not at instants of their own, and none that is too far ahead to matter.
    let last = (at + Millis(millis.clamp(0.0, 1e12) as i64)).0;
    let due = Timestamp(last.div_euclid(STEP_MS).saturating_mul(STEP_MS));
    (due >= at + SOON).then_some(due)
}

#[cfg(test)]
mod tests {
    use crate::model::{Labels, Sample};

    use super::*;
    use crate::rules::feed::Feed;
    use crate::rules::leaf::{Leaf, Reach};

    /// Random samples, some dated ahead, looked at at random instants: nothing may leave the tolerance before its time,
    /// and most are left alone until another sample is due.
    #[test]
    fn a_value_holds_until_it_has_to_be_looked_at() {
        let functions = [
            Function::Rate,
            Function::Increase,
            Function::Delta,
            Function::PredictLinear,
            Function::MaxOverTime,
            Function::Changes,
            Function::AvgOverTime,
        ];
        let (mut long, mut short) = (0, 0);
        for seed in 0..600u64 {
            let mut state = seed;
            let mut below = |n: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % n
            };
            let reach = Reach::Range(Millis(1000 * (20 + below(400) as i64)));
            let offset = Millis(if below(3) == 0 { 7000 } else { 0 });
            let mut feed = Feed::new(Vec::new(), offset, reach);
            let (slot, mut leaf) = (feed.slot(&Labels::empty()), Leaf::new(0, offset, reach));
            leaf.grow(1);
            let (mut t, mut v) = (0, below(50) as f64);
            for _ in 0..below(60) {
                t += 10_000 + below(800) as i64 * if below(12) == 0 { 100 } else { 1 };
                v = if below(30) == 0 { 0.0 } else { v + (below(9) * below(3)) as f64 };
                feed.insert(slot, Sample { t: Timestamp(t), v }, Timestamp(0));
            }
            let now = Timestamp(t - 20_000 + below(60_000) as i64);
            let function = functions[below(functions.len() as u64) as usize];
            let args: &[f64] = if function == Function::PredictLinear { &[600.0, 0.0] } else { &[] };
            for tolerance in [0.0, 1.0 / 16.0] {
                let windowed = Windowed { function, args, tolerance };
                let glance = leaf.look(slot, &feed, now);
                let Holding { value, until, exact_until } = windowed.holding(glance);
                let end = until.unwrap_or(now + Millis(100_000)).min(now + Millis(100_000));
                assert!(end > now, "seed {seed}");
                let soon = if tolerance > 0.0 { now + SOON } else { next_soft_step(now) };
                for later in (now.0..end.0).step_by(97).map(Timestamp) {
                    let (really, _) = windowed.at(&glance.later(later));
                    let is_same = really.map(f64::to_bits) == value.map(f64::to_bits);
                    assert!(
                        is_same || later > exact_until,
                        "seed {seed} {function:?} at {later}: {value:?} is {really:?}"
                    );
                    assert_eq!(really.is_some(), value.is_some(), "seed {seed} {function:?} at {later}");
                    let (Some(value), Some(really)) = (value, really) else { continue };
                    let off = (really - value).abs() / value.abs();
                    let is_near = is_same || off <= tolerance + 1e-9 || later < soon;
                    assert!(is_near, "seed {seed} {function:?} at {later}: {value} is {really}");
                }
                if value.is_some() && tolerance > 0.0 {
                    *(if end - now > Millis(2000) { &mut long } else { &mut short }) += 1;
                }
            }
        }
        assert!(long > 3 * short && short > 10, "{long} held for long, {short} not");
    }
}
