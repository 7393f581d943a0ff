//! What a rule reads at an evaluation, and what is known of what is stored.

use crate::model::{Labels, MatchOp, Matcher, Millis, limits};
use crate::promql::{Expr, reaches};

/// What is known of what is stored.
pub trait Facts {
    /// How many series satisfy the matchers and have a sample in the day before the newest; absent: not known.
    fn series(&self, matchers: &[Matcher]) -> Option<u64>;

    /// How many samples these series have together in the time before the newest sample.
    fn samples(&self, matchers: &[Matcher], back: Millis) -> Option<u64>;

    /// How many samples the series that has most has in the time before the newest sample.
    fn most_samples(&self, matchers: &[Matcher], back: Millis) -> Option<u64>;

    /// What a metric is, in the words of the exposition format: `counter`, `gauge`, `histogram`, …
    fn metric_type(&self, name: &str) -> Option<String>;
}

/// A selector of a rule, and what it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectorCost {
    /// The selector, as it is written.
    pub selector: String,
    /// How far back it looks.
    pub window: Millis,
    /// The series that it selects, if that is known.
    pub series: Option<u64>,
    /// The samples that it reads at an evaluation, if that is known.
    pub samples: Option<u64>,
}

/// What each selector of an expression reads, the same one once.
pub fn selector_costs(expr: &Expr, facts: Option<&dyn Facts>) -> Vec<SelectorCost> {
    let mut costs: Vec<SelectorCost> = Vec::new();
    for (matchers, window) in reaches(expr, limits::LOOKBACK) {
        let selector = selector_text(matchers);
        if costs.iter().any(|cost| cost.selector == selector && cost.window == window) {
            continue;
        }
        let series = facts.and_then(|facts| facts.series(matchers));
        let samples = facts.and_then(|facts| facts.samples(matchers, window));
        costs.push(SelectorCost { selector, window, series, samples });
    }
    costs
}

/// A selector as it is written.
pub(super) fn selector_text(matchers: &[Matcher]) -> String {
    let is_name = |matcher: &&Matcher| matcher.name() == Labels::METRIC_NAME && matcher.op() == MatchOp::Equal;
    let name = matchers.iter().find(is_name).map_or("", Matcher::value);
    let rest: Vec<String> = matchers.iter().filter(|matcher| !is_name(matcher)).map(Matcher::to_string).collect();
    if rest.is_empty() && !name.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", rest.join(",")) }
}
