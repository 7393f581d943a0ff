//! By how much values may differ from what a query answers, between the instants at which they are brought up to date.
//!
//! Whoever only compares a value with a threshold need not know it to the last bit as long as it is far from it. So the
//! value of a window is left as it is while it moves by less than a share of itself, with samples or without, and nodes
//! above it know within which bounds theirs lie. A comparison looks at the bounds: where they leave it in doubt, the
//! windows below are known by a smaller share for a while; where that is not enough, they are followed to the last bit.
//! Whoever needs values themselves says so ([`Graph::want_root`]).
//!
//! Invariants:
//! - Which elements a node has is always right; only their values may be off.
//! - When an element comes to be known less well than before, those who compare it look again, though its value has
//!   stayed ([`Vector::loosen`]).
//! - What moves too fast for its bounds has none.
//! - The bounds hold whatever the rounding: they are wider than what is computed from them by more than that.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Timestamp;
use crate::promql::kernel;
use crate::promql::{AggregateOp, BinaryOp, Function};

use super::follow::View;
#[cfg(doc)]
use super::graph::Graph;
use super::node::{Map, Node, Op};
#[cfg(doc)]
use super::vector::Vector;

/// By which share of itself a selector's or a window's value may be off, grade by grade: as a rule, and when somebody
/// has to know it better.
pub(super) const SHARES: Shares = [1.0 / 4.0, 1.0 / 64.0];

/// The grade of what is known to the last bit.
pub(super) const EXACT: u8 = SHARES.len() as u8;

/// A share for each grade.
pub(super) type Shares = [f64; 2];

/// For [`bounds`]: not at this instant, but at all until the windows are looked at again.
pub(super) const LATER: Timestamp = Timestamp::MAX;

/// What is allowed for rounding, many times over.
const ROUNDING: f64 = 1e-9;

/// By how much the values of a node may be off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Slack {
    /// By nothing.
    None,
    /// By such a share of themselves, depending on the grade.
    Share(Shares),
    /// By what their parts are off: [`bounds`] tells.
    Parts,
}

impl Slack {
    /// By a share of what is there. Where a value may be off by as much as it is, zero and its sign are not known.
    fn of_shares(shares: Shares) -> Slack {
        if shares.iter().all(|share| *share < 1.0) { Slack::Share(shares) } else { Slack::Parts }
    }
}

/// What a comparison knows of its own elements: those of a vector compared with a number, or matching groups.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// Those whose parts have come up to date, to be made anew.
    due: Vec<u32>,
    /// Those whose parts are known better in the round of this number, and by which grade.
    refreshed: (u64, BTreeMap<u32, u8>),
    /// Those that need that in this round.
    pub(super) asks: Vec<u32>,
    /// Those that have to be made again at whole seconds.
    pub(super) watched: BTreeSet<u32>,
    pub(super) armed: Option<Timestamp>,
}

impl Judge {
    /// Notes that the parts of one come to be known by a grade in a round.
    pub(super) fn refresh(&mut self, id: u32, grade: u8, round: u64) {
        if self.refreshed.0 != round {
            self.refreshed = (round, BTreeMap::new());
        }
        self.refreshed.1.insert(id, grade);
        self.due.push(id);
    }

    /// Whether the parts of one are up to date. Stays so until the round ends: what is in doubt all the same, because
    /// the bounds are wider than they need be, is not asked for again.
    pub(super) fn is_refreshed(&self, id: u32, round: u64) -> bool {
        self.grade(id, round) == Some(EXACT)
    }

    /// Those that are in doubt, and how well their parts have to be known: each time better. What was in doubt to the
    /// last before is not tried with less.
    pub(super) fn take_asks(&mut self, round: u64) -> Vec<(u32, u8)> {
        let asks = std::mem::take(&mut self.asks);
        let better = |id: &u32| self.grade(*id, round).map_or(1, |grade| EXACT.min(grade + 1));
        let needed = |id: u32| (id, if self.watched.contains(&id) { EXACT } else { better(&id) });
        asks.into_iter().map(needed).collect()
    }

