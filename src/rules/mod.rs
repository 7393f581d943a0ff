//! Watches samples as they arrive: alerting and recording rules.
//!
//! Layer 2. Imports: `codec`, `model`, `promql`, `template`.
//! Does not know: storage, disk, the clock, notification.
//! When you change this, also touch: `promql::kernel`, if an operator gets a new value.
//!
//! An alert's expression becomes nodes of a graph that all rules share. A transaction touches the
//! windows of its series; only the nodes above them are brought up to date, and only for the
//! elements and groups that changed. What time alone changes (a sample leaves a window, a series
//! becomes stale, `for` is over) comes from timers. Every value comes from `promql::kernel`, so a
//! rule's state at an instant is what a query answers for that instant.
//!
//! Values that move by themselves (`time()`, `predict_linear`, a rate of whose window one edge is
//! extrapolated and the other is not) are brought up to date with each sample that touches them,
//! and at whole seconds between: an alert on them may come up to a second after the exact crossing.
//! A start or a reload between two whole seconds brings them up to date as well. Windows that are only
//! compared are left alone while what they are compared with is out of their reach, and so are most of their samples;
//! a comparison that is made is exact for its instant.
//!
//! Windows that move on are worked off at their exact instants, but nobody is woken for that more
//! often than once a second: a transition then carries its exact time and is told a little later.
//!
//! Expressions that are not followed (subqueries, `@`, negative offsets, `quantile`, windows over
//! `RULE_WINDOW_MAX`) and recording rules are queried at their group's interval; [`Mode`] tells which and why.
//!
//! A group whose mode is [`EvaluationMode::Interval`] is evaluated as Prometheus does it: all of its rules one after
//! the other at Prometheus' instants, by queries that see what the rules before have made, and no alert changes
//! between them.
//!
//! Alerts are series as well, `ALERTS` and `ALERTS_FOR_STATE`, as in Prometheus: written with each change of an alert
//! that is decided at ingest, and at the instants of its group.
//!
//! Of native histograms the graph knows only that they are there. That is all that `absent`, `count`, `group`
//! and the like ask; a rule that depends on the values of a selector is queried at its group's interval
//! while one of the selector's windows holds a native histogram: at once when the first comes, and no more
//! when the last has left.
//!
//! A series that is gone leaves slots without a value in the nodes above it. When they are half of a
//! selector's, they are given up and the others renumbered, which no decision can tell.

mod aggregate;
mod alert_series;
mod alerting;
mod audit;
mod cascade;
mod course;
mod entry;
mod evaluations;
mod evaluator;
mod feed;
mod follow;
mod foretold;
mod format;
mod graph;
mod groups;
mod guard;
mod history;
mod horizon;
mod identity;
mod interval;
mod leaf;
mod matching;
mod naming;
mod node;
mod overlay;
mod places;
mod plan;
mod quantile;
mod ranking;
mod reading;
mod renumbering;
mod rule;
mod samples;
mod selectors;
mod slack;
mod slots;
mod status;
mod stepwise;
#[cfg(test)]
mod tests;
mod texts;
mod timers;
mod told;
mod vector;
mod worklist;

pub use audit::{Audit, Mismatch};
pub use course::{Course, Standing, course};
pub use evaluations::{Evaluation, Stopwatch};
pub use evaluator::{Evaluator, Outcome, ReloadError, RulePlace};
pub use foretold::{Foretold, Instants, Recorder, Sight};
pub use format::RestoreError;
pub use history::check_history;
pub use naming::{AlertId, RuleId};
pub use rule::{AlertingRule, EvaluationMode, RecordingRule, Rule, RuleContext, RuleError, RuleGroup};
pub use status::{GroupStatus, Health, Mode, RuleKind, RuleStatus};
pub use stepwise::Stepwise;
pub use texts::alert_of;
pub use told::RuleBrief;
