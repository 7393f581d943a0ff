//! Timelines of a block in the making: every column of stamps is kept once.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::Arc;

use siphasher::sip128::{Hasher128, SipHasher13};

use super::format::{self, GROUP, Slice, StampVector, Timeline, VECTOR_SAMPLES};
use crate::codec::Effort;
use crate::storage::block::format::{Packing, Section};
use crate::storage::block::pages::{PageWriter, Place, Stream};

/// Stamps that are kept for comparing: 32 MiB. Timelines beyond that are known by their hashes, and
/// parts of them are not found.
const STAMPS_KEPT_MAX: usize = 4 << 20;
/// Timelines with the same first or last stamp that a column is compared with.
const COMPARED_MAX: usize = 4;
/// Bytes of a page of stamps: a timeline with jitter takes about four thousand.
const PAGE_BYTES: usize = 4 << 10;

/// Takes columns of stamps and gives their places.
pub(in crate::storage::block) struct TimelineWriter {
    stamps: Stream,
    effort: Effort,
    /// Timelines of the page that is being filled.
    page: Vec<Timeline>,
    /// Where the stamps of that page begin.
    page_place: Place,
    count: u64,
    keys: (u64, u64),
    /// By first stamp, last stamp and count: number and hash.
    whole: HashMap<(i64, i64, u32), Vec<(u64, u128)>>,
    /// By first and by last stamp: the latest few.
    beginning: HashMap<i64, Vec<u64>>,
    ending: HashMap<i64, Vec<u64>>,
    kept: HashMap<u64, Arc<[i64]>>,
    kept_order: VecDeque<u64>,
    kept_stamps: usize,
}

impl TimelineWriter {
    /// Begins without any.
    pub(in crate::storage::block) fn new(packing: Packing, effort: Effort) -> TimelineWriter {
        let random = RandomState::new();
        TimelineWriter {
            stamps: Stream::new(Section::Stamps, packing, PAGE_BYTES),
            effort,
            page: Vec::new(),
            page_place: Place::default(),
            count: 0,
            keys: (random.hash_one(0), random.hash_one(1)),
            whole: HashMap::new(),
            beginning: HashMap::new(),
            ending: HashMap::new(),
            kept: HashMap::new(),
            kept_order: VecDeque::new(),
            kept_stamps: 0,
        }
    }

    /// The place of a column of stamps, which is stored if it is not there: whole or as a part of
    /// another one.
    pub(in crate::storage::block) fn intern(&mut self, pages: &mut PageWriter, stamps: &[i64]) -> io::Result<Slice> {
        let (Some(first), Some(last)) = (stamps.first(), stamps.last()) else {
            return Ok(Slice { timeline: 0, start: 0, cut: 0 });
        };
        let key = (*first, *last, stamps.len() as u32);
        let mut hash = None;
        for (number, stored_hash) in self.whole.get(&key).into_iter().flatten() {
            let same = match self.kept.get(number) {
                Some(kept) => **kept == *stamps,
                None => *hash.get_or_insert_with(|| self.hash(stamps)) == *stored_hash,
            };
            if same {
                return Ok(Slice { timeline: *number, start: 0, cut: 0 });
            }
        }
        if let Some(slice) = self.part(stamps, *first, *last) {
            return Ok(slice);
        }
        let hash = hash.unwrap_or_else(|| self.hash(stamps));
        let number = self.add(pages, stamps)?;
        self.whole.entry(key).or_default().push((number, hash));
        for (by, stamp) in [(&mut self.beginning, *first), (&mut self.ending, *last)] {
            let latest = by.entry(stamp).or_default();
            if latest.len() == COMPARED_MAX {
                latest.remove(0);
            }
            latest.push(number);
        }
        self.keep(number, stamps.into());
        Ok(Slice { timeline: number, start: 0, cut: 0 })
    }

