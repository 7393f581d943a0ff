//! `alerts` and `rules`: what fires, and what watches.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use crate::model::{Alert, AlertState, Labels};
use crate::rules::AlertId;

use crate::server::envelope::{ApiError, success};
use crate::server::number::push_exponent;
use crate::server::state::ServerState;

/// An alert as Prometheus shows it.
#[derive(Serialize)]
pub(super) struct AlertJson {
    /// Ours: its name from one start to the next; alerts of objectives have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    state: &'static str,
    #[serde(rename = "activeAt")]
    active_at: String,
    #[serde(rename = "keepFiringSince", skip_serializing_if = "Option::is_none")]
    keep_firing_since: Option<String>,
    value: String,
}

impl AlertJson {
    pub(super) fn new(id: Option<AlertId>, alert: &Alert) -> AlertJson {
        let mut value = String::new();
        push_exponent(&mut value, alert.value);
        AlertJson {
            id: id.map(|id| id.to_string()),
            labels: label_map(&alert.labels),
            annotations: label_map(&alert.annotations),
            state: alert.state.as_str(),
            active_at: alert.active_at.to_string(),
            keep_firing_since: alert.keep_firing_since.map(|t| t.to_string()),
            value,
        }
    }
}

pub(super) fn label_map(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|label| (label.name.to_owned(), label.value.to_owned())).collect()
}

#[derive(Serialize)]
struct Alerts {
    alerts: Vec<AlertJson>,
}

/// `GET /api/v1/alerts`: pending and firing.
pub(super) async fn alerts(State(state): State<ServerState>) -> Result<Response, ApiError> {
    let alerts = state.ask(|db| db.named_alerts()).await?;
    let alerts = alerts.iter().filter(|(_, alert)| alert.state != AlertState::Resolved);
    let alerts = alerts.map(|(id, alert)| AlertJson::new(*id, alert)).collect();
    Ok(success(Alerts { alerts }))
}
