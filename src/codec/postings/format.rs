//! Byte layout of sorted lists of numbers. `storage-format.md` describes it; change both together.
//!
//! Invariants:
//! - A list that was put comes back: strictly rising numbers of 32 bits.
//! - Opening checks all lengths, so that moving in a list cannot fail; numbers of damaged bytes may be any.

use crate::codec::bits::{packed_bytes, put_bits, take_bits, width_of};
use crate::codec::{Cursor, Damaged, VECTOR, put_integers, put_varint, take_integers};

/// Numbers of a block: the unit that is unpacked at once.
const BLOCK: usize = 128;

/// Appends strictly rising numbers.
///
/// # Panics
/// In debug builds, if they do not rise.
pub fn put_postings(out: &mut Vec<u8>, numbers: &[u32]) {
    debug_assert!(numbers.is_sorted_by(|a, b| a < b), "postings rise");
    put_varint(out, numbers.len() as u64);
    let (Some(&first), Some(&last)) = (numbers.first(), numbers.last()) else { return };
    put_varint(out, u64::from(first));
    put_varint(out, u64::from(last - first) + 1 - numbers.len() as u64);
    if (last - first) as usize + 1 == numbers.len() {
        return;
    }
    let gaps = |block: &[u32]| block.windows(2).map(|two| u64::from(two[1] - two[0] - 1)).collect::<Vec<_>>();
    let blocks: Vec<Vec<u64>> = numbers.chunks(BLOCK).map(gaps).collect();
    let firsts: Vec<u64> = numbers.iter().step_by(BLOCK).skip(1).map(|n| u64::from(*n)).collect();
    put_integers(out, &firsts);
    out.extend(blocks.iter().map(|gaps| width_of(gaps) as u8));
    for gaps in &blocks {
        put_bits(out, gaps, width_of(gaps));
    }
}

/// A list that [`put_postings`] put.
#[derive(Debug, Clone)]
pub struct Postings<'a> {
    count: usize,
    /// Of a run without gaps that is all there is, the first number.
    run: Option<u32>,
    /// Of each block: its first number, and where its gaps begin.
    blocks: Vec<(u32, u32)>,
    widths: &'a [u8],
    gaps: &'a [u8],
}

impl<'a> Postings<'a> {
    /// The list that `from` is at, which is left behind it.
    ///
    /// # Errors
    /// The data ends early or is malformed.
    pub fn open(from: &mut Cursor<'a>) -> Result<Postings<'a>, Damaged> {
        let count = u32::try_from(from.varint()?).map_err(|_| Damaged("a list is longer than 32 bits"))? as usize;
        let mut list = Postings { count, run: None, blocks: Vec::new(), widths: &[], gaps: &[] };
        if count == 0 {
            return Ok(list);
        }
        let small = |n: u64| u32::try_from(n).map_err(|_| Damaged("a number of a list is over 32 bits"));
        let first = small(from.varint()?)?;
        let missing = small(from.varint()?)?;
        if missing == 0 {
            first.checked_add(count as u32 - 1).ok_or(Damaged("a run of a list ends over 32 bits"))?;
            list.run = Some(first);
            return Ok(list);
        }
        let block_count = count.div_ceil(BLOCK);
        // Each 1024 first numbers take a byte at least, and each block one for its width.
        if block_count / VECTOR > from.remaining() {
            return Err(Damaged("the data ends early"));
        }
        let firsts = take_integers(from, block_count - 1)?;
        list.widths = from.bytes(block_count)?;
        let mut start = 0;
        list.blocks.reserve_exact(block_count);
        for (i, width) in list.widths.iter().enumerate() {
            if *width > 32 {
                return Err(Damaged("a gap of a list is over 32 bits"));
            }
            list.blocks.push((if i == 0 { first } else { small(firsts[i - 1])? }, start));
            let gaps = (count - i * BLOCK).min(BLOCK) - 1;
            start += packed_bytes(gaps, u32::from(*width)) as u32;
        }
        list.gaps = from.bytes(start as usize)?;
        Ok(list)
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// A place before the first number.
    pub fn cursor(&self) -> PostingsCursor<'_> {
        PostingsCursor { list: self, block: usize::MAX, numbers: [0; BLOCK], at: 0 }
    }

    /// All numbers.
    pub fn to_vec(&self) -> Vec<u32> {
        let mut cursor = self.cursor();
        std::iter::from_fn(|| cursor.next()).collect()
    }

    fn unpack(&self, block: usize, numbers: &mut [u32; BLOCK]) {
        let count = (self.count - block * BLOCK).min(BLOCK);
        let (first, start) = self.blocks[block];
        let width = u32::from(self.widths[block]);
        let mut gaps = [0u64; BLOCK];
        let gaps = &mut gaps[..count - 1];
        let bytes = self.gaps.get(start as usize..).and_then(|rest| rest.get(..packed_bytes(count - 1, width)));
        // Opening has checked the lengths, so that there are the bytes.
        if bytes.is_none_or(|bytes| take_bits(bytes, width, gaps).is_err()) {
            gaps.fill(0);
        }
        let mut n = first;
        numbers[0] = n;
        for (number, gap) in numbers[1..].iter_mut().zip(gaps) {
            n = n.wrapping_add(*gap as u32).wrapping_add(1);
            *number = n;
        }
    }
}

/// A place in a list, which only moves forward.
#[derive(Debug, Clone)]
pub struct PostingsCursor<'a> {
    list: &'a Postings<'a>,
    /// Which block `numbers` holds.
    block: usize,
    numbers: [u32; BLOCK],
    /// How many numbers are behind.
    at: usize,
}

