//! Exemplars: the newest of all series together, in memory, as many as the options allow.
//!
//! Invariants:
//! - `order` holds exactly the exemplars of all series, oldest arrival first; each series' list is in
//!   the same order and never empty.
//! - Within a series, times never go back.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::model::{Labels, Matcher, SeriesExemplar, TimeRange};

/// The exemplars that are kept.
#[derive(Debug, Default)]
pub(super) struct Exemplars {
    max: usize,
    order: VecDeque<Arc<SeriesExemplar>>,
    series: HashMap<Labels, VecDeque<Arc<SeriesExemplar>>>,
}

/// What became of exemplars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExemplarCounts {
    /// Stored.
    pub stored: usize,
    /// There already: nearly all of a scrape's, since a target tells its exemplars until it has newer ones.
    pub known: usize,
    /// Not taken: older than their series' newest, or with labels that are too long.
    pub refused: usize,
}

impl ExemplarCounts {
    /// Adds those of others.
    pub fn add(&mut self, other: ExemplarCounts) {
        self.stored += other.stored;
        self.known += other.known;
        self.refused += other.refused;
    }
}

/// What becomes of one exemplar.
enum Decision {
    Store,
    Known,
    Refuse,
}

impl Exemplars {
    /// Room for `max` exemplars; 0 keeps none.
    pub(super) fn new(max: usize) -> Exemplars {
        Exemplars { max, ..Exemplars::default() }
    }

    /// Those that are to be stored, and how many became what. Of several for one series only their
    /// order against what is stored counts here; [`Exemplars::insert`] looks again.
    pub(super) fn choose(&self, given: Vec<SeriesExemplar>) -> (Vec<Arc<SeriesExemplar>>, ExemplarCounts) {
        let mut counts = ExemplarCounts::default();
        let mut chosen = Vec::new();
        for exemplar in given {
            match self.decide(&exemplar) {
                Decision::Store => {
                    counts.stored += 1;
                    chosen.push(Arc::new(exemplar));
                }
                Decision::Known => counts.known += 1,
                Decision::Refuse => counts.refused += 1,
            }
        }
        (chosen, counts)
    }

    /// Keeps an exemplar that is newer than its series' newest; the oldest of all goes if there is no room.
    pub(super) fn insert(&mut self, exemplar: Arc<SeriesExemplar>) {
        if !matches!(self.decide(&exemplar), Decision::Store) {
            return;
        }
        if self.order.len() >= self.max
            && let Some(oldest) = self.order.pop_front()
            && let Some(list) = self.series.get_mut(&oldest.series)
        {
            list.pop_front();
            if list.is_empty() {
                self.series.remove(&oldest.series);
            }
        }
        self.series.entry(exemplar.series.clone()).or_default().push_back(Arc::clone(&exemplar));
        self.order.push_back(exemplar);
    }

    /// All of them, oldest arrival first. Cheap: a checkpoint takes this while writers wait.
    pub(super) fn all(&self) -> VecDeque<Arc<SeriesExemplar>> {
        self.order.clone()
    }

