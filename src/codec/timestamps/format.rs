//! Byte layout of a column of timestamps. `storage-format.md` describes it; change both together.
//!
//! Invariants:
//! - Any numbers come back; arithmetic wraps around at 64 bits.
//! - Taking never panics and never makes more timestamps than the caller says that there are.

use super::grid::Grid;
use crate::codec::coded::{CodedIntegers, put_coded_integers};
use crate::codec::coding::{self, Coding};
use crate::codec::integers::{Order, Vectors, put_vectors};
use crate::codec::{CHUNK_MAX, Cursor, Damaged, Effort, VECTOR, put_signed, put_varint};

const REGULAR: u8 = 0;
const VECTORS: u8 = 1;
const CODED: u8 = 2;
const GRID: u8 = 3;

/// Appends a column of at most [`CHUNK_MAX`] timestamps; it ends where its caller says.
pub fn put_timestamps(out: &mut Vec<u8>, times: &[i64], effort: Effort) {
    debug_assert!(times.len() <= CHUNK_MAX, "a chunk has at most {CHUNK_MAX} timestamps");
    let Some(first) = times.first() else { return };
    let step = times.get(1).map_or(0, |second| second.wrapping_sub(*first));
    if times.windows(2).all(|two| two[1].wrapping_sub(two[0]) == step) {
        out.push(REGULAR);
        put_signed(out, *first);
        put_signed(out, step);
        return;
    }
    let mut best = numbers_as_they_are(&times.iter().map(|t| *t as u64).collect::<Vec<_>>(), effort);
    for grid in Grid::candidates(times) {
        let mut column = vec![GRID];
        put_signed(&mut column, grid.first);
        put_varint(&mut column, grid.step as u64);
        put_varint(&mut column, grid.gaps.len() as u64);
        let mut before = 0;
        for (place, ticks) in &grid.gaps {
            put_varint(&mut column, u64::from(place - before));
            put_signed(&mut column, *ticks);
            before = *place;
        }
        column.extend(numbers_as_they_are(&grid.residuals, effort));
        if column.len() < best.len() {
            best = column;
        }
    }
    out.extend(best);
}

/// The numbers packed or coded, whichever is smaller, with a tag.
fn numbers_as_they_are(numbers: &[u64], effort: Effort) -> Vec<u8> {
    let mut best = vec![VECTORS];
    put_vectors(&mut best, numbers, effort);
    for order in Order::ALL.into_iter().filter(|_| effort == Effort::Cold) {
        let mut coded = vec![CODED];
        if put_coded_integers(&mut coded, numbers, order).is_some() && coded.len() < best.len() {
            best = coded;
        }
    }
    best
}

/// A column that [`put_timestamps`] put, of which vectors are taken one by one.
pub struct Timestamps<'a> {
    count: usize,
    body: Body<'a>,
}

