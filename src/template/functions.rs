//! The functions that Prometheus adds to Go's own.
//!
//! Invariants:
//! - Names, arguments, results and the texts of errors are those of Prometheus, as far as the values of the engine
//!   tell its types apart.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::Value;
use regex::Regex;

use crate::model::{Millis, search_regex};

use super::host::{path_of, query_escape, strip_domain, strip_port};
use super::number;
use super::resolve::{LABEL, METHOD, SHOWN};
use super::span::span_text;
use super::time;
use super::title::title;

/// Why a function gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The function says so.
    Call(String),
    /// It was not called: its arguments do not fit.
    Plain(String),
}

type Outcome = Result<Value, Fault>;

/// What functions know beside their arguments.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    /// Where this server is found from outside.
    pub(super) external_url: Arc<str>,
    /// The instant, in seconds since the epoch.
    pub(super) now: f64,
}

/// How many arguments each function takes; those that take any number have none.
const ARITIES: [(&str, Option<usize>); 29] = [
    ("query", Some(1)),
    ("first", Some(1)),
    ("label", Some(2)),
    ("value", Some(1)),
    ("strvalue", Some(1)),
    ("sortByLabel", Some(2)),
    ("humanize", Some(1)),
    ("humanize1024", Some(1)),
    ("humanizeDuration", Some(1)),
    ("humanizePercentage", Some(1)),
    ("humanizeTimestamp", Some(1)),
    ("toTime", Some(1)),
    ("toDuration", Some(1)),
    ("now", Some(0)),
    ("title", Some(1)),
    ("toUpper", Some(1)),
    ("toLower", Some(1)),
    ("stripPort", Some(1)),
    ("stripDomain", Some(1)),
    ("match", Some(2)),
    ("reReplaceAll", Some(3)),
    ("graphLink", Some(1)),
    ("tableLink", Some(1)),
    ("parseDuration", Some(1)),
    ("urlQueryEscape", Some(1)),
    ("args", None),
    ("safeHtml", Some(1)),
    ("externalURL", Some(0)),
    ("pathPrefix", Some(0)),
];

/// Whether a function of ours, or one that is given in place of Go's, has this name.
pub(super) fn is_function(name: &str) -> bool {
    matches!(name, "index" | "printf") || ARITIES.iter().any(|(known, _)| *known == name)
}

/// Calls a function; `query` is answered elsewhere.
pub(super) fn call(name: &str, args: &[Value], around: &Surroundings) -> Outcome {
    if let Some((_, Some(arity))) = ARITIES.iter().find(|(known, _)| *known == name)
        && *arity != args.len()
    {
        return Err(Fault::Plain(format!("wrong number of args for {name}: want {arity} got {}", args.len())));
    }
    match name {
        METHOD => match args {
            [name, of, rest @ ..] => time::method(name.as_str().unwrap_or_default(), of, rest),
            _ => Err(Fault::Plain("a method needs a value".to_owned())),
        },
        LABEL => label_of(args),
        SHOWN => Ok(args.first().map_or(Value::Nil, shown)),
        "index" => index(args),
        "printf" => printf(args),
        "first" => first(args),
        "label" => Ok(labels_of(args.get(1))?.field(&string(args, 0)?).cloned().unwrap_or(text(""))),
        "value" => sample(args.first()).map(|(_, value)| value.clone()),
        "strvalue" => Ok(labels_of(args.first())?.field("__value__").cloned().unwrap_or(text(""))),
        "sortByLabel" => sort_by_label(args),
        "args" => Ok(numbered(args)),
        "now" => Ok(Value::Float(around.now)),
        "externalURL" => Ok(text(&around.external_url)),
        "pathPrefix" => Ok(text(path_of(&around.external_url))),
        _ => of_number(name, args).or_else(|| of_text(name, args)).unwrap_or_else(|| {
            // Only a name that `is_function` does not know comes here.
            Err(Fault::Plain(format!("function {name:?} not defined")))
        }),
    }
}

/// The functions of one number.
fn of_number(name: &str, args: &[Value]) -> Option<Outcome> {
    let format: fn(f64) -> Result<String, String> = match name {
        "humanize" => |v| Ok(number::humanize(v)),
        "humanize1024" => |v| Ok(number::humanize_1024(v)),
        "humanizeDuration" => |v| Ok(number::humanize_duration(v)),
        "humanizePercentage" => |v| Ok(number::humanize_percentage(v)),
        "humanizeTimestamp" => |v| match v.is_finite() {
            true => time::to_time(v).map(time::time_text),
            false => Ok(number::four_digits(v)),
        },
        "toTime" => |v| time::to_time(v).map(time::time_text),
        "toDuration" => |v| time::to_span(v).map(span_text),
        _ => return None,
    };
    Some(float(args).and_then(|v| format(v).map(text).map_err(Fault::Call)))
}

