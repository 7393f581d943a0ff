//! Windows that follow the calendar: a budget for each day, week, month, quarter or year of a time zone.
//!
//! Invariants:
//! - Periods touch each other and cover all time; a day with a change of the clock is as long as it is.
//! - The zones' rules come with the program, so that a replay finds the same edges on every machine.

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};

use crate::model::{Millis, Timestamp};

/// The unit of a calendar's periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalendarUnit {
    /// From midnight to midnight.
    Day,
    /// From Monday on.
    Week,
    /// From the first day on.
    Month,
    /// From the first day of January, April, July or October on.
    Quarter,
    /// From the first of January on.
    Year,
}

impl CalendarUnit {
    /// The singular of its name.
    pub fn as_str(self) -> &'static str {
        match self {
            CalendarUnit::Day => "day",
            CalendarUnit::Week => "week",
            CalendarUnit::Month => "month",
            CalendarUnit::Quarter => "quarter",
            CalendarUnit::Year => "year",
        }
    }

    /// What it is taken for where a length is needed, and the longest that it can be.
    fn lengths(self) -> (Millis, Millis) {
        let (usual, most) = match self {
            CalendarUnit::Day => (1, 2),
            CalendarUnit::Week => (7, 8),
            CalendarUnit::Month => (30, 32),
            CalendarUnit::Quarter => (90, 93),
            CalendarUnit::Year => (365, 367),
        };
        (Millis::days(usual), Millis::days(most))
    }

    fn months(self) -> Option<i64> {
        match self {
            CalendarUnit::Day | CalendarUnit::Week => None,
            CalendarUnit::Month => Some(1),
            CalendarUnit::Quarter => Some(3),
            CalendarUnit::Year => Some(12),
        }
    }
}

/// A calendar that cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// A zone that the time zone database does not have.
    #[error("there is no time zone \"{0}\"; write one of the IANA database, like Europe/Berlin or UTC")]
    Zone(String),
    /// A time that is not one.
    #[error("\"{0}\" is not a date and time; write it like 2026-01-31 12:30:00, without a zone")]
    Time(String),
    /// Too many units, or none.
    #[error("{0} is no number of units for a calendar's period; write 1 to 366, a year at most in all")]
    Count(i64),
}

/// A window that follows the calendar of a time zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Calendar {
    unit: CalendarUnit,
    count: i64,
    /// A local time at which a period begins.
    anchor: DateTime,
    zone: TimeZone,
    zone_name: String,
}

/// A time zone by its name in the IANA database.
pub(super) fn zone(name: &str) -> Result<TimeZone, CalendarError> {
    TimeZone::get(name).map_err(|_| CalendarError::Zone(name.to_owned()))
}

/// A local date and time, with a blank or a T between them; the time may be left away.
pub(super) fn local_time(text: &str) -> Result<DateTime, CalendarError> {
    let fail = || CalendarError::Time(text.to_owned());
    let text = text.trim().trim_end_matches('Z');
    match text.len() {
        0..=10 => text.parse::<Date>().map(|date| date.to_datetime(Time::midnight())).map_err(|_| fail()),
        _ => text.replacen(' ', "T", 1).parse::<DateTime>().map_err(|_| fail()),
    }
}

/// The instant of a local time. One that a change of the clock leaves out lies after the gap; of one that comes
/// twice it is the first.
pub(super) fn instant(local: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    local.to_zoned(zone.clone()).ok().map(|zoned| Timestamp(zoned.timestamp().as_millisecond()))
}

/// The local time of an instant.
pub(super) fn local(t: Timestamp, zone: &TimeZone) -> DateTime {
    let t = jiff::Timestamp::from_millisecond(t.0).unwrap_or(if t.0 < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    });
    zone.to_datetime(t)
}