enum Body<'a> {
    Regular { first: i64, step: i64 },
    Numbers(Numbers<'a>),
    Grid { grid: Grid, residuals: Numbers<'a> },
}

/// Whole numbers of either layout.
enum Numbers<'a> {
    Vectors(Vectors<'a>),
    Coded(Box<CodedIntegers<'a>>),
}

impl<'a> Numbers<'a> {
    fn open(from: &mut Cursor<'a>, tag: u8, count: usize) -> Result<Numbers<'a>, Damaged> {
        match tag {
            VECTORS => Vectors::open(from, count).map(Numbers::Vectors),
            CODED => CodedIntegers::open(from, count).map(Box::new).map(Numbers::Coded),
            _ => Err(Damaged("a column of timestamps has an unknown tag")),
        }
    }

    fn coding(&self) -> coding::Numbers {
        match self {
            Numbers::Vectors(vectors) => coding::Numbers::Packed(vectors.order()),
            Numbers::Coded(column) => coding::Numbers::Coded(column.order()),
        }
    }

    fn take(&self, i: usize, numbers: &mut [u64]) -> Result<(), Damaged> {
        match self {
            Numbers::Vectors(vectors) => vectors.take(i, numbers),
            Numbers::Coded(column) => column.take(i, numbers),
        }
    }
}

fn take_grid(from: &mut Cursor<'_>, count: usize) -> Result<Grid, Damaged> {
    let (first, step) = (from.signed()?, from.varint()? as i64);
    let gap_count = from.length()?;
    if gap_count > count {
        return Err(Damaged("a column has more gaps than timestamps"));
    }
    let (mut gaps, mut place) = (Vec::with_capacity(gap_count), 0u32);
    for _ in 0..gap_count {
        place = place.saturating_add(u32::try_from(from.varint()?).unwrap_or(u32::MAX));
        gaps.push((place, from.signed()?));
    }
    Ok(Grid { first, step, gaps, residuals: Vec::new() })
}

impl<'a> Timestamps<'a> {
    /// A column of `count` timestamps that is all of `bytes`.
    ///
    /// # Errors
    /// The data ends early or is malformed, or there are more timestamps than a chunk may have.
    pub fn open(bytes: &'a [u8], count: usize) -> Result<Timestamps<'a>, Damaged> {
        if count > CHUNK_MAX {
            return Err(Damaged("a chunk has more timestamps than any that is written"));
        }
        let mut from = Cursor::new(bytes);
        if count == 0 {
            from.end()?;
            return Ok(Timestamps { count, body: Body::Regular { first: 0, step: 0 } });
        }
        let body = match from.u8()? {
            REGULAR => Body::Regular { first: from.signed()?, step: from.signed()? },
            GRID => {
                let grid = take_grid(&mut from, count)?;
                let tag = from.u8()?;
                Body::Grid { grid, residuals: Numbers::open(&mut from, tag, count)? }
            }
            tag => Body::Numbers(Numbers::open(&mut from, tag, count)?),
        };
        from.end()?;
        Ok(Timestamps { count, body })
    }

    /// How many timestamps there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How the timestamps are stored.
    pub fn coding(&self) -> Coding {
        match &self.body {
            Body::Regular { .. } => Coding::LINE,
            Body::Numbers(column) => Coding::of(column.coding()),
            Body::Grid { residuals, .. } => Coding { on_grid: true, numbers: residuals.coding() },
        }
    }

    /// How many vectors there are; all but the last have [`VECTOR`] timestamps.
    pub fn vectors(&self) -> usize {
        self.count.div_ceil(VECTOR)
    }

    /// Appends the timestamps of vector `i`.
    ///
    /// # Errors
    /// There is no such vector, or it is malformed; nothing is appended then.
    pub fn vector(&self, i: usize, out: &mut Vec<i64>) -> Result<(), Damaged> {
        if i >= self.vectors() {
            return Err(Damaged("there is no such vector"));
        }
        let count = (self.count - i * VECTOR).min(VECTOR);
        match &self.body {
            Body::Regular { first, step } => {
                let first = first.wrapping_add(step.wrapping_mul((i * VECTOR) as i64));
                out.extend((0..count as i64).map(|j| first.wrapping_add(step.wrapping_mul(j))));
            }
            Body::Numbers(column) => {
                let mut room = [0; VECTOR];
                let numbers = &mut room[..count];
                column.take(i, numbers)?;
                out.extend(numbers.iter().map(|n| *n as i64));
            }
            Body::Grid { grid, residuals } => {
                let mut room = [0; VECTOR];
                let numbers = &mut room[..count];
                residuals.take(i, numbers)?;
                grid.restore(i * VECTOR, numbers, out);
            }
        }
        Ok(())
    }

    /// Appends all timestamps.
    ///
    /// # Errors
    /// A vector is malformed; those before it are appended then.
    pub fn all(&self, out: &mut Vec<i64>) -> Result<(), Damaged> {
        out.reserve(self.count);
        (0..self.vectors()).try_for_each(|i| self.vector(i, out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(times: &[i64]) -> usize {
        let mut length = 0;
        for effort in [Effort::Young, Effort::Cold] {
            let mut out = Vec::new();
            put_timestamps(&mut out, times, effort);
            let column = Timestamps::open(&out, times.len()).unwrap();
            let mut back = Vec::new();
            column.all(&mut back).unwrap();
            assert_eq!(back, times, "{effort:?}");
            for i in (0..column.vectors()).rev() {
                let mut vector = vec![7];
                column.vector(i, &mut vector).unwrap();
                let rest = &times[i * VECTOR..];
                assert_eq!(vector[1..], rest[..rest.len().min(VECTOR)]);
            }
            assert!(column.vector(column.vectors(), &mut back).is_err());
            length = out.len();
        }
        length
    }

    #[test]
    fn edges_come_back() {
        check(&[]);
        check(&[7]);
        check(&[i64::MIN, i64::MAX, 0, -1]);
    }

    #[test]
    fn columns_take_what_they_need() {
        let noise = |i: i64| {
            (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40
        };
        let jitter = |i: i64, span: u64| (noise(i) % span) as i64;
        let start = 1_700_000_000_000;
        for (times, bytes) in [
            ((0..8192).map(|i| start + i * 15_000).collect::<Vec<_>>(), 10),
            // A hundredth missed: three bytes for each.
            ((0..8192).map(|i| start + (i + i / 100) * 15_000).collect(), 81 * 3 + 40),
            // Three places that are equally likely have 1.58 bits.
            ((0..8192).map(|i| start + i * 15_000 + jitter(i, 3)).collect(), 8192 * 7 / 32),
            ((0..8192).map(|i| start + (i + i / 100) * 15_000 + jitter(i, 3)).collect(), 8192 * 7 / 32 + 81 * 3),
        ] {
            assert!(check(&times) <= bytes, "{} bytes of {bytes}", check(&times));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_column_comes_back(times in proptest::collection::vec(any::<i64>(), 0..2100)) {
            check(&times);
        }

        #[test]
        fn scrapes_come_back(late in proptest::collection::vec((-3i64..4, 0u32..100), 0..1500)) {
            let mut t = 1_700_000_000_000;
            let mut next = |(late, rare): (i64, u32)| {
                t += if rare == 0 { 45_000 } else { 15_000 };
                t + late
            };
            check(&late.into_iter().map(&mut next).collect::<Vec<_>>());
        }

        #[test]
        fn garbage_never_panics(tag in 0u8..6, bytes in proptest::collection::vec(any::<u8>(), 0..200), count in 0usize..9000) {
            let mut bytes = bytes;
            bytes.insert(0, tag);
            if let Ok(column) = Timestamps::open(&bytes, count) {
                let _ = column.all(&mut Vec::new());
            }
        }
    }
}
