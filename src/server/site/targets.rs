//! Fills `/targets`.

use axum::extract::State;
use axum::response::{Html, IntoResponse};

use super::{REFRESH_SECONDS, shell, show};
use crate::server::pages;
use crate::server::pages::view::{Place, State as Shown, TargetRow};
use crate::server::state::ServerState;
use crate::server::targets::{TargetHealth, TargetStatus};

/// `GET /targets`
pub(super) async fn targets(State(state): State<ServerState>) -> impl IntoResponse + use<> {
    let rows: Vec<_> = state.doors().targets.targets().iter().map(row).collect();
    let mut shell = shell(&state, Place::Targets, "Targets");
    shell.refresh_seconds = Some(REFRESH_SECONDS);
    let page: Html<String> = show(&pages::targets(&shell, &rows));
    page
}

fn row(target: &TargetStatus) -> TargetRow {
    TargetRow {
        pool: target.pool.clone(),
        url: target.url.clone(),
        labels: target.labels.to_string(),
        state: match target.health {
            TargetHealth::Up => Shown::Ok,
            TargetHealth::Unknown | TargetHealth::Down => Shown::Blind,
        },
        last: target.last_scrape,
        duration: target.last_scrape.map_or_else(String::new, |_| format!("{} ms", target.last_duration.as_millis())),
        error: target.last_error.clone(),
    }
}