/// The functions of texts.
fn of_text(name: &str, args: &[Value]) -> Option<Outcome> {
    let given = |at| string(args, at);
    let outcome = match name {
        "title" => given(0).map(|s| text(title(&s))),
        "toUpper" => given(0).map(|s| text(s.to_uppercase())),
        "toLower" => given(0).map(|s| text(s.to_lowercase())),
        "stripPort" => given(0).map(|s| text(strip_port(&s))),
        "stripDomain" => given(0).map(|s| text(strip_domain(&s))),
        "safeHtml" => given(0).map(text),
        "urlQueryEscape" => given(0).map(|s| text(query_escape(&s))),
        "graphLink" => given(0).map(|s| text(format!("/graph?g0.expr={}&g0.tab=0", query_escape(&s)))),
        "tableLink" => given(0).map(|s| text(format!("/graph?g0.expr={}&g0.tab=1", query_escape(&s)))),
        "parseDuration" => given(0).and_then(|s| parse_duration(&s)),
        "match" => matches_pattern(args),
        "reReplaceAll" => replace_all(args),
        _ => return None,
    };
    Some(outcome)
}

fn matches_pattern(args: &[Value]) -> Outcome {
    let (pattern, subject) = (string(args, 0)?, string(args, 1)?);
    Ok(Value::Bool(regex(&pattern).map_err(Fault::Call)?.is_match(&subject)))
}

fn replace_all(args: &[Value]) -> Outcome {
    let (pattern, by, subject) = (string(args, 0)?, string(args, 1)?, string(args, 2)?);
    let regex = regex(&pattern).map_err(|error| Fault::Call(format!("regexp: Compile(`{pattern}`): {error}")))?;
    Ok(text(regex.replace_all(&subject, by.as_str())))
}

fn regex(pattern: &str) -> Result<Regex, String> {
    search_regex(pattern).map_err(|error| format!("error parsing regexp: {}: `{pattern}`", error.reason()))
}

fn parse_duration(given: &str) -> Outcome {
    if given.is_empty() {
        return Err(Fault::Call("empty duration string".to_owned()));
    }
    let wrong = || Fault::Call(format!("not a valid duration string: {given:?}"));
    Ok(Value::Float(Millis::parse(given).map_err(|_| wrong())?.as_seconds()))
}

/// A text as a value.
pub(super) fn text(text: impl AsRef<str>) -> Value {
    Value::String(Arc::from(text.as_ref()))
}

/// An argument as text; nothing is the empty text.
pub(super) fn string(args: &[Value], at: usize) -> Result<String, Fault> {
    match args.get(at) {
        Some(Value::Nil) => Ok(String::new()),
        Some(value) => value
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| Fault::Plain(format!("wrong type for value; expected string; got {}", type_of(value)))),
        None => Err(Fault::Plain("missing argument".to_owned())),
    }
}

fn float(args: &[Value]) -> Result<f64, Fault> {
    match args.first() {
        Some(Value::Float(v)) => Ok(*v),
        Some(Value::Int(v)) => Ok(*v as f64),
        Some(Value::Uint(v)) => Ok(*v as f64),
        Some(Value::String(text)) => parse_float(text),
        Some(other) => Err(Fault::Call(format!("can't convert {} to float", type_of(other)))),
        None => Err(Fault::Plain("missing argument".to_owned())),
    }
}

fn parse_float(text: &str) -> Result<f64, Fault> {
    text.parse().map_err(|_| Fault::Call(format!("strconv.ParseFloat: parsing {text:?}: invalid syntax")))
}

/// The type's name in Go.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Nil => "<nil>",
        Value::List(_) => "template.queryResult",
        Value::Map(map) if map.contains_key("Labels") => "*template.sample",
        Value::Map(_) => "map[string]string",
        other => other.type_name(),
    }
}

fn numbered(args: &[Value]) -> Value {
    let map: BTreeMap<Arc<str>, Value> =
        args.iter().enumerate().map(|(i, value)| (Arc::from(format!("arg{i}")), value.clone())).collect();
    Value::Map(Arc::new(map))
}

fn first(args: &[Value]) -> Outcome {
    let list = list(args.first())?;
    list.first().cloned().ok_or_else(|| Fault::Call("first() called on vector with no elements".to_owned()))
}

