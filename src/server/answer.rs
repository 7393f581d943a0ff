//! Writes a query's answer as JSON, part by part while the peer takes it.
//!
//! Invariants:
//! - At most one part of about [`PART_BYTES`] is in memory beside the answer itself.

use std::io::Write as _;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::model::{Histogram, HistogramCounts, Labels, Sample, Timestamp, limits};
use crate::promql::kernel::native_buckets;
use crate::promql::{Answer, ElementValue, Value};

use super::number::{Line, Out, push_instant, push_plain, push_string, push_value};
use super::parts::{PART_BYTES, Parts, body_of};
use super::queries::{LargePlace, QueryStats};

/// The answer as a response that is written while it is sent. What is `held` is dropped with it.
pub(super) fn respond(answer: Answer, stats: Option<QueryStats>, held: Option<LargePlace>) -> Response {
    let mut writer = AnswerWriter { stats, ..AnswerWriter::new(answer) };
    let first = writer.next_part();
    // What fits into one part has a length that the peer is told.
    let body = match first {
        Some(whole) if matches!(writer.place, Place::End) => Body::from(whole),
        first => body_of(AnswerParts { first, writer, _held: held }),
    };
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

struct AnswerParts {
    /// The first part, until it is given.
    first: Option<Vec<u8>>,
    writer: AnswerWriter,
    _held: Option<LargePlace>,
}

impl Parts for AnswerParts {
    fn next_part(&mut self) -> Option<Vec<u8>> {
        self.first.take().or_else(|| self.writer.next_part())
    }
}

/// Where the writing stands.
enum Place {
    Head,
    /// At this series, and this sample of it.
    Series(usize, usize),
    Tail,
    End,
}

/// The whole body with which the query API answers.
pub fn answer_json(answer: Answer) -> String {
    let mut writer = AnswerWriter::new(answer);
    let parts: Vec<Vec<u8>> = std::iter::from_fn(|| writer.next_part()).collect();
    String::from_utf8(parts.concat()).unwrap_or_default()
}

/// Writes an answer in parts.
pub(super) struct AnswerWriter {
    answer: Answer,
    stats: Option<QueryStats>,
    place: Place,
    /// Bytes that the next part may take.
    room: usize,
    /// How the samples of the series begin, by their place: at the same instants, mostly.
    openings: Vec<Opening>,
}

/// How a sample at an instant begins.
struct Opening {
    t: Timestamp,
    text: [u8; OPENING_BYTES],
    len: u8,
}

impl Opening {
    fn new(t: Timestamp) -> Option<Opening> {
        let mut room = [0; SAMPLE_BYTES];
        let mut line = Line::new(&mut room);
        open_sample(&mut line, t);
        let len = line.len();
        let text = *room.first_chunk::<OPENING_BYTES>()?;
        (len <= OPENING_BYTES).then_some(Opening { t, text, len: len as u8 })
    }
}

impl AnswerWriter {
    pub(super) fn new(answer: Answer) -> AnswerWriter {
        AnswerWriter { answer, stats: None, place: Place::Head, room: PART_BYTES / 8, openings: Vec::new() }
    }

    /// The next part, or `None` after the last.
    pub(super) fn next_part(&mut self) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(self.room);
        while out.len() < PART_BYTES {
            self.place = match self.place {
                Place::Head => {
                    out.put("{\"status\":\"success\",\"data\":{\"resultType\":\"");
                    out.put(type_name(&self.answer.value));
                    out.put("\",\"result\":[");
                    Place::Series(0, 0)
                }
                Place::Series(series, sample) => self.push_result(&mut out, series, sample),
                Place::Tail => {
                    out.put("]");
                    if let Some(stats) = &self.stats {
                        push_stats(&mut out, stats);
                    }
                    out.put("}");
                    push_notes(&mut out, "warnings", &self.answer.warnings);
                    push_notes(&mut out, "infos", &self.answer.infos);
                    out.put("}");
                    Place::End
                }
                Place::End => break,
            };
        }
        // A part that was full is followed by one of that size, mostly.
        self.room = out.len();
        (!out.is_empty()).then_some(out)
    }

    fn push_result(&mut self, out: &mut Vec<u8>, series: usize, sample: usize) -> Place {
        let AnswerWriter { answer, openings, .. } = self;
        match &answer.value {
            Value::Scalar(one) => {
                push_instant(out, one.t);
                out.put(",\"");
                push_plain(out, one.v);
                out.put("\"");
                Place::Tail
            }
            Value::String(t, text) => {
                push_instant(out, *t);
                out.put(",");
                push_string(out, text);
                Place::Tail
            }
            Value::Vector(samples) => {
                let Some(element) = samples.get(series) else { return Place::Tail };
                push_metric(out, series, &element.labels);
                match &element.value {
                    ElementValue::Number(v) => {
                        out.put(",\"value\":");
                        push_sample(out, Sample { t: element.t, v: *v }, None);
                    }
                    ElementValue::Histogram(histogram) => {
                        out.put(",\"histogram\":");
                        push_histogram(out, element.t, histogram);
                    }
                }
                out.put("}");
                Place::Series(series + 1, 0)
            }
            Value::Matrix(all) => {
                let Some(row) = all.get(series) else { return Place::Tail };
                if sample == 0 {
                    push_metric(out, series, &row.labels);
                }
                // The histograms are counted on after the numbers.
                let (numbers, all) = (row.samples.len(), row.samples.len() + row.histograms.len());
                for at in sample..all {
                    if at > sample && out.len() >= PART_BYTES {
                        return Place::Series(series, at);
                    }
                    match row.samples.get(at) {
                        Some(one) => {
                            if at == 0 {
                                out.put(",\"values\":[");
                            } else {
                                out.push(b',');
                            }
                            if at == openings.len() && at < OPENINGS_MAX {
                                openings.extend(Opening::new(one.t));
                            }
                            push_sample(out, *one, openings.get(at));
                        }
                        None => {
                            let one = &row.histograms[at - numbers];
                            out.put(match at {
                                0 => ",\"histograms\":[",
                                at if at == numbers => "],\"histograms\":[",
                                _ => ",",
                            });
                            push_histogram(out, one.t, &one.histogram);
                        }
                    }
                }
                out.put(if all > 0 { "]}" } else { "}" });
                Place::Series(series + 1, 0)
            }
        }
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Scalar(_) => "scalar",
        Value::String(..) => "string",
        Value::Vector(_) => "vector",
        Value::Matrix(_) => "matrix",
    }
}

