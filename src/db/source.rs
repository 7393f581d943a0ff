//! The store as the query language sees it: the one file that names both.

use std::iter;
use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::model::{Labels, Matcher, Millis, Seq, Summarized, TimeRange, Timestamp};
use crate::promql::{
    SeriesSamples, SeriesSet, SeriesSource, SeriesSummaries, SourceError, StartTimestamps, Visit, Workers,
};
use crate::storage::{ReadError, Selection, Snapshot, Store, StoredSeries};

/// Summaries that are made before they are given on.
const SUMMARIES_AT_ONCE: usize = 4096;
/// Summaries that one hand makes before it looks for more: their pages lie together, and so many columns of
/// memory are fetched at once.
const SUMMARIES_BY_ONE: usize = 8;
/// Summaries from which on another thread is worth waking: half a millisecond of work.
const SUMMARIES_SHARED_MIN: usize = 48;

/// One view of the store, as a source of series.
pub(super) struct Source {
    pub(super) snapshot: Snapshot,
    /// Those who share the work of summing up.
    pub(super) workers: Option<Workers>,
    /// Whether samples come with when their counting began.
    pub(super) start_timestamps: StartTimestamps,
}

impl Source {
    /// A view that one thread reads.
    pub(super) fn new(snapshot: Snapshot) -> Source {
        Source { snapshot, workers: None, start_timestamps: StartTimestamps::Ignored }
    }

    /// A series with when the counting of its samples began, if that is asked for.
    fn with_starts(&self, mut series: StoredSeries) -> SeriesSamples {
        let starts = match self.start_timestamps {
            StartTimestamps::Used => self.snapshot.tell_starts(&mut series),
            StartTimestamps::Ignored => Vec::new(),
        };
        let StoredSeries { labels, samples, histograms } = series;
        SeriesSamples { labels, samples, starts, histograms }
    }

    /// The summaries of some of the series found that have samples in any window, in their order.
    fn summarized(
        &self,
        found: &Selection<'_>,
        range: Range<usize>,
        windows: &[TimeRange],
        samples_max: usize,
    ) -> Result<(Summarized, Vec<SeriesSummaries>), SourceError> {
        let by_one = (SUMMARIES_BY_ONE / windows.len().max(1)).max(1);
        let (next, over) = (AtomicUsize::new(range.start), AtomicBool::new(false));
        let all = Mutex::new((Ok(Summarized::Wholly), Vec::new()));
        let one = |_part| {
            let mut made = Vec::new();
            let mut which = iter::from_fn(|| {
                if over.load(Ordering::Relaxed) {
                    return None;
                }
                let start = next.fetch_add(by_one, Ordering::Relaxed);
                (start < range.end).then(|| start..(start + by_one).min(range.end))
            });
            let told = found.summaries(&mut which, windows, samples_max, &mut |at, windows| {
                made.push((at, SeriesSummaries { labels: found.labels(at), windows }));
                ControlFlow::Continue(())
            });
            let mut all = all.lock();
            if !matches!(told, Ok(Summarized::Wholly)) {
                over.store(true, Ordering::Relaxed);
                all.0 = told.map_err(source_error);
            }
            all.1.append(&mut made);
        };
        let shared = range.len().saturating_mul(windows.len()) >= SUMMARIES_SHARED_MIN;
        match &self.workers {
            Some(workers) if shared => workers.run(range.len().div_ceil(by_one), &one),
            _ => one(0),
        }
        let (told, mut series) = all.into_inner();
        series.sort_unstable_by_key(|(at, _)| *at);
        Ok((told?, series.into_iter().map(|(_, one)| one).collect()))
    }
}

/// What a store holds now, as a source of series: for questions to a database that nothing runs on.
pub fn stored(store: &Store) -> impl SeriesSource + use<> {
    Source::new(store.snapshot())
}

/// The store as of an entry of the last group, for callers that hold the writer's lock and need a
/// view rarely. What the rules see does not depend on what else shared the sync.
pub(super) struct LiveSource<'a> {
    pub(super) store: &'a Store,
    pub(super) seq: Seq,
    pub(super) at: Timestamp,
    /// Whether samples come with when their counting began.
    pub(super) start_timestamps: StartTimestamps,
}

