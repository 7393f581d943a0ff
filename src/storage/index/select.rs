//! Which series of the index satisfy matchers.

use std::collections::HashMap;

use crate::model::{Matcher, SeriesRef};

use super::Index;
use super::postings::Postings;
use super::symbols::PairId;

/// A matcher that the empty value does not satisfy: only series with the label do.
struct Leading<'i, 'm> {
    matcher: &'m Matcher,
    /// The lists of the values that satisfy it, if it spells them out.
    lists: Option<Vec<&'i Postings>>,
    /// About how many entries have to be looked at.
    cost: usize,
}

impl Index {
    /// The series that satisfy all matchers, in the order of their numbers.
    pub(in crate::storage) fn candidates(&self, matchers: &[Matcher]) -> Vec<SeriesRef> {
        let mut filters: Vec<&Matcher> = Vec::new();
        let mut leading = Vec::new();
        for matcher in matchers.iter().filter(|matcher| !matcher.matches_all()) {
            // What the empty value satisfies takes series without the label too, which no list names.
            if matcher.matches("") {
                filters.push(matcher);
                continue;
            }
            leading.push(self.weigh(matcher));
        }
        leading.sort_by_key(|leading| leading.cost);
        let mut leading = leading.into_iter();
        let mut found = Vec::new();
        match leading.next() {
            Some(first) => self.carrying(&first, &mut found),
            None => found.extend(self.numbers()),
        }
        for one in leading {
            match &one.lists {
                Some(lists) if lists.len() <= 2 => {
                    found.retain(|series| lists.iter().any(|list| list.contains(*series)));
                }
                _ => filters.push(one.matcher),
            }
        }
        for matcher in filters {
            if found.is_empty() {
                break;
            }
            self.filter(matcher, &mut found);
        }
        found
    }

    fn weigh<'i, 'm>(&'i self, matcher: &'m Matcher) -> Leading<'i, 'm> {
        let values = self.symbols.name(matcher.name()).map_or(0, |name| self.symbols.pairs_of(name).len());
        let literals = matcher.literals().filter(|_| !matcher.is_negative());
        let Some(literals) = literals.filter(|literals| literals.len() <= values.max(16)) else {
            // Each value is tried, and then each series is in one list at the most.
            return Leading { matcher, lists: None, cost: self.len().max(values) };
        };
        let pairs = literals.iter().filter_map(|literal| self.symbols.pair(matcher.name(), literal));
        let lists: Vec<&Postings> = pairs.map(|pair| self.symbols.series(pair)).collect();
        let cost = lists.iter().map(|list| list.len()).sum();
        Leading { matcher, lists: Some(lists), cost }
    }

    /// The series that carry a label with a value that satisfies the matcher.
    fn carrying(&self, leading: &Leading<'_, '_>, out: &mut Vec<SeriesRef>) {
        let matching;
        let lists = match &leading.lists {
            Some(lists) => lists,
            None => {
                let matcher = leading.matcher;
                let Some(name) = self.symbols.name(matcher.name()) else { return };
                let all = matcher.is_presence();
                let prefix = if matcher.is_negative() { "" } else { matcher.prefix() };
                let satisfies = |pair: &&PairId| {
                    let value = self.symbols.value(**pair);
                    all || value.starts_with(prefix) && matcher.matches(value)
                };
                let pairs = self.symbols.pairs_of(name).iter().filter(satisfies);
                matching = pairs.map(|pair| self.symbols.series(*pair)).collect();
                &matching
            }
        };
        lists.iter().for_each(|list| list.list(out));
        if lists.len() > 1 {
            // One series has one value of a label, so nothing stands twice.
            out.sort_unstable();
        }
    }

    /// Keeps the series that satisfy a matcher. Each value is looked at once, however many carry it.
    fn filter(&self, matcher: &Matcher, found: &mut Vec<SeriesRef>) {
        let without = matcher.matches("");
        let Some(name) = self.symbols.name(matcher.name()) else {
            if !without {
                found.clear();
            }
            return;
        };
        // What is spelled out is found by its number, and no value is compared with anything.
        let mut known: HashMap<PairId, bool> = HashMap::new();
        let spelled = matcher.literals();
        for literal in spelled.unwrap_or_default() {
            if let Some(pair) = self.symbols.pair(matcher.name(), literal) {
                known.insert(pair, !matcher.is_negative());
            }
        }
        found.retain(|series| {
            let mut pairs = self.pairs(*series).unwrap_or_default().iter();
            match pairs.find(|pair| self.symbols.name_of(**pair) == name) {
                Some(pair) if spelled.is_some() => known.get(pair).copied().unwrap_or(matcher.is_negative()),
                Some(pair) => *known.entry(*pair).or_insert_with(|| matcher.matches(self.symbols.value(*pair))),
                None => without,
            }
        });
    }
}
