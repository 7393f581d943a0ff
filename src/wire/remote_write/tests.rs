//! Tests of remote-write 1.0.

use super::*;
use crate::model::{
    Exemplar, Histogram, HistogramCounts, HistogramError, HistogramSample, Labels, MetricKind, Rejection, ResetHint,
    STALE_NAN, Sample, Span, Timestamp, limits,
};
use crate::wire::encode_remote_write;
use crate::wire::protobuf::FieldWriter;

fn message(write: impl FnOnce(&mut FieldWriter)) -> Vec<u8> {
    let mut writer = FieldWriter::default();
    write(&mut writer);
    writer.bytes
}

fn label_bytes(name: &[u8], value: &[u8]) -> Vec<u8> {
    message(|w| {
        w.bytes_field(1, name);
        w.bytes_field(2, value);
    })
}

fn sample_bytes(t: i64, v: f64) -> Vec<u8> {
    message(|w| {
        w.double_field(1, v);
        w.int64_field(2, t);
    })
}

/// A request with one series made of these fields.
fn request(series: impl FnOnce(&mut FieldWriter)) -> Vec<u8> {
    let series = message(series);
    message(|w| w.bytes_field(1, &series))
}

/// What a message says, its labels read.
#[derive(Debug, PartialEq)]
struct Read {
    batch: Vec<(Labels, i64, u64)>,
    rejected: Rejected,
    exemplars: Vec<SeriesExemplar>,
    exemplars_refused: u64,
    metadata: Vec<MetricMetadata>,
    metadata_refused: u64,
    histograms: Vec<(Labels, HistogramSample)>,
}

fn read_by(message: &[u8], read_series: ReadSeries) -> Result<Read, WireError> {
    let mut walk = Walk::default();
    walk_message(&mut walk, message, read_series)?;
    let bytes = [message, &walk.gathered].concat();
    let raw = walk.batch.finish(bytes.into(), labels::read);
    let mut rejected = Rejected { unnamed: walk.unnamed, first_unnamed: walk.first_unnamed, ..walk.rejected };
    let batch = raw.read(&mut rejected);
    let samples =
        batch.samples().iter().map(|s| (batch.series()[s.series as usize].clone(), s.sample.t.0, s.sample.v.to_bits()));
    let histograms = batch.histograms().iter();
    let histograms = histograms.map(|h| (batch.series()[h.series as usize].clone(), h.sample.clone()));
    Ok(Read {
        histograms: histograms.collect(),
        batch: samples.collect(),
        rejected,
        exemplars: walk.exemplars,
        exemplars_refused: walk.exemplars_refused,
        metadata: walk.metadata,
        metadata_refused: walk.metadata_refused,
    })
}

/// Reads a message by both ways.
fn walk(message: &[u8]) -> Result<Read, WireError> {
    let read = read_by(message, Walk::series);
    assert_eq!(read, read_by(message, Walk::series_at_length), "{message:x?}");
    read
}

/// Why the request is refused, or its first series.
fn fault_of(message: &[u8]) -> String {
    walk(message).map_or_else(|error| error.to_string(), |read| read.rejected.first_unnamed.unwrap())
}

#[test]
fn a_batch_goes_there_and_back() {
    let mut batch = Batch::new();
    let labels = |name| Labels::new([("__name__", name), ("job", "a"), ("pod.name", "é")]).unwrap();
    batch.push_series(labels("x"), [Sample { t: Timestamp(-5), v: 1.5 }, Sample { t: Timestamp(0), v: 0.0 }]);
    batch.push(labels("y"), Sample { t: Timestamp(i64::MAX), v: f64::NEG_INFINITY });
    assert_eq!(remote_write(&encode_remote_write(&batch)).unwrap(), batch);
    assert_eq!(remote_write(&encode_remote_write(&Batch::new())).unwrap(), Batch::new());
}

fn histogram(t: i64, counts: HistogramCounts) -> HistogramSample {
    let histogram = Histogram {
        reset_hint: ResetHint::NoReset,
        schema: -4,
        zero_threshold: 0.001,
        sum: f64::from_bits(STALE_NAN),
        positive_spans: vec![Span { offset: -7, length: 2 }, Span { offset: 3, length: 1 }],
        negative_spans: vec![Span { offset: i32::MAX, length: 1 }],
        bounds: vec![-1.5, f64::MAX],
        counts,
    };
    HistogramSample { t: Timestamp(t), start: Timestamp(0), histogram: std::sync::Arc::new(histogram) }
}

