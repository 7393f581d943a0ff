//! Conditions on a label's value: `=`, `!=`, `=~`, `!~`.
//!
//! Invariants:
//! - A pattern is anchored at both ends and `.` matches a newline, as in Prometheus 3.
//! - A pattern is written in Go's syntax; what Go and Rust read differently is translated.

use std::fmt;

use regex::Regex;

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Match,
    /// `!~`
    NotMatch,
}

/// A condition on the value of one label; an absent label has the empty value.
#[derive(Debug, Clone)]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    pattern: Option<Regex>,
}

impl Matcher {
    /// A condition on the label `name`.
    ///
    /// # Errors
    /// The operator takes a pattern and `value` is not one.
    pub fn new(name: &str, op: MatchOp, value: &str) -> Result<Matcher, MatcherError> {
        let pattern = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Match | MatchOp::NotMatch => Some(compile(value)?),
        };
        Ok(Matcher { name: name.to_owned(), op, value: value.to_owned(), pattern })
    }

    /// The condition that `name` has exactly this value.
    pub fn equal(name: &str, value: &str) -> Matcher {
        Matcher { name: name.to_owned(), op: MatchOp::Equal, value: value.to_owned(), pattern: None }
    }

    /// Whether a label's value satisfies it.
    pub fn matches(&self, value: &str) -> bool {
        match (self.op, &self.pattern) {
            (MatchOp::Equal, _) => self.value == value,
            (MatchOp::NotEqual, _) => self.value != value,
            (MatchOp::Match, Some(pattern)) => pattern.is_match(value),
            (MatchOp::NotMatch, Some(pattern)) => !pattern.is_match(value),
            (MatchOp::Match | MatchOp::NotMatch, None) => unreachable!("a pattern is compiled in new"),
        }
    }

    /// The label's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    pub fn op(&self) -> MatchOp {
        self.op
    }

    /// The value or pattern as written.
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Matcher) -> bool {
        (&self.name, self.op, &self.value) == (&other.name, other.op, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = match self.op {
            MatchOp::Equal => "=",
            MatchOp::NotEqual => "!=",
            MatchOp::Match => "=~",
            MatchOp::NotMatch => "!~",
        };
        write!(f, "{}{op}{:?}", self.name, self.value)
    }
}

/// A pattern that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{pattern}\" is not a regular expression: {reason}")]
pub struct MatcherError {
    pattern: String,
    reason: String,
}

/// Compiles a fully anchored pattern of Go's syntax.
pub(crate) fn compile(pattern: &str) -> Result<Regex, MatcherError> {
    let fail = |reason: String| MatcherError { pattern: pattern.to_owned(), reason };
    Regex::new(&format!("^(?s:{})$", to_rust(pattern))).map_err(|error| {
        let text = error.to_string();
        fail(text.lines().last().unwrap_or("it does not parse").trim_start_matches("error: ").to_owned())
    })
}

/// Rewrites the parts of Go's syntax that Rust's engine reads otherwise: Perl classes and word
/// boundaries are ASCII, `[`, `&&`, `--` and `~~` inside a class are literal, `\Q…\E` quotes.
fn to_rust(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut chars = pattern.chars().peekable();
    // Position inside a class: 0 outside, 1 at its first character, 2 further on.
    let mut class = 0;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('Q') => quote_literal(&mut chars, &mut out),
                Some('E') => {}
                Some(e @ ('d' | 'D' | 'w' | 'W' | 's' | 'S' | 'b' | 'B')) => {
                    // Rust's byte-free ASCII classes; a negated one must still match whole characters.
                    out.push_str(match (e, class > 0) {
                        ('d', false) => "[0-9]",
                        ('d', true) => "0-9",
                        ('D', _) => "[^0-9]",
                        ('w', false) => "[0-9A-Za-z_]",
                        ('w', true) => "0-9A-Za-z_",
                        ('W', _) => "[^0-9A-Za-z_]",
                        ('s', false) => r"[\t\n\f\r ]",
                        ('s', true) => r"\t\n\f\r ",
                        ('S', _) => r"[^\t\n\f\r ]",
                        ('b', _) => r"(?-u:\b)",
                        _ => r"(?-u:\B)",
                    });
                }
                Some(e) => {
                    out.push('\\');
                    out.push(e);
                }
                None => out.push('\\'),
            },
            '[' if class == 0 => {
                out.push('[');
                class = 1;
                if chars.peek() == Some(&'^') {
                    out.push('^');
                    chars.next();
                }
                if chars.peek() == Some(&']') {
                    out.push_str(r"\]");
                    chars.next();
                }
                continue;
            }
            '[' if chars.peek() == Some(&':') => out.push('['),
            '[' => out.push_str(r"\["),
            ':' if class > 0
                && chars.peek() == Some(&']')
                && out.ends_with(|c: char| c.is_ascii_alphabetic())
                && inside_named_class(&out) =>
            {
                out.push_str(":]");
                chars.next();
            }
            ']' if class > 0 => {
                out.push(']');
                class = 0;
                continue;
            }
            '&' | '~' if class > 0 => {
                out.push('\\');
                out.push(c);
            }
            '-' if class > 0 && chars.peek() == Some(&'-') => out.push_str(r"\-"),
            c => out.push(c),
        }
        if class == 1 {
            class = 2;
        }
    }
    out
}

fn quote_literal(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    let mut literal = String::new();
    while let Some(c) = chars.next() {
        if c == '\\' && chars.peek() == Some(&'E') {
            chars.next();
            break;
        }
        literal.push(c);
    }
    out.push_str(&regex::escape(&literal));
}

fn inside_named_class(out: &str) -> bool {
    out.rfind("[:").is_some_and(|at| out[at + 2..].chars().all(|c| c.is_ascii_alphabetic() || c == '^'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_anchored_and_read_as_go_does() {
        let check = |pattern: &str, value: &str, expected: bool| {
            let matcher = Matcher::new("l", MatchOp::Match, pattern).unwrap();
            assert_eq!(matcher.matches(value), expected, "{pattern} on {value:?}");
        };
        check("a|b", "ab", false);
        check("a.c", "a\nc", true);
        check("", "", true);
        check(".+", "", false);
        check(r"\d+", "12", true);
        check(r"\d+", "١٢", false);
        check(r"[\w-]+", "a-b", true);
        check(r"[[a]", "[", true);
        check(r"[]a]+", "]a", true);
        check(r"[[:digit:]]+", "12", true);
        check(r"[&&a]", "&", true);
        check(r"\Qa.b\E.", "a.bx", true);
        check(r"\Qa.b\E", "axb", false);
        check("(?i:ERROR)", "error", true);
        check(r"\Wé", "éé", true);
    }

    #[test]
    fn a_bad_pattern_says_why() {
        let error = Matcher::new("l", MatchOp::Match, "(a").unwrap_err();
        assert!(error.to_string().starts_with("\"(a\" is not a regular expression: "), "{error}");
    }
}
