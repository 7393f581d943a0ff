//! The samples of one series that windows look at: the newest as they came, older ones packed.
//!
//! A window of hours holds thousands of samples, of which a rate looks at the first and the last. Packed they take a
//! tenth of the memory; a block is unpacked where a window begins or ends, or where all of its samples are needed.
//!
//! Invariants:
//! - Packed are whole blocks, the oldest samples; none of the newest [`OPEN_MIN`] at the time of packing is.
//! - Every bit comes back.
//! - A sample keeps its position, counted from the first that the series ever held, until one comes before it out
//!   of order.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;

use crate::codec::{Damaged, Effort, Timestamps, Values, put_timestamps, put_values};
use crate::model::{Millis, Sample, Timestamp};
use crate::promql::kernel;

/// Samples of a block. Where builds check themselves blocks are small, so that every test meets some.
const BLOCK: usize = if cfg!(debug_assertions) { 8 } else { 128 };
/// So many of the newest stay as they came.
const OPEN_MIN: usize = if cfg!(debug_assertions) { 4 } else { 128 };
/// With fewer nothing is packed: an hour of samples every ten seconds is not.
const PACK_FROM: usize = if cfg!(debug_assertions) { 16 } else { 512 };

/// The samples of a series.
#[derive(Debug, Default)]
pub(super) struct Samples {
    open: Vec<Sample>,
    /// Most series have none.
    packed: Option<Box<Packed>>,
    /// The position of the first.
    base: u32,
}

#[derive(Debug)]
struct Packed {
    /// The oldest first.
    blocks: Vec<Block>,
}

#[derive(Debug)]
struct Block {
    /// No other block has it.
    number: u64,
    last: Timestamp,
    /// Whether one of its samples is followed by one that is not at least what it was.
    falls: bool,
    /// How many bytes are times; the others are values.
    times: u16,
    bytes: Box<[u8]>,
}

/// The blocks that were unpacked last: who looks at a window asks for several samples of its first.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    made: u64,
    /// The older one first.
    recent: RefCell<[(u64, Vec<Sample>); 2]>,
}

/// The samples of a series, to be looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    blocks: &'a [Block],
    open: &'a [Sample],
    base: u32,
    unpacked: &'a Unpacked,
}

/// Those of them that lie in a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window<'a> {
    samples: View<'a>,
    from: usize,
    to: usize,
}

/// Whether a counter began anew between two samples, or one of them is no number.
pub(super) fn falls_to(before: Sample, after: Sample) -> bool {
    before.v.partial_cmp(&after.v).is_none_or(|order| order.is_gt())
}

impl Samples {
    /// The newest, as they came: at least two where there are two.
    pub(super) fn open(&self) -> &[Sample] {
        &self.open
    }

    /// The position of the first.
    pub(super) fn base(&self) -> u32 {
        self.base
    }

    /// All of them.
    pub(super) fn view<'a>(&'a self, unpacked: &'a Unpacked) -> View<'a> {
        let blocks = self.packed.as_deref().map_or(&[][..], |packed| &packed.blocks);
        View { blocks, open: &self.open, base: self.base, unpacked }
    }

    /// Adds one that comes after the others.
    pub(super) fn push(&mut self, sample: Sample) {
        self.open.push(sample);
    }

    /// Puts one where it belongs that does not come after the others; in the place of one of the same time.
    pub(super) fn amend(&mut self, sample: Sample) {
        if self.packed.is_some() && self.open.first().is_none_or(|first| sample.t < first.t) {
            self.unpack();
        }
        let at = self.open.partition_point(|s| s.t < sample.t);
        match self.open.get_mut(at).filter(|there| there.t == sample.t) {
            Some(there) => *there = sample,
            None => self.open.insert(at, sample),
        }
    }

    /// Whether there is no room for one more.
    pub(super) fn is_full(&self) -> bool {
        self.open.len() == self.open.capacity()
    }

    /// Lets go of all.
    pub(super) fn clear(&mut self) {
        let packed = self.packed.take().map_or(0, |packed| packed.blocks.len() * BLOCK);
        self.base = self.base.wrapping_add((packed + self.open.len()) as u32);
        self.open = Vec::new();
    }

