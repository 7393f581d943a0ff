//! Objectives: indicators, error budgets, burn rates.
//!
//! Layer 3. Imports: nothing.
//! Does not know: storage, notification.
