//! `write`: remote-write 1.0.
//!
//! Invariants:
//! - 204 is sent after the samples are as durable as configured and the rules have seen them.
//! - A request that cannot be read is refused whole; samples that cannot be stored are refused
//!   one by one, counted in a 400, and the others are stored, as Prometheus does.

use std::fmt::Write as _;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::db::{AppendError, Receipt};
use crate::model::Rejected;
use crate::wire::{WireError, write_request};

use crate::server::envelope::{ApiError, ErrorType};
use crate::server::state::ServerState;

const SAMPLES_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// `POST /api/v1/write`
pub(super) async fn write(State(state): State<ServerState>, request: Request) -> Response {
    match take(&state, request).await {
        Ok(receipt) => answer(&receipt),
        Err(refused) => refused.into_plain(),
    }
}

async fn take(state: &ServerState, request: Request) -> Result<Receipt, ApiError> {
    check_protocol(request.headers())?;
    let db = state.db()?.clone();
    let body = state.bodies().read(request.into_body()).await?;
    let written = state.bridge().write(move || {
        let batch = write_request(&body.bytes).map_err(|error| body_error(&error))?.batch;
        db.append(batch).map_err(|error| append_error(&error))
    });
    written.await?
}

fn body_error(error: &WireError) -> ApiError {
    ApiError::new(ErrorType::BadData, error.to_string())
}

/// What a refused write answers: 429 if a moment helps, 503 if the disk must.
pub(super) fn append_error(error: &AppendError) -> ApiError {
    let kind = match error {
        AppendError::Full { .. } => ErrorType::TooManyRequests,
        AppendError::Invalid(_) => ErrorType::BadData,
        AppendError::ReadOnly { .. } | AppendError::Poisoned { .. } => ErrorType::Unavailable,
    };
    ApiError::new(kind, error.to_string())
}

/// Only a snappy block of the version 1 message is taken.
fn check_protocol(headers: &HeaderMap) -> Result<(), ApiError> {
    let text =
        |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?").trim().to_ascii_lowercase());
    let refuse = |text: String| Err(ApiError::new(ErrorType::UnsupportedMediaType, text));
    let kind = text(header::CONTENT_TYPE).unwrap_or_default();
    let mut parts = kind.split(';').map(str::trim);
    if parts.next() != Some("application/x-protobuf") {
        return refuse(format!("content type {kind:?} is not taken; send application/x-protobuf"));
    }
    if let Some(proto) = parts.find_map(|part| part.strip_prefix("proto="))
        && proto != "prometheus.writerequest"
    {
        return refuse(format!("message {proto:?} is not taken; send prometheus.WriteRequest (remote-write 1.0)"));
    }
    match text(header::CONTENT_ENCODING).as_deref() {
        None | Some("snappy") => Ok(()),
        Some(other) => refuse(format!("content encoding {other:?} is not taken; send snappy")),
    }
}

fn answer(receipt: &Receipt) -> Response {
    let mut response = if receipt.rejected.total() == 0 {
        StatusCode::NO_CONTENT.into_response()
    } else {
        ApiError::new(ErrorType::BadData, rejection(receipt.stored, &receipt.rejected)).into_plain()
    };
    let headers = response.headers_mut();
    headers.insert(SAMPLES_WRITTEN, HeaderValue::from(receipt.stored));
    headers.insert(HISTOGRAMS_WRITTEN, HeaderValue::from(0));
    headers.insert(EXEMPLARS_WRITTEN, HeaderValue::from(0));
    response
}

/// Counts by reason and the first case, for the sender's log.
fn rejection(stored: usize, rejected: &Rejected) -> String {
    let counts: Vec<String> =
        rejected.counts.iter().map(|(reason, count)| format!("{count} × {}", reason.as_str())).collect();
    let mut text = format!("{} samples refused, {stored} stored: {}", rejected.total(), counts.join(", "));
    if let Some((labels, sample, reason)) = &rejected.first {
        let _ = write!(text, "; the first: {} at {} in series {labels}", reason.as_str(), sample.t);
    }
    text
}