    /// Lets go of the first ones that are open, of which none is packed.
    pub(super) fn drop_first(&mut self, count: usize) {
        self.open.drain(..count);
        self.base = self.base.wrapping_add(count as u32);
    }

    /// Makes room for one more: lets go of what lay further back than `span` at an instant, or packs, or grows.
    pub(super) fn make_room(&mut self, span: Millis, seen: Timestamp, unpacked: &mut Unpacked) {
        if let Some(packed) = &mut self.packed {
            let left = packed.blocks.partition_point(|block| block.last + span <= seen);
            packed.blocks.drain(..left);
            self.base = self.base.wrapping_add((left * BLOCK) as u32);
            if packed.blocks.is_empty() {
                self.packed = None;
            }
        }
        if self.packed.is_none() {
            let left = self.open.partition_point(|s| s.t + span <= seen);
            if left > 0 && left * 9 >= self.open.len() {
                return self.drop_first(left);
            }
        }
        let is_long = self.packed.is_some() || self.open.len() >= PACK_FROM;
        let blocks = if is_long { self.open.len().saturating_sub(OPEN_MIN) / BLOCK } else { 0 };
        if blocks == 0 {
            return self.open.reserve_exact(self.open.len() / 8 + 2);
        }
        let packed = self.packed.get_or_insert_with(|| Box::new(Packed { blocks: Vec::new() }));
        let block = |at: usize| Block::new(&self.open[at * BLOCK..], unpacked);
        packed.blocks.extend((0..blocks).map(block));
        self.open.drain(..blocks * BLOCK);
        self.open.shrink_to(OPEN_MIN + BLOCK);
    }

    fn unpack(&mut self) {
        let Some(packed) = self.packed.take() else { return };
        let mut all = Vec::with_capacity(packed.blocks.len() * BLOCK + self.open.len() + BLOCK);
        packed.blocks.iter().for_each(|block| block.read(&mut all));
        all.append(&mut self.open);
        self.open = all;
    }

    /// Makes every sample wrong.
    #[cfg(test)]
    pub(super) fn distort(&mut self) {
        self.unpack();
        self.open.iter_mut().for_each(|sample| sample.v += 0.5);
    }
}

impl Block {
    /// Of the first of these samples; one more follows.
    fn new(samples: &[Sample], unpacked: &mut Unpacked) -> Block {
        let falls = samples.windows(2).take(BLOCK).any(|two| falls_to(two[0], two[1]));
        let samples = &samples[..BLOCK];
        let times: Vec<i64> = samples.iter().map(|sample| sample.t.0).collect();
        let values: Vec<f64> = samples.iter().map(|sample| sample.v).collect();
        let mut bytes = Vec::new();
        put_timestamps(&mut bytes, &times, Effort::Young);
        let times = bytes.len() as u16;
        put_values(&mut bytes, &values, Effort::Young);
        unpacked.made += 1;
        Block { number: unpacked.made, last: samples[BLOCK - 1].t, falls, times, bytes: bytes.into_boxed_slice() }
    }

    fn read(&self, out: &mut Vec<Sample>) {
        let (times, values) = self.columns().expect("a block is what was packed");
        out.extend(times.into_iter().zip(values).map(|(t, v)| Sample { t: Timestamp(t), v }));
    }

    fn columns(&self) -> Result<(Vec<i64>, Vec<f64>), Damaged> {
        let (times, values) = self.bytes.split_at(usize::from(self.times));
        let (mut t, mut v) = (Vec::with_capacity(BLOCK), Vec::with_capacity(BLOCK));
        Timestamps::open(times, BLOCK)?.all(&mut t)?;
        Values::open(values, BLOCK)?.all(&mut v)?;
        Ok((t, v))
    }
}

