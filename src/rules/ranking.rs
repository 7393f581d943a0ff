//! `topk` and `bottomk`: the first elements of each group, in an order that is kept up.
//!
//! Invariants:
//! - A group's order holds exactly its members that have a value, by their keys in `members`.
//! - The result has values for the first elements of each order and for no others.

use std::collections::{BTreeSet, HashSet};

use crate::model::Labels;
use crate::promql::Grouping;
use crate::promql::kernel::{Direction, rank_key};

use super::groups::Groups;
use super::node::slots_of;
use super::renumbering::Renumbering;
use super::vector::Vector;

/// The groups of one ranking.
#[derive(Debug)]
pub(super) struct Ranking {
    direction: Direction,
    grouping: Grouping,
    groups: Groups<Group>,
    /// Of each slot below: its group, and the key by which it is in the group's order.
    members: Vec<(u32, Option<u64>)>,
    /// How many of each group are in the result.
    count: usize,
}

#[derive(Debug, Default)]
struct Group {
    /// Members with a value. Of equal ones the first by labels comes first.
    order: BTreeSet<(u64, Labels, u32)>,
    /// Those that are in the result, by their numbers.
    chosen: Vec<u32>,
}

impl Ranking {
    /// No groups yet.
    pub(super) fn new(direction: Direction, grouping: Grouping) -> Ranking {
        Ranking { direction, grouping, groups: Groups::default(), members: Vec::new(), count: 0 }
    }

    /// Moves the changed members to their places and brings those that are first up to date.
    pub(super) fn update(&mut self, out: &mut Vector, count: usize, input: &Vector, fresh: bool, round: u64) {
        while (self.members.len() as u32) < input.len() {
            let labels = input.labels(self.members.len() as u32);
            let own = labels.filter(|name| self.grouping.keeps(name));
            let group = self.groups.of(own, |_| Group::default());
            self.members.push((group, None));
            out.add(labels.clone());
        }
        let mut touched = BTreeSet::new();
        for slot in slots_of(input, fresh, round) {
            let (at, seen) = &mut self.members[slot as usize];
            let (group, key) = (&mut self.groups[*at], input.value(slot).map(|v| rank_key(self.direction, v)));
            if *seen != key {
                let place = |key: u64| (key, input.labels(slot).clone(), slot);
                if let Some(old) = *seen {
                    group.order.remove(&place(old));
                }
                group.order.extend(key.map(place));
                *seen = key;
            }
            touched.insert(*at);
        }
        if std::mem::replace(&mut self.count, count) != count {
            touched.extend(0..self.groups.len());
        }
        for at in touched {
            let group = &mut self.groups[at];
            let before = std::mem::take(&mut group.chosen);
            group.chosen.extend(group.order.iter().take(count).map(|(.., slot)| *slot));
            group.chosen.sort_unstable();
            let gone = before.into_iter().filter(|slot| group.chosen.binary_search(slot).is_err());
            gone.for_each(|slot| out.set(slot, None));
            group.chosen.iter().for_each(|slot| out.set(*slot, input.value(*slot)));
        }
    }

    /// Follows the renumbering of the slots below, which is that of its own: groups without members go.
    pub(super) fn renumber(&mut self, below: &Renumbering) {
        below.retain(&mut self.members);
        let used: HashSet<u32> = self.members.iter().map(|(group, _)| *group).collect();
        let own = self.groups.renumber(|group, _| used.contains(&group));
        // Whoever has stayed has a group that has stayed.
        self.members.iter_mut().for_each(|(group, _)| *group = own.get(*group).unwrap_or(*group));
        for group in self.groups.iter_mut() {
            below.rename(&mut group.chosen);
            let order = std::mem::take(&mut group.order);
            group.order =
                order.into_iter().filter_map(|(key, labels, slot)| Some((key, labels, below.get(slot)?))).collect();
        }
    }

    /// How much it keeps for members and groups.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        let of = |group: &Group| group.order.len() + group.chosen.len();
        self.members.len() + self.groups.size() + self.groups.iter().map(of).sum::<usize>()
    }
}
