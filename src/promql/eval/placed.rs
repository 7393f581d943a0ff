//! Where the windows of all steps lie among the samples of a series, for one series after the other.
//!
//! Series of one scrape have samples at the same times, so that the next series mostly has the windows of the
//! one before.
//!
//! Invariant: the values of a series do not depend on which series came before it.

use crate::model::{Millis, STALE_NAN, Sample, TimeRange, Timestamp};
use crate::promql::functions::Function;
use crate::promql::kernel::{ChangeColumn, Sliding};

/// Lists of times that are remembered: series of so many targets may take turns.
const REMEMBERED: usize = 12;

/// The windows of a length that end at each of several instants, which never go back.
pub(super) struct Placed<'w> {
    seen: &'w [Timestamp],
    length: Millis,
    function: Option<Function>,
    /// What was found for the latest lists of times.
    places: Vec<Places>,
    /// The one that makes room next.
    oldest: usize,
}

/// The windows of a series with these times.
struct Places {
    times: Vec<Timestamp>,
    /// For each window the places of its first and behind its last sample.
    windows: Vec<(u32, u32)>,
    changes: Option<ChangeColumn>,
}

impl Places {
    fn fit(&self, samples: &[Sample]) -> bool {
        let ends = |samples: &[Sample]| Some((samples.first()?.t, samples.last()?.t));
        let own = self.times.first().copied().zip(self.times.last().copied());
        // Most lists differ there already.
        self.times.len() == samples.len()
            && own == ends(samples)
            && samples.iter().zip(&self.times).fold(true, |same, (sample, t)| same & (sample.t == *t))
    }
}

impl<'w> Placed<'w> {
    /// For a function of each window, or for its newest sample.
    pub(super) fn new(seen: &'w [Timestamp], length: Millis, function: Option<Function>) -> Placed<'w> {
        Placed { seen, length, function, places: Vec::new(), oldest: 0 }
    }

    /// The places for the samples of a series.
    fn place(&mut self, samples: &[Sample]) -> &Places {
        if let Some(at) = self.places.iter().position(|places| places.fit(samples)) {
            return &self.places[at];
        }
        let times: Vec<Timestamp> = samples.iter().map(|sample| sample.t).collect();
        let mut windows = Vec::with_capacity(self.seen.len());
        let (mut from, mut to) = (0, 0);
        for until in self.seen {
            let after = *until - self.length;
            while times.get(to).is_some_and(|t| *t <= *until) {
                to += 1;
            }
            while from < to && times[from] <= after {
                from += 1;
            }
            windows.push((from as u32, to as u32));
        }
        let ranges = self.seen.iter().map(|until| TimeRange { after: *until - self.length, until: *until });
        let placed = windows.iter().map(|(from, to)| (*from as usize, *to as usize)).zip(ranges);
        let changes = self.function.and_then(|function| ChangeColumn::new(function, samples, placed));
        let places = Places { times, windows, changes };
        let at = self.oldest;
        if self.places.len() < REMEMBERED {
            self.places.push(places);
        } else {
            self.places[at] = places;
        }
        self.oldest = (at + 1) % REMEMBERED;
        &self.places[at]
    }

    /// The newest sample of each window; a marker of staleness is the absence of a value.
    pub(super) fn newest(&mut self, samples: &[Sample], values: &mut [f64]) {
        for (value, (from, to)) in values.iter_mut().zip(&self.place(samples).windows) {
            *value = if from < to { samples[*to as usize - 1].v } else { f64::from_bits(STALE_NAN) };
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
        let (seen, length) = (self.seen, self.length);
        let range = |until: Timestamp| TimeRange { after: until - length, until };
        let places = self.place(samples);
        if let Some(changes) = &places.changes {
            return changes.values(samples, |step| range(seen[step]), values);
        }
        let mut sliding = Sliding::new(function, samples);
        let mut given = Vec::new();
        let windows = places.windows.iter().zip(seen).enumerate();
        for (value, (step, ((from, to), until))) in values.iter_mut().zip(windows) {
            *value = f64::from_bits(STALE_NAN);
            if from == to {
                continue;
            }
            given.clear();
            args(step, *until, &mut given);
            if let Some(v) = sliding.value(&given, (*from as usize, *to as usize), range(*until)) {
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
