//! What a file or a whole directory of ours is and holds. Changes nothing, and looks at each file by itself:
//! also at one that was set aside or copied out.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use crate::codec::{Coding, Cursor};
use crate::env::disk::Disk;
use crate::model::{Labels, Millis, Seq, SeriesRef, TimeRange, Timestamp};

use super::block::{Block, BlockError, PageCache, SectionSize};
use super::entries::tombstones_from_bytes;
use super::interval::summary_of;
use super::manifest::{attachments_of, manifest_of};
use super::series_files;
use super::wal::{EntryKind, SEGMENT_HEADER_BYTES, Transaction, scan};

/// Entries of each list of the largest.
const LARGEST: usize = 10;

/// What a file is, by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// Which files make up a store.
    Manifest,
    /// A part of the log.
    Segment,
    /// A former part of the log that waits for its next use.
    Spare,
    /// Labels of the series that the log numbers.
    SeriesFile,
    /// Sealed samples.
    Block,
    /// States of a checkpoint.
    Attachments,
    /// Deletes that are not worked off.
    Tombstones,
    /// What is to be delivered.
    Outbox,
    /// Something else.
    Unknown,
}

impl FileKind {
    /// The kind in words.
    pub fn as_str(self) -> &'static str {
        match self {
            FileKind::Manifest => "manifest",
            FileKind::Segment => "log segment",
            FileKind::Spare => "spare log segment",
            FileKind::SeriesFile => "series file",
            FileKind::Block => "block",
            FileKind::Attachments => "attachments",
            FileKind::Tombstones => "tombstones",
            FileKind::Outbox => "outbox",
            FileKind::Unknown => "unknown",
        }
    }

    fn of(path: &Path, bytes: &[u8]) -> FileKind {
        if path.extension().is_some_and(|extension| extension == "spare") {
            return FileKind::Spare;
        }
        match bytes.first_chunk::<8>() {
            Some(b"evkmanif") => FileKind::Manifest,
            Some(b"evklog\r\n") => FileKind::Segment,
            Some(b"evkserie") => FileKind::SeriesFile,
            Some(b"evkblock") => FileKind::Block,
            Some(b"evkattac") => FileKind::Attachments,
            Some(b"evktombs") => FileKind::Tombstones,
            Some(b"evkoutbx") => FileKind::Outbox,
            _ => FileKind::Unknown,
        }
    }
}

/// A property of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A number.
    Count(u64),
    /// A number of bytes.
    Bytes(u64),
    /// An instant.
    Time(Timestamp),
    /// Words.
    Text(String),
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is.
    pub kind: FileKind,
    /// Its length.
    pub bytes: u64,
    /// What it says, by name.
    pub facts: Vec<(String, Fact)>,
    /// What is wrong with it.
    pub damage: Vec<String>,
}

/// What stands under one name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Share {
    /// The metric or label.
    pub name: String,
    /// Its series; of a label, those that have it.
    pub series: u64,
    /// Samples of those in blocks.
    pub samples: u64,
    /// Bytes of their values in blocks, before pages are packed.
    pub value_bytes: u64,
    /// Different values of a label.
    pub values: u64,
}

/// What is stored in one way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CodecShare {
    /// The codec.
    pub codec: String,
    /// Chunks; of timestamps, columns that series share.
    pub columns: u64,
    /// Their samples, or their timestamps.
    pub samples: u64,
    /// Bytes that they take, before pages are compressed.
    pub bytes: u64,
    /// Values among them that the codec does not fit and that stand apart.
    pub exceptions: u64,
}

/// The pages of one section in all blocks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageShare {
    /// What they hold.
    pub section: String,
    /// How many there are.
    pub pages: u64,
    /// How many of them zstd made smaller.
    pub compressed: u64,
    /// Bytes that they take.
    pub bytes: u64,
    /// Bytes that they hold.
    pub unpacked: u64,
}

