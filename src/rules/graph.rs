//! All expressions that are followed, as one graph that shares what they have in common.
//!
//! Invariants:
//! - Nodes are numbered from below to above: an input has a smaller number than its reader.
//! - After a round every node's result is that of a query at the round's time over the same data;
//!   a value that moves by itself is brought up to date at whole seconds.
//! - A series is compared with the selectors once, when it is met for the first time.
//! - Slots of series that are gone are at most half of a selector's, or few.
//! - Of native histograms only their number and times are known: results are right above leaves that carry
//!   none, and where [`plan`](super::plan) has found that only presence counts.

use std::collections::{BTreeSet, HashMap};

use crate::model::{HistogramSample, Labels, Sample, SeriesRef, Timestamp};
use crate::promql::{SeriesSource, SourceError};

use super::bindings::Bindings;
use super::leaf::{Leaf, Touched};
use super::node::{Below, Node, Op, Renumbered};
use super::renumbering::Renumbering;
use super::timers::{Target, Timers};
use super::worklist::Worklist;

/// Slots of series that are gone which are not worth the work of giving them up.
const VACANT_MIN: u32 = 64;

/// Selectors and operators.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    readers: Vec<Vec<usize>>,
    pub(super) leaves: Vec<Leaf>,
    followers: Vec<Vec<usize>>,
    by_name: HashMap<String, Vec<usize>>,
    nameless: Vec<usize>,
    node_keys: HashMap<String, usize>,
    leaf_keys: HashMap<String, usize>,
    bindings: Bindings,
    dirty: Worklist,
    /// Those of which a series is marked.
    touched_leaves: Vec<usize>,
    /// The leaves that carry native histograms.
    carrying: BTreeSet<usize>,
    /// Those that have come to carry some, or ceased to, since somebody asked.
    turned: BTreeSet<usize>,
    touched_nodes: Vec<usize>,
}

impl Graph {
    /// The leaf with this key, made if it is new.
    pub(super) fn leaf(&mut self, key: String, make: impl FnOnce() -> Leaf) -> usize {
        if let Some(leaf) = self.leaf_keys.get(&key) {
            return *leaf;
        }
        let (at, leaf) = (self.leaves.len(), make());
        match leaf.metric_name() {
            Some(name) => self.by_name.entry(name.to_owned()).or_default().push(at),
            None => self.nameless.push(at),
        }
        self.leaves.push(leaf);
        self.followers.push(Vec::new());
        self.leaf_keys.insert(key, at);
        at
    }

    /// The node with this key, made if it is new.
    pub(super) fn node(&mut self, key: String, make: impl FnOnce() -> Op) -> usize {
        if let Some(node) = self.node_keys.get(&key) {
            return *node;
        }
        let (at, op) = (self.nodes.len(), make());
        for input in op.inputs() {
            self.readers[input].push(at);
        }
        if let Op::Follow(follow) = &op {
            self.followers[follow.leaf].push(at);
        }
        self.nodes.push(Node::new(op));
        self.readers.push(Vec::new());
        self.dirty.insert(at);
        self.node_keys.insert(key, at);
        at
    }

    /// The leaves that a node stands on.
    pub(super) fn leaves_below(&self, node: usize) -> BTreeSet<usize> {
        let mut leaves = BTreeSet::new();
        let mut open = vec![node];
        while let Some(node) = open.pop() {
            if let Op::Follow(follow) = &self.nodes[node].op {
                leaves.insert(follow.leaf);
            }
            open.extend(self.nodes[node].op.inputs());
        }
        leaves
    }

    /// Whether a series is one of a selector's.
    pub(super) fn follows(&self, labels: &Labels) -> bool {
        let named = self.by_name.get(labels.metric_name()).map_or(&[][..], Vec::as_slice);
        named.iter().chain(&self.nameless).any(|leaf| self.leaves[*leaf].matches(labels))
    }

