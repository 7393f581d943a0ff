//! Byte layout of a block's index: names, values of labels, lists of series, labels of series.
//! `storage-format.md` describes it; change both together.

use crate::codec::{Cursor, Damaged, Postings, put_postings, put_text, put_varint};
use crate::storage::block::format::{put_differences, put_numbers, take_differences, take_numbers};
use crate::storage::block::pages::Place;

/// Values that share a page.
pub(in crate::storage::block) const VALUES: usize = 1024;
/// Series whose labels share a page.
pub(in crate::storage::block) const GROUP: usize = 128;

const TOO_LARGE: Damaged = Damaged("a number of an index is over its bound");

/// What the index knows of a label's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::storage::block) struct Name {
    /// The name.
    pub(in crate::storage::block) text: String,
    /// How many values it has.
    pub(in crate::storage::block) values: u64,
    /// How many series carry it.
    pub(in crate::storage::block) series: u64,
    /// The number of the first page of its values.
    pub(in crate::storage::block) page: u64,
    /// The number of its page of fences, if it has more than one page of values.
    pub(in crate::storage::block) fences: u64,
}

/// Appends the names: for each text, values, series, page, fences.
pub(in crate::storage::block) fn put_names(out: &mut Vec<u8>, names: &[Name]) {
    put_varint(out, names.len() as u64);
    for name in names {
        put_text(out, &name.text);
        put_numbers(out, [name.values, name.series, name.page, name.fences]);
    }
}

/// Takes the names.
pub(in crate::storage::block) fn take_names(bytes: &[u8]) -> Result<Vec<Name>, Damaged> {
    let mut from = Cursor::new(bytes);
    let n = from.length()?;
    let mut names: Vec<Name> = Vec::with_capacity(n);
    for _ in 0..n {
        let text = from.text()?.to_owned();
        if names.last().is_some_and(|before| before.text >= text) {
            return Err(Damaged("names of labels are not in order"));
        }
        let (values, series, page, fences) = (from.varint()?, from.varint()?, from.varint()?, from.varint()?);
        names.push(Name { text, values, series, page, fences });
    }
    from.end()?;
    Ok(names)
}

/// Sorted texts in one piece of memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::storage::block) struct Texts {
    all: String,
    ends: Vec<u32>,
}

impl Texts {
    /// How many there are.
    pub(in crate::storage::block) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all together.
    pub(in crate::storage::block) fn bytes(&self) -> usize {
        self.all.len()
    }

    /// One of them.
    pub(in crate::storage::block) fn get(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)? as usize;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.all.get(start..end)
    }

    /// How many are before the first for which `before` does not hold.
    pub(in crate::storage::block) fn partition_point(&self, before: impl Fn(&str) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle).is_some_and(&before) { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// The place of a text.
    pub(in crate::storage::block) fn find(&self, text: &str) -> Option<usize> {
        let at = self.partition_point(|other| other < text);
        (self.get(at) == Some(text)).then_some(at)
    }
}

/// Appends sorted texts: count, for each how many bytes it shares with the one before, how many
/// follow, then all that follow.
pub(in crate::storage::block) fn put_texts<'t>(out: &mut Vec<u8>, texts: impl ExactSizeIterator<Item = &'t str>) {
    put_varint(out, texts.len() as u64);
    let (mut shared, mut own, mut rest) = (Vec::new(), Vec::new(), Vec::<u8>::new());
    let mut before = "";
    for text in texts {
        let same = before.bytes().zip(text.bytes()).take_while(|(a, b)| a == b).count();
        shared.push(same as u64);
        own.push((text.len() - same) as u64);
        rest.extend(&text.as_bytes()[same..]);
        before = text;
    }
    put_numbers(out, shared);
    put_numbers(out, own);
    out.extend(rest);
}

/// Takes what [`put_texts`] put.
pub(in crate::storage::block) fn take_texts(from: &mut Cursor<'_>) -> Result<Texts, Damaged> {
    let n = from.length()?;
    let shared = take_numbers(from, n)?;
    let own = take_numbers(from, n)?;
    let (mut all, mut ends) = (Vec::new(), Vec::with_capacity(n));
    let mut before = 0..0;
    for (shared, own) in shared.into_iter().zip(own) {
        let shared = usize::try_from(shared).ok().filter(|n| *n <= before.len());
        let shared = shared.ok_or(Damaged("a text shares more than there is"))?;
        let start = all.len();
        all.extend_from_within(before.start..before.start + shared);
        all.extend(from.bytes(usize::try_from(own).map_err(|_| TOO_LARGE)?)?);
        before = start..all.len();
        ends.push(u32::try_from(all.len()).map_err(|_| TOO_LARGE)?);
    }
    let all = String::from_utf8(all).map_err(|_| Damaged("a text is not UTF-8"))?;
    if !ends.iter().all(|end| all.is_char_boundary(*end as usize)) {
        return Err(Damaged("a text is not UTF-8"));
    }
    Ok(Texts { all, ends })
}

