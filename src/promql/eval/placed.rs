//! Where the windows of all steps lie among the samples of a series, for one series after the other.
//!
//! Series of one scrape have samples at the same times, so that the next series mostly has the windows of the
//! one before.
//!
//! Invariant: the values of a series do not depend on which series came before it.

use crate::model::{Millis, STALE_NAN, Sample, TimeRange, Timestamp};
use crate::promql::functions::Function;
use crate::promql::kernel::{ChangeColumn, Sliding};

/// The windows of a length that end at each of several instants, which never go back.
pub(super) struct Placed<'w> {
    seen: &'w [Timestamp],
    length: Millis,
    function: Option<Function>,
    /// The times of the samples that the places are of.
    times: Vec<Timestamp>,
    /// For each window the places of its first and behind its last sample.
    windows: Vec<(usize, usize)>,
    changes: Option<ChangeColumn>,
    known: bool,
}

impl<'w> Placed<'w> {
    /// For a function of each window, or for its newest sample.
    pub(super) fn new(seen: &'w [Timestamp], length: Millis, function: Option<Function>) -> Placed<'w> {
        Placed { seen, length, function, times: Vec::new(), windows: Vec::new(), changes: None, known: false }
    }

    /// Finds the places for the samples of a series.
    fn place(&mut self, samples: &[Sample]) {
        let same = |(sample, t): (&Sample, &Timestamp)| sample.t == *t;
        if self.known && self.times.len() == samples.len() && samples.iter().zip(&self.times).all(same) {
            return;
        }
        self.times.clear();
        self.times.extend(samples.iter().map(|sample| sample.t));
        self.windows.clear();
        let (mut from, mut to) = (0, 0);
        for until in self.seen {
            let after = *until - self.length;
            while self.times.get(to).is_some_and(|t| *t <= *until) {
                to += 1;
            }
            while from < to && self.times[from] <= after {
                from += 1;
            }
            self.windows.push((from, to));
        }
        let ranges = self.seen.iter().map(|until| TimeRange { after: *until - self.length, until: *until });
        let windows = self.windows.iter().copied().zip(ranges);
        self.changes = self.function.and_then(|function| ChangeColumn::new(function, samples, windows));
        self.known = true;
    }

    /// The newest sample of each window; a marker of staleness is the absence of a value.
    pub(super) fn newest(&mut self, samples: &[Sample], values: &mut [f64]) {
        self.place(samples);
        for (value, (from, to)) in values.iter_mut().zip(&self.windows) {
            *value = if from < to { samples[to - 1].v } else { f64::from_bits(STALE_NAN) };
        }
    }

    /// The function of each window of samples without markers; `args` gives its scalar arguments at a step.
    pub(super) fn slide(
        &mut self,
        function: Function,
        samples: &[Sample],
        args: impl Fn(usize, Timestamp, &mut Vec<f64>),
        values: &mut [f64],
    ) {
        self.place(samples);
        if let Some(changes) = &self.changes {
            return changes.values(samples, values);
        }
        let mut sliding = Sliding::new(function, samples);
        let mut given = Vec::new();
        let windows = self.windows.iter().zip(self.seen).enumerate();
        for (value, (step, ((from, to), until))) in values.iter_mut().zip(windows) {
            *value = f64::from_bits(STALE_NAN);
            if from == to {
                continue;
            }
            given.clear();
            args(step, *until, &mut given);
            let range = TimeRange { after: *until - self.length, until: *until };
            if let Some(v) = sliding.value(&given, (*from, *to), range) {
                *value = v;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_after_series_has_its_own_windows() {
        let at = |seconds: i64| Timestamp(seconds * 1000);
        let seen: Vec<Timestamp> = (1..=6).map(|n| at(n * 10)).collect();
        let samples = |times: &[i64], first: f64| -> Vec<Sample> {
            (0..).zip(times).map(|(n, t)| Sample { t: at(*t), v: first + f64::from(n) }).collect()
        };
        let mut newest = Placed::new(&seen, Millis(15_000), None);
        let check = |placed: &mut Placed<'_>, samples: &[Sample], expected: [f64; 6]| {
            let mut values = [0.0; 6];
            placed.newest(samples, &mut values);
            assert_eq!(values.map(f64::to_bits), expected.map(f64::to_bits), "{samples:?}");
        };
        let none = f64::from_bits(STALE_NAN);
        check(&mut newest, &[], [none; 6]);
        check(&mut newest, &samples(&[10, 20, 40], 1.0), [1.0, 2.0, 2.0, 3.0, 3.0, none]);
        check(&mut newest, &samples(&[10, 20, 40], 7.0), [7.0, 8.0, 8.0, 9.0, 9.0, none]);
        check(&mut newest, &samples(&[10, 20, 41], 7.0), [7.0, 8.0, 8.0, none, 9.0, none]);
        check(&mut newest, &[], [none; 6]);
        for function in [Function::Increase, Function::CountOverTime] {
            let one_by_one = |samples: &[Sample]| {
                let mut values = [0.0; 6];
                Placed::new(&seen, Millis(25_000), Some(function)).slide(function, samples, |_, _, _| {}, &mut values);
                values.map(f64::to_bits)
            };
            let mut placed = Placed::new(&seen, Millis(25_000), Some(function));
            for times in [&[5, 15, 25, 35][..], &[5, 15, 25, 35], &[6, 15, 25], &[], &[31, 32]] {
                let (samples, mut values) = (samples(times, 3.0), [0.0; 6]);
                placed.slide(function, &samples, |_, _, _| {}, &mut values);
                assert_eq!(values.map(f64::to_bits), one_by_one(&samples), "{function:?} {times:?}");
            }
        }
    }
}
