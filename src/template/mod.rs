//! Fills in the text of annotations and messages, in Go's template syntax.
//!
//! Layer 1. Imports: nothing.
//! Does not know: where the text goes.
