//! Answers questions: lex, parse, check, plan, evaluate.
//!
//! Layer 1. Imports: `model`.
//! Does not know: storage, files, the clock.
//! When you change this, also touch: `rules`, which evaluates the same trees as samples arrive.

mod ast;
mod budget;
mod durations;
mod eval;
mod functions;
mod info;
pub mod kernel;
mod label_change;
mod locality;
mod naming;
mod parse;
mod plan;
mod query;
mod reach;
mod source;
mod value;
mod value_type;

pub use ast::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Computed, DurationExpr, Edges, Expr, ExprKind, Fill, Group, Grouping,
    MatchLabels, Matching, Selector, Shift, Span,
};
pub use budget::Budget;
pub use eval::check_count;
pub use functions::Function;
pub use label_change::LabelChange;
pub use locality::{Locality, locality};
pub use naming::{is_metadata, without_name};
pub use parse::{ParseError, parse, parse_selector};
pub use query::{Deadline, EvalError, EvalOptions, NameDropping, Parallel, Query, StartTimestamps, Workers};
pub use reach::reaches;
pub use source::{SeriesSamples, SeriesSet, SeriesSource, SeriesSummaries, SourceError, Until, Visit};
pub use value::{Answer, ElementValue, MatrixSeries, Value, VectorSample};
pub use value_type::ValueType;
