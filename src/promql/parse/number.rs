//! Numbers as they are written: decimal, hexadecimal, octal, exponents, underscores.

/// How many bytes at the front of `rest` belong to one number or duration.
pub(super) fn run_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let hex = rest.starts_with("0x") || rest.starts_with("0X");
    let mut length = 0;
    while let Some(&byte) = bytes.get(length) {
        let exponent_sign = !hex
            && (byte == b'+' || byte == b'-')
            && length > 0
            && bytes[length - 1].eq_ignore_ascii_case(&b'e')
            && bytes.get(length + 1).is_some_and(u8::is_ascii_digit);
        if !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.' || exponent_sign) {
            break;
        }
        length += 1;
    }
    length
}

/// The value of a number's text; a sign is not part of it.
pub(super) fn parse_number(run: &str) -> Option<f64> {
    let bytes = run.as_bytes();
    if !underscores_separate(run) {
        return None;
    }
    let plain: String = run.chars().filter(|c| *c != '_').collect();
    if let Some(digits) = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")) {
        return u64::from_str_radix(digits, 16).ok().map(|n| n as f64);
    }
    // Go reads a leading zero as octal where the digits allow it.
    if bytes.len() > 1 && bytes[0] == b'0' && plain.bytes().all(|b| (b'0'..=b'7').contains(&b)) {
        return u64::from_str_radix(&plain, 8).ok().map(|n| n as f64);
    }
    if !plain.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    // As Go has it, a number too large for a float is refused rather than rounded to infinity.
    plain.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Whether each underscore stands between two digits, or after `0x`.
fn underscores_separate(run: &str) -> bool {
    let hex = run.starts_with("0x") || run.starts_with("0X");
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit() || hex && c.is_ascii_hexdigit());
    run.match_indices('_').all(|(at, _)| {
        let after_prefix = hex && at == 2;
        digit(run[at + 1..].chars().next()) && (after_prefix || digit(run[..at].chars().last()))
    })
}

/// The shortest text without an exponent that reads back as the same number.
pub(in crate::promql) fn print(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    format!("{value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_go_reads_them() {
        let check = |text: &str, expected: Option<f64>| assert_eq!(parse_number(text), expected, "{text}");
        check("1", Some(1.0));
        check("010", Some(8.0));
        check("08", Some(8.0));
        check("0x10", Some(16.0));
        check("1_000", Some(1000.0));
        check("1__0", None);
        check("0x_1_f", Some(31.0));
        for misplaced in ["_1", "1_", "0._9", "1_.5", "1_e3", "1e_3"] {
            check(misplaced, None);
        }
        check("1.5e3", Some(1500.0));
        check("5m", None);
        check(".5", Some(0.5));
        check("1e", None);
        check("1e308", Some(1e308));
        check("1e309", None);
        check("1e-400", Some(0.0));
    }

    #[test]
    fn what_is_printed_reads_back() {
        for value in [0.0, 1.0, 0.1, 1e-9, 1.5e300, 123_456_789.0, 1e21, 5e-324] {
            assert_eq!(parse_number(&print(value)), Some(value), "{value}");
        }
    }
}
