//! The walk over the series of a message.
//!
//! Two ways lead through a series: the plain one for the shape that every real sender writes, and
//! the general one for all that the format allows. Both give the same.

use std::ops::Range;

use super::exemplar::exemplar;
use super::histogram::{self, RawHistogram};
use super::labels::{LABELS_READ_MAX, Part, Place, RawLabel, RawLabels};
use super::plain;
use crate::model::{
    Exemplar, HistogramError, MetricMetadata, RawBatchBuilder, Rejected, Sample, SeriesExemplar, Timestamp, limits,
};
use crate::wire::WireError;
use crate::wire::protobuf::{Fault, Field, Fields};

/// What was read of a message so far.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) batch: RawBatchBuilder,
    /// Labels that do not stand together in the message, put together. Their ranges begin behind it.
    pub(super) gathered: Vec<u8>,
    pub(super) exemplars: Vec<SeriesExemplar>,
    pub(super) exemplars_refused: u64,
    pub(super) metadata: Vec<MetricMetadata>,
    pub(super) metadata_refused: u64,
    /// Native histograms that are none.
    pub(super) rejected: Rejected,
    /// Buckets, spans and bounds of native histograms so far.
    histogram_parts: usize,
    pub(super) unnamed: u64,
    pub(super) first_unnamed: Option<String>,
    /// The number of the series that comes next.
    position: usize,
}

/// The parts of one series besides its samples.
#[derive(Default)]
struct Parts<'a> {
    labels: RawLabels<'a>,
    /// Where the label fields stand: one range if they stand together.
    ranges: Vec<Range<usize>>,
    /// `None`: it may not be stored.
    exemplars: Vec<Option<Exemplar>>,
    histograms: usize,
    /// Of these, those that are none.
    invalid: Vec<(Timestamp, HistogramError)>,
}

impl Walk {
    /// A walk whose series go to `batch`.
    pub(super) fn into(batch: RawBatchBuilder) -> Walk {
        Walk { batch, ..Walk::default() }
    }

    /// The place of the series that comes next.
    pub(super) fn place(&self) -> Place {
        Place { series: self.position, part: Part::Series }
    }

    /// Reads the next series, which stands in `message`.
    pub(super) fn series(&mut self, message: &[u8], series: Fields<'_>) -> Result<(), WireError> {
        if !self.plain_series(message, series)? {
            self.any_series(message, series)?;
        }
        self.position += 1;
        Ok(())
    }

    /// Reads a series of labels and then samples, nothing else; `false` if it is none.
    fn plain_series(&mut self, message: &[u8], series: Fields<'_>) -> Result<bool, WireError> {
        let (start, end) = (series.offset(), series.offset() + series.bytes().len());
        let mut at = start;
        while let Some(label_end) = plain::label_end(series.bytes(), at - start) {
            at = start + label_end;
        }
        let labels_end = at;
        let before = self.batch.sample_count();
        while let Some((sample, sample_end)) = plain::sample(message, at, end) {
            self.take(sample)?;
            at = sample_end;
        }
        if at != end || at == labels_end {
            self.batch.drop_samples_from(before);
            return Ok(false);
        }
        let labels = series.bytes().get(..labels_end - start).unwrap_or_default();
        self.batch.push_series(labels, start, self.position);
        Ok(true)
    }

    fn take(&mut self, sample: Sample) -> Result<(), WireError> {
        if self.batch.sample_count() == limits::SAMPLES_PER_BATCH_MAX {
            return Err(WireError::TooManySamples);
        }
        self.batch.push_sample(sample);
        Ok(())
    }

    /// Reads a series in any form that the format allows.
    #[cold]
    fn any_series(&mut self, message: &[u8], series: Fields<'_>) -> Result<(), WireError> {
        let start = series.offset();
        let before = (self.batch.sample_count(), self.batch.histogram_count());
        let parts = self.parts(series)?;
        let has_samples = (self.batch.sample_count(), self.batch.histogram_count()) != before;
        let is_plain = parts.exemplars.is_empty() && parts.invalid.is_empty();
        if let [range] = &*parts.ranges
            && (has_samples, is_plain, range.start) == (true, true, start)
        {
            self.push_series(message, &parts.ranges);
            return Ok(());
        }
        // The store will not ask for these labels, or would ask for them in another place.
        match parts.labels.name(start, self.position) {
            Err(fault) => {
                self.batch.drop_samples_from(before.0);
                self.batch.drop_histograms_from(before.1);
                self.unnamed += 1;
                self.first_unnamed.get_or_insert_with(|| fault.to_string());
            }
            Ok(labels) => {
                if has_samples {
                    self.push_series(message, &parts.ranges);
                }
                for (t, error) in parts.invalid {
                    self.rejected.add_invalid(|| labels.clone(), t, error);
                }
                for exemplar in parts.exemplars {
                    match exemplar {
                        Some(exemplar) => self.exemplars.push(SeriesExemplar { series: labels.clone(), exemplar }),
                        None => self.exemplars_refused += 1,
                    }
                }
            }
        }
        Ok(())
    }

