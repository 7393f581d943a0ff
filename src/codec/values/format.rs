//! Byte layout of a column of values. `storage-format.md` describes it; change both together.
//!
//! Invariants:
//! - What is put comes back bit for bit: both zeros, every NaN, infinities.
//! - Taking never panics and never makes more values than the caller says that there are.

use super::decimal::Decimals;
use crate::codec::bits::{Scaling, decimals};
use crate::codec::coded::{CodedFloats, CodedIntegers, put_coded_floats, put_coded_integers};
use crate::codec::integers::{Order, Vectors, put_vectors};
use crate::codec::{CHUNK_MAX, Cursor, Damaged, Effort, VECTOR, put_integers, put_signed, put_varint, take_integers};

const ZERO: u8 = 0;
const INTEGER: u8 = 1;
const BITS: u8 = 2;
const STALE: u8 = 3;
const LINE: u8 = 4;
const DECIMALS: u8 = 5;
const RAW: u8 = 6;
const PATCHED: u8 = 7;
const CODED_DECIMALS: u8 = 8;
const CODED: u8 = 9;

/// Bits of a value from which on decimals are compared with doubles.
const DENSE_BITS: usize = 20;

/// Values of a vector that is short.
const SHORT: usize = 128;

/// The bits of the value that ends a series, which has a short form of its own.
const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Appends a column of at most [`CHUNK_MAX`] values; it ends where its caller says.
pub fn put_values(out: &mut Vec<u8>, values: &[f64], effort: Effort) {
    debug_assert!(values.len() <= CHUNK_MAX, "a chunk has at most {CHUNK_MAX} values");
    let Some(first) = values.first() else { return };
    if values.iter().all(|v| v.to_bits() == first.to_bits()) {
        return put_constant(out, *first);
    }
    let start = out.len();
    match Decimals::of(values) {
        Some(decimals) => {
            if !decimals.misfits.is_empty() {
                put_patches(out, values, &decimals.misfits);
            }
            put_decimals(out, &decimals, effort);
            // Long numbers may be multiples of something that is no power of ten, which pco finds.
            if effort == Effort::Cold && (out.len() - start) * 8 > DENSE_BITS * values.len() {
                let mut floats = Vec::new();
                put_floats(&mut floats, values, effort);
                if floats.len() < out.len() - start {
                    out.truncate(start);
                    out.extend(floats);
                }
            }
        }
        None => put_floats(out, values, effort),
    }
}

/// Appends what are no decimals, but for marks of staleness, which are kept apart.
fn put_floats(out: &mut Vec<u8>, values: &[f64], effort: Effort) {
    let stale = (0..).zip(values).filter(|(_, v)| v.to_bits() == STALE_BITS).map(|(i, _)| i);
    let stale: Vec<u32> = if effort == Effort::Cold { stale.collect() } else { Vec::new() };
    let mut kept = values.to_vec();
    if !stale.is_empty() {
        put_patches(out, values, &stale);
        let mut last = values.iter().copied().find(|v| v.to_bits() != STALE_BITS).unwrap_or(0.0);
        for v in &mut kept {
            last = if v.to_bits() == STALE_BITS { last } else { *v };
            *v = last;
        }
    }
    let start = out.len();
    if effort == Effort::Cold {
        out.push(CODED);
        if put_coded_floats(out, &kept).is_some() && out.len() - start < 8 * values.len() {
            return;
        }
        out.truncate(start);
    }
    out.push(RAW);
    out.extend(kept.iter().flat_map(|v| v.to_bits().to_le_bytes()));
}

fn put_constant(out: &mut Vec<u8>, v: f64) {
    let whole = v as i64;
    match v.to_bits() {
        0 => out.push(ZERO),
        STALE_BITS => out.push(STALE),
        bits if (whole as f64).to_bits() == bits && whole.unsigned_abs() < 1 << 53 => {
            out.push(INTEGER);
            put_signed(out, whole);
        }
        bits => {
            out.push(BITS);
            out.extend(bits.to_le_bytes());
        }
    }
}

