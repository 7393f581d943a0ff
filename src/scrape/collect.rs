//! Where samples come from inside this process, and where all samples go.

use std::fmt;
use std::sync::Arc;

use crate::db::{Beside, Db};
use crate::model::{Batch, Labels, Millis, Rejected, Timestamp};

/// Takes what was collected: one batch is one scrape and one transaction.
pub trait Sink: Send + Sync {
    /// Stores the batch, and what came with it. Called on a thread that may block.
    ///
    /// # Errors
    /// Nothing of it was stored.
    fn write(&self, batch: Batch, beside: Beside) -> Result<Rejected, SinkError>;
}

/// A batch was not stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not stored: {0}")]
pub struct SinkError(pub String);

impl Sink for Db {
    fn write(&self, batch: Batch, beside: Beside) -> Result<Rejected, SinkError> {
        match self.append_with(batch, beside) {
            Ok(receipt) => Ok(receipt.rejected),
            Err(error) => Err(SinkError(error.to_string())),
        }
    }
}

/// A source of samples in this process.
pub trait Collect: Send + Sync {
    /// The samples of this instant, named but without `job` and `instance`. Called on a thread
    /// that may block.
    fn collect(&self, at: Timestamp) -> Vec<(Labels, f64)>;
}

/// The database's own metrics.
impl Collect for Db {
    fn collect(&self, _at: Timestamp) -> Vec<(Labels, f64)> {
        self.metrics()
    }
}

/// A source in this process that is collected like a target.
#[derive(Clone)]
pub struct LocalJob {
    /// The value of the label `job`.
    pub name: String,
    /// The value of the label `instance`.
    pub instance: String,
    /// From one collection to the next.
    pub interval: Millis,
    /// The source.
    pub source: Arc<dyn Collect>,
}

impl fmt::Debug for LocalJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalJob({} {} every {})", self.name, self.instance, self.interval)
    }
}
