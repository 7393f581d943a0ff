//! Which series there are: labels to number, and label pairs to the series that carry them.
//!
//! Invariants:
//! - A number is given out once while the store is open.
//! - Every posting list is sorted by number and without repetition.

use std::collections::HashMap;

use crate::model::{Labels, MatchOp, Matcher, SeriesRef};

/// All series that the store holds samples of.
#[derive(Debug, Default)]
pub(super) struct Index {
    numbers: HashMap<Labels, SeriesRef>,
    /// By number; `None` where a series is gone.
    series: Vec<Option<Labels>>,
    postings: HashMap<Box<str>, HashMap<Box<str>, Vec<SeriesRef>>>,
}

impl Index {
    /// The number of a series.
    pub(super) fn find(&self, labels: &Labels) -> Option<SeriesRef> {
        self.numbers.get(labels).copied()
    }

    /// The labels of a series.
    pub(super) fn labels(&self, series: SeriesRef) -> Option<&Labels> {
        self.series.get(slot(series))?.as_ref()
    }

    /// Every series with its labels.
    pub(super) fn all(&self) -> impl Iterator<Item = (SeriesRef, Labels)> {
        let entries = self.series.iter().enumerate();
        entries.filter_map(|(at, labels)| Some((SeriesRef(at as u64), labels.clone()?)))
    }

    /// The number that the next new series gets.
    pub(super) fn next(&self) -> SeriesRef {
        SeriesRef(self.series.len() as u64)
    }

    /// How many series there are.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The number of a series, which becomes known if it is not.
    #[cfg(test)]
    pub(super) fn intern(&mut self, labels: &Labels) -> SeriesRef {
        if let Some(series) = self.find(labels) {
            return series;
        }
        let series = self.next();
        self.insert(series, labels);
        series
    }

    /// Makes a series known by a number that no other series has had.
    pub(super) fn insert(&mut self, series: SeriesRef, labels: &Labels) {
        for label in labels.iter() {
            // Looked up by slice first: most names and values exist already.
            if !self.postings.contains_key(label.name) {
                self.postings.insert(label.name.into(), HashMap::new());
            }
            let Some(values) = self.postings.get_mut(label.name) else { continue };
            match values.get_mut(label.value) {
                // Numbers mostly come in order; only the log may bring an older one.
                Some(list) if list.last().is_none_or(|last| *last < series) => list.push(series),
                Some(list) => list.insert(list.partition_point(|other| *other < series), series),
                None => {
                    values.insert(label.value.into(), vec![series]);
                }
            }
        }
        self.numbers.insert(labels.clone(), series);
        let slot = slot(series);
        if self.series.len() <= slot {
            self.series.resize(slot + 1, None);
        }
        self.series[slot] = Some(labels.clone());
    }

    /// Gives no number below this one to a new series.
    pub(super) fn reserve(&mut self, next: SeriesRef) {
        if self.series.len() < slot(next) {
            self.series.resize(slot(next), None);
        }
    }