/// Several files together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inspection {
    /// The files, by path.
    pub files: Vec<FileReport>,
    /// Bytes by what they hold; of blocks by section.
    pub parts: Vec<(String, u64)>,
    /// Samples in blocks, native histograms included.
    pub block_samples: u64,
    /// Native histograms in blocks.
    pub block_histograms: u64,
    /// Samples in the log, native histograms included.
    pub log_samples: u64,
    /// Different series.
    pub series: u64,
    /// Chunks in blocks, and those of them whose values are all the same.
    pub chunks: (u64, u64),
    /// The values of chunks by codec, those with most bytes first.
    pub value_codecs: Vec<CodecShare>,
    /// The columns of timestamps by codec, likewise.
    pub stamp_codecs: Vec<CodecShare>,
    /// The pages of blocks by section.
    pub pages: Vec<PageShare>,
    /// Of these, those of native histograms.
    pub histogram_chunks: u64,
    /// Bytes of native histograms in blocks, before pages are packed.
    pub histogram_bytes: u64,
    /// The first and the last sample.
    pub span: Option<(Timestamp, Timestamp)>,
    /// The metrics with most series.
    pub metrics: Vec<Share>,
    /// The labels with most different values.
    pub labels: Vec<Share>,
}

/// Looks at a file, or at all files of a directory and what is below it.
///
/// # Errors
/// The disk's.
pub fn inspect(disk: &dyn Disk, path: &Path) -> io::Result<Inspection> {
    let mut paths = Vec::new();
    match collect(disk, path, &mut paths) {
        Ok(()) => {}
        Err(_) => paths.push(path.to_owned()),
    }
    let mut survey = Survey::default();
    for path in paths {
        let report = survey.file(disk, &path)?;
        survey.found.files.push(report);
    }
    Ok(survey.finish())
}

fn collect(disk: &dyn Disk, dir: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in disk.list(dir)? {
        // Copies of the same data, and files that never hold anything.
        if entry.is_dir && entry.name != "snapshots" {
            collect(disk, &entry.path, paths)?;
        } else if !entry.is_dir && entry.name != "LOCK" {
            paths.push(entry.path);
        }
    }
    Ok(())
}

#[derive(Default)]
struct Survey {
    found: Inspection,
    parts: BTreeMap<String, u64>,
    series: HashMap<Labels, (u64, u64)>,
    values: BTreeMap<String, CodecShare>,
    stamps: BTreeMap<String, CodecShare>,
    /// In the order of sections.
    pages: Vec<PageShare>,
}

impl Survey {
    fn file(&mut self, disk: &dyn Disk, path: &Path) -> io::Result<FileReport> {
        let bytes = disk.read(path)?;
        let kind = FileKind::of(path, &bytes);
        let mut report = FileReport {
            path: path.to_owned(),
            kind,
            bytes: bytes.len() as u64,
            facts: Vec::new(),
            damage: Vec::new(),
        };
        match kind {
            FileKind::Manifest => manifest(&bytes, &mut report),
            FileKind::Segment => self.segment(&bytes, &mut report),
            FileKind::SeriesFile => self.series_file(&bytes, &mut report),
            FileKind::Block => self.block(disk, path, &mut report)?,
            FileKind::Attachments => attachments(&bytes, &mut report),
            FileKind::Tombstones => tombstones(&bytes, &mut report),
            FileKind::Spare | FileKind::Outbox => {}
            FileKind::Unknown => report.damage.push("its first bytes are of no file of ours".to_owned()),
        }
        if kind != FileKind::Block {
            *self.parts.entry(kind.as_str().to_owned()).or_default() += report.bytes;
        }
        Ok(report)
    }

