//! Bytes of the ingest protocols to batches.
//!
//! Layer 1. Imports: nothing.
//! Does not know: HTTP, storage.
