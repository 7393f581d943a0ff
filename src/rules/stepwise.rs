//! Rules that are evaluated all at once, at instants that the caller chooses: for tests of rules.
//!
//! Invariants:
//! - At an instant each group is evaluated after those before it, and each rule after those before it in its
//!   group; a rule sees what those made. Every rule is a query, as in Prometheus.
//! - The alerts that are pending or firing after an evaluation are written as `ALERTS` and `ALERTS_FOR_STATE`;
//!   a series that a rule made no more gets a staleness marker.

use crate::model::{Alert, Seq, Timestamp};
use crate::promql::{EvalOptions, Query, SeriesSource};

use super::alerting::{AlertRule, Moment};
use super::evaluator::{Outcome, write_all};
use super::interval::{RecordRule, instant, query_of};
use super::overlay::Overlay;
use super::rule::{EvaluationMode, Rule, RuleContext, RuleError, RuleGroup, check};
use super::timers::Timers;

/// Evaluates rules at instants that the caller chooses, never backwards.
#[derive(Debug)]
pub struct Stepwise {
    groups: Vec<RuleGroup>,
    /// Those of all groups, in the order of the groups.
    rules: Vec<StepRule>,
    context: RuleContext,
    options: EvalOptions,
    timers: Timers,
}

#[derive(Debug)]
enum StepRule {
    Alerting { rule: AlertRule, query: Query },
    Recording(RecordRule),
}

impl Stepwise {
    /// Checks the groups, which are evaluated in this order.
    ///
    /// # Errors
    /// A rule cannot be used; the error names it.
    pub fn new(mut groups: Vec<RuleGroup>, context: RuleContext, options: EvalOptions) -> Result<Stepwise, RuleError> {
        check(&groups)?;
        let mut rules = Vec::new();
        for group in &mut groups {
            group.mode = EvaluationMode::Interval;
            for rule in &group.rules {
                let key = format!("{}\u{0}{}\u{0}{}", group.file, group.name, rules.len());
                rules.push(match rule {
                    Rule::Alerting(def) => StepRule::Alerting {
                        query: query_of(&def.expr),
                        rule: AlertRule::new(def.clone(), u32::try_from(rules.len()).unwrap_or(u32::MAX), key, group),
                    },
                    Rule::Recording(def) => {
                        StepRule::Recording(RecordRule::new(def.clone(), key, group.labels.clone(), group.limit))
                    }
                });
            }
        }
        Ok(Stepwise { groups, rules, context, options, timers: Timers::default() })
    }

    /// Evaluates every rule at an instant. What was made is for the caller to store, dated earlier by the group's
    /// `query_offset`.
    pub fn evaluate(&mut self, seq: Seq, at: Timestamp, source: &dyn SeriesSource) -> Outcome {
        let mut outcome = Outcome::default();
        let mut overlay = Overlay::new(source, &outcome.derived);
        let mut number = 0;
        for group in &self.groups {
            let seen_from = at - group.query_offset;
            for _ in &group.rules {
                match &mut self.rules[number] {
                    StepRule::Recording(rule) => {
                        rule.evaluate(seen_from, &self.options, &mut overlay, &mut outcome.derived);
                    }
                    StepRule::Alerting { rule, query } => {
                        let result = instant(query, &overlay, seen_from, &self.options);
                        let (context, timers) = (&self.context, &mut self.timers);
                        let transitions = &mut outcome.transitions;
                        let source: &dyn SeriesSource = &overlay;
                        let mut moment = Moment { seq, at, context, source, timers, transitions };
                        rule.set_queried(result, &mut moment);
                        write_all(rule, seen_from, &mut overlay, &mut outcome.derived);
                    }
                }
                number += 1;
            }
        }
        outcome
    }

    /// The alerts of all rules, pending and firing, with the texts of the last evaluation.
    pub fn alerts(&self) -> Vec<Alert> {
        let of = |rule: &StepRule| match rule {
            StepRule::Alerting { rule, .. } => rule.alerts(),
            StepRule::Recording(_) => Vec::new(),
        };
        self.rules.iter().flat_map(of).collect()
    }

    /// The rules whose last evaluation had no result, each with the reason.
    pub fn errors(&self) -> Vec<(String, String)> {
        let of = |rule: &StepRule| match rule {
            StepRule::Alerting { rule, .. } => Some((rule.def.alert.clone(), rule.error.clone()?)),
            StepRule::Recording(rule) => Some((rule.def.record.clone(), rule.error.clone()?)),
        };
        self.rules.iter().filter_map(of).collect()
    }

