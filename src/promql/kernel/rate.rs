//! `rate`, `increase`, `delta`: the change over a window, extrapolated to the window's edges.
//!
//! Invariants:
//! - Edges are compared and added in whole milliseconds. So while no edge is tripped the result
//!   does not move with the window, not even by one bit.

use crate::model::{ExactSum, Millis, Sample, Summary, TimeRange, Timestamp};
use crate::promql::Function;

/// What the three functions differ in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extrapolated {
    /// Of a counter, per second.
    Rate,
    /// Of a counter.
    Increase,
    /// Of a gauge.
    Delta,
}

/// What the functions need to know of a window.
#[derive(Debug, Clone, Copy)]
struct Ends {
    first: Sample,
    last: Sample,
    count: u64,
    /// The rise of a counter: what it had before each reset is added.
    rise: f64,
}

impl Extrapolated {
    /// Which of the three a function is, if it is one.
    pub(super) fn of(function: Function) -> Option<Extrapolated> {
        match function {
            Function::Rate => Some(Extrapolated::Rate),
            Function::Increase => Some(Extrapolated::Increase),
            Function::Delta => Some(Extrapolated::Delta),
            _ => None,
        }
    }
}

impl Ends {
    fn of(samples: &[Sample]) -> Option<Ends> {
        let resets = samples.windows(2).filter(|two| is_reset(two[0], two[1])).map(|two| two[0].v);
        Ends::with_resets(samples, resets)
    }

    /// Of samples whose values before each reset are known.
    fn with_resets(samples: &[Sample], resets: impl Iterator<Item = f64>) -> Option<Ends> {
        let [first, .., last] = samples else { return None };
        Some(Ends::between((*first, *last), samples.len(), resets))
    }

    fn between((first, last): (Sample, Sample), count: usize, resets: impl Iterator<Item = f64>) -> Ends {
        let mut resets = resets.peekable();
        let rise = if resets.peek().is_none() {
            last.v - first.v
        } else {
            let mut before = ExactSum::new();
            resets.for_each(|v| before.add(v));
            rise(first, last, before)
        };
        Ends { first, last, count: count as u64, rise }
    }

    fn of_summary(summary: &Summary) -> Option<Ends> {
        let (first, last) = summary.ends.filter(|_| summary.count > 1)?;
        let rise = if summary.resets == 0 { last.v - first.v } else { rise(first, last, summary.reset_sum.clone()) };
        Some(Ends { first, last, count: summary.count, rise })
    }
}

/// Whether a counter began anew between two samples that follow each other.
pub fn is_reset(before: Sample, after: Sample) -> bool {
    after.v < before.v
}

/// `last - first` and what was there before each reset, rounded once, so that it does not matter in
/// which order the resets are met.
fn rise(first: Sample, last: Sample, mut before_resets: ExactSum) -> f64 {
    before_resets.add(last.v);
    before_resets.add(-first.v);
    before_resets.value()
}

/// The extrapolated change; nothing for fewer than two samples.
pub(super) fn extrapolated(kind: Extrapolated, samples: &[Sample], range: TimeRange) -> Option<f64> {
    Ends::of(samples)?.extrapolated(kind, range)
}

/// The same where the values before each reset are known.
pub(super) fn extrapolated_ends(
    kind: Extrapolated,
    samples: &[Sample],
    before_resets: impl Iterator<Item = f64>,
    range: TimeRange,
) -> Option<f64> {
    Ends::with_resets(samples, before_resets)?.extrapolated(kind, range)
}

/// The same from what a summary says.
pub(super) fn extrapolated_summary(kind: Extrapolated, summary: &Summary, range: TimeRange) -> Option<f64> {
    Ends::of_summary(summary)?.extrapolated(kind, range)
}

/// The extrapolated change of a counter that rose by `rise`; from its start on, if that lies in the
/// window, and so not beyond it.
pub(super) fn from_start(
    kind: Extrapolated,
    samples: &[Sample],
    start: Option<Timestamp>,
    rise: f64,
    range: TimeRange,
) -> Option<f64> {
    let (first, last) = (*samples.first()?, *samples.last()?);
    let Some(start) = start else {
        let ends = Ends { first, last, count: samples.len() as u64, rise };
        return if samples.len() > 1 { ends.extrapolated(kind, range) } else { None };
    };
    let sampled = (last.t - start).0;
    let gaps = samples.len() as i64 - 1;
    let to_end = if gaps == 0 { 0.0 } else { edge((range.until - last.t).0, (last.t - first.t).0, gaps) };
    let mut factor = (sampled as f64 + to_end) / sampled as f64;
    if kind == Extrapolated::Rate {
        factor /= (range.until - range.after).as_seconds();
    }
    Some(rise * factor)
}