    fn grade(&self, id: u32, round: u64) -> Option<u8> {
        self.refreshed.1.get(&id).filter(|_| self.refreshed.0 == round).copied()
    }

    /// Those to be made anew.
    pub(super) fn take_due(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.due)
    }

    /// Notes whether one has to be made again at the next whole second.
    pub(super) fn watch(&mut self, id: u32, in_doubt: bool) {
        if in_doubt {
            self.watched.insert(id);
        } else if !self.watched.is_empty() {
            self.watched.remove(&id);
        }
    }
}

/// By how much the values of a new node may be off, and which of those that it reads have to be exact.
pub(super) fn slack_of(op: &Op, nodes: &[Node]) -> (Slack, Vec<usize>) {
    let of = |node: &usize| nodes[*node].slack();
    let exact = |inputs: Vec<usize>| (Slack::None, inputs);
    match op {
        Op::Follow(follow) if !matches!(follow.view, View::Time) => (Slack::Share(SHARES), op.inputs()),
        Op::Number(_) | Op::Time { .. } | Op::Follow(_) | Op::Absent { .. } => exact(Vec::new()),
        Op::Scalar { .. } | Op::Quantile { .. } | Op::Rank { .. } => exact(op.inputs()),
        Op::Map { child, map, .. } => {
            let scalars = op.inputs().split_off(1);
            match (map, of(child)) {
                (Map::Negate | Map::Math { function: Function::Abs, .. }, slack) => (slack, scalars),
                (Map::Math { .. }, _) => exact(op.inputs()),
                (Map::Binary { op, returns_bool, .. }, slack) if op.is_comparison() => {
                    (if *returns_bool { Slack::None } else { slack }, scalars)
                }
                (Map::Binary { op: BinaryOp::Mul, .. }, slack) => (slack, scalars),
                (Map::Binary { op: BinaryOp::Div, scalar_is_left: true, .. }, Slack::Share(shares)) => {
                    (Slack::of_shares(shares.map(|share| ratio(0.0, share))), scalars)
                }
                (Map::Binary { op: BinaryOp::Div, .. }, slack @ Slack::Share(_)) => (slack, scalars),
                (Map::Binary { op: BinaryOp::Div | BinaryOp::Add | BinaryOp::Sub, .. }, slack) => {
                    (if slack == Slack::None { slack } else { Slack::Parts }, scalars)
                }
                (Map::Binary { .. }, _) => exact(op.inputs()),
            }
        }
        Op::Relabel { child, .. } => (of(child), Vec::new()),
        Op::Aggregate { child, groups } => match (groups.op(), of(child)) {
            (AggregateOp::Count | AggregateOp::Group, _) => exact(Vec::new()),
            (AggregateOp::Sum | AggregateOp::Avg | AggregateOp::Min | AggregateOp::Max, slack @ Slack::Share(_)) => {
                (slack, Vec::new())
            }
            _ => exact(vec![*child]),
        },
        Op::Join { left, right, join } => {
            let sides = [of(left), of(right)];
            let shares = sides.map(|slack| match slack {
                Slack::None => Some([0.0; SHARES.len()]),
                Slack::Share(shares) => Some(shares),
                Slack::Parts => None,
            });
            let is_exact = sides == [Slack::None; 2];
            let made = |share: fn(f64, f64) -> f64| match shares {
                _ if is_exact => Slack::None,
                [Some(l), Some(r)] => Slack::of_shares(std::array::from_fn(|grade| share(l[grade], r[grade]))),
                _ => Slack::Parts,
            };
            match join.op() {
                _ if join.returns_bool() => exact(Vec::new()),
                BinaryOp::And | BinaryOp::Unless => (sides[0], Vec::new()),
                op if op.is_comparison() => (sides[0], Vec::new()),
                BinaryOp::Or => (made(f64::max), Vec::new()),
                BinaryOp::Mul => (made(|l, r| (1.0 + l) * (1.0 + r) - 1.0), Vec::new()),
                BinaryOp::Div => (made(ratio), Vec::new()),
                BinaryOp::Add | BinaryOp::Sub => (if is_exact { Slack::None } else { Slack::Parts }, Vec::new()),
                _ => exact(vec![*left, *right]),
            }
        }
    }
}

