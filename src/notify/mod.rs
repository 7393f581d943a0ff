//! Tells people: route, group, deliver, and remember what was sent.
//!
//! Layer 2. Imports: nothing.
//! Does not know: rules, the query language.
