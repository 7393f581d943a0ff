//! Budgets and verdicts as text, JSON and SVG charts.
//!
//! Layer 6. Imports: `confidence`, `model`, `slo`.
//! Does not know: HTTP, files, the clock.
//!
//! Pure functions from what is known to what is shown. The charts carry no style of their own beyond
//! `currentColor` and class names, so that a page decides how dark and light look: `chart` (all), `axis`,
//! `grid`, `long`, `short`, `threshold` with `page` or `ticket`, `deploy`, `bar-left`, `bar-spent`.

mod budget_bar;
mod burn_chart;
mod objective_json;
mod scale;
mod sparkline;
mod svg;
mod verdict_json;
mod verdict_text;

pub use budget_bar::budget_bar;
pub use burn_chart::{BurnChart, burn_chart};
pub use objective_json::{BlindReport, BudgetReport, BurnReport, ObjectiveReport, WindowReport};
pub use sparkline::sparkline;
pub use verdict_json::{FactReport, ReasonReport, ServiceReport, VerdictReport};
pub use verdict_text::{Colour, verdict_text};
