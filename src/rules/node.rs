//! One operator of an expression, kept up to date from what changed below it.
//!
//! Invariants:
//! - An update reads only the changed slots of the nodes below, unless a scalar argument changed.
//! - Every value comes from `promql::kernel`, as in a query.

use crate::model::{Labels, Millis, Timestamp};
use crate::promql::kernel;
use crate::promql::{BinaryOp, Function};

use super::aggregate::Aggregation;
use super::leaf::Leaf;
use super::matching::Join;
use super::quantile::Buckets;
use super::renumbering::Renumbering;
use super::timers::{Alarm, Target, Timers, earliest, next_soft_step};
use super::vector::{Vector, without_name};

/// An operator with its current result.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) op: Op,
    /// The nodes that it reads.
    inputs: Vec<usize>,
    pub(super) out: Vector,
    /// Whether it must be computed from the ground up.
    pub(super) fresh: bool,
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
    /// `sum by (…)` and its like.
    Aggregate { child: usize, groups: Aggregation },
    /// An operator between two vectors.
    Join { left: usize, right: usize, join: Join },
    /// `histogram_quantile` of classic buckets.
    Quantile { q: usize, child: usize, buckets: Buckets },
    /// `absent`.
    Absent { child: usize, labels: Labels },
    /// `scalar`.
    Scalar { child: usize },
}

/// A node directly above a selector.
#[derive(Debug)]
pub(super) struct Follow {
    pub(super) leaf: usize,
    pub(super) view: View,
    /// When the elements of a window are due that move by themselves.
    pub(super) alarms: Vec<Alarm>,
    /// Elements whose time has come.
    pub(super) due: Vec<u32>,
}

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

/// What an update may look at.
pub(super) struct Below<'a> {
    pub(super) nodes: &'a [Node],
    pub(super) leaves: &'a [Leaf],
    pub(super) now: Timestamp,
    pub(super) timers: &'a mut Timers,
    /// The number of the node itself.
    pub(super) node: u32,
}

/// New numbers of the slots of leaves and of the nodes below.
pub(super) struct Renumbered<'a> {
    pub(super) leaves: &'a [Option<Renumbering>],
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
            Op::Aggregate { child, .. } | Op::Absent { child, .. } | Op::Scalar { child } => vec![*child],
            Op::Join { left, right, .. } => vec![*left, *right],
            Op::Quantile { q, child, .. } => vec![*q, *child],
        }
    }
}

impl Node {
    /// A node that has not been computed yet.
    pub(super) fn new(op: Op) -> Node {
        let unique = match &op {
            Op::Follow(follow) => matches!(follow.view, View::Window { keeps_name: true, .. } | View::Value),
            Op::Map { keeps_name, .. } => *keeps_name,
            Op::Join { .. } | Op::Quantile { .. } => false,
            _ => true,
        };
        let (inputs, out) = (op.inputs(), if unique { Vector::default() } else { Vector::with_twins() });
        Node { op, inputs, out, fresh: true }
    }

