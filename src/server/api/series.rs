//! `labels`, `label/{name}/values` and `series`: what is stored, by name.

use std::collections::BTreeSet;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;

use crate::db::{Db, QueryError};
use crate::model::{Labels, Matcher, TimeRange};

use super::query::refuse;
use crate::server::envelope::{ApiError, ErrorType};
use crate::server::list;
use crate::server::params::Params;
use crate::server::state::ServerState;

/// `GET|POST /api/v1/labels`
pub(super) async fn names(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    any_of(&state, &params, |db, matchers, range| db.label_names(matchers, range)).await
}

/// `GET /api/v1/label/{name}/values`
pub(super) async fn values(
    State(state): State<ServerState>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    let Ok(Path(name)) = name else {
        return Err(ApiError::new(ErrorType::BadData, "invalid label name: it is not UTF-8"));
    };
    let name = unescape(&name);
    if name.is_empty() {
        return Err(ApiError::new(ErrorType::BadData, "invalid label name: \"\""));
    }
    any_of(&state, &params, move |db, matchers, range| db.label_values(&name, matchers, range)).await
}

/// `GET|POST /api/v1/series`
pub(super) async fn series(State(state): State<ServerState>, request: Request) -> Result<Response, ApiError> {
    let params = Params::of(request, state.bodies()).await?;
    if params.all("match[]").next().is_none() {
        return Err(ApiError::new(ErrorType::BadData, "no match[] parameter provided"));
    }
    let (limit, range) = (params.limit()?, params.range()?);
    let selectors = params.matchers().map_err(|reason| ApiError::parameter("match[]", reason))?;
    let found = state.search(move |db| union(&selectors, |m| db.series(m, range))).await?;
    Ok(list::respond::<Labels>(found.map_err(refuse)?, limit))
}

/// Names or values over all selectors; without a selector over everything.
async fn any_of(
    state: &ServerState,
    params: &Params,
    find: impl Fn(&Db, &[Matcher], TimeRange) -> Result<Vec<String>, QueryError> + Send + 'static,
) -> Result<Response, ApiError> {
    let (limit, range) = (params.limit()?, params.range()?);
    let mut selectors = params.matchers().map_err(|reason| ApiError::new(ErrorType::BadData, reason))?;
    if selectors.is_empty() {
        selectors.push(Vec::new());
    }
    let found = state.search(move |db| union(&selectors, |m| find(db, m, range))).await?;
    Ok(list::respond::<String>(found.map_err(refuse)?, limit))
}

/// What any of the selectors finds, each once; in order, if there are several.
fn union<T: UnionKey>(
    selectors: &[Vec<Matcher>],
    find: impl Fn(&[Matcher]) -> Result<Vec<T>, QueryError>,
) -> Result<Vec<T>, QueryError> {
    let mut all = Vec::new();
    for matchers in selectors {
        all.extend(find(matchers)?);
    }
    if selectors.len() > 1 {
        let mut seen = BTreeSet::new();
        all.retain(|one| seen.insert(one.key().to_owned()));
        all.sort_by(|a, b| a.key().cmp(b.key()));
    }
    Ok(all)
}

trait UnionKey {
    fn key(&self) -> &str;
}

impl UnionKey for String {
    fn key(&self) -> &str {
        self
    }
}

impl UnionKey for Labels {
    fn key(&self) -> &str {
        self.as_text()
    }
}

/// A label name from a URL: `U__` announces Prometheus' escaping, in which `__` is an underscore
/// and `_2e_` the character of that number. A text that is not so escaped stands for itself.
fn unescape(name: &str) -> String {
    let Some(escaped) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut out = String::new();
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let Some((digits, after)) = rest.split_once('_') else { return name.to_owned() };
        let code = (digits.len() <= 6).then(|| u32::from_str_radix(digits, 16).ok()).flatten();
        let Some(character) = code.and_then(char::from_u32) else { return name.to_owned() };
        out.push(character);
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_read() {
        let check = |text: &str, expected: &str| assert_eq!(unescape(text), expected);
        check("job", "job");
        check("U__http_2e_status", "http.status");
        check("U__a__b", "a_b");
        check("U___1f600_", "😀");
        check("U__bad_zz_", "U__bad_zz_");
        check("U__open_2e", "U__open_2e");
        check("U__", "");
    }
}
