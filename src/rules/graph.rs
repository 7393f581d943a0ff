//! All expressions that are followed, as one graph that shares what they have in common.
//!
//! Invariants:
//! - Nodes are numbered from below to above: an input has a smaller number than its reader.
//! - After a round every rule's result is that of a query at the round's time over the same data;
//!   a value that moves by itself is brought up to date at whole seconds. Below comparisons, values lie within the
//!   bounds that [`slack`](super::slack) tells of.
//! - A series is compared with the selectors once, when it is met for the first time.
//! - Slots of series that are gone are at most half of a selector's, or few.
//! - Marks of a round need no clearing: what changed carries the round's number.
//! - Of native histograms only their number and times are known: results are right above leaves that carry
//!   none, and where [`plan`](super::plan) has found that only presence counts.

use std::collections::{BTreeSet, HashMap};
use std::hint::black_box;
use std::ops::ControlFlow;

use crate::model::{HistogramSample, Labels, Matcher, Millis, Sample, SeriesPlaces, SeriesRef, StartChange, Timestamp};
use crate::promql::{SeriesSource, SourceError};

use super::feed::{Feed, Touched};
use super::leaf::{Leaf, Reach};
use super::node::{Below, Node, Op, Renumbered};
use super::renumbering::Renumbering;
use super::selectors::Selectors;
use super::slack::{EXACT, Slack, judges, passed_on, slack_of};
use super::timers::{Target, Timers, is_soft_step};
use super::worklist::Worklist;

/// Slots of series that are gone which are not worth the work of giving them up.
const VACANT_MIN: u32 = 64;

/// How many series are read ahead.
pub(super) const AHEAD: usize = 16;

/// How many series are read at a time when windows are filled.
const PIECE: usize = 256;

/// Selectors and operators.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    readers: Vec<Vec<usize>>,
    pub(super) feeds: Vec<Feed>,
    /// Of each feed the leaves that look at it.
    readers_of: Vec<Vec<usize>>,
    pub(super) leaves: Vec<Leaf>,
    /// Of each leaf the nodes that follow it.
    followers: Vec<Vec<usize>>,
    selectors: Selectors,
    node_keys: HashMap<String, usize>,
    feed_keys: HashMap<String, usize>,
    leaf_keys: HashMap<(usize, Millis, Reach), usize>,
    bindings: SeriesPlaces,
    dirty: Worklist,
    /// Rounds that have ended.
    rounds: u64,
    /// Those of which a series has got samples.
    touched_feeds: Vec<usize>,
    /// Those of which a series is to be looked at.
    touched_leaves: Vec<usize>,
    /// The leaves that carry native histograms.
    carrying: BTreeSet<usize>,
    /// Those that have come to carry some, or ceased to, since somebody asked.
    turned: BTreeSet<usize>,
    /// How many nodes have an error.
    errors: usize,
    /// Nodes whose results are rules', and changed in this round.
    touched_roots: Vec<usize>,
    /// Nodes with elements that have to be made again at whole seconds, and some that had.
    watching: Worklist,
}

impl Graph {
    /// The window over a selector that reaches so far, made if it is new.
    pub(super) fn leaf(&mut self, matchers: &[Matcher], offset: Millis, reach: Reach) -> usize {
        let feed = self.feed(matchers, offset, reach);
        let leaves = &mut self.leaves;
        *self.leaf_keys.entry((feed, offset, reach)).or_insert_with(|| {
            leaves.push(Leaf::new(feed, offset, reach));
            self.followers.push(Vec::new());
            self.readers_of[feed].push(leaves.len() - 1);
            leaves.len() - 1
        })
    }

