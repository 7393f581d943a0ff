//! The text by which Alertmanager names a group: `{}/{severity="page"}:{alertname="Down"}`.
//!
//! Receivers file incidents under it, so it must be that text to the letter: names stand bare, the
//! values of matchers are escaped as little as OpenMetrics does, those of labels as Go quotes texts.

use std::fmt::Write;

use crate::model::{Labels, MatchOp, Matcher};

/// A route's matchers, in their order.
pub(super) fn of_matchers(matchers: &[Matcher]) -> String {
    let all: Vec<String> = matchers.iter().map(of_matcher).collect();
    format!("{{{}}}", all.join(","))
}

fn of_matcher(matcher: &Matcher) -> String {
    let sign = match matcher.op() {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Match => "=~",
        MatchOp::NotMatch => "!~",
    };
    let value = matcher.value().replace('\\', r"\\").replace('\n', r"\n").replace('"', "\\\"");
    format!("{}{sign}\"{value}\"", matcher.name())
}

/// A group's labels.
pub(super) fn of_labels(labels: &Labels) -> String {
    let all: Vec<String> = labels.iter().map(|label| format!("{}={}", label.name, quoted(label.value))).collect();
    format!("{{{}}}", all.join(", "))
}

/// A text as Go's `%q` shows it.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        let escape = match c {
            '"' => "\\\"",
            '\\' => r"\\",
            '\u{7}' => r"\a",
            '\u{8}' => r"\b",
            '\u{b}' => r"\v",
            '\u{c}' => r"\f",
            '\n' => r"\n",
            '\r' => r"\r",
            '\t' => r"\t",
            c if printable(c) => {
                out.push(c);
                continue;
            }
            _ => "",
        };
        out.push_str(escape);
        // Writing to a String cannot fail.
        let _ = match u32::from(c) {
            _ if !escape.is_empty() => Ok(()),
            code @ (..0x20 | 0x7f) => write!(out, "\\x{code:02x}"),
            code @ ..0x1_0000 => write!(out, "\\u{code:04x}"),
            code => write!(out, "\\U{code:08x}"),
        };
    }
    out.push('"');
    out
}

/// Whether a character is shown as it is. Behind another one, because the standard library escapes
/// a combining character only where it has none to stand on.
fn printable(c: char) -> bool {
    c == '\'' || ['x', c].iter().collect::<String>().escape_debug().count() == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected texts are what Alertmanager 0.33 sent for these.
    #[test]
    fn labels_are_quoted_as_go_does() {
        let odd = "x\ty\u{200d}é\u{7f}'\u{1}\u{2028} \u{ad}\u{3000}😀\u{e000}";
        let labels = Labels::new([("a.b", odd), ("alertname", "Odd"), ("c d", "1"), ("cluster", "eu\"1")]).unwrap();
        assert_eq!(
            of_labels(&labels),
            "{a.b=\"x\\ty\\u200dé\\x7f'\\x01\\u2028 \\u00ad\\u3000😀\\ue000\", alertname=\"Odd\", c d=\"1\", \
             cluster=\"eu\\\"1\"}"
        );
        assert_eq!(quoted("e\u{301}\u{f0000}\\"), "\"e\u{301}\\U000f0000\\\\\"");
    }

    #[test]
    fn matchers_are_escaped_as_open_metrics_does() {
        let matcher = |name: &str, op, value: &str| Matcher::new(name, op, value).unwrap();
        let odd = matcher("a.b", MatchOp::NotEqual, "q\tz\u{200d}'");
        let page = matcher("severity", MatchOp::Equal, "a\\b\n\"c\"");
        assert_eq!(of_matchers(&[odd, page]), "{a.b!=\"q\tz\u{200d}'\",severity=\"a\\\\b\\n\\\"c\\\"\"}");
        assert_eq!(of_matchers(&[]), "{}");
    }
}
