//! An operator between two vectors: elements are paired by their signature, the labels that the
//! matching looks at.
//!
//! Invariants:
//! - A bucket holds every slot of both sides with one signature; only the buckets of changed
//!   slots are worked through.
//! - A bucket with several elements where one is allowed is an error as long as it is so, and
//!   only while both sides have elements at all, as in a query.

use std::collections::{BTreeMap, HashMap};

use crate::model::Labels;
use crate::promql::kernel;
use crate::promql::{BinaryOp, Group, MatchLabels, Matching};

use super::node::slots_of;
use super::renumbering::Renumbering;
use super::vector::{Vector, is_metadata};

/// The state of one operator.
#[derive(Debug)]
pub(super) struct Join {
    op: BinaryOp,
    returns_bool: bool,
    matching: Matching,
    by_signature: HashMap<Labels, u32>,
    buckets: Vec<Bucket>,
    /// The bucket of each slot of the left and of the right side.
    sides: [Vec<u32>; 2],
    /// Buckets that are in error, with the words for it.
    errors: BTreeMap<u32, String>,
}

#[derive(Debug, Default)]
struct Bucket {
    signature: Option<Labels>,
    left: Vec<u32>,
    right: Vec<u32>,
    /// The output slots: for an element of one side, or for a pair.
    outputs: HashMap<Key, u32>,
    /// The output slots by their labels: pairs with the same labels share one.
    places: HashMap<Labels, u32>,
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
        let (by_signature, buckets, errors) = (HashMap::new(), Vec::new(), BTreeMap::new());
        Join { op, returns_bool, matching, by_signature, buckets, sides: [Vec::new(), Vec::new()], errors }
    }

    /// Works through the buckets of what changed; gives the error that now holds.
    pub(super) fn update(&mut self, out: &mut Vector, left: &Vector, right: &Vector, fresh: bool) -> Option<String> {
        let mut dirty = Vec::new();
        for (side, input) in [left, right].into_iter().enumerate() {
            while (self.sides[side].len() as u32) < input.len() {
                let slot = self.sides[side].len() as u32;
                let bucket = self.bucket(side, slot, input.labels(slot));
                self.sides[side].push(bucket);
            }
            dirty.extend(slots_of(input, fresh).map(|slot| self.sides[side][slot as usize]));
        }
        dirty.sort_unstable();
        dirty.dedup();
        for at in dirty {
            let bucket = &mut self.buckets[at as usize];
            let live = |slots: &[u32], input: &Vector| -> Vec<Element> {
                slots.iter().filter_map(|&slot| Some(Element { slot, v: input.value(slot)? })).collect()
            };
            let (l, r) = (live(&bucket.left, left), live(&bucket.right, right));
            let plan = Plan { op: self.op, returns_bool: self.returns_bool, matching: &self.matching };
            let result = if self.op.is_set() {
                Ok(plan.set(&l, &r))
            } else {
                plan.pairs(&l, &r, bucket.signature.as_ref(), left, right)
            };
            let written = result.and_then(|results| bucket.write(out, results, |key| plan.labels(key, left, right)));
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
        let short_cut = left.live() == 0 || right.live() == 0;
        if short_cut { None } else { self.errors.values().next().cloned() }
    }

    /// Follows the renumbering of the slots of both sides, and gives that of its own `count`: outputs of which
    /// a part is gone go.
    pub(super) fn renumber(&mut self, sides: [Option<&Renumbering>; 2], count: u32) -> Renumbering {
        let new = |side: usize, slot: u32| sides[side].map_or(Some(slot), |slots| slots.get(slot));
        for (side, buckets) in self.sides.iter_mut().enumerate() {
            if let Some(slots) = sides[side] {
                slots.retain(buckets);
            }
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
            bucket.outputs.values().for_each(|output| stays[*output as usize] = true);
        }
        let own = Renumbering::new(count, |output| stays[output as usize]);
        for bucket in &mut self.buckets {
            bucket.outputs.values_mut().for_each(|output| *output = own.get(*output).unwrap_or(*output));
            bucket.places.retain(|_, output| own.get(*output).map(|new| *output = new).is_some());
        }
        self.drop_empty_buckets();
        own
    }

    fn drop_empty_buckets(&mut self) {
        let is_used = |bucket: &Bucket| !(bucket.left.is_empty() && bucket.right.is_empty());
        let buckets = Renumbering::new(self.buckets.len() as u32, |at| is_used(&self.buckets[at as usize]));
        buckets.retain(&mut self.buckets);
        self.by_signature.retain(|_, at| buckets.get(*at).map(|new| *at = new).is_some());
        self.by_signature.shrink_to(self.buckets.len() * 2);
        self.sides.iter_mut().flatten().for_each(|at| *at = buckets.get(*at).unwrap_or(*at));
        let errors = std::mem::take(&mut self.errors);
        self.errors = errors.into_iter().filter_map(|(at, error)| Some((buckets.get(at)?, error))).collect();
    }

    /// How much it keeps for elements, buckets and outputs.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        let of = |bucket: &Bucket| bucket.left.len() + bucket.right.len() + bucket.outputs.len() + bucket.places.len();
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
        let at = *self.by_signature.entry(signature).or_insert_with_key(|signature| {
            buckets.push(Bucket { signature: Some(signature.clone()), ..Bucket::default() });
            buckets.len() as u32 - 1
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

impl Bucket {
    /// Writes the results; outputs without one lose their value.
    fn write(
        &mut self,
        out: &mut Vector,
        results: Vec<(Key, Option<f64>)>,
        labels: impl Fn(Key) -> Labels,
    ) -> Result<(), String> {
        let mut taken: Vec<(u32, Option<f64>)> = Vec::with_capacity(results.len());
        for (key, v) in results {
            let places = &mut self.places;
            let slot = *self.outputs.entry(key).or_insert_with(|| {
                let labels = labels(key);
                *places.entry(labels.clone()).or_insert_with(|| out.add(labels))
            });
            taken.push((slot, v));
        }
        taken.sort_unstable_by_key(|(slot, _)| *slot);
        if taken.windows(2).any(|two| two[0].0 == two[1].0) {
            return Err("multiple matches for labels: grouping labels must ensure unique matches".to_owned());
        }
        for slot in self.places.values() {
            let found = taken.binary_search_by_key(slot, |(slot, _)| *slot);
            out.set(*slot, found.ok().and_then(|at| taken[at].1));
        }
        Ok(())
    }

    fn clear(&self, out: &mut Vector) {
        self.places.values().for_each(|slot| out.set(*slot, None));
    }
}

/// What the operator asks, apart from the state.
struct Plan<'a> {
    op: BinaryOp,
    returns_bool: bool,
    matching: &'a Matching,
}

impl Plan<'_> {
    fn set(&self, left: &[Element], right: &[Element]) -> Vec<(Key, Option<f64>)> {
        let lefts = left.iter().map(|e| ((Some(e.slot), None), Some(e.v)));
        let rights = right.iter().map(|e| ((None, Some(e.slot)), Some(e.v)));
        match self.op {
            BinaryOp::And if right.is_empty() => Vec::new(),
            BinaryOp::Unless if !right.is_empty() => Vec::new(),
            BinaryOp::Or if left.is_empty() => rights.collect(),
            _ => lefts.collect(),
        }
    }

    /// Pairs the elements of a bucket.
    fn pairs(
        &self,
        left: &[Element],
        right: &[Element],
        signature: Option<&Labels>,
        left_input: &Vector,
        right_input: &Vector,
    ) -> Result<Vec<(Key, Option<f64>)>, String> {
        let many_is_left = !matches!(self.matching.group, Group::Right(_));
        let (many, one) = if many_is_left { (left, right) } else { (right, left) };
        if let [first, second, ..] = one {
            let (side, input) = if many_is_left { ("right", right_input) } else { ("left", left_input) };
            return Err(format!(
                "found duplicate series for the match group {} on the {side} hand-side of the operation: [{}, {}];\
                 many-to-many matching not allowed: matching labels must be unique on one side",
                signature.unwrap_or(&Labels::empty()),
                input.labels(first.slot),
                input.labels(second.slot),
            ));
        }
        let Some(one) = one.first() else { return Ok(Vec::new()) };
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
        Ok(many.iter().map(pair).collect())
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
