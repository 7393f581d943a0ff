//! History of a running server, ours or a Prometheus, by remote read.

use anyhow::Context;

use crate::cli::ask;
use crate::model::{Matcher, TimeRange, limits};
use crate::promql::{SeriesSamples, SeriesSource, SourceError};
use crate::wire::{WireError, encode_read_request, read_results};

/// A server that is asked for samples.
pub(super) struct RemoteSource {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    url: String,
}

impl RemoteSource {
    pub(super) fn new(url: &str) -> anyhow::Result<RemoteSource> {
        let url = format!("{}/api/v1/read", url.trim_end_matches('/'));
        Ok(RemoteSource { runtime: crate::cli::runtime()?, client: ask::client()?, url })
    }

    /// The body of an answer; none if it is larger than is read.
    async fn body(&self, request: Vec<u8>) -> anyhow::Result<Option<Vec<u8>>> {
        let request = self
            .client
            .post(&self.url)
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", "snappy")
            .header("x-prometheus-remote-read-version", "0.1.0")
            .body(request);
        let mut answer = request.send().await.with_context(|| ask::no_answer(&self.url))?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(piece) = answer.chunk().await? {
            if body.len() + piece.len() > limits::BODY_DECODED_BYTES_MAX {
                return Ok(None);
            }
            body.extend_from_slice(&piece);
        }
        if !status.is_success() {
            let text = String::from_utf8_lossy(&body);
            if text.contains("exceeded sample limit") || text.contains("samples") {
                return Ok(None);
            }
            anyhow::bail!("{} answered {status}: {}", self.url, text.trim());
        }
        Ok(Some(body))
    }
}

impl SeriesSource for RemoteSource {
    fn select(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        samples_max: usize,
    ) -> Result<Vec<SeriesSamples>, SourceError> {
        let too_many = SourceError::TooManySamples { limit: samples_max };
        let request = encode_read_request(matchers, range);
        let body = self.runtime.block_on(self.body(request));
        let body = body.map_err(|error| SourceError::Unreadable(format!("{error:#}")))?.ok_or(too_many.clone())?;
        let results = match read_results(&body) {
            Err(WireError::TooLarge { .. } | WireError::TooMany { .. } | WireError::TooManySamples) => {
                return Err(too_many);
            }
            other => other.map_err(|error| SourceError::Unreadable(error.to_string()))?,
        };
        let mut all = Vec::new();
        let mut left = samples_max;
        for batch in results {
            left = left.checked_sub(batch.samples().len() + batch.histograms().len()).ok_or(too_many.clone())?;
            let first = all.len();
            all.extend(batch.series().iter().map(|labels| SeriesSamples::of_numbers(labels.clone(), Vec::new())));
            let found: &mut [SeriesSamples] = &mut all[first..];
            for one in batch.samples() {
                found[one.series as usize].samples.push(one.sample);
            }
            for one in batch.histograms() {
                found[one.series as usize].histograms.push(one.sample.clone());
            }
        }
        all.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(all)
    }
}