    fn segment(&mut self, bytes: &[u8], report: &mut FileReport) {
        let number = bytes.get(12..20).and_then(|field| Cursor::new(field).u64().ok()).unwrap_or_default();
        let found = match scan(bytes, number, Seq(0)) {
            Ok(found) => found,
            Err(version) => return report.damage.push(format!("it has version {version}, which is not known here")),
        };
        let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
        let (mut samples, mut histograms, mut starts, mut explained) = (0, 0, 0, 0);
        for record in &found.records {
            *kinds.entry(kind_of(record.header.kind)).or_default() += 1;
            if record.header.kind == EntryKind::Transaction {
                let read = Transaction::split(record.payload(bytes)).and_then(|transaction| {
                    transaction.series(|_, text| {
                        explained += 1;
                        if let Ok(labels) = Labels::from_text(text) {
                            self.series.entry(labels).or_default();
                        }
                    })?;
                    let mut all: Vec<(SeriesRef, crate::model::Sample)> = Vec::new();
                    transaction.samples(record.header.at, &mut all)?;
                    samples += all.len() as u64;
                    all.iter().for_each(|(_, sample)| self.see(sample.t, sample.t));
                    let mut all: Vec<(SeriesRef, crate::model::HistogramSample)> = Vec::new();
                    transaction.histograms(record.header.at, &mut all)?;
                    histograms += all.len() as u64;
                    all.iter().for_each(|(_, histogram)| self.see(histogram.t, histogram.t));
                    starts += transaction.changes()?.len() as u64;
                    Ok(())
                });
                if let Err(damaged) = read {
                    report.damage.push(format!("entry {} at byte {}: {damaged}", record.header.seq.0, record.payload));
                }
            }
        }
        report.fact("number", Fact::Count(number));
        if let Some((first, last)) = found.records.first().zip(found.records.last()) {
            report.fact("first entry", Fact::Count(first.header.seq.0));
            report.fact("last entry", Fact::Count(last.header.seq.0));
            report.fact("from", Fact::Time(first.header.at));
            report.fact("to", Fact::Time(last.header.at));
        }
        kinds.into_iter().for_each(|(kind, count)| report.fact(kind, Fact::Count(count)));
        report.fact("samples", Fact::Count(samples));
        report.fact("native histograms", Fact::Count(histograms));
        report.fact("starts of counting", Fact::Count(starts));
        report.fact("series explained", Fact::Count(explained));
        report.fact("bytes in use", Fact::Bytes(found.end.max(SEGMENT_HEADER_BYTES) as u64));
        for range in found.damaged {
            report.damage.push(format!("bytes {} to {} belong to no entry", range.start, range.end));
        }
        self.found.log_samples += samples + histograms;
    }

    fn series_file(&mut self, bytes: &[u8], report: &mut FileReport) {
        let loaded = series_files::load(bytes, |number, text| match Labels::from_text(text) {
            Ok(labels) => {
                self.series.entry(labels).or_default();
            }
            Err(error) => report.damage.push(format!("series {number}: {error}")),
        });
        match loaded {
            Ok(loaded) => {
                report.fact("series", Fact::Count(u64::from(loaded.series)));
                report.fact("next number", Fact::Count(u64::from(loaded.next_series)));
                let lost = loaded.lost.map(|(lost, why)| format!("{lost} series cannot be read: {why}"));
                report.damage.extend(lost);
            }
            Err(error) => report.damage.push(format!("its header cannot be read: {error:?}")),
        }
    }

