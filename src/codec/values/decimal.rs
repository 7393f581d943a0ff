//! Values as whole numbers over a power of ten.
//!
//! Invariant: `(origin + step * number) / 10^exponent` is the value bit for bit, except where it is said not to be.

use crate::codec::bits::{POWERS, whole_numbers};

/// The largest power of ten that is tried: nanoseconds and some digits more.
const EXPONENT_MAX: usize = 14;
/// Values that are looked at to find the power of ten.
const SAMPLE: usize = 12;
/// How often a larger power is tried after one of the others was found not to fit.
const ATTEMPTS: usize = 4;
/// Numbers up to this can be added and subtracted without a thought of overflow.
const LARGE: u64 = 1 << 61;

/// A column as whole numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decimals {
    /// What the numbers are divided by, as a power of ten.
    pub(super) exponent: u8,
    /// What all numbers are a multiple of, after `origin` is subtracted.
    pub(super) step: u64,
    /// What is left of the numbers by division by `step`.
    pub(super) origin: u64,
    /// The numbers.
    pub(super) numbers: Vec<u64>,
    /// The places of values that are no such number, and where the number is the one before.
    pub(super) misfits: Vec<u32>,
}

impl Decimals {
    /// The values as decimals; `None` if more than one in eight is none.
    pub(super) fn of(values: &[f64]) -> Option<Decimals> {
        let mut numbers = vec![0; values.len()];
        let mut exponent = likely_exponent(values)?;
        let mut best: Option<(usize, Vec<u32>)> = None;
        for _ in 0..ATTEMPTS {
            let mut misfits = Vec::new();
            if whole_numbers(values, exponent, &mut numbers) > 0 {
                misfits = misfits_of(values, exponent);
            }
            let larger =
                misfits.iter().filter_map(|i| exponent_of(values[*i as usize])).filter(|e| *e > exponent).min();
            if best.as_ref().is_none_or(|(_, best)| misfits.len() < best.len()) {
                best = Some((exponent, misfits));
            }
            match larger {
                Some(larger) => exponent = larger,
                None => break,
            }
        }
        let (best, misfits) = best?;
        if misfits.len() > values.len() / 8 {
            return None;
        }
        whole_numbers(values, best, &mut numbers);
        fill(&mut numbers, &misfits);
        let (origin, step) = reduce(&mut numbers);
        Some(Decimals { exponent: best as u8, step, origin, numbers, misfits })
    }
}

/// The power of ten that most of some values need, or `None` if most need none that there is.
fn likely_exponent(values: &[f64]) -> Option<usize> {
    let stride = values.len().div_ceil(SAMPLE).max(1);
    let (mut counts, mut others) = ([0usize; EXPONENT_MAX + 1], 0);
    for v in values.iter().step_by(stride).chain(values.last()) {
        match exponent_of(*v) {
            Some(e) => counts[e] += 1,
            None => others += 1,
        }
    }
    let all: usize = counts.iter().sum();
    if others > all {
        return None;
    }
    counts.iter().rposition(|count| *count > 0)
}

/// The smallest power of ten that makes the value whole.
fn exponent_of(v: f64) -> Option<usize> {
    let mut number = [0];
    (0..=EXPONENT_MAX).find(|e| {
        let scaled = v * POWERS[*e];
        // Most wrong powers are told by a product that is not nearly whole.
        (scaled - scaled.round_ties_even()).abs() <= scaled.abs() * 1e-15 && whole_numbers(&[v], *e, &mut number) == 0
    })
}

/// The places where the numbers do not give back the values.
fn misfits_of(values: &[f64], exponent: usize) -> Vec<u32> {
    let mut number = [0];
    let misfits = (0..).zip(values).filter(|(_, v)| whole_numbers(&[**v], exponent, &mut number) > 0);
    misfits.map(|(i, _)| i).collect()
}

/// Puts the number before in each of the places, or the first that is none of them.
fn fill(numbers: &mut [u64], places: &[u32]) {
    let first = (0..numbers.len()).find(|i| places.binary_search(&(*i as u32)).is_err());
    let first = first.map_or(0, |i| numbers[i]);
    for i in places {
        let i = *i as usize;
        numbers[i] = if i == 0 { first } else { numbers[i - 1] };
    }
}

/// Divides all numbers by what they have in common, after subtracting what is left; gives both.
fn reduce(numbers: &mut [u64]) -> (u64, u64) {
    let first = numbers.first().copied().unwrap_or(0) as i64;
    let mut step = 0u64;
    for n in numbers.iter() {
        let distance = (*n as i64).abs_diff(first);
        if step == 0 || !distance.is_multiple_of(step) {
            step = common_divisor(distance, step);
            if step == 1 {
                return (0, 1);
            }
        }
    }
    let large = numbers.iter().any(|n| (*n as i64).unsigned_abs() > LARGE);
    if step == 0 || step > LARGE || large {
        return (0, 1);
    }
    let signed = step as i64;
    let origin = first.rem_euclid(signed);
    for n in numbers {
        *n = ((*n as i64 - origin) / signed) as u64;
    }
    (origin as u64, step)
}

fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f64], exponent: u8, step: u64, misfits: &[u32]) {
        let decimals = Decimals::of(values).unwrap();
        assert_eq!((decimals.exponent, decimals.step, &*decimals.misfits), (exponent, step, misfits), "{values:?}");
        for (i, (v, n)) in values.iter().zip(&decimals.numbers).enumerate() {
            let back = decimals.origin.wrapping_add(n.wrapping_mul(step)) as i64 as f64 / POWERS[usize::from(exponent)];
            assert_eq!(back.to_bits() == v.to_bits(), !misfits.contains(&(i as u32)), "{v} at {i}");
        }
    }

    #[test]
    fn whole_numbers_are_found() {
        check(&[1.0, 2.0, 4.0], 0, 1, &[]);
        check(&[0.1, 2.0, 0.25], 2, 5, &[]);
        check(&[4096.0, 8192.0, 1024.0 * 4096.0], 0, 4096, &[]);
        check(&[26.05e-6, 1e-6, 2e-8], 8, 1, &[]);
        check(&[7.0, f64::NAN, 7.5, 9.0, 1.0, 2.0, -0.0, 1.5, 3.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], 1, 5, &[1, 6]);
        assert_eq!(Decimals::of(&[1e300, 2e300]), None);
        assert_eq!(Decimals::of(&[f64::NAN]), None);
    }
}
