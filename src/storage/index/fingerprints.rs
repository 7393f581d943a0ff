//! Fingerprints to series numbers: an open table in lines of the processor's cache.
//!
//! Invariants:
//! - A bucket is one cache line of 64 bytes; most lookups touch one.
//! - An entry lies in its own bucket or, if all from there on had no room, in the first one that had;
//!   a bucket that was ever passed by says so, so that a search ends early.
//! - Each shard grows by itself and by a quarter: no growth copies more than a small part of the table.

use crate::model::{Fingerprint, SeriesRef};

/// Shards: the first bits of a fingerprint.
const SHARDS: usize = 256;
/// Entries of a bucket: as many as fit into 64 bytes.
const ENTRIES: usize = 3;
/// Bytes of a series number: a million million of them outlive the machine.
const NUMBER_BYTES: usize = 5;
/// In [`Bucket::state`]: an entry of this bucket lies behind it.
const PASSED: u8 = 0x80;

/// The table. 128 keyed bits need no second look: see [`Fingerprint`].
#[derive(Debug)]
pub(super) struct Fingerprints {
    shards: Vec<Shard>,
}

#[derive(Debug, Default)]
struct Shard {
    buckets: Vec<Bucket>,
    entries: usize,
    /// Entries removed since the marks of buckets that were passed by were all true.
    removed: usize,
}

#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
struct Bucket {
    fingerprints: [u128; ENTRIES],
    numbers: [[u8; NUMBER_BYTES]; ENTRIES],
    /// One bit for each entry that is taken, and [`PASSED`].
    state: u8,
}

const _: () = assert!(size_of::<Bucket>() == 64);

impl Bucket {
    fn find(&self, fingerprint: u128) -> Option<usize> {
        (0..ENTRIES).find(|at| self.fingerprints[*at] == fingerprint && self.state & 1 << at != 0)
    }

    fn number(&self, at: usize) -> SeriesRef {
        let mut bytes = [0; 8];
        bytes[..NUMBER_BYTES].copy_from_slice(&self.numbers[at]);
        SeriesRef(u64::from_le_bytes(bytes))
    }

    fn set(&mut self, at: usize, fingerprint: u128, series: SeriesRef) {
        let [a, b, c, d, e, ..] = series.0.to_le_bytes();
        self.fingerprints[at] = fingerprint;
        self.numbers[at] = [a, b, c, d, e];
        self.state |= 1 << at;
    }
}

impl Shard {
    /// The bucket in which a fingerprint is looked for first: its middle bits, scaled to the length.
    fn first(&self, fingerprint: u128) -> usize {
        let bits = (fingerprint >> 64) as u64;
        ((u128::from(bits << 8) * self.buckets.len() as u128) >> 64) as usize
    }

    fn find(&self, fingerprint: u128) -> Option<(usize, usize)> {
        if self.buckets.is_empty() {
            return None;
        }
        let mut at = self.first(fingerprint);
        for _ in 0..self.buckets.len() {
            let bucket = &self.buckets[at];
            if let Some(entry) = bucket.find(fingerprint) {
                return Some((at, entry));
            }
            if bucket.state & PASSED == 0 {
                return None;
            }
            at = if at + 1 == self.buckets.len() { 0 } else { at + 1 };
        }
        None
    }

    fn insert(&mut self, fingerprint: u128, series: SeriesRef) {
        if let Some((bucket, entry)) = self.find(fingerprint) {
            self.buckets[bucket].set(entry, fingerprint, series);
            return;
        }
        // At most four fifths full: few entries then lie outside of their own bucket.
        if (self.entries + 1) * 5 > self.buckets.len() * ENTRIES * 4 {
            self.resize(self.buckets.len() + self.buckets.len() / 4 + 1);
        }
        self.place(fingerprint, series);
        self.entries += 1;
    }

    /// Puts in an entry that is not there; there must be room.
    fn place(&mut self, fingerprint: u128, series: SeriesRef) {
        let mut at = self.first(fingerprint);
        loop {
            let bucket = &mut self.buckets[at];
            let free = (!bucket.state).trailing_zeros() as usize;
            if free < ENTRIES {
                bucket.set(free, fingerprint, series);
                return;
            }
            bucket.state |= PASSED;
            at = if at + 1 == self.buckets.len() { 0 } else { at + 1 };
        }
    }

    fn remove(&mut self, bucket: usize, entry: usize) {
        self.buckets[bucket].state &= !(1 << entry);
        self.entries -= 1;
        self.removed += 1;
    }

    /// Makes the shard anew when so much was removed that it is too large, or that searches go on for
    /// marks that are not true any more. The bound differs from shard to shard, a quarter to a half, so
    /// that not all of them are made anew at once.
    fn put_right(&mut self, number: usize) {
        if self.removed * 4 * SHARDS > (self.entries + ENTRIES) * (SHARDS + number) {
            self.resize(self.entries * 3 / (ENTRIES * 2) + 1);
        }
    }

    fn resize(&mut self, length: usize) {
        self.removed = 0;
        let old = std::mem::replace(&mut self.buckets, vec![Bucket::default(); length]);
        for bucket in &old {
            for at in (0..ENTRIES).filter(|at| bucket.state & 1 << at != 0) {
                self.place(bucket.fingerprints[at], bucket.number(at));
            }
        }
    }
}

impl Default for Fingerprints {
    fn default() -> Fingerprints {
        Fingerprints { shards: (0..SHARDS).map(|_| Shard::default()).collect() }
    }
}

