//! The API under `/api/v1`: Prometheus' endpoints, and our own beside them.

mod alerts;
mod deploys;
mod query;
mod rules;
mod series;
mod status;
mod targets;
mod text;
mod tsdb;
mod tsdb_admin;
mod verdict;
mod write;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::envelope::{ApiError, ErrorType};
use super::gate;
use super::state::ServerState;

pub(super) use query::refuse;
pub(super) use rules::state_of as rule_state;

/// The routes, to be nested under `/api/v1`.
pub(super) fn routes(state: &ServerState) -> Router<ServerState> {
    let admin = Router::new()
        .route("/admin/tsdb/delete_series", post(tsdb_admin::delete_series).put(tsdb_admin::delete_series))
        .route("/admin/tsdb/clean_tombstones", post(tsdb_admin::clean_tombstones).put(tsdb_admin::clean_tombstones))
        .route("/admin/tsdb/snapshot", post(tsdb_admin::snapshot).put(tsdb_admin::snapshot))
        .route_layer(from_fn_with_state(state.clone(), tsdb_admin::check_enabled));
    let changing = Router::new()
        .merge(admin)
        .route("/deploys", get(deploys::list).post(deploys::mark))
        .route_layer(from_fn_with_state(state.clone(), gate::check_peer))
        .route("/write", post(write::write))
        .route_layer(from_fn(gate::check_origin));
    Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/query_exemplars", get(query::exemplars).post(query::exemplars))
        .route("/format_query", get(text::format).post(text::format))
        .route("/parse_query", get(text::parse).post(text::parse))
        .route("/labels", get(series::names).post(series::names))
        .route("/label/{name}/values", get(series::values))
        .route("/series", get(series::series).post(series::series))
        .route("/alerts", get(alerts::alerts))
        .route("/rules", get(rules::rules))
        .route("/alertmanagers", get(status::alertmanagers))
        .route("/targets", get(targets::targets))
        .route("/scrape_pools", get(targets::pools))
        .route("/verdict", get(verdict::verdict))
        .route("/objectives", get(verdict::objectives))
        .route("/metadata", get(status::metadata))
        .route("/status/buildinfo", get(status::build))
        .route("/status/tsdb", get(tsdb::tsdb))
        .route("/status/runtimeinfo", get(status::runtime))
        .merge(changing)
        .fallback(missing)
        .method_not_allowed_fallback(not_allowed)
}

/// Any other path under the API.
pub(super) async fn missing(request: Request) -> Response {
    let text = format!("there is no endpoint {:?}", request.uri().path());
    ApiError::new(ErrorType::NotFound, text).into_response()
}

async fn not_allowed(request: Request) -> Response {
    let text = format!("{} is not for this endpoint", request.method());
    ApiError::new(ErrorType::MethodNotAllowed, text).into_response()
}
