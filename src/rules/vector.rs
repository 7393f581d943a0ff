//! The current result of one node: elements in numbered slots, and what changed of them.
//!
//! Invariants:
//! - A slot keeps its labels until it is given up; an element that is gone has no value.
//! - `changed` lists each slot once whose value differs from the one before the round, bit by bit.

use std::collections::HashMap;

use crate::model::Labels;

use super::renumbering::Renumbering;

/// The elements of an instant vector; a scalar is slot 0 with the empty labels.
#[derive(Debug, Default)]
pub(super) struct Vector {
    labels: Vec<Labels>,
    values: Vec<Option<f64>>,
    marked: Vec<bool>,
    changed: Vec<u32>,
    live: usize,
    error: Option<String>,
    error_changed: bool,
    twins: Option<Twins>,
}

/// Slots that share their labels: at most one of them may have a value.
#[derive(Debug, Default)]
struct Twins {
    first: HashMap<Labels, u32>,
    groups: HashMap<Labels, Vec<u32>>,
}

impl Twins {
    fn add(&mut self, labels: &Labels, slot: u32) {
        let first = *self.first.entry(labels.clone()).or_insert(slot);
        if first != slot {
            self.groups.entry(labels.clone()).or_insert_with(|| vec![first]).push(slot);
        }
    }
}

/// The engine's words for two elements that cannot be told apart.
const SAME_LABELS: &str = "vector cannot contain metrics with the same labelset";

impl Vector {
    /// A vector whose elements may come to share their labels, which is an error while they do.
    pub(super) fn with_twins() -> Vector {
        Vector { twins: Some(Twins::default()), ..Vector::default() }
    }

    /// Adds an element without a value.
    pub(super) fn add(&mut self, labels: Labels) -> u32 {
        let slot = self.labels.len() as u32;
        if let Some(twins) = &mut self.twins {
            twins.add(&labels, slot);
        }
        self.labels.push(labels);
        self.values.push(None);
        self.marked.push(false);
        slot
    }

    /// Gives an element a value or takes it away.
    pub(super) fn set(&mut self, slot: u32, value: Option<f64>) {
        let at = slot as usize;
        let old = self.values[at];
        if old.map(f64::to_bits) == value.map(f64::to_bits) {
            return;
        }
        self.live = self.live + usize::from(value.is_some()) - usize::from(old.is_some());
        self.values[at] = value;
        if !self.marked[at] {
            self.marked[at] = true;
            self.changed.push(slot);
        }
    }

    /// The value of a slot.
    pub(super) fn value(&self, slot: u32) -> Option<f64> {
        self.values[slot as usize]
    }

    /// The labels of a slot.
    pub(super) fn labels(&self, slot: u32) -> &Labels {
        &self.labels[slot as usize]
    }

    /// The value of a scalar.
    pub(super) fn scalar(&self) -> f64 {
        self.values.first().copied().flatten().unwrap_or(f64::NAN)
    }

    /// How many slots there are.
    pub(super) fn len(&self) -> u32 {
        self.labels.len() as u32
    }

    /// How many elements have a value.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// The slots that changed in this round.
    pub(super) fn changed(&self) -> &[u32] {
        &self.changed
    }

    /// The elements that have a value.
    pub(super) fn elements(&self) -> impl Iterator<Item = (u32, &Labels, f64)> {
        self.values.iter().enumerate().filter_map(|(at, value)| Some((at as u32, &self.labels[at], (*value)?)))
    }

    /// Why there is no result.
    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Sets or clears the error; one of the vector's own comes after that of its inputs.
    pub(super) fn set_error(&mut self, error: Option<String>) {
        let error = error.or_else(|| self.has_live_twins().then(|| SAME_LABELS.to_owned()));
        if error != self.error {
            self.error = error;
            self.error_changed = true;
        }
    }

    /// Whether those who read it must look again.
    pub(super) fn is_changed(&self) -> bool {
        self.error_changed || !self.changed.is_empty()
    }

    /// Gives up slots without a value. Between rounds.
    pub(super) fn renumber(&mut self, slots: &Renumbering) {
        slots.retain(&mut self.labels);
        slots.retain(&mut self.values);
        slots.retain(&mut self.marked);
        if let Some(twins) = &mut self.twins {
            *twins = Twins::default();
            self.labels.iter().zip(0..).for_each(|(labels, slot)| twins.add(labels, slot));
        }
    }

    /// Ends the round.
    pub(super) fn settle(&mut self) {
        self.error_changed = false;
        for slot in self.changed.drain(..) {
            self.marked[slot as usize] = false;
        }
    }

    fn has_live_twins(&self) -> bool {
        let Some(twins) = self.twins.as_ref().filter(|twins| !twins.groups.is_empty()) else { return false };
        let live = |slots: &Vec<u32>| slots.iter().filter(|slot| self.value(**slot).is_some()).count();
        twins.groups.values().any(|slots| live(slots) > 1)
    }
}

/// Whether a label describes the metric and goes when its values are changed.
pub(super) fn is_metadata(name: &str) -> bool {
    matches!(name, Labels::METRIC_NAME | "__type__" | "__unit__")
}

/// The labels without those that describe the metric.
pub(super) fn without_name(labels: &Labels) -> Labels {
    labels.filter(|name| !is_metadata(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_listed_once_and_twins_are_an_error_while_both_live() {
        let mut vector = Vector::with_twins();
        let (a, b) = (vector.add(Labels::empty()), vector.add(Labels::empty()));
        vector.set(a, Some(1.0));
        vector.set(a, Some(2.0));
        vector.set_error(None);
        assert_eq!((vector.changed(), vector.live(), vector.error()), ([a].as_slice(), 1, None));
        vector.settle();
        vector.set(a, Some(2.0));
        assert!(!vector.is_changed());
        vector.set(b, Some(f64::NAN));
        vector.set_error(None);
        assert_eq!(vector.error(), Some(SAME_LABELS));
        vector.set(a, None);
        vector.set_error(None);
        assert_eq!(vector.error(), None);
    }
}