    /// Meets a series: from now on its samples go to the selectors that it satisfies.
    pub(super) fn bind(&mut self, series: SeriesRef, labels: &Labels) {
        if !self.bindings.of(series).is_empty() {
            return;
        }
        let named = self.by_name.get(labels.metric_name()).map_or(&[][..], Vec::as_slice);
        let mut slots = Vec::new();
        for at in named.iter().chain(&self.nameless) {
            let leaf = &mut self.leaves[*at];
            if leaf.matches(labels) {
                let slot = leaf.slot(labels);
                leaf.number(slot);
                slots.push((*at as u32, slot));
            }
        }
        self.bindings.insert(series, slots);
    }

    /// Takes in a sample.
    pub(super) fn insert(&mut self, series: SeriesRef, sample: Sample, now: Timestamp) {
        for &(leaf, slot) in self.bindings.of(series) {
            if self.leaves[leaf as usize].insert(slot, sample, now) == Touched::First {
                self.touched_leaves.push(leaf as usize);
            }
        }
    }

    /// Takes in a native histogram.
    pub(super) fn insert_histogram(&mut self, series: SeriesRef, sample: &HistogramSample, now: Timestamp) {
        for &(leaf, slot) in self.bindings.of(series) {
            if self.leaves[leaf as usize].insert_histogram(slot, sample, now) == Touched::First {
                self.touched_leaves.push(leaf as usize);
            }
        }
    }

    /// The leaves that have come to carry native histograms, or ceased to, since this was last called.
    pub(super) fn take_turned(&mut self) -> BTreeSet<usize> {
        std::mem::take(&mut self.turned)
    }

    /// Forgets the numbers of series that the store has retired. Their samples stay in the windows, and
    /// should they come back, they do so by their labels.
    pub(super) fn retire(&mut self, series: &[SeriesRef]) {
        for number in series {
            for (leaf, slot) in self.bindings.remove(*number) {
                self.leaves[leaf as usize].retire(slot);
            }
        }
    }

    /// Gives up the slots of series that are gone, where they are the half of a selector's. Gives the new
    /// numbers of each node's slots. Between rounds.
    ///
    /// All at once and seldom, in place of a few each time: so whoever reads a node knows a slot by its number,
    /// and need not ask whether it has become another's since.
    pub(super) fn tidy(&mut self, timers: &mut Timers) -> Vec<Option<Renumbering>> {
        let leaves: Vec<_> = (0..self.leaves.len()).map(|at| self.vacancies(at)).collect();
        if leaves.iter().all(Option::is_none) {
            return Vec::new();
        }
        for (leaf, slots) in self.leaves.iter_mut().zip(&leaves) {
            slots.iter().for_each(|slots| leaf.renumber(slots));
        }
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for node in &mut self.nodes {
            let own = node.renumber(&Renumbered { leaves: &leaves, nodes: &nodes });
            nodes.push(own);
        }
        let rename = |slots: Option<&Renumbering>, slot: &mut u32| match slots {
            Some(slots) => slots.get(*slot).map(|new| *slot = new).is_some(),
            None => true,
        };
        // One with a number is not vacant.
        self.bindings.for_each(|leaf, slot| {
            rename(leaves[leaf as usize].as_ref(), slot);
        });
        timers.rename(|target| match target {
            Target::Series { leaf, slot } => rename(leaves[*leaf as usize].as_ref(), slot),
            Target::Element { node, slot } => rename(nodes[*node as usize].as_ref(), slot),
            Target::Node { .. } | Target::Alert { .. } | Target::Group { .. } => true,
        });
        nodes
    }

    /// The slots of a leaf that are to stay, if enough are to go.
    fn vacancies(&self, at: usize) -> Option<Renumbering> {
        let leaf = &self.leaves[at];
        let enough = (leaf.len() / 2).max(VACANT_MIN);
        if leaf.unnumbered() < enough {
            return None;
        }
        let followers: Vec<&Node> = self.followers[at].iter().map(|node| &self.nodes[*node]).collect();
        let is_free = |slot| leaf.is_vacant(slot) && followers.iter().all(|node| node.is_vacant(slot));
        let slots = Renumbering::new(leaf.len(), |slot| !is_free(slot));
        (slots.gone() >= enough).then_some(slots)
    }

