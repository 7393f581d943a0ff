//! What is directly above a selector: of each of its series a value, and how well that is known.
//!
//! Invariants:
//! - A value stays within the bounds of its grade until it is looked at again; whoever reads it hears when that becomes
//!   less.
//! - What is known to the last bit is decided at instants that depend on nothing but samples and whole seconds.

use crate::model::{Millis, Timestamp, is_stale};
use crate::promql::Function;

use super::graph::AHEAD;
use super::guard::Guard;
use super::horizon::{Windowed, stands_for};
use super::node::Below;
use super::renumbering::Renumbering;
use super::slack::{EXACT, SHARES};
use super::timers::{earliest, is_soft_step};
use super::vector::Vector;

/// A node directly above a selector.
#[derive(Debug)]
pub(super) struct Follow {
    pub(super) leaf: usize,
    pub(super) view: View,
    /// Whether values may be off between two looks at them.
    pub(super) may_be_off: bool,
    /// Of each element the last instant for which its value is known to the last bit.
    pub(super) exact_until: Vec<Timestamp>,
    /// Of each element by which grade it is known until it is looked at again, if it is within any bounds.
    grades: Vec<Option<u8>>,
    /// How many are not.
    unsteady: usize,
    needs: Vec<Need>,
    /// Elements that have to be known exactly now.
    pub(super) due: Vec<u32>,
    /// The round in which it last looked at what changed.
    round: u64,
}

/// How well an element has to be known.
#[derive(Debug, Clone, Copy, Default)]
struct Need {
    grade: u8,
    /// How many more times it is looked at so closely, since somebody needed that.
    looks: u8,
    /// Whether it has to be looked at in this round.
    is_due: bool,
}

impl Need {
    /// For the next look.
    fn take(&mut self) -> u8 {
        if self.looks > 0 {
            self.looks -= 1;
        } else if self.grade > 0 {
            (self.grade, self.looks) = (self.grade - 1, PATIENCE);
        }
        self.grade
    }
}

/// When an element has to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// At this instant.
    Now,
    /// When samples come, enter or leave, when an edge of the window is taken for another, and at whole seconds. Others look at the series at other instants; one that
    /// moves must not be decided at those, which a restart would change.
    InTime,
}

/// How many times an element is looked at more closely after somebody needed that: one whose neighbourhood of a
/// threshold does not end soon is not made known anew with each sample.
const PATIENCE: u8 = 12;

/// What is seen of a selector's series.
#[derive(Debug, Clone)]
pub(super) enum View {
    /// The newest value.
    Value,
    /// The newest sample's time.
    Time,
    /// A function of the window; `offset` is what the query asks, without a group's delay.
    Window { function: Function, args: Vec<usize>, offset: Millis, keeps_name: bool },
}

impl Follow {
    /// What is seen of a leaf.
    pub(super) fn new(leaf: usize, view: View) -> Follow {
        Follow {
            leaf,
            may_be_off: !matches!(view, View::Time),
            view,
            exact_until: Vec::new(),
            grades: Vec::new(),
            unsteady: 0,
            needs: Vec::new(),
            due: Vec::new(),
            round: 0,
        }
    }

    /// Has an element known by a grade in this round. Gives whether it has to be looked at for that.
    pub(super) fn demand(&mut self, slot: u32, grade: u8, now: Timestamp) -> bool {
        let need = &mut self.needs[slot as usize];
        if grade < need.grade {
            return false;
        }
        let is_new = need.grade < grade;
        (need.grade, need.looks) = (grade, PATIENCE);
        let is_known = self.exact_until[slot as usize] >= now
            || (grade < EXACT && !(is_new && self.grades[slot as usize] < Some(grade)));
        if is_known || need.is_due {
            return false;
        }
        need.is_due = true;
        self.due.push(slot);
        true
    }

    /// Follows the renumbering of the feed's slots.
    pub(super) fn renumber(&mut self, slots: &Renumbering) {
        slots.retain(&mut self.exact_until);
        slots.retain(&mut self.needs);
        slots.retain(&mut self.grades);
        self.unsteady = self.grades.iter().filter(|grade| grade.is_none()).count();
        slots.rename(&mut self.due);
    }

    /// By which grade an element is known until it is looked at again, if it is within any bounds.
    pub(super) fn grade(&self, slot: u32) -> Option<u8> {
        self.grades[slot as usize]
    }

    /// Whether all are.
    pub(super) fn is_steady(&self) -> bool {
        self.unsteady == 0
    }

    /// Notes how well an element is known from now on. Gives whether it was known better.
    fn rate(&mut self, slot: u32, grade: Option<u8>) -> bool {
        let before = std::mem::replace(&mut self.grades[slot as usize], grade);
        self.unsteady = self.unsteady + usize::from(grade.is_none()) - usize::from(before.is_none());
        grade < before
    }

