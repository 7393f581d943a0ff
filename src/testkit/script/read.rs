//! Reads the lines of a script: times, series, values, expectations.

use regex::Regex;

use super::native::{Literal, literal};
use super::{Eval, Expected, Notes, Point, STALE_NAN, Times, Values, parse, parse_selector};
use crate::model::{Labels, Millis, Timestamp, limits};
use crate::promql::ExprKind;

/// A series with the rest of its line, and whether the line holds start timestamps.
pub(in crate::testkit) fn series(line: &str) -> Result<(Labels, &str, bool), String> {
    let name = line.find(|c: char| c.is_whitespace() || matches!(c, '{' | '@')).unwrap_or(line.len());
    let mut end = name;
    if line[name..].starts_with('{') {
        let mut quote = None;
        let mut escaped = false;
        let close = line[name..].char_indices().find(|(_, c)| {
            match quote {
                Some(open) if !escaped && *c == open => quote = None,
                None if matches!(c, '"' | '\'' | '`') => quote = Some(*c),
                _ => {}
            }
            escaped = quote.is_some() && *c == '\\' && !escaped;
            quote.is_none() && *c == '}'
        });
        end = name + close.ok_or("the labels are not closed")?.0 + 1;
    }
    let (text, rest) = line.split_at(end);
    let start_times = rest.starts_with("@st");
    Ok((labels(text)?, rest.trim_start_matches("@st").trim(), start_times))
}

fn labels(text: &str) -> Result<Labels, String> {
    let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if bare == "{}" {
        return Ok(Labels::empty());
    }
    let matchers = parse_selector(text).map_err(|error| error.to_string())?;
    Labels::new(matchers.iter().map(|matcher| (matcher.name(), matcher.value()))).map_err(|error| error.to_string())
}

/// Values in the notation of `load`: `1 2`, `1x3`, `1+2x3`, `_`, `_x3`, `stale`, `{{count:1}}x3`.
pub(in crate::testkit) fn values(text: &str) -> Result<Vec<Option<Point>>, String> {
    let mut values = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, after) = next_word(rest)?;
        rest = after.trim_start();
        if word.starts_with("{{") {
            histograms(word, &mut values)?;
            continue;
        }
        let (form, times) = repeated(word)?;
        if form == "_" {
            values.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
            continue;
        }
        let (start, step) = match times.and_then(|_| sign_inside(form)) {
            Some(at) => (number(&form[..at])?, number(&form[at..])?),
            None => (number(form)?, 0.0),
        };
        let mut value = start;
        for _ in 0..=times.unwrap_or(0) {
            values.push(Some(Point::Number(value)));
            value += step;
        }
    }
    Ok(values)
}

/// Offsets in the notation of a line of start timestamps: `-1m`, `-1mx3`, `-1m-30sx3`, `_`, `_x3`.
pub(super) fn offsets(text: &str) -> Result<Vec<Option<Millis>>, String> {
    let mut offsets = Vec::new();
    for word in text.split_whitespace() {
        let (form, times) = repeated(word)?;
        if form == "_" {
            offsets.extend(std::iter::repeat_n(None, times.unwrap_or(1)));
            continue;
        }
        let signed = |text: &str| time(text.trim_start_matches('+')).map(|t| t.0);
        let (start, step) = match times.and_then(|_| sign_inside(form)) {
            Some(at) => (signed(&form[..at])?, signed(&form[at..])?),
            None => (signed(form)?, 0),
        };
        offsets.extend(
            (0..=times.unwrap_or(0) as i64).map(|n| Some(Millis(start.saturating_add(step.saturating_mul(n))))),
        );
    }
    Ok(offsets)
}

/// The first word and what comes after it; there may be spaces inside of double braces.
fn next_word(text: &str) -> Result<(&str, &str), String> {
    let mut end = 0;
    loop {
        let rest = &text[end..];
        let stop = rest.find(char::is_whitespace).unwrap_or(rest.len());
        match rest.find("{{").filter(|open| *open < stop) {
            Some(open) => end += open + rest[open..].find("}}").ok_or("a histogram is not closed")? + 2,
            None => return Ok(text.split_at(end + stop)),
        }
    }
}

