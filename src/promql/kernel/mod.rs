//! One pure function for each operator of the language, called by the query engine and by the
//! rules that follow samples as they arrive: so both give the same bits.
//!
//! Layer 1. Imports: `model`.
//! Does not know: labels, expressions, where samples come from.
//!
//! Invariants:
//! - Window edges are whole milliseconds; windows are left-open and right-closed.
//! - A sum does not depend on the order of its terms, nor on terms that came and went.

mod calendar;
mod change_column;
mod extended;
mod group;
mod group_column;
mod histogram;
mod native;
mod range;
mod rank;
mod rate;
mod regression;
mod scalar;
mod sliding;
mod smoothing;
mod starts;

pub use change_column::ChangeColumn;
pub use extended::{ANCHORED, EdgeValue, SMOOTHED, between, over_extended};
pub use group::{Accumulator, Removal, quantile};
pub use group_column::Accumulators;
pub use histogram::{HistogramQuantile, histogram_quantile};
pub use native::{
    Bucket, Change, Combined, FloatHistogram, HistogramPoint, Interval, Keep, MixedLayouts, NanNote, NativeBucket,
    infer_resets, is_reset as is_native_reset, native_between, native_buckets, native_change, native_extended,
    native_last_change, native_mean, native_sum, native_weight,
};
pub use range::{by_summary, is_even, moving, moving_by_ends, over_range, over_summary};
pub use rank::{Direction, rank_key};
pub use rate::{Motion, Resets, is_reset};
pub use scalar::{binary, compare, unary_math};
pub use sliding::Sliding;
pub use starts::{by_starts, moving_with_starts, over_range_with_starts, starts_overlap};

use super::{AggregateOp, BinaryOp, Function};
