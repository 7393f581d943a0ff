//! Tests of `slo`.
