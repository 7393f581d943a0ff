//! The index of a block in the making. Takes four bytes of memory a label of a series, and each value once.

use std::collections::HashMap;
use std::io;

use super::format::{self, GROUP, LabelPlace, ListPlace, Name, VALUES};
use crate::model::Labels;
use crate::storage::block::format::{Packing, Section};
use crate::storage::block::pages::{PageWriter, Stream};

/// Bytes of a page of lists: short ones, of which many are read at once, share it.
const LIST_PAGE_BYTES: usize = 16 << 10;

/// Takes the labels of series in their order.
#[derive(Default)]
pub(in crate::storage::block) struct IndexWriter {
    names: HashMap<Box<str>, u32>,
    /// By name: its values, numbered over all names.
    values: Vec<HashMap<Box<str>, u32>>,
    /// By value: its name.
    name_of: Vec<u32>,
    /// The values of all series.
    labels: Vec<u32>,
    /// Where the labels of each series end.
    ends: Vec<u32>,
    /// The labels of the series before: neighbours share most of them.
    before: Option<Labels>,
}

/// Names and values in their order.
struct Order {
    /// The names, each with its values and the number of its first value in the order of all.
    names: Vec<(Box<str>, Vec<Box<str>>, u32)>,
    /// By value's number in the making: its name and its place among the name's values.
    places: Vec<LabelPlace>,
}

impl Order {
    /// The number of a value in the order of all.
    fn number(&self, value: u32) -> usize {
        let (name, rank) = self.places[value as usize];
        (self.names[name as usize].2 + rank) as usize
    }
}

impl IndexWriter {
    /// Adds a series.
    pub(in crate::storage::block) fn add(&mut self, labels: &Labels) {
        let start = self.ends.last().copied().unwrap_or_default() as usize;
        let before_start = self.ends.len().checked_sub(2).map_or(0, |at| self.ends[at] as usize);
        let before = self.before.replace(labels.clone());
        let mut before_labels = before.iter().flat_map(Labels::iter).enumerate();
        for label in labels.iter() {
            let known = before_labels.next().filter(|(_, other)| *other == label);
            let value = match known {
                Some((at, _)) => self.labels[before_start + at],
                None => self.intern(label.name, label.value),
            };
            self.labels.push(value);
        }
        debug_assert!(start <= self.labels.len());
        self.ends.push(self.labels.len() as u32);
    }

    /// How many series there are.
    pub(in crate::storage::block) fn len(&self) -> usize {
        self.ends.len()
    }

    fn intern(&mut self, name: &str, value: &str) -> u32 {
        let name = match self.names.get(name) {
            Some(name) => *name,
            None => {
                let number = self.values.len() as u32;
                self.names.insert(name.into(), number);
                self.values.push(HashMap::new());
                number
            }
        };
        let values = &mut self.values[name as usize];
        if let Some(number) = values.get(value) {
            return *number;
        }
        let number = self.name_of.len() as u32;
        values.insert(value.into(), number);
        self.name_of.push(name);
        number
    }

    /// Writes the index.
    pub(in crate::storage::block) fn finish(mut self, pages: &mut PageWriter) -> io::Result<()> {
        let order = self.order();
        let all: Vec<&[u32]> = self.series().collect();
        for group in all.chunks(GROUP) {
            let places = |labels: &&[u32]| labels.iter().map(|value| order.places[*value as usize]).collect();
            let mut raw = Vec::new();
            format::put_series(&mut raw, &group.iter().map(places).collect::<Vec<Vec<LabelPlace>>>());
            pages.put(Section::Series, &raw, Packing::Zstd(16))?;
        }
        drop(all);
        let lists = self.lists(&order);
        self.labels = Vec::new();
        write_values(&order, &lists, pages)
    }

    fn series(&self) -> impl Iterator<Item = &[u32]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.labels[start as usize..*end as usize])
    }

    fn order(&mut self) -> Order {
        let mut names: Vec<(Box<str>, u32)> = std::mem::take(&mut self.names).into_iter().collect();
        names.sort_unstable();
        let mut order = Order { names: Vec::with_capacity(names.len()), places: vec![(0, 0); self.name_of.len()] };
        let mut first = 0;
        for (rank, (text, number)) in (0u32..).zip(names) {
            let values = std::mem::take(&mut self.values[number as usize]);
            let mut values: Vec<(Box<str>, u32)> = values.into_iter().collect();
            values.sort_unstable();
            for (value_rank, (_, value)) in (0u32..).zip(&values) {
                order.places[*value as usize] = (rank, value_rank);
            }
            let count = values.len() as u32;
            order.names.push((text, values.into_iter().map(|(text, _)| text).collect(), first));
            first += count;
        }
        order
    }

    /// By value in the order of all: the series that carry it.
    fn lists(&self, order: &Order) -> Lists {
        let mut ends = vec![0u32; order.places.len()];
        for value in &self.labels {
            ends[order.number(*value)] += 1;
        }
        let mut sum = 0;
        for end in &mut ends {
            // The start for now; each entry moves it on.
            sum += std::mem::replace(end, sum);
        }
        let mut positions = vec![0u32; self.labels.len()];
        for (position, labels) in (0u32..).zip(self.series()) {
            for value in labels {
                let end = &mut ends[order.number(*value)];
                positions[*end as usize] = position;
                *end += 1;
            }
        }
        Lists { positions, ends }
    }
}

struct Lists {
    positions: Vec<u32>,
    ends: Vec<u32>,
}

impl Lists {
    fn get(&self, number: usize) -> &[u32] {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.positions[start as usize..self.ends[number] as usize]
    }
}

fn write_values(order: &Order, lists: &Lists, pages: &mut PageWriter) -> io::Result<()> {
    let mut stream = Stream::new(Section::Postings, Packing::Zstd(8), LIST_PAGE_BYTES);
    let mut names = Vec::with_capacity(order.names.len());
    for (text, values, first) in &order.names {
        let page = pages.next(Section::LabelValues);
        let mut series = 0;
        for (group, first) in values.chunks(VALUES).zip((*first as usize..).step_by(VALUES)) {
            let place = stream.place(pages);
            let mut places = Vec::with_capacity(group.len());
            for number in first..first + group.len() {
                let list = lists.get(number);
                let mut bytes = Vec::new();
                format::put_list(&mut bytes, list);
                let (count, length) = (list.len() as u64, bytes.len() as u32);
                places.push(ListPlace { count, place: stream.put(pages, &bytes)?, length });
                series += count;
            }
            let mut raw = Vec::new();
            format::put_values(&mut raw, group.iter().map(|text| &**text), place, &places);
            pages.put(Section::LabelValues, &raw, Packing::Zstd(3))?;
        }
        let fences = if values.len() > VALUES {
            let mut raw = Vec::new();
            format::put_texts(&mut raw, values.iter().step_by(VALUES).map(|text| &**text));
            pages.put(Section::Fences, &raw, Packing::Zstd(3))?;
            pages.next(Section::Fences) - 1
        } else {
            0
        };
        let text = text.clone().into_string();
        names.push(Name { text, values: values.len() as u64, series, page, fences });
    }
    stream.close(pages)?;
    let mut raw = Vec::new();
    format::put_names(&mut raw, &names);
    pages.put(Section::Names, &raw, Packing::Zstd(16))
}