fn integers(positive: [u64; 3]) -> HistogramCounts {
    HistogramCounts::Integer { count: u64::MAX, zero: 5, positive: positive.to_vec(), negative: vec![7] }
}

#[test]
fn histograms_go_there_and_back_beside_samples() {
    let floats =
        HistogramCounts::Float { count: 0.5, zero: -0.0, positive: vec![1e9, 0.0, 3.25], negative: vec![-1.0] };
    let mut batch = Batch::new();
    let labels = |name| Labels::new([("__name__", name), ("job", "a")]).unwrap();
    batch.push(labels("a"), Sample { t: Timestamp(1), v: 1.0 });
    batch.push_histogram(labels("b"), histogram(i64::MIN, integers([9, 0, i64::MAX as u64])));
    let both = [histogram(-1, floats), histogram(2, integers([0, 0, 0]))];
    batch.push_mixed(labels("c"), [Sample { t: Timestamp(2), v: 2.0 }], both);
    assert_eq!(remote_write(&encode_remote_write(&batch)).unwrap(), batch);
}

#[test]
fn counts_stand_packed_or_one_by_one_and_those_below_zero_are_refused() {
    let series = |fields: &dyn Fn(&mut FieldWriter)| {
        request(|w| {
            w.bytes_field(1, &label_bytes(b"__name__", b"x"));
            w.bytes_field(4, &message(|w| fields(w)));
            w.bytes_field(2, &sample_bytes(7, 2.0));
        })
    };
    let one_by_one = series(&|w| {
        w.int64_field(1, 9);
        // 2, then 1 less.
        [4, 1].iter().for_each(|delta| w.int64_field(12, *delta));
        w.double_field(16, 1.5);
        w.int64_field(15, 3);
    });
    let got = walk(&one_by_one).unwrap();
    assert_eq!((got.batch.len(), got.rejected), (1, Rejected::default()));
    let [(_, HistogramSample { t: Timestamp(3), histogram, .. })] = &*got.histograms else {
        panic!("{:?}", got.histograms)
    };
    let HistogramCounts::Integer { count: 9, zero: 0, positive, .. } = &histogram.counts else {
        panic!("{histogram:?}")
    };
    assert_eq!((positive.as_slice(), histogram.bounds.as_slice()), (&[2, 1][..], &[1.5][..]));
    let below = series(&|w| {
        // 2, then 3 less.
        w.bytes_field(9, &[4, 5]);
        w.int64_field(15, 8);
    });
    let got = walk(&below).unwrap();
    assert_eq!((got.batch.len(), got.histograms.len()), (1, 0));
    assert_eq!(got.rejected.counts, [(Rejection::InvalidHistogram, 1)]);
    assert_eq!(got.rejected.first.as_ref().map(|first| first.1), Some(Timestamp(8)));
    assert_eq!(
        got.rejected.invalid.first().map(|one| &one.first).map(|first| first.1),
        Some(HistogramError::NegativeCount)
    );
    // The float count says of which kind it is.
    let both = series(&|w| {
        w.bytes_field(12, &[4, 5]);
        w.double_field(2, 1.0);
        w.bytes_field(13, &2.5f64.to_le_bytes());
    });
    let got = walk(&both).unwrap();
    assert!(
        matches!(&got.histograms[0].1.histogram.counts, HistogramCounts::Float { positive, .. } if *positive == [2.5])
    );
    let broken = series(&|w| w.bytes_field(13, &[0; 7]));
    assert!(fault_of(&broken).starts_with("series 0, histogram 0, byte "), "{}", fault_of(&broken));
    let wide = series(&|w| w.bytes_field(8, &message(|w| w.int64_field(2, 1 << 32))));
    assert!(fault_of(&wide).contains("32 bits"), "{}", fault_of(&wide));
}