impl Fingerprints {
    fn shard(&self, fingerprint: Fingerprint) -> &Shard {
        &self.shards[(fingerprint.0 >> 120) as usize]
    }

    /// The series of a fingerprint.
    pub(super) fn get(&self, fingerprint: Fingerprint) -> Option<SeriesRef> {
        let shard = self.shard(fingerprint);
        let (bucket, entry) = shard.find(fingerprint.0)?;
        Some(shard.buckets[bucket].number(entry))
    }

    /// Reads the first place where a fingerprint may stand, and nothing else: several calls in a row
    /// wait for memory together, and the lookups that follow do not.
    pub(super) fn touch(&self, fingerprint: Fingerprint) -> u8 {
        let shard = self.shard(fingerprint);
        shard.buckets.get(shard.first(fingerprint.0)).map_or(0, |bucket| bucket.state)
    }

    /// Leads a fingerprint to a series, wherever it led before.
    pub(super) fn insert(&mut self, fingerprint: Fingerprint, series: SeriesRef) {
        self.shards[(fingerprint.0 >> 120) as usize].insert(fingerprint.0, series);
    }

    /// Removes a fingerprint if it leads to this series.
    pub(super) fn remove(&mut self, fingerprint: Fingerprint, series: SeriesRef) {
        let number = (fingerprint.0 >> 120) as usize;
        let shard = &mut self.shards[number];
        if let Some((bucket, entry)) = shard.find(fingerprint.0)
            && shard.buckets[bucket].number(entry) == series
        {
            shard.remove(bucket, entry);
            shard.put_right(number);
        }
    }

    /// Removes the entries of one shard, by its number, whose series are gone. `false`: there is no such
    /// shard.
    pub(super) fn sweep(&mut self, number: usize, gone: impl Fn(SeriesRef) -> bool) -> bool {
        let Some(shard) = self.shards.get_mut(number) else { return false };
        for bucket in 0..shard.buckets.len() {
            for entry in 0..ENTRIES {
                let found = &shard.buckets[bucket];
                if found.state & 1 << entry != 0 && gone(found.number(entry)) {
                    shard.remove(bucket, entry);
                }
            }
        }
        shard.put_right(number);
        true
    }

    /// How many entries there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.entries).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use crate::env::Rng;

    use super::*;

    #[test]
    fn it_holds_what_a_map_holds() {
        let mut rng = Rng::new(7);
        // Few values of the bits that choose shard and bucket, so that buckets overflow.
        let mut fingerprint = |some: u64| {
            let high = (rng.below(3) << 62) | (rng.below(some) << 40);
            Fingerprint(u128::from(high) << 64 | u128::from(rng.below(50)))
        };
        let (mut table, mut model) = (Fingerprints::default(), HashMap::new());
        for round in 0..20_000u64 {
            let at = fingerprint(1 + round / 100);
            let series = SeriesRef(round * 977 % (1 << 40));
            table.insert(at, series);
            model.insert(at, series);
            if round % 4000 == 3999 {
                let gone = |series: SeriesRef| series.0 % 5 == round / 4000;
                assert_eq!((0..).take_while(|shard| table.sweep(*shard, gone)).count(), SHARDS);
                model.retain(|_, series| !gone(*series));
            }
            if round % 3 == 0 {
                // By itself, unless it leads elsewhere.
                let at = fingerprint(1 + round / 100);
                let series = model.get(&at).copied().unwrap_or(SeriesRef(1));
                table.remove(at, SeriesRef(series.0 + 1));
                assert_eq!(table.get(at), model.get(&at).copied());
                table.remove(at, series);
                model.remove(&at);
            }
        }
        assert_eq!(table.len(), model.len());
        assert!(model.iter().all(|(at, series)| table.get(*at) == Some(*series)));
        for _ in 0..10_000 {
            let at = fingerprint(300);
            table.touch(at);
            assert_eq!(table.get(at), model.get(&at).copied());
        }
    }

    #[test]
    fn searches_stay_short_when_series_come_and_go() {
        let (mut table, mut rng) = (Fingerprints::default(), Rng::new(5));
        let mut random = || Fingerprint(u128::from(rng.bits()) << 64 | u128::from(rng.bits()));
        let mut there = std::collections::VecDeque::new();
        for n in 0..100_000u64 {
            let at = random();
            table.insert(at, SeriesRef(n));
            there.push_back((at, SeriesRef(n)));
            if n >= 4000 {
                let (at, series) = there.pop_front().unwrap();
                table.remove(at, series);
            }
        }
        let buckets = || table.shards.iter().flat_map(|shard| &shard.buckets);
        let (all, passed) = (buckets().count(), buckets().filter(|bucket| bucket.state & PASSED != 0).count());
        assert!(table.len() == 4000 && all < 4000 && passed * 2 < all, "{passed} of {all} are marked");
    }

    #[test]
    fn an_entry_takes_about_thirty_bytes() {
        let (mut table, mut rng) = (Fingerprints::default(), Rng::new(3));
        let mut most = 0.0f64;
        for n in 0..60_000u64 {
            let bits = u128::from(rng.bits()) << 64 | u128::from(rng.bits());
            table.insert(Fingerprint(bits), SeriesRef(n));
            if n > 20_000 && n % 1000 == 0 {
                let bytes: usize = table.shards.iter().map(|shard| shard.buckets.capacity() * 64).sum();
                most = most.max(bytes as f64 / table.len() as f64);
            }
        }
        assert!(most < 34.0, "{most} bytes an entry");
    }
}
