//! Which series of the index satisfy matchers.

use crate::model::{Matcher, SeriesRef};

use super::postings::Postings;
use super::symbols::{NameId, PairId};
use super::{Index, KnownPairs};

/// Looking at a series takes about this part of what comparing a value takes.
const SERIES_PER_VALUE: usize = 4;
/// What a matcher says of a pair, in [`KnownPairs`].
const OTHER_NAME: u32 = 0;
const NOT_SATISFIED: u32 = 1;
const SATISFIED: u32 = 2;

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
        // Where a label has few values beside the series that the other matchers leave, trying each is cheap.
        let least = leading.iter().filter(|one| one.lists.is_some()).map(|one| one.cost).min().unwrap_or(self.len());
        leading.iter_mut().for_each(|one| self.spell_out(one, least));
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

    /// Finds the lists of the values that satisfy a matcher, if those are few beside `least` series.
    fn spell_out<'i>(&'i self, leading: &mut Leading<'i, '_>, least: usize) {
        let matcher = leading.matcher;
        let Some(name) = self.symbols.name(matcher.name()).filter(|_| leading.lists.is_none()) else { return };
        if self.symbols.pairs_of(name).len().saturating_mul(SERIES_PER_VALUE) > least || matcher.is_presence() {
            return;
        }
        let lists = self.satisfying(matcher, name);
        leading.cost = lists.iter().map(|list| list.len()).sum();
        leading.lists = Some(lists);
    }

    /// The lists of the values of a label that satisfy a matcher.
    fn satisfying(&self, matcher: &Matcher, name: NameId) -> Vec<&Postings> {
        let all = matcher.is_presence();
        let prefix = if matcher.is_negative() { "" } else { matcher.prefix() };
        let satisfies = |pair: &&PairId| {
            let value = self.symbols.value(**pair);
            all || value.starts_with(prefix) && matcher.matches(value)
        };
        let pairs = self.symbols.pairs_of(name).iter().filter(satisfies);
        pairs.map(|pair| self.symbols.series(*pair)).collect()
    }

    /// The series that carry a label with a value that satisfies the matcher.
    fn carrying(&self, leading: &Leading<'_, '_>, out: &mut Vec<SeriesRef>) {
        let matching;
        let lists = match &leading.lists {
            Some(lists) => lists,
            None => {
                let Some(name) = self.symbols.name(leading.matcher.name()) else { return };
                matching = self.satisfying(leading.matcher, name);
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
        let verdict = |satisfied: bool| if satisfied { SATISFIED } else { NOT_SATISFIED };
        let mut known = KnownPairs::for_series(found.len());
        // What is spelled out is found by its number, and no value is compared with anything.
        let spelled = matcher.literals();
        for literal in spelled.unwrap_or_default() {
            if let Some(pair) = self.symbols.pair(matcher.name(), literal) {
                known.get(pair, || verdict(!matcher.is_negative()));
            }
        }
        found.retain(|series| {
            let of_pair = |pair: &PairId| {
                known.get(*pair, || match self.symbols.name_of(*pair) == name {
                    true if spelled.is_some() => verdict(matcher.is_negative()),
                    true => verdict(matcher.matches(self.symbols.value(*pair))),
                    false => OTHER_NAME,
                })
            };
            let mut verdicts = self.pairs(*series).unwrap_or_default().iter().map(of_pair);
            verdicts.find(|verdict| *verdict != OTHER_NAME).map_or(without, |verdict| verdict == SATISFIED)
        });
    }
}
