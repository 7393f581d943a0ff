//! A file's text, and how to point into it.

use super::error::ConfigError;
use super::expand::{self, Environment};

/// A stretch of a file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Whether `${NAME}` in a file's values is filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variables {
    Expanded,
    /// Rule files: there `$` belongs to templates and to replacement texts.
    Literal,
}

/// A file's text.
pub(super) struct Source<'a> {
    pub(super) name: String,
    pub(super) text: String,
    pub(super) variables: Variables,
    pub(super) environment: &'a Environment<'a>,
}

impl Source<'_> {
    /// The error that points at `place`.
    pub(super) fn error(&self, place: Place, message: impl Into<String>) -> ConfigError {
        let start = self.floor(place.start);
        let end = self.floor(place.end.max(start));
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let source_line = self.text[line_start..].lines().next().unwrap_or_default();
        let marked = self.text[start..end].lines().next().unwrap_or_default();
        ConfigError {
            file: self.name.clone(),
            line: before.matches('\n').count() + 1,
            column: self.text[line_start..start].chars().count() + 1,
            message: message.into(),
            source_line: source_line.trim_end().to_owned(),
            width: marked.trim_end().chars().count().max(1),
        }
    }

    /// The line of a place, counted from 1.
    pub(super) fn line(&self, place: Place) -> usize {
        self.text[..self.floor(place.start)].matches('\n').count() + 1
    }

    /// The place of a line and column, both counted from 1.
    pub(super) fn place_of(&self, line: usize, column: usize) -> Place {
        let lines_before: usize = self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let rest = self.text.get(lines_before..).unwrap_or_default().lines().next().unwrap_or_default();
        let within: usize = rest.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum();
        let start = (lines_before + within).min(self.text.len());
        Place { start, end: start }
    }

    /// The place in the file of bytes `start..end` of a decoded value that stands at `place`.
    ///
    /// Quotes, escapes and the breaks of folded texts are stepped over: the value's characters come
    /// in order, with other ones between them.
    pub(super) fn place_within(&self, place: Place, value: &str, start: usize, end: usize) -> Place {
        let stretch = self.text.get(place.start..place.end).unwrap_or_default();
        let mut rest = stretch.char_indices();
        let (mut from, mut to) = (None, place.start);
        for (at, wanted) in value.char_indices() {
            if at >= end && from.is_some() {
                break;
            }
            let same = |c: char| c == wanted || (wanted.is_whitespace() && c.is_whitespace());
            let Some((found, c)) = rest.by_ref().find(|(_, c)| same(*c)) else { break };
            if at >= start && from.is_none() {
                from = Some(place.start + found);
            }
            to = place.start + found + c.len_utf8();
        }
        match from {
            Some(from) => Place { start: from, end: to.max(from) },
            // Behind the end of the value.
            None => Place { start: to, end: to },
        }
    }

    /// The value with its variables filled in.
    pub(super) fn expanded(&self, place: Place, text: &str) -> Result<String, ConfigError> {
        match self.variables {
            Variables::Literal => Ok(text.to_owned()),
            Variables::Expanded => expand::expand(text, self.environment).map_err(|fault| self.error(place, fault)),
        }
    }

    fn floor(&self, at: usize) -> usize {
        let at = at.min(self.text.len());
        (0..=at).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0)
    }
}
