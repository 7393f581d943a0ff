//! One operator of an expression, kept up to date from what changed below it.
//!
//! Invariants:
//! - An update reads only the changed slots of the nodes below, unless a scalar argument changed.
//! - Every value comes from `promql::kernel`, as in a query.

use std::collections::BTreeMap;

use crate::model::{Labels, Millis, Timestamp};
use crate::promql::kernel;
use crate::promql::{BinaryOp, Function, LabelChange, check_count, without_name};

use super::aggregate::Aggregation;
use super::feed::Feed;
use super::follow::{Follow, View};
use super::leaf::Leaf;
use super::matching::{Join, Judging};
use super::quantile::Buckets;
use super::ranking::Ranking;
use super::renumbering::Renumbering;
use super::slack::{Bounds, Judge, LATER, Slack, bounds, grade_of};
use super::timers::{Target, Timers, next_soft_step};
use super::vector::Vector;

/// An operator with its current result.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) op: Op,
    /// The nodes that it reads.
    inputs: Vec<usize>,
    pub(super) out: Vector,
    /// Whether it must be computed from the ground up.
    pub(super) fresh: bool,
    /// By how much values may be off, if nobody wants them exactly.
    slack: Slack,
    /// Whether somebody does.
    wanted: bool,
    /// Whether its result is a rule's.
    pub(super) is_root: bool,
    /// Of a comparison of values that may be off, what it knows of its elements.
    pub(super) judge: Option<Box<Judge>>,
}

/// What a node does. Nodes below are named by their number, which is smaller than its own.
#[derive(Debug)]
pub(super) enum Op {
    /// A number.
    Number(f64),
    /// `time()`, seen from `offset` ago.
    Time { offset: Millis, armed: Option<Timestamp> },
    /// A selector, or a function of one.
    Follow(Follow),
    /// One value from one value.
    Map { child: usize, map: Map, keeps_name: bool },
    /// `label_replace` and `label_join`.
    Relabel { child: usize, relabel: Box<Relabel> },
    /// `sum by (…)` and its like.
    Aggregate { child: usize, groups: Aggregation },
    /// `topk` and `bottomk`.
    Rank { count: usize, child: usize, ranking: Box<Ranking> },
    /// An operator between two vectors.
    Join { left: usize, right: usize, join: Box<Join> },
    /// `histogram_quantile` of classic buckets.
    Quantile { q: usize, child: usize, buckets: Box<Buckets> },
    /// `absent`.
    Absent { child: usize, labels: Labels },
    /// `scalar`.
    Scalar { child: usize },
}

/// An element-wise operation.
#[derive(Debug, Clone)]
pub(super) enum Map {
    /// A function with scalar arguments.
    Math { function: Function, args: Vec<usize> },
    /// `-v`
    Negate,
    /// An operator with a scalar on one side.
    Binary { op: BinaryOp, scalar: usize, scalar_is_left: bool, returns_bool: bool },
}

/// Elements with a label that is set anew.
#[derive(Debug)]
pub(super) struct Relabel {
    change: LabelChange,
    /// Elements whose new label cannot be one, with the words for it.
    failed: BTreeMap<u32, String>,
}

/// What an update may look at.
pub(super) struct Below<'a> {
    pub(super) nodes: &'a [Node],
    pub(super) leaves: &'a mut [Leaf],
    pub(super) feeds: &'a [Feed],
    pub(super) now: Timestamp,
    /// The number of the round.
    pub(super) round: u64,
    /// Whether any node has an error.
    pub(super) has_errors: bool,
    pub(super) timers: &'a mut Timers,
    /// The number of the node itself.
    pub(super) node: u32,
}

/// New numbers of the slots of leaves and of the nodes below.
pub(super) struct Renumbered<'a> {
    pub(super) leaves: &'a [Option<&'a Renumbering>],
    pub(super) nodes: &'a [Option<Renumbering>],
}

