//! The current result of one node: elements in numbered slots, and what changed of them.
//!
//! Invariants:
//! - A slot keeps its labels until it is given up; an element that is gone has no value.
//! - `changed` lists every slot whose value became another, bit by bit, in the round of the last update; some perhaps
//!   more than once. So it does those whose value has stayed but may be off from now on: `loosened` lists them as well.

use std::collections::HashMap;

use crate::model::Labels;

use super::places::Places;
use super::renumbering::Renumbering;

/// The elements of an instant vector; a scalar is slot 0 with the empty labels.
#[derive(Debug, Default)]
pub(super) struct Vector {
    values: Vec<Option<f64>>,
    changed: Vec<u32>,
    loosened: Vec<u32>,
    /// The round to which the changes belong.
    round: u64,
    live: usize,
    error: Option<Box<str>>,
    error_changed: bool,
    twins: Option<Box<Twins>>,
    labels: Vec<Labels>,
}

/// Slots that share their labels: at most one of them may have a value.
#[derive(Debug, Default)]
struct Twins {
    first: Places,
    /// By the first of them.
    groups: HashMap<u32, Vec<u32>>,
}

impl Twins {
    /// Adds a slot; `others` are the labels of those before it.
    fn add(&mut self, labels: &Labels, slot: u32, others: &[Labels]) {
        match self.first.get(labels, |slot| &others[slot as usize]) {
            Some(first) => self.groups.entry(first).or_insert_with(|| vec![first]).push(slot),
            None => self.first.insert(labels, slot, |slot| &others[slot as usize]),
        }
    }
}

/// The engine's words for two elements that cannot be told apart.
const SAME_LABELS: &str = "vector cannot contain metrics with the same labelset";

impl Vector {
    /// A vector whose elements may come to share their labels, which is an error while they do.
    pub(super) fn with_twins() -> Vector {
        Vector { twins: Some(Box::default()), ..Vector::default() }
    }

    /// Adds an element without a value.
    pub(super) fn add(&mut self, labels: Labels) -> u32 {
        let slot = self.labels.len() as u32;
        if let Some(twins) = &mut self.twins {
            twins.add(&labels, slot, &self.labels);
        }
        self.labels.push(labels);
        self.values.push(None);
        slot
    }

    /// Begins an update, or goes on with one, if it is the same round.
    pub(super) fn begin(&mut self, round: u64) {
        if self.round != round {
            (self.round, self.error_changed) = (round, false);
            self.changed.clear();
            self.loosened.clear();
        }
    }

    /// Gives an element a value that is made of others, of which some have changed or are known less well. Even where it
    /// is the same again, as a sum or an infinite ratio may be, it may be known less well than before.
    pub(super) fn set_made(&mut self, slot: u32, value: Option<f64>) {
        if self.values[slot as usize].map(f64::to_bits) == value.map(f64::to_bits) {
            self.loosen(slot);
        } else {
            self.set(slot, value);
        }
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
        self.changed.push(slot);
    }

    /// Notes that the value of an element stays, but is not known as well as before.
    pub(super) fn loosen(&mut self, slot: u32) {
        if self.value(slot).is_some() {
            self.changed.push(slot);
            self.loosened.push(slot);
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

    /// The slots that changed in a round, the last or this one.
    pub(super) fn changed(&self, round: u64) -> &[u32] {
        if self.round == round { &self.changed } else { &[] }
    }

    /// Those of them whose value has stayed, but is not known as well as before.
    pub(super) fn loosened(&self, round: u64) -> &[u32] {
        if self.round == round { &self.loosened } else { &[] }
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
        if error.as_deref() != self.error.as_deref() {
            self.error = error.map(String::into_boxed_str);
            self.error_changed = true;
        }
    }

    /// Whether those who read it must look again in a round.
    pub(super) fn is_changed(&self, round: u64) -> bool {
        self.round == round && (self.error_changed || !self.changed.is_empty())
    }

    /// Gives up slots without a value. Between rounds.
    pub(super) fn renumber(&mut self, slots: &Renumbering) {
        slots.retain(&mut self.labels);
        slots.retain(&mut self.values);
        self.changed.clear();
        self.loosened.clear();
        if let Some(twins) = &mut self.twins {
            **twins = Twins::default();
            self.labels.iter().zip(0..).for_each(|(labels, slot)| twins.add(labels, slot, &self.labels));
        }
    }

    fn has_live_twins(&self) -> bool {
        let Some(twins) = self.twins.as_ref().filter(|twins| !twins.groups.is_empty()) else { return false };
        let live = |slots: &Vec<u32>| slots.iter().filter(|slot| self.value(**slot).is_some()).count();
        twins.groups.values().any(|slots| live(slots) > 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_those_of_a_round_and_twins_are_an_error_while_both_live() {
        let mut vector = Vector::with_twins();
        let (a, b) = (vector.add(Labels::empty()), vector.add(Labels::empty()));
        vector.begin(1);
        vector.set(a, Some(1.0));
        vector.set_error(None);
        assert_eq!((vector.changed(1), vector.live(), vector.error()), ([a].as_slice(), 1, None));
        assert!(vector.is_changed(1) && !vector.is_changed(2) && vector.changed(2).is_empty());
        vector.begin(2);
        vector.set(a, Some(1.0));
        assert!(!vector.is_changed(2));
        vector.set(b, Some(f64::NAN));
        vector.begin(2);
        vector.set_error(None);
        assert_eq!((vector.changed(2), vector.error()), ([b].as_slice(), Some(SAME_LABELS)));
        vector.set(a, None);
        vector.set_error(None);
        assert_eq!(vector.error(), None);
    }
}
