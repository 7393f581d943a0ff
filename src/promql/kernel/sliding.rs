//! Functions of windows that slide over the samples of one series, each sample looked at a few times however
//! many windows it is in.
//!
//! Invariant: the value is that of [`over_range`] on the samples of the window, bit for bit.

use std::collections::VecDeque;
use std::ops::Range;

use super::Function;
use super::range::over_range;
use super::rate::{Extrapolated, extrapolated_ends};
use crate::model::{ExactSum, Sample, TimeRange};

/// Samples whose extreme is found at once.
const STRETCH: usize = 64;

/// A function of windows of which neither edge ever moves back.
#[derive(Debug)]
pub struct Sliding<'s> {
    function: Function,
    samples: &'s [Sample],
    state: State,
}

#[derive(Debug)]
enum State {
    /// The change of a counter or gauge: the places of all resets, and which of them are in the window.
    Change { kind: Extrapolated, resets: Vec<usize>, from: usize, to: usize },
    /// The sum of the window's values.
    Sum { sum: ExactSum, from: usize, to: usize },
    /// Stretches of samples whose extreme is or may become that of the window, each with it.
    Extreme { side: Side, kept: VecDeque<Stretch>, to: usize },
    /// How many of the pairs of neighbours count, up to each sample.
    Pairs { before: Vec<u32> },
    /// Nothing is known from the window before.
    Fresh,
}

impl<'s> Sliding<'s> {
    /// Of samples in the order of time without staleness markers.
    pub fn new(function: Function, samples: &'s [Sample]) -> Sliding<'s> {
        let change = |kind: Extrapolated| {
            let is_reset = |at: &usize| samples[*at].v < samples[at - 1].v;
            let resets = match kind {
                Extrapolated::Delta => Vec::new(),
                _ => (1..samples.len()).filter(is_reset).collect(),
            };
            State::Change { kind, resets, from: 0, to: 0 }
        };
        let state = match function {
            Function::Rate => change(Extrapolated::Rate),
            Function::Increase => change(Extrapolated::Increase),
            Function::Delta => change(Extrapolated::Delta),
            Function::SumOverTime | Function::AvgOverTime => State::Sum { sum: ExactSum::new(), from: 0, to: 0 },
            Function::MinOverTime => State::Extreme { side: Side::Least, kept: VecDeque::new(), to: 0 },
            Function::MaxOverTime => State::Extreme { side: Side::Greatest, kept: VecDeque::new(), to: 0 },
            Function::Changes => pairs(samples, |a, b| a != b && !(a.is_nan() && b.is_nan())),
            Function::Resets => pairs(samples, |a, b| b < a),
            _ => State::Fresh,
        };
        Sliding { function, samples, state }
    }

    /// The value of the function of the window `samples[from..to]`, which are those inside `range`; `args` as
    /// [`over_range`] takes them.
    pub fn value(&mut self, args: &[f64], (from, to): (usize, usize), range: TimeRange) -> Option<f64> {
        let window = self.samples.get(from..to).filter(|window| !window.is_empty())?;
        let count = window.len() as f64;
        match &mut self.state {
            State::Change { kind, resets, from: first, to: last } => {
                // A reset is between two samples of the window if the later one is not its first.
                while resets.get(*first).is_some_and(|at| *at <= from) {
                    *first += 1;
                }
                while resets.get(*last).is_some_and(|at| *at < to) {
                    *last += 1;
                }
                let before = resets.get(*first..*last).unwrap_or_default().iter().map(|at| self.samples[at - 1].v);
                extrapolated_ends(*kind, window, before, range)
            }
            State::Sum { sum, from: first, to: last } => {
                if from >= *last {
                    (*sum, *first, *last) = (ExactSum::new(), from, from);
                }
                self.samples[*first..from].iter().for_each(|sample| sum.remove(sample.v));
                self.samples[*last..to].iter().for_each(|sample| sum.add(sample.v));
                (*first, *last) = (from, to);
                Some(if self.function == Function::SumOverTime { sum.value() } else { sum.mean(count) })
            }
            State::Extreme { side, kept, to: last } => {
                while kept.front().is_some_and(|stretch| stretch.to <= from) {
                    kept.pop_front();
                }
                // The window's edge went into the oldest stretch.
                if kept.front().is_some_and(|oldest| oldest.from < from)
                    && let Some(oldest) = kept.pop_front()
                    && let Some(rest) = side.of(self.samples, from..oldest.to)
                {
                    kept.push_front(rest);
                }
                for at in ((*last).max(from)..to).step_by(STRETCH) {
                    let Some(stretch) = side.of(self.samples, at..to.min(at + STRETCH)) else { continue };
                    // What a later stretch beats tells nothing any more.
                    while kept.back().is_some_and(|other| !side.beats(other.extreme, stretch.extreme)) {
                        kept.pop_back();
                    }
                    kept.push_back(stretch);
                }
                *last = to;
                let better = |a: f64, b: f64| if side.beats(b, a) { b } else { a };
                match kept.iter().map(|stretch| stretch.extreme).reduce(better) {
                    // Of zeros with both signs the first counts.
                    Some(0.0) => window.iter().map(|sample| sample.v).find(|v| *v == 0.0),
                    // Without any number all are NaN, of which the last is as good as any.
                    best => best.or(window.last().map(|sample| sample.v)),
                }
            }
            State::Pairs { before } => Some(f64::from(before[to - 1] - before[from])),
            State::Fresh => over_range(self.function, args, window, range),
        }
    }
}

/// Which extreme of some values.
#[derive(Debug, Clone, Copy)]
enum Side {
    Least,
    Greatest,
}

/// Samples next to each other.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    from: usize,
    to: usize,
    /// Their extreme, a number; the sign of a zero is open.
    extreme: f64,
}

