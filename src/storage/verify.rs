//! Checks everything that is stored: each checksum, and that the parts say the same. Changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::disk::Disk;
use crate::model::{Labels, Matcher, Sample, Seq, TimeRange, Timestamp};

use super::block::{Block, BlockError, BlockReader, PageCache, VECTOR_SAMPLES};
use super::entries::{deletion_from_bytes, exemplars_from_bytes, metadata_from_bytes, starts_from_bytes};
use super::manifest::{Files, Loaded, Manifest};
use super::series_files;
use super::wal::{EntryKind, Place, Transaction, scan, segment_path, segments, torn_bytes};
use crate::model::Summary;

/// Faults that are kept; more are counted.
const FAULTS_MAX: usize = 1000;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: PathBuf,
    /// Where in it, if that is known.
    pub offset: Option<u64>,
    /// The series that it concerns, if it is one.
    pub series: Option<Labels>,
    /// The instants between which samples are concerned.
    pub range: Option<(Timestamp, Timestamp)>,
    /// What is wrong.
    pub what: String,
}

/// What was checked, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// Files checked.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Samples and native histograms decoded.
    pub samples: u64,
    /// Entries of the log.
    pub entries: u64,
    /// The first faults.
    pub faults: Vec<Fault>,
    /// How many there are.
    pub faults_found: u64,
}

/// Checks the store in `dir`, which nobody changes meanwhile. `progress` gets the bytes done, and all.
///
/// # Errors
/// The disk's; what it cannot read is no fault of the store.
pub fn verify(disk: &Arc<dyn Disk>, dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> io::Result<VerifyReport> {
    let files = Files::new(Arc::clone(disk), dir);
    let mut check = Check { files: &files, report: VerifyReport::default(), series: HashMap::new() };
    let manifest = match files.load()? {
        Loaded::Found(manifest) => manifest,
        Loaded::Absent => {
            check.fault(&dir.join("MANIFEST"), "it is missing".to_owned());
            return Ok(check.report);
        }
        Loaded::Damaged(reason) => {
            check.fault(&dir.join("MANIFEST"), reason.to_owned());
            return Ok(check.report);
        }
        Loaded::Version(version) => {
            check.fault(&dir.join("MANIFEST"), format!("it has version {version}, which is not known here"));
            return Ok(check.report);
        }
    };
    check.counted(&dir.join("MANIFEST"));
    let total = check.report.bytes + total_bytes(&files)?;
    for name in &manifest.series_files {
        check.series_file(name.number, name.series)?;
        progress(check.report.bytes, total);
    }
    check.beside(&manifest);
    for name in &manifest.blocks {
        check.block(name.number, name.level)?;
        progress(check.report.bytes, total);
    }
    check.log(&manifest, &mut |done| progress(done, total))?;
    progress(total, total);
    Ok(check.report)
}

fn total_bytes(files: &Files) -> io::Result<u64> {
    let mut bytes = 0;
    for dir in [&files.wal, &files.blocks] {
        bytes += files.disk.list(dir)?.iter().map(|entry| entry.bytes).sum::<u64>();
    }
    Ok(bytes)
}

struct Check<'a> {
    files: &'a Files,
    report: VerifyReport,
    /// What the numbers of series mean.
    series: HashMap<u32, Labels>,
}

