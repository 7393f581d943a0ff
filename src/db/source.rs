//! The store as the query language sees it: the one file that names both.

use std::ops::ControlFlow;

use crate::model::{Labels, Matcher, Millis, Seq, Summarized, Summary, TimeRange, Timestamp};
use crate::promql::{SeriesSamples, SeriesSet, SeriesSource, SeriesSummaries, SourceError, Visit};
use crate::storage::{ReadError, Selection, Snapshot, Store, StoredSeries};

/// One view of the store, as a source of series.
pub(super) struct Source(pub(super) Snapshot);

/// What a store holds now, as a source of series: for questions to a database that nothing runs on.
pub fn stored(store: &Store) -> impl SeriesSource + use<> {
    Source(store.snapshot())
}

/// The store as of an entry of the last group, for callers that hold the writer's lock and need a
/// view rarely. What the rules see does not depend on what else shared the sync.
pub(super) struct LiveSource<'a> {
    pub(super) store: &'a Store,
    pub(super) seq: Seq,
    pub(super) at: Timestamp,
}

impl<'a> LiveSource<'a> {
    /// The store as it is now.
    pub(super) fn now(store: &'a Store) -> LiveSource<'a> {
        let snapshot = store.snapshot();
        LiveSource { store, seq: snapshot.seq(), at: snapshot.at() }
    }

    /// A view that lasts.
    pub(super) fn view(&self) -> Source {
        Source(self.store.snapshot().as_of(self.seq, self.at))
    }
}

impl SeriesSource for Source {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<SeriesSamples>, SourceError> {
        let series = self.0.select(matchers, range, samples_max).map_err(source_error)?;
        let samples = |series: StoredSeries| {
            let StoredSeries { labels, samples, histograms } = series;
            SeriesSamples { labels, samples, starts: Vec::new(), histograms }
        };
        Ok(series.into_iter().map(samples).collect())
    }

    fn find<'s>(
        &'s self,
        matchers: &[Matcher],
        range: TimeRange,
        _samples_max: usize,
    ) -> Result<Box<dyn SeriesSet + 's>, SourceError> {
        Ok(Box::new(self.0.find(matchers, range).map_err(source_error)?))
    }

    fn resolution(&self, range: TimeRange) -> Millis {
        self.0.resolution(range)
    }

    fn raw_since(&self, matchers: &[Matcher], range: TimeRange) -> Result<Timestamp, SourceError> {
        self.0.raw_since(matchers, range).map_err(source_error)
    }

    fn summaries(
        &self,
        matchers: &[Matcher],
        windows: &[TimeRange],
        samples_max: usize,
        each: &mut dyn FnMut(SeriesSummaries) -> ControlFlow<()>,
    ) -> Result<Summarized, SourceError> {
        let mut give = |labels: Labels, windows: Vec<Summary>| each(SeriesSummaries { labels, windows });
        self.0.window_summaries(matchers, windows, samples_max, &mut give).map_err(source_error)
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

    fn read(&self, which: &mut dyn Iterator<Item = usize>, visit: &mut Visit<'_>) -> Result<(), SourceError> {
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
        let source = Source(store.snapshot());
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
}
