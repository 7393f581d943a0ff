//! Byte layout of columns of whole numbers. `storage-format.md` describes it; change both together.
//!
//! Invariants:
//! - Whatever is put is taken back: arithmetic wraps around at 64 bits, so any column is allowed.
//! - Taking never panics and never makes more than `count` numbers.

use super::plan::{Order, Plan, differences};
use crate::codec::bits::{packed_bytes, prefix_sums, put_bits, take_bits};
use crate::codec::{Cursor, Damaged, Effort, VECTOR, put_signed, put_varint, signed, unsigned};

/// Before the header of a vector that has exceptions.
const EXCEPTIONS: u8 = 255;
/// The header of numbers of 64 bits without differences.
const WHOLE: u8 = 192;

/// Appends one vector, 1 to 1024 numbers, as the plan says.
pub(super) fn put_vector(out: &mut Vec<u8>, numbers: &[u64], plan: &Plan, scratch: &mut Vec<u64>) {
    let order = plan.order as usize;
    differences(plan.order, numbers, scratch);
    scratch.splice(0..0, [plan.base; 2].into_iter().take(order));
    let fits = if plan.width == 64 { u64::MAX } else { (1 << plan.width) - 1 };
    let mut exceptions = Vec::new();
    for (i, n) in scratch.iter_mut().enumerate() {
        *n = n.wrapping_sub(plan.base);
        if *n > fits {
            exceptions.push((i, *n));
            *n = 0;
        }
    }
    if !exceptions.is_empty() {
        out.push(EXCEPTIONS);
    }
    out.push(if plan.width == 64 { WHOLE + order as u8 } else { order as u8 * 64 + plan.width as u8 });
    if order > 0 {
        put_signed(out, numbers[0] as i64);
    }
    if order > 1 {
        put_signed(out, numbers[1].wrapping_sub(numbers[0]) as i64);
    }
    put_signed(out, plan.base as i64);
    if !exceptions.is_empty() {
        put_varint(out, exceptions.len() as u64);
        let mut next = 0;
        for (i, n) in exceptions {
            put_varint(out, (i - next) as u64);
            put_varint(out, unsigned(n as i64));
            next = i + 1;
        }
    }
    put_bits(out, scratch, plan.width);
}

/// Takes one vector of `numbers.len()` numbers, 1 to 1024.
///
/// # Errors
/// The data ends early or is malformed.
fn take_vector(from: &mut Cursor<'_>, numbers: &mut [u64]) -> Result<(), Damaged> {
    let mut header = from.u8()?;
    let patched = header == EXCEPTIONS;
    if patched {
        header = from.u8()?;
    }
    let (order, width) = match header {
        0..WHOLE => (usize::from(header / 64), u32::from(header % 64)),
        WHOLE..=194 => (usize::from(header - WHOLE), 64),
        _ => return Err(Damaged("a vector has an unknown header")),
    };
    let first = if order > 0 { from.signed()? as u64 } else { 0 };
    let step = if order > 1 { from.signed()? as u64 } else { 0 };
    let base = from.signed()? as u64;
    // Exceptions are put where they belong after the bits, which follow them, were read.
    let mut exceptions = from.clone();
    let exception_count = if patched { from.length()? } else { 0 };
    if exception_count > numbers.len() {
        return Err(Damaged("a vector has more exceptions than numbers"));
    }
    for _ in 0..exception_count {
        from.varint()?;
        from.varint()?;
    }
    take_bits(from.bytes(packed_bytes(numbers.len(), width))?, width, numbers)?;
    if patched {
        exceptions.length()?;
        let mut at = 0usize;
        for _ in 0..exception_count {
            at = at.saturating_add(usize::try_from(exceptions.varint()?).unwrap_or(usize::MAX));
            let n = signed(exceptions.varint()?) as u64;
            *numbers.get_mut(at).ok_or(Damaged("an exception lies behind the end"))? = n;
            at += 1;
        }
    }
    // What stands in the places of the first numbers is nothing to add; the sums begin so that these come out.
    let (sum, step) = match order {
        0 => (0, 0),
        1 => (first.wrapping_sub(base), 0),
        _ => {
            let before = step.wrapping_sub(base).wrapping_sub(base);
            (first.wrapping_sub(before.wrapping_add(base)), before)
        }
    };
    prefix_sums(numbers, base, order, [sum, step]);
    Ok(())
}

/// Appends a column of numbers: vectors of up to 1024, each as it takes least bytes.
pub fn put_integers(out: &mut Vec<u8>, numbers: &[u64]) {
    let mut scratch = Vec::with_capacity(numbers.len().min(VECTOR));
    for vector in numbers.chunks(VECTOR) {
        let plan = Plan::cheapest(vector, &mut scratch);
        put_vector(out, vector, &plan, &mut scratch);
    }
}

/// Takes `count` numbers that [`put_integers`] put.
///
/// # Errors
/// The data ends early or is malformed.
pub fn take_integers(from: &mut Cursor<'_>, count: usize) -> Result<Vec<u64>, Damaged> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        // Each vector has a header at least, so that damaged data ends this before it grows large.
        let start = numbers.len();
        numbers.resize(start + (count - start).min(VECTOR), 0);
        take_vector(from, &mut numbers[start..])?;
    }
    Ok(numbers)
}

