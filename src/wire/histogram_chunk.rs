//! Prometheus' chunks of native histograms, as remote read streams them.
//!
//! A count of two bytes, a byte of flags, what all histograms of the chunk have in common, then the histograms:
//! the first whole; of an integer histogram after it the changes of the differences to the one before, of a
//! float histogram the bits that differ.
//!
//! Invariants:
//! - All histograms of a chunk have the same buckets, and none after the first comes after a reset: readers
//!   take that for granted.
//! - A mark of staleness has a chunk for itself.
//!
//! Source: Prometheus' chunk format document, and `varbit.go` for the widths that it refers to.

use crate::model::{CUSTOM_SCHEMA, Histogram, HistogramCounts, HistogramSample, ResetHint, Span};

use super::xor_chunk::{BitWriter, CHUNK_SAMPLES, ValueWriter, fits};

/// What flags say of the first histogram of a chunk; of the others they say it too if they are a gauge's.
const RESET: u8 = 0b1000_0000;
const NO_RESET: u8 = 0b0100_0000;
const GAUGE: u8 = 0b1100_0000;

/// Widths of numbers, each with a one more before the zero that ends its prefix.
const WIDTHS: [u32; 7] = [3, 6, 9, 12, 18, 25, 56];

/// A chunk.
#[derive(Debug)]
pub(super) struct HistogramChunk {
    /// Whether counts are floats.
    pub(super) is_float: bool,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
}

/// How many histograms from the first on one chunk can hold. They are in the order of time.
pub(super) fn chunk_length(histograms: &[HistogramSample]) -> usize {
    let pairs = histograms.windows(2).take(CHUNK_SAMPLES - 1);
    let together = pairs.take_while(|pair| continues(&pair[0].histogram, &pair[1].histogram)).count();
    (together + 1).min(histograms.len())
}

/// Whether a histogram may follow another in a chunk.
fn continues(before: &Histogram, now: &Histogram) -> bool {
    let same = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
    let alike = before.schema == now.schema
        && before.zero_threshold.to_bits() == now.zero_threshold.to_bits()
        && before.positive_spans == now.positive_spans
        && before.negative_spans == now.negative_spans
        && same(&before.bounds, &now.bounds);
    if !alike || before.is_stale() || now.is_stale() {
        return false;
    }
    let gauges = [before, now].map(|histogram| histogram.reset_hint == ResetHint::Gauge);
    match (gauges, now.reset_hint) {
        ([true, true], _) => is_float(before) == is_float(now),
        ([false, false], ResetHint::NoReset) => is_float(before) == is_float(now),
        ([false, false], ResetHint::Unknown) => nothing_falls(&before.counts, &now.counts),
        _ => false,
    }
}

fn is_float(histogram: &Histogram) -> bool {
    matches!(histogram.counts, HistogramCounts::Float { .. })
}

/// Whether no count is below the one before: then nothing was reset.
fn nothing_falls(before: &HistogramCounts, now: &HistogramCounts) -> bool {
    fn rises<T: PartialOrd>(before: &[T], now: &[T]) -> bool {
        before.len() == now.len() && before.iter().zip(now).all(|(before, now)| before <= now)
    }
    match (before, now) {
        (
            HistogramCounts::Integer { count, zero, positive, negative },
            HistogramCounts::Integer { count: c, zero: z, positive: p, negative: n },
        ) => rises(&[*count, *zero], &[*c, *z]) && rises(positive, p) && rises(negative, n),
        (
            HistogramCounts::Float { count, zero, positive, negative },
            HistogramCounts::Float { count: c, zero: z, positive: p, negative: n },
        ) => rises(&[*count, *zero], &[*c, *z]) && rises(positive, p) && rises(negative, n),
        _ => false,
    }
}

