//! Words with a capital letter at their beginning.
//!
//! The bounds of words are those of Unicode's annex 29 as far as letters are concerned: digits and `_` are inside
//! of a word but do not begin one, and one `.`, `:` or `'` between letters does not end it.

/// The text with the first letter of each word in title case; other letters stay as they are.
pub(super) fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut is_inside, mut was_middle) = (false, false);
    for c in text.chars() {
        let is_middle =
            matches!(c, '.' | ':' | '\'' | '\u{b7}' | '\u{387}' | '\u{2018}' | '\u{2019}' | '\u{2024}' | '\u{2027}');
        if was_middle && is_middle {
            is_inside = false;
        }
        if c.is_uppercase() || c.is_lowercase() {
            if is_inside {
                out.push(c);
            } else {
                push_title(&mut out, c);
            }
            is_inside = true;
        } else {
            out.push(c);
            if !is_middle && !c.is_alphanumeric() && c != '_' {
                is_inside = false;
            }
        }
        was_middle = is_middle;
    }
    out
}

fn push_title(out: &mut String, c: char) {
    let mut upper = c.to_uppercase();
    out.extend(upper.next());
    // Where the capital of one letter is two, as of ß, only the first of them is one here.
    upper.for_each(|rest| out.extend(rest.to_lowercase()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_with_capitals() {
        let check = |text: &str, expected: &str| assert_eq!(title(text), expected, "{text}");
        check("node exporter", "Node Exporter");
        check("node-exporter", "Node-Exporter");
        check("node_exporter", "Node_exporter");
        check("don't STOP", "Don't STOP");
        check("web.example", "Web.example");
        check("a..b", "A..B");
        check("1st", "1St");
        check("éa ßb", "Éa Ssb");
        check("", "");
    }
}
