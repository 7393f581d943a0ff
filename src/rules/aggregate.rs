//! An aggregation whose groups follow their members.
//!
//! Invariants:
//! - A group's accumulator holds exactly the values in `seen` of its members.

use crate::promql::kernel::{Accumulator, Removal};
use crate::promql::{AggregateOp, Grouping};

use super::groups::Groups;
use super::node::slots_of;
use super::renumbering::Renumbering;
use super::slack::EXACT;
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
    /// Groups whose members have been asked for.
    asked: Vec<u32>,
    /// How many of the values are below zero, in all groups.
    negative: usize,
}

#[derive(Debug)]
struct Group {
    accumulator: Accumulator,
    members: Vec<u32>,
    /// How many of the values are below zero.
    negative: u32,
    /// By which grade all values are known, at the least.
    grade: u8,
    /// Whether that has become less.
    loosened: bool,
    rebuild: bool,
    dirty: bool,
}

impl Group {
    /// Without members.
    fn new(accumulator: Accumulator) -> Group {
        let (members, negative, grade) = (Vec::new(), 0, 0);
        Group { accumulator, members, negative, grade, loosened: false, rebuild: false, dirty: false }
    }

    /// Takes a member's value for what it was before. Gives by how many more are below zero.
    fn replace(&mut self, old: Option<f64>, new: Option<f64>) -> i32 {
        if let Some(old) = old {
            self.rebuild |= self.accumulator.remove(old) == Removal::Rebuild;
        }
        if let Some(new) = new {
            self.accumulator.add(new);
        }
        let is_negative = |v: Option<f64>| i32::from(v.is_some_and(|v| v < 0.0));
        let more = is_negative(new) - is_negative(old);
        self.negative = self.negative.saturating_add_signed(more);
        more
    }
}

impl Aggregation {
    /// No groups yet.
    pub(super) fn new(op: AggregateOp, grouping: Grouping) -> Aggregation {
        let (groups, members, dirty, asked) = (Groups::default(), Vec::new(), Vec::new(), Vec::new());
        Aggregation { op, grouping, groups, members, dirty, asked, negative: 0 }
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
        self.is_extreme() || self.groups[group].negative == 0
    }

    /// Whether no group's is.
    pub(super) fn are_bounded(&self) -> bool {
        self.is_extreme() || self.negative == 0
    }

    fn is_extreme(&self) -> bool {
        matches!(self.op, AggregateOp::Min | AggregateOp::Max)
    }

    /// By which grade all members of a group are known. That they are by the lowest is not looked after.
    pub(super) fn grade(&self, group: u32) -> u8 {
        self.groups[group].grade
    }

    /// Has looked at how well the members of a group are known now.
    pub(super) fn ask(&mut self, group: u32) {
        self.asked.push(group);
    }

    /// Moves the changed members' values into their groups; `grade` tells how well one is known, where those who read
    /// the groups may have to hear of what is known less well than before.
    pub(super) fn update(
        &mut self,
        out: &mut Vector,
        input: &Vector,
        fresh: bool,
        round: u64,
        grade: Option<impl Fn(u32) -> Option<u8>>,
    ) {
        while (self.members.len() as u32) < input.len() {
            let slot = self.members.len() as u32;
            let labels = input.labels(slot).filter(|name| self.grouping.keeps(name));
            let accumulator = Accumulator::new(self.op);
            let group = self.groups.of(labels, |labels| {
                out.add(labels.clone());
                Group::new(accumulator)
            });
            self.groups[group].members.push(slot);
            self.members.push((group, None));
        }
        let mut dirty = std::mem::take(&mut self.dirty);
        let known = |slot: u32| grade.as_ref().map_or(Some(EXACT), |grade| grade(slot));
        for slot in slots_of(input, fresh, round) {
            let (at, seen) = &mut self.members[slot as usize];
            let (group, value) = (&mut self.groups[*at], input.value(slot));
            let is_same = seen.map(f64::to_bits) == value.map(f64::to_bits);
            let is_known = |grade: &_| value.is_none() || known(slot) >= Some(*grade);
            let is_looser = group.grade > 0 && !is_known(&group.grade);
            if is_looser {
                (group.grade, group.loosened) = (0, true);
            }
            if is_same && !is_looser {
                continue;
            }
            if !is_same {
                let more = group.replace(*seen, value);
                self.negative = self.negative.saturating_add_signed(more as isize);
                *seen = value;
            }
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
            let may_be_looser = std::mem::take(&mut group.loosened) || (grade.is_some() && group.negative > 0);
            if may_be_looser { out.set_made(at, value) } else { out.set(at, value) }
        }
        for at in std::mem::take(&mut self.asked) {
            let live = |slot: &&u32| self.members[**slot as usize].1.is_some();
            let members = self.groups[at].members.iter().filter(live);
            self.groups[at].grade = members.map(|slot| known(*slot)).min().flatten().unwrap_or(0);
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
            max.update(&mut out, &input, false, round, None::<fn(u32) -> Option<u8>>);
            let got: Vec<_> = out.elements().map(|(_, labels, v)| (labels.get("job").to_owned(), v)).collect();
            let expected: Vec<_> = expected.iter().map(|(job, v)| ((*job).to_owned(), *v)).collect();
            assert_eq!(got, expected);
        };
        check([Some(1.0), Some(2.0), None], &[("a", 2.0)]);
        check([Some(1.0), Some(0.5), Some(3.0)], &[("a", 1.0), ("b", 3.0)]);
        check([None, None, Some(3.0)], &[("b", 3.0)]);
    }
}
