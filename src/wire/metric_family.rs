//! Prometheus' protobuf format: messages of metric families, one behind the other, walked over borrowed bytes.
//!
//! A metric becomes one point or, if it is a summary or a classic histogram, the points that a text would give.
//!
//! Invariants:
//! - Any bytes give points or an error that names the place; nothing is allocated by what they announce.
//! - Points of one metric follow one another; before those of a family comes what is said of it.
//!
//! Source: `metrics.proto` of Prometheus' client model.

use std::borrow::Cow;
use std::sync::Arc;

use super::error::WireError;
use super::metric_histogram::{RawHistogram, ReadError};
use super::protobuf::{Fault, Field, Fields};
use crate::model::limits::{HISTOGRAM_PARTS_PER_BATCH_MAX, LABELS_PER_SERIES_MAX};
use crate::model::{Exemplar, Histogram, Labels, MetricKind, ResetHint, Sample, Timestamp, float_label};

/// What is made of histograms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HistogramReading {
    /// Whether native histograms are taken; otherwise their classic buckets are.
    pub native: bool,
    /// Whether classic buckets are taken beside a native histogram, too.
    pub always_classic: bool,
    /// Whether histograms of classic buckets become native ones with custom bounds.
    pub convert_classic: bool,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub enum FamilyPart<'a> {
    /// What is said of a family.
    Family {
        /// Its name.
        name: &'a str,
        /// Its description.
        help: &'a str,
        /// Its type.
        kind: MetricKind,
        /// Its unit.
        unit: &'a str,
    },
    /// A sample or a native histogram.
    Point(Point<'a>),
}

/// A value of a series at an instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Point<'a> {
    /// The labels, the metric's name first as `__name__`.
    pub labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// Its value.
    pub value: PointValue,
    /// When it is of, if that is said.
    pub timestamp: Option<Timestamp>,
    /// When its counting began, if that is said.
    pub created: Option<Timestamp>,
    /// Its exemplars; one without a time of its own has that of the scrape.
    pub exemplars: Vec<PointExemplar<'a>>,
    /// Where its metric stands, for errors.
    place: Place<'a>,
}

/// A number, or a native histogram.
#[derive(Debug, Clone)]
pub enum PointValue {
    /// A number.
    Number(f64),
    /// A native histogram. Whether it is sound, the store decides.
    Histogram(Arc<Histogram>),
}

impl PartialEq for PointValue {
    /// Bit for bit.
    fn eq(&self, other: &PointValue) -> bool {
        match (self, other) {
            (PointValue::Number(a), PointValue::Number(b)) => a.to_bits() == b.to_bits(),
            (PointValue::Histogram(a), PointValue::Histogram(b)) => a.same_bits(b),
            _ => false,
        }
    }
}

/// An exemplar as the message has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PointExemplar<'a> {
    /// All of it, as a name for it.
    pub bytes: &'a [u8],
    labels: [Option<(&'a str, &'a str)>; EXEMPLAR_LABELS_MAX],
    value: f64,
    timestamp: Option<Timestamp>,
}

/// Labels of an exemplar; their texts together have at most 128 characters, so that there are few.
const EXEMPLAR_LABELS_MAX: usize = 8;

impl PointExemplar<'_> {
    /// The exemplar, with the time of the scrape if it has none of its own. `None` if its labels are none.
    pub fn exemplar(&self, at: Timestamp) -> Option<Exemplar> {
        let labels = Labels::new(self.labels.iter().flatten().copied()).ok()?;
        Some(Exemplar { labels, sample: Sample { t: self.timestamp.unwrap_or(at), v: self.value } })
    }
}

impl Point<'_> {
    /// The error for a point that cannot be taken for this reason.
    pub fn refuse(&self, reason: impl ToString) -> WireError {
        let Place { family, offset } = self.place;
        WireError::Protobuf { place: format!("metric family \"{family}\""), offset, fault: reason.to_string() }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Place<'a> {
    family: &'a str,
    offset: usize,
}

/// Calls `each` with everything that the messages say, until it fails.
///
/// # Errors
/// The bytes are no such messages, or `each` failed.
pub fn metric_families<'a>(
    body: &'a [u8],
    reading: HistogramReading,
    each: &mut dyn FnMut(FamilyPart<'a>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let mut rest = Fields::new(body);
    let mut parts = 0;
    while let Some(message) = rest.next_delimited().map_err(|fault| fault.at("the messages"))? {
        family(message, reading, &mut parts, each)?;
    }
    Ok(())
}

