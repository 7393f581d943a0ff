//! How the parts of the program name a series and a place in the log.

/// A series, by number. Given out by the store, valid while it is open, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef(pub u64);

/// A place in the log: the number of a transaction or tick, from 1 on, without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

/// Series numbers of one page of a [`SeriesRefs`].
const SET_PAGE: u64 = 4096;

/// A set of series that says quickly what is not in it: for those who follow few of many series.
#[derive(Debug, Clone, Default)]
pub struct SeriesRefs {
    pages: Vec<Option<Box<[u64; SET_PAGE as usize / 64]>>>,
}

impl SeriesRefs {
    /// Whether a series is in it.
    pub fn contains(&self, series: SeriesRef) -> bool {
        let page = usize::try_from(series.0 / SET_PAGE).ok().and_then(|page| self.pages.get(page));
        let Some(Some(page)) = page else { return false };
        page[(series.0 % SET_PAGE / 64) as usize] & 1 << (series.0 % 64) != 0
    }

    /// Puts a series in.
    pub fn insert(&mut self, series: SeriesRef) {
        let page = usize::try_from(series.0 / SET_PAGE).unwrap_or(usize::MAX);
        if self.pages.len() <= page {
            self.pages.resize(page + 1, None);
        }
        let page = self.pages[page].get_or_insert_with(|| Box::new([0; SET_PAGE as usize / 64]));
        page[(series.0 % SET_PAGE / 64) as usize] |= 1 << (series.0 % 64);
    }

    /// Takes a series out.
    pub fn remove(&mut self, series: SeriesRef) {
        let page = usize::try_from(series.0 / SET_PAGE).ok().and_then(|page| self.pages.get_mut(page));
        let Some(place) = page else { return };
        let Some(page) = place else { return };
        page[(series.0 % SET_PAGE / 64) as usize] &= !(1 << (series.0 % 64));
        if page.iter().all(|word| *word == 0) {
            *place = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn it_holds_what_a_set_holds() {
        let (mut set, mut model) = (SeriesRefs::default(), BTreeSet::new());
        for n in 0..3000u64 {
            let series = SeriesRef(n * n * 7 % 20_011);
            if n % 3 == 0 {
                set.remove(series);
                model.remove(&series);
            } else {
                set.insert(series);
                model.insert(series);
            }
        }
        assert!((0..30_000).map(SeriesRef).all(|series| set.contains(series) == model.contains(&series)));
        model.iter().for_each(|series| set.remove(*series));
        assert!(set.pages.iter().all(Option::is_none), "what is empty takes nothing");
    }
}
