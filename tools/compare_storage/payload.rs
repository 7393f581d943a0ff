//! Remote-write requests from parts that were encoded before.
//!
//! The labels of a series are encoded once; a request then is a copy of those bytes with a time and a
//! value behind each, compressed. (Protocol: Prometheus remote-write 1.0.)

use crate::Outcome;

/// Bytes of a sample before its time: the field's key and length, the value's key and 8 bytes.
const FIXED_BYTES: usize = 9;

/// A request's body and how many samples are in it.
pub(crate) struct Request {
    pub(crate) body: Vec<u8>,
    pub(crate) samples: usize,
}

/// The labels of a series as the fields 1 of a TimeSeries message. They must be sorted by name.
pub(crate) fn encode_labels<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut label = Vec::new();
    for (name, value) in labels {
        label.clear();
        push_text(&mut label, 0x0a, name);
        push_text(&mut label, 0x12, value);
        bytes.push(0x0a);
        push_varint(&mut bytes, label.len() as u64);
        bytes.extend_from_slice(&label);
    }
    bytes
}

fn push_text(bytes: &mut Vec<u8>, key: u8, text: &str) {
    bytes.push(key);
    push_varint(bytes, text.len() as u64);
    bytes.extend_from_slice(text.as_bytes());
}

fn push_varint(bytes: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
}

/// Builds one request after the other in the same memory.
#[derive(Default)]
pub(crate) struct RequestBuilder {
    raw: Vec<u8>,
    time: Vec<u8>,
    samples: usize,
}

impl RequestBuilder {
    /// Adds a series with one sample.
    pub(crate) fn push(&mut self, labels: &[u8], t: i64, value: f64) {
        self.time.clear();
        push_varint(&mut self.time, t as u64);
        let sample = FIXED_BYTES + 1 + self.time.len();
        self.raw.push(0x0a);
        push_varint(&mut self.raw, (labels.len() + 2 + sample) as u64);
        self.raw.extend_from_slice(labels);
        self.raw.extend_from_slice(&[0x12, sample as u8, 0x09]);
        self.raw.extend_from_slice(&value.to_bits().to_le_bytes());
        self.raw.push(0x10);
        self.raw.extend_from_slice(&self.time);
        self.samples += 1;
    }

    /// Samples so far.
    pub(crate) fn samples(&self) -> usize {
        self.samples
    }

    /// The request, compressed; begins the next one.
    pub(crate) fn finish(&mut self) -> Outcome<Request> {
        let body = snap::raw::Encoder::new().compress_vec(&self.raw)?;
        self.raw.clear();
        Ok(Request { body, samples: std::mem::take(&mut self.samples) })
    }
}