/// A word's form and how often it is repeated, if it says so.
fn repeated(word: &str) -> Result<(&str, Option<usize>), String> {
    match word.rsplit_once('x') {
        Some((form, times)) => {
            let times: usize = times.parse().map_err(|_| format!("bad value {word:?}"))?;
            if times > limits::SCRIPT_REPEATS_MAX {
                let most = limits::SCRIPT_REPEATS_MAX;
                return Err(format!("{word:?} is more than {most} values; write fewer"));
            }
            Ok((form, Some(times)))
        }
        None => Ok((word, None)),
    }
}

/// A sign after the first character that is not an exponent's parts start and step.
fn sign_inside(form: &str) -> Option<usize> {
    let bytes = form.as_bytes();
    (1..bytes.len()).find(|&i| matches!(bytes[i], b'+' | b'-') && !bytes[i - 1].eq_ignore_ascii_case(&b'e'))
}

/// Histograms in the notation `{{…}}`, `{{…}}x3`, `{{…}}+{{…}}x3`, `{{…}}-{{…}}x3`.
fn histograms(word: &str, values: &mut Vec<Option<Point>>) -> Result<(), String> {
    let bad = || format!("bad histogram {word:?}");
    let inside = |text: &'_ str| -> Result<(Literal, usize), String> {
        let end = text.find("}}").ok_or_else(bad)?;
        Ok((literal(text.get(2..end).ok_or_else(bad)?)?, end + 2))
    };
    let (base, end) = inside(word)?;
    let mut rest = &word[end..];
    let mut step = None;
    if let Some(sign) = rest.chars().next().filter(|c| matches!(c, '+' | '-')) {
        let (increase, end) = inside(&rest[1..])?;
        rest = &rest[1 + end..];
        if base.histogram.schema > increase.histogram.schema {
            let (from, to) = (increase.histogram.schema, base.histogram.schema);
            return Err(format!("error combining histograms: cannot merge from schema {from} to {to}"));
        }
        step = Some((sign, increase.histogram));
    }
    let times: usize = match rest.strip_prefix('x') {
        Some(times) => times.parse().ok().filter(|times| *times <= limits::SCRIPT_REPEATS_MAX).ok_or_else(bad)?,
        None if rest.is_empty() && step.is_none() => 0,
        None => return Err(bad()),
    };
    let mut current = base;
    for n in 0..=times {
        values.push(Some(Point::Histogram(Box::new(current.clone()))));
        if let Some((sign, step)) = step.as_ref().filter(|_| n < times) {
            let one = &current.histogram;
            let next = if *sign == '+' { one.plus(step) } else { one.minus(step) };
            current.histogram = next.map_err(|_| "exponential and custom buckets do not add up")?.histogram;
        }
    }
    Ok(())
}

fn number(text: &str) -> Result<f64, String> {
    if text == "stale" {
        return Ok(f64::from_bits(STALE_NAN));
    }
    text.parse().map_err(|_| format!("bad value {text:?}"))
}

fn time(text: &str) -> Result<Timestamp, String> {
    let text = text.trim();
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let ms = match digits.parse::<f64>() {
        Ok(seconds) => (seconds * 1000.0).round() as i64,
        Err(_) => Millis::parse(digits).map_err(|error| error.to_string())?.0,
    };
    Ok(Timestamp(if negative { -ms } else { ms }))
}

/// The part of `text` before the first `separator` and the part after it.
fn cut<'a>(text: &'a str, separator: &str) -> Result<(&'a str, &'a str), String> {
    text.split_once(separator).ok_or_else(|| format!("{:?} is missing", separator.trim()))
}

