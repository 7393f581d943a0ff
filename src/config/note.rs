//! A key that was read and changes nothing.

use std::fmt;

/// A key that is accepted and changes nothing, so that nobody believes that it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The file.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The key.
    pub key: String,
    /// Why it changes nothing.
    pub why: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: \"{}\" changes nothing: {}", self.file, self.line, self.key, self.why)
    }
}
