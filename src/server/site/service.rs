//! Fills `/services/{name}`.

use axum::extract::{Path, Query as UrlQuery, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use crate::confidence::{Verdict, group_verdict, objective_verdict};
use crate::db::Db;
use crate::model::{AlertState, Millis, Timestamp};
use crate::report::Told;
use crate::slo::{AdjustmentSpan, GroupsStatus, ObjectiveStatus, PartStatus};

use super::overview::{burn_history, charted};
use super::{REFRESH_SECONDS, alert_of, deploy_of, reason_of, refusal, shell, show, state_of};
use crate::server::pages;
use crate::server::pages::view::{
    AdjustmentRow, GroupRow, GroupsView, Objective, PartRow, Place, Service, State as Shown, Tile,
};
use crate::server::params::{Span, parse_span};
use crate::server::state::ServerState;

/// Points of the burn chart, as many as can be told apart.
const POINTS: usize = 360;
/// The span that the charts have in quiet times, and when something has just happened.
const SPAN_QUIET: Millis = Millis::days(1);
const SPAN_EVENT: Millis = Millis::hours(1);
const SPAN_MAX: Millis = Millis::days(30);
/// Deploys that are listed.
const DEPLOYS_MAX: usize = 8;

/// `GET /services/{name}?range=6h`
pub(super) async fn service(State(state): State<ServerState>, Path(name): Path<String>, uri: Uri) -> Response {
    let pairs: Vec<(String, String)> = UrlQuery::try_from_uri(&uri).map(|UrlQuery(pairs)| pairs).unwrap_or_default();
    let asked = pairs.iter().find(|(name, _)| name == "range").and_then(|(_, value)| parse_span(value).ok());
    let asked = asked.map(Span::millis).filter(|span| span.0 > 0 && *span <= SPAN_MAX);
    let now = state.now();
    let title = name.clone();
    match state.ask(move |db| view(db, &name, asked, now)).await {
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

fn view(db: &Db, name: &str, asked: Option<Millis>, now: Timestamp) -> Option<Service> {
    let judgement = db.judgement();
    let judged = judgement.service(name);
    let deploys: Vec<_> =
        db.deploys().iter().rev().filter(|mark| mark.service == name).take(DEPLOYS_MAX).map(deploy_of).collect();
    if judged.is_none() && deploys.is_empty() {
        return None;
    }
    let alerts = db
        .named_alerts()
        .into_iter()
        .filter(|(_, alert)| alert.state == AlertState::Firing && alert.labels.get("service") == name);
    let own: Vec<_> = db.objectives().into_iter().filter(|objective| objective.service == name).collect();
    let fires = own.iter().flat_map(|objective| &objective.burns).any(|burn| burn.firing_since.is_some());
    let recent = deploys.first().is_some_and(|deploy: &pages::view::Deploy| now - deploy.at < SPAN_EVENT);
    let span = asked.unwrap_or(if fires || recent { SPAN_EVENT } else { SPAN_QUIET });
    let started_at = db.status().started_at;
    Some(Service {
        name: name.to_owned(),
        state: judged.map_or(Shown::Blind, |judged| state_of(judged.verdict)),
        reasons: judged.map(|judged| judged.reasons.iter().map(reason_of).collect()).unwrap_or_default(),
        span,
        objectives: own.iter().map(|o| objective(db, o, objective_verdict(o, started_at), span, now)).collect(),
        alerts: alerts.map(|(id, alert)| alert_of(&alert, id)).collect(),
        deploys,
    })
}

fn objective(db: &Db, status: &ObjectiveStatus, word: Verdict, span: Millis, now: Timestamp) -> Objective {
    // A group that burns is no less bad because all together are fine.
    let budgets = || status.groups.iter().flat_map(|groups| &groups.budgets);
    let shown = budgets().map(group_verdict).fold(word, Verdict::or_worse);
    let burning = budgets().filter(|group| group.burns.iter().any(|burn| burn.firing_since.is_some()));
    let note = match burning.map(group_name).collect::<Vec<_>>().as_slice() {
        [] => String::new(),
        [only] => format!("{only} burns."),
        [first, rest @ ..] => format!("{first} and {} more burn.", rest.len()),
    };
    Objective {
        name: status.name.clone(),
        state: state_of(shown),
        note: status.blind.as_ref().map_or(note, |blind| blind.reason.clone()),
        budget_left: Some(status.budget.left).filter(|_| status.blind.is_none() || status.total > 0.0),
        tiles: tiles(status, now),
        history: burn_history(db, status, span, now, POINTS),
        range: charted(status, span, now),
        told: told(status),
        evidence: vec![("share of bad events over the window".to_owned(), status.query.clone())],
        groups: status.groups.as_ref().map(groups),
        parts: status.parts.iter().map(part).collect(),
        adjustments: status.adjustments.iter().map(|span| adjustment(span, now)).collect(),
    }
}

/// The values of a group's labels.
fn group_name(group: &ObjectiveStatus) -> String {
    group.group.iter().map(|label| label.value).collect::<Vec<_>>().join(", ")
}

fn part(part: &PartStatus) -> PartRow {
    PartRow {
        service: part.service.clone(),
        name: part.name.clone(),
        weight: pages::percent(part.weight),
        measured: part.error_ratio.map_or_else(|| "–".to_owned(), |ratio| pages::percent(1.0 - ratio)),
        budget_left: Some(part.budget_left).filter(|_| part.error_ratio.is_some()),
        share_of_bad: part.share_of_bad,
    }
}

/// A time in which events do not count, in a line.
fn adjustment(span: &AdjustmentSpan, now: Timestamp) -> AdjustmentRow {
    let text = match (span.from > now, span.until > now) {
        (true, _) => "events will not count".to_owned(),
        (false, running) => format!(
            "{} events, {} of them bad, {}",
            pages::number(span.total),
            pages::number(span.bad),
            if running { "do not count so far" } else { "do not count" }
        ),
    };
    AdjustmentRow { name: span.name.clone(), from: span.from, until: span.until, text }
}

/// Groups with a row; the worst come first.
const GROUP_ROWS_MAX: usize = 50;

fn groups(groups: &GroupsStatus) -> GroupsView {
    let row = |group: &ObjectiveStatus| GroupRow {
        name: groups.by.iter().map(|name| label_text(group.group.get(name))).collect::<Vec<_>>().join(", "),
        state: state_of(group_verdict(group)),
        measured: group.error_ratio.map_or_else(|| "–".to_owned(), |ratio| pages::percent(1.0 - ratio)),
        events: pages::number(group.total),
        budget_left: Some(group.budget.left).filter(|_| group.total > 0.0),
        burn: group.worst_burn().and_then(|worst| Some((pages::burn(worst.long.burn?), worst.long.window))),
        query: group.query.clone(),
    };
    let mut note = Vec::new();
    if groups.budgets.is_empty() {
        note.push("No group was heard of yet.".to_owned());
    }
    if groups.budgets.len() > GROUP_ROWS_MAX {
        note.push(format!("{} more have a budget, of which more is left.", groups.budgets.len() - GROUP_ROWS_MAX));
    }
    if groups.without_budget > 0 {
        let (n, more) = (groups.without_budget, if groups.more { "more than " } else { "" });
        let them =
            if n == 1 { "one more group has no budget of its own" } else { "more groups have no budget of their own" };
        let count = if n == 1 { String::new() } else { format!("{more}{n} ") };
        note.push(format!(
            "Because {} is the limit, {count}{them}: {} of their events, {} of them bad, count in the total alone.",
            groups.most,
            pages::number(groups.total_without),
            pages::number(groups.bad_without),
        ));
    }
    GroupsView {
        by: groups.by.join(", "),
        rows: groups.budgets.iter().take(GROUP_ROWS_MAX).map(row).collect(),
        note: note.join(" "),
    }
}

fn label_text(value: &str) -> &str {
    if value.is_empty() { "(none)" } else { value }
}

/// Since when people are told: of each severity the alert that came first.
fn told(status: &ObjectiveStatus) -> Vec<Told> {
    let firing =
        status.burns.iter().filter_map(|burn| Some(Told { severity: burn.told_as?, since: burn.firing_since? }));
    let mut told: Vec<Told> = firing.collect();
    told.sort_by_key(|told| told.since);
    let mut seen = Vec::new();
    told.retain(|told| {
        !seen.contains(&told.severity) && {
            seen.push(told.severity);
            true
        }
    });
    told
}

fn window_note(status: &ObjectiveStatus) -> String {
    match &status.period {
        None => format!("over {}", status.window_text),
        Some(period) => format!("from {}", period.text),
    }
}

fn tiles(status: &ObjectiveStatus, now: Timestamp) -> Vec<Tile> {
    let tile = |label: &str, value: String, note: String| Tile { label: label.to_owned(), value, note };
    let burn = |burn: Option<f64>| burn.map_or_else(|| "–".to_owned(), pages::burn);
    let worst = status.worst_burn();
    vec![
        tile("Objective", pages::percent(status.objective), window_note(status)),
        tile(
            "Measured",
            status.error_ratio.map_or_else(|| "–".to_owned(), |ratio| pages::percent(1.0 - ratio)),
            format!("of {} {}", pages::number(status.total), status.units),
        ),
        tile(
            "Burn now",
            burn(worst.and_then(|worst| worst.long.burn)),
            worst.map_or_else(String::new, |worst| {
                format!("over {}, {} over {}", worst.long.window, burn(worst.short.burn), worst.short.window)
            }),
        ),
        match status.budget.exhausted_in {
            Some(span) => tile("Budget gone in", pages::rough(span), "at this pace".to_owned()),
            None => match &status.period {
                None => tile("Budget gone in", "never".to_owned(), "at this pace".to_owned()),
                Some(period) => tile(
                    "Budget gone in",
                    "never".to_owned(),
                    format!("at this pace; it is renewed in {}", pages::rough(period.end - now)),
                ),
            },
        },
    ]
}