impl Calendar {
    /// Periods of so many units, in the zone of that name; with `start` one of them begins at that local time,
    /// otherwise with the first day of a unit (of several: counted from January 2001, a Monday).
    ///
    /// # Errors
    /// There is no such zone, the start is not a time, or the periods are too long.
    pub fn new(
        unit: CalendarUnit,
        count: i64,
        zone_name: &str,
        start: Option<&str>,
    ) -> Result<Calendar, CalendarError> {
        let (usual, _) = unit.lengths();
        if count < 1 || count.saturating_mul(usual.0) > Millis::days(366).0 {
            return Err(CalendarError::Count(count));
        }
        let anchor = start.map(local_time).transpose()?.unwrap_or(DateTime::constant(2001, 1, 1, 0, 0, 0, 0));
        Ok(Calendar { unit, count, anchor, zone: zone(zone_name)?, zone_name: zone_name.to_owned() })
    }

    /// What its periods are taken for where a length is needed: for the windows of burn rates.
    pub fn length(&self) -> Millis {
        Millis(self.unit.lengths().0.0 * self.count)
    }

    /// The longest that a period can be.
    pub(super) fn longest(&self) -> Millis {
        Millis(self.unit.lengths().1.0 * self.count)
    }

    /// The name of its time zone.
    pub fn zone_name(&self) -> &str {
        &self.zone_name
    }

