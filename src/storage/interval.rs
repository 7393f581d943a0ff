//! Intervals: a sample that is kept, and what is known of those before it for which it stands.
//!
//! Invariants:
//! - The intervals of a series follow one another in time and none overlaps another: all of an interval's
//!   samples, staleness markers aside, lie between its start and its end, and nobody else's do.
//! - Joining intervals of the same samples in parts, in any steps, gives the same as joining all at once.
//! - The last sample of an interval that is no staleness marker is kept, and so is the marker if one comes
//!   last of all: a series that ended has ended.

use std::cmp::Reverse;

use crate::model::{Millis, Sample, Summary, Timestamp, is_stale};

/// How long the intervals of a series are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::storage) struct Resolution {
    /// Everything was downsampled to this at least; zero if something was not downsampled at all.
    pub(in crate::storage) finest: Millis,
    /// Nothing was downsampled further; zero if nothing was at all.
    pub(in crate::storage) coarsest: Millis,
}

impl Resolution {
    /// Whether all samples are as they came.
    pub(in crate::storage) fn is_raw(self) -> bool {
        self.coarsest == Millis::ZERO
    }

    /// That of samples of both.
    pub(in crate::storage) fn with(self, other: Resolution) -> Resolution {
        Resolution { finest: self.finest.min(other.finest), coarsest: self.coarsest.max(other.coarsest) }
    }

    /// That of these samples when they were downsampled to `to`; nothing if that changes nothing, or if
    /// intervals of this length would not consist of those that are there.
    pub(in crate::storage) fn lowered(self, to: Millis) -> Option<Resolution> {
        let (low, high) = (to.min(self.coarsest), to.max(self.coarsest));
        let fits = low == Millis::ZERO || high.0 % low.0 == 0;
        (to > self.finest && fits).then_some(Resolution { finest: to, coarsest: high })
    }
}

/// A sample, and all of the interval whose last sample it is.
#[derive(Debug, Clone)]
pub(in crate::storage) struct Interval {
    /// The sample that is kept.
    pub(in crate::storage) sample: Sample,
    /// What is known of it and those before it, if it stands for more than itself.
    pub(in crate::storage) whole: Option<Box<Summary>>,
}

impl Interval {
    /// One sample that stands for itself.
    pub(in crate::storage) fn of(sample: Sample) -> Interval {
        Interval { sample, whole: None }
    }

    /// A sample that stands for those that `whole` tells of.
    pub(in crate::storage) fn new(sample: Sample, whole: Summary) -> Interval {
        let more = whole.count + whole.stale > 1;
        Interval { sample, whole: more.then(|| Box::new(whole)) }
    }

    /// Its first sample's time.
    pub(in crate::storage) fn start(&self) -> Timestamp {
        let ends = self.whole.as_ref().and_then(|whole| whole.ends);
        ends.map_or(self.sample.t, |(first, _)| first.t)
    }

    /// Its last sample's time.
    pub(in crate::storage) fn end(&self) -> Timestamp {
        self.sample.t
    }

    /// Whether it lies inside of one interval of this length.
    pub(in crate::storage) fn fits(&self, length: Millis) -> bool {
        self.whole.is_none() || number(self.start(), length) == number(self.end(), length)
    }

    /// Adds what it stands for to a summary of what lies before.
    pub(in crate::storage) fn add_to(&self, summary: &mut Summary) {
        match &self.whole {
            None => summary.push(self.sample),
            Some(whole) => summary.merge(whole),
        }
    }
}

/// Equal to the last bit, NaNs included.
impl PartialEq for Interval {
    fn eq(&self, other: &Interval) -> bool {
        let sample = |interval: &Interval| (interval.sample.t, interval.sample.v.to_bits());
        sample(self) == sample(other) && self.whole == other.whole
    }
}

/// The summary of intervals that follow one another.
pub(in crate::storage) fn summary_of(intervals: &[Interval]) -> Summary {
    let mut summary = Summary::default();
    intervals.iter().for_each(|interval| interval.add_to(&mut summary));
    summary
}

/// The number of the interval of this length that `t` lies in: left-open, right-closed, ending at a multiple.
fn number(t: Timestamp, length: Millis) -> i64 {
    t.0.saturating_sub(1).div_euclid(length.0.max(1))
}

/// Joins the intervals that end in the same interval of this length, save where `disturbed` says that
/// samples from elsewhere lie between two instants.
pub(in crate::storage) fn join(
    intervals: &[Interval],
    length: Millis,
    disturbed: impl Fn(Timestamp, Timestamp) -> bool,
) -> Vec<Interval> {
    let mut joined = Vec::new();
    for group in intervals.chunk_by(|a, b| number(a.end(), length) == number(b.end(), length)) {
        match group {
            [first, .., last] if !disturbed(first.start(), last.end()) => join_group(group, last, &mut joined),
            alone => joined.extend_from_slice(alone),
        }
    }
    joined
}

fn join_group(group: &[Interval], last: &Interval, joined: &mut Vec<Interval>) {
    let mut whole = summary_of(group);
    match group.iter().rfind(|interval| !is_stale(interval.sample.v)) {
        Some(kept) if is_stale(last.sample.v) => {
            // The marker stands for itself.
            whole.stale = whole.stale.saturating_sub(1);
            joined.push(Interval::new(kept.sample, whole));
            joined.push(Interval::of(last.sample));
        }
        Some(kept) => joined.push(Interval::new(kept.sample, whole)),
        None => joined.push(Interval::new(last.sample, whole)),
    }
}

