//! Cuts the text of a query into tokens.
//!
//! Invariants:
//! - The last token is always [`TokenKind::End`], so a parser never runs off the slice.
//! - Keywords stay identifiers: most of them may also name a metric or a label, so that only
//!   the grammar can tell.

use crate::model::{Millis, limits};

use super::fault::Fault;
use super::number;
use super::text;
use crate::promql::ast::Span;

/// A token and its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
}

/// The kinds of token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// A name or a keyword.
    Ident(String),
    /// A number.
    Number(f64),
    /// A duration such as `1h30m`.
    Duration(Millis),
    /// A string, its escapes resolved.
    Text(String),
    /// A sign of one or two characters.
    Sign(Sign),
    /// The end of the query.
    End,
}

/// Declares the signs once: variant and text.
macro_rules! signs {
    ($($variant:ident $text:literal)*) => {
        /// A sign.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Sign { $($variant,)* }

        impl Sign {
            /// Longer signs stand before their own beginnings.
            const ALL: &'static [Sign] = &[$(Sign::$variant,)*];

            pub(super) fn as_str(self) -> &'static str {
                match self { $(Sign::$variant => $text,)* }
            }
        }
    };
}

signs! {
    EqualEqual "==" Match "=~" NotEqual "!=" NotMatch "!~" LessEqual "<=" GreaterEqual ">="
    TrimUpper "</" TrimLower ">/"
    Equal "=" Less "<" Greater ">" Add "+" Sub "-" Mul "*" Div "/" Mod "%" Pow "^" At "@"
    Comma "," Colon ":" LeftParen "(" RightParen ")" LeftBrace "{" RightBrace "}"
    LeftBracket "[" RightBracket "]"
}

/// The tokens of `source`.
pub(super) fn lex(source: &str) -> Result<Vec<Token>, Fault> {
    if source.len() > limits::QUERY_BYTES_MAX {
        let message =
            format!("the query is {} bytes long; at most {} are taken", source.len(), limits::QUERY_BYTES_MAX);
        return Err(Fault::new(Span { start: 0, end: 0 }, message).hint("split it with recording rules"));
    }
    let mut lexer = Lexer { source, at: 0, brackets: 0, braces: 0, tokens: Vec::new() };
    while lexer.skip_blank() {
        lexer.token()?;
    }
    lexer.push(lexer.at, TokenKind::End);
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    brackets: usize,
    braces: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.source[self.at..]
    }

    fn push(&mut self, start: usize, kind: TokenKind) {
        self.tokens.push(Token { kind, span: Span { start, end: self.at } });
    }

    /// Moves to the next token; false at the end.
    fn skip_blank(&mut self) -> bool {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            self.at += blank;
            if !self.rest().starts_with('#') {
                return !self.rest().is_empty();
            }
            self.at += self.rest().find('\n').unwrap_or(self.rest().len());
        }
    }

    fn token(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let mut chars = self.rest().chars();
        let first = chars.next().unwrap_or(' ');
        let second = chars.next().unwrap_or(' ');
        match first {
            '0'..='9' => self.number(),
            '.' if second.is_ascii_digit() => self.number(),
            '"' | '\'' | '`' => {
                let (value, length) = text::unquote(self.rest())
                    .map_err(|(message, length)| Fault::new(Span { start, end: start + length }, message))?;
                self.at += length;
                self.push(start, TokenKind::Text(value));
                Ok(())
            }
            c if c.is_ascii_alphabetic() || c == '_' => self.ident(),
            ':' if self.colon_is_a_letter() && (second.is_ascii_alphanumeric() || second == '_' || second == ':') => {
                self.ident()
            }
            _ => self.sign(first),
        }
    }

    /// Recording rules have colons in their names; inside brackets a colon parts range and step.
    fn colon_is_a_letter(&self) -> bool {
        self.brackets == 0 && self.braces == 0
    }

    fn ident(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let colon = self.colon_is_a_letter();
        let rest = self.rest();
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colon && c == ':');
        let length = rest.find(|c| !letter(c)).unwrap_or(rest.len());
        let name = rest[..length].to_owned();
        self.at += length;
        self.push(start, TokenKind::Ident(name));
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let length = number::run_length(self.rest());
        let run = &self.rest()[..length];
        let kind = match (number::parse_number(run), Millis::parse(run)) {
            (Some(value), _) => TokenKind::Number(value),
            (None, Ok(duration)) => TokenKind::Duration(duration),
            (None, Err(_)) => {
                let message = format!("bad number or duration syntax: {}", text::quote(run));
                let fault = Fault::new(Span { start, end: start + length }, message);
                return Err(fault.hint("durations are whole numbers with y, w, d, h, m, s or ms, as in 1h30m"));
            }
        };
        self.at += length;
        self.push(start, kind);
        Ok(())
    }

    fn sign(&mut self, first: char) -> Result<(), Fault> {
        let start = self.at;
        let Some(sign) = Sign::ALL.iter().copied().find(|sign| self.rest().starts_with(sign.as_str())) else {
            let message = match first {
                '!' => "unexpected character after '!'".to_owned(),
                c => format!("unexpected character: '{c}'"),
            };
            return Err(Fault::new(Span { start, end: start + first.len_utf8() }, message));
        };
        self.at += sign.as_str().len();
        match sign {
            Sign::LeftBracket => self.brackets += 1,
            Sign::RightBracket => self.brackets = self.brackets.saturating_sub(1),
            Sign::LeftBrace => self.braces += 1,
            Sign::RightBrace => self.braces = self.braces.saturating_sub(1),
            _ => {}
        }
        self.push(start, TokenKind::Sign(sign));
        Ok(())
    }
}