    /// The instant in local time, to the minute: `2026-11-01 00:00`.
    pub fn local_text(&self, t: Timestamp) -> String {
        local(t, &self.zone).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// When the period around `t` began, in local time: `2026-11-01`. Midnight goes without saying.
    pub(super) fn begin_text(&self, t: Timestamp) -> String {
        let text = self.local_text(self.period(t).0);
        text.strip_suffix(" 00:00").map_or(text.clone(), str::to_owned)
    }

    /// When the period around `t` begins and when the next one does. An instant at an edge belongs to the period
    /// that begins there.
    pub fn period(&self, t: Timestamp) -> (Timestamp, Timestamp) {
        let mut n = self.number_near(local(t, &self.zone));
        // The guess is off by one where the time of the day, or a day that a month lacks, has its say.
        while self.edge(n) > t {
            n -= 1;
        }
        while self.edge(n + 1) <= t && self.edge(n + 1) < Timestamp::MAX {
            n += 1;
        }
        (self.edge(n), self.edge(n + 1))
    }

    fn number_near(&self, local: DateTime) -> i64 {
        match self.unit.months() {
            Some(months) => {
                let month = |time: DateTime| i64::from(time.year()) * 12 + i64::from(time.month());
                (month(local) - month(self.anchor)).div_euclid(months * self.count)
            }
            None => {
                let days = self.unit.lengths().0.0 / 86_400_000 * self.count;
                let between = local.date().duration_since(self.anchor.date()).as_hours().div_euclid(24);
                between.div_euclid(days)
            }
        }
    }

    /// When the `n`-th period from the anchor begins.
    fn edge(&self, n: i64) -> Timestamp {
        let local = self.span(n).and_then(|span| self.anchor.checked_add(span).ok());
        let end_of_time = if n < 0 { Timestamp::MIN } else { Timestamp::MAX };
        local.and_then(|local| instant(local, &self.zone)).unwrap_or(end_of_time)
    }

    /// From the anchor itself, so that a period that begins on the 31st comes back to it after shorter months.
    fn span(&self, n: i64) -> Option<Span> {
        let count = n.checked_mul(self.count)?;
        match (self.unit.months(), self.unit) {
            (Some(months), _) => 0.months().try_months(count.checked_mul(months)?).ok(),
            (None, CalendarUnit::Week) => 0.weeks().try_weeks(count).ok(),
            (None, _) => 0.days().try_days(count).ok(),
        }
    }
}

impl fmt::Display for Calendar {
    /// `month in Europe/Berlin`, `2 weeks in UTC`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => write!(f, "{} in {}", self.unit.as_str(), self.zone_name),
            n => write!(f, "{n} {}s in {}", self.unit.as_str(), self.zone_name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn periods_begin_where_the_calendar_says() {
        let check = |unit, count, zone: &str, start: Option<&str>, t: &str, from: &str, until: &str| {
            let calendar = Calendar::new(unit, count, zone, start).unwrap();
            assert_eq!(calendar.period(at(t)), (at(from), at(until)), "{calendar} {t}");
        };
        use CalendarUnit::{Day, Month, Quarter, Week, Year};
        let berlin = "Europe/Berlin";
        check(Month, 1, "UTC", None, "2026-11-28T22:00:00Z", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
        check(Month, 1, berlin, None, "2026-10-31T23:30:00Z", "2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z");
        // The days on which the clock changes have 23 and 25 hours.
        check(Day, 1, berlin, None, "2026-03-29T10:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
        check(Day, 1, berlin, None, "2026-10-25T00:30:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
        check(
            Week,
            1,
            "America/New_York",
            None,
            "2026-11-29T12:00:00Z",
            "2026-11-23T05:00:00Z",
            "2026-11-30T05:00:00Z",
        );
        check(
            Quarter,
            1,
            "Asia/Kathmandu",
            None,
            "2026-11-28T00:00:00Z",
            "2026-09-30T18:15:00Z",
            "2026-12-31T18:15:00Z",
        );
        check(Year, 1, "UTC", None, "2024-02-29T00:00:00Z", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z");
        // Edges belong to what begins there.
        check(Day, 1, "UTC", None, "2026-11-28T00:00:00Z", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z");
        let start = Some("2020-01-31 12:30:00");
        check(Month, 1, "UTC", start, "2026-03-01T00:00:00Z", "2026-02-28T12:30:00Z", "2026-03-31T12:30:00Z");
        check(Month, 1, "UTC", start, "2026-01-31T12:29:59Z", "2025-12-31T12:30:00Z", "2026-01-31T12:30:00Z");
        check(
            Week,
            2,
            "UTC",
            Some("2026-01-07"),
            "2026-01-21T00:00:00Z",
            "2026-01-21T00:00:00Z",
            "2026-02-04T00:00:00Z",
        );
        check(
            Week,
            2,
            "UTC",
            Some("2026-01-07"),
            "2026-01-06T00:00:00Z",
            "2025-12-24T00:00:00Z",
            "2026-01-07T00:00:00Z",
        );
        // A local time that does not exist.
        let gap = Some("2026-03-28 02:30:00");
        check(Day, 1, berlin, gap, "2026-03-29T12:00:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z");
    }

    #[test]
    fn periods_touch_whatever_the_zone() {
        for zone in
            ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu"]
        {
            for unit in [CalendarUnit::Day, CalendarUnit::Week, CalendarUnit::Month, CalendarUnit::Quarter] {
                let calendar = Calendar::new(unit, 1, zone, None).unwrap();
                let mut t = at("2009-12-30T00:00:00Z");
                while t < at("2013-01-05T00:00:00Z") {
                    let (from, until) = calendar.period(t);
                    assert!(from <= t && t < until && until - from <= calendar.longest(), "{calendar} {t}");
                    assert_eq!(calendar.period(Timestamp(until.0 - 1)), (from, until), "{calendar} {t}");
                    t = until;
                }
            }
        }
    }

    #[test]
    fn the_ends_of_time_are_in_a_period_too() {
        let calendar = Calendar::new(CalendarUnit::Month, 1, "Europe/Berlin", None).unwrap();
        for t in [Timestamp::MIN, Timestamp(i64::MIN / 2), Timestamp(i64::MAX / 2), Timestamp::MAX] {
            let (from, until) = calendar.period(t);
            assert!(from <= t && t <= until, "{t:?}: {from:?} {until:?}");
        }
    }

    #[test]
    fn what_is_no_calendar_is_refused() {
        let check = |count, zone: &str, start, expected: &str| {
            let error = Calendar::new(CalendarUnit::Month, count, zone, start).unwrap_err();
            assert_eq!(error.to_string(), expected);
        };
        let zone = "there is no time zone \"Mars/Base\"; write one of the IANA database, like Europe/Berlin or UTC";
        check(1, "Mars/Base", None, zone);
        let time = "\"soon\" is not a date and time; write it like 2026-01-31 12:30:00, without a zone";
        check(1, "UTC", Some("soon"), time);
        check(
            13,
            "UTC",
            None,
            "13 is no number of units for a calendar's period; write 1 to 366, a year at most in all",
        );
    }
}