/// The chunk of histograms of which [`chunk_length`] says that one can hold them.
pub(super) fn histogram_chunk(histograms: &[HistogramSample]) -> HistogramChunk {
    let count = u16::try_from(histograms.len()).unwrap_or(u16::MAX);
    let Some(first) = histograms.first().map(|first| &*first.histogram) else {
        return HistogramChunk { is_float: false, bytes: vec![0, 0, 0] };
    };
    let flags = match first.reset_hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => RESET,
        ResetHint::NoReset => NO_RESET,
        ResetHint::Gauge => GAUGE,
    };
    let [high, low] = count.to_be_bytes();
    let mut bits = BitWriter { bytes: vec![high, low, flags], free: 0 };
    if first.is_stale() {
        push_layout(&mut bits, 0.0, 0, [&[], &[]], &[]);
    } else {
        let spans = [&*first.positive_spans, &*first.negative_spans];
        push_layout(&mut bits, first.zero_threshold, first.schema, spans, &first.bounds);
    }
    let (mut times, mut sum) = (Changes::default(), ValueWriter::default());
    let mut integers: Vec<Changes> = Vec::new();
    let mut floats: Vec<ValueWriter> = Vec::new();
    for sample in histograms.iter().take(usize::from(count)) {
        times.push(&mut bits, sample.t.0);
        let numbers = Numbers::of(&sample.histogram);
        match numbers {
            Numbers::Integers(numbers) => {
                integers.resize_with(numbers.len(), Changes::default);
                let (totals, buckets) = numbers.split_at(2);
                let (of_totals, of_buckets) = integers.split_at_mut(2);
                of_totals.iter_mut().zip(totals).for_each(|(changes, n)| changes.push_unsigned(&mut bits, *n));
                sum.push_or_begin(&mut bits, sample.histogram.sum.to_bits());
                of_buckets.iter_mut().zip(buckets).for_each(|(changes, n)| changes.push(&mut bits, *n));
            }
            Numbers::Floats(numbers) => {
                floats.resize_with(numbers.len(), ValueWriter::default);
                let (totals, buckets) = numbers.split_at(2);
                let (of_totals, of_buckets) = floats.split_at_mut(2);
                of_totals.iter_mut().zip(totals).for_each(|(values, v)| values.push_or_begin(&mut bits, v.to_bits()));
                sum.push_or_begin(&mut bits, sample.histogram.sum.to_bits());
                of_buckets.iter_mut().zip(buckets).for_each(|(values, v)| values.push_or_begin(&mut bits, v.to_bits()));
            }
        }
    }
    HistogramChunk { is_float: is_float(first), bytes: bits.bytes }
}

/// The counts in the order of the chunk: all, those at zero, the buckets above it and below; of integers the
/// buckets as their differences to the one before. A mark of staleness has no buckets.
enum Numbers {
    Integers(Vec<i64>),
    Floats(Vec<f64>),
}

impl Numbers {
    fn of(histogram: &Histogram) -> Numbers {
        match &histogram.counts {
            HistogramCounts::Integer { .. } if histogram.is_stale() => Numbers::Integers(vec![0, 0]),
            HistogramCounts::Float { .. } if histogram.is_stale() => Numbers::Floats(vec![0.0, 0.0]),
            HistogramCounts::Integer { count, zero, positive, negative } => {
                let mut numbers = vec![count.cast_signed(), zero.cast_signed()];
                for buckets in [positive, negative] {
                    let mut before = 0u64;
                    numbers.extend(buckets.iter().map(|n| {
                        let difference = n.wrapping_sub(before).cast_signed();
                        before = *n;
                        difference
                    }));
                }
                Numbers::Integers(numbers)
            }
            HistogramCounts::Float { count, zero, positive, negative } => {
                Numbers::Floats([*count, *zero].iter().chain(positive).chain(negative).copied().collect())
            }
        }
    }
}

fn push_layout(bits: &mut BitWriter, zero_threshold: f64, schema: i32, spans: [&[Span]; 2], bounds: &[f64]) {
    push_zero_threshold(bits, zero_threshold);
    push_signed(bits, i64::from(schema));
    for spans in spans {
        push_unsigned(bits, spans.len() as u64);
        for span in spans {
            push_unsigned(bits, u64::from(span.length));
            push_signed(bits, i64::from(span.offset));
        }
    }
    if schema == CUSTOM_SCHEMA {
        push_unsigned(bits, bounds.len() as u64);
        bounds.iter().for_each(|bound| push_bound(bits, *bound));
    }
}

/// One byte for zero and for usual powers of two, nine for others.
fn push_zero_threshold(bits: &mut BitWriter, threshold: f64) {
    /// Powers of two from -243 to 10 have bytes from 1 to 254.
    const FIRST_POWER: i64 = -244;
    let raw = threshold.to_bits();
    let power = (raw >> 52 & 0x7ff).cast_signed() - 1023;
    let is_power = raw << 12 == 0 && threshold > 0.0;
    match u8::try_from(power - FIRST_POWER) {
        _ if raw == 0 => bits.push(0, 8),
        Ok(byte @ 1..=254) if is_power => bits.push(u64::from(byte), 8),
        _ => {
            bits.push(255, 8);
            bits.push(raw, 64);
        }
    }
}

