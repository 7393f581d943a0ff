//! Tables by series number: pages of [`PAGE`] numbers, there while one of their series is.
//!
//! Numbers ascend for ever and most of them are gone some day; a page that is not needed takes
//! nothing, and finding one takes two steps through small tables that stay in the cache.

use crate::model::SeriesRef;

/// Series numbers of one page.
pub(super) const PAGE: usize = 256;
/// Pages of one part of the directory.
const PART: usize = 1024;

/// Pages by their number.
#[derive(Debug)]
pub(super) struct Pages<P> {
    parts: Vec<Option<Box<Part<P>>>>,
}

#[derive(Debug)]
struct Part<P> {
    pages: [Option<Box<P>>; PART],
    count: usize,
}

impl<P> Default for Pages<P> {
    fn default() -> Pages<P> {
        Pages { parts: Vec::new() }
    }
}

impl<P> Pages<P> {
    /// A page that is there.
    pub(super) fn get(&self, page: usize) -> Option<&P> {
        self.parts.get(page / PART)?.as_deref()?.pages[page % PART].as_deref()
    }

    /// The same for changing it.
    pub(super) fn get_mut(&mut self, page: usize) -> Option<&mut P> {
        self.parts.get_mut(page / PART)?.as_deref_mut()?.pages[page % PART].as_deref_mut()
    }

    /// A page, made if it is not there.
    pub(super) fn entry(&mut self, page: usize, make: impl FnOnce() -> P) -> &mut P {
        if self.parts.len() <= page / PART {
            self.parts.resize_with(page / PART + 1, || None);
        }
        let part =
            self.parts[page / PART].get_or_insert_with(|| Box::new(Part { pages: [const { None }; PART], count: 0 }));
        let place = &mut part.pages[page % PART];
        if place.is_none() {
            part.count += 1;
        }
        place.get_or_insert_with(|| Box::new(make()))
    }

    /// Frees a page.
    pub(super) fn remove(&mut self, page: usize) {
        let Some(place) = self.parts.get_mut(page / PART) else { return };
        let Some(part) = place else { return };
        if part.pages[page % PART].take().is_some() {
            part.count -= 1;
        }
        if part.count == 0 {
            *place = None;
        }
    }

    /// The first page that is there from this number on.
    pub(super) fn first_from(&self, page: usize) -> Option<usize> {
        let mut from = page % PART;
        for (at, part) in self.parts.iter().enumerate().skip(page / PART) {
            let found = part.as_ref().and_then(|part| part.pages[from..].iter().position(Option::is_some));
            if let Some(n) = found {
                return Some(at * PART + from + n);
            }
            from = 0;
        }
        None
    }

    /// The pages that are there, in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &P)> {
        let parts = self.parts.iter().enumerate().filter_map(|(at, part)| Some((at, part.as_deref()?)));
        parts.flat_map(|(at, part)| {
            let pages = part.pages.iter().enumerate();
            pages.filter_map(move |(n, page)| Some((at * PART + n, page.as_deref()?)))
        })
    }
}

/// The page of a series, and its place in there.
pub(super) fn place(series: SeriesRef) -> (usize, usize) {
    let number = usize::try_from(series.0).unwrap_or(usize::MAX);
    (number / PAGE, number % PAGE)
}

/// The series at a place.
pub(super) fn series_at(page: usize, at: usize) -> SeriesRef {
    SeriesRef((page * PAGE + at) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_come_and_go() {
        let mut pages: Pages<u32> = Pages::default();
        for page in [0, 3, 1023, 1024, 5000] {
            *pages.entry(page, || 0) = page as u32;
        }
        assert_eq!(pages.iter().collect::<Vec<_>>(), [(0, &0), (3, &3), (1023, &1023), (1024, &1024), (5000, &5000)]);
        assert_eq!([0, 1, 1023, 1024, 1025].map(|n| pages.first_from(n)), [0, 3, 1023, 1024, 5000].map(Some));
        assert_eq!([5001, 99_999].map(|n| pages.first_from(n)), [None, None]);
        pages.remove(1024);
        pages.remove(1024);
        pages.remove(9999);
        assert!(pages.parts[1].is_none() && pages.get(1024).is_none() && pages.get(9999).is_none());
        *pages.get_mut(3).unwrap() += 1;
        assert_eq!(pages.get(3), Some(&4));
        for number in [0, 255, 256, 1 << 20] {
            let (page, at) = place(SeriesRef(number));
            assert_eq!(series_at(page, at), SeriesRef(number));
        }
    }
}
