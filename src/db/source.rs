//! The store as the query language sees it: the one file that names both.

use crate::model::{Matcher, TimeRange};
use crate::promql::{SeriesSamples, SeriesSource, SourceError};
use crate::storage::{ReadError, Snapshot, Store};

/// One view of the store, as a source of series.
pub(super) struct Source(pub(super) Snapshot);

/// The store as it is at each selection, for callers that hold the writer's lock and need a view
/// rarely.
pub(super) struct LiveSource<'a>(pub(super) &'a Store);

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
        Source(self.0.snapshot()).select(matchers, range, samples_max)
    }
}
