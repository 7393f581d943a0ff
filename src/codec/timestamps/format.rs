//! Byte layout of a column of timestamps. `storage-format.md` describes it; change both together.
//!
//! Invariants:
//! - Any numbers come back; arithmetic wraps around at 64 bits.
//! - Taking never panics and never makes more timestamps than the caller says that there are.

use crate::codec::integers::{Vectors, put_vectors};
use crate::codec::{CHUNK_MAX, Cursor, Damaged, Effort, VECTOR, put_signed};

const REGULAR: u8 = 0;
const VECTORS: u8 = 1;

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
    let _ = effort;
    out.push(VECTORS);
    put_vectors(out, &times.iter().map(|t| *t as u64).collect::<Vec<_>>());
}

/// A column that [`put_timestamps`] put, of which vectors are taken one by one.
#[derive(Debug, Clone)]
pub struct Timestamps<'a> {
    count: usize,
    body: Body<'a>,
}

#[derive(Debug, Clone)]
enum Body<'a> {
    Regular { first: i64, step: i64 },
    Vectors(Vectors<'a>),
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
            VECTORS => Body::Vectors(Vectors::open(&mut from, count)?),
            _ => return Err(Damaged("a column of timestamps has an unknown tag")),
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
            Body::Vectors(vectors) => {
                let mut room = [0; VECTOR];
                let numbers = &mut room[..count];
                vectors.take(i, numbers)?;
                out.extend(numbers.iter().map(|n| *n as i64));
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
        assert!(check(&(0..8192).map(|i| 1_700_000_000_000 + i * 15_000).collect::<Vec<_>>()) <= 10);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_column_comes_back(times in proptest::collection::vec(any::<i64>(), 0..2100)) {
            check(&times);
        }

        #[test]
        fn scrapes_come_back(late in proptest::collection::vec((-3i64..4, 0u32..100), 0..2500)) {
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
