//! Instants as Go writes them, and what Go's `time.Time` and `time.Duration` can be asked.
//!
//! Invariants:
//! - An instant and a span are texts to the template engine, which has no types of its own: `toTime` writes one,
//!   and a method reads it again. What is not such a text has no methods.
//! - Instants are in UTC and have whole milliseconds, as those of Prometheus.

use gotmpl::Value;

use crate::model::{Date, Timestamp};

use super::functions::{Fault, text};
use super::span::{parse_span, span_text};

const NANOS_PER_MILLI: i64 = 1_000_000;
const DAY_MS: i64 = 86_400_000;
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// What may be asked of an instant or of a span.
pub(super) const METHODS: [&str; 34] = [
    "Abs",
    "Add",
    "AddDate",
    "After",
    "Before",
    "Compare",
    "Day",
    "Equal",
    "Format",
    "Hour",
    "Hours",
    "IsZero",
    "Local",
    "Microseconds",
    "Milliseconds",
    "Minute",
    "Minutes",
    "Month",
    "Nanosecond",
    "Nanoseconds",
    "Round",
    "Second",
    "Seconds",
    "String",
    "Sub",
    "Truncate",
    "UTC",
    "Unix",
    "UnixMicro",
    "UnixMilli",
    "UnixNano",
    "Weekday",
    "Year",
    "YearDay",
];

/// Seconds since the epoch as an instant.
pub(super) fn to_time(v: f64) -> Result<Timestamp, String> {
    if !v.is_finite() {
        return Err(NOT_FINITE.to_owned());
    }
    let nanos = v * 1e9;
    if !(i64::MIN as f64..=i64::MAX as f64).contains(&nanos) {
        let v = super::number::shortest(v);
        return Err(format!("{v} cannot be represented as a nanoseconds timestamp since it overflows int64"));
    }
    Ok(Timestamp(nanos as i64 / NANOS_PER_MILLI))
}

/// Seconds as a span of nanoseconds.
pub(super) fn to_span(v: f64) -> Result<i64, String> {
    if !v.is_finite() {
        return Err(NOT_FINITE.to_owned());
    }
    let nanos = v * 1e9;
    if !(i64::MIN as f64..=i64::MAX as f64).contains(&nanos) {
        let v = super::number::shortest(v);
        return Err(format!("{v} cannot be represented as a nanoseconds duration since it overflows int64"));
    }
    Ok(nanos as i64)
}

const NOT_FINITE: &str = "value is NaN or Inf";

/// `2015-06-23 13:19:44.128 +0000 UTC`
pub(super) fn time_text(t: Timestamp) -> String {
    let parts = Parts::of(t);
    let fraction = match t.0.rem_euclid(1000) {
        0 => String::new(),
        ms => format!(".{ms:03}").trim_end_matches('0').to_owned(),
    };
    let Parts { date, hour, minute, second, .. } = parts;
    let Date { year, month, day } = date;
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}{fraction} +0000 UTC")
}

fn parse_time(text: &str) -> Option<Timestamp> {
    let rest = text.strip_suffix(" +0000 UTC")?;
    Timestamp::parse_rfc3339(&format!("{}Z", rest.replacen(' ', "T", 1)))
}

/// An instant taken apart.
struct Parts {
    date: Date,
    weekday: usize,
    year_day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    nano: i64,
}

impl Parts {
    fn of(t: Timestamp) -> Parts {
        let (day, ms) = (t.0.div_euclid(DAY_MS), t.0.rem_euclid(DAY_MS));
        let date = Date::of_day(day);
        Parts {
            date,
            weekday: (day + 4).rem_euclid(7) as usize,
            year_day: day - Date { month: 1, day: 1, ..date }.day_number() + 1,
            hour: ms / 3_600_000,
            minute: ms / 60_000 % 60,
            second: ms / 1000 % 60,
            nano: ms % 1000 * NANOS_PER_MILLI,
        }
    }

    fn month(&self) -> &'static str {
        MONTHS[(self.date.month - 1).rem_euclid(12) as usize]
    }

    fn weekday(&self) -> &'static str {
        WEEKDAYS[self.weekday]
    }
}

/// Calls a method of a value; a map gives its entry of that name.
pub(super) fn method(name: &str, of: &Value, args: &[Value]) -> Result<Value, Fault> {
    if let Value::Map(map) = of {
        return Ok(map.get(name).cloned().unwrap_or(Value::Nil));
    }
    let unknown = |kind: &str| Fault::Plain(format!("can't evaluate field {name} in type {kind}"));
    let value = of.as_str().unwrap_or_default();
    if let Some(t) = parse_time(value) {
        return of_time(name, t, args)?.ok_or_else(|| unknown("*time.Time"));
    }
    if let Some(nanos) = parse_span(value) {
        return of_span(name, nanos, args)?.ok_or_else(|| unknown("*time.Duration"));
    }
    Err(unknown(of.type_name()))
}