pub(super) fn read_eval(head: &str, body: &[&str]) -> Result<Eval, String> {
    let (command, rest) = head.split_once(char::is_whitespace).ok_or("the kind of evaluation is missing")?;
    let rest = rest.trim_start();
    let (times, query) = if let Some(rest) = rest.strip_prefix("instant") {
        match rest.trim_start().strip_prefix("at ") {
            Some(rest) => {
                let (at, query) = cut(rest.trim_start(), " ")?;
                (Times::Instant(time(at)?), query)
            }
            None => (Times::Instant(Timestamp(0)), rest),
        }
    } else {
        let rest = rest.strip_prefix("range").ok_or("instant or range expected")?;
        let (start, rest) = cut(rest.trim_start().strip_prefix("from ").ok_or("from is missing")?, " to ")?;
        let (end, rest) = cut(rest, " step ")?;
        let (step, query) = cut(rest.trim_start(), " ")?;
        (Times::Range(time(start)?, time(end)?, Millis(time(step)?.0)), query)
    };
    let mut eval = Eval {
        query: query.trim().to_owned(),
        times,
        ordered: command == "eval_ordered",
        fail: (command == "eval_fail").then_some(None),
        warnings: Notes::default(),
        infos: Notes::default(),
        values: Values::Series(Vec::new()),
    };
    match command {
        "eval_warn" => eval.warnings.expected.push(None),
        "eval_info" => eval.infos.expected.push(None),
        _ => {}
    }
    for line in body {
        expectation(&mut eval, line)?;
    }
    Ok(eval)
}

fn expectation(eval: &mut Eval, line: &str) -> Result<(), String> {
    let Some(rest) = line.strip_prefix("expect ").or_else(|| line.strip_prefix("expected_fail_")) else {
        return value_line(eval, line);
    };
    let rest = rest.trim();
    let (word, tail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    match word {
        "ordered" => eval.ordered = true,
        "fail" => eval.fail = Some(matcher(tail)?),
        "message" => eval.fail = Some(Some(Expected::Text(tail.to_owned()))),
        "regexp" => eval.fail = Some(Some(pattern(tail)?)),
        "warn" => eval.warnings.expected.push(matcher(tail)?),
        "info" => eval.infos.expected.push(matcher(tail)?),
        "no_warn" => eval.warnings.none = true,
        "no_info" => eval.infos.none = true,
        "string" => {
            let text = parse(tail).map_err(|error| error.to_string())?;
            let ExprKind::String(text) = text.kind else { return Err("a string expected".to_owned()) };
            eval.values = Values::Text(text);
        }
        "range" => {
            let rest = tail.trim_start().strip_prefix("vector from ").ok_or("vector from is missing")?;
            let (start, rest) = cut(rest, " to ")?;
            let (_, step) = cut(rest, " step ")?;
            eval.values = Values::Matrix(Vec::new(), time(start)?, Millis(time(step)?.0));
        }
        _ => return Err(format!("invalid expectation {line:?}")),
    }
    Ok(())
}

fn matcher(text: &str) -> Result<Option<Expected>, String> {
    let text = text.trim();
    match (text.strip_prefix("msg:"), text.strip_prefix("regex:")) {
        (Some(text), _) => Ok(Some(Expected::Text(text.trim().to_owned()))),
        (_, Some(text)) => pattern(text.trim()).map(Some),
        _ if text.is_empty() => Ok(None),
        _ => Err(format!("invalid matcher {text:?}")),
    }
}

fn pattern(text: &str) -> Result<Expected, String> {
    Regex::new(text).map(Expected::Pattern).map_err(|error| error.to_string())
}

fn value_line(eval: &mut Eval, line: &str) -> Result<(), String> {
    if let (Ok(value), Times::Instant(_)) = (number(line), eval.times) {
        eval.values = Values::Scalar(value);
        return Ok(());
    }
    let (labels, rest, _) = series(line)?;
    let values = values(rest)?;
    match &mut eval.values {
        Values::Series(series) | Values::Matrix(series, ..) => series.push((labels, values)),
        Values::Scalar(_) | Values::Text(_) => return Err(format!("unexpected line {line:?}")),
    }
    Ok(())
}
