//! Byte layout of coded columns. `storage-format.md` describes it; change both together.
//!
//! Invariants:
//! - What is put comes back: any `u64`, any bits of an `f64`.
//! - Taking never makes more numbers than the caller says that there are.

use std::cell::RefCell;

use pco::data_types::Number;
use pco::wrapped::{ChunkDecompressor, FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DecompressorScratch, DeltaSpec, ModeSpec, PagingSpec};

use crate::codec::integers::{Order, differences};
use crate::codec::{Cursor, Damaged, VECTOR, put_signed, put_varint, signed, unsigned};

/// pco's header of its format 4.1, which is not stored.
const PCO_HEADER: [u8; 2] = [4, 1];
/// pco's level: higher ones gain under 2 % and take several times as long.
const LEVEL: usize = 8;
const MALFORMED: Damaged = Damaged("a coded column is malformed");

thread_local! {
    /// Room that pco works in. Making it anew takes a fifth of the time of a vector.
    static SCRATCH: RefCell<DecompressorScratch> = RefCell::default();
}

/// Appends meta data, the lengths of all pages but the last as varints, and pages of the given lengths.
fn put_pages<T: Number>(out: &mut Vec<u8>, numbers: &[T], pages: Vec<usize>, config: ChunkConfig) -> Option<()> {
    let page_count = pages.len();
    let config =
        config.with_compression_level(LEVEL).with_paging_spec(PagingSpec::Exact(pages)).with_enable_8_bit(true);
    let mut chunk = FileCompressor::default().chunk_compressor(numbers, &config).ok()?;
    chunk.write_meta(&mut *out).ok()?;
    let (mut bytes, mut start) = (Vec::new(), 0);
    for i in 0..page_count {
        chunk.write_page(i, &mut bytes).ok()?;
        if i + 1 < page_count {
            put_varint(out, (bytes.len() - start) as u64);
        }
        start = bytes.len();
    }
    out.extend(bytes);
    Some(())
}

/// What [`put_pages`] put.
struct Pages<'a, T: Number> {
    chunk: ChunkDecompressor<T>,
    pages: Vec<&'a [u8]>,
}

impl<'a, T: Number> Pages<'a, T> {
    fn open(from: &mut Cursor<'a>, page_count: usize) -> Result<Pages<'a, T>, Damaged> {
        let (file, _) = FileDecompressor::new(&PCO_HEADER[..]).map_err(|_| MALFORMED)?;
        let bytes = from.bytes(from.remaining())?;
        let (chunk, rest) = file.chunk_decompressor::<T, _>(bytes).map_err(|_| MALFORMED)?;
        let mut from = Cursor::new(rest);
        let mut lengths = Vec::new();
        for _ in 1..page_count {
            lengths.push(from.length()?);
        }
        let mut pages: Vec<&[u8]> = lengths.into_iter().map(|n| from.bytes(n)).collect::<Result<_, _>>()?;
        pages.push(from.bytes(from.remaining())?);
        Ok(Pages { chunk, pages })
    }

    fn take(&self, i: usize, numbers: &mut [T]) -> Result<(), Damaged> {
        let page = *self.pages.get(i).ok_or(MALFORMED)?;
        SCRATCH.with_borrow_mut(|scratch| {
            let page = self.chunk.page_decompressor_with_scratch(page, numbers.len(), scratch);
            let progress = page.and_then(|mut page| page.read(numbers)).map_err(|_| MALFORMED)?;
            if progress.n_processed == numbers.len() { Ok(()) } else { Err(MALFORMED) }
        })
    }
}

/// Appends doubles, whose vectors are pages of their own. `None` leaves `out` with bytes to be dropped.
pub(in crate::codec) fn put_coded_floats(out: &mut Vec<u8>, values: &[f64]) -> Option<()> {
    let pages = values.chunks(VECTOR).map(<[f64]>::len).collect();
    put_pages(out, values, pages, ChunkConfig::default())
}

/// What [`put_coded_floats`] put.
pub(in crate::codec) struct CodedFloats<'a>(Pages<'a, f64>);

