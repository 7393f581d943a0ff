//! Which entry of the log brought a point, and of which time it is.
//!
//! The samples of one scrape share their time; so a point names a stamp, and the stamp tells both.
//!
//! Invariant: stamps are in the order of their entries.

use std::sync::Arc;

/// Stamps of a piece.
const PIECE: usize = 1024;
/// So many different times of one entry are remembered: a request brings those of several scrapes.
const RECENT: usize = 8;

/// The stamps of a generation.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    /// Times, in full pieces that readers share, as they share their list.
    full: Arc<Vec<Arc<[i64]>>>,
    /// Those behind them.
    current: Vec<i64>,
    len: u32,
    /// The entries that have stamps, each with its first one.
    entries: Vec<(u32, u32)>,
    recent: [(i64, u32); RECENT],
    recent_len: usize,
}

impl Stamps {
    /// Begins an entry, which comes after all others.
    pub(super) fn begin(&mut self, entry: u32) {
        self.recent_len = 0;
        match self.entries.last_mut() {
            Some(last) if last.0 == entry || last.1 == self.len => last.0 = entry,
            _ => self.entries.push((entry, self.len)),
        }
    }

    /// The stamp of a time in the entry that was begun.
    pub(super) fn stamp(&mut self, t: i64) -> u32 {
        let recent = &self.recent[..self.recent_len.min(RECENT)];
        if let Some((_, stamp)) = recent.iter().find(|(time, _)| *time == t) {
            return *stamp;
        }
        let stamp = self.len;
        if self.current.len() == PIECE {
            Arc::make_mut(&mut self.full).push(Arc::from(&*self.current));
            self.current.clear();
        }
        self.current.push(t);
        self.len += 1;
        self.recent[self.recent_len % RECENT] = (t, stamp);
        self.recent_len += 1;
        stamp
    }

    /// The time of a stamp.
    #[inline]
    pub(super) fn time(&self, stamp: u32) -> i64 {
        time(&self.full, &self.current, stamp)
    }

    /// The stamps of entries up to `entry`.
    pub(super) fn seen(&self, entry: u32) -> SeenStamps {
        SeenStamps { full: Arc::clone(&self.full), current: self.current.clone(), end: self.end(entry) }
    }

    /// Stamps below this one belong to entries up to `entry`.
    pub(super) fn end(&self, entry: u32) -> u32 {
        match self.entries.last() {
            Some((last, _)) if *last > entry => {
                let behind = self.entries.partition_point(|(at, _)| *at <= entry);
                self.entries[behind].1
            }
            _ => self.len,
        }
    }

    /// Bytes that they take.
    pub(super) fn bytes(&self) -> usize {
        (self.full.len() * PIECE + self.current.capacity()) * 8 + self.entries.capacity() * 8
    }
}

/// The stamps that a reader of many columns sees, without a lock: the writer goes on meanwhile.
#[derive(Debug)]
pub(in crate::storage) struct SeenStamps {
    full: Arc<Vec<Arc<[i64]>>>,
    current: Vec<i64>,
    /// Points from this stamp on are not seen.
    pub(super) end: u32,
}

impl SeenStamps {
    /// The time of a stamp that is seen.
    #[inline]
    pub(super) fn time(&self, stamp: u32) -> i64 {
        time(&self.full, &self.current, stamp)
    }
}

#[inline]
fn time(full: &[Arc<[i64]>], current: &[i64], stamp: u32) -> i64 {
    let (piece, at) = (stamp as usize / PIECE, stamp as usize % PIECE);
    match full.get(piece) {
        Some(piece) => piece[at],
        None => current[at],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_tells_its_entry_and_its_time() {
        let mut stamps = Stamps::default();
        let mut given = Vec::new();
        for entry in 1..300u32 {
            stamps.begin(entry * 2);
            for n in 0..40 {
                let t = i64::from(entry) * 100 + n % 20;
                let stamp = stamps.stamp(t);
                assert_eq!(stamps.time(stamp), t);
                given.push((entry * 2, stamp));
            }
            assert_eq!(stamps.stamp(i64::from(entry) * 100 + 19), stamps.len - 1, "the last one is remembered");
        }
        for seen in [0, 1, 2, 3, 300, 598, 599, 900] {
            let end = stamps.end(seen);
            assert!(given.iter().all(|(entry, stamp)| (*entry <= seen) == (*stamp < end)), "{seen}");
            let view = stamps.seen(seen);
            assert!(given.iter().all(|(_, stamp)| *stamp >= view.end || view.time(*stamp) == stamps.time(*stamp)));
            assert_eq!(view.end, end);
        }
        assert!(given.is_sorted());
    }
}
