//! The series that a question found, by numbers: texts of labels are made when somebody asks for them.
//!
//! Invariants:
//! - A pair of a name and a value has one number in the whole question, whichever source named it; so two
//!   series are the same exactly if their lists of numbers are.
//! - The pairs of a series are in the order of their names.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::model::Labels;

/// The number of a pair in one question.
type PairNumber = u32;

/// The pairs of a question.
#[derive(Debug)]
pub(super) struct Pairs {
    /// Whoever chooses label values does not know it.
    seed: u64,
    names: Vec<String>,
    /// For each pair its name's number, and where its value is.
    pairs: Vec<(u32, u32, u32)>,
    values: String,
    table: HashTable<PairNumber>,
}

impl Pairs {
    fn new() -> Pairs {
        let seed = RandomState::new().hash_one(0);
        Pairs { seed, names: Vec::new(), pairs: Vec::new(), values: String::new(), table: HashTable::new() }
    }

    /// The number of a name. A question meets a few dozen.
    fn name(&mut self, name: &str) -> u32 {
        let known = self.names.iter().position(|other| other == name);
        known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.names.len() - 1
        }) as u32
    }

    /// The number of a pair.
    fn pair(&mut self, name: u32, value: &str) -> PairNumber {
        let Pairs { seed, pairs, values, table, .. } = self;
        let text_hash = |name: u32, value: &str| xxh3_64_with_seed(value.as_bytes(), *seed ^ u64::from(name) << 32);
        let text = |pair: &(u32, u32, u32)| &values[pair.1 as usize..pair.2 as usize];
        let hash = text_hash(name, value);
        let same = |number: &u32| {
            let pair = &pairs[*number as usize];
            pair.0 == name && text(pair) == value
        };
        if let Some(number) = table.find(hash, same) {
            return *number;
        }
        let number = pairs.len() as u32;
        let rehash = |number: &u32| {
            let pair = &pairs[*number as usize];
            text_hash(pair.0, text(pair))
        };
        table.insert_unique(hash, number, rehash);
        let start = values.len() as u32;
        values.push_str(value);
        pairs.push((name, start, values.len() as u32));
        number
    }

    /// The number of a pair by its texts.
    pub(super) fn number(&mut self, name: &str, value: &str) -> PairNumber {
        let name = self.name(name);
        self.pair(name, value)
    }

    /// Whether a pair has this name.
    pub(super) fn has_name(&self, name: &str) -> bool {
        self.names.iter().any(|other| other == name)
    }

    /// The name and the value of a pair.
    fn texts(&self, number: PairNumber) -> (&str, &str) {
        let (name, start, end) = self.pairs[number as usize];
        (&self.names[name as usize], &self.values[start as usize..end as usize])
    }

    /// The place of each pair in the order of names, then values.
    fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.pairs.len() as u32).collect();
        order.sort_unstable_by(|a, b| self.texts(*a).cmp(&self.texts(*b)));
        let mut ranks = vec![0; order.len()];
        for (rank, number) in (0..).zip(order) {
            ranks[number as usize] = rank;
        }
        ranks
    }
}

/// Lists of pairs, each once, numbered in the order in which they came.
#[derive(Debug, Default)]
struct Lists {
    pairs: Vec<PairNumber>,
    ends: Vec<u32>,
    table: HashTable<u32>,
    /// The one that was found last.
    last: Option<u32>,
}

impl Lists {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn get(&self, at: usize) -> &[PairNumber] {
        list(&self.pairs, &self.ends, at)
    }

    /// Adds a list that is surely not there, without making it findable.
    fn push(&mut self, pairs: &[PairNumber]) -> u32 {
        self.pairs.extend_from_slice(pairs);
        self.ends.push(self.pairs.len() as u32);
        self.ends.len() as u32 - 1
    }

    /// Makes the lists findable that were only added.
    fn make_findable(&mut self) {
        let Lists { pairs, ends, table, .. } = self;
        let hash = |number: &u32| hash_of(list(pairs, ends, *number as usize));
        table.reserve(ends.len() - table.len(), hash);
        for number in table.len() as u32..ends.len() as u32 {
            table.insert_unique(hash(&number), number, hash);
        }
    }

    /// The number of a list; all are findable.
    fn number(&mut self, wanted: &[PairNumber]) -> u32 {
        // What was asked for last often comes again, and needs no search.
        if let Some(last) = self.last
            && list(&self.pairs, &self.ends, last as usize) == wanted
        {
            return last;
        }
        let number = self.search(wanted);
        self.last = Some(number);
        number
    }

