//! What a sample, a label, a time, a batch and an alert are, and every limit.
//!
//! Layer 0. Imports: nothing.
//! Does not know: files, the time of day, serde.
//! When you change this, also touch: `storage-format.md`, if a type is stored.

mod alert;
mod batch;
mod coarser;
mod date;
mod downsample;
mod exact_sum;
mod exemplar;
mod fingerprint;
mod float_text;
mod histogram;
mod label;
pub mod limits;
mod matcher;
mod metadata;
mod pattern;
mod raw_batch;
mod reduction;
mod sample;
mod series;
mod series_places;
mod sum_column;
mod summary;
mod time;

pub use alert::{Alert, AlertState, Transition, TransitionId, TransitionKind};
pub use batch::{
    Batch, BatchHistogram, BatchSample, BatchStart, Committed, InvalidHistograms, Rejected, Rejection, StartChange,
};
pub use date::Date;
pub use downsample::{DownsampleError, DownsampleFault, DownsampleRule};
pub use exact_sum::{ExactSum, SumTerms, two_product};
pub use exemplar::{Exemplar, ExemplarError, SeriesExemplar};
pub use fingerprint::Fingerprint;
pub use float_text::{float_label, float_text};
pub use histogram::{CUSTOM_SCHEMA, EXPONENTIAL_SCHEMAS, Histogram, HistogramCounts, HistogramError, ResetHint, Span};
pub use label::{Label, Labels, LabelsBuilder, LabelsError};
pub use matcher::{MatchOp, Matcher};
pub use metadata::{MetricKind, MetricMetadata};
pub use pattern::{Groups, Pattern, PatternError, search_regex};
pub use raw_batch::{RawBatch, RawBatchBuilder, RawSeriesSamples, ReadLabels};
pub use sample::{HistogramSample, STALE_NAN, Sample, is_stale};
pub use series::{Seq, SeriesRef};
pub use series_places::{SeriesPlace, SeriesPlaces};
pub use sum_column::SumColumn;
pub use summary::{Summarized, Summary};
pub use time::{DurationError, Millis, TimeRange, Timestamp};
