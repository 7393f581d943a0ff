//! The database: puts the parts together; the write path, the read path, the threads.
//!
//! Layer 5. Imports: `backtest`, `codec`, `confidence`, `env`, `explain`, `model`, `notify`, `promql`, `rules`, `slo`, `storage`.
//! Does not know: HTTP, YAML, async.
//! When you change this, also touch: `src/docs/architecture.md`.
//!
//! A sample's way through here: [`Db::append`] puts it into the queue, `ingest` commits a group of
//! the queue with one sync, `core` shows each transaction to rules and objectives and hands what
//! they decided to the outbox, and only then the sender gets its [`Receipt`].

mod audits;
mod backup;
mod cache;
mod core;
mod decided;
mod deploys;
mod episodes;
mod error;
mod evidence;
mod format;
mod ingest;
mod inventory;
mod judge;
mod meter;
mod open;
mod options;
mod program;
mod query;
mod scorecard;
mod source;
mod status;
mod threads;
mod turns;
mod unwatched;
mod verdicts;
mod versions;
mod wake;
mod why;

use std::sync::Arc;

pub use decided::{Decided, Definition};
pub use deploys::Deploy;
pub use episodes::OutcomeError;
pub use error::{AppendError, OpenError, QueryError};
pub use evidence::{Evidence, EvidenceError, EvidenceOf};
pub use ingest::{Beside, Receipt, Submitted};
pub use meter::QueryMeter;
pub use options::{DbOptions, Threads, Watch};
pub use source::stored;
pub use status::DbStatus;
pub use threads::workers;
pub use why::{Which, Why};

/// An open database. Cheap to clone; every method takes `&self` and blocks.
#[derive(Clone)]
pub struct Db {
    inner: Arc<ingest::Inner>,
    /// Ended when the last handle is dropped.
    threads: Arc<threads::Running>,
}