fn list(value: Option<&Value>) -> Result<&[Value], Fault> {
    match value {
        Some(Value::List(list)) => Ok(list),
        other => {
            let got = other.map_or("<nil>", type_of);
            Err(Fault::Plain(format!("wrong type for value; expected template.queryResult; got {got}")))
        }
    }
}

/// The labels and the value of an element of a query's result.
fn sample(value: Option<&Value>) -> Result<(&Value, &Value), Fault> {
    let parts = value.and_then(|value| Some((value.field("Labels")?, value.field("Value")?)));
    parts.ok_or_else(|| {
        let got = value.map_or("<nil>", type_of);
        Fault::Plain(format!("wrong type for value; expected *template.sample; got {got}"))
    })
}

fn labels_of(value: Option<&Value>) -> Result<&Value, Fault> {
    sample(value).map(|(labels, _)| labels)
}

/// A label of labels, empty if it is absent.
fn label_of(args: &[Value]) -> Outcome {
    let [labels, name] = args else {
        return Err(Fault::Plain("can't give argument to non-function".to_owned()));
    };
    let name = name.as_str().unwrap_or_default();
    match labels {
        Value::Map(map) => Ok(map.get(name).cloned().unwrap_or_else(|| text(""))),
        Value::Nil => Err(Fault::Plain(format!("nil data; no entry for key {name:?}"))),
        other => Err(Fault::Plain(format!("can't evaluate field {name} in type {}", type_of(other)))),
    }
}

/// A value as it is printed: the engine writes large numbers in another way than Go.
fn shown(value: &Value) -> Value {
    match value {
        Value::Float(v) => text(number::shortest(*v)),
        other => other.clone(),
    }
}

/// Go's `printf`, with numbers after `%v` as Go prints them.
fn printf(args: &[Value]) -> Outcome {
    let Some((format, values)) = args.split_first() else {
        return Err(Fault::Plain("wrong number of args for printf: want at least 1 got 0".to_owned()));
    };
    let format_text = string(args, 0)?;
    let mut values = values.to_vec();
    let (mut at, mut rest) = (0, format_text.as_str());
    while let Some((_, after)) = rest.split_once('%') {
        let verb = after.trim_start_matches(|c: char| c.is_ascii_digit() || "+-# .".contains(c));
        let plain = verb.len() == after.len();
        match (verb.chars().next(), values.get_mut(at)) {
            (Some('*' | '[') | None, _) => break,
            (Some('%'), _) => {}
            (Some('v'), Some(value)) if plain => (*value, at) = (shown(value), at + 1),
            _ => at += 1,
        }
        rest = verb.get(verb.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default();
    }
    let all: Vec<Value> = [format.clone()].into_iter().chain(values).collect();
    engine_printf(&all).map_err(|error| Fault::Call(error_text(error)))
}

/// The engine's `printf`, which it hands out only through a template.
fn engine_printf(args: &[Value]) -> Result<Value, gotmpl::TemplateError> {
    let names = (0..args.len()).map(|n| format!(" (index . {n})")).collect::<String>();
    let template = gotmpl::Template::new("").parse(&format!("{{{{printf{names}}}}}"))?;
    Ok(text(template.execute_to_string(&Value::List(Arc::from(args)))?))
}

/// Go's `index`, for which an entry that a map of texts does not have is the empty text.
fn index(args: &[Value]) -> Outcome {
    let Some((of, keys)) = args.split_first() else {
        return Err(Fault::Plain("wrong number of args for index: want at least 1 got 0".to_owned()));
    };
    keys.iter().try_fold(of.clone(), |of, key| {
        let found = of.index(key).map_err(|error| Fault::Call(error_text(error)))?;
        let of_texts = matches!(&of, Value::Map(map) if map.values().all(|value| value.as_str().is_some()));
        Ok(if matches!(found, Value::Nil) && of_texts { text("") } else { found })
    })
}

/// What an error of the engine says, without its kind.
pub(super) fn error_text(error: gotmpl::TemplateError) -> String {
    match error {
        gotmpl::TemplateError::Exec(text) => text,
        other => other.to_string(),
    }
}

fn sort_by_label(args: &[Value]) -> Outcome {
    let name = string(args, 0)?;
    let mut sorted = list(args.get(1))?.to_vec();
    let key = |value: &Value| {
        let label = value.field("Labels").and_then(|labels| labels.field(&name));
        label.and_then(|label| label.as_str().map(str::to_owned)).unwrap_or_default()
    };
    sorted.sort_by_key(key);
    Ok(Value::List(Arc::from(sorted)))
}
