//! Patterns on label values, in the syntax of Go.
//!
//! Invariants:
//! - A pattern is anchored at both ends and `.` matches a newline, as in Prometheus 3.
//! - A pattern is written in Go's syntax; what Go and Rust read differently is translated.

use std::collections::HashMap;
use std::sync::OnceLock;

use parking_lot::Mutex;
use regex::{Captures, Regex};

use super::reduction::Reduction;

/// A regular expression as Prometheus reads it: in Go's syntax, matching a value as a whole.
///
/// The one way to patterns of users: selectors, `label_replace` and relabeling must agree on what a
/// pattern means.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// In Rust's syntax, anchored.
    text: String,
    reduction: Reduction,
    /// Compiled at once if values need it, else when somebody asks for groups.
    regex: OnceLock<Option<Regex>>,
}

/// Texts up to this length are compiled only when needed: they are well below any limit of size.
const LAZY_BYTES_MAX: usize = 4096;

/// Compiled patterns that are kept: a dashboard asks with the same ones again and again, and what an automaton
/// has learned of values stays with it. One takes two megabytes at the most for each thread that uses it.
const KEPT_MAX: usize = 32;
/// Longer ones are compiled anew.
const KEPT_BYTES_MAX: usize = 256;
static KEPT: Mutex<Option<HashMap<String, Pattern>>> = Mutex::new(None);

impl Pattern {
    /// Compiles a pattern, unless that was done a short time ago.
    ///
    /// # Errors
    /// It is not a regular expression, or would take too much memory.
    pub fn new(pattern: &str) -> Result<Pattern, PatternError> {
        if pattern.len() > KEPT_BYTES_MAX {
            return Pattern::compile(pattern);
        }
        if let Some(kept) = KEPT.lock().as_ref().and_then(|kept| kept.get(pattern)) {
            return Ok(kept.clone());
        }
        let compiled = Pattern::compile(pattern)?;
        // What needs no automaton is taken apart faster than found.
        if compiled.regex.get().is_some() {
            let mut kept = KEPT.lock();
            let kept = kept.get_or_insert_default();
            if kept.len() >= KEPT_MAX {
                kept.clear();
            }
            kept.insert(pattern.to_owned(), compiled.clone());
        }
        Ok(compiled)
    }

    fn compile(pattern: &str) -> Result<Pattern, PatternError> {
        let inner = to_rust(pattern);
        let text = format!("^(?s:{inner})$");
        let fail = |text: String| {
            let reason = text.lines().last().unwrap_or("it does not parse").trim_start_matches("error: ").to_owned();
            PatternError { pattern: pattern.to_owned(), reason }
        };
        let hir = regex_syntax::ParserBuilder::new()
            .dot_matches_new_line(true)
            .build()
            .parse(&inner)
            .map_err(|error| fail(error.to_string()))?;
        let reduction = Reduction::of(&hir);
        let regex = OnceLock::new();
        if !reduction.complete || text.len() > LAZY_BYTES_MAX {
            let compiled = Regex::new(&text).map_err(|error| fail(error.to_string()))?;
            let _ = regex.set(Some(compiled));
        }
        Ok(Pattern { text, reduction, regex })
    }

    /// Whether it matches the whole value.
    pub fn is_match(&self, value: &str) -> bool {
        self.reduction.decide(value).unwrap_or_else(|| self.regex().is_some_and(|regex| regex.is_match(value)))
    }

    /// What its groups caught, if it matches the whole value.
    pub fn groups<'v>(&self, value: &'v str) -> Option<Groups<'v>> {
        self.regex()?.captures(value).map(Groups)
    }

    /// All values that it matches, sorted, if they are few.
    pub fn literals(&self) -> Option<&[String]> {
        self.reduction.literals.as_deref()
    }

    /// What every value that it matches begins with.
    pub fn prefix(&self) -> &str {
        &self.reduction.prefix
    }

    /// How many characters a value must have at least, if it demands nothing else: 0 for `.*`.
    pub fn least_chars(&self) -> Option<u32> {
        self.reduction.least_chars()
    }

    fn regex(&self) -> Option<&Regex> {
        self.regex.get_or_init(|| Regex::new(&self.text).ok()).as_ref()
    }
}

/// What the groups of a [`Pattern`] caught in a value.
#[derive(Debug)]
pub struct Groups<'v>(Captures<'v>);

impl Groups<'_> {
    /// The template with `$1`, `${1}` and `${name}` replaced; a group that there is not is empty.
    pub fn expand(&self, template: &str) -> String {
        let mut text = String::new();
        self.0.expand(template, &mut text);
        text
    }
}

/// A pattern that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{pattern}\" is not a regular expression: {reason}")]
pub struct PatternError {
    pattern: String,
    reason: String,
}

