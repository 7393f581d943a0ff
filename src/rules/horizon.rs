//! How long the value of a window holds while no sample comes.
//!
//! Invariants:
//! - Up to the instant that is given the function's value stays within the tolerance of what was told, and there
//!   is one or there is none throughout. Without a tolerance it keeps every bit, but for values that move by
//!   themselves: those are due at the next whole second.

use crate::model::{Millis, Timestamp};
use crate::promql::Function;
use crate::promql::kernel::{self, Motion, Resets};

use super::guard::Guard;
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
#[derive(Debug, Clone, Copy)]
pub(super) struct Holding {
    pub(super) value: Option<f64>,
    /// When it has to be looked at again, if ever.
    pub(super) until: Option<Timestamp>,
    /// The last instant for which it is known to the last bit.
    pub(super) exact_until: Timestamp,
    /// By which share of itself it may be off before it is looked at again.
    pub(super) drift: f64,
    /// Which samples do not change that.
    pub(super) guard: Guard,
}

impl Holding {
    /// A value that may be off.
    fn loose(value: Option<f64>, drift: f64, until: Option<Timestamp>, glance: &Glance<'_>) -> Holding {
        let guard = until.and_then(|until| Guard::of_later(until, glance)).unwrap_or_default();
        Holding { value, until, exact_until: Timestamp::MIN, drift, guard }
    }

    /// One that stays as it is with samples that a guard lets pass.
    fn guarded(value: Option<f64>, drift: f64, (guard, until): (Guard, Timestamp)) -> Holding {
        Holding { value, until: Some(until), exact_until: Timestamp::MIN, drift, guard }
    }
}

/// Whether a value may stand for another, if it may be off by a share of itself.
pub(super) fn stands_for(told: f64, really: f64, tolerance: f64) -> bool {
    told.to_bits() == really.to_bits() || (told.is_finite() && (really - told).abs() <= told.abs() * tolerance)
}

impl Windowed<'_> {
    fn at(&self, glance: &Glance<'_>) -> (Option<f64>, Motion) {
        let (window, range) = (glance.window(), glance.range());
        match glance.starts() {
            Some(starts) => kernel::moving_with_starts(self.function, self.args, &window.whole(), &starts, range),
            None => match window.as_slice() {
                Some(samples) => kernel::moving(self.function, self.args, samples, glance.resets(), range),
                None => self.over_packed(glance),
            },
        }
    }

    /// The same over a window that is unpacked only where it must be.
    fn over_packed(&self, glance: &Glance<'_>) -> (Option<f64>, Motion) {
        let (window, range) = (glance.window(), glance.range());
        let by_ends = window.ends().and_then(|(first, last)| {
            let before_resets = match glance.resets() {
                Resets::None => Vec::new(),
                Resets::Perhaps => window.before_resets(),
            };
            kernel::moving_by_ends(self.function, (first, last), window.len(), before_resets, range)
        });
        by_ends.unwrap_or_else(|| kernel::moving(self.function, self.args, &window.whole(), glance.resets(), range))
    }

    /// Whether the value, or how it moves, changes at the very instant of a glance at which no sample came or left.
    pub(super) fn turns_at(&self, glance: &Glance<'_>) -> bool {
        self.at(&glance.before()).1.until == Some(glance.range().until)
    }

    /// The value at the time of a glance, to the last bit until it changes.
    pub(super) fn holding(&self, glance: Glance<'_>) -> Holding {
        let at_first = self.at(&glance);
        match at_first.0.and(Guard::of_constant(self.function, &glance)) {
            Some((guard, until)) => {
                let (value, until, exact_until) = (at_first.0, Some(until), Timestamp::MAX);
                Holding { value, until, exact_until, drift: 0.0, guard }
            }
            None => self.exactly(glance, at_first),
        }
    }

    /// The same, where it need not be known to the last bit: the value that was told before, as long as it may stand
    /// for what there is now.
    pub(super) fn holding_on(&self, told: Option<f64>, glance: Glance<'_>) -> Holding {
        let guarded = |told: f64| Guard::of_change(self.function, told, self.tolerance, &glance);
        if let Some(found) = told.and_then(guarded) {
            return Holding::guarded(told, self.tolerance, found);
        }
        let at_first = self.at(&glance);
        let stands = matches!((told, at_first.0), (Some(a), Some(b)) if stands_for(a, b, self.tolerance));
        if let Some(found) = at_first.0.and(Guard::of_constant(self.function, &glance)) {
            return Holding::guarded(if stands { told } else { at_first.0 }, self.tolerance, found);
        }
        if let Some(found) = at_first.0.and_then(guarded) {
            return Holding::guarded(at_first.0, self.tolerance, found);
        }
        if stands
            && let Some(holding) = self.holding_of(told, glance, at_first)
            && holding.until.is_none_or(|until| until >= glance.now + SOON)
        {
            return holding;
        }
        self.holding_of(at_first.0, glance, at_first)
            .unwrap_or_else(|| Windowed { tolerance: 0.0, ..*self }.holding(glance))
    }

    /// How long `value` stands for what there is, which is at first what `glance` shows. Nothing if that is not worth
    /// the while.
    fn holding_of(
        &self,
        value: Option<f64>,
        glance: Glance<'_>,
        (now, motion): (Option<f64>, Motion),
    ) -> Option<Holding> {
        // A value that is none can be off by nothing, and an infinite one only by everything.
        let slack = value.filter(|v| v.is_finite()).map_or(0.0, |v| v.abs() * self.tolerance);
        let (mut seen, mut now, mut motion) = (glance, now, motion);
        let follows_from_ends = matches!(self.function, Function::Rate | Function::Increase | Function::Delta);
        let mut breaks = BREAKS_MAX[usize::from(!follows_from_ends)];
        let loose = |until: Option<Timestamp>| Some(Holding::loose(value, self.tolerance, until, &glance));
        loop {
            let turns = motion.until.map(|until| seen.now + (until - seen.range().until));
            let next = earliest(turns, earliest(seen.leaves(), seen.enters()));
            if motion.is_moving() {
                let due = match crossing(value, now, motion.speed, slack, seen.now) {
                    None if seen.now == glance.now => return None,
                    due => due.unwrap_or(seen.now),
                };
                if next.is_none_or(|next| due <= next) {
                    return loose(Some(due));
                }
            }
            let Some(next) = next.filter(|_| breaks > 0) else { return loose(next) };
            seen = seen.later(next);
            (now, motion) = self.at(&seen);
            let is_same = now.map(f64::to_bits) == value.map(f64::to_bits);
            let is_near = matches!((value, now), (Some(a), Some(b)) if slack > 0.0 && (a - b).abs() <= slack);
            if !is_same && !is_near {
                return loose(Some(next));
            }
            breaks -= 1;
        }
    }

    /// How long a value holds to the last bit, but for one that moves by itself: that is due at whole seconds.
    fn exactly(&self, glance: Glance<'_>, (value, motion): (Option<f64>, Motion)) -> Holding {
        let turns = motion.until.map(|until| glance.now + (until - glance.range().until));
        let (step, exact_until) = match motion.is_moving() {
            true => (Some(next_soft_step(glance.now)), glance.now),
            false => (None, turns.map_or(Timestamp::MAX, |turns| turns - Millis(1))),
        };
        let drift = match value.filter(|_| motion.is_moving()) {
            Some(v) => motion.speed.abs() * 1000.0 / v.abs(),
            None => f64::from(u8::from(motion.is_moving())),
        };
        let until = earliest(earliest(step, turns), earliest(glance.leaves(), glance.enters()));
        Holding { value, until, exact_until, drift, guard: Guard::default() }
    }
}