fn of_time(name: &str, t: Timestamp, args: &[Value]) -> Result<Option<Value>, Fault> {
    let parts = Parts::of(t);
    let whole_days = |date: Date| Timestamp(date.day_number() * DAY_MS + t.0.rem_euclid(DAY_MS));
    let value = match name {
        "Format" => text(format(&parts, &string(args, 0)?)),
        "String" | "UTC" | "Local" => text(time_text(t)),
        "Unix" => Value::Int(t.0.div_euclid(1000)),
        "UnixMilli" => Value::Int(t.0),
        "UnixMicro" => Value::Int(t.0.saturating_mul(1000)),
        "UnixNano" => Value::Int(t.0.saturating_mul(NANOS_PER_MILLI)),
        "Month" => text(parts.month()),
        "Weekday" => text(parts.weekday()),
        "Year" => Value::Int(parts.date.year),
        "Day" => Value::Int(parts.date.day),
        "YearDay" => Value::Int(parts.year_day),
        "Hour" => Value::Int(parts.hour),
        "Minute" => Value::Int(parts.minute),
        "Second" => Value::Int(parts.second),
        "Nanosecond" => Value::Int(parts.nano),
        "IsZero" => Value::Bool(false),
        "Add" => text(time_text(Timestamp(t.0.saturating_add(span(args, 0)? / NANOS_PER_MILLI)))),
        "Sub" => text(span_text((t.0 - time(args, 0)?.0).saturating_mul(NANOS_PER_MILLI))),
        "Before" => Value::Bool(t < time(args, 0)?),
        "After" => Value::Bool(t > time(args, 0)?),
        "Equal" => Value::Bool(t == time(args, 0)?),
        "Compare" => Value::Int(t.cmp(&time(args, 0)?) as i64),
        "AddDate" => {
            let [years, months, days] = [int(args, 0)?, int(args, 1)?, int(args, 2)?];
            let months = parts.date.year.saturating_add(years).saturating_mul(12) + parts.date.month - 1 + months;
            let first = Date { year: months.div_euclid(12), month: months.rem_euclid(12) + 1, day: 1 };
            text(time_text(whole_days(Date::of_day(first.day_number() + parts.date.day - 1 + days))))
        }
        _ => return Ok(None),
    };
    Ok(Some(value))
}

fn of_span(name: &str, nanos: i64, args: &[Value]) -> Result<Option<Value>, Fault> {
    let value = match name {
        "String" => text(span_text(nanos)),
        "Hours" => Value::Float(nanos as f64 / 3.6e12),
        "Minutes" => Value::Float(nanos as f64 / 6e10),
        "Seconds" => Value::Float(nanos as f64 / 1e9),
        "Milliseconds" => Value::Int(nanos / NANOS_PER_MILLI),
        "Microseconds" => Value::Int(nanos / 1000),
        "Nanoseconds" => Value::Int(nanos),
        "Abs" => text(span_text(nanos.saturating_abs())),
        "Truncate" => {
            let unit = span(args, 0)?;
            text(span_text(if unit <= 0 { nanos } else { nanos - nanos % unit }))
        }
        "Round" => {
            let unit = span(args, 0)?;
            text(span_text(if unit <= 0 { nanos } else { (nanos as f64 / unit as f64).round() as i64 * unit }))
        }
        _ => return Ok(None),
    };
    Ok(Some(value))
}

fn string(args: &[Value], at: usize) -> Result<String, Fault> {
    let given = args.get(at).and_then(Value::as_str);
    given.map(str::to_owned).ok_or_else(|| Fault::Plain("wrong type for value; expected string".to_owned()))
}

fn int(args: &[Value], at: usize) -> Result<i64, Fault> {
    match args.get(at) {
        Some(Value::Int(n)) => Ok(*n),
        _ => Err(Fault::Plain("wrong type for value; expected int".to_owned())),
    }
}

fn time(args: &[Value], at: usize) -> Result<Timestamp, Fault> {
    let wrong = || Fault::Plain("wrong type for value; expected time.Time".to_owned());
    args.get(at).and_then(Value::as_str).and_then(parse_time).ok_or_else(wrong)
}

/// A span; a number is one of nanoseconds, as in Go.
fn span(args: &[Value], at: usize) -> Result<i64, Fault> {
    let wrong = || Fault::Plain("wrong type for value; expected time.Duration".to_owned());
    match args.get(at) {
        Some(Value::Int(n)) => Ok(*n),
        other => other.and_then(Value::as_str).and_then(parse_span).ok_or_else(wrong),
    }
}