impl<'a> LiveSource<'a> {
    /// The store as it is now.
    pub(super) fn now(store: &'a Store, start_timestamps: StartTimestamps) -> LiveSource<'a> {
        let snapshot = store.snapshot();
        LiveSource { store, seq: snapshot.seq(), at: snapshot.at(), start_timestamps }
    }

    /// A view that lasts.
    pub(super) fn view(&self) -> Source {
        let snapshot = self.store.snapshot().as_of(self.seq, self.at);
        Source { start_timestamps: self.start_timestamps, ..Source::new(snapshot) }
    }
}

impl SeriesSource for Source {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<SeriesSamples>, SourceError> {
        let series = self.snapshot.select(matchers, range, samples_max).map_err(source_error)?;
        Ok(series.into_iter().map(|series| self.with_starts(series)).collect())
    }

    fn start_changes(&self, labels: &Labels) -> Vec<(Timestamp, Timestamp)> {
        match self.start_timestamps {
            StartTimestamps::Used => self.snapshot.start_changes(labels),
            StartTimestamps::Ignored => Vec::new(),
        }
    }

    fn find<'s>(
        &'s self,
        matchers: &[Matcher],
        range: TimeRange,
        _samples_max: usize,
    ) -> Result<Box<dyn SeriesSet + 's>, SourceError> {
        Ok(Box::new(self.snapshot.find(matchers, range).map_err(source_error)?))
    }

    fn resolution(&self, range: TimeRange) -> Millis {
        self.snapshot.resolution(range)
    }

    fn raw_since(&self, matchers: &[Matcher], range: TimeRange) -> Result<Timestamp, SourceError> {
        self.snapshot.raw_since(matchers, range).map_err(source_error)
    }

    fn summaries(
        &self,
        matchers: &[Matcher],
        windows: &[TimeRange],
        samples_max: usize,
        each: &mut dyn FnMut(SeriesSummaries) -> ControlFlow<()>,
    ) -> Result<Summarized, SourceError> {
        let Some(hull) = windows.iter().copied().reduce(TimeRange::hull) else { return Ok(Summarized::Wholly) };
        let mut found = self.snapshot.find(matchers, hull).map_err(source_error)?;
        found.sort();
        let at_once = (SUMMARIES_AT_ONCE / windows.len()).max(1);
        for start in (0..found.len()).step_by(at_once) {
            let range = start..(start + at_once).min(found.len());
            let (told, series) = self.summarized(&found, range, windows, samples_max)?;
            if told != Summarized::Wholly || series.into_iter().try_for_each(&mut *each).is_break() {
                return Ok(told);
            }
        }
        Ok(Summarized::Wholly)
    }
}

impl SeriesSet for Selection<'_> {
    fn count(&self) -> usize {
        self.len()
    }

    fn sort(&mut self) {
        Selection::sort(self);
    }

    fn labels(&self, at: usize) -> Labels {
        Selection::labels(self, at)
    }

    fn has_name(&self, name: &str) -> bool {
        Selection::has_name(self, name)
    }

    fn groups(&self, keep: &dyn Fn(&str) -> bool) -> (Vec<u32>, Vec<Labels>) {
        Selection::groups(self, keep)
    }

    fn read(&self, which: &mut dyn Iterator<Item = Range<usize>>, visit: &mut Visit<'_>) -> Result<(), SourceError> {
        Selection::read(self, which, visit).map_err(source_error)
    }
}

fn source_error(error: ReadError) -> SourceError {
    match error {
        ReadError::TooManySamples { limit } => SourceError::TooManySamples { limit },
        other => SourceError::Unreadable(other.to_string()),
    }
}

