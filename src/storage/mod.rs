//! Keeps samples: log, head, chunks, index, blocks, compaction.
//!
//! Layer 1. Imports: `codec`, `env`, `model`.
//! Does not know: the query language, rules, threads.
//! When you change this, also touch: `storage-format.md`, if bytes on the disk change.

mod block;
mod checkpoint;
mod commit;
mod compact;
mod head;
mod index;
mod maintain;
mod manifest;
mod open;
mod open_log;
mod options;
mod replay;
mod series;
mod series_files;
mod snapshot;
mod status;
mod store;
mod summary;
mod wal;

pub use commit::CommitError;
pub use maintain::{MaintainError, MaintainReport};
pub use open::OpenError;
pub use options::{Durability, StoreOptions};
pub use replay::{Damage, RecoveryReport, Replay};
pub use snapshot::{ReadError, Snapshot};
pub use status::{Health, StoreStatus};
pub use store::{Applied, Entry, Store};
pub use summary::Summary;
