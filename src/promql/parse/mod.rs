//! Reads queries: lex, parse, check.
//!
//! Invariants:
//! - No text makes it panic or use up the stack: length and depth are bounded before recursion.
//! - What it returns is well typed.

mod check;
mod display;
mod duration;
mod expression;
mod fault;
mod lex;
mod number;
mod pretty;
mod selector;
mod text;
mod tokens;

use crate::model::Matcher;

use super::ast::Expr;

pub use fault::ParseError;
pub(super) use fault::line_and_column;
pub(super) use text::quote;

use fault::Fault;
use lex::TokenKind;
use tokens::Tokens;

/// Reads an expression and checks its types.
///
/// # Errors
/// The text is not a query of the language; the error says where and why.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    read(text).map_err(|fault| ParseError::new(text, fault))
}

fn read(text: &str) -> Result<Expr, Fault> {
    let tokens = lex::lex(text)?;
    if tokens.len() == 1 {
        return Err(Fault::new(tokens[0].span, "no expression found in input"));
    }
    let (rest, expr) = expression::whole(Tokens::new(&tokens)).map_err(fault_of)?;
    expect_end(rest)?;
    check::check(&expr)?;
    Ok(expr)
}

/// Reads a selector without modifiers, as the `match[]` parameters of the API have it.
///
/// # Errors
/// The text is not a selector; the error says where and why.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, ParseError> {
    let read = || {
        let tokens = lex::lex(text)?;
        let (rest, (_, matchers)) = selector::selector(Tokens::new(&tokens)).map_err(fault_of)?;
        expect_end(rest)?;
        selector::demand(&matchers, rest.since(0))?;
        Ok(matchers)
    };
    read().map_err(|fault| ParseError::new(text, fault))
}

fn expect_end(rest: Tokens<'_>) -> Result<(), Fault> {
    match rest.first().kind {
        TokenKind::End => Ok(()),
        _ => Err(Fault::new(rest.span(), format!("unexpected {}", rest.describe()))),
    }
}

fn fault_of(error: nom::Err<Fault>) -> Fault {
    match error {
        nom::Err::Error(fault) | nom::Err::Failure(fault) => fault,
        nom::Err::Incomplete(_) => Fault::new(Default::default(), "unexpected end of input"),
    }
}

#[cfg(test)]
mod tests;
