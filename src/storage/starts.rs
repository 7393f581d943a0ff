//! When the counting of samples began: of each series the changes of that.
//!
//! A counter begins anew when its process does, which is rare beside its samples. So a change says: from the sample
//! at `t` on, counting began at `start`. A sample that says what the one before said costs nothing.
//!
//! Invariants:
//! - The changes of a series ascend in time, and none says what the one before it says.
//! - Only a sample that is newer than all of its series changes anything: what earlier samples were given stays.
//! - There are at most [`limits::START_CHANGES_PER_SERIES_MAX`] of a series, and of all series as many as the options
//!   say. The oldest of the series that gets a new one goes first; if it has none, the new one is left out. Both are
//!   counted.
//! - Taking a change and replaying it leave the same behind.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::model::{HistogramSample, Labels, Sample, SeriesRef, StartChange, Timestamp, limits};

use super::content::StoredSeries;
use super::snapshot::Snapshot;

/// The changes of all series: when counting began, by series and by the first sample that said so.
pub(super) type StartChanges = BTreeMap<(SeriesRef, Timestamp), Timestamp>;

/// The changes that are kept.
#[derive(Debug, Default)]
pub(super) struct Starts {
    max: usize,
    /// Shared with a checkpoint that is being written.
    changes: Arc<StartChanges>,
    dropped: u64,
}

impl Starts {
    /// Room for `max` changes; 0 keeps none.
    pub(super) fn new(max: usize) -> Starts {
        Starts { max, ..Starts::default() }
    }

    /// Whether the newest sample of a series says something new.
    pub(super) fn is_change(&self, told: &StartChange) -> bool {
        self.max > 0 && told.is_sound() && self.newest(told.series).is_none_or(|newest| told.is_behind(&newest))
    }

    /// Keeps a change. Samples up to `cutoff` are past their time: of the changes up to then only the one that is in
    /// force there is kept.
    pub(super) fn insert(&mut self, change: StartChange, cutoff: Timestamp) {
        if !self.is_change(&change) {
            return;
        }
        let StartChange { series, t, start } = change;
        let times: Vec<Timestamp> = self.of(series).map(|(t, _)| t).collect();
        let past = times.partition_point(|t| *t <= cutoff).saturating_sub(1);
        let left = times.len() - past;
        let over = (left + 1).saturating_sub(limits::START_CHANGES_PER_SERIES_MAX);
        let full = usize::from(over == 0 && self.changes.len() - past >= self.max);
        let changes = Arc::make_mut(&mut self.changes);
        for t in &times[..past + (over + full).min(left)] {
            changes.remove(&(series, *t));
        }
        self.dropped += (over + full) as u64;
        if changes.len() < self.max {
            changes.insert((series, t), start);
        }
    }

    /// Forgets series that left memory.
    pub(super) fn remove(&mut self, series: &[SeriesRef]) {
        for series in series {
            let times: Vec<Timestamp> = self.of(*series).map(|(t, _)| t).collect();
            if !times.is_empty() {
                let changes = Arc::make_mut(&mut self.changes);
                for t in times {
                    changes.remove(&(*series, t));
                }
            }
        }
    }

    /// All of them. Cheap: a checkpoint takes this while writers wait.
    pub(super) fn all(&self) -> Arc<StartChanges> {
        Arc::clone(&self.changes)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    /// How many there was no room for.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// What was in force at each sample of a series, and tells it to its histograms; 0 before the first change,
    /// nothing if there is none.
    fn tell(&self, series: SeriesRef, samples: &[Sample], histograms: &mut [HistogramSample]) -> Vec<Timestamp> {
        let changes: Vec<(Timestamp, Timestamp)> = self.of(series).collect();
        if changes.is_empty() {
            return Vec::new();
        }
        let at = |t: Timestamp| {
            let known = changes.partition_point(|(from, _)| *from <= t);
            changes[..known].last().map_or(Timestamp(0), |(_, start)| *start)
        };
        histograms.iter_mut().for_each(|histogram| histogram.start = at(histogram.t));
        samples.iter().map(|sample| at(sample.t)).collect()
    }

    fn newest(&self, series: SeriesRef) -> Option<StartChange> {
        self.of(series).next_back().map(|(t, start)| StartChange { series, t, start })
    }

    /// The changes of a series, oldest first: when, and to what.
    fn of(&self, series: SeriesRef) -> impl DoubleEndedIterator<Item = (Timestamp, Timestamp)> {
        let all = (series, Timestamp::MIN)..=(series, Timestamp::MAX);
        self.changes.range(all).map(|((_, t), start)| (*t, *start))
    }
}

impl StartChange {
    /// Whether counting can have begun then: at some time, and no later than the sample that says so.
    fn is_sound(&self) -> bool {
        self.start > Timestamp(0) && self.start <= self.t
    }

    /// Whether it comes after another one of its series and says something else.
    fn is_behind(&self, newest: &StartChange) -> bool {
        self.t > newest.t && self.start != newest.start
    }
}

/// The changes that a group brings, before it is in the log.
#[derive(Debug, Default)]
pub(super) struct NewStarts {
    pub(super) changes: Vec<StartChange>,
    /// Where the newest of each series is.
    newest: HashMap<SeriesRef, usize>,
}

impl NewStarts {
    /// Takes what the newest sample of a series says, if it is new.
    pub(super) fn take(&mut self, told: StartChange, known: &Starts) {
        let is_new = match self.newest.get(&told.series) {
            Some(at) => told.is_sound() && told.is_behind(&self.changes[*at]),
            None => known.is_change(&told),
        };
        if is_new {
            self.newest.insert(told.series, self.changes.len());
            self.changes.push(told);
        }
    }
}

impl Snapshot {
    /// When the counting of each sample of a series began, 0 where that is not known; empty if it is known of none.
    /// Its native histograms are told theirs.
    pub fn tell_starts(&self, series: &mut StoredSeries) -> Vec<Timestamp> {
        let Some(number) = self.index.lock.read().find(&series.labels) else { return Vec::new() };
        self.kept.lock.read().starts.tell(number, &series.samples, &mut series.histograms)
    }