    fn feed(&mut self, matchers: &[Matcher], offset: Millis, reach: Reach) -> usize {
        let key = Feed::key(matchers, offset, reach);
        if let Some(feed) = self.feed_keys.get(&key) {
            self.feeds[*feed].widen(offset, reach);
            return *feed;
        }
        let (at, feed) = (self.feeds.len(), Feed::new(matchers.to_vec(), offset, reach));
        self.selectors.add(at, matchers);
        self.feeds.push(feed);
        self.readers_of.push(Vec::new());
        self.feed_keys.insert(key, at);
        at
    }

    /// The feed that a leaf looks at.
    pub(super) fn feed_of(&self, leaf: usize) -> &Feed {
        &self.feeds[self.leaves[leaf].feed()]
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
            if self.followers[follow.leaf].len() > 1 {
                self.leaves[follow.leaf].share();
            }
        }
        let (slack, wanted) = slack_of(&op, &self.nodes);
        wanted.into_iter().for_each(|input| self.want(input));
        let judges = judges(&op, &self.nodes);
        self.nodes.push(Node::new(op, slack, judges));
        self.readers.push(Vec::new());
        self.dirty.insert(at);
        self.node_keys.insert(key, at);
        at
    }

    /// Notes that a node's result is a rule's, who needs the values themselves, at least at whole seconds. Before
    /// any sample has come.
    pub(super) fn want_root(&mut self, node: usize) {
        self.nodes[node].is_root = true;
        self.want(node);
    }

    fn want(&mut self, node: usize) {
        let mut open = vec![node];
        while let Some(at) = open.pop() {
            if self.nodes[at].want() {
                open.extend(passed_on(&self.nodes[at].op));
            }
        }
    }

    /// Has what an element of a comparison is made of known by a grade in this round, and the element made again.
    fn refresh(&mut self, judge: usize, id: u32, grade: u8, now: Timestamp) {
        let node = &mut self.nodes[judge];
        let mut open: Vec<(usize, u32)> = match &node.op {
            Op::Map { child, .. } => vec![(*child, id)],
            Op::Join { left, right, join } => {
                let [l, r] = join.members(id);
                let r = if join.op().is_set() { &[] } else { r };
                l.iter().map(|slot| (*left, *slot)).chain(r.iter().map(|slot| (*right, *slot))).collect()
            }
            _ => return,
        };
        let Some(judge_of) = &mut node.judge else { return };
        judge_of.refresh(id, grade, self.rounds + 1);
        self.dirty.insert(judge);
        while let Some((at, slot)) = open.pop() {
            let node = &mut self.nodes[at];
            if node.slack() == Slack::None || node.out.value(slot).is_none() {
                continue;
            }
            match &mut node.op {
                Op::Follow(follow) => {
                    let is_due = follow.demand(slot, grade, now);
                    if is_due {
                        self.dirty.insert(at);
                    }
                }
                Op::Map { child, .. } | Op::Relabel { child, .. } => open.push((*child, slot)),
                Op::Aggregate { child, groups } => {
                    groups.ask(slot);
                    self.dirty.insert(at);
                    open.extend(groups.members(slot).iter().map(|slot| (*child, *slot)));
                }
                Op::Join { left, right, join } => {
                    let (l, r) = join.sources(slot);
                    open.extend(l.map(|slot| (*left, slot)).into_iter().chain(r.map(|slot| (*right, slot))));
                }
                _ => {}
            }
        }
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
        self.selectors.for_series(labels).into_iter().any(|feed| self.feeds[feed].matches(labels))
    }

    /// Meets a series: from now on its samples go to the selectors that it satisfies.
    pub(super) fn bind(&mut self, series: SeriesRef, labels: &Labels) {
        if !self.bindings.of(series).is_empty() {
            return;
        }
        let mut slots = Vec::new();
        for at in self.selectors.for_series(labels) {
            let feed = &mut self.feeds[at];
            if feed.matches(labels) {
                let slot = feed.slot(labels);
                feed.number(slot);
                slots.push((at as u32, slot));
            }
        }
        self.bindings.insert(series, slots);
    }

    /// Takes in samples.
    ///
    /// Most of what it takes is waiting for memory: no series is met again before all others were. So the places of
    /// some series are read ahead one after the other, and their waits overlap.
    pub(super) fn insert(&mut self, samples: &[(SeriesRef, Sample)], now: Timestamp) {
        for samples in samples.chunks(AHEAD) {
            let single = |series: &SeriesRef| self.bindings.of(*series).first().copied();
            let mut places = [None; AHEAD];
            samples.iter().zip(&mut places).for_each(|((series, _), place)| *place = single(series));
            let first = |place: &(u32, u32)| self.feeds[place.0 as usize].first_position(place.1);
            black_box(places.iter().flatten().map(first).fold(0, u32::wrapping_add));
            let newest =
                |place: &(u32, u32)| self.feeds[place.0 as usize].newest(place.1).last().map_or(0, |sample| sample.t.0);
            black_box(places.iter().flatten().map(newest).fold(0, i64::wrapping_add));
            for (series, sample) in samples {
                for &(feed, slot) in self.bindings.of(*series) {
                    if self.feeds[feed as usize].insert(slot, *sample, now) == Touched::First {
                        self.touched_feeds.push(feed as usize);
                    }
                }
            }
        }
    }

    /// Takes in a native histogram.
    pub(super) fn insert_histogram(&mut self, series: SeriesRef, sample: &HistogramSample, now: Timestamp) {
        for &(feed, slot) in self.bindings.of(series) {
            if self.feeds[feed as usize].insert_histogram(slot, sample, now) == Touched::First {
                self.touched_feeds.push(feed as usize);
            }
        }
    }

    /// Takes in when the counting of series began.
    pub(super) fn count_from(&mut self, starts: &[StartChange], now: Timestamp) {
        for StartChange { series, t, start } in starts {
            for &(feed, slot) in self.bindings.of(*series) {
                if self.feeds[feed as usize].count_from(slot, *t, *start, now) == Touched::First {
                    self.touched_feeds.push(feed as usize);
                }
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
            for (feed, slot) in self.bindings.remove(*number) {
                self.feeds[feed as usize].retire(slot);
            }
        }
    }

    /// Gives up the slots of series that are gone, where they are the half of a selector's. Gives the new
    /// numbers of each node's slots. Between rounds.
    ///
    /// All at once and seldom, in place of a few each time: so whoever reads a node knows a slot by its number,
    /// and need not ask whether it has become another's since.
    pub(super) fn tidy(&mut self, now: Timestamp, timers: &mut Timers) -> Vec<Option<Renumbering>> {
        let feeds: Vec<_> = (0..self.feeds.len()).map(|at| self.vacancies(at, now)).collect();
        if feeds.iter().all(Option::is_none) {
            return Vec::new();
        }
        for (feed, slots) in self.feeds.iter_mut().zip(&feeds) {
            slots.iter().for_each(|slots| feed.renumber(slots));
        }
        let leaves: Vec<_> = self.leaves.iter().map(|leaf| feeds[leaf.feed()].as_ref()).collect();
        for (number, (leaf, slots)) in self.leaves.iter_mut().zip(&leaves).enumerate() {
            slots.iter().for_each(|slots| leaf.renumber(slots, number as u32, now, timers));
        }
        let mut nodes = Vec::with_capacity(self.nodes.len());
        for node in &mut self.nodes {
            let own = node.renumber(&Renumbered { leaves: &leaves, nodes: &nodes });
            nodes.push(own);
        }
        // One with a number is not vacant.
        self.bindings.for_each(|feed, slot| {
            let slots = feeds[feed as usize].as_ref();
            *slot = slots.and_then(|slots| slots.get(*slot)).unwrap_or(*slot);
        });
        nodes
    }

    /// The slots of a feed that are to stay, if enough are to go.
    fn vacancies(&mut self, at: usize, now: Timestamp) -> Option<Renumbering> {
        let feed = &mut self.feeds[at];
        let enough = (feed.len() / 2).max(VACANT_MIN);
        if feed.unnumbered() < enough {
            return None;
        }
        let leaves: Vec<&Leaf> = self.readers_of[at].iter().map(|leaf| &self.leaves[*leaf]).collect();
        let followers = self.readers_of[at].iter().flat_map(|leaf| &self.followers[*leaf]);
        let followers: Vec<&Node> = followers.map(|node| &self.nodes[*node]).collect();
        let is_free: Vec<bool> = (0..feed.len())
            .map(|slot| {
                feed.is_vacant(slot, now)
                    && leaves.iter().all(|leaf| leaf.is_vacant(slot))
                    && followers.iter().all(|node| node.is_vacant(slot))
            })
            .collect();
        let slots = Renumbering::new(feed.len(), |slot| !is_free[slot as usize]);
        (slots.gone() >= enough).then_some(slots)
    }

    /// Notes what was due at `due` and so is in this round, at `now`. Targets of other owners are given back.
    pub(super) fn fire(
        &mut self,
        due: Timestamp,
        targets: Vec<Target>,
        now: Timestamp,
        timers: &mut Timers,
    ) -> Vec<Target> {
        let mut others = Vec::new();
        for target in targets {
            match target {
                Target::Series { leaf, block } => {
                    if self.leaves[leaf as usize].goes_off(leaf, block, due, timers) == Touched::First {
                        self.touched_leaves.push(leaf as usize);
                    }
                }
                Target::Node { node } => {
                    let Node { op, judge, .. } = &mut self.nodes[node as usize];
                    let (armed, watched) = match (op, judge) {
                        (Op::Time { armed, .. }, _) => (armed, None),
                        (_, Some(judge)) => (&mut judge.armed, Some(&mut judge.watched)),
                        (_, None) => continue,
                    };
                    if *armed == Some(due) {
                        *armed = None;
                        let watched = watched.map(std::mem::take).unwrap_or_default();
                        self.dirty.insert(node as usize);
                        watched.into_iter().for_each(|id| self.refresh(node as usize, id, EXACT, now));
                    }
                }
                other => others.push(other),
            }
        }
        others
    }

    /// Has what is to be exact at whole seconds brought up to date in a further round of such an instant, in which
    /// samples may have come that were passed over.
    pub(super) fn look_again(&mut self, now: Timestamp) {
        if !is_soft_step(now) {
            return;
        }
        while let Some(at) = self.watching.pop_first() {
            let watched = self.nodes[at].judge.as_mut().map(|judge| std::mem::take(&mut judge.watched));
            for id in watched.unwrap_or_default() {
                self.refresh(at, id, EXACT, now);
            }
        }
    }

    /// Brings every node up to date; gives those that are rules' whose result changed. [`settle`](Graph::settle)
    /// ends the round.
    pub(super) fn propagate(&mut self, now: Timestamp, timers: &mut Timers) -> &[usize] {
        self.look(now, timers);
        while let Some(at) = self.dirty.pop_first() {
            let (nodes, rest) = self.nodes.split_at_mut(at);
            let (node, leaves, feeds, round) = (&mut rest[0], &mut self.leaves, &self.feeds, self.rounds + 1);
            let (had_error, has_errors) = (node.out.error().is_some(), self.errors > 0);
            node.update(&mut Below { nodes, leaves, feeds, now, round, has_errors, timers, node: at as u32 });
            self.errors = self.errors + usize::from(node.out.error().is_some()) - usize::from(had_error);
            let asks = node.judge.as_mut().map(|judge| judge.take_asks(round)).unwrap_or_default();
            if node.judge.as_ref().is_some_and(|judge| !judge.watched.is_empty()) {
                self.watching.insert(at);
            }
            if node.out.is_changed(round) {
                self.readers[at].iter().for_each(|node| self.dirty.insert(*node));
                if node.is_root {
                    self.touched_roots.push(at);
                }
            }
            asks.into_iter().for_each(|(id, grade)| self.refresh(at, id, grade, now));
        }
        &self.touched_roots
    }

    /// Moves the windows on of the series that got samples or whose time has come.
    fn look(&mut self, now: Timestamp, timers: &mut Timers) {
        for (n, &at) in self.touched_feeds.iter().enumerate() {
            if n % AHEAD == 0 {
                let ahead = &self.touched_feeds[n..self.touched_feeds.len().min(n + AHEAD)];
                let readers = |&feed: &usize| self.readers_of[feed].iter().map(move |leaf| (*leaf, feed));
                let leaves = || ahead.iter().flat_map(readers);
                black_box(leaves().map(|(leaf, _)| self.leaves[leaf].feed()).fold(0, usize::wrapping_add));
                let slot = |(leaf, feed): (usize, usize)| {
                    self.feeds[feed].changed().first().map_or(0, |slot| self.leaves[leaf].position(*slot))
                };
                black_box(leaves().map(slot).fold(0, u32::wrapping_add));
            }
            let feed = &self.feeds[at];
            for &number in &self.readers_of[at] {
                let leaf = &mut self.leaves[number];
                leaf.grow(feed.len());
                for slot in feed.changed() {
                    if leaf.take(*slot, number as u32, feed, now, timers) == Touched::First {
                        self.touched_leaves.push(number);
                    }
                }
            }
        }
        for &at in &self.touched_leaves {
            let leaf = &mut self.leaves[at];
            for i in 0..leaf.changed().len() {
                leaf.begin(leaf.changed()[i], at as u32, &self.feeds[leaf.feed()], now, timers);
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
    }

    /// Makes every window wrong: its samples stand for others.
    #[cfg(test)]
    pub(super) fn distort(&mut self) {
        for (at, feed) in self.feeds.iter_mut().enumerate() {
            feed.distort();
            self.touched_feeds.push(at);
        }
    }

    /// Ends a round.
    pub(super) fn settle(&mut self) {
        self.touched_feeds.drain(..).for_each(|at| self.feeds[at].settle());
        self.touched_leaves.drain(..).for_each(|at| self.leaves[at].settle());
        self.touched_roots.clear();
        self.rounds += 1;
    }

    /// The number of the round, for [`Vector::changed`](super::vector::Vector::changed).
    pub(super) fn round(&self) -> u64 {
        self.rounds + 1
    }

    /// Fills every window from stored history, as it is at `at`.
    ///
    /// # Errors
    /// The history cannot be read.
    pub(super) fn seed(&mut self, at: Timestamp, source: &dyn SeriesSource) -> Result<(), SourceError> {
        for (number, feed) in self.feeds.iter_mut().enumerate() {
            // One sample in the place of many would be taken for all there were.
            let mut range = feed.range_needed(at);
            range.after = source.raw_since(feed.matchers(), range)?;
            let mut found = source.find(feed.matchers(), range, usize::MAX)?;
            found.sort();
            let count = found.count();
            let mut pieces = (0..count).step_by(PIECE).map(|from| from..(from + PIECE).min(count));
            found.read(&mut pieces, &mut |which, samples, histograms| {
                if samples.is_empty() && histograms.is_empty() {
                    return ControlFlow::Continue(());
                }
                let slot = feed.slot(&found.labels(which));
                for sample in samples {
                    feed.insert(slot, *sample, at);
                }
                for sample in histograms {
                    feed.insert_histogram(slot, sample, at);
                }
                ControlFlow::Continue(())
            })?;
            for slot in 0..feed.len() {
                for (t, start) in source.start_changes(feed.labels(slot)) {
                    feed.count_from(slot, t, start, at);
                }
            }
            self.touched_feeds.push(number);
        }
        Ok(())
    }
}