#[test]
fn the_bits_of_a_staleness_marker_are_kept() {
    let mut batch = Batch::new();
    let labels = Labels::new([("__name__", "x")]).unwrap();
    batch.push(labels, Sample { t: Timestamp(1), v: f64::from_bits(STALE_NAN) });
    let back = remote_write(&encode_remote_write(&batch)).unwrap();
    assert_eq!(back.samples()[0].sample.v.to_bits(), STALE_NAN);
}

#[test]
fn unsorted_labels_and_fields_in_any_order_are_taken() {
    let bytes = request(|w| {
        w.bytes_field(2, &sample_bytes(7, 2.0));
        w.bytes_field(1, &label_bytes(b"job", b"a"));
        w.bytes_field(1, &label_bytes(b"empty", b""));
        w.bytes_field(1, &label_bytes(b"__name__", b"x"));
        w.int64_field(99, 1);
    });
    let batch = walk(&bytes).unwrap().batch;
    let labels = Labels::new([("__name__", "x"), ("job", "a")]).unwrap();
    assert_eq!(batch, [(labels, 7, 2.0f64.to_bits())]);
}

#[test]
fn what_is_not_stored_is_counted() {
    let bytes = message(|w| {
        let series = message(|w| {
            w.bytes_field(1, &label_bytes(b"__name__", b"x"));
            w.bytes_field(3, b"");
            w.bytes_field(4, b"");
            w.bytes_field(4, b"");
        });
        w.bytes_field(1, &series);
        w.bytes_field(3, b"");
    });
    let got = walk(&bytes).unwrap();
    assert_eq!((got.histograms.len(), got.exemplars.len(), got.metadata_refused), (2, 1, 1));
    assert_eq!((got.batch.len(), got.rejected), (0, Rejected::default()));
}

#[test]
fn faults_name_their_place() {
    let named = |w: &mut FieldWriter| w.bytes_field(1, &label_bytes(b"__name__", b"x"));
    let check = |bytes: Vec<u8>, expected: &str| assert_eq!(fault_of(&bytes), expected);
    check(
        request(|w| {
            named(w);
            w.bytes_field(1, &label_bytes(b"job", b"a\xff"));
        }),
        "series 0, label 1, byte 27 of the decompressed body: a text is not valid UTF-8",
    );
    check(
        request(|w| w.bytes_field(2, &sample_bytes(1, 1.0))),
        "series 0, byte 2 of the decompressed body: it has no metric name; set the label \"__name__\"",
    );
    check(
        request(|w| w.bytes_field(1, &label_bytes(b"__name__", b""))),
        "series 0, byte 2 of the decompressed body: it has no metric name; set the label \"__name__\"",
    );
    check(
        request(|w| {
            named(w);
            w.bytes_field(1, &label_bytes(b"", b""));
        }),
        "series 0, label 1, byte 17 of the decompressed body: the label name is empty; give every label a name",
    );
    check(
        request(|w| {
            named(w);
            named(w);
        }),
        "series 0, byte 2 of the decompressed body: label \"__name__\" stands twice; keep one",
    );
    check(
        request(|w| {
            named(w);
            w.bytes_field(2, &message(|w| w.int64_field(1, 3)));
        }),
        "series 0, sample 0, byte 19 of the decompressed body: a field that should be a double has another wire type",
    );
    check(
        message(|w| w.int64_field(1, 3)),
        "series 0, byte 0 of the decompressed body: a field that should be length-delimited has another wire type",
    );
    check(
        message(|w| w.bytes_field(5, b"")),
        "the request, byte 0 of the decompressed body: this is a remote-write 2.0 message; send 1.0",
    );
    check(
        vec![0x0a, 0x05, 0x0a],
        "the request, byte 0 of the decompressed body: a field is longer than the message around it",
    );
    check(vec![0x0b], "the request, byte 0 of the decompressed body: groups are not part of this message");
}

