//! `/-/healthy`, `/-/ready`, `/-/reload`: for supervisors and operators.

use axum::extract::State;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};

use super::envelope::{ApiError, ErrorType};
use super::state::ServerState;

/// `GET /-/healthy`: the process answers.
pub(super) async fn healthy() -> &'static str {
    "Evenkeel is Healthy.\n"
}

/// `GET /-/ready`: the log is replayed and the server is not stopping.
pub(super) async fn ready(State(state): State<ServerState>) -> Response {
    let stopping = HeaderName::from_static("x-prometheus-stopping");
    if state.stopping() || state.db().is_err() {
        let value = if state.stopping() { "true" } else { "false" };
        return (StatusCode::SERVICE_UNAVAILABLE, [(stopping, value)], "Service Unavailable").into_response();
    }
    "Evenkeel is Ready.\n".into_response()
}

/// `POST /-/reload`: answers when the new configuration is in force, or says why it is not.
pub(super) async fn reload(State(state): State<ServerState>) -> Response {
    let Some(reload) = state.doors().reload.clone() else {
        return ApiError::new(ErrorType::NotFound, "the server runs without a configuration file").into_plain();
    };
    let reloaded = state.bridge().write(move || reload.reload()).await;
    if let Ok(result) = &reloaded {
        state.note_reload(result);
    }
    match reloaded {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        Ok(Err(text)) => ApiError::internal(format!("failed to reload config: {text}")).into_plain(),
        Err(refused) => refused.into_plain(),
    }
}
