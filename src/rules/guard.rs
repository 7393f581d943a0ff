//! What the next sample of a series has to be like for the value of its window to stay as it was told.
//!
//! Most samples change nothing that anybody has to know. A guard tells so by a look at the sample alone: it lies between
//! two lines, it comes as soon after the one before it as others do. Only where it does not pass, the window is looked at.
//!
//! Invariants:
//! - While each sample passes, and no longer than until the instant that is given then, the value of the window stays
//!   within the tolerance of the one that was told, and there is one. Where the guard asks for the same value again, it
//!   keeps every bit.

use crate::model::{Millis, Sample, Timestamp};
use crate::promql::Function;
use crate::promql::kernel::Resets;

use super::leaf::Glance;

/// How many samples that leave are looked ahead over.
const LEAVING_MAX: usize = 16;

/// A window with fewer gaps between its samples is looked at closely each time.
const GAPS_MIN: i64 = 4;

/// The share of a tolerance that is left to rounding.
const ROUNDING: f64 = 1e-5;

/// A value may be at most so many times what it may be off by.
const SIZE_MAX: f64 = 1e9;

/// The condition, and up to when it is one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guard {
    kind: Kind,
    /// The most time between two samples, in milliseconds.
    gap: u32,
    /// Where the value must lie at `until`; earlier by so much less for each millisecond.
    low: f64,
    high: f64,
    low_slope: f32,
    high_slope: f32,
    /// From then on it says nothing.
    until: Timestamp,
    /// The time of the newest sample that has passed.
    seen: Timestamp,
}

/// What a guard stands before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing passes.
    Shut,
    /// The newest value, within bounds.
    Newest,
    /// The newest value, the same again.
    Same,
    /// A function of a window in which all values are the same; it has one while a single sample is left.
    Constant,
    /// The change over such a window, or the line through it, which there is while two samples are left.
    Resting,
    /// The change over a window that its samples fill.
    Rising,
    /// The change over a window that begins before its samples do.
    Beginning,
    /// Samples that enter later than the value stays anyway.
    Later,
}

impl Default for Guard {
    fn default() -> Guard {
        let until = Timestamp::MIN;
        Guard { kind: Kind::Shut, gap: 0, low: 0.0, high: 0.0, low_slope: 0.0, high_slope: 0.0, until, seen: until }
    }
}

impl Guard {
    /// Whether no sample passes.
    pub(super) fn is_shut(&self) -> bool {
        self.kind == Kind::Shut
    }

    /// Lets the last of these samples pass at `now`, or not. Gives until when the value stays if no other comes.
    pub(super) fn pass(
        &mut self,
        samples: &[Sample],
        offset: Millis,
        span: Millis,
        now: Timestamp,
    ) -> Option<Timestamp> {
        // One that comes late may be gone already, or the next one be missed.
        self.stays_until(samples, offset, span, now).filter(|until| *until > now)
    }

    fn stays_until(&mut self, samples: &[Sample], offset: Millis, span: Millis, now: Timestamp) -> Option<Timestamp> {
        let [rest @ .., newest] = samples else { return None };
        let from = newest.t + offset;
        if self.kind == Kind::Later {
            let is_next = rest.last().is_some_and(|before| before.t == self.seen);
            self.seen = newest.t;
            return (is_next && from >= self.until).then_some(self.until);
        }
        if self.kind == Kind::Shut || from > now || now >= self.until {
            return None;
        }
        if matches!(self.kind, Kind::Newest | Kind::Same) {
            let passes = match self.kind {
                Kind::Newest => (self.low..=self.high).contains(&newest.v),
                _ => newest.v.to_bits() == self.low.to_bits(),
            };
            return passes.then_some(from + span);
        }
        let before = rest.last().filter(|before| before.t == self.seen)?;
        if matches!(self.kind, Kind::Constant | Kind::Resting) {
            if newest.v.to_bits() != self.low.to_bits() {
                return None;
            }
            self.seen = newest.t;
            return Some(if self.kind == Kind::Constant { from } else { before.t + offset } + span);
        }
        let gap = (newest.t - before.t).0;
        let gap_min = if self.kind == Kind::Rising { shortest(self.gap) } else { 0 };
        let ahead = (from - self.until).0 as f64;
        let (low, high) =
            (self.low + f64::from(self.low_slope) * ahead, self.high + f64::from(self.high_slope) * ahead);
        let is_usual = (gap_min..=i64::from(self.gap)).contains(&gap) && newest.v >= before.v;
        if !(is_usual && newest.v >= low && newest.v <= high) {
            return None;
        }
        self.seen = newest.t;
        let late = if self.kind == Kind::Rising { from + Millis(usual(self.gap)) } else { self.until };
        Some(late.min(self.until))
    }

