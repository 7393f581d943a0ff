//! Fills `/query`.

use axum::extract::{Query as UrlQuery, State};
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect, Response};

use crate::db::{Db, QueryError, QueryMeter};
use crate::model::{HistogramCounts, Labels, Millis, TimeRange, Timestamp};
use crate::promql::{ElementValue, EvalOptions, MatrixSeries, Value, kernel};

use super::{deploys_in, shell, show};
use crate::server::api;
use crate::server::ask;
use crate::server::pages;
use crate::server::pages::view::{Chart, Line, Outcome, Place, Query};
use crate::server::params::{Span, parse_span};
use crate::server::state::ServerState;

/// Series that are drawn, and rows that are listed.
const LINES_MAX: usize = 40;
const ROWS_MAX: usize = 400;
/// Points of each line; the chart is about a thousand wide.
const POINTS: i64 = 240;

type Pairs = Vec<(String, String)>;

/// `GET /query?query=…&range=1h`
pub(super) async fn query(State(state): State<ServerState>, uri: Uri) -> Response {
    let pairs: Pairs = UrlQuery::try_from_uri(&uri).map(|UrlQuery(pairs)| pairs).unwrap_or_default();
    let param = |name: &str| pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let text = param("query").unwrap_or_default().trim().to_owned();
    let range = param("range").and_then(|text| parse_span(text).ok()).map(Span::millis);
    let span = range.filter(|span| span.0 > 0).unwrap_or(Millis::hours(1));
    let shell = shell(&state, Place::Query, "Query");
    let outcome = if text.is_empty() {
        None
    } else {
        let (now, copy) = (shell.now, text.clone());
        let timeout = state.queries().options().timeout.to_std();
        let (asked, _abandon) = ask::within(&state, text.clone(), timeout);
        let ran = state.query(asked, move |db, options, meter| run(db, &copy, now, span, options, meter));
        Some(match ran.await {
            Ok(Ok(ran)) => ran.answer,
            Ok(Err(QueryError::Parse(error))) => Outcome::Failed(format!("{error}\n\n{}", error.caret())),
            Ok(Err(error)) => Outcome::Failed(api::refuse(error).text),
            Err(error) => Outcome::Failed(error.text),
        })
    };
    show(&pages::query(&shell, &Query { text, span, outcome })).into_response()
}

/// `GET /graph`: where links made for Prometheus lead; `g0.expr` is its first query.
pub(super) async fn graph(uri: Uri) -> Redirect {
    let pairs: Pairs = UrlQuery::try_from_uri(&uri).map(|UrlQuery(pairs)| pairs).unwrap_or_default();
    match pairs.iter().find(|(name, _)| name == "g0.expr") {
        Some((_, expr)) => Redirect::to(&format!("/query?query={}", pages::encode(expr))),
        None => Redirect::to("/query"),
    }
}

fn run(
    db: &Db,
    text: &str,
    now: Timestamp,
    span: Millis,
    options: &EvalOptions,
    meter: &QueryMeter,
) -> Result<Outcome, QueryError> {
    let answer = db.query_metered(text, now, options, meter)?;
    let start = now - span;
    let mut notes = answer.warnings;
    notes.extend(answer.infos);
    let mut lines = Vec::new();
    let rows = match answer.value {
        Value::Scalar(sample) => vec![("scalar".to_owned(), pages::number(sample.v))],
        Value::String(_, text) => vec![("string".to_owned(), text)],
        Value::Vector(samples) => samples.iter().map(|one| (name_of(&one.labels), text_of(&one.value))).collect(),
        Value::Matrix(series) => {
            lines = series
                .iter()
                .take(LINES_MAX)
                .map(|one| Line {
                    name: name_of(&one.labels),
                    points: one.samples.iter().map(|sample| (sample.t, sample.v)).collect(),
                })
                .collect();
            let samples = |one: &MatrixSeries| one.samples.len() + one.histograms.len();
            series.iter().map(|one| (name_of(&one.labels), format!("{} samples", samples(one)))).collect()
        }
    };
    if lines.is_empty() {
        let step = Millis((span.0 / POINTS).max(1000));
        if let Ok(ranged) = db.query_range_metered(text, (start, now), step, options, meter)
            && let Value::Matrix(series) = ranged.value
        {
            lines = in_order_of(&rows, &series)
                .into_iter()
                .map(|one| Line {
                    name: name_of(&one.labels),
                    points: one.samples.iter().map(|sample| (sample.t, sample.v)).collect(),
                })
                .collect();
        }
    }
    let total = rows.len();
    let rows = rows.into_iter().take(ROWS_MAX).collect();
    let range = TimeRange { after: start, until: now };
    let chart = Chart { title: text.to_owned(), lines, range, deploys: deploys_in(db, range) };
    Ok(Outcome::Found { rows, total, notes, chart })
}

/// The series of the chart in the order of the table, so that their colours agree; those that are
/// not there now come last.
fn in_order_of<'a>(rows: &[(String, String)], series: &'a [MatrixSeries]) -> Vec<&'a MatrixSeries> {
    let place = |labels: &Labels| {
        let name = name_of(labels);
        rows.iter().position(|(row, _)| *row == name).unwrap_or(usize::MAX)
    };
    let mut ordered: Vec<_> = series.iter().take(LINES_MAX).collect();
    ordered.sort_by_cached_key(|one| place(&one.labels));
    ordered
}

/// A value of the table; of a histogram what it adds up to.
fn text_of(value: &ElementValue) -> String {
    match value {
        ElementValue::Number(v) => pages::number(*v),
        ElementValue::Histogram(histogram) => {
            let count = match histogram.counts {
                HistogramCounts::Integer { count, .. } => count as f64,
                HistogramCounts::Float { count, .. } => count,
            };
            let buckets = kernel::native_buckets(histogram).len();
            format!("{} observations in {buckets} buckets, sum {}", pages::number(count), pages::number(histogram.sum))
        }
    }
}

fn name_of(labels: &Labels) -> String {
    if labels.is_empty() { "{}".to_owned() } else { labels.to_string() }
}
