//! Numbers, instants and strings as Prometheus writes them in JSON.
//!
//! Invariants:
//! - A value reads back to the same `f64` (NaN payloads aside): the shortest digits that do.
//! - An instant is seconds with exactly three decimals, or none.

use std::ops::Range;

use crate::model::Timestamp;

/// What text is written to.
pub(super) trait Out {
    /// Appends a text.
    fn put(&mut self, text: &str);

    /// Appends ASCII characters.
    fn put_ascii(&mut self, bytes: &[u8]);
}

impl Out for String {
    fn put(&mut self, text: &str) {
        self.push_str(text);
    }

    fn put_ascii(&mut self, bytes: &[u8]) {
        self.push_str(std::str::from_utf8(bytes).unwrap_or_default());
    }
}

impl Out for Vec<u8> {
    #[inline]
    fn put(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }

    #[inline]
    fn put_ascii(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// A text of a known length at the most.
pub(super) struct Line<'r> {
    room: &'r mut [u8],
    len: usize,
}

impl<'r> Line<'r> {
    /// An empty one, which takes up to all of `room`.
    pub(super) fn new(room: &'r mut [u8]) -> Line<'r> {
        Line { room, len: 0 }
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

impl Out for Line<'_> {
    #[inline]
    fn put(&mut self, text: &str) {
        self.put_ascii(text.as_bytes());
    }

    #[inline(always)]
    fn put_ascii(&mut self, bytes: &[u8]) {
        let (len, place) = (bytes.len(), &mut self.room[self.len..]);
        // Two copies of a length that is known when this is compiled take a part of the time of one whose is not.
        match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>(), bytes.first_chunk::<16>(), bytes.last_chunk::<16>()) {
            (_, _, Some(first), Some(last)) if len <= 32 => {
                place[..16].copy_from_slice(first);
                place[len - 16..len].copy_from_slice(last);
            }
            (Some(first), Some(last), ..) if len <= 16 => {
                place[..8].copy_from_slice(first);
                place[len - 8..len].copy_from_slice(last);
            }
            _ => place[..len].copy_from_slice(bytes),
        }
        self.len += len;
    }
}

/// A scalar's value: plain notation whatever its size, as Prometheus writes a result that is one number.
pub(super) fn push_plain(out: &mut impl Out, v: f64) {
    if v.is_finite() {
        out.put(&v.to_string());
    } else {
        push_value(out, v);
    }
}

/// A sample's value: plain notation, or an exponent below 1e-6 and from 1e21 on.
pub(super) fn push_value(out: &mut impl Out, v: f64) {
    let size = v.abs();
    if v.trunc() == v && size < WHOLE_MAX && (v != 0.0 || v.is_sign_positive()) {
        if v < 0.0 {
            out.put_ascii(b"-");
        }
        push_whole(out, size as u64);
    } else if SURELY_PLAIN.contains(&size) {
        out.put(zmij::Buffer::new().format_finite(v));
    } else if (1e-6..1e21).contains(&size) {
        // Its digits are those of the standard library, several times as fast, and its notation is ours
        // save where it has an exponent.
        let mut buffer = zmij::Buffer::new();
        match buffer.format_finite(v) {
            text if text.bytes().fold(true, |plain, byte| plain & (byte != b'e')) && !text.ends_with(".0") => {
                out.put(text);
            }
            _ => out.put(&v.to_string()),
        }
    } else if v == 0.0 {
        out.put_ascii(b"-0");
    } else if v.is_nan() {
        out.put_ascii(b"NaN");
    } else if v.is_infinite() {
        out.put_ascii(if v > 0.0 { b"+Inf" } else { b"-Inf" });
    } else {
        push_exponent(out, v);
    }
}

/// Where the digits of a number that is not whole come without an exponent.
const SURELY_PLAIN: Range<f64> = 1e-3..1e15;
/// Up to here every whole number is a float of its own.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// The two digits of each number below a hundred.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

#[inline]
fn push_whole(out: &mut impl Out, n: u64) {
    let mut digits = [0; 20];
    let at = whole_digits(&mut digits, n);
    out.put_ascii(&digits[at..]);
}

/// Writes a number to the end of `digits`, and says where it begins.
#[inline]
fn whole_digits(digits: &mut [u8; 20], mut n: u64) -> usize {
    let mut at = digits.len();
    let mut put = |pair: [u8; 2]| {
        at -= 2;
        digits[at..at + 2].copy_from_slice(&pair);
    };
    while n > u64::from(u32::MAX) {
        put(PAIRS[(n % 100) as usize]);
        n /= 100;
    }
    // Divisions by a constant of numbers that fit in 32 bits take half the time.
    let mut n = n as u32;
    while n >= 100 {
        put(PAIRS[(n % 100) as usize]);
        n /= 100;
    }
    put(PAIRS[n as usize]);
    if n < 10 { at + 1 } else { at }
}

/// A value in the notation that alerts use, `1e+00`.
pub(super) fn push_exponent(out: &mut impl Out, v: f64) {
    if !v.is_finite() {
        return push_value(out, v);
    }
    let text = format!("{v:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    out.put(&format!("{digits}e{sign}{exponent:0>2}"));
}

/// An instant as seconds.
pub(super) fn push_instant(out: &mut impl Out, t: Timestamp) {
    if t.0 < 0 {
        out.put_ascii(b"-");
    }
    let ms = t.0.unsigned_abs();
    push_whole(out, ms / 1000);
    if !ms.is_multiple_of(1000) {
        let rest = (ms % 1000) as usize;
        let [tens, ones] = PAIRS[rest % 100];
        out.put_ascii(&[b'.', b'0' + (rest / 100) as u8, tens, ones]);
    }
}

/// A JSON string with its quotes.
pub(super) fn push_string(out: &mut impl Out, text: &str) {
    out.put_ascii(b"\"");
    if text.bytes().fold(true, |plain, byte| plain & (byte >= 0x20) & (byte != b'"') & (byte != b'\\')) {
        out.put(text);
    } else {
        push_escaped(out, text);
    }
    out.put_ascii(b"\"");
}

fn push_escaped(out: &mut impl Out, text: &str) {
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
        out.put(&text[plain..at]);
        if escape.is_empty() {
            out.put(&format!("\\u{byte:04x}"));
        } else {
            out.put(escape);
        }
        plain = at + 1;
    }
    out.put(&text[plain..]);
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
