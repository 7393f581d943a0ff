//! What is told of groups and rules.

use crate::model::{Alert, Labels, Millis, Timestamp};

use super::evaluations::Evaluation;
use super::naming::RuleId;
use super::rule::EvaluationMode;

/// A group and its rules.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupStatus {
    /// Its name.
    pub name: String,
    /// The file that it comes from.
    pub file: String,
    /// How often rules in [`Mode::Interval`] are evaluated.
    pub interval: Millis,
    /// When its alerting rules decide.
    pub mode: EvaluationMode,
    /// How many alerts or series a rule may make; zero: any number.
    pub limit: usize,
    /// How far back of the present it looks.
    pub query_offset: Millis,
    /// Labels that its rules' results get, unless the rule sets them.
    pub labels: Labels,
    /// The latest of its rules'.
    pub last_evaluation: Timestamp,
    /// The rules, in order.
    pub rules: Vec<RuleStatus>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleStatus {
    /// Its name from one start to the next.
    pub id: RuleId,
    /// The alert's or record's name.
    pub name: String,
    /// Whether it makes alerts or series.
    pub kind: RuleKind,
    /// The expression.
    pub expr: String,
    /// `for`.
    pub hold: Millis,
    /// `keep_firing_for`.
    pub keep_firing: Millis,
    /// Labels as written.
    pub labels: Vec<(String, String)>,
    /// Annotations as written.
    pub annotations: Vec<(String, String)>,
    /// How it is evaluated.
    pub mode: Mode,
    /// The selectors whose samples' values it follows. While one of them selects native histograms, it is
    /// evaluated at the group's interval. None of a rule that is evaluated so in any case.
    pub follows_numbers_of: Vec<String>,
    /// Whether its last evaluation had a result.
    pub health: Health,
    /// The last instant for which it is known what it gives: of a rule that is followed, that of the last log entry;
    /// of another, its last evaluation.
    pub last_evaluation: Timestamp,
    /// Its last evaluation, if it was evaluated since the start; [`Evaluator::evaluations`](super::Evaluator::evaluations)
    /// gives more of them.
    pub last: Option<Evaluation>,
    /// Whether a selector of it has not matched any series yet.
    pub is_blind: bool,
    /// Its alerts, pending and firing.
    pub alerts: Vec<Alert>,
}

/// What a rule makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleKind {
    /// Alerts.
    Alerting,
    /// Series.
    Recording,
}

/// How a rule is evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// With every transaction that touches it, and when time changes its result.
    Incremental,
    /// By a query at the group's interval, for this reason.
    Interval {
        /// Why it is not followed sample by sample.
        reason: String,
    },
}

impl Mode {
    /// The word used in JSON and pages.
    pub fn as_str(&self) -> &'static str {
        match self {
            Mode::Incremental => "incremental",
            Mode::Interval { .. } => "interval",
        }
    }
}

/// Whether a rule works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Not evaluated yet.
    Unknown,
    /// It has a result.
    Ok,
    /// It has none, for this reason.
    Err(String),
}
