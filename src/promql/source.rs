//! The one thing that the language asks of the world: series that match, with their samples.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::{ControlFlow, Range};

use crate::model::{HistogramSample, Labels, Matcher, Millis, Sample, Summarized, Summary, TimeRange, Timestamp};

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
    /// How many samples it has, numbers and histograms.
    pub fn count(&self) -> usize {
        self.samples.len() + self.histograms.len()
    }

    /// A series of numbers, of which it is not known when their counting began.
    pub fn of_numbers(labels: Labels, samples: Vec<Sample>) -> SeriesSamples {
        SeriesSamples { labels, samples, starts: Vec::new(), histograms: Vec::new() }
    }
}

/// What another source holds up to an instant, as if nothing had come after it.
pub struct Until<'a>(pub &'a dyn SeriesSource, pub Timestamp);

impl SeriesSource for Until<'_> {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<SeriesSamples>, SourceError> {
        let until = range.until.min(self.1);
        self.0.select(matchers, TimeRange { after: range.after.min(until), until }, samples_max)
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

    /// The series that satisfy all matchers and may have samples inside `range`, to be read one by one: each
    /// as [`SeriesSource::select`] gives it. A source that need not hold all samples at once should not.
    ///
    /// # Errors
    /// As [`SeriesSource::select`].
    fn find<'s>(
        &'s self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Box<dyn SeriesSet + 's>, SourceError> {
        let series: Cow<'_, [SeriesSamples]> = Cow::Owned(self.select(matchers, range, samples_max)?);
        Ok(Box::new(series))
    }

    /// From which samples on the counting of a series is said to have begun when, oldest first, as
    /// [`SeriesSource::select`] tells it; empty if that is not known.
    fn start_changes(&self, labels: &Labels) -> Vec<(Timestamp, Timestamp)> {
        let _ = labels;
        Vec::new()
    }

    /// The coarsest resolution of what is kept inside `range`: [`SeriesSource::select`] gives one sample
    /// for each interval of at most this length. Zero if all samples are there.
    fn resolution(&self, range: TimeRange) -> Millis {
        let _ = range;
        Millis::ZERO
    }

    /// The last instant inside `range` up to which some of the series that satisfy all matchers are kept at a
    /// lower resolution, so that all samples are there behind it; the beginning of the range if there is none.
    ///
    /// # Errors
    /// Something stored cannot be read.
    fn raw_since(&self, matchers: &[Matcher], range: TimeRange) -> Result<Timestamp, SourceError> {
        let _ = matchers;
        Ok(range.after)
    }

    /// Gives `each` what is known of the samples of those series in each window, sorted by labels, until it
    /// ends that: what [`Summary::of`] says of the samples that [`SeriesSource::select`] gives, bit for
    /// bit. A source that keeps statistics need not read the samples. One that keeps one sample for each
    /// interval knows of all of them, and those of an interval are where its last one is; a window that lies
    /// inside of an interval, without any sample that is kept, is given what is known of that interval. It may
    /// say that some of the series have native histograms there, and end: then what is stored is to be read.
    ///
    /// # Errors
    /// As [`SeriesSource::select`].
    fn summaries(
        &self,
        matchers: &[Matcher],
        windows: &[TimeRange],
        samples_max: usize,
        each: &mut dyn FnMut(SeriesSummaries) -> ControlFlow<()>,
    ) -> Result<Summarized, SourceError> {
        let Some(hull) = windows.iter().copied().reduce(TimeRange::hull) else { return Ok(Summarized::Wholly) };
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
            return Ok(Summarized::NotHistograms);
        }
        let _ended = series.into_iter().map(summaries).try_for_each(each);
        Ok(Summarized::Wholly)
    }
}

/// What is called with the number, the samples and the native histograms of a series; it says whether it has enough.
pub type Visit<'v> = dyn FnMut(usize, &[Sample], &[HistogramSample]) -> ControlFlow<()> + 'v;

/// Series that were found, by numbers from 0 on.
pub trait SeriesSet: Sync {
    /// How many there are.
    fn count(&self) -> usize;

    /// Numbers them in the order of their labels.
    fn sort(&mut self);

    /// The labels of one.
    fn labels(&self, at: usize) -> Labels;

    /// Whether any has a label of this name.
    fn has_name(&self, name: &str) -> bool;

    /// The group of each by those of its labels whose names are kept, and the labels of each group.
    fn groups(&self, keep: &dyn Fn(&str) -> bool) -> (Vec<u32>, Vec<Labels>);

    /// Calls `visit` with the samples and native histograms of each series of these ranges until it says that it
    /// has enough. The series of a range are fetched together; several threads may each read a part.
    ///
    /// # Errors
    /// Something stored cannot be read.
    fn read(&self, which: &mut dyn Iterator<Item = Range<usize>>, visit: &mut Visit<'_>) -> Result<(), SourceError>;
}

/// Series that were read already.
impl SeriesSet for Cow<'_, [SeriesSamples]> {
    fn count(&self) -> usize {
        self.len()
    }

    /// They come sorted.
    fn sort(&mut self) {}

    fn labels(&self, at: usize) -> Labels {
        self[at].labels.clone()
    }

    fn has_name(&self, name: &str) -> bool {
        self.iter().any(|series| series.labels.iter().any(|label| label.name == name))
    }

    fn groups(&self, keep: &dyn Fn(&str) -> bool) -> (Vec<u32>, Vec<Labels>) {
        let mut places: HashMap<Labels, u32> = HashMap::new();
        let mut groups = Vec::new();
        let group = |series: &SeriesSamples| {
            *places.entry(series.labels.filter(keep)).or_insert_with_key(|labels| {
                groups.push(labels.clone());
                (groups.len() - 1) as u32
            })
        };
        let group_of = self.iter().map(group).collect();
        (group_of, groups)
    }

    fn read(&self, which: &mut dyn Iterator<Item = Range<usize>>, visit: &mut Visit<'_>) -> Result<(), SourceError> {
        for at in which.flatten() {
            if visit(at, &self[at].samples, &self[at].histograms).is_break() {
                break;
            }
        }
        Ok(())
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
