//! The database: puts the parts together; the write path, the read path, the threads.
//!
//! Layer 5. Imports: nothing.
//! Does not know: HTTP, YAML, async.
