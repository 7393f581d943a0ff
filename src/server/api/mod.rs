//! The API under `/api/v1`: Prometheus' endpoints, and our own beside them.

mod alerts;
mod deploys;
pub(super) mod episodes;
mod evidence;
mod features;
mod notifications;
mod openapi;
mod query;
mod read;
mod routes;
mod rules;
mod series;
mod status;
mod targets;
mod text;
mod tree;
mod tsdb;
mod tsdb_admin;
mod verdict;
mod what_if;
mod why;
mod write;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};

use self::routes::Routes;
use super::state::ServerState;
use super::{cors, gate};

pub(super) use query::refuse;
pub(super) use rules::state_of as rule_state;
pub(super) use why::{explain as explain_rule, find_rule};

/// The routes, to be nested under `/api/v1`.
pub(super) fn routes(state: &ServerState) -> Router<ServerState> {
    let changing = changing(state).route_layer(from_fn(gate::check_origin));
    reading()
        .into_router()
        .merge(changing)
        .fallback(missing)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn_with_state(state.clone(), cors::allow))
}

/// What only answers.
fn reading() -> Routes {
    Routes::default()
        .get_and_post("/query", query::instant)
        .get_and_post("/query_range", query::range)
        .get_and_post("/query_exemplars", query::exemplars)
        .get_and_post("/format_query", text::format)
        .get_and_post("/parse_query", text::parse)
        .get_and_post("/labels", series::names)
        .get("/label/{name}/values", series::values)
        .get_and_post("/series", series::series)
        .get("/metadata", status::metadata)
        .get("/targets", targets::targets)
        .get("/targets/metadata", targets::metadata)
        .get("/targets/relabel_steps", targets::relabel_steps)
        .get("/scrape_pools", targets::pools)
        .get("/scrape_pools/config", targets::pool_config)
        .get("/alerts", alerts::alerts)
        .get("/alerts/fired", episodes::fired)
        .get("/episodes", episodes::episodes)
        .get("/evidence/{id}", evidence::evidence)
        .get("/reports/accuracy", episodes::accuracy)
        .get("/reports/verdicts", verdict::held)
        .get("/rules", rules::rules)
        .get("/rules/{id}", why::rule)
        .get("/rules/{id}/why-not", why::of_rule)
        .get("/alerts/{id}/why", why::of_alert)
        .get("/why", why::of_name)
        .get("/why-not", why::of_name)
        .get("/alertmanagers", status::alertmanagers)
        .get("/status/config", status::config)
        .get("/status/flags", status::flags)
        .get("/status/runtimeinfo", status::runtime)
        .get("/status/buildinfo", status::build)
        .get("/status/tsdb", tsdb::tsdb)
        .get("/status/tsdb/blocks", tsdb::blocks)
        .get("/status/walreplay", tsdb::replay)
        .get("/features", features::features)
        .get("/notifications", notifications::list)
        .get("/notifications/live", notifications::live)
        .post("/read", read::read)
        .get("/openapi.yaml", openapi::yaml)
        .get("/verdict", verdict::verdict)
        .get("/verdict/history", verdict::history)
        .get("/coverage", verdict::coverage)
        .get("/blindspots", verdict::blind_spots)
        .get("/scorecard", verdict::scorecard)
        .get("/objectives", verdict::objectives)
        .get("/objectives/what-if", what_if::what_if)
        .get("/deploys", deploys::list)
}

/// What changes something; pages of other sites may not ask for it.
fn changing(state: &ServerState) -> Router<ServerState> {
    let admin = administration()
        .into_router()
        .route_layer(from_fn_with_state(state.clone(), tsdb_admin::check_enabled))
        .merge(marks().into_router())
        .route_layer(from_fn_with_state(state.clone(), gate::check_peer));
    admin.merge(writing().into_router())
}

fn administration() -> Routes {
    Routes::default()
        .post_and_put("/admin/tsdb/delete_series", tsdb_admin::delete_series)
        .post_and_put("/admin/tsdb/clean_tombstones", tsdb_admin::clean_tombstones)
        .post_and_put("/admin/tsdb/snapshot", tsdb_admin::snapshot)
}

fn marks() -> Routes {
    Routes::default().post("/deploys", deploys::mark).post("/alerts/fired/{id}/outcome", episodes::label)
}

fn writing() -> Routes {
    Routes::default().post("/write", write::write)
}

/// Any other path under the API, in the words of Go's router, which clients know.
pub(super) async fn missing() -> Response {
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, PLAIN)], "404 page not found\n").into_response()
}

const PLAIN: &str = "text/plain; charset=utf-8";

/// A method that a path does not take; the router adds those that it does.
async fn not_allowed() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(header::CONTENT_TYPE, PLAIN)], "Method Not Allowed\n").into_response()
}

/// Every path with each of its methods.
#[cfg(test)]
fn all_routes() -> Vec<(String, String)> {
    [reading(), administration(), marks(), writing()].iter().flat_map(Routes::list).collect()
}
