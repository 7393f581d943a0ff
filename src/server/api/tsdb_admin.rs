//! `admin/tsdb/*`: deletes, and copies of the database. Only where the server was started for it.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::write::append_error;
use crate::model::{Millis, TimeRange};
use crate::server::envelope::{ApiError, ErrorType, success};
use crate::server::params::Params;
use crate::server::state::ServerState;

/// Middleware: nothing of this unless the server was started for it.
pub(super) async fn check_enabled(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    if state.options().admin_api {
        return next.run(request).await;
    }
    let text = "admin APIs disabled; start the server with --enable-admin-api";
    ApiError::new(ErrorType::Disabled, text).into_response()
}

/// `POST|PUT /api/v1/admin/tsdb/delete_series`: one delete for each selector.
pub(super) async fn delete_series(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    if params.all("match[]").next().is_none() {
        return Err(ApiError::new(ErrorType::BadData, "no match[] parameter provided"));
    }
    let (start, end) = params.bounds()?;
    if end < start {
        return Err(ApiError::new(ErrorType::BadData, "end timestamp must not be before start timestamp"));
    }
    let range = TimeRange { after: start - Millis(1), until: end };
    let selectors = params.matchers().map_err(|reason| ApiError::parameter("match[]", reason))?;
    let db = state.db()?.clone();
    let done = state
        .bridge()
        .write(move || selectors.into_iter().try_for_each(|matchers| db.delete_series(matchers, range).map(|_| ())));
    done.await?.map_err(|error| append_error(&error))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST|PUT /api/v1/admin/tsdb/clean_tombstones`
pub(super) async fn clean_tombstones(State(state): State<ServerState>) -> Result<Response, ApiError> {
    let db = state.db()?.clone();
    let done = state.bridge().write(move || db.clean());
    done.await?.map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

#[derive(Serialize)]
struct Snapshot {
    name: String,
}

/// `POST|PUT /api/v1/admin/tsdb/snapshot`: a backup below `snapshots` in the database's directory.
pub(super) async fn snapshot(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    if params.flag("skip_head")? {
        let text = "a snapshot always holds the newest samples too; leave it out, or write false";
        return Err(ApiError::parameter("skip_head", text));
    }
    let db = state.db()?.clone();
    let done = state.bridge().write(move || db.snapshot_beside());
    let (name, report) = done.await?.map_err(|error| ApiError::internal(error.to_string()))?;
    tracing::info!(name, bytes = report.bytes, "a snapshot was taken");
    Ok(success(Snapshot { name }))
}