fn push_metric(out: &mut Vec<u8>, series: usize, labels: &Labels) {
    if series > 0 {
        out.put(",");
    }
    out.put("{\"metric\":");
    push_labels(out, labels);
}

/// Labels as a JSON object.
pub(super) fn push_labels(out: &mut impl Out, labels: &Labels) {
    out.put("{");
    for (at, label) in labels.iter().enumerate() {
        if at > 0 {
            out.put(",");
        }
        push_string(out, label.name);
        out.put(":");
        push_string(out, label.value);
    }
    out.put("}");
}

fn push_sample(out: &mut Vec<u8>, sample: Sample, known: Option<&Opening>) {
    // Room for whatever comes is made once, and what is left of it is given back.
    let before = out.len();
    out.extend_from_slice(&[0; SAMPLE_BYTES]);
    let Some(room) = out.last_chunk_mut::<SAMPLE_BYTES>() else { return };
    let known = known.filter(|known| known.t == sample.t);
    let begun = known.map_or(0, |known| {
        room[..OPENING_BYTES].copy_from_slice(&known.text);
        usize::from(known.len)
    });
    let mut line = Line::new(&mut room[begun..]);
    if known.is_none() {
        open_sample(&mut line, sample.t);
    }
    push_value(&mut line, sample.v);
    line.put_ascii(b"\"]");
    let after = before + begun + line.len();
    out.truncate(after);
}

fn open_sample(out: &mut impl Out, t: Timestamp) {
    out.put_ascii(b"[");
    push_instant(out, t);
    out.put_ascii(b",\"");
}

/// Prometheus' statistics, of which ours measures other phases: `queryPreparationTime` is the time that
/// reading took, `innerEvalTime` the rest; both counts of samples are the samples that were read.
fn push_stats(out: &mut Vec<u8>, stats: &QueryStats) {
    let running = stats.total.saturating_sub(stats.queued);
    let inner = running.saturating_sub(stats.reading);
    let _ = write!(
        out,
        ",\"stats\":{{\"timings\":{{\"evalTotalTime\":{},\"resultSortTime\":0,\"queryPreparationTime\":{},\
         \"innerEvalTime\":{},\"execQueueTime\":{},\"execTotalTime\":{}}},\
         \"samples\":{{\"totalQueryableSamples\":{},\"peakSamples\":{}}},\
         \"resultsCache\":{{\"stepsReused\":{},\"stepsEvaluated\":{}}}}}",
        running.as_secs_f64(),
        stats.reading.as_secs_f64(),
        inner.as_secs_f64(),
        stats.queued.as_secs_f64(),
        stats.total.as_secs_f64(),
        stats.samples,
        stats.samples,
        stats.steps.0,
        stats.steps.1
    );
}

