//! Fills in the text of annotations and messages, in Go's template syntax.
//!
//! Layer 1. Imports: `model`.
//! Does not know: where the text goes, how a query is answered, the time of day.

mod expand;
mod functions;
mod host;
mod number;
mod resolve;
mod span;
mod time;
mod title;

pub use expand::{TemplateData, TemplateError, TemplateQuery, TemplateSample, TemplateValue, check, expand};