/// When a value that moves from `now` on has to be looked at, before it has left the slack around `value`. Nothing if
/// it would have to be soon again.
fn crossing(value: Option<f64>, now: Option<f64>, speed: f64, slack: f64, at: Timestamp) -> Option<Timestamp> {
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
    use crate::rules::slack::SHARES;

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
            let glance = leaf.look(slot, &feed, now);
            let exact = Windowed { function, args, tolerance: 0.0 };
            let told = exact.at(&glance).0.map(|v| v * (1.0 + 0.01 * (below(14) as f64 - 7.0)));
            for tolerance in [0.0, SHARES[0], SHARES[1]] {
                let windowed = Windowed { tolerance, ..exact };
                let holding =
                    if tolerance > 0.0 { windowed.holding_on(told, glance) } else { windowed.holding(glance) };
                let Holding { value, until, exact_until, .. } = holding;
                let end = until.unwrap_or(now + Millis(100_000)).min(now + Millis(100_000));
                assert!(end > now, "seed {seed}");
                let is_loose = exact_until == Timestamp::MIN;
                for later in (now.0..end.0).step_by(97).map(Timestamp) {
                    let (really, _) = windowed.at(&glance.later(later));
                    let is_same = really.map(f64::to_bits) == value.map(f64::to_bits);
                    let text = format!("seed {seed} {function:?} at {later}: {value:?} is {really:?}");
                    assert!(is_same || is_loose || later > exact_until, "{text}");
                    assert_eq!(really.is_some(), value.is_some(), "{text}");
                    let (Some(value), Some(really)) = (value, really) else { continue };
                    let off = (really - value).abs() / value.abs();
                    let is_near = is_same || off <= holding.drift + 1e-9;
                    assert!(is_near, "{text}");
                }
                if value.is_some() && tolerance > 0.0 {
                    *(if end - now > Millis(2000) { &mut long } else { &mut short }) += 1;
                }
            }
        }
        assert!(long > 3 * short && short > 10, "{long} held for long, {short} not");
    }
}
