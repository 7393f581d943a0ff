//! Fills `/services/{name}`.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::confidence::Verdict;
use crate::db::Db;
use crate::model::{AlertState, Millis, TimeRange, Timestamp};
use crate::slo::{BurnPair, BurnStatus, ObjectiveStatus};

use super::{REFRESH_SECONDS, alert_of, deploy_of, reason_of, refusal, shell, show, state_of};
use crate::server::pages;
use crate::server::pages::view::{Line, Objective, Place, Service, State as Shown, Tile};
use crate::server::state::ServerState;

/// Points of the burn chart: one for every five minutes of a day.
const POINTS: usize = 288;
/// Deploys that are listed.
const DEPLOYS_MAX: usize = 8;

/// `GET /services/{name}`
pub(super) async fn service(State(state): State<ServerState>, Path(name): Path<String>) -> Response {
    let now = state.now();
    let title = name.clone();
    match state.ask(move |db| view(db, &name, now)).await {
        Ok(Some(view)) => {
            let mut shell = shell(&state, Place::None, &format!("{} {}", view.name, view.state.word()));
            shell.state = Some(view.state);
            shell.refresh_seconds = Some(REFRESH_SECONDS);
            show(&pages::service(&shell, &view)).into_response()
        }
        Ok(None) => {
            let shell = shell(&state, Place::None, "No such service");
            let text = format!("No objective, alert or deploy names the service \"{title}\".");
            (StatusCode::NOT_FOUND, show(&pages::message(&shell, "No such service", &text))).into_response()
        }
        Err(error) => refusal(&state, Place::None, &error),
    }
}

fn view(db: &Db, name: &str, now: Timestamp) -> Option<Service> {
    let judgement = db.judgement();
    let judged = judgement.service(name);
    let deploys: Vec<_> =
        db.deploys().iter().rev().filter(|mark| mark.service == name).take(DEPLOYS_MAX).map(deploy_of).collect();
    if judged.is_none() && deploys.is_empty() {
        return None;
    }
    let alerts = db
        .alerts()
        .into_iter()
        .filter(|alert| alert.state == AlertState::Firing && alert.labels.get("service") == name);
    Some(Service {
        name: name.to_owned(),
        state: judged.map_or(Shown::Blind, |judged| state_of(judged.verdict)),
        reasons: judged.map(|judged| judged.reasons.iter().map(reason_of).collect()).unwrap_or_default(),
        objectives: db.objectives().iter().filter(|o| o.service == name).map(|o| objective(db, o, now)).collect(),
        alerts: alerts.map(|alert| alert_of(&alert)).collect(),
        deploys,
    })
}

fn objective(db: &Db, status: &ObjectiveStatus, now: Timestamp) -> Objective {
    let range = TimeRange { after: now - Millis::days(1), until: now };
    let history = db.burn_history(&status.service, &status.name, range, POINTS);
    let (points, thresholds) = match history {
        Some(history) => {
            let points = history.points.iter().map(|p| (p.t, p.short.unwrap_or(f64::NAN))).collect();
            (points, history.thresholds.iter().map(threshold).collect())
        }
        None => (Vec::new(), Vec::new()),
    };
    let firing = status.burns.iter().any(|burn| burn.firing_since.is_some());
    let verdict = if status.blind.is_some() {
        Verdict::Blind
    } else if firing {
        Verdict::Hurting
    } else if status.budget.left <= 0.0 {
        Verdict::AtRisk
    } else {
        Verdict::Ok
    };
    Objective {
        name: status.name.clone(),
        state: state_of(verdict),
        note: status.blind.as_ref().map(|blind| blind.reason.clone()).unwrap_or_default(),
        budget_left: Some(status.budget.left).filter(|_| status.blind.is_none() || status.total > 0.0),
        tiles: tiles(status),
        burn: Line { name: "burn rate".to_owned(), points },
        thresholds,
        evidence: vec![("share of bad events over the window".to_owned(), status.query.clone())],
    }
}

fn threshold(pair: &BurnPair) -> (f64, String) {
    (pair.threshold, format!("{} at {}", pair.severity.as_str(), pages::burn(pair.threshold)))
}

fn tiles(status: &ObjectiveStatus) -> Vec<Tile> {
    let tile = |label: &str, value: String, note: String| Tile { label: label.to_owned(), value, note };
    let burn = |burn: &BurnStatus| burn.short.burn.map_or_else(|| "–".to_owned(), pages::burn);
    let worst = status.worst_burn();
    vec![
        tile("Objective", pages::percent(status.objective), format!("over {}", status.window)),
        tile(
            "Measured",
            status.error_ratio.map_or_else(|| "–".to_owned(), |ratio| pages::percent(1.0 - ratio)),
            format!("n = {}", pages::number(status.total)),
        ),
        tile(
            "Burn now",
            worst.map_or_else(|| "–".to_owned(), burn),
            worst.map_or_else(String::new, |w| format!("{} window, n = {}", w.short.window, pages::number(w.short.n))),
        ),
        match status.budget.exhausted_in {
            Some(span) => tile("Budget gone in", pages::rough(span), "at this pace".to_owned()),
            None => tile("Budget gone in", "never".to_owned(), "at this pace".to_owned()),
        },
    ]
}