/// Appends values that the column behind does not have: their count, their places, how many bytes
/// they take as a column of their own, and that column.
fn put_patches(out: &mut Vec<u8>, values: &[f64], places: &[u32]) {
    out.push(PATCHED);
    put_varint(out, places.len() as u64);
    put_integers(out, &places.iter().map(|i| u64::from(*i)).collect::<Vec<_>>());
    let values: Vec<f64> = places.iter().map(|i| values[*i as usize]).collect();
    let mut column = Vec::new();
    let first = values[0].to_bits();
    if values.iter().all(|v| v.to_bits() == first) {
        put_constant(&mut column, values[0]);
    } else {
        column.push(RAW);
        column.extend(values.iter().flat_map(|v| v.to_bits().to_le_bytes()));
    }
    put_varint(out, column.len() as u64);
    out.extend(column);
}

fn put_decimals(out: &mut Vec<u8>, decimals: &Decimals, effort: Effort) {
    let numbers = &decimals.numbers;
    let step = numbers.get(1).map_or(0, |n| n.wrapping_sub(numbers[0]));
    let line = numbers.windows(2).all(|two| two[1].wrapping_sub(two[0]) == step);
    let tag = out.len();
    out.push(if line { LINE } else { DECIMALS });
    out.push(decimals.scaling.byte());
    put_varint(out, decimals.step);
    put_varint(out, decimals.origin);
    if line {
        put_signed(out, numbers[0] as i64);
        put_signed(out, step as i64);
    } else {
        let start = out.len();
        let totals = put_vectors(out, numbers, effort);
        if effort == Effort::Cold && put_smaller_coded(out, start, numbers, totals) {
            out[tag] = CODED_DECIMALS;
        }
    }
}

/// Replaces the vectors that begin at `start` by coded ones, if those are smaller by more than a
/// sixty-fourth (they are read four times slower), and says so. The `totals` are what each order of
/// differences takes when packed.
fn put_smaller_coded(out: &mut Vec<u8>, start: usize, numbers: &[u64], totals: [usize; 3]) -> bool {
    let least = totals.iter().copied().min().unwrap_or(0);
    let mut best: Option<Vec<u8>> = None;
    for order in Order::ALL.into_iter().filter(|order| totals[*order as usize] <= least + least / 8) {
        let mut coded = Vec::new();
        let packed = out.len() - start;
        let length = best.as_ref().map_or(packed - packed / 64, Vec::len);
        if put_coded_integers(&mut coded, numbers, order).is_some() && coded.len() < length {
            best = Some(coded);
        }
    }
    if let Some(coded) = best {
        out.truncate(start);
        out.extend(coded);
        return true;
    }
    false
}

/// A column that [`put_values`] put, of which vectors are taken one by one.
pub struct Values<'a> {
    count: usize,
    /// Places and values that the body does not have, in the order of places.
    patches: Vec<(u32, f64)>,
    body: Body<'a>,
}