    /// Forgets the series for which `gone` holds.
    pub(super) fn remove(&mut self, gone: impl Fn(SeriesRef) -> bool) {
        let mut removed = Vec::new();
        for (at, entry) in self.series.iter_mut().enumerate() {
            if entry.is_some()
                && gone(SeriesRef(at as u64))
                && let Some(labels) = entry.take()
            {
                removed.push((SeriesRef(at as u64), labels));
            }
        }
        // Lists are thinned once each, however many of their series go.
        let mut touched: HashMap<(&str, &str), Vec<SeriesRef>> = HashMap::new();
        for (series, labels) in &removed {
            self.numbers.remove(labels);
            for label in labels.iter() {
                touched.entry((label.name, label.value)).or_default().push(*series);
            }
        }
        for ((name, value), gone) in touched {
            let Some(values) = self.postings.get_mut(name) else { continue };
            if let Some(list) = values.get_mut(value) {
                list.retain(|series| gone.binary_search(series).is_err());
                if list.is_empty() {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                self.postings.remove(name);
            }
        }
    }

    /// The series that satisfy all matchers, with their labels, in no particular order.
    pub(super) fn select(&self, matchers: &[Matcher]) -> Vec<(SeriesRef, Labels)> {
        // A matcher that the empty value satisfies also takes series without the label, which no
        // posting list names; such matchers only filter.
        let (filters, mut leading): (Vec<&Matcher>, Vec<&Matcher>) = matchers.iter().partition(|m| m.matches(""));
        // Equality first, the rarest value before the others: the shortest list is the one to thin.
        leading.sort_by_cached_key(|m| (m.op() != MatchOp::Equal, self.equal(m).len()));
        let mut candidates: Option<Vec<SeriesRef>> = None;
        let mut filters = filters;
        for matcher in leading {
            match &mut candidates {
                // Few candidates are cheaper to look at than a pattern is to run over all values.
                Some(few) if few.len() <= 64 || matcher.op() != MatchOp::Equal => filters.push(matcher),
                Some(many) => {
                    let list = self.equal(matcher);
                    many.retain(|series| list.binary_search(series).is_ok());
                }
                None => candidates = Some(self.carrying(matcher)),
            }
        }
        let satisfies = |labels: &Labels| filters.iter().all(|m| m.matches(labels.get(m.name())));
        let pick = |series: SeriesRef| {
            let labels = self.labels(series)?;
            satisfies(labels).then(|| (series, labels.clone()))
        };
        match candidates {
            Some(candidates) => candidates.into_iter().filter_map(pick).collect(),
            None => (0..self.series.len() as u64).map(SeriesRef).filter_map(pick).collect(),
        }
    }

    /// The series that carry exactly the matcher's label and value.
    fn equal(&self, matcher: &Matcher) -> &[SeriesRef] {
        let values = self.postings.get(matcher.name());
        values.and_then(|values| values.get(matcher.value())).map_or(&[], Vec::as_slice)
    }

    /// The series that carry a label with a value that satisfies the matcher.
    fn carrying(&self, matcher: &Matcher) -> Vec<SeriesRef> {
        let Some(values) = self.postings.get(matcher.name()) else { return Vec::new() };
        if matcher.op() == MatchOp::Equal {
            return self.equal(matcher).to_vec();
        }
        let mut all: Vec<SeriesRef> =
            values.iter().filter(|(value, _)| matcher.matches(value)).flat_map(|(_, list)| list).copied().collect();
        // One series has one value of a label, so nothing stands twice.
        all.sort_unstable();
        all
    }
}

/// The place of a series in vectors that are indexed by number.
pub(super) fn slot(series: SeriesRef) -> usize {
    usize::try_from(series.0).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let mut index = Index::default();
        for job in ["a", "b"] {
            for code in ["200", "404", "500"] {
                index.intern(&Labels::new([("__name__", "http"), ("job", job), ("code", code)]).unwrap());
            }
            index.intern(&Labels::new([("__name__", "up"), ("job", job)]).unwrap());
        }
        index
    }

    fn check(index: &Index, matchers: &[(&str, MatchOp, &str)], expected: &[u64]) {
        let built: Vec<Matcher> = matchers.iter().map(|(n, op, v)| Matcher::new(n, *op, v).unwrap()).collect();
        let mut found: Vec<u64> = index.select(&built).iter().map(|(series, _)| series.0).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{matchers:?}");
    }

    #[test]
    fn matchers_select() {
        use MatchOp::{Equal, Match, NotEqual, NotMatch};
        let index = index();
        check(&index, &[], &[0, 1, 2, 3, 4, 5, 6, 7]);
        check(&index, &[("__name__", Equal, "up")], &[3, 7]);
        check(&index, &[("code", Match, "[45]..")], &[1, 2, 5, 6]);
        check(&index, &[("code", Match, "[45]..|")], &[1, 2, 3, 5, 6, 7]);
        check(&index, &[("code", NotEqual, "200"), ("job", Equal, "a")], &[1, 2, 3]);
        check(&index, &[("code", NotEqual, "")], &[0, 1, 2, 4, 5, 6]);
        check(&index, &[("code", Equal, "")], &[3, 7]);
        check(&index, &[("code", NotMatch, "2..|")], &[1, 2, 5, 6]);
        check(&index, &[("none", Equal, "x")], &[]);
        check(&index, &[("job", Match, "a|b"), ("__name__", Equal, "http"), ("code", Equal, "500")], &[2, 6]);
    }

    #[test]
    fn removed_series_are_gone_and_numbers_are_not_reused() {
        let mut index = index();
        let up = index.labels(SeriesRef(3)).unwrap().clone();
        index.remove(|series| series.0 == 3 || series.0 == 7);
        check(&index, &[("__name__", MatchOp::Equal, "up")], &[]);
        check(&index, &[("job", MatchOp::Equal, "a")], &[0, 1, 2]);
        assert_eq!(index.len(), 6);
        assert_eq!(index.find(&up), None);
        assert_eq!(index.intern(&up), SeriesRef(8));
        check(&index, &[("job", MatchOp::Equal, "a")], &[0, 1, 2, 8]);
    }
}
