//! What can go wrong with a database, composed from the errors of its parts.

use crate::notify;
use crate::promql::{EvalError, ParseError};
use crate::rules::{ReloadError, RuleError};
use crate::slo::ObjectiveError;
use crate::storage::{self, CommitError, ReadError};

/// A database that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store refuses.
    #[error(transparent)]
    Storage(#[from] storage::OpenError),
    /// A rule cannot be used.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A rule looks back to samples that are downsampled.
    #[error("{0}")]
    History(String),
    /// An objective cannot be used.
    #[error(transparent)]
    Objective(#[from] ObjectiveError),
    /// The outbox refuses.
    #[error(transparent)]
    Notify(#[from] notify::OpenError),
    /// The receivers do not fit the routes.
    #[error(transparent)]
    Routing(#[from] notify::RoutingError),
    /// The rules cannot be replaced.
    #[error(transparent)]
    Reload(#[from] ReloadError),
    /// The log cannot be begun.
    #[error("the log cannot be begun: {0}")]
    Begin(#[from] AppendError),
    /// A thread cannot be started.
    #[error("a thread cannot be started: {0}; the system's limit on threads may be reached")]
    Threads(std::io::Error),
    /// Stored history cannot be read.
    #[error("stored history cannot be read: {0}")]
    Read(String),
}

/// A batch that was not taken. Nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// Too many batches wait.
    #[error("{waiting} batches wait to be written already; try again in a moment")]
    Full {
        /// How many wait.
        waiting: usize,
    },
    /// The disk has no room, or cannot be written for now. Reads go on; writes resume by themselves.
    #[error("{reason}; reads go on")]
    ReadOnly {
        /// What the disk said.
        reason: String,
    },
    /// A sync failed, so it is not known what is on disk.
    #[error("{reason}; reads go on")]
    Poisoned {
        /// What the disk said.
        reason: String,
    },
    /// The input is over a limit.
    #[error("{0}")]
    Invalid(String),
}

impl From<CommitError> for AppendError {
    fn from(error: CommitError) -> AppendError {
        match error {
            CommitError::Poisoned { .. } => AppendError::Poisoned { reason: error.to_string() },
            CommitError::TooLarge { .. } => AppendError::Invalid(error.to_string()),
            other => AppendError::ReadOnly { reason: other.to_string() },
        }
    }
}

/// A question that got no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The text is not an expression.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The expression has no value on this data.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// Stored data cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The parameters contradict each other.
    #[error("{0}")]
    Invalid(String),
}
