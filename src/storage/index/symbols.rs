//! Label pairs by small numbers, each with the series that carry it.
//!
//! Invariants:
//! - A pair is there exactly as long as a series carries it; its number may then go to another one.
//! - A name is there exactly as long as one of its pairs is.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use hashbrown::HashTable;

use crate::model::SeriesRef;

use super::postings::Postings;

/// The number of a pair.
pub(super) type PairId = u32;
/// The number of a name.
pub(super) type NameId = u32;

/// All label pairs.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    hasher: RandomState,
    names: Vec<Name>,
    name_table: HashTable<NameId>,
    free_names: Vec<NameId>,
    pairs: Vec<Pair>,
    pair_table: HashTable<PairId>,
    free_pairs: Vec<PairId>,
}

/// A label's name, with its values.
#[derive(Debug)]
struct Name {
    text: Box<str>,
    pairs: Vec<PairId>,
}

/// A name with a value.
#[derive(Debug)]
struct Pair {
    name: NameId,
    /// Its place in [`Name::pairs`].
    at: u32,
    value: Box<str>,
    series: Postings,
}

impl Symbols {
    /// The number of a name.
    pub(super) fn name(&self, name: &str) -> Option<NameId> {
        let hash = self.hasher.hash_one(name);
        self.name_table.find(hash, |id| &*self.names[*id as usize].text == name).copied()
    }

    /// The number of a pair.
    pub(super) fn pair(&self, name: &str, value: &str) -> Option<PairId> {
        let name = self.name(name)?;
        self.find(name, value, self.hasher.hash_one((name, value)))
    }

    fn find(&self, name: NameId, value: &str, hash: u64) -> Option<PairId> {
        let same = |id: &PairId| {
            let pair = &self.pairs[*id as usize];
            pair.name == name && &*pair.value == value
        };
        self.pair_table.find(hash, same).copied()
    }

    /// Notes that a series carries a pair.
    pub(super) fn carry(&mut self, name: &str, value: &str, series: SeriesRef) -> PairId {
        let name = self.name(name).unwrap_or_else(|| self.add_name(name));
        let hash = self.hasher.hash_one((name, value));
        if let Some(id) = self.find(name, value, hash) {
            self.pairs[id as usize].series.push(series);
            return id;
        }
        let of_name = &mut self.names[name as usize].pairs;
        let pair = Pair { name, at: of_name.len() as u32, value: value.into(), series: Postings::new(series) };
        let id = put(&mut self.pairs, &mut self.free_pairs, pair);
        of_name.push(id);
        let (pairs, hasher) = (&self.pairs, &self.hasher);
        let rehash = |id: &PairId| hasher.hash_one((pairs[*id as usize].name, &*pairs[*id as usize].value));
        self.pair_table.insert_unique(hash, id, rehash);
        id
    }

    fn add_name(&mut self, name: &str) -> NameId {
        let id = put(&mut self.names, &mut self.free_names, Name { text: name.into(), pairs: Vec::new() });
        let (names, hasher) = (&self.names, &self.hasher);
        self.name_table.insert_unique(hasher.hash_one(name), id, |id| hasher.hash_one(&*names[*id as usize].text));
        id
    }

    /// Notes that the series of `gone`, which is sorted, do not carry a pair any more.
    pub(super) fn drop_carriers(&mut self, id: PairId, gone: &[u64]) {
        let pair = &mut self.pairs[id as usize];
        if pair.series.remove(gone) {
            return;
        }
        let (name, at) = (pair.name, pair.at);
        let value = std::mem::take(&mut pair.value);
        if let Ok(entry) = self.pair_table.find_entry(self.hasher.hash_one((name, &*value)), |other| *other == id) {
            entry.remove();
        }
        pair.series = Postings::new(SeriesRef(0));
        self.free_pairs.push(id);
        let of_name = &mut self.names[name as usize].pairs;
        of_name.swap_remove(at as usize);
        if let Some(moved) = of_name.get(at as usize) {
            self.pairs[*moved as usize].at = at;
        }
        if of_name.is_empty() {
            let name_entry = &mut self.names[name as usize];
            name_entry.pairs = Vec::new();
            let text = std::mem::take(&mut name_entry.text);
            if let Ok(entry) = self.name_table.find_entry(self.hasher.hash_one(&*text), |other| *other == name) {
                entry.remove();
            }
            self.free_names.push(name);
        }
    }

    /// How many pairs there are, and for how many there is room.
    #[cfg(test)]
    pub(super) fn pair_counts(&self) -> (usize, usize) {
        (self.pair_table.len(), self.pairs.len())
    }

    /// The texts of all names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter(|name| !name.pairs.is_empty()).map(|name| &*name.text)
    }

    /// The pairs of a name.
    pub(super) fn pairs_of(&self, name: NameId) -> &[PairId] {
        &self.names[name as usize].pairs
    }

    /// The name of a pair, by its number.
    pub(super) fn name_of(&self, pair: PairId) -> NameId {
        self.pairs[pair as usize].name
    }

    /// The text of a pair's name.
    pub(super) fn name_text(&self, pair: PairId) -> &str {
        &self.names[self.name_of(pair) as usize].text
    }

    /// The text of a pair's value.
    pub(super) fn value(&self, pair: PairId) -> &str {
        &self.pairs[pair as usize].value
    }

    /// The series that carry a pair.
    pub(super) fn series(&self, pair: PairId) -> &Postings {
        &self.pairs[pair as usize].series
    }
}

/// Puts an item into a free place or a new one, and gives the place.
fn put<T>(items: &mut Vec<T>, free: &mut Vec<u32>, item: T) -> u32 {
    match free.pop() {
        Some(place) => {
            items[place as usize] = item;
            place
        }
        None => {
            items.push(item);
            (items.len() - 1) as u32
        }
    }
}
