//! Durations in brackets and after `offset`: literals, numbers of seconds, and arithmetic on them.
//!
//! Invariants:
//! - What is constant is computed here, so that its mistakes are found with their place; what
//!   depends on the query's step or range is left as arithmetic, and its value as zero.
//! - The height of the arithmetic is bounded, however it was written.

use super::lex::{Sign, TokenKind};
use super::tokens::{Parsed, Tokens, any, refuse, sign, too_deep};
use crate::model::{Millis, limits};
use crate::promql::ast::{BinaryOp, DurationExpr, Span};
use crate::promql::durations::{DurationFault, arithmetic, millis_of_arithmetic, millis_of_literal};

/// A duration and, if it is more than a literal, how it was written.
pub(super) struct Length {
    /// Its value; zero while it depends on the query.
    pub(super) millis: Millis,
    /// The arithmetic.
    pub(super) written: Option<DurationExpr>,
}

/// A part of the arithmetic.
struct Part {
    expr: DurationExpr,
    /// Its seconds, if it is constant.
    value: Option<f64>,
    height: usize,
}

impl Part {
    fn leaf(expr: DurationExpr, value: Option<f64>) -> Part {
        Part { expr, value, height: 1 }
    }

    fn is_literal(&self) -> bool {
        matches!(self.expr, DurationExpr::Seconds(_) | DurationExpr::Literal(_))
    }

    fn above(expr: DurationExpr, value: Option<f64>, below: usize, span: Span) -> Result<Part, nom::Err<super::Fault>> {
        if below >= limits::QUERY_DEPTH_MAX {
            return Err(nom::Err::Failure(too_deep(span)));
        }
        Ok(Part { expr, value, height: below + 1 })
    }
}

