//! Byte layout of intervals: counts and times, figures, the directory of both. `storage-format.md`
//! describes it; change both together.

use crate::codec::{CHUNK_MAX, Cursor, Damaged, Effort, Values, put_integers, put_values, put_varint, take_integers};
use crate::model::limits::DOWNSAMPLE_RESOLUTION_MAX;
use crate::model::{ExactSum, Millis, Sample, SumTerms, Summary, is_stale};
use crate::storage::block::format::{put_differences, put_numbers, take_differences, take_numbers};
use crate::storage::block::pages::Place;
use crate::storage::interval::{Interval, Resolution};

/// Series that share a page of the directory.
pub(super) const GROUP: usize = 128;

const TOO_LARGE: Damaged = Damaged("a number of intervals is over its bound");
const OUT_OF_ORDER: Damaged = Damaged("intervals are not in the order of time");

/// More samples than any interval has: sums of such counts cannot overflow.
const COUNT_MAX: u64 = 1 << 40;

/// The values never fall or never rise: the ends are the bounds.
const ENDS_BOUND: u8 = 2;
/// The sum is one float.
const ONE_PART: u8 = 4;
/// There are resets.
const RESETS: u8 = 8;
/// With [`ENDS_BOUND`]: the first value is the least.
const RISING: u8 = 16;

/// Where the intervals of a series are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SeriesIntervals {
    /// How long they are.
    pub(super) resolution: Resolution,
    /// Where counts and times lie, and how many bytes they take.
    pub(super) counts: (Place, u32),
    /// Likewise for figures.
    pub(super) figures: (Place, u32),
}

/// Appends a page of the directory: columns of finest and of coarsest resolutions and, for counts and for figures, of pages, places
/// in them, lengths.
pub(super) fn put_directory(out: &mut Vec<u8>, series: &[SeriesIntervals]) {
    put_varint(out, series.len() as u64);
    put_differences(out, series.iter().map(|one| one.resolution.finest.0 as u64));
    put_differences(out, series.iter().map(|one| one.resolution.coarsest.0 as u64));
    let counts = series.iter().map(|one| one.counts);
    let figures = series.iter().map(|one| one.figures);
    for items in [counts.collect::<Vec<(Place, u32)>>(), figures.collect()] {
        put_differences(out, items.iter().map(|(place, _)| place.page));
        put_differences(out, items.iter().map(|(place, _)| u64::from(place.start)));
        put_differences(out, items.iter().map(|(_, length)| u64::from(*length)));
    }
}

/// Takes a page of the directory.
pub(super) fn take_directory(bytes: &[u8]) -> Result<Vec<SeriesIntervals>, Damaged> {
    let mut from = Cursor::new(bytes);
    let n = from.length()?;
    let (finest, coarsest) = (take_differences(&mut from, n)?, take_differences(&mut from, n)?);
    let mut series = vec![SeriesIntervals::default(); n];
    let length = |n: u64| {
        let length = i64::try_from(n).ok().map(Millis).filter(|length| *length <= DOWNSAMPLE_RESOLUTION_MAX);
        length.ok_or(TOO_LARGE)
    };
    for (one, (finest, coarsest)) in series.iter_mut().zip(finest.into_iter().zip(coarsest)) {
        one.resolution = Resolution { finest: length(finest)?, coarsest: length(coarsest)? };
    }
    let small = |n: u64| u32::try_from(n).map_err(|_| TOO_LARGE);
    for which in [0, 1] {
        let pages = take_differences(&mut from, n)?;
        let starts = take_differences(&mut from, n)?;
        let lengths = take_differences(&mut from, n)?;
        for (at, one) in series.iter_mut().enumerate() {
            let item = (Place { page: pages[at], start: small(starts[at])? }, small(lengths[at])?);
            if which == 0 {
                one.counts = item;
            } else {
                one.figures = item;
            }
        }
    }
    from.end()?;
    Ok(series)
}

/// How many samples an interval stands for that are no staleness markers, and how many that are.
fn counts_of(interval: &Interval) -> (u64, u64) {
    match &interval.whole {
        Some(whole) => (whole.count, whole.stale),
        None => (u64::from(!is_stale(interval.sample.v)), u64::from(is_stale(interval.sample.v))),
    }
}

