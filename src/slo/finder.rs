//! Which objectives a new series may concern, without asking all of them.
//!
//! Invariants:
//! - Whoever selects a series is found; some who do not are found too, and look for themselves.

use std::collections::HashMap;

use crate::model::{Labels, MatchOp, Matcher};

use super::watch::Watch;

/// Objectives by a condition of each of their selectors: the equality that the fewest others have.
#[derive(Debug, Clone, Default)]
pub(super) struct Finder {
    by_pair: HashMap<String, Vec<usize>>,
    /// Those with a selector that has no equality.
    any: Vec<usize>,
}

impl Finder {
    pub(super) fn of(watches: &[Watch]) -> Finder {
        let selectors = |watch: &'_ Watch| -> Vec<Vec<String>> {
            watch.objective.indicator.matchers().into_iter().map(equalities).collect()
        };
        let mut common: HashMap<String, usize> = HashMap::new();
        for pair in watches.iter().flat_map(selectors).flatten() {
            *common.entry(pair).or_default() += 1;
        }
        let mut finder = Finder::default();
        for (n, watch) in watches.iter().enumerate() {
            for pairs in selectors(watch) {
                let rarest = pairs.into_iter().min_by_key(|pair| common.get(pair).copied().unwrap_or(0));
                let places = match rarest {
                    Some(pair) => finder.by_pair.entry(pair).or_default(),
                    None => &mut finder.any,
                };
                if places.last() != Some(&n) {
                    places.push(n);
                }
            }
        }
        finder
    }

    /// The objectives that may select a series, in order.
    pub(super) fn find(&self, series: &Labels) -> Vec<usize> {
        let pairs = series.iter().filter_map(|label| self.by_pair.get(&pair(label.name, label.value)));
        let mut found: Vec<usize> = pairs.flatten().copied().chain(self.any.iter().copied()).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The labels that every series of a selector has.
fn equalities(matchers: &[Matcher]) -> Vec<String> {
    let equal = matchers.iter().filter(|matcher| matcher.op() == MatchOp::Equal && !matcher.value().is_empty());
    equal.map(|matcher| pair(matcher.name(), matcher.value())).collect()
}

fn pair(name: &str, value: &str) -> String {
    format!("{name}\u{0}{value}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Millis;
    use crate::slo::{Comparison, Indicator, Objective};

    #[test]
    fn whoever_selects_a_series_is_found() {
        let watch = |matchers: Vec<Matcher>| {
            let indicator = Indicator::Threshold { gauge: matchers, op: Comparison::Less, bound: 1.0 };
            Watch::new(Objective::new("s", "o", 0.9, Millis::days(1), indicator), Vec::new())
        };
        let matcher = |name: &str, op, value: &str| Matcher::new(name, op, value).unwrap();
        let name = || Matcher::equal("__name__", "x");
        let watches = [
            watch(vec![name(), Matcher::equal("job", "a")]),
            watch(vec![name(), Matcher::equal("job", "b")]),
            watch(vec![name(), matcher("job", MatchOp::Match, "a|b")]),
            watch(vec![matcher("__name__", MatchOp::Match, "x|y")]),
            // A label that is not there: an equality that no series has.
            watch(vec![name(), Matcher::equal("job", "")]),
        ];
        let finder = Finder::of(&watches);
        let check = |labels: &[(&str, &str)], expected: &[usize]| {
            let series = Labels::new(labels.iter().copied()).unwrap();
            assert_eq!(finder.find(&series), expected, "{series}");
            let selects = |watch: &&Watch| {
                let mut all = watch.objective.indicator.matchers().into_iter().flatten();
                all.all(|matcher| matcher.matches(series.get(matcher.name())))
            };
            let selected = watches.iter().enumerate().filter(|(_, watch)| selects(watch)).map(|(n, _)| n);
            assert!(selected.into_iter().all(|n| expected.contains(&n)), "{series}");
        };
        check(&[("__name__", "x"), ("job", "a")], &[0, 2, 3, 4]);
        check(&[("__name__", "x"), ("job", "c")], &[2, 3, 4]);
        check(&[("__name__", "x")], &[2, 3, 4]);
        check(&[("__name__", "y"), ("job", "b")], &[1, 3]);
        check(&[("__name__", "z")], &[3]);
    }
}
