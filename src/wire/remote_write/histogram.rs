//! Native histograms of a series.
//!
//! Counts of buckets come as integers, each as its difference from the one before, or as floats. Which of
//! the two a histogram has, the kind of its total count says.

use std::sync::Arc;

use super::labels::Place;
use crate::model::limits::HISTOGRAM_PARTS_PER_BATCH_MAX;
use crate::model::{Histogram, HistogramCounts, HistogramError, HistogramSample, ResetHint, Span, Timestamp};
use crate::wire::WireError;
use crate::wire::packed::{added_up, deltas, doubles, small, span};
use crate::wire::protobuf::{Fault, Field};

/// What a body has too many of.
pub(super) fn too_many(what: &'static str, max: usize) -> WireError {
    WireError::TooMany { what, max }
}

/// A histogram as the message says it.
#[derive(Debug, Default)]
pub(super) struct RawHistogram {
    pub(super) t: Timestamp,
    /// The total count of a float histogram.
    float_count: Option<f64>,
    count: u64,
    sum: f64,
    schema: i32,
    zero_threshold: f64,
    zero: u64,
    float_zero: f64,
    negative: Side,
    positive: Side,
    reset_hint: ResetHint,
    bounds: Vec<f64>,
}

/// The buckets on one side of zero.
#[derive(Debug, Default)]
struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

impl RawHistogram {
    /// Reads the histogram in a field. `parts` is how many buckets, spans and bounds the body has so far.
    pub(super) fn read(field: Field<'_>, place: Place, parts: &mut usize) -> Result<RawHistogram, WireError> {
        let at = |fault: Fault| fault.at(place);
        let mut message = field.bytes().map_err(at)?;
        let mut raw = RawHistogram::default();
        let before = *parts;
        while let Some(field) = message.next().map_err(at)? {
            raw.take(field).map_err(at)?;
            *parts = before + raw.parts();
            if *parts > HISTOGRAM_PARTS_PER_BATCH_MAX {
                return Err(too_many("buckets, spans and bounds of native histograms", HISTOGRAM_PARTS_PER_BATCH_MAX));
            }
        }
        Ok(raw)
    }

    fn take(&mut self, field: Field<'_>) -> Result<(), Fault> {
        match field.number {
            // Of the two kinds of total count, the last one counts.
            1 => (self.count, self.float_count) = (field.uint64()?, None),
            2 => self.float_count = Some(field.double()?),
            3 => self.sum = field.double()?,
            4 => self.schema = small(field, field.sint64()?)?,
            5 => self.zero_threshold = field.double()?,
            6 => self.zero = field.uint64()?,
            7 => self.float_zero = field.double()?,
            8 => self.negative.spans.push(span(field)?),
            9 => deltas(field, &mut self.negative.deltas)?,
            10 => doubles(field, &mut self.negative.counts)?,
            11 => self.positive.spans.push(span(field)?),
            12 => deltas(field, &mut self.positive.deltas)?,
            13 => doubles(field, &mut self.positive.counts)?,
            14 => {
                self.reset_hint = match field.uint64()? {
                    1 => ResetHint::Reset,
                    2 => ResetHint::NoReset,
                    3 => ResetHint::Gauge,
                    _ => ResetHint::Unknown,
                };
            }
            15 => self.t = Timestamp(field.int64()?),
            16 => doubles(field, &mut self.bounds)?,
            _ => {}
        }
        Ok(())
    }

    fn parts(&self) -> usize {
        let side = |side: &Side| side.spans.len() + side.deltas.len() + side.counts.len();
        side(&self.negative) + side(&self.positive) + self.bounds.len()
    }

    /// The histogram. Whether it is sound, the store decides.
    pub(super) fn histogram(self) -> Result<HistogramSample, HistogramError> {
        let counts = match self.float_count {
            Some(count) => HistogramCounts::Float {
                count,
                zero: self.float_zero,
                positive: self.positive.counts,
                negative: self.negative.counts,
            },
            None => HistogramCounts::Integer {
                count: self.count,
                zero: self.zero,
                positive: added_up(&self.positive.deltas).ok_or(HistogramError::NegativeCount)?,
                negative: added_up(&self.negative.deltas).ok_or(HistogramError::NegativeCount)?,
            },
        };
        let histogram = Histogram {
            reset_hint: self.reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            sum: self.sum,
            positive_spans: self.positive.spans,
            negative_spans: self.negative.spans,
            bounds: self.bounds,
            counts,
        };
        Ok(HistogramSample { t: self.t, start: Timestamp(0), histogram: Arc::new(histogram) })
    }
}
