//! Writes remote-write 1.0 bodies: for sending on, for tools and for tests.

use super::protobuf::{FieldWriter, to_zigzag};
use crate::model::{Batch, Histogram, HistogramCounts, HistogramSample, ResetHint, Span};

/// A batch as a remote-write 1.0 body: a snappy block that holds a `prometheus.WriteRequest`.
pub fn encode_remote_write(batch: &Batch) -> Vec<u8> {
    let mut request = FieldWriter::default();
    let (mut series, mut part) = (FieldWriter::default(), FieldWriter::default());
    let mut samples = batch.samples().iter().peekable();
    let mut histograms = batch.histograms().iter().peekable();
    for (index, labels) in batch.series().iter().enumerate() {
        series.bytes.clear();
        for label in labels.iter() {
            part.bytes.clear();
            part.bytes_field(1, label.name.as_bytes());
            part.bytes_field(2, label.value.as_bytes());
            series.bytes_field(1, &part.bytes);
        }
        while let Some(sample) = samples.next_if(|sample| sample.series as usize == index) {
            part.bytes.clear();
            part.double_field(1, sample.sample.v);
            part.int64_field(2, sample.sample.t.0);
            series.bytes_field(2, &part.bytes);
        }
        while let Some(histogram) = histograms.next_if(|histogram| histogram.series as usize == index) {
            series.bytes_field(4, &histogram_message(&histogram.sample));
        }
        request.bytes_field(1, &series.bytes);
    }
    snap::raw::Encoder::new().compress_vec(&request.bytes).expect("a batch stays far below the 4 GiB of a snappy block")
}

/// A native histogram as a `prometheus.Histogram`.
pub(super) fn histogram_message(sample: &HistogramSample) -> Vec<u8> {
    let Histogram { reset_hint, schema, zero_threshold, sum, positive_spans, negative_spans, bounds, counts } =
        &*sample.histogram;
    let mut message = FieldWriter::default();
    match counts {
        HistogramCounts::Integer { count, zero, .. } => {
            message.int64_field(1, count.cast_signed());
            message.int64_field(6, zero.cast_signed());
        }
        HistogramCounts::Float { count, zero, .. } => {
            message.double_field(2, *count);
            message.double_field(7, *zero);
        }
    }
    message.double_field(3, *sum);
    message.int64_field(4, to_zigzag(i64::from(*schema)).cast_signed());
    message.double_field(5, *zero_threshold);
    for (number, spans) in [(8, negative_spans), (11, positive_spans)] {
        spans.iter().for_each(|span| message.bytes_field(number, &span_message(*span)));
    }
    match counts {
        HistogramCounts::Integer { positive, negative, .. } => {
            message.bytes_field(9, &deltas(negative));
            message.bytes_field(12, &deltas(positive));
        }
        HistogramCounts::Float { positive, negative, .. } => {
            message.bytes_field(10, &doubles(negative));
            message.bytes_field(13, &doubles(positive));
        }
    }
    let hint = match reset_hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NoReset => 2,
        ResetHint::Gauge => 3,
    };
    message.int64_field(14, hint);
    message.int64_field(15, sample.t.0);
    message.bytes_field(16, &doubles(bounds));
    message.bytes
}

/// A run of buckets.
pub(super) fn span_message(span: Span) -> Vec<u8> {
    let mut message = FieldWriter::default();
    message.int64_field(1, to_zigzag(i64::from(span.offset)).cast_signed());
    message.int64_field(2, i64::from(span.length));
    message.bytes
}

/// Counts as their differences, packed.
pub(super) fn deltas(counts: &[u64]) -> Vec<u8> {
    let mut packed = FieldWriter::default();
    let mut before = 0u64;
    for count in counts {
        packed.varint(to_zigzag(count.wrapping_sub(before).cast_signed()));
        before = *count;
    }
    packed.bytes
}

/// Doubles, packed.
pub(super) fn doubles(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
