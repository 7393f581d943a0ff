//! What is known of the samples of a range without listing them.
//!
//! Invariants:
//! - Samples are counted in the order of time; a summary of parts that follow one another, merged, is
//!   the summary of the whole, bit for bit.
//! - Staleness markers are counted and otherwise passed over, as by every range function.

use super::exact_sum::ExactSum;
use super::sample::{Sample, is_stale};
use super::time::Millis;

/// A fold over the samples of one series in the order of time.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// How many samples there are, without staleness markers.
    pub count: u64,
    /// How many staleness markers there are.
    pub stale: u64,
    /// The first and the last sample.
    pub ends: Option<(Sample, Sample)>,
    /// The least value; NaN only if all are.
    pub min: f64,
    /// The greatest value; NaN only if all are.
    pub max: f64,
    /// The sum of the values.
    pub sum: ExactSum,
    /// How often a value is less than the one before.
    pub resets: u64,
    /// The sum of the values before a reset: what a counter had counted until then.
    pub reset_sum: ExactSum,
    /// How often a value differs from the one before.
    pub changes: u64,
    /// The longest time between two samples.
    pub gap_max: Millis,
}

/// Whether summaries tell of everything that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Summarized {
    /// They do.
    Wholly,
    /// Some series may have native histograms there, of which a summary says nothing. What was given counts
    /// for nothing: what is stored is to be read.
    NotHistograms,
}

/// So many whole numbers below [`WHOLE_MAX`] have a sum that a float holds exactly.
const WHOLE_AT_ONCE: usize = 64;
const WHOLE_MAX: i64 = 1 << 47;

/// The exact sum of values that all are whole and not too large.
fn whole_sum(samples: &[Sample]) -> Option<f64> {
    let (mut sum, mut all_whole) = (0, true);
    for sample in samples {
        // NaN is 0 and what is too large the largest number then, and neither is what it was.
        let whole = (sample.v as i64).clamp(-WHOLE_MAX, WHOLE_MAX);
        all_whole &= whole as f64 == sample.v;
        sum += whole;
    }
    all_whole.then_some(sum as f64)
}

impl Summary {
    /// The summary of these samples.
    pub fn of(samples: &[Sample]) -> Summary {
        let mut summary = Summary::default();
        summary.extend(samples);
        summary
    }

    /// Adds the samples that follow, as [`Summary::push`] would one by one. Most metrics are whole numbers, and
    /// those of some samples are added up as such first.
    pub fn extend(&mut self, samples: &[Sample]) {
        for some in samples.chunks(WHOLE_AT_ONCE) {
            match whole_sum(some) {
                Some(sum) => self.extend_whole(some, sum),
                None => some.iter().for_each(|sample| self.push(*sample)),
            }
        }
    }

    /// Adds samples, of which none is a staleness marker or a NaN.
    fn extend_whole(&mut self, samples: &[Sample], sum: f64) {
        let ([first, ..], [.., last]) = (samples, samples) else { return };
        self.join(*first);
        let (mut min, mut max, mut gap_max) = (first.v, first.v, self.gap_max);
        let (mut changes, mut before) = (0, first);
        for sample in &samples[1..] {
            gap_max = gap_max.max(sample.t - before.t);
            if sample.v < before.v {
                self.resets += 1;
                self.reset_sum.add(before.v);
            }
            changes += u64::from(sample.v != before.v);
            min = if sample.v < min { sample.v } else { min };
            max = if sample.v > max { sample.v } else { max };
            before = sample;
        }
        (self.gap_max, self.changes) = (gap_max, self.changes + changes);
        self.ends = Some((self.ends.map_or(*first, |(first, _)| first), *last));
        self.bound(min, max);
        self.count += samples.len() as u64;
        self.sum.add(sum);
    }

    /// Adds the next sample.
    pub fn push(&mut self, sample: Sample) {
        if is_stale(sample.v) {
            self.stale += 1;
            return;
        }
        self.join(sample);
        self.ends = Some((self.ends.map_or(sample, |(first, _)| first), sample));
        self.bound(sample.v, sample.v);
        self.count += 1;
        self.sum.add(sample.v);
    }

    /// Adds the summary of the samples that follow.
    pub fn merge(&mut self, next: &Summary) {
        self.stale += next.stale;
        let Some((first, last)) = next.ends else { return };
        self.join(first);
        self.ends = Some((self.ends.map_or(first, |(first, _)| first), last));
        self.bound(next.min, next.max);
        self.count += next.count;
        self.sum.merge(&next.sum);
        self.resets += next.resets;
        self.reset_sum.merge(&next.reset_sum);
        self.changes += next.changes;
        self.gap_max = self.gap_max.max(next.gap_max);
    }

