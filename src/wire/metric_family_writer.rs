//! Writes metric families in Prometheus' protobuf format: for `/federate`, for tools and for tests.

use super::metric_family::PointValue;
use super::protobuf::{FieldWriter, to_zigzag};
use super::remote_write_encoder::{deltas, doubles, span_message};
use crate::model::{CUSTOM_SCHEMA, Histogram, HistogramCounts, Labels, MetricKind, Span, Timestamp};

/// Appends the message of a family with its length before it. Each metric is its labels without the
/// name, its value and its time. The kind is of numbers untyped, and of native histograms one of theirs.
pub fn push_family(out: &mut Vec<u8>, name: &str, kind: MetricKind, metrics: &[(Labels, PointValue, Timestamp)]) {
    let mut family = FieldWriter::default();
    family.bytes_field(1, name.as_bytes());
    family.int64_field(
        3,
        match kind {
            MetricKind::Histogram => 4,
            MetricKind::GaugeHistogram => 5,
            _ => 3,
        },
    );
    let mut metric = FieldWriter::default();
    for (labels, value, t) in metrics {
        metric.bytes.clear();
        for label in labels.iter() {
            let mut pair = FieldWriter::default();
            pair.bytes_field(1, label.name.as_bytes());
            pair.bytes_field(2, label.value.as_bytes());
            metric.bytes_field(1, &pair.bytes);
        }
        match value {
            PointValue::Number(v) => {
                let mut untyped = FieldWriter::default();
                untyped.double_field(1, *v);
                metric.bytes_field(5, &untyped.bytes);
            }
            PointValue::Histogram(histogram) => metric.bytes_field(7, &histogram_message(histogram)),
        }
        metric.int64_field(6, t.0);
        family.bytes_field(4, &metric.bytes);
    }
    let mut length = FieldWriter::default();
    length.varint(family.bytes.len() as u64);
    out.extend(length.bytes);
    out.extend(family.bytes);
}

/// A `io.prometheus.client.Histogram`. It has no custom bounds, so that such a histogram is one of classic buckets.
fn histogram_message(histogram: &Histogram) -> Vec<u8> {
    let mut message = FieldWriter::default();
    message.double_field(2, histogram.sum);
    match &histogram.counts {
        HistogramCounts::Integer { count, .. } => message.int64_field(1, count.cast_signed()),
        HistogramCounts::Float { count, .. } => message.double_field(4, *count),
    }
    if histogram.schema == CUSTOM_SCHEMA {
        push_classic_buckets(&mut message, histogram);
        return message.bytes;
    }
    message.int64_field(5, to_zigzag(i64::from(histogram.schema)).cast_signed());
    message.double_field(6, histogram.zero_threshold);
    for (number, spans) in [(9, &histogram.negative_spans), (12, &histogram.positive_spans)] {
        spans.iter().for_each(|span| message.bytes_field(number, &span_message(*span)));
    }
    match &histogram.counts {
        HistogramCounts::Integer { zero, positive, negative, .. } => {
            message.int64_field(7, zero.cast_signed());
            message.bytes_field(10, &deltas(negative));
            message.bytes_field(13, &deltas(positive));
        }
        HistogramCounts::Float { zero, positive, negative, .. } => {
            message.double_field(8, *zero);
            message.bytes_field(11, &doubles(negative));
            message.bytes_field(14, &doubles(positive));
        }
    }
    if histogram.zero_threshold == 0.0 && histogram.positive_spans.is_empty() && histogram.negative_spans.is_empty() {
        // Without any span it would pass for a classic one.
        message.bytes_field(12, &span_message(Span { offset: 0, length: 0 }));
    }
    message.bytes
}

/// Of each bound how many observations are up to it.
fn push_classic_buckets(message: &mut FieldWriter, histogram: &Histogram) {
    let counts: Vec<f64> = match &histogram.counts {
        HistogramCounts::Integer { positive, .. } => positive.iter().map(|count| *count as f64).collect(),
        HistogramCounts::Float { positive, .. } => positive.clone(),
    };
    let is_float = matches!(histogram.counts, HistogramCounts::Float { .. });
    let mut own = vec![0.0; histogram.bounds.len() + 1];
    let (mut at, mut rest) = (0usize, counts.iter());
    for span in &histogram.positive_spans {
        at = at.saturating_add_signed(span.offset as isize);
        for count in rest.by_ref().take(span.length as usize) {
            if let Some(bucket) = own.get_mut(at) {
                *bucket = *count;
            }
            at += 1;
        }
    }
    let mut below = 0.0;
    for (bound, count) in histogram.bounds.iter().chain([&f64::INFINITY]).zip(own) {
        below += count;
        let mut bucket = FieldWriter::default();
        match is_float {
            true => bucket.double_field(4, below),
            false => bucket.int64_field(1, (below as u64).cast_signed()),
        }
        bucket.double_field(2, *bound);
        message.bytes_field(3, &bucket.bytes);
    }
}
