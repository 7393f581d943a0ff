//! The loops that run over every number that is read, in versions for wide registers.
//!
//! Each loop stands once, in safe code that the compiler vectorises; what differs is the set of
//! instructions that it may use. Only the sums have a version of their own, beside the safe one. That all
//! versions agree is tested below.
#![expect(
    unsafe_code,
    reason = "calling code for instructions that were found on this machine, and loading their registers; the proofs stand there"
)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_blend_epi32, _mm256_extract_epi64, _mm256_loadu_si256, _mm256_permute4x64_epi64,
    _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_slli_si256, _mm256_storeu_si256,
};

use super::format::LANES;
use crate::codec::VECTOR;

/// Powers of ten that whole numbers are scaled by.
const POWERS: [f64; 19] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];

/// How a whole number becomes a value; programs that count in small units come to decimals in several
/// ways, whose last places differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scaling {
    /// Divided by this power of ten: what a decimal in a text becomes.
    Over(u8),
    /// Times the inverse of this power of ten.
    Times(u8),
    /// Divided by this power of ten, and by it again.
    OverTwice(u8),
}

impl Scaling {
    /// The power of ten that is known of a byte's low five bits, and how it is meant of its high ones.
    pub(crate) fn from_byte(byte: u8) -> Option<Scaling> {
        let power = byte % 32;
        match byte / 32 {
            _ if usize::from(power) >= POWERS.len() => None,
            0 => Some(Scaling::Over(power)),
            1 => Some(Scaling::Times(power)),
            2 => Some(Scaling::OverTwice(power)),
            _ => None,
        }
    }

    /// The byte that [`Scaling::from_byte`] reads.
    pub(crate) fn byte(self) -> u8 {
        match self {
            Scaling::Over(power) => power,
            Scaling::Times(power) => 32 + power,
            Scaling::OverTwice(power) => 64 + power,
        }
    }

    fn power(self) -> f64 {
        let (Scaling::Over(power) | Scaling::Times(power) | Scaling::OverTwice(power)) = self;
        POWERS[usize::from(power).min(POWERS.len() - 1)]
    }
}

/// How a whole number `n` becomes a value: as `origin + step * n`, scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scale {
    /// The value of zero, before it is scaled.
    pub(crate) origin: u64,
    /// What all values are multiples of.
    pub(crate) step: u64,
    /// From whole numbers to decimals.
    pub(crate) scaling: Scaling,
}

