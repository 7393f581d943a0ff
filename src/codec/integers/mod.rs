//! Columns of whole numbers: frames of reference, differences, and what does not fit kept aside.

mod format;
mod plan;

pub(super) use format::{Vectors, put_vectors};
pub use format::{put_integers, take_integers};
pub(super) use plan::{Order, differences};