    /// For the newest sample's value, which may be off by a share of itself, or not at all.
    pub(super) fn of_newest(told: f64, tolerance: f64) -> Guard {
        let slack = told.abs() * tolerance * (1.0 - ROUNDING);
        let kind = if slack > 0.0 && slack.is_finite() { Kind::Newest } else { Kind::Same };
        let (low, high) = if kind == Kind::Newest { (told - slack, told + slack) } else { (told, told) };
        Guard { kind, low, high, until: Timestamp::MAX, ..Guard::default() }
    }

    /// For what stays until an instant while no sample enters that is not there yet.
    pub(super) fn of_later(until: Timestamp, glance: &Glance<'_>) -> Option<Guard> {
        let seen = glance.ahead()?.t;
        Some(Guard { kind: Kind::Later, until, seen, ..Guard::default() })
    }

    /// For a function of a window whose samples all have the same value; and until when it keeps its own.
    pub(super) fn of_constant(function: Function, glance: &Glance<'_>) -> Option<(Guard, Timestamp)> {
        let kind = match function {
            Function::Rate | Function::Increase | Function::Delta | Function::Deriv | Function::PredictLinear => {
                Kind::Resting
            }
            Function::Changes
            | Function::Resets
            | Function::MaxOverTime
            | Function::MinOverTime
            | Function::LastOverTime => Kind::Constant,
            _ => return None,
        };
        let window = glance.window();
        let (first, last) = window.ends()?;
        let is_same = first.v.to_bits() == last.v.to_bits() && last.v.is_finite();
        // Among zeros may be some with another sign.
        let is_clear = last.v.to_bits() != (-0.0f64).to_bits();
        if glance.resets() != Resets::None || glance.enters().is_some() || !is_same || !is_clear {
            return None;
        }
        let left = if kind == Kind::Constant { last } else { window.get(window.len() - 2)? };
        let guard = Guard { kind, low: last.v, until: Timestamp::MAX, seen: last.t, ..Guard::default() };
        Some((guard, glance.leaves_at(left)))
    }

    /// For the change of a counter over a window, told to be so much and perhaps off by a share of itself; and until
    /// when it is if no sample comes.
    ///
    /// A window that reaches beyond its samples by less than the usual gap between them has the slope between the first
    /// and the last as its rate. So the next sample is held against that slope from each sample that becomes the first
    /// as others leave.
    pub(super) fn of_change(
        function: Function,
        told: f64,
        tolerance: f64,
        glance: &Glance<'_>,
    ) -> Option<(Guard, Timestamp)> {
        let range = glance.range();
        let (window, span) = (glance.window(), (range.until - range.after).0 as f64);
        let per = match function {
            Function::Rate => 1000.0,
            Function::Increase => span,
            _ => return None,
        };
        let (first, last) = window.ends()?;
        let (gaps, sampled) = (window.len() as i64 - 1, (last.t - first.t).0);
        let is_plain = glance.resets() == Resets::None && glance.enters().is_none() && gaps >= GAPS_MIN;
        if !(is_plain && told > 0.0 && told.is_finite()) {
            return None;
        }
        let slack = told * tolerance * (1.0 - ROUNDING);
        if last.v.abs() > slack / per * sampled as f64 * SIZE_MAX {
            return None;
        }
        let average = sampled as f64 / gaps as f64;
        let change = Change { per, span, low: told - slack, high: told + slack, average };
        let to_start = (first.t - range.after).0;
        if to_start * gaps * 10 >= sampled * 11 { change.beginning(glance) } else { change.rising(glance) }
    }
}