    fn block(&mut self, disk: &dyn Disk, path: &Path, report: &mut FileReport) -> io::Result<()> {
        let block = match Block::open(disk, path, (0, 0)) {
            Ok(block) => block,
            Err(BlockError::Io(error)) => return Err(error),
            Err(BlockError::Damaged(damaged)) => {
                report.damage.push(damaged.to_string());
                return Ok(());
            }
        };
        self.see(block.first(), block.last());
        self.found.block_samples += block.samples();
        report.fact("series", Fact::Count(u64::from(block.series())));
        report.fact("samples", Fact::Count(block.samples()));
        report.fact("series with native histograms", Fact::Count(u64::from(block.histogram_series())));
        report.fact("from", Fact::Time(block.first()));
        report.fact("to", Fact::Time(block.last()));
        if block.resolution() > Millis::ZERO {
            report.fact("resolution", Fact::Text(block.resolution().to_string()));
            report.fact("samples before downsampling", Fact::Count(counted(&block)));
        }
        let (sections, faults) = block.survey();
        for section in sections {
            self.see_pages(&section);
            *self.parts.entry(format!("block: {}", section.name)).or_default() += section.bytes;
            report.fact(section.name, Fact::Bytes(section.bytes));
        }
        for fault in faults {
            let at = fault.offset.map_or_else(String::new, |offset| format!(" at byte {offset}"));
            report.damage.push(format!("a page of {}{at}: {}", fault.section, fault.reason));
        }
        let mut cache = PageCache::default();
        let Ok(mut reader) = block.ask(&mut cache) else { return Ok(()) };
        for position in 0..block.series() {
            let (Ok(labels), Ok(chunks)) = (reader.labels(position), reader.chunks(position)) else { continue };
            let entry = self.series.entry(labels).or_default();
            for chunk in reader.histogram_chunks(position).unwrap_or_default() {
                entry.0 += chunk.count() as u64;
                entry.1 += chunk.bytes();
                self.found.chunks.0 += 1;
                self.found.block_histograms += chunk.count() as u64;
                self.found.histogram_chunks += 1;
                self.found.histogram_bytes += chunk.bytes();
            }
            for chunk in &chunks {
                entry.0 += chunk.count() as u64;
                entry.1 += chunk.bytes();
                self.found.chunks.0 += 1;
                self.found.chunks.1 += u64::from(chunk.is_constant());
                // Chunks of other kinds of samples will come under names of their own here.
                if let Ok((coding, exceptions)) = reader.coding(chunk) {
                    let share = share_of(&mut self.values, coding);
                    share.add(chunk.count() as u64, chunk.bytes());
                    share.exceptions += exceptions;
                }
            }
        }
        reader.stored_stamps(&mut |stored| share_of(&mut self.stamps, stored.coding).add(stored.count, stored.bytes));
        Ok(())
    }

    fn see_pages(&mut self, section: &SectionSize) {
        if section.pages == 0 {
            return;
        }
        let at = self.pages.iter().position(|share| share.section == section.name).unwrap_or_else(|| {
            self.pages.push(PageShare { section: section.name.to_owned(), ..PageShare::default() });
            self.pages.len() - 1
        });
        let share = &mut self.pages[at];
        share.pages += section.pages;
        share.compressed += section.compressed;
        share.bytes += section.bytes;
        share.unpacked += section.unpacked;
    }

    fn see(&mut self, first: Timestamp, last: Timestamp) {
        let (a, b) = self.found.span.unwrap_or((first, last));
        self.found.span = Some((a.min(first), b.max(last)));
    }

    fn finish(mut self) -> Inspection {
        let mut metrics: BTreeMap<&str, Share> = BTreeMap::new();
        let mut labels: BTreeMap<&str, (Share, BTreeSet<&str>)> = BTreeMap::new();
        for (series, (samples, bytes)) in &self.series {
            for label in series.iter() {
                let (share, values) = labels.entry(label.name).or_default();
                share.add(*samples, *bytes);
                values.insert(label.value);
                if label.name == Labels::METRIC_NAME {
                    metrics.entry(label.value).or_default().add(*samples, *bytes);
                }
            }
        }
        let named = |(name, share): (&str, Share)| Share { name: name.to_owned(), ..share };
        let mut metrics: Vec<Share> = metrics.into_iter().map(named).collect();
        metrics.sort_by_key(|share| std::cmp::Reverse((share.series, share.samples)));
        metrics.truncate(LARGEST);
        let counted = |(name, (share, values)): (&str, (Share, BTreeSet<&str>))| Share {
            name: name.to_owned(),
            values: values.len() as u64,
            ..share
        };
        let mut labels: Vec<Share> = labels.into_iter().map(counted).collect();
        labels.sort_by_key(|share| std::cmp::Reverse((share.values, share.series)));
        labels.truncate(LARGEST);
        (self.found.metrics, self.found.labels) = (metrics, labels);
        self.found.series = self.series.len() as u64;
        self.found.parts = self.parts.into_iter().collect();
        let by_bytes = |shares: BTreeMap<String, CodecShare>| {
            let mut shares: Vec<CodecShare> = shares.into_values().collect();
            shares.sort_by_key(|share| std::cmp::Reverse((share.bytes, share.samples)));
            shares
        };
        (self.found.value_codecs, self.found.stamp_codecs) = (by_bytes(self.values), by_bytes(self.stamps));
        self.found.pages = self.pages;
        self.found
    }
}

