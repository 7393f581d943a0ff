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
        let reason = || format!("invalid time value for '{name}': cannot parse \"{text}\" to a valid timestamp");
        parse_instant(text).map(Some).ok_or_else(|| ApiError::parameter(name, reason()))
    }

    /// An instant that must be given.
    pub(super) fn required_instant(&self, name: &str) -> Result<Timestamp, ApiError> {
        let text = self.get(name).unwrap_or_default();
        let reason = || format!("cannot parse \"{text}\" to a valid timestamp");
        parse_instant(text).ok_or_else(|| ApiError::parameter(name, reason()))
    }

    /// An instant of an endpoint of our own, if given: seconds may be left out.
    pub(super) fn own_instant(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        match self.get(name).and_then(parse_own_instant) {
            Some(at) => Ok(Some(at)),
            None => self.instant(name),
        }
    }

    /// A span, if given.
    pub(super) fn span(&self, name: &str) -> Result<Option<Span>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        parse_span(text).map(Some).map_err(|reason| ApiError::parameter(name, reason))
    }

    /// The `limit` parameter; zero means none.
    pub(super) fn limit(&self) -> Result<usize, ApiError> {
        let Some(text) = self.get("limit") else { return Ok(0) };
        let limit = whole_number(text).map_err(|reason| ApiError::parameter("limit", reason))?;
        usize::try_from(limit).map_err(|_| ApiError::parameter("limit", "limit must be non-negative"))
    }

    /// The selectors of all `match[]` parameters.
    ///
    /// # Errors
    /// One is none, or satisfied by a series without any label; the text does not name the parameter.
    pub(super) fn matchers(&self) -> Result<Vec<Vec<Matcher>>, String> {
        self.all("match[]")
            .map(|text| {
                const EMPTY: &str = "must contain at least one non-empty matcher";
                parse_selector(text).map_err(|error| match error.to_string() {
                    // Where a parameter is meant and not an expression, Prometheus says so without a place.
                    text if text.ends_with(EMPTY) => format!("match[] {EMPTY}"),
                    text => text,
                })
            })
            .collect()
    }

    /// The instants `start` and `end`; the first and the last there are if not given.
    pub(super) fn bounds(&self) -> Result<(Timestamp, Timestamp), ApiError> {
        let start = self.instant("start")?.unwrap_or(Timestamp::MIN);
        Ok((start, self.instant("end")?.unwrap_or(Timestamp::MAX)))
    }

    /// The span from `start` to `end`, both inside; everything if not given, and nothing if they
    /// are the wrong way round.
    pub(super) fn range(&self) -> Result<TimeRange, ApiError> {
        Ok(between(self.bounds()?))
    }

    /// The same for endpoints of our own: seconds may be left out.
    pub(super) fn own_range(&self) -> Result<TimeRange, ApiError> {
        let start = self.own_instant("start")?.unwrap_or(Timestamp::MIN);
        Ok(between((start, self.own_instant("end")?.unwrap_or(Timestamp::MAX))))
    }

    /// A flag: `true` or `false` as Go reads them.
    pub(super) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.get(name) {
            None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some(text) => {
                let reason = format!("error converting {name}: strconv.ParseBool: parsing \"{text}\": invalid syntax");
                Err(ApiError::parameter(name, reason))
            }
        }
    }
}

/// The span between two instants, both inside.
fn between((start, until): (Timestamp, Timestamp)) -> TimeRange {
    match until < start {
        true => TimeRange { after: Timestamp::MAX, until: Timestamp::MIN },
        false => TimeRange { after: start - Millis(1), until },
    }
}