    /// From which samples on the counting of a series is said to have begun when, oldest first.
    pub fn start_changes(&self, labels: &Labels) -> Vec<(Timestamp, Timestamp)> {
        let Some(number) = self.index.lock.read().find(labels) else { return Vec::new() };
        self.kept.lock.read().starts.of(number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(series: u64, t: i64, start: i64) -> StartChange {
        StartChange { series: SeriesRef(series), t: Timestamp(t), start: Timestamp(start) }
    }

    fn take(starts: &mut Starts, changes: &[(u64, i64, i64)]) -> usize {
        let mut new = NewStarts::default();
        changes.iter().for_each(|(series, t, start)| new.take(change(*series, *t, *start), starts));
        let count = new.changes.len();
        new.changes.into_iter().for_each(|change| starts.insert(change, Timestamp(0)));
        count
    }

    fn shown(starts: &Starts) -> Vec<(u64, i64, i64)> {
        starts.changes.iter().map(|((series, t), start)| (series.0, t.0, start.0)).collect()
    }

    #[test]
    fn a_change_is_kept_once() {
        let mut starts = Starts::new(9);
        assert_eq!(take(&mut starts, &[(2, 10, 5), (1, 10, 5), (1, 20, 5), (1, 30, 25), (1, 40, 25)]), 3);
        assert_eq!(take(&mut starts, &[(1, 50, 25), (2, 50, 5)]), 0);
        assert_eq!(take(&mut starts, &[(1, 29, 28), (1, 30, 29)]), 0, "earlier samples keep theirs");
        assert_eq!(take(&mut starts, &[(1, 60, 0), (1, 60, -1), (1, 60, 61)]), 0, "counting cannot begin then");
        assert_eq!(shown(&starts), [(1, 10, 5), (1, 30, 25), (2, 10, 5)]);
        assert_eq!(take(&mut starts, &[(1, 70, 5)]), 1, "back to what was once");
        assert_eq!((starts.len(), starts.dropped()), (4, 0));
        assert_eq!(take(&mut Starts::new(0), &[(1, 10, 5)]), 0);
    }

    #[test]
    fn each_sample_is_told_what_was_in_force() {
        let mut starts = Starts::new(9);
        take(&mut starts, &[(1, 10, 5), (1, 30, 25)]);
        let samples = [9, 10, 29, 30, 99].map(|t| Sample { t: Timestamp(t), v: 1.0 });
        let told = |series: u64| starts.tell(SeriesRef(series), &samples, &mut []);
        assert_eq!(told(1), [0, 5, 5, 25, 25].map(Timestamp));
        assert_eq!(told(2), []);
    }

    #[test]
    fn what_is_past_its_time_goes_but_what_is_in_force_stays() {
        let mut starts = Starts::new(9);
        take(&mut starts, &[(1, 10, 5), (1, 20, 15), (1, 30, 25), (2, 10, 5)]);
        starts.insert(change(1, 40, 35), Timestamp(29));
        assert_eq!(shown(&starts), [(1, 20, 15), (1, 30, 25), (1, 40, 35), (2, 10, 5)]);
        starts.insert(change(1, 50, 45), Timestamp(49));
        assert_eq!(shown(&starts), [(1, 40, 35), (1, 50, 45), (2, 10, 5)]);
        assert_eq!(starts.dropped(), 0);
    }

    #[test]
    fn the_oldest_of_a_series_makes_room() {
        let mut starts = Starts::new(3);
        take(&mut starts, &[(1, 10, 5), (2, 10, 5), (2, 20, 15)]);
        take(&mut starts, &[(2, 30, 25)]);
        assert_eq!((shown(&starts), starts.dropped()), (vec![(1, 10, 5), (2, 20, 15), (2, 30, 25)], 1));
        take(&mut starts, &[(3, 30, 25)]);
        assert_eq!((shown(&starts).len(), starts.newest(SeriesRef(3)), starts.dropped()), (3, None, 2));
        starts.remove(&[SeriesRef(2), SeriesRef(7)]);
        assert_eq!(shown(&starts), [(1, 10, 5)]);
        let mut starts = Starts::new(usize::MAX);
        let many = limits::START_CHANGES_PER_SERIES_MAX as i64 + 2;
        for n in 1..=many {
            take(&mut starts, &[(1, 10 * n, n)]);
        }
        assert_eq!((starts.len(), starts.dropped()), (limits::START_CHANGES_PER_SERIES_MAX, 2));
        assert_eq!(shown(&starts)[0], (1, 30, 3));
    }

    #[test]
    fn a_checkpoint_keeps_what_was_when_it_began() {
        let mut starts = Starts::new(9);
        take(&mut starts, &[(1, 10, 5)]);
        let before = starts.all();
        take(&mut starts, &[(1, 20, 15)]);
        assert_eq!((before.len(), starts.len()), (1, 2));
    }
}
