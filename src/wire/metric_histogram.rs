//! A histogram of a metric family: classic buckets, native ones, or both.

use super::metric_family::{PointExemplar, exemplar_of, time};
use super::packed::{added_up, deltas, doubles, small, span};
use super::protobuf::{Fault, Field, Fields};
use crate::model::limits::HISTOGRAM_PARTS_PER_BATCH_MAX;
use crate::model::{CUSTOM_SCHEMA, Histogram, HistogramCounts, ResetHint, Span, Timestamp};

/// Why a histogram cannot be read.
pub(super) enum ReadError {
    /// Its bytes are no such message.
    Fault(Fault),
    /// The body has more of them than it may.
    TooMany,
}

impl From<Fault> for ReadError {
    fn from(fault: Fault) -> ReadError {
        ReadError::Fault(fault)
    }
}

/// A histogram as the message says it.
#[derive(Default)]
pub(super) struct RawHistogram<'a> {
    integer_count: u64,
    float_count: f64,
    pub(super) sum: f64,
    pub(super) buckets: Vec<ClassicBucket<'a>>,
    pub(super) created: Option<Timestamp>,
    schema: i32,
    zero_threshold: f64,
    zero: u64,
    float_zero: f64,
    negative: Side,
    positive: Side,
    pub(super) exemplars: Vec<PointExemplar<'a>>,
}

/// A classic bucket: all observations up to its bound.
pub(super) struct ClassicBucket<'a> {
    pub(super) bound: f64,
    pub(super) count: f64,
    is_float: bool,
    pub(super) exemplar: Option<PointExemplar<'a>>,
}

/// The native buckets on one side of zero.
#[derive(Default)]
struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

impl<'a> RawHistogram<'a> {
    /// `parts` is how many buckets, spans, bounds and exemplars all histograms of the body have so far.
    pub(super) fn read(mut fields: Fields<'a>, parts: &mut usize) -> Result<RawHistogram<'a>, ReadError> {
        let mut raw = RawHistogram::default();
        let before = *parts;
        while let Some(field) = fields.next()? {
            raw.take(field)?;
            *parts = before + raw.parts();
            if *parts > HISTOGRAM_PARTS_PER_BATCH_MAX {
                return Err(ReadError::TooMany);
            }
        }
        Ok(raw)
    }

    fn take(&mut self, field: Field<'a>) -> Result<(), Fault> {
        match field.number {
            1 => self.integer_count = field.uint64()?,
            2 => self.sum = field.double()?,
            3 => self.buckets.push(classic_bucket(field)?),
            4 => self.float_count = field.double()?,
            5 => self.schema = small(field, field.sint64()?)?,
            6 => self.zero_threshold = field.double()?,
            7 => self.zero = field.uint64()?,
            8 => self.float_zero = field.double()?,
            9 => self.negative.spans.push(span(field)?),
            10 => deltas(field, &mut self.negative.deltas)?,
            11 => doubles(field, &mut self.negative.counts)?,
            12 => self.positive.spans.push(span(field)?),
            13 => deltas(field, &mut self.positive.deltas)?,
            14 => doubles(field, &mut self.positive.counts)?,
            15 => self.created = Some(time(field)?),
            16 => self.exemplars.push(exemplar_of(field)?),
            _ => {}
        }
        Ok(())
    }

    fn parts(&self) -> usize {
        let side = |side: &Side| side.spans.len() + side.deltas.len() + side.counts.len();
        side(&self.negative) + side(&self.positive) + self.buckets.len() + self.exemplars.len()
    }

    /// All observations. Of the two counts only that of its kind is there.
    pub(super) fn count(&self) -> f64 {
        if self.float_count > 0.0 { self.float_count } else { self.integer_count as f64 }
    }

    /// Whether it has native buckets, be they empty: then a threshold or a span without length says so.
    pub(super) fn is_native(&self) -> bool {
        let spans = !self.positive.spans.is_empty() || !self.negative.spans.is_empty();
        spans || self.zero_threshold > 0.0 || self.zero > 0 || self.float_zero > 0.0
    }

    /// The native histogram.
    pub(super) fn native(&self, reset_hint: ResetHint) -> Result<Histogram, &'static str> {
        let is_float = self.float_count > 0.0 || self.float_zero > 0.0;
        let counts = if is_float {
            HistogramCounts::Float {
                count: self.float_count,
                zero: self.float_zero,
                positive: self.positive.counts.clone(),
                negative: self.negative.counts.clone(),
            }
        } else {
            HistogramCounts::Integer {
                count: self.integer_count,
                zero: self.zero,
                positive: added_up(&self.positive.deltas).ok_or(NEGATIVE)?,
                negative: added_up(&self.negative.deltas).ok_or(NEGATIVE)?,
            }
        };
        Ok(Histogram {
            reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            sum: self.sum,
            positive_spans: self.positive.spans.iter().copied().filter(|span| *span != NO_SPAN).collect(),
            negative_spans: self.negative.spans.iter().copied().filter(|span| *span != NO_SPAN).collect(),
            bounds: Vec::new(),
            counts,
        })
    }

