//! For test suites: memory and faulty disks, traffic, scripts, recorded messages.
//!
//! Layer 6. Imports: nothing.
//! Does not know: HTTP.
