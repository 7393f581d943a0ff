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
        Err(_) => parse_rfc3339(text),
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

/// `2026-11-23T13:49:07.123Z`, or with an offset `+01:00`.
fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let digits = |from: usize, to: usize| -> Option<i64> {
        let part = text.get(from..to)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let at = |i: usize, expected: &[u8]| bytes.get(i).is_some_and(|b| expected.contains(b));
    if !(at(4, b"-") && at(7, b"-") && at(10, b"Tt") && at(13, b":") && at(16, b":")) {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(5, 7)?, digits(8, 10)?);
    let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days = *month_days.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    if !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut ms = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 {
            return None;
        }
        let nanos: f64 = format!("0.{}", &fraction[..length]).parse().ok()?;
        ms = (nanos * 1000.0).floor() as i64;
        rest = &fraction[length..];
    }
    let offset_minutes = match rest.as_bytes() {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] if [h1, h2, m1, m2].iter().all(|b| b.is_ascii_digit()) => {
            let two = |a: u8, b: u8| i64::from(a - b'0') * 10 + i64::from(b - b'0');
            let minutes = two(*h1, *h2) * 60 + two(*m1, *m2);
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset_minutes * 60;
    Some(Timestamp(seconds * 1000 + ms))
}

/// Days since the epoch (Howard Hinnant, "chrono-compatible low-level date algorithms",
/// `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
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
