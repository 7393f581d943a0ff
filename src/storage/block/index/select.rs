//! Which series of a block satisfy matchers.

use std::collections::HashMap;

use super::format::{GROUP, ListPlace, VALUES};
use super::reader::Index;
use crate::codec::Damaged;
use crate::model::{Labels, Matcher};

/// Looking at the labels of one candidate costs about as much as so many entries of a list.
const CANDIDATE_COST: u64 = 64;
/// Trying a pattern on one value of a label costs about as much as so many entries of a list.
const VALUE_COST: u64 = 16;

/// How a matcher takes part.
struct Leading<'m> {
    matcher: &'m Matcher,
    name: u32,
    /// The lists of the values that satisfy it, if they are known already.
    lists: Option<Vec<ListPlace>>,
    /// About how many entries have to be read.
    cost: u64,
}

impl Index<'_> {
    /// The positions of the series that satisfy all matchers, in order.
    pub(in crate::storage::block) fn select(&mut self, matchers: &[Matcher]) -> Result<Vec<u32>, Damaged> {
        let mut filters: Vec<&Matcher> = Vec::new();
        let mut leading = Vec::new();
        for matcher in matchers.iter().filter(|matcher| !matcher.matches_all()) {
            // What the empty value satisfies takes series without the label too, which no list names.
            if matcher.matches("") {
                filters.push(matcher);
                continue;
            }
            let Some(name) = self.name(matcher.name()) else { return Ok(Vec::new()) };
            leading.push(self.weigh(matcher, name)?);
        }
        leading.sort_by_key(|leading| leading.cost);
        let mut candidates: Option<Vec<u32>> = None;
        for one in leading {
            match &mut candidates {
                Some(few) if few.len() as u64 * CANDIDATE_COST <= one.cost => filters.push(one.matcher),
                Some(many) => intersect(many, &self.carrying(one)?),
                None => candidates = Some(self.carrying(one)?),
            }
            if candidates.as_ref().is_some_and(Vec::is_empty) {
                return Ok(Vec::new());
            }
        }
        let mut candidates = candidates.unwrap_or_else(|| (0..self.len()).collect());
        for filter in filters {
            self.filter(&mut candidates, filter)?;
        }
        Ok(candidates)
    }

    /// The position of the series with exactly these labels.
    pub(in crate::storage::block) fn find(&mut self, labels: &Labels) -> Result<Option<u32>, Damaged> {
        let (mut wanted, mut rarest) = (Vec::new(), None::<ListPlace>);
        for label in labels.iter() {
            let Some(name) = self.name(label.name) else { return Ok(None) };
            let Some((value, list)) = self.value(name, label.value)? else { return Ok(None) };
            wanted.push((name, value));
            if rarest.is_none_or(|rarest| list.count < rarest.count) {
                rarest = Some(list);
            }
        }
        let mut candidates = Vec::new();
        match rarest {
            Some(list) => self.list(&list, &mut candidates)?,
            // Without labels: the first in order, if any.
            None if self.len() > 0 => candidates.push(0),
            None => {}
        }
        // Series are in the order of labels, and numbers compare as labels do.
        let (mut low, mut high) = (0, candidates.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(position) = candidates.get(middle) else { break };
            match self.places(*position)?.cmp(&wanted) {
                std::cmp::Ordering::Equal => return Ok(Some(*position)),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    /// Calls `each` with every value of a name that begins with `prefix`, in order.
    pub(super) fn each_value(
        &mut self,
        name: u32,
        prefix: &str,
        mut each: impl FnMut(u32, &str, &ListPlace),
    ) -> Result<(), Damaged> {
        for part in self.part_of(name, prefix)?..self.parts(name) {
            let values = self.values(name, part)?;
            let start = values.texts.partition_point(|text| text < prefix);
            for at in start..values.texts.len() {
                let (Some(text), Some(list)) = (values.texts.get(at), values.lists.get(at)) else { break };
                if !text.starts_with(prefix) {
                    return Ok(());
                }
                each((part * VALUES + at) as u32, text, list);
            }
        }
        Ok(())
    }

    /// Adds the values of a name to `out`.
    pub(in crate::storage::block) fn label_values(&mut self, name: &str, out: &mut Vec<String>) -> Result<(), Damaged> {
        let Some(name) = self.name(name) else { return Ok(()) };
        self.each_value(name, "", |_, text, _| out.push(text.to_owned()))
    }

    fn weigh<'m>(&mut self, matcher: &'m Matcher, name: u32) -> Result<Leading<'m>, Damaged> {
        let known = self.names.get(name as usize);
        let (values, series) = known.map_or((0, 0), |name| (name.values, name.series));
        let literals = matcher.literals().filter(|_| !matcher.is_negative());
        let Some(literals) = literals.filter(|literals| (literals.len() as u64) < values.max(16)) else {
            return Ok(Leading { matcher, name, lists: None, cost: values.saturating_mul(VALUE_COST).max(series / 4) });
        };
        let mut lists = Vec::with_capacity(literals.len());
        for literal in literals {
            lists.extend(self.value(name, literal)?.map(|(_, list)| list));
        }
        let cost = lists.iter().map(|list| list.count).sum();
        Ok(Leading { matcher, name, lists: Some(lists), cost })
    }

    /// The series that carry a label with a value that satisfies the matcher.
    fn carrying(&mut self, leading: Leading<'_>) -> Result<Vec<u32>, Damaged> {
        let Leading { matcher, name, lists, .. } = leading;
        let lists = match lists {
            Some(lists) => lists,
            None => {
                let mut lists = Vec::new();
                let all = matcher.is_presence();
                let prefix = if matcher.is_negative() { "" } else { matcher.prefix() };
                self.each_value(name, prefix, |_, text, list| {
                    if all || matcher.matches(text) {
                        lists.push(*list);
                    }
                })?;
                lists
            }
        };
        self.union(&lists)
    }

    fn union(&mut self, lists: &[ListPlace]) -> Result<Vec<u32>, Damaged> {
        let mut all = Vec::new();
        for list in lists {
            self.list(list, &mut all)?;
        }
        if lists.len() > 1 {
            // A series has one value of a label, so nothing stands twice.
            all.sort_unstable();
        }
        if all.last().is_some_and(|last| *last >= self.len()) {
            return Err(Damaged("a list names a series that is not there"));
        }
        Ok(all)
    }

    /// Keeps the candidates that satisfy a matcher: by their labels if they are few, else by taking
    /// away those that carry a value that does not.
    fn filter(&mut self, candidates: &mut Vec<u32>, matcher: &Matcher) -> Result<(), Damaged> {
        let empty = matcher.matches("");
        let Some(name) = self.name(matcher.name()) else {
            candidates.retain(|_| empty);
            return Ok(());
        };
        let known = self.names.get(name as usize);
        let (values, series) = known.map_or((0, 0), |name| (name.values, name.series));
        let by_lists = match matcher.literals() {
            Some(literals) if matcher.is_negative() => literals.len() as u64 * VALUE_COST,
            _ => values.saturating_mul(VALUE_COST),
        };
        if empty && by_lists.saturating_add(series) < candidates.len() as u64 * CANDIDATE_COST {
            let mut lists = Vec::new();
            match matcher.literals() {
                Some(literals) if matcher.is_negative() => {
                    for literal in literals {
                        lists.extend(self.value(name, literal)?.map(|(_, list)| list));
                    }
                }
                _ => self.each_value(name, "", |_, text, list| {
                    if !matcher.matches(text) {
                        lists.push(*list);
                    }
                })?,
            }
            let gone = self.union(&lists)?;
            subtract(candidates, &gone);
            return Ok(());
        }
        let mut decided: HashMap<u32, bool> = HashMap::new();
        let mut kept = Vec::new();
        for position in candidates.iter().copied() {
            let page = self.series_page(u64::from(position) / GROUP as u64)?;
            let labels =
                page.get(position as usize % GROUP).ok_or(Damaged("a series lies behind the end of its page"))?;
            let satisfied = match labels.iter().find(|(n, _)| *n == name) {
                None => empty,
                Some((_, value)) => match decided.get(value) {
                    Some(satisfied) => *satisfied,
                    None => {
                        let values = self.values(name, *value as usize / VALUES)?;
                        let text = values.texts.get(*value as usize % VALUES);
                        let satisfied = matcher.matches(text.ok_or(Damaged("a series has an unknown value"))?);
                        decided.insert(*value, satisfied);
                        satisfied
                    }
                },
            };
            if satisfied {
                kept.push(position);
            }
        }
        *candidates = kept;
        Ok(())
    }
}

/// Keeps what is in both sorted lists. Steps through the longer one by doubling, so that a short list
/// costs little against a long one.
fn intersect(kept: &mut Vec<u32>, other: &[u32]) {
    let mut rest = other;
    kept.retain(|n| {
        rest = &rest[gallop(rest, *n)..];
        rest.first() == Some(n)
    });
}

fn subtract(kept: &mut Vec<u32>, gone: &[u32]) {
    let mut rest = gone;
    kept.retain(|n| {
        rest = &rest[gallop(rest, *n)..];
        rest.first() != Some(n)
    });
}

/// How many numbers of a sorted list are less than `n`.
fn gallop(list: &[u32], n: u32) -> usize {
    let mut step = 1;
    while list.get(step).is_some_and(|other| *other < n) {
        step *= 2;
    }
    let start = step / 2;
    let end = list.len().min(step + 1);
    start.min(end) + list.get(start.min(end)..end).map_or(0, |part| part.partition_point(|other| *other < n))
}