    /// Brings the result up to date.
    pub(super) fn update(&mut self, below: &mut Below<'_>) {
        let fresh = std::mem::take(&mut self.fresh);
        let out = &mut self.out;
        let mut error = self.inputs.iter().find_map(|input| below.nodes[*input].out.error().map(str::to_owned));
        match &mut self.op {
            Op::Number(v) => set_only(out, Some(*v)),
            Op::Time { offset, armed } => {
                set_only(out, Some((below.now - *offset).as_seconds()));
                let (node, next) = (below.node, next_soft_step(below.now));
                below.timers.arm(armed, Some(next), || Target::Node { node });
            }
            Op::Follow(follow) => follow.update(out, fresh, below),
            Op::Map { child, map, keeps_name } => map.update(out, *child, *keeps_name, fresh, below),
            Op::Aggregate { child, groups } => groups.update(out, &below.nodes[*child].out, fresh),
            Op::Join { left, right, join } => {
                let own = join.update(out, &below.nodes[*left].out, &below.nodes[*right].out, fresh);
                error = error.or(own);
            }
            Op::Quantile { q, child, buckets } => {
                let q = &below.nodes[*q].out;
                buckets.update(out, q.scalar(), &below.nodes[*child].out, fresh || q.is_changed());
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
    }

    /// Whether an element above a selector has no value and waits for nothing.
    pub(super) fn is_vacant(&self, slot: u32) -> bool {
        let waits = match &self.op {
            Op::Follow(follow) => follow.alarms.get(slot as usize).is_some_and(|alarm| alarm.is_on()),
            _ => false,
        };
        !waits && (slot >= self.out.len() || self.out.value(slot).is_none())
    }

    /// Follows the renumbering of slots below, and gives that of its own if there is one.
    pub(super) fn renumber(&mut self, below: &Renumbered<'_>) -> Option<Renumbering> {
        let of_node = |node: &usize| below.nodes[*node].as_ref();
        let own = match &mut self.op {
            Op::Number(_) | Op::Time { .. } | Op::Absent { .. } | Op::Scalar { .. } => return None,
            Op::Follow(follow) => {
                let slots = below.leaves[follow.leaf].as_ref()?;
                slots.retain(&mut follow.alarms);
                slots.rename(&mut follow.due);
                slots.clone()
            }
            Op::Map { child, .. } => of_node(child)?.clone(),
            Op::Aggregate { child, groups } => groups.renumber(of_node(child)?),
            Op::Join { left, right, join } => {
                let sides = [of_node(left), of_node(right)];
                if sides.iter().all(Option::is_none) {
                    return None;
                }
                join.renumber(sides, self.out.len())
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
pub(super) fn slots_of(input: &Vector, all: bool) -> impl Iterator<Item = u32> + '_ {
    let (every, changed) = if all { (0..input.len(), &[][..]) } else { (0..0, input.changed()) };
    every.chain(changed.iter().copied())
}

impl Follow {
    fn update(&mut self, out: &mut Vector, fresh: bool, below: &mut Below<'_>) {
        let leaf = &below.leaves[self.leaf];
        let args: Vec<f64> = self.arg_nodes().iter().map(|arg| below.nodes[*arg].out.scalar()).collect();
        let args_changed = self.arg_nodes().iter().any(|arg| below.nodes[*arg].out.is_changed());
        while out.len() < leaf.len() {
            let labels = leaf.labels(out.len());
            let keeps_name = matches!(self.view, View::Value | View::Window { keeps_name: true, .. });
            out.add(if keeps_name { labels.clone() } else { without_name(labels) });
            if matches!(self.view, View::Window { .. }) {
                self.alarms.push(Alarm::OFF);
            }
        }
        let due = std::mem::take(&mut self.due);
        if fresh || args_changed {
            (0..leaf.len()).for_each(|slot| self.element(out, slot, &args, below));
        } else {
            leaf.changed().iter().chain(&due).for_each(|slot| self.element(out, *slot, &args, below));
        }
    }

    fn arg_nodes(&self) -> &[usize] {
        match &self.view {
            View::Window { args, .. } => args,
            View::Value | View::Time => &[],
        }
    }

    fn element(&mut self, out: &mut Vector, slot: u32, args: &[f64], below: &mut Below<'_>) {
        let (leaf, now) = (&below.leaves[self.leaf], below.now);
        let value = match &self.view {
            View::Value => leaf.newest(slot, now).map(|sample| sample.v),
            View::Time => leaf.newest(slot, now).map(|sample| sample.t.as_seconds()),
            View::Window { function, offset, .. } => {
                let (window, range) = (leaf.window(slot, now), leaf.range(now));
                let ahead: Vec<f64>;
                let args = if *function == Function::PredictLinear {
                    ahead = args.iter().copied().chain([offset.as_seconds()]).collect();
                    &ahead
                } else {
                    args
                };
                let (value, motion) = kernel::moving(*function, args, window, range);
                let rests = motion.until.map(|until| now + (until - range.until));
                let next = earliest(rests, motion.moving.then(|| next_soft_step(now)));
                let node = below.node;
                below.timers.set(&mut self.alarms[slot as usize], next, || Target::Element { node, slot });
                value
            }
        };
        out.set(slot, value);
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

    fn update(&self, out: &mut Vector, child: usize, keeps_name: bool, fresh: bool, below: &Below<'_>) {
        let input = &below.nodes[child].out;
        let scalars: &[usize] = match self {
            Map::Math { args, .. } => args,
            Map::Negate => &[],
            Map::Binary { scalar, .. } => std::slice::from_ref(scalar),
        };
        let args: Vec<f64> = scalars.iter().map(|arg| below.nodes[*arg].out.scalar()).collect();
        let args_changed = scalars.iter().any(|arg| below.nodes[*arg].out.is_changed());
        while out.len() < input.len() {
            let labels = input.labels(out.len());
            out.add(if keeps_name { labels.clone() } else { without_name(labels) });
        }
        for slot in slots_of(input, fresh || args_changed) {
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
