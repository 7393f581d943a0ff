//! `histogram_quantile` over classic buckets: one group of buckets for each histogram.

use crate::model::Labels;
use crate::promql::kernel;
use crate::promql::without_name;

use super::groups::Groups;
use super::node::slots_of;
use super::renumbering::Renumbering;
use super::vector::Vector;

/// The label that holds a bucket's upper bound.
const BOUND: &str = "le";

/// The histograms and their buckets.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// Of each histogram: its buckets' slots with their upper bounds.
    histograms: Groups<Vec<(u32, f64)>>,
    /// Of each slot below: its histogram, if it is a bucket.
    members: Vec<Option<u32>>,
}

impl Buckets {
    /// Estimates the quantile anew for every histogram of which a bucket changed.
    pub(super) fn update(&mut self, out: &mut Vector, q: f64, input: &Vector, all: bool, round: u64) {
        while (self.members.len() as u32) < input.len() {
            let slot = self.members.len() as u32;
            let histogram = self.histogram(out, slot, input.labels(slot));
            self.members.push(histogram);
        }
        let mut dirty: Vec<u32> = slots_of(input, all, round).filter_map(|slot| self.members[slot as usize]).collect();
        dirty.sort_unstable();
        dirty.dedup();
        for histogram in dirty {
            let members = &self.histograms[histogram];
            let mut buckets: Vec<(f64, f64)> =
                members.iter().filter_map(|(slot, bound)| Some((*bound, input.value(*slot)?))).collect();
            let is_alive = !buckets.is_empty();
            out.set(histogram, is_alive.then(|| kernel::histogram_quantile(q, &mut buckets).value));
        }
    }

    /// Follows the renumbering of the slots below, and gives that of its own: histograms without buckets go.
    pub(super) fn renumber(&mut self, below: &Renumbering) -> Renumbering {
        below.retain(&mut self.members);
        for buckets in self.histograms.iter_mut() {
            buckets.retain_mut(|(slot, _)| below.get(*slot).map(|new| *slot = new).is_some());
        }
        let own = self.histograms.renumber(|_, buckets| !buckets.is_empty());
        self.members.iter_mut().for_each(|histogram| *histogram = histogram.and_then(|old| own.get(old)));
        own
    }

    /// How much it keeps for buckets and histograms.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        let buckets: usize = self.histograms.iter().map(Vec::len).sum();
        self.members.len() + self.histograms.size() + buckets
    }

    fn histogram(&mut self, out: &mut Vector, slot: u32, labels: &Labels) -> Option<u32> {
        let bound: f64 = labels.get(BOUND).parse().ok()?;
        let histogram = self.histograms.of(labels.filter(|name| name != BOUND), |labels| {
            out.add(without_name(labels));
            Vec::new()
        });
        self.histograms[histogram].push((slot, bound));
        Some(histogram)
    }
}
