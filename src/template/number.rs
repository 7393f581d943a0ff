//! Numbers as people read them.

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const LARGE_1024: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// With a metric prefix: `1.235k`, `12m`.
pub(super) fn humanize(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return four_digits(v);
    }
    if v.abs() >= 1.0 {
        return scaled_up(v, 1000.0, &LARGE);
    }
    let (v, prefix) = scaled_down(v);
    format!("{}{prefix}", four_digits(v))
}

/// With a binary prefix: `1.5Mi`.
pub(super) fn humanize_1024(v: f64) -> String {
    if v.abs() <= 1.0 || !v.is_finite() {
        return four_digits(v);
    }
    scaled_up(v, 1024.0, &LARGE_1024)
}

/// Seconds as a span: `1d 2h 3m 4s`, `12ms`.
pub(super) fn humanize_duration(v: f64) -> String {
    if !v.is_finite() {
        return four_digits(v);
    }
    if v == 0.0 {
        return "0s".to_owned();
    }
    if v.abs() < 1.0 {
        let (v, prefix) = scaled_down(v);
        return format!("{}{prefix}s", four_digits(v));
    }
    let sign = if v < 0.0 { "-" } else { "" };
    let whole = v.abs() as u64;
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    if days != 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours != 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes != 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", four_digits(v.abs()))
    }
}

/// A ratio as a percentage: `12.35%`.
pub(super) fn humanize_percentage(v: f64) -> String {
    format!("{}%", four_digits(v * 100.0))
}

fn scaled_up(mut v: f64, step: f64, prefixes: &[&'static str]) -> String {
    let mut prefix = "";
    for next in prefixes {
        if v.abs() < step {
            break;
        }
        prefix = next;
        v /= step;
    }
    format!("{}{prefix}", four_digits(v))
}

fn scaled_down(mut v: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in SMALL {
        if v.abs() >= 1.0 {
            break;
        }
        prefix = next;
        v *= 1000.0;
    }
    (v, prefix)
}

/// Go's `%v` of a number.
pub(super) fn shortest(v: f64) -> String {
    if !v.is_finite() || v == 0.0 || (1e-4..1e6).contains(&v.abs()) {
        return if v.is_finite() { v.to_string() } else { four_digits(v) };
    }
    let text = format!("{v:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// C's `%.4g`.
pub(super) fn four_digits(v: f64) -> String {
    if v.is_nan() {
        return "NaN".to_owned();
    }
    if v.is_infinite() {
        return if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{v:.3e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..4).contains(&exponent) {
        let decimals = usize::try_from(3 - exponent).unwrap_or(0);
        return without_zeros(&format!("{v:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", without_zeros(digits), exponent.abs())
}

fn without_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_in_prometheus() {
        let check = |format: fn(f64) -> String, v: f64, expected: &str| assert_eq!(format(v), expected, "{v}");
        check(humanize, 0.0, "0");
        check(humanize, 1.0, "1");
        check(humanize, 1_234_567.0, "1.235M");
        check(humanize, 0.12, "120m");
        check(humanize, f64::NEG_INFINITY, "-Inf");
        check(humanize_1024, 1_048_576.0, "1Mi");
        check(humanize_1024, 0.5, "0.5");
        check(humanize_duration, 0.0, "0s");
        check(humanize_duration, 1.2345, "1.234s");
        check(humanize_duration, 61.0, "1m 1s");
        check(humanize_duration, 3600.0, "1h 0m 0s");
        check(humanize_duration, -86_400.0, "-1d 0h 0m 0s");
        check(humanize_duration, 0.01, "10ms");
        check(humanize_percentage, 0.123456, "12.35%");
        check(humanize_percentage, 1.0, "100%");
        check(shortest, 1e21, "1e+21");
        check(shortest, 1.5e-7, "1.5e-07");
        check(shortest, 123_456_789.5, "1.234567895e+08");
        check(four_digits, 123_456.0, "1.235e+05");
        check(four_digits, 0.00001, "1e-05");
        check(four_digits, f64::NAN, "NaN");
    }
}
