//! The one place where async code meets the blocking database.
//!
//! Invariants:
//! - A permit is taken only when the whole request is in memory, so a slow peer holds none.
//! - When all permits are out, the answer is "try again later"; nothing piles up.
//! - Work that has begun runs to its end, even if its peer has gone.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::envelope::{ApiError, ErrorType};

/// How long a question waits for its turn: a page full of charts asks more at once than run at
/// once, and each takes little.
const QUERY_PATIENCE: Duration = Duration::from_secs(10);

/// Permits for the blocking work.
#[derive(Debug)]
pub(super) struct Bridge {
    writes: Arc<Semaphore>,
    queries: Arc<Semaphore>,
}

impl Bridge {
    pub(super) fn new(writes: usize, queries: usize) -> Bridge {
        Bridge { writes: Arc::new(Semaphore::new(writes)), queries: Arc::new(Semaphore::new(queries)) }
    }

    /// Runs a write; refuses at once when too many are under way, for the sender can wait better.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let permit = Arc::clone(&self.writes)
            .try_acquire_owned()
            .map_err(|_| ApiError::new(ErrorType::TooManyRequests, "too many writes are under way; try again later"))?;
        run(permit, work).await
    }

    /// Runs a question.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let full = || ApiError::new(ErrorType::TooManyRequests, "too many queries are under way; try again later");
        let permit = tokio::time::timeout(QUERY_PATIENCE, Arc::clone(&self.queries).acquire_owned())
            .await
            .map_err(|_| full())?
            .map_err(|_| full())?;
        run(permit, work).await
    }
}

async fn run<T: Send + 'static>(
    permit: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(permit);
        result
    });
    match done.await {
        Ok(result) => Ok(result),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(ApiError::new(ErrorType::Unavailable, "the server is stopping")),
    }
}
