//! Intervals and tests: pure numbers.
//!
//! Layer 1. Imports: nothing.
//! Does not know: what the numbers count.
