//! Which selectors a series may satisfy, found by its labels.
//!
//! Invariants:
//! - Every selector that a series satisfies is among those that are found for it.

use std::collections::HashMap;

use crate::model::{Labels, MatchOp, Matcher};

/// Selectors, by numbers.
///
/// Thousands of rules ask for the same metric of one team each; a series that comes should not be held against all.
#[derive(Debug, Default)]
pub(super) struct Selectors {
    by_name: HashMap<String, Named>,
    /// Those that ask for no metric.
    nameless: Vec<usize>,
}

/// Those that ask for a metric.
#[derive(Debug, Default)]
struct Named {
    /// Names of labels, and those selectors that ask for a value of one.
    by_label: Vec<(String, HashMap<String, Vec<usize>>)>,
    others: Vec<usize>,
}

impl Selectors {
    /// Adds a selector.
    pub(super) fn add(&mut self, selector: usize, matchers: &[Matcher]) {
        let equal = |matcher: &&Matcher| matcher.op() == MatchOp::Equal && !matcher.value().is_empty();
        let is_name = |matcher: &&Matcher| matcher.name() == Labels::METRIC_NAME;
        let Some(name) = matchers.iter().filter(equal).find(is_name) else { return self.nameless.push(selector) };
        let named = self.by_name.entry(name.value().to_owned()).or_default();
        // Where the fewest are yet: a team, rather than what all teams ask for.
        let others = matchers.iter().filter(equal).filter(|matcher| !is_name(matcher));
        match others.min_by_key(|matcher| named.with(matcher.name(), matcher.value()).len()) {
            Some(rarest) => named.place(rarest.name(), rarest.value()).push(selector),
            None => named.others.push(selector),
        }
    }

    /// Those that a series may satisfy, in order.
    pub(super) fn for_series(&self, labels: &Labels) -> Vec<usize> {
        let mut found = self.nameless.clone();
        if let Some(named) = self.by_name.get(labels.metric_name()) {
            found.extend_from_slice(&named.others);
            for (name, values) in &named.by_label {
                found.extend(values.get(labels.get(name)).into_iter().flatten());
            }
        }
        found.sort_unstable();
        found
    }
}

impl Named {
    fn with(&self, name: &str, value: &str) -> &[usize] {
        let values = self.by_label.iter().find(|(of, _)| of == name).map(|(_, values)| values);
        values.and_then(|values| values.get(value)).map_or(&[], Vec::as_slice)
    }

    fn place(&mut self, name: &str, value: &str) -> &mut Vec<usize> {
        let at = self.by_label.iter().position(|(of, _)| of == name).unwrap_or_else(|| {
            self.by_label.push((name.to_owned(), HashMap::new()));
            self.by_label.len() - 1
        });
        self.by_label[at].1.entry(value.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random selectors and series: what matches is found, and few others are.
    #[test]
    fn what_a_series_satisfies_is_found() {
        let mut state = 7u64;
        let mut below = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        let (mut selectors, mut all) = (Selectors::default(), Vec::new());
        for at in 0..600 {
            let mut matchers = Vec::new();
            if below(40) > 0 {
                matchers.push(Matcher::equal(Labels::METRIC_NAME, ["up", "requests", "errors"][below(3) as usize]));
            }
            if below(20) > 0 {
                matchers.push(Matcher::equal("team", &below(100).to_string()));
            }
            match below(4) {
                0 => matchers.push(Matcher::equal("code", ["500", "200"][below(2) as usize])),
                1 => matchers.push(Matcher::equal("code", "")),
                2 => matchers.push(Matcher::new("code", MatchOp::NotEqual, "500").unwrap()),
                _ => {}
            }
            selectors.add(at, &matchers);
            all.push(matchers);
        }
        let mut looked_at = 0;
        for _ in 0..2000 {
            let (name, team) = (["up", "requests", "other"][below(3) as usize], below(110).to_string());
            let mut pairs = vec![("__name__", name), ("team", team.as_str())];
            if below(3) > 0 {
                pairs.push(("code", ["500", "200", "404"][below(3) as usize]));
            }
            let labels = Labels::new(pairs).unwrap();
            let matches = |at: &usize| all[*at].iter().all(|matcher| matcher.matches(labels.get(matcher.name())));
            let found = selectors.for_series(&labels);
            looked_at += found.len();
            let matching: Vec<usize> = found.into_iter().filter(matches).collect();
            assert_eq!(matching, (0..all.len()).filter(matches).collect::<Vec<_>>(), "{labels}");
        }
        assert!(looked_at < 2000 * 60, "{looked_at}");
    }
}
