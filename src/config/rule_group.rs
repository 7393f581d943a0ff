//! Rule groups, as rule files say them.

use crate::model::{Labels, Millis};
use crate::promql::Expr;

/// Rules that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleGroup {
    /// Its name, unique in its file.
    pub name: String,
    /// The file that it comes from.
    pub file: String,
    /// How often rules that are not followed sample by sample are evaluated.
    pub interval: Millis,
    /// How many alerts or series a rule may make; zero: any number.
    pub limit: usize,
    /// How far back of the present it looks.
    pub query_offset: Millis,
    /// Labels that its rules' results get, unless the rule sets them.
    pub labels: Labels,
    /// The rules, in order.
    pub rules: Vec<Rule>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// Makes alerts.
    Alerting(AlertingRule),
    /// Makes series.
    Recording(RecordingRule),
}

/// A condition that people are told of.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertingRule {
    /// The alert's name.
    pub alert: String,
    /// The condition.
    pub expr: Expr,
    /// `for`.
    pub hold: Millis,
    /// `keep_firing_for`.
    pub keep_firing: Millis,
    /// Further labels, as templates.
    pub labels: Vec<(String, String)>,
    /// Texts for people, as templates.
    pub annotations: Vec<(String, String)>,
}

/// An expression whose result is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordingRule {
    /// The new series' metric name.
    pub record: String,
    /// What is stored.
    pub expr: Expr,
    /// Further labels.
    pub labels: Vec<(String, String)>,
}