/// Whether a new node compares values that may be off, or lets only some of them through.
pub(super) fn judges(op: &Op, nodes: &[Node]) -> bool {
    let may_be_off = |node: &usize| nodes[*node].slack() != Slack::None;
    match op {
        Op::Map { child, map: Map::Binary { op, .. }, .. } => op.is_comparison() && may_be_off(child),
        Op::Join { left, right, join } => match join.op() {
            BinaryOp::And | BinaryOp::Unless => may_be_off(left),
            op => op.is_comparison() && (may_be_off(left) || may_be_off(right)),
        },
        _ => false,
    }
}

/// By which share a ratio is off at the most.
fn ratio(over: f64, under: f64) -> f64 {
    (1.0 + over) / (1.0 - under) - 1.0
}

/// The nodes whose values become those of this one, all of them.
pub(super) fn passed_on(op: &Op) -> Vec<usize> {
    match op {
        Op::Map { map: Map::Binary { op, .. }, .. } if op.is_comparison() => Vec::new(),
        Op::Map { child, .. } | Op::Relabel { child, .. } => vec![*child],
        Op::Aggregate { groups, .. } if matches!(groups.op(), AggregateOp::Count | AggregateOp::Group) => Vec::new(),
        Op::Aggregate { child, .. } => vec![*child],
        Op::Join { left, right, join } => match join.op() {
            op if op.is_comparison() => Vec::new(),
            BinaryOp::And | BinaryOp::Unless => Vec::new(),
            _ => vec![*left, *right],
        },
        _ => Vec::new(),
    }
}

/// From where to where a value may lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    low: f64,
    high: f64,
}

impl Bounds {
    /// Anywhere.
    const NONE: Bounds = Bounds { low: f64::NEG_INFINITY, high: f64::INFINITY };

    /// A value that is known.
    pub(super) fn at(v: f64) -> Bounds {
        Bounds { low: v, high: v }
    }

    /// Whether the value is known.
    pub(super) fn is_exact(self) -> bool {
        self.low.to_bits() == self.high.to_bits()
    }

    /// Whether it is told how large and how small the value may be.
    fn is_bounded(self) -> bool {
        self.low.is_finite() && self.high.is_finite()
    }

    /// Whether the value is known to be above zero, or below.
    fn has_sign(self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }

    /// Around a value that may be off by a share. Zero is never off, nor is what is no number.
    fn around(v: f64, share: f64) -> Bounds {
        let off = v.abs() * (share + ROUNDING);
        if v == 0.0 || !v.is_finite() { Bounds::at(v) } else { Bounds { low: v - off, high: v + off } }
    }

    fn widened(self) -> Bounds {
        let off = self.low.abs().max(self.high.abs()) * ROUNDING + f64::MIN_POSITIVE;
        Bounds::ordered([self.low - off, self.high + off])
    }

