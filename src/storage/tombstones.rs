//! Deletes: which samples are hidden until the blocks that hold them are written anew.
//!
//! Invariants:
//! - A tombstone covers samples of entries up to its own; what comes later is shown.
//! - It names every block that may hold something that it covers. A block that is written while it is
//!   in force is written without that and is not named.
//! - It goes when it names no block and everything before it is in blocks.

use std::sync::Arc;

use crate::model::{HistogramSample, Labels, Matcher, Sample, Seq, TimeRange, Timestamp};

use super::block::{Block, PageCache};
use super::entries::Tombstone;
use super::interval::Interval;

/// The tombstones in force, in the order of the log.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Tombstones {
    all: Vec<Arc<Tombstone>>,
}

/// Something of an instant.
pub(super) trait Timed {
    /// When.
    fn t(&self) -> Timestamp;
}

impl Timed for Sample {
    fn t(&self) -> Timestamp {
        self.t
    }
}

impl Timed for HistogramSample {
    fn t(&self) -> Timestamp {
        self.t
    }
}

/// Those tombstones that cover some samples of one series.
#[derive(Debug, Default)]
pub(super) struct Cover {
    tombstones: Vec<Arc<Tombstone>>,
}

impl Tombstones {
    /// These tombstones.
    pub(super) fn new(all: Vec<Tombstone>) -> Tombstones {
        let mut tombstones = Tombstones::default();
        all.into_iter().for_each(|one| tombstones.add(one));
        tombstones
    }

    /// Whether nothing is deleted.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Tombstone> {
        self.all.iter().map(|one| &**one)
    }

    /// Adds one; a replay may bring one that is there.
    pub(super) fn add(&mut self, tombstone: Tombstone) {
        if let Err(place) = self.all.binary_search_by_key(&tombstone.seq, |one| one.seq) {
            self.all.insert(place, Arc::new(tombstone));
        }
    }

    /// What hides samples of a series inside `range` from a view at `seq`.
    pub(super) fn cover(&self, labels: &Labels, range: TimeRange, seq: Seq) -> Cover {
        let covers = |one: &&Arc<Tombstone>| {
            one.seq <= seq && ranges_overlap(one.range, range) && satisfies(labels, &one.matchers)
        };
        Cover { tombstones: self.all.iter().filter(covers).cloned().collect() }
    }

    /// Whether a block holds a series and an instant that a tombstone naming it covers. Its samples are
    /// not looked at; where its index cannot be read, it may.
    pub(super) fn touch(&self, block: &Block) -> bool {
        let mut naming = self.iter().filter(|one| one.blocks.contains(&block.number()) && block.overlaps(one.range));
        let mut cache = PageCache::default();
        naming.any(|one| {
            let found = block.ask(&mut cache).and_then(|mut reader| reader.select(&one.matchers));
            found.map_or(true, |positions| !positions.is_empty())
        })
    }

    /// Whether some tombstone names this block.
    pub(super) fn name(&self, block: u64) -> bool {
        self.iter().any(|one| one.blocks.contains(&block))
    }

    /// Blocks `old` are gone; `new` is there and was written under the tombstones up to `seq`.
    pub(super) fn blocks_changed(&mut self, old: &[u64], new: Option<u64>, seq: Seq) {
        for one in &mut self.all {
            let joins = new.filter(|_| one.seq > seq);
            if joins.is_none() && !old.iter().any(|number| one.blocks.contains(number)) {
                continue;
            }
            let mut changed = Tombstone::clone(one);
            changed.blocks.retain(|number| !old.contains(number));
            changed.blocks.extend(joins);
            *one = Arc::new(changed);
        }
    }

    /// Forgets those up to `seq` that name no block.
    pub(super) fn forget_done(&mut self, seq: Seq) {
        self.all.retain(|one| one.seq > seq || !one.blocks.is_empty());
    }

    /// Those up to `seq`: what stands in the file when everything up to there is in blocks.
    pub(super) fn upto(&self, seq: Seq) -> Vec<&Tombstone> {
        self.iter().filter(|one| one.seq <= seq).collect()
    }
}

