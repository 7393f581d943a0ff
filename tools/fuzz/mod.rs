//! Decoders and mutations; shared by the command and the tests, which run a small fixed part.

pub(crate) mod mutate;
pub(crate) mod targets;
