//! The one place where async code meets the blocking database.
//!
//! Invariants:
//! - A permit is taken only when the whole request is in memory, so a slow peer holds none.
//! - When all permits are out, the answer is "try again later"; nothing piles up.
//! - Work that has begun runs to its end, even if its peer has gone.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::db::{AppendError, Beside, Db, Receipt, Submitted};
use crate::model::RawBatch;

use super::envelope::{ApiError, ErrorType};

/// How long a question waits for its turn: a page full of charts asks more at once than run at
/// once, and each takes little.
const PATIENCE: Duration = Duration::from_secs(10);

/// Permits for the blocking work.
#[derive(Debug)]
pub(super) struct Bridge {
    writes_max: usize,
    writes: Arc<Semaphore>,
    questions: Arc<Semaphore>,
}

/// A place among the writes under way; given back when dropped.
#[derive(Debug)]
pub(super) struct WritePermit(#[expect(dead_code, reason = "held, never read")] OwnedSemaphorePermit);

impl Bridge {
    pub(super) fn new(writes: usize, questions: usize) -> Bridge {
        let (writes_max, questions) = (writes, Arc::new(Semaphore::new(questions)));
        Bridge { writes_max, writes: Arc::new(Semaphore::new(writes)), questions }
    }

    /// Whether a write is under way.
    pub(super) fn is_writing(&self) -> bool {
        self.writes.available_permits() < self.writes_max
    }

    /// A place among the writes under way; refuses at once when too many are, for the sender can wait
    /// better.
    pub(super) fn begin_write(&self) -> Result<WritePermit, ApiError> {
        let permit = Arc::clone(&self.writes).try_acquire_owned();
        permit
            .map(WritePermit)
            .map_err(|_| ApiError::new(ErrorType::TooManyRequests, "too many writes are under way; try again later"))
    }

    /// Stores a write request. Whatever is `held` is dropped when that is done, even if nobody waits
    /// for it any more.
    pub(super) async fn store(
        db: &Db,
        batch: RawBatch,
        beside: Beside,
        held: impl Send + 'static,
    ) -> Result<Result<Receipt, AppendError>, ApiError> {
        let (answer, answered) = oneshot::channel();
        let submitted = db.submit(batch, beside, move |result| {
            drop(held);
            // Nobody may be waiting any more.
            let _ = answer.send(result);
        });
        if submitted == Submitted::Lead {
            let db = db.clone();
            tokio::task::spawn_blocking(move || db.commit_waiting());
        }
        answered.await.map_err(|_| ApiError::internal("this write met a bug, or the server is stopping"))
    }

    /// Runs a write; refuses at once when too many are under way, for the sender can wait better.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        run(self.begin_write()?, work).await
    }

    /// Runs a question that is answered from memory.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let full = || ApiError::new(ErrorType::TooManyRequests, "too many questions are under way; try again later");
        let permit = tokio::time::timeout(PATIENCE, Arc::clone(&self.questions).acquire_owned())
            .await
            .map_err(|_| full())?
            .map_err(|_| full())?;
        run(permit, work).await
    }
}

/// Runs work that holds something until it is done, away from the async threads.
pub(super) async fn run<T: Send + 'static>(
    permit: impl Send + 'static,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_write_too_many_is_refused_at_once() {
        let bridge = Arc::new(Bridge::new(1, 1));
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let busy = Arc::clone(&bridge);
        let first = tokio::spawn(async move {
            busy.write(move || {
                let _ = begun.send(());
                let _ = wait.recv();
            })
            .await
        });
        begins.await.unwrap();
        let refused = bridge.write(|| ()).await.unwrap_err();
        assert_eq!(refused.kind, ErrorType::TooManyRequests);
        assert_eq!(bridge.ask(|| 1).await, Ok(1), "questions have permits of their own");
        go_on.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Ok(()));
        assert_eq!(bridge.write(|| 2).await, Ok(2));
    }
}
