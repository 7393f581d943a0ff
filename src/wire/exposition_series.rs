//! One line of an exposition text: a cursor over it, and the series at its start.

use std::borrow::Cow;

use super::error::WireError;
use super::exposition::Format;
use crate::model::{Labels, Timestamp};

/// A label as it stands in a text, escapes resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelText<'a> {
    /// The name.
    pub name: Cow<'a, str>,
    /// The value, perhaps empty.
    pub value: Cow<'a, str>,
}

/// Prometheus' ordinary NaN. Its bits differ from the staleness marker's.
const NORMAL_NAN: u64 = 0x7ff8_0000_0000_0001;

/// A place in a line.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str, line: usize) -> Cursor<'a> {
        Cursor { text, at: 0, line }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    pub(super) fn column(&self) -> usize {
        self.column_of(self.at)
    }

    fn column_of(&self, at: usize) -> usize {
        self.text[..at].chars().count() + 1
    }

    pub(super) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn take_rest(&mut self) -> &'a str {
        let rest = self.rest();
        self.at = self.text.len();
        rest
    }

    pub(super) fn at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub(super) fn starts_with(&self, c: char) -> bool {
        self.rest().starts_with(c)
    }

    pub(super) fn take(&mut self, c: char) -> bool {
        let there = self.starts_with(c);
        if there {
            self.at += c.len_utf8();
        }
        there
    }

    /// Passes over spaces and tabs; whether there were any.
    pub(super) fn skip_blanks(&mut self) -> bool {
        !self.take_while(|byte| matches!(byte, b' ' | b'\t')).is_empty()
    }

    /// Passes over exactly one space, as OpenMetrics wants it between all parts.
    pub(super) fn space(&mut self) -> Result<(), WireError> {
        if self.take(' ') { Ok(()) } else { Err(self.error("a single space must stand here")) }
    }

    /// Takes bytes up to the first that is not kept. `keep` treats all bytes beyond ASCII alike, so that
    /// no character is cut.
    #[inline]
    fn take_while(&mut self, keep: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.bytes().position(|byte| !keep(byte)).unwrap_or(rest.len());
        let taken = rest.get(..end).unwrap_or(rest);
        self.at += taken.len();
        taken
    }

    /// Everything up to the next blank.
    pub(super) fn token(&mut self) -> &'a str {
        self.take_while(|byte| !matches!(byte, b' ' | b'\t'))
    }

    /// A value: a decimal number, an infinity or NaN.
    pub(super) fn number(&mut self, missing: &str) -> Result<f64, WireError> {
        let at = self.at;
        if self.at_end() {
            return Err(self.error(missing));
        }
        let token = self.token();
        let number: f64 =
            token.parse().map_err(|_| self.error_at(at, &format!("\"{}\" is not a number", head_of(token))))?;
        Ok(if number.is_nan() { f64::from_bits(NORMAL_NAN) } else { number })
    }

    /// A timestamp in seconds.
    pub(super) fn seconds(&mut self) -> Result<Timestamp, WireError> {
        let at = self.at;
        let seconds: Option<f64> = self.token().parse().ok().filter(|seconds: &f64| seconds.is_finite());
        seconds
            .map(Timestamp::from_seconds)
            .ok_or_else(|| self.error_at(at, "the timestamp is not a number of seconds"))
    }

    /// The name behind HELP, TYPE or UNIT.
    pub(super) fn family_name(&mut self) -> Result<Cow<'a, str>, WireError> {
        if self.starts_with('"') {
            return self.quoted();
        }
        let at = self.at;
        let name = self.metric_name();
        if name.is_empty() { Err(self.error_at(at, "a metric name must stand here")) } else { Ok(Cow::Borrowed(name)) }
    }

    fn metric_name(&mut self) -> &'a str {
        if self.rest().as_bytes().first().is_some_and(u8::is_ascii_digit) {
            return "";
        }
        self.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':'))
    }

    fn label_name(&mut self) -> &'a str {
        if self.rest().as_bytes().first().is_some_and(u8::is_ascii_digit) {
            return "";
        }
        self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }

    /// A text in double quotes; the cursor stands on the first.
    fn quoted(&mut self) -> Result<Cow<'a, str>, WireError> {
        let start = self.at;
        let inside = &self.text[start + 1..];
        let telling = inside.bytes().position(|byte| matches!(byte, b'"' | b'\\'));
        if let Some(end) = telling.filter(|at| inside.as_bytes().get(*at) == Some(&b'"')) {
            self.at = start + end + 2;
            return Ok(Cow::Borrowed(inside.get(..end).unwrap_or_default()));
        }
        let mut escaped = false;
        for (at, byte) in inside.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    self.at = start + at + 2;
                    return Ok(unescape(&inside[..at], true));
                }
                _ => {}
            }
        }
        Err(self.error_at(start, "the quote is not closed on this line"))
    }

    pub(super) fn error(&self, fault: &str) -> WireError {
        self.error_at(self.at, fault)
    }

    pub(super) fn error_at(&self, at: usize, fault: &str) -> WireError {
        WireError::Text { line: self.line, column: self.column_of(at), fault: fault.to_owned() }
    }
}

