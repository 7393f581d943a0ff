//! Which series there are in memory: fingerprints to numbers, numbers to labels, and label pairs to
//! the series that carry them.
//!
//! Invariants:
//! - A number is given out once; numbers ascend, save for those that a replay of the log brings back.
//! - Labels are kept as numbers of pairs; their text is made when somebody asks.

mod fingerprints;
mod postings;
mod select;
mod symbols;

use std::collections::BTreeMap;

use hashbrown::HashTable;

use crate::model::limits::LABELS_PER_SERIES_MAX;
use crate::model::{Fingerprint, Labels, MatchOp, Matcher, SeriesRef};

use super::pages::{PAGE, Pages, place, series_at};
use fingerprints::Fingerprints;
use symbols::{PairId, Symbols};

/// All series that the store holds samples of.
#[derive(Debug, Default)]
pub(super) struct Index {
    fingerprints: Fingerprints,
    symbols: Symbols,
    series: Pages<LabelPage>,
    len: usize,
    next: u64,
    /// How often series were forgotten: from one time to the next a pair keeps its number.
    forgotten: u64,
}

/// What a question calls the pairs of the index, as long as they keep their numbers.
#[derive(Debug)]
pub(super) enum KnownPairs {
    /// A few, to be found.
    Some(HashTable<(PairId, u32)>),
    /// Each at its place, [`UNKNOWN`] where nothing is known.
    Many(Vec<u32>),
}

/// No question has so many pairs.
const UNKNOWN: u32 = u32::MAX;
/// From so many series on a table of all pairs is worth its memory.
const MANY_SERIES: usize = 512;

impl KnownPairs {
    /// Nothing yet, for so many series.
    pub(super) fn for_series(count: usize) -> KnownPairs {
        if count < MANY_SERIES { KnownPairs::Some(HashTable::new()) } else { KnownPairs::Many(Vec::new()) }
    }

    #[inline]
    fn get(&mut self, pair: PairId, number: impl FnOnce() -> u32) -> u32 {
        match self {
            KnownPairs::Some(table) => {
                let hash = |pair: PairId| u64::from(pair).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(20);
                let known = table.find(hash(pair), |(other, _)| *other == pair).map(|(_, number)| *number);
                known.unwrap_or_else(|| {
                    let number = number();
                    table.insert_unique(hash(pair), (pair, number), |(other, _)| hash(*other));
                    number
                })
            }
            KnownPairs::Many(numbers) => {
                let pair = pair as usize;
                if numbers.len() <= pair {
                    numbers.resize(pair + 1, UNKNOWN);
                }
                if numbers[pair] == UNKNOWN {
                    numbers[pair] = number();
                }
                numbers[pair]
            }
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        match self {
            KnownPairs::Some(table) => table.clear(),
            KnownPairs::Many(numbers) => numbers.clear(),
        }
    }
}

/// The labels of the series of a page.
#[derive(Debug)]
struct LabelPage {
    /// The pairs of all series, one after the other.
    pairs: Vec<PairId>,
    /// Where each series' pairs begin and how many there are; none where a series is not there. No
    /// series has more pairs than a byte counts, nor a page more than 16 bits do.
    spans: [(u16, u8); PAGE],
    taken: [u64; PAGE / 64],
    /// How many of the pairs are of series that are gone.
    unused: usize,
}

/// How far the series go that matchers choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    forgotten: u64,
    count: usize,
}

const _: () = assert!(LABELS_PER_SERIES_MAX <= u8::MAX as usize && LABELS_PER_SERIES_MAX * PAGE <= 1 << 16);

impl LabelPage {
    fn new() -> LabelPage {
        LabelPage { pairs: Vec::new(), spans: [(0, 0); PAGE], taken: [0; PAGE / 64], unused: 0 }
    }

    fn has(&self, at: usize) -> bool {
        self.taken[at / 64] & 1 << (at % 64) != 0
    }

    fn get(&self, at: usize) -> Option<&[PairId]> {
        let (start, count) = self.spans[at];
        let start = usize::from(start);
        self.has(at).then(|| &self.pairs[start..start + usize::from(count)])
    }