    /// What happens between the last sample and the next one.
    fn join(&mut self, next: Sample) {
        let Some((_, last)) = self.ends else { return };
        self.gap_max = self.gap_max.max(next.t - last.t);
        if next.v < last.v {
            self.resets += 1;
            self.reset_sum.add(last.v);
        }
        let same = next.v == last.v || (next.v.is_nan() && last.v.is_nan());
        self.changes += u64::from(!same);
    }

    fn bound(&mut self, min: f64, max: f64) {
        let begun = self.ends.is_some() && self.count > 0;
        if !begun || min < self.min || self.min.is_nan() {
            self.min = min;
        }
        if !begun || max > self.max || self.max.is_nan() {
            self.max = max;
        }
    }
}

/// Equal to the last bit, NaNs included.
impl PartialEq for Summary {
    fn eq(&self, other: &Summary) -> bool {
        let sample = |sample: Sample| (sample.t, sample.v.to_bits());
        let parts = |s: &Summary| {
            let values = [s.min, s.max, s.sum.value(), s.reset_sum.value()].map(f64::to_bits);
            let ends = s.ends.map(|(first, last)| (sample(first), sample(last)));
            (s.count, s.stale, ends, values, s.resets, s.changes, s.gap_max)
        };
        parts(self) == parts(other)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{STALE_NAN, Timestamp};

    #[test]
    fn a_summary_says_what_the_samples_say() {
        let stale = f64::from_bits(STALE_NAN);
        let samples: Vec<Sample> = [(0, 3.0), (10, 5.0), (20, stale), (50, 1.0), (60, 1.0)]
            .map(|(t, v)| Sample { t: Timestamp(t), v })
            .to_vec();
        let summary = Summary::of(&samples);
        assert_eq!((summary.count, summary.stale, summary.min, summary.max), (4, 1, 1.0, 5.0));
        assert_eq!((summary.resets, summary.reset_sum.value(), summary.changes), (1, 5.0, 2));
        assert_eq!((summary.sum.value(), summary.gap_max), (10.0, Millis(40)));
        assert_eq!(summary.ends, Some((samples[0], samples[4])));
        assert_eq!(Summary::of(&samples[2..3]).ends, None);
    }

    proptest! {
        #[test]
        fn parts_merge_to_the_whole(
            values in proptest::collection::vec(prop_oneof![
                4 => (-5i32..5).prop_map(f64::from),
                2 => any::<f64>(),
                1 => any::<u64>().prop_map(f64::from_bits),
                1 => Just(f64::from_bits(STALE_NAN)),
                1 => Just(-0.0),
            ], 0..40),
            cuts in proptest::collection::vec(0usize..40, 0..4),
        ) {
            let samples: Vec<Sample> =
                (0i64..).zip(&values).map(|(i, v)| Sample { t: Timestamp(i * i), v: *v }).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(samples.len())).collect();
            cuts.extend([0, samples.len()]);
            cuts.sort_unstable();
            let mut merged = Summary::default();
            cuts.windows(2).for_each(|two| merged.merge(&Summary::of(&samples[two[0]..two[1]])));
            prop_assert_eq!(merged, Summary::of(&samples));
        }

        #[test]
        fn many_samples_add_up_as_one_by_one(
            start in any::<f64>(),
            values in proptest::collection::vec(prop_oneof![
                200 => (-3i64..3).prop_map(|n| n as f64),
                20 => Just(-0.0),
                10 => prop_oneof![Just(WHOLE_MAX), Just(-WHOLE_MAX), Just(WHOLE_MAX + 1)].prop_map(|n| n as f64),
                1 => any::<f64>(),
                1 => Just(f64::from_bits(STALE_NAN)),
            ], 0..300),
        ) {
            let samples: Vec<Sample> =
                (0i64..).zip(&values).map(|(i, v)| Sample { t: Timestamp(i * i), v: *v }).collect();
            let mut expected = Summary::default();
            expected.push(Sample { t: Timestamp(-1), v: start });
            let mut summary = expected.clone();
            samples.iter().for_each(|sample| expected.push(*sample));
            summary.extend(&samples);
            prop_assert_eq!(summary, expected);
        }
    }
}
