//! `verdict` and `objectives`: whether customers are fine, and why.

use axum::extract::State;
use axum::response::Response;

use crate::report::{ObjectiveReport, VerdictReport};

use crate::server::envelope::{ApiError, success};
use crate::server::state::ServerState;

/// `GET /api/v1/verdict`
pub(super) async fn verdict(State(state): State<ServerState>) -> Result<Response, ApiError> {
    let judgement = state.ask(|db| db.judgement()).await?;
    Ok(success(VerdictReport::new(&judgement)))
}

/// `GET /api/v1/objectives`
pub(super) async fn objectives(State(state): State<ServerState>) -> Result<Response, ApiError> {
    let statuses = state.ask(|db| db.objectives()).await?;
    Ok(success(statuses.iter().map(ObjectiveReport::new).collect::<Vec<_>>()))
}