fn family<'a>(
    message: Fields<'a>,
    reading: HistogramReading,
    parts: &mut usize,
    each: &mut dyn FnMut(FamilyPart<'a>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let (mut name, mut help, mut unit, mut kind) = ("", "", "", 0);
    let mut fields = message;
    let fail = |name: &str| {
        let place = format!("metric family \"{name}\"");
        move |fault: Fault| fault.at(place)
    };
    // The fields may come in any order, so that the metrics are walked after the rest.
    while let Some(field) = fields.next().map_err(fail(name))? {
        match field.number {
            1 => name = field.text().map_err(fail(name))?,
            2 => help = field.text().map_err(fail(name))?,
            3 => kind = field.uint64().map_err(fail(name))?,
            5 => unit = field.text().map_err(fail(name))?,
            _ => {}
        }
    }
    if name.is_empty() {
        return Err(Fault { offset: message.offset(), reason: "a metric family has no name" }.at("the messages"));
    }
    let told = match kind {
        0 => MetricKind::Counter,
        1 => MetricKind::Gauge,
        2 => MetricKind::Summary,
        4 => MetricKind::Histogram,
        5 => MetricKind::GaugeHistogram,
        _ => MetricKind::Unknown,
    };
    each(FamilyPart::Family { name, help, kind: told, unit })?;
    let mut fields = message;
    while let Some(field) = fields.next().map_err(fail(name))? {
        if field.number == 4 {
            let place = Place { family: name, offset: field.offset };
            let metric = Metric::read(field, place).map_err(fail(name))?;
            metric.points(told, reading, parts, each)?;
        }
    }
    Ok(())
}

/// One metric of a family.
struct Metric<'a> {
    labels: Vec<(&'a str, &'a str)>,
    /// The message of its value, and the number of the field.
    value: Option<(u64, Fields<'a>)>,
    timestamp: Option<Timestamp>,
    place: Place<'a>,
}

