//! `why`, `why-not` and one rule: why an alert fires, why a rule does not, what it did last.

use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use serde::Serialize;

use crate::db::{Db, Which, Why};
use crate::model::{Labels, Matcher, Millis, TimeRange, Timestamp, limits};
use crate::promql::parse_selector;
use crate::report::{DeployReport, FiredReport, VerdictReport, WhyReport};
use crate::rules::{AlertId, Evaluation, GroupStatus, RuleId, RuleKind, RuleStatus};

use super::query::refuse;
use super::rules::{RuleJson, rule_json};
use crate::server::ask;
use crate::server::envelope::{ApiError, ErrorType, success};
use crate::server::params::Params;
use crate::server::state::ServerState;

/// Rules of one name that are explained.
const RULES_MAX: usize = 5;
/// Alerts that are named of a service, the newest.
const FIRED_MAX: usize = 50;

/// What is said of a name.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    /// The service's verdict, if the name is that of a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<VerdictReport>,
    /// The alerts of the service that fired at that instant, of rules and of objectives, and who was told of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fired: Vec<FiredReport>,
    /// What went live of the service in the day before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deploys: Vec<DeployReport>,
    /// The rules of that name, or the alerts of the service.
    explanations: Vec<WhyReport>,
}

/// `GET /api/v1/alerts/{id}/why`
pub(super) async fn of_alert(
    State(state): State<ServerState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let at = Params::of(request, state.bodies()).await?.own_instant("time")?;
    let wrong = || ApiError::parameter("id", "an alert's id has 32 hexadecimal digits; /api/v1/alerts shows them");
    let id = AlertId::parse(&id).ok_or_else(wrong)?;
    let why = explain(&state, id.rule, Which::Id(id), at).await?;
    match why {
        Some(why) if why.alert.is_some() => Ok(success(WhyReport::new(&why))),
        _ => Err(missing("there is no such alert at that time; give the time at which it was there as `time`")),
    }
}

/// `GET /api/v1/rules/{id}/why-not`
pub(super) async fn of_rule(
    State(state): State<ServerState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let at = Params::of(request, state.bodies()).await?.own_instant("time")?;
    let why = explain(&state, rule_id(&id)?, Which::Rule, at).await?;
    why.map(|why| success(WhyReport::new(&why))).ok_or_else(|| missing(NO_RULE))
}

/// `GET /api/v1/why` and `GET /api/v1/why-not`
pub(super) async fn of_name(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let is_not = request.uri().path().ends_with("why-not");
    let params = Params::of(request, state.bodies()).await?;
    let at = params.own_instant("time")?;
    let text =
        params.get("of").ok_or_else(|| ApiError::parameter("of", "the name of an alert or a service is needed"))?;
    let (name, matchers) = named(text).map_err(|reason| ApiError::parameter("of", reason))?;
    let groups = state.ask(|db| db.rule_groups()).await?;
    let alerting = || groups.iter().flat_map(|group| &group.rules).filter(|rule| rule.kind == RuleKind::Alerting);
    let of_name: Vec<&RuleStatus> = alerting().filter(|rule| rule.name == name).take(RULES_MAX).collect();
    let mut answer = Answer { verdict: None, fired: Vec::new(), deploys: Vec::new(), explanations: Vec::new() };
    for rule in &of_name {
        let which = match (is_not, matchers.len()) {
            (true, 0 | 1) => Which::Rule,
            _ => Which::Matching(matchers.clone()),
        };
        answer.explanations.extend(explain(&state, rule.id, which, at).await?.map(|why| WhyReport::new(&why)));
    }
    if of_name.is_empty() {
        let judgement = match at {
            None => Some(state.ask(|db| db.judgement()).await?),
            // As it was known then.
            Some(at) => state.ask(move |db| db.judgement_at(at)).await?,
        };
        let Some(verdict) = judgement.and_then(|known| VerdictReport::new(&known).of_service(&name)) else {
            let reason = match at {
                None => format!("neither an alerting rule nor a service is called {name:?}"),
                Some(at) => {
                    format!("no alerting rule is called {name:?}, and no service of that name was known at {at}")
                }
            };
            return Err(ApiError::new(ErrorType::NotFound, reason));
        };
        answer.verdict = Some(verdict);
        let service = name.clone();
        (answer.fired, answer.deploys) = state.ask(move |db| around(db, &service, at)).await?;
        let alerts =
            alerting().flat_map(|rule| rule.alerts.iter().map(|alert| rule.id.alert(&alert.labels)).zip(&rule.alerts));
        let own = alerts.filter(|(_, alert)| alert.labels.get("service") == name).take(RULES_MAX);
        for (id, _) in own.collect::<Vec<_>>() {
            answer
                .explanations
                .extend(explain(&state, id.rule, Which::Id(id), at).await?.map(|why| WhyReport::new(&why)));
        }
    }
    Ok(success(answer))
}

