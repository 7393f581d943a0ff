//! `query` and `query_range`.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::db::QueryError;
use crate::model::{Exemplar, Labels, Millis, TimeRange, limits};
use crate::promql::{self, Answer, EvalError, SourceError, Value};

use crate::server::answer;
use crate::server::ask;
use crate::server::envelope::{ApiError, ErrorType, success};
use crate::server::number::push_value;
use crate::server::params::{Params, parse_span};
use crate::server::queries::Ran;
use crate::server::state::ServerState;

/// `GET|POST /api/v1/query`
pub(super) async fn instant(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let limit = params.limit()?;
    let at = params.instant("time")?.unwrap_or_else(|| state.now());
    let (asked, _abandon) = ask::asked(&state, &params)?;
    let text = asked.text.clone();
    let ran = state.query(asked, move |db, options, meter| db.query_metered(&text, at, options, meter)).await?;
    Ok(respond(&params, limit, ran.map_err(refuse)?))
}

/// `GET|POST /api/v1/query_range`
pub(super) async fn range(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let limit = params.limit()?;
    let (start, end) = (params.required_instant("start")?, params.required_instant("end")?);
    if end < start {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    let step = step(&params, end - start)?;
    let (mut asked, _abandon) = ask::asked(&state, &params)?;
    asked.points = (end - start).0 / step.0 + 1;
    let text = asked.text.clone();
    let anew = matches!(params.get("nocache"), Some("1" | "true"));
    let ran = state.query(asked, move |db, options, meter| match anew {
        true => db.query_range_uncached(&text, (start, end), step, options, meter),
        false => db.query_range_metered(&text, (start, end), step, options, meter),
    });
    Ok(respond(&params, limit, ran.await?.map_err(refuse)?))
}

/// The parameter `step`, which must divide the span into few enough points.
fn step(params: &Params, span: Millis) -> Result<Millis, ApiError> {
    let step = parse_span(params.get("step").unwrap_or_default()).map_err(|r| ApiError::parameter("step", r))?;
    if step.nanos > 0 && i128::from(span.0) * 1_000_000 / i128::from(step.nanos) > i128::from(limits::RANGE_POINTS_MAX)
    {
        return Err(ApiError::new(
            ErrorType::BadData,
            "exceeded maximum resolution of 11,000 points per timeseries. \
             Try decreasing the query resolution (?step=XX)",
        ));
    }
    // Shorter than a millisecond is no step either: the evaluation counts in whole ones.
    if step.millis() <= Millis::ZERO {
        return Err(ApiError::parameter(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    Ok(step.millis())
}

fn respond(params: &Params, limit: usize, ran: Ran<Answer>) -> Response {
    let stats = params.get("stats").map(|_| ran.stats);
    answer::respond(cut(ran.answer, limit), stats, ran.held)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExemplarSeries {
    series_labels: BTreeMap<String, String>,
    exemplars: Vec<ExemplarJson>,
}

#[derive(Serialize)]
struct ExemplarJson {
    labels: BTreeMap<String, String>,
    value: String,
    timestamp: f64,
}

/// `GET|POST /api/v1/query_exemplars`
pub(super) async fn exemplars(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let (start, end) = params.bounds()?;
    if end < start {
        return Err(ApiError::new(ErrorType::BadData, "end timestamp must not be before start timestamp"));
    }
    let range = TimeRange { after: start - Millis(1), until: end };
    let text = ask::query_text(&params)?;
    let plain = |error| match error {
        QueryError::Parse(error) => ApiError::new(ErrorType::BadData, error.to_string()),
        other => refuse(other),
    };
    if promql::parse(&text).is_ok_and(|expr| expr.selectors().is_empty()) {
        // As Prometheus says that nothing can be found.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let found = state.search(move |db| db.exemplars(&text, range)).await?.map_err(plain)?;
    let series = found.iter().filter_map(|list| {
        let exemplars = list.iter().map(|one| exemplar_json(&one.exemplar)).collect();
        Some(ExemplarSeries { series_labels: map_of(&list.first()?.series), exemplars })
    });
    Ok(success(series.collect::<Vec<_>>()))
}

fn exemplar_json(exemplar: &Exemplar) -> ExemplarJson {
    let mut value = String::new();
    push_value(&mut value, exemplar.sample.v);
    ExemplarJson { labels: map_of(&exemplar.labels), value, timestamp: exemplar.sample.t.as_seconds() }
}

fn map_of(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|label| (label.name.to_owned(), label.value.to_owned())).collect()
}

/// What a failed query answers.
pub(in crate::server) fn refuse(error: QueryError) -> ApiError {
    let kind = match &error {
        QueryError::Parse(error) => return ApiError::parameter("query", error),
        QueryError::Eval(EvalError::TimedOut) => ErrorType::Timeout,
        QueryError::Eval(EvalError::Busy) => ErrorType::TooManyRequests,
        QueryError::Eval(EvalError::NotForRange(_)) => return ApiError::parameter("query", error),
        QueryError::Eval(EvalError::BadRange(_) | EvalError::BadDuration(_)) | QueryError::Invalid(_) => {
            ErrorType::BadData
        }
        QueryError::Eval(EvalError::Source(SourceError::Unreadable(_))) | QueryError::Read(_) => ErrorType::Internal,
        QueryError::Eval(_) => ErrorType::Execution,
    };
    ApiError::new(kind, error.to_string())
}

/// Keeps the first `limit` series.
fn cut(mut answer: Answer, limit: usize) -> Answer {
    let before = match &answer.value {
        Value::Vector(samples) => samples.len(),
        Value::Matrix(series) => series.len(),
        Value::Scalar(_) | Value::String(..) => 0,
    };
    if limit > 0 && before > limit {
        match &mut answer.value {
            Value::Vector(samples) => samples.truncate(limit),
            Value::Matrix(series) => series.truncate(limit),
            Value::Scalar(_) | Value::String(..) => {}
        }
        answer.warnings.push("results truncated due to limit".to_owned());
    }
    answer
}