impl Ends {
    fn extrapolated(self, kind: Extrapolated, range: TimeRange) -> Option<f64> {
        let Ends { first, last, count, rise } = self;
        let change = if kind == Extrapolated::Delta { last.v - first.v } else { rise };
        Some(Edges::of(kind, (first.t, last.t), count, range)?.extrapolated(kind, first.v, change))
    }

    /// How long before the first sample a counter was at zero, in milliseconds, if it rises.
    fn to_zero(self) -> Option<f64> {
        let counts = self.rise > 0.0 && self.first.v >= 0.0;
        counts.then(|| (self.last.t - self.first.t).0 as f64 * (self.first.v / self.rise))
    }
}

/// What the times of a window's samples say about extrapolating.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edges {
    /// From the first sample to the last one, in milliseconds.
    pub(super) sampled: f64,
    /// How far to extrapolate before the first sample, if nothing else bounds that.
    pub(super) to_start: f64,
    /// How far to extrapolate behind the last one.
    to_end: f64,
    /// What the change is divided by.
    seconds: Option<f64>,
}

impl Edges {
    /// Of `count` samples from a first to a last one; nothing if there is no time between them.
    #[inline]
    pub(super) fn of(
        kind: Extrapolated,
        (first, last): (Timestamp, Timestamp),
        count: u64,
        range: TimeRange,
    ) -> Option<Edges> {
        let sampled = (last - first).0;
        if sampled <= 0 {
            return None;
        }
        let gaps = count as i64 - 1;
        Some(Edges {
            sampled: sampled as f64,
            to_start: edge((first - range.after).0, sampled, gaps),
            to_end: edge((range.until - last).0, sampled, gaps),
            seconds: (kind == Extrapolated::Rate).then(|| (range.until - range.after).as_seconds()),
        })
    }

    /// What a change between the samples is multiplied by, if so much is added before the first one.
    #[inline]
    pub(super) fn factor(self, to_start: f64) -> f64 {
        let factor = (self.sampled + to_start + self.to_end) / self.sampled;
        self.seconds.map_or(factor, |seconds| factor / seconds)
    }

    /// The change, extrapolated. A counter was not below zero: not past the instant of its zero.
    #[inline]
    pub(super) fn extrapolated(self, kind: Extrapolated, first: f64, change: f64) -> f64 {
        let mut to_start = self.to_start;
        if kind != Extrapolated::Delta && change > 0.0 && first >= 0.0 {
            let zero = self.sampled * (first / change);
            if zero < to_start {
                to_start = zero;
            }
        }
        change * self.factor(to_start)
    }
}

/// How far to extrapolate beyond an outermost sample: up to the window's edge where that is less
/// than 1.1 average gaps away, else by half a gap.
#[inline]
fn edge(distance: i64, sampled: i64, gaps: i64) -> f64 {
    if is_tripped(distance, sampled, gaps) { sampled as f64 / (2 * gaps) as f64 } else { distance as f64 }
}

/// Whether an edge is so far away that the series is taken to begin or end inside the window.
#[inline]
fn is_tripped(distance: i64, sampled: i64, gaps: i64) -> bool {
    // Years of milliseconds and millions of samples: nearly always 64 bits are enough.
    match (distance.checked_mul(gaps).and_then(|n| n.checked_mul(10)), sampled.checked_mul(11)) {
        (Some(distance), Some(sampled)) => distance >= sampled,
        _ => i128::from(distance) * i128::from(gaps) * 10 >= i128::from(sampled) * 11,
    }
}

/// From which distance on an edge is tripped, or from the one after it.
fn threshold(sampled: i64, gaps: i64) -> i64 {
    match (sampled.checked_mul(11), gaps.checked_mul(10)) {
        (Some(sampled), Some(gaps)) => sampled.div_euclid(gaps),
        _ => i64::try_from((i128::from(sampled) * 11).div_euclid(i128::from(gaps) * 10)).unwrap_or(i64::MAX),
    }
}

/// What is known of the resets between a window's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resets {
    /// There are none.
    None,
    /// There may be some.
    Perhaps,
}

/// How the result moves while the window moves on and no sample enters or leaves it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Motion {
    /// By how much the value changes in a millisecond, but for rounding; 0 if it keeps every bit.
    pub speed: f64,
    /// The next right edge of the window at which the speed may change.
    pub until: Option<Timestamp>,
}

