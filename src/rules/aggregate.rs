//! An aggregation whose groups follow their members.
//!
//! Invariants:
//! - A group's accumulator holds exactly the values in `seen` of its members.

use crate::promql::kernel::{Accumulator, Removal};
use crate::promql::{AggregateOp, Grouping};

use super::groups::Groups;
use super::node::slots_of;
use super::renumbering::Renumbering;
use super::vector::Vector;

/// The groups of one aggregation.
#[derive(Debug)]
pub(super) struct Aggregation {
    op: AggregateOp,
    grouping: Grouping,
    groups: Groups<Group>,
    /// Of each slot below: its group, and the value that the group holds of it.
    members: Vec<(u32, Option<f64>)>,
    /// Room for the groups that change in an update.
    dirty: Vec<u32>,
}

#[derive(Debug)]
struct Group {
    accumulator: Accumulator,
    members: Vec<u32>,
    /// How many of the values are below zero.
    negative: u32,
    rebuild: bool,
    dirty: bool,
}

impl Aggregation {
    /// No groups yet.
    pub(super) fn new(op: AggregateOp, grouping: Grouping) -> Aggregation {
        Aggregation { op, grouping, groups: Groups::default(), members: Vec::new(), dirty: Vec::new() }
    }

    /// Whether the operator can be followed member by member.
    pub(super) fn follows(op: AggregateOp) -> bool {
        use AggregateOp::{Avg, Count, Group, Max, Min, Stddev, Stdvar, Sum};
        matches!(op, Sum | Avg | Min | Max | Count | Group | Stddev | Stdvar)
    }

    /// Its operator.
    pub(super) fn op(&self) -> AggregateOp {
        self.op
    }

    /// The slots below of a group.
    pub(super) fn members(&self, group: u32) -> &[u32] {
        &self.groups[group].members
    }

    /// Whether a group's value is off by no greater share than its members' are.
    pub(super) fn is_bounded(&self, group: u32) -> bool {
        let is_extreme = matches!(self.op, AggregateOp::Min | AggregateOp::Max);
        is_extreme || self.groups[group].negative == 0
    }

    /// Moves the changed members' values into their groups. Those who read them may have to hear of what is known less
    /// well than before.
    pub(super) fn update(&mut self, out: &mut Vector, input: &Vector, fresh: bool, is_loose: bool, round: u64) {
        while (self.members.len() as u32) < input.len() {
            let slot = self.members.len() as u32;
            let labels = input.labels(slot).filter(|name| self.grouping.keeps(name));
            let accumulator = Accumulator::new(self.op);
            let group = self.groups.of(labels, |labels| {
                out.add(labels.clone());
                Group { accumulator, members: Vec::new(), negative: 0, rebuild: false, dirty: false }
            });
            self.groups[group].members.push(slot);
            self.members.push((group, None));
        }
        let mut dirty = std::mem::take(&mut self.dirty);
        for slot in slots_of(input, fresh, round) {
            let (at, seen) = &mut self.members[slot as usize];
            let value = input.value(slot);
            if seen.map(f64::to_bits) == value.map(f64::to_bits) {
                continue;
            }
            let group = &mut self.groups[*at];
            if let Some(old) = *seen {
                group.negative -= u32::from(old < 0.0);
                group.rebuild |= group.accumulator.remove(old) == Removal::Rebuild;
            }
            if let Some(new) = value {
                group.negative += u32::from(new < 0.0);
                group.accumulator.add(new);
            }
            *seen = value;
            if !group.dirty {
                group.dirty = true;
                dirty.push(*at);
            }
        }
        for at in dirty.drain(..) {
            let group = &mut self.groups[at];
            group.dirty = false;
            if std::mem::take(&mut group.rebuild) {
                group.accumulator = Accumulator::new(self.op);
                let members = group.members.iter().filter_map(|slot| self.members[*slot as usize].1);
                members.for_each(|v| group.accumulator.add(v));
            }
            let value = (!group.accumulator.is_empty()).then(|| group.accumulator.value());
            // Members with other signs may have come.
            if is_loose && group.negative > 0 { out.set_made(at, value) } else { out.set(at, value) }
        }
        self.dirty = dirty;
    }

    /// Follows the renumbering of the slots below, and gives that of its own: groups without members go.
    pub(super) fn renumber(&mut self, below: &Renumbering) -> Renumbering {
        below.retain(&mut self.members);
        self.groups.iter_mut().for_each(|group| below.rename(&mut group.members));
        let own = self.groups.renumber(|_, group| !group.members.is_empty());
        // Whoever has stayed has a group that has stayed.
        self.members.iter_mut().for_each(|(group, _)| *group = own.get(*group).unwrap_or(*group));
        own
    }

    /// How much it keeps for members and groups.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        let members: usize = self.groups.iter().map(|group| group.members.len()).sum();
        self.members.len() + self.groups.size() + members
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Labels;

    #[test]
    fn groups_follow_their_members() {
        let mut input = Vector::default();
        for (job, instance) in [("a", "1"), ("a", "2"), ("b", "1")] {
            input.add(Labels::new([("job", job), ("instance", instance)]).unwrap());
        }
        let mut out = Vector::default();
        let mut max = Aggregation::new(AggregateOp::Max, Grouping::By(vec!["job".to_owned()]));
        let mut round = 0;
        let mut check = |values: [Option<f64>; 3], expected: &[(&str, f64)]| {
            round += 1;
            [&mut input, &mut out].into_iter().for_each(|vector| vector.begin(round));
            values.iter().zip(0..).for_each(|(v, slot)| input.set(slot, *v));
            max.update(&mut out, &input, false, false, round);
            let got: Vec<_> = out.elements().map(|(_, labels, v)| (labels.get("job").to_owned(), v)).collect();
            let expected: Vec<_> = expected.iter().map(|(job, v)| ((*job).to_owned(), *v)).collect();
            assert_eq!(got, expected);
        };
        check([Some(1.0), Some(2.0), None], &[("a", 2.0)]);
        check([Some(1.0), Some(0.5), Some(3.0)], &[("a", 1.0), ("b", 3.0)]);
        check([None, None, Some(3.0)], &[("b", 3.0)]);
    }
}
