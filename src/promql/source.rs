//! The one thing that the language asks of the world: series that match, with their samples.

use crate::model::{Labels, Matcher, Sample, TimeRange};

/// A series and its samples of one range, in the order of time, staleness markers included.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesSamples {
    /// Which series.
    pub labels: Labels,
    /// Its samples; may be empty.
    pub samples: Vec<Sample>,
}

/// One immutable view of stored series.
pub trait SeriesSource: Sync {
    /// The series that satisfy all matchers, each with its samples inside `range`, sorted by
    /// labels. Series without a sample inside may be left out.
    ///
    /// # Errors
    /// More than `samples_max` samples match, or something stored cannot be read.
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<SeriesSamples>, SourceError>;
}

/// A view that cannot answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// More samples than the query may hold.
    #[error(
        "query processing would load too many samples into memory in query execution: the limit is {limit}; narrow the selector or the range"
    )]
    TooManySamples {
        /// The limit.
        limit: usize,
    },
    /// Something stored cannot be read.
    #[error("stored data cannot be read: {0}")]
    Unreadable(String),
}
