//! Parameters of a request, from its URL and its form alike, and what they mean.
//!
//! Invariants:
//! - A parameter in the form wins over one in the URL.
//! - An error names the parameter and quotes its value.

use axum::body::Body;
use axum::extract::{FromRequest, Query, Request};
use axum::http::{Method, header};

use crate::model::{Matcher, Millis, TimeRange, Timestamp, limits};
use crate::promql::parse_selector;

use super::body::{BodyError, BodyReader};
use super::envelope::{ApiError, ErrorType};

/// The parameters in the order in which they stand.
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Takes the parameters out of a request.
    pub(super) async fn of(request: Request, reader: &BodyReader) -> Result<Params, ApiError> {
        let mut pairs = Vec::new();
        let (parts, body) = request.into_parts();
        if parts.method == Method::POST && is_form(&parts.headers) {
            let whole = reader.read(body).await?;
            if whole.bytes.len() > limits::FORM_BYTES_MAX {
                return Err(BodyError::TooLarge { limit: limits::FORM_BYTES_MAX }.into());
            }
            let mut form = Request::new(Body::from(whole.bytes.clone()));
            *form.method_mut() = Method::POST;
            *form.headers_mut() = parts.headers;
            let axum::Form(form) = axum::Form::<Vec<(String, String)>>::from_request(form, &())
                .await
                .map_err(|error| ApiError::new(ErrorType::BadData, format!("error parsing form values: {error}")))?;
            pairs = form;
        }
        let Query(url) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|error| ApiError::new(ErrorType::BadData, format!("error parsing form values: {error}")))?;
        pairs.extend(url);
        Ok(Params(pairs))
    }

    /// The first value of a parameter that is present and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// An instant, if given.
    pub(super) fn instant(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        parse_instant(text)
            .map(Some)
            .ok_or_else(|| ApiError::parameter(name, format!("cannot parse \"{text}\" to a valid timestamp")))
    }

    /// An instant that must be given.
    pub(super) fn required_instant(&self, name: &str) -> Result<Timestamp, ApiError> {
        self.instant(name)?.ok_or_else(|| ApiError::parameter(name, "cannot parse \"\" to a valid timestamp"))
    }

    /// A span, if given.
    pub(super) fn span(&self, name: &str) -> Result<Option<Millis>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        parse_span(text)
            .map(Some)
            .ok_or_else(|| ApiError::parameter(name, format!("cannot parse \"{text}\" to a valid duration")))
    }

    /// The `limit` parameter; zero means none.
    pub(super) fn limit(&self) -> Result<usize, ApiError> {
        let Some(text) = self.get("limit") else { return Ok(0) };
        text.parse().map_err(|_| ApiError::parameter("limit", "limit must be non-negative"))
    }

    /// The selectors of all `match[]` parameters.
    pub(super) fn matchers(&self) -> Result<Vec<Vec<Matcher>>, ApiError> {
        self.all("match[]")
            .map(|text| {
                let matchers = parse_selector(text).map_err(|error| ApiError::parameter("match[]", error))?;
                if matchers.iter().all(|m| m.matches("")) {
                    return Err(ApiError::parameter("match[]", "match[] must contain at least one non-empty matcher"));
                }
                Ok(matchers)
            })
            .collect()
    }

    /// The span from `start` to `end`, both inside; everything if not given.
    pub(super) fn range(&self) -> Result<TimeRange, ApiError> {
        let start = self.instant("start")?.unwrap_or(Timestamp::MIN);
        let until = self.instant("end")?.unwrap_or(Timestamp::MAX);
        if until < start {
            return Err(ApiError::parameter("end", "end timestamp must not be before start timestamp"));
        }
        Ok(TimeRange { after: start - Millis(1), until })
    }
}

fn is_form(headers: &axum::http::HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"))
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> ApiError {
        let kind = match error {
            BodyError::TooLarge { .. } => ErrorType::TooLarge,
            BodyError::TooSlow => ErrorType::RequestTimeout,
            BodyError::Busy => ErrorType::TooManyRequests,
            BodyError::Broken(_) => ErrorType::BadData,
        };
        ApiError::new(kind, error.to_string())
    }
}

/// Unix seconds with decimals, or RFC 3339.
pub(super) fn parse_instant(text: &str) -> Option<Timestamp> {
    match text {
        "-292273086-05-16T16:47:06Z" => return Some(Timestamp::MIN),
        "292277025-08-18T07:12:54.999999999Z" => return Some(Timestamp::MAX),
        _ => {}
    }
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() => Some(Timestamp::from_seconds(seconds)),
        Ok(_) => None,
        Err(_) => Timestamp::parse_rfc3339(text),
    }
}

/// Seconds with decimals, or a Prometheus duration.
pub(super) fn parse_span(text: &str) -> Option<Millis> {
    match text.parse::<f64>() {
        // Beyond this a span in nanoseconds overflows Prometheus' own type.
        Ok(seconds) if seconds.abs() < 9.2e9 => Some(Millis((seconds * 1000.0).round() as i64)),
        Ok(_) => None,
        Err(_) => Millis::parse(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_seconds_or_rfc_3339() {
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(parse_instant(text), expected.map(Timestamp), "{text}");
        };
        check("0", Some(0));
        check("1435781451.781", Some(1_435_781_451_781));
        check("-1.5", Some(-1500));
        check("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781));
        check("2015-07-01T22:10:51.7819+02:00", Some(1_435_781_451_781));
        check("2000-02-29T12:34:56Z", Some(951_827_696_000));
        check("1969-12-31T23:59:59.999Z", Some(-1));
        check("2015-02-29T00:00:00Z", None);
        check("2015-07-01", None);
        check("2015-07-01T20:10:51", None);
        check("now", None);
        check("Inf", None);
        check("NaN", None);
        check("2015-07-01T20:10:5é", None);
        check("-292273086-05-16T16:47:06Z", Some(i64::MIN));
    }

    #[test]
    fn spans_are_seconds_or_durations() {
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(parse_span(text), expected.map(Millis), "{text}");
        };
        check("15", Some(15_000));
        check("0.5", Some(500));
        check("1h30m", Some(5_400_000));
        check("-1", Some(-1000));
        check("1e20", None);
        check("soon", None);
    }
}
