//! `episodes`, `alerts/fired`, `reports/accuracy`: what was wrong, what told of it, and how good that was.

use axum::extract::{Path, Request, State};
use axum::response::Response;
use jiff::tz::TimeZone;

use crate::backtest::LocalTime;
use crate::confidence::{FiredId, OutcomeLabel};
use crate::db::{Db, OutcomeError};
use crate::model::{Millis, TimeRange, Timestamp, limits};
use crate::report::{AccuracyReport, EpisodeReport, FiredReport};
use crate::server::envelope::{ApiError, ErrorType, success};
use crate::server::params::Params;
use crate::server::state::ServerState;

/// What is asked about if nothing is said.
pub(in crate::server) const USUAL: Millis = Millis::days(30);

/// `GET /api/v1/episodes`
pub(super) async fn episodes(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let range = range_of(&Params::of(request, state.bodies()).await?, state.now())?;
    let now = state.now();
    Ok(success(state.ask(move |db| episode_reports(db, range, now)).await?))
}

/// `GET /api/v1/alerts/fired`
pub(super) async fn fired(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let range = range_of(&Params::of(request, state.bodies()).await?, state.now())?;
    let now = state.now();
    Ok(success(state.ask(move |db| fired_reports(db, range, now)).await?))
}

/// `GET /api/v1/reports/accuracy`
pub(super) async fn accuracy(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let (range, now) = (range_of(&params, state.now())?, state.now());
    let zone_name = params.get("time_zone").unwrap_or("UTC").to_owned();
    let zone = zone_of(&zone_name)?;
    Ok(success(state.ask(move |db| accuracy_report(db, range, (&zone_name, &zone), now)).await?))
}

/// `POST /api/v1/alerts/fired/{id}/outcome` with `outcome`, and perhaps `by` and `note`, as a form or in the URL.
pub(super) async fn label(
    State(state): State<ServerState>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    Ok(success(record(&state, &id, &params).await?))
}

/// Records the outcome that parameters name.
pub(in crate::server) async fn record(state: &ServerState, id: &str, params: &Params) -> Result<FiredReport, ApiError> {
    let unknown = || ApiError::new(ErrorType::NotFound, OutcomeError::Unknown(id.to_owned()).to_string());
    let id = FiredId::parse(id).ok_or_else(unknown)?;
    let word = params.get("outcome").unwrap_or_default();
    let label = OutcomeLabel::parse(word).ok_or_else(|| {
        let words: Vec<&str> = OutcomeLabel::ALL.iter().map(|label| label.as_str()).collect();
        ApiError::parameter("outcome", format!("\"{word}\" is none of {}", words.join(", ")))
    })?;
    let text = |name: &'static str| {
        let text = params.get(name).unwrap_or_default();
        match text.len() > limits::FIRED_TEXT_BYTES_MAX {
            true => Err(ApiError::parameter(name, format!("it is longer than {} bytes", limits::FIRED_TEXT_BYTES_MAX))),
            false => Ok(text.to_owned()),
        }
    };
    let (by, note, now) = (text("by")?, text("note")?, state.now());
    let db = state.db()?.clone();
    let labelled = state.bridge().write(move || {
        let alert = db.label_alert(id, label, &by, &note)?;
        Ok(FiredReport::new(&alert, &db.episodes(EVER), now))
    });
    labelled.await?.map_err(|error: OutcomeError| {
        let kind = match error {
            OutcomeError::Unknown(_) => ErrorType::NotFound,
            OutcomeError::Disk(_) => ErrorType::Unavailable,
        };
        ApiError::new(kind, error.to_string())
    })
}

const EVER: TimeRange = TimeRange { after: Timestamp::MIN, until: Timestamp::MAX };

/// The span from `start` to `end`: the last thirty days, if not given.
pub(in crate::server) fn range_of(params: &Params, now: Timestamp) -> Result<TimeRange, ApiError> {
    if params.get("start").is_none() && params.get("end").is_none() {
        return Ok(TimeRange { after: now - USUAL, until: now });
    }
    params.own_range()
}

/// The time zone of that name.
pub(in crate::server) fn zone_of(name: &str) -> Result<TimeZone, ApiError> {
    TimeZone::get(name).map_err(|_| {
        ApiError::parameter("time_zone", format!("\"{name}\" is no time zone; write one like Europe/Berlin"))
    })
}

pub(in crate::server) fn episode_reports(db: &Db, range: TimeRange, now: Timestamp) -> Vec<EpisodeReport> {
    let alerts = db.fired_alerts(EVER);
    db.episodes(range).iter().map(|known| EpisodeReport::new(known, &alerts, now)).collect()
}

pub(in crate::server) fn fired_reports(db: &Db, range: TimeRange, now: Timestamp) -> Vec<FiredReport> {
    let episodes = db.episodes(EVER);
    db.fired_alerts(range).iter().map(|alert| FiredReport::new(alert, &episodes, now)).collect()
}

pub(in crate::server) fn accuracy_report(
    db: &Db,
    range: TimeRange,
    (zone_name, zone): (&str, &TimeZone),
    now: Timestamp,
) -> AccuracyReport {
    let accuracy = db.accuracy(range, &|t| LocalTime::of(t, zone));
    AccuracyReport::new(&accuracy, range, zone_name, now)
}