/// Thousandths in few bits, other bounds whole.
fn push_bound(bits: &mut BitWriter, bound: f64) {
    /// Up to which one fits into four bytes.
    const THOUSANDTHS_MAX: f64 = 33_554_430.0;
    let thousandths = (bound * 1000.0).round();
    let is_whole = (0.0..=THOUSANDTHS_MAX).contains(&thousandths) && thousandths / 1000.0 == bound;
    // Zero has a sign, which the short form has not.
    if is_whole && bound.is_sign_positive() && bound * 1000.0 <= THOUSANDTHS_MAX {
        push_unsigned(bits, thousandths as u64 + 1);
    } else {
        bits.push(0, 1);
        bits.push(bound.to_bits(), 64);
    }
}

fn push_signed(bits: &mut BitWriter, n: i64) {
    push_prefixed(bits, n.cast_unsigned(), |width| fits(n, width));
}

fn push_unsigned(bits: &mut BitWriter, n: u64) {
    push_prefixed(bits, n, |width| n >> width == 0);
}

fn push_prefixed(bits: &mut BitWriter, n: u64, fits: impl Fn(u32) -> bool) {
    if n == 0 {
        return bits.push(0, 1);
    }
    match WIDTHS.iter().zip(2..).find(|(width, _)| fits(**width)) {
        Some((width, length)) => {
            // Ones, and a zero behind them.
            bits.push((1 << length) - 2, length);
            bits.push(n, *width);
        }
        None => {
            bits.push(0xff, 8);
            bits.push(n, 64);
        }
    }
}

/// Writes a number whole, and from then on how much its differences change.
#[derive(Default)]
struct Changes {
    before: Option<i64>,
    difference: i64,
}

impl Changes {
    fn push(&mut self, bits: &mut BitWriter, n: i64) {
        match self.before {
            None => push_signed(bits, n),
            Some(before) => self.push_change(bits, before, n),
        }
        self.before = Some(n);
    }

    /// The same of a number that is whole without its sign.
    fn push_unsigned(&mut self, bits: &mut BitWriter, n: i64) {
        match self.before {
            None => push_unsigned(bits, n.cast_unsigned()),
            Some(before) => self.push_change(bits, before, n),
        }
        self.before = Some(n);
    }