impl<'a> Metric<'a> {
    fn read(field: Field<'a>, place: Place<'a>) -> Result<Metric<'a>, Fault> {
        let mut metric = Metric { labels: Vec::new(), value: None, timestamp: None, place };
        let mut fields = field.bytes()?;
        while let Some(field) = fields.next()? {
            match field.number {
                1 if metric.labels.len() >= LABELS_PER_SERIES_MAX => {
                    return Err(Fault { offset: field.offset, reason: "a metric has too many labels" });
                }
                1 => metric.labels.push(label(field)?),
                2..=5 | 7 => metric.value = Some((field.number, field.bytes()?)),
                6 => metric.timestamp = Some(Timestamp(field.int64()?)).filter(|t| t.0 != 0),
                _ => {}
            }
        }
        Ok(metric)
    }

    fn points(
        self,
        kind: MetricKind,
        reading: HistogramReading,
        parts: &mut usize,
        each: &mut dyn FnMut(FamilyPart<'a>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let fail = |fault: Fault| fault.at(format!("metric family \"{}\"", self.place.family));
        match self.value {
            None => Ok(()),
            Some((4, message)) => self.summary(Summary::read(message).map_err(fail)?, each),
            Some((7, message)) => {
                let histogram = RawHistogram::read(message, parts).map_err(|error| match error {
                    ReadError::Fault(fault) => fail(fault),
                    ReadError::TooMany => WireError::TooMany {
                        what: "buckets, spans and bounds of native histograms",
                        max: HISTOGRAM_PARTS_PER_BATCH_MAX,
                    },
                })?;
                self.histogram(&histogram, kind, reading, each)
            }
            Some((_, message)) => {
                let (v, exemplar, created) = number(message).map_err(fail)?;
                let point = self.point("", None, PointValue::Number(v), created);
                each(FamilyPart::Point(Point { exemplars: exemplar.into_iter().collect(), ..point }))
            }
        }
    }

    fn summary(
        &self,
        summary: Summary,
        each: &mut dyn FnMut(FamilyPart<'a>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let Summary { count, sum, quantiles, created } = summary;
        for (quantile, v) in quantiles {
            let label = Some(("quantile", float_label(quantile)));
            each(FamilyPart::Point(self.point("", label, PointValue::Number(v), created)))?;
        }
        each(FamilyPart::Point(self.point("_sum", None, PointValue::Number(sum), created)))?;
        each(FamilyPart::Point(self.point("_count", None, PointValue::Number(count as f64), created)))
    }

    fn histogram(
        &self,
        raw: &RawHistogram<'a>,
        kind: MetricKind,
        reading: HistogramReading,
        each: &mut dyn FnMut(FamilyPart<'a>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let hint = if kind == MetricKind::GaugeHistogram { ResetHint::Gauge } else { ResetHint::Unknown };
        let native = (reading.native && raw.is_native()).then(|| raw.native(hint));
        let native = native.or_else(|| reading.convert_classic.then(|| raw.converted(hint)));
        let is_native = native.is_some();
        if let Some(histogram) = native {
            let histogram =
                histogram.map_err(|reason| self.point("", None, PointValue::Number(0.0), None).refuse(reason))?;
            let point = self.point("", None, PointValue::Histogram(Arc::new(histogram)), raw.created);
            let of_buckets = || raw.buckets.iter().filter_map(|bucket| bucket.exemplar).collect();
            let mut exemplars = if raw.exemplars.is_empty() { of_buckets() } else { raw.exemplars.clone() };
            // There may be many, so that those count which say when they were.
            exemplars.retain(|exemplar| exemplar.timestamp.is_some());
            each(FamilyPart::Point(Point { exemplars, ..point }))?;
        }
        if is_native && (!reading.always_classic || raw.buckets.is_empty()) {
            return Ok(());
        }
        let mut has_last = false;
        for bucket in &raw.buckets {
            has_last |= bucket.bound == f64::INFINITY;
            let label = Some(("le", float_label(bucket.bound)));
            let point = self.point("_bucket", label, PointValue::Number(bucket.count), raw.created);
            each(FamilyPart::Point(Point { exemplars: bucket.exemplar.into_iter().collect(), ..point }))?;
        }
        if !has_last {
            let label = Some(("le", float_label(f64::INFINITY)));
            each(FamilyPart::Point(self.point("_bucket", label, PointValue::Number(raw.count()), raw.created)))?;
        }
        each(FamilyPart::Point(self.point("_sum", None, PointValue::Number(raw.sum), raw.created)))?;
        each(FamilyPart::Point(self.point("_count", None, PointValue::Number(raw.count()), raw.created)))
    }

    fn point(
        &self,
        suffix: &'static str,
        more: Option<(&'static str, String)>,
        value: PointValue,
        created: Option<Timestamp>,
    ) -> Point<'a> {
        let name = match suffix {
            "" => Cow::Borrowed(self.place.family),
            suffix => Cow::Owned(format!("{}{suffix}", self.place.family)),
        };
        let mut labels = vec![(Cow::Borrowed(Labels::METRIC_NAME), name)];
        labels.extend(self.labels.iter().map(|(name, value)| (Cow::Borrowed(*name), Cow::Borrowed(*value))));
        labels.extend(more.map(|(name, value)| (Cow::Borrowed(name), Cow::Owned(value))));
        let (timestamp, place) = (self.timestamp, self.place);
        Point { labels, value, timestamp, created, exemplars: Vec::new(), place }
    }
}

fn label(field: Field<'_>) -> Result<(&str, &str), Fault> {
    let (mut name, mut value) = ("", "");
    let mut fields = field.bytes()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => name = field.text()?,
            2 => value = field.text()?,
            _ => {}
        }
    }
    Ok((name, value))
}

/// The value of a gauge, counter or untyped metric, with the exemplar and the beginning of a counter.
fn number(mut fields: Fields<'_>) -> Result<(f64, Option<PointExemplar<'_>>, Option<Timestamp>), Fault> {
    let (mut v, mut exemplar, mut created) = (0.0, None, None);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => v = field.double()?,
            2 => exemplar = Some(exemplar_of(field)?),
            3 => created = Some(time(field)?),
            _ => {}
        }
    }
    Ok((v, exemplar, created))
}

pub(super) fn exemplar_of(field: Field<'_>) -> Result<PointExemplar<'_>, Fault> {
    let mut fields = field.bytes()?;
    let bytes = fields.bytes();
    let (mut labels, mut count, mut value, mut timestamp) = ([None; EXEMPLAR_LABELS_MAX], 0, 0.0, None);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => {
                let Some(place) = labels.get_mut(count) else {
                    return Err(Fault { offset: field.offset, reason: "an exemplar has too many labels" });
                };
                *place = Some(label(field)?);
                count += 1;
            }
            2 => value = field.double()?,
            3 => timestamp = Some(time(field)?),
            _ => {}
        }
    }
    Ok(PointExemplar { bytes, labels, value, timestamp })
}