impl Op {
    /// The nodes it reads.
    pub(super) fn inputs(&self) -> Vec<usize> {
        match self {
            Op::Number(_) | Op::Time { .. } => Vec::new(),
            Op::Follow(follow) => match &follow.view {
                View::Window { args, .. } => args.clone(),
                View::Value | View::Time => Vec::new(),
            },
            Op::Map { child, map, .. } => {
                let mut inputs = vec![*child];
                inputs.extend(map.scalars());
                inputs
            }
            Op::Relabel { child, .. }
            | Op::Aggregate { child, .. }
            | Op::Absent { child, .. }
            | Op::Scalar { child } => vec![*child],
            Op::Join { left, right, .. } => vec![*left, *right],
            Op::Quantile { q, child, .. } => vec![*q, *child],
            Op::Rank { count, child, .. } => vec![*count, *child],
        }
    }
}

impl Node {
    /// A node that has not been computed yet.
    pub(super) fn new(op: Op, slack: Slack, judges: bool) -> Node {
        let unique = match &op {
            Op::Follow(follow) => matches!(follow.view, View::Window { keeps_name: true, .. } | View::Value),
            Op::Map { keeps_name, .. } => *keeps_name,
            Op::Relabel { .. } | Op::Join { .. } | Op::Quantile { .. } => false,
            _ => true,
        };
        let (inputs, out) = (op.inputs(), if unique { Vector::default() } else { Vector::with_twins() });
        let judge = judges.then(Box::default);
        Node { op, inputs, out, fresh: true, slack, wanted: false, is_root: false, judge }
    }

    /// By how much values may be off between the instants at which they are brought up to date.
    pub(super) fn slack(&self) -> Slack {
        if self.wanted { Slack::None } else { self.slack }
    }

    /// Somebody needs the values themselves. Gives whether that is new.
    pub(super) fn want(&mut self) -> bool {
        if let Op::Follow(follow) = &mut self.op {
            follow.may_be_off = false;
        }
        !std::mem::replace(&mut self.wanted, true)
    }

    /// Brings the result up to date.
    pub(super) fn update(&mut self, below: &mut Below<'_>) {
        let fresh = std::mem::take(&mut self.fresh);
        // Whoever reads values that are wanted need not know how well others are known.
        let is_loose = self.slack() != Slack::None;
        let out = &mut self.out;
        let round = below.round;
        let loosened = |input: usize| if is_loose { below.nodes[input].out.loosened(round) } else { &[] };
        out.begin(round);
        let of_input = |input: &usize| below.nodes[*input].out.error().map(str::to_owned);
        let mut error = if below.has_errors { self.inputs.iter().find_map(of_input) } else { None };
        match &mut self.op {
            Op::Number(v) => set_only(out, Some(*v)),
            Op::Time { offset, armed } => {
                set_only(out, Some((below.now - *offset).as_seconds()));
                let (node, next) = (below.node, next_soft_step(below.now));
                below.timers.arm(armed, Some(next), || Target::Node { node });
            }
            Op::Follow(follow) => follow.update(out, fresh, below),
            Op::Map { child, map, keeps_name } => {
                map.make_room(out, *child, *keeps_name, below);
                match self.judge.as_mut().filter(|_| below.nodes[*child].slack() != Slack::None) {
                    Some(judge) => {
                        map.judge(out, *child, fresh, self.wanted, judge, below);
                        loosened(*child).iter().for_each(|slot| out.loosen(*slot));
                    }
                    None => map.update(out, *child, fresh, is_loose, below),
                }
            }
            Op::Relabel { child, relabel } => {
                let own = relabel.update(out, &below.nodes[*child].out, fresh, round);
                loosened(*child).iter().for_each(|slot| out.loosen(*slot));
                error = error.or(own);
            }
            Op::Aggregate { child, groups } => {
                let grade = is_loose.then_some(|slot| grade_of(below.nodes, *child, slot));
                groups.update(out, &below.nodes[*child].out, fresh, round, grade);
            }
            Op::Rank { count, child, ranking } => {
                let count = below.nodes[*count].out.scalar();
                error = error.or(check_count(count).err());
                ranking.update(out, count.max(0.0) as usize, &below.nodes[*child].out, fresh, round);
            }
            Op::Join { left, right, join } => {
                let (sides, inputs) = ([*left, *right], [left, right].map(|side| &below.nodes[*side].out));
                let (nodes, now, wanted) = (below.nodes, below.now, self.wanted);
                let judge = self.judge.as_deref_mut();
                let own =
                    join.update(out, inputs, fresh, Judging { nodes, sides, round, now, wanted, is_loose, judge });
                error = error.or(own);
            }
            Op::Quantile { q, child, buckets } => {
                let q = &below.nodes[*q].out;
                buckets.update(out, q.scalar(), &below.nodes[*child].out, fresh || q.is_changed(round), round);
            }
            Op::Absent { child, labels } => {
                if out.len() == 0 {
                    out.add(labels.clone());
                }
                out.set(0, (below.nodes[*child].out.live() == 0).then_some(1.0));
            }
            Op::Scalar { child } => {
                let child = &below.nodes[*child].out;
                let only = if child.live() == 1 { child.elements().next().map(|(_, _, v)| v) } else { None };
                set_only(out, Some(only.unwrap_or(f64::NAN)));
            }
        }
        out.set_error(error);
        if let Some(judge) = &mut self.judge {
            let (node, next) = (below.node, (!judge.watched.is_empty()).then(|| next_soft_step(below.now)));
            below.timers.arm(&mut judge.armed, next, || Target::Node { node });
        }
    }