impl Motion {
    /// No change before a sample enters or leaves.
    pub(super) const STILL: Motion = Motion { speed: 0.0, until: None };

    /// Whether the value changes with every instant.
    pub fn is_moving(self) -> bool {
        self.speed != 0.0
    }
}

/// [`extrapolated`] and its motion: it rests while both edges follow the window, or neither does.
pub(super) fn moving(
    kind: Extrapolated,
    samples: &[Sample],
    resets: Resets,
    range: TimeRange,
) -> (Option<f64>, Motion) {
    let ends = match resets {
        Resets::None => Ends::with_resets(samples, std::iter::empty()),
        Resets::Perhaps => Ends::of(samples),
    };
    match ends {
        Some(ends) => ends.moving(kind, range),
        None => (None, Motion::STILL),
    }
}

/// The same, from the ends of `count` samples and what was there before each reset.
pub(super) fn moving_by_ends(
    kind: Extrapolated,
    ends: (Sample, Sample),
    count: usize,
    before_resets: Vec<f64>,
    range: TimeRange,
) -> (Option<f64>, Motion) {
    Ends::between(ends, count, before_resets.into_iter()).moving(kind, range)
}

/// [`from_start`] and its motion.
pub(super) fn moving_from_start(
    kind: Extrapolated,
    samples: &[Sample],
    start: Option<Timestamp>,
    rise: f64,
    range: TimeRange,
) -> (Option<f64>, Motion) {
    let [first, .., last] = samples else {
        // A single sample is not extrapolated beyond.
        let until = start.map(|start| start + (range.until - range.after));
        return (from_start(kind, samples, start, rise, range), Motion { speed: 0.0, until });
    };
    let Some(start) = start else {
        return Ends { first: *first, last: *last, count: samples.len() as u64, rise }.moving(kind, range);
    };
    let (sampled, gaps) = ((last.t - first.t).0, samples.len() as i64 - 1);
    let follows = !is_tripped((range.until - last.t).0, sampled, gaps);
    let threshold = threshold(sampled, gaps);
    let right = [last.t + Millis(threshold), last.t + Millis(threshold.saturating_add(1))];
    let leaves = start + (range.until - range.after);
    let until = right.into_iter().chain([leaves]).filter(|t| *t > range.until).min();
    let seconds = if kind == Extrapolated::Rate { (range.until - range.after).as_seconds() } else { 1.0 };
    let growth = f64::from(u8::from(follows)) / (last.t - start).0 as f64;
    // Of what is not a number nothing is known to move.
    let speed = if rise.is_finite() { rise * growth / seconds } else { 0.0 };
    (from_start(kind, samples, Some(start), rise, range), Motion { speed, until })
}

impl Ends {
    fn moving(self, kind: Extrapolated, range: TimeRange) -> (Option<f64>, Motion) {
        let Some(change) = self.extrapolated(kind, range) else { return (None, Motion::STILL) };
        if change == 0.0 || change.is_nan() {
            return (Some(change), Motion::STILL);
        }
        (Some(change), self.motion(kind, range))
    }

