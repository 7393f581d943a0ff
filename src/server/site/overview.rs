//! Fills `/`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::confidence::{Judgement, ServiceJudgement, Verdict};
use crate::db::Db;
use crate::model::{AlertState, Millis, TimeRange, Timestamp};
use crate::slo::ObjectiveStatus;

use super::{REFRESH_SECONDS, alert_of, deploy_of, reason_of, refusal, shell, show, state_of};
use crate::server::envelope::ApiError;
use crate::server::pages;
use crate::server::pages::view::{Line, Overview, Part, Place, ServiceRow, Tile};
use crate::server::state::ServerState;
use crate::server::targets::{TargetHealth, TargetStatus};

/// Services with a row; the worst come first, so what is left out is fine.
const ROWS_MAX: usize = 200;
/// Services with a burn line, which is read from history.
const LINES_MAX: usize = 40;
/// Reasons that are written out.
const REASONS_MAX: usize = 12;
/// Deploys that are listed.
const DEPLOYS_MAX: usize = 8;

/// `GET /`
pub(super) async fn overview(State(state): State<ServerState>) -> Response {
    match fill(&state).await {
        Ok(view) => {
            let mut shell = shell(&state, Place::Overview, view.state.word());
            shell.state = Some(view.state);
            shell.refresh_seconds = Some(REFRESH_SECONDS);
            show(&pages::overview(&shell, &view)).into_response()
        }
        Err(error) => refusal(&state, Place::Overview, &error),
    }
}

async fn fill(state: &ServerState) -> Result<Overview, ApiError> {
    let now = state.now();
    let targets = state.doors().targets.targets();
    state.ask(move |db| view(db, now, &targets)).await
}

fn view(db: &Db, now: Timestamp, targets: &[TargetStatus]) -> Overview {
    let judgement = db.judgement();
    let objectives = db.objectives();
    let firing = db.alerts().into_iter().filter(|alert| alert.state == AlertState::Firing);
    let deploys = db.deploys();
    let services = judgement.services.iter().take(ROWS_MAX).enumerate();
    let mut parts = super::pipeline::parts(db, now);
    parts.extend(inputs(targets));
    Overview {
        state: state_of(judgement.overall),
        sentence: sentence(&judgement),
        reasons: judgement.reasons.iter().take(REASONS_MAX).map(reason_of).collect(),
        tiles: judgement
            .proof
            .iter()
            .map(|fact| Tile { label: fact.name.clone(), value: fact.value.clone(), note: String::new() })
            .collect(),
        services: services.map(|(at, service)| row(db, now, service, &objectives, at < LINES_MAX)).collect(),
        alerts: firing.map(|alert| alert_of(&alert)).collect(),
        deploys: deploys.iter().rev().take(DEPLOYS_MAX).map(deploy_of).collect(),
        parts,
    }
}

/// The verdict in one sentence.
fn sentence(judgement: &Judgement) -> String {
    let of = |verdict: Verdict| -> Vec<&str> {
        judgement.services.iter().filter(|s| s.verdict == verdict).map(|s| s.service.as_str()).collect()
    };
    let first = judgement.reasons.iter().find(|reason| reason.verdict == judgement.overall);
    match judgement.overall {
        Verdict::Ok => match judgement.services.len() {
            0 => "Nothing is wrong with what is watched.".to_owned(),
            1 => format!("{} is measured and its customers are fine.", judgement.services[0].service),
            n => format!("{n} services are measured and the customers of all of them are fine."),
        },
        Verdict::AtRisk => named("is at risk", "are at risk", &of(Verdict::AtRisk), first.map(|r| r.text.as_str())),
        Verdict::Hurting => named(
            "is hurting its customers now",
            "are hurting their customers now",
            &of(Verdict::Hurting),
            first.map(|r| r.text.as_str()),
        ),
        Verdict::Blind => {
            let blind = of(Verdict::Blind);
            match blind.len() {
                0 => "It is not known whether customers are fine.".to_owned(),
                _ => format!("It is not known whether customers of {} are fine.", list(&blind)),
            }
        }
    }
}

fn named(one: &str, several: &str, services: &[&str], otherwise: Option<&str>) -> String {
    match services {
        [] => otherwise.unwrap_or_default().to_owned(),
        [service] => format!("{service} {one}."),
        _ => format!("{} {several}.", list(services)),
    }
}

fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first, second] => format!("{first} and {second}"),
        [first, second, third] => format!("{first}, {second} and {third}"),
        [first, second, rest @ ..] => format!("{first}, {second} and {} more", rest.len()),
    }
}

/// A service with the objective of which the least budget is left.
fn row(
    db: &Db,
    now: Timestamp,
    service: &ServiceJudgement,
    objectives: &[ObjectiveStatus],
    with_line: bool,
) -> ServiceRow {
    let worst = objectives
        .iter()
        .filter(|objective| objective.service == service.service)
        .min_by(|a, b| a.budget.left.total_cmp(&b.budget.left));
    let note = service.reasons.first().map(|reason| reason.text.clone());
    let proof = || service.proof.first().map(|fact| format!("{}: {}", fact.name, fact.value));
    ServiceRow {
        name: service.service.clone(),
        state: state_of(service.verdict),
        note: note.or_else(proof).unwrap_or_default(),
        objective: worst
            .map(|o| format!("{} over {}", pages::percent(o.objective), o.window))
            .unwrap_or_else(|| "no objective".to_owned()),
        budget_left: worst.filter(|o| o.blind.is_none()).map(|o| o.budget.left),
        burn: worst.and_then(|o| o.worst_burn()).and_then(|burn| burn.short.burn),
        burn_line: worst.filter(|_| with_line).map(|o| burn_line(db, o, now, 96)).unwrap_or_default(),
    }
}

/// The burn rate of the last day.
pub(super) fn burn_line(db: &Db, objective: &ObjectiveStatus, now: Timestamp, points: usize) -> Line {
    let range = TimeRange { after: now - Millis::days(1), until: now };
    let history = db.burn_history(&objective.service, &objective.name, range, points);
    let points = history.map(|history| {
        history.points.iter().map(|point| (point.t, point.short.unwrap_or(f64::NAN))).collect::<Vec<_>>()
    });
    Line { name: format!("burn rate of {}", objective.name), points: points.unwrap_or_default() }
}

/// How many of the targets answer.
fn inputs(targets: &[TargetStatus]) -> Option<Part> {
    if targets.is_empty() {
        return None;
    }
    let down: Vec<&str> = targets.iter().filter(|t| t.health == TargetHealth::Down).map(|t| t.url.as_str()).collect();
    let state = if down.is_empty() { Verdict::Ok } else { Verdict::Blind };
    let text = match down.len() {
        0 => format!("all of {} targets answer", targets.len()),
        n => format!("{n} of {} targets do not answer: {}", targets.len(), list(&down)),
    };
    Some(Part { name: "Inputs".to_owned(), state: state_of(state), text })
}
