//! Tests of `slo`.

mod burn;
mod input;
mod restart;
mod story;
