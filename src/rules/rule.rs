//! What a rule file says.

use std::collections::BTreeSet;

use crate::model::{Labels, Millis, Timestamp};
use crate::promql::{EvalOptions, Expr, StartTimestamps, ValueType};
use crate::template;

use super::slots::slot_after;

/// Rules that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleGroup {
    /// Its name, unique in its file.
    pub name: String,
    /// The file that it comes from.
    pub file: String,
    /// How often rules that are not followed sample by sample are evaluated. Positive.
    pub interval: Millis,
    /// When its alerting rules decide.
    pub mode: EvaluationMode,
    /// How many alerts or series a rule may make; zero: any number.
    pub limit: usize,
    /// How far back of the present it looks.
    pub query_offset: Millis,
    /// Labels that its rules' results get, unless the rule sets them.
    pub labels: Labels,
    /// The rules, in order.
    pub rules: Vec<Rule>,
}

impl RuleGroup {
    /// The first instant after `t` at which it is evaluated.
    pub fn next_evaluation(&self, t: Timestamp) -> Timestamp {
        slot_after(self, t)
    }
}

/// When the alerting rules of a group decide. Recording rules make one sample an interval in both modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EvaluationMode {
    /// With each transaction that touches them and at the exact instants at which time alone changes something.
    #[default]
    Ingest,
    /// At the instants at which Prometheus evaluates the group, and at no others: what becomes of alerts, and when,
    /// is what becomes of them there.
    Interval,
}

impl EvaluationMode {
    /// Every mode.
    pub const ALL: [EvaluationMode; 2] = [EvaluationMode::Ingest, EvaluationMode::Interval];

    /// The word used in files, JSON and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            EvaluationMode::Ingest => "ingest",
            EvaluationMode::Interval => "interval",
        }
    }
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
    /// The condition: each element of the result is an alert.
    pub expr: Expr,
    /// `for`: how long the condition must hold.
    pub hold: Millis,
    /// `keep_firing_for`: how long an alert fires on after the condition ceased.
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

/// What all rules may refer to.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleContext {
    /// The labels of this server.
    pub external_labels: Labels,
    /// Where this server is found from outside.
    pub external_url: String,
    /// Whether functions of counters look at when the counting began.
    pub start_timestamps: StartTimestamps,
}

impl Default for RuleContext {
    fn default() -> RuleContext {
        RuleContext {
            external_labels: Labels::empty(),
            external_url: String::new(),
            start_timestamps: StartTimestamps::Ignored,
        }
    }
}

impl RuleContext {
    /// How rules ask queries.
    pub(super) fn options(&self) -> EvalOptions {
        EvalOptions { start_timestamps: self.start_timestamps, ..EvalOptions::default() }
    }
}

/// A rule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: group \"{group}\": rule \"{rule}\": {place}: {reason}")]
pub struct RuleError {
    /// The file.
    pub file: String,
    /// The group's name.
    pub group: String,
    /// The alert's or record's name.
    pub rule: String,
    /// Which part of the rule.
    pub place: String,
    /// What is wrong with it, and what to do.
    pub reason: String,
}

impl Rule {
    /// The alert's or record's name.
    pub fn name(&self) -> &str {
        match self {
            Rule::Alerting(rule) => &rule.alert,
            Rule::Recording(rule) => &rule.record,
        }
    }

    /// The expression.
    pub fn expr(&self) -> &Expr {
        match self {
            Rule::Alerting(rule) => &rule.expr,
            Rule::Recording(rule) => &rule.expr,
        }
    }

    fn labels(&self) -> &[(String, String)] {
        match self {
            Rule::Alerting(rule) => &rule.labels,
            Rule::Recording(rule) => &rule.labels,
        }
    }
}

/// Finds what is wrong with the groups before any of them runs.
pub(super) fn check(groups: &[RuleGroup]) -> Result<(), RuleError> {
    let mut names = BTreeSet::new();
    for group in groups {
        let fail = |rule: &str, place: &str, reason: String| RuleError {
            file: group.file.clone(),
            group: group.name.clone(),
            rule: rule.to_owned(),
            place: place.to_owned(),
            reason,
        };
        if group.name.is_empty() {
            return Err(fail("", "name", "the group has no name; give it one".to_owned()));
        }
        if !names.insert((&group.file, &group.name)) {
            return Err(fail("", "name", "another group of the file has this name; rename one".to_owned()));
        }
        if group.interval <= Millis::ZERO {
            return Err(fail("", "interval", format!("{} is not a positive span", group.interval)));
        }
        for rule in &group.rules {
            check_rule(rule).map_err(|(place, reason)| fail(rule.name(), &place, reason))?;
        }
    }
    Ok(())
}

fn check_rule(rule: &Rule) -> Result<(), (String, String)> {
    let fail = |place: &str, reason: String| Err((place.to_owned(), reason));
    if !matches!(rule.expr().value_type(), ValueType::Vector | ValueType::Scalar) {
        let found = rule.expr().value_type().as_str();
        return fail("expr", format!("it gives a {found}; a rule needs an instant vector or a scalar"));
    }
    for (name, _) in rule.labels() {
        if name.is_empty() || name == Labels::METRIC_NAME {
            return fail("labels", format!("\"{name}\" cannot be set by a rule; choose another name"));
        }
    }
    match rule {
        Rule::Recording(rule) if rule.record.is_empty() || rule.record.contains(['{', '}']) => {
            fail("record", format!("\"{}\" is not a metric name", rule.record))
        }
        Rule::Recording(_) => Ok(()),
        Rule::Alerting(rule) if rule.alert.is_empty() => fail("alert", "the alert has no name; give it one".to_owned()),
        Rule::Alerting(rule) => {
            let labels = rule.labels.iter().map(|(name, text)| ("labels", name, text));
            let annotations = rule.annotations.iter().map(|(name, text)| ("annotations", name, text));
            for (kind, name, text) in labels.chain(annotations) {
                template::check(text).map_err(|error| (format!("{kind}.{name}"), error.to_string()))?;
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::parse;

    #[test]
    fn a_bad_rule_is_named_with_its_place() {
        let rule = AlertingRule {
            alert: "Down".to_owned(),
            expr: parse("up == 0").unwrap(),
            hold: Millis::ZERO,
            keep_firing: Millis::ZERO,
            labels: Vec::new(),
            annotations: vec![("summary".to_owned(), "{{ $labels.job".to_owned())],
        };
        let group = RuleGroup {
            name: "g".to_owned(),
            file: "rules.yml".to_owned(),
            interval: Millis::minutes(1),
            mode: EvaluationMode::Ingest,
            limit: 0,
            query_offset: Millis::ZERO,
            labels: Labels::empty(),
            rules: vec![Rule::Alerting(rule)],
        };
        let error = check(std::slice::from_ref(&group)).unwrap_err().to_string();
        assert!(error.starts_with("rules.yml: group \"g\": rule \"Down\": annotations.summary: "), "{error}");
        let mut bad = group.clone();
        bad.rules = vec![Rule::Recording(RecordingRule {
            record: "a:b".to_owned(),
            expr: parse("up[5m]").unwrap(),
            labels: Vec::new(),
        })];
        let error = check(&[bad]).unwrap_err().to_string();
        assert!(error.contains("expr: it gives a range vector"), "{error}");
        let mut twice = group.clone();
        twice.rules.clear();
        let error = check(&[twice.clone(), twice]).unwrap_err().to_string();
        assert!(error.contains("another group of the file"), "{error}");
    }
}
