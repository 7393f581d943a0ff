//! Which rules are played together, and how far back they look.
//!
//! Invariants:
//! - Rules that may read what others make are played with them.
//! - The parts depend on the rules alone, not on who plays them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Labels, Matcher, Millis, limits};
use crate::promql::reaches;
use crate::rules::{Rule, RuleGroup};

use super::history::longest;

/// Rules that are played by themselves.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) groups: Vec<RuleGroup>,
    /// The selectors of its rules, each once.
    pub(super) selectors: Vec<Vec<Matcher>>,
    /// The metrics that its rules make.
    pub(super) made: BTreeSet<String>,
    /// How far back its rules look.
    pub(super) reach: Millis,
    /// How long before the range it is played, so that alerts and recorded series are there when it begins.
    pub(super) lead: Millis,
}

/// What alerting rules make.
pub(super) const ALERTS: [&str; 2] = ["ALERTS", "ALERTS_FOR_STATE"];

/// The longest time before the range that is played: as long as the longest usual `for` and window together.
const LEAD_MAX: Millis = Millis::days(8);

/// Cuts rules into at most so many parts, about as large as each other.
pub(super) fn parts(groups: &[RuleGroup], most: usize) -> Vec<Part> {
    let rules: Vec<(usize, usize)> =
        groups.iter().enumerate().flat_map(|(g, group)| (0..group.rules.len()).map(move |r| (g, r))).collect();
    let mut islands = islands(groups, &rules);
    // Those that read the same metrics come together, so that these are read once.
    islands.sort_by_cached_key(|island| {
        let (g, r) = rules[island[0]];
        (first_selector(&groups[g].rules[r]), island[0])
    });
    let share = rules.len().div_ceil(most.max(1)).max(1);
    let mut cut: Vec<Vec<usize>> = Vec::new();
    for island in islands {
        match cut.last_mut().filter(|part| part.len() + island.len() <= share) {
            Some(part) => part.extend(island),
            None => cut.push(island),
        }
    }
    cut.into_iter()
        .map(|mut part| {
            part.sort_unstable();
            part_of(groups, part.into_iter().map(|at| rules[at]))
        })
        .collect()
}

fn first_selector(rule: &Rule) -> String {
    let selectors = rule.expr().selectors();
    selectors.first().map_or_else(String::new, |matchers| matchers.iter().map(Matcher::to_string).collect())
}

/// Rules that hang together, each list sorted.
fn islands(groups: &[RuleGroup], rules: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut root: Vec<usize> = (0..rules.len()).collect();
    fn find(root: &mut [usize], mut at: usize) -> usize {
        while root[at] != at {
            root[at] = root[root[at]];
            at = root[at];
        }
        at
    }
    let mut join = |a: usize, b: usize| {
        let (a, b) = (find(&mut root, a), find(&mut root, b));
        root[a.max(b)] = a.min(b);
    };
    let rule = |at: usize| &groups[rules[at].0].rules[rules[at].1];
    let mut by_name = BTreeMap::new();
    for at in 0..rules.len() {
        // Rules of a group with the same name are told apart by their order.
        if let Some(before) = by_name.insert((rules[at].0, rule(at).name()), at) {
            join(before, at);
        }
        for matchers in rule(at).expr().selectors() {
            for other in 0..rules.len() {
                let reads = match rule(other) {
                    Rule::Recording(made) => may_name(&matchers, &made.record),
                    Rule::Alerting(_) => ALERTS.iter().any(|name| may_name(&matchers, name)),
                };
                if reads {
                    join(at, other);
                }
            }
        }
    }
    let mut islands: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in 0..rules.len() {
        islands.entry(find(&mut root, at)).or_default().push(at);
    }
    islands.into_values().collect()
}

/// Whether series of a metric may satisfy matchers.
pub(super) fn may_name(matchers: &[Matcher], name: &str) -> bool {
    matchers.iter().filter(|m| m.name() == Labels::METRIC_NAME).all(|m| m.matches(name))
}

fn part_of(groups: &[RuleGroup], rules: impl Iterator<Item = (usize, usize)>) -> Part {
    let mut taken: BTreeMap<usize, RuleGroup> = BTreeMap::new();
    for (g, r) in rules {
        let group = taken.entry(g).or_insert_with(|| RuleGroup { rules: Vec::new(), ..groups[g].clone() });
        group.rules.push(groups[g].rules[r].clone());
    }
    let groups: Vec<RuleGroup> = taken.into_values().collect();
    let mut made = BTreeSet::new();
    let mut selectors: BTreeMap<String, Vec<Matcher>> = BTreeMap::new();
    let all = || groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule)));
    for (_, rule) in all() {
        match rule {
            Rule::Recording(rule) => {
                made.insert(rule.record.clone());
            }
            Rule::Alerting(_) => made.extend(ALERTS.map(str::to_owned)),
        }
        for matchers in rule.expr().selectors() {
            let text: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
            selectors.insert(text.join(","), matchers);
        }
    }
    let reach_of = |rule: &Rule, of: &dyn Fn(&[Matcher]) -> bool| {
        let reaches = reaches(rule.expr(), limits::LOOKBACK);
        longest(reaches.into_iter().filter(|(matchers, _)| of(matchers)).map(|(_, back)| back))
    };
    let is_made = |matchers: &[Matcher]| made.iter().any(|name| may_name(matchers, name));
    let reach = longest(all().map(|(group, rule)| reach_of(rule, &|_| true) + group.query_offset));
    let waits = longest(all().map(|(group, rule)| match rule {
        Rule::Alerting(rule) => rule.hold + rule.keep_firing + group.interval,
        Rule::Recording(_) => group.interval,
    }));
    let lead = waits + longest(all().map(|(_, rule)| reach_of(rule, &is_made)));
    let selectors = selectors.into_values().collect();
    Part { selectors, reach, lead: lead.min(LEAD_MAX), made, groups }
}

/// Whether a series is one that rules make.
pub(super) fn is_made(labels: &Labels, made: &BTreeSet<String>) -> bool {
    made.contains(labels.metric_name())
}
