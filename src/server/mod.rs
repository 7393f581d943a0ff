//! The HTTP API and the web pages.
//!
//! Layer 7. Imports: nothing.
//! Does not know: files on disk.