/// A list of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage::block) struct ListPlace {
    /// How many series are in it.
    pub(in crate::storage::block) count: u64,
    /// Where it lies.
    pub(in crate::storage::block) place: Place,
    /// How many bytes it takes.
    pub(in crate::storage::block) length: u32,
}

/// Values of one label with the series that carry them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::storage::block) struct Values {
    /// The values, sorted.
    pub(in crate::storage::block) texts: Texts,
    /// Their lists.
    pub(in crate::storage::block) lists: Vec<ListPlace>,
}

/// Appends a page of values whose lists lie from `place` on: texts, columns of counts and of lengths
/// with whether a page begins.
pub(in crate::storage::block) fn put_values<'t>(
    out: &mut Vec<u8>,
    texts: impl ExactSizeIterator<Item = &'t str>,
    place: Place,
    lists: &[ListPlace],
) {
    put_texts(out, texts);
    put_numbers(out, [place.page, u64::from(place.start)]);
    put_numbers(out, lists.iter().map(|list| list.count));
    let mut page = place.page;
    put_numbers(
        out,
        lists.iter().map(|list| {
            let new_page = list.place.page != page;
            page = list.place.page;
            u64::from(list.length) << 1 | u64::from(new_page)
        }),
    );
}

/// Takes a page of values.
pub(in crate::storage::block) fn take_values(bytes: &[u8]) -> Result<Values, Damaged> {
    let mut from = Cursor::new(bytes);
    let texts = take_texts(&mut from)?;
    let start = |n: u64| u32::try_from(n).map_err(|_| TOO_LARGE);
    let mut at = Place { page: from.varint()?, start: start(from.varint()?)? };
    let counts = take_numbers(&mut from, texts.len())?;
    let lengths = take_numbers(&mut from, texts.len())?;
    from.end()?;
    let mut lists = Vec::with_capacity(counts.len());
    for (count, length) in counts.into_iter().zip(lengths) {
        if length & 1 == 1 {
            at = Place { page: at.page.checked_add(1).ok_or(TOO_LARGE)?, start: 0 };
        }
        let length = start(length >> 1)?;
        lists.push(ListPlace { count, place: at, length });
        at.start = at.start.checked_add(length).ok_or(TOO_LARGE)?;
    }
    Ok(Values { texts, lists })
}

/// Appends a list of series in the order of their positions.
pub(in crate::storage::block) fn put_list(out: &mut Vec<u8>, positions: &[u32]) {
    put_postings(out, positions);
}

/// Adds the positions of a list, of so many series in all, to `out`.
pub(in crate::storage::block) fn take_list(bytes: &[u8], series: u32, out: &mut Vec<u32>) -> Result<(), Damaged> {
    let mut from = Cursor::new(bytes);
    let list = Postings::open(&mut from)?;
    if list.len() > series as usize {
        return Err(Damaged("a list is longer than there are series"));
    }
    out.extend(list.to_vec());
    from.end()
}

/// A label of a series: which name, which of its values.
pub(in crate::storage::block) type LabelPlace = (u32, u32);

/// Appends the labels of up to 128 series: sets of names, which set each series has, and for each
/// name that occurs a column of values.
pub(in crate::storage::block) fn put_series(out: &mut Vec<u8>, series: &[Vec<LabelPlace>]) {
    let names = |labels: &Vec<LabelPlace>| labels.iter().map(|(name, _)| *name).collect::<Vec<u32>>();
    let mut sets: Vec<Vec<u32>> = series.iter().map(names).collect();
    sets.sort_unstable();
    sets.dedup();
    put_numbers(out, [series.len() as u64, sets.len() as u64]);
    for set in &sets {
        put_varint(out, set.len() as u64);
        put_differences(out, set.iter().map(|name| u64::from(*name)));
    }
    put_numbers(out, series.iter().map(|labels| sets.partition_point(|set| *set < names(labels)) as u64));
    let mut all: Vec<u32> = sets.concat();
    all.sort_unstable();
    all.dedup();
    for name in all {
        let having = series.iter().filter_map(|labels| labels.iter().find(|label| label.0 == name));
        put_differences(out, having.map(|(_, value)| u64::from(*value)));
    }
}

/// The labels of the series of a page, in one piece of memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::storage::block) struct SeriesPage {
    places: Vec<LabelPlace>,
    ends: Vec<u32>,
}

impl SeriesPage {
    /// The labels of one series.
    pub(in crate::storage::block) fn get(&self, at: usize) -> Option<&[LabelPlace]> {
        let end = *self.ends.get(at)? as usize;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.places.get(start..end)
    }

