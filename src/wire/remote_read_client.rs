//! Remote read as a client: the request for all samples of some series, and what the answer holds.
//!
//! Invariants:
//! - Any bytes give series or an error; what an answer announces is checked before it is believed.

use super::error::WireError;
use super::protobuf::{Fault, FieldWriter, Fields};
use super::remote_write::{decompressed_bytes, remote_write};
use crate::model::{Batch, MatchOp, Matcher, TimeRange};

/// A snappy block that holds a `prometheus.ReadRequest` with one query, to be answered with all samples.
pub fn encode_read_request(matchers: &[Matcher], range: TimeRange) -> Vec<u8> {
    let mut query = FieldWriter::default();
    query.int64_field(1, range.after.0.saturating_add(1));
    query.int64_field(2, range.until.0);
    let mut part = FieldWriter::default();
    for matcher in matchers {
        part.bytes.clear();
        let op = match matcher.op() {
            MatchOp::Equal => 0,
            MatchOp::NotEqual => 1,
            MatchOp::Match => 2,
            MatchOp::NotMatch => 3,
        };
        part.int64_field(1, op);
        part.bytes_field(2, matcher.name().as_bytes());
        part.bytes_field(3, matcher.value().as_bytes());
        query.bytes_field(3, &part.bytes);
    }
    let mut request = FieldWriter::default();
    request.bytes_field(1, &query.bytes);
    snap::raw::Encoder::new().compress_vec(&request.bytes).unwrap_or_default()
}

/// Reads an answer with all samples: the series of each result.
///
/// # Errors
/// The body is too large, not a snappy block, or not a `prometheus.ReadResponse`.
pub fn read_results(body: &[u8]) -> Result<Vec<Batch>, WireError> {
    decompressed_bytes(body)?;
    let message = snap::raw::Decoder::new()
        .decompress_vec(body)
        .map_err(|error| WireError::Snappy { reason: error.to_string().trim_start_matches("snappy: ").to_owned() })?;
    let at = |fault: Fault| fault.at("the answer");
    let mut fields = Fields::new(&message);
    let mut results = Vec::new();
    while let Some(field) = fields.next().map_err(at)? {
        if field.number == 1 {
            // A result has its series where a write request has them, and nothing else.
            let result = field.bytes().map_err(at)?;
            let block = snap::raw::Encoder::new().compress_vec(result.bytes()).unwrap_or_default();
            results.push(remote_write(&block)?);
        }
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Labels, Sample, Timestamp};
    use crate::wire::{ReadSeries, read_request, read_response};

    #[test]
    fn both_sides_understand_each_other() {
        let matchers = vec![Matcher::equal("__name__", "x"), Matcher::new("job", MatchOp::NotMatch, "a|b").unwrap()];
        let range = TimeRange { after: Timestamp(999), until: Timestamp(5000) };
        let request = read_request(&encode_read_request(&matchers, range)).unwrap();
        assert_eq!((&request.queries[0].matchers, request.queries[0].range), (&matchers, range));
        let labels = Labels::new([("__name__", "x"), ("job", "c")]).unwrap();
        let samples = vec![Sample { t: Timestamp(1000), v: 1.5 }, Sample { t: Timestamp(2000), v: -1.0 }];
        let series = ReadSeries { labels: labels.clone(), samples: samples.clone(), histograms: Vec::new() };
        let results = read_results(&read_response(&[vec![series], Vec::new()])).unwrap();
        assert_eq!(results.len(), 2);
        assert_eq!(results[0].series(), [labels]);
        assert_eq!(results[0].samples().iter().map(|one| one.sample).collect::<Vec<_>>(), samples);
        assert!(results[1].is_empty());
        assert!(read_results(b"\xff\xff\xff\xff\xff").is_err() && read_results(b"no").is_err());
    }
}
