//! Numbers and spans as people read them.

use crate::model::{Millis, Timestamp};

/// A span in its two largest units at most, `3h12m`.
pub(super) fn span(span: Millis) -> String {
    let span = Millis(span.0.max(0));
    let unit = match span.0 {
        ms if ms >= 86_400_000 => 3_600_000,
        ms if ms >= 3_600_000 => 60_000,
        ms if ms >= 1000 => 1000,
        _ => 1,
    };
    Millis((span.0 + unit / 2) / unit * unit).to_string()
}

/// How long ago `t` was.
pub(super) fn ago(now: Timestamp, t: Timestamp) -> String {
    if t >= now { "just now".to_owned() } else { format!("{} ago", span(now - t)) }
}

/// A count with separators between the thousands.
pub(super) fn count(n: f64) -> String {
    if !n.is_finite() || n.abs() >= 1e15 {
        return n.to_string();
    }
    let whole = format!("{:.0}", n.abs().trunc());
    let mut out = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    let sign = if n < 0.0 { "-" } else { "" };
    let fraction = if n.fract() == 0.0 { String::new() } else { format!("{:.1}", n.abs().fract())[1..].to_owned() };
    format!("{sign}{out}{fraction}")
}

/// A burn rate with as many digits as mean something: `43.1×`, `6.2×`, `0.87×`.
pub fn burn(rate: f64) -> String {
    if !rate.is_finite() {
        return "–".to_owned();
    }
    if rate > 0.0 && rate < 0.005 {
        return "<0.01×".to_owned();
    }
    let digits = match rate {
        r if r >= 99.5 => 0,
        r if r >= 9.95 => 1,
        _ => 2,
    };
    format!("{}×", trim(&format!("{rate:.digits$}")))
}

/// A share as a percentage with as many digits as mean something: `99.95 %`, `62 %`, `0.1 %`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if !percent.is_finite() {
        return "–".to_owned();
    }
    let digits = match percent.abs() {
        p if p > 99.0 && p < 100.0 => 3,
        p if p >= 10.0 || p == 0.0 => 1,
        p if p >= 0.1 => 2,
        _ => 4,
    };
    format!("{} %", trim(&format!("{percent:.digits$}")).replace('-', "−"))
}

fn trim(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// `one thing`, `2 things`.
pub fn plural(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(1_234_567.0), "1,234,567");
        assert_eq!(count(999.0), "999");
        assert_eq!(count(-1000.5), "-1,000.5");
        for (rate, text) in [(143.2, "143×"), (14.4, "14.4×"), (6.0, "6×"), (0.871, "0.87×"), (0.0, "0×")] {
            assert_eq!(burn(rate), text);
        }
        assert_eq!(burn(0.0001), "<0.01×");
        assert_eq!(percent(0.999), "99.9 %");
        assert_eq!(percent(0.9999), "99.99 %");
        assert_eq!(percent(0.001), "0.1 %");
        assert_eq!(percent(-0.5), "−50 %");
        assert_eq!(percent(0.99995), "99.995 %");
        assert_eq!(percent(f64::NAN), "–");
        assert_eq!(percent(0.62), "62 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(span(Millis(93_784_005)), "1d2h");
        assert_eq!(span(Millis(61_250)), "1m1s");
        assert_eq!(ago(Timestamp(5000), Timestamp(800)), "4s ago");
        assert_eq!(span(Millis(459)), "459ms");
    }
}