    fn search(&mut self, wanted: &[PairNumber]) -> u32 {
        let Lists { pairs, ends, table, .. } = self;
        let hash = hash_of(wanted);
        if let Some(number) = table.find(hash, |number| list(pairs, ends, *number as usize) == wanted) {
            return *number;
        }
        let number = ends.len() as u32;
        table.insert_unique(hash, number, |number| hash_of(list(pairs, ends, *number as usize)));
        pairs.extend_from_slice(wanted);
        ends.push(pairs.len() as u32);
        number
    }
}

/// Nobody outside chooses the numbers, so that a hash without a secret does.
fn hash_of(pairs: &[PairNumber]) -> u64 {
    let mix = |hash: u64, n: &u32| (hash.rotate_left(5) ^ u64::from(*n)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let hash = pairs.iter().fold(pairs.len() as u64, mix);
    hash ^ (hash >> 32)
}

fn list<'a>(pairs: &'a [PairNumber], ends: &[u32], at: usize) -> &'a [PairNumber] {
    let start = at.checked_sub(1).map_or(0, |before| ends[before]);
    &pairs[start as usize..ends[at] as usize]
}

/// Series with where their samples are, as `S` says.
#[derive(Debug)]
pub(super) struct Found<S> {
    pub(super) pairs: Pairs,
    lists: Lists,
    /// The sources of all series, by series once [`Found::finish`] was called.
    sources: Vec<(u32, S)>,
    /// Where the sources of each series end.
    ends: Vec<u32>,
    /// The series in the order of their labels, once somebody has asked for it.
    order: OnceLock<Vec<u32>>,
    /// Whether nothing was found in a place before.
    is_first: bool,
}

impl<S: Copy> Found<S> {
    /// None yet.
    pub(super) fn new() -> Found<S> {
        Found {
            pairs: Pairs::new(),
            lists: Lists::default(),
            sources: Vec::new(),
            ends: Vec::new(),
            order: OnceLock::new(),
            is_first: false,
        }
    }

    /// Another place is searched: its series may be among those that were found.
    pub(super) fn begin_place(&mut self) {
        self.is_first = self.lists.len() == 0;
        if !self.is_first {
            self.lists.make_findable();
        }
    }

    /// Adds a source of the series with these pairs. Until [`Found::begin_place`] is called, none comes twice.
    pub(super) fn add(&mut self, pairs: &[PairNumber], source: S) {
        let series = if self.is_first { self.lists.push(pairs) } else { self.lists.number(pairs) };
        self.sources.push((series, source));
    }

    /// Puts the sources of each series together, in the order in which they came.
    pub(super) fn finish(&mut self) {
        self.ends = vec![0; self.lists.len()];
        self.sources.iter().for_each(|(series, _)| self.ends[*series as usize] += 1);
        let mut total = 0;
        for end in &mut self.ends {
            total += std::mem::replace(end, total);
        }
        if !self.sources.is_sorted_by_key(|(series, _)| *series) {
            let mut sorted = self.sources.clone();
            let mut next = self.ends.clone();
            for source in &self.sources {
                let place = &mut next[source.0 as usize];
                sorted[*place as usize] = *source;
                *place += 1;
            }
            self.sources = sorted;
        }
        // From where they begin to where they end.
        if let Some(first) = self.ends.first_mut() {
            *first = total;
            self.ends.rotate_left(1);
        }
        // Nothing is added any more.
        (self.lists.table, self.pairs.table) = Default::default();
    }

    /// The series in the order of their labels.
    pub(super) fn sorted(&self) -> &[u32] {
        self.order.get_or_init(|| {
            let ranks = self.pairs.ranks();
            let compare = |a: &u32, b: &u32| {
                let ranks_of = |series: &u32| self.lists.get(*series as usize).iter().map(|pair| ranks[*pair as usize]);
                ranks_of(a).cmp(ranks_of(b))
            };
            let mut order: Vec<u32> = (0..self.len() as u32).collect();
            if !order.is_sorted_by(|a, b| compare(a, b).is_le()) {
                order.sort_unstable_by(compare);
            }
            order
        })
    }

    /// How many series there are.
    pub(super) fn len(&self) -> usize {
        self.lists.len()
    }

    /// What it takes in memory, about, with the order of its series.
    pub(super) fn bytes(&self) -> usize {
        let Found { pairs: Pairs { names, pairs, values, .. }, lists, sources, .. } = self;
        let lists = size_of_val(&*lists.pairs) + (3 * lists.ends.len()) * size_of::<u32>();
        let names: usize = names.iter().map(String::len).sum();
        names + values.len() + size_of_val(&**pairs) + lists + size_of_val(&**sources)
    }

    /// The sources of a series.
    pub(super) fn sources(&self, series: usize) -> impl Iterator<Item = S> {
        let start = series.checked_sub(1).map_or(0, |before| self.ends[before]) as usize;
        self.sources[start..self.ends[series] as usize].iter().map(|(_, source)| *source)
    }

    /// The labels of a series.
    pub(super) fn labels(&self, series: usize) -> Labels {
        self.text(self.lists.get(series))
    }

