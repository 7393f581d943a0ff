//! One value at one instant, and the mark that a series has ended.

use super::time::Timestamp;

/// A value of a series at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When.
    pub t: Timestamp,
    /// What. Every bit pattern is kept, NaN payloads included.
    pub v: f64,
}

/// The bits of the NaN that marks the end of a series, as in Prometheus.
pub const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

/// Whether a value is the staleness marker and not an ordinary NaN.
pub fn is_stale(v: f64) -> bool {
    v.to_bits() == STALE_NAN
}
