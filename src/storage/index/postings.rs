//! Which series carry a label: sorted series numbers in little memory.
//!
//! Invariant: sorted, without repetition. Numbers ascend, so that a new series is nearly always appended.

use crate::model::SeriesRef;

/// Numbers that share their upper bits.
const RUN_BITS: u32 = 16;
/// From so many numbers on a run takes less as bits.
const ARRAY_MAX: usize = 4096;
/// Words of a run in bits.
const BIT_WORDS: usize = (1 << RUN_BITS) / 64;
/// From so many numbers on a list is divided into runs.
const FEW_MAX: usize = 8;

/// Sorted series numbers.
#[derive(Debug, Clone)]
pub(super) enum Postings {
    /// Most label values of a store with many series belong to one of them.
    One(u64),
    /// Up to [`FEW_MAX`].
    Few(Vec<u64>),
    /// More.
    Many(Box<Runs>),
}

/// Numbers by their upper bits.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs {
    len: usize,
    runs: Vec<Run>,
}

#[derive(Debug, Clone)]
struct Run {
    upper: u64,
    lower: Lower,
}

#[derive(Debug, Clone)]
enum Lower {
    Array(Vec<u16>),
    Bits(Box<[u64; BIT_WORDS]>, usize),
}

impl Lower {
    fn push(&mut self, n: u16) {
        match self {
            Lower::Array(array) if array.len() < ARRAY_MAX => {
                if array.len() == array.capacity() {
                    // A quarter of slack at the most, where a vector by itself leaves half.
                    array.reserve_exact(array.len() / 4 + 4);
                }
                match array.last() {
                    Some(last) if *last >= n => {
                        if let Err(at) = array.binary_search(&n) {
                            array.insert(at, n);
                        }
                    }
                    _ => array.push(n),
                }
            }
            Lower::Array(array) => {
                let mut bits = Box::new([0u64; BIT_WORDS]);
                for n in array.iter() {
                    bits[usize::from(*n) / 64] |= 1 << (n % 64);
                }
                *self = Lower::Bits(bits, ARRAY_MAX);
                self.push(n);
            }
            Lower::Bits(bits, len) => {
                let word = &mut bits[usize::from(n) / 64];
                *len += usize::from(*word & 1 << (n % 64) == 0);
                *word |= 1 << (n % 64);
            }
        }
    }

    fn last(&self) -> Option<u16> {
        match self {
            Lower::Array(array) => array.last().copied(),
            Lower::Bits(bits, _) => {
                let at = bits.iter().rposition(|word| *word != 0)?;
                Some((at * 64) as u16 | (63 - bits[at].leading_zeros()) as u16)
            }
        }
    }

    fn contains(&self, n: u16) -> bool {
        match self {
            Lower::Array(array) => array.binary_search(&n).is_ok(),
            Lower::Bits(bits, _) => bits[usize::from(n) / 64] & 1 << (n % 64) != 0,
        }
    }

    /// Removes what is in it of `gone`, which is sorted; gives how many are left.
    fn remove(&mut self, gone: &[u64]) -> usize {
        match self {
            Lower::Array(array) => {
                array.retain(|n| gone.binary_search_by_key(n, |gone| *gone as u16).is_err());
                array.len()
            }
            Lower::Bits(bits, len) => {
                for n in gone.iter().map(|n| *n as u16) {
                    let word = &mut bits[usize::from(n) / 64];
                    *len -= usize::from(*word & 1 << (n % 64) != 0);
                    *word &= !(1 << (n % 64));
                }
                let len = *len;
                if len <= ARRAY_MAX / 2 {
                    let mut array = Vec::with_capacity(len);
                    self.each(|n| array.push(n));
                    *self = Lower::Array(array);
                }
                len
            }
        }
    }

    fn each(&self, mut take: impl FnMut(u16)) {
        match self {
            Lower::Array(array) => array.iter().copied().for_each(take),
            Lower::Bits(bits, _) => {
                for (at, word) in bits.iter().enumerate() {
                    let mut word = *word;
                    while word != 0 {
                        take((at * 64) as u16 | word.trailing_zeros() as u16);
                        word &= word - 1;
                    }
                }
            }
        }
    }
}

impl Runs {
    fn push(&mut self, number: u64) {
        let upper = number >> RUN_BITS;
        let at = match self.runs.last() {
            Some(run) if run.upper <= upper => self.runs.len() - 1,
            _ => self.runs.partition_point(|run| run.upper < upper),
        };
        match self.runs.get_mut(at) {
            Some(run) if run.upper == upper => {
                let before = run.lower.len();
                run.lower.push(number as u16);
                self.len += run.lower.len() - before;
            }
            found => {
                let behind = at + usize::from(found.is_some_and(|run| run.upper < upper));
                self.runs.insert(behind, Run { upper, lower: Lower::Array(vec![number as u16]) });
                self.len += 1;
            }
        }
    }
}

impl Postings {
    /// The list of one series.
    pub(super) fn new(series: SeriesRef) -> Postings {
        Postings::One(series.0)
    }