impl<'a> CodedFloats<'a> {
    /// `count` doubles, which are all that is left.
    ///
    /// # Errors
    /// The data ends early or is malformed.
    pub(in crate::codec) fn open(from: &mut Cursor<'a>, count: usize) -> Result<CodedFloats<'a>, Damaged> {
        Pages::open(from, count.div_ceil(VECTOR)).map(CodedFloats)
    }

    /// Takes vector `i`.
    ///
    /// # Errors
    /// It is malformed.
    pub(in crate::codec) fn take(&self, i: usize, values: &mut [f64]) -> Result<(), Damaged> {
        self.0.take(i, values)
    }
}

/// Appends whole numbers by their differences of an order. `None`, where the last vector is too short
/// for it, leaves `out` with bytes to be dropped.
pub(in crate::codec) fn put_coded_integers(out: &mut Vec<u8>, numbers: &[u64], order: Order) -> Option<()> {
    let skipped = order as usize;
    let pages: Vec<usize> = numbers.chunks(VECTOR).map(|vector| vector.len().saturating_sub(skipped)).collect();
    if pages.contains(&0) {
        return None;
    }
    let (mut residuals, mut vector_residuals) = (Vec::with_capacity(numbers.len()), Vec::new());
    for vector in numbers.chunks(VECTOR) {
        differences(order, vector, &mut vector_residuals);
        residuals.extend_from_slice(&vector_residuals);
    }
    let (base, bytes) = frame(&residuals);
    let limit = if bytes == 8 { u64::MAX } else { (1 << (8 * bytes)) - 1 };
    let mut outside = Vec::new();
    for (i, n) in residuals.iter_mut().enumerate() {
        *n = n.wrapping_sub(base);
        if *n > limit {
            outside.push((i, *n));
            *n = 0;
        }
    }
    out.push(order as u8 * 16 + bytes as u8);
    put_signed(out, base as i64);
    let mut before = [0u64; 2];
    for vector in numbers.chunks(VECTOR).filter(|_| skipped > 0) {
        put_signed(out, vector[0].wrapping_sub(before[0]) as i64);
        before[0] = vector[0];
        if skipped > 1 {
            let step = vector[1].wrapping_sub(vector[0]);
            put_signed(out, step.wrapping_sub(before[1]) as i64);
            before[1] = step;
        }
    }
    put_varint(out, outside.len() as u64);
    let mut next = 0;
    for (i, n) in outside {
        put_varint(out, (i - next) as u64);
        put_varint(out, unsigned(n as i64));
        next = i + 1;
    }
    let config = ChunkConfig::default().with_mode_spec(ModeSpec::Classic).with_delta_spec(DeltaSpec::NoOp);
    match bytes {
        1 => put_pages(out, &residuals.iter().map(|n| *n as u8).collect::<Vec<_>>(), pages, config),
        2 => put_pages(out, &residuals.iter().map(|n| *n as u16).collect::<Vec<_>>(), pages, config),
        4 => put_pages(out, &residuals.iter().map(|n| *n as u32).collect::<Vec<_>>(), pages, config),
        _ => put_pages(out, &residuals, pages, config),
    }
}

/// Where the frame of all but a few of the numbers begins, and how many bytes such a number takes.
fn frame(residuals: &[u64]) -> (u64, usize) {
    let mut sorted: Vec<i64> = residuals.iter().map(|n| *n as i64).collect();
    sorted.sort_unstable();
    let few = sorted.len() / 128;
    for bytes in [1, 2, 4] {
        let kept = sorted.len() - few;
        // Which few are left out, the lowest or the highest, is tried in steps of an eighth.
        let start = (0..=8).map(|part| few * part / 8).find(|start| {
            let last = sorted[(start + kept).min(sorted.len()) - 1];
            (last as u64).wrapping_sub(sorted[*start] as u64) >> (8 * bytes) == 0
        });
        if let Some(start) = start {
            // As many as fit belong to the frame.
            let last = sorted[start + kept - 1];
            let lowest = sorted.iter().find(|n| (last as u64).wrapping_sub(**n as u64) >> (8 * bytes) == 0);
            return (lowest.map_or(0, |n| *n as u64), bytes);
        }
    }
    (sorted.first().map_or(0, |n| *n as u64), 8)
}

/// Pages of numbers of one width.
enum Words<'a> {
    U8(Pages<'a, u8>),
    U16(Pages<'a, u16>),
    U32(Pages<'a, u32>),
    U64(Pages<'a, u64>),
}

/// What [`put_coded_integers`] put.
pub(in crate::codec) struct CodedIntegers<'a> {
    order: usize,
    base: u64,
    /// The first number and the first step of each vector.
    firsts: Vec<[u64; 2]>,
    /// Places among all residuals, and residuals that are too large for the pages.
    outside: Vec<(usize, u64)>,
    words: Words<'a>,
}

impl<'a> CodedIntegers<'a> {
    /// `count` numbers, which are all that is left.
    ///
    /// # Errors
    /// The data ends early or is malformed.
    pub(in crate::codec) fn open(from: &mut Cursor<'a>, count: usize) -> Result<CodedIntegers<'a>, Damaged> {
        let head = from.u8()?;
        let (order, bytes) = (usize::from(head / 16), head % 16);
        if order > 2 {
            return Err(MALFORMED);
        }
        let base = from.signed()? as u64;
        let vector_count = count.div_ceil(VECTOR);
        let (mut firsts, mut before) = (Vec::new(), [0u64; 2]);
        for _ in 0..vector_count {
            for part in &mut before[..order] {
                *part = part.wrapping_add(from.signed()? as u64);
            }
            firsts.push(before);
        }
        let (outside_count, mut outside, mut at) = (from.length()?, Vec::new(), 0usize);
        if outside_count > count {
            return Err(MALFORMED);
        }
        for _ in 0..outside_count {
            at = at.saturating_add(usize::try_from(from.varint()?).unwrap_or(usize::MAX));
            outside.push((at, signed(from.varint()?) as u64));
            at = at.saturating_add(1);
        }
        let words = match bytes {
            1 => Words::U8(Pages::open(from, vector_count)?),
            2 => Words::U16(Pages::open(from, vector_count)?),
            4 => Words::U32(Pages::open(from, vector_count)?),
            8 => Words::U64(Pages::open(from, vector_count)?),
            _ => return Err(MALFORMED),
        };
        Ok(CodedIntegers { order, base, firsts, outside, words })
    }

    /// How often differences were taken.
    pub(in crate::codec) fn order(&self) -> Order {
        Order::ALL[self.order.min(2)]
    }

    /// Takes vector `i`.
    ///
    /// # Errors
    /// It is malformed.
    pub(in crate::codec) fn take(&self, i: usize, numbers: &mut [u64]) -> Result<(), Damaged> {
        let order = self.order;
        let [first, step] = *self.firsts.get(i).ok_or(MALFORMED)?;
        if numbers.len() <= order {
            return Err(MALFORMED);
        }
        let residuals = &mut numbers[order..];
        match &self.words {
            Words::U8(pages) => widen(pages, i, residuals)?,
            Words::U16(pages) => widen(pages, i, residuals)?,
            Words::U32(pages) => widen(pages, i, residuals)?,
            Words::U64(pages) => pages.take(i, residuals)?,
        }
        let start = i * (VECTOR - order);
        let outside = self.outside.partition_point(|(place, _)| *place < start);
        for (place, n) in &self.outside[outside..] {
            match residuals.get_mut(place - start) {
                Some(residual) => *residual = *n,
                None => break,
            }
        }
        let firsts = if order == 2 { [first.wrapping_add(step), step] } else { [first, 0] };
        crate::codec::bits::prefix_sums(residuals, self.base, order, firsts);
        if order > 0 {
            numbers[0] = first;
        }
        if order > 1 {
            numbers[1] = first.wrapping_add(step);
        }
        Ok(())
    }
}

fn widen<T: Number + Default + Into<u64>>(pages: &Pages<'_, T>, i: usize, out: &mut [u64]) -> Result<(), Damaged> {
    let mut room = [T::default(); VECTOR];
    let words = room.get_mut(..out.len()).ok_or(MALFORMED)?;
    pages.take(i, words)?;
    out.iter_mut().zip(words).for_each(|(n, word)| *n = (*word).into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_header_is_what_pco_writes() {
        let mut header = Vec::new();
        FileCompressor::default().write_header(&mut header).unwrap();
        assert_eq!(header, PCO_HEADER);
    }

    fn check(numbers: &[u64]) {
        for order in Order::ALL {
            let mut out = Vec::new();
            let long = numbers.chunks(VECTOR).all(|vector| vector.len() > order as usize);
            assert_eq!(put_coded_integers(&mut out, numbers, order).is_some(), long);
            if !long {
                continue;
            }
            let column = CodedIntegers::open(&mut Cursor::new(&out), numbers.len()).unwrap();
            for (i, vector) in numbers.chunks(VECTOR).enumerate() {
                let mut back = vec![7; vector.len()];
                column.take(i, &mut back).unwrap();
                assert_eq!(back, vector, "{order:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn whole_numbers_come_back(numbers in proptest::collection::vec((any::<u64>(), 0u32..64), 1..1100)) {
            check(&numbers.into_iter().map(|(n, shift)| n >> shift).collect::<Vec<_>>());
        }

        #[test]
        fn walks_come_back(steps in proptest::collection::vec((-5i64..40, 0u32..200), 1..2100)) {
            let mut n = 1u64 << 40;
            let mut walk = |(step, rare): (i64, u32)| {
                n = if rare == 0 { 0 } else { n.wrapping_add(step as u64) };
                n
            };
            check(&steps.into_iter().map(&mut walk).collect::<Vec<_>>());
        }

        #[test]
        fn doubles_come_back(bits in proptest::collection::vec(any::<u64>(), 1..1100)) {
            let values: Vec<f64> = bits.iter().map(|bits| f64::from_bits(*bits)).collect();
            let mut out = Vec::new();
            put_coded_floats(&mut out, &values).unwrap();
            let column = CodedFloats::open(&mut Cursor::new(&out), values.len()).unwrap();
            for (i, vector) in values.chunks(VECTOR).enumerate() {
                let mut back = vec![7.0; vector.len()];
                column.take(i, &mut back).unwrap();
                prop_assert!(back.iter().zip(vector).all(|(a, b)| a.to_bits() == b.to_bits()));
            }
        }

        #[test]
        fn damage_never_panics(
            steps in proptest::collection::vec(0u64..40, 3..1500),
            flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..9),
            cut in any::<usize>(),
        ) {
            let mut out = Vec::new();
            put_coded_integers(&mut out, &steps, Order::Values).unwrap();
            let floats = out.len();
            put_coded_floats(&mut out, &steps.iter().map(|n| (*n as f64).sqrt()).collect::<Vec<_>>()).unwrap();
            for (place, n) in flips {
                let place = place % out.len();
                out[place] ^= n;
            }
            let mut room = [0; VECTOR];
            if let Ok(column) = CodedIntegers::open(&mut Cursor::new(&out[..cut % (floats + 1)]), steps.len()) {
                let _ = column.take(0, &mut room[..steps.len().min(VECTOR)]);
            }
            let mut room = [0.0; VECTOR];
            if let Ok(column) = CodedFloats::open(&mut Cursor::new(&out[floats..]), steps.len()) {
                let _ = column.take(0, &mut room[..steps.len().min(VECTOR)]);
            }
        }
    }
}