impl PostingsCursor<'_> {
    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "an iterator would promise adaptors that lose `seek`")]
    pub fn next(&mut self) -> Option<u32> {
        let n = self.peek()?;
        self.at += 1;
        Some(n)
    }

    /// The next number, which stays the next one.
    fn peek(&mut self) -> Option<u32> {
        if self.at >= self.list.count {
            return None;
        }
        if let Some(first) = self.list.run {
            return Some(first + self.at as u32);
        }
        if self.block != self.at / BLOCK {
            self.block = self.at / BLOCK;
            self.list.unpack(self.block, &mut self.numbers);
        }
        Some(self.numbers[self.at % BLOCK])
    }

    /// Moves to the next number that is at least `n`, and gives it; it stays the next one.
    pub fn seek(&mut self, n: u32) -> Option<u32> {
        if let Some(first) = self.list.run {
            self.at = self.at.max(n.saturating_sub(first) as usize).min(self.list.count);
            return self.peek();
        }
        if self.at >= self.list.count {
            return None;
        }
        let block = self.at / BLOCK;
        let blocks = &self.list.blocks[block..];
        // Blocks ahead are tried in leaps that double: a seek costs by how far it goes.
        let mut leap = 1;
        while leap < blocks.len() && blocks[leap].0 <= n {
            leap *= 2;
        }
        let window = &blocks[leap / 2..blocks.len().min(leap + 1)];
        let ahead = leap / 2 + window.partition_point(|(first, _)| *first <= n).saturating_sub(1);
        self.at = self.at.max((block + ahead) * BLOCK);
        self.peek()?;
        let end = self.list.count.min((self.block + 1) * BLOCK);
        let rest = &self.numbers[self.at % BLOCK..end - self.block * BLOCK];
        self.at += rest.partition_point(|number| *number < n);
        self.peek()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn put(numbers: &[u32]) -> Vec<u8> {
        let mut out = Vec::new();
        put_postings(&mut out, numbers);
        out
    }

    #[test]
    fn runs_and_dense_lists_are_small() {
        assert_eq!(put(&[]).len(), 1);
        assert!(put(&(7..1_000_007).collect::<Vec<_>>()).len() <= 5);
        let every_third: Vec<u32> = (0..30_000).map(|i| i * 3).collect();
        assert!(put(&every_third).len() < 30_000 / 3, "{}", put(&every_third).len());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_list_comes_back_and_is_sought(
            gaps in proptest::collection::vec((0u32..1 << 20, 0u32..20), 0..2000),
            seeks in proptest::collection::vec(0u32..1 << 30, 0..20),
        ) {
            let mut n = 0u32;
            let mut numbers: Vec<u32> = gaps.iter().filter_map(|(gap, shift)| {
                n = n.checked_add((gap >> shift) + 1)?;
                Some(n)
            }).collect();
            numbers.sort_unstable();
            let mut bytes = put(&numbers);
            bytes.push(0xee);
            let mut from = Cursor::new(&bytes);
            let list = Postings::open(&mut from).unwrap();
            prop_assert_eq!(from.remaining(), 1);
            prop_assert_eq!(list.to_vec(), numbers.clone());
            let mut seeks = seeks;
            seeks.sort_unstable();
            let mut cursor = list.cursor();
            for n in seeks {
                let n = n % (numbers.last().copied().unwrap_or(0) + 2).max(1);
                let (mut fresh, behind) = (list.cursor(), cursor.at);
                let expected = numbers.iter().copied().find(|number| *number >= n);
                prop_assert_eq!(fresh.seek(n), expected);
                let ahead = numbers[behind..].iter().copied().find(|number| *number >= n);
                prop_assert_eq!(cursor.seek(n), ahead);
                prop_assert_eq!(cursor.next(), ahead);
            }
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), n in any::<u32>()) {
            if let Ok(list) = Postings::open(&mut Cursor::new(&bytes)) {
                let _ = list.cursor().seek(n);
                let mut cursor = list.cursor();
                for _ in 0..1000 {
                    cursor.next();
                }
            }
        }
    }
}
