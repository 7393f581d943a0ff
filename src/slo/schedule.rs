//! Spans of time that come once or again and again: when maintenance is.
//!
//! Source: RFC 5545, sections 3.3.10 and 3.8.5.3. Days, weeks, months and years are stepped through in local time, so
//! that two o'clock stays two o'clock when the clock changes. Parts of the rule below a day are not kept.

use std::fmt;

use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;

use crate::model::{Millis, Timestamp};

use super::calendar::{CalendarError, instant, local, local_time, zone};

/// Steps of a rule that are looked at for one question: daily for 270 years.
const STEPS_MAX: i64 = 100_000;

/// A schedule that cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The zone or the start.
    #[error("{0}")]
    Calendar(#[from] CalendarError),
    /// No length, or one that is not sensible.
    #[error("a length of {0} is not kept; write one between 1s and 31d")]
    Length(Millis),
    /// A rule with a part that is unknown, or that has a value that it cannot have.
    #[error("\"{part}\" is no part of a repeat rule that is kept: {why}")]
    Part {
        /// The part as it was written.
        part: String,
        /// What is wrong, and what to write.
        why: String,
    },
}

/// A span that comes once, or repeatedly.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    start: DateTime,
    length: Millis,
    zone: TimeZone,
    zone_name: String,
    repeat: Option<Repeat>,
    /// The rule as it was written.
    rule: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Day,
    Week,
    Month,
    Year,
}

/// How often and when it comes again.
#[derive(Debug, Clone, PartialEq)]
struct Repeat {
    step: Step,
    interval: i64,
    count: Option<usize>,
    /// The last instant, or local time, at which one may begin.
    until: Option<Until>,
    months: Vec<i8>,
    month_days: Vec<i8>,
    /// Weekdays; with a number the n-th of the month, from its end if negative.
    days: Vec<(Option<i8>, Weekday)>,
    positions: Vec<i64>,
    week_start: Weekday,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Until {
    Local(DateTime),
    Instant(Timestamp),
}

impl Schedule {
    /// A span of this length that begins at a local time of a zone, and repeats by an RRULE of RFC 5545 if there is one.
    ///
    /// # Errors
    /// The start, zone, length or rule cannot be kept.
    pub fn new(start: &str, length: Millis, zone_name: &str, rule: Option<&str>) -> Result<Schedule, ScheduleError> {
        if length < Millis::seconds(1) || length > Millis::days(31) {
            return Err(ScheduleError::Length(length));
        }
        let (start, zone) = (local_time(start)?, zone(zone_name)?);
        let rule = rule.unwrap_or_default().trim();
        let rule = rule.strip_prefix("RRULE:").unwrap_or(rule);
        let repeat = if rule.is_empty() { None } else { Some(Repeat::parse(rule)?) };
        Ok(Schedule { start, length, zone, zone_name: zone_name.to_owned(), repeat, rule: rule.to_owned() })
    }

    /// How long it lasts.
    pub fn length(&self) -> Millis {
        self.length
    }

    /// The spans that touch the time from `after` until `until`, in order: when each begins and ends.
    pub fn between(&self, after: Timestamp, until: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let mut spans = Vec::new();
        let mut note = |at: DateTime| -> bool {
            let Some(from) = instant(at, &self.zone) else { return false };
            if from < until && from + self.length > after {
                spans.push((from, from + self.length));
            }
            from < until
        };
        match &self.repeat {
            None => drop(note(self.start)),
            Some(repeat) => repeat.walk(self.start, (after - self.length, &self.zone), &mut note),
        }
        spans
    }
}

impl fmt::Display for Schedule {
    /// `from 2026-11-21 02:00 for 2h in Europe/Berlin, FREQ=WEEKLY`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {} for {} in {}", self.start.strftime("%Y-%m-%d %H:%M"), self.length, self.zone_name)?;
        if self.rule.is_empty() { Ok(()) } else { write!(f, ", {}", self.rule) }
    }
}

