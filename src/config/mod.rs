//! Files to options.
//!
//! Layer 6. Imports: nothing.
//! Does not know: HTTP.

mod yaml;