/// Appends vectors that can be found one by one: the lengths of all but the last as varints, then they.
/// Gives what the whole would take by each order of differences, as far as these were tried.
pub(in crate::codec) fn put_vectors(out: &mut Vec<u8>, numbers: &[u64], effort: Effort) -> [usize; 3] {
    let mut scratch = Vec::with_capacity(numbers.len().min(VECTOR));
    let (mut bytes, mut ends, mut totals) = (Vec::new(), Vec::new(), [0; 3]);
    for vector in numbers.chunks(VECTOR) {
        let plans = match effort {
            Effort::Young => [Some(Plan::quick(vector, &mut scratch)), None, None],
            Effort::Cold => Plan::of_each_order(vector, &mut scratch),
        };
        let plan = plans.iter().flatten().copied().min_by_key(|plan| plan.cost).unwrap_or(Plan::WHOLE);
        for (total, plan) in totals.iter_mut().zip(plans) {
            *total += plan.map_or(8 * vector.len(), |plan| plan.cost);
        }
        put_vector(&mut bytes, vector, &plan, &mut scratch);
        ends.push(bytes.len());
    }
    let mut start = 0;
    for end in ends.iter().take(ends.len().saturating_sub(1)) {
        put_varint(out, (end - start) as u64);
        start = *end;
    }
    out.extend(bytes);
    totals
}

/// Vectors that [`put_vectors`] put.
#[derive(Debug, Clone)]
pub(in crate::codec) struct Vectors<'a> {
    vectors: Vec<&'a [u8]>,
    count: usize,
}

impl<'a> Vectors<'a> {
    /// `count` numbers, whose vectors are all that is left.
    ///
    /// # Errors
    /// The data ends early.
    pub(in crate::codec) fn open(from: &mut Cursor<'a>, count: usize) -> Result<Vectors<'a>, Damaged> {
        let others = count.div_ceil(VECTOR).saturating_sub(1);
        if others > from.remaining() {
            return Err(Damaged("the data ends early"));
        }
        let lengths: Vec<usize> = (0..others).map(|_| from.length()).collect::<Result<_, _>>()?;
        let mut vectors: Vec<&[u8]> = lengths.into_iter().map(|n| from.bytes(n)).collect::<Result<_, _>>()?;
        vectors.push(from.bytes(from.remaining())?);
        Ok(Vectors { vectors, count })
    }

    /// How often differences were taken, if equally often in all vectors.
    pub(in crate::codec) fn order(&self) -> Option<Order> {
        let order = |bytes: &&[u8]| {
            let header = bytes.iter().copied().find(|byte| *byte != EXCEPTIONS)?;
            Order::ALL.get(usize::from(if header < WHOLE { header / 64 } else { header - WHOLE })).copied()
        };
        let first = self.vectors.first().and_then(order)?;
        self.vectors.iter().all(|bytes| order(bytes) == Some(first)).then_some(first)
    }

    /// Takes vector `i`, which has `numbers.len()` numbers.
    ///
    /// # Errors
    /// There is no such vector, or it is malformed.
    pub(in crate::codec) fn take(&self, i: usize, numbers: &mut [u64]) -> Result<(), Damaged> {
        let bytes = self.vectors.get(i).ok_or(Damaged("there is no such vector"))?;
        if numbers.len() != self.count.saturating_sub(i * VECTOR).min(VECTOR) {
            return Err(Damaged("a vector has another length"));
        }
        let mut from = Cursor::new(bytes);
        take_vector(&mut from, numbers)?;
        from.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(numbers: &[u64]) -> usize {
        let mut out = Vec::new();
        put_integers(&mut out, numbers);
        let mut from = Cursor::new(&out);
        assert_eq!(take_integers(&mut from, numbers.len()).unwrap(), numbers);
        from.end().unwrap();
        if !numbers.is_empty() {
            let mut scratch = Vec::new();
            let plans = numbers.chunks(VECTOR).map(|vector| Plan::cheapest(vector, &mut scratch).cost).sum::<usize>();
            assert!(out.len() <= plans, "{} bytes where {plans} were reckoned", out.len());
        }
        out.len()
    }

    #[test]
    fn columns_take_what_they_need() {
        for (numbers, bytes) in [
            (vec![], 0),
            (vec![5], 2),
            (vec![u64::MAX; 1024], 2),
            ((0..1024).collect(), 3),
            ((0..3000).map(|i| i * 7 + 1).collect(), 13),
            ((0..1024).map(|i| i % 2).collect(), 2 + 128),
            ((0..1024).map(|i| if i == 500 { 1 << 40 } else { i % 4 }).collect(), 2 + 256 + 12),
            ((0..1024).map(|i| i * i).collect(), 7),
        ] {
            assert!(check(&numbers) <= bytes, "{} bytes of {bytes} for {:?}…", check(&numbers), numbers.get(..2));
        }
        check(&[0, u64::MAX, 1 << 63, (1 << 63) - 1, 0]);
        // The first step is what is written, not the second number.
        check(&[72_613_693_956_133_538, 0, 68_719_476_736]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_column_comes_back(numbers in proptest::collection::vec((any::<u64>(), 0u32..64), 0..1500)) {
            check(&numbers.into_iter().map(|(n, shift)| n >> shift).collect::<Vec<_>>());
        }

        #[test]
        fn walks_come_back(steps in proptest::collection::vec((-5i64..300, 0u32..100), 0..2100)) {
            let mut n = 1u64 << 40;
            let mut walk = |(step, rare): (i64, u32)| {
                n = if rare == 0 { 0 } else { n.wrapping_add(step as u64) };
                n
            };
            check(&steps.into_iter().map(&mut walk).collect::<Vec<_>>());
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), count in 0usize..3000) {
            let _ = take_integers(&mut Cursor::new(&bytes), count);
            if let Ok(vectors) = Vectors::open(&mut Cursor::new(&bytes), count) {
                let _ = vectors.take(1, &mut [0; 1024]);
            }
        }
    }
}
