//! Remote read: the request, and the answer that holds all samples.
//!
//! Invariants:
//! - Any bytes give a request or an error; nothing is allocated by what they announce beyond the limits.
//!
//! Source: `remote.proto` and `types.proto`, Prometheus' published protocol.

use super::error::WireError;
use super::protobuf::{Fault, Field, FieldWriter, Fields, Value};
use super::remote_write::decompressed_bytes;
use super::remote_write_encoder::histogram_message;
use crate::model::{HistogramSample, Labels, MatchOp, Matcher, Millis, Sample, TimeRange, Timestamp, limits};

/// What is asked.
#[derive(Debug, Clone)]
pub struct ReadRequest {
    /// Each is answered by itself, in this order.
    pub queries: Vec<ReadQuery>,
    /// The first form of answer that the sender takes and that we know; `None` if we know none of them.
    pub answer: Option<ReadType>,
}

/// One query of a request.
#[derive(Debug, Clone)]
pub struct ReadQuery {
    /// The instants.
    pub range: TimeRange,
    /// The series: those that satisfy all of them.
    pub matchers: Vec<Matcher>,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadType {
    /// One message with all samples.
    Samples,
    /// A stream of messages with chunks.
    StreamedChunks,
}

impl ReadType {
    fn of(number: u64) -> Option<ReadType> {
        match number {
            0 => Some(ReadType::Samples),
            1 => Some(ReadType::StreamedChunks),
            _ => None,
        }
    }
}

/// A series of an answer. At an instant it has a sample or a native histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadSeries {
    /// Which series.
    pub labels: Labels,
    /// Its samples in the order of time.
    pub samples: Vec<Sample>,
    /// Its native histograms in the order of time.
    pub histograms: Vec<HistogramSample>,
}

/// Reads a request: a snappy block that holds a `prometheus.ReadRequest`.
///
/// # Errors
/// The body is no such block, or over a limit; or a matcher's pattern is none.
pub fn read_request(body: &[u8]) -> Result<ReadRequest, WireError> {
    decompressed_bytes(body)?;
    let message = snap::raw::Decoder::new()
        .decompress_vec(body)
        .map_err(|error| WireError::Snappy { reason: error.to_string().trim_start_matches("snappy: ").to_owned() })?;
    let mut fields = Fields::new(&message);
    let (mut queries, mut accepted) = (Vec::new(), Vec::new());
    while let Some(field) = fields.next().map_err(|fault| fault.at("the request"))? {
        match field.number {
            1 if queries.len() >= limits::READ_QUERIES_MAX => {
                return Err(WireError::TooMany { what: "queries", max: limits::READ_QUERIES_MAX });
            }
            1 => queries.push(query(field, queries.len())?),
            2 => accepted.extend(types(field).map_err(|fault| fault.at("accepted_response_types"))?),
            _ => {}
        }
    }
    let answer =
        if accepted.is_empty() { Some(ReadType::Samples) } else { accepted.into_iter().find_map(ReadType::of) };
    Ok(ReadRequest { queries, answer })
}

/// Numbers of the types, packed or not; all known ones take one byte.
fn types(field: Field<'_>) -> Result<Vec<u64>, Fault> {
    match field.value {
        Value::Varint(number) => Ok(vec![number]),
        _ => Ok(field.bytes()?.bytes().iter().take(16).map(|byte| u64::from(*byte)).collect()),
    }
}

fn query(field: Field<'_>, number: usize) -> Result<ReadQuery, WireError> {
    let place = || format!("query {number}");
    let fail = |fault: Fault| fault.at(place());
    let (mut start, mut end, mut matchers) = (0, 0, Vec::new());
    let mut fields = field.bytes().map_err(fail)?;
    while let Some(field) = fields.next().map_err(fail)? {
        match field.number {
            1 => start = field.int64().map_err(fail)?,
            2 => end = field.int64().map_err(fail)?,
            3 if matchers.len() >= limits::LABELS_PER_SERIES_MAX => {
                return Err(WireError::TooMany { what: "matchers", max: limits::LABELS_PER_SERIES_MAX });
            }
            3 => matchers.push(matcher(field, || format!("query {number}, matcher {}", matchers.len()))?),
            _ => {}
        }
    }
    let range = match start <= end {
        true => TimeRange { after: Timestamp(start) - Millis(1), until: Timestamp(end) },
        false => TimeRange { after: Timestamp::MAX, until: Timestamp::MIN },
    };
    Ok(ReadQuery { range, matchers })
}

fn matcher(field: Field<'_>, place: impl Fn() -> String) -> Result<Matcher, WireError> {
    let fail = |fault: Fault| fault.at(place());
    let (mut op, mut name, mut value) = (0, "", "");
    let mut fields = field.bytes().map_err(fail)?;
    while let Some(field) = fields.next().map_err(fail)? {
        match field.number {
            1 => op = field.int64().map_err(fail)?,
            2 => name = field.text().map_err(fail)?,
            3 => value = field.text().map_err(fail)?,
            _ => {}
        }
    }
    let op = match op {
        0 => MatchOp::Equal,
        1 => MatchOp::NotEqual,
        2 => MatchOp::Match,
        3 => MatchOp::NotMatch,
        _ => return Err(Fault { offset: field.offset, reason: "a matcher's type is unknown" }.at(place())),
    };
    let offset = field.offset;
    Matcher::new(name, op, value).map_err(|error| WireError::Protobuf {
        place: place(),
        offset,
        fault: error.to_string(),
    })
}