/// Sorts intervals of several sources by time, so that none overlaps another. What lies inside another one
/// is in it already: a downsampled block may stand beside the block that it was made of. Of two with the same
/// span the one given later counts.
pub(in crate::storage) fn put_in_order(intervals: &mut Vec<Interval>) {
    if intervals.is_sorted_by(|a, b| a.end() < b.start()) {
        return;
    }
    intervals.sort_by_key(|interval| (interval.start(), Reverse(interval.end())));
    let mut settled: Vec<Interval> = Vec::with_capacity(intervals.len());
    for interval in intervals.drain(..) {
        match settled.last_mut().filter(|before| interval.start() <= before.end()) {
            None => settled.push(interval),
            Some(before) if (interval.start(), interval.end()) == (before.start(), before.end()) => *before = interval,
            Some(before) if interval.end() <= before.end() => {}
            // No store makes these; what the two share cannot be told apart, and is counted once.
            Some(_) => settled.push(Interval::of(interval.sample)),
        }
    }
    *intervals = settled;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::STALE_NAN;

    fn never(_: Timestamp, _: Timestamp) -> bool {
        false
    }

    fn raw(samples: &[(i64, f64)]) -> Vec<Interval> {
        samples.iter().map(|(t, v)| Interval::of(Sample { t: Timestamp(*t), v: *v })).collect()
    }

    fn shown(intervals: &[Interval]) -> Vec<(i64, i64, u64, u64)> {
        let of = |interval: &Interval| {
            let summary = summary_of(std::slice::from_ref(interval));
            (interval.start().0, interval.end().0, summary.count, summary.stale)
        };
        intervals.iter().map(of).collect()
    }

    #[test]
    fn the_last_sample_of_each_interval_stays_and_so_does_a_marker_behind_it() {
        let stale = f64::from_bits(STALE_NAN);
        let check = |samples: &[(i64, f64)], expected: &[(i64, i64, u64, u64)]| {
            assert_eq!(shown(&join(&raw(samples), Millis(10), never)), expected, "{samples:?}");
        };
        check(&[], &[]);
        check(&[(0, 1.0), (1, 2.0), (10, 3.0), (11, 4.0)], &[(0, 0, 1, 0), (1, 10, 2, 0), (11, 11, 1, 0)]);
        check(&[(-10, 1.0), (-9, 1.0), (-1, 2.0)], &[(-10, -10, 1, 0), (-9, -1, 2, 0)]);
        check(&[(1, 1.0), (2, stale)], &[(1, 1, 1, 0), (2, 2, 0, 1)]);
        check(&[(1, 1.0), (2, stale), (3, 1.0)], &[(1, 3, 2, 1)]);
        check(&[(1, stale), (2, 1.0), (3, stale), (4, stale)], &[(2, 2, 1, 2), (4, 4, 0, 1)]);
        check(&[(1, stale), (2, stale)], &[(2, 2, 0, 2)]);
    }

    #[test]
    fn what_lies_inside_another_counts_once() {
        let samples = raw(&[(1, 1.0), (4, 2.0), (9, 3.0), (12, 4.0), (15, 5.0)]);
        let joined = join(&samples, Millis(10), never);
        let coarse = join(&samples, Millis(100), never);
        let check = |sources: &[&[Interval]], expected: &[Interval]| {
            let mut all = sources.concat();
            put_in_order(&mut all);
            assert_eq!(all, expected);
        };
        check(&[&samples, &joined], &joined);
        check(&[&joined, &samples], &joined);
        check(&[&samples, &joined, &coarse], &coarse);
        check(&[&samples[..2], &coarse, &joined], &coarse);
        check(&[&samples[3..], &joined[..1]], &[joined[..1].to_vec(), samples[3..].to_vec()].concat());
        let other = raw(&[(4, 7.0)]);
        check(&[&samples, &other], &[samples[..1].to_vec(), other.clone(), samples[2..].to_vec()].concat());
        // Two that no store makes: both kept samples are shown, nothing is counted twice.
        let late = join(&raw(&[(9, 3.0), (10, 6.0), (17, 6.0)]), Millis(20), never);
        check(&[&joined[..1], &late], &[joined[0].clone(), Interval::of(late[0].sample)]);
    }

    proptest! {
        #[test]
        fn steps_join_to_the_same_as_all_at_once(
            steps in proptest::collection::vec((1i64..40, prop_oneof![
                4 => (0i32..9).prop_map(f64::from),
                1 => any::<f64>(),
                1 => Just(f64::from_bits(STALE_NAN)),
            ]), 0..80),
            (fine, times) in (1i64..30, 1i64..6),
            hit in 0i64..1500,
        ) {
            let mut t = -300;
            let samples: Vec<(i64, f64)> = steps.into_iter().map(|(gap, v)| { t += gap; (t, v) }).collect();
            let (all, coarse) = (raw(&samples), Millis(fine * times));
            let direct = join(&all, coarse, never);
            prop_assert_eq!(&join(&join(&all, Millis(fine), never), coarse, never), &direct);
            prop_assert_eq!(&join(&direct, coarse, never), &direct);
            // What was disturbed once is joined later.
            let hit = Timestamp(hit - 300);
            let partly = join(&all, Millis(fine), |from, to| from <= hit && hit <= to);
            prop_assert_eq!(&join(&partly, coarse, never), &direct);
            prop_assert_eq!(summary_of(&all), summary_of(&direct));
            prop_assert!(direct.is_sorted_by(|a, b| a.end() < b.start()));
        }
    }
}
