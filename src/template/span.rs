//! Spans of time in nanoseconds, as Go writes and reads them: `1h0m0.5s`, `1.5µs`.

/// The text of a span.
pub(super) fn span_text(nanos: i64) -> String {
    let (sign, n) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    match n {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{n}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", decimal(n, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", decimal(n, 1_000_000)),
        _ => {
            let (minutes, rest) = (n / 60_000_000_000, n % 60_000_000_000);
            let (hours, minutes) = (minutes / 60, minutes % 60);
            let seconds = decimal(rest, 1_000_000_000);
            match (hours, minutes) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, _) => format!("{sign}{minutes}m{seconds}s"),
                _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

/// `n / unit` with as many decimals as it takes; `unit` is a power of ten.
fn decimal(n: u64, unit: u64) -> String {
    let (whole, part) = (n / unit, n % unit);
    if part == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let part = format!("{part:0width$}");
    format!("{whole}.{}", part.trim_end_matches('0'))
}

const UNITS: [(&str, f64); 7] =
    [("h", 3.6e12), ("ms", 1e6), ("m", 6e10), ("s", 1e9), ("ns", 1.0), ("µs", 1e3), ("us", 1e3)];

/// Reads what [`span_text`] has written.
pub(super) fn parse_span(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let mut nanos = 0_i64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let (unit, length) = UNITS.into_iter().find(|(unit, _)| after.starts_with(unit))?;
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let whole = whole.parse::<i64>().ok()?.checked_mul(length as i64)?;
        let part = if part.is_empty() { 0.0 } else { format!("0.{part}").parse::<f64>().ok()? };
        nanos = nanos.checked_add(whole)?.checked_add((part * length).round() as i64)?;
        rest = &after[unit.len()..];
    }
    Some(sign * nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_in_go_and_read_again() {
        let check = |nanos: i64, expected: &str| {
            assert_eq!(span_text(nanos), expected);
            assert_eq!(parse_span(expected), Some(nanos), "{expected}");
        };
        check(0, "0s");
        check(1, "1ns");
        check(1_500, "1.5µs");
        check(-2_000_000, "-2ms");
        check(1_000_000_000, "1s");
        check(60_000_000_000, "1m0s");
        check(3_600_500_000_000, "1h0m0.5s");
        check(90_061_000_000_001, "25h1m1.000000001s");
        for bad in ["", "1", "h", "1x", "-", "é"] {
            assert_eq!(parse_span(bad), None, "{bad}");
        }
    }
}