impl TokenKind {
    /// How an error text names it.
    pub(super) fn describe(&self) -> String {
        match self {
            TokenKind::Ident(name) if keyword_class(name).is_some() => {
                format!("{} {name}", keyword_class(name).unwrap_or_default())
            }
            TokenKind::Ident(name) => format!("identifier {}", text::quote(name)),
            TokenKind::Number(value) => format!("number \"{}\"", number::print(*value)),
            TokenKind::Duration(duration) => format!("duration \"{duration}\""),
            TokenKind::Text(value) => format!("string {}", text::quote(value)),
            TokenKind::Sign(sign) => format!("\"{}\"", sign.as_str()),
            TokenKind::End => "end of input".to_owned(),
        }
    }
}

fn keyword_class(name: &str) -> Option<&'static str> {
    let word = name.to_ascii_lowercase();
    match word.as_str() {
        "and" | "or" | "unless" | "atan2" => Some("operator"),
        "by" | "without" | "on" | "ignoring" | "group_left" | "group_right" | "bool" | "offset" => Some("keyword"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<String> {
        let tokens = lex(source).unwrap();
        tokens.iter().map(|token| token.kind.describe()).collect()
    }

    #[test]
    fn texts_are_cut_into_tokens() {
        let check = |source: &str, expected: &[&str]| {
            let mut expected: Vec<_> = expected.iter().map(|s| (*s).to_owned()).collect();
            expected.push("end of input".to_owned());
            assert_eq!(kinds(source), expected, "{source}");
        };
        check("a:b:c # comment\n+1", &["identifier \"a:b:c\"", "\"+\"", "number \"1\""]);
        check("x[5m:1m]", &["identifier \"x\"", "\"[\"", "duration \"5m\"", "\":\"", "duration \"1m\"", "\"]\""]);
        check("{a=~'b'}", &["\"{\"", "identifier \"a\"", "\"=~\"", "string \"b\"", "\"}\""]);
        check(
            "1e-3 0x1F .5 5. 1_000",
            &["number \"0.001\"", "number \"31\"", "number \"0.5\"", "number \"5\"", "number \"1000\""],
        );
        check("1h30m", &["duration \"1h30m\""]);
        check(">=bool", &["\">=\"", "keyword bool"]);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for source in ["1.5h", "5mm", "\"a", "a ! b", "a $ b", "'\\q'", "0x"] {
            assert!(lex(source).is_err(), "{source}");
        }
    }
}