    /// Notes what is due in this round. Targets of other owners are given back.
    pub(super) fn fire(&mut self, due: Timestamp, targets: Vec<Target>, timers: &mut Timers) -> Vec<Target> {
        let mut others = Vec::new();
        for target in targets {
            match target {
                Target::Series { leaf, slot } => {
                    let at = &mut self.leaves[leaf as usize];
                    if timers.goes_off(at.alarm(slot), due, target) && at.mark(slot) == Touched::First {
                        self.touched_leaves.push(leaf as usize);
                    }
                }
                Target::Element { node, slot } => {
                    if let Op::Follow(follow) = &mut self.nodes[node as usize].op
                        && timers.goes_off(&mut follow.alarms[slot as usize], due, target)
                    {
                        follow.due.push(slot);
                        self.dirty.insert(node as usize);
                    }
                }
                Target::Node { node } => {
                    if let Op::Time { armed, .. } = &mut self.nodes[node as usize].op
                        && *armed == Some(due)
                    {
                        *armed = None;
                        self.dirty.insert(node as usize);
                    }
                }
                other => others.push(other),
            }
        }
        others
    }

    /// Brings every node up to date; gives those whose result changed. [`settle`](Graph::settle)
    /// ends the round.
    pub(super) fn propagate(&mut self, now: Timestamp, timers: &mut Timers) -> &[usize] {
        for &at in &self.touched_leaves {
            let leaf = &mut self.leaves[at];
            for i in 0..leaf.changed().len() {
                let slot = leaf.changed()[i];
                let due = leaf.evict(slot, now);
                timers.set(leaf.alarm(slot), due, || Target::Series { leaf: at as u32, slot });
            }
            let turned = match leaf.carries_histograms() {
                true => self.carrying.insert(at),
                false => self.carrying.remove(&at),
            };
            if turned {
                self.turned.insert(at);
            }
            self.followers[at].iter().for_each(|node| self.dirty.insert(*node));
        }
        while let Some(at) = self.dirty.pop_first() {
            let (below, rest) = self.nodes.split_at_mut(at);
            let node = &mut rest[0];
            node.update(&mut Below { nodes: below, leaves: &self.leaves, now, timers, node: at as u32 });
            if node.out.is_changed() {
                self.readers[at].iter().for_each(|node| self.dirty.insert(*node));
                self.touched_nodes.push(at);
            }
        }
        &self.touched_nodes
    }

    /// Makes every window wrong: its samples stand for others.
    #[cfg(test)]
    pub(super) fn distort(&mut self) {
        for (at, leaf) in self.leaves.iter_mut().enumerate() {
            leaf.distort();
            self.touched_leaves.push(at);
        }
    }

    /// Ends a round.
    pub(super) fn settle(&mut self) {
        for at in self.touched_leaves.drain(..) {
            self.leaves[at].settle();
        }
        for at in self.touched_nodes.drain(..) {
            self.nodes[at].out.settle();
        }
    }

    /// Fills every window from stored history, as it is at `at`.
    ///
    /// # Errors
    /// The history cannot be read.
    pub(super) fn seed(
        &mut self,
        at: Timestamp,
        source: &dyn SeriesSource,
        samples_max: usize,
    ) -> Result<(), SourceError> {
        for (number, leaf) in self.leaves.iter_mut().enumerate() {
            // One sample in the place of many would be taken for all there were.
            let mut range = leaf.range_needed(at);
            range.after = source.raw_since(leaf.matchers(), range)?;
            for series in source.select(leaf.matchers(), range, samples_max)? {
                let slot = leaf.slot(&series.labels);
                for sample in series.samples {
                    leaf.insert(slot, sample, at);
                }
                for sample in &series.histograms {
                    leaf.insert_histogram(slot, sample, at);
                }
                leaf.mark(slot);
            }
            self.touched_leaves.push(number);
        }
        Ok(())
    }
}