/// More than any sample takes: 21 bytes for an instant, 26 for a value, 5 for what is around them.
const SAMPLE_BYTES: usize = 64;
/// Beginnings that are kept: those of the longest range.
const OPENINGS_MAX: usize = limits::RANGE_POINTS_MAX as usize + 1;
/// What the beginning of a sample takes, for all but absurd instants.
const OPENING_BYTES: usize = 24;

/// Notes of one kind that are shown; what is left out is counted in one more, as in Prometheus.
const NOTES_MAX: usize = 10;

/// A native histogram: its count, its sum, and the buckets that are not empty, each with 0 to 3 for
/// which of its bounds fall into it: the upper, the lower, neither, both.
fn push_histogram(out: &mut Vec<u8>, t: Timestamp, histogram: &Histogram) {
    let count = match histogram.counts {
        HistogramCounts::Integer { count, .. } => count as f64,
        HistogramCounts::Float { count, .. } => count,
    };
    out.put("[");
    push_instant(out, t);
    out.put(",{\"count\":\"");
    push_value(out, count);
    out.put("\",\"sum\":\"");
    push_value(out, histogram.sum);
    out.put("\"");
    let buckets = native_buckets(histogram);
    for (at, bucket) in buckets.iter().enumerate() {
        let interval = bucket.interval;
        out.put(if at == 0 { ",\"buckets\":[[" } else { ",[" });
        out.push(match (interval.lower_inclusive, interval.upper_inclusive) {
            (false, true) => b'0',
            (true, false) => b'1',
            (false, false) => b'2',
            (true, true) => b'3',
        });
        for v in [interval.lower, interval.upper, bucket.count] {
            out.put(",\"");
            push_value(out, v);
            out.put("\"");
        }
        out.put("]");
    }
    out.put(if buckets.is_empty() { "}]" } else { "]}]" });
}

