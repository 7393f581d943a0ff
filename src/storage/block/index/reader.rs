//! Reading a block's index, page by page.

use std::collections::HashMap;
use std::sync::Arc;

use super::format::{self, GROUP, LabelPlace, ListPlace, Name, SeriesPage, Texts, VALUES, Values};
use crate::codec::Damaged;
use crate::env::disk::Mapped;
use crate::model::{Label, Labels};
use crate::storage::block::format::{Footer, SECTIONS, Section};
use crate::storage::block::pages::{self, Page};
use crate::storage::block::shared::SharedPages;

/// Pages of values that are kept unpacked while a question is answered: some 30 KiB each.
const VALUE_PAGES_MAX: usize = 512;

/// What a question has read of an index.
#[derive(Debug, Default)]
pub(in crate::storage::block) struct IndexCache {
    values: HashMap<u64, Arc<Values>>,
    fences: HashMap<u64, Arc<Texts>>,
    series: Option<(u64, Arc<SeriesPage>)>,
    list: Option<(u64, Page)>,
}

/// The index of an open block.
pub(in crate::storage::block) struct Index<'a> {
    file: &'a Mapped,
    footer: &'a Footer,
    /// The names of labels.
    pub(in crate::storage::block) names: Arc<Vec<Name>>,
    cache: &'a mut IndexCache,
    shared: &'a SharedPages,
}

impl<'a> Index<'a> {
    /// Of a block.
    pub(in crate::storage::block) fn new(
        file: &'a Mapped,
        footer: &'a Footer,
        names: Arc<Vec<Name>>,
        cache: &'a mut IndexCache,
        shared: &'a SharedPages,
    ) -> Index<'a> {
        Index { file, footer, names, cache, shared }
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
        self.series_page(page)?
            .get(at)
            .map(<[LabelPlace]>::to_vec)
            .ok_or(Damaged("a series lies behind the end of its page"))
    }

    /// The labels of all series of a page, as numbers.
    pub(super) fn series_page(&mut self, page: u64) -> Result<Arc<SeriesPage>, Damaged> {
        if let Some((number, series)) = &self.cache.series
            && *number == page
        {
            return Ok(Arc::clone(series));
        }
        let read = || format::take_series(&self.read(Section::Series, page)?);
        let series = self.shared.get(&self.shared.series, page, read)?;
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

    /// Calls `each` with each position and its pairs as `number` counts them, asked once for each pair.
    pub(in crate::storage::block) fn numbers(
        &mut self,
        positions: &[u32],
        mut number: impl FnMut(&str, &str) -> u32,
        mut each: impl FnMut(u32, &[u32]),
    ) -> Result<(), Damaged> {
        const UNKNOWN: u32 = u32::MAX;
        // By name and page of values: what is known already.
        let mut known: Vec<Vec<Vec<u32>>> = vec![Vec::new(); self.names.len()];
        let mut numbers = Vec::new();
        for group in positions.chunk_by(|a, b| *a as usize / GROUP == *b as usize / GROUP) {
            let Some(first) = group.first() else { continue };
            let page = self.series_page(u64::from(*first) / GROUP as u64)?;
            for position in group {
                let places = page.get(*position as usize % GROUP);
                numbers.clear();
                for (name, value) in places.ok_or(Damaged("a series lies behind the end of its page"))? {
                    let (part, at) = (*value as usize / VALUES, *value as usize % VALUES);
                    let of_name = known.get_mut(*name as usize).ok_or(Damaged("a series has an unknown name"))?;
                    let found = of_name.get(part).and_then(|part| part.get(at)).copied().unwrap_or(UNKNOWN);
                    if found != UNKNOWN {
                        numbers.push(found);
                        continue;
                    }
                    let values = self.values(*name, part)?;
                    let text = values.texts.get(at).ok_or(Damaged("a series has an unknown value"))?;
                    let new = number(&self.names[*name as usize].text, text);
                    if of_name.len() <= part {
                        of_name.resize(part + 1, Vec::new());
                    }
                    of_name[part].resize(VALUES, UNKNOWN);
                    of_name[part][at] = new;
                    numbers.push(new);
                }
                each(*position, &numbers);
            }
        }
        Ok(())
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
        let read = || format::take_values(&self.read(Section::LabelValues, page)?);
        let values = self.shared.get(&self.shared.values, page, read)?;
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
                let read = || {
                    let page = self.read(Section::Fences, number)?;
                    format::take_texts(&mut crate::codec::Cursor::new(&page))
                };
                let fences = self.shared.get(&self.shared.fences, number, read)?;
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
            let number = list.place.page;
            let key = number.wrapping_mul(SECTIONS as u64).wrapping_add(Section::Postings as u64);
            let page = self.shared.page(key, || self.read(Section::Postings, number))?;
            self.cache.list = Some((number, page));
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
