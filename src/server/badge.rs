//! `/badge.svg` and `/badge.json`: the verdict, of everything or of one service, for pages of somebody else. The second is
//! in the form that shields.io reads. `/badge/verdict.svg` is the first under the name that people guess.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::report::badge;

use super::envelope::{ApiError, ErrorType};
use super::params::Params;
use super::state::ServerState;

/// Nobody keeps a verdict: it may have changed.
const NOT_KEPT: (HeaderName, &str) = (header::CACHE_CONTROL, "no-cache, no-store");

/// `GET /badge.svg`, `GET /badge/verdict.svg`
pub(super) async fn svg(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let (label, word) = known(&state, request).await?;
    Ok(([(header::CONTENT_TYPE, "image/svg+xml"), NOT_KEPT], badge(&label, word)).into_response())
}

/// `GET /badge.json`
pub(super) async fn json(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let (label, word) = known(&state, request).await?;
    let colour = match word {
        "OK" => "success",
        "AT_RISK" => "yellow",
        "HURTING" => "critical",
        _ => "blueviolet",
    };
    let badge = json!({"schemaVersion": 1, "label": label, "message": word, "color": colour});
    Ok(([NOT_KEPT], Json(badge)).into_response())
}

/// What is asked for, and its word.
async fn known(state: &ServerState, request: Request) -> Result<(String, &'static str), ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let judgement = state.ask(|db| db.judgement()).await?;
    match params.get("service") {
        None => Ok(("services".to_owned(), judgement.overall.as_str())),
        Some(name) => match judgement.service(name) {
            Some(service) => Ok((name.to_owned(), service.verdict.as_str())),
            None => Err(ApiError::new(ErrorType::NotFound, format!("there is no service \"{name}\""))),
        },
    }
}
