//! Rules that select `ALERTS`: whose decisions lead to whose at once.
//!
//! Invariants:
//! - Followed rules that select what other followed rules write stand in at most [`STEPS_MAX`] steps above those that
//!   select none, so none of them can set itself going. The others are evaluated at their group's interval, as
//!   in Prometheus.

use std::collections::BTreeSet;

use crate::model::{Labels, Matcher};

use super::alert_series::{ALERT_STATE, ALERTS, ALERTS_FOR_STATE};
use super::rule::{AlertingRule, EvaluationMode, Rule, RuleGroup};

/// How many steps one decision leads to others in at once.
const STEPS_MAX: usize = 2;

/// Why a rule is not followed.
pub(super) const REASON: &str = "it selects ALERTS that its own decisions may change, or that hang on many others";

/// A followed rule that selects alerts.
struct Reader<'a> {
    number: usize,
    group: &'a RuleGroup,
    rule: &'a AlertingRule,
    selectors: Vec<Vec<Matcher>>,
}

/// The rules that cannot be followed because of the alerts that they select, by their number among all.
pub(super) fn refused(groups: &[RuleGroup]) -> BTreeSet<usize> {
    let rules = groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
    let readers: Vec<Reader<'_>> =
        rules.enumerate().filter_map(|(number, (group, rule))| Reader::of(number, group, rule)).collect();
    let selects: Vec<Vec<usize>> =
        readers.iter().map(|reader| (0..readers.len()).filter(|at| reader.selects(&readers[*at])).collect()).collect();
    let mut steps = vec![1; readers.len()];
    for _ in 0..STEPS_MAX {
        let above = |selected: &Vec<usize>| 1 + selected.iter().map(|at| steps[*at]).max().unwrap_or(0);
        steps = selects.iter().map(above).collect();
    }
    let far = readers.iter().zip(steps).filter(|(_, steps)| *steps > STEPS_MAX);
    far.map(|(reader, _)| reader.number).collect()
}

impl<'a> Reader<'a> {
    fn of(number: usize, group: &'a RuleGroup, rule: &'a Rule) -> Option<Reader<'a>> {
        let Rule::Alerting(rule) = rule else { return None };
        if group.mode == EvaluationMode::Interval {
            return None;
        }
        let selectors = rule.expr.selectors().into_iter().filter(|matchers| may_select(matchers, |_| None));
        let selectors: Vec<Vec<Matcher>> = selectors.collect();
        (!selectors.is_empty()).then_some(Reader { number, group, rule, selectors })
    }

    fn selects(&self, other: &Reader<'_>) -> bool {
        self.selectors.iter().any(|matchers| may_select(matchers, |name| other.label(name)))
    }

    /// The value that a label of all its alerts has, if it is known beforehand.
    fn label(&self, name: &str) -> Option<&str> {
        if name == "alertname" {
            return Some(&self.rule.alert);
        }
        match self.rule.labels.iter().find(|(of, _)| of == name) {
            Some((_, text)) => (!text.contains("{{")).then_some(text.as_str()),
            None => Some(self.group.labels.get(name)).filter(|value| !value.is_empty()),
        }
    }
}

/// Whether a selector may take series of alerts of which some labels are known.
fn may_select<'a>(matchers: &[Matcher], label: impl Fn(&str) -> Option<&'a str>) -> bool {
    [(ALERTS, "pending"), (ALERTS, "firing"), (ALERTS_FOR_STATE, "")].into_iter().any(|(metric, state)| {
        matchers.iter().all(|matcher| match matcher.name() {
            Labels::METRIC_NAME => matcher.matches(metric),
            ALERT_STATE => matcher.matches(state),
            name => label(name).is_none_or(|value| matcher.matches(value)),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Millis;
    use crate::promql::parse;

    fn refused_of(rules: &[(&str, &str)]) -> Vec<usize> {
        let rule = |(name, expr): &(&str, &str)| AlertingRule {
            alert: (*name).to_owned(),
            expr: parse(expr).unwrap(),
            hold: Millis::ZERO,
            keep_firing: Millis::ZERO,
            labels: vec![("severity".to_owned(), "page".to_owned())],
            annotations: Vec::new(),
        };
        let group = RuleGroup {
            name: "g".to_owned(),
            file: "f".to_owned(),
            interval: Millis::minutes(1),
            mode: EvaluationMode::Ingest,
            limit: 0,
            query_offset: Millis::ZERO,
            labels: Labels::empty(),
            rules: rules.iter().map(rule).map(Rule::Alerting).collect(),
        };
        refused(&[group]).into_iter().collect()
    }

    #[test]
    fn what_could_set_itself_going_is_refused() {
        let check = |rules: &[(&str, &str)], expected: &[usize]| assert_eq!(refused_of(rules), expected, "{rules:?}");
        check(&[("A", "up == 0"), ("B", "ALERTS{alertname=\"A\"}"), ("C", "x unless ALERTS{alertname=\"B\"}")], &[]);
        check(&[("A", "up == 0"), ("B", "count(ALERTS) > 5")], &[1]);
        check(&[("A", "up == 0"), ("B", "count(ALERTS{severity=\"page\"}) > 5")], &[1]);
        check(&[("A", "up == 0"), ("B", "count(ALERTS{severity=\"ticket\"}) > 5")], &[]);
        check(&[("A", "up == 0"), ("B", "count(ALERTS_FOR_STATE{alertname!=\"B\"}) > 5")], &[]);
        check(&[("A", "absent(ALERTS{alertname=\"B\"})"), ("B", "absent(ALERTS{alertname=\"A\"})")], &[0, 1]);
        check(&[("A", "count({job=\"x\"}) > 3"), ("B", "count({__name__=~\"up|down\"}) > 3")], &[0]);
        let chain =
            ["B", "C", "D"].map(|name| (name, format!("ALERTS{{alertname=\"{}\"}}", (name.as_bytes()[0] - 1) as char)));
        let mut rules = vec![("A", "up == 0")];
        rules.extend(chain.iter().map(|(name, expr)| (*name, expr.as_str())));
        check(&rules, &[3]);
    }
}