    /// Of numbers among which the value lies; of what is no number, anywhere.
    fn ordered<const N: usize>(ends: [f64; N]) -> Bounds {
        if ends.iter().any(|v| v.is_nan()) {
            return Bounds::NONE;
        }
        Bounds {
            low: ends.iter().copied().fold(f64::INFINITY, f64::min),
            high: ends.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    fn combined(self, op: BinaryOp, other: Bounds) -> Bounds {
        if self.is_exact() && other.is_exact() {
            return Bounds::at(kernel::binary(op, self.low, other.low));
        }
        let all = [(self.low, other.low), (self.low, other.high), (self.high, other.low), (self.high, other.high)];
        // What is left of a difference may be less than the rounding of its terms.
        let terms = [self.low, self.high, other.low, other.high].iter().fold(0.0, |max: f64, v| max.max(v.abs()));
        match op {
            BinaryOp::Add | BinaryOp::Sub => {
                let Bounds { low, high } = Bounds::ordered(all.map(|(l, r)| kernel::binary(op, l, r)));
                Bounds::ordered([low - terms * ROUNDING, high + terms * ROUNDING])
            }
            BinaryOp::Div if other.is_exact() && other.low == 0.0 && self.has_sign() => {
                Bounds::at(kernel::binary(op, self.low, other.low))
            }
            BinaryOp::Div if other.low <= 0.0 && other.high >= 0.0 => Bounds::NONE,
            BinaryOp::Mul | BinaryOp::Div => Bounds::ordered(all.map(|(l, r)| kernel::binary(op, l, r))).widened(),
            _ => Bounds::NONE,
        }
    }

    /// Whether a comparison holds, if there is no doubt.
    pub(super) fn compared(self, op: BinaryOp, other: Bounds) -> Option<bool> {
        if self.is_exact() && other.is_exact() {
            return Some(kernel::compare(op, self.low, other.low));
        }
        // Among what has no bound may be what is no number.
        if [self, other].iter().any(|side| !side.is_exact() && !side.is_bounded()) {
            return None;
        }
        let certain = |holds: bool, fails: bool| (holds || fails).then_some(holds);
        let (l, r) = (self, other);
        match op {
            BinaryOp::Gt => certain(l.low > r.high, l.high <= r.low),
            BinaryOp::Lt => certain(l.high < r.low, l.low >= r.high),
            BinaryOp::Ge => certain(l.low >= r.high, l.high < r.low),
            BinaryOp::Le => certain(l.high <= r.low, l.low > r.high),
            BinaryOp::Eq => certain(false, l.low > r.high || l.high < r.low),
            BinaryOp::Ne => certain(l.low > r.high || l.high < r.low, false),
            _ => None,
        }
    }
}

/// Within which bounds the value of an element lies at an instant. The element must be there.
pub(super) fn bounds(nodes: &[Node], at: usize, slot: u32, now: Timestamp) -> Bounds {
    let node = &nodes[at];
    let v = node.out.value(slot).unwrap_or(f64::NAN);
    let slack = node.slack();
    if slack == Slack::None {
        return Bounds::at(v);
    }
    match &node.op {
        // What is not finite is never off.
        Op::Follow(_) if !v.is_finite() => Bounds::at(v),
        Op::Follow(follow) if now <= follow.exact_until[slot as usize] => Bounds::at(v),
        Op::Follow(follow) => match follow.grade(slot) {
            Some(grade) => Bounds::around(v, SHARES[usize::from(grade)]),
            None => Bounds::NONE,
        },
        Op::Map { child, map, .. } => {
            let child = bounds(nodes, *child, slot, now);
            match map {
                Map::Negate => Bounds { low: -child.high, high: -child.low },
                Map::Binary { op, .. } if op.is_comparison() => child,
                Map::Binary { op, scalar, scalar_is_left, .. } => {
                    let scalar = Bounds::at(nodes[*scalar].out.scalar());
                    if *scalar_is_left { scalar.combined(*op, child) } else { child.combined(*op, scalar) }
                }
                Map::Math { .. } if child.is_exact() => Bounds::at(child.low.abs()),
                Map::Math { .. } if child.low >= 0.0 => child,
                Map::Math { .. } if child.high <= 0.0 => Bounds { low: -child.high, high: -child.low },
                Map::Math { .. } => Bounds { low: 0.0, high: child.high.max(-child.low) },
            }
        }
        Op::Relabel { child, .. } => bounds(nodes, *child, slot, now),
        Op::Aggregate { .. } => match (slack, grade_of(nodes, at, slot)) {
            (Slack::Share(shares), Some(grade)) => {
                shares.get(usize::from(grade)).map_or(Bounds::at(v), |share| Bounds::around(v, *share))
            }
            _ => Bounds::NONE,
        },
        Op::Join { left, right, join } => {
            let side = |node: &usize, slot: Option<u32>| slot.map(|slot| bounds(nodes, *node, slot, now));
            let (l, r) = join.sources(slot);
            match (side(left, l), side(right, r)) {
                (Some(l), Some(r)) if !join.op().is_comparison() => l.combined(join.op(), r),
                (Some(one), _) | (None, Some(one)) => one,
                (None, None) => Bounds::NONE,
            }
        }
        _ => Bounds::NONE,
    }
}

/// How well what an element is made of is known, if it is within any bounds.
pub(super) fn grade_of(nodes: &[Node], at: usize, slot: u32) -> Option<u8> {
    let node = &nodes[at];
    if node.slack() == Slack::None {
        return Some(EXACT);
    }
    match &node.op {
        Op::Follow(follow) => follow.grade(slot),
        Op::Map { child, .. } | Op::Relabel { child, .. } => grade_of(nodes, *child, slot),
        Op::Aggregate { groups, .. } if !groups.is_bounded(slot) => None,
        Op::Aggregate { child, groups } => match groups.grade(slot) {
            0 => is_steady(nodes, *child).then_some(0),
            grade => Some(grade),
        },
        Op::Join { left, right, join } => {
            let (l, r) = join.sources(slot);
            let r = r.filter(|_| l.is_none() || join.makes_values());
            let side = |node: &usize, slot: Option<u32>| slot.map_or(Some(EXACT), |slot| grade_of(nodes, *node, slot));
            side(left, l).min(side(right, r))
        }
        _ => None,
    }
}

/// Whether everything below a node is known within bounds.
fn is_steady(nodes: &[Node], at: usize) -> bool {
    match &nodes[at].op {
        Op::Follow(follow) => follow.is_steady(),
        Op::Map { child, .. } | Op::Relabel { child, .. } => is_steady(nodes, *child),
        Op::Aggregate { child, groups } => groups.are_bounded() && is_steady(nodes, *child),
        Op::Join { left, right, .. } => [left, right].into_iter().all(|side| is_steady(nodes, *side)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the values within the bounds are, what is certain of a comparison holds for them.
    #[test]
    fn what_is_certain_holds_for_all_that_is_possible() {
        let points = [-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.04, 2.0, f64::INFINITY, f64::NAN];
        let ops = [BinaryOp::Gt, BinaryOp::Lt, BinaryOp::Ge, BinaryOp::Le, BinaryOp::Eq, BinaryOp::Ne];
        let (mut certain, mut open) = (0, 0);
        for (a, b) in points.iter().flat_map(|a| points.iter().map(move |b| (*a, *b))) {
            for made in [BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul, BinaryOp::Div] {
                let made_of = Bounds::around(a, 0.1).combined(made, Bounds::around(b, 0.02));
                for (op, threshold) in ops.iter().flat_map(|op| points.iter().map(move |t| (*op, *t))) {
                    let verdict = made_of.compared(op, Bounds::at(threshold));
                    for (p, q) in [-0.1, -0.05, 0.0, 0.1].iter().flat_map(|p| [-0.02, 0.0, 0.01].map(|q| (*p, q))) {
                        let v = kernel::binary(made, a * (1.0 + p), b * (1.0 + q));
                        if let Some(verdict) = verdict {
                            let really = kernel::compare(op, v, threshold);
                            assert_eq!(verdict, really, "{a} {made:?} {b} {op:?} {threshold}, say {v}");
                        }
                    }
                    certain += usize::from(verdict.is_some());
                    open += usize::from(verdict.is_none());
                }
            }
        }
        assert!(certain > 1000 && open > 1000, "{certain} {open}");
    }
}
