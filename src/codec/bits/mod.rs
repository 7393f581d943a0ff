//! Unsigned numbers of one width, side by side without gaps.

mod format;
mod wide;

pub(super) use format::{packed_bytes, put_bits, take_bits, width_of};
pub(super) use wide::{Scale, Scaling, decimals, prefix_sums, whole_numbers};
