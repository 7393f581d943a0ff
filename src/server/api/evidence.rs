//! `evidence/{id}`: what an alert, an episode or a verdict rests on, for somebody without this server.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;

use crate::db::EvidenceError;
use crate::model::limits;
use crate::report::EvidenceReport;

use super::query::refuse;
use crate::server::ask;
use crate::server::envelope::{ApiError, ErrorType, success};
use crate::server::state::ServerState;

/// `GET /api/v1/evidence/{id}`
pub(super) async fn evidence(State(state): State<ServerState>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let timeout = Duration::min(limits::WHY_TIMEOUT.to_std(), state.queries().options().timeout.to_std());
    let (asked, _abandon) = ask::within(&state, format!("evidence of {id}"), timeout);
    let now = state.now();
    let ran = state.query(asked, move |db, options, meter| match db.evidence(&id, options, meter) {
        Ok(evidence) => Ok(Ok(EvidenceReport::new(&evidence, now))),
        Err(EvidenceError::Query(error)) => Err(error),
        Err(refused) => Ok(Err(refused)),
    });
    let answer = ran.await?.map_err(refuse)?.answer;
    answer.map(success).map_err(|error| match error {
        EvidenceError::Name(_) => ApiError::parameter("id", error),
        error => ApiError::new(ErrorType::NotFound, error.to_string()),
    })
}
