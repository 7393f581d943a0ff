//! `verdict`, `coverage`, `scorecard`, `blindspots` and `objectives`: whether customers are fine, why, and who would be told.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;

use crate::confidence::Judgement;
use crate::model::{Labels, TimeRange, Timestamp};
use crate::report::{BlindSpotReport, CoverageReport, HeldWordsReport, ObjectiveReport, VerdictReport};
use crate::server::envelope::{ApiError, ErrorType, success};
use crate::server::params::Params;
use crate::server::state::ServerState;

use super::episodes::range_of;

/// Changes of the verdict that one answer holds.
const HISTORY_MAX: usize = 1000;

/// A change of the verdict: the words from then on.
#[derive(Serialize)]
struct Change {
    at: String,
    verdict: String,
    services: Vec<Word>,
    reasons: Vec<String>,
}

#[derive(Serialize)]
struct Word {
    service: String,
    verdict: String,
}

impl Change {
    fn new(judgement: &Judgement) -> Change {
        let word = |service: &crate::confidence::ServiceJudgement| Word {
            service: service.service.clone(),
            verdict: service.verdict.as_str().to_owned(),
        };
        Change {
            at: judgement.at.to_string(),
            verdict: judgement.overall.as_str().to_owned(),
            services: judgement.services.iter().map(word).collect(),
            reasons: judgement.reasons.iter().map(|reason| reason.text.clone()).collect(),
        }
    }
}

/// `GET /api/v1/verdict`, with `at` as it was known then.
pub(super) async fn verdict(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let Some(at) = params.own_instant("at")? else {
        let (judgement, factors, customers) = state.ask(|db| db.judgement_in_full()).await?;
        return Ok(success(VerdictReport::new(&judgement).with_factors(&factors).with_customers(&customers)));
    };
    let known = state.ask(move |db| db.judgement_at(at)).await?;
    let judgement = known.ok_or_else(|| {
        ApiError::new(ErrorType::NotFound, format!("what was known at {at} was not recorded, or is not kept any more"))
    })?;
    Ok(success(VerdictReport::new(&judgement)))
}

/// `GET /api/v1/verdict/history`
pub(super) async fn history(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let range = Params::of(request, state.bodies()).await?.own_range()?;
    let changes = state.ask(move |db| db.judgements(range, HISTORY_MAX)).await?;
    Ok(success(changes.iter().map(Change::new).collect::<Vec<_>>()))
}

/// `GET /api/v1/reports/verdicts`
pub(super) async fn held(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let (now, params) = (state.now(), Params::of(request, state.bodies()).await?);
    let asked = range_of(&params, now)?;
    // What is to come holds no word yet.
    let range = TimeRange { until: asked.until.min(now), ..asked };
    if range.after == Timestamp::MIN || range.after >= range.until {
        return Err(ApiError::parameter("start", "the span must begin before it ends, and before now"));
    }
    let held = state.ask(move |db| db.held_words(range)).await?;
    Ok(success(HeldWordsReport::new(&held, range)))
}

/// `GET /api/v1/coverage`
pub(super) async fn coverage(State(state): State<ServerState>) -> Result<Response, ApiError> {
    let coverage = state.ask(|db| db.coverage()).await?;
    Ok(success(CoverageReport::new(&coverage)))
}

/// `GET /api/v1/blindspots`
pub(super) async fn blind_spots(State(state): State<ServerState>) -> Result<Response, ApiError> {
    let spots = state.ask(|db| db.blind_spots()).await?;
    Ok(success(spots.iter().map(BlindSpotReport::new).collect::<Vec<_>>()))
}

/// One number of the scorecard.
#[derive(Serialize)]
struct Scored {
    /// The series that has it on `/metrics`.
    metric: BTreeMap<String, String>,
    value: f64,
}

/// `GET /api/v1/scorecard`
pub(super) async fn scorecard(State(state): State<ServerState>) -> Result<Response, ApiError> {
    let series = state.ask(|db| db.scorecard()).await?;
    let scored = |(labels, value): (Labels, f64)| Scored {
        metric: labels.iter().map(|label| (label.name.to_owned(), label.value.to_owned())).collect(),
        value,
    };
    Ok(success(series.into_iter().map(scored).collect::<Vec<_>>()))
}

/// `GET /api/v1/objectives`
pub(super) async fn objectives(State(state): State<ServerState>) -> Result<Response, ApiError> {
    let statuses = state.ask(|db| db.objectives()).await?;
    Ok(success(statuses.iter().map(ObjectiveReport::new).collect::<Vec<_>>()))
}
