//! Who takes the samples of which series, and at which place of theirs: found by the series' number, without a hash.
//!
//! Invariants:
//! - Series of one target have neighbouring numbers, and so have neighbouring places here.
//! - A page without any series takes no memory.

use std::collections::HashMap;

use super::SeriesRef;

/// Numbers of series in a page.
const PAGE: u64 = 512;

/// Who takes the samples of a series, by number, and the number of the series there.
pub type SeriesPlace = (u32, u32);

/// Of a series that nobody takes.
const NONE: SeriesPlace = (u32::MAX, u32::MAX);
/// In place of the taker's number, of a series that several take.
const MANY: u32 = u32::MAX - 1;

/// The places of series, by their numbers.
#[derive(Debug, Default)]
pub struct SeriesPlaces {
    pages: Vec<Option<Box<Page>>>,
    /// Of series that several take.
    many: HashMap<SeriesRef, Vec<SeriesPlace>>,
}

#[derive(Debug)]
struct Page {
    places: [SeriesPlace; PAGE as usize],
    bound: u32,
}

impl SeriesPlaces {
    /// Where the samples of a series go.
    pub fn of(&self, series: SeriesRef) -> &[SeriesPlace] {
        let Some(Some(page)) = self.pages.get((series.0 / PAGE) as usize) else { return &[] };
        let place = &page.places[(series.0 % PAGE) as usize];
        match *place {
            NONE => &[],
            (MANY, _) => self.many.get(&series).map_or(&[], Vec::as_slice),
            _ => std::slice::from_ref(place),
        }
    }

    /// Notes where those of a series go that has no places yet.
    pub fn insert(&mut self, series: SeriesRef, places: Vec<SeriesPlace>) {
        let place = match places[..] {
            [] => return,
            [place] => place,
            _ => {
                self.many.insert(series, places);
                (MANY, 0)
            }
        };
        let at = (series.0 / PAGE) as usize;
        if self.pages.len() <= at {
            self.pages.resize_with(at + 1, || None);
        }
        let page = self.pages[at].get_or_insert_with(|| Box::new(Page { places: [NONE; PAGE as usize], bound: 0 }));
        page.places[(series.0 % PAGE) as usize] = place;
        page.bound += 1;
    }

    /// Lets the samples of a series go to one more place.
    pub fn add(&mut self, series: SeriesRef, place: SeriesPlace) {
        let mut places = self.remove(series);
        places.push(place);
        self.insert(series, places);
    }

    /// Forgets a series; gives its places.
    pub fn remove(&mut self, series: SeriesRef) -> Vec<SeriesPlace> {
        let places = self.of(series).to_vec();
        if let Some(entry) = self.pages.get_mut((series.0 / PAGE) as usize)
            && let Some(page) = entry
            && !places.is_empty()
        {
            page.places[(series.0 % PAGE) as usize] = NONE;
            page.bound -= 1;
            self.many.remove(&series);
            if page.bound == 0 {
                *entry = None;
            }
        }
        places
    }

    /// Every series that has a place, with all of them.
    pub fn iter(&self) -> impl Iterator<Item = (SeriesRef, &[SeriesPlace])> {
        let pages = self.pages.iter().enumerate().filter(|(_, page)| page.is_some());
        let numbers = pages.flat_map(|(n, _)| (0..PAGE).map(move |at| SeriesRef(n as u64 * PAGE + at)));
        numbers.map(|series| (series, self.of(series))).filter(|(_, places)| !places.is_empty())
    }

    /// Calls `rename` with every taker and its number for a series.
    pub fn for_each(&mut self, mut rename: impl FnMut(u32, &mut u32)) {
        let singles = self.pages.iter_mut().flatten().flat_map(|page| &mut page.places);
        let singles = singles.filter(|(taker, _)| *taker < MANY);
        singles.chain(self.many.values_mut().flatten()).for_each(|(taker, place)| rename(*taker, place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_have_none_one_or_many_places() {
        let mut all_places = SeriesPlaces::default();
        let (one, many) = (vec![(3, 5)], vec![(1, 2), (3, 4)]);
        all_places.insert(SeriesRef(5000), one.clone());
        all_places.insert(SeriesRef(7), many.clone());
        all_places.insert(SeriesRef(8), Vec::new());
        let all = |places: &SeriesPlaces| [5000, 7, 8, 90_000].map(|n| places.of(SeriesRef(n)).to_vec());
        assert_eq!(all(&all_places), [one, many, Vec::new(), Vec::new()]);
        all_places.for_each(|taker, place| *place += taker);
        assert_eq!(all(&all_places)[..2], [vec![(3, 8)], vec![(1, 3), (3, 7)]]);
        all_places.add(SeriesRef(5000), (4, 4));
        all_places.add(SeriesRef(9), (4, 5));
        let listed: Vec<_> = all_places.iter().map(|(series, places)| (series.0, places.to_vec())).collect();
        let expected = [(7, vec![(1, 3), (3, 7)]), (9, vec![(4, 5)]), (5000, vec![(3, 8), (4, 4)])];
        assert_eq!(listed, expected);
        assert_eq!(all_places.remove(SeriesRef(9)), [(4, 5)]);
        assert_eq!(all_places.remove(SeriesRef(7)).len(), 2);
        assert_eq!(all_places.remove(SeriesRef(7)).len(), 0);
        all_places.remove(SeriesRef(5000));
        assert!(all_places.pages.iter().all(Option::is_none) && all_places.many.is_empty());
    }
}