/// A duration of brackets, more than zero.
pub(super) fn positive(input: Tokens<'_>) -> Parsed<'_, Length> {
    let start = input.span().start;
    let (rest, part) = sum(input)?;
    let span = rest.since(start);
    if part.value.is_some_and(|seconds| seconds.is_nan() || seconds <= 0.0) {
        return refuse(span, "duration must be greater than 0");
    }
    Ok((rest, length(part, span)?))
}

/// A duration after `offset`: signed; arithmetic only in parentheses, so that `offset 5m + 2`
/// adds to the vector.
pub(super) fn offset(input: Tokens<'_>) -> Parsed<'_, Length> {
    let start = input.span().start;
    let (rest, part) = match sign_of(input) {
        Some(negative) => {
            let start = input.span().start;
            let (rest, part) = atom(any(input)?.0)?;
            (rest, signed_part(part, negative, rest.since(start))?)
        }
        None => atom(input)?,
    };
    Ok((rest, length(part, rest.since(start))?))
}

fn length(part: Part, span: Span) -> Result<Length, nom::Err<super::Fault>> {
    let literal = part.is_literal();
    let millis = match part.value {
        None => Ok(Millis::ZERO),
        Some(seconds) if literal => millis_of_literal(seconds),
        Some(seconds) => millis_of_arithmetic(seconds),
    };
    match millis {
        Ok(millis) => Ok(Length { millis, written: (!literal).then_some(part.expr) }),
        Err(fault) => refuse(span, fault.as_str()),
    }
}

fn sign_of(input: Tokens<'_>) -> Option<bool> {
    match input.first().kind {
        TokenKind::Sign(Sign::Sub) => Some(true),
        TokenKind::Sign(Sign::Add) => Some(false),
        _ => None,
    }
}

fn signed_part(part: Part, negative: bool, span: Span) -> Result<Part, nom::Err<super::Fault>> {
    if !negative {
        return Ok(part);
    }
    let Part { expr, value, height } = part;
    let value = value.map(|value| -value);
    match expr {
        DurationExpr::Seconds(seconds) => Ok(Part::leaf(DurationExpr::Seconds(-seconds), value)),
        DurationExpr::Literal(Millis(ms)) => Ok(Part::leaf(DurationExpr::Literal(Millis(-ms)), value)),
        expr => Part::above(DurationExpr::Negated(Box::new(expr)), value, height, span),
    }
}

/// An operand with any number of signs before it; they bind less tightly than `^`.
fn signed(input: Tokens<'_>) -> Parsed<'_, Part> {
    let Some(negative) = sign_of(input) else { return power(input) };
    let start = input.span().start;
    let (rest, _) = any(input.deeper()?)?;
    let (rest, part) = signed(rest)?;
    let part = signed_part(part, negative, rest.since(start))?;
    Ok((rest.level_of(input), part))
}

fn sum(input: Tokens<'_>) -> Parsed<'_, Part> {
    let ops = |sign| match sign {
        Sign::Add => Some(BinaryOp::Add),
        Sign::Sub => Some(BinaryOp::Sub),
        _ => None,
    };
    let (rest, part) = chain(product, ops, input.deeper()?)?;
    Ok((rest.level_of(input), part))
}

fn product(input: Tokens<'_>) -> Parsed<'_, Part> {
    let ops = |sign| match sign {
        Sign::Mul => Some(BinaryOp::Mul),
        Sign::Div => Some(BinaryOp::Div),
        Sign::Mod => Some(BinaryOp::Mod),
        _ => None,
    };
    chain(signed, ops, input)
}

/// Left-associative operators of one precedence.
fn chain<'a>(
    operand: impl Fn(Tokens<'a>) -> Parsed<'a, Part>,
    op_of: impl Fn(Sign) -> Option<BinaryOp>,
    input: Tokens<'a>,
) -> Parsed<'a, Part> {
    let start = input.span().start;
    let (mut rest, mut left) = operand(input)?;
    loop {
        let TokenKind::Sign(sign) = rest.first().kind else { return Ok((rest, left)) };
        let Some(op) = op_of(sign) else { return Ok((rest, left)) };
        let (after, token) = any(rest)?;
        let (after, right) = operand(after)?;
        left = binary(op, left, right, (token.span, after.since(start)))?;
        rest = after;
    }
}

/// `left op right`; the spans are those of the operator and of the whole.
fn binary(op: BinaryOp, left: Part, right: Part, spans: (Span, Span)) -> Result<Part, nom::Err<super::Fault>> {
    if right.value == Some(0.0)
        && let Some(fault) = DurationFault::of_zero(op)
    {
        return refuse(spans.0, fault.as_str());
    }
    let value = left.value.zip(right.value).map(|(l, r)| arithmetic(op, l, r));
    let below = left.height.max(right.height);
    Part::above(DurationExpr::Binary(op, Box::new(left.expr), Box::new(right.expr)), value, below, spans.1)
}

fn power(input: Tokens<'_>) -> Parsed<'_, Part> {
    let start = input.span().start;
    let (rest, base) = atom(input)?;
    match rest.first().kind {
        TokenKind::Sign(Sign::Pow) => {
            let (after, token) = any(rest)?;
            let (after, exponent) = signed(after.deeper()?)?;
            let part = binary(BinaryOp::Pow, base, exponent, (token.span, after.since(start)))?;
            Ok((after.level_of(rest), part))
        }
        _ => Ok((rest, base)),
    }
}

fn atom(input: Tokens<'_>) -> Parsed<'_, Part> {
    match &input.first().kind {
        TokenKind::Number(value) => Ok((any(input)?.0, Part::leaf(DurationExpr::Seconds(*value), Some(*value)))),
        TokenKind::Duration(millis) => {
            Ok((any(input)?.0, Part::leaf(DurationExpr::Literal(*millis), Some(millis.as_seconds()))))
        }
        TokenKind::Sign(Sign::LeftParen) => paren(input),
        TokenKind::Ident(word) => function(input, word),
        _ => input.fail("in duration, expected a duration such as 5m"),
    }
}

fn paren(input: Tokens<'_>) -> Parsed<'_, Part> {
    let start = input.span().start;
    let (rest, part) = sum(any(input)?.0)?;
    let (rest, _) = close(rest)?;
    if part.is_literal() || matches!(part.expr, DurationExpr::Paren(_)) {
        return Ok((rest, part));
    }
    let Part { expr, value, height } = part;
    let part = Part::above(DurationExpr::Paren(Box::new(expr)), value, height, rest.since(start))?;
    Ok((rest, part))
}

fn close(input: Tokens<'_>) -> Parsed<'_, Span> {
    match input.first().kind {
        TokenKind::Sign(Sign::RightParen) => any(input).map(|(rest, token)| (rest, token.span)),
        _ => input.fail("in duration, expected \")\""),
    }
}

/// `step()`, `range()`, `min_of(a, b)`, `max_of(a, b)`, in whatever case.
fn function<'a>(input: Tokens<'a>, word: &str) -> Parsed<'a, Part> {
    let start = input.span().start;
    let word = word.to_ascii_lowercase();
    if !matches!(word.as_str(), "step" | "range" | "min_of" | "max_of") {
        return input.fail("in duration, expected a duration such as 5m");
    }
    let (rest, _) = any(input)?;
    let open = || match rest.first().kind {
        TokenKind::Sign(Sign::LeftParen) => any(rest),
        _ => rest.fail("in duration, expected \"(\""),
    };
    let (rest, _) = open()?;
    if word == "step" || word == "range" {
        let (rest, _) = close(rest)?;
        let expr = if word == "step" { DurationExpr::Step } else { DurationExpr::Range };
        return Ok((rest, Part::leaf(expr, None)));
    }
    let (rest, left) = sum(rest)?;
    let (rest, _) = sign(Sign::Comma, "in duration")(rest).map_err(settled)?;
    let (rest, right) = sum(rest)?;
    let (rest, _) = close(rest)?;
    let below = left.height.max(right.height);
    let values = left.value.zip(right.value);
    let (left, right) = (Box::new(left.expr), Box::new(right.expr));
    let (expr, value) = match word.as_str() {
        "min_of" => (DurationExpr::Min(left, right), values.map(|(l, r)| crate::promql::durations::least(l, r))),
        _ => (DurationExpr::Max(left, right), values.map(|(l, r)| crate::promql::durations::most(l, r))),
    };
    let part = Part::above(expr, value, below, rest.since(start))?;
    Ok((rest, part))
}

/// No other way of reading is left.
fn settled(error: nom::Err<super::Fault>) -> nom::Err<super::Fault> {
    match error {
        nom::Err::Error(fault) => nom::Err::Failure(fault),
        other => other,
    }
}
