//! Fills `/coverage`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::report::CoverageReport;

use super::{refusal, shell, show};
use crate::server::pages;
use crate::server::pages::view::Place;
use crate::server::state::ServerState;

/// `GET /coverage`
pub(super) async fn coverage(State(state): State<ServerState>) -> Response {
    match state.ask(|db| db.coverage()).await {
        Ok(coverage) => {
            let shell = shell(&state, Place::Coverage, "Coverage");
            show(&pages::coverage(&shell, &CoverageReport::new(&coverage))).into_response()
        }
        Err(error) => refusal(&state, Place::Coverage, &error),
    }
}
