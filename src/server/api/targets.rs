//! `targets` and `scrape_pools`: where samples come from.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;

use crate::db::{Db, QueryError};
use crate::model::{Labels, Matcher, Millis, TimeRange, Timestamp};
use crate::promql::parse_selector;

use super::alerts::label_map;
use super::query::refuse;
use crate::server::envelope::{ApiError, ErrorType, success};
use crate::server::params::Params;
use crate::server::state::{RelabelStep, ServerState};
use crate::server::targets::{DroppedTarget, TargetStatus};

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
    dropped_targets: Vec<DroppedJson>,
    dropped_target_counts: BTreeMap<String, usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DroppedJson {
    discovered_labels: BTreeMap<String, String>,
    scrape_pool: String,
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
    let dropped = state.doors().targets.dropped();
    let mut counts = BTreeMap::new();
    for target in &dropped {
        *counts.entry(target.pool.clone()).or_default() += 1;
    }
    let shown = dropped.iter().filter(|target| wanted != "active" && pool.is_none_or(|pool| pool == target.pool));
    let json = |target: &DroppedTarget| DroppedJson {
        discovered_labels: label_map(&target.discovered_labels),
        scrape_pool: target.pool.clone(),
    };
    Ok(success(TargetsJson {
        active_targets: active,
        dropped_targets: shown.map(json).collect(),
        dropped_target_counts: counts,
    }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pools {
    scrape_pools: BTreeSet<String>,
}

/// `GET /api/v1/scrape_pools`
pub(super) async fn pools(State(state): State<ServerState>) -> Response {
    let targets = &state.doors().targets;
    let active = targets.targets().into_iter().map(|target| target.pool);
    let pools = active.chain(targets.dropped().into_iter().map(|target| target.pool)).collect();
    success(Pools { scrape_pools: pools })
}

#[derive(Serialize)]
struct Yaml {
    yaml: String,
}

/// `GET /api/v1/scrape_pools/config?scrapePool=…`
pub(super) async fn pool_config(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let pool = pool_of(&params)?;
    state.doors().setup.pool_text(pool).map(|yaml| success(Yaml { yaml })).ok_or_else(|| no_pool(pool))
}

fn pool_of(params: &Params) -> Result<&str, ApiError> {
    let missing = || ApiError::new(ErrorType::BadData, "no scrapePool parameter provided");
    params.get("scrapePool").ok_or_else(missing)
}

fn no_pool(pool: &str) -> ApiError {
    ApiError::new(ErrorType::NotFound, format!("there is no scrape pool \"{pool}\"; /api/v1/scrape_pools lists them"))
}

#[derive(Serialize)]
struct Steps {
    steps: Vec<StepJson>,
}

#[derive(Serialize)]
struct StepJson {
    rule: BTreeMap<&'static str, String>,
    output: BTreeMap<String, String>,
    keep: bool,
}

/// `GET /api/v1/targets/relabel_steps?scrapePool=…&labels={…}`
pub(super) async fn relabel_steps(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let pool = pool_of(&params)?;
    let text = params.get("labels").ok_or_else(|| ApiError::new(ErrorType::BadData, "no labels parameter provided"))?;
    let pairs: BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|error| ApiError::parameter("labels", error))?;
    let labels = Labels::new(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        .map_err(|error| ApiError::parameter("labels", error))?;
    let steps = state.doors().setup.relabel_steps(pool, labels).ok_or_else(|| no_pool(pool))?;
    let json = |step: RelabelStep| StepJson {
        rule: step.rule.into_iter().collect(),
        output: label_map(&step.output),
        keep: step.keep,
    };
    Ok(success(Steps { steps: steps.into_iter().map(json).collect() }))
}

#[derive(Serialize)]
struct TargetMetadata {
    target: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<String>,
    r#type: &'static str,
    help: String,
    unit: String,
}

/// How far back a target's metrics are looked for.
const RECENT: Millis = Millis::hours(1);

/// `GET /api/v1/targets/metadata`: what the metrics of targets are.
pub(super) async fn metadata(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let limit = match params.get("limit").map(str::parse::<i64>) {
        None => usize::MAX,
        Some(Ok(limit)) => usize::try_from(limit).unwrap_or(usize::MAX),
        Some(Err(_)) => return Err(ApiError::new(ErrorType::BadData, "limit must be a number")),
    };
    let matchers = match params.get("match_target") {
        Some(text) => parse_selector(text).map_err(|error| ApiError::parameter("match_target", error))?,
        None => Vec::new(),
    };
    let chosen = |target: &TargetStatus| matchers.iter().all(|m| m.matches(target.labels.get(m.name())));
    let targets: Vec<Labels> =
        (state.doors().targets.targets().into_iter()).filter(chosen).take(limit).map(|target| target.labels).collect();
    let metric = params.get("metric").map(str::to_owned);
    let since = TimeRange { after: state.now() - RECENT, until: Timestamp::MAX };
    let found = state.search(move |db| metadata_of(db, &targets, metric.as_deref(), since)).await?;
    Ok(success(found.map_err(refuse)?))
}

/// The families that each target's series belong to. Metadata is stored by family alone, so it is joined
/// with the names of the target's series.
fn metadata_of(
    db: &Db,
    targets: &[Labels],
    metric: Option<&str>,
    since: TimeRange,
) -> Result<Vec<TargetMetadata>, QueryError> {
    let mut all = Vec::new();
    for target in targets {
        let matchers: Vec<Matcher> = target.iter().map(|label| Matcher::equal(label.name, label.value)).collect();
        let names = db.label_values(Labels::METRIC_NAME, &matchers, since)?;
        let families: BTreeSet<&str> = names.iter().flat_map(|name| families_of(name)).collect();
        for family in families.into_iter().filter(|family| metric.is_none_or(|metric| metric == *family)) {
            let known = db.metadata(Some(family), 1).into_iter().flatten().next();
            all.extend(known.map(|one| TargetMetadata {
                target: label_map(target),
                metric: metric.is_none().then(|| one.family.clone()),
                r#type: one.kind.as_str(),
                help: one.help.clone(),
                unit: one.unit.clone(),
            }));
        }
    }
    Ok(all)
}

/// The families that a series of this name may belong to.
fn families_of(name: &str) -> impl Iterator<Item = &str> {
    let ends = ["_bucket", "_sum", "_count", "_total", "_info", "_created"];
    [name].into_iter().chain(ends.into_iter().filter_map(|end| name.strip_suffix(end)))
}
