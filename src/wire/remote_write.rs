//! Remote-write 1.0: a snappy block that holds a `prometheus.WriteRequest`.
//!
//! Invariants:
//! - The announced length is checked before a byte is allocated for it.
//! - A message that cannot be read is refused whole, and the fault names its place.
//! - A series that cannot be named is left out, counted and named; the others are taken. One bad
//!   series of a sender must not cost what its other series had to say.
//!
//! Source: "Prometheus Remote-Write 1.0 specification", prometheus.io.

use std::fmt;

use super::error::WireError;
use super::protobuf::{Fault, Field, Fields};
use crate::model::{Batch, Labels, LabelsError, Sample, Timestamp, limits};

/// Labels of one series that are looked at. Empty ones do not count as labels, so that this is more
/// than a series may have.
const LABELS_READ_MAX: usize = 2 * limits::LABELS_PER_SERIES_MAX;

/// A decoded request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WriteRequest {
    /// Its float samples.
    pub batch: Batch,
    /// Series that were left out because their labels cannot name one.
    pub refused: u64,
    /// The fault of the first of them.
    pub first_fault: Option<WireError>,
    /// Exemplars that were left out: they are not stored.
    pub exemplars: u64,
    /// Native histograms that were left out: they are not supported.
    pub histograms: u64,
    /// Metadata entries that were left out: they are not stored.
    pub metadata: u64,
}

/// The samples of a remote-write 1.0 body.
///
/// # Errors
/// The body is too large, not a snappy block, not a `WriteRequest`, or names a series wrongly.
pub fn remote_write(body: &[u8]) -> Result<Batch, WireError> {
    let request = write_request(body)?;
    request.first_fault.map_or(Ok(request.batch), Err)
}

/// A remote-write 1.0 body with the counts of what was left out of it.
///
/// # Errors
/// The body is too large, not a snappy block, or not a `WriteRequest`.
pub fn write_request(body: &[u8]) -> Result<WriteRequest, WireError> {
    walk(&decompress(body)?)
}

/// The bytes that a remote-write body takes once decompressed, so that room can be found for them.
///
/// # Errors
/// More than is taken, or more than the body can hold.
pub fn decompressed_bytes(body: &[u8]) -> Result<usize, WireError> {
    let snappy = |reason: String| WireError::Snappy { reason };
    if body.is_empty() {
        return Err(snappy("it is empty".to_owned()));
    }
    let announced = snap::raw::decompress_len(body).map_err(not_snappy)?;
    let max = limits::BODY_DECODED_BYTES_MAX;
    if announced > max {
        return Err(WireError::TooLarge { bytes: announced, max });
    }
    // The densest element of the format makes 64 bytes of 3, so a larger claim is a lie and must
    // not cost memory.
    if announced / 22 > body.len() {
        return Err(snappy(format!("{} bytes cannot hold the {announced} that it announces", body.len())));
    }
    Ok(announced)
}

fn not_snappy(error: snap::Error) -> WireError {
    WireError::Snappy { reason: error.to_string().trim_start_matches("snappy: ").to_owned() }
}

fn decompress(body: &[u8]) -> Result<Vec<u8>, WireError> {
    decompressed_bytes(body)?;
    snap::raw::Decoder::new().decompress_vec(body).map_err(not_snappy)
}

fn walk(message: &[u8]) -> Result<WriteRequest, WireError> {
    let mut request = WriteRequest::default();
    let mut series = SeriesScratch::default();
    let mut index = 0;
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next().map_err(|fault| fault.at("the request"))? {
        match field.number {
            1 => {
                let place = Place { series: index, part: Part::Series };
                let message = field.bytes().map_err(|fault| fault.at(place))?;
                series.read(message, index)?;
                series.push_to(&mut request, message.offset(), index)?;
                index += 1;
            }
            3 => {
                field.bytes().map_err(|fault| fault.at("the request"))?;
                request.metadata += 1;
            }
            // Numbers of version 2; without this its samples would vanish with an answer of success.
            4 | 5 => {
                let reason = "this is a remote-write 2.0 message; send 1.0";
                return Err(Fault { offset: field.offset, reason }.at("the request"));
            }
            _ => {}
        }
    }
    Ok(request)
}

/// Where a fault lies; made into words only when there is one.
#[derive(Debug, Clone, Copy)]
struct Place {
    series: usize,
    part: Part,
}

#[derive(Debug, Clone, Copy)]
enum Part {
    Series,
    Label(usize),
    Sample(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Part::Series => write!(f, "series {}", self.series),
            Part::Label(label) => write!(f, "series {}, label {label}", self.series),
            Part::Sample(sample) => write!(f, "series {}, sample {sample}", self.series),
        }
    }
}

/// The parts of one `TimeSeries`, in room that is used again for the next one.
#[derive(Default)]
struct SeriesScratch<'a> {
    labels: Vec<(&'a str, &'a str)>,
    labels_met: usize,
    /// Why its labels cannot name a series, if a single label shows it.
    fault: Option<WireError>,
    samples: Vec<Sample>,
    exemplars: u64,
    histograms: u64,
}

