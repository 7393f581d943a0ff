//! Selectors: a metric's name, matchers in braces, quoted UTF-8 names.

use nom::Parser;
use nom::branch::alt;
use nom::combinator::opt;
use nom::multi::separated_list1;
use nom::sequence::{delimited, terminated};

use super::fault::Fault;
use super::lex::{Sign, TokenKind};
use super::text::quote;
use super::tokens::{Parsed, Tokens, any, refuse, sign};
use crate::model::{Labels, MatchOp, Matcher};
use crate::promql::ast::Span;

/// The name of a metric or label as an identifier.
pub(super) fn ident(input: Tokens<'_>) -> Parsed<'_, String> {
    match &input.first().kind {
        TokenKind::Ident(name) => Ok((any(input)?.0, name.clone())),
        _ => input.miss("here, expected an identifier"),
    }
}

/// A quoted text.
pub(super) fn string(input: Tokens<'_>) -> Parsed<'_, String> {
    match &input.first().kind {
        TokenKind::Text(text) => Ok((any(input)?.0, text.clone())),
        _ => input.miss("here, expected a string"),
    }
}

/// A metric's name before the braces, and all conditions, that name first.
pub(super) type Conditions = (Option<String>, Vec<Matcher>);

/// A selector without its modifiers: `name{…}`, `name`, `{…}`. That some condition demands a value
/// is checked later: the second argument of `info` need not.
pub(super) fn selector(input: Tokens<'_>) -> Parsed<'_, Conditions> {
    let start = input.span().start;
    let (rest, name) = opt(ident).parse(input)?;
    let (rest, braces) = match name {
        Some(_) => opt(braces).parse(rest)?,
        None => braces(rest).map(|(rest, matchers)| (rest, Some(matchers)))?,
    };
    let matchers = join(name.as_deref(), braces.unwrap_or_default(), rest.since(start))?;
    Ok((rest, (name, matchers)))
}

/// What may stand between braces: a condition, or a quoted metric name.
enum Part {
    Name(String),
    Matcher(Matcher),
}

fn braces(input: Tokens<'_>) -> Parsed<'_, Vec<Part>> {
    let comma = || sign(Sign::Comma, "in label matching");
    // A comma may end the list but not be all of it.
    let list = opt(terminated(separated_list1(comma(), part), opt(comma()))).map(Option::unwrap_or_default);
    delimited(sign(Sign::LeftBrace, "here"), list, close).parse(input)
}

fn close(input: Tokens<'_>) -> Parsed<'_, ()> {
    match input.first().kind {
        TokenKind::Sign(Sign::RightBrace) => any(input).map(|(rest, _)| (rest, ())),
        _ => input.fail("in label matching, expected \",\" or \"}\""),
    }
}

fn part(input: Tokens<'_>) -> Parsed<'_, Part> {
    let quoted = matches!(input.first().kind, TokenKind::Text(_));
    let (rest, name) = alt((ident, string)).parse(input)?;
    if quoted && matches!(rest.first().kind, TokenKind::Sign(Sign::Comma | Sign::RightBrace)) {
        return Ok((rest, Part::Name(name)));
    }
    let op = match rest.first().kind {
        TokenKind::Sign(Sign::Equal) => MatchOp::Equal,
        TokenKind::Sign(Sign::NotEqual) => MatchOp::NotEqual,
        TokenKind::Sign(Sign::Match) => MatchOp::Match,
        TokenKind::Sign(Sign::NotMatch) => MatchOp::NotMatch,
        _ => return rest.fail("in label matching, expected one of =, !=, =~, !~"),
    };
    let (rest, _) = any(rest)?;
    let value_span = rest.span();
    let TokenKind::Text(value) = &rest.first().kind else {
        return rest.fail("in label matching, expected a string");
    };
    let (rest, _) = any(rest)?;
    match Matcher::new(&name, op, value) {
        Ok(matcher) => Ok((rest, Part::Matcher(matcher))),
        Err(error) => refuse(value_span, error.to_string()),
    }
}

/// Puts the metric's name first and checks the whole.
fn join(outer: Option<&str>, parts: Vec<Part>, span: Span) -> Result<Vec<Matcher>, nom::Err<Fault>> {
    let mut matchers = Vec::with_capacity(parts.len() + 1);
    // Inside the braces a name is one more condition, and there may be several.
    matchers.extend(parts.into_iter().map(|part| match part {
        Part::Name(name) => Matcher::equal(Labels::METRIC_NAME, &name),
        Part::Matcher(matcher) => matcher,
    }));
    let is_name = |matcher: &Matcher| matcher.name() == Labels::METRIC_NAME;
    if let Some(name) = outer {
        if let Some(second) = matchers.iter().find(|matcher| is_name(matcher)) {
            return twice(span, name, second.value());
        }
        matchers.insert(0, Matcher::equal(Labels::METRIC_NAME, name));
    }
    Ok(matchers)
}

/// Refuses a selector that anything satisfies.
pub(super) fn demand(matchers: &[Matcher], span: Span) -> Result<(), Fault> {
    if matchers.iter().all(|matcher| matcher.matches("")) {
        let fault = Fault::new(span, "vector selector must contain at least one non-empty matcher");
        return Err(fault.hint("name the metric, or a label that must have a value"));
    }
    Ok(())
}

fn twice<T>(span: Span, first: &str, second: &str) -> Result<T, nom::Err<Fault>> {
    refuse(span, format!("metric name must not be set twice: {} or {}", quote(first), quote(second)))
}
