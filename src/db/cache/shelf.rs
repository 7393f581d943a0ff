//! Where kept answers lie: bounded in bytes, the least recently used goes first.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::columns::{Columns, StepRange};
use super::grid::Grid;
use crate::model::Millis;
use crate::promql::StartTimestamps;
use crate::storage::Version;

/// What a place takes beside its answer.
const PLACE_BYTES: usize = 512;
/// One answer takes at most one part in so many.
const SHARE: usize = 4;

/// What decides an answer besides the range and what is stored. The text is taken as it is: annotations tell
/// lines and columns of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) text: Box<str>,
    pub(super) grid: Grid,
    pub(super) lookback: Millis,
    pub(super) default_step: Millis,
    pub(super) start_timestamps: StartTimestamps,
}

/// The answer for a range of steps.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) steps: StepRange,
    pub(super) columns: Columns,
    pub(super) warnings: Vec<String>,
    pub(super) infos: Vec<String>,
    /// Of which steps the annotations speak: of more than are kept, maybe.
    pub(super) noted: StepRange,
}

impl Kept {
    fn bytes(&self, key: &Key) -> usize {
        let notes = self.warnings.iter().chain(&self.infos).map(|note| note.len() + 32).sum::<usize>();
        PLACE_BYTES + key.text.len() + notes + self.columns.bytes()
    }
}

struct Place {
    kept: Arc<Kept>,
    /// The version of the store at which all of it was right.
    version: Version,
    bytes: usize,
    used: u64,
}

/// All of them.
pub(super) struct Shelf {
    bytes_max: usize,
    bytes: usize,
    places: HashMap<Arc<Key>, Place>,
    /// The keys by when they were used.
    order: BTreeMap<u64, Arc<Key>>,
    now: u64,
    evicted: u64,
}

impl Shelf {
    pub(super) fn new(bytes_max: usize) -> Shelf {
        Shelf { bytes_max, bytes: 0, places: HashMap::new(), order: BTreeMap::new(), now: 0, evicted: 0 }
    }

    /// What is kept, and the version at which it was right.
    pub(super) fn get(&mut self, key: &Key) -> Option<(Arc<Kept>, Version)> {
        let (shared, _) = self.places.get_key_value(key)?;
        let shared = Arc::clone(shared);
        let place = self.places.get_mut(key)?;
        self.order.remove(&place.used);
        self.now += 1;
        place.used = self.now;
        self.order.insert(self.now, shared);
        Some((Arc::clone(&place.kept), place.version))
    }

    /// All of `kept` was found right at a later version.
    pub(super) fn confirm(&mut self, key: &Key, kept: &Arc<Kept>, version: Version) {
        if let Some(place) = self.places.get_mut(key).filter(|place| Arc::ptr_eq(&place.kept, kept)) {
            place.version = place.version.max(version);
        }
    }

    /// Keeps an answer in place of an older one, if it is small enough.
    pub(super) fn put(&mut self, key: Key, kept: Kept, version: Version) {
        let bytes = kept.bytes(&key);
        if bytes > self.bytes_max / SHARE || self.places.get(&key).is_some_and(|place| place.version > version) {
            return;
        }
        self.remove(&key);
        let key = Arc::new(key);
        self.now += 1;
        self.bytes += bytes;
        self.order.insert(self.now, Arc::clone(&key));
        self.places.insert(key, Place { kept: Arc::new(kept), version, bytes, used: self.now });
        while self.bytes > self.bytes_max
            && let Some((_, oldest)) = self.order.first_key_value()
        {
            let oldest = Arc::clone(oldest);
            self.remove(&oldest);
            self.evicted += 1;
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(place) = self.places.remove(key) {
            self.order.remove(&place.used);
            self.bytes -= place.bytes;
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn key(text: &str) -> Key {
        let grid = Grid::new(Timestamp(0), Millis(10));
        let (lookback, default_step) = (Millis(1), Millis(1));
        Key { text: text.into(), grid, lookback, default_step, start_timestamps: StartTimestamps::Ignored }
    }

    fn kept(note_bytes: usize) -> Kept {
        let steps = StepRange { first: 0, last: 1 };
        let infos = vec!["x".repeat(note_bytes)];
        Kept { steps, columns: Columns::default(), warnings: Vec::new(), infos, noted: steps }
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let mut shelf = Shelf::new(4000);
        let version = Version::default();
        for text in ["a", "b", "c"] {
            shelf.put(key(text), kept(400), version);
        }
        assert!(shelf.get(&key("a")).is_some());
        for text in ["d", "e"] {
            shelf.put(key(text), kept(400), version);
        }
        let there = ["a", "b", "c", "d", "e"].map(|text| shelf.places.contains_key(&key(text)));
        assert_eq!(there, [true, false, true, true, true]);
        assert_eq!((shelf.len(), shelf.evicted(), shelf.order.len()), (4, 1, 4));
        assert_eq!(shelf.bytes(), shelf.places.values().map(|place| place.bytes).sum::<usize>());
        shelf.put(key("f"), kept(1000), version);
        assert!(shelf.get(&key("f")).is_none(), "larger than its share");
        shelf.put(key("a"), kept(10), version);
        assert_eq!(shelf.bytes(), shelf.places.values().map(|place| place.bytes).sum::<usize>());
        assert_eq!((shelf.len(), shelf.evicted(), shelf.order.len()), (4, 1, 4));
    }
}