    /// The groups, as they are evaluated.
    pub fn groups(&self) -> &[RuleGroup] {
        &self.groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AlertState, Labels, Matcher, Millis, Sample, TimeRange, is_stale};
    use crate::promql::{SeriesSamples, SourceError, parse};
    use crate::rules::{AlertingRule, RecordingRule};

    /// Series that tests append to.
    #[derive(Default)]
    struct Stored(Vec<(Labels, Sample)>);

    impl Stored {
        fn take(&mut self, outcome: &Outcome) {
            let derived = &outcome.derived;
            let labels = |at: u32| derived.series()[at as usize].clone();
            self.0.extend(derived.samples().iter().map(|one| (labels(one.series), one.sample)));
        }
    }

    impl SeriesSource for Stored {
        fn select(&self, matchers: &[Matcher], range: TimeRange, _: usize) -> Result<Vec<SeriesSamples>, SourceError> {
            let mut found = std::collections::BTreeMap::<Labels, Vec<Sample>>::new();
            for (labels, sample) in &self.0 {
                if range.contains(sample.t) && matchers.iter().all(|m| m.matches(labels.get(m.name()))) {
                    found.entry(labels.clone()).or_default().push(*sample);
                }
            }
            Ok(found.into_iter().map(|(labels, samples)| SeriesSamples::of_numbers(labels, samples)).collect())
        }
    }

    fn labels(text: &str) -> Labels {
        let matchers = crate::promql::parse_selector(text).unwrap();
        Labels::new(matchers.iter().map(|m| (m.name(), m.value()))).unwrap()
    }

    fn groups() -> Vec<RuleGroup> {
        let alert = AlertingRule {
            alert: "High".to_owned(),
            expr: parse("doubled > 5").unwrap(),
            hold: Millis::minutes(1),
            keep_firing: Millis::minutes(2),
            labels: Vec::new(),
            annotations: vec![("v".to_owned(), "{{ $value }}".to_owned())],
        };
        let record = RecordingRule { record: "doubled".into(), expr: parse("x * 2").unwrap(), labels: Vec::new() };
        let group = |name: &str, rule| RuleGroup {
            name: name.to_owned(),
            file: "f".to_owned(),
            interval: Millis::minutes(9),
            mode: EvaluationMode::Ingest,
            limit: 0,
            query_offset: Millis::ZERO,
            labels: Labels::empty(),
            rules: vec![rule],
        };
        vec![group("b", Rule::Recording(record)), group("a", Rule::Alerting(alert))]
    }

    #[test]
    fn rules_see_what_those_before_them_made_and_alerts_are_series() {
        let mut stored = Stored::default();
        let mut rules = Stepwise::new(groups(), RuleContext::default(), EvalOptions::default()).unwrap();
        let mut shown = Vec::new();
        for (minute, x) in [1.0, 3.0, 4.0, 1.0, 1.0, 1.0].into_iter().enumerate() {
            let t = Timestamp(minute as i64 * 60_000);
            stored.0.push((labels("x"), Sample { t, v: x }));
            let outcome = rules.evaluate(Seq(1), t, &stored);
            stored.take(&outcome);
            let alerts = rules.alerts();
            shown.push(alerts.first().map(|alert| (alert.state, alert.annotations.get("v").to_owned())));
        }
        let (pending, firing) = (AlertState::Pending, AlertState::Firing);
        let expected = [
            None,
            Some((pending, "6".to_owned())),
            Some((firing, "8".to_owned())),
            Some((firing, "8".to_owned())),
            Some((firing, "8".to_owned())),
            None,
        ];
        assert_eq!(shown, expected);
        let of = |text: &str| {
            let wanted = labels(text);
            let samples = stored.0.iter().filter(|(labels, _)| *labels == wanted);
            samples.map(|(_, s)| (s.t.0 / 60_000, (!is_stale(s.v)).then_some(s.v))).collect::<Vec<_>>()
        };
        assert_eq!(of("ALERTS{alertname=\"High\",alertstate=\"pending\"}"), [(1, Some(1.0)), (2, None)]);
        let firing = [(2, Some(1.0)), (3, Some(1.0)), (4, Some(1.0)), (5, None)];
        assert_eq!(of("ALERTS{alertname=\"High\",alertstate=\"firing\"}"), firing);
        let since = [(1, Some(60.0)), (2, Some(60.0)), (3, Some(60.0)), (4, Some(60.0)), (5, None)];
        assert_eq!(of("ALERTS_FOR_STATE{alertname=\"High\"}"), since);
    }
}
