//! Fills `/reports/accuracy`, and takes what people say there of alerts.

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Redirect, Response};

use super::{refusal, shell, show};
use crate::server::api::episodes::{accuracy_report, episode_reports, fired_reports, range_of, record, zone_of};
use crate::server::envelope::ApiError;
use crate::server::pages;
use crate::server::pages::view::{Place, Reports};
use crate::server::params::Params;
use crate::server::state::ServerState;

/// Alerts and episodes that are listed, the newest.
const LISTED_MAX: usize = 200;

/// `GET /reports/accuracy`, with `start`, `end`, `time_zone` as the API takes them.
pub(super) async fn accuracy(State(state): State<ServerState>, request: Request) -> Response {
    match fill(&state, request).await {
        Ok(view) => {
            let shell = shell(&state, Place::Reports, "Accuracy");
            show(&pages::reports(&shell, &view)).into_response()
        }
        Err(error) => refusal(&state, Place::Reports, &error),
    }
}

async fn fill(state: &ServerState, request: Request) -> Result<Reports, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let (range, now) = (range_of(&params, state.now())?, state.now());
    let zone_name = params.get("time_zone").unwrap_or("UTC").to_owned();
    let zone = zone_of(&zone_name)?;
    state
        .ask(move |db| {
            let mut episodes = episode_reports(db, range, now);
            let mut alerts = fired_reports(db, range, now);
            episodes.reverse();
            alerts.reverse();
            episodes.truncate(LISTED_MAX);
            alerts.truncate(LISTED_MAX);
            let accuracy = accuracy_report(db, range, (&zone_name, &zone), now);
            Reports { accuracy: accuracy.document(), episodes, alerts }
        })
        .await
}

/// `POST /alerts/fired/{id}/outcome`: one click, and back to the page.
pub(super) async fn label(State(state): State<ServerState>, Path(id): Path<String>, request: Request) -> Response {
    let params = match Params::of(request, state.bodies()).await {
        Ok(params) => params,
        Err(error) => return refusal(&state, Place::Reports, &error),
    };
    match record(&state, &id, &params).await {
        Ok(_) => Redirect::to(&format!("/reports/accuracy#alert-{id}")).into_response(),
        Err(error) => refusal(&state, Place::Reports, &error),
    }
}
