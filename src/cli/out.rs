//! Standard output.
//!
//! Whoever reads it may have seen enough and be gone, as `head` is: a command then ends, quietly and as if it had succeeded.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

/// Nobody reads any more what a command prints.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads standard output any more")]
pub(super) struct Closed;

/// Prints a text, now.
pub(super) fn put(text: Arguments<'_>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Closed.into()),
        other => Ok(other?),
    }
}

/// Prints a text, or has the command end.
macro_rules! out {
    ($($text:tt)*) => { crate::cli::out::put(format_args!($($text)*))? };
}

/// Prints a line, or has the command end.
macro_rules! outln {
    ($($text:tt)*) => { crate::cli::out::put(format_args!("{}\n", format_args!($($text)*)))? };
}