/// Reads `name{label="value",…}` or `{"name",label="value",…}` and hands over each label, the
/// metric's name as `__name__`.
pub(super) fn walk_series<'a>(
    cursor: &mut Cursor<'a>,
    format: Format,
    visit: &mut dyn FnMut(LabelText<'a>),
) -> Result<(), WireError> {
    let blanks = |cursor: &mut Cursor<'a>| {
        if format == Format::Text {
            cursor.skip_blanks();
        }
    };
    let name_label = |value| LabelText { name: Cow::Borrowed(Labels::METRIC_NAME), value };
    let name = cursor.metric_name();
    let mut named = !name.is_empty();
    if named {
        visit(name_label(Cow::Borrowed(name)));
        blanks(cursor);
    }
    if !cursor.take('{') {
        let fault = "a metric name or { must stand here; quote names with other characters: {\"name\"}";
        return if named { Ok(()) } else { Err(cursor.error(fault)) };
    }
    loop {
        blanks(cursor);
        if cursor.take('}') {
            return Ok(());
        }
        let start = cursor.at();
        let quoted = cursor.starts_with('"');
        let name = if quoted { cursor.quoted()? } else { Cow::Borrowed(cursor.label_name()) };
        if !quoted && name.is_empty() {
            let fault = "a label name must stand here; quote names with other characters: \"name\"=\"value\"";
            return Err(cursor.error(fault));
        }
        blanks(cursor);
        if cursor.take('=') {
            if name.is_empty() {
                return Err(cursor.error_at(start, "the label name is empty"));
            }
            blanks(cursor);
            if !cursor.starts_with('"') {
                return Err(cursor.error("a quoted value must stand here"));
            }
            visit(LabelText { name, value: cursor.quoted()? });
        } else if !quoted {
            return Err(cursor.error("= must stand behind the label name"));
        } else if named {
            return Err(cursor.error_at(start, "the metric has two names"));
        } else {
            named = true;
            visit(name_label(name));
        }
        blanks(cursor);
        if !cursor.take(',') && !cursor.starts_with('}') {
            return Err(cursor.error(", or } must stand behind a label"));
        }
    }
}

/// The text of a HELP line.
pub(super) fn unescape_help(text: &str) -> Cow<'_, str> {
    unescape(text, false)
}

/// Resolves `\\` and `\n`, and `\"` where the text was quoted; anything else stays as it is.
fn unescape(text: &str, quoted: bool) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('\\') => out.push('\\'),
            Some('"') if quoted => out.push('"'),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    Cow::Owned(out)
}

fn head_of(text: &str) -> String {
    text.chars().take(32).collect()
}