    /// The classic buckets as a native histogram with custom bounds.
    pub(super) fn converted(&self, reset_hint: ResetHint) -> Result<Histogram, &'static str> {
        let is_float = self.float_count > 0.0 || self.buckets.iter().any(|bucket| bucket.is_float);
        let (mut bounds, mut counts, mut before) = (Vec::new(), Vec::new(), 0.0);
        for bucket in &self.buckets {
            if bounds.last().is_some_and(|last| *last >= bucket.bound) || bucket.bound.is_nan() {
                return Err("the bounds of a histogram's buckets do not rise");
            }
            if bucket.count < before {
                return Err("the counts of a histogram's buckets fall");
            }
            if bucket.bound < f64::INFINITY {
                bounds.push(bucket.bound);
                counts.push(bucket.count - before);
                before = bucket.count;
            }
        }
        let last = self.buckets.last().filter(|bucket| bucket.bound == f64::INFINITY);
        let all = last.map_or(0.0, |bucket| bucket.count).max(self.count());
        if all < before {
            return Err("the counts of a histogram's buckets fall");
        }
        counts.push(all - before);
        let span = Span { offset: 0, length: u32::try_from(counts.len()).unwrap_or(u32::MAX) };
        let counts = if is_float {
            HistogramCounts::Float { count: all, zero: 0.0, positive: counts, negative: Vec::new() }
        } else {
            // Differences of integers below 2^53, which floats hold exactly; others were counted wrongly before.
            let positive = counts.iter().map(|count| *count as u64).collect::<Vec<_>>();
            HistogramCounts::Integer { count: positive.iter().sum(), zero: 0, positive, negative: Vec::new() }
        };
        Ok(Histogram {
            reset_hint,
            schema: CUSTOM_SCHEMA,
            zero_threshold: 0.0,
            sum: self.sum,
            positive_spans: vec![span],
            negative_spans: Vec::new(),
            bounds,
            counts,
        })
    }
}

const NEGATIVE: &str = "a bucket of a histogram has a negative count";

/// Says that a histogram without any observation is a native one.
const NO_SPAN: Span = Span { offset: 0, length: 0 };

fn classic_bucket(field: Field<'_>) -> Result<ClassicBucket<'_>, Fault> {
    let mut bucket = ClassicBucket { bound: 0.0, count: 0.0, is_float: false, exemplar: None };
    let mut fields = field.bytes()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 if !bucket.is_float => bucket.count = field.uint64()? as f64,
            2 => bucket.bound = field.double()?,
            3 => bucket.exemplar = Some(exemplar_of(field)?),
            4 => {
                let count = field.double()?;
                if count > 0.0 {
                    (bucket.count, bucket.is_float) = (count, true);
                }
            }
            _ => {}
        }
    }
    Ok(bucket)
}
