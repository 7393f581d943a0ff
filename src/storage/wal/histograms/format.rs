//! Byte layout of the part of a transaction that holds native histograms. `storage-format.md` describes
//! it; change both together.

use std::sync::Arc;

use crate::codec::{Cursor, Damaged, put_histogram, put_signed, put_varint, signed, take_histogram, unsigned};
use crate::model::{HistogramSample, SeriesRef, Timestamp};

/// Collects the part.
#[derive(Debug, Default)]
pub(in crate::storage::wal) struct HistogramEncoder {
    bytes: Vec<u8>,
    number: u32,
    t: i64,
}

impl HistogramEncoder {
    /// Begins a transaction of log time `at`.
    pub(in crate::storage::wal) fn begin(&mut self, at: Timestamp) {
        self.bytes.clear();
        // The number before the first one is -1.
        (self.number, self.t) = (u32::MAX, at.0);
    }

    /// Adds a histogram of series `number`.
    pub(in crate::storage::wal) fn put(&mut self, number: u32, sample: &HistogramSample) {
        let step = number.wrapping_sub(self.number).wrapping_sub(1).cast_signed();
        put_varint(&mut self.bytes, unsigned(i64::from(step)));
        put_signed(&mut self.bytes, sample.t.0.wrapping_sub(self.t));
        put_histogram(&mut self.bytes, &sample.histogram);
        (self.number, self.t) = (number, sample.t.0);
    }

    /// The part.
    pub(in crate::storage::wal) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Appends the histograms of a part to `out`, series by their numbers. `at` is the entry's log time.
pub(in crate::storage::wal) fn take_histograms(
    part: &[u8],
    at: Timestamp,
    out: &mut Vec<(SeriesRef, HistogramSample)>,
) -> Result<(), Damaged> {
    let (mut from, mut number, mut t) = (Cursor::new(part), u32::MAX, at.0);
    while from.remaining() > 0 {
        let step = i32::try_from(signed(from.varint()?)).map_err(|_| Damaged("a series number is over 32 bits"))?;
        number = number.wrapping_add(1).wrapping_add_signed(step);
        t = t.wrapping_add(from.signed()?);
        let histogram = Arc::new(take_histogram(&mut from)?);
        out.push((SeriesRef(u64::from(number)), HistogramSample { t: Timestamp(t), start: Timestamp(0), histogram }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Histogram, HistogramCounts, ResetHint, Span};

    #[test]
    fn histograms_come_back_with_their_series_and_times() {
        let histogram = |n: u64| Histogram {
            reset_hint: ResetHint::Gauge,
            schema: 2,
            zero_threshold: 0.25,
            sum: n as f64,
            positive_spans: vec![Span { offset: -3, length: 2 }],
            negative_spans: vec![],
            bounds: vec![],
            counts: HistogramCounts::Integer { count: 3 * n, zero: n, positive: vec![0, 2 * n], negative: vec![] },
        };
        let samples: Vec<(SeriesRef, HistogramSample)> =
            [(7, 100), (8, 100), (2, i64::MIN), (u32::MAX, i64::MAX), (0, 0)]
                .map(|(number, t)| {
                    let histogram = Arc::new(histogram(u64::from(number) + 1));
                    (SeriesRef(u64::from(number)), HistogramSample { t: Timestamp(t), start: Timestamp(0), histogram })
                })
                .to_vec();
        let mut encoder = HistogramEncoder::default();
        encoder.begin(Timestamp(100));
        encoder.put(7, &samples[0].1);
        // Series and time, hint, integers, schema, threshold, spans, no bounds, sum, counts.
        let expected = "0e00 03 00 04 000000000000d03f 010502 00 00 0000000000002040 00080020";
        let hex: String = encoder.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected.replace(' ', ""), "as the document says");
        for at in [Timestamp(100), Timestamp(-5)] {
            encoder.begin(at);
            samples.iter().for_each(|(series, sample)| encoder.put(series.0 as u32, sample));
            let mut back = Vec::new();
            take_histograms(encoder.bytes(), at, &mut back).unwrap();
            assert_eq!(back, samples);
            assert!(take_histograms(&encoder.bytes()[..encoder.bytes().len() - 1], at, &mut back).is_err());
        }
    }
}
