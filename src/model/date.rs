//! Dates of the Gregorian calendar, in UTC, and their RFC 3339 text.
//!
//! The arithmetic is Howard Hinnant's ("chrono-compatible low-level date algorithms"); it holds for
//! every day that a 64-bit number of seconds reaches, which no calendar library promises.

use super::time::Timestamp;

/// A day: year, month from 1, day of the month from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// The year; zero and negative ones as in ISO 8601.
    pub year: i64,
    /// The month, 1 to 12.
    pub month: i64,
    /// The day of the month, 1 to 31.
    pub day: i64,
}

impl Date {
    /// The date of a day, counted from 1970-01-01.
    pub fn of_day(day: i64) -> Date {
        let z = day + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        Date { year: yoe + era * 400 + i64::from(month <= 2), month, day: doy - (153 * mp + 2) / 5 + 1 }
    }

    /// The day, counted from 1970-01-01.
    pub fn day_number(self) -> i64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let yoe = year.rem_euclid(400);
        let doy = (153 * ((self.month + 9) % 12) + 2) / 5 + self.day - 1;
        era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
    }

    /// How many days the date's month has.
    pub fn days_in_month(self) -> i64 {
        let first = Date { day: 1, ..self };
        let next = match self.month {
            12 => Date { year: self.year + 1, month: 1, day: 1 },
            month => Date { month: month + 1, ..first },
        };
        next.day_number() - first.day_number()
    }
}

/// Reads `2026-11-23T13:49:07.123Z`, or with an offset `+01:00`; below a millisecond is cut off.
pub(super) fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let digits = |from: usize, to: usize| -> Option<i64> {
        let part = text.get(from..to)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let at = |i: usize, expected: &[u8]| bytes.get(i).is_some_and(|b| expected.contains(b));
    if !(at(4, b"-") && at(7, b"-") && at(10, b"Tt") && at(13, b":") && at(16, b":")) {
        return None;
    }
    let date = Date { year: digits(0, 4)?, month: digits(5, 7)?, day: digits(8, 10)? };
    let (hour, minute, second) = (digits(11, 13)?, digits(14, 16)?, digits(17, 19)?);
    if !(1..=12).contains(&date.month) || !(1..=date.days_in_month()).contains(&date.day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut ms = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let thousandths: String = fraction[..length].chars().chain("00".chars()).take(3).collect();
        ms = (length > 0).then(|| thousandths.parse::<i64>().ok())??;
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
    let seconds = date.day_number() * 86_400 + hour * 3600 + (minute - offset_minutes) * 60 + second;
    Some(Timestamp(seconds * 1000 + ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_each_other_s_inverse() {
        for day in (-1_000_000..1_000_000).step_by(89) {
            let date = Date::of_day(day);
            assert_eq!(date.day_number(), day);
            assert!((1..=date.days_in_month()).contains(&date.day), "{date:?}");
        }
        assert_eq!(Date::of_day(0), Date { year: 1970, month: 1, day: 1 });
        assert_eq!(Date { year: 2000, month: 2, day: 1 }.days_in_month(), 29);
        assert_eq!(Date { year: 1900, month: 2, day: 1 }.days_in_month(), 28);
        assert_eq!(Date { year: 2026, month: 12, day: 1 }.days_in_month(), 31);
    }

    #[test]
    fn texts_are_read_strictly() {
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(parse_rfc3339(text), expected.map(Timestamp), "{text}");
        };
        check("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781));
        check("2015-07-01T22:10:51.7819+02:00", Some(1_435_781_451_781));
        check("2015-07-01T20:10:51.7Z", Some(1_435_781_451_700));
        check("2000-02-29T12:34:56Z", Some(951_827_696_000));
        check("1969-12-31T23:59:59.999Z", Some(-1));
        for bad in
            ["2015-02-29T00:00:00Z", "2015-07-01", "2015-07-01T20:10:51", "2015-07-01T20:10:5é", "2015-13-01T00:00:00Z"]
        {
            check(bad, None);
        }
        check("2015-07-01T20:10:51.Z", None);
    }
}