    /// The values that a label has in the series of which `holds` is true. It is asked until each value has one.
    pub(super) fn values<E>(
        &self,
        name: &str,
        mut holds: impl FnMut(usize) -> Result<bool, E>,
    ) -> Result<BTreeSet<&str>, E> {
        let Pairs { names, pairs, .. } = &self.pairs;
        let Some(name) = names.iter().position(|other| other == name) else { return Ok(BTreeSet::new()) };
        let mut told = vec![false; pairs.len()];
        for series in 0..self.len() {
            let mut numbers = self.lists.get(series).iter().map(|number| *number as usize);
            if let Some(pair) = numbers.find(|pair| pairs[*pair].0 as usize == name)
                && !told[pair]
            {
                told[pair] = holds(series)?;
            }
        }
        let told = (0..).zip(told).filter(|(_, told)| *told);
        Ok(told.map(|(pair, _)| self.pairs.texts(pair).1).collect())
    }

    /// The names of the labels of the series of which `holds` is true. It is asked until each name has one.
    pub(super) fn names<E>(&self, mut holds: impl FnMut(usize) -> Result<bool, E>) -> Result<BTreeSet<&str>, E> {
        let Pairs { names, pairs, .. } = &self.pairs;
        let mut told = vec![false; names.len()];
        for series in 0..self.len() {
            let name_of = |number: &PairNumber| pairs[*number as usize].0 as usize;
            let of_series = self.lists.get(series).iter().map(name_of);
            if of_series.clone().any(|name| !told[name]) && holds(series)? {
                of_series.for_each(|name| told[name] = true);
            }
        }
        Ok(names.iter().zip(told).filter_map(|(name, told)| told.then_some(name.as_str())).collect())
    }

    fn text(&self, pairs: &[PairNumber]) -> Labels {
        Labels::from_sorted(pairs.iter().map(|pair| self.pairs.texts(*pair)))
    }

    /// The group of each series by those of its labels whose names are kept, and the labels of each group,
    /// which are numbered in the order in which they are met.
    pub(super) fn groups(&self, keep: impl Fn(&str) -> bool) -> (Vec<u32>, Vec<Labels>) {
        let kept: Vec<bool> = self.pairs.names.iter().map(|name| keep(name)).collect();
        if !kept.contains(&true) && self.len() > 0 {
            return (vec![0; self.len()], vec![Labels::empty()]);
        }
        let (mut groups, mut some) = (Lists::default(), Vec::new());
        let group = |series: usize| {
            some.clear();
            let pairs = self.lists.get(series).iter();
            some.extend(pairs.filter(|pair| kept[self.pairs.pairs[**pair as usize].0 as usize]));
            groups.number(&some)
        };
        let group_of = (0..self.len()).map(group).collect();
        let labels = (0..groups.len()).map(|group| self.text(groups.get(group))).collect();
        (group_of, labels)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::env::Rng;

    #[test]
    fn series_groups_and_sources_are_those_of_label_sets() {
        let mut rng = Rng::new(11);
        for _ in 0..50 {
            let mut found = Found::new();
            let mut model: BTreeMap<Labels, Vec<usize>> = BTreeMap::new();
            let mut place = BTreeSet::new();
            found.begin_place();
            for source in 0..rng.below(60) as usize {
                let mut pairs = Vec::new();
                for name in ["a", "b", "c", "d"] {
                    if rng.below(3) > 0 {
                        pairs.push((name, format!("{}", rng.below(3))));
                    }
                }
                let numbers: Vec<u32> = pairs.iter().map(|(name, value)| found.pairs.number(name, value)).collect();
                if rng.below(4) == 0 {
                    found.begin_place();
                }
                // A place has a series once.
                let series = Labels::new(pairs.iter().map(|(name, value)| (*name, value.as_str()))).unwrap();
                if !place.insert(series) {
                    found.begin_place();
                    place.clear();
                }
                found.add(&numbers, source);
                let labels = Labels::new(pairs.iter().map(|(name, value)| (*name, value.as_str()))).unwrap();
                model.entry(labels).or_default().push(source);
            }
            found.finish();
            let order = found.sorted().iter().map(|series| *series as usize);
            let got: Vec<(Labels, Vec<usize>)> =
                order.map(|series| (found.labels(series), found.sources(series).collect())).collect();
            assert_eq!(got, model.into_iter().collect::<Vec<_>>());
            let (group_of, groups) = found.groups(|name| name != "b" && name != "d");
            assert_eq!(groups.iter().collect::<BTreeSet<_>>().len(), groups.len());
            for (at, group) in group_of.iter().enumerate() {
                let kept = found.labels(at).filter(|name| name != "b" && name != "d");
                assert_eq!(groups[*group as usize], kept);
            }
        }
    }
}