    fn remove(&mut self, at: usize) {
        self.taken[at / 64] &= !(1 << (at % 64));
        self.unused += usize::from(self.spans[at].1);
        if self.unused * 2 < self.pairs.len() {
            return;
        }
        let mut kept = Vec::with_capacity(self.pairs.len() - self.unused);
        for at in (0..PAGE).filter(|at| self.taken[at / 64] & 1 << (at % 64) != 0) {
            let (start, count) = self.spans[at];
            self.spans[at].0 = kept.len() as u16;
            kept.extend_from_slice(&self.pairs[usize::from(start)..][..usize::from(count)]);
        }
        (self.pairs, self.unused) = (kept, 0);
    }

    fn slots(&self) -> impl Iterator<Item = usize> {
        (0..PAGE).filter(|at| self.has(*at))
    }
}

impl Index {
    /// The number of a series.
    pub(super) fn find(&self, labels: &Labels) -> Option<SeriesRef> {
        self.lookup(Fingerprint::of_labels(labels))
    }

    /// The series that a fingerprint leads to.
    pub(super) fn lookup(&self, fingerprint: Fingerprint) -> Option<SeriesRef> {
        self.fingerprints.get(fingerprint)
    }

    /// Fetches the place where a fingerprint is looked up; see [`Fingerprints::touch`].
    pub(super) fn touch(&self, fingerprint: Fingerprint) -> u8 {
        self.fingerprints.touch(fingerprint)
    }

    /// Leads one more fingerprint to a series that is there.
    pub(super) fn add_alias(&mut self, fingerprint: Fingerprint, series: SeriesRef) {
        self.fingerprints.insert(fingerprint, series);
    }

    fn pairs(&self, series: SeriesRef) -> Option<&[PairId]> {
        let (page, at) = place(series);
        self.series.get(page)?.get(at)
    }

    fn text(&self, pairs: &[PairId]) -> Labels {
        Labels::from_sorted(pairs.iter().map(|pair| (self.symbols.name_text(*pair), self.symbols.value(*pair))))
    }

    /// The pairs of a series as `number` counts them, asked once for each pair that is not `known`. `known` is
    /// right as long as [`Index::forgotten`] says the same. `false`: there is no such series.
    pub(super) fn numbers_of(
        &self,
        series: SeriesRef,
        known: &mut KnownPairs,
        number: &mut impl FnMut(&str, &str) -> u32,
        out: &mut Vec<u32>,
    ) -> bool {
        out.clear();
        let Some(pairs) = self.pairs(series) else { return false };
        let number_of =
            |pair: &PairId| known.get(*pair, || number(self.symbols.name_text(*pair), self.symbols.value(*pair)));
        out.extend(pairs.iter().map(number_of));
        true
    }

    /// What is different whenever other series satisfy the matchers than before.
    pub(super) fn extent(&self, matchers: &[Matcher]) -> Extent {
        // Lists of series only grow, but where series are forgotten.
        let named = matchers.iter().filter(|matcher| matcher.op() == MatchOp::Equal && !matcher.value().is_empty());
        let count = |matcher: &Matcher| {
            self.symbols.pair(matcher.name(), matcher.value()).map_or(0, |pair| self.symbols.series(pair).len())
        };
        Extent { forgotten: self.forgotten, count: named.map(count).min().unwrap_or(self.len) }
    }

    /// How often series were forgotten.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The labels of a series.
    pub(super) fn labels(&self, series: SeriesRef) -> Option<Labels> {
        self.pairs(series).map(|pairs| self.text(pairs))
    }

