//! Values as whole numbers that are scaled by a power of ten.
//!
//! Invariant: `origin + step * number`, scaled, is the value bit for bit, except where it is said not to be.

use crate::codec::bits::{Scaling, whole_numbers};

/// The largest power of ten that is tried: nanoseconds and some digits more.
const POWER_MAX: u8 = 14;
/// What is tried where division does not give back the values: ticks and microseconds of the kernel,
/// as node_exporter turns them into seconds.
const OTHERS: [Scaling; 6] = [
    Scaling::Times(3),
    Scaling::OverTwice(3),
    Scaling::Times(6),
    Scaling::Times(9),
    Scaling::Times(2),
    Scaling::Times(1),
];
/// Values that are looked at to find the power of ten.
const SAMPLE: usize = 12;
/// How often a larger power is tried after one of the others was found not to fit.
const ATTEMPTS: usize = 4;
/// Numbers up to this can be added and subtracted without a thought of overflow.
const LARGE: u64 = 1 << 61;

/// A column as whole numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decimals {
    /// What makes them values.
    pub(super) scaling: Scaling,
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
        let sample: Vec<f64> = values.iter().step_by(values.len().div_ceil(SAMPLE).max(1)).copied().collect();
        let mut numbers = vec![0; values.len()];
        let (scaling, misfits) = by_division(values, &sample, &mut numbers).or_else(|| otherwise(values, &sample))?;
        whole_numbers(values, scaling, &mut numbers);
        fill(&mut numbers, &misfits);
        let (origin, step) = reduce(&mut numbers);
        Some(Decimals { scaling, step, origin, numbers, misfits })
    }
}

/// The scaling by division that fits most values, and the places of the others, if it is good.
fn by_division(values: &[f64], sample: &[f64], numbers: &mut [u64]) -> Option<(Scaling, Vec<u32>)> {
    let mut power = likely_power(sample)?;
    let mut best: Option<(u8, Vec<u32>)> = None;
    for _ in 0..ATTEMPTS {
        let scaling = Scaling::Over(power);
        let count = whole_numbers(values, scaling, numbers);
        let misfits = if count > 0 { misfits_of(values, scaling) } else { Vec::new() };
        let larger = misfits.iter().filter_map(|i| power_of(values[*i as usize])).filter(|p| *p > power).min();
        if best.as_ref().is_none_or(|(_, best)| misfits.len() < best.len()) {
            best = Some((power, misfits));
        }
        match larger {
            Some(larger) => power = larger,
            None => break,
        }
    }
    let (power, misfits) = best?;
    is_good(&misfits, values).then_some((Scaling::Over(power), misfits))
}

/// The first other scaling that fits nearly all values, and the places of those that it does not fit.
fn otherwise(values: &[f64], sample: &[f64]) -> Option<(Scaling, Vec<u32>)> {
    let mut numbers = [0; 2 * SAMPLE];
    let likely = |scaling: &Scaling| whole_numbers(sample, *scaling, &mut numbers) * 8 <= sample.len();
    let scaling = OTHERS.into_iter().find(likely)?;
    let misfits = misfits_of(values, scaling);
    is_good(&misfits, values).then_some((scaling, misfits))
}

fn is_good(misfits: &[u32], values: &[f64]) -> bool {
    misfits.len() <= values.len() / 8
}

/// The power of ten that most of some values need, or `None` if most need none that there is.
fn likely_power(sample: &[f64]) -> Option<u8> {
    let powers = || sample.iter().filter_map(|v| power_of(*v));
    if powers().count() * 2 < sample.len() { None } else { powers().max() }
}

/// The smallest power of ten that makes the value whole.
fn power_of(v: f64) -> Option<u8> {
    (0..=POWER_MAX).find(|power| whole_numbers(&[v], Scaling::Over(*power), &mut [0]) == 0)
}

/// The places where the numbers do not give back the values.
fn misfits_of(values: &[f64], scaling: Scaling) -> Vec<u32> {
    let mut number = [0];
    let misfits = (0..).zip(values).filter(|(_, v)| whole_numbers(&[**v], scaling, &mut number) > 0);
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
    use crate::codec::bits::{Scale, decimals};

    fn check(values: &[f64], scaling: Scaling, step: u64, misfits: &[u32]) {
        let found = Decimals::of(values).unwrap();
        assert_eq!((found.scaling, found.step, &*found.misfits), (scaling, step, misfits), "{values:?}");
        let mut back = Vec::new();
        decimals(&found.numbers, Scale { origin: found.origin, step, scaling }, &mut back);
        for (i, (v, back)) in values.iter().zip(back).enumerate() {
            assert_eq!(back.to_bits() == v.to_bits(), !misfits.contains(&(i as u32)), "{v} at {i}");
        }
    }

    #[test]
    fn whole_numbers_are_found() {
        check(&[1.0, 2.0, 4.0], Scaling::Over(0), 1, &[]);
        check(&[0.1, 2.0, 0.25], Scaling::Over(2), 5, &[]);
        check(&[4096.0, 8192.0, 1024.0 * 4096.0], Scaling::Over(0), 4096, &[]);
        check(&[26.05e-6, 1e-6, 2e-8], Scaling::Over(8), 1, &[]);
        check(
            &[7.0, f64::NAN, 7.5, 9.0, 1.0, 2.0, -0.0, 1.5, 3.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
            Scaling::Over(1),
            5,
            &[1, 6],
        );
        let ticks: Vec<f64> = (0..99).map(|i| f64::from(i * i) * 0.001).collect();
        check(&ticks, Scaling::Times(3), 1, &[]);
        let microseconds: Vec<f64> = (0..99).map(|i| f64::from(i * i + 123_456_789) / 1000.0 / 1000.0).collect();
        check(&microseconds, Scaling::OverTwice(3), 1, &[]);
        assert_eq!(Decimals::of(&[1e300, 2e300]), None);
        assert_eq!(Decimals::of(&[f64::NAN]), None);
    }
}