/// An instant in a layout of Go's, which shows how it would write 2006-01-02 15:04:05.
fn format(parts: &Parts, layout: &str) -> String {
    let Parts { date, hour, minute, second, nano, .. } = parts;
    let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
    let day = date.day;
    // Longer ones come before those that they begin with.
    let chunks: [(&str, String); 32] = [
        ("January", parts.month().to_owned()),
        ("Jan", parts.month()[..3].to_owned()),
        ("Monday", parts.weekday().to_owned()),
        ("Mon", parts.weekday()[..3].to_owned()),
        ("MST", "UTC".to_owned()),
        ("2006", format!("{:04}", date.year)),
        ("__2", format!("{:3}", parts.year_day)),
        ("_2006", format!("_{:04}", date.year)),
        ("_2", format!("{day:2}")),
        ("002", format!("{:03}", parts.year_day)),
        ("01", format!("{:02}", date.month)),
        ("02", format!("{day:02}")),
        ("03", format!("{twelve:02}")),
        ("04", format!("{minute:02}")),
        ("05", format!("{second:02}")),
        ("06", format!("{:02}", date.year.rem_euclid(100))),
        ("15", format!("{hour:02}")),
        ("1", date.month.to_string()),
        ("2", day.to_string()),
        ("3", twelve.to_string()),
        ("4", minute.to_string()),
        ("5", second.to_string()),
        ("PM", if *hour < 12 { "AM" } else { "PM" }.to_owned()),
        ("pm", if *hour < 12 { "am" } else { "pm" }.to_owned()),
        ("Z07:00:00", "Z".to_owned()),
        ("Z07:00", "Z".to_owned()),
        ("Z0700", "Z".to_owned()),
        ("Z07", "Z".to_owned()),
        ("-07:00:00", "+00:00:00".to_owned()),
        ("-07:00", "+00:00".to_owned()),
        ("-0700", "+0000".to_owned()),
        ("-07", "+00".to_owned()),
    ];
    let (mut out, mut rest) = (String::new(), layout);
    while let Some(c) = rest.chars().next() {
        let longest = chunks.iter().filter(|(chunk, _)| rest.starts_with(chunk)).max_by_key(|(chunk, _)| chunk.len());
        if let Some(length) = fraction(rest) {
            out.push_str(&fraction_text(&rest[..length], *nano));
            rest = &rest[length..];
        } else if let Some((chunk, value)) = longest {
            out.push_str(value);
            rest = &rest[chunk.len()..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// The length of a fraction of a second at the beginning of a layout: `.000`, `,999`.
fn fraction(layout: &str) -> Option<usize> {
    let bytes = layout.as_bytes();
    if !matches!(bytes.first(), Some(b'.' | b',')) {
        return None;
    }
    let digit = *bytes.get(1).filter(|digit| matches!(digit, b'0' | b'9'))?;
    let end = bytes[1..].iter().position(|b| *b != digit).map_or(bytes.len(), |at| at + 1);
    (!bytes.get(end).is_some_and(u8::is_ascii_digit)).then_some(end)
}

fn fraction_text(layout: &str, nano: i64) -> String {
    let width = (layout.len() - 1).min(9);
    let digits = &format!("{nano:09}")[..width];
    if layout.ends_with('0') {
        return format!("{}{digits}", &layout[..1]);
    }
    match digits.trim_end_matches('0') {
        "" => String::new(),
        digits => format!("{}{digits}", &layout[..1]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_in_layouts_of_go() {
        let t = to_time(1_435_065_584.128).unwrap();
        let check = |layout: &str, expected: &str| assert_eq!(format(&Parts::of(t), layout), expected, "{layout}");
        check("2006-01-02T15:04:05Z07:00", "2015-06-23T13:19:44Z");
        check("Mon, 02 Jan 2006 15:04:05 MST", "Tue, 23 Jun 2015 13:19:44 UTC");
        check("Monday _2 January 06, 3:04PM", "Tuesday 23 June 15, 1:19PM");
        check("15:04:05.000 -0700", "13:19:44.128 +0000");
        check("5.99s", "44.12s");
        check("1/2 03h 4m pm 002 é", "6/23 01h 19m pm 174 é");
        assert_eq!(time_text(t), "2015-06-23 13:19:44.128 +0000 UTC");
        assert_eq!(parse_time(&time_text(t)), Some(t));
        assert_eq!(time_text(Timestamp(-1)), "1969-12-31 23:59:59.999 +0000 UTC");
    }

    #[test]
    fn what_does_not_fit_says_so() {
        assert_eq!(to_time(f64::NAN), Err("value is NaN or Inf".to_owned()));
        let text = "1e+11 cannot be represented as a nanoseconds timestamp since it overflows int64";
        assert_eq!(to_time(1e11), Err(text.to_owned()));
        let text = "-1e+11 cannot be represented as a nanoseconds duration since it overflows int64";
        assert_eq!(to_span(-1e11), Err(text.to_owned()));
    }
}