    /// Looks at what changed of the series, and at what somebody needs to know better.
    pub(super) fn update(&mut self, out: &mut Vector, fresh: bool, below: &mut Below<'_>) {
        let args: Vec<f64> = self.arg_nodes().iter().map(|arg| below.nodes[*arg].out.scalar()).collect();
        let args_changed = self.arg_nodes().iter().any(|arg| below.nodes[*arg].out.is_changed(below.round));
        let feed = &below.feeds[below.leaves[self.leaf].feed()];
        below.leaves[self.leaf].grow(feed.len());
        while out.len() < feed.len() {
            let keeps_name = matches!(self.view, View::Value | View::Window { keeps_name: true, .. });
            out.add(if keeps_name { feed.labels(out.len()).clone() } else { feed.nameless(out.len()) });
            self.exact_until.push(Timestamp::MIN);
            self.grades.push(Some(0));
            self.needs.push(Need::default());
        }
        let due = std::mem::take(&mut self.due);
        let is_first = std::mem::replace(&mut self.round, below.round) != below.round;
        if fresh || args_changed {
            (0..feed.len()).for_each(|slot| self.element(out, slot, &args, Wish::Now, below));
            return;
        }
        if is_first {
            for at in 0..below.leaves[self.leaf].changed().len() {
                let leaf = &below.leaves[self.leaf];
                if at % AHEAD == 0 {
                    leaf.read_ahead(&leaf.changed()[at..leaf.changed().len().min(at + AHEAD)], feed);
                }
                self.element(out, leaf.changed()[at], &args, Wish::InTime, below);
            }
        }
        for slot in due {
            // What was due anyway has been looked at.
            if self.needs[slot as usize].is_due {
                self.element(out, slot, &args, Wish::Now, below);
            }
        }
    }

    fn arg_nodes(&self) -> &[usize] {
        match &self.view {
            View::Window { args, .. } => args,
            View::Value | View::Time => &[],
        }
    }

    fn element(&mut self, out: &mut Vector, slot: u32, args: &[f64], wish: Wish, below: &mut Below<'_>) {
        let leaf = &mut below.leaves[self.leaf];
        let glance = leaf.look(slot, &below.feeds[leaf.feed()], below.now);
        let needed = self.needs[slot as usize].take();
        let share = SHARES.get(usize::from(needed)).filter(|_| self.may_be_off);
        let (told, tolerance, may_be_off) = (out.value(slot), share.copied().unwrap_or(0.0), share.is_some());
        let newest = || glance.window().last().filter(|sample| !is_stale(sample.v));
        let ends = || earliest(glance.enters(), newest().and(glance.leaves()));
        let stands = |really: &f64| told.filter(|told| may_be_off && stands_for(*told, *really, tolerance));
        let (value, until, mut exact_until, drift, guard) = match &self.view {
            View::Value => {
                let value = newest().map(|sample| stands(&sample.v).unwrap_or(sample.v));
                let guard = value.filter(|_| glance.enters().is_none()).map(|v| Guard::of_newest(v, tolerance));
                (value, ends(), Timestamp::MAX, tolerance, guard.unwrap_or_default())
            }
            View::Time => (newest().map(|sample| sample.t.as_seconds()), ends(), Timestamp::MAX, 0.0, Guard::default()),
            View::Window { function, offset, .. } => {
                let ahead: Vec<f64>;
                let args = if *function == Function::PredictLinear {
                    ahead = args.iter().copied().chain([offset.as_seconds()]).collect();
                    &ahead
                } else {
                    args
                };
                let window = Windowed { function: *function, args, tolerance };
                let holding = if may_be_off { window.holding_on(told, glance) } else { window.holding(glance) };
                (holding.value, holding.until, holding.exact_until, holding.drift, holding.guard)
            }
        };
        let drift = if self.may_be_off { drift } else { 0.0 };
        let grade = SHARES.iter().rposition(|share| drift <= *share).map(|grade| grade as u8);
        if grade.is_none() {
            let need = &mut self.needs[slot as usize];
            (need.grade, need.looks) = (EXACT, need.looks.max(1));
        }
        leaf.guard(slot, guard);
        if let Some(until) = until {
            leaf.wake(slot, self.leaf as u32, until, below.now, below.timers);
        }
        let turns = || match &self.view {
            View::Window { function, .. } => Windowed { function: *function, args, tolerance }.turns_at(&glance),
            View::Value | View::Time => false,
        };
        let is_due = may_be_off || wish == Wish::Now || is_soft_step(below.now) || leaf.has_moved(slot);
        if !is_due && !turns() {
            if grade.is_none() {
                self.rate(slot, grade);
            }
            return;
        }
        if may_be_off {
            // Another sample may put it off without a word.
            exact_until = Timestamp::MIN;
        }
        self.needs[slot as usize].is_due = false;
        out.set(slot, value);
        let before = std::mem::replace(&mut self.exact_until[slot as usize], exact_until);
        if self.rate(slot, grade) || exact_until < before {
            out.loosen(slot);
        }
    }
}
