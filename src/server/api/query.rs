//! `query` and `query_range`.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;

use crate::db::QueryError;
use crate::model::{Exemplar, Labels, Millis, limits};
use crate::promql::{Answer, EvalError, SourceError, Value};

use crate::server::answer;
use crate::server::ask;
use crate::server::envelope::{ApiError, ErrorType, success};
use crate::server::number::push_value;
use crate::server::params::Params;
use crate::server::state::ServerState;

/// `GET|POST /api/v1/query`
pub(super) async fn instant(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let limit = params.limit()?;
    let at = params.instant("time")?.unwrap_or_else(|| state.now());
    let text = query_text(&params)?;
    let (options, _abandon) = ask::options(&state, &params)?;
    let answer = state.ask(move |db| db.query(&text, at, &options)).await?.map_err(refuse)?;
    Ok(answer::respond(cut(answer, limit)))
}

/// `GET|POST /api/v1/query_range`
pub(super) async fn range(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let limit = params.limit()?;
    let start = params.required_instant("start")?;
    let end = params.required_instant("end")?;
    if end < start {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    let step =
        params.span("step")?.ok_or_else(|| ApiError::parameter("step", "cannot parse \"\" to a valid duration"))?;
    if step <= Millis::ZERO {
        return Err(ApiError::parameter(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    if (end - start).0 / step.0 > limits::RANGE_POINTS_MAX {
        return Err(ApiError::new(
            ErrorType::BadData,
            "exceeded maximum resolution of 11,000 points per timeseries. \
             Try decreasing the query resolution (?step=XX)",
        ));
    }
    let text = query_text(&params)?;
    let (options, _abandon) = ask::options(&state, &params)?;
    let answer = state.ask(move |db| db.query_range(&text, (start, end), step, &options)).await?.map_err(refuse)?;
    Ok(answer::respond(cut(answer, limit)))
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
    let range = params.range()?;
    let text = query_text(&params)?;
    let found = state.ask(move |db| db.exemplars(&text, range)).await?.map_err(refuse)?;
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

fn query_text(params: &Params) -> Result<String, ApiError> {
    let text = params.get("query").unwrap_or_default();
    if text.len() > limits::QUERY_BYTES_MAX {
        let reason = format!("{} bytes long; at most {} are taken", text.len(), limits::QUERY_BYTES_MAX);
        return Err(ApiError::parameter("query", reason));
    }
    Ok(text.to_owned())
}

/// What a failed query answers.
pub(in crate::server) fn refuse(error: QueryError) -> ApiError {
    let kind = match &error {
        QueryError::Parse(error) => return ApiError::parameter("query", error),
        QueryError::Eval(EvalError::TimedOut) => ErrorType::Timeout,
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