#[test]
fn a_series_without_a_name_costs_only_itself() {
    let series = |name: &[u8], t| {
        message(|w| {
            w.bytes_field(1, &label_bytes(b"__name__", name));
            w.bytes_field(2, &sample_bytes(t, 1.0));
        })
    };
    let bytes = message(|w| {
        w.bytes_field(1, &series(b"a", 1));
        w.bytes_field(1, &series(b"\xff", 2));
        w.bytes_field(1, &series(b"", 3));
        w.bytes_field(1, &series(b"b", 4));
    });
    let request = walk(&bytes).unwrap();
    let stored: Vec<String> = request.batch.iter().map(|(labels, ..)| labels.to_string()).collect();
    assert_eq!((stored, request.rejected.unnamed), (vec!["a".to_owned(), "b".to_owned()], 2));
    let fault = request.rejected.first_unnamed.unwrap();
    assert_eq!(fault, "series 1, label 0, byte 46 of the decompressed body: a text is not valid UTF-8");
    let compressed = snap::raw::Encoder::new().compress_vec(&bytes).unwrap();
    assert!(remote_write(&compressed).is_err());
}

#[test]
fn labels_without_end_take_no_memory() {
    let bytes = request(|w| {
        w.bytes_field(1, &label_bytes(b"__name__", b"x"));
        for i in 0..100_000 {
            w.bytes_field(1, &label_bytes(format!("l{i}").as_bytes(), b"v"));
        }
    });
    let expected = "series 0, byte 4 of the decompressed body: 100001 labels on one series; at most 128 are taken";
    assert_eq!(fault_of(&bytes), expected);
}

#[test]
fn every_cut_and_every_flipped_bit_is_answered() {
    let mut batch = Batch::new();
    for i in 0..4i64 {
        let labels = Labels::new([("__name__", "http_requests_total"), ("code", &i.to_string())]).unwrap();
        batch.push(labels, Sample { t: Timestamp(1_700_000_000_000 + i), v: i as f64 });
    }
    let body = encode_remote_write(&batch);
    let decoded = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
    for cut in 0..decoded.len() {
        let _ = walk(&decoded[..cut]);
        let _ = remote_write(&body[..cut.min(body.len())]);
    }
    for bytes in [&body, &decoded] {
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let _ = (walk(&damaged), remote_write(&damaged));
        }
    }
}

#[test]
fn two_bytes_a_sample_do_not_fill_the_memory() {
    let bytes = request(|w| {
        w.bytes_field(1, &label_bytes(b"__name__", b"x"));
        for _ in 0..=limits::SAMPLES_PER_BATCH_MAX {
            w.bytes_field(2, b"");
        }
    });
    assert_eq!(walk(&bytes).unwrap_err(), WireError::TooManySamples);
}

#[test]
fn exemplars_belong_to_their_series() {
    let exemplar = |labels: &[(&[u8], &[u8])], t, v| {
        message(|w| {
            labels.iter().for_each(|(name, value)| w.bytes_field(1, &label_bytes(name, value)));
            w.double_field(2, v);
            w.int64_field(3, t);
        })
    };
    let bytes = request(|w| {
        w.bytes_field(1, &label_bytes(b"__name__", b"x"));
        w.bytes_field(3, &exemplar(&[(b"trace_id", b"abc")], 5, 1.5));
        w.bytes_field(2, &sample_bytes(7, 2.0));
        w.bytes_field(3, &exemplar(&[], 6, 2.5));
        w.bytes_field(3, &exemplar(&[(b"trace_id", &[b'a'; 121])], 7, 0.0));
        w.bytes_field(3, &exemplar(&[(b"trace_id", b"\xff")], 8, 0.0));
    });
    let read = walk(&bytes).unwrap();
    let series = Labels::new([("__name__", "x")]).unwrap();
    let expected = |labels: Labels, t, v| SeriesExemplar {
        series: series.clone(),
        exemplar: Exemplar { labels, sample: Sample { t: Timestamp(t), v } },
    };
    let trace = Labels::new([("trace_id", "abc")]).unwrap();
    assert_eq!(read.exemplars, [expected(trace, 5, 1.5), expected(Labels::empty(), 6, 2.5)]);
    assert_eq!((read.exemplars_refused, read.batch.len()), (2, 1));
    let broken = request(|w| {
        w.bytes_field(1, &label_bytes(b"__name__", b"x"));
        w.bytes_field(3, b"\x11\x00");
    });
    let expected = "series 0, exemplar 0, byte 20 of the decompressed body: a number is cut off";
    assert_eq!(fault_of(&broken), expected);
}