impl<'a> SeriesScratch<'a> {
    fn read(&mut self, mut message: Fields<'a>, series: usize) -> Result<(), WireError> {
        self.labels.clear();
        self.samples.clear();
        (self.labels_met, self.fault) = (0, None);
        (self.exemplars, self.histograms) = (0, 0);
        let at = |part| Place { series, part };
        while let Some(field) = message.next().map_err(|fault| fault.at(at(Part::Series)))? {
            match field.number {
                1 => {
                    let place = at(Part::Label(self.labels_met));
                    self.labels_met += 1;
                    match label(field).map_err(|fault| fault.at(place))?.texts() {
                        Ok(pair) if self.labels.len() < LABELS_READ_MAX => self.labels.push(pair),
                        Ok(_) => {}
                        Err(fault) => self.fault = self.fault.take().or_else(|| Some(fault.at(place))),
                    }
                }
                2 => {
                    let place = at(Part::Sample(self.samples.len()));
                    self.samples.push(sample(field).map_err(|fault| fault.at(place))?);
                }
                3 => {
                    field.bytes().map_err(|fault| fault.at(at(Part::Series)))?;
                    self.exemplars += 1;
                }
                4 => {
                    field.bytes().map_err(|fault| fault.at(at(Part::Series)))?;
                    self.histograms += 1;
                }
                _ => {}
            }
            if self.samples.len() > limits::SAMPLES_PER_BATCH_MAX {
                return Err(WireError::TooManySamples);
            }
        }
        Ok(())
    }

    fn push_to(&mut self, request: &mut WriteRequest, offset: usize, series: usize) -> Result<(), WireError> {
        if request.batch.samples().len() + self.samples.len() > limits::SAMPLES_PER_BATCH_MAX {
            return Err(WireError::TooManySamples);
        }
        match self.name(offset, series) {
            Ok(labels) => {
                request.exemplars += self.exemplars;
                request.histograms += self.histograms;
                if !self.samples.is_empty() {
                    request.batch.push_series(labels, self.samples.iter().copied());
                }
            }
            Err(fault) => {
                request.refused += 1;
                request.first_fault.get_or_insert(fault);
            }
        }
        Ok(())
    }

    /// The labels, if they can name a series.
    fn name(&mut self, offset: usize, series: usize) -> Result<Labels, WireError> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let place = Place { series, part: Part::Series };
        let refuse = |fault: String| WireError::Protobuf { place: place.to_string(), offset, fault };
        if self.labels_met > LABELS_READ_MAX {
            return Err(refuse(LabelsError::TooMany { count: self.labels_met }.to_string()));
        }
        let labels = Labels::new(self.labels.iter().copied()).map_err(|error| refuse(error.to_string()))?;
        if labels.metric_name().is_empty() {
            return Err(refuse("it has no metric name; set the label \"__name__\"".to_owned()));
        }
        Ok(labels)
    }
}

/// A label whose texts are not looked at yet.
struct RawLabel<'a> {
    offset: usize,
    name: Option<Field<'a>>,
    value: Option<Field<'a>>,
}

impl<'a> RawLabel<'a> {
    fn texts(self) -> Result<(&'a str, &'a str), Fault> {
        let text = |field: Option<Field<'a>>| field.map_or(Ok(""), Field::text);
        let (name, value) = (text(self.name)?, text(self.value)?);
        if name.is_empty() {
            return Err(Fault { offset: self.offset, reason: "the label name is empty; give every label a name" });
        }
        Ok((name, value))
    }
}

fn label<'a>(field: Field<'a>) -> Result<RawLabel<'a>, Fault> {
    let mut message = field.bytes()?;
    let mut label = RawLabel { offset: field.offset, name: None, value: None };
    while let Some(field) = message.next()? {
        match field.number {
            1 => label.name = Some(field),
            2 => label.value = Some(field),
            _ => continue,
        }
        field.bytes()?;
    }
    Ok(label)
}

fn sample(field: Field<'_>) -> Result<Sample, Fault> {
    let mut message = field.bytes()?;
    // Fields with the default value are left out on the wire.
    let mut sample = Sample { t: Timestamp(0), v: 0.0 };
    while let Some(field) = message.next()? {
        match field.number {
            1 => sample.v = field.double()?,
            2 => sample.t = Timestamp(field.int64()?),
            _ => {}
        }
    }
    Ok(sample)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::STALE_NAN;
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

    /// Why the request is refused, or its first series.
    fn fault_of(message: &[u8]) -> String {
        walk(message).map_or_else(|error| error, |request| request.first_fault.unwrap()).to_string()
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
        assert_eq!(batch.series()[0].to_string(), "x{job=\"a\"}");
        assert_eq!(batch.samples()[0].sample, Sample { t: Timestamp(7), v: 2.0 });
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
        assert_eq!(got, WriteRequest { exemplars: 1, histograms: 2, metadata: 1, ..WriteRequest::default() });
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
        let stored: Vec<String> = request.batch.series().iter().map(Labels::to_string).collect();
        assert_eq!((stored, request.refused), (vec!["a".to_owned(), "b".to_owned()], 2));
        let fault = request.first_fault.unwrap().to_string();
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
        let decoded = decompress(&body).unwrap();
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
    fn bombs_are_refused_before_they_are_unpacked() {
        let announce = |n: u64| message(|w| w.varint(n));
        let over = limits::BODY_DECODED_BYTES_MAX as u64 + 1;
        assert!(matches!(remote_write(&announce(over)), Err(WireError::TooLarge { .. })));
        let mut lie = announce(over - 1);
        lie.extend([0; 100]);
        let text = remote_write(&lie).unwrap_err().to_string();
        assert!(text.contains("cannot hold the 33554432 that it announces"), "{text}");
        assert!(matches!(remote_write(b""), Err(WireError::Snappy { .. })));
        assert!(matches!(remote_write(b"not snappy at all"), Err(WireError::Snappy { .. })));
        // The densest honest block must still pass the plausibility check.
        let dense = snap::raw::Encoder::new().compress_vec(&vec![0; 1 << 20]).unwrap();
        assert_eq!(decompress(&dense).unwrap().len(), 1 << 20);
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
}