/// Defines a function that runs `$body` compiled for the widest instructions of this machine.
macro_rules! widest {
    ($(#[$doc:meta])* $name:ident, $avx512:ident, $avx2:ident, $body:ident::<$fma:literal>, ($($arg:ident: $type:ty),*) -> $result:ty) => {
        $(#[$doc])*
        pub(crate) fn $name($($arg: $type),*) -> $result {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx512bw,avx2,fma,bmi2")]
                fn $avx512($($arg: $type),*) -> $result {
                    $body::<$fma>($($arg),*)
                }
                #[target_feature(enable = "avx2,fma,bmi2")]
                fn $avx2($($arg: $type),*) -> $result {
                    $body::<$fma>($($arg),*)
                }
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("bmi2")
                {
                    // SAFETY: the function is safe code; it only needs the instructions that were just found.
                    return unsafe { $avx512($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("bmi2") {
                    // SAFETY: as above.
                    return unsafe { $avx2($($arg),*) };
                }
            }
            $body::<false>($($arg),*)
        }
    };
}

widest! {
    /// Unpacks a full vector of `width` bits, 1 to 64, from exactly `128 * width` bytes.
    unpack, unpack_avx512, unpack_avx2, unpack_lanes::<true>, (bytes: &[u8], width: u32, numbers: &mut [u64; VECTOR]) -> ()
}

/// Adds `base` to each number and sums up `order` times, at most 2, beginning at the `firsts`.
pub(crate) fn prefix_sums(numbers: &mut [u64], base: u64, order: usize, firsts: [u64; 2]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the function needs nothing but the instructions that were just found.
        return unsafe { sum_up_avx2(numbers, base, order, firsts) };
    }
    sum_up(numbers, base, order, firsts);
}

widest! {
    /// Appends each number's value.
    decimals, decimals_avx512, decimals_avx2, divide::<true>, (numbers: &[u64], scale: Scale, values: &mut Vec<f64>) -> ()
}

widest! {
    /// Finds the whole numbers that give back the values when scaled, and counts the values for which
    /// there is none; their numbers may be any.
    whole_numbers, whole_numbers_avx512, whole_numbers_avx2, multiply::<true>, (values: &[f64], scaling: Scaling, numbers: &mut [u64]) -> usize
}

#[inline(always)]
fn unpack_lanes<const WIDE: bool>(bytes: &[u8], width: u32, numbers: &mut [u64; VECTOR]) {
    let mask = u64::MAX >> (64 - width);
    let (rows, _) = numbers.as_chunks_mut::<LANES>();
    let (words, _) = bytes.as_chunks::<{ LANES * 8 }>();
    let load = |lanes: &[u8; LANES * 8]| {
        let mut row = [0u64; LANES];
        for (word, bytes) in row.iter_mut().zip(lanes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        row
    };
    for (r, row) in rows.iter_mut().enumerate() {
        let bit = r * width as usize;
        let (word, shift) = (bit / 64, (bit % 64) as u32);
        let low = load(&words[word]);
        if shift + width <= 64 {
            for (n, low) in row.iter_mut().zip(low) {
                *n = (low >> shift) & mask;
            }
        } else {
            let high = load(&words[word + 1]);
            for ((n, low), high) in row.iter_mut().zip(low).zip(high) {
                *n = (low >> shift | high << (64 - shift)) & mask;
            }
        }
    }
}

fn sum_up(numbers: &mut [u64], base: u64, order: usize, firsts: [u64; 2]) {
    match order {
        0 if base == 0 => {}
        0 => numbers.iter_mut().for_each(|n| *n = n.wrapping_add(base)),
        1 => scan(numbers, base, firsts[0]),
        _ => {
            scan(numbers, base, firsts[1]);
            scan(numbers, 0, firsts[0]);
        }
    }
}

/// Adds `base` to each number, and to that all numbers before it and `sum`.
///
/// Eight numbers are summed up side by side in three steps, so that only one addition in eight waits
/// for the one before.
#[inline(always)]
fn scan(numbers: &mut [u64], base: u64, mut sum: u64) {
    let (eights, rest) = numbers.as_chunks_mut::<8>();
    for eight in eights {
        let mut sums = eight.map(|n| n.wrapping_add(base));
        let [a, b, c, d, e, f, g, _] = sums;
        sums.iter_mut().zip([0, a, b, c, d, e, f, g]).for_each(|(n, before)| *n = n.wrapping_add(before));
        let [a, b, c, d, e, f, ..] = sums;
        sums.iter_mut().zip([0, 0, a, b, c, d, e, f]).for_each(|(n, before)| *n = n.wrapping_add(before));
        let [a, b, c, d, ..] = sums;
        sums.iter_mut().zip([0, 0, 0, 0, a, b, c, d]).for_each(|(n, before)| *n = n.wrapping_add(before));
        *eight = sums.map(|n| n.wrapping_add(sum));
        sum = sum.wrapping_add(sums[7]);
    }
    for n in rest {
        sum = sum.wrapping_add(n.wrapping_add(base));
        *n = sum;
    }
}

/// What [`sum_up`] does, four numbers at a time. Written out, because what the compiler makes of [`scan`] takes
/// twice as long: it moves the sums between vectors and single registers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sum_up_avx2(numbers: &mut [u64], base: u64, order: usize, firsts: [u64; 2]) {
    if order == 0 {
        return numbers.iter_mut().for_each(|n| *n = n.wrapping_add(base));
    }
    let whole = numbers.len() / 4 * 4;
    let [mut sum, mut step] = firsts.map(|first| _mm256_set1_epi64x(first as i64));
    let base_of_four = _mm256_set1_epi64x(base as i64);
    for four in numbers[..whole].as_chunks_mut::<4>().0 {
        let place: *mut __m256i = four.as_mut_ptr().cast();
        // SAFETY: the four numbers are the 32 bytes that are read; no alignment is asked for.
        let mut sums = unsafe { _mm256_loadu_si256(place) };
        sums = _mm256_add_epi64(sums, base_of_four);
        if order == 2 {
            (sums, step) = scan_four(sums, step);
        }
        (sums, sum) = scan_four(sums, sum);
        // SAFETY: they are the 32 bytes that are written.
        unsafe { _mm256_storeu_si256(place, sums) };
    }
    let [sum, step] = [sum, step].map(|sums| _mm256_extract_epi64::<0>(sums) as u64);
    sum_up(&mut numbers[whole..], base, order, [sum, step]);
}

/// Four numbers summed up after `sum`, and the last sum for those that follow, each in all places.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn scan_four(numbers: __m256i, sum: __m256i) -> (__m256i, __m256i) {
    // a, a + b, c, c + d
    let halves = _mm256_add_epi64(numbers, _mm256_slli_si256::<8>(numbers));
    let low = _mm256_permute4x64_epi64::<0b01_01_01_01>(halves);
    let low = _mm256_blend_epi32::<0b1111_0000>(_mm256_setzero_si256(), low);
    let sums = _mm256_add_epi64(halves, low);
    // Only this addition waits for the four numbers before.
    let next = _mm256_add_epi64(sum, _mm256_permute4x64_epi64::<0b11_11_11_11>(sums));
    (_mm256_add_epi64(sums, sum), next)
}

/// A signed number as the nearest double, in operations that every machine has for vectors.
#[inline(always)]
fn to_f64(n: u64) -> f64 {
    // The halves are put below the exponents of 2^84 and 2^52; the one rounding is in the last sum.
    let high = f64::from_bits((n >> 32) ^ 0x4530_0000_8000_0000);
    let low = f64::from_bits((n & 0xffff_ffff) | 0x4330_0000_0000_0000);
    (high - f64::from_bits(0x4530_0000_8010_0000)) + low
}

/// `n / power`, of which `reciprocal` is the inverse, rounded.
///
/// With `FMA` it is a product with the reciprocal and one correction, which gives the same bits for
/// whole `|n| <= 2^53` and powers of ten up to 10^22: the remainder of the first quotient is exact, and
/// the corrected quotient is off by at most 1.5 * 2^-53 units in the last place before its rounding;
/// but `n / 10^e` is never nearer than `0.5 / 5^e` units to the middle between two doubles.
#[inline(always)]
fn quotient<const FMA: bool>(n: f64, power: f64, reciprocal: f64) -> f64 {
    if FMA {
        let quotient = n * reciprocal;
        (-quotient).mul_add(power, n).mul_add(reciprocal, quotient)
    } else {
        n / power
    }
}

#[inline(always)]
fn divide<const FMA: bool>(numbers: &[u64], scale: Scale, values: &mut Vec<f64>) {
    let Scale { origin, step, scaling } = scale;
    let (power, reciprocal) = (scaling.power(), 1.0 / scaling.power());
    // Most columns have a step of one, and wide multiplications are slow.
    let near = |n: u64| to_f64(origin.wrapping_add(n));
    let far = |n: u64| to_f64(origin.wrapping_add(n.wrapping_mul(step)));
    // What the standard library appends from an iterator is compiled for the oldest machines. That is quick enough
    // for a conversion, and saves the zeros; but it has no `mul_add`.
    match (scaling, step) {
        (Scaling::Over(0), 1) => return values.extend(numbers.iter().map(|n| near(*n))),
        (Scaling::Over(0), _) => return values.extend(numbers.iter().map(|n| far(*n))),
        _ => {}
    }
    let start = values.len();
    values.resize(start + numbers.len(), 0.0);
    let pairs = values[start..].iter_mut().zip(numbers);
    match (scaling, step) {
        (Scaling::Over(_), 1) => pairs.for_each(|(v, n)| *v = quotient::<FMA>(near(*n), power, reciprocal)),
        (Scaling::Over(_), _) => pairs.for_each(|(v, n)| *v = quotient::<FMA>(far(*n), power, reciprocal)),
        (Scaling::Times(_), _) => pairs.for_each(|(v, n)| *v = far(*n) * reciprocal),
        (Scaling::OverTwice(_), _) => pairs.for_each(|(v, n)| *v = far(*n) / power / power),
    }
}

/// Products beyond 2^51 are not rounded by adding and subtracting [`ROUNDER`].
const PRODUCT_MAX: f64 = 2_251_799_813_685_248.0;
/// In doubles of this size the last place is one.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

#[inline(always)]
fn multiply<const FMA: bool>(values: &[f64], scaling: Scaling, numbers: &mut [u64]) -> usize {
    let mut misfits = 0u64;
    let (power, reciprocal) = (scaling.power(), 1.0 / scaling.power());
    let whole = if matches!(scaling, Scaling::OverTwice(_)) { power * power } else { power };
    // What is too large or no number at all fails the second comparison.
    let mut each = |back: fn(f64, f64, f64) -> f64| {
        for (v, n) in values.iter().zip(&mut *numbers) {
            let product = v * whole;
            let rounded = (product + ROUNDER) - ROUNDER;
            *n = (product + ROUNDER).to_bits().wrapping_sub(ROUNDER.to_bits());
            let fits = (back(rounded, power, reciprocal).to_bits() == v.to_bits()) & (product.abs() < PRODUCT_MAX);
            misfits += u64::from(!fits);
        }
    };
    match scaling {
        Scaling::Over(0) => {
            for (v, n) in values.iter().zip(numbers) {
                let whole = *v as i64;
                *n = whole as u64;
                // The largest is what a value that is too large becomes.
                let fits = (whole as f64).to_bits() == v.to_bits() && whole != i64::MAX;
                misfits += u64::from(!fits);
            }
        }
        Scaling::Over(_) => each(quotient::<FMA>),
        Scaling::Times(_) => each(|n, _, reciprocal| n * reciprocal),
        Scaling::OverTwice(_) => each(|n, power, _| n / power / power),
    }
    misfits as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn halves_give_the_nearest_double() {
        for n in [0, 1, -1, i64::MIN, i64::MAX, 1 << 53, (1 << 53) + 1, -(1 << 53) - 1, (1 << 62) + 12345] {
            assert_eq!(to_f64(n as u64).to_bits(), (n as f64).to_bits(), "{n}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn all_versions_agree(
            seed in any::<u64>(),
            width in 1u32..=64,
            (base, order, first, step) in (any::<u64>(), 0usize..3, any::<u64>(), any::<u64>()),
            length in 0usize..40,
        ) {
            let noise = |i: u64| (seed ^ i).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xd6e8_feb8_6659_fd93);
            let bytes: Vec<u8> = (0..16 * u64::from(width)).flat_map(|i| noise(i).to_le_bytes()).collect();
            let (mut wide, mut plain) = ([0; VECTOR], [1; VECTOR]);
            unpack(&bytes, width, &mut wide);
            unpack_lanes::<false>(&bytes, width, &mut plain);
            prop_assert_eq!(wide, plain);
            prefix_sums(&mut wide, base, order, [first, step]);
            sum_up(&mut plain, base, order, [first, step]);
            prop_assert_eq!(wide, plain);
            // And where the last four are not whole.
            prefix_sums(&mut wide[..length], base, order, [first, step]);
            sum_up(&mut plain[..length], base, order, [first, step]);
            prop_assert_eq!(wide, plain);
        }

        #[test]
        fn a_reciprocal_and_a_correction_divide(
            numbers in proptest::collection::vec((-(1i64 << 53)..=1 << 53, 0u32..54), 100),
            power in 0u8..19,
            kind in 0u8..3,
            (origin, step) in prop_oneof![3 => Just((0u64, 1u64)), 1 => (0u64..9, 1u64..9)],
        ) {
            // All multiples are whole as doubles.
            let numbers: Vec<u64> = numbers.into_iter().map(|(n, shift)| ((n >> shift) / step as i64) as u64).collect();
            let numbers: Vec<u64> = numbers.into_iter().map(|n| (n as i64 - (n as i64).signum() * 9) as u64).collect();
            let (mut wide, mut plain) = (Vec::new(), Vec::new());
            let scaling = Scaling::from_byte(kind * 32 + power).unwrap();
            prop_assert_eq!(scaling.byte(), kind * 32 + power);
            let scale = Scale { origin, step, scaling };
            decimals(&numbers, scale, &mut wide);
            divide::<false>(&numbers, scale, &mut plain);
            prop_assert_eq!((wide.len(), plain.len()), (numbers.len(), numbers.len()));
            for ((n, a), b) in numbers.iter().zip(&wide).zip(&plain) {
                prop_assert_eq!(a.to_bits(), b.to_bits(), "{} {:?}", *n as i64, scaling);
                if kind == 0 {
                    let whole = origin as i64 + step as i64 * *n as i64;
                    prop_assert_eq!(a.to_bits(), (whole as f64 / POWERS[usize::from(power)]).to_bits());
                }
            }
            let (mut found, mut plainly) = (vec![0; numbers.len()], vec![1; numbers.len()]);
            let misfits = whole_numbers(&wide, scaling, &mut found);
            prop_assert_eq!(misfits, multiply::<false>(&wide, scaling, &mut plainly));
            if misfits == 0 {
                let mut again = Vec::new();
                decimals(&found, Scale { origin: 0, step: 1, scaling }, &mut again);
                prop_assert_eq!(again, wide);
            }
        }
    }
}
