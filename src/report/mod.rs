//! Budgets and verdicts as text, JSON and SVG charts.
//!
//! Layer 6. Imports: nothing.
//! Does not know: HTTP.
