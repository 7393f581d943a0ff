//! An operator between two vectors: elements are paired by their signature, the labels that the
//! matching looks at.
//!
//! Invariants:
//! - A bucket holds every slot of both sides with one signature; only the buckets of changed
//!   slots are worked through.
//! - A bucket with several elements where one is allowed is an error as long as it is so, and
//!   only while both sides have elements at all, as in a query.

use std::collections::{BTreeMap, HashMap};

use crate::model::{Labels, Timestamp};
use crate::promql::kernel;
use crate::promql::{BinaryOp, Group, MatchLabels, Matching, is_metadata};

use super::node::{Node, slots_of};
use super::places::Places;
use super::renumbering::Renumbering;
use super::slack::{Bounds, Judge, LATER, Slack, bounds};
use super::vector::Vector;

/// The state of one operator.
#[derive(Debug)]
pub(super) struct Join {
    op: BinaryOp,
    returns_bool: bool,
    matching: Matching,
    by_signature: Places,
    buckets: Vec<Bucket>,
    /// The bucket of each slot of the left and of the right side.
    sides: [Vec<u32>; 2],
    /// Of each slot of the right side whether it has a value; only of an operator that asks for no more.
    is_there: Vec<bool>,
    /// Of each output the elements that it was last made of.
    sources: Vec<Key>,
    scratch: Scratch,
    /// Buckets that are in error, with the words for it.
    errors: BTreeMap<u32, String>,
}

#[derive(Debug)]
struct Bucket {
    signature: Labels,
    left: Vec<u32>,
    right: Vec<u32>,
    /// The output slots: for an element of one side, or for a pair. Pairs with the same labels share one.
    outputs: Vec<(Key, u32)>,
    /// Each output slot once.
    slots: Vec<u32>,
    /// Finds outputs where there are many.
    index: Option<Box<Index>>,
}

/// Outputs of a bucket by what they are made of, and by their labels.
#[derive(Debug, Default)]
struct Index {
    by_key: HashMap<Key, u32>,
    by_labels: Places,
}

/// From how many outputs on a bucket has an index.
const INDEXED_FROM: usize = 9;

/// Room that is used again for each bucket.
#[derive(Debug, Default)]
struct Scratch {
    dirty: Vec<u32>,
    left: Vec<Element>,
    right: Vec<Element>,
    results: Vec<(Key, Option<f64>)>,
    taken: Vec<(u32, Option<f64>)>,
}

/// One element of a side inside a bucket.
#[derive(Debug, Clone, Copy)]
struct Element {
    slot: u32,
    v: f64,
}

impl Join {
    /// No elements on either side.
    pub(super) fn new(op: BinaryOp, returns_bool: bool, matching: Matching) -> Join {
        let (by_signature, buckets, errors) = (Places::default(), Vec::new(), BTreeMap::new());
        let (sides, sources, scratch) = ([Vec::new(), Vec::new()], Vec::new(), Scratch::default());
        let is_there = Vec::new();
        Join { op, returns_bool, matching, by_signature, buckets, sides, is_there, sources, scratch, errors }
    }

    /// Its operator.
    pub(super) fn op(&self) -> BinaryOp {
        self.op
    }

    /// Whether its values are others than those of its left side.
    pub(super) fn makes_values(&self) -> bool {
        !(self.op.is_comparison() || self.asks_presence())
    }

    /// Whether the values of its right side are of no account, but only that they are there.
    fn asks_presence(&self) -> bool {
        matches!(self.op, BinaryOp::And | BinaryOp::Unless)
    }

    /// Whether a comparison gives 0 or 1.
    pub(super) fn returns_bool(&self) -> bool {
        self.returns_bool
    }

    /// The elements that an output was last made of.
    pub(super) fn sources(&self, output: u32) -> Key {
        self.sources.get(output as usize).copied().unwrap_or_default()
    }

    /// The slots of both sides in a bucket.
    pub(super) fn members(&self, bucket: u32) -> [&[u32]; 2] {
        let bucket = &self.buckets[bucket as usize];
        [&bucket.left, &bucket.right]
    }

