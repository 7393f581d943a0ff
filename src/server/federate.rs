//! `/federate`: the newest sample of each series that is asked for, for another server to scrape: as protobuf for
//! those that take it, as text for others.
//!
//! Invariants:
//! - Text has no word for native histograms: they are left out there, and counted.
//! - Staleness markers are left out, as the format has no word for them.
//! - A series' own labels win over the external ones; one without `instance` says so with an empty one,
//!   so that the scraper does not put its own there.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use crate::db::{Db, QueryError};
use crate::model::{Labels, Matcher, MetricKind, ResetHint, Sample, TimeRange, Timestamp, is_stale};
use crate::promql::EvalOptions;
use crate::wire::{PointValue, exposition_line, push_family_with, type_line};

use super::api::refuse;
use super::ask;
use super::envelope::{ApiError, ErrorType};
use super::params::Params;
use super::parts::{PART_BYTES, Parts, body_of};
use super::queries::LargePlace;
use super::state::ServerState;

/// Whether names beyond letters, digits and underscores stand as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    Whole,
    Underscored,
}

impl Names {
    fn of(headers: &HeaderMap) -> Names {
        let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if accepts.contains("escaping=allow-utf-8") { Names::Whole } else { Names::Underscored }
    }

    fn content_type(self) -> &'static str {
        match self {
            Names::Whole => "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8",
            Names::Underscored => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
        }
    }
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Protobuf,
}

impl Form {
    fn of(headers: &HeaderMap) -> Form {
        let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let takes = accepts.contains("application/vnd.google.protobuf") && accepts.contains("encoding=delimited");
        if takes { Form::Protobuf } else { Form::Text }
    }

    fn content_type(self, names: Names) -> &'static str {
        match (self, names) {
            (Form::Text, names) => names.content_type(),
            (Form::Protobuf, Names::Whole) => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=allow-utf-8"
            }
            (Form::Protobuf, Names::Underscored) => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited; escaping=underscores"
            }
        }
    }
}

/// A series as it is told, with its newest value.
type Row = (Labels, PointValue, Timestamp);

/// `GET /federate?match[]=…`
pub(super) async fn federate(State(state): State<ServerState>, request: Request) -> Response {
    let (names, form) = (Names::of(request.headers()), Form::of(request.headers()));
    match take(&state, request, names, form).await {
        Ok(body) => ([(header::CONTENT_TYPE, form.content_type(names))], body_of(body)).into_response(),
        Err(refused) => refused.into_plain(),
    }
}

async fn take(state: &ServerState, request: Request, names: Names, form: Form) -> Result<FederateParts, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let selectors = params.matchers().map_err(|reason| ApiError::new(ErrorType::BadData, reason))?;
    let timeout = state.queries().options().timeout.to_std();
    let (asked, _abandon) =
        ask::within(state, format!("/federate {:?}", params.all("match[]").collect::<Vec<_>>()), timeout);
    let until = state.now();
    let range = TimeRange { after: until - asked.lookback, until };
    let ran =
        state.query(asked, move |db, options, _| newest(db, &selectors, range, options)).await?.map_err(refuse)?;
    let external = state.db()?.external_labels();
    let mut rows = Vec::with_capacity(ran.answer.len());
    let mut left_out = 0;
    for (labels, value, t) in ran.answer {
        if form == Form::Text && matches!(value, PointValue::Histogram(_)) {
            left_out += 1;
        } else if let Some(labels) = told(&labels, &external, names) {
            rows.push((labels, value, t));
        }
    }
    state.federate_left_out().fetch_add(left_out, Ordering::Relaxed);
    rows.sort_by(|(a, ..), (b, ..)| a.metric_name().cmp(b.metric_name()));
    Ok(FederateParts { rows, form, next: 0, _held: ran.held })
}

/// The newest sample of each series, each series once.
fn newest(
    db: &Db,
    selectors: &[Vec<Matcher>],
    range: TimeRange,
    options: &EvalOptions,
) -> Result<Vec<Row>, QueryError> {
    let mut found = Vec::new();
    for matchers in selectors {
        for series in db.select(matchers, range, options.samples_max)? {
            let number = series.samples.last().map(|sample| (sample.t, PointValue::Number(sample.v)));
            let histogram = series.histograms.last();
            let histogram = histogram.map(|sample| (sample.t, PointValue::Histogram(Arc::clone(&sample.histogram))));
            let newest = [number, histogram].into_iter().flatten().max_by_key(|(t, _)| *t);
            let is_end = |value: &PointValue| match value {
                PointValue::Number(v) => is_stale(*v),
                PointValue::Histogram(histogram) => histogram.is_stale(),
            };
            if let Some((t, value)) = newest.filter(|(_, value)| !is_end(value)) {
                found.push((series.labels, value, t));
            }
        }
    }
    found.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    found.dedup_by(|(a, ..), (b, ..)| a == b);
    Ok(found)
}