impl Unpacked {
    fn get(&self, block: &Block, at: usize) -> Sample {
        let mut recent = self.recent.borrow_mut();
        if recent[1].0 != block.number {
            recent.swap(0, 1);
        }
        let [_, (number, samples)] = &mut *recent;
        if *number != block.number {
            samples.clear();
            block.read(samples);
            *number = block.number;
        }
        samples[at]
    }
}

impl<'a> View<'a> {
    /// How many there are.
    pub(super) fn len(self) -> usize {
        self.blocks.len() * BLOCK + self.open.len()
    }

    /// The place of a position among them; beyond their end if it is not there.
    pub(super) fn place(self, position: u32) -> usize {
        position.wrapping_sub(self.base) as usize
    }

    /// The position of a place.
    pub(super) fn position(self, place: usize) -> u32 {
        self.base.wrapping_add(place as u32)
    }

    /// One of them, counted from the oldest.
    #[inline]
    pub(super) fn get(self, at: usize) -> Option<Sample> {
        match self.blocks.get(at / BLOCK) {
            Some(block) => Some(self.unpacked.get(block, at % BLOCK)),
            None => self.open.get(at - self.blocks.len() * BLOCK).copied(),
        }
    }

    /// Reads those at some positions that lie open, so that they are at hand.
    pub(super) fn read_ahead(self, positions: [u32; 2]) -> i64 {
        let open = |position: u32| self.open.get(self.place(position).wrapping_sub(self.blocks.len() * BLOCK));
        positions.into_iter().filter_map(open).map(|sample| sample.t.0).fold(0, i64::wrapping_add)
    }

    /// The newest.
    pub(super) fn newest(self) -> Option<Sample> {
        self.open.last().copied()
    }

    /// Some of them.
    pub(super) fn window(self, places: Range<usize>) -> Window<'a> {
        Window { samples: self, from: places.start, to: places.end }
    }
}

impl<'a> Window<'a> {
    /// How many there are.
    pub(super) fn len(self) -> usize {
        self.to - self.from
    }

    /// One of them, counted from the oldest.
    #[inline]
    pub(super) fn get(self, at: usize) -> Option<Sample> {
        if at < self.len() { self.samples.get(self.from + at) } else { None }
    }

    /// The oldest.
    pub(super) fn first(self) -> Option<Sample> {
        self.get(0)
    }

    /// The newest.
    pub(super) fn last(self) -> Option<Sample> {
        self.len().checked_sub(1).and_then(|at| self.get(at))
    }

    /// The oldest and the newest, if these are two.
    pub(super) fn ends(self) -> Option<(Sample, Sample)> {
        if self.len() < 2 { None } else { self.first().zip(self.last()) }
    }

