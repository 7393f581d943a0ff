//! Intervals and tests: pure numbers.
//!
//! Layer 1. Imports: nothing.
//! Does not know: what the numbers count.

mod beta;
mod normal;
mod order;
mod proportion;

pub use beta::beta_regularized;
pub use normal::{normal_cdf, normal_quantile};
pub use order::quantile_ranks;
pub use proportion::{Interval, binomial_lower, binomial_tail, binomial_upper, wilson};
