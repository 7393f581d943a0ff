//! Quoted texts: Go's escapes in, Go's escapes out.

/// The value of the quoted text at the front of `rest` and how many bytes it takes.
///
/// # Errors
/// What is wrong, and how many bytes the error covers.
pub(super) fn unquote(rest: &str) -> Result<(String, usize), (String, usize)> {
    let quote = rest.chars().next().unwrap_or('"');
    if quote == '`' {
        return match rest[1..].find('`') {
            Some(length) => Ok((rest[1..=length].to_owned(), length + 2)),
            None => Err(("unterminated raw string".to_owned(), rest.len())),
        };
    }
    let mut bytes = Vec::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => {
                let value = String::from_utf8(bytes)
                    .map_err(|_| ("the escapes of the string do not make valid UTF-8".to_owned(), at + 1))?;
                return Ok((value, at + 1));
            }
            '\n' => return Err(("unterminated quoted string".to_owned(), at)),
            '\\' => {
                let taken = escape(&rest[at + 1..], quote, &mut bytes)
                    .ok_or_else(|| ("unknown escape sequence in a string".to_owned(), at + 2))?;
                for _ in 0..taken {
                    chars.next();
                }
            }
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Err(("unterminated quoted string".to_owned(), rest.len()))
}

/// Resolves the escape whose text after the backslash is at the front of `rest`; how many
/// characters it takes.
fn escape(rest: &str, quote: char, bytes: &mut Vec<u8>) -> Option<usize> {
    let c = rest.chars().next()?;
    let simple = match c {
        'a' => Some(7),
        'b' => Some(8),
        'f' => Some(12),
        'n' => Some(b'\n'),
        'r' => Some(b'\r'),
        't' => Some(b'\t'),
        'v' => Some(11),
        '\\' => Some(b'\\'),
        c if c == quote => u8::try_from(c).ok(),
        _ => None,
    };
    if let Some(byte) = simple {
        bytes.push(byte);
        return Some(1);
    }
    let (skip, digits, radix) = match c {
        'x' => (1, 2, 16),
        'u' => (1, 4, 16),
        'U' => (1, 8, 16),
        '0'..='7' => (0, 3, 8),
        _ => return None,
    };
    let number = rest.get(skip..skip + digits).filter(|text| text.chars().all(|c| c.is_digit(radix)))?;
    let value = u32::from_str_radix(number, radix).ok()?;
    match c {
        'u' | 'U' => bytes.extend_from_slice(char::from_u32(value)?.encode_utf8(&mut [0; 4]).as_bytes()),
        _ => bytes.push(u8::try_from(value).ok()?),
    }
    Some(skip + digits)
}

/// The text in double quotes, so that [`unquote`] gives it back.
pub(in crate::promql) fn quote(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if is_printed(c) => out.push(c),
            c if u32::from(c) < 0x80 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if u32::from(c) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// Whether a character is shown as it is: no control, no blank but the space, nothing invisible
/// or private.
fn is_printed(c: char) -> bool {
    let invisible = matches!(u32::from(c), 0xad | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0xfeff);
    let private = matches!(u32::from(c), 0xe000..=0xf8ff | 0xfff0..=0xfffb | 0xffff_u32 | 0xfffe | 0xf_0000..);
    c == ' ' || !(c.is_control() || c.is_whitespace() || invisible || private)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_go_s() {
        let check = |text: &str, expected: &str| {
            assert_eq!(unquote(text), Ok((expected.to_owned(), text.len())), "{text}");
        };
        check(r#""a\n\t\"\\""#, "a\n\t\"\\");
        check(r"'it\'s'", "it's");
        check(r#"'"'"#, "\"");
        check(r"`a\n`", "a\\n");
        check(r#""\x41\101\u00e9\U0001F600""#, "AAé😀");
        check(r#""\xc3\xa9""#, "é");
        for bad in [r#""\q""#, "\"a\nb\"", r#""\xff""#, r#""\'""#, "\"", "`a"] {
            assert!(unquote(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn quoting_is_undone_by_unquoting() {
        for text in ["", "a", "\"\\\n\r\t\u{1}\u{7f}é😀'`"] {
            assert_eq!(unquote(&quote(text)).map(|(value, _)| value), Ok(text.to_owned()));
        }
    }
}