impl Check<'_> {
    fn fault(&mut self, file: &Path, what: String) {
        self.add(Fault { file: file.to_owned(), offset: None, series: None, range: None, what });
    }

    fn fault_at(&mut self, file: &Path, offset: u64, what: String) {
        self.add(Fault { file: file.to_owned(), offset: Some(offset), series: None, range: None, what });
    }

    fn add(&mut self, fault: Fault) {
        self.report.faults_found += 1;
        if self.report.faults.len() < FAULTS_MAX {
            self.report.faults.push(fault);
        }
    }

    fn counted(&mut self, path: &Path) {
        self.report.files += 1;
        self.report.bytes += self.files.disk.map(path).map_or(0, |bytes| bytes.len() as u64);
    }

    fn series_file(&mut self, number: u64, expected: u32) -> io::Result<()> {
        let path = self.files.series(number);
        let Some(bytes) = self.read(&path)? else { return Ok(()) };
        let (mut before, mut faults) = (None, Vec::new());
        let series = &mut self.series;
        let loaded = series_files::load(&bytes, |number, text| {
            if before.is_some_and(|before| before >= number) {
                faults.push(format!("series {number} stands behind a larger number"));
            }
            before = Some(number);
            match Labels::from_text(text) {
                Err(error) => faults.push(format!("series {number}: {error}")),
                Ok(labels) => {
                    if series.get(&number).is_some_and(|known| *known != labels) {
                        faults.push(format!("series {number} has other labels than in another file"));
                    }
                    series.insert(number, labels);
                }
            }
        });
        match loaded {
            Err(error) => faults.push(format!("its header cannot be read: {error:?}")),
            Ok(loaded) => {
                faults.extend(loaded.lost.map(|(lost, why)| format!("{lost} series cannot be read: {why}")));
                // A manifest that was rebuilt does not know the count.
                if expected != 0 && loaded.series != expected {
                    faults.push(format!("it names {} series, {expected} in the manifest", loaded.series));
                }
            }
        }
        faults.into_iter().for_each(|what| self.fault(&path, what));
        Ok(())
    }

    /// The attachments and the tombstones.
    fn beside(&mut self, manifest: &Manifest) {
        if manifest.attachments > 0 {
            let path = self.files.attachments(manifest.attachments);
            self.counted(&path);
            match self.files.load_attachments(manifest.attachments) {
                Err(reason) => self.fault(&path, reason),
                Ok(found) => {
                    if found.seq != manifest.seq {
                        self.fault(
                            &path,
                            format!("it is of entry {}, the manifest of {}", found.seq.0, manifest.seq.0),
                        );
                    }
                    for (name, bytes) in &found.parts {
                        let read = match name.as_str() {
                            "store.exemplars" => exemplars_from_bytes(bytes).map(|_| ()),
                            "store.metadata" => metadata_from_bytes(bytes).map(|_| ()),
                            "store.starts" => starts_from_bytes(bytes).map(|_| ()),
                            _ => Ok(()),
                        };
                        if let Err(damaged) = read {
                            self.fault(&path, format!("part {name}: {damaged}"));
                        }
                    }
                }
            }
        }
        if manifest.tombstones > 0 {
            let path = self.files.tombstones(manifest.tombstones);
            self.counted(&path);
            match self.files.load_tombstones(manifest.tombstones) {
                Err(reason) => self.fault(&path, reason),
                Ok(found) => {
                    if let Some(late) = found.iter().find(|one| one.seq > manifest.seq) {
                        self.fault(&path, format!("delete {} is later than the manifest", late.seq.0));
                    }
                }
            }
        }
    }

    fn read(&mut self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match self.files.disk.read(path) {
            Ok(bytes) => {
                self.report.files += 1;
                self.report.bytes += bytes.len() as u64;
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.fault(path, "it is missing, and the manifest names it".to_owned());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn block(&mut self, number: u64, level: u8) -> io::Result<()> {
        let path = self.files.block(number);
        let block = match Block::open(&*self.files.disk, &path, (number, level)) {
            Ok(block) => block,
            Err(BlockError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                self.fault(&path, "it is missing, and the manifest names it".to_owned());
                return Ok(());
            }
            Err(BlockError::Io(error)) => return Err(error),
            Err(BlockError::Damaged(damaged)) => {
                self.fault(&path, damaged.to_string());
                return Ok(());
            }
        };
        self.report.files += 1;
        self.report.bytes += block.bytes();
        let (_, pages) = block.survey();
        for page in pages {
            let what = format!("a page of {} fails: {}", page.section, page.reason);
            self.add(Fault { file: path.clone(), offset: page.offset, series: None, range: None, what });
        }
        let mut cache = PageCache::default();
        match block.ask(&mut cache) {
            Ok(reader) => BlockCheck { check: self, path: &path, block: &block, reader }.run(),
            Err(damaged) => self.fault(&path, damaged.reason.to_string()),
        }
        Ok(())
    }

    fn log(&mut self, manifest: &Manifest, progress: &mut dyn FnMut(u64)) -> io::Result<()> {
        let entries = self.files.disk.list(&self.files.wal)?;
        let mut numbers: Vec<u64> = segments(&entries).map(|(number, _)| number).collect();
        numbers.retain(|number| *number >= manifest.first_segment);
        numbers.sort_unstable();
        let (mut last, mut at) = (Seq(0), Timestamp::MIN);
        let mut expected = manifest.seq.0 + 1;
        for (place, number) in numbers.iter().enumerate() {
            let path = segment_path(&self.files.wal, *number);
            let Some(bytes) = self.read(&path)? else { continue };
            let found = match scan(&bytes, *number, last) {
                Ok(found) => found,
                Err(version) => {
                    self.fault(&path, format!("it has version {version}, which is not known here"));
                    continue;
                }
            };
            let is_last = place + 1 == numbers.len();
            for range in &found.damaged {
                let what = format!("{} bytes up to {} belong to no entry", range.end - range.start, range.end);
                self.fault_at(&path, range.start as u64, what);
            }
            let torn = torn_bytes(&bytes, found.end);
            if torn > 0 {
                let what = format!(
                    "{torn} bytes belong to no whole entry: the end of a crash, which the next start cuts off, or damage"
                );
                self.fault_at(&path, found.end as u64, what);
            }
            for record in &found.records {
                let (seq, offset) = (record.header.seq.0, record.payload as u64);
                if seq > expected && !is_last {
                    self.fault_at(&path, offset, format!("entries {expected} to {} are missing", seq - 1));
                }
                if record.header.at < at {
                    self.fault_at(&path, offset, format!("entry {seq} is of an earlier time than the one before"));
                }
                (expected, at) = (seq + 1, record.header.at);
                self.entry(&path, &bytes, record);
            }
            last = found.records.last().map_or(last, |record| record.header.seq);
            progress(self.report.bytes);
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, segment: &[u8], record: &Place) {
        self.report.entries += 1;
        let payload = record.payload(segment);
        let seq = record.header.seq.0;
        let mut faults = Vec::new();
        let read = match record.header.kind {
            EntryKind::Tick | EntryKind::Note => Ok(()),
            EntryKind::Exemplars => exemplars_from_bytes(payload).map(|_| ()),
            EntryKind::Metadata => metadata_from_bytes(payload).map(|_| ()),
            EntryKind::Delete => deletion_from_bytes(payload).map(|_| ()),
            EntryKind::Transaction => Transaction::split(payload).and_then(|transaction| {
                let known = &mut self.series;
                transaction.series(|number, text| match Labels::from_text(text) {
                    Ok(labels) => {
                        known.insert(number, labels);
                    }
                    Err(error) => faults.push(format!("entry {seq}: series {number}: {error}")),
                })?;
                let (mut samples, mut histograms) = (Vec::new(), Vec::new());
                transaction.samples(record.header.at, &mut samples)?;
                transaction.histograms(record.header.at, &mut histograms)?;
                let changes = transaction.changes()?;
                self.report.samples += (samples.len() + histograms.len()) as u64;
                for (series, sample) in &histograms {
                    if let Err(error) = sample.histogram.validate() {
                        faults.push(format!("entry {seq}: a native histogram of series {}: {error}", series.0));
                    }
                }
                let histograms = histograms.iter().map(|(series, _)| series);
                let changes = changes.iter().map(|change| &change.series);
                let all = samples.iter().map(|(series, _)| series).chain(histograms).chain(changes);
                let unknown = all.filter(|series| !known.contains_key(&(series.0 as u32))).count();
                if unknown > 0 {
                    faults.push(format!("entry {seq}: nothing says which series {unknown} of its samples belong to"));
                }
                Ok(())
            }),
        };
        if let Err(damaged) = read {
            faults.push(format!("entry {seq}: {damaged}"));
        }
        faults.into_iter().for_each(|what| self.fault_at(path, record.payload as u64, what));
    }
}

/// A check of one block's content.
struct BlockCheck<'a, 'b, 'c> {
    check: &'a mut Check<'b>,
    path: &'a Path,
    block: &'c Block,
    reader: BlockReader<'c>,
}

/// What the series of a block say together.
#[derive(Default)]
struct Totals {
    samples: u64,
    /// Series that have native histograms.
    histogram_series: u32,
    ends: Option<(Timestamp, Timestamp)>,
    postings: BTreeMap<(String, String), Vec<u32>>,
}

impl Totals {
    fn see(&mut self, end: Timestamp) {
        let (first, last) = self.ends.unwrap_or((end, end));
        self.ends = Some((first.min(end), last.max(end)));
    }
}

impl BlockCheck<'_, '_, '_> {
    fn run(mut self) {
        let mut totals = Totals::default();
        let mut before: Option<Labels> = None;
        for position in 0..self.block.series() {
            match self.reader.labels(position) {
                Err(damaged) => self.fault(None, None, format!("series {position}: {}", damaged.reason)),
                Ok(labels) => {
                    if before.as_ref().is_some_and(|before| *before >= labels) {
                        self.fault(Some(&labels), None, "its labels do not come behind those before".to_owned());
                    }
                    for label in labels.iter() {
                        let key = (label.name.to_owned(), label.value.to_owned());
                        totals.postings.entry(key).or_default().push(position);
                    }
                    self.series(position, &labels, &mut totals);
                    before = Some(labels);
                }
            }
        }
        self.check.report.samples += totals.samples;
        let told = (self.block.samples(), self.block.histogram_series(), Some((self.block.first(), self.block.last())));
        let found = (totals.samples, totals.histogram_series, totals.ends);
        if found != told && self.check.report.faults_found == 0 {
            let what = format!("its footer tells of {told:?}, its chunks of {found:?}");
            self.fault(None, None, what);
        }
        for ((name, value), positions) in totals.postings {
            match self.reader.select(&[Matcher::equal(&name, &value)]) {
                Err(damaged) => self.fault(None, None, format!("the postings of {name}={value:?}: {}", damaged.reason)),
                Ok(found) if found != positions => {
                    let what = format!(
                        "the postings of {name}={value:?} name {} series, {} have it",
                        found.len(),
                        positions.len()
                    );
                    self.fault(None, None, what);
                }
                Ok(_) => {}
            }
        }
    }

    fn series(&mut self, position: u32, labels: &Labels, totals: &mut Totals) {
        let whole = Some((self.block.first(), self.block.last()));
        let chunks = match self.reader.chunks(position) {
            Ok(chunks) => chunks,
            // Where its chunks are not known, its samples may lie anywhere in the block.
            Err(damaged) => return self.fault(Some(labels), whole, damaged.reason.to_string()),
        };
        let statistics = match self.reader.statistics(position, &chunks) {
            Ok(statistics) => statistics,
            Err(damaged) => {
                self.fault(Some(labels), whole, format!("its statistics: {}", damaged.reason));
                Vec::new()
            }
        };
        self.intervals(position, labels);
        let mut last = None;
        let mut stamps = Vec::new();
        for (number, chunk) in chunks.iter().enumerate() {
            let mut samples = Vec::new();
            if let Err(damaged) = self.reader.decode(chunk, &mut samples) {
                self.fault(Some(labels), Some(chunk.bounds()), damaged.reason.to_string());
                continue;
            }
            if samples.len() != chunk.count() {
                let what = format!("{} samples are told of and {} there", chunk.count(), samples.len());
                self.fault(Some(labels), Some(chunk.bounds()), what);
            }
            let ordered = samples.is_sorted_by(|a, b| a.t < b.t);
            if !ordered || samples.first().is_some_and(|first| last.is_some_and(|last| last >= first.t)) {
                self.fault(Some(labels), Some(chunk.bounds()), "its samples are not in the order of time".to_owned());
            }
            totals.samples += samples.len() as u64;
            samples.first().into_iter().chain(samples.last()).for_each(|end| totals.see(end.t));
            stamps.extend(samples.iter().map(|sample| sample.t));
            last = samples.last().map(|sample| sample.t).or(last);
            let told = statistics.get(number).map(Vec::as_slice).unwrap_or_default();
            for (vector, told) in samples.chunks(VECTOR_SAMPLES).zip(told) {
                if told.as_ref().is_some_and(|told| !same(told, vector)) {
                    let range = vector.first().zip(vector.last()).map(|(a, b)| (a.t, b.t));
                    self.fault(Some(labels), range, "its statistics say something else than its samples".to_owned());
                }
            }
        }
        self.histograms(position, labels, &stamps, totals);
    }

    /// Checks the native histograms of a series that has samples at these `stamps`.
    fn histograms(&mut self, position: u32, labels: &Labels, stamps: &[Timestamp], totals: &mut Totals) {
        let chunks = match self.reader.histogram_chunks(position) {
            Ok(chunks) => chunks,
            Err(damaged) => {
                let whole = Some((self.block.first(), self.block.last()));
                return self.fault(Some(labels), whole, damaged.reason.to_string());
            }
        };
        totals.histogram_series += u32::from(!chunks.is_empty());
        let mut last = None;
        for chunk in chunks {
            let (mut histograms, bounds) = (Vec::new(), Some(chunk.bounds()));
            if let Err(damaged) = self.reader.decode_histograms(&chunk, &mut histograms) {
                self.fault(Some(labels), bounds, damaged.reason.to_string());
                continue;
            }
            let ordered = histograms.is_sorted_by(|a, b| a.t < b.t);
            if !ordered || histograms.first().is_some_and(|first| last.is_some_and(|last| last >= first.t)) {
                self.fault(Some(labels), bounds, "its native histograms are not in the order of time".to_owned());
            }
            for histogram in &histograms {
                let at = Some((histogram.t, histogram.t));
                if let Err(error) = histogram.histogram.validate() {
                    self.fault(Some(labels), at, format!("a native histogram: {error}"));
                }
                if stamps.binary_search(&histogram.t).is_ok() {
                    self.fault(Some(labels), at, "a sample and a native histogram are of one instant".to_owned());
                }
            }
            totals.samples += histograms.len() as u64;
            histograms.first().into_iter().chain(histograms.last()).for_each(|end| totals.see(end.t));
            last = histograms.last().map(|histogram| histogram.t).or(last);
        }
    }

    /// Checks what the samples of a downsampled series stand for.
    fn intervals(&mut self, position: u32, labels: &Labels) {
        let whole = Some((self.block.first(), self.block.last()));
        let mut intervals = Vec::new();
        let found = self.reader.resolution(position).and_then(|resolution| {
            self.reader.intervals(position, TimeRange::ALL, &mut intervals)?;
            Ok(resolution)
        });
        let resolution = match found {
            Ok(resolution) => resolution,
            Err(damaged) => return self.fault(Some(labels), whole, format!("its intervals: {}", damaged.reason)),
        };
        if resolution.coarsest > self.block.resolution() || resolution.finest > resolution.coarsest {
            self.fault(Some(labels), whole, format!("its resolution is told as {resolution:?}"));
        }
        for interval in intervals.iter().filter(|interval| !interval.fits(resolution.coarsest)) {
            let range = Some((interval.start(), interval.end()));
            self.fault(Some(labels), range, format!("an interval is longer than {}", resolution.coarsest));
        }
    }

    fn fault(&mut self, series: Option<&Labels>, range: Option<(Timestamp, Timestamp)>, what: String) {
        self.check.add(Fault { file: self.path.to_owned(), offset: None, series: series.cloned(), range, what });
    }
}

/// Whether stored statistics are those of these samples, bit for bit. They say nothing of times and counts, which
/// are the timeline's.
fn same(told: &Summary, samples: &[Sample]) -> bool {
    let bits = |summary: &Summary| {
        let ends = summary.ends.map(|(a, b)| (a.v.to_bits(), b.v.to_bits()));
        let sums = (summary.sum.value().to_bits(), summary.reset_sum.value().to_bits());
        (ends, summary.resets, summary.changes, sums, summary.min.to_bits(), summary.max.to_bits())
    };
    bits(told) == bits(&Summary::of(samples))
}