/// A `google.protobuf.Timestamp`.
pub(super) fn time(field: Field<'_>) -> Result<Timestamp, Fault> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    let mut fields = field.bytes()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => seconds = field.int64()?,
            2 => nanos = field.int64()?,
            _ => {}
        }
    }
    Ok(Timestamp(seconds.saturating_mul(1000).saturating_add(nanos.div_euclid(1_000_000))))
}

struct Summary {
    count: u64,
    sum: f64,
    quantiles: Vec<(f64, f64)>,
    created: Option<Timestamp>,
}

impl Summary {
    fn read(mut fields: Fields<'_>) -> Result<Summary, Fault> {
        let mut summary = Summary { count: 0, sum: 0.0, quantiles: Vec::new(), created: None };
        while let Some(field) = fields.next()? {
            match field.number {
                1 => summary.count = field.uint64()?,
                2 => summary.sum = field.double()?,
                3 => {
                    let (mut quantile, mut v) = (0.0, 0.0);
                    let mut fields = field.bytes()?;
                    while let Some(field) = fields.next()? {
                        match field.number {
                            1 => quantile = field.double()?,
                            2 => v = field.double()?,
                            _ => {}
                        }
                    }
                    summary.quantiles.push((quantile, v));
                }
                4 => summary.created = Some(time(field)?),
                _ => {}
            }
        }
        Ok(summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CUSTOM_SCHEMA, HistogramCounts, Span};
    use crate::wire::protobuf::FieldWriter;
    use crate::wire::push_family;
    use crate::wire::xor_chunk::tests::Xorshift;

    const NATIVE: HistogramReading = HistogramReading { native: true, always_classic: false, convert_classic: false };

    fn message(write: impl FnOnce(&mut FieldWriter)) -> Vec<u8> {
        let mut writer = FieldWriter::default();
        write(&mut writer);
        writer.bytes
    }

    /// The parts of one family that is written by hand.
    fn family(name: &str, kind: i64, metrics: &[Vec<u8>]) -> Vec<u8> {
        let family = message(|family| {
            metrics.iter().for_each(|metric| family.bytes_field(4, metric));
            family.int64_field(3, kind);
            family.bytes_field(2, b"what it is");
            family.bytes_field(5, b"s");
            family.bytes_field(1, name.as_bytes());
        });
        let mut body = message(|length| length.varint(family.len() as u64));
        body.extend(family);
        body
    }

    fn pair(name: &str, value: &str) -> Vec<u8> {
        message(|pair| {
            pair.bytes_field(1, name.as_bytes());
            pair.bytes_field(2, value.as_bytes());
        })
    }

    fn time_message(seconds: i64, nanos: i64) -> Vec<u8> {
        message(|time| {
            time.int64_field(1, seconds);
            time.int64_field(2, nanos);
        })
    }

    fn exemplar_message(id: &str, v: f64, seconds: Option<i64>) -> Vec<u8> {
        message(|exemplar| {
            exemplar.bytes_field(1, &pair("id", id));
            exemplar.double_field(2, v);
            if let Some(seconds) = seconds {
                exemplar.bytes_field(3, &time_message(seconds, 5_999_999));
            }
        })
    }

    /// Each point as `name{labels} value @timestamp <created [exemplars]`.
    fn read(body: &[u8], reading: HistogramReading) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        let mut each = |part: FamilyPart<'_>| {
            all.push(match part {
                FamilyPart::Family { name, help, kind, unit } => format!("{name} {} {help:?} {unit}", kind.as_str()),
                FamilyPart::Point(point) => {
                    let labels = Labels::new(point.labels.iter().map(|(name, value)| (&**name, &**value))).unwrap();
                    let value = match &point.value {
                        PointValue::Number(v) => v.to_string(),
                        PointValue::Histogram(histogram) => {
                            format!("{} {:?} {:?}", histogram.schema, histogram.bounds, histogram.counts)
                        }
                    };
                    let exemplars: Vec<_> =
                        point.exemplars.iter().map(|one| one.exemplar(Timestamp(77)).unwrap()).collect();
                    let mut text = format!("{labels} {value}");
                    for (sign, t) in [("@", point.timestamp), ("<", point.created)] {
                        if let Some(t) = t {
                            text.push_str(&format!(" {sign}{}", t.0));
                        }
                    }
                    for exemplar in exemplars {
                        text.push_str(&format!(
                            " #{} {} {}",
                            exemplar.labels.get("id"),
                            exemplar.sample.v,
                            exemplar.sample.t.0
                        ));
                    }
                    text
                }
            });
            Ok(())
        };
        metric_families(body, reading, &mut each).map_err(|error| error.to_string())?;
        Ok(all)
    }

    #[test]
    fn numbers_come_with_exemplars_times_and_beginnings() {
        let counter = message(|counter| {
            counter.double_field(1, 7.5);
            counter.bytes_field(2, &exemplar_message("x", 0.25, Some(3)));
            counter.bytes_field(3, &time_message(2, 1_000_000));
        });
        let metric = message(|metric| {
            metric.bytes_field(1, &pair("job", "a"));
            metric.bytes_field(3, &counter);
            metric.int64_field(6, 9000);
        });
        let expected = ["c_total counter \"what it is\" s", "c_total{job=\"a\"} 7.5 @9000 <2001 #x 0.25 3005"];
        assert_eq!(read(&family("c_total", 0, &[metric]), NATIVE).unwrap(), expected);
        let summary = message(|summary| {
            summary.int64_field(1, 4);
            summary.double_field(2, 2.5);
            let quantile = message(|quantile| {
                quantile.double_field(1, 0.5);
                quantile.double_field(2, 0.75);
            });
            summary.bytes_field(3, &quantile);
        });
        let metric = message(|metric| metric.bytes_field(4, &summary));
        let expected = ["s summary \"what it is\" s", "s{quantile=\"0.5\"} 0.75", "s_sum 2.5", "s_count 4"];
        assert_eq!(read(&family("s", 2, &[metric]), NATIVE).unwrap(), expected);
    }

    /// A classic histogram with observations up to 1 and 2.5, native ones beside it if asked for.
    fn histogram_body(native: impl FnOnce(&mut FieldWriter)) -> Vec<u8> {
        let histogram = message(|histogram| {
            histogram.int64_field(1, 9);
            histogram.double_field(2, 12.5);
            for (bound, count, exemplar) in [(1.0, 3, Some(4)), (2.5, 8, None)] {
                let bucket = message(|bucket| {
                    bucket.int64_field(1, count);
                    bucket.double_field(2, bound);
                    bucket.bytes_field(3, &exemplar_message("y", bound, exemplar));
                });
                histogram.bytes_field(3, &bucket);
            }
            native(histogram);
        });
        family("h", 4, &[message(|metric| metric.bytes_field(7, &histogram))])
    }

    #[test]
    fn a_histogram_is_read_as_it_is_wanted() {
        let native_part = |histogram: &mut FieldWriter| {
            histogram.int64_field(5, 6);
            histogram.double_field(6, 0.001);
            histogram.int64_field(7, 1);
            let span = message(|span| span.int64_field(2, 2));
            histogram.bytes_field(12, &span);
            // Alone and packed.
            histogram.int64_field(13, 6);
            histogram.bytes_field(13, &[4]);
        };
        let said = "h histogram \"what it is\" s";
        let classic = [
            "h_bucket{le=\"1.0\"} 3 #y 1 4005",
            "h_bucket{le=\"2.5\"} 8 #y 2.5 77",
            "h_bucket{le=\"+Inf\"} 9",
            "h_sum 12.5",
            "h_count 9",
        ];
        let native = "h 3 [] Integer { count: 9, zero: 1, positive: [3, 5], negative: [] } #y 1 4005";
        let custom = "h -53 [1.0, 2.5] Integer { count: 9, zero: 0, positive: [3, 5, 1], negative: [] } #y 1 4005";
        let check = |body: &[u8], (native, always_classic, convert_classic), expected: &[&[&str]]| {
            let reading = HistogramReading { native, always_classic, convert_classic };
            assert_eq!(read(body, reading).unwrap(), expected.concat(), "{reading:?}");
        };
        let (both, only_classic) = (histogram_body(native_part), histogram_body(|_| {}));
        check(&both, (false, false, false), &[&[said], &classic]);
        check(&both, (true, false, false), &[&[said, native]]);
        check(&both, (true, true, false), &[&[said, native], &classic]);
        check(&both, (true, false, true), &[&[said, native]]);
        check(&only_classic, (true, false, false), &[&[said], &classic]);
        check(&only_classic, (true, false, true), &[&[said, custom]]);
        check(&only_classic, (false, true, true), &[&[said, custom], &classic]);
    }

    #[test]
    fn a_bad_body_names_its_place() {
        let check = |body: &[u8], expected: &str| {
            let error = read(body, NATIVE).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check(&[5, 1], "the messages");
        check(&[2, 0x12, 0], "a metric family has no name");
        check(&family("m", 1, &[vec![1 << 3 | 2, 9]]), "metric family \"m\"");
        let many = message(|metric| (0..200).for_each(|n| metric.bytes_field(1, &pair(&format!("l{n}"), "v"))));
        check(&family("m", 1, &[many]), "too many labels");
        let falling = histogram_body(|histogram| {
            let bucket = message(|bucket| bucket.double_field(2, 0.5));
            histogram.bytes_field(3, &bucket);
        });
        let convert = HistogramReading { convert_classic: true, ..NATIVE };
        let error = read(&falling, convert).unwrap_err();
        assert!(error.contains("do not rise"), "{error}");
        let negative = histogram_body(|histogram| {
            histogram.bytes_field(12, &message(|span| span.int64_field(2, 1)));
            histogram.int64_field(13, 1);
        });
        check(&negative, "a bucket of a histogram has a negative count");
    }

    #[test]
    fn what_is_written_reads_back_bit_for_bit() {
        for seed in 0..300 {
            let mut rng = Xorshift(seed * 2 + 1);
            let mut below = |n: u64| rng.next_u64() % n;
            let lengths: Vec<u32> = (0..1 + below(3)).map(|_| 1 + below(4) as u32).collect();
            let spans = lengths.iter().map(|length| Span { offset: below(9) as i32, length: *length }).collect();
            let buckets = lengths.iter().sum::<u32>();
            let is_gauge = below(2) == 0;
            let (positive, zero) = ((0..buckets).map(|_| below(1 << 40)).collect::<Vec<u64>>(), below(5));
            let counts = if below(2) == 0 {
                let count = positive.iter().sum::<u64>() + zero;
                HistogramCounts::Integer { count, zero, positive, negative: vec![] }
            } else {
                let positive: Vec<f64> = positive.iter().map(|n| *n as f64 / 3.0).collect();
                HistogramCounts::Float { count: 1.0 + zero as f64, zero: 0.5, positive, negative: vec![] }
            };
            let exponential = Histogram {
                reset_hint: if is_gauge { ResetHint::Gauge } else { ResetHint::Unknown },
                schema: below(13) as i32 - 4,
                zero_threshold: [0.0, 1e-9][below(2) as usize],
                sum: f64::from_bits(below(u64::MAX)),
                positive_spans: spans,
                negative_spans: vec![],
                bounds: vec![],
                counts,
            };
            let kind = if is_gauge { MetricKind::GaugeHistogram } else { MetricKind::Histogram };
            let labels = Labels::new([("a", "b")]).unwrap();
            let sent = PointValue::Histogram(Arc::new(exponential.clone()));
            let mut body = Vec::new();
            push_family(&mut body, "h", kind, &[(labels, sent.clone(), Timestamp(5))]);
            push_family(
                &mut body,
                "n",
                MetricKind::Unknown,
                &[(Labels::empty(), PointValue::Number(0.5), Timestamp(6))],
            );
            let mut points = Vec::new();
            let mut each = |part: FamilyPart<'_>| {
                if let FamilyPart::Point(point) = part {
                    points.push((point.labels[0].1.to_string(), point.value, point.timestamp));
                }
                Ok(())
            };
            metric_families(&body, NATIVE, &mut each).unwrap();
            let number = ("n".to_owned(), PointValue::Number(0.5), Some(Timestamp(6)));
            assert_eq!(points, [("h".to_owned(), sent, Some(Timestamp(5))), number], "seed {seed}");
        }
    }

    #[test]
    fn custom_bounds_are_written_as_classic_buckets() {
        let custom = Histogram {
            reset_hint: ResetHint::Unknown,
            schema: CUSTOM_SCHEMA,
            zero_threshold: 0.0,
            sum: 4.0,
            positive_spans: vec![Span { offset: 1, length: 1 }, Span { offset: 1, length: 1 }],
            negative_spans: vec![],
            bounds: vec![0.5, 1.0, 2.0],
            counts: HistogramCounts::Integer { count: 5, zero: 0, positive: vec![2, 3], negative: vec![] },
        };
        let value = PointValue::Histogram(Arc::new(custom));
        let mut body = Vec::new();
        push_family(&mut body, "h", MetricKind::Histogram, &[(Labels::empty(), value, Timestamp(5))]);
        let expected = "h -53 [0.5, 1.0, 2.0] Integer { count: 5, zero: 0, positive: [0, 2, 0, 3], negative: [] } @5";
        let convert = HistogramReading { convert_classic: true, ..NATIVE };
        assert_eq!(read(&body, convert).unwrap()[1], expected);
    }
}
