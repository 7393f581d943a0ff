//! Numbers to bytes and back: variable-length integers, bit streams, columns, checksums.
//!
//! Layer 0. Imports: nothing.
//! Does not know: what the numbers mean.