/// Those that stand for several samples: with their first.
fn wholes(intervals: &[Interval]) -> impl Iterator<Item = (&Summary, Sample)> {
    let wholes = intervals.iter().filter_map(|interval| interval.whole.as_deref());
    wholes.filter(|whole| whole.count > 1).filter_map(|whole| Some((whole, whole.ends?.0)))
}

/// Appends counts and times: how many samples, how many markers, time from the first sample to the last, the
/// longest gap. They are the same for series that are scraped together.
pub(super) fn put_counts(out: &mut Vec<u8>, intervals: &[Interval]) {
    let column = |number: &dyn Fn((u64, u64)) -> u64| -> Vec<u64> {
        intervals.iter().map(|interval| number(counts_of(interval))).collect()
    };
    put_integers(out, &column(&|(count, _)| count));
    put_integers(out, &column(&|(_, stale)| stale));
    let spans = wholes(intervals).map(|(whole, first)| whole.ends.map_or(0, |(_, last)| (last.t - first.t).0 as u64));
    put_integers(out, &spans.collect::<Vec<u64>>());
    put_integers(out, &wholes(intervals).map(|(whole, _)| whole.gap_max.0 as u64).collect::<Vec<u64>>());
}

/// Appends figures: flags, columns of first values, of bounds, of sums, of changes, then what few have.
pub(super) fn put_figures(out: &mut Vec<u8>, intervals: &[Interval]) {
    let (mut flags, mut firsts, mut bounds, mut sums) = (vec![], vec![], vec![], vec![]);
    let (mut changes, mut rest) = (vec![], vec![]);
    for (whole, first) in wholes(intervals) {
        let last = whole.ends.map_or(first.v, |(_, last)| last.v).to_bits();
        let (low, high) = (whole.min.to_bits(), whole.max.to_bits());
        let mut flag = 0;
        firsts.push(first.v);
        if (low, high) == (first.v.to_bits(), last) {
            flag |= ENDS_BOUND | RISING;
        } else if (low, high) == (last, first.v.to_bits()) {
            flag |= ENDS_BOUND;
        } else {
            bounds.extend([whole.min, whole.max]);
        }
        let terms = whole.sum.to_terms();
        match terms.finite.as_slice() {
            [one] if whole.sum.is_plain() => {
                flag |= ONE_PART;
                sums.push(*one);
            }
            _ => put_terms(&mut rest, &terms),
        }
        if whole.resets > 0 {
            flag |= RESETS;
            put_varint(&mut rest, whole.resets);
            put_terms(&mut rest, &whole.reset_sum.to_terms());
        }
        changes.push(whole.changes);
        flags.push(flag);
    }
    out.extend(flags);
    for column in [firsts, bounds, sums] {
        for part in column.chunks(CHUNK_MAX) {
            let mut bytes = Vec::new();
            put_values(&mut bytes, part, Effort::Cold);
            put_varint(out, bytes.len() as u64);
            out.extend(bytes);
        }
    }
    put_integers(out, &changes);
    out.extend(rest);
}

fn put_terms(out: &mut Vec<u8>, terms: &SumTerms) {
    for parts in [&terms.finite, &terms.huge] {
        put_varint(out, parts.len() as u64);
        parts.iter().for_each(|part| out.extend(part.to_bits().to_le_bytes()));
    }
    put_numbers(out, [terms.nan, terms.plus_infinity, terms.minus_infinity].map(u64::from));
}

fn take_terms(from: &mut Cursor<'_>) -> Result<ExactSum, Damaged> {
    let mut terms = SumTerms::default();
    for parts in [&mut terms.finite, &mut terms.huge] {
        for _ in 0..from.length()? {
            parts.push(from.f64()?);
        }
    }
    let small = |n: u64| u32::try_from(n).map_err(|_| TOO_LARGE);
    let numbers = take_numbers(from, 3)?;
    (terms.nan, terms.plus_infinity, terms.minus_infinity) =
        (small(numbers[0])?, small(numbers[1])?, small(numbers[2])?);
    Ok(ExactSum::from_terms(&terms))
}

