//! What comes over the network.

use std::sync::Arc;

use evenkeel::model::{Batch, Labels, MetricKind, Sample, Timestamp, limits};
use evenkeel::wire::{
    Exposition, FamilyPart, Format, HistogramReading, PointValue, decompressed_bytes, encode_remote_write, exposition,
    metric_families, push_family, read_request, remote_write, to_exposition, write_request,
};

use super::histograms;
use super::targets::{Target, labels};

const EXPOSITION_WORDS: &[&str] = &[
    "# HELP ",
    "# TYPE ",
    "# UNIT ",
    "# EOF\n",
    "{",
    "}",
    "\"",
    "\\n",
    " NaN",
    " +Inf",
    " # {a=\"b\"} 1 2",
    "_total",
    "_bucket",
    "le=",
    "\n",
];

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target::plain("remote-write", remote_write_seeds, remote_write_body),
        Target::plain("snappy", remote_write_seeds, |bytes| Ok(decompressed_bytes(bytes).is_ok())),
        Target::plain("remote-read", remote_read_seeds, remote_read_body),
        Target::plain("metric-families", families_seeds, families_body),
        Target::plain("exposition", exposition_seeds, exposition_text).with_words(EXPOSITION_WORDS),
    ]
}

fn remote_write_seeds() -> Vec<Vec<u8>> {
    let mut batch = Batch::new();
    for n in 0..5i64 {
        let text = n.to_string();
        let labels = labels(&[("__name__", "m"), ("job", "fuzz"), ("n", text.as_str())]);
        batch.push_series(labels, (0..3).map(|i| Sample { t: Timestamp(1000 * (n + i)), v: i as f64 / 8.0 }));
    }
    for (t, histogram) in (1000..).zip(histograms::kinds()) {
        let labels = labels(&[("__name__", "h"), ("job", "fuzz")]);
        batch.push_mixed(labels, [Sample { t: Timestamp(t), v: 1.0 }], [histograms::sample(t, histogram)]);
    }
    let plain = encode_remote_write(&batch);
    // Literals only, so that a mutation changes the message and not the way it is packed.
    let message = snap::raw::Decoder::new().decompress_vec(&plain).unwrap_or_default();
    vec![plain, as_literals(&message), encode_remote_write(&Batch::new())]
}

/// A snappy block of literals of one length, which ends up in front of them.
fn as_literals(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut length = message.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    for piece in message.chunks(60) {
        out.push((piece.len() as u8 - 1) << 2);
        out.extend(piece);
    }
    out
}

/// Requests for two queries, in the two forms of the answer.
fn remote_read_seeds() -> Vec<Vec<u8>> {
    const QUERY: &[u8] = b"\x0a\x15\x08\x80\x01\x10\x80\x08\x1a\x0d\x08\x02\x12\x03job\x1a\x04a|b+";
    let bytes = [QUERY, QUERY, b"\x12\x02\x01\x00"].concat();
    let pack = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).expect("a short text fits");
    vec![pack(&bytes), pack(QUERY), as_literals(&bytes)]
}

fn remote_read_body(bytes: &[u8]) -> Result<bool, String> {
    let Ok(request) = read_request(bytes) else { return Ok(false) };
    if request.queries.iter().any(|query| query.range.contains(Timestamp::MIN)) {
        return Err("a range that is open to the left holds the first instant".to_owned());
    }
    Ok(true)
}

fn remote_write_body(bytes: &[u8]) -> Result<bool, String> {
    let taken = remote_write(bytes);
    if let Ok(batch) = &taken {
        let again = remote_write(&encode_remote_write(batch)).map_err(|error| format!("its own body: {error}"))?;
        let bits = |batch: &Batch| -> Vec<(String, i64, u64)> {
            let name = |series: u32| batch.series()[series as usize].to_string();
            batch.samples().iter().map(|s| (name(s.series), s.sample.t.0, s.sample.v.to_bits())).collect()
        };
        if bits(&again) != bits(batch) || again.histograms() != batch.histograms() {
            return Err("it reads back otherwise".to_owned());
        }
        let raw = write_request(bytes).map_err(|error| format!("the two readers disagree: {error}"))?;
        let counts = (raw.batch.sample_count(), raw.batch.histograms().len());
        if counts != (batch.samples().len(), batch.histograms().len()) {
            return Err("the two readers count otherwise".to_owned());
        }
    }
    Ok(taken.is_ok())
}

