//! A write request on its way in, its series still in the bytes of the protocol.
//!
//! Nearly every series of a request is known already, and a known one is found by the
//! [`Fingerprint`] of its bytes; only a new one has its labels read.
//!
//! Invariant: every range of a series lies inside the bytes.

use bytes::Bytes;

use super::batch::{Batch, Rejected};
use super::fingerprint::Fingerprint;
use super::label::Labels;
use super::sample::{HistogramSample, Sample};

/// Reads the labels of a series: its bytes, where they begin in the request, and which series of
/// the request it is. The error says why they cannot name a series, and where.
pub type ReadLabels = fn(bytes: &[u8], offset: usize, series: usize) -> Result<Labels, String>;

/// One transaction whose series are told by the bytes in which they came.
#[derive(Debug, Clone)]
pub struct RawBatch {
    bytes: Bytes,
    read_labels: ReadLabels,
    series: Vec<RawSeries>,
    samples: Vec<Sample>,
    /// Each with the series that it belongs to, by position; in their order.
    histograms: Vec<(u32, HistogramSample)>,
}

/// A series of a [`RawBatch`].
#[derive(Debug, Clone, Copy)]
struct RawSeries {
    fingerprint: Fingerprint,
    start: u32,
    end: u32,
    /// Where its samples end; they begin where those of the series before end.
    samples_end: u32,
    /// Which series of the request it is.
    position: u32,
}

/// A series of a [`RawBatch`] with its samples.
#[derive(Debug, Clone, Copy)]
pub struct RawSeriesSamples<'a> {
    /// What it is found by.
    pub fingerprint: Fingerprint,
    /// Its samples in the order of the request.
    pub samples: &'a [Sample],
}

impl RawBatch {
    /// How many series there are.
    pub fn series_count(&self) -> usize {
        self.series.len()
    }

    /// How many samples there are.
    pub fn sample_count(&self) -> usize {
        self.samples.len()
    }

    /// The native histograms in the order of the request, each with the position of its series.
    pub fn histograms(&self) -> &[(u32, HistogramSample)] {
        &self.histograms
    }

    /// Whether there is neither a sample nor a histogram.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.histograms.is_empty()
    }

    /// The series in the order of the request.
    pub fn series(&self) -> impl ExactSizeIterator<Item = RawSeriesSamples<'_>> {
        let mut from = 0;
        self.series.iter().map(move |series| {
            let to = series.samples_end as usize;
            let samples = self.samples.get(from..to).unwrap_or_default();
            from = to;
            RawSeriesSamples { fingerprint: series.fingerprint, samples }
        })
    }

    /// What its series are found by, in the order of the request.
    pub fn fingerprints(&self) -> impl ExactSizeIterator<Item = Fingerprint> {
        self.series.iter().map(|series| series.fingerprint)
    }

    /// The labels of series `n` of this batch.
    ///
    /// # Errors
    /// They cannot name a series; the text says why.
    pub fn labels(&self, n: usize) -> Result<Labels, String> {
        let series = self.series.get(n).ok_or("there is no such series in the batch")?;
        let (start, end) = (series.start as usize, series.end as usize);
        let bytes = self.bytes.get(start..end).unwrap_or_default();
        (self.read_labels)(bytes, start, series.position as usize)
    }

    /// Bytes that its series take in the request.
    pub fn label_bytes(&self) -> usize {
        self.series.iter().map(|series| (series.end - series.start) as usize).sum()
    }

    /// The same with all labels read; series whose labels cannot name one are counted in `rejected`.
    pub fn read(&self, rejected: &mut Rejected) -> Batch {
        let mut batch = Batch::new();
        let mut histograms = self.histograms.iter().peekable();
        for (n, series) in self.series().enumerate() {
            let own = std::iter::from_fn(|| histograms.next_if(|(series, _)| *series as usize == n));
            let own: Vec<HistogramSample> = own.map(|(_, sample)| sample.clone()).collect();
            match self.labels(n) {
                Ok(labels) => batch.push_mixed(labels, series.samples.iter().copied(), own),
                Err(fault) => rejected.add_unnamed(fault),
            }
        }
        batch
    }
}

