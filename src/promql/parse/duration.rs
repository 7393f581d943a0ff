//! Durations in brackets and after `offset`: literals, numbers of seconds, and arithmetic on them.

use nom::Parser;
use nom::branch::alt;
use nom::sequence::delimited;

use super::lex::{Sign, TokenKind};
use super::tokens::{Parsed, Tokens, any, refuse, sign};
use crate::model::Millis;
use crate::promql::ast::Span;

/// A duration of brackets: an arithmetic expression over constants, more than zero.
pub(super) fn positive(input: Tokens<'_>) -> Parsed<'_, Millis> {
    let start = input.span().start;
    let (rest, seconds) = sum(input)?;
    let span = rest.since(start);
    if seconds.is_nan() || seconds <= 0.0 {
        return refuse(span, "duration must be greater than 0");
    }
    Ok((rest, millis(seconds, span)?))
}

/// A duration after `offset`: signed; arithmetic only in parentheses, so that `offset 5m + 2`
/// adds to the vector.
pub(super) fn offset(input: Tokens<'_>) -> Parsed<'_, Millis> {
    let start = input.span().start;
    let (rest, seconds) = signed(atom, input)?;
    Ok((rest, millis(seconds, rest.since(start))?))
}

fn millis(seconds: f64, span: Span) -> Result<Millis, nom::Err<super::fault::Fault>> {
    let ms = (seconds * 1000.0).round();
    // Prometheus holds durations in nanoseconds of 64 bits: 292 years.
    if ms.is_nan() || ms.abs() > 9_223_372_036_854.0 {
        return refuse(span, "duration out of range");
    }
    Ok(Millis(ms as i64))
}

fn signed<'a>(operand: impl Fn(Tokens<'a>) -> Parsed<'a, f64>, input: Tokens<'a>) -> Parsed<'a, f64> {
    match input.first().kind {
        TokenKind::Sign(Sign::Sub) => {
            let (rest, _) = any(input)?;
            operand(rest).map(|(rest, value)| (rest, -value))
        }
        TokenKind::Sign(Sign::Add) => operand(any(input)?.0),
        _ => operand(input),
    }
}

fn sum(input: Tokens<'_>) -> Parsed<'_, f64> {
    let (rest, value) = chain(product, &[Sign::Add, Sign::Sub], input.deeper()?)?;
    Ok((rest.level_of(input), value))
}

fn product(input: Tokens<'_>) -> Parsed<'_, f64> {
    chain(|input| signed(power, input), &[Sign::Mul, Sign::Div, Sign::Mod], input)
}

/// Left-associative operators of one precedence.
fn chain<'a>(operand: impl Fn(Tokens<'a>) -> Parsed<'a, f64>, signs: &[Sign], input: Tokens<'a>) -> Parsed<'a, f64> {
    let (mut rest, mut value) = operand(input)?;
    loop {
        let op = match rest.first().kind {
            TokenKind::Sign(sign) if signs.contains(&sign) => sign,
            _ => return Ok((rest, value)),
        };
        let (after, token) = any(rest)?;
        let (after, right) = operand(after)?;
        value = match op {
            Sign::Add => value + right,
            Sign::Sub => value - right,
            Sign::Mul => value * right,
            Sign::Div if right == 0.0 => return refuse(token.span, "division by zero"),
            Sign::Div => value / right,
            _ if right == 0.0 => return refuse(token.span, "modulo by zero"),
            _ => value % right,
        };
        rest = after;
    }
}

fn power(input: Tokens<'_>) -> Parsed<'_, f64> {
    let (rest, base) = atom(input)?;
    match rest.first().kind {
        TokenKind::Sign(Sign::Pow) => {
            let (after, _) = any(rest)?;
            let (after, exponent) = signed(power, after.deeper()?)?;
            Ok((after.level_of(rest), base.powf(exponent)))
        }
        _ => Ok((rest, base)),
    }
}

fn atom(input: Tokens<'_>) -> Parsed<'_, f64> {
    let group = delimited(sign(Sign::LeftParen, "here"), sum, sign(Sign::RightParen, "in duration"));
    alt((literal, group)).parse(input)
}

fn literal(input: Tokens<'_>) -> Parsed<'_, f64> {
    let value = match input.first().kind {
        TokenKind::Number(value) => value,
        TokenKind::Duration(duration) => duration.as_seconds(),
        _ => return input.miss("in duration, expected a duration such as 5m"),
    };
    Ok((any(input)?.0, value))
}
