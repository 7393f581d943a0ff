//! A recording of a real target: written, and read back as several hosts.
//!
//! The file is a row of records: time in milliseconds (8 bytes, little-endian), length (4 bytes), and so many
//! bytes of the exposition, compressed with zlib. A record that was cut off at the end is left out.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use evenkeel::model::Millis;
use evenkeel::wire::{Exposition, Format, Line};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::Outcome;
use crate::harness::{Http, now_ms};
use crate::options::RecordOptions;
use crate::source::{Catalogue, Scrape, Source};

/// Bytes before each exposition.
const HEAD_BYTES: usize = 12;
/// Recordings older than this are moved to the present, so that no retention cuts them.
const FRESH: Millis = Millis::hours(24 * 14);
/// Where a moved recording ends, before now.
const MARGIN: Millis = Millis::minutes(1);

/// Records a target until the time is over.
pub(crate) fn record(options: &RecordOptions) -> Outcome<()> {
    let rest = options.target.strip_prefix("http://").ok_or("the target must begin with http://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/metrics" } else { path };
    let address = host.to_socket_addrs()?.next().ok_or("the target's host has no address")?;
    let every = Duration::from_millis(Millis::parse(&options.every)?.0.max(1) as u64);
    let length = Duration::from_millis(Millis::parse(&options.length)?.0.max(0) as u64);
    let mut file = File::options().create(true).append(true).open(&options.file)?;
    let begun = Instant::now();
    let (mut due, mut records, mut missed) = (Duration::ZERO, 0u64, 0u64);
    while due < length {
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        match Http::connect(address).and_then(|mut http| http.get(path)) {
            Ok(answer) if answer.status == 200 => {
                file.write_all(&encode(now_ms(), &answer.body)?)?;
                records += 1;
            }
            Ok(_) | Err(_) => missed += 1,
        }
        due += every;
    }
    println!("{records} expositions in {}, {missed} missed", options.file.display());
    Ok(())
}

fn encode(t: i64, exposition: &[u8]) -> Outcome<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(exposition)?;
    let compressed = encoder.finish()?;
    let mut record = t.to_le_bytes().to_vec();
    record.extend((compressed.len() as u32).to_le_bytes());
    record.extend(compressed);
    Ok(record)
}

/// A recording that is dealt to several hosts in turn: each has every so many-th exposition, and so
/// real values at real distances in time.
pub(crate) struct Recording {
    bytes: Arc<[u8]>,
    at: usize,
    moved: i64,
    turn: usize,
    /// For each host, the number of a series by its text.
    hosts: Vec<HashMap<String, usize>>,
    catalogue: Catalogue,
}

impl Recording {
    /// Begins a recording, as it was read from its file, for so many hosts.
    pub(crate) fn new(bytes: Arc<[u8]>, hosts: usize) -> Outcome<Recording> {
        let mut recording = Recording {
            bytes,
            at: 0,
            moved: 0,
            turn: 0,
            hosts: vec![HashMap::new(); hosts],
            catalogue: Catalogue::default(),
        };
        let mut last = None;
        while let Some((t, _)) = recording.record() {
            last = Some(t);
        }
        let last = last.ok_or("the recording holds no exposition")?;
        if last < now_ms() - FRESH.0 {
            recording.moved = now_ms() - MARGIN.0 - last;
        }
        recording.at = 0;
        Ok(recording)
    }

    /// Time and compressed bytes of the next record.
    fn record(&mut self) -> Option<(i64, std::ops::Range<usize>)> {
        let head = self.bytes.get(self.at..self.at + HEAD_BYTES)?;
        let (t, length) = head.split_at(8);
        let t = i64::from_le_bytes(t.try_into().ok()?);
        let start = self.at + HEAD_BYTES;
        let range = start..start + u32::from_le_bytes(length.try_into().ok()?) as usize;
        self.bytes.get(range.clone())?;
        self.at = range.end;
        Some((t, range))
    }
}

impl Source for Recording {
    fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    fn next(&mut self, scrape: &mut Scrape) -> Outcome<bool> {
        let Some((t, range)) = self.record() else { return Ok(false) };
        let mut text = Vec::new();
        ZlibDecoder::new(&self.bytes[range]).read_to_end(&mut text)?;
        let host = self.turn % self.hosts.len();
        self.turn += 1;
        let instance = format!("10.0.0.{host}:9100");
        scrape.t = t + self.moved;
        scrape.samples.clear();
        for line in Exposition::new(&text, Format::Text)? {
            let Line::Sample(sample) = line? else { continue };
            let known = self.hosts[host].get(sample.series).copied();
            let series = match known {
                Some(series) => series,
                None => {
                    let mut labels = sample.labels()?.builder();
                    labels.set("instance", &instance).set("job", "node");
                    let series = self.catalogue.add(labels.build()?);
                    self.hosts[host].insert(sample.series.to_owned(), series);
                    series
                }
            };
            scrape.samples.push((series, sample.value));
        }
        Ok(true)
    }
}
