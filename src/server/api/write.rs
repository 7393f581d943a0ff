//! `write`: remote-write 1.0.
//!
//! Invariants:
//! - 204 is sent after the samples are as durable as configured and the rules have seen them.
//! - A request that cannot be read is refused whole; samples that cannot be stored and series that
//!   cannot be named are refused one by one, counted in a 400, and the others are stored, as
//!   Prometheus does. Nothing is left out silently that the sender would miss.
//! - What a body decompresses to is within the budget of memory for bodies before it is unpacked.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::db::{AppendError, Beside};
use crate::model::{Rejected, Rejection};
use crate::storage::ExemplarCounts;
use crate::wire::{WireError, decompressed_bytes};

use crate::server::bridge::{Bridge, run};
use crate::server::envelope::{ApiError, ErrorType};
use crate::server::state::ServerState;

const SAMPLES_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// Characters of a series in an error text: enough to know it, not enough to fill a log.
const SHOWN_CHARS_MAX: usize = 512;

/// Bodies up to this size, decompressed, are decoded on the thread that received them: that takes a
/// tenth of a millisecond, no more than handing them to another thread and back.
const DECODED_HERE_BYTES_MAX: usize = 256 * 1024;

/// What became of a request.
#[derive(Debug, Default)]
struct Outcome {
    /// Samples stored.
    stored: usize,
    /// Native histograms stored.
    histograms: usize,
    /// What was not, and series that cannot be named.
    rejected: Rejected,
    /// What became of exemplars.
    exemplars: ExemplarCounts,
    /// Metadata that names no family or is too long.
    metadata_refused: u64,
}

/// `POST /api/v1/write`
pub(super) async fn write(State(state): State<ServerState>, request: Request) -> Response {
    match take(&state, request).await {
        Ok(outcome) => answer(&outcome),
        Err(refused) => refused.into_plain(),
    }
}

async fn take(state: &ServerState, request: Request) -> Result<Outcome, ApiError> {
    check_protocol(request.headers())?;
    let db = state.db()?.clone();
    let body = state.bodies().read(request.into_body()).await?;
    let unpacked = decompressed_bytes(&body.bytes).map_err(|error| body_error(&error))?;
    let room = state.bodies().reserve(unpacked)?;
    let permit = state.bridge().begin_write()?;
    let decoder = state.bodies().decoder();
    let (decoded, held) = if unpacked <= DECODED_HERE_BYTES_MAX {
        let decoded = decoder.decode(&body.bytes);
        drop(body);
        (decoded, (permit, room))
    } else {
        let decoder = decoder.clone();
        run((), move || (decoder.decode(&body.bytes), (permit, room))).await?
    };
    let request = decoded.map_err(|error| body_error(&error))?;
    let mut outcome = Outcome::default();
    let beside = Beside { exemplars: request.exemplars, metadata: request.metadata };
    if !request.batch.is_empty() || !beside.is_empty() {
        let receipt = Bridge::store(&db, request.batch, beside, held).await?.map_err(|error| append_error(&error))?;
        (outcome.stored, outcome.histograms, outcome.rejected) = (receipt.stored, receipt.histograms, receipt.rejected);
        outcome.exemplars = receipt.exemplars;
    }
    outcome.exemplars.refused += usize::try_from(request.exemplars_refused).unwrap_or(usize::MAX);
    outcome.metadata_refused = request.metadata_refused;
    db.count_rejected(&request.rejected);
    outcome.rejected.absorb(request.rejected);
    outcome.rejected.unnamed += request.unnamed;
    if let Some(fault) = request.first_unnamed {
        outcome.rejected.first_unnamed = Some(fault);
    }
    Ok(outcome)
}

fn body_error(error: &WireError) -> ApiError {
    let kind = match error {
        WireError::TooLarge { .. } | WireError::TooManySamples | WireError::TooMany { .. } => ErrorType::TooLarge,
        WireError::Snappy { .. } | WireError::Protobuf { .. } | WireError::Text { .. } | WireError::Unnamed { .. } => {
            ErrorType::BadData
        }
    };
    ApiError::new(kind, error.to_string())
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

fn answer(outcome: &Outcome) -> Response {
    let refused = refusals(outcome);
    let mut response = if refused.is_empty() {
        StatusCode::NO_CONTENT.into_response()
    } else {
        let mut stored = counted(outcome.stored as u64, "sample");
        if outcome.histograms > 0 {
            stored = format!("{stored} and {}", counted(outcome.histograms as u64, "native histogram"));
        }
        let text = format!("{stored} stored; {}", refused.join("; "));
        ApiError::new(ErrorType::BadData, text).into_plain()
    };
    let headers = response.headers_mut();
    headers.insert(SAMPLES_WRITTEN, HeaderValue::from(outcome.stored));
    headers.insert(HISTOGRAMS_WRITTEN, HeaderValue::from(outcome.histograms));
    headers.insert(EXEMPLARS_WRITTEN, HeaderValue::from(outcome.exemplars.stored + outcome.exemplars.known));
    response
}

/// What to do about samples that come late.
const LATE_SAMPLES: &str = "late samples are taken within storage.out_of_order of the configuration, 0 unless set; a sender with one queue sends none";

/// What was not stored: counts by reason and the first case of each kind, for the sender's log.
fn refusals(outcome: &Outcome) -> Vec<String> {
    let mut refused = Vec::new();
    let rejected = &outcome.rejected;
    if let Some((labels, t, reason)) = &rejected.first {
        let counts: Vec<String> =
            rejected.counts.iter().map(|(reason, count)| format!("{count} × {}", reason.as_str())).collect();
        refused.push(format!(
            "{} refused: {}; the first: {} at {} in series {}",
            counted(rejected.total(), "sample"),
            counts.join(", "),
            reason.as_str(),
            t,
            shown(&labels.to_string())
        ));
        if let Some((labels, fault)) = rejected.invalid.first().map(|one| &one.first) {
            let series = shown(&labels.to_string());
            refused.push(format!("of the first invalid native histogram, in series {series}: {fault}"));
        }
        if rejected.counts.iter().any(|(reason, _)| *reason == Rejection::OutOfOrder) {
            refused.push(LATE_SAMPLES.to_owned());
        }
    }
    if let Some(fault) = &rejected.first_unnamed {
        refused.push(format!("{} series refused for their labels; the first: {fault}", rejected.unnamed));
    }
    // Like Prometheus, no request fails for them alone: a sender that tried again would change nothing.
    if !refused.is_empty() && outcome.exemplars.refused > 0 {
        refused.push(format!("{} refused", counted(outcome.exemplars.refused as u64, "exemplar")));
    }
    if !refused.is_empty() && outcome.metadata_refused > 0 {
        refused.push(format!("{} refused", counted(outcome.metadata_refused, "description of a metric")));
    }
    refused
}

fn counted(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// A text, cut if it is long.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
