//! Fills `/`.

use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::confidence::{Fact, Judgement, ServiceJudgement, Verdict};
use crate::db::Db;
use crate::model::{AlertState, Millis, TimeRange, Timestamp};
use crate::slo::{BurnHistory, ObjectiveStatus};

use super::{REFRESH_SECONDS, alert_of, deploy_of, reason_of, refusal, shell, show, state_of};
use crate::server::envelope::ApiError;
use crate::server::pages;
use crate::server::pages::view::{Overview, Part, Place, ServiceRow, Tile};
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
    let firing = db.named_alerts().into_iter().filter(|(_, alert)| alert.state == AlertState::Firing);
    let deploys = db.deploys();
    let services = judgement.services.iter().take(ROWS_MAX).enumerate();
    let status = db.status();
    let mut parts = super::pipeline::parts(db, &status, now);
    parts.extend(inputs(targets));
    Overview {
        state: state_of(judgement.overall),
        sentence: sentence(&judgement),
        reasons: judgement.reasons.iter().take(REASONS_MAX).map(reason_of).collect(),
        tiles: judgement.proof.iter().map(tile).collect(),
        services: services.map(|(at, service)| row(db, now, service, &objectives, at < LINES_MAX)).collect(),
        alerts: firing.map(|(id, alert)| alert_of(&alert, id)).collect(),
        deploys: deploys.iter().rev().take(DEPLOYS_MAX).map(deploy_of).collect(),
        receivers: super::pipeline::receivers(&status, now),
        parts,
    }
}

/// Where the large print of a fact ends and its detail begins.
const DETAILS: [&str; 6] = [" (", " by ", " over ", " to ", " watched", ", "];

/// A fact's value in large print up to its detail, which is in small.
fn tile(fact: &Fact) -> Tile {
    let (value, note) = match DETAILS.iter().filter_map(|detail| fact.value.find(detail)).min() {
        Some(at) => fact.value.split_at(at),
        None => (fact.value.as_str(), ""),
    };
    // In the small print parentheses would only be noise.
    let note =
        note.trim_start_matches([',', ' ', '(']).replace(" (", ", ").replace(')', "").replace("n = ", "n\u{a0}=\u{a0}");
    Tile { label: fact.name.clone(), value: value.to_owned(), note }
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
    let own = objectives.iter().filter(|objective| objective.service == service.service);
    let waits = own.filter(|objective| objective.last_input.is_some()).min_by_key(|objective| objective.last_input);
    ServiceRow {
        name: service.service.clone(),
        state: state_of(service.verdict),
        objective: worst.map_or_else(
            || "no objective".to_owned(),
            |o| format!("{} {} over {}", o.name, pages::percent(o.objective), o.window_text),
        ),
        input: waits.and_then(|objective| Some((objective.last_input?, pace(objective)))),
        budget_left: worst.filter(|o| o.blind.is_none()).map(|o| o.budget.left),
        burn: worst.and_then(|o| o.burns.first()).and_then(|burn| Some((burn.long.burn?, burn.long.window))),
        history: worst.filter(|_| with_line).and_then(|o| burn_history(db, o, Millis::hours(6), now, 120)),
    }
}

fn pace(objective: &ObjectiveStatus) -> String {
    objective.interval.map_or_else(String::new, |interval| format!("every {}", pages::rough(interval)))
}

/// The span that a chart shows: what is asked for, or less while history is young.
pub(super) fn charted(objective: &ObjectiveStatus, span: Millis, now: Timestamp) -> TimeRange {
    let asked = now - span;
    let after = objective.counted_since.unwrap_or(asked).max(asked).min(now - Millis::minutes(10));
    TimeRange { after, until: now }
}

/// The course of an objective's burn rate up to now.
pub(super) fn burn_history(
    db: &Db,
    objective: &ObjectiveStatus,
    span: Millis,
    now: Timestamp,
    points: usize,
) -> Option<BurnHistory> {
    db.burn_history(&objective.service, &objective.name, charted(objective, span, now), points)
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
    Some(Part { name: "Inputs".to_owned(), state: Some(state_of(state)), text })
}