/// The alerts of a service that fire at an instant, and what went live in the day before.
fn around(db: &Db, service: &str, at: Option<Timestamp>) -> (Vec<FiredReport>, Vec<DeployReport>) {
    let now = db.now();
    let at = at.unwrap_or(now);
    let episodes = db.episodes(TimeRange { after: Timestamp::MIN, until: at });
    let mut alerts = db.fired_alerts(TimeRange { after: Timestamp::MIN, until: at });
    alerts.retain(|alert| alert.labels.get("service") == service && alert.ended.is_none_or(|ended| ended > at));
    alerts.drain(..alerts.len().saturating_sub(FIRED_MAX));
    let mut deploys = db.deploys();
    let day = TimeRange { after: at - Millis::days(1), until: at };
    deploys.retain(|deploy| deploy.service == service && day.contains(deploy.at));
    let reports = alerts.iter().map(|alert| FiredReport::new(alert, &episodes, now)).collect();
    (reports, deploys.iter().map(DeployReport::new).collect())
}

/// A name, or a name with conditions on labels: `Errors{job="shop"}`. The conditions hold for the alert's labels.
fn named(text: &str) -> Result<(String, Vec<Matcher>), String> {
    let plain = |text: &str| (text.to_owned(), vec![Matcher::equal("alertname", text)]);
    if !text.contains('{') {
        return Ok(plain(text));
    }
    let all = parse_selector(text).map_err(|error| error.to_string())?;
    let is_name = |matcher: &&Matcher| matches!(matcher.name(), Labels::METRIC_NAME | "alertname");
    let name = all.iter().find(is_name).ok_or("the alert's name must stand before the braces")?.value().to_owned();
    let (_, mut matchers) = plain(&name);
    matchers.extend(all.iter().filter(|matcher| !is_name(matcher)).cloned());
    Ok((name, matchers))
}

/// A rule with its last evaluations.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleDetail {
    group: String,
    file: String,
    #[serde(flatten)]
    rule: RuleJson,
    evaluations: Vec<EvaluationJson>,
}

#[derive(Serialize)]
struct EvaluationJson {
    time: String,
    /// In seconds.
    duration: f64,
    series: usize,
    /// Absent if the rule is followed sample by sample: then none are read.
    #[serde(skip_serializing_if = "Option::is_none")]
    samples: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// `GET /api/v1/rules/{id}`
pub(super) async fn rule(State(state): State<ServerState>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let id = rule_id(&id)?;
    let found = state.ask(move |db| find_rule(&db.rule_groups(), id).zip(db.evaluations(id))).await?;
    let ((group, rule), evaluations) = found.ok_or_else(|| missing(NO_RULE))?;
    let evaluation = |one: Evaluation| EvaluationJson {
        time: one.at.to_string(),
        duration: one.took.as_secs_f64(),
        series: one.series,
        samples: one.samples,
        error: one.error,
    };
    Ok(success(RuleDetail {
        rule: rule_json(&group, &rule),
        group: group.name,
        file: group.file,
        evaluations: evaluations.into_iter().map(evaluation).collect(),
    }))
}

const NO_RULE: &str = "there is no such rule; /api/v1/rules shows the ids of all";

fn missing(text: &str) -> ApiError {
    ApiError::new(ErrorType::NotFound, text)
}

fn rule_id(text: &str) -> Result<RuleId, ApiError> {
    let wrong = || ApiError::parameter("id", "a rule's id has 16 hexadecimal digits; /api/v1/rules shows them");
    RuleId::parse(text).ok_or_else(wrong)
}

/// A rule and its group.
pub(in crate::server) fn find_rule(groups: &[GroupStatus], id: RuleId) -> Option<(GroupStatus, RuleStatus)> {
    groups.iter().find_map(|group| {
        let rule = group.rules.iter().find(|rule| rule.id == id)?;
        Some((group.clone(), rule.clone()))
    })
}

/// Explains a rule on a query's place, within a time of its own.
pub(in crate::server) async fn explain(
    state: &ServerState,
    rule: RuleId,
    which: Which,
    at: Option<Timestamp>,
) -> Result<Option<Why>, ApiError> {
    let timeout = Duration::min(limits::WHY_TIMEOUT.to_std(), state.queries().options().timeout.to_std());
    let (asked, _abandon) = ask::within(state, format!("why of rule {rule}"), timeout);
    let ran = state.query(asked, move |db, options, meter| db.why(rule, &which, at, options, meter)).await?;
    Ok(ran.map_err(refuse)?.answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_have_conditions() {
        let check = |text: &str, expected: Result<(&str, usize), ()>| {
            let found = named(text).map(|(name, matchers)| (name, matchers.len())).map_err(|_| ());
            assert_eq!(found, expected.map(|(name, count)| (name.to_owned(), count)), "{text}");
        };
        check("Errors", Ok(("Errors", 1)));
        check("High errors!", Ok(("High errors!", 1)));
        check("Errors{job=\"a\",code=~\"5..\"}", Ok(("Errors", 3)));
        check("{alertname=\"Errors\"}", Ok(("Errors", 1)));
        check("{job=\"a\"}", Err(()));
        check("Errors{", Err(()));
    }
}
