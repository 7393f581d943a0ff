//! Alertmanager's matchers: `severity="page"`, `team =~ "a|b"`, several with commas between them.

use crate::model::{MatchOp, Matcher};

/// The matchers of one text.
pub(super) fn parse(text: &str) -> Result<Vec<Matcher>, String> {
    let mut rest = text.trim();
    let braced = rest.starts_with('{');
    if braced {
        rest = rest[1..]
            .strip_suffix('}')
            .ok_or_else(|| format!("the matchers {text} have no closing brace; add it"))?
            .trim();
    }
    let mut matchers = Vec::new();
    while !rest.is_empty() {
        let (matcher, after) = one(rest, text)?;
        matchers.push(matcher);
        rest = after.trim_start();
        if rest.is_empty() {
            break;
        }
        rest = rest
            .strip_prefix(',')
            .ok_or_else(|| format!("\"{rest}\" follows a matcher; put a comma between two matchers"))?
            .trim_start();
    }
    if matchers.is_empty() && !braced {
        return Err("a matcher is empty; write it like severity=\"page\"".to_owned());
    }
    Ok(matchers)
}

fn one<'a>(text: &'a str, whole: &str) -> Result<(Matcher, &'a str), String> {
    let (name, rest) = word(text, &['=', '!', '~', ','], whole)?;
    if name.is_empty() {
        return Err(format!("the matcher {whole} has no label name; write it like severity=\"page\""));
    }
    let rest = rest.trim_start();
    // The longer operators first.
    let operators =
        [("=~", MatchOp::Match), ("!~", MatchOp::NotMatch), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)];
    let (op, rest) = operators
        .into_iter()
        .find_map(|(sign, op)| Some((op, rest.strip_prefix(sign)?)))
        .ok_or_else(|| format!("the matcher {whole} has no =, !=, =~ or !~ behind \"{name}\"; add one"))?;
    let (value, rest) = word(rest.trim_start(), &[','], whole)?;
    let matcher = Matcher::new(&name, op, &value).map_err(|error| error.to_string())?;
    Ok((matcher, rest))
}

/// A quoted word, or all up to one of the marks.
fn word<'a>(text: &'a str, marks: &[char], whole: &str) -> Result<(String, &'a str), String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(marks).unwrap_or(text.len());
        return Ok((text[..end].trim_end().to_owned(), &text[end..]));
    };
    let mut out = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((out, &quoted[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, c @ ('"' | '\\'))) => out.push(c),
                // As in Alertmanager, an unknown escape is kept as it is: patterns have many.
                Some((_, c)) => out.extend(['\\', c]),
                None => break,
            },
            c => out.push(c),
        }
    }
    Err(format!("the matcher {whole} has an unclosed quote; close it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_are_read() {
        let check = |text: &str, expected: &[&str]| {
            let got: Vec<String> = parse(text).unwrap().iter().map(Matcher::to_string).collect();
            assert_eq!(got, expected, "{text}");
        };
        check("severity=\"page\"", &["severity=\"page\""]);
        check("severity = page", &["severity=\"page\""]);
        check("a!=b,c=~\"x|y\" , d!~z", &["a!=\"b\"", "c=~\"x|y\"", "d!~\"z\""]);
        check("{a=\"b\", \"é x\"=\"c\\\"d\"}", &["a=\"b\"", "é x=\"c\\\"d\""]);
        check("{}", &[]);
        check("a=", &["a=\"\""]);
        check("p=~\"\\d+\"", &["p=~\"\\\\d+\""]);
    }

    #[test]
    fn broken_matchers_say_what_to_do() {
        let check = |text: &str, expected: &str| assert_eq!(parse(text).unwrap_err(), expected, "{text}");
        check("", "a matcher is empty; write it like severity=\"page\"");
        check("severity", "the matcher severity has no =, !=, =~ or !~ behind \"severity\"; add one");
        check("=x", "the matcher =x has no label name; write it like severity=\"page\"");
        check("a=\"b", "the matcher a=\"b has an unclosed quote; close it");
        check("a=\"b\" c=\"d\"", "\"c=\"d\"\" follows a matcher; put a comma between two matchers");
        check("{a=b", "the matchers {a=b have no closing brace; add it");
    }
}