#[test]
fn metadata_is_read() {
    let entry = |kind, family: &[u8], help: &[u8]| {
        message(|w| {
            w.int64_field(1, kind);
            w.bytes_field(2, family);
            w.bytes_field(4, help);
            w.bytes_field(5, b"seconds");
        })
    };
    let bytes = message(|w| {
        w.bytes_field(3, &entry(1, b"a_total", b"What it counts."));
        w.bytes_field(3, &entry(1, b"", b"nothing"));
        w.bytes_field(3, &entry(2, b"\xff", b"no text"));
        w.bytes_field(3, &entry(2, &vec![b'a'; limits::LABEL_VALUE_BYTES_MAX + 1], b"long"));
        w.bytes_field(3, &entry(99, b"b", b""));
    });
    let read = walk(&bytes).unwrap();
    let expected = |family: &str, kind, help: &str| MetricMetadata {
        family: family.to_owned(),
        kind,
        help: help.to_owned(),
        unit: "seconds".to_owned(),
    };
    let all = [expected("a_total", MetricKind::Counter, "What it counts."), expected("b", MetricKind::Unknown, "")];
    assert_eq!((read.metadata.as_slice(), read.metadata_refused), (all.as_slice(), 3));
    let broken = message(|w| {
        w.bytes_field(3, &entry(1, b"a", b""));
        w.bytes_field(3, b"\x12\x05a");
    });
    let text = fault_of(&broken);
    assert!(text.starts_with("metadata 1, byte "), "{text}");
}

#[test]
fn what_a_body_may_hold_beside_samples_is_bounded() {
    let exemplars = |n| {
        request(|w| {
            w.bytes_field(1, &label_bytes(b"__name__", b"x"));
            (0..n).for_each(|_| w.bytes_field(3, b""));
        })
    };
    let metadata = |n| message(|w| (0..n).for_each(|_| w.bytes_field(3, &[0x12, 1, b'a'])));
    let histograms = |n, fields: &[u8]| {
        request(|w| {
            w.bytes_field(1, &label_bytes(b"__name__", b"x"));
            (0..n).for_each(|_| w.bytes_field(4, fields));
        })
    };
    let max_h = limits::HISTOGRAMS_PER_BATCH_MAX;
    assert_eq!(read_by(&histograms(max_h, b""), Walk::series).unwrap().histograms.len(), max_h);
    assert!(matches!(read_by(&histograms(max_h + 1, b""), Walk::series), Err(WireError::TooMany { .. })));
    let max_p = limits::HISTOGRAM_PARTS_PER_BATCH_MAX;
    let packed = |n| message(|w| w.bytes_field(12, &vec![0; n]));
    assert_eq!(read_by(&histograms(2, &packed(max_p / 2)), Walk::series).unwrap().histograms.len(), 2);
    let one_more = histograms(2, &packed(max_p / 2 + 1));
    assert!(matches!(read_by(&one_more, Walk::series), Err(WireError::TooMany { .. })));
    let (max_e, max_m) = (limits::EXEMPLARS_PER_BATCH_MAX, limits::METADATA_PER_BATCH_MAX);
    assert_eq!(read_by(&exemplars(max_e), Walk::series).unwrap().exemplars.len(), max_e);
    assert!(matches!(read_by(&exemplars(max_e + 1), Walk::series), Err(WireError::TooMany { .. })));
    assert_eq!(read_by(&metadata(max_m), Walk::series).unwrap().metadata.len(), max_m);
    assert!(matches!(read_by(&metadata(max_m + 1), Walk::series), Err(WireError::TooMany { .. })));
}

#[test]
fn limits_of_labels_hold_to_the_one() {
    let series = |labels: &[(String, String)]| {
        request(|w| {
            w.bytes_field(1, &label_bytes(b"__name__", b"x"));
            labels.iter().for_each(|(n, v)| w.bytes_field(1, &label_bytes(n.as_bytes(), v.as_bytes())));
            w.bytes_field(2, &sample_bytes(1, 1.0));
        })
    };
    let many = |n| (0..n).map(|i| (format!("l{i}"), "v".to_owned())).collect::<Vec<_>>();
    let one = |name: usize, value: usize| vec![("n".repeat(name), "v".repeat(value))];
    let (labels, name, value) =
        (limits::LABELS_PER_SERIES_MAX, limits::LABEL_NAME_BYTES_MAX, limits::LABEL_VALUE_BYTES_MAX);
    for (within, beyond) in
        [(many(labels - 1), many(labels)), (one(name, 1), one(name + 1, 1)), (one(1, value), one(1, value + 1))]
    {
        assert_eq!(walk(&series(&within)).unwrap().batch.len(), 1);
        assert_eq!(walk(&series(&beyond)).unwrap().rejected.unnamed, 1);
    }
}