    /// As they lie in memory, if none is packed.
    #[inline]
    pub(super) fn as_slice(self) -> Option<&'a [Sample]> {
        let packed = self.samples.blocks.len() * BLOCK;
        (self.from >= packed).then(|| &self.samples.open[self.from - packed..self.to - packed])
    }

    /// All of them.
    pub(super) fn whole(self) -> Cow<'a, [Sample]> {
        if let Some(samples) = self.as_slice() {
            return Cow::Borrowed(samples);
        }
        let (blocks, packed) = (self.samples.blocks, self.samples.blocks.len() * BLOCK);
        let (first, end) = (self.from / BLOCK, self.to.div_ceil(BLOCK).min(blocks.len()));
        let mut all = Vec::with_capacity((end - first) * BLOCK + self.len());
        blocks[first..end].iter().for_each(|block| block.read(&mut all));
        all.extend_from_slice(&self.samples.open[..self.to.saturating_sub(packed)]);
        all.truncate(self.to - first * BLOCK);
        all.drain(..self.from - first * BLOCK);
        Cow::Owned(all)
    }

    /// What a counter had before each of its resets.
    pub(super) fn before_resets(self) -> Vec<f64> {
        let mut found = Vec::new();
        let mut at = self.from;
        while at + 1 < self.to {
            let block = self.samples.blocks.get(at / BLOCK);
            let end = block.map_or(self.to - 1, |_| ((at / BLOCK + 1) * BLOCK).min(self.to - 1));
            if block.is_none_or(|block| block.falls) {
                let of = |at: usize| self.samples.get(at).expect("it lies in the window");
                let resets = (at..end).filter(|at| kernel::is_reset(of(*at), of(at + 1)));
                found.extend(resets.map(|at| of(at).v));
            }
            at = end;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random samples, in order and not, with NaNs and resets: whatever was packed in between, what is asked for is what a
    /// plain list gives.
    #[test]
    fn packed_or_not_it_is_the_same() {
        let mut packed = 0;
        for seed in 0..200u64 {
            let mut state = seed;
            let mut below = |n: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % n
            };
            let span = Millis(1000 + below(2_000_000) as i64);
            let (mut samples, mut unpacked, mut plain) = (Samples::default(), Unpacked::default(), Vec::new());
            let (mut t, mut v, mut dropped) = (0, 0.0, 0u32);
            for _ in 0..500 {
                t += 1 + below(20_000) as i64;
                v = match below(40) {
                    0 => 0.0,
                    1 => f64::from_bits(0x7ff8_6869_7374_6f67),
                    _ if f64::is_nan(v) => 5.0,
                    _ => v + below(300) as f64 / 10.0,
                };
                let sample = Sample { t: Timestamp(t), v };
                if below(30) == 0 && !plain.is_empty() {
                    let first: Sample = plain[0];
                    let late = Sample { t: Timestamp(first.t.0 + below((t - first.t.0) as u64) as i64), v };
                    let at = plain.partition_point(|s: &Sample| s.t < late.t);
                    if plain.get(at).is_some_and(|s| s.t == late.t) {
                        plain[at] = late;
                        samples.amend(late);
                    } else if at < plain.len() {
                        plain.insert(at, late);
                        samples.amend(late);
                    }
                }
                if samples.is_full() {
                    samples.make_room(span, Timestamp(t), &mut unpacked);
                    let gone = samples.base().wrapping_sub(dropped) as usize;
                    assert!(plain[..gone].iter().all(|s| s.t + span <= Timestamp(t)), "seed {seed}");
                    plain.drain(..gone);
                    dropped = samples.base();
                }
                samples.push(sample);
                plain.push(sample);
                let view = samples.view(&unpacked);
                packed += view.blocks.len();
                assert_eq!(view.len(), plain.len(), "seed {seed}");
                let bits = |s: Sample| (s.t, s.v.to_bits());
                let at = below(plain.len() as u64) as usize;
                assert_eq!(view.get(at).map(bits), Some(bits(plain[at])), "seed {seed}");
                assert_eq!(view.get(plain.len()), None);
                let from = below(at as u64 + 1) as usize;
                let (window, expected) = (view.window(from..at), &plain[from..at]);
                assert!(window.whole().iter().copied().map(bits).eq(expected.iter().copied().map(bits)), "seed {seed}");
                assert_eq!(window.last().map(bits), expected.last().copied().map(bits), "seed {seed}");
                let resets = expected.windows(2).filter(|two| kernel::is_reset(two[0], two[1])).map(|two| two[0].v);
                assert_eq!(window.before_resets(), resets.collect::<Vec<f64>>(), "seed {seed}");
            }
        }
        assert!(packed > 100_000, "{packed}");
    }

    #[test]
    fn what_has_left_is_let_go_of_and_what_is_packed_is_small() {
        let (mut samples, mut unpacked) = (Samples::default(), Unpacked::default());
        for n in 0..20_000 {
            let sample = Sample { t: Timestamp(n * 10_000), v: (n * 37) as f64 };
            if samples.is_full() {
                samples.make_room(Millis::hours(6), sample.t, &mut unpacked);
            }
            samples.push(sample);
        }
        let kept = samples.view(&unpacked).len();
        assert!((2160..=2160 + 2160 / 8 + BLOCK).contains(&kept), "{kept}");
        assert!(samples.open.capacity() <= OPEN_MIN + BLOCK);
        let packed = samples.packed.unwrap();
        assert!(packed.blocks.iter().all(|block| block.bytes.len() * 2 < BLOCK * size_of::<Sample>()));
    }
}
