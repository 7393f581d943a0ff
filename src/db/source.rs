//! The store as the query language sees it: the one file that names both.

use crate::model::{Matcher, Seq, TimeRange, Timestamp};
use crate::promql::{SeriesSamples, SeriesSource, SourceError};
use crate::storage::{ReadError, Snapshot, Store};

/// One view of the store, as a source of series.
pub(super) struct Source(pub(super) Snapshot);

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
}

impl SeriesSource for Source {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<SeriesSamples>, SourceError> {
        let series = self.0.select(matchers, range, samples_max).map_err(|error| match error {
            ReadError::TooManySamples { limit } => SourceError::TooManySamples { limit },
            other => SourceError::Unreadable(other.to_string()),
        })?;
        Ok(series.into_iter().map(|(labels, samples)| SeriesSamples { labels, samples }).collect())
    }
}

impl SeriesSource for LiveSource<'_> {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<SeriesSamples>, SourceError> {
        Source(self.store.snapshot().as_of(self.seq, self.at)).select(matchers, range, samples_max)
    }
}