/// The labels as they are told; `None` for a series without a name, which the format cannot say.
fn told(labels: &Labels, external: &Labels, names: Names) -> Option<Labels> {
    if labels.metric_name().is_empty() {
        return None;
    }
    let mut told = labels.builder();
    for label in external.iter().filter(|label| labels.get(label.name).is_empty()) {
        told.set(label.name, label.value);
    }
    if names == Names::Underscored {
        for label in labels.iter() {
            let plain = underscored(label.name);
            if plain != label.name {
                told.remove(label.name);
                told.set(&plain, label.value);
            }
        }
        told.set(Labels::METRIC_NAME, &underscored(labels.metric_name()));
    }
    told.build().ok()
}

/// A name with an underscore for each character that older readers do not take.
fn underscored(name: &str) -> String {
    let fits = |at: usize, c: char| c.is_ascii_alphabetic() || c == '_' || c == ':' || (c.is_ascii_digit() && at > 0);
    name.chars().enumerate().map(|(at, c)| if fits(at, c) { c } else { '_' }).collect()
}

/// Writes the text part by part while the peer takes it.
struct FederateParts {
    rows: Vec<Row>,
    form: Form,
    next: usize,
    _held: Option<LargePlace>,
}

impl Parts for FederateParts {
    fn next_part(&mut self) -> Option<Vec<u8>> {
        let out = match self.form {
            Form::Text => self.next_lines().into_bytes(),
            Form::Protobuf => self.next_families(),
        };
        (!out.is_empty()).then_some(out)
    }
}

impl FederateParts {
    fn next_families(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < PART_BYTES {
            let rest = self.rows.get(self.next..).unwrap_or_default();
            let Some((labels, value, _)) = rest.first() else { break };
            let (name, kind) = (labels.metric_name(), kind_of(value));
            let alike = |(labels, value, _): &&Row| labels.metric_name() == name && kind_of(value) == kind;
            let family = &rest[..rest.iter().take(FAMILY_ROWS_MAX).take_while(alike).count()];
            push_family_with(&mut out, name, kind, family, "instance");
            self.next += family.len();
        }
        out
    }

    fn next_lines(&mut self) -> String {
        let mut out = String::new();
        while out.len() < PART_BYTES {
            let Some((labels, value, t)) = self.rows.get(self.next) else { break };
            let PointValue::Number(v) = *value else {
                self.next += 1;
                continue;
            };
            let sample = &Sample { t: *t, v };
            let before = self.next.checked_sub(1).map(|at| self.rows[at].0.metric_name());
            if before != Some(labels.metric_name()) {
                type_line(&mut out, labels.metric_name());
            }
            if labels.get("instance").is_empty() {
                push_without_instance(&mut out, labels, *sample);
            } else {
                exposition_line(&mut out, labels, *sample);
            }
            self.next += 1;
        }
        out
    }
}

/// Rows of one message, so that no part grows large; a family may come in several.
const FAMILY_ROWS_MAX: usize = 1000;

/// The type of the family that a value is told in.
fn kind_of(value: &PointValue) -> MetricKind {
    match value {
        PointValue::Number(_) => MetricKind::Unknown,
        PointValue::Histogram(histogram) if histogram.reset_hint == ResetHint::Gauge => MetricKind::GaugeHistogram,
        PointValue::Histogram(_) => MetricKind::Histogram,
    }
}

/// A line with an empty `instance`: labels never hold an empty value, so it is put into the text.
fn push_without_instance(out: &mut String, labels: &Labels, sample: Sample) {
    let start = out.len();
    exposition_line(out, labels, sample);
    let place = match out[start..].find('{') {
        Some(at) => start + at,
        None => {
            let end = out[start..].find(' ').map_or(out.len(), |at| start + at);
            out.insert_str(end, "{}");
            end
        }
    };
    let comma = if out[place + 1..].starts_with('}') { "" } else { "," };
    out.insert_str(place + 1, &format!("instance=\"\"{comma}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_for_older_readers() {
        let check = |name: &str, expected: &str| assert_eq!(underscored(name), expected);
        check("up", "up");
        check("http.status", "http_status");
        check("1é", "__");
        check("a:b", "a:b");
    }
}
