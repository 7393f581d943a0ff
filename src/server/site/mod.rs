//! The routes of the pages: asks the database, fills a view, hands it to the page.

mod alerts;
mod coverage;
mod overview;
mod pipeline;
mod query;
mod reports;
mod rules;
mod service;
mod targets;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use maud::Markup;

use crate::confidence::{self, Verdict};
use crate::db::{Db, Deploy};
use crate::model::{Alert, TimeRange};
use crate::rules::AlertId;

use super::envelope::{ApiError, ErrorType};
use super::gate;
use super::pages;
use super::pages::view;
use super::pages::view::{Place, Shell};
use super::state::ServerState;

/// Seconds after which a page without a form renews itself.
const REFRESH_SECONDS: u32 = 5;

/// The pages.
pub(super) fn routes(state: &ServerState) -> Router<ServerState> {
    let labels = Router::new()
        .route("/alerts/fired/{id}/outcome", post(reports::label))
        .route_layer(from_fn_with_state(state.clone(), gate::check_peer))
        .route_layer(from_fn(gate::check_origin));
    Router::new()
        .merge(labels)
        .route("/reports/accuracy", get(reports::accuracy))
        .route("/", get(overview::overview))
        .route("/services/{name}", get(service::service))
        .route("/alerts", get(alerts::alerts))
        .route("/query", get(query::query))
        .route("/coverage", get(coverage::coverage))
        .route("/targets", get(targets::targets))
        .route("/graph", get(query::graph))
        .route("/rules", get(rules::rules))
        .route("/rules/{id}", get(rules::rule))
        .route("/alerts/{id}", get(rules::alert))
}

/// Any other path.
pub(super) async fn missing(State(state): State<ServerState>, uri: Uri) -> Response {
    if uri.path().starts_with("/api/") {
        let text = format!("there is no endpoint {:?}", uri.path());
        return ApiError::new(ErrorType::NotFound, text).into_response();
    }
    let shell = shell(&state, Place::None, "Not found");
    (StatusCode::NOT_FOUND, show(&pages::message(&shell, "Not found", "There is no such page."))).into_response()
}

fn shell(state: &ServerState, place: Place, title: &str) -> Shell {
    Shell { title: format!("{title} · Evenkeel"), place, state: None, now: state.now(), refresh_seconds: None }
}

fn show(page: &Markup) -> Html<String> {
    Html(page.0.clone())
}

/// A page that says why another cannot be shown; it tries again by itself.
fn refusal(state: &ServerState, place: Place, error: &ApiError) -> Response {
    let mut shell = shell(state, place, "BLIND");
    shell.state = Some(view::State::Blind);
    shell.refresh_seconds = Some(REFRESH_SECONDS);
    let status = error.clone().into_response().status();
    (status, show(&pages::message(&shell, "BLIND", &error.text))).into_response()
}

fn state_of(verdict: Verdict) -> view::State {
    match verdict {
        Verdict::Ok => view::State::Ok,
        Verdict::AtRisk => view::State::AtRisk,
        Verdict::Hurting => view::State::Hurting,
        Verdict::Blind => view::State::Blind,
    }
}

fn reason_of(reason: &confidence::Reason) -> view::Reason {
    view::Reason {
        state: state_of(reason.verdict),
        text: reason.text.clone(),
        service: reason.service.clone(),
        since: reason.since,
        query: reason.query.clone(),
        facts: reason.evidence.iter().map(|fact| (fact.name.clone(), fact.value.clone())).collect(),
    }
}

fn alert_of(alert: &Alert, id: Option<AlertId>) -> view::AlertRow {
    let text = |name: &str| alert.annotations.get(name);
    let summary = [text("summary"), text("description"), text("message")].into_iter().find(|text| !text.is_empty());
    let labels = alert.labels.iter().filter(|label| !matches!(label.name, "alertname" | "severity"));
    view::AlertRow {
        id: id.map(|id| id.to_string()),
        name: alert.labels.get("alertname").to_owned(),
        state: alert.state.as_str(),
        severity: alert.labels.get("severity").to_owned(),
        summary: summary.unwrap_or_default().to_owned(),
        labels: labels.map(|label| (label.name.to_owned(), label.value.to_owned())).collect(),
        since: alert.fired_at.unwrap_or(alert.active_at),
        value: alert.value,
        query: alert.expr.clone(),
    }
}

/// Deploys that a chart shows.
const CHART_DEPLOYS_MAX: usize = 50;

/// What went live in a range, the newest if there is too much.
fn deploys_in(db: &Db, range: TimeRange) -> Vec<view::Deploy> {
    let marks = db.deploys();
    let inside = marks.iter().rev().filter(|mark| range.contains(mark.at));
    inside.take(CHART_DEPLOYS_MAX).map(deploy_of).collect()
}

fn deploy_of(mark: &Deploy) -> view::Deploy {
    view::Deploy { service: mark.service.clone(), version: mark.version.clone(), at: mark.at }
}
