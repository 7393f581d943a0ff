//! Numbers, instants and strings as Prometheus writes them in JSON.
//!
//! Invariants:
//! - A value reads back to the same `f64` (NaN payloads aside): the shortest digits that do.
//! - An instant is seconds with exactly three decimals, or none.

use std::fmt::Write as _;

use crate::model::Timestamp;

/// A scalar's value: plain notation whatever its size, as Prometheus writes a result that is one number.
pub(super) fn push_plain(out: &mut String, v: f64) {
    if v.is_finite() {
        let _ = write!(out, "{v}");
    } else {
        push_value(out, v);
    }
}

/// A sample's value: plain notation, or an exponent below 1e-6 and from 1e21 on.
pub(super) fn push_value(out: &mut String, v: f64) {
    if v.is_nan() {
        out.push_str("NaN");
    } else if v.is_infinite() {
        out.push_str(if v > 0.0 { "+Inf" } else { "-Inf" });
    } else if v != 0.0 && (v.abs() < 1e-6 || v.abs() >= 1e21) {
        push_exponent(out, v);
    } else if v.trunc() == v && v.abs() < WHOLE_MAX && (v != 0.0 || v.is_sign_positive()) {
        if v < 0.0 {
            out.push('-');
        }
        push_whole(out, v.abs() as u64);
    } else {
        // Its digits are those of the standard library, several times as fast, and its notation is ours
        // save where it has an exponent.
        let mut buffer = zmij::Buffer::new();
        match buffer.format_finite(v) {
            text if text.bytes().all(|byte| byte != b'e') && !text.ends_with(".0") => out.push_str(text),
            _ => {
                let _ = write!(out, "{v}");
            }
        }
    }
}

/// Up to here every whole number is a float of its own.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

fn push_whole(out: &mut String, mut n: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    // Divisions by a constant of numbers that fit in 32 bits take half the time.
    while n > u64::from(u32::MAX) {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
    }
    let mut n = n as u32;
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.push_str(std::str::from_utf8(&digits[at..]).unwrap_or_default());
}

/// A value in the notation that alerts use, `1e+00`.
pub(super) fn push_exponent(out: &mut String, v: f64) {
    if !v.is_finite() {
        return push_value(out, v);
    }
    let text = format!("{v:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    let _ = write!(out, "{digits}e{sign}{exponent:0>2}");
}

/// An instant as seconds.
pub(super) fn push_instant(out: &mut String, t: Timestamp) {
    if t.0 < 0 {
        out.push('-');
    }
    let ms = t.0.unsigned_abs();
    push_whole(out, ms / 1000);
    if !ms.is_multiple_of(1000) {
        let _ = write!(out, ".{:03}", ms % 1000);
    }
}

/// A JSON string with its quotes.
pub(super) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        if escape.is_empty() {
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escape);
        }
        plain = at + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::strategy::Strategy;

    use super::*;

    #[test]
    fn values_are_written_as_go_writes_them() {
        let check = |v: f64, expected: &str| {
            let mut out = String::new();
            push_value(&mut out, v);
            assert_eq!(out, expected);
        };
        check(0.0, "0");
        check(-0.0, "-0");
        check(1.0, "1");
        check(0.1, "0.1");
        check(-3.25, "-3.25");
        check(1e-6, "0.000001");
        check(9.9e-7, "9.9e-07");
        check(1e20, "100000000000000000000");
        check(1e21, "1e+21");
        check(-1.5e300, "-1.5e+300");
        check(f64::NAN, "NaN");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
        check(1_435_781_430.781, "1435781430.781");
        check(f64::from_bits(1), "5e-324");
    }

    proptest::proptest! {
        #[test]
        fn plain_values_have_the_standard_librarys_digits(
            v in proptest::prop_oneof![
                proptest::arbitrary::any::<f64>(),
                -1e9f64..1e9,
                (-1_000_000i64..1_000_000, 0i32..9).prop_map(|(n, power)| n as f64 / 10f64.powi(power)),
                proptest::arbitrary::any::<i64>().prop_map(|n| n as f64),
            ],
        ) {
            let mut out = String::new();
            push_value(&mut out, v);
            let plain = v == 0.0 || (1e-6..1e21).contains(&v.abs());
            proptest::prop_assert_eq!(out, if plain { v.to_string() } else { exponent(v) });
        }
    }

    fn exponent(v: f64) -> String {
        let mut out = String::new();
        push_exponent(&mut out, v);
        out
    }

    #[test]
    fn alert_values_always_have_an_exponent() {
        let check = |v: f64, expected: &str| {
            let mut out = String::new();
            push_exponent(&mut out, v);
            assert_eq!(out, expected);
        };
        check(1.0, "1e+00");
        check(0.0, "0e+00");
        check(0.05, "5e-02");
        check(123.456, "1.23456e+02");
        check(f64::NAN, "NaN");
    }

    #[test]
    fn instants_have_three_decimals_or_none() {
        let check = |ms: i64, expected: &str| {
            let mut out = String::new();
            push_instant(&mut out, Timestamp(ms));
            assert_eq!(out, expected);
        };
        check(0, "0");
        check(1_500, "1.500");
        check(1_007, "1.007");
        check(-1, "-0.001");
        check(1_435_781_451_781, "1435781451.781");
    }

    #[test]
    fn strings_are_escaped() {
        let mut out = String::new();
        push_string(&mut out, "a\"b\\c\nd\u{1}é");
        assert_eq!(out, "\"a\\\"b\\\\c\\nd\\u0001é\"");
    }
}
