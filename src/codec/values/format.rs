//! Byte layout of a column of values. `storage-format.md` describes it; change both together.
//!
//! Invariants:
//! - What is put comes back bit for bit: both zeros, every NaN, infinities.
//! - Taking never panics and never makes more values than the caller says that there are.

use std::ops::Range;

use super::decimal::Decimals;
use crate::codec::bits::{Scale, Scaling, decimals};
use crate::codec::coded::{CodedFloats, CodedIntegers, put_coded_floats, put_coded_integers};
use crate::codec::coding::{Coding, Numbers};
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

fn take_scale(from: &mut Cursor<'_>) -> Result<Scale, Damaged> {
    let scaling = Scaling::from_byte(from.u8()?).ok_or(Damaged("a scale is unknown"))?;
    Ok(Scale { scaling, step: from.varint()?, origin: from.varint()? })
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

    /// How the values are stored, apart from exceptions.
    pub fn coding(&self) -> Coding {
        Coding::of(match &self.body {
            Body::Constant(_) => Numbers::Constant,
            Body::Line { .. } => Numbers::Line,
            Body::Decimals { vectors, .. } => Numbers::Packed(vectors.order()),
            Body::CodedDecimals { column, .. } => Numbers::Coded(column.order()),
            Body::Coded(_) => Numbers::CodedFloats,
            Body::Raw(_) => Numbers::Raw,
        })
    }

    /// How many values are stored apart from the others, which they do not fit.
    pub fn exceptions(&self) -> usize {
        self.patches.len()
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
        self.vector_by(i, &mut Room::default(), out)
    }

    fn vector_by(&self, i: usize, room: &mut Room, out: &mut Vec<f64>) -> Result<(), Damaged> {
        let first = i * VECTOR;
        let (start, count) = (out.len(), (self.count - first).min(VECTOR));
        if let Err(damaged) = self.body.take(i, count, room, out) {
            out.truncate(start);
            return Err(damaged);
        }
        let values = &mut out[start..];
        let before = self.patches.partition_point(|(place, _)| (*place as usize) < first);
        for (place, v) in &self.patches[before..] {
            match values.get_mut(*place as usize - first) {
                Some(value) => *value = *v,
                None => break,
            }
        }
        Ok(())
    }

    /// Appends the values of some vectors.
    ///
    /// # Errors
    /// There is no such vector, or one is malformed; those before it are appended then.
    pub fn some(&self, mut vectors: Range<usize>, out: &mut Vec<f64>) -> Result<(), Damaged> {
        if vectors.end > self.vectors() {
            return Err(Damaged("there is no such vector"));
        }
        out.reserve(vectors.len() * VECTOR.min(self.count));
        let mut room = Room::default();
        vectors.try_for_each(|i| self.vector_by(i, &mut room, out))
    }

    /// Appends all values.
    ///
    /// # Errors
    /// A vector is malformed; those before it are appended then.
    pub fn all(&self, out: &mut Vec<f64>) -> Result<(), Damaged> {
        self.some(0..self.vectors(), out)
    }
}

fn take_patches(from: &mut Cursor<'_>, count: usize) -> Result<Vec<(u32, f64)>, Damaged> {
    // Not a length: exceptions at regular places and of one value take fewer bytes than there are of them.
    let patch_count = usize::try_from(from.varint()?).ok().filter(|n| *n <= count);
    let patch_count = patch_count.ok_or(Damaged("a column has more exceptions than values"))?;
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
    let mut values = Vec::new();
    body.take(0, patch_count, &mut Room::default(), &mut values)?;
    column.end()?;
    Ok(places.into_iter().map(|place| place as u32).zip(values).collect())
}

fn take_body<'a>(from: &mut Cursor<'a>, tag: u8, count: usize) -> Result<Body<'a>, Damaged> {
    Ok(match tag {
        ZERO => Body::Constant(0.0),
        STALE => Body::Constant(f64::from_bits(STALE_BITS)),
        INTEGER => Body::Constant(from.signed()? as f64),
        BITS => Body::Constant(from.f64()?),
        LINE => Body::Line { scale: take_scale(from)?, first: from.signed()? as u64, step: from.signed()? as u64 },
        DECIMALS => Body::Decimals { scale: take_scale(from)?, vectors: Vectors::open(from, count)? },
        CODED_DECIMALS => {
            Body::CodedDecimals { scale: take_scale(from)?, column: Box::new(CodedIntegers::open(from, count)?) }
        }
        CODED => Body::Coded(Box::new(CodedFloats::open(from, count)?)),
        RAW => Body::Raw(from.bytes(count * 8)?.as_chunks().0),
        _ => return Err(Damaged("a column of values has an unknown tag")),
    })
}

impl Body<'_> {
    /// Appends the `count` values of vector `i`; whole numbers pass through `room`. After an error some may be
    /// there.
    fn take(&self, i: usize, count: usize, room: &mut Room, out: &mut Vec<f64>) -> Result<(), Damaged> {
        let start = out.len();
        match self {
            Body::Constant(v) => out.resize(start + count, *v),
            Body::Line { scale, first, step } => {
                let numbers = room.of(count);
                for (j, n) in (i as u64 * VECTOR as u64..).zip(numbers.iter_mut()) {
                    *n = first.wrapping_add(step.wrapping_mul(j));
                }
                decimals(numbers, *scale, out);
            }
            Body::Decimals { scale, vectors } => {
                let numbers = room.of(count);
                vectors.take(i, numbers)?;
                decimals(numbers, *scale, out);
            }
            Body::CodedDecimals { scale, column } => {
                let numbers = room.of(count);
                column.take(i, numbers)?;
                decimals(numbers, *scale, out);
            }
            Body::Coded(column) => {
                out.resize(start + count, 0.0);
                column.take(i, &mut out[start..])?;
            }
            Body::Raw(bytes) => {
                let bytes = bytes.get(i * VECTOR..).unwrap_or_default();
                out.extend(bytes.iter().take(count).map(|bytes| f64::from_bits(u64::from_le_bytes(*bytes))));
            }
        }
        Ok(())
    }
}

/// The whole numbers of a vector: one piece of memory for all vectors of a column, and none for columns
/// that have no use for it.
#[derive(Default)]
struct Room(Vec<u64>);

impl Room {
    fn of(&mut self, count: usize) -> &mut [u64] {
        let count = count.min(VECTOR);
        if self.0.len() < count {
            self.0.resize(count, 0);
        }
        &mut self.0[..count]
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
    fn exceptions_may_take_fewer_bytes_than_there_are_of_them() {
        for (period, count) in [(2, 200), (2, 1500), (3, 999), (7, 8192)] {
            check(&(0..count).map(|i| if i % period == 0 { stale() } else { 1.0 }).collect::<Vec<_>>());
        }
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
