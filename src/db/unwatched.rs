//! Errors that stored series count, and that neither an objective nor a rule looks at.
//!
//! Invariants:
//! - What counts errors is known by convention: by the metric's name, or by a status code among its labels.
//! - Work is bounded by the number of metrics that are looked at, and by the limits of queries.

use std::collections::{BTreeMap, BTreeSet};

use crate::confidence::UnwatchedErrors;
use crate::model::{Labels, MatchOp, Matcher, Millis, PatternError, TimeRange, Timestamp};
use crate::promql::{EvalOptions, Value, parse};
use crate::rules::Mode;

use super::Db;
use super::inventory::OWN;
use super::versions::service_of;

/// Names of counters of errors.
const ERRORS: &str = "(.+_)?(errors?|failures?|failed|exceptions?|panics?|timeouts?)(_.+)?_total";
/// Names of counters that may have a code among their labels.
const COUNTERS: &str = ".+_total";
/// Labels that hold the status of an answer, and values that are the server's fault.
const CODES: [&str; 5] = ["code", "status", "status_code", "http_status_code", "http_response_status_code"];
const FAULTS: &str = "5..";
/// Metrics that are looked at, and what is told at the most.
const METRICS_MAX: usize = 200;
const TOLD_MAX: usize = 50;

impl Db {
    /// The errors of the last day that nobody would be told of, the most first.
    pub(super) fn unwatched_errors(&self, now: Timestamp) -> Vec<UnwatchedErrors> {
        let kinds = [None].into_iter().chain(CODES.map(Some));
        let (mut seen, mut found) = (BTreeSet::new(), BTreeMap::new());
        let polled = self.polled_selectors();
        for code in kinds {
            let Ok(matchers) = counting(code) else { continue };
            let day = TimeRange { after: now - Millis::days(1), until: now };
            let names = self.label_values(Labels::METRIC_NAME, &matchers, day).unwrap_or_default();
            for name in names.into_iter().take(METRICS_MAX) {
                let own: Vec<String> = matchers[2..].iter().map(ToString::to_string).collect();
                let selector = format!("increase({{__name__={name:?},{}}}[1d])", own.join(","));
                let answer = match self.query(&selector, now, &EvalOptions::default()) {
                    Ok(answer) => answer,
                    Err(error) => {
                        tracing::warn!("errors of {name} that nobody looks at are not counted: {error}");
                        continue;
                    }
                };
                let Value::Vector(elements) = answer.value else { continue };
                for element in elements {
                    let others = element.labels.iter().map(|label| (label.name, label.value));
                    let Ok(labels) = Labels::new([(Labels::METRIC_NAME, name.as_str())].into_iter().chain(others))
                    else {
                        continue;
                    };
                    let events = element.number().filter(|v| *v >= 0.5);
                    if let Some(events) = events.filter(|_| !self.is_watched(&labels, &polled))
                        && seen.insert(labels.clone())
                    {
                        *found.entry((name.clone(), service_of(&labels))).or_insert(0.0) += events;
                    }
                }
            }
        }
        let told =
            |((metric, service), events): (_, f64)| UnwatchedErrors { metric, service, events: events.round() as u64 };
        let mut errors: Vec<UnwatchedErrors> = found.into_iter().map(told).collect();
        errors.sort_by_key(|errors| std::cmp::Reverse(errors.events));
        errors.truncate(TOLD_MAX);
        errors
    }

    /// What rules select that are not followed sample by sample.
    fn polled_selectors(&self) -> Vec<Vec<Matcher>> {
        let groups = self.rule_groups();
        let rules = groups.iter().flat_map(|group| &group.rules);
        let polled = rules.filter(|rule| rule.mode != Mode::Incremental);
        polled.filter_map(|rule| parse(&rule.expr).ok()).flat_map(|expr| expr.selectors()).collect()
    }

    fn is_watched(&self, labels: &Labels, polled: &[Vec<Matcher>]) -> bool {
        let matches = |matchers: &Vec<Matcher>| matchers.iter().all(|m| m.matches(labels.get(m.name())));
        let followed = {
            let core = self.inner.core.lock();
            core.evaluator.follows(labels) || core.objectives.follows(labels)
        };
        followed || polled.iter().any(matches)
    }
}

/// The counters of errors: by their name, or by what a label says of each. Our own are none.
fn counting(code: Option<&str>) -> Result<Vec<Matcher>, PatternError> {
    let name = if code.is_some() { COUNTERS } else { ERRORS };
    let mut matchers = vec![
        Matcher::new(Labels::METRIC_NAME, MatchOp::Match, name)?,
        Matcher::new(Labels::METRIC_NAME, MatchOp::NotMatch, OWN)?,
    ];
    if let Some(code) = code {
        matchers.push(Matcher::new(code, MatchOp::Match, FAULTS)?);
    }
    Ok(matchers)
}