fn exposition_seeds() -> Vec<Vec<u8>> {
    let series = [
        (labels(&[("__name__", "a_total"), ("job", "x\"\\\n")]), 1.5),
        (labels(&[("__name__", "b"), ("le", "+Inf")]), f64::NAN),
    ];
    let own = to_exposition(&series, &[]);
    let classic = "# HELP m says \\\\ what\n# TYPE m histogram\nm_bucket{le=\"0.5\"} 1 1700000000000\nm_bucket{le=\"+Inf\"} 2\nm_sum 1.5e3\nm_count 2\n";
    let open = "# TYPE r counter\n# UNIT r_seconds seconds\nr_total{a=\"b\",\"c d\"=\"e\"} 17.0 1520879607.789 # {id=\"x\"} 0.1 123.4\n{\"quoted name\",a=\"b\"} 1\n# EOF\n";
    [own.as_str(), classic, open].map(|text| text.as_bytes().to_vec()).to_vec()
}

fn exposition_text(bytes: &[u8]) -> Result<bool, String> {
    let mut taken = false;
    for format in [Format::Text, Format::OpenMetrics] {
        if let Ok(lines) = Exposition::new(bytes, format) {
            for line in lines {
                if line.is_err() {
                    break;
                }
            }
        }
        let Ok(samples) = exposition(bytes, format, Timestamp(0)) else { continue };
        taken = true;
        for (labels, _) in &samples {
            if Labels::from_text(labels.as_text()).as_ref() != Ok(labels) {
                return Err(format!("{labels} is not read back from its own text"));
            }
        }
    }
    Ok(taken)
}

fn families_seeds() -> Vec<Vec<u8>> {
    let mut own = Vec::new();
    let labels = || labels(&[("job", "x")]);
    let metrics: Vec<_> = histograms::kinds()
        .into_iter()
        .map(|histogram| (labels(), PointValue::Histogram(Arc::new(histogram)), Timestamp(5)))
        .collect();
    push_family(&mut own, "h", MetricKind::Histogram, &metrics);
    push_family(&mut own, "n", MetricKind::Unknown, &[(labels(), PointValue::Number(1.5), Timestamp(5))]);
    // A counter with an exemplar and its beginning; a summary; a classic histogram.
    let field = |number: u8, content: &[u8]| [&[number << 3 | 2, content.len() as u8][..], content].concat();
    let double = |number: u8, v: f64| [&[number << 3 | 1][..], &v.to_le_bytes()].concat();
    let time = field(3, &[8, 7, 16, 8]);
    let exemplar = [field(1, &[field(1, b"i"), field(2, b"x")].concat()), double(2, 0.5), time.clone()].concat();
    let counter = field(3, &[double(1, 1.5), field(2, &exemplar), time].concat());
    let summary =
        field(4, &[&[8, 4][..], &double(2, 1.5), &field(3, &[double(1, 0.5), double(2, 1.0)].concat())].concat());
    let bucket = |count: u8, bound: f64| field(3, &[&[8, count][..], &double(2, bound)].concat());
    let histogram = field(7, &[&[8, 9][..], &double(2, 1.5), &bucket(3, 0.5), &bucket(8, 2.0)].concat());
    for (kind, metric) in [(0, counter), (2, summary), (4, histogram)] {
        let family = [field(1, b"c_t"), vec![3 << 3, kind], field(4, &metric)].concat();
        own.push(family.len() as u8);
        own.extend(family);
    }
    vec![own]
}

fn families_body(bytes: &[u8]) -> Result<bool, String> {
    let mut taken = false;
    for (native, convert_classic) in [(true, true), (false, false), (true, false)] {
        let reading = HistogramReading { native, always_classic: native != convert_classic, convert_classic };
        let mut fault = None;
        let mut each = |part: FamilyPart<'_>| {
            let FamilyPart::Point(point) = part else { return Ok(()) };
            if point.labels.len() > limits::LABELS_PER_SERIES_MAX + 2 {
                fault = Some("a point has more labels than a series may".to_owned());
            }
            point.exemplars.iter().for_each(|exemplar| drop(exemplar.exemplar(Timestamp(0))));
            if let PointValue::Histogram(histogram) = &point.value {
                // What the store does with it.
                if let Ok(Some(coarser)) = histogram.coarser() {
                    let _ = coarser.validate();
                }
                let _ = histogram.validate();
            }
            Ok(())
        };
        taken |= metric_families(bytes, reading, &mut each).is_ok();
        if let Some(fault) = fault {
            return Err(fault);
        }
    }
    Ok(taken)
}
