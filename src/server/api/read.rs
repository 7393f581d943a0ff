//! `read`: remote read, as one message of samples or as a stream of chunks.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::db::{Db, QueryError};
use crate::model::{Labels, MatchOp, limits};
use crate::promql::{EvalOptions, SeriesSamples};
use crate::wire::{ReadQuery, ReadSeries, ReadType, Sent, read_frame, read_request, read_response};

use super::query::refuse;
use crate::server::ask;
use crate::server::envelope::{ApiError, ErrorType};
use crate::server::parts::{Parts, body_of};
use crate::server::queries::LargePlace;
use crate::server::state::ServerState;

/// Series of one query with what they have.
type Found = Vec<ReadSeries>;

/// `POST /api/v1/read`
pub(super) async fn read(State(state): State<ServerState>, request: Request) -> Response {
    match take(&state, request).await {
        Ok(response) => response,
        Err(refused) => refused.into_plain(),
    }
}

async fn take(state: &ServerState, request: Request) -> Result<Response, ApiError> {
    state.db()?;
    let body = state.bodies().read(request.into_body()).await?;
    let asked = read_request(&body.bytes).map_err(|error| ApiError::new(ErrorType::BadData, error.to_string()))?;
    drop(body);
    let Some(form) = asked.answer else {
        let text = "none of the accepted response types is known; accept SAMPLES or STREAMED_XOR_CHUNKS";
        return Err(ApiError::new(ErrorType::BadData, text));
    };
    let timeout = state.queries().options().timeout.to_std();
    let named = format!("/api/v1/read {:?}", asked.queries);
    let (query, _abandon) = ask::within(state, named, timeout);
    let external = state.db()?.external_labels();
    let ran = state.query(query, move |db, options, _| find(db, &asked.queries, &external, options, form));
    let ran = ran.await?.map_err(refuse)?;
    Ok(match form {
        ReadType::Samples => {
            let body = crate::server::bridge::run(ran.held, move || read_response(&ran.answer)).await?;
            let headers = [(header::CONTENT_TYPE, "application/x-protobuf"), (header::CONTENT_ENCODING, "snappy")];
            (StatusCode::OK, headers, body).into_response()
        }
        ReadType::StreamedChunks => {
            let body = ChunkParts { results: ran.answer, query: 0, series: 0, sent: Sent::default(), _held: ran.held };
            let kind = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
            ([(header::CONTENT_TYPE, kind)], body_of(body)).into_response()
        }
    })
}

/// What the queries find. External labels are part of every series, and a matcher on one of them that
/// every series satisfies is left out.
fn find(
    db: &Db,
    queries: &[ReadQuery],
    external: &Labels,
    options: &EvalOptions,
    form: ReadType,
) -> Result<Vec<Found>, QueryError> {
    let mut left = match form {
        ReadType::Samples => options.samples_max.min(limits::READ_SAMPLES_MAX),
        ReadType::StreamedChunks => options.samples_max,
    };
    let mut results = Vec::new();
    for query in queries {
        let satisfied = |name: &str, op, value: &str| {
            op == MatchOp::Equal && !external.get(name).is_empty() && external.get(name) == value
        };
        let matchers: Vec<_> =
            query.matchers.iter().filter(|m| !satisfied(m.name(), m.op(), m.value())).cloned().collect();
        let mut found = Vec::new();
        for series in db.select(&matchers, query.range, left)? {
            let SeriesSamples { labels, samples, histograms, .. } = series;
            let weight = histograms.iter().map(|sample| sample.histogram.weight()).sum::<usize>();
            left = left.saturating_sub(samples.len() + weight);
            if !samples.is_empty() || !histograms.is_empty() {
                found.push(ReadSeries { labels: with_external(&labels, external), samples, histograms });
            }
        }
        results.push(found);
    }
    Ok(results)
}

fn with_external(labels: &Labels, external: &Labels) -> Labels {
    if external.is_empty() {
        return labels.clone();
    }
    let mut all = labels.builder();
    for label in external.iter().filter(|label| labels.get(label.name).is_empty()) {
        all.set(label.name, label.value);
    }
    // Too many labels with the external ones: then its own must do.
    all.build().unwrap_or_else(|_| labels.clone())
}

/// Writes frame by frame while the peer takes them.
struct ChunkParts {
    results: Vec<Found>,
    query: usize,
    series: usize,
    sent: Sent,
    _held: Option<LargePlace>,
}

impl Parts for ChunkParts {
    /// The next frames, at least one and up to about the size of the largest; `None` after the last.
    fn next_part(&mut self) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        while out.len() < limits::READ_FRAME_BYTES_MAX {
            let Some(found) = self.results.get_mut(self.query) else { break };
            let Some(series) = found.get_mut(self.series) else {
                (self.query, self.series) = (self.query + 1, 0);
                continue;
            };
            self.sent = read_frame(&mut out, self.query, series, self.sent);
            if self.sent.is_all_of(series) {
                // What is sent is not kept.
                (series.samples, series.histograms) = (Vec::new(), Vec::new());
                (self.series, self.sent) = (self.series + 1, Sent::default());
            }
        }
        (!out.is_empty()).then_some(out)
    }
}
