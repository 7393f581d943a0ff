//! The slice of tokens that nom's combinators work on, with the small parsers for single tokens.

use nom::{IResult, Input, Needed};

use super::fault::Fault;
use super::lex::{Sign, Token, TokenKind};
use crate::model::limits;
use crate::promql::ast::Span;

/// The tokens that are left, and how deep the grammar stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tokens<'a> {
    rest: &'a [Token],
    /// The end of the last token that was taken.
    last_end: usize,
    depth: usize,
}

/// What a parser of the grammar gives.
pub(super) type Parsed<'a, T> = IResult<Tokens<'a>, T, Fault>;

/// The token that stands where nothing is left; the lexer always ends with one like it.
const END: Token = Token { kind: TokenKind::End, span: Span { start: usize::MAX, end: usize::MAX } };

impl<'a> Tokens<'a> {
    pub(super) fn new(tokens: &'a [Token]) -> Tokens<'a> {
        Tokens { rest: tokens, last_end: 0, depth: 0 }
    }

    pub(super) fn first(&self) -> &'a Token {
        self.rest.first().unwrap_or(&END)
    }

    pub(super) fn second(&self) -> &'a Token {
        self.rest.get(1).unwrap_or(&END)
    }

    /// The place of the next token.
    pub(super) fn span(&self) -> Span {
        self.first().span
    }

    /// How an error names the next token.
    pub(super) fn describe(&self) -> String {
        self.first().kind.describe()
    }

    /// The span from `start` to the end of the last token that was taken.
    pub(super) fn since(&self, start: usize) -> Span {
        Span { start, end: self.last_end }
    }

    /// One level deeper in the grammar.
    pub(super) fn deeper(self) -> Result<Tokens<'a>, nom::Err<Fault>> {
        if self.depth >= limits::QUERY_DEPTH_MAX {
            return Err(nom::Err::Failure(too_deep(self.span())));
        }
        Ok(Tokens { depth: self.depth + 1, ..self })
    }

    /// Back at the level of `outer`.
    pub(super) fn level_of(self, outer: Tokens<'a>) -> Tokens<'a> {
        Tokens { depth: outer.depth, ..self }
    }

    /// An error at the next token that ends the parse: no other way can work.
    pub(super) fn fail<T>(self, expected: &str) -> Parsed<'a, T> {
        Err(nom::Err::Failure(self.fault(expected)))
    }

    /// An error at the next token, after which another way may be tried.
    pub(super) fn miss<T>(self, expected: &str) -> Parsed<'a, T> {
        Err(nom::Err::Error(self.fault(expected)))
    }

    fn fault(self, expected: &str) -> Fault {
        Fault::new(self.span(), format!("unexpected {} {expected}", self.describe()))
    }
}

pub(super) fn too_deep(span: Span) -> Fault {
    let message = format!("the query is nested deeper than {} levels", limits::QUERY_DEPTH_MAX);
    Fault::new(span, message).hint("split it with recording rules")
}

/// An error that no other way of reading can mend.
pub(super) fn refuse<T>(span: Span, message: impl Into<String>) -> Result<T, nom::Err<Fault>> {
    Err(nom::Err::Failure(Fault::new(span, message)))
}

/// Takes the next token, whatever it is.
pub(super) fn any(input: Tokens<'_>) -> Parsed<'_, &Token> {
    let token = input.first();
    match input.rest.split_first() {
        Some((_, rest)) if token.kind != TokenKind::End => {
            Ok((Tokens { rest, last_end: token.span.end, depth: input.depth }, token))
        }
        _ => input.miss("here"),
    }
}

/// Takes this sign; `context` ends the sentence of the error.
pub(super) fn sign<'a>(wanted: Sign, context: &'static str) -> impl Fn(Tokens<'a>) -> Parsed<'a, Span> {
    move |input| match &input.first().kind {
        TokenKind::Sign(found) if *found == wanted => any(input).map(|(rest, token)| (rest, token.span)),
        _ => input.miss(&format!("{context}, expected \"{}\"", wanted.as_str())),
    }
}

/// Takes this keyword, in whatever case it is written.
pub(super) fn keyword<'a>(wanted: &'static str) -> impl Fn(Tokens<'a>) -> Parsed<'a, Span> {
    move |input| match &input.first().kind {
        TokenKind::Ident(found) if found.eq_ignore_ascii_case(wanted) => {
            any(input).map(|(rest, token)| (rest, token.span))
        }
        _ => input.miss(&format!("here, expected \"{wanted}\"")),
    }
}

impl<'a> Input for Tokens<'a> {
    type Item = &'a Token;
    type Iter = std::slice::Iter<'a, Token>;
    type IterIndices = std::iter::Enumerate<std::slice::Iter<'a, Token>>;

    fn input_len(&self) -> usize {
        self.rest.len()
    }

    fn take(&self, index: usize) -> Self {
        Tokens { rest: &self.rest[..index], ..*self }
    }

    fn take_from(&self, index: usize) -> Self {
        let last_end = index.checked_sub(1).map_or(self.last_end, |last| self.rest[last].span.end);
        Tokens { rest: &self.rest[index..], last_end, depth: self.depth }
    }

    fn take_split(&self, index: usize) -> (Self, Self) {
        (self.take_from(index), self.take(index))
    }

    fn position<P: Fn(Self::Item) -> bool>(&self, predicate: P) -> Option<usize> {
        self.rest.iter().position(predicate)
    }

    fn iter_elements(&self) -> Self::Iter {
        self.rest.iter()
    }

    fn iter_indices(&self) -> Self::IterIndices {
        self.rest.iter().enumerate()
    }

    fn slice_index(&self, count: usize) -> Result<usize, Needed> {
        if self.rest.len() >= count { Ok(count) } else { Err(Needed::new(count - self.rest.len())) }
    }
}
