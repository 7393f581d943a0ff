//! Which selectors take the samples of which series.
//!
//! Invariants:
//! - Series of one target have neighbouring numbers, and so have neighbouring places here.
//! - A page without any series takes no memory.

use std::collections::HashMap;

use crate::model::SeriesRef;

/// Numbers of series in a page.
const PAGE: u64 = 512;

/// A leaf and a slot of it.
type Place = (u32, u32);

/// Of a series that no selector takes.
const NONE: Place = (u32::MAX, u32::MAX);
/// In place of the leaf's number, of a series that several selectors take.
const MANY: u32 = u32::MAX - 1;

/// The places of series, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    pages: Vec<Option<Box<Page>>>,
    /// Of series that several selectors take.
    many: HashMap<SeriesRef, Vec<Place>>,
}

#[derive(Debug)]
struct Page {
    places: [Place; PAGE as usize],
    bound: u32,
}

impl Bindings {
    /// Where the samples of a series go.
    pub(super) fn of(&self, series: SeriesRef) -> &[Place] {
        let Some(Some(page)) = self.pages.get((series.0 / PAGE) as usize) else { return &[] };
        let place = &page.places[(series.0 % PAGE) as usize];
        match *place {
            NONE => &[],
            (MANY, _) => self.many.get(&series).map_or(&[], Vec::as_slice),
            _ => std::slice::from_ref(place),
        }
    }

    /// Notes where those of a series go that has no places yet.
    pub(super) fn insert(&mut self, series: SeriesRef, places: Vec<Place>) {
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

    /// Forgets a series; gives its places.
    pub(super) fn remove(&mut self, series: SeriesRef) -> Vec<Place> {
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

    /// Calls `rename` with every leaf and slot.
    pub(super) fn for_each(&mut self, mut rename: impl FnMut(u32, &mut u32)) {
        let singles = self.pages.iter_mut().flatten().flat_map(|page| &mut page.places);
        let singles = singles.filter(|(leaf, _)| *leaf < MANY);
        singles.chain(self.many.values_mut().flatten()).for_each(|(leaf, slot)| rename(*leaf, slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_have_none_one_or_many_places() {
        let mut bindings = Bindings::default();
        let (one, many) = (vec![(3, 5)], vec![(1, 2), (3, 4)]);
        bindings.insert(SeriesRef(5000), one.clone());
        bindings.insert(SeriesRef(7), many.clone());
        bindings.insert(SeriesRef(8), Vec::new());
        let all = |bindings: &Bindings| [5000, 7, 8, 90_000].map(|n| bindings.of(SeriesRef(n)).to_vec());
        assert_eq!(all(&bindings), [one, many.clone(), Vec::new(), Vec::new()]);
        bindings.for_each(|leaf, slot| *slot += leaf);
        assert_eq!(all(&bindings)[..2], [vec![(3, 8)], vec![(1, 3), (3, 7)]]);
        assert_eq!(bindings.remove(SeriesRef(7)).len(), 2);
        assert_eq!(bindings.remove(SeriesRef(7)).len(), 0);
        bindings.remove(SeriesRef(5000));
        assert!(bindings.pages.iter().all(Option::is_none) && bindings.many.is_empty());
    }
}