/// Between which bounds a change has to stay.
struct Change {
    /// What a slope is multiplied by.
    per: f64,
    span: f64,
    low: f64,
    high: f64,
    /// The usual time between two samples.
    average: f64,
}

impl Change {
    fn rising(&self, glance: &Glance<'_>) -> Option<(Guard, Timestamp)> {
        let (window, range) = (glance.window(), glance.range());
        let (oldest, last) = window.ends()?;
        let gap = (self.average * 1.04) as u32;
        let hold = usual(gap);
        if (oldest.t - range.after).0 >= hold || (range.until - last.t).0 >= hold {
            return None;
        }
        let (low_slope, high_slope) = ((self.low / self.per) as f32, (self.high / self.per) as f32);
        // A counter that has been at zero less than a gap before its first sample is not extrapolated beyond.
        let grown = 1.15 * self.high / self.per * self.average;
        let (mut low, mut high, mut until) = (f64::NEG_INFINITY, f64::INFINITY, None);
        let mut before = None;
        for at in 0..window.len().min(LEAVING_MAX) {
            let first = window.get(at)?;
            let (width, gaps) = ((last.t - first.t).0 as f64, window.len() as i64 - 1 - at as i64);
            let is_late = before.replace(first).is_some_and(|before: Sample| (first.t - before.t).0 >= hold);
            let usual = self.average * gaps as f64;
            let is_usual = gaps >= GAPS_MIN && (usual * 0.99..=usual * 1.01).contains(&width);
            if is_late || !is_usual || (0.0..grown).contains(&first.v) {
                break;
            }
            let lowest = low.max(first.v + f64::from(low_slope) * width);
            let highest = high.min(first.v + f64::from(high_slope) * width);
            if !(lowest <= last.v && last.v <= highest) {
                break;
            }
            (low, high, until) = (lowest, highest, Some(glance.leaves_at(first)));
        }
        let until = until?;
        let ahead = (until - glance.enters_at(last)).0 as f64;
        let (low, high) = (low + f64::from(low_slope) * ahead, high + f64::from(high_slope) * ahead);
        let guard = Guard { kind: Kind::Rising, gap, low, high, low_slope, high_slope, until, seen: last.t };
        Some((guard, until.min(glance.enters_at(last) + Millis(hold))))
    }

    fn beginning(&self, glance: &Glance<'_>) -> Option<(Guard, Timestamp)> {
        let (first, last) = glance.window().ends()?;
        let (gaps, sampled) = ((glance.window().len() - 1) as f64, (last.t - first.t).0 as f64);
        // At most half a gap is extrapolated to the left, and to the right from nothing to 1.1 gaps.
        let beyond = 1.0 + 1.7 / gaps + 2.0 / sampled;
        let rise = |change: f64| change * self.span / self.per;
        let (low, high) = (first.v + rise(self.low), first.v + rise(self.high) / beyond);
        let until = glance.leaves_at(first) - Millis((self.average * 3.3) as i64 + 1);
        if !(low <= last.v && last.v <= high && glance.now < until) {
            return None;
        }
        let gap = (self.average * 2.0) as u32;
        let guard = Guard { kind: Kind::Beginning, gap, low, high, until, seen: last.t, ..Guard::default() };
        Some((guard, until))
    }
}

/// For how long an edge of the window that lies beyond the samples is not taken for the end of the series, where no
/// gap is longer than 1.04 of the average, nor shorter than [`shortest`]: not longer than 1.1 gaps of 0.96.
fn usual(gap: u32) -> i64 {
    i64::from(gap) + i64::from(gap) / 104
}