enum Body<'a> {
    Constant(f64),
    Line { scale: Scale, first: u64, step: u64 },
    Decimals { scale: Scale, vectors: Vectors<'a> },
    CodedDecimals { scale: Scale, column: Box<CodedIntegers<'a>> },
    Coded(Box<CodedFloats<'a>>),
    Raw(&'a [[u8; 8]]),
}

/// How whole numbers become values.
#[derive(Debug, Clone, Copy)]
struct Scale {
    scaling: Scaling,
    step: u64,
    origin: u64,
}

impl Scale {
    fn take(from: &mut Cursor<'_>) -> Result<Scale, Damaged> {
        let scaling = Scaling::from_byte(from.u8()?).ok_or(Damaged("a scale is unknown"))?;
        Ok(Scale { scaling, step: from.varint()?, origin: from.varint()? })
    }

    fn put(self, numbers: &[u64], values: &mut [f64]) {
        decimals(numbers, self.origin, self.step, self.scaling, values);
    }
}

impl<'a> Values<'a> {
    /// A column of `count` values that is all of `bytes`.
    ///
    /// # Errors
    /// The data ends early or is malformed, or there are more values than a chunk may have.
    pub fn open(bytes: &'a [u8], count: usize) -> Result<Values<'a>, Damaged> {
        if count > CHUNK_MAX {
            return Err(Damaged("a chunk has more values than any that is written"));
        }
        let mut from = Cursor::new(bytes);
        if count == 0 {
            from.end()?;
            return Ok(Values { count, patches: Vec::new(), body: Body::Constant(0.0) });
        }
        let mut tag = from.u8()?;
        let mut patches = Vec::new();
        if tag == PATCHED {
            patches = take_patches(&mut from, count)?;
            tag = from.u8()?;
        }
        let body = take_body(&mut from, tag, count)?;
        from.end()?;
        Ok(Values { count, patches, body })
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many vectors there are; all but the last have [`VECTOR`] values.
    pub fn vectors(&self) -> usize {
        self.count.div_ceil(VECTOR)
    }

    /// Appends the values of vector `i`.
    ///
    /// # Errors
    /// There is no such vector, or it is malformed; nothing is appended then.
    pub fn vector(&self, i: usize, out: &mut Vec<f64>) -> Result<(), Damaged> {
        if i >= self.vectors() {
            return Err(Damaged("there is no such vector"));
        }
        let first = i * VECTOR;
        let (start, count) = (out.len(), (self.count - first).min(VECTOR));
        out.resize(start + count, 0.0);
        let values = &mut out[start..];
        if let Err(damaged) = self.body.take(i, values) {
            out.truncate(start);
            return Err(damaged);
        }
        let before = self.patches.partition_point(|(place, _)| (*place as usize) < first);
        for (place, v) in &self.patches[before..] {
            match values.get_mut(*place as usize - first) {
                Some(value) => *value = *v,
                None => break,
            }
        }
        Ok(())
    }

    /// Appends all values.
    ///
    /// # Errors
    /// A vector is malformed; those before it are appended then.
    pub fn all(&self, out: &mut Vec<f64>) -> Result<(), Damaged> {
        out.reserve(self.count);
        (0..self.vectors()).try_for_each(|i| self.vector(i, out))
    }
}

fn take_patches(from: &mut Cursor<'_>, count: usize) -> Result<Vec<(u32, f64)>, Damaged> {
    let patch_count = from.length()?;
    if patch_count > count {
        return Err(Damaged("a column has more exceptions than values"));
    }
    let places = take_integers(from, patch_count)?;
    if !places.is_sorted_by(|a, b| a < b) || places.last().is_some_and(|last| *last >= count as u64) {
        return Err(Damaged("an exception lies behind the end"));
    }
    let length = from.length()?;
    let mut column = Cursor::new(from.bytes(length)?);
    let tag = column.u8()?;
    let body = match tag {
        PATCHED | LINE | DECIMALS | CODED_DECIMALS | CODED => return Err(Damaged("an exception has an unknown tag")),
        tag => take_body(&mut column, tag, patch_count)?,
    };
    let mut values = vec![0.0; patch_count];
    body.take(0, &mut values)?;
    column.end()?;
    Ok(places.into_iter().map(|place| place as u32).zip(values).collect())
}

fn take_body<'a>(from: &mut Cursor<'a>, tag: u8, count: usize) -> Result<Body<'a>, Damaged> {
    Ok(match tag {
        ZERO => Body::Constant(0.0),
        STALE => Body::Constant(f64::from_bits(STALE_BITS)),
        INTEGER => Body::Constant(from.signed()? as f64),
        BITS => Body::Constant(from.f64()?),
        LINE => Body::Line { scale: Scale::take(from)?, first: from.signed()? as u64, step: from.signed()? as u64 },
        DECIMALS => Body::Decimals { scale: Scale::take(from)?, vectors: Vectors::open(from, count)? },
        CODED_DECIMALS => {
            Body::CodedDecimals { scale: Scale::take(from)?, column: Box::new(CodedIntegers::open(from, count)?) }
        }
        CODED => Body::Coded(Box::new(CodedFloats::open(from, count)?)),
        RAW => Body::Raw(from.bytes(count * 8)?.as_chunks().0),
        _ => return Err(Damaged("a column of values has an unknown tag")),
    })
}

impl Body<'_> {
    /// The values of vector `i`.
    fn take(&self, i: usize, values: &mut [f64]) -> Result<(), Damaged> {
        // Young series have short vectors, and zeroing the room of a long one takes longer than unpacking them.
        match values.len() {
            n @ ..=SHORT => self.take_with(i, values, &mut [0; SHORT][..n]),
            n => self.take_with(i, values, &mut [0; VECTOR][..n.min(VECTOR)]),
        }
    }

    /// The same with room for so many numbers.
    fn take_with(&self, i: usize, values: &mut [f64], numbers: &mut [u64]) -> Result<(), Damaged> {
        match self {
            Body::Constant(v) => values.fill(*v),
            Body::Line { scale, first, step } => {
                for (j, n) in (i as u64 * VECTOR as u64..).zip(numbers.iter_mut()) {
                    *n = first.wrapping_add(step.wrapping_mul(j));
                }
                scale.put(numbers, values);
            }
            Body::Decimals { scale, vectors } => {
                vectors.take(i, numbers)?;
                scale.put(numbers, values);
            }
            Body::CodedDecimals { scale, column } => {
                column.take(i, numbers)?;
                scale.put(numbers, values);
            }
            Body::Coded(column) => column.take(i, values)?,
            Body::Raw(bytes) => {
                for (v, bytes) in values.iter_mut().zip(&bytes[i * VECTOR..]) {
                    *v = f64::from_bits(u64::from_le_bytes(*bytes));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(values: &[f64]) -> usize {
        let mut length = 0;
        for effort in [Effort::Young, Effort::Cold] {
            let mut out = Vec::new();
            put_values(&mut out, values, effort);
            let column = Values::open(&out, values.len()).unwrap();
            let mut back = Vec::new();
            column.all(&mut back).unwrap();
            let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&back), bits(values), "{effort:?}");
            for i in (0..column.vectors()).rev() {
                let mut vector = vec![1.5];
                column.vector(i, &mut vector).unwrap();
                let rest = &values[i * VECTOR..];
                assert_eq!(bits(&vector[1..]), bits(&rest[..rest.len().min(VECTOR)]), "{effort:?}");
            }
            assert!(column.vector(column.vectors(), &mut back).is_err());
            length = out.len();
        }
        length
    }

    fn stale() -> f64 {
        f64::from_bits(STALE_BITS)
    }

    #[test]
    fn edges_come_back() {
        check(&[]);
        check(&[-0.0]);
        check(&[0.0, -0.0, f64::NAN, stale(), f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, f64::MAX]);
        check(&[f64::from_bits(0x7ff8_dead_beef_0001), f64::from_bits(0xfff0_0000_0000_0001)]);
        check(&[9_007_199_254_740_993.0, -9_223_372_036_854_775_808.0, 9_223_372_036_854_775_807.0, 1e18, 5e-324]);
    }

    #[test]
    fn columns_take_what_they_need() {
        for (values, bytes) in [
            (vec![0.0; 8192], 1),
            (vec![1.0; 500], 2),
            (vec![stale(); 500], 1),
            (vec![0.1; 8192], 9),
            ((0..8192).map(|i| f64::from(i) * 15.0).collect(), 8),
            ((0..8192).map(|i| 1000.0 + f64::from(i) / 100.0).collect(), 8),
            ((0..1024).map(|i| 1e9 + f64::from(i * 3 + i % 2)).collect(), 145),
            ((0..1024).map(|i| if i == 1023 { stale() } else { f64::from(i % 7) / 100.0 }).collect(), 400),
        ] {
            let length = check(&values);
            assert!(length <= bytes, "{length} bytes for {:?}…", &values[..9]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_column_comes_back(bits in proptest::collection::vec(any::<u64>(), 0..1100)) {
            check(&bits.iter().map(|b| f64::from_bits(*b)).collect::<Vec<_>>());
        }

        #[test]
        fn mixtures_come_back(
            values in proptest::collection::vec(
                prop_oneof![
                    20 => (-1000i32..1000).prop_map(|n| f64::from(n) / 1000.0),
                    1 => any::<f64>(),
                    1 => Just(-0.0),
                    1 => Just(f64::from_bits(STALE_BITS)),
                ],
                0..2100,
            ),
        ) {
            check(&values);
        }

        #[test]
        fn counters_come_back(
            steps in proptest::collection::vec((0u32..50, 0u32..300), 0..2500),
            (unit, exponent) in (prop_oneof![Just(1.0), Just(4096.0), Just(1e9), any::<u32>().prop_map(f64::from)], 0i32..15),
        ) {
            let mut n = 0.0;
            let mut walk = |(step, rare): (u32, u32)| {
                n = if rare == 0 { 0.0 } else { n + f64::from(step) };
                n * unit / 10f64.powi(exponent)
            };
            check(&steps.into_iter().map(&mut walk).collect::<Vec<_>>());
        }

        #[test]
        fn garbage_never_panics(tag in 0u8..20, bytes in proptest::collection::vec(any::<u8>(), 0..300), count in 0usize..9000) {
            let mut bytes = bytes;
            bytes.insert(0, tag);
            if let Ok(column) = Values::open(&bytes, count) {
                let _ = column.all(&mut Vec::new());
            }
        }
    }
}