/// A [`RawBatch`] in the making, while its bytes are still being read.
///
/// The samples and histograms of a series are pushed first, then the series.
#[derive(Debug, Default)]
pub struct RawBatchBuilder {
    series: Vec<RawSeries>,
    samples: Vec<Sample>,
    histograms: Vec<(u32, HistogramSample)>,
}

impl RawBatchBuilder {
    /// Room for so many series of one sample each.
    pub fn with_capacity(series: usize) -> RawBatchBuilder {
        RawBatchBuilder {
            series: Vec::with_capacity(series),
            samples: Vec::with_capacity(series),
            histograms: Vec::new(),
        }
    }

    /// Adds a sample of the series that is pushed next.
    pub fn push_sample(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// Adds a native histogram of the series that is pushed next.
    pub fn push_histogram(&mut self, histogram: HistogramSample) {
        self.histograms.push((u32::try_from(self.series.len()).unwrap_or(u32::MAX), histogram));
    }

    /// How many samples there are.
    pub fn sample_count(&self) -> usize {
        self.samples.len()
    }

    /// How many native histograms there are.
    pub fn histogram_count(&self) -> usize {
        self.histograms.len()
    }

    /// Takes native histograms back that belong to no series yet.
    pub fn drop_histograms_from(&mut self, n: usize) {
        self.histograms.truncate(n);
    }

    /// Takes samples back that belong to no series yet.
    pub fn drop_samples_from(&mut self, n: usize) {
        self.samples.truncate(n);
    }

    /// Adds series number `position` of the request, whose label fields are `labels` and will begin
    /// at `start` of the batch's bytes.
    pub fn push_series(&mut self, labels: &[u8], start: usize, position: usize) {
        let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.series.push(RawSeries {
            fingerprint: Fingerprint::of_raw(labels),
            start: small(start),
            end: small(start.saturating_add(labels.len())),
            samples_end: small(self.samples.len()),
            position: small(position),
        });
    }

    /// The batch, whose labels lie in `bytes`.
    pub fn finish(self, bytes: Bytes, read_labels: ReadLabels) -> RawBatch {
        RawBatch { bytes, read_labels, series: self.series, samples: self.samples, histograms: self.histograms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn read(bytes: &[u8], offset: usize, series: usize) -> Result<Labels, String> {
        let name = std::str::from_utf8(bytes).map_err(|_| format!("series {series} at {offset}"))?;
        Labels::new([("__name__", name)]).map_err(|error| error.to_string())
    }

    #[test]
    fn series_keep_their_samples_and_faults_their_place() {
        let bytes = b"ab\xffab";
        let mut batch = RawBatchBuilder::default();
        for (labels, position, times) in [(0..2, 0, [1, 2].as_slice()), (2..3, 1, &[3]), (3..5, 7, &[4])] {
            times.iter().for_each(|t| batch.push_sample(Sample { t: Timestamp(*t), v: 1.0 }));
            batch.push_series(&bytes[labels.clone()], labels.start, position);
        }
        let batch = batch.finish(Bytes::from_static(bytes), read);
        assert_eq!((batch.series_count(), batch.sample_count(), batch.label_bytes()), (3, 4, 5));
        let times: Vec<Vec<i64>> = batch.series().map(|s| s.samples.iter().map(|s| s.t.0).collect()).collect();
        assert_eq!(times, [vec![1, 2], vec![3], vec![4]]);
        let fingerprints: Vec<Fingerprint> = batch.series().map(|s| s.fingerprint).collect();
        assert_eq!(fingerprints[0], fingerprints[2]);
        assert_ne!(fingerprints[0], fingerprints[1]);
        let mut rejected = Rejected::default();
        let whole = batch.read(&mut rejected);
        assert_eq!(whole.series().iter().map(ToString::to_string).collect::<Vec<_>>(), ["ab", "ab"]);
        assert_eq!(whole.samples().len(), 3);
        assert_eq!((rejected.unnamed, rejected.first_unnamed.as_deref()), (1, Some("series 1 at 2")));
    }
}
