//! What is wrong with a configuration file, and where.

use std::fmt;

/// A file that cannot be used. Prints its place, what is wrong, what to do, and the line with the
/// place marked below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file as it was named.
    pub file: String,
    /// The line, counted from 1; 0 if the file as a whole is meant.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong, and what to do.
    pub message: String,
    pub(super) source_line: String,
    pub(super) width: usize,
}

impl ConfigError {
    /// An error about a file that has no place in it.
    pub(super) fn whole(file: &str, message: String) -> ConfigError {
        ConfigError { file: file.to_owned(), line: 0, column: 0, message, source_line: String::new(), width: 0 }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return write!(f, "{}: {}", self.file, self.message);
        }
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        if self.source_line.trim().is_empty() {
            return Ok(());
        }
        // A tab keeps its width below itself.
        let before = self.source_line.chars().take(self.column.saturating_sub(1));
        let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        write!(f, "\n  {}\n  {indent}{}", self.source_line, "^".repeat(self.width.max(1)))
    }
}