impl PatternError {
    /// What is wrong with the pattern.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// A regular expression in Go's syntax that may match anywhere, as Go's `regexp` does.
///
/// # Errors
/// It is none.
pub fn search_regex(pattern: &str) -> Result<Regex, PatternError> {
    Regex::new(&to_rust(pattern)).map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or("it does not parse").trim_start_matches("error: ").to_owned();
        PatternError { pattern: pattern.to_owned(), reason }
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
    fn a_pattern_that_is_kept_stays_itself() {
        for round in 0..3 {
            for n in 0..2 * KEPT_MAX {
                let pattern = Pattern::new(&format!("a[bc]+{n}|x{n}")).unwrap();
                let other = (n + 1) % (2 * KEPT_MAX);
                let matches = [format!("abc{n}"), format!("x{n}"), format!("abc{other}")].map(|v| pattern.is_match(&v));
                assert_eq!(matches, [true, true, false], "{n} in round {round}");
            }
            assert!(Pattern::new("a[bc").is_err());
            assert!(KEPT.lock().as_ref().is_some_and(|kept| kept.len() <= KEPT_MAX));
        }
    }

    #[test]
    fn patterns_are_anchored_and_read_as_go_does() {
        let check = |pattern: &str, value: &str, expected: bool| {
            let got = Pattern::new(pattern).unwrap().is_match(value);
            assert_eq!(got, expected, "{pattern} on {value:?}");
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
    fn a_pattern_is_reduced() {
        let check = |pattern: &str, literals: Option<&[&str]>, prefix: &str, automaton: bool| {
            let pattern = Pattern::new(pattern).unwrap();
            let found: Option<Vec<&str>> = pattern.literals().map(|all| all.iter().map(String::as_str).collect());
            assert_eq!((found.as_deref(), pattern.prefix()), (literals, prefix), "{pattern:?}");
            assert_eq!(pattern.regex.get().is_some(), automaton, "{pattern:?}");
        };
        check("a|b", Some(&["a", "b"]), "", false);
        check("^node-(1|2)$", Some(&["node-1", "node-2"]), "node-", false);
        check("ab?[cd]", Some(&["abc", "abd", "ac", "ad"]), "a", false);
        check("(?i:aB)", Some(&["AB", "Ab", "aB", "ab"]), "", false);
        check("", Some(&[""]), "", false);
        check(".*", None, "", false);
        check("prod-.*", None, "prod-", false);
        check("prod-.+-(db).*x", None, "prod-", false);
        check("prod-[0-9]+", None, "prod-", true);
        check("(?i:production)-.*", None, "", true);
        check("a.*|b.*", None, "", true);
        check("a^b", None, "a", true);
        assert_eq!(Pattern::new(".*").unwrap().least_chars(), Some(0));
        assert_eq!(Pattern::new("^(.+).*$").unwrap().least_chars(), Some(1));
        assert_eq!(Pattern::new("a.*").unwrap().least_chars(), None);
    }

    fn pattern() -> impl proptest::strategy::Strategy<Value = String> {
        use proptest::prelude::*;
        let leaf = prop_oneof![
            8 => proptest::sample::select(vec!["a", "b", "ab", "é", "-", "S", "s"]).prop_map(str::to_owned),
            4 => proptest::sample::select(vec![".*", ".+", ".", ".{2,}", ".?", "[ab]", "[^a]", "\\w", "^", "$", "\\b", "(?i:s)"])
                .prop_map(str::to_owned),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                4 => proptest::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
                1 => proptest::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join("|"))),
                1 => inner.clone().prop_map(|part| format!("(?:{part}){{1,2}}")),
                1 => inner.clone().prop_map(|part| format!("(?i:{part})")),
                1 => inner.prop_map(|part| format!("(?:{part})*")),
            ]
        })
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(500))]
        #[test]
        fn a_reduced_pattern_is_the_pattern(pattern in pattern(), values in proptest::collection::vec("[abéSsſ\\-\\n]{0,6}", 1..12)) {
            let plain = Regex::new(&format!("^(?s:{})$", to_rust(&pattern))).unwrap();
            let reduced = Pattern::new(&pattern).unwrap();
            for value in &values {
                assert_eq!(reduced.is_match(value), plain.is_match(value), "{pattern} on {value:?}");
                assert!(!plain.is_match(value) || value.starts_with(reduced.prefix()), "{pattern} on {value:?}");
            }
        }
    }

    #[test]
    fn a_bad_pattern_says_why() {
        let error = Pattern::new("(a").unwrap_err();
        assert!(error.to_string().starts_with("\"(a\" is not a regular expression: "), "{error}");
    }

    #[test]
    fn groups_fill_templates() {
        let expand = |pattern: &str, value: &str, template: &str| {
            Pattern::new(pattern).unwrap().groups(value).map(|groups| groups.expand(template))
        };
        assert_eq!(expand("(.+):(?P<port>[0-9]+)", "a:80", "${1}_$port$2x$9"), Some("a_80".to_owned()));
        assert_eq!(expand("(a)", "ab", "$1"), None);
        assert_eq!(expand(r"(\w+)\.(.*)", "ä.b", "$1"), None, "a word is ASCII");
    }
}
