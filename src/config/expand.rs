//! Variables of the environment in values: `${NAME}`, `${NAME:-default}`, `$$` for one `$`.

/// Looks up a variable.
pub(super) type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The text with its variables filled in. `$` before anything else, as in `${1}`, stays.
pub(super) fn expand(text: &str, environment: &Environment<'_>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, default, after)) = variable(rest) {
            match (environment(name), default) {
                (Some(value), None) => out.push_str(&value),
                (Some(value), Some(_)) if !value.is_empty() => out.push_str(&value),
                (_, Some(default)) => out.push_str(default),
                (None, None) => {
                    return Err(format!(
                        "the environment variable {name} is not set; set it or write ${{{name}:-default}}"
                    ));
                }
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// Name, default and what follows, if `text` continues a `$` as a variable.
fn variable(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let (inside, after) = text.strip_prefix('{')?.split_once('}')?;
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let first = name.chars().next()?;
    let is_name =
        (first.is_ascii_alphabetic() || first == '_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then_some((name, default, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_filled_in() {
        let environment = |name: &str| match name {
            "A" => Some("1".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let check = |text: &str, expected: &str| {
            assert_eq!(expand(text, &environment).as_deref(), Ok(expected), "{text}");
        };
        check("x${A}y", "x1y");
        check("${A}${A}", "11");
        check("${B:-two}", "two");
        check("${B:-}", "");
        check("${A:-two}", "1");
        check("${EMPTY:-two}", "two");
        check("[${EMPTY}]", "[]");
        check("$$A $${A} $A ${1}", "$A ${A} $A ${1}");
        check("50$", "50$");
        check("${unclosed", "${unclosed");
        let error = expand("${B}", &environment).unwrap_err();
        assert_eq!(error, "the environment variable B is not set; set it or write ${B:-default}");
    }
}
