//! What it all means: the verdict and its evidence.
//!
//! Layer 4. Imports: nothing.
//! Does not know: HTTP, files.
