//! Remote read's stream: frames of one series each, with its samples in chunks.
//!
//! A frame is the length of its message as a varint, the message's CRC-32C in four bytes, the highest
//! first, and the message, a `prometheus.ChunkedReadResponse`.
//!
//! Source: `remote.proto`, Prometheus' published protocol.

use super::crc32c::crc32c;
use super::protobuf::FieldWriter;
use super::remote_read::push_labels;
use super::xor_chunk::{CHUNK_SAMPLES, xor_chunk};
use crate::model::{Labels, Sample, limits};

/// The number of the encoding in the message.
const XOR: i64 = 1;

/// Appends a frame with the samples of a series from `from` on; as many as a frame may hold. Returns
/// where the next one of this series begins.
pub fn read_frame(out: &mut Vec<u8>, query: usize, labels: &Labels, samples: &[Sample], from: usize) -> usize {
    let (mut series, mut part) = (FieldWriter::default(), FieldWriter::default());
    push_labels(&mut series, &mut part, labels);
    let mut at = from;
    while at < samples.len() && series.bytes.len() < limits::READ_FRAME_BYTES_MAX {
        let chunk = &samples[at..samples.len().min(at + CHUNK_SAMPLES)];
        part.bytes.clear();
        if let (Some(first), Some(last)) = (chunk.first(), chunk.last()) {
            part.int64_field(1, first.t.0);
            part.int64_field(2, last.t.0);
        }
        part.int64_field(3, XOR);
        part.bytes_field(4, &xor_chunk(chunk));
        series.bytes_field(2, &part.bytes);
        at += chunk.len();
    }
    let mut message = FieldWriter::default();
    message.bytes_field(1, &series.bytes);
    message.int64_field(2, i64::try_from(query).unwrap_or(i64::MAX));
    let mut head = FieldWriter::default();
    head.varint(message.bytes.len() as u64);
    out.extend_from_slice(&head.bytes);
    out.extend_from_slice(&crc32c(&message.bytes).to_be_bytes());
    out.extend_from_slice(&message.bytes);
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::wire::protobuf::Fields;
    use crate::wire::xor_chunk::tests::read;

    #[test]
    fn a_long_series_comes_in_frames_that_together_hold_it() {
        let labels = Labels::new([("__name__", "m")]).unwrap();
        let value = |n: i64| f64::from_bits((n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2);
        let samples: Vec<Sample> =
            (0..200_000).map(|n| Sample { t: Timestamp(n * 15_000 + n % 7), v: value(n) }).collect();
        let (mut from, mut frames, mut seen) = (0, 0, Vec::new());
        while from < samples.len() {
            let mut frame = Vec::new();
            from = read_frame(&mut frame, 3, &labels, &samples, from);
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
