//! Groups of elements by some of their labels: what aggregations, rankings and histograms have in common.
//!
//! Invariants:
//! - Groups keep the order in which they were met; each label set has one.

use std::collections::HashMap;
use std::ops::{Index, IndexMut};

use crate::model::Labels;

use super::renumbering::Renumbering;

/// Groups with what is kept of each.
#[derive(Debug)]
pub(super) struct Groups<G> {
    by_labels: HashMap<Labels, u32>,
    all: Vec<G>,
}

impl<G> Default for Groups<G> {
    fn default() -> Groups<G> {
        Groups { by_labels: HashMap::new(), all: Vec::new() }
    }
}

impl<G> Groups<G> {
    /// The group with these labels, made if it is new.
    pub(super) fn of(&mut self, labels: Labels, make: impl FnOnce(&Labels) -> G) -> u32 {
        let Groups { by_labels, all } = self;
        if let Some(group) = by_labels.get(&labels) {
            return *group;
        }
        let group = all.len() as u32;
        all.push(make(&labels));
        by_labels.insert(labels, group);
        group
    }

    /// How many there are.
    pub(super) fn len(&self) -> u32 {
        self.all.len() as u32
    }

    /// All of them, in order.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &G> {
        self.all.iter()
    }

    /// All of them, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut G> {
        self.all.iter_mut()
    }

    /// Gives up those that have no members any more; gives the new numbers.
    pub(super) fn renumber(&mut self, stays: impl Fn(u32, &G) -> bool) -> Renumbering {
        let own = Renumbering::new(self.len(), |group| stays(group, &self.all[group as usize]));
        own.retain(&mut self.all);
        self.by_labels.retain(|_, group| own.get(*group).map(|new| *group = new).is_some());
        self.by_labels.shrink_to(self.all.len() * 2);
        own
    }

    /// How much is kept to find them.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.all.len() + self.by_labels.len()
    }
}

impl<G> Index<u32> for Groups<G> {
    type Output = G;

    fn index(&self, group: u32) -> &G {
        &self.all[group as usize]
    }
}

impl<G> IndexMut<u32> for Groups<G> {
    fn index_mut(&mut self, group: u32) -> &mut G {
        &mut self.all[group as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_by_their_labels_and_given_up() {
        let mut groups = Groups::default();
        let labels = |job: &str| Labels::new([("job", job)]).unwrap();
        let numbers = ["a", "b", "a", "c"].map(|job| groups.of(labels(job), |of| of.get("job").to_owned()));
        assert_eq!((numbers, groups.len()), ([0, 1, 0, 2], 3));
        let new = groups.renumber(|_, job| job != "a");
        assert_eq!([0, 1, 2].map(|group| new.get(group)), [None, Some(0), Some(1)]);
        assert_eq!((groups.of(labels("c"), |_| String::new()), groups[1].as_str(), groups.size()), (1, "c", 4));
        assert_eq!(groups.of(labels("a"), |_| String::new()), 2);
    }
}
