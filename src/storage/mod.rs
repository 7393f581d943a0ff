//! Keeps samples: log, head, chunks, index, blocks, compaction.
//!
//! Layer 2. Imports: `codec`, `env`, `model`.
//! Does not know: the query language, rules, threads.
//! When you change this, also touch: `storage-format.md`, if bytes on the disk change.

mod admit;
mod admit_histograms;
mod backup;
mod beside;
mod block;
mod changes;
mod checkpoint;
mod commit;
mod compact;
mod content;
mod downsample;
mod entries;
mod exemplars;
mod found;
mod head;
mod index;
mod inspect;
mod interval;
mod label_values;
mod maintain;
mod manifest;
mod metadata;
mod open;
mod open_log;
mod options;
mod pages;
mod remembered;
mod replay;
mod retention;
mod retire;
mod selection;
mod series;
mod series_files;
mod snapshot;
mod starts;
mod status;
mod store;
mod summaries;
mod tombstones;
mod verify;
mod view;
mod wal;

pub use backup::{BackupError, BackupReport};
pub use changes::{MetricSet, Version};
pub use commit::CommitError;
pub use content::StoredSeries;
pub use exemplars::ExemplarCounts;
pub use inspect::{CodecShare, Fact, FileKind, FileReport, Inspection, PageShare, Share, inspect};
pub use maintain::{MaintainError, MaintainReport};
pub use open::OpenError;
pub use options::{Durability, StoreOptions};
pub use replay::{Damage, RecoveryReport, Replay};
pub use retention::RetentionRule;
pub use retire::Retired;
pub use selection::{Selection, Visit};
pub use snapshot::{ReadError, Snapshot};
pub use status::{BlockStatus, Health, StoreStatus};
pub use store::{Applied, Entry, Store};
pub use verify::{Fault, VerifyReport, verify};