    /// Adds a series.
    pub(super) fn push(&mut self, series: SeriesRef) {
        match self {
            Postings::One(one) if *one == series.0 => {}
            Postings::One(one) => *self = Postings::Few(vec![series.0.min(*one), series.0.max(*one)]),
            Postings::Few(few) if few.len() < FEW_MAX => {
                if let Err(at) = few.binary_search(&series.0) {
                    few.reserve_exact(2);
                    few.insert(at, series.0);
                }
            }
            Postings::Few(few) => {
                let mut runs = Runs::default();
                few.iter().chain([&series.0]).for_each(|number| runs.push(*number));
                *self = Postings::Many(Box::new(runs));
            }
            Postings::Many(runs) => runs.push(series.0),
        }
    }

    /// How many series there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Postings::One(_) => 1,
            Postings::Few(few) => few.len(),
            Postings::Many(runs) => runs.len,
        }
    }

    /// The series with the highest number.
    pub(super) fn newest(&self) -> Option<SeriesRef> {
        let number = match self {
            Postings::One(one) => Some(*one),
            Postings::Few(few) => few.last().copied(),
            Postings::Many(runs) => {
                runs.runs.last().and_then(|run| Some(run.upper << RUN_BITS | u64::from(run.lower.last()?)))
            }
        };
        number.map(SeriesRef)
    }

    /// Whether a series is among them.
    pub(super) fn contains(&self, series: SeriesRef) -> bool {
        match self {
            Postings::One(one) => *one == series.0,
            Postings::Few(few) => few.contains(&series.0),
            Postings::Many(runs) => {
                let found = runs.runs.binary_search_by_key(&(series.0 >> RUN_BITS), |run| run.upper);
                found.is_ok_and(|at| runs.runs[at].lower.contains(series.0 as u16))
            }
        }
    }

    /// Adds all to `out`, in order.
    pub(super) fn list(&self, out: &mut Vec<SeriesRef>) {
        match self {
            Postings::One(one) => out.push(SeriesRef(*one)),
            Postings::Few(few) => out.extend(few.iter().copied().map(SeriesRef)),
            Postings::Many(runs) => {
                out.reserve(runs.len);
                for run in &runs.runs {
                    run.lower.each(|n| out.push(SeriesRef(run.upper << RUN_BITS | u64::from(n))));
                }
            }
        }
    }

    /// Removes the numbers of `gone`, which is sorted. `false`: nothing is left, and the list is to be
    /// dropped.
    pub(super) fn remove(&mut self, gone: &[u64]) -> bool {
        let stays = |number: &u64| gone.binary_search(number).is_err();
        match self {
            Postings::One(one) => return stays(one),
            Postings::Few(few) => few.retain(stays),
            Postings::Many(runs) => {
                let mut rest = gone;
                for run in &mut runs.runs {
                    rest = &rest[rest.partition_point(|n| n >> RUN_BITS < run.upper)..];
                    let here = rest.partition_point(|n| n >> RUN_BITS == run.upper);
                    if here == 0 {
                        continue;
                    }
                    let before = run.lower.len();
                    runs.len -= before - run.lower.remove(&rest[..here]);
                }
                runs.runs.retain(|run| run.lower.len() > 0);
            }
        }
        self.len() > 0
    }
}

impl Lower {
    fn len(&self) -> usize {
        match self {
            Lower::Array(array) => array.len(),
            Lower::Bits(_, len) => *len,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::env::Rng;

    use super::*;

    #[test]
    fn it_holds_what_a_set_holds() {
        let mut rng = Rng::new(11);
        for (count, step) in [(1u64, 1), (5, 3), (9, 100_000), (300, 7), (20_000, 2), (200_000, 3), (20_000, 50)] {
            let mut numbers = BTreeSet::new();
            let mut next = rng.below(100);
            let mut postings = Postings::new(SeriesRef(next));
            numbers.insert(next);
            while (numbers.len() as u64) < count {
                next += 1 + rng.below(step);
                // Now and then an earlier number, which may be there.
                let number = if rng.below(10) == 0 { rng.below(next) } else { next };
                numbers.insert(number);
                postings.push(SeriesRef(number));
            }
            for round in 0..4 {
                let mut listed = Vec::new();
                postings.list(&mut listed);
                assert!(listed.iter().map(|series| &series.0).eq(&numbers), "{count} in steps of {step}");
                assert_eq!(postings.len(), numbers.len());
                assert_eq!(postings.newest().map(|series| series.0), numbers.last().copied());
                for number in (0..1000).map(|_| rng.below(next + 2)) {
                    assert_eq!(postings.contains(SeriesRef(number)), numbers.contains(&number));
                }
                let share = [10, 2, 2, 1][round];
                let gone: Vec<u64> = numbers.iter().copied().filter(|_| rng.below(share) == 0).collect();
                let gone: Vec<u64> = gone.into_iter().chain([next + 1]).collect();
                numbers.retain(|number| gone.binary_search(number).is_err());
                assert_eq!(postings.remove(&gone), !numbers.is_empty());
                if numbers.is_empty() {
                    break;
                }
            }
        }
    }
}
