//! The functions that Prometheus adds to Go's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{FuncMap, TemplateError, Value};
use regex::Regex;

use crate::model::Millis;

use super::number;

type Outcome = Result<Value, TemplateError>;

/// Every function by name.
pub(super) fn all(external_url: &str) -> FuncMap {
    let mut map = FuncMap::new();
    let mut add = |name: &str, function: fn(&[Value]) -> Outcome| {
        map.insert(name.to_owned(), Arc::new(function));
    };
    add("humanize", |args| number_text(args, number::humanize));
    add("humanize1024", |args| number_text(args, number::humanize_1024));
    add("humanizeDuration", |args| number_text(args, number::humanize_duration));
    add("humanizePercentage", |args| number_text(args, number::humanize_percentage));
    add("humanizeTimestamp", |args| number_text(args, number::humanize_timestamp));
    add("toTime", |args| number_text(args, number::humanize_timestamp));
    add("toDuration", |args| number_text(args, number::humanize_duration));
    add("title", |args| Ok(text(title(&string(args, 0)?))));
    add("toUpper", |args| Ok(text(string(args, 0)?.to_uppercase())));
    add("toLower", |args| Ok(text(string(args, 0)?.to_lowercase())));
    add("stripPort", |args| Ok(text(strip_port(&string(args, 0)?))));
    add("stripDomain", |args| Ok(text(strip_domain(&string(args, 0)?))));
    add("safeHtml", |args| Ok(text(string(args, 0)?)));
    add("urlQueryEscape", |args| Ok(text(query_escape(&string(args, 0)?))));
    add("match", |args| Ok(Value::Bool(regex(&string(args, 0)?)?.is_match(&string(args, 1)?))));
    add("reReplaceAll", |args| {
        let (pattern, by) = (regex(&string(args, 0)?)?, string(args, 1)?);
        Ok(text(pattern.replace_all(&string(args, 2)?, by.as_str())))
    });
    add("graphLink", |args| Ok(text(format!("/graph?g0.expr={}&g0.tab=0", query_escape(&string(args, 0)?)))));
    add("tableLink", |args| Ok(text(format!("/graph?g0.expr={}&g0.tab=1", query_escape(&string(args, 0)?)))));
    add("parseDuration", |args| {
        let span = Millis::parse(&string(args, 0)?).map_err(|error| fail(error.to_string()))?;
        Ok(Value::Float(span.as_seconds()))
    });
    add("args", numbered);
    add("first", first);
    add("label", |args| Ok(field(args.get(1), "Labels")?.field(&string(args, 0)?).cloned().unwrap_or(text(""))));
    add("value", |args| field(args.first(), "Value"));
    add("strvalue", |args| Ok(field(args.first(), "Labels")?.field("__value__").cloned().unwrap_or(text(""))));
    add("sortByLabel", sort_by_label);
    add("query", |_| Err(fail("query is not available in alert texts; put what it asks into the rule's expression")));
    add("now", |_| Err(fail("now is not available in alert texts; the alert carries its time as startsAt")));
    let url: Arc<str> = Arc::from(external_url);
    let path: Arc<str> = Arc::from(path_of(external_url));
    map.insert("externalURL".to_owned(), Arc::new(move |_: &[Value]| Ok(Value::String(url.clone()))));
    map.insert("pathPrefix".to_owned(), Arc::new(move |_: &[Value]| Ok(Value::String(path.clone()))));
    map
}

fn fail(message: impl Into<String>) -> TemplateError {
    TemplateError::Exec(message.into())
}

fn text(text: impl AsRef<str>) -> Value {
    Value::String(Arc::from(text.as_ref()))
}

/// An argument as text; an absent label is the empty text.
fn string(args: &[Value], at: usize) -> Result<String, TemplateError> {
    match args.get(at) {
        Some(Value::Nil) => Ok(String::new()),
        Some(value) => value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| fail(format!("a text is needed, this is {}", value.type_name()))),
        None => Err(fail("an argument is missing")),
    }
}

fn number_text(args: &[Value], format: fn(f64) -> String) -> Outcome {
    let value = args.first().ok_or_else(|| fail("an argument is missing"))?;
    let v = match value {
        Value::Float(v) => *v,
        Value::Int(v) => *v as f64,
        Value::Uint(v) => *v as f64,
        _ => {
            let text = string(args, 0)?;
            text.trim().parse().map_err(|_| fail(format!("{text:?} is not a number")))?
        }
    };
    Ok(text(format(v)))
}

fn regex(pattern: &str) -> Result<Regex, TemplateError> {
    Regex::new(pattern).map_err(|error| fail(format!("{pattern:?} is not a regular expression: {error}")))
}

fn title(text: &str) -> String {
    let mut inside_word = false;
    text.chars()
        .flat_map(|c| {
            let starts = c.is_alphabetic() && !inside_word;
            inside_word = c.is_alphanumeric() || c == '_' || c == '\'';
            if starts { c.to_uppercase().collect::<Vec<_>>() } else { vec![c] }
        })
        .collect()
}

/// `host:port` without the port; anything else as it is.
fn strip_port(text: &str) -> &str {
    if let Some(rest) = text.strip_prefix('[') {
        return match rest.split_once("]:") {
            Some((host, _)) => host,
            None => text,
        };
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => host,
        _ => text,
    }
}

/// The first part of a host name, its port kept; an address as it is.
fn strip_domain(text: &str) -> String {
    let host = strip_port(text);
    let port = &text[text.len().min(text.find(host).unwrap_or(0) + host.len())..];
    if host.parse::<std::net::IpAddr>().is_ok() || text.starts_with('[') {
        return text.to_owned();
    }
    format!("{}{port}", host.split('.').next().unwrap_or(host))
}

/// Escapes a text for the query part of a URL; a space becomes `+`.
fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| rest[at..].trim_end_matches('/'))
}

fn numbered(args: &[Value]) -> Outcome {
    let map: BTreeMap<Arc<str>, Value> =
        args.iter().enumerate().map(|(i, value)| (Arc::from(format!("arg{i}")), value.clone())).collect();
    Ok(Value::Map(Arc::new(map)))
}

fn first(args: &[Value]) -> Outcome {
    match args.first() {
        Some(Value::List(list)) => {
            list.first().cloned().ok_or_else(|| fail("first() called on vector with no elements"))
        }
        _ => Err(fail("first() needs a list")),
    }
}

fn field(value: Option<&Value>, name: &str) -> Outcome {
    value.and_then(|value| value.field(name)).cloned().ok_or_else(|| fail("an element of a query's result is needed"))
}

fn sort_by_label(args: &[Value]) -> Outcome {
    let name = string(args, 0)?;
    let Some(Value::List(list)) = args.get(1) else { return Err(fail("sortByLabel() needs a list")) };
    let mut sorted = list.to_vec();
    let key = |value: &Value| {
        value.field("Labels").and_then(|labels| labels.field(&name)).and_then(|v| v.as_str().map(str::to_owned))
    };
    sorted.sort_by_key(key);
    Ok(Value::List(Arc::from(sorted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_shortened() {
        let check = |text: &str, without_port: &str, without_domain: &str| {
            assert_eq!(strip_port(text), without_port, "{text}");
            assert_eq!(strip_domain(text), without_domain, "{text}");
        };
        check("web.example.org:80", "web.example.org", "web:80");
        check("web", "web", "web");
        check("10.0.0.1:80", "10.0.0.1", "10.0.0.1:80");
        check("[::1]:80", "::1", "[::1]:80");
        check("::1", "::1", "::1");
    }
}
