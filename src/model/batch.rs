//! A transaction on its way in, and as it was taken.

use super::histogram::HistogramError;
use super::label::Labels;
use super::sample::{HistogramSample, Sample};
use super::series::{Seq, SeriesRef};
use super::time::Timestamp;

/// One transaction: what one scrape or one write request brings. Taken together, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    series: Vec<Labels>,
    samples: Vec<BatchSample>,
    histograms: Vec<BatchHistogram>,
    starts: Vec<BatchStart>,
}

/// A sample of a [`Batch`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchSample {
    /// Which of the batch's series, by position.
    pub series: u32,
    /// The sample.
    pub sample: Sample,
}

/// A native histogram of a [`Batch`].
#[derive(Debug, Clone, PartialEq)]
pub struct BatchHistogram {
    /// Which of the batch's series, by position.
    pub series: u32,
    /// The histogram.
    pub sample: HistogramSample,
}

/// When the counting of a sample of a [`Batch`] began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchStart {
    /// Which of the batch's samples, by position.
    pub sample: u32,
    /// When its counting began.
    pub start: Timestamp,
}

impl Batch {
    /// A batch without samples.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Adds one sample of one series.
    pub fn push(&mut self, labels: Labels, sample: Sample) {
        self.push_series(labels, [sample]);
    }

    /// Adds one sample of one series whose counting began at `start`.
    pub fn push_counted(&mut self, labels: Labels, sample: Sample, start: Timestamp) {
        let position = u32::try_from(self.samples.len()).unwrap_or(u32::MAX);
        self.starts.push(BatchStart { sample: position, start });
        self.push(labels, sample);
    }

    /// Adds samples of one series, in the order given.
    pub fn push_series(&mut self, labels: Labels, samples: impl IntoIterator<Item = Sample>) {
        self.push_mixed(labels, samples, []);
    }

    /// Adds one native histogram of one series.
    pub fn push_histogram(&mut self, labels: Labels, histogram: HistogramSample) {
        self.push_mixed(labels, [], [histogram]);
    }

    /// Adds samples and native histograms of one series, each in the order given. All samples of a
    /// transaction are taken before its histograms.
    pub fn push_mixed(
        &mut self,
        labels: Labels,
        samples: impl IntoIterator<Item = Sample>,
        histograms: impl IntoIterator<Item = HistogramSample>,
    ) {
        let series = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
        self.series.push(labels);
        self.samples.extend(samples.into_iter().map(|sample| BatchSample { series, sample }));
        self.histograms.extend(histograms.into_iter().map(|sample| BatchHistogram { series, sample }));
    }

    /// Adds everything of another batch behind this one.
    pub fn append(&mut self, other: Batch) {
        let before = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
        let samples_before = u32::try_from(self.samples.len()).unwrap_or(u32::MAX);
        self.starts.extend(other.starts.into_iter().map(|s| BatchStart { sample: s.sample + samples_before, ..s }));
        self.series.extend(other.series);
        self.samples.extend(other.samples.into_iter().map(|s| BatchSample { series: s.series + before, ..s }));
        let histograms = other.histograms.into_iter();
        self.histograms.extend(histograms.map(|h| BatchHistogram { series: h.series + before, ..h }));
    }

    /// The series, each as often as it was pushed.
    pub fn series(&self) -> &[Labels] {
        &self.series
    }

    /// The samples in the order in which they were pushed.
    pub fn samples(&self) -> &[BatchSample] {
        &self.samples
    }

    /// The native histograms in the order in which they were pushed.
    pub fn histograms(&self) -> &[BatchHistogram] {
        &self.histograms
    }

    /// When the counting of samples began, where that is known, in the order of the samples.
    pub fn starts(&self) -> &[BatchStart] {
        &self.starts
    }

    /// Whether there is neither a sample nor a histogram.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.histograms.is_empty()
    }
}

/// From the sample at `t` on, the counting of a series began at `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartChange {
    /// The series.
    pub series: SeriesRef,
    /// The first sample that said so.
    pub t: Timestamp,
    /// When its counting began.
    pub start: Timestamp,
}

