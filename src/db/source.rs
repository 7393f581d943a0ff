//! The store as the query language sees it: the one file that names both.

use std::collections::BTreeMap;

use crate::model::{Labels, Matcher, Seq, Summary, TimeRange, Timestamp};
use crate::promql::{SeriesSamples, SeriesSource, SeriesSummaries, SourceError};
use crate::storage::{ReadError, Snapshot, Store};

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

    fn view(&self) -> Source {
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
        Ok(series.into_iter().map(|(labels, samples)| SeriesSamples::of_numbers(labels, samples)).collect())
    }

    fn summaries(
        &self,
        matchers: &[Matcher],
        windows: &[TimeRange],
        samples_max: usize,
    ) -> Result<Vec<SeriesSummaries>, SourceError> {
        let mut found: BTreeMap<Labels, Vec<Summary>> = BTreeMap::new();
        for (n, window) in windows.iter().enumerate() {
            for (labels, summary) in self.0.summaries(matchers, *window).map_err(source_error)? {
                found.entry(labels).or_insert_with(|| vec![Summary::default(); windows.len()])[n] = summary;
            }
            if found.len().saturating_mul(windows.len()) > samples_max {
                return Err(SourceError::TooManySamples { limit: samples_max });
            }
        }
        Ok(found.into_iter().map(|(labels, windows)| SeriesSummaries { labels, windows }).collect())
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

    fn summaries(
        &self,
        matchers: &[Matcher],
        windows: &[TimeRange],
        samples_max: usize,
    ) -> Result<Vec<SeriesSummaries>, SourceError> {
        self.view().summaries(matchers, windows, samples_max)
    }
}