impl Side {
    fn beats(self, a: f64, b: f64) -> bool {
        match self {
            Side::Least => a < b,
            Side::Greatest => a > b,
        }
    }

    /// The stretch of some samples, if any is a number.
    fn of(self, samples: &[Sample], Range { start: from, end: to }: Range<usize>) -> Option<Stretch> {
        let samples = samples.get(from..to)?;
        // A comparison with NaN is false, which leaves it out.
        let (none, extreme) = match self {
            Side::Least => {
                (f64::INFINITY, extreme(samples, f64::INFINITY, |v, least| if v < least { v } else { least }))
            }
            Side::Greatest => {
                (f64::NEG_INFINITY, extreme(samples, f64::NEG_INFINITY, |v, most| if v > most { v } else { most }))
            }
        };
        let found = extreme != none || samples.iter().any(|sample| sample.v == none);
        found.then_some(Stretch { from, to, extreme })
    }
}

/// The extreme of samples in a few lanes, which their order does not matter to.
#[inline(always)]
fn extreme(samples: &[Sample], none: f64, pick: impl Fn(f64, f64) -> f64) -> f64 {
    let mut lanes = [none; 8];
    let (whole, rest) = samples.as_chunks::<8>();
    for samples in whole {
        for (lane, sample) in lanes.iter_mut().zip(samples) {
            *lane = pick(sample.v, *lane);
        }
    }
    rest.iter().map(|sample| sample.v).chain(lanes).fold(none, |best, v| pick(v, best))
}

fn pairs(samples: &[Sample], counts: impl Fn(f64, f64) -> bool) -> State {
    let mut sum = 0;
    let mut before = Vec::with_capacity(samples.len());
    for (at, sample) in samples.iter().enumerate() {
        sum += u32::from(at > 0 && counts(samples[at - 1].v, sample.v));
        before.push(sum);
    }
    State::Pairs { before }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Timestamp;

    proptest! {
        #[test]
        fn a_window_has_the_value_of_its_samples(
            values in proptest::collection::vec(prop_oneof![
                6 => (0i32..9).prop_map(f64::from),
                2 => (0i32..2000).prop_map(|n| f64::from(n) / 10.0),
                1 => any::<f64>(),
                1 => prop_oneof![Just(f64::NAN), Just(-0.0), Just(0.0)],
            ], 0..260),
            windows in proptest::collection::vec(
                prop_oneof![(0usize..5, 0usize..9), (0usize..60, 0usize..150)],
                1..20,
            ),
        ) {
            let samples: Vec<Sample> =
                (1i64..).zip(values).map(|(n, v)| Sample { t: Timestamp(n * 1000 + n % 3), v }).collect();
            for function in Function::ALL {
                let mut sliding = Sliding::new(*function, &samples);
                let (mut from, mut to) = (0, 0);
                for (start, end) in &windows {
                    from = (from + start).min(samples.len());
                    to = (to + end).min(samples.len()).max(from);
                    let range = TimeRange { after: Timestamp(from as i64 * 1000 + 500), until: Timestamp(to as i64 * 1000 + 700) };
                    let got = sliding.value(&[0.3, 2.0], (from, to), range);
                    let expected = over_range(*function, &[0.3, 2.0], &samples[from..to], range);
                    // Which NaN it is does not matter.
                    let bits = |v: Option<f64>| v.map(|v| if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() });
                    prop_assert_eq!(bits(got), bits(expected), "{:?} {}..{}", function, from, to);
                }
            }
        }
    }
}