impl CodecShare {
    fn add(&mut self, samples: u64, bytes: u64) {
        self.columns += 1;
        self.samples += samples;
        self.bytes += bytes;
    }
}

fn share_of(shares: &mut BTreeMap<String, CodecShare>, coding: Coding) -> &mut CodecShare {
    let codec = coding.to_string();
    shares.entry(codec).or_insert_with_key(|codec| CodecShare { codec: codec.clone(), ..CodecShare::default() })
}

impl Share {
    fn add(&mut self, samples: u64, bytes: u64) {
        self.series += 1;
        self.samples += samples;
        self.value_bytes += bytes;
    }
}

impl FileReport {
    fn fact(&mut self, name: &str, fact: Fact) {
        self.facts.push((name.to_owned(), fact));
    }
}

/// How many samples those of a downsampled block stand for, as far as that can be read.
fn counted(block: &Block) -> u64 {
    let mut cache = PageCache::default();
    let Ok(mut reader) = block.ask(&mut cache) else { return 0 };
    let (mut count, mut intervals) = (0, Vec::new());
    for position in 0..block.series() {
        intervals.clear();
        let _unreadable = reader.intervals(position, TimeRange::ALL, &mut intervals);
        let summary = summary_of(&intervals);
        count += summary.count + summary.stale;
    }
    count
}

fn kind_of(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Transaction => "transactions",
        EntryKind::Tick => "ticks",
        EntryKind::Note => "notes",
        EntryKind::Exemplars => "entries of exemplars",
        EntryKind::Metadata => "entries of metadata",
        EntryKind::Delete => "deletes",
    }
}

fn manifest(bytes: &[u8], report: &mut FileReport) {
    match manifest_of(bytes) {
        Err(reason) => report.damage.push(reason),
        Ok(manifest) => {
            report.fact("checkpoint at entry", Fact::Count(manifest.seq.0));
            report.fact("of", Fact::Time(manifest.at));
            report.fact("first log segment", Fact::Count(manifest.first_segment));
            report.fact("attachments", Fact::Count(manifest.attachments));
            report.fact("tombstones", Fact::Count(manifest.tombstones));
            let blocks = manifest.blocks.iter().map(|name| format!("{} (level {})", name.number, name.level));
            report.fact("blocks", Fact::Text(blocks.collect::<Vec<_>>().join(", ")));
            let series = manifest.series_files.iter().map(|name| name.number.to_string());
            report.fact("series files", Fact::Text(series.collect::<Vec<_>>().join(", ")));
        }
    }
}

fn attachments(bytes: &[u8], report: &mut FileReport) {
    match attachments_of(bytes) {
        Err(reason) => report.damage.push(reason),
        Ok(found) => {
            report.fact("of entry", Fact::Count(found.seq.0));
            report.fact("at", Fact::Time(found.at));
            for (name, bytes) in &found.parts {
                report.fact(name, Fact::Bytes(bytes.len() as u64));
            }
        }
    }
}

fn tombstones(bytes: &[u8], report: &mut FileReport) {
    match tombstones_from_bytes(bytes) {
        Err(damaged) => report.damage.push(damaged.to_string()),
        Ok(all) => {
            report.fact("deletes", Fact::Count(all.len() as u64));
            for one in all {
                let matchers: Vec<String> = one.matchers.iter().map(ToString::to_string).collect();
                let what = format!(
                    "{{{}}} after {} until {}, in {} blocks",
                    matchers.join(","),
                    one.range.after,
                    one.range.until,
                    one.blocks.len()
                );
                report.fact(&format!("entry {}", one.seq.0), Fact::Text(what));
            }
        }
    }
}
