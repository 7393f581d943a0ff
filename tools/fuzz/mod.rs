//! Decoders and mutations; shared by the command and the tests, which run a small fixed part.

mod columns;
mod configuration;
mod files;
mod histograms;
pub(crate) mod mutate;
mod saved;
pub(crate) mod targets;
mod texts;
mod wire;