/// A transaction that is in the log and in the head: what the rules get to see.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    /// Its place in the log.
    pub seq: Seq,
    /// The log's time: the clock when it was taken, never before an earlier one.
    pub at: Timestamp,
    /// Series that the store met for the first time since it was opened.
    pub new_series: Vec<(SeriesRef, Labels)>,
    /// The samples that were stored, in order.
    pub samples: Vec<(SeriesRef, Sample)>,
    /// The native histograms that were stored, in order, after the samples.
    pub histograms: Vec<(SeriesRef, HistogramSample)>,
    /// When the counting of series began, where samples say something new of it, if the store keeps that.
    pub starts: Vec<StartChange>,
    /// How many of the native histograms came in a finer schema than is kept, and were brought to one that is.
    pub coarsened: u64,
    /// What was not.
    pub rejected: Rejected,
}

/// Why a sample was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rejection {
    /// An older sample than the series' newest.
    OutOfOrder,
    /// Another value at an instant that has one already.
    Duplicate,
    /// Further ahead of the clock than is believed.
    FarFuture,
    /// Older than what is kept.
    TooOld,
    /// Older than the newest of its series, in a time that is kept at a lower resolution.
    Downsampled,
    /// Of a series that would be one more than the store takes.
    TooManySeries,
    /// A native histogram that is none.
    InvalidHistogram,
}

impl Rejection {
    /// The reason in words, for error texts and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Rejection::OutOfOrder => "out of order sample",
            Rejection::Duplicate => "duplicate sample for timestamp",
            Rejection::FarFuture => "timestamp too far in the future",
            Rejection::TooOld => "timestamp older than the retention",
            Rejection::Downsampled => "out of order sample in a time that is downsampled",
            Rejection::TooManySeries => "new series over the limit of active series",
            Rejection::InvalidHistogram => "invalid native histogram",
        }
    }
}

/// What was refused of a transaction: counts by reason, and the first case as the example.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rejected {
    /// Counts, one entry a reason, none of them zero.
    pub counts: Vec<(Rejection, u64)>,
    /// The first that was refused, and its time.
    pub first: Option<(Labels, Timestamp, Rejection)>,
    /// Native histograms that are none, by [`HistogramError::as_str`]; that of the first one is the first.
    pub invalid: Vec<InvalidHistograms>,
    /// Series that were left out because their labels cannot name one.
    pub unnamed: u64,
    /// Why the first of them cannot.
    pub first_unnamed: Option<String>,
}

/// Native histograms that are none for one reason.
#[derive(Debug, Clone, PartialEq)]
pub struct InvalidHistograms {
    /// How many.
    pub count: u64,
    /// Of which series the first is, and what is wrong with it.
    pub first: (Labels, HistogramError),
}

impl Rejected {
    /// Counts one refused sample; `labels` is asked for the first one only.
    pub fn add(&mut self, labels: impl FnOnce() -> Labels, t: Timestamp, reason: Rejection) {
        match self.counts.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, n)) => *n += 1,
            None => self.counts.push((reason, 1)),
        }
        if self.first.is_none() {
            self.first = Some((labels(), t, reason));
        }
    }

    /// Counts one native histogram that is none.
    pub fn add_invalid(&mut self, labels: impl Fn() -> Labels, t: Timestamp, error: HistogramError) {
        self.add(&labels, t, Rejection::InvalidHistogram);
        match self.invalid.iter_mut().find(|known| known.first.1.as_str() == error.as_str()) {
            Some(known) => known.count += 1,
            None => self.invalid.push(InvalidHistograms { count: 1, first: (labels(), error) }),
        }
    }

    /// Adds what was refused elsewhere, later.
    pub fn absorb(&mut self, other: Rejected) {
        for (reason, n) in other.counts {
            match self.counts.iter_mut().find(|(r, _)| *r == reason) {
                Some((_, count)) => *count += n,
                None => self.counts.push((reason, n)),
            }
        }
        for more in other.invalid {
            match self.invalid.iter_mut().find(|known| known.first.1.as_str() == more.first.1.as_str()) {
                Some(known) => known.count += more.count,
                None => self.invalid.push(more),
            }
        }
        self.first = self.first.take().or(other.first);
        self.unnamed += other.unnamed;
        self.first_unnamed = self.first_unnamed.take().or(other.first_unnamed);
    }

    /// Counts one series that cannot be named.
    pub fn add_unnamed(&mut self, fault: String) {
        self.unnamed += 1;
        self.first_unnamed.get_or_insert(fault);
    }

    /// How many samples were refused.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|(_, n)| n).sum()
    }
}