impl Cover {
    /// Whether it hides nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.tombstones.is_empty()
    }

    /// Up to which entry it hides samples of the head, and of which instants.
    pub(super) fn spans(&self) -> impl Iterator<Item = (Seq, TimeRange)> {
        self.tombstones.iter().map(|one| (one.seq, one.range))
    }

    /// The instants of a block that it hides.
    fn naming(&self, block: u64) -> Vec<TimeRange> {
        self.tombstones.iter().filter(|one| one.blocks.contains(&block)).map(|one| one.range).collect()
    }

    /// As [`Cover::thin`], for intervals. What is known of an interval as a whole goes if any part of it is
    /// hidden: it must not tell of what is deleted. The sample that is kept stays if it is not hidden itself.
    pub(super) fn thin_intervals(&self, block: u64, intervals: &mut Vec<Interval>, from: usize) {
        let naming = self.naming(block);
        if naming.is_empty() {
            return;
        }
        let mut place = 0;
        intervals.retain_mut(|interval| {
            place += 1;
            if place <= from {
                return true;
            }
            if naming.iter().any(|range| range.overlaps(interval.start(), interval.end())) {
                interval.whole = None;
            }
            !naming.iter().any(|range| range.contains(interval.end()))
        });
    }

    /// Takes what it hides of a block out of what is there from place `from` on, which is that block's.
    pub(super) fn thin<T: Timed>(&self, block: u64, samples: &mut Vec<T>, from: usize) {
        let naming = self.naming(block);
        if naming.is_empty() {
            return;
        }
        let mut place = 0;
        samples.retain(|sample| {
            place += 1;
            place <= from || !naming.iter().any(|range| range.contains(sample.t()))
        });
    }
}

/// Whether labels satisfy all matchers.
pub(super) fn satisfies(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name())))
}

fn ranges_overlap(a: TimeRange, b: TimeRange) -> bool {
    a.after < b.until && b.after < a.until
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::Timestamp;

    fn tombstone(seq: u64, job: &str, after: i64, until: i64, blocks: &[u64]) -> Tombstone {
        Tombstone {
            seq: Seq(seq),
            range: TimeRange { after: Timestamp(after), until: Timestamp(until) },
            matchers: vec![Matcher::equal("job", job)],
            blocks: BTreeSet::from_iter(blocks.iter().copied()),
        }
    }

    fn labels(job: &str) -> Labels {
        Labels::new([("job", job)]).unwrap()
    }

    #[test]
    fn a_cover_hides_what_came_before_it_in_its_range() {
        let all = Tombstones::new(vec![tombstone(5, "a", 10, 20, &[1]), tombstone(9, "a", 15, 30, &[1, 2])]);
        let range = TimeRange { after: Timestamp(0), until: Timestamp(100) };
        let cover = all.cover(&labels("a"), range, Seq(9));
        let spans =
            |cover: &Cover| cover.spans().map(|(seq, range)| (seq.0, range.after.0, range.until.0)).collect::<Vec<_>>();
        assert_eq!(spans(&cover), [(5, 10, 20), (9, 15, 30)]);
        assert_eq!(spans(&all.cover(&labels("a"), range, Seq(8))), [(5, 10, 20)], "a view before the second delete");
        assert!(all.cover(&labels("b"), range, Seq(9)).is_empty());
        assert!(all.cover(&labels("a"), TimeRange { after: Timestamp(30), until: Timestamp(40) }, Seq(9)).is_empty());
        let sample = |t| Sample { t: Timestamp(t), v: 0.0 };
        let thinned = |block| {
            let mut samples = vec![sample(11), sample(11), sample(16), sample(25), sample(31)];
            cover.thin(block, &mut samples, 1);
            samples.iter().map(|s| s.t.0).collect::<Vec<_>>()
        };
        assert_eq!(thinned(1), [11, 31], "the first is another source's");
        assert_eq!(thinned(2), [11, 11, 31]);
        assert_eq!(thinned(3), [11, 11, 16, 25, 31]);
    }

    #[test]
    fn blocks_come_and_go_and_tombstones_with_them() {
        let mut all = Tombstones::new(vec![tombstone(9, "a", 0, 1, &[1, 2]), tombstone(5, "a", 0, 1, &[1])]);
        all.add(tombstone(5, "b", 0, 1, &[]));
        assert_eq!(all.iter().map(|one| one.seq.0).collect::<Vec<_>>(), [5, 9]);
        all.blocks_changed(&[1], Some(7), Seq(6));
        let named: Vec<Vec<u64>> = all.iter().map(|one| one.blocks.iter().copied().collect()).collect();
        assert_eq!(named, [vec![], vec![2, 7]], "the later one did not bear on the writing of block 7");
        assert!(all.name(7) && !all.name(1));
        all.forget_done(Seq(4));
        assert_eq!(all.len(), 2);
        all.forget_done(Seq(5));
        assert_eq!(all.upto(Seq(9)).len(), 1);
        all.blocks_changed(&[2, 7], None, Seq(9));
        all.forget_done(Seq(9));
        assert!(all.is_empty());
    }
}
