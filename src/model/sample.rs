//! One value at one instant, and the mark that a series has ended.

use std::sync::Arc;

use super::histogram::Histogram;
use super::time::Timestamp;

/// A value of a series at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When.
    pub t: Timestamp,
    /// What. Every bit pattern is kept, NaN payloads included.
    pub v: f64,
}

/// A native histogram of a series at an instant. It is shared: it is large, and never changes.
#[derive(Debug, Clone)]
pub struct HistogramSample {
    /// When.
    pub t: Timestamp,
    /// When its counting began; 0 if that is not known.
    pub start: Timestamp,
    /// What.
    pub histogram: Arc<Histogram>,
}

impl PartialEq for HistogramSample {
    /// Bit for bit.
    fn eq(&self, other: &HistogramSample) -> bool {
        (self.t, self.start) == (other.t, other.start) && self.histogram.same_bits(&other.histogram)
    }
}

/// The bits of the NaN that marks the end of a series, as in Prometheus.
pub const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

/// Whether a value is the staleness marker and not an ordinary NaN.
#[inline]
pub fn is_stale(v: f64) -> bool {
    v.to_bits() == STALE_NAN
}
