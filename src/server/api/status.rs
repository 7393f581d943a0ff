//! `status/*` and the lists that are empty here: what this server is.

use std::collections::BTreeMap;
use std::path::Path;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;

use crate::model::MetricMetadata;
use crate::server::envelope::{ApiError, ErrorType, success};
use crate::server::params::Params;
use crate::server::state::ServerState;

/// The version of Prometheus' API that this one follows: clients pick features by it.
const PROMETHEUS_VERSION: &str = "3.14.0";

/// Without `features`: where it is present, Grafana takes the server for another product.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Build {
    version: &'static str,
    revision: &'static str,
    branch: &'static str,
    build_user: &'static str,
    build_date: &'static str,
    go_version: &'static str,
    evenkeel_version: &'static str,
}

/// `GET /api/v1/status/buildinfo`
pub(super) async fn build() -> Response {
    success(Build {
        version: PROMETHEUS_VERSION,
        revision: "",
        branch: "",
        build_user: "",
        build_date: "",
        go_version: "",
        evenkeel_version: env!("CARGO_PKG_VERSION"),
    })
}

#[derive(Serialize)]
struct Runtime {
    #[serde(rename = "startTime")]
    start_time: String,
    #[serde(rename = "CWD")]
    directory: &'static str,
    hostname: String,
    #[serde(rename = "serverTime")]
    server_time: String,
    #[serde(rename = "reloadConfigSuccess")]
    reload_config_success: bool,
    #[serde(rename = "lastConfigTime")]
    last_config_time: String,
    #[serde(rename = "corruptionCount")]
    corruption_count: u64,
    #[serde(rename = "goroutineCount")]
    goroutine_count: usize,
    #[serde(rename = "GOMAXPROCS")]
    go_max_procs: usize,
    #[serde(rename = "GOMEMLIMIT")]
    go_memory_limit: i64,
    #[serde(rename = "GOGC")]
    go_gc: &'static str,
    #[serde(rename = "GODEBUG")]
    go_debug: &'static str,
    #[serde(rename = "storageRetention")]
    storage_retention: String,
}

/// `GET /api/v1/status/runtimeinfo`
pub(super) async fn runtime(State(state): State<ServerState>) -> Response {
    let hostname = state.doors().host.read(Path::new("/proc/sys/kernel/hostname")).unwrap_or_default();
    let runtime = tokio::runtime::Handle::current().metrics();
    let reload = state.last_reload();
    success(Runtime {
        start_time: state.started().to_string(),
        directory: "",
        hostname: hostname.trim().to_owned(),
        server_time: state.now().to_string(),
        reload_config_success: reload.succeeded,
        last_config_time: reload.at.to_string(),
        corruption_count: 0,
        goroutine_count: runtime.num_alive_tasks(),
        go_max_procs: runtime.num_workers(),
        go_memory_limit: i64::MAX,
        go_gc: "",
        go_debug: "",
        storage_retention: state.options().retention.to_string(),
    })
}

#[derive(Serialize)]
struct Yaml {
    yaml: String,
}

/// `GET /api/v1/status/config`: the configuration file without comments and secrets.
pub(super) async fn config(State(state): State<ServerState>) -> Response {
    success(Yaml { yaml: state.doors().setup.config_text() })
}

/// `GET /api/v1/status/flags`: the flags of the command line under Prometheus' names.
pub(super) async fn flags(State(state): State<ServerState>) -> Response {
    success(state.options().flags.iter().cloned().collect::<BTreeMap<String, String>>())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alertmanagers {
    active_alertmanagers: Vec<AlertmanagerJson>,
    dropped_alertmanagers: [(); 0],
}

#[derive(Serialize)]
struct AlertmanagerJson {
    url: String,
}

/// `GET /api/v1/alertmanagers`: where alerts are handed on.
pub(super) async fn alertmanagers(State(state): State<ServerState>) -> Result<Response, ApiError> {
    let receivers = state.ask(|db| db.status().notify.receivers).await?;
    let active = receivers
        .into_iter()
        .filter(|receiver| receiver.name == "alertmanager")
        .map(|receiver| AlertmanagerJson { url: format!("{}/api/v2/alerts", receiver.address) })
        .collect();
    Ok(success(Alertmanagers { active_alertmanagers: active, dropped_alertmanagers: [] }))
}

#[derive(Serialize)]
struct MetadataJson {
    r#type: &'static str,
    help: String,
    unit: String,
}

/// `GET /api/v1/metadata`
pub(super) async fn metadata(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let limit = |name: &str| match params.get(name).map(str::parse::<i64>) {
        None => Ok(usize::MAX),
        // A limit below zero is none, as in Prometheus.
        Some(Ok(n)) => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
        Some(Err(_)) => Err(ApiError::new(ErrorType::BadData, format!("{name} must be a number"))),
    };
    let (families, each) = (limit("limit")?, limit("limit_per_metric")?);
    let each = if each == 0 { usize::MAX } else { each };
    let metric = params.get("metric").map(str::to_owned);
    let found = state.ask(move |db| db.metadata(metric.as_deref(), families)).await?;
    let family = |list: Vec<std::sync::Arc<MetricMetadata>>| {
        let json = |one: &std::sync::Arc<MetricMetadata>| MetadataJson {
            r#type: one.kind.as_str(),
            help: one.help.clone(),
            unit: one.unit.clone(),
        };
        Some((list.first()?.family.clone(), list.iter().take(each).map(json).collect()))
    };
    Ok(success(found.into_iter().filter_map(family).collect::<BTreeMap<String, Vec<MetadataJson>>>()))
}