fn push_notes(out: &mut Vec<u8>, name: &str, notes: &[String]) {
    if notes.is_empty() {
        return;
    }
    out.put(",\"");
    out.put(name);
    out.put("\":[");
    for (at, note) in notes.iter().take(NOTES_MAX).enumerate() {
        if at > 0 {
            out.put(",");
        }
        push_string(out, note);
    }
    if notes.len() > NOTES_MAX {
        let kind = name.trim_end_matches('s');
        let kind = if kind == "info" { "info" } else { "warning" };
        let _ = write!(out, ",\"{} more {kind} annotations omitted\"", notes.len() - NOTES_MAX);
    }
    out.put("]");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{HistogramSample, ResetHint, Span};
    use crate::promql::{MatrixSeries, VectorSample};

    fn written(value: Value) -> String {
        let mut writer = AnswerWriter::new(Answer { value, warnings: Vec::new(), infos: Vec::new() });
        let mut whole = String::new();
        while let Some(part) = writer.next_part() {
            whole.push_str(std::str::from_utf8(&part).unwrap());
        }
        whole
    }

    fn labels() -> Labels {
        Labels::new([("__name__", "up"), ("job", "a\"b")]).unwrap()
    }

    #[test]
    fn every_sample_fits_into_its_room() {
        let values =
            [f64::MIN, -1.234_567_890_123_456_7e-6, -999_999_999_999_999_900_000.0, 0.1, f64::NAN, -5e-324, 7.0];
        for t in [i64::MIN, -1, 0, 1_435_781_451_781, i64::MAX] {
            for v in values {
                let (mut out, mut expected) = (b"before".to_vec(), "before[".to_owned());
                push_instant(&mut expected, Timestamp(t));
                expected.push_str(",\"");
                push_value(&mut expected, v);
                expected.push_str("\"]");
                push_sample(&mut out, Sample { t: Timestamp(t), v }, None);
                assert_eq!(String::from_utf8(out).unwrap(), expected);
                let known = Opening::new(Timestamp(t));
                let mut out = b"before".to_vec();
                push_sample(&mut out, Sample { t: Timestamp(t), v }, known.as_ref());
                assert_eq!(String::from_utf8(out).unwrap(), expected);
            }
        }
    }

    #[test]
    fn series_with_other_instants_have_their_own() {
        let row = |times: &[i64]| MatrixSeries {
            labels: Labels::empty(),
            samples: times.iter().map(|t| Sample { t: Timestamp(*t), v: *t as f64 }).collect(),
            histograms: Vec::new(),
        };
        let whole =
            written(Value::Matrix(vec![row(&[1000, 2000, 3000]), row(&[2000, 3500]), row(&[1000, 2000, 3000, 4000])]));
        let expected = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1000"],[2,"2000"],[3,"3000"]]},{"metric":{},"values":[[2,"2000"],[3.500,"3500"]]},{"metric":{},"values":[[1,"1000"],[2,"2000"],[3,"3000"],[4,"4000"]]}]}}"#;
        assert_eq!(whole, expected);
    }

    #[test]
    fn each_type_has_its_shape() {
        let sample = Sample { t: Timestamp(1_435_781_451_781), v: 1.0 };
        assert_eq!(
            written(Value::Scalar(sample)),
            r#"{"status":"success","data":{"resultType":"scalar","result":[1435781451.781,"1"]}}"#
        );
        assert_eq!(
            written(Value::String(Timestamp(1000), "x".to_owned())),
            r#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#
        );
        assert_eq!(
            written(Value::Vector(vec![VectorSample {
                labels: labels(),
                t: sample.t,
                value: ElementValue::Number(1.0)
            }])),
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","job":"a\"b"},"value":[1435781451.781,"1"]}]}}"#
        );
        assert_eq!(
            written(Value::Matrix(vec![])),
            r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#
        );
    }

    fn histogram() -> Histogram {
        Histogram {
            reset_hint: ResetHint::Gauge,
            schema: 0,
            zero_threshold: 0.001,
            sum: 18.4,
            positive_spans: vec![Span { offset: 1, length: 2 }],
            negative_spans: vec![Span { offset: 0, length: 1 }],
            bounds: vec![],
            counts: HistogramCounts::Float { count: 5.5, zero: 2.0, positive: vec![0.0, 2.5], negative: vec![1.0] },
        }
    }

    #[test]
    fn histograms_say_where_their_buckets_lie() {
        let value = ElementValue::Histogram(Arc::new(histogram()));
        let buckets = r#"[1,"-1","-0.5","1"],[3,"-0.001","0.001","2"],[0,"2","4","2.5"]"#;
        let text = format!(r#"{{"count":"5.5","sum":"18.4","buckets":[{buckets}]}}"#);
        let metric = r#"{"metric":{"__name__":"up","job":"a\"b"}"#;
        assert_eq!(
            written(Value::Vector(vec![VectorSample { labels: labels(), t: Timestamp(1501), value }])),
            format!(
                r#"{{"status":"success","data":{{"resultType":"vector","result":[{metric},"histogram":[1.501,{text}]}}]}}}}"#
            )
        );
        let sample = |t| HistogramSample { t: Timestamp(t), start: Timestamp(0), histogram: Arc::new(histogram()) };
        let samples = vec![Sample { t: Timestamp(0), v: 3.0 }];
        let matrix =
            |samples: Vec<Sample>| MatrixSeries { labels: labels(), samples, histograms: vec![sample(1), sample(2)] };
        let histograms = format!(r#""histograms":[[0.001,{text}],[0.002,{text}]]"#);
        assert_eq!(
            written(Value::Matrix(vec![matrix(samples), matrix(vec![])])),
            format!(
                r#"{{"status":"success","data":{{"resultType":"matrix","result":[{metric},"values":[[0,"3"]],{histograms}}},{metric},{histograms}}}]}}}}"#
            )
        );
        let empty = Histogram {
            positive_spans: vec![],
            negative_spans: vec![],
            counts: HistogramCounts::Integer { count: 0, zero: 0, positive: vec![], negative: vec![] },
            ..histogram()
        };
        let mut out = Vec::new();
        push_histogram(&mut out, Timestamp(0), &empty);
        assert_eq!(out, br#"[0,{"count":"0","sum":"18.4"}]"#);
    }

    #[test]
    fn notes_follow_the_data() {
        let mut writer = AnswerWriter::new(Answer {
            value: Value::Vector(vec![]),
            warnings: vec!["w".to_owned()],
            infos: vec!["i".to_owned()],
        });
        assert_eq!(
            writer.next_part().unwrap(),
            br#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["w"],"infos":["i"]}"#
        );
        assert_eq!(writer.next_part(), None);
    }

    #[test]
    fn a_long_answer_comes_in_parts_and_stays_json() {
        let row = |n: i64| MatrixSeries {
            labels: labels(),
            samples: (0..n).map(|t| Sample { t: Timestamp(t * 1000), v: t as f64 / 3.0 }).collect(),
            histograms: vec![],
        };
        let answer =
            Answer { value: Value::Matrix(vec![row(5000), row(0), row(4000)]), warnings: vec![], infos: vec![] };
        let mut writer = AnswerWriter::new(answer);
        let (mut whole, mut parts) = (String::new(), 0);
        while let Some(part) = writer.next_part() {
            assert!(part.len() < PART_BYTES + 200);
            whole.push_str(std::str::from_utf8(&part).unwrap());
            parts += 1;
        }
        assert!(parts > 3);
        let json: serde_json::Value = serde_json::from_str(&whole).unwrap();
        assert_eq!(json["data"]["result"][0]["values"].as_array().unwrap().len(), 5000);
        assert_eq!(json["data"]["result"][2]["values"].as_array().unwrap().len(), 4000);
    }
}
