//! Which path leads where, and what every request passes on its way.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};

use super::state::ServerState;
use super::{admin, api, assets, badge, federate, gate, metrics, panics, site};

/// The whole server.
pub(super) fn router(state: ServerState) -> Router {
    let operator = Router::new()
        .route("/-/reload", post(admin::reload).put(admin::reload))
        .route_layer(from_fn_with_state(state.clone(), gate::check_peer))
        .route_layer(from_fn(gate::check_origin));
    Router::new()
        .route("/-/healthy", get(admin::healthy))
        .route("/-/ready", get(admin::ready))
        .merge(operator)
        .route("/metrics", get(metrics::metrics))
        .nest("/api/v1", api::routes(&state))
        .route("/badge.svg", get(badge::svg))
        .route("/badge.json", get(badge::json))
        .route("/badge/verdict.svg", get(badge::svg))
        .route("/assets/{name}", get(assets::asset))
        .merge(site::routes(&state))
        .fallback(site::missing)
        .route("/federate", get(federate::federate))
        .layer(CompressionLayer::new().gzip(true).deflate(true).compress_when(worth_compressing()))
        .layer(from_fn(panics::catch))
        .layer(from_fn_with_state(state.clone(), gate::check_host))
        .layer(from_fn(gate::protect))
        .with_state(state)
}

/// Everything but what is small, compressed already, or has to arrive piece by piece.
fn worth_compressing() -> impl Predicate {
    DefaultPredicate::new()
        .and(NotForContentType::const_new("text/event-stream"))
        .and(NotForContentType::const_new("application/x-streamed-protobuf"))
}