/// Takes the intervals whose last samples are `kept`, in the order of time.
pub(super) fn take_intervals(counts: &[u8], figures: &[u8], kept: &[Sample]) -> Result<Vec<Interval>, Damaged> {
    let mut from = Cursor::new(counts);
    let numbers = take_integers(&mut from, kept.len())?;
    let markers = take_integers(&mut from, kept.len())?;
    let several = numbers.iter().filter(|count| **count > 1).count();
    let mut spans = take_integers(&mut from, several)?.into_iter();
    let mut gaps = take_integers(&mut from, several)?.into_iter();
    from.end()?;
    let mut figures = Figures::open(figures, several)?;
    let mut intervals: Vec<Interval> = Vec::with_capacity(kept.len());
    for ((sample, count), stale) in kept.iter().zip(numbers).zip(markers) {
        let before = intervals.last().map(Interval::end);
        let possible = count <= COUNT_MAX && stale <= COUNT_MAX && count + stale > 0;
        if is_stale(sample.v) != (count == 0) || !possible {
            return Err(Damaged("an interval has an impossible count"));
        }
        let mut whole = Summary::default();
        if count == 1 {
            whole.push(*sample);
        } else if count > 1 {
            let (span, gap) = (spans.next().unwrap_or_default(), gaps.next().unwrap_or_default());
            let start = i64::try_from(span).ok().filter(|span| *span > 0).and_then(|span| sample.t.0.checked_sub(span));
            whole = figures.next(Sample { t: crate::model::Timestamp(start.ok_or(OUT_OF_ORDER)?), v: 0.0 }, *sample)?;
            whole.count = count;
            whole.gap_max =
                Millis(i64::try_from(gap).ok().filter(|gap| (1..=span as i64).contains(gap)).ok_or(TOO_LARGE)?);
        }
        whole.stale = stale;
        let interval = Interval::new(*sample, whole);
        if before.is_some_and(|before| before >= interval.start()) {
            return Err(OUT_OF_ORDER);
        }
        intervals.push(interval);
    }
    figures.from.end()?;
    Ok(intervals)
}

/// Figures on the way out.
struct Figures<'a> {
    flags: std::slice::Iter<'a, u8>,
    firsts: std::vec::IntoIter<f64>,
    bounds: std::vec::IntoIter<f64>,
    sums: std::vec::IntoIter<f64>,
    changes: std::vec::IntoIter<u64>,
    from: Cursor<'a>,
}