/// The answer with all samples: a snappy block that holds a `prometheus.ReadResponse`, with one result for
/// each query.
pub fn read_response(results: &[Vec<ReadSeries>]) -> Vec<u8> {
    let mut response = FieldWriter::default();
    let (mut result, mut series, mut part) = (FieldWriter::default(), FieldWriter::default(), FieldWriter::default());
    for found in results {
        result.bytes.clear();
        for ReadSeries { labels, samples, histograms } in found {
            series.bytes.clear();
            push_labels(&mut series, &mut part, labels);
            for sample in samples {
                part.bytes.clear();
                part.double_field(1, sample.v);
                part.int64_field(2, sample.t.0);
                series.bytes_field(2, &part.bytes);
            }
            histograms.iter().for_each(|sample| series.bytes_field(4, &histogram_message(sample)));
            result.bytes_field(1, &series.bytes);
        }
        response.bytes_field(1, &result.bytes);
    }
    snap::raw::Encoder::new().compress_vec(&response.bytes).expect("the limit on samples keeps it below 4 GiB")
}

/// Labels as field 1 of a series.
pub(super) fn push_labels(series: &mut FieldWriter, part: &mut FieldWriter, labels: &Labels) {
    for label in labels.iter() {
        part.bytes.clear();
        part.bytes_field(1, label.name.as_bytes());
        part.bytes_field(2, label.value.as_bytes());
        series.bytes_field(1, &part.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(write: impl FnOnce(&mut FieldWriter)) -> Vec<u8> {
        let mut writer = FieldWriter::default();
        write(&mut writer);
        snap::raw::Encoder::new().compress_vec(&writer.bytes).unwrap()
    }

    fn one_query(accepted: &[u8]) -> Vec<u8> {
        let mut matcher = FieldWriter::default();
        matcher.int64_field(1, 2);
        matcher.bytes_field(2, b"job");
        matcher.bytes_field(3, b"a|b");
        let mut query = FieldWriter::default();
        query.int64_field(1, -5);
        query.int64_field(2, 10);
        query.bytes_field(3, &matcher.bytes);
        query.bytes_field(4, b"");
        body(|request| {
            request.bytes_field(1, &query.bytes);
            if !accepted.is_empty() {
                request.bytes_field(2, accepted);
            }
        })
    }

    #[test]
    fn a_request_is_read() {
        let request = read_request(&one_query(&[])).unwrap();
        let query = &request.queries[0];
        assert_eq!(query.range, TimeRange { after: Timestamp(-6), until: Timestamp(10) });
        let matcher = &query.matchers[0];
        assert_eq!((matcher.name(), matcher.op(), matcher.value()), ("job", MatchOp::Match, "a|b"));
        let check = |accepted: &[u8], expected| {
            assert_eq!(read_request(&one_query(accepted)).unwrap().answer, expected, "{accepted:?}");
        };
        check(&[], Some(ReadType::Samples));
        check(&[1], Some(ReadType::StreamedChunks));
        check(&[0, 1], Some(ReadType::Samples));
        check(&[7, 1], Some(ReadType::StreamedChunks));
        check(&[7], None);
        let unpacked = body(|request| request.int64_field(2, 1));
        assert_eq!(read_request(&unpacked).unwrap().answer, Some(ReadType::StreamedChunks));
    }

    #[test]
    fn a_bad_request_names_its_place() {
        let check = |body: &[u8], expected: &str| {
            let error = read_request(body).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(b"", "it is empty");
        check(b"nonsense", "snappy");
        check(&body(|request| request.int64_field(1, 1)), "query 0");
        let mut matcher = FieldWriter::default();
        matcher.int64_field(1, 2);
        matcher.bytes_field(3, b"(a");
        let mut query = FieldWriter::default();
        query.bytes_field(3, &matcher.bytes);
        check(&body(|request| request.bytes_field(1, &query.bytes)), "query 0, matcher 0");
        check(&body(|request| (0..65).for_each(|_| request.bytes_field(1, b""))), "more than 64 queries");
    }

    #[test]
    fn an_answer_holds_every_sample() {
        let labels = Labels::new([("__name__", "m"), ("a", "b")]).unwrap();
        let samples = vec![Sample { t: Timestamp(-1), v: 0.5 }, Sample { t: Timestamp(2), v: f64::INFINITY }];
        let series = ReadSeries { labels, samples, histograms: vec![] };
        let answer = read_response(&[vec![], vec![series]]);
        let message = snap::raw::Decoder::new().decompress_vec(&answer).unwrap();
        let mut results = Fields::new(&message);
        assert!(results.next().unwrap().unwrap().bytes().unwrap().bytes().is_empty());
        let mut result = results.next().unwrap().unwrap().bytes().unwrap();
        let mut series = result.next().unwrap().unwrap().bytes().unwrap();
        let mut seen = Vec::new();
        while let Some(field) = series.next().unwrap() {
            let mut inner = field.bytes().unwrap();
            let (one, two) = (inner.next().unwrap().unwrap(), inner.next().unwrap().unwrap());
            seen.push(match field.number {
                1 => format!("{}={}", one.text().unwrap(), two.text().unwrap()),
                _ => format!("{}@{}", one.double().unwrap(), two.int64().unwrap()),
            });
        }
        assert_eq!(seen, ["__name__=m", "a=b", "0.5@-1", "inf@2"]);
    }
}
