//! What rules would have decided on stored history.
//!
//! Layer 3. Imports: `model`, `promql`, `rules`, `stats`.
//! Does not know: files, HTTP, the store, who shares the work.
//!
//! History is played sample by sample through the same [`Evaluator`](crate::rules::Evaluator) that decides live:
//! each sample comes at its own time, those of one instant together. Rules that do not depend on each other are played
//! beside each other; which thread plays what changes nothing.
//! What is queried at the interval of its group is computed for a stretch of history at once, before that is played.

mod ahead;
mod history;
mod plan;
mod replay;
mod score;
mod spans;

pub use replay::{Backtest, BacktestError, ComputeAhead, Played, Progress};
pub use score::{Accuracy, Episode, Interruption, LocalTime, Score, Share, score};
pub use spans::{Span, spans};
