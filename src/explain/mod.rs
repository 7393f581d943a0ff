//! Why an expression has the value that it has at an instant: its parts with their values, the samples behind
//! them, since when each part holds, and what would turn it.
//!
//! Layer 2. Imports: `model`, `promql`.
//! Does not know: rules, storage, who asks.
//!
//! Everything is found by asking the query language again, so that what is told is what a query answers. Work is
//! bounded: parts, elements, series and searches are counted, and the deadline of the options ends all of it.

mod absence;
mod candidates;
mod compare;
mod explainer;
mod focus;
mod pack;
mod part;
mod turn;
mod windows;

pub use explainer::{Explainer, Names};
pub use focus::is_alike;
pub use pack::{Asked, Claim, Contradiction, Keeps, Pack, PackSeries};
pub use part::{Compared, Element, Explanation, Part, PartValue, SeriesEvidence, Turn, WindowEvidence};