impl Repeat {
    fn parse(rule: &str) -> Result<Repeat, ScheduleError> {
        let mut step = None;
        let mut repeat = Repeat {
            step: Step::Day,
            interval: 1,
            count: None,
            until: None,
            months: Vec::new(),
            month_days: Vec::new(),
            days: Vec::new(),
            positions: Vec::new(),
            week_start: Weekday::Monday,
        };
        for part in rule.split(';').filter(|part| !part.is_empty()) {
            let fail = |why: &str| ScheduleError::Part { part: part.to_owned(), why: why.to_owned() };
            let (name, value) = part.split_once('=').ok_or_else(|| fail("write NAME=VALUE"))?;
            match name.to_ascii_uppercase().as_str() {
                "FREQ" => {
                    step = Some(match value.to_ascii_uppercase().as_str() {
                        "DAILY" => Step::Day,
                        "WEEKLY" => Step::Week,
                        "MONTHLY" => Step::Month,
                        "YEARLY" => Step::Year,
                        _ => return Err(fail("write DAILY, WEEKLY, MONTHLY or YEARLY")),
                    });
                }
                "INTERVAL" => repeat.interval = number(value, 1, 1000).ok_or_else(|| fail("write 1 to 1000"))?,
                "COUNT" => {
                    let count = number(value, 1, 10_000).ok_or_else(|| fail("write 1 to 10000"))?;
                    repeat.count = Some(count as usize);
                }
                "UNTIL" => repeat.until = Some(until(value).ok_or_else(|| fail("write it like 20261231T235959Z"))?),
                "BYMONTH" => repeat.months = numbers(value, 1, 12).ok_or_else(|| fail("write months from 1 to 12"))?,
                "BYMONTHDAY" => {
                    repeat.month_days =
                        numbers(value, -31, 31).ok_or_else(|| fail("write days from 1 to 31, or from -1 to -31"))?;
                }
                "BYDAY" => repeat.days = days(value).ok_or_else(|| fail("write days like MO,TU or 1SU or -1FR"))?,
                "BYSETPOS" => {
                    let positions = numbers(value, -127, 127).ok_or_else(|| fail("write numbers like 1 or -1"))?;
                    repeat.positions = positions.into_iter().map(i64::from).collect();
                }
                "WKST" => {
                    repeat.week_start = weekday(value).ok_or_else(|| fail("write a day like MO or SU"))?;
                }
                _ => {
                    return Err(fail(
                        "FREQ, INTERVAL, COUNT, UNTIL, BYMONTH, BYMONTHDAY, BYDAY, BYSETPOS and WKST are",
                    ));
                }
            }
        }
        let fail = |why: &str| ScheduleError::Part { part: rule.to_owned(), why: why.to_owned() };
        repeat.step = step.ok_or_else(|| fail("it needs FREQ"))?;
        let of_months = repeat.step == Step::Month || (repeat.step == Step::Year && !repeat.months.is_empty());
        if repeat.days.iter().any(|(n, _)| n.is_some()) && !of_months {
            return Err(fail("days with a number, like 1SU, need FREQ=MONTHLY, or FREQ=YEARLY with BYMONTH"));
        }
        Ok(repeat)
    }

    /// Goes through the times from `start` on, those that end before `after` left out if nobody has to count them, until
    /// `note` says that it is enough.
    fn walk(&self, start: DateTime, (after, zone): (Timestamp, &TimeZone), note: &mut dyn FnMut(DateTime) -> bool) {
        let mut left = self.count.unwrap_or(usize::MAX);
        let first = match self.count {
            Some(_) => 0,
            None => self.steps_before(start.date(), local(after, zone).date()),
        };
        for n in first..first + STEPS_MAX {
            let Some(dates) = self.dates(start.date(), n) else { return };
            for date in dates.into_iter().filter(|date| *date >= start.date()) {
                let at = date.to_datetime(start.time());
                let over = match self.until {
                    None => false,
                    Some(Until::Local(last)) => at > last,
                    Some(Until::Instant(last)) => instant(at, zone).is_none_or(|t| t > last),
                };
                if over || left == 0 || !note(at) {
                    return;
                }
                left -= 1;
            }
        }
    }