    /// Works through the buckets of what changed; gives the error that now holds. Buckets that are in doubt are left
    /// as they are, for the judge to ask for.
    pub(super) fn update(
        &mut self,
        out: &mut Vector,
        [left, right]: [&Vector; 2],
        fresh: bool,
        mut judging: Judging<'_>,
    ) -> Option<String> {
        let due = judging.judge.as_mut().map_or(Vec::new(), |judge| judge.take_due());
        let mut scratch = std::mem::take(&mut self.scratch);
        let Scratch { dirty, left: l, right: r, results, taken } = &mut scratch;
        dirty.extend(due);
        for (side, input) in [left, right].into_iter().enumerate() {
            while (self.sides[side].len() as u32) < input.len() {
                let slot = self.sides[side].len() as u32;
                let bucket = self.bucket(side, slot, input.labels(slot));
                self.sides[side].push(bucket);
            }
            let slots = slots_of(input, fresh, judging.round);
            if side == 1 && self.asks_presence() {
                self.is_there.resize(input.len() as usize, false);
                let is_there = &mut self.is_there;
                let turned = |slot: &u32| {
                    let is_there_now = input.value(*slot).is_some();
                    std::mem::replace(&mut is_there[*slot as usize], is_there_now) != is_there_now
                };
                dirty.extend(slots.filter(turned).map(|slot| self.sides[side][slot as usize]));
            } else {
                dirty.extend(slots.map(|slot| self.sides[side][slot as usize]));
            }
        }
        let is_made = judging.is_loose && self.makes_values();
        let loosened = if judging.is_loose && !is_made { left.loosened(judging.round) } else { &[] };
        let loosened: Vec<u32> = loosened.iter().map(|slot| self.sides[0][*slot as usize]).collect();
        dirty.sort_unstable();
        dirty.dedup();
        for at in dirty.drain(..) {
            let bucket = &mut self.buckets[at as usize];
            for (elements, slots, input) in [(&mut *l, &bucket.left, left), (&mut *r, &bucket.right, right)] {
                elements.clear();
                let live = slots.iter().filter_map(|&slot| Some(Element { slot, v: input.value(slot)? }));
                elements.extend(live);
            }
            let is_refreshed = |judge: &&mut Judge| judge.is_refreshed(at, judging.round);
            let is_up_to_date = judging.judge.as_ref().is_some_and(is_refreshed);
            // What is certain later is certain now.
            let in_doubt = judging.in_doubt(self.op, self.returns_bool, (l, r), LATER);
            let asks = in_doubt && !is_up_to_date && judging.in_doubt(self.op, self.returns_bool, (l, r), judging.now);
            if let Some(judge) = &mut judging.judge {
                if asks {
                    judge.asks.push(at);
                    continue;
                }
                judge.watch(at, in_doubt);
            }
            let plan = Plan { op: self.op, returns_bool: self.returns_bool, matching: &self.matching };
            results.clear();
            let result = if self.op.is_set() {
                plan.set(l, r, results);
                Ok(())
            } else {
                plan.pairs(l, r, &bucket.signature, [left, right], results)
            };
            let sources = &mut self.sources;
            let labels = |key| plan.labels(key, left, right);
            let written = result.and_then(|()| bucket.write(out, is_made, sources, results, taken, labels));
            match written {
                Ok(()) => {
                    self.errors.remove(&at);
                }
                Err(error) => {
                    self.errors.insert(at, error);
                    bucket.clear(out);
                }
            }
        }
        loosened.iter().for_each(|at| self.buckets[*at as usize].slots.iter().for_each(|slot| out.loosen(*slot)));
        self.scratch = scratch;
        let short_cut = left.live() == 0 || right.live() == 0;
        if short_cut { None } else { self.errors.values().next().cloned() }
    }

