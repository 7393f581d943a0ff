//! Columns of numbers whose frequencies decide how many bits each takes.
//!
//! The coding is pco's (quantile bins and table-based asymmetric numeral systems). Differences and
//! frames are taken here: its bins then hold narrow numbers and cost a quarter.

mod format;

pub(super) use format::{CodedFloats, CodedIntegers, put_coded_floats, put_coded_integers};