impl SeriesSource for LiveSource<'_> {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<SeriesSamples>, SourceError> {
        self.view().select(matchers, range, samples_max)
    }

    fn start_changes(&self, labels: &Labels) -> Vec<(Timestamp, Timestamp)> {
        self.view().start_changes(labels)
    }

    fn resolution(&self, range: TimeRange) -> Millis {
        self.view().resolution(range)
    }

    fn raw_since(&self, matchers: &[Matcher], range: TimeRange) -> Result<Timestamp, SourceError> {
        self.view().raw_since(matchers, range)
    }

    fn summaries(
        &self,
        matchers: &[Matcher],
        windows: &[TimeRange],
        samples_max: usize,
        each: &mut dyn FnMut(SeriesSummaries) -> ControlFlow<()>,
    ) -> Result<Summarized, SourceError> {
        self.view().summaries(matchers, windows, samples_max, each)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::env::disk::MemoryDisk;
    use crate::model::{Batch, Histogram, HistogramCounts, HistogramSample, ResetHint, Sample};
    use crate::storage::{Entry, StoreOptions};

    #[test]
    fn histograms_are_read_and_no_summary_speaks_for_them() {
        let options = StoreOptions { reserve_bytes: 0, ..StoreOptions::default() };
        let (store, mut replay) = Store::open(Arc::new(MemoryDisk::new()), Path::new("/data"), options).unwrap();
        while replay.next().unwrap().is_some() {}
        let histogram = Arc::new(Histogram {
            reset_hint: ResetHint::Gauge,
            schema: 0,
            zero_threshold: 0.5,
            sum: 2.0,
            positive_spans: vec![],
            negative_spans: vec![],
            bounds: vec![],
            counts: HistogramCounts::Integer { count: 3, zero: 3, positive: vec![], negative: vec![] },
        });
        let histogram = HistogramSample { t: Timestamp(2000), start: Timestamp(0), histogram };
        let labels = |name| Labels::new([(Labels::METRIC_NAME, name)]).unwrap();
        let mut batch = Batch::new();
        batch.push_mixed(labels("a"), [Sample { t: Timestamp(1000), v: 1.0 }], [histogram.clone()]);
        batch.push(labels("b"), Sample { t: Timestamp(1000), v: 2.0 });
        store.commit(Timestamp(3000), vec![Entry::Transaction(batch)]).unwrap();
        let source = Source::new(store.snapshot());
        let found = source.select(&[], TimeRange::ALL, 100).unwrap();
        assert_eq!(found.iter().map(|series| series.samples.len()).collect::<Vec<_>>(), [1, 1]);
        assert_eq!((&*found[0].histograms, found[1].histograms.len()), (&[histogram][..], 0));
        let range = |after, until| TimeRange { after: Timestamp(after), until: Timestamp(until) };
        let summaries = |matchers: &[Matcher], windows: &[TimeRange]| {
            let mut all = 0;
            let mut each = |_| {
                all += 1;
                ControlFlow::Continue(())
            };
            let told = source.summaries(matchers, windows, 100, &mut each).unwrap();
            (told == Summarized::Wholly).then_some(all)
        };
        assert_eq!(summaries(&[], &[range(0, 1000), range(1000, 1999)]), Some(2));
        assert_eq!(summaries(&[], &[range(0, 1000), range(1000, 2000)]), None);
        let other = [Matcher::equal(Labels::METRIC_NAME, "b")];
        assert_eq!(summaries(&other, &[range(0, 1000), range(1000, 2000)]), Some(1));
    }
    #[test]
    fn summaries_are_the_same_with_more_hands() {
        let options = StoreOptions { reserve_bytes: 0, ..StoreOptions::default() };
        let (store, mut replay) = Store::open(Arc::new(MemoryDisk::new()), Path::new("/data"), options).unwrap();
        while replay.next().unwrap().is_some() {}
        let mut batch = Batch::new();
        for at in 0..3000_i64 {
            let labels = Labels::new([(Labels::METRIC_NAME, "a"), ("at", &format!("{at:05}"))]).unwrap();
            (0..3).for_each(|t| batch.push(labels.clone(), Sample { t: Timestamp(1000 * t), v: (at + t) as f64 }));
        }
        store.commit(Timestamp(3000), vec![Entry::Transaction(batch)]).unwrap();
        let windows =
            [0, 1000, 5000].map(|after| TimeRange { after: Timestamp(after), until: Timestamp(after + 1000) });
        let told = |workers: Option<Workers>, enough: usize, samples_max: usize| {
            let source = Source { workers, ..Source::new(store.snapshot()) };
            let mut all = Vec::new();
            let told = source.summaries(&[], &windows, samples_max, &mut |one| {
                all.push((one.labels, one.windows));
                if all.len() == enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            (told, all)
        };
        let alone = told(None, usize::MAX, 100);
        assert_eq!((alone.0.clone(), alone.1.len(), alone.1[2999].1[1].count), (Ok(Summarized::Wholly), 3000, 1));
        assert!(alone.1.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(told(Some(crate::db::workers()), usize::MAX, 100), alone);
        for enough in [1, 1500] {
            let some = told(Some(crate::db::workers()), enough, 100);
            assert_eq!(some, (Ok(Summarized::Wholly), alone.1[..enough].to_vec()));
        }
        let (error, _) = told(Some(crate::db::workers()), usize::MAX, 1);
        assert_eq!(error, Err(SourceError::TooManySamples { limit: 1 }));
    }
}
