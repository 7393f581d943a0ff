//! Remote read's stream: frames of one series each, with its samples in chunks.
//!
//! A frame is the length of its message as a varint, the message's CRC-32C in four bytes, the highest
//! first, and the message, a `prometheus.ChunkedReadResponse`.
//!
//! Source: `remote.proto`, Prometheus' published protocol.

use super::crc32c::crc32c;
use super::histogram_chunk::{chunk_length, histogram_chunk};
use super::protobuf::FieldWriter;
use super::remote_read::{ReadSeries, push_labels};
use super::xor_chunk::{CHUNK_SAMPLES, xor_chunk};
use crate::model::{Timestamp, limits};

/// The numbers of the encodings in the message.
const XOR: i64 = 1;
const HISTOGRAM: i64 = 2;
const FLOAT_HISTOGRAM: i64 = 3;

/// How much of a series is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Its samples up to this one.
    pub samples: usize,
    /// Its native histograms up to this one.
    pub histograms: usize,
}

impl Sent {
    /// Whether it is all.
    pub fn is_all_of(self, series: &ReadSeries) -> bool {
        self.samples >= series.samples.len() && self.histograms >= series.histograms.len()
    }
}

/// Appends a frame with what comes after `sent` of a series, in the order of time; as much as a frame may
/// hold. Returns what is sent with it.
pub fn read_frame(out: &mut Vec<u8>, query: usize, found: &ReadSeries, mut sent: Sent) -> Sent {
    let (mut series, mut part) = (FieldWriter::default(), FieldWriter::default());
    push_labels(&mut series, &mut part, &found.labels);
    while !sent.is_all_of(found) && series.bytes.len() < limits::READ_FRAME_BYTES_MAX {
        sent = push_chunk(&mut part, found, sent);
        series.bytes_field(2, &part.bytes);
    }
    let mut message = FieldWriter::default();
    message.bytes_field(1, &series.bytes);
    message.int64_field(2, i64::try_from(query).unwrap_or(i64::MAX));
    let mut head = FieldWriter::default();
    head.varint(message.bytes.len() as u64);
    out.extend_from_slice(&head.bytes);
    out.extend_from_slice(&crc32c(&message.bytes).to_be_bytes());
    out.extend_from_slice(&message.bytes);
    sent
}

/// Makes `part` the next chunk: samples until the next histogram, or histograms until the next sample.
fn push_chunk(part: &mut FieldWriter, found: &ReadSeries, sent: Sent) -> Sent {
    let samples = found.samples.get(sent.samples..).unwrap_or_default();
    let histograms = found.histograms.get(sent.histograms..).unwrap_or_default();
    let next_histogram = histograms.first().map_or(Timestamp::MAX, |next| next.t);
    let run = samples.iter().take(CHUNK_SAMPLES).take_while(|sample| sample.t <= next_histogram).count();
    part.bytes.clear();
    if run > 0 {
        let chunk = &samples[..run];
        push_parts(part, [chunk[0].t, chunk[run - 1].t], XOR, &xor_chunk(chunk));
        return Sent { samples: sent.samples + run, ..sent };
    }
    let next_sample = samples.first().map_or(Timestamp::MAX, |next| next.t);
    let run = histograms.iter().take(CHUNK_SAMPLES).take_while(|histogram| histogram.t <= next_sample).count();
    let chunk = &histograms[..chunk_length(&histograms[..run])];
    let encoded = histogram_chunk(chunk);
    let encoding = if encoded.is_float { FLOAT_HISTOGRAM } else { HISTOGRAM };
    if let (Some(first), Some(last)) = (chunk.first(), chunk.last()) {
        push_parts(part, [first.t, last.t], encoding, &encoded.bytes);
    }
    Sent { histograms: sent.histograms + chunk.len(), ..sent }
}