    /// Adds the series of the samples read last, whose label fields stand at `ranges` of the message.
    fn push_series(&mut self, message: &[u8], ranges: &[Range<usize>]) {
        let bytes_of = |range: &Range<usize>| message.get(range.clone()).unwrap_or_default();
        if let [range] = ranges {
            return self.batch.push_series(bytes_of(range), range.start, self.position);
        }
        let from = self.gathered.len();
        ranges.iter().for_each(|range| self.gathered.extend_from_slice(bytes_of(range)));
        let labels = self.gathered.get(from..).unwrap_or_default();
        self.batch.push_series(labels, message.len() + from, self.position);
    }

    /// Reads a series field by field; its samples go to the batch.
    fn parts<'a>(&mut self, mut series: Fields<'a>) -> Result<Parts<'a>, WireError> {
        let mut parts = Parts::default();
        let (before, position) = (self.batch.sample_count(), self.position);
        let at = |part| move |fault: Fault| fault.at(Place { series: position, part });
        while let Some(field) = series.next().map_err(at(Part::Series))? {
            match field.number {
                1 => {
                    let part = Part::Label(parts.labels.met());
                    parts.labels.push(RawLabel::of(field).map_err(at(part))?);
                    parts.push_range(field.offset..series.offset());
                }
                2 => {
                    let part = Part::Sample(self.batch.sample_count() - before);
                    self.take(sample(field).map_err(at(part))?)?;
                }
                3 => {
                    let place = Place { series: position, part: Part::Exemplar(parts.exemplars.len()) };
                    if self.exemplars.len() + parts.exemplars.len() == limits::EXEMPLARS_PER_BATCH_MAX {
                        return Err(WireError::TooMany { what: "exemplars", max: limits::EXEMPLARS_PER_BATCH_MAX });
                    }
                    parts.exemplars.push(exemplar(field, place)?);
                }
                4 => {
                    let place = Place { series: position, part: Part::Histogram(parts.histograms) };
                    if self.batch.histogram_count() + parts.invalid.len() == limits::HISTOGRAMS_PER_BATCH_MAX {
                        return Err(histogram::too_many("native histograms", limits::HISTOGRAMS_PER_BATCH_MAX));
                    }
                    let raw = RawHistogram::read(field, place, &mut self.histogram_parts)?;
                    let t = raw.t;
                    match raw.histogram() {
                        Ok(histogram) => self.batch.push_histogram(histogram),
                        Err(error) => parts.invalid.push((t, error)),
                    }
                    parts.histograms += 1;
                }
                _ => {}
            }
        }
        Ok(parts)
    }
}

impl Parts<'_> {
    fn push_range(&mut self, range: Range<usize>) {
        let so_many = self.ranges.len();
        match self.ranges.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            // With more labels the series has no name, and nobody asks for the ranges.
            _ if so_many <= LABELS_READ_MAX => self.ranges.push(range),
            _ => {}
        }
    }
}

/// The sample in a field.
pub(super) fn sample(field: Field<'_>) -> Result<Sample, Fault> {
    let mut message = field.bytes()?;
    // Fields with the default value are left out on the wire.
    let mut sample = Sample { t: Timestamp(0), v: 0.0 };
    while let Some(field) = message.next()? {
        match field.number {
            1 => sample.v = field.double()?,
            2 => sample.t = Timestamp(field.int64()?),
            _ => {}
        }
    }
    Ok(sample)
}

#[cfg(test)]
impl Walk {
    /// [`Walk::series`] without the plain way.
    pub(super) fn series_at_length(&mut self, message: &[u8], series: Fields<'_>) -> Result<(), WireError> {
        self.any_series(message, series)?;
        self.position += 1;
        Ok(())
    }
}
