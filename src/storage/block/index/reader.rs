//! Reading a block's index, page by page.

use std::collections::HashMap;
use std::sync::Arc;

use super::format::{self, GROUP, LabelPlace, ListPlace, Name, Texts, VALUES, Values};
use crate::codec::Damaged;
use crate::env::disk::Mapped;
use crate::model::{Label, Labels};
use crate::storage::block::format::{Footer, Section};
use crate::storage::block::pages::{self, Page};

/// Pages of values that are kept unpacked while a question is answered: some 30 KiB each.
const VALUE_PAGES_MAX: usize = 512;

/// What a question has read of an index.
#[derive(Debug, Default)]
pub(in crate::storage::block) struct IndexCache {
    values: HashMap<u64, Arc<Values>>,
    fences: HashMap<u64, Arc<Texts>>,
    series: Option<(u64, Arc<Vec<Vec<LabelPlace>>>)>,
    list: Option<(u64, Page)>,
}

/// The index of an open block.
pub(in crate::storage::block) struct Index<'a> {
    file: &'a Mapped,
    footer: &'a Footer,
    /// The names of labels.
    pub(in crate::storage::block) names: Arc<Vec<Name>>,
    cache: &'a mut IndexCache,
}

impl<'a> Index<'a> {
    /// Of a block.
    pub(in crate::storage::block) fn new(
        file: &'a Mapped,
        footer: &'a Footer,
        names: Arc<Vec<Name>>,
        cache: &'a mut IndexCache,
    ) -> Index<'a> {
        Index { file, footer, names, cache }
    }

    /// How many series there are.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.footer.series).unwrap_or(u32::MAX)
    }

    /// The number of a name.
    pub(super) fn name(&self, text: &str) -> Option<u32> {
        self.names.binary_search_by(|name| name.text.as_str().cmp(text)).ok().map(|at| at as u32)
    }

    /// The labels of the series at a position, as numbers.
    pub(super) fn places(&mut self, position: u32) -> Result<Vec<LabelPlace>, Damaged> {
        let (page, at) = (u64::from(position) / GROUP as u64, position as usize % GROUP);
        self.series_page(page)?.get(at).cloned().ok_or(Damaged("a series lies behind the end of its page"))
    }

    /// The labels of all series of a page, as numbers.
    pub(super) fn series_page(&mut self, page: u64) -> Result<Arc<Vec<Vec<LabelPlace>>>, Damaged> {
        if let Some((number, series)) = &self.cache.series
            && *number == page
        {
            return Ok(Arc::clone(series));
        }
        let series = Arc::new(format::take_series(&self.read(Section::Series, page)?)?);
        self.cache.series = Some((page, Arc::clone(&series)));
        Ok(series)
    }

    /// The labels of the series at a position.
    pub(in crate::storage::block) fn labels(&mut self, position: u32) -> Result<Labels, Damaged> {
        const UNKNOWN: Damaged = Damaged("a series has a label that the index does not know");
        let places = self.places(position)?;
        let mut parts = Vec::with_capacity(places.len());
        for (name, value) in places {
            let page = self.values(name, value as usize / VALUES)?;
            parts.push((name, page, value as usize % VALUES));
        }
        let mut labels = Vec::with_capacity(parts.len());
        for (name, page, at) in &parts {
            let name = self.names.get(*name as usize).ok_or(UNKNOWN)?;
            labels.push(Label { name: &name.text, value: page.texts.get(*at).ok_or(UNKNOWN)? });
        }
        Ok(Labels::from_sorted(labels.iter().map(|label| (label.name, label.value))))
    }

    /// A page of the values of a name.
    pub(super) fn values(&mut self, name: u32, part: usize) -> Result<Arc<Values>, Damaged> {
        const UNKNOWN: Damaged = Damaged("a value lies behind the end of its name's");
        let name = self.names.get(name as usize).ok_or(UNKNOWN)?;
        if part as u64 >= name.values.div_ceil(VALUES as u64) {
            return Err(UNKNOWN);
        }
        let page = name.page.checked_add(part as u64).ok_or(UNKNOWN)?;
        if let Some(values) = self.cache.values.get(&page) {
            return Ok(Arc::clone(values));
        }
        let values = Arc::new(format::take_values(&self.read(Section::LabelValues, page)?)?);
        if self.cache.values.len() >= VALUE_PAGES_MAX {
            self.cache.values.clear();
        }
        self.cache.values.insert(page, Arc::clone(&values));
        Ok(values)
    }

    /// How many pages the values of a name take.
    pub(super) fn parts(&self, name: u32) -> usize {
        let name = self.names.get(name as usize);
        name.map_or(0, |name| usize::try_from(name.values).unwrap_or(0).div_ceil(VALUES))
    }

    /// The page of values that a text is on, if it is one.
    pub(super) fn part_of(&mut self, name: u32, text: &str) -> Result<usize, Damaged> {
        if self.parts(name) <= 1 {
            return Ok(0);
        }
        let number = self.names.get(name as usize).map_or(0, |name| name.fences);
        let fences = match self.cache.fences.get(&number) {
            Some(fences) => Arc::clone(fences),
            None => {
                let page = self.read(Section::Fences, number)?;
                let fences = Arc::new(format::take_texts(&mut crate::codec::Cursor::new(&page))?);
                self.cache.fences.insert(number, Arc::clone(&fences));
                fences
            }
        };
        Ok(fences.partition_point(|fence| fence <= text).saturating_sub(1))
    }

    /// The number of a value and the place of its list.
    pub(super) fn value(&mut self, name: u32, text: &str) -> Result<Option<(u32, ListPlace)>, Damaged> {
        let part = self.part_of(name, text)?;
        let values = self.values(name, part)?;
        let found = values.texts.find(text);
        Ok(found.and_then(|at| Some(((part * VALUES + at) as u32, *values.lists.get(at)?))))
    }

    /// Adds the series of a list to `out`.
    pub(super) fn list(&mut self, list: &ListPlace, out: &mut Vec<u32>) -> Result<(), Damaged> {
        let cached = self.cache.list.as_ref().is_some_and(|(number, _)| *number == list.place.page);
        if !cached {
            self.cache.list = Some((list.place.page, self.read(Section::Postings, list.place.page)?));
        }
        let (start, series) = (list.place.start as usize, self.len());
        let bytes = self.cache.list.as_ref().and_then(|(_, page)| page.get(start..start + list.length as usize));
        format::take_list(bytes.ok_or(Damaged("a list lies behind the end of its page"))?, series, out)
    }

    fn read(&self, section: Section, page: u64) -> Result<Page, Damaged> {
        pages::read(self.file, self.footer, section, page)
    }
}

/// Reads the names of a block.
pub(in crate::storage::block) fn names(file: &Mapped, footer: &Footer) -> Result<Vec<Name>, Damaged> {
    format::take_names(&pages::read(file, footer, Section::Names, 0)?)
}
