//! `verdict` and `objectives`: whether customers are fine, and why.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use crate::confidence::{Fact, Judgement, Reason, ServiceJudgement};
use crate::slo::{BurnStatus, ObjectiveStatus, WindowBurn};

use crate::server::envelope::{ApiError, success};
use crate::server::state::ServerState;

#[derive(Serialize)]
struct JudgementJson {
    verdict: &'static str,
    #[serde(rename = "exitCode")]
    exit_code: u8,
    at: String,
    reasons: Vec<ReasonJson>,
    services: Vec<ServiceJson>,
    proof: Vec<FactJson>,
}

#[derive(Serialize)]
struct ServiceJson {
    service: String,
    verdict: &'static str,
    reasons: Vec<ReasonJson>,
    proof: Vec<FactJson>,
}

#[derive(Serialize)]
struct ReasonJson {
    verdict: &'static str,
    service: Option<String>,
    text: String,
    since: String,
    query: Option<String>,
    evidence: Vec<FactJson>,
}

#[derive(Serialize)]
struct FactJson {
    name: String,
    value: String,
}

fn facts(facts: &[Fact]) -> Vec<FactJson> {
    facts.iter().map(|fact| FactJson { name: fact.name.clone(), value: fact.value.clone() }).collect()
}

fn reasons(reasons: &[Reason]) -> Vec<ReasonJson> {
    let one = |reason: &Reason| ReasonJson {
        verdict: reason.verdict.as_str(),
        service: reason.service.clone(),
        text: reason.text.clone(),
        since: reason.since.to_string(),
        query: reason.query.clone(),
        evidence: facts(&reason.evidence),
    };
    reasons.iter().map(one).collect()
}

impl JudgementJson {
    fn new(judgement: &Judgement) -> JudgementJson {
        let service = |judged: &ServiceJudgement| ServiceJson {
            service: judged.service.clone(),
            verdict: judged.verdict.as_str(),
            reasons: reasons(&judged.reasons),
            proof: facts(&judged.proof),
        };
        JudgementJson {
            verdict: judgement.overall.as_str(),
            exit_code: judgement.overall.exit_code(),
            at: judgement.at.to_string(),
            reasons: reasons(&judgement.reasons),
            services: judgement.services.iter().map(service).collect(),
            proof: facts(&judgement.proof),
        }
    }
}

/// `GET /api/v1/verdict`
pub(super) async fn verdict(State(state): State<ServerState>) -> Result<Response, ApiError> {
    let judgement = state.ask(|db| db.judgement()).await?;
    Ok(success(JudgementJson::new(&judgement)))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectiveJson {
    service: String,
    name: String,
    objective: f64,
    window: String,
    good: f64,
    total: f64,
    error_ratio: Option<f64>,
    budget_total: f64,
    budget_spent: f64,
    budget_left: f64,
    exhausted_in_seconds: Option<f64>,
    burns: Vec<BurnJson>,
    counted_since: Option<String>,
    last_input: Option<String>,
    input_interval_seconds: Option<f64>,
    series: usize,
    query: String,
    blind: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BurnJson {
    severity: &'static str,
    threshold: f64,
    long: WindowJson,
    short: WindowJson,
    firing_since: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WindowJson {
    window: String,
    bad: f64,
    n: f64,
    burn: Option<f64>,
    burn_low: f64,
}

impl WindowJson {
    fn new(burn: &WindowBurn) -> WindowJson {
        WindowJson {
            window: burn.window.to_string(),
            bad: burn.bad,
            n: burn.n,
            burn: burn.burn,
            burn_low: burn.burn_low,
        }
    }
}

impl BurnJson {
    fn new(burn: &BurnStatus) -> BurnJson {
        BurnJson {
            severity: burn.pair.severity.as_str(),
            threshold: burn.pair.threshold,
            long: WindowJson::new(&burn.long),
            short: WindowJson::new(&burn.short),
            firing_since: burn.firing_since.map(|t| t.to_string()),
        }
    }
}

impl ObjectiveJson {
    fn new(status: &ObjectiveStatus) -> ObjectiveJson {
        ObjectiveJson {
            service: status.service.clone(),
            name: status.name.clone(),
            objective: status.objective,
            window: status.window.to_string(),
            good: status.good,
            total: status.total,
            error_ratio: status.error_ratio,
            budget_total: status.budget.total,
            budget_spent: status.budget.spent,
            budget_left: status.budget.left,
            exhausted_in_seconds: status.budget.exhausted_in.map(|span| span.as_seconds()),
            burns: status.burns.iter().map(BurnJson::new).collect(),
            counted_since: status.counted_since.map(|t| t.to_string()),
            last_input: status.last_input.map(|t| t.to_string()),
            input_interval_seconds: status.interval.map(|span| span.as_seconds()),
            series: status.series,
            query: status.query.clone(),
            blind: status.blind.as_ref().map(|blind| blind.reason.clone()),
        }
    }
}

/// `GET /api/v1/objectives`
pub(super) async fn objectives(State(state): State<ServerState>) -> Result<Response, ApiError> {
    let statuses = state.ask(|db| db.objectives()).await?;
    Ok(success(statuses.iter().map(ObjectiveJson::new).collect::<Vec<_>>()))
}