    /// Follows the renumbering of the slots of both sides, and gives that of its own `count`: outputs of which
    /// a part is gone go.
    pub(super) fn renumber(
        &mut self,
        sides: [Option<&Renumbering>; 2],
        count: u32,
        judge: Option<&mut Judge>,
    ) -> Renumbering {
        let new = |side: usize, slot: u32| sides[side].map_or(Some(slot), |slots| slots.get(slot));
        for (side, buckets) in self.sides.iter_mut().enumerate() {
            if let Some(slots) = sides[side] {
                slots.retain(buckets);
            }
        }
        if let Some(slots) = sides[1].filter(|_| self.asks_presence()) {
            slots.retain(&mut self.is_there);
        }
        let mut stays = vec![false; count as usize];
        for bucket in &mut self.buckets {
            for (side, members) in [&mut bucket.left, &mut bucket.right].into_iter().enumerate() {
                if let Some(slots) = sides[side] {
                    slots.rename(members);
                }
            }
            let half = |side, slot: Option<u32>| slot.map_or(Some(None), |slot| new(side, slot).map(Some));
            let outputs = std::mem::take(&mut bucket.outputs);
            let renamed = |((l, r), output)| Some(((half(0, l)?, half(1, r)?), output));
            bucket.outputs = outputs.into_iter().filter_map(renamed).collect();
            bucket.outputs.iter().for_each(|(_, output)| stays[*output as usize] = true);
        }
        let own = Renumbering::new(count, |output| stays[output as usize]);
        own.retain(&mut self.sources);
        self.sources.iter_mut().for_each(|(l, r)| {
            (*l, *r) = (l.and_then(|slot| new(0, slot)), r.and_then(|slot| new(1, slot)));
        });
        for bucket in &mut self.buckets {
            bucket.outputs.iter_mut().for_each(|(_, output)| *output = own.get(*output).unwrap_or(*output));
            own.rename(&mut bucket.slots);
            // Made anew when something is looked for.
            bucket.index = None;
        }
        self.drop_empty_buckets(judge);
        own
    }

    fn drop_empty_buckets(&mut self, judge: Option<&mut Judge>) {
        let is_used = |bucket: &Bucket| !(bucket.left.is_empty() && bucket.right.is_empty());
        let buckets = Renumbering::new(self.buckets.len() as u32, |at| is_used(&self.buckets[at as usize]));
        buckets.retain(&mut self.buckets);
        let signed = &self.buckets;
        self.by_signature.renumber(&buckets, |at| &signed[at as usize].signature);
        self.sides.iter_mut().flatten().for_each(|at| *at = buckets.get(*at).unwrap_or(*at));
        if let Some(judge) = judge {
            judge.watched = judge.watched.iter().filter_map(|at| buckets.get(*at)).collect();
        }
        let errors = std::mem::take(&mut self.errors);
        self.errors = errors.into_iter().filter_map(|(at, error)| Some((buckets.get(at)?, error))).collect();
    }

    /// How much it keeps for elements, buckets and outputs.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        let of = |bucket: &Bucket| bucket.left.len() + bucket.right.len() + bucket.outputs.len() + bucket.slots.len();
        let sides: usize = self.sides.iter().map(Vec::len).sum();
        sides
            + self.by_signature.len()
            + self.errors.len()
            + self.buckets.iter().map(|bucket| 1 + of(bucket)).sum::<usize>()
    }

    fn bucket(&mut self, side: usize, slot: u32, labels: &Labels) -> u32 {
        let signature = match &self.matching.labels {
            MatchLabels::On(names) => labels.filter(|name| names.iter().any(|n| n == name)),
            MatchLabels::Ignoring(names) => labels.filter(|name| !is_metadata(name) && names.iter().all(|n| n != name)),
        };
        let buckets = &mut self.buckets;
        let at = self.by_signature.get(&signature, |at| &buckets[at as usize].signature).unwrap_or_else(|| {
            let at = buckets.len() as u32;
            self.by_signature.insert(&signature, at, |at| &buckets[at as usize].signature);
            let (left, right, outputs, slots) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            buckets.push(Bucket { signature, left, right, outputs, slots, index: None });
            at
        });
        let bucket = &mut self.buckets[at as usize];
        if side == 0 {
            bucket.left.push(slot)
        } else {
            bucket.right.push(slot)
        }
        at
    }
}

