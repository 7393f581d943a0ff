//! Pages of a block: written as they fill, found by section and number, checked when they are read.

use std::io;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::codec::Damaged;
use crate::env::disk::{DiskFile, Mapped};

use super::format::{self, Footer, Packing, SECTIONS, Section, SectionPlace, StoredPage};

/// Bytes that are written at once.
const BUFFER_BYTES: usize = 256 << 10;

/// The file of a block in the making.
pub(super) struct PageWriter {
    file: Box<dyn DiskFile>,
    offset: u64,
    places: [Vec<u64>; SECTIONS],
    buffer: Vec<u8>,
}

impl PageWriter {
    /// Begins the file.
    pub(super) fn create(file: Box<dyn DiskFile>) -> PageWriter {
        let places = std::array::from_fn(|_| Vec::new());
        let buffer = format::header().to_vec();
        PageWriter { file, offset: format::HEADER_BYTES as u64, places, buffer }
    }

    /// The number of bytes written so far.
    pub(super) fn bytes(&self) -> u64 {
        self.offset
    }

    /// The number that the next page of a section gets.
    pub(super) fn next(&self, section: Section) -> u64 {
        self.places[section as usize].len() as u64
    }

    /// Writes a page.
    pub(super) fn put(&mut self, section: Section, raw: &[u8], packing: Packing) -> io::Result<()> {
        let before = self.buffer.len();
        format::put_page(&mut self.buffer, raw, packing);
        self.places[section as usize].push(self.offset);
        self.offset += (self.buffer.len() - before) as u64;
        if self.buffer.len() >= BUFFER_BYTES {
            self.file.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Writes the tables and what `footer` makes of them, and makes the content durable.
    pub(super) fn finish(mut self, footer: impl FnOnce([SectionPlace; SECTIONS]) -> Footer) -> io::Result<()> {
        let mut sections = [SectionPlace::default(); SECTIONS];
        for (section, places) in sections.iter_mut().zip(&self.places) {
            let before = self.buffer.len();
            format::put_table(&mut self.buffer, places);
            *section = SectionPlace { table: self.offset, pages: places.len() as u64 };
            self.offset += (self.buffer.len() - before) as u64;
        }
        self.buffer.extend(footer(sections).to_bytes());
        self.file.write_all(&self.buffer)?;
        self.file.sync()
    }
}

/// Items of one section, one after the other; a page is closed when it has reached its size.
pub(super) struct Stream {
    section: Section,
    packing: Packing,
    page_bytes: usize,
    page: Vec<u8>,
}

/// Where an item of a stream lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// The number of its page.
    pub(super) page: u64,
    /// Where it begins in the unpacked page.
    pub(super) start: u32,
}

impl Stream {
    /// An empty stream.
    pub(super) fn new(section: Section, packing: Packing, page_bytes: usize) -> Stream {
        Stream { section, packing, page_bytes, page: Vec::new() }
    }

    /// Where the next item will lie.
    pub(super) fn place(&self, pages: &PageWriter) -> Place {
        Place { page: pages.next(self.section), start: self.page.len() as u32 }
    }

    /// Adds an item.
    pub(super) fn put(&mut self, pages: &mut PageWriter, item: &[u8]) -> io::Result<Place> {
        if !self.page.is_empty() && self.page.len() + item.len() > self.page_bytes {
            self.close(pages)?;
        }
        let place = self.place(pages);
        self.page.extend_from_slice(item);
        Ok(place)
    }

    /// Writes the page that is being filled.
    pub(super) fn close(&mut self, pages: &mut PageWriter) -> io::Result<()> {
        if !self.page.is_empty() {
            pages.put(self.section, &self.page, self.packing)?;
            self.page.clear();
        }
        Ok(())
    }
}

/// The content of a page that passed its check.
#[derive(Debug, Clone)]
pub(super) enum Page {
    /// A part of the mapped file.
    Mapped(Mapped, Range<usize>),
    /// Unpacked.
    Unpacked(Arc<[u8]>),
}

impl Deref for Page {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Page::Mapped(file, range) => file.get(range.clone()).unwrap_or_default(),
            Page::Unpacked(bytes) => bytes,
        }
    }
}

/// Reads a page of a section.
pub(super) fn read(file: &Mapped, footer: &Footer, section: Section, number: u64) -> Result<Page, Damaged> {
    const OUTSIDE: Damaged = Damaged("a page lies behind the end");
    let place = footer.sections[section as usize];
    if number >= place.pages {
        return Err(OUTSIDE);
    }
    let start = format::take_place(file, place.table, number)?;
    let page = StoredPage::take(file.get(start..).ok_or(OUTSIDE)?)?;
    Ok(match page.plain() {
        Some(bytes) => {
            let end = start + page.length();
            Page::Mapped(file.clone(), end - bytes.len()..end)
        }
        None => Page::Unpacked(page.unpack()?.into()),
    })
}

/// Checks every byte of a file from its header to its footer.
pub(super) fn check(file: &[u8]) -> Result<(), Damaged> {
    Footer::take(file)?;
    let mut rest = format::body(file)?;
    while !rest.is_empty() {
        let page = StoredPage::take(rest)?;
        rest = &rest[page.length()..];
    }
    Ok(())
}