    /// The names of all labels.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.symbols.names()
    }

    /// At most `count` values of a label behind the first `skipped`, each with the newest series that carries it.
    /// They keep their places as long as [`Index::forgotten`] says the same.
    pub(super) fn values(&self, name: &str, skipped: usize, count: usize) -> Vec<(String, SeriesRef)> {
        let Some(name) = self.symbols.name(name) else { return Vec::new() };
        let value = |pair: &PairId| Some((self.symbols.value(*pair).to_owned(), self.symbols.series(*pair).newest()?));
        self.symbols.pairs_of(name).iter().skip(skipped).take(count).filter_map(value).collect()
    }

    /// The series that carry a label with this value.
    pub(super) fn carriers(&self, name: &str, value: &str) -> Vec<SeriesRef> {
        let mut series = Vec::new();
        if let Some(pair) = self.symbols.pair(name, value) {
            self.symbols.series(pair).list(&mut series);
        }
        series
    }

    /// Every series.
    pub(super) fn numbers(&self) -> impl Iterator<Item = SeriesRef> {
        self.series.iter().flat_map(|(page, labels)| labels.slots().map(move |at| series_at(page, at)))
    }

    /// Every series with its labels.
    pub(super) fn all(&self) -> impl Iterator<Item = (SeriesRef, Labels)> {
        self.numbers().filter_map(|series| Some((series, self.labels(series)?)))
    }

    /// The number that the next new series gets at the least.
    pub(super) fn next(&self) -> SeriesRef {
        SeriesRef(self.next)
    }

    /// How many series there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many fingerprints lead to series.
    #[cfg(test)]
    pub(super) fn fingerprints_len(&self) -> usize {
        self.fingerprints.len()
    }

    /// The number of a series, which becomes known if it is not.
    #[cfg(test)]
    pub(super) fn intern(&mut self, labels: &Labels) -> SeriesRef {
        let fingerprint = Fingerprint::of_labels(labels);
        if let Some(series) = self.lookup(fingerprint) {
            return series;
        }
        let series = self.next();
        self.add(series, fingerprint, labels);
        series
    }

    /// Gives no number below this one to a new series.
    pub(super) fn reserve(&mut self, next: SeriesRef) {
        self.next = self.next.max(next.0);
    }

    /// Makes a series known by a number that no other series has had.
    pub(super) fn insert(&mut self, series: SeriesRef, labels: &Labels) {
        self.add(series, Fingerprint::of_labels(labels), labels);
    }

    /// The same for labels whose fingerprint is at hand.
    pub(super) fn add(&mut self, series: SeriesRef, fingerprint: Fingerprint, labels: &Labels) {
        self.fingerprints.insert(fingerprint, series);
        let (page, at) = place(series);
        let page = self.series.entry(page, LabelPage::new);
        let start = page.pairs.len();
        // Names are in order, and the limits of `Labels` keep the count in its bounds.
        for label in labels.iter() {
            if page.pairs.len() == page.pairs.capacity() {
                page.pairs.reserve_exact(page.pairs.len() / 4 + 64);
            }
            page.pairs.push(self.symbols.carry(label.name, label.value, series));
        }
        page.spans[at] = (start as u16, (page.pairs.len() - start) as u8);
        page.taken[at / 64] |= 1 << (at % 64);
        if at + 1 == PAGE {
            page.pairs.shrink_to_fit();
        }
        self.len += 1;
        self.next = self.next.max(series.0 + 1);
    }

    /// The fingerprint of a series' labels.
    pub(super) fn fingerprint(&self, series: SeriesRef) -> Option<Fingerprint> {
        self.labels(series).map(|labels| Fingerprint::of_labels(&labels))
    }

    /// Forgets some series, in the order of their numbers, with the fingerprints of their labels. Other
    /// fingerprints may lead to their numbers until [`Index::sweep`] comes by.
    pub(super) fn remove(&mut self, removed: &[(SeriesRef, Fingerprint)]) {
        self.forgotten += 1;
        // Lists are thinned once each, however many of their series go.
        let mut touched: BTreeMap<PairId, Vec<u64>> = BTreeMap::new();
        for (series, fingerprint) in removed {
            let Some(pairs) = self.pairs(*series) else { continue };
            for pair in pairs {
                touched.entry(*pair).or_default().push(series.0);
            }
            let (page, at) = place(*series);
            if let Some(labels) = self.series.get_mut(page) {
                labels.remove(at);
                self.len -= 1;
                if labels.taken == [0; PAGE / 64] && (page + 1) * PAGE <= self.next as usize {
                    self.series.remove(page);
                }
            }
            self.fingerprints.remove(*fingerprint, *series);
        }
        for (pair, gone) in touched {
            self.symbols.drop_carriers(pair, &gone);
        }
    }

    /// Forgets the fingerprints of one part of their table, by its number, that lead to no series any more.
    /// `false`: there is no such part.
    pub(super) fn sweep(&mut self, part: usize) -> bool {
        let series = &self.series;
        self.fingerprints.sweep(part, |number| {
            let (page, at) = place(number);
            !series.get(page).is_some_and(|page| page.has(at))
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::env::Rng;

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
        let found: Vec<u64> = index.candidates(&built).iter().map(|series| series.0).collect();
        assert_eq!(found, expected, "{matchers:?}");
    }

    fn remove(index: &mut Index, numbers: &[u64]) {
        let gone = numbers.iter().map(|n| (SeriesRef(*n), index.fingerprint(SeriesRef(*n)).unwrap()));
        let gone: Vec<_> = gone.collect();
        index.remove(&gone);
    }

    #[test]
    fn what_series_that_come_and_go_took_is_used_again() {
        let mut index = Index::default();
        let labels = |n: u64| {
            let (pod, zone) = (n.to_string(), (n % 3).to_string());
            Labels::new([("__name__", "m"), ("pod", pod.as_str()), ("zone", zone.as_str())]).unwrap()
        };
        // One in a hundred stays; of the others, a thousand are there at a time.
        for n in 0..20_000 {
            index.intern(&labels(n));
            if n >= 1000 && (n - 1000) % 100 != 0 {
                remove(&mut index, &[n - 1000]);
            }
        }
        let left: Vec<u64> = (0..20_000).filter(|n| *n >= 19_000 || n % 100 == 0).collect();
        check(&index, &[("__name__", MatchOp::Equal, "m")], &left);
        assert!(left.iter().all(|n| index.labels(SeriesRef(*n)) == Some(labels(*n))));
        assert_eq!((index.len(), index.fingerprints.len()), (left.len(), left.len()));
        let (pairs, places) = index.symbols.pair_counts();
        assert!(pairs == left.len() + 4 && places < pairs + 10, "{pairs} of {places} pairs");
        let kept: usize = index.series.iter().map(|(_, page)| page.pairs.capacity()).sum();
        assert!(kept < 3 * left.len() * 2, "{kept} pairs are kept for {} series", left.len());
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
    fn matchers_select_what_they_match() {
        let mut rng = Rng::new(17);
        let mut index = Index::default();
        for n in 0..2000u64 {
            let mut pairs = vec![("__name__", format!("m{}", n % 3)), ("n", n.to_string())];
            if n % 4 > 0 {
                pairs.push(("zone", format!("z-{}", rng.below(40))));
            }
            index.intern(&Labels::new(pairs.iter().map(|(name, value)| (*name, value.as_str()))).unwrap());
        }
        let values =
            ["", "m1", "m0|m2", "m.", "z-1", "z-(1|2|33)?", "z-1.*", "z-.+|", ".+", ".*", "1[0-9]", "7|77|777|x", "x"];
        let mut empty = 0;
        for _ in 0..600 {
            let mut matchers = Vec::new();
            for _ in 0..rng.below(4) {
                use MatchOp::{Equal, Match, NotEqual, NotMatch};
                let name = ["__name__", "n", "zone", "other"][rng.below(4) as usize];
                let op = [Equal, NotEqual, Match, NotMatch][rng.below(4) as usize];
                matchers.push(Matcher::new(name, op, values[rng.below(values.len() as u64) as usize]).unwrap());
            }
            let satisfies = |labels: &Labels| matchers.iter().all(|m| m.matches(labels.get(m.name())));
            let all = index.all().filter(|(_, labels)| satisfies(labels));
            let expected: Vec<SeriesRef> = all.map(|(series, _)| series).collect();
            assert_eq!(index.candidates(&matchers), expected, "{matchers:?}");
            empty += usize::from(expected.is_empty());
        }
        assert!(empty < 400, "{empty} of 600 select nothing");
    }

    #[test]
    fn removed_series_are_gone_and_numbers_are_not_reused() {
        let mut index = index();
        let up = index.labels(SeriesRef(3)).unwrap();
        index.add_alias(Fingerprint::of_raw(b"up a"), SeriesRef(3));
        index.add_alias(Fingerprint::of_raw(b"up b"), SeriesRef(7));
        index.add_alias(Fingerprint::of_raw(b"http"), SeriesRef(1));
        remove(&mut index, &[3, 7]);
        assert_eq!((0..).take_while(|part| index.sweep(*part)).count(), 256);
        assert_eq!(index.fingerprints.len(), 7);
        assert_eq!(index.lookup(Fingerprint::of_raw(b"http")), Some(SeriesRef(1)));
        check(&index, &[("__name__", MatchOp::Equal, "up")], &[]);
        check(&index, &[("job", MatchOp::Equal, "a")], &[0, 1, 2]);
        assert_eq!(index.len(), 6);
        assert_eq!(index.find(&up), None);
        assert_eq!(index.intern(&up), SeriesRef(8));
        check(&index, &[("job", MatchOp::Equal, "a")], &[0, 1, 2, 8]);
    }
}
