//! `targets` and `scrape_pools`: where samples come from.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;

use super::alerts::label_map;
use crate::server::envelope::{ApiError, success};
use crate::server::params::Params;
use crate::server::state::ServerState;
use crate::server::targets::TargetStatus;

/// What Go prints for a time that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetJson {
    discovered_labels: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    scrape_pool: String,
    scrape_url: String,
    global_url: String,
    last_error: String,
    last_scrape: String,
    last_scrape_duration: f64,
    health: &'static str,
    scrape_interval: String,
    scrape_timeout: String,
}

impl TargetJson {
    fn new(target: &TargetStatus) -> TargetJson {
        TargetJson {
            discovered_labels: label_map(&target.discovered_labels),
            labels: label_map(&target.labels),
            scrape_pool: target.pool.clone(),
            scrape_url: target.url.clone(),
            global_url: target.url.clone(),
            last_error: target.last_error.clone(),
            last_scrape: target.last_scrape.map_or_else(|| NEVER.to_owned(), |t| t.to_string()),
            last_scrape_duration: target.last_duration.as_secs_f64(),
            health: target.health.as_str(),
            scrape_interval: target.interval.to_string(),
            scrape_timeout: target.timeout.to_string(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TargetsJson {
    active_targets: Vec<TargetJson>,
    dropped_targets: [(); 0],
    dropped_target_counts: BTreeMap<String, u64>,
}

/// `GET /api/v1/targets`
pub(super) async fn targets(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let wanted = params.get("state").unwrap_or("any");
    let pool = params.get("scrapePool");
    let active = state
        .doors()
        .targets
        .targets()
        .iter()
        .filter(|target| wanted != "dropped" && pool.is_none_or(|pool| pool == target.pool))
        .map(TargetJson::new)
        .collect();
    Ok(success(TargetsJson { active_targets: active, dropped_targets: [], dropped_target_counts: BTreeMap::new() }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pools {
    scrape_pools: BTreeSet<String>,
}

/// `GET /api/v1/scrape_pools`
pub(super) async fn pools(State(state): State<ServerState>) -> Response {
    let pools = state.doors().targets.targets().into_iter().map(|target| target.pool).collect();
    success(Pools { scrape_pools: pools })
}
