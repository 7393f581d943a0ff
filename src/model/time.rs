//! Instants and spans in whole milliseconds, and the text of durations.
//!
//! Invariants:
//! - Arithmetic saturates: a time never wraps around.
//! - A [`TimeRange`] is left-open and right-closed, as every PromQL window is.

use std::fmt;
use std::ops::{Add, Neg, Sub};

use super::date::{self, Date};

/// An instant: milliseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// A signed span of time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub i64);

impl Timestamp {
    /// The earliest instant.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// The latest instant.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// The instant `seconds` after the epoch, rounded to the nearest millisecond.
    pub fn from_seconds(seconds: f64) -> Timestamp {
        Timestamp((seconds * 1000.0).round() as i64)
    }

    /// Reads RFC 3339, with any offset: `2026-11-23T13:49:07.123Z`. What is below a millisecond is
    /// cut off.
    pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
        date::parse_rfc3339(text)
    }

    /// Seconds since the epoch.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }
}

impl Millis {
    /// No time at all.
    pub const ZERO: Millis = Millis(0);

    /// A span of whole seconds.
    pub const fn seconds(n: i64) -> Millis {
        Millis(n.saturating_mul(1000))
    }

    /// A span of whole minutes.
    pub const fn minutes(n: i64) -> Millis {
        Millis::seconds(n.saturating_mul(60))
    }

    /// A span of whole hours.
    pub const fn hours(n: i64) -> Millis {
        Millis::minutes(n.saturating_mul(60))
    }

    /// A span of days of 24 hours.
    pub const fn days(n: i64) -> Millis {
        Millis::hours(n.saturating_mul(24))
    }

    /// The span in seconds.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The span as a standard duration; a negative span gives zero.
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(u64::try_from(self.0).unwrap_or(0))
    }

    /// Parses a Prometheus duration: `1h30m`, `15s`, `100ms`, `0`.
    ///
    /// Units are `y w d h m s ms`, each at most once, from large to small.
    ///
    /// # Errors
    /// The text is empty, names a unit twice or out of order, or does not fit.
    pub fn parse(text: &str) -> Result<Millis, DurationError> {
        if text == "0" {
            return Ok(Millis::ZERO);
        }
        let fail = |reason| DurationError { text: text.to_owned(), reason };
        if text.is_empty() {
            return Err(fail("it is empty"));
        }
        let mut rest = text;
        let mut total: i64 = 0;
        let mut units = UNITS.as_slice();
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let n: i64 = rest[..digits].parse().map_err(|_| fail("a whole number must come before each unit"))?;
            rest = &rest[digits..];
            let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
            let unit = &rest[..letters];
            rest = &rest[letters..];
            let at = units
                .iter()
                .position(|(name, _)| *name == unit)
                .ok_or_else(|| fail("units are y, w, d, h, m, s, ms, each once, from large to small"))?;
            total = n
                .checked_mul(units[at].1)
                .and_then(|ms| total.checked_add(ms))
                .ok_or_else(|| fail("it is longer than can be counted"))?;
            units = &units[at + 1..];
        }
        Ok(Millis(total))
    }
}

/// Unit names with their length in milliseconds, from large to small.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// A text that is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not a duration: {reason}; write it like 1h30m, 15s or 100ms")]
pub struct DurationError {
    text: String,
    reason: &'static str,
}

impl fmt::Display for Millis {
    /// The shortest Prometheus duration text; years and weeks only where they divide the span.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let mut rest = self.0.unsigned_abs();
        for (name, length) in UNITS {
            let length = length.unsigned_abs();
            if (name == "y" || name == "w") && !rest.is_multiple_of(length) {
                continue;
            }
            if rest >= length {
                write!(f, "{}{name}", rest / length)?;
                rest %= length;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds, `2026-11-23T13:49:07.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (day, ms) = (self.0.div_euclid(86_400_000), self.0.rem_euclid(86_400_000));
        let Date { year, month, day: date } = Date::of_day(day);
        write!(
            f,
            "{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}.{:03}Z",
            ms / 3_600_000,
            ms / 60_000 % 60,
            ms / 1000 % 60,
            ms % 1000
        )
    }
}

impl Add<Millis> for Timestamp {
    type Output = Timestamp;
    #[inline]
    fn add(self, span: Millis) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0))
    }
}

impl Sub<Millis> for Timestamp {
    type Output = Timestamp;
    #[inline]
    fn sub(self, span: Millis) -> Timestamp {
        Timestamp(self.0.saturating_sub(span.0))
    }
}

impl Sub for Timestamp {
    type Output = Millis;
    #[inline]
    fn sub(self, other: Timestamp) -> Millis {
        Millis(self.0.saturating_sub(other.0))
    }
}

impl Add for Millis {
    type Output = Millis;
    #[inline]
    fn add(self, other: Millis) -> Millis {
        Millis(self.0.saturating_add(other.0))
    }
}

impl Sub for Millis {
    type Output = Millis;
    #[inline]
    fn sub(self, other: Millis) -> Millis {
        Millis(self.0.saturating_sub(other.0))
    }
}

impl Neg for Millis {
    type Output = Millis;
    fn neg(self) -> Millis {
        Millis(self.0.saturating_neg())
    }
}

/// The instants `t` with `after < t <= until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    /// The open left edge: this instant is outside.
    pub after: Timestamp,
    /// The closed right edge: this instant is inside.
    pub until: Timestamp,
}

impl TimeRange {
    /// Every instant but the very first.
    pub const ALL: TimeRange = TimeRange { after: Timestamp::MIN, until: Timestamp::MAX };

    /// Whether `t` lies inside.
    #[inline]
    pub fn contains(self, t: Timestamp) -> bool {
        self.after < t && t <= self.until
    }

    /// The smallest range that both lie in.
    #[inline]
    pub fn hull(self, other: TimeRange) -> TimeRange {
        TimeRange { after: self.after.min(other.after), until: self.until.max(other.until) }
    }

    /// Whether any instant of the closed span `first..=last` lies inside.
    #[inline]
    pub fn overlaps(self, first: Timestamp, last: Timestamp) -> bool {
        self.after < last && first <= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_and_print() {
        let check = |text: &str, ms: i64| {
            assert_eq!(Millis::parse(text), Ok(Millis(ms)), "{text}");
        };
        check("0", 0);
        check("1h30m", 5_400_000);
        check("100ms", 100);
        check("1y2w3d4h5m6s7ms", 365 * 86_400_000 + 14 * 86_400_000 + 3 * 86_400_000 + 14_706_007);
        for bad in ["", "5", "m", "1m1h", "1m1m", "-1m", "1.5h", "1 h", "9999999999999999y"] {
            assert!(Millis::parse(bad).is_err(), "{bad}");
        }
        for text in ["1h30m", "15s", "100ms", "1d", "2w", "1y", "1h0m"] {
            let ms = Millis::parse(text).unwrap();
            assert_eq!(Millis::parse(&ms.to_string()), Ok(ms), "{text}");
        }
    }

    #[test]
    fn instants_print_as_rfc_3339() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(951_827_696_789).to_string(), "2000-02-29T12:34:56.789Z");
        assert_eq!(Timestamp(-1).to_string(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn ranges_are_left_open() {
        let range = TimeRange { after: Timestamp(10), until: Timestamp(20) };
        assert!(!range.contains(Timestamp(10)) && range.contains(Timestamp(20)));
        assert!(!range.overlaps(Timestamp(0), Timestamp(10)) && range.overlaps(Timestamp(20), Timestamp(30)));
    }
}