    /// Steps from the start that surely lie before a day.
    fn steps_before(&self, start: Date, day: Date) -> i64 {
        let months = |date: Date| i64::from(date.year()) * 12 + i64::from(date.month());
        let days = day.duration_since(start).as_hours().div_euclid(24);
        let steps = match self.step {
            Step::Day => days,
            Step::Week => days.div_euclid(7),
            Step::Month => months(day) - months(start),
            Step::Year => i64::from(day.year()) - i64::from(start.year()),
        };
        (steps.div_euclid(self.interval) - 1).max(0)
    }

    /// The days of the `n`-th step from the start, in order; nothing at the end of time.
    fn dates(&self, start: Date, n: i64) -> Option<Vec<Date>> {
        let steps = n.checked_mul(self.interval)?;
        let of_month = |date: &Date| self.months.is_empty() || self.months.contains(&date.month());
        let mut dates = match self.step {
            Step::Day => {
                let date = start.checked_add(0.days().try_days(steps).ok()?).ok()?;
                let fits = |date: &Date| {
                    (self.month_days.is_empty() || self.is_month_day(*date))
                        && (self.days.is_empty() || self.days.iter().any(|(_, day)| *day == date.weekday()))
                };
                [date].into_iter().filter(fits).collect()
            }
            Step::Week => {
                let into_week = start.weekday().since(self.week_start);
                let monday = start.checked_sub(0.days().try_days(i64::from(into_week)).ok()?).ok()?;
                let monday = monday.checked_add(0.weeks().try_weeks(steps).ok()?).ok()?;
                let own = [(None, start.weekday())];
                let days = if self.days.is_empty() { own.as_slice() } else { &self.days };
                let of_week = |(_, day): &(Option<i8>, Weekday)| {
                    let after = i64::from(day.since(self.week_start));
                    monday.checked_add(0.days().try_days(after).ok()?).ok()
                };
                days.iter().filter_map(of_week).collect()
            }
            Step::Month => {
                let first = start.first_of_month().checked_add(0.months().try_months(steps).ok()?).ok()?;
                self.of_month(first, start.day())
            }
            Step::Year => {
                let january = Date::new(start.year(), 1, 1).ok()?;
                let january = january.checked_add(0.years().try_years(steps).ok()?).ok()?;
                let every = self.months.is_empty() && !(self.month_days.is_empty() && self.days.is_empty());
                let wanted = |month: &i8| every || !self.months.is_empty() || *month == start.month();
                let firsts = (1..=12).filter(wanted).filter_map(|month| Date::new(january.year(), month, 1).ok());
                firsts.filter(of_month).flat_map(|first| self.of_month(first, start.day())).collect()
            }
        };
        dates.retain(of_month);
        dates.sort_unstable();
        dates.dedup();
        if self.positions.is_empty() {
            return Some(dates);
        }
        let count = dates.len() as i64;
        let at = |position: &i64| if *position > 0 { position - 1 } else { count + position };
        let mut chosen: Vec<i64> = self.positions.iter().map(at).filter(|at| (0..count).contains(at)).collect();
        chosen.sort_unstable();
        chosen.dedup();
        Some(chosen.into_iter().map(|at| dates[at as usize]).collect())
    }

    fn is_month_day(&self, date: Date) -> bool {
        let from_end = date.day() - date.days_in_month() - 1;
        self.month_days.iter().any(|day| *day == date.day() || *day == from_end)
    }

