//! The one thing that the language asks of the world: series that match, with their samples.

use crate::model::{HistogramSample, Labels, Matcher, Sample, Summary, TimeRange, Timestamp};

/// A series and its samples of one range, in the order of time, staleness markers included.
/// At an instant there is a number or a histogram, never both.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesSamples {
    /// Which series.
    pub labels: Labels,
    /// Its samples; may be empty.
    pub samples: Vec<Sample>,
    /// When the counting of each sample began, 0 where that is not known; empty if it is known of none.
    pub starts: Vec<Timestamp>,
    /// Its native histograms, in the order of time.
    pub histograms: Vec<HistogramSample>,
}

impl SeriesSamples {
    /// A series of numbers, of which it is not known when their counting began.
    pub fn of_numbers(labels: Labels, samples: Vec<Sample>) -> SeriesSamples {
        SeriesSamples { labels, samples, starts: Vec::new(), histograms: Vec::new() }
    }
}

/// A series and what is known of its samples in several windows.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesSummaries {
    /// Which series.
    pub labels: Labels,
    /// One for each window asked for.
    pub windows: Vec<Summary>,
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

    /// What is known of the samples of those series in each window, sorted by labels: what
    /// [`Summary::of`] says of the samples that [`SeriesSource::select`] gives, bit for bit. A source
    /// that keeps statistics need not read the samples. None if some of the series may have native
    /// histograms there, which a summary does not tell of: then the samples are to be read.
    ///
    /// # Errors
    /// As [`SeriesSource::select`].
    fn summaries(
        &self,
        matchers: &[Matcher],
        windows: &[TimeRange],
        samples_max: usize,
    ) -> Result<Option<Vec<SeriesSummaries>>, SourceError> {
        let Some(hull) = windows.iter().copied().reduce(TimeRange::hull) else { return Ok(Some(Vec::new())) };
        let summaries = |series: SeriesSamples| {
            let samples = &series.samples;
            let inside = |window: &TimeRange| {
                let from = samples.partition_point(|sample| sample.t <= window.after);
                let to = samples.partition_point(|sample| sample.t <= window.until).max(from);
                Summary::of(&samples[from..to])
            };
            SeriesSummaries { windows: windows.iter().map(inside).collect(), labels: series.labels }
        };
        let series = self.select(matchers, hull, samples_max)?;
        if series.iter().any(|series| !series.histograms.is_empty()) {
            return Ok(None);
        }
        Ok(Some(series.into_iter().map(summaries).collect()))
    }
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