    /// Whether an element above a selector has no value.
    pub(super) fn is_vacant(&self, slot: u32) -> bool {
        slot >= self.out.len() || self.out.value(slot).is_none()
    }

    /// Follows the renumbering of slots below, and gives that of its own if there is one.
    pub(super) fn renumber(&mut self, below: &Renumbered<'_>) -> Option<Renumbering> {
        let of_node = |node: &usize| below.nodes[*node].as_ref();
        let own = match &mut self.op {
            Op::Number(_) | Op::Time { .. } | Op::Absent { .. } | Op::Scalar { .. } => return None,
            Op::Follow(follow) => {
                let slots = below.leaves[follow.leaf]?;
                follow.renumber(slots);
                slots.clone()
            }
            Op::Map { child, .. } => {
                let slots = of_node(child)?;
                if let Some(judge) = &mut self.judge {
                    judge.watched = judge.watched.iter().filter_map(|slot| slots.get(*slot)).collect();
                }
                slots.clone()
            }
            Op::Relabel { child, relabel } => {
                let slots = of_node(child)?;
                relabel.renumber(slots);
                slots.clone()
            }
            Op::Aggregate { child, groups } => groups.renumber(of_node(child)?),
            Op::Rank { child, ranking, .. } => {
                let slots = of_node(child)?;
                ranking.renumber(slots);
                slots.clone()
            }
            Op::Join { left, right, join } => {
                let sides = [of_node(left), of_node(right)];
                if sides.iter().all(Option::is_none) {
                    return None;
                }
                join.renumber(sides, self.out.len(), self.judge.as_deref_mut())
            }
            Op::Quantile { child, buckets, .. } => buckets.renumber(of_node(child)?),
        };
        self.out.renumber(&own);
        Some(own)
    }
}

fn set_only(out: &mut Vector, value: Option<f64>) {
    if out.len() == 0 {
        out.add(Labels::empty());
    }
    out.set(0, value);
}

/// The slots to look at: those that changed, or all.
pub(super) fn slots_of(input: &Vector, all: bool, round: u64) -> impl Iterator<Item = u32> + '_ {
    let (every, changed) = if all { (0..input.len(), &[][..]) } else { (0..0, input.changed(round)) };
    every.chain(changed.iter().copied())
}

impl Relabel {
    /// No elements yet.
    pub(super) fn new(change: LabelChange) -> Relabel {
        Relabel { change, failed: BTreeMap::new() }
    }

