//! Which slot has which labels, for whoever keeps the labels by slot anyway.
//!
//! Invariants:
//! - Every slot that was put in is found by its labels until it is given up.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::model::Labels;

use super::renumbering::Renumbering;

/// Slots by their labels.
#[derive(Debug)]
pub(super) struct Places {
    /// Whoever chooses labels does not know it.
    seed: u64,
    table: HashTable<u32>,
}

impl Default for Places {
    fn default() -> Places {
        Places { seed: RandomState::new().hash_one(0), table: HashTable::new() }
    }
}

impl Places {
    /// The slot of a label set; `labels_of` gives the labels of every slot that was put in.
    pub(super) fn get<'l>(&self, labels: &Labels, labels_of: impl Fn(u32) -> &'l Labels) -> Option<u32> {
        self.table.find(hash(self.seed, labels), |slot| labels_of(*slot) == labels).copied()
    }

    /// Puts in a slot whose labels no other has.
    pub(super) fn insert<'l>(&mut self, labels: &Labels, slot: u32, labels_of: impl Fn(u32) -> &'l Labels) {
        let seed = self.seed;
        self.table.insert_unique(hash(seed, labels), slot, |slot| hash(seed, labels_of(*slot)));
    }

    /// Follows the renumbering of slots. `labels_of` knows the new numbers.
    pub(super) fn renumber<'l>(&mut self, slots: &Renumbering, labels_of: impl Fn(u32) -> &'l Labels) {
        self.table.retain(|slot| slots.get(*slot).map(|new| *slot = new).is_some());
        let seed = self.seed;
        self.table.shrink_to(self.table.len() * 2, |slot| hash(seed, labels_of(*slot)));
    }

    /// How many slots there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

fn hash(seed: u64, labels: &Labels) -> u64 {
    xxh3_64_with_seed(labels.as_text().as_bytes(), seed)
}
