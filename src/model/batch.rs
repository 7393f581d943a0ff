//! A transaction on its way in, and as it was taken.

use super::label::Labels;
use super::sample::Sample;
use super::series::{Seq, SeriesRef};
use super::time::Timestamp;

/// One transaction: what one scrape or one write request brings. Taken together, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    series: Vec<Labels>,
    samples: Vec<BatchSample>,
}

/// A sample of a [`Batch`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BatchSample {
    /// Which of the batch's series, by position.
    pub series: u32,
    /// The sample.
    pub sample: Sample,
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

    /// Adds samples of one series, in the order given.
    pub fn push_series(&mut self, labels: Labels, samples: impl IntoIterator<Item = Sample>) {
        let series = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
        self.series.push(labels);
        self.samples.extend(samples.into_iter().map(|sample| BatchSample { series, sample }));
    }

    /// Adds everything of another batch behind this one.
    pub fn append(&mut self, other: Batch) {
        let before = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
        self.series.extend(other.series);
        self.samples.extend(other.samples.into_iter().map(|s| BatchSample { series: s.series + before, ..s }));
    }

    /// The series, each as often as it was pushed.
    pub fn series(&self) -> &[Labels] {
        &self.series
    }

    /// The samples in the order in which they were pushed.
    pub fn samples(&self) -> &[BatchSample] {
        &self.samples
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
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
    /// The samples that were not.
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
        }
    }
}

/// What was refused of a transaction: counts by reason, and the first case as the example.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rejected {
    /// Counts, one entry a reason, none of them zero.
    pub counts: Vec<(Rejection, u64)>,
    /// The first refused sample.
    pub first: Option<(Labels, Sample, Rejection)>,
    /// Series that were left out because their labels cannot name one.
    pub unnamed: u64,
    /// Why the first of them cannot.
    pub first_unnamed: Option<String>,
}

impl Rejected {
    /// Counts one refused sample; `labels` is asked for the first one only.
    pub fn add(&mut self, labels: impl FnOnce() -> Labels, sample: Sample, reason: Rejection) {
        match self.counts.iter_mut().find(|(r, _)| *r == reason) {
            Some((_, n)) => *n += 1,
            None => self.counts.push((reason, 1)),
        }
        if self.first.is_none() {
            self.first = Some((labels(), sample, reason));
        }
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