/// The shortest gap, where the longest is 1.04 of the average.
fn shortest(gap: u32) -> i64 {
    i64::from(gap) - i64::from(gap) / 13
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Labels;
    use crate::promql::kernel;
    use crate::rules::feed::Feed;
    use crate::rules::horizon::Windowed;
    use crate::rules::leaf::{Leaf, Reach};
    use crate::rules::slack::SHARES;

    /// Random counters, some steady, some resting, some young: whatever passes, the value stays within the tolerance of
    /// the one that was told until the instant that is given; and much of what is steady passes.
    #[test]
    fn what_passes_changes_nothing() {
        let functions = [
            Function::Rate,
            Function::Increase,
            Function::Changes,
            Function::MaxOverTime,
            Function::Resets,
            Function::Delta,
            Function::Deriv,
            Function::PredictLinear,
            Function::MinOverTime,
            Function::LastOverTime,
        ];
        let (mut passed, mut stopped) = ([0; 3], [0; 3]);
        for seed in 0..900u64 {
            let (mut state, tolerance) = (seed, SHARES[(seed / 8 % 2) as usize]);
            let mut below = |n: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % n
            };
            let offset = Millis(if below(3) == 0 { 7000 } else { 0 });
            let reach = Reach::Range(Millis(1000 * (60 + below(500) as i64)));
            let mut feed = Feed::new(Vec::new(), offset, reach);
            let (slot, mut leaf) = (feed.slot(&Labels::empty()), Leaf::new(0, offset, reach));
            leaf.grow(1);
            // Most that are counted with are rates.
            let kinds = if below(3) == 0 { 10 } else { 5 };
            let function = functions[below(kinds) as usize];
            let args: &[f64] = if function == Function::PredictLinear { &[600.0, 0.0] } else { &[] };
            // Steady, resting, or anything.
            let kind = below(3) as usize;
            let (jitter, start) = ([100, 5000, 4000][kind], [0.0, -50.0, 1e4][below(3) as usize]);
            let (mut t, mut v) = (0, start);
            let mut next = |below: &mut dyn FnMut(u64) -> u64| {
                t += 10_000 - jitter / 2 + below(jitter as u64) as i64;
                t += if below(60) == 0 { 20_000 } else { 0 };
                v += match kind {
                    0 => 100.0 + below(20) as f64,
                    1 => {
                        if below(40) == 0 {
                            1.0
                        } else {
                            0.0
                        }
                    }
                    _ if below(30) == 0 => -v,
                    _ => (below(9) * below(9)) as f64,
                };
                Sample { t: Timestamp(t), v }
            };
            let mut held = None::<(Guard, f64)>;
            for _ in 0..120 {
                let sample = next(&mut below);
                let now = sample.t + offset + Millis(below(20) as i64);
                feed.insert(slot, sample, now);
                let windowed = Windowed { function, args, tolerance };
                let at = held.as_mut().and_then(|(guard, _)| guard.pass(feed.newest(slot), offset, reach.span(), now));
                let until = match at {
                    Some(until) => until,
                    None => {
                        stopped[kind] += usize::from(held.is_some());
                        let told = held.map(|(_, told)| told);
                        let holding = windowed.holding_on(told, leaf.look(slot, &feed, now));
                        held = holding.value.filter(|_| !holding.guard.is_shut()).map(|v| (holding.guard, v));
                        match holding.until {
                            Some(until) => until,
                            None => continue,
                        }
                    }
                };
                passed[kind] += usize::from(at.is_some());
                let Some((_, told)) = held else { continue };
                let glance = leaf.look(slot, &feed, now);
                let end = until.0.min(now.0 + 40_000);
                for later in (now.0..end).step_by(1103).chain([end - 1]).map(Timestamp) {
                    let glance = glance.later(later);
                    let really = kernel::over_range(function, args, &glance.window().whole(), glance.range());
                    let is_near = really.is_some_and(|v| v == told || (v - told).abs() <= told.abs() * tolerance);
                    assert!(is_near, "seed {seed} {function:?} at {later}: {told} is {really:?}");
                }
            }
        }
        assert!(passed[0] > stopped[0] && passed[1] > 4 * stopped[1] && passed[2] > 0, "{passed:?} {stopped:?}");
    }
}