    /// The days of the month that begins with `first`; `own` is the day of the start.
    fn of_month(&self, first: Date, own: i8) -> Vec<Date> {
        let all = (1..=first.days_in_month()).filter_map(|day| Date::new(first.year(), first.month(), day).ok());
        let nth = |date: &Date| (date.day() + 6) / 7;
        let nth_last = |date: &Date| -((date.days_in_month() - date.day()) / 7 + 1);
        let is_day = |date: &Date| {
            self.days
                .iter()
                .any(|(n, day)| *day == date.weekday() && n.is_none_or(|n| n == nth(date) || n == nth_last(date)))
        };
        let fits = |date: &Date| match (self.month_days.is_empty(), self.days.is_empty()) {
            (true, true) => date.day() == own,
            (no_days, no_weekdays) => (no_days || self.is_month_day(*date)) && (no_weekdays || is_day(date)),
        };
        all.filter(fits).collect()
    }
}

fn number(text: &str, least: i64, most: i64) -> Option<i64> {
    text.parse().ok().filter(|n| (least..=most).contains(n))
}

/// Numbers with commas between them, none of them zero.
fn numbers(text: &str, least: i64, most: i64) -> Option<Vec<i8>> {
    text.split(',')
        .map(|n| number(n.trim(), least, most).filter(|n| *n != 0).and_then(|n| i8::try_from(n).ok()))
        .collect()
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text.to_ascii_uppercase().as_str() {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    })
}

fn days(text: &str) -> Option<Vec<(Option<i8>, Weekday)>> {
    let day = |text: &str| {
        let text = text.trim();
        let (n, day) = text.split_at_checked(text.len().checked_sub(2)?)?;
        let n = match n {
            "" => None,
            n => Some(number(n.trim_start_matches('+'), -5, 5).filter(|n| *n != 0)? as i8),
        };
        Some((n, weekday(day)?))
    };
    text.split(',').map(day).collect()
}