/// Which elements an output is made of.
type Key = (Option<u32>, Option<u32>);

/// What a comparison needs to know of values that may be off.
pub(super) struct Judging<'a> {
    /// The nodes below, among them both sides.
    pub(super) nodes: &'a [Node],
    pub(super) sides: [usize; 2],
    pub(super) round: u64,
    pub(super) now: Timestamp,
    /// Whether somebody needs the values that it lets through.
    pub(super) wanted: bool,
    /// Whether those who read it must hear of values that are known less well than before.
    pub(super) is_loose: bool,
    /// Absent where no value may be off.
    pub(super) judge: Option<&'a mut Judge>,
}

impl Judging<'_> {
    /// Whether the elements of a bucket have to be brought up to date before they are compared at an instant.
    fn in_doubt(
        &self,
        op: BinaryOp,
        returns_bool: bool,
        (left, right): (&[Element], &[Element]),
        now: Timestamp,
    ) -> bool {
        if self.judge.is_none() || self.sides.iter().all(|side| self.nodes[*side].slack() == Slack::None) {
            return false;
        }
        let of = |side: usize| move |element: &Element| bounds(self.nodes, self.sides[side], element.slot, now);
        if op.is_set() {
            let lets_through = right.is_empty() == (op == BinaryOp::Unless);
            return self.wanted && lets_through && left.iter().map(of(0)).any(|l| !l.is_exact());
        }
        let right: Vec<Bounds> = right.iter().map(of(1)).collect();
        left.iter().map(of(0)).any(|l| {
            right.iter().any(|r| match l.compared(op, *r) {
                None => true,
                Some(holds) => holds && self.wanted && !returns_bool && !l.is_exact(),
            })
        })
    }
}

impl Bucket {
    /// Writes the results; outputs without one lose their value.
    fn write(
        &mut self,
        out: &mut Vector,
        is_made: bool,
        sources: &mut Vec<Key>,
        results: &[(Key, Option<f64>)],
        taken: &mut Vec<(u32, Option<f64>)>,
        labels: impl Fn(Key) -> Labels,
    ) -> Result<(), String> {
        taken.clear();
        for &(key, v) in results {
            let slot = self.output(key, out, &labels);
            if sources.len() < out.len() as usize {
                sources.resize(out.len() as usize, (None, None));
            }
            if v.is_some() {
                sources[slot as usize] = key;
            }
            taken.push((slot, v));
        }
        taken.sort_unstable_by_key(|(slot, _)| *slot);
        if taken.windows(2).any(|two| two[0].0 == two[1].0) {
            return Err("multiple matches for labels: grouping labels must ensure unique matches".to_owned());
        }
        for slot in &self.slots {
            let found = taken.binary_search_by_key(slot, |(slot, _)| *slot);
            let v = found.ok().and_then(|at| taken[at].1);
            if is_made { out.set_made(*slot, v) } else { out.set(*slot, v) }
        }
        Ok(())
    }

    /// The output slot of an element or a pair.
    fn output(&mut self, key: Key, out: &mut Vector, labels: impl Fn(Key) -> Labels) -> u32 {
        if self.index.is_none() && self.outputs.len() >= INDEXED_FROM {
            let mut index = Index { by_key: self.outputs.iter().copied().collect(), by_labels: Places::default() };
            self.slots
                .iter()
                .for_each(|slot| index.by_labels.insert(out.labels(*slot), *slot, |slot| out.labels(slot)));
            self.index = Some(Box::new(index));
        }
        let known = match &self.index {
            Some(index) => index.by_key.get(&key).copied(),
            None => self.outputs.iter().find(|(other, _)| *other == key).map(|(_, slot)| *slot),
        };
        known.unwrap_or_else(|| {
            let labels = labels(key);
            let same = match &self.index {
                Some(index) => index.by_labels.get(&labels, |slot| out.labels(slot)),
                None => self.slots.iter().copied().find(|slot| *out.labels(*slot) == labels),
            };
            let slot = same.unwrap_or_else(|| {
                let slot = out.add(labels);
                self.slots.push(slot);
                if let Some(index) = &mut self.index {
                    index.by_labels.insert(out.labels(slot), slot, |slot| out.labels(slot));
                }
                slot
            });
            self.outputs.push((key, slot));
            self.index.iter_mut().for_each(|index| {
                index.by_key.insert(key, slot);
            });
            slot
        })
    }