/// A whole number; the error is Go's.
pub(super) fn whole_number(text: &str) -> Result<i64, String> {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    text.parse().map_err(|error: std::num::ParseIntError| {
        let reason =
            if matches!(error.kind(), NegOverflow | PosOverflow) { "value out of range" } else { "invalid syntax" };
        format!("strconv.Atoi: parsing \"{text}\": {reason}")
    })
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

/// The same, and RFC 3339 without its seconds, as people write it: `2026-11-20T03:00Z`. Prometheus takes no such text,
/// so neither do the endpoints that are its.
pub(super) fn parse_own_instant(text: &str) -> Option<Timestamp> {
    let without_seconds = || {
        let (minutes, zone) = text.split_at_checked("2026-11-20T03:00".len())?;
        // A fraction would be one of the minute.
        let zone = Some(zone).filter(|zone| !zone.starts_with('.'))?;
        Timestamp::parse_rfc3339(&format!("{minutes}:00{zone}"))
    };
    parse_instant(text).or_else(without_seconds)
}

/// A span as a parameter gives it: steps below a millisecond count for the limit on points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) nanos: i64,
}

impl Span {
    /// The whole milliseconds in it, as the evaluation uses them.
    pub(super) fn millis(self) -> Millis {
        Millis(self.nanos / NANOS_PER_MILLI)
    }

    /// As a standard duration; a negative span gives zero.
    pub(super) fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_nanos(u64::try_from(self.nanos).unwrap_or(0))
    }
}

const NANOS_PER_MILLI: i64 = 1_000_000;

/// Seconds with decimals, or a Prometheus duration.
pub(super) fn parse_span(text: &str) -> Result<Span, String> {
    let wrong = || format!("cannot parse \"{text}\" to a valid duration");
    let overflow = || format!("{}. It overflows int64", wrong());
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_nan() => Err(wrong()),
        Ok(seconds) if (seconds * 1e9).abs() >= i64::MAX as f64 => Err(overflow()),
        Ok(seconds) => Ok(Span { nanos: (seconds * 1e9) as i64 }),
        Err(_) => {
            let millis = Millis::parse(text).map_err(|_| wrong())?;
            millis.0.checked_mul(NANOS_PER_MILLI).map(|nanos| Span { nanos }).ok_or_else(wrong)
        }
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
    fn seconds_may_be_left_out_of_our_own_instants() {
        let check = |text: &str, expected: Option<&str>| {
            let expected = expected.map(|text| Timestamp::parse_rfc3339(text).unwrap());
            assert_eq!(parse_own_instant(text), expected, "{text}");
        };
        check("2026-11-20T03:00Z", Some("2026-11-20T03:00:00Z"));
        check("2026-11-20T03:00+01:00", Some("2026-11-20T02:00:00Z"));
        check("2026-11-20T03:00:07Z", Some("2026-11-20T03:00:07Z"));
        check("0", Some("1970-01-01T00:00:00Z"));
        for text in
            ["2026-11-20T03:00", "2026-11-20T03:00.5Z", "2026-11-20T25:00Z", "2026-11-20T03Z", "2026-11-20T03:0é"]
        {
            check(text, None);
        }
        assert_eq!(parse_instant("2026-11-20T03:00Z"), None);
    }

    #[test]
    fn spans_are_seconds_or_durations() {
        let check = |text: &str, expected: Result<i64, &str>| {
            let expected = expected.map(|nanos| Span { nanos }).map_err(str::to_owned);
            assert_eq!(parse_span(text), expected, "{text}");
        };
        check("15", Ok(15_000_000_000));
        check("0.5", Ok(500_000_000));
        check("0.0001", Ok(100_000));
        check("1h30m", Ok(5_400_000_000_000));
        check("-1", Ok(-1_000_000_000));
        check("1e20", Err("cannot parse \"1e20\" to a valid duration. It overflows int64"));
        check("-Inf", Err("cannot parse \"-Inf\" to a valid duration. It overflows int64"));
        check("NaN", Err("cannot parse \"NaN\" to a valid duration"));
        check("300y", Err("cannot parse \"300y\" to a valid duration"));
        check("soon", Err("cannot parse \"soon\" to a valid duration"));
    }
}