    fn push_change(&mut self, bits: &mut BitWriter, before: i64, n: i64) {
        let difference = n.wrapping_sub(before);
        push_signed(bits, difference.wrapping_sub(self.difference));
        self.difference = difference;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{STALE_NAN, Timestamp};
    use crate::wire::xor_chunk::tests::{BitReader, Xorshift};

    fn signed(bits: &mut BitReader<'_>) -> i64 {
        let (raw, width) = prefixed(bits);
        if width < 64 && width > 0 && raw > 1 << (width - 1) { raw as i64 - (1 << width) } else { raw as i64 }
    }

    fn prefixed(bits: &mut BitReader<'_>) -> (u64, u32) {
        let mut ones = 0;
        while ones < 8 && bits.take(1) == 1 {
            ones += 1;
        }
        let width = [0, 3, 6, 9, 12, 18, 25, 56, 64][ones];
        (bits.take(width), width)
    }

    /// One value after another, as the format's document says.
    #[derive(Clone, Default)]
    struct Value {
        bits: Option<u64>,
        leading: u32,
        trailing: u32,
    }

    impl Value {
        fn next(&mut self, bits: &mut BitReader<'_>) -> f64 {
            let now = match self.bits {
                None => bits.take(64),
                Some(before) if bits.take(1) == 0 => before,
                Some(before) => {
                    if bits.take(1) == 1 {
                        self.leading = bits.take(5) as u32;
                        let width = (bits.take(6) as u32 + 63) % 64 + 1;
                        self.trailing = 64 - self.leading - width;
                    }
                    before ^ bits.take(64 - self.leading - self.trailing) << self.trailing
                }
            };
            self.bits = Some(now);
            f64::from_bits(now)
        }
    }

    /// The histograms of a chunk: a reader written from the format's document, apart from the writer.
    pub(in crate::wire) fn read(chunk: &[u8], is_float: bool) -> Vec<HistogramSample> {
        let (count, flags) = (u16::from_be_bytes([chunk[0], chunk[1]]), chunk[2]);
        let mut bits = BitReader { bytes: chunk, at: 24 };
        let zero_threshold = match bits.take(8) {
            0 => 0.0,
            255 => f64::from_bits(bits.take(64)),
            byte => 2f64.powi(byte as i32 - 244),
        };
        let schema = signed(&mut bits) as i32;
        let spans: [Vec<Span>; 2] = std::array::from_fn(|_| {
            let count = prefixed(&mut bits).0;
            let span = |_| {
                let length = prefixed(&mut bits).0 as u32;
                Span { offset: signed(&mut bits) as i32, length }
            };
            (0..count).map(span).collect()
        });
        let custom = if schema == CUSTOM_SCHEMA { prefixed(&mut bits).0 } else { 0 };
        let bound = |_| match prefixed(&mut bits).0 {
            0 => f64::from_bits(bits.take(64)),
            n => (n - 1) as f64 / 1000.0,
        };
        let bounds: Vec<f64> = (0..custom).map(bound).collect();
        let lengths = spans.each_ref().map(|spans| spans.iter().map(|span| span.length as usize).sum::<usize>());
        let buckets = lengths[0] + lengths[1];
        let (mut t, mut sum) = ((0i64, 0i64), Value::default());
        let (mut integers, mut floats) = (vec![(0i64, 0i64); 2 + buckets], vec![Value::default(); 2 + buckets]);
        let mut all = Vec::new();
        for at in 0..count {
            let next = |bits: &mut BitReader<'_>, (last, difference): &mut (i64, i64)| {
                if at == 0 {
                    *last = signed(bits);
                } else {
                    *difference = difference.wrapping_add(signed(bits));
                    *last = last.wrapping_add(*difference);
                }
                *last
            };
            next(&mut bits, &mut t);
            let counts = if is_float {
                let totals = [0, 1].map(|at| floats[at].next(&mut bits));
                sum.next(&mut bits);
                let buckets: Vec<f64> = floats[2..].iter_mut().map(|value| value.next(&mut bits)).collect();
                let (positive, negative) = buckets.split_at(lengths[0]);
                HistogramCounts::Float {
                    count: totals[0],
                    zero: totals[1],
                    positive: positive.to_vec(),
                    negative: negative.to_vec(),
                }
            } else {
                let totals = [0, 1].map(|total| {
                    if at == 0 {
                        integers[total].0 = prefixed(&mut bits).0 as i64;
                        integers[total].0 as u64
                    } else {
                        next(&mut bits, &mut integers[total]) as u64
                    }
                });
                sum.next(&mut bits);
                let deltas: Vec<i64> = integers[2..].iter_mut().map(|one| next(&mut bits, one)).collect();
                let side = |deltas: &[i64]| {
                    deltas
                        .iter()
                        .scan(0u64, |n, delta| {
                            *n = n.wrapping_add_signed(*delta);
                            Some(*n)
                        })
                        .collect()
                };
                let (positive, negative) = deltas.split_at(lengths[0]);
                HistogramCounts::Integer {
                    count: totals[0],
                    zero: totals[1],
                    positive: side(positive),
                    negative: side(negative),
                }
            };
            let reset_hint = match (flags, at) {
                (GAUGE, _) => ResetHint::Gauge,
                (_, 1..) => ResetHint::NoReset,
                (RESET, _) => ResetHint::Reset,
                // A reader does not trust it, for it may not have what came before.
                _ => ResetHint::Unknown,
            };
            let [positive_spans, negative_spans] = spans.clone();
            let histogram = Histogram {
                reset_hint,
                schema,
                zero_threshold,
                sum: f64::from_bits(sum.bits.unwrap()),
                positive_spans,
                negative_spans,
                bounds: bounds.clone(),
                counts,
            };
            all.push(HistogramSample { t: Timestamp(t.0), start: Timestamp(0), histogram: Arc::new(histogram) });
        }
        all
    }

