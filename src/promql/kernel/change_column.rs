//! `rate`, `increase` and `delta` in many windows, for series whose samples have the same times: what follows
//! from the times is calculated once for all of them.
//!
//! Invariant: each value is that of [`over_range`](super::over_range) on the samples of its window, bit for bit.

use super::Function;
use super::rate::{Edges, Extrapolated, extrapolated_ends};
use crate::model::{STALE_NAN, Sample, TimeRange};

/// From so much more on before its zero, a counter is surely not extrapolated past it, whatever was rounded.
const SURELY: f64 = 1.0 + 1e-9;
/// Products above this one have lost nothing to underflow.
const SURELY_NORMAL: f64 = 1e-290;

/// What the times of samples say about the change in each of several windows, whose edges never move back.
#[derive(Debug)]
pub struct ChangeColumn {
    kind: Extrapolated,
    windows: Vec<Window>,
    /// The windows that have no value, whatever the samples are.
    absent: Vec<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    first: u32,
    last: u32,
    edges: Edges,
    /// The factor, if a counter's zero is far away.
    factor: f64,
}

impl Window {
    fn ends(self) -> (usize, usize) {
        (self.first as usize, self.last as usize)
    }
}

impl ChangeColumn {
    /// For the windows of these samples, each the places of its first and behind its last one, and its range;
    /// nothing if the function is of another kind.
    pub fn new(
        function: Function,
        samples: &[Sample],
        windows: impl Iterator<Item = ((usize, usize), TimeRange)>,
    ) -> Option<ChangeColumn> {
        let kind = Extrapolated::of(function)?;
        let mut column = ChangeColumn { kind, windows: Vec::new(), absent: Vec::new() };
        for (at, ((from, to), range)) in windows.enumerate() {
            let edges = match samples.get(from..to) {
                Some([first, .., last]) => Edges::of(kind, (first.t, last.t), (to - from) as u64, range),
                _ => None,
            };
            let absent = || Edges::of(kind, (range.after, range.until), 2, range);
            let known = edges.or_else(absent)?;
            let (first, last) = if edges.is_some() { (from as u32, to as u32 - 1) } else { (0, 0) };
            if edges.is_none() {
                column.absent.push(at);
            }
            column.windows.push(Window { first, last, edges: known, factor: known.factor(known.to_start) });
        }
        Some(column)
    }

    /// The values in the windows, whose ranges `range` gives, of samples at those times; the marker of staleness
    /// where there is none.
    pub fn values(&self, samples: &[Sample], range: impl Fn(usize) -> TimeRange, out: &mut [f64]) {
        let is_counter = self.kind != Extrapolated::Delta;
        if samples.is_empty() {
            out.fill(f64::from_bits(STALE_NAN));
            return;
        }
        for (value, window) in out.iter_mut().zip(&self.windows) {
            let (first, last) = window.ends();
            let (first, change) = (samples[first].v, samples[last].v - samples[first].v);
            let far = first * window.edges.sampled > change * window.edges.to_start * SURELY + SURELY_NORMAL;
            *value = if far || !is_counter || change <= 0.0 {
                change * window.factor
            } else {
                window.edges.extrapolated(self.kind, first, change)
            };
        }
        if is_counter && samples.windows(2).fold(false, |any, two| any | (two[1].v < two[0].v)) {
            self.mend(samples, range, out);
        }
        self.absent.iter().for_each(|at| out[*at] = f64::from_bits(STALE_NAN));
    }

    /// Puts right what windows with resets have.
    #[cold]
    fn mend(&self, samples: &[Sample], range: impl Fn(usize) -> TimeRange, out: &mut [f64]) {
        let resets: Vec<usize> = (1..samples.len()).filter(|at| samples[*at].v < samples[at - 1].v).collect();
        let (mut from, mut to) = (0, 0);
        for (step, (value, window)) in out.iter_mut().zip(&self.windows).enumerate() {
            let (first, last) = window.ends();
            // A reset is between two samples of the window if the later one is not its first.
            while resets.get(from).is_some_and(|at| *at <= first) {
                from += 1;
            }
            while resets.get(to).is_some_and(|at| *at <= last) {
                to += 1;
            }
            let inside = resets.get(from..to).unwrap_or_default();
            if !inside.is_empty() {
                let before = inside.iter().map(|at| samples[at - 1].v);
                let changed = extrapolated_ends(self.kind, &samples[first..=last], before, range(step));
                *value = changed.unwrap_or(f64::from_bits(STALE_NAN));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Timestamp;
    use crate::promql::kernel::over_range;

    proptest! {
        #[test]
        fn each_window_has_the_change_of_its_samples(
            series in proptest::collection::vec(proptest::collection::vec(prop_oneof![
                6 => (0i32..9).prop_map(f64::from),
                4 => (0i32..2000).prop_map(|n| f64::from(n) / 10.0),
                2 => (1_000_000i32..1_000_009).prop_map(f64::from),
                1 => any::<f64>(),
                1 => prop_oneof![Just(f64::NAN), Just(-0.0), Just(0.0), Just(5e-324), Just(f64::MAX)],
            ], 30), 1..4),
            count in 0usize..30,
            rising in any::<bool>(),
            windows in proptest::collection::vec((0usize..4, 0usize..7, 1i64..3000, 0i64..3000), 1..20),
        ) {
            let series: Vec<Vec<Sample>> = series.iter().map(|values| {
                let mut values = values[..count].to_vec();
                if rising {
                    values.sort_by(f64::total_cmp);
                }
                (1i64..).zip(values).map(|(n, v)| Sample { t: Timestamp(n * 1000 + n % 3), v }).collect()
            }).collect();
            let (mut from, mut to, mut placed) = (0, 0, Vec::new());
            for (start, end, before, behind) in windows {
                from = (from + start).min(count);
                to = (to + end).min(count).max(from);
                let (first, last) = (from as i64 * 1000 + 1000, to as i64 * 1000);
                let range = TimeRange { after: Timestamp(first - before), until: Timestamp(last + behind) };
                placed.push(((from, to), range));
            }
            // Edges do not move back.
            let mut least = i64::MIN;
            placed.iter_mut().for_each(|(_, range)| {
                least = least.max(range.after.0);
                (range.after, range.until) = (Timestamp(least), range.until.max(Timestamp(least + 1)));
            });
            for function in [Function::Rate, Function::Increase, Function::Delta] {
                let Some(column) = ChangeColumn::new(function, &series[0], placed.iter().copied()) else {
                    return Err(TestCaseError::fail("there is a column for each of these"));
                };
                let mut out = vec![0.0; placed.len()];
                for samples in &series {
                    column.values(samples, |step| placed[step].1, &mut out);
                    for (got, ((from, to), range)) in out.iter().zip(&placed) {
                        let expected = over_range(function, &[], &samples[*from..*to], *range);
                        let expected = expected.unwrap_or(f64::from_bits(STALE_NAN));
                        let same = got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan()
                            && got.to_bits() != STALE_NAN && expected.to_bits() != STALE_NAN;
                        prop_assert!(same, "{function:?} {from}..{to} {range:?}: {got} is not {expected}");
                    }
                }
            }
        }
    }
}