impl<'a> Figures<'a> {
    fn open(bytes: &'a [u8], several: usize) -> Result<Figures<'a>, Damaged> {
        let mut from = Cursor::new(bytes);
        let flags = from.bytes(several)?;
        let having = |mask: u8, value: u8| flags.iter().filter(|flag| **flag & mask == value).count();
        let mut column = |n: usize| -> Result<std::vec::IntoIter<f64>, Damaged> {
            let mut values = Vec::new();
            for start in (0..n).step_by(CHUNK_MAX) {
                let length = from.length()?;
                Values::open(from.bytes(length)?, (n - start).min(CHUNK_MAX))?.all(&mut values)?;
            }
            Ok(values.into_iter())
        };
        let firsts = column(several)?;
        let bounds = column(2 * having(ENDS_BOUND, 0))?;
        let sums = column(having(ONE_PART, ONE_PART))?;
        let changes = take_integers(&mut from, several)?.into_iter();
        Ok(Figures { flags: flags.iter(), firsts, bounds, sums, changes, from })
    }

    /// The next summary, whose counts are for the caller to add.
    fn next(&mut self, first: Sample, last: Sample) -> Result<Summary, Damaged> {
        const SHORT: Damaged = Damaged("a column of intervals is too short");
        let flag = *self.flags.next().ok_or(SHORT)?;
        let first = Sample { v: self.firsts.next().ok_or(SHORT)?, ..first };
        let (min, max) = match (flag & ENDS_BOUND != 0, flag & RISING != 0) {
            (true, true) => (first.v, last.v),
            (true, false) => (last.v, first.v),
            (false, _) => (self.bounds.next().ok_or(SHORT)?, self.bounds.next().ok_or(SHORT)?),
        };
        let changes = bounded(self.changes.next().ok_or(SHORT)?)?;
        let mut whole = Summary { ends: Some((first, last)), min, max, changes, ..Summary::default() };
        whole.sum = match flag & ONE_PART != 0 {
            true => ExactSum::from_parts([self.sums.next().ok_or(SHORT)?]),
            false => take_terms(&mut self.from)?,
        };
        if flag & RESETS != 0 {
            whole.resets = bounded(self.from.varint()?)?;
            whole.reset_sum = take_terms(&mut self.from)?;
        }
        Ok(whole)
    }
}

fn bounded(n: u64) -> Result<u64, Damaged> {
    if n <= COUNT_MAX { Ok(n) } else { Err(TOO_LARGE) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{STALE_NAN, Timestamp};
    use crate::storage::interval::join;

    fn bytes_of(intervals: &[Interval]) -> (Vec<u8>, Vec<u8>) {
        let (mut counts, mut figures) = (Vec::new(), Vec::new());
        put_counts(&mut counts, intervals);
        put_figures(&mut figures, intervals);
        (counts, figures)
    }

    #[test]
    fn a_directory_comes_back() {
        let item = |page, start, length| (Place { page, start }, length);
        let resolution = Resolution { finest: Millis(1000), coarsest: Millis(300_000) };
        let one = SeriesIntervals { resolution, counts: item(7, 0, 12), figures: item(9, 3, 70_000) };
        let two = SeriesIntervals { counts: item(u64::MAX, u32::MAX, 0), ..one };
        let all = vec![one, SeriesIntervals::default(), two, one];
        let mut out = Vec::new();
        put_directory(&mut out, &all);
        assert_eq!(take_directory(&out), Ok(all));
        assert!((0..out.len()).all(|end| take_directory(&out[..end]).is_err()));
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            6 => (0i32..9).prop_map(f64::from),
            2 => (0i32..5000).prop_map(|n| f64::from(n) / 10.0),
            1 => any::<f64>(),
            1 => any::<u64>().prop_map(f64::from_bits),
            1 => Just(f64::from_bits(STALE_NAN)),
            1 => prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(f64::MAX), Just(-0.0)],
        ]
    }

    proptest! {
        #[test]
        fn intervals_come_back_bit_for_bit(
            steps in proptest::collection::vec((1i64..40, value()), 1..200),
            length in 1i64..200,
            bit in any::<u64>(),
        ) {
            let mut t = -300;
            let mut next = |(gap, v)| { t += gap; Interval::of(Sample { t: Timestamp(t), v }) };
            let all: Vec<Interval> = steps.into_iter().map(&mut next).collect();
            let joined = join(&all, Millis(length), |_, _| false);
            let (mut counts, figures) = bytes_of(&joined);
            let kept: Vec<Sample> = joined.iter().map(|interval| interval.sample).collect();
            let back = take_intervals(&counts, &figures, &kept).unwrap();
            prop_assert_eq!(back.len(), joined.len());
            for (back, interval) in back.iter().zip(&joined) {
                prop_assert_eq!(back.sample.v.to_bits(), interval.sample.v.to_bits());
                prop_assert_eq!(&back.whole, &interval.whole);
            }
            // Behind a checksum that lies: no panic, whatever comes out.
            let place = (bit / 8) as usize % counts.len();
            counts[place] ^= 1 << (bit % 8);
            let _ = take_intervals(&counts, &figures, &kept);
            let _ = take_intervals(&figures, &counts, &kept);
        }

        #[test]
        fn garbage_never_panics(
            counts in proptest::collection::vec(any::<u8>(), 0..100),
            figures in proptest::collection::vec(any::<u8>(), 0..300),
            n in 0i64..50,
        ) {
            let kept: Vec<Sample> = (0..n).map(|n| Sample { t: Timestamp(n * 1000), v: n as f64 }).collect();
            let _ = take_intervals(&counts, &figures, &kept);
            let _ = take_directory(&figures);
        }
    }
}