    /// Passes on what changed; gives the error that now holds.
    fn update(&mut self, out: &mut Vector, input: &Vector, fresh: bool, round: u64) -> Option<String> {
        while out.len() < input.len() {
            let slot = out.len();
            let labels = input.labels(slot);
            let changed = self.change.apply(labels).unwrap_or_else(|error| {
                self.failed.insert(slot, error);
                None
            });
            out.add(changed.unwrap_or_else(|| labels.clone()));
        }
        slots_of(input, fresh, round).for_each(|slot| out.set(slot, input.value(slot)));
        self.failed.iter().find(|(slot, _)| input.value(**slot).is_some()).map(|(_, error)| error.clone())
    }

    fn renumber(&mut self, slots: &Renumbering) {
        let failed = std::mem::take(&mut self.failed);
        self.failed = failed.into_iter().filter_map(|(slot, error)| Some((slots.get(slot)?, error))).collect();
    }
}

impl Map {
    fn scalars(&self) -> Vec<usize> {
        match self {
            Map::Math { args, .. } => args.clone(),
            Map::Negate => Vec::new(),
            Map::Binary { scalar, .. } => vec![*scalar],
        }
    }

    fn make_room(&self, out: &mut Vector, child: usize, keeps_name: bool, below: &Below<'_>) {
        let input = &below.nodes[child].out;
        while out.len() < input.len() {
            let labels = input.labels(out.len());
            out.add(if keeps_name { labels.clone() } else { without_name(labels) });
        }
    }

    /// The scalar arguments, and whether one has changed.
    fn args(&self, below: &Below<'_>) -> (Vec<f64>, bool) {
        let scalars = self.scalars();
        let args = scalars.iter().map(|arg| below.nodes[*arg].out.scalar()).collect();
        (args, scalars.iter().any(|arg| below.nodes[*arg].out.is_changed(below.round)))
    }

    fn update(&self, out: &mut Vector, child: usize, fresh: bool, is_loose: bool, below: &Below<'_>) {
        let input = &below.nodes[child].out;
        let (args, args_changed) = self.args(below);
        for slot in slots_of(input, fresh || args_changed, below.round) {
            let v = input.value(slot).and_then(|v| self.value(v, &args));
            if is_loose { out.set_made(slot, v) } else { out.set(slot, v) }
        }
    }

    /// Compares values that may be off: those that are in doubt are left as they are, and asked for.
    fn judge(&self, out: &mut Vector, child: usize, fresh: bool, wanted: bool, judge: &mut Judge, below: &Below<'_>) {
        let Map::Binary { op, scalar_is_left, returns_bool, .. } = *self else { return };
        let input = &below.nodes[child].out;
        let (args, args_changed) = self.args(below);
        let threshold = Bounds::at(args[0]);
        let due = judge.take_due();
        for slot in slots_of(input, fresh || args_changed, below.round).chain(due) {
            let in_doubt = |now| {
                let own = bounds(below.nodes, child, slot, now);
                let (l, r) = if scalar_is_left { (threshold, own) } else { (own, threshold) };
                let lets_through = wanted && !returns_bool && !own.is_exact();
                l.compared(op, r).is_none_or(|holds| holds && lets_through)
            };
            let (is_there, is_up_to_date) = (input.value(slot).is_some(), judge.is_refreshed(slot, below.round));
            // What is certain later is certain now.
            let is_watched = is_there && in_doubt(LATER);
            if is_watched && !is_up_to_date && in_doubt(below.now) {
                judge.asks.push(slot);
                continue;
            }
            judge.watch(slot, is_watched);
            out.set(slot, input.value(slot).and_then(|v| self.value(v, &args)));
        }
    }

    fn value(&self, v: f64, args: &[f64]) -> Option<f64> {
        match self {
            Map::Math { function: Function::Clamp, .. } if args[0] > args[1] => None,
            Map::Math { function, .. } => Some(kernel::unary_math(*function, v, args)),
            Map::Negate => Some(-v),
            Map::Binary { op, scalar_is_left, returns_bool, .. } => {
                let (l, r) = if *scalar_is_left { (args[0], v) } else { (v, args[0]) };
                if op.is_comparison() && !returns_bool {
                    kernel::compare(*op, l, r).then_some(v)
                } else {
                    Some(kernel::binary(*op, l, r))
                }
            }
        }
    }
}
