//! `histogram_quantile` over classic buckets: one group of buckets for each histogram.

use std::collections::HashMap;

use crate::model::Labels;
use crate::promql::kernel;
use crate::promql::without_name;

use super::node::slots_of;
use super::renumbering::Renumbering;
use super::vector::Vector;

/// The label that holds a bucket's upper bound.
const BOUND: &str = "le";

/// The histograms and their buckets.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    by_labels: HashMap<Labels, u32>,
    /// Of each histogram: its buckets' slots with their upper bounds.
    histograms: Vec<Vec<(u32, f64)>>,
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
            let members = &self.histograms[histogram as usize];
            let mut buckets: Vec<(f64, f64)> =
                members.iter().filter_map(|(slot, bound)| Some((*bound, input.value(*slot)?))).collect();
            let is_alive = !buckets.is_empty();
            out.set(histogram, is_alive.then(|| kernel::histogram_quantile(q, &mut buckets).value));
        }
    }

    /// Follows the renumbering of the slots below, and gives that of its own: histograms without buckets go.
    pub(super) fn renumber(&mut self, below: &Renumbering) -> Renumbering {
        below.retain(&mut self.members);
        for buckets in &mut self.histograms {
            buckets.retain_mut(|(slot, _)| below.get(*slot).map(|new| *slot = new).is_some());
        }
        let count = self.histograms.len() as u32;
        let own = Renumbering::new(count, |histogram| !self.histograms[histogram as usize].is_empty());
        own.retain(&mut self.histograms);
        self.by_labels.retain(|_, histogram| own.get(*histogram).map(|new| *histogram = new).is_some());
        self.by_labels.shrink_to(self.histograms.len() * 2);
        self.members.iter_mut().for_each(|histogram| *histogram = histogram.and_then(|old| own.get(old)));
        own
    }

    /// How much it keeps for buckets and histograms.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        let buckets: usize = self.histograms.iter().map(Vec::len).sum();
        self.members.len() + self.histograms.len() + self.by_labels.len() + buckets
    }

    fn histogram(&mut self, out: &mut Vector, slot: u32, labels: &Labels) -> Option<u32> {
        let bound: f64 = labels.get(BOUND).parse().ok()?;
        let labels = labels.filter(|name| name != BOUND);
        let histogram = match self.by_labels.get(&labels) {
            Some(histogram) => *histogram,
            None => {
                self.histograms.push(Vec::new());
                let histogram = out.add(without_name(&labels));
                self.by_labels.insert(labels, histogram);
                histogram
            }
        };
        self.histograms[histogram as usize].push((slot, bound));
        Some(histogram)
    }
}