/// SplitMix64: this module does not know `env`.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.bits() % n
    }
}

/// A label in one of the forms that the format allows, or nearly.
fn odd_label(rng: &mut Random) -> Vec<u8> {
    let name: &[u8] = [b"__name__", b"job".as_slice(), b"le", b"", b"\xff", b"code"][rng.below(6) as usize];
    let value = vec![b"a\xc3"[usize::from(rng.below(20) == 0)]; [1, 0, 7, 127, 128, 300][rng.below(6) as usize]];
    message(|w| match rng.below(8) {
        0 => {
            w.bytes_field(2, &value);
            w.bytes_field(1, name);
        }
        1 => w.bytes_field(1, name),
        2 => {
            w.bytes_field(1, b"other");
            w.bytes_field(1, name);
            w.bytes_field(2, &value);
            w.int64_field(9, 1);
        }
        _ => {
            w.bytes_field(1, name);
            w.bytes_field(2, &value);
        }
    })
}

fn odd_sample(rng: &mut Random) -> Vec<u8> {
    let t = [1_700_000_000_000, -1, 0, i64::MAX, 1 << 55, 1 << 56, 5][rng.below(7) as usize];
    let v = f64::from_bits(rng.bits());
    message(|w| match rng.below(8) {
        0 => {
            w.int64_field(2, t);
            w.double_field(1, v);
        }
        1 => w.int64_field(2, t),
        2 => w.double_field(1, v),
        3 => {
            w.double_field(1, v);
            w.int64_field(2, t);
            w.bytes_field(3, b"later");
        }
        4 => {
            // A varint that is longer than it need be.
            w.double_field(1, v);
            w.bytes.extend([0x10, 0x85, 0x80, 0x00]);
        }
        _ => {
            w.double_field(1, v);
            w.int64_field(2, t);
        }
    })
}

fn odd_histogram(rng: &mut Random) -> Vec<u8> {
    message(|w| {
        for _ in 0..rng.below(9) {
            let number = 1 + rng.below(17);
            match rng.below(3) {
                0 => w.int64_field(number, rng.bits().cast_signed() >> rng.below(64)),
                1 => w.double_field(number, f64::from_bits(rng.bits())),
                _ => w.bytes_field(number, &vec![rng.bits() as u8; rng.below(20) as usize]),
            }
        }
    })
}

#[test]
fn both_ways_through_a_series_read_alike() {
    for seed in 0..3000 {
        let mut rng = Random(seed);
        let mut bytes = message(|w| {
            for _ in 0..1 + rng.below(4) {
                let series = message(|w| {
                    w.bytes_field(1, &label_bytes(b"__name__", b"x"));
                    (0..rng.below(4)).for_each(|_| w.bytes_field(1, &odd_label(&mut rng)));
                    for _ in 0..rng.below(4) {
                        match rng.below(12) {
                            0 => w.bytes_field(1, &odd_label(&mut rng)),
                            1 => w.bytes_field(3, b""),
                            2 => w.bytes_field(4, &odd_histogram(&mut rng)),
                            3 => w.int64_field(7, 1),
                            _ => w.bytes_field(2, &odd_sample(&mut rng)),
                        }
                    }
                });
                w.bytes_field(1, &series);
            }
        });
        let caught = std::panic::catch_unwind(|| drop(walk(&bytes)));
        assert!(caught.is_ok(), "seed {seed}");
        for _ in 0..4 {
            let at = rng.below(bytes.len() as u64) as usize;
            match rng.below(3) {
                0 => bytes[at] = rng.bits() as u8,
                1 => bytes[at] ^= 1 << rng.below(8),
                _ => bytes.truncate(at.max(1)),
            }
            let caught = std::panic::catch_unwind(|| drop(walk(&bytes)));
            assert!(caught.is_ok(), "seed {seed}: {bytes:x?}");
        }
    }
}