    fn clear(&self, out: &mut Vector) {
        self.slots.iter().for_each(|slot| out.set(*slot, None));
    }
}

/// What the operator asks, apart from the state.
struct Plan<'a> {
    op: BinaryOp,
    returns_bool: bool,
    matching: &'a Matching,
}

impl Plan<'_> {
    fn set(&self, left: &[Element], right: &[Element], results: &mut Vec<(Key, Option<f64>)>) {
        let lefts = left.iter().map(|e| ((Some(e.slot), None), Some(e.v)));
        let rights = right.iter().map(|e| ((None, Some(e.slot)), Some(e.v)));
        match self.op {
            BinaryOp::And if right.is_empty() => {}
            BinaryOp::Unless if !right.is_empty() => {}
            BinaryOp::Or if left.is_empty() => results.extend(rights),
            _ => results.extend(lefts),
        }
    }

    /// Pairs the elements of a bucket.
    fn pairs(
        &self,
        left: &[Element],
        right: &[Element],
        signature: &Labels,
        [left_input, right_input]: [&Vector; 2],
        results: &mut Vec<(Key, Option<f64>)>,
    ) -> Result<(), String> {
        let many_is_left = !matches!(self.matching.group, Group::Right(_));
        let (many, one) = if many_is_left { (left, right) } else { (right, left) };
        if let [first, second, ..] = one {
            let (side, input) = if many_is_left { ("right", right_input) } else { ("left", left_input) };
            return Err(format!(
                "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];\
                 many-to-many matching not allowed: matching labels must be unique on one side",
                signature,
                input.labels(first.slot),
                input.labels(second.slot),
            ));
        }
        let Some(one) = one.first() else { return Ok(()) };
        if self.matching.group == Group::OneToOne && many.len() > 1 {
            return Err("multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                .to_owned());
        }
        let value = |l: &Element, r: &Element| match self.op.is_comparison() && !self.returns_bool {
            true => kernel::compare(self.op, l.v, r.v).then_some(l.v),
            false => Some(kernel::binary(self.op, l.v, r.v)),
        };
        let pair = |element: &Element| {
            let (l, r) = if many_is_left { (element, one) } else { (one, element) };
            ((Some(l.slot), Some(r.slot)), value(l, r))
        };
        results.extend(many.iter().map(pair));
        Ok(())
    }

    /// The labels of an output.
    fn labels(&self, key: Key, left: &Vector, right: &Vector) -> Labels {
        let (l, r) = match key {
            (Some(l), None) => return left.labels(l).clone(),
            (None, Some(r)) => return right.labels(r).clone(),
            (None, None) => return Labels::empty(),
            (Some(l), Some(r)) => (left.labels(l), right.labels(r)),
        };
        let drops_name = !self.op.is_comparison() || self.returns_bool;
        let keeps = |name: &str| !(drops_name && is_metadata(name));
        let (many, one, include) = match &self.matching.group {
            Group::OneToOne => {
                return l.filter(|name| {
                    keeps(name)
                        && match &self.matching.labels {
                            MatchLabels::On(names) => names.iter().any(|n| n == name),
                            MatchLabels::Ignoring(names) => names.iter().all(|n| n != name),
                        }
                });
            }
            Group::Left(include) => (l, r, include),
            Group::Right(include) => (r, l, include),
        };
        let mut labels = many.filter(keeps).builder();
        for name in include {
            labels.set(name, one.get(name));
        }
        // Labels of stored series put together anew: only their number could pass a limit.
        labels.build().unwrap_or_else(|_| many.filter(keeps))
    }
}
