//! Functions of the calendar: the value is an instant in seconds, seen in UTC.

use super::Function;
use crate::model::Date;

/// The part of the date or the time of day that `function` asks for.
pub(super) fn part(function: Function, seconds: f64) -> f64 {
    // Go's conversion of what is no instant is not defined; such a value has no date.
    if seconds.is_nan() || seconds.abs() > 9.2e18 {
        return f64::NAN;
    }
    let seconds = seconds as i64;
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let date = Date::of_day(day);
    let value = match function {
        Function::Minute => second / 60 % 60,
        Function::Hour => second / 3600,
        // 1970-01-01 was a Thursday; weeks begin with Sunday, 0.
        Function::DayOfWeek => (day + 4).rem_euclid(7),
        Function::DayOfMonth => date.day,
        Function::DayOfYear => day - Date { month: 1, day: 1, ..date }.day_number() + 1,
        Function::DaysInMonth => date.days_in_month(),
        Function::Month => date.month,
        _ => date.year,
    };
    value as f64
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
        // Far from any calendar, but still whole seconds.
        check(Function::Year, 1e18, 31_688_740_476.0);
        check(Function::DayOfWeek, -9.1e18, 1.0);
        check(Function::Minute, 1e18, 46.0);
        assert!(part(Function::Year, f64::INFINITY).is_nan());
    }
}