    /// A histogram of chance; of few shapes, so that some follow one another.
    fn random(rng: &mut Xorshift, before: Option<&Histogram>) -> Histogram {
        let mut below = |n: u64| rng.next_u64() % n;
        let keeps = before.filter(|_| below(4) > 0);
        let mut histogram = keeps.cloned().unwrap_or_else(|| {
            let is_custom = below(4) == 0;
            let lengths: Vec<u32> = (0..below(3)).map(|_| below(4) as u32).collect();
            let spans: Vec<Span> =
                lengths.iter().map(|length| Span { offset: below(200) as i32, length: *length }).collect();
            let buckets = lengths.iter().sum::<u32>() as usize;
            let below_zero = if is_custom { 0 } else { below(3) as usize };
            let thresholds = [0.0, 1e-5, 2f64.powi(-128), 2f64.powi(-243), 1024.0, 2048.0, 2f64.powi(-244)];
            let bounds = [0.0, 0.005, 0.1, 33_554.43, 33_554.431, 1e9, 1.0 / 3.0, -0.5, -0.0];
            Histogram {
                reset_hint: ResetHint::Unknown,
                schema: if is_custom { CUSTOM_SCHEMA } else { below(13) as i32 - 4 },
                zero_threshold: thresholds[below(7) as usize],
                sum: 0.0,
                positive_spans: spans,
                negative_spans: vec![Span { offset: -(below(300) as i32), length: below_zero as u32 }],
                bounds: if is_custom { bounds[..below(10) as usize].to_vec() } else { vec![] },
                counts: if below(2) == 0 {
                    HistogramCounts::Integer {
                        count: below(100),
                        zero: below(9),
                        positive: (0..buckets).map(|_| below(50)).collect(),
                        negative: (0..below_zero).map(|_| below(1 << 40)).collect(),
                    }
                } else {
                    HistogramCounts::Float {
                        count: below(100) as f64 / 3.0,
                        zero: 0.5,
                        positive: (0..buckets).map(|_| below(50) as f64 * 0.1).collect(),
                        negative: (0..below_zero).map(|_| below(50) as f64).collect(),
                    }
                },
            }
        });
        histogram.reset_hint = match below(6) {
            0 => ResetHint::Reset,
            1 => ResetHint::NoReset,
            2 => ResetHint::Gauge,
            _ => ResetHint::Unknown,
        };
        histogram.sum = if below(15) == 0 { f64::from_bits(STALE_NAN) } else { below(1000) as f64 * 0.7 };
        match &mut histogram.counts {
            HistogramCounts::Integer { count, positive, .. } => {
                positive.iter_mut().for_each(|n| *n = n.wrapping_add_signed(below(9) as i64 - 1).min(1 << 60));
                *count = below(1 << 20);
            }
            HistogramCounts::Float { positive, .. } => positive.iter_mut().for_each(|v| *v += below(3) as f64),
        }
        histogram
    }

    #[test]
    fn chunks_read_back_bit_for_bit() {
        let mut together = 0;
        for seed in 0..400 {
            let mut rng = Xorshift(seed * 2 + 1);
            let mut t = (rng.next_u64() >> 22) as i64 - (1 << 41);
            let mut samples: Vec<HistogramSample> = Vec::new();
            for _ in 0..rng.next_u64() % 30 {
                let histogram = Arc::new(random(&mut rng, samples.last().map(|last| &*last.histogram)));
                samples.push(HistogramSample { t: Timestamp(t), start: Timestamp(0), histogram });
                t += 1 + (rng.next_u64() >> (rng.next_u64() % 40 + 24)) as i64;
            }
            let mut rest = &samples[..];
            while !rest.is_empty() {
                let (now, later) = rest.split_at(chunk_length(rest));
                let chunk = histogram_chunk(now);
                let got = read(&chunk.bytes, chunk.is_float);
                assert_eq!(got.len(), now.len());
                together += now.len() - 1;
                for (at, (got, sent)) in got.iter().zip(now).enumerate() {
                    let mut expected = (*sent.histogram).clone();
                    if expected.is_stale() {
                        assert!(got.histogram.is_stale() && got.histogram.buckets() == 0, "seed {seed}");
                        continue;
                    }
                    expected.reset_hint = match (at, expected.reset_hint) {
                        (1.., ResetHint::Unknown) => ResetHint::NoReset,
                        (0, ResetHint::NoReset) => ResetHint::Unknown,
                        (_, hint) => hint,
                    };
                    assert_eq!(got.t, sent.t, "seed {seed}");
                    assert!(got.histogram.same_bits(&expected), "seed {seed}: {:?}\n{expected:?}", got.histogram);
                }
                rest = later;
            }
        }
        assert!(together > 100, "{together} histograms were not the first of their chunk");
    }

    #[test]
    fn numbers_take_the_widths_of_the_format() {
        let check = |n: i64, width: usize| {
            let mut bits = BitWriter { bytes: Vec::new(), free: 0 };
            push_signed(&mut bits, n);
            assert_eq!(bits.bytes.len() * 8 - bits.free as usize, width, "{n}");
        };
        check(0, 1);
        for (width, length) in [(3, 5), (6, 9), (9, 13), (12, 17), (18, 24), (25, 32), (56, 64)] {
            check(1 << (width - 1), length);
            check(1 - (1 << (width - 1)), length);
            check(
                (1 << (width - 1)) + 1,
                if width == 56 {
                    72
                } else {
                    [9, 13, 17, 24, 32, 64][[3, 6, 9, 12, 18, 25].iter().position(|w| *w == width).unwrap()]
                },
            );
        }
    }
}