    fn motion(self, kind: Extrapolated, range: TimeRange) -> Motion {
        let (sampled, gaps) = ((self.last.t - self.first.t).0, self.count as i64 - 1);
        let (to_start, to_end) = ((self.first.t - range.after).0, (range.until - self.last.t).0);
        let left_tripped = is_tripped(to_start, sampled, gaps);
        let right_follows = !is_tripped(to_end, sampled, gaps);
        let zero = if kind == Extrapolated::Delta { None } else { self.to_zero() };
        let edge = edge(to_start, sampled, gaps);
        let left_follows = !left_tripped && zero.is_none_or(|zero| zero >= edge);
        let threshold = threshold(sampled, gaps);
        let at_distance = |distance: i64| range.until + Millis(to_start.saturating_sub(distance));
        let right = [self.last.t + Millis(threshold), self.last.t + Millis(threshold.saturating_add(1))];
        let left = [at_distance(threshold), at_distance(threshold - 1)];
        let zero = zero.map(|zero| [at_distance(zero as i64), at_distance(zero as i64 - 1)]);
        let edges = right.into_iter().chain(left).chain(zero.into_iter().flatten());
        let until = edges.filter(|t| *t > range.until).min();
        let change = if kind == Extrapolated::Delta { self.last.v - self.first.v } else { self.rise };
        let growth = f64::from(i8::from(right_follows) - i8::from(left_follows)) / sampled as f64;
        let seconds = if kind == Extrapolated::Rate { (range.until - range.after).as_seconds() } else { 1.0 };
        Motion { speed: change * growth / seconds, until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(pairs: &[(i64, f64)]) -> Vec<Sample> {
        pairs.iter().map(|&(s, v)| Sample { t: Timestamp(s * 1000), v }).collect()
    }

    fn range(after: i64, until: i64) -> TimeRange {
        TimeRange { after: Timestamp(after * 1000), until: Timestamp(until * 1000) }
    }

    #[test]
    fn changes_are_extrapolated_as_in_prometheus() {
        let check = |kind, pairs: &[(i64, f64)], range: TimeRange, expected: Option<f64>| {
            assert_eq!(extrapolated(kind, &samples(pairs), range), expected, "{kind:?} {pairs:?} {range:?}");
        };
        let steady = [(60, 100.0), (120, 160.0), (180, 220.0), (240, 280.0)];
        check(Extrapolated::Increase, &steady, range(0, 240), Some(240.0));
        check(Extrapolated::Rate, &steady, range(0, 240), Some(180.0 * (240.0 / 180.0 / 240.0)));
        check(Extrapolated::Delta, &steady, range(30, 270), Some(240.0));
        // The right edge is two gaps away: half a gap is added instead.
        check(Extrapolated::Increase, &steady, range(60 - 30, 360), Some(180.0 + 30.0 + 30.0));
        // A counter that starts at zero gets nothing before its first sample.
        check(Extrapolated::Increase, &[(60, 0.0), (120, 60.0)], range(30, 130), Some(60.0 + 10.0));
        check(Extrapolated::Delta, &[(60, 0.0), (120, 60.0)], range(30, 130), Some(60.0 + 30.0 + 10.0));
        // A reset adds what was there before.
        check(Extrapolated::Increase, &[(60, 100.0), (120, 110.0), (180, 5.0)], range(60, 180), Some(15.0));
        check(Extrapolated::Increase, &[(60, 1.0)], range(0, 60), None);
        check(Extrapolated::Increase, &[], range(0, 60), None);
    }

    #[test]
    fn motion_names_every_instant_of_change() {
        let check = |kind, pairs: &[(i64, f64)], window: i64| {
            let samples = samples(pairs);
            let last = samples[samples.len() - 1].t.0;
            let at = |until: i64| TimeRange { after: Timestamp(until - window), until: Timestamp(until) };
            let value = |until: i64| extrapolated(kind, &samples, at(until)).map(f64::to_bits);
            let mut until = last;
            while until < samples[0].t.0 + window {
                let motion = moving(kind, &samples, Resets::Perhaps, at(until)).1;
                let end = motion.until.map_or(i64::MAX, |t| t.0).min(samples[0].t.0 + window);
                for t in until..end {
                    if !motion.is_moving() {
                        assert_eq!(value(t), value(until), "{kind:?} {pairs:?} at {until}, still until {end}");
                    } else if let (Some(from), Some(to)) = (value(until), value(t)) {
                        let (from, to) = (f64::from_bits(from), f64::from_bits(to));
                        let expected = from + motion.speed * (t - until) as f64;
                        assert!((to - expected).abs() <= 1e-9 * from.abs(), "{kind:?} {pairs:?}: {from} moves to {to}");
                    }
                }
                until = end;
            }
        };
        for kind in [Extrapolated::Rate, Extrapolated::Delta] {
            check(kind, &[(60, 5.0), (75, 10.0), (90, 16.0)], 90_000);
            check(kind, &[(60, 0.0), (75, 10.0), (90, 16.0)], 90_000);
            check(kind, &[(60, 1.0), (75, 10.0), (100, 2.0)], 61_000);
            check(kind, &[(60, 100.0), (67, 110.0)], 45_000);
            check(kind, &[(60, 100.0), (67, 100.0)], 45_000);
        }
    }

    #[test]
    fn an_untripped_window_may_move_without_changing_a_bit() {
        let steady: Vec<Sample> =
            (0..20).map(|i| Sample { t: Timestamp(i * 15_003), v: i as f64 * 0.7 + 1000.0 }).collect();
        let last = steady[19].t.0;
        let window = last + 9_000;
        let at = |until: i64| {
            let range = TimeRange { after: Timestamp(until - window), until: Timestamp(until) };
            extrapolated(Extrapolated::Rate, &steady, range).unwrap().to_bits()
        };
        for until in last..last + 8_999 {
            assert_eq!(at(until), at(last));
        }
    }
}
