//! Fills in the text of annotations and messages, in Go's template syntax.
//!
//! Layer 1. Imports: `model`.
//! Does not know: where the text goes, queries, the time of day.

mod expand;
mod functions;
mod number;

pub use expand::{TemplateData, TemplateError, TemplateValue, check, expand};
