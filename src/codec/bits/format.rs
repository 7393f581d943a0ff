//! Byte layout of packed bits. `storage-format.md` describes it; change both together.
//!
//! Invariants:
//! - `n` numbers of `width` bits take `n * width` bits, rounded up to whole bytes.
//! - Taking reads nothing outside the slice that it is given, whatever the slice holds.

use super::wide;
use crate::codec::Damaged;
use crate::codec::VECTOR;

/// Numbers that a full vector keeps side by side, so that one instruction unpacks several.
pub(super) const LANES: usize = 16;

/// The bits that the largest of the numbers needs.
pub(crate) fn width_of(numbers: &[u64]) -> u32 {
    64 - numbers.iter().fold(0, |all, n| all | n).leading_zeros()
}

/// The bytes that `count` numbers of `width` bits take.
pub(crate) fn packed_bytes(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends the `width` low bits of each number; the other bits are zero.
///
/// A full vector is laid out in lanes: numbers `l`, `l + 16`, `l + 32`, … form a stream of bits of
/// their own, lowest first, cut into words of 64 bits, and word `k` of all 16 streams stands before
/// word `k + 1` of any. Fewer numbers are one stream, the first number in the lowest bits.
pub(crate) fn put_bits(out: &mut Vec<u8>, numbers: &[u64], width: u32) {
    if width == 0 {
        return;
    }
    let Ok(vector) = <&[u64; VECTOR]>::try_from(numbers) else {
        return put_stream(out, numbers, width);
    };
    let mut words = [0u64; LANES];
    for row in 0..VECTOR / LANES {
        let shift = (row as u32 * width) % 64;
        for (word, n) in words.iter_mut().zip(&vector[row * LANES..]) {
            *word |= n << shift;
        }
        if shift + width >= 64 {
            out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
            let kept = 64 - shift;
            for (word, n) in words.iter_mut().zip(&vector[row * LANES..]) {
                *word = if kept < 64 { n >> kept } else { 0 };
            }
        }
    }
}

fn put_stream(out: &mut Vec<u8>, numbers: &[u64], width: u32) {
    let (mut pending, mut filled) = (0u128, 0u32);
    for n in numbers {
        pending |= u128::from(*n) << filled;
        filled += width;
        if filled >= 64 {
            out.extend((pending as u64).to_le_bytes());
            pending >>= 64;
            filled -= 64;
        }
    }
    out.extend(&pending.to_le_bytes()[..filled.div_ceil(8) as usize]);
}

/// Takes `numbers.len()` numbers of `width` bits, at most 1024.
///
/// # Errors
/// The width is over 64, or `bytes` has not exactly [`packed_bytes`].
pub(crate) fn take_bits(bytes: &[u8], width: u32, numbers: &mut [u64]) -> Result<(), Damaged> {
    if width > 64 || bytes.len() != packed_bytes(numbers.len(), width) {
        return Err(Damaged("a packed width is over 64 bits, or its bytes are missing"));
    }
    if width == 0 {
        numbers.fill(0);
        return Ok(());
    }
    match <&mut [u64; VECTOR]>::try_from(&mut *numbers) {
        Ok(vector) => wide::unpack(bytes, width, vector),
        Err(_) => take_stream(bytes, width, numbers),
    }
    Ok(())
}

fn take_stream(bytes: &[u8], width: u32, numbers: &mut [u64]) {
    let mask = u64::MAX >> (64 - width);
    // Whole numbers that can be read with a load of 16 bytes; the others come from a padded copy.
    let direct = if bytes.len() < 16 { 0 } else { (bytes.len() - 16) * 8 / width as usize };
    let direct = direct.min(numbers.len());
    let read = |bytes: &[u8], bit: usize| {
        let word = bytes[bit / 8..].first_chunk::<16>().map_or(0, |chunk| u128::from_le_bytes(*chunk));
        (word >> (bit % 8)) as u64 & mask
    };
    let (head, tail) = numbers.split_at_mut(direct);
    if width <= 56 {
        for (i, n) in head.iter_mut().enumerate() {
            let bit = i * width as usize;
            let word = bytes[bit / 8..].first_chunk::<8>().map_or(0, |chunk| u64::from_le_bytes(*chunk));
            *n = (word >> (bit % 8)) & mask;
        }
    } else {
        for (i, n) in head.iter_mut().enumerate() {
            *n = read(bytes, i * width as usize);
        }
    }
    let from = direct * width as usize / 8;
    let mut padded = [0u8; 192];
    let rest = &bytes[from..];
    padded[..rest.len()].copy_from_slice(rest);
    for (i, n) in tail.iter_mut().enumerate() {
        *n = read(&padded, (direct + i) * width as usize - from * 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_width_and_length_comes_back() {
        for width in 0..=64u32 {
            for count in [0, 1, 2, 7, 8, 9, 63, 64, 65, 127, 128, 500, 1023, 1024] {
                let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
                let numbers: Vec<u64> =
                    (1..=count as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) & mask).collect();
                let mut out = Vec::new();
                put_bits(&mut out, &numbers, width);
                assert_eq!(out.len(), packed_bytes(count, width), "{count} of {width}");
                let mut back = vec![7; count];
                take_bits(&out, width, &mut back).unwrap();
                assert_eq!(back, numbers, "{count} of {width}");
            }
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), count in 0usize..1025, width in 0u32..70) {
            let mut numbers = vec![0; count];
            let _ = take_bits(&bytes, width, &mut numbers);
        }
    }
}
