//! What a sample, a label, a time, a batch and an alert are, and every limit.
//!
//! Layer 0. Imports: nothing.
//! Does not know: files, the time of day, serde.
//! When you change this, also touch: `storage-format.md`, if a type is stored.

mod alert;
mod batch;
mod date;
mod histogram;
mod label;
pub mod limits;
mod matcher;
mod pattern;
mod sample;
mod series;
mod time;

pub use alert::{Alert, AlertState, Transition, TransitionId, TransitionKind};
pub use batch::{Batch, BatchSample, Committed, Rejected, Rejection};
pub use date::Date;
pub use histogram::{CUSTOM_SCHEMA, EXPONENTIAL_SCHEMAS, Histogram, HistogramCounts, HistogramError, ResetHint, Span};
pub use label::{Label, Labels, LabelsBuilder, LabelsError};
pub use matcher::{MatchOp, Matcher};
pub use pattern::{Groups, Pattern, PatternError};
pub use sample::{STALE_NAN, Sample, is_stale};
pub use series::{Seq, SeriesRef};
pub use time::{DurationError, Millis, TimeRange, Timestamp};
