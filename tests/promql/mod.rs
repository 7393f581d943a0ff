//! Tests of `promql`.
