//! Functions of the calendar: the value is an instant in seconds, seen in UTC.

use crate::promql::functions::Function;

/// The part of the date or the time of day that `function` asks for.
pub(super) fn part(function: Function, seconds: f64) -> f64 {
    // Go's conversion of what is no instant is not defined; such a value has no date.
    if seconds.is_nan() || seconds.abs() > 8.64e15 {
        return f64::NAN;
    }
    let seconds = seconds as i64;
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, date) = civil(day);
    let value = match function {
        Function::Minute => second / 60 % 60,
        Function::Hour => second / 3600,
        // 1970-01-01 was a Thursday; weeks begin with Sunday, 0.
        Function::DayOfWeek => (day + 4).rem_euclid(7),
        Function::DayOfMonth => date,
        Function::DayOfYear => day - first_day(year, 1) + 1,
        Function::DaysInMonth => match month {
            12 => 31,
            _ => first_day(year, month + 1) - first_day(year, month),
        },
        Function::Month => month,
        _ => year,
    };
    value as f64
}

/// Year, month and day of a day number since 1970-01-01 (Howard Hinnant, "chrono-compatible
/// low-level date algorithms", `civil_from_days`).
fn civil(day: i64) -> (i64, i64, i64) {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// The day number of the first of a month (the same source, `days_from_civil`).
fn first_day(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let yoe = year.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_have_their_dates() {
        let check = |function, seconds: f64, expected: f64| {
            assert_eq!(part(function, seconds), expected, "{function:?} {seconds}")
        };
        check(Function::Year, -1.0, 1969.0);
        check(Function::Month, 951_827_696.789, 2.0);
        check(Function::DayOfMonth, 951_827_696.789, 29.0);
        check(Function::DaysInMonth, 951_827_696.789, 29.0);
        check(Function::DaysInMonth, 1_482_364_800.0, 31.0);
        check(Function::DayOfYear, 1_483_191_420.0, 366.0);
        check(Function::DayOfWeek, 1_136_239_445.0, 1.0);
        check(Function::Hour, 1_136_239_445.0, 22.0);
        check(Function::Minute, 1_136_239_445.0, 4.0);
        assert!(part(Function::Year, f64::INFINITY).is_nan());
    }
}