fn push_parts(part: &mut FieldWriter, ends: [Timestamp; 2], encoding: i64, chunk: &[u8]) {
    part.int64_field(1, ends[0].0);
    part.int64_field(2, ends[1].0);
    part.int64_field(3, encoding);
    part.bytes_field(4, chunk);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::model::{Histogram, HistogramCounts, HistogramSample, Labels, ResetHint, Sample};
    use crate::wire::histogram_chunk::tests::read as read_histograms;
    use crate::wire::protobuf::Fields;
    use crate::wire::xor_chunk::tests::read;

    #[test]
    fn samples_and_histograms_come_in_the_order_of_time() {
        let histogram = |t: i64, count: f64| {
            let histogram = Histogram {
                reset_hint: ResetHint::Gauge,
                schema: 0,
                zero_threshold: 0.5,
                sum: 1.0,
                positive_spans: vec![],
                negative_spans: vec![],
                bounds: vec![],
                counts: HistogramCounts::Float { count, zero: count, positive: vec![], negative: vec![] },
            };
            HistogramSample { t: Timestamp(t), start: Timestamp(0), histogram: Arc::new(histogram) }
        };
        let found = ReadSeries {
            labels: Labels::empty(),
            samples: [1, 2, 6, 9].map(|t| Sample { t: Timestamp(t), v: 0.5 }).to_vec(),
            histograms: [3, 5, 7, 8].map(|t| histogram(t, t as f64)).to_vec(),
        };
        let mut frame = Vec::new();
        assert!(read_frame(&mut frame, 0, &found, Sent::default()).is_all_of(&found));
        let head = frame.iter().position(|byte| *byte < 0x80).unwrap() + 1;
        let mut series = Fields::new(&frame[head + 4..]).next().unwrap().unwrap().bytes().unwrap();
        let mut seen = Vec::new();
        while let Some(field) = series.next().unwrap() {
            let mut chunk = field.bytes().unwrap();
            let [first, last, encoding] = [(); 3].map(|()| chunk.next().unwrap().unwrap().int64().unwrap());
            let bytes = chunk.next().unwrap().unwrap().bytes().unwrap().bytes();
            let times: Vec<i64> = match encoding {
                XOR => read(bytes).iter().map(|one| one.0).collect(),
                _ => read_histograms(bytes, encoding == FLOAT_HISTOGRAM).iter().map(|one| one.t.0).collect(),
            };
            assert_eq!((times[0], times[times.len() - 1]), (first, last));
            seen.push((encoding, times));
        }
        let expected = [(XOR, vec![1, 2]), (FLOAT_HISTOGRAM, vec![3, 5]), (XOR, vec![6])];
        let more = [(FLOAT_HISTOGRAM, vec![7, 8]), (XOR, vec![9])];
        assert_eq!(seen, [&expected[..], &more[..]].concat());
    }

    #[test]
    fn a_long_series_comes_in_frames_that_together_hold_it() {
        let labels = Labels::new([("__name__", "m")]).unwrap();
        let value = |n: i64| f64::from_bits((n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2);
        let samples: Vec<Sample> =
            (0..200_000).map(|n| Sample { t: Timestamp(n * 15_000 + n % 7), v: value(n) }).collect();
        let found = ReadSeries { labels, samples: samples.clone(), histograms: vec![] };
        let (mut sent, mut frames, mut seen) = (Sent::default(), 0, Vec::new());
        while !sent.is_all_of(&found) {
            let mut frame = Vec::new();
            sent = read_frame(&mut frame, 3, &found, sent);
            assert!(frame.len() < limits::READ_FRAME_BYTES_MAX + 8 * 1024);
            frames += 1;
            let head = frame.iter().position(|byte| *byte < 0x80).unwrap() + 1;
            let message = &frame[head + 4..];
            assert_eq!(frame[head..head + 4], crc32c(message).to_be_bytes());
            let mut fields = Fields::new(message);
            let mut series = fields.next().unwrap().unwrap().bytes().unwrap();
            assert_eq!(fields.next().unwrap().unwrap().int64(), Ok(3));
            while let Some(field) = series.next().unwrap().filter(|field| field.number <= 2) {
                if field.number == 1 {
                    continue;
                }
                let mut chunk = field.bytes().unwrap();
                let first = chunk.next().unwrap().unwrap().int64().unwrap();
                let last = chunk.next().unwrap().unwrap().int64().unwrap();
                assert_eq!(chunk.next().unwrap().unwrap().int64(), Ok(XOR));
                let inside = read(chunk.next().unwrap().unwrap().bytes().unwrap().bytes());
                assert_eq!((inside[0].0, inside[inside.len() - 1].0), (first, last));
                seen.extend(inside);
            }
        }
        assert!(frames > 1);
        let expected: Vec<(i64, u64)> = samples.iter().map(|one| (one.t.0, one.v.to_bits())).collect();
        assert_eq!(seen, expected);
    }
}