fn until(text: &str) -> Option<Until> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let part = |from: usize, len: usize| digits.get(from..from + len)?.parse::<i16>().ok();
    let date = Date::new(part(0, 4)?, i8::try_from(part(4, 2)?).ok()?, i8::try_from(part(6, 2)?).ok()?).ok()?;
    let time = match digits.len() {
        // A day is meant whole.
        8 => (23, 59, 59),
        14 => (part(8, 2)?, part(10, 2)?, part(12, 2)?),
        _ => return None,
    };
    let small = |n: i16| i8::try_from(n).ok();
    let time = jiff::civil::Time::new(small(time.0)?, small(time.1)?, small(time.2)?, 0).ok()?;
    let local = date.to_datetime(time);
    match text.ends_with('Z') {
        true => instant(local, &TimeZone::UTC).map(Until::Instant),
        false => Some(Until::Local(local)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    /// The local days and hours on which a schedule begins within a span.
    fn check(start: &str, zone_name: &str, rule: &str, (after, until): (&str, &str), expected: &[&str]) {
        let schedule = Schedule::new(start, Millis::hours(2), zone_name, Some(rule)).unwrap();
        let zone = zone(zone_name).unwrap();
        let found: Vec<String> = schedule
            .between(at(after), at(until))
            .into_iter()
            .map(|(from, _)| local(from, &zone).strftime("%m-%d %H:%M").to_string())
            .collect();
        assert_eq!(found, expected, "{rule}");
    }

    #[test]
    fn rules_name_the_days_that_they_mean() {
        let november = ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
        let year = ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        check("2026-11-05T02:00", "UTC", "", november, &["11-05 02:00"]);
        check(
            "2026-11-05T02:00",
            "UTC",
            "FREQ=WEEKLY",
            november,
            &["11-05 02:00", "11-12 02:00", "11-19 02:00", "11-26 02:00"],
        );
        check(
            "2026-11-05T02:00",
            "UTC",
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH",
            november,
            &["11-05 02:00", "11-16 02:00", "11-19 02:00", "11-30 02:00"],
        );
        check(
            "2026-11-01 02:00",
            "UTC",
            "FREQ=DAILY;COUNT=3",
            november,
            &["11-01 02:00", "11-02 02:00", "11-03 02:00"],
        );
        check(
            "2026-11-01 02:00",
            "UTC",
            "FREQ=DAILY;UNTIL=20261103T015959Z",
            november,
            &["11-01 02:00", "11-02 02:00"],
        );
        check("2026-01-01 02:00", "UTC", "RRULE:FREQ=DAILY;COUNT=2", november, &[]);
        check(
            "2020-01-01 22:00",
            "UTC",
            "FREQ=MONTHLY;BYDAY=1SU",
            year,
            &[
                "01-04 22:00",
                "02-01 22:00",
                "03-01 22:00",
                "04-05 22:00",
                "05-03 22:00",
                "06-07 22:00",
                "07-05 22:00",
                "08-02 22:00",
                "09-06 22:00",
                "10-04 22:00",
                "11-01 22:00",
                "12-06 22:00",
            ],
        );
        check(
            "2026-01-31 02:00",
            "UTC",
            "FREQ=MONTHLY",
            ("2026-01-01T00:00:00Z", "2026-06-01T00:00:00Z"),
            &["01-31 02:00", "03-31 02:00", "05-31 02:00"],
        );
        check(
            "2026-01-31 02:00",
            "UTC",
            "FREQ=MONTHLY;BYMONTHDAY=-1",
            ("2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z"),
            &["01-31 02:00", "02-28 02:00", "03-31 02:00"],
        );
        check(
            "2026-01-01 02:00",
            "UTC",
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
            ("2026-01-01T00:00:00Z", "2026-04-01T00:00:00Z"),
            &["01-30 02:00", "02-27 02:00", "03-31 02:00"],
        );
        check(
            "2024-02-29 02:00",
            "UTC",
            "FREQ=YEARLY",
            ("2024-01-01T00:00:00Z", "2029-01-01T00:00:00Z"),
            &["02-29 02:00", "02-29 02:00"],
        );
        check(
            "2026-01-01 02:00",
            "UTC",
            "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH",
            ("2026-01-01T00:00:00Z", "2028-01-01T00:00:00Z"),
            &["11-26 02:00", "11-25 02:00"],
        );
    }

    #[test]
    fn two_o_clock_stays_two_o_clock() {
        let schedule =
            Schedule::new("2026-10-24 02:00", Millis::hours(1), "Europe/Berlin", Some("FREQ=DAILY")).unwrap();
        let spans = schedule.between(at("2026-10-24T00:00:00Z"), at("2026-10-27T00:00:00Z"));
        let begins: Vec<Timestamp> = spans.iter().map(|(from, _)| *from).collect();
        assert_eq!(begins[..3], ["2026-10-24T00:00:00Z", "2026-10-25T00:00:00Z", "2026-10-26T01:00:00Z"].map(at));
        assert!(spans.iter().all(|(from, until)| *until - *from == Millis::hours(1)));
        // One that has begun before is found as long as it lasts.
        assert_eq!(schedule.between(at("2026-10-26T01:30:00Z"), at("2026-10-26T01:40:00Z")).len(), 1);
        assert_eq!(schedule.between(at("2026-10-26T02:00:00Z"), at("2026-10-26T03:00:00Z")).len(), 0);
    }

    #[test]
    fn rules_that_are_not_kept_are_refused_by_name() {
        let check = |rule: &str, expected: &str| {
            let error = Schedule::new("2026-01-01", Millis::hours(1), "UTC", Some(rule)).unwrap_err().to_string();
            assert!(error.contains(expected), "{rule}: {error}");
        };
        check("FREQ=HOURLY", "\"FREQ=HOURLY\" is no part of a repeat rule that is kept: write DAILY, WEEKLY");
        check("INTERVAL=2", "it needs FREQ");
        check("FREQ=DAILY;BYHOUR=3", "\"BYHOUR=3\" is no part");
        check("FREQ=WEEKLY;BYDAY=1MO", "days with a number, like 1SU, need FREQ=MONTHLY");
        check("FREQ=DAILY;UNTIL=soon", "write it like 20261231T235959Z");
        check("FREQ=MONTHLY;BYMONTHDAY=0", "write days from 1 to 31");
    }
}
