//! `/federate`: the newest sample of each series that is asked for, as text, for another server to scrape.
//!
//! Invariants:
//! - Staleness markers are left out, as the format has no word for them.
//! - A series' own labels win over the external ones; one without `instance` says so with an empty one,
//!   so that the scraper does not put its own there.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use crate::db::{Db, QueryError};
use crate::model::{Labels, Matcher, Sample, TimeRange, is_stale};
use crate::promql::EvalOptions;
use crate::wire::{exposition_line, type_line};

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

/// `GET /federate?match[]=…`
pub(super) async fn federate(State(state): State<ServerState>, request: Request) -> Response {
    let names = Names::of(request.headers());
    match take(&state, request, names).await {
        Ok(body) => ([(header::CONTENT_TYPE, names.content_type())], body_of(body)).into_response(),
        Err(refused) => refused.into_plain(),
    }
}

async fn take(state: &ServerState, request: Request, names: Names) -> Result<FederateParts, ApiError> {
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
    for (labels, sample) in ran.answer {
        if let Some(labels) = told(&labels, &external, names) {
            rows.push((labels, sample));
        }
    }
    rows.sort_by(|(a, _), (b, _)| a.metric_name().cmp(b.metric_name()));
    Ok(FederateParts { rows, next: 0, _held: ran.held })
}

/// The newest sample of each series, each series once.
fn newest(
    db: &Db,
    selectors: &[Vec<Matcher>],
    range: TimeRange,
    options: &EvalOptions,
) -> Result<Vec<(Labels, Sample)>, QueryError> {
    let mut found = Vec::new();
    for matchers in selectors {
        for series in db.select(matchers, range, options.samples_max)? {
            if let Some(sample) = series.samples.last().filter(|sample| !is_stale(sample.v)) {
                found.push((series.labels, *sample));
            }
        }
    }
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found.dedup_by(|(a, _), (b, _)| a == b);
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
    rows: Vec<(Labels, Sample)>,
    next: usize,
    _held: Option<LargePlace>,
}

impl Parts for FederateParts {
    fn next_part(&mut self) -> Option<Vec<u8>> {
        let mut out = String::new();
        while out.len() < PART_BYTES {
            let Some((labels, sample)) = self.rows.get(self.next) else { break };
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
        (!out.is_empty()).then(|| out.into_bytes())
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
