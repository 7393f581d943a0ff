//! The program's commands.
//!
//! Layer 8. Imports: nothing.
//! Does not know: storage internals.