    /// Writes what is not written yet.
    pub(in crate::storage::block) fn finish(&mut self, pages: &mut PageWriter) -> io::Result<()> {
        self.close_page(pages)?;
        self.stamps.close(pages)
    }

    fn part(&self, stamps: &[i64], first: i64, last: i64) -> Option<Slice> {
        let kept = |number: &u64| Some((*number, self.kept.get(number)?));
        let ending = self.ending.get(&last).into_iter().flatten().filter_map(kept);
        for (number, whole) in ending {
            if let Some(start) = whole.len().checked_sub(stamps.len())
                && whole[start..] == *stamps
            {
                return Some(Slice { timeline: number, start: start as u32, cut: 0 });
            }
        }
        let beginning = self.beginning.get(&first).into_iter().flatten().filter_map(kept);
        for (number, whole) in beginning {
            if whole.starts_with(stamps) {
                return Some(Slice { timeline: number, start: 0, cut: stamps.len() as u32 });
            }
        }
        None
    }

    fn add(&mut self, pages: &mut PageWriter, stamps: &[i64]) -> io::Result<u64> {
        if self.page.is_empty() {
            self.page_place = self.stamps.place(pages);
        }
        let vectors: Vec<StampVector> = stamps.chunks(VECTOR_SAMPLES).map(StampVector::of).collect();
        let regular =
            stamps.chunks(VECTOR_SAMPLES).zip(&vectors).all(|(stamps, vector)| vector.is_regular(stamps.len()));
        let mut bytes = Vec::new();
        if !regular {
            format::put_stamps(&mut bytes, stamps, self.effort);
        }
        let place = if regular { self.stamps.place(pages) } else { self.stamps.put(pages, &bytes)? };
        let count = stamps.len() as u32;
        self.page.push(Timeline { count, vectors, place, length: bytes.len() as u32 });
        let number = self.count;
        self.count += 1;
        if self.page.len() == GROUP {
            self.close_page(pages)?;
        }
        Ok(number)
    }

    fn close_page(&mut self, pages: &mut PageWriter) -> io::Result<()> {
        if self.page.is_empty() {
            return Ok(());
        }
        let mut raw = Vec::new();
        format::put_timelines(&mut raw, self.page_place, &self.page);
        self.page.clear();
        pages.put(Section::Timelines, &raw, Packing::Zstd(32))
    }

    fn keep(&mut self, number: u64, stamps: Arc<[i64]>) {
        self.kept_stamps += stamps.len();
        self.kept.insert(number, stamps);
        self.kept_order.push_back(number);
        while self.kept_stamps > STAMPS_KEPT_MAX {
            let Some(oldest) = self.kept_order.pop_front() else { break };
            self.kept_stamps -= self.kept.remove(&oldest).map_or(0, |stamps| stamps.len());
        }
    }

    fn hash(&self, stamps: &[i64]) -> u128 {
        use std::hash::Hasher;
        let mut hasher = SipHasher13::new_with_keys(self.keys.0, self.keys.1);
        let mut bytes = [0; 512];
        for part in stamps.chunks(bytes.len() / 8) {
            for (at, stamp) in bytes.chunks_exact_mut(8).zip(part) {
                at.copy_from_slice(&stamp.to_le_bytes());
            }
            hasher.write(&bytes[..part.len() * 8]);
        }
        hasher.finish128().into()
    }
}

impl StampVector {
    /// Of these stamps.
    pub(super) fn of(stamps: &[i64]) -> StampVector {
        let gaps = stamps.windows(2).map(|two| two[1].abs_diff(two[0]));
        StampVector {
            first: stamps.first().copied().unwrap_or_default(),
            last: stamps.last().copied().unwrap_or_default(),
            gap_max: gaps.max().unwrap_or_default(),
        }
    }

    /// Whether all gaps between its `count` stamps are equal.
    fn is_regular(&self, count: usize) -> bool {
        (count as u64).saturating_sub(1).checked_mul(self.gap_max) == Some(self.last.abs_diff(self.first))
    }
}