    /// The exemplars inside `range` of the series that satisfy all matchers of one of `selectors`, by
    /// series in the order of their labels.
    pub(super) fn select(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Vec<Vec<Arc<SeriesExemplar>>> {
        let wanted =
            |labels: &Labels| selectors.iter().any(|matchers| matchers.iter().all(|m| m.matches(labels.get(m.name()))));
        let mut found: Vec<_> = self.series.iter().filter(|(labels, _)| wanted(labels)).collect();
        found.sort_unstable_by(|a, b| a.0.cmp(b.0));
        let inside = |list: &VecDeque<Arc<SeriesExemplar>>| -> Vec<Arc<SeriesExemplar>> {
            list.iter().filter(|one| range.contains(one.exemplar.sample.t)).cloned().collect()
        };
        found.into_iter().map(|(_, list)| inside(list)).filter(|list| !list.is_empty()).collect()
    }

    fn decide(&self, given: &SeriesExemplar) -> Decision {
        if self.max == 0 || given.exemplar.check().is_err() {
            return Decision::Refuse;
        }
        let Some(newest) = self.series.get(&given.series).and_then(VecDeque::back) else { return Decision::Store };
        let (new, old) = (&given.exemplar, &newest.exemplar);
        let same_value = new.sample.v.to_bits() == old.sample.v.to_bits();
        if new.sample.t == old.sample.t && same_value && new.labels == old.labels {
            return Decision::Known;
        }
        if new.sample.t < old.sample.t { Decision::Refuse } else { Decision::Store }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Exemplar, MatchOp, Sample, Timestamp};

    fn exemplar(series: &str, trace: &str, t: i64) -> SeriesExemplar {
        SeriesExemplar {
            series: Labels::new([("__name__", series)]).unwrap(),
            exemplar: Exemplar {
                labels: Labels::new([("trace_id", trace)]).unwrap(),
                sample: Sample { t: Timestamp(t), v: 1.0 },
            },
        }
    }

    fn take(exemplars: &mut Exemplars, given: Vec<SeriesExemplar>) -> (usize, usize, usize) {
        let (chosen, counts) = exemplars.choose(given);
        chosen.into_iter().for_each(|one| exemplars.insert(one));
        (counts.stored, counts.known, counts.refused)
    }

    fn shown(exemplars: &Exemplars, name: &str, after: i64, until: i64) -> Vec<String> {
        let matchers = vec![Matcher::new("__name__", MatchOp::Match, name).unwrap()];
        let range = TimeRange { after: Timestamp(after), until: Timestamp(until) };
        let found = exemplars.select(&[matchers.clone(), matchers], range);
        let line = |one: &Arc<SeriesExemplar>| {
            format!("{} {} {}", one.series, one.exemplar.labels.get("trace_id"), one.exemplar.sample.t.0)
        };
        found.iter().flatten().map(line).collect()
    }

    #[test]
    fn the_newest_of_all_series_are_kept() {
        let mut exemplars = Exemplars::new(3);
        assert_eq!(take(&mut exemplars, vec![exemplar("a", "1", 10), exemplar("b", "2", 10)]), (2, 0, 0));
        assert_eq!(take(&mut exemplars, vec![exemplar("a", "1", 10), exemplar("a", "0", 9)]), (0, 1, 1));
        assert_eq!(shown(&exemplars, ".*", 0, 100), ["a 1 10", "b 2 10"]);
        assert_eq!(take(&mut exemplars, vec![exemplar("a", "3", 11), exemplar("a", "4", 12)]), (2, 0, 0));
        assert_eq!(shown(&exemplars, ".*", 0, 100), ["a 3 11", "a 4 12", "b 2 10"]);
        assert_eq!(shown(&exemplars, "a", 11, 12), ["a 4 12"]);
        assert_eq!(take(&mut exemplars, vec![exemplar("c", "5", 1), exemplar("c", "6", 2)]), (2, 0, 0));
        assert_eq!(shown(&exemplars, ".*", 0, 100), ["a 4 12", "c 5 1", "c 6 2"], "b has none left");
        assert_eq!((exemplars.order.len(), exemplars.series.len()), (3, 2));
    }

    #[test]
    fn long_labels_are_refused_and_none_are_kept_at_zero() {
        assert_eq!(take(&mut Exemplars::new(3), vec![exemplar("a", &"x".repeat(121), 1)]), (0, 0, 1));
        assert_eq!(take(&mut Exemplars::new(0), vec![exemplar("a", "1", 1)]), (0, 0, 1));
    }

    #[test]
    fn of_one_group_the_second_of_two_equal_ones_is_dropped() {
        let mut exemplars = Exemplars::new(3);
        take(&mut exemplars, vec![exemplar("a", "1", 10), exemplar("a", "1", 10), exemplar("a", "2", 9)]);
        assert_eq!(shown(&exemplars, "a", 0, 100), ["a 1 10"]);
    }
}
