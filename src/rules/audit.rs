//! Whether what the rules follow is what a query answers: one evaluation in many is looked at.
//!
//! Invariants:
//! - It decides nothing: what is looked at, and when, is no part of the rules' state, and costs them a copy of a result.
//! - A result is taken at a whole second, when values that move by themselves are up to date.

use crate::model::{Labels, Timestamp, limits};
use crate::promql::{ElementValue, EvalError, EvalOptions, Query, SeriesSource, Value};

use super::entry::Kind;
use super::evaluator::{Evaluator, ReloadError};
use super::timers::{is_soft_step, next_soft_step};

/// What a followed rule had for a result at an instant, to be compared with what a query answers.
#[derive(Debug)]
pub struct Audit {
    /// The rule's name.
    pub rule: String,
    query: Query,
    options: EvalOptions,
    at: Timestamp,
    /// Nothing, if it had no result.
    found: Option<Elements>,
}

/// Elements and the bits of their values, in order; every NaN is the same.
type Elements = Vec<(Labels, u64)>;

/// A rule that does not follow what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule} at {at}: followed {followed}, a query answers {answered}")]
pub struct Mismatch {
    rule: String,
    at: Timestamp,
    followed: String,
    answered: String,
}

/// Chooses what is looked at.
#[derive(Debug, Default)]
pub(super) struct Auditor {
    /// Of how many evaluations one is looked at; 0 for none.
    one_in: u64,
    evaluations: u64,
    /// The rule that was looked at last, and when.
    last: (usize, Timestamp),
    ready: Option<Audit>,
}

impl Auditor {
    /// Counts evaluations of followed rules.
    pub(super) fn count(&mut self, evaluations: usize) {
        self.evaluations += evaluations as u64;
    }

    fn owes(&self) -> bool {
        self.one_in > 0 && self.evaluations >= self.one_in && self.ready.is_none()
    }

    /// When a result can be taken, if one is to be.
    pub(super) fn next_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        self.owes().then(|| next_soft_step(now.max(self.last.1)))
    }
}

impl Audit {
    /// Compares with what a query answers on the same samples. An answer that the query's limits forbid says nothing.
    ///
    /// # Errors
    /// They differ.
    pub fn check(&self, source: &dyn SeriesSource) -> Result<(), Mismatch> {
        let answered = match self.query.instant(source, self.at, &self.options) {
            Ok(answer) => Some(elements_of(answer.value)),
            Err(EvalError::Source(_) | EvalError::TooManySamples | EvalError::Busy | EvalError::TimedOut) => {
                return Ok(());
            }
            Err(_) => None,
        };
        if self.found == answered {
            return Ok(());
        }
        let (rule, at) = (self.rule.clone(), self.at);
        let (found, answered) = (self.found.as_ref(), answered.as_ref());
        Err(Mismatch { rule, at, followed: difference(found, answered), answered: difference(answered, found) })
    }
}

impl Evaluator {
    /// Has one evaluation in so many looked at; 0 for none.
    pub fn audit_one_in(&mut self, evaluations: u64) {
        self.auditor.one_in = evaluations;
    }

    /// What is to be looked at, if anything is: with the samples that the rules have seen last.
    pub fn take_audit(&mut self) -> Option<Audit> {
        self.auditor.ready.take()
    }

    /// Fills every window anew from stored history, after an audit has found a difference. Alerts stay.
    /// [`adopt`](Evaluator::adopt) comes next.
    ///
    /// # Errors
    /// The history cannot be read.
    pub fn reseed(&mut self, source: &dyn SeriesSource) -> Result<(), ReloadError> {
        let groups = self.groups.iter().map(|group| group.def.clone()).collect();
        self.reload(groups, self.context.clone(), source)
    }

    /// Takes a result to be looked at, if one is owed.
    pub(super) fn audit(&mut self, at: Timestamp) {
        let (last, since) = self.auditor.last;
        if !self.auditor.owes() || !is_soft_step(at) || at <= since {
            return;
        }
        let count = self.rules.len();
        let Some(number) = (1..=count).map(|n| (last + n) % count).find(|at| self.rules[*at].kind.is_followed()) else {
            return;
        };
        self.auditor.last = (number, at);
        self.auditor.evaluations = 0;
        let entry = &self.rules[number];
        let Kind::Followed { rule, plan, query, .. } = &entry.kind else { return };
        let out = &self.graph.nodes[plan.node].out;
        if out.live() > limits::RULE_AUDIT_ELEMENTS_MAX {
            return;
        }
        let found = out.error().is_none().then(|| sorted(out.elements().map(|(_, labels, v)| (labels, v))));
        let (rule, query) = (rule.def.alert.clone(), query.clone());
        let options = self.context.options();
        self.auditor.ready = Some(Audit { rule, query, options, at: at - entry.query_offset, found });
    }

    /// Makes every window wrong.
    #[cfg(test)]
    pub(crate) fn distort(&mut self) {
        self.graph.distort();
    }
}

fn sorted<'a>(elements: impl Iterator<Item = (&'a Labels, f64)>) -> Elements {
    let bits = |v: f64| if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() };
    let mut elements: Elements = elements.map(|(labels, v)| (labels.without_metric_name(), bits(v))).collect();
    elements.sort_unstable();
    elements
}

fn elements_of(value: Value) -> Elements {
    match value {
        Value::Vector(elements) => sorted(elements.iter().map(|element| {
            // While a rule is followed, none of its values is a native histogram.
            let ElementValue::Number(v) = element.value else { return (&element.labels, 0.0) };
            (&element.labels, v)
        })),
        Value::Scalar(sample) => sorted([(&Labels::empty(), sample.v)].into_iter()),
        Value::String(..) | Value::Matrix(_) => Vec::new(),
    }
}

/// The first element that the other does not have, in words.
fn difference(of: Option<&Elements>, other: Option<&Elements>) -> String {
    let Some(of) = of else { return "no result".to_owned() };
    let is_missing = |element: &&(Labels, u64)| other.is_none_or(|other| other.binary_search(element).is_err());
    match of.iter().find(is_missing) {
        Some((labels, bits)) => format!("{} elements, {labels} = {} among them", of.len(), f64::from_bits(*bits)),
        None => format!("{} elements", of.len()),
    }
}
