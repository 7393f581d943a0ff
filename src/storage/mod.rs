//! Keeps samples: log, head, chunks, index, blocks, compaction.
//!
//! Layer 1. Imports: nothing.
//! Does not know: the query language, rules, threads.
