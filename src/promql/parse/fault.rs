//! What is wrong with a query's text, and where.

use std::fmt;

use super::tokens::Tokens;
use crate::promql::ast::Span;

/// An error on its way up through the grammar: a place, but no text yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::promql) struct Fault {
    pub(super) span: Span,
    pub(super) message: String,
    pub(super) hint: Option<&'static str>,
}

impl Fault {
    pub(in crate::promql) fn new(span: Span, message: impl Into<String>) -> Fault {
        Fault { span, message: message.into(), hint: None }
    }

    pub(in crate::promql) fn hint(mut self, hint: &'static str) -> Fault {
        self.hint = Some(hint);
        self
    }
}

impl<'a> nom::error::ParseError<Tokens<'a>> for Fault {
    fn from_error_kind(input: Tokens<'a>, _: nom::error::ErrorKind) -> Fault {
        Fault::new(input.span(), format!("unexpected {}", input.describe()))
    }

    fn append(_: Tokens<'a>, _: nom::error::ErrorKind, other: Fault) -> Fault {
        other
    }

    /// Of two ways that failed, the one that came further says more.
    fn or(self, other: Fault) -> Fault {
        if other.span.start >= self.span.start { other } else { self }
    }
}

/// A query that cannot be read, with its place. Prints as Prometheus does: `1:5: parse error: …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// What to do, where that can be said.
    pub hint: Option<&'static str>,
    /// The place in bytes of the text.
    pub span: Span,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    source_line: String,
    width: usize,
}

impl ParseError {
    pub(super) fn new(source: &str, fault: Fault) -> ParseError {
        let fault = Fault { span: trimmed(source, fault.span), ..fault };
        let (line, column) = line_and_column(source, fault.span.start);
        let source_line = source.lines().nth(line - 1).unwrap_or_default().to_owned();
        let marked = source.get(fault.span.start..fault.span.end).unwrap_or_default();
        let width = marked.lines().next().unwrap_or_default().chars().count().max(1);
        let Fault { span, message, hint } = fault;
        ParseError { message, hint, span, line, column, source_line, width }
    }

    /// The line of the query with the place marked, then the hint: three lines at most.
    pub fn caret(&self) -> String {
        // A tab in the query keeps its width below it.
        let before = self.source_line.chars().take(self.column - 1);
        let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let mut text = format!("{}\n{indent}{}", self.source_line, "^".repeat(self.width));
        if let Some(hint) = self.hint {
            text.push_str("\nhint: ");
            text.push_str(hint);
        }
        text
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: parse error: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ParseError {}

/// The place without the blanks around it, so that an operator is pointed at and not the space before it.
fn trimmed(source: &str, span: Span) -> Span {
    let Some(marked) = source.get(span.start..span.end).filter(|marked| !marked.trim().is_empty()) else {
        return span;
    };
    let blanks = marked.len() - marked.trim_start().len();
    Span { start: span.start + blanks, end: span.end - (marked.len() - marked.trim_end().len()) }
}

/// Line and column of a byte, both counted from 1, the column in characters.
pub(in crate::promql) fn line_and_column(source: &str, at: usize) -> (usize, usize) {
    let before = source.get(..at).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
