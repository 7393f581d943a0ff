//! Fills `/rules`, `/rules/{id}` and `/alerts/{id}`.

use axum::extract::{Path, Query as UrlQuery, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use crate::db::{Db, QueryMeter, Which, Why};
use crate::model::{Millis, TimeRange, Timestamp};
use crate::promql::{self, EvalOptions, ExprKind, Value};
use crate::report::WhyReport;
use crate::rules::{AlertId, Evaluation, GroupStatus, Health, Mode, RuleId, RuleKind, RuleStatus};

use super::{REFRESH_SECONDS, alert_of, deploys_in, refusal, shell, show};
use crate::server::api;
use crate::server::ask;
use crate::server::pages;
use crate::server::pages::view::{
    AlertPage, Chart, EvaluationRow, Line, Place, RuleGroupView, RuleLine, RulePage, RulesPage, State as Shown, Tile,
    ToldRow,
};
use crate::server::params::parse_own_instant;
use crate::server::state::ServerState;

/// The chart's span, its points, and its lines.
const SPAN: Millis = Millis::hours(1);
const POINTS: i64 = 240;
const LINES_MAX: usize = 12;

/// `GET /rules`
pub(super) async fn rules(State(state): State<ServerState>) -> Response {
    match state.ask(|db| db.rule_groups()).await {
        Ok(groups) => {
            let mut shell = shell(&state, Place::Rules, "Rules");
            shell.refresh_seconds = Some(REFRESH_SECONDS);
            show(&pages::rules(&shell, &RulesPage { groups: groups.iter().map(group_of).collect() })).into_response()
        }
        Err(error) => refusal(&state, Place::Rules, &error),
    }
}

fn group_of(group: &GroupStatus) -> RuleGroupView {
    RuleGroupView {
        name: group.name.clone(),
        file: group.file.clone(),
        interval: group.interval.to_string(),
        mode: format!("decides by {}", group.mode.as_str()),
        rules: group.rules.iter().map(line_of).collect(),
    }
}

fn line_of(rule: &RuleStatus) -> RuleLine {
    let class = match &rule.mode {
        Mode::Incremental => "followed with each sample".to_owned(),
        Mode::Interval { reason } => format!("at its interval: {reason}"),
    };
    let (health, note) = match &rule.health {
        Health::Err(error) => (Shown::Blind, error.clone()),
        Health::Unknown => (Shown::Blind, "not evaluated yet".to_owned()),
        Health::Ok if rule.is_blind => (Shown::Blind, "a selector has not matched any series yet".to_owned()),
        Health::Ok => (Shown::Ok, String::new()),
    };
    RuleLine {
        id: rule.id.to_string(),
        name: rule.name.clone(),
        state: match rule.kind {
            RuleKind::Alerting => api::rule_state(rule).to_owned(),
            RuleKind::Recording => "recording".to_owned(),
        },
        health,
        class,
        note,
        cost: rule.last.as_ref().map(cost).unwrap_or_default(),
        last: Some(rule.last_evaluation).filter(|t| *t > Timestamp(0)),
        alerts: rule.alerts.len(),
        query: rule.expr.clone(),
    }
}

/// What an evaluation cost, and what came of it.
fn cost(one: &Evaluation) -> String {
    let read = one.samples.map_or(String::new(), |samples| format!(", {samples} samples read"));
    format!("{}, {} series{read}", took(one), one.series)
}

fn took(one: &Evaluation) -> String {
    let micros = one.took.as_micros();
    if micros < 1000 { format!("{micros} µs") } else { format!("{:.1} ms", micros as f64 / 1000.0) }
}

/// The parameter `at`: as it was given, and as an instant.
fn asked_time(uri: &Uri) -> (String, Option<Result<Timestamp, String>>) {
    let pairs: Vec<(String, String)> = UrlQuery::try_from_uri(uri).map(|UrlQuery(pairs)| pairs).unwrap_or_default();
    let text = pairs.into_iter().find(|(name, _)| name == "at").map(|(_, value)| value.trim().to_owned());
    let text = text.unwrap_or_default();
    let wrong = || format!("{text:?} is no time; write it like 2026-11-28T12:00:00Z, or as Unix seconds");
    let at = (!text.is_empty()).then(|| parse_own_instant(&text).ok_or_else(wrong));
    (text, at)
}

/// `GET /rules/{id}?at=…`
pub(super) async fn rule(State(state): State<ServerState>, Path(id): Path<String>, uri: Uri) -> Response {
    let (at_text, at) = asked_time(&uri);
    let Some(id) = RuleId::parse(&id) else { return missing(&state) };
    let found = match state.ask(move |db| api::find_rule(&db.rule_groups(), id).zip(db.evaluations(id))).await {
        Ok(Some(found)) => found,
        Ok(None) => return missing(&state),
        Err(error) => return refusal(&state, Place::Rules, &error),
    };
    let ((group, rule), evaluations) = found;
    let shell = shell(&state, Place::Rules, &rule.name);
    let is_alerting = rule.kind == RuleKind::Alerting;
    let (why, failure) = match at {
        Some(Err(error)) => (None, Some(error)),
        _ if !is_alerting => (None, None),
        at => explained(&state, id, Which::Rule, at.and_then(Result::ok)).await,
    };
    let until = why.as_ref().map_or(shell.now, |why| why.at);
    let (expr, label) = (rule.expr.clone(), rule.expr.clone());
    let (asked, _abandon) = ask::within(&state, label, state.queries().options().timeout.to_std());
    let drawn = state.query(asked, move |db, options, meter| Ok(chart(db, &expr, until, options, meter))).await;
    let chart = drawn.ok().and_then(Result::ok).and_then(|ran| ran.answer);
    let named = |alert: &crate::model::Alert| alert_of(alert, Some(rule.id.alert(&alert.labels)));
    let view = RulePage {
        group: format!("{} in {}", group.name, group.file),
        pretty: promql::parse(&rule.expr).map_or_else(|_| rule.expr.clone(), |expr| expr.pretty()),
        tiles: facts(&rule, is_alerting),
        texts: rule.labels.iter().chain(&rule.annotations).cloned().collect(),
        is_alerting,
        alerts: rule.alerts.iter().map(named).collect(),
        evaluations: evaluations.iter().map(row_of).collect(),
        line: line_of(&rule),
        chart,
        at: at_text,
        why: why.as_ref().map(WhyReport::new),
        failure,
    };
    show(&pages::rule(&shell, &view)).into_response()
}

fn facts(rule: &RuleStatus, is_alerting: bool) -> Vec<Tile> {
    let tile = |label: &str, value: String, note: String| Tile { label: label.to_owned(), value, note };
    let last = rule.last.as_ref();
    let mut tiles = vec![
        tile("evaluated", last.map_or("not yet".to_owned(), took), rule.mode.as_str().to_owned()),
        tile("series", last.map_or("–".to_owned(), |one| one.series.to_string()), String::new()),
    ];
    if is_alerting {
        tiles.push(tile("for", rule.hold.to_string(), String::new()));
        tiles.push(tile("keep firing for", rule.keep_firing.to_string(), String::new()));
    }
    tiles
}

fn row_of(one: &Evaluation) -> EvaluationRow {
    EvaluationRow {
        at: one.at,
        took: took(one),
        series: one.series,
        samples: one.samples.map_or("–".to_owned(), |samples| samples.to_string()),
        error: one.error.clone().unwrap_or_default(),
    }
}

/// The left side of a condition with its threshold, or the whole expression if it is none.
fn chart(db: &Db, text: &str, until: Timestamp, options: &EvalOptions, meter: &QueryMeter) -> Option<Chart> {
    let expr = promql::parse(text).ok()?;
    let (shown, threshold) = match &expr.without_parens().kind {
        ExprKind::Binary(binary) if binary.op.is_comparison() => match &binary.rhs.without_parens().kind {
            ExprKind::Number(v) => (binary.lhs.to_string(), Some(*v)),
            _ => (binary.lhs.to_string(), None),
        },
        _ => (text.to_owned(), None),
    };
    let (start, step) = (until - SPAN, Millis(SPAN.0 / POINTS));
    let answer = db.query_range_metered(&shown, (start, until), step, options, meter).ok()?;
    let Value::Matrix(series) = answer.value else { return None };
    let mut lines: Vec<Line> = series
        .iter()
        .take(LINES_MAX)
        .map(|one| Line {
            name: one.labels.to_string(),
            points: one.samples.iter().map(|sample| (sample.t, sample.v)).collect(),
        })
        .collect();
    if let Some(v) = threshold.filter(|v| v.is_finite()) {
        let points = (0..=POINTS).map(|n| (start + Millis(step.0 * n), v)).collect();
        lines.insert(0, Line { name: format!("threshold {v}"), points });
    }
    let title = if threshold.is_some() { format!("{shown}, with its threshold") } else { shown };
    let range = TimeRange { after: start, until };
    Some(Chart { title, lines, range, deploys: deploys_in(db, range) })
}

/// `GET /alerts/{id}?at=…`
pub(super) async fn alert(State(state): State<ServerState>, Path(id): Path<String>, uri: Uri) -> Response {
    let (at_text, at) = asked_time(&uri);
    let Some(id) = AlertId::parse(&id) else { return missing(&state) };
    let (why, failure) = match at {
        Some(Err(error)) => (None, Some(error)),
        at => explained(&state, id.rule, Which::Id(id), at.and_then(Result::ok)).await,
    };
    let named = why.as_ref().and_then(|why| why.alert.clone());
    let gone = "This alert is not there at that time. Give a time at which it was.".to_owned();
    let failure = failure.or_else(|| named.is_none().then_some(gone));
    let told = match named {
        Some((_, labels)) => state.ask(move |db| db.told(&labels)).await.unwrap_or_default(),
        None => Vec::new(),
    };
    let name = why.as_ref().map_or("Alert".to_owned(), |why| why.rule.name.clone());
    let shell = shell(&state, Place::Alerts, &name);
    let row = |(receiver, what, at): (String, &'static str, Timestamp)| ToldRow { receiver, what, at };
    let view = AlertPage {
        id: id.to_string(),
        name,
        told: told.into_iter().map(row).collect(),
        at: at_text,
        why: why.as_ref().filter(|why| why.alert.is_some()).map(WhyReport::new),
        failure,
    };
    show(&pages::alert(&shell, &view)).into_response()
}

/// The explanation, or why there is none.
async fn explained(
    state: &ServerState,
    rule: RuleId,
    which: Which,
    at: Option<Timestamp>,
) -> (Option<Why>, Option<String>) {
    match api::explain_rule(state, rule, which, at).await {
        Ok(why) => (why, None),
        Err(error) => (None, Some(error.text)),
    }
}

fn missing(state: &ServerState) -> Response {
    let shell = shell(state, Place::Rules, "Not found");
    let text = "There is no such rule or alert; the configuration may have changed.";
    (StatusCode::NOT_FOUND, show(&pages::message(&shell, "Not found", text))).into_response()
}
