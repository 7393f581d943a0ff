//! Fills `/alerts`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::model::AlertState;

use super::{REFRESH_SECONDS, alert_of, refusal, shell, show};
use crate::server::pages;
use crate::server::pages::view::{Alerts, Place};
use crate::server::state::ServerState;

/// `GET /alerts`
pub(super) async fn alerts(State(state): State<ServerState>) -> Response {
    let filled = state.ask(|db| {
        let mut alerts = db.named_alerts();
        alerts.retain(|(_, alert)| alert.state != AlertState::Resolved);
        alerts.sort_by_key(|(_, alert)| (alert.state != AlertState::Firing, alert.active_at));
        Alerts {
            alerts: alerts.iter().map(|(id, alert)| alert_of(alert, *id)).collect(),
            rules: super::pipeline::rules(db),
        }
    });
    match filled.await {
        Ok(view) => {
            let mut shell = shell(&state, Place::Alerts, "Alerts");
            shell.refresh_seconds = Some(REFRESH_SECONDS);
            show(&pages::alerts(&shell, &view)).into_response()
        }
        Err(error) => refusal(&state, Place::Alerts, &error),
    }
}