    /// Bytes in memory.
    pub(in crate::storage::block) fn bytes(&self) -> usize {
        size_of_val(self.places.as_slice()) + size_of_val(self.ends.as_slice())
    }
}

/// Takes the labels of a page of series.
pub(in crate::storage::block) fn take_series(bytes: &[u8]) -> Result<SeriesPage, Damaged> {
    let mut from = Cursor::new(bytes);
    let (n, set_count) = (from.varint()?, from.length()?);
    let n = usize::try_from(n).ok().filter(|n| *n <= GROUP).ok_or(TOO_LARGE)?;
    let narrow = |n: u64| u32::try_from(n).map_err(|_| TOO_LARGE);
    let mut sets = Vec::with_capacity(set_count);
    for _ in 0..set_count {
        let length = from.length()?;
        let set = take_differences(&mut from, length)?.into_iter().map(narrow).collect::<Result<Vec<u32>, _>>()?;
        if !set.is_sorted_by(|a, b| a < b) {
            return Err(Damaged("the names of a set are not in order"));
        }
        sets.push(set);
    }
    let mut set_of = Vec::with_capacity(n);
    for at in take_numbers(&mut from, n)? {
        let set = usize::try_from(at).ok().and_then(|at| sets.get(at));
        set_of.push(set.ok_or(Damaged("a series has an unknown set of names"))?);
    }
    let mut all: Vec<u32> = sets.concat();
    all.sort_unstable();
    all.dedup();
    let mut next: Vec<usize> = Vec::with_capacity(n);
    let (mut ends, mut total) = (Vec::with_capacity(n), 0);
    for set in &set_of {
        next.push(total);
        total += set.len();
        ends.push(u32::try_from(total).map_err(|_| TOO_LARGE)?);
    }
    let mut places: Vec<LabelPlace> = vec![(0, 0); total];
    let mut having = Vec::with_capacity(n);
    for name in all {
        having.clear();
        having.extend((0..n).filter(|at| set_of[*at].binary_search(&name).is_ok()));
        for (at, value) in having.iter().zip(take_differences(&mut from, having.len())?) {
            places[next[*at]] = (name, narrow(value)?);
            next[*at] += 1;
        }
    }
    from.end()?;
    Ok(SeriesPage { places, ends })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_values_come_back() {
        let name = |text: &str, page| Name { text: text.to_owned(), values: 3, series: 9, page, fences: 1 };
        let names = vec![name("a", 0), name("b", u64::MAX)];
        let mut out = Vec::new();
        put_names(&mut out, &names);
        assert_eq!(take_names(&out), Ok(names));
        let texts = ["", "a", "ab", "abc", "é", "éa", "ê"];
        let list = |n: u32, page, start| ListPlace { count: u64::from(n), place: Place { page, start }, length: n };
        let lists = vec![
            list(5, 7, 3),
            list(1, 8, 0),
            list(2, 8, 1),
            list(9, 9, 0),
            list(4, 10, 0),
            list(1, 10, 4),
            list(1, 10, 5),
        ];
        let mut out = Vec::new();
        put_values(&mut out, texts.iter().copied(), Place { page: 7, start: 3 }, &lists);
        let values = take_values(&out).unwrap();
        assert_eq!(values.lists, lists);
        for (at, text) in texts.iter().enumerate() {
            assert_eq!((values.texts.get(at), values.texts.find(text)), (Some(*text), Some(at)));
        }
        assert_eq!((values.texts.find("b"), values.texts.find("ëz")), (None, None));
    }

    proptest! {
        #[test]
        fn series_and_lists_come_back(
            series in proptest::collection::vec(proptest::collection::btree_map(0u32..6, any::<u32>(), 0..5), 0..20),
            list in proptest::collection::btree_set(any::<u32>(), 0..50),
        ) {
            let series: Vec<Vec<LabelPlace>> = series.into_iter().map(|labels| labels.into_iter().collect()).collect();
            let mut out = Vec::new();
            put_series(&mut out, &series);
            let page = take_series(&out).unwrap();
            for (at, labels) in series.iter().enumerate() {
                prop_assert_eq!(page.get(at), Some(labels.as_slice()));
            }
            prop_assert_eq!(page.get(series.len()), None);
            let list: Vec<u32> = list.into_iter().collect();
            let (mut out, mut back) = (Vec::new(), Vec::new());
            put_list(&mut out, &list);
            take_list(&out, u32::MAX, &mut back).unwrap();
            prop_assert_eq!(back, list);
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = take_names(&bytes);
            let _ = take_values(&bytes);
            let _ = take_series(&bytes);
            let _ = take_list(&bytes, 1000, &mut Vec::new());
        }
    }
}
