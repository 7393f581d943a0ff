//! Bits that a value takes: our columns beside Gorilla, Zstandard on raw doubles, pco, and
//! VictoriaMetrics' way.
//!
//! `cargo run --release --example codec_sizes -- [--nab FOLDER] [--recording FILE] [--each]`
//!
//! A recording is records of a time in milliseconds (8 bytes), a length (4 bytes, both lowest byte
//! first) and so many bytes of zlib-compressed exposition text. With `--each`, the series that take
//! most are listed.

mod peers;
mod sources;

use std::fmt::Write as _;
use std::path::PathBuf;

use evenkeel::codec::{CHUNK_MAX, Effort, VECTOR, Values, compress, put_values};
use sources::Source;

/// Samples of a young chunk: half an hour at 15 s.
const YOUNG: usize = 120;
/// Bytes that young chunks of many series are compressed together.
const PAGE_BYTES: usize = 64 << 10;

/// Names of the columns of the table.
const NAMES: [&str; 8] =
    ["young 120", "cold 1024", "cold 8192", "Gorilla 120", "zstd raw", "pco", "VM 1024", "VM 8192"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut nab, mut recording, mut each) = (PathBuf::from("../shared/data/nab"), None, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--nab" => nab = arguments.next().ok_or("--nab needs a folder")?.into(),
            "--recording" => recording = Some(PathBuf::from(arguments.next().ok_or("--recording needs a file")?)),
            "--each" => each = true,
            other => return Err(format!("{other} is not an option; see the head of tools/codec_sizes/main.rs").into()),
        }
    }
    let mut all = sources::generated();
    all.extend(sources::numenta(&nab)?);
    if let Some(recording) = &recording {
        all.extend(sources::recorded(recording)?);
    }
    println!("{:<34}{:>9}{}", "bits per value", "values", NAMES.map(|name| format!("{name:>12}")).concat());
    let (mut sums, mut rows) = ([0.0; NAMES.len()], 0.0);
    for source in &all {
        let bits = measure(source)?;
        let count: usize = source.series.iter().map(|(_, values)| values.len()).sum();
        println!("{:<34}{count:>9}{}", source.name, row(&bits));
        rows += 1.0;
        for (sum, bits) in sums.iter_mut().zip(bits) {
            *sum += bits;
        }
        if each {
            list(source)?;
        }
    }
    println!("{:<43}{}", "mean", row(&sums.map(|sum| sum / rows)));
    Ok(())
}

fn row(bits: &[f64]) -> String {
    bits.iter().fold(String::new(), |mut line, bits| {
        let _ = write!(line, "{bits:>12.3}");
        line
    })
}

/// The bits a value of a source takes in each column of the table.
fn measure(source: &Source) -> Result<[f64; NAMES.len()], Box<dyn std::error::Error>> {
    let mut bytes = [0usize; NAMES.len()];
    let (mut page, mut count) = (Vec::new(), 0);
    for (_, values) in &source.series {
        count += values.len();
        for chunk in values.chunks(YOUNG) {
            let start = page.len();
            put_values(&mut page, chunk, Effort::Young);
            check(&page[start..], chunk)?;
            if page.len() >= PAGE_BYTES {
                bytes[0] += close(&mut page);
            }
            bytes[3] += peers::gorilla_bits(chunk).div_ceil(8);
        }
        for (column, length) in [(1, VECTOR), (2, CHUNK_MAX)] {
            for chunk in values.chunks(length) {
                bytes[column] += cold(chunk)?;
            }
        }
        for chunk in values.chunks(CHUNK_MAX) {
            bytes[4] += peers::zstd_raw(chunk)?;
            bytes[5] += peers::pco_alone(chunk)?;
        }
        for (column, length) in [(6, VECTOR), (7, CHUNK_MAX)] {
            for chunk in values.chunks(length) {
                bytes[column] += peers::victoria_metrics(chunk)?;
            }
        }
    }
    bytes[0] += close(&mut page);
    Ok(bytes.map(|bytes| bytes as f64 * 8.0 / count as f64))
}

fn close(page: &mut Vec<u8>) -> usize {
    let length = compress(page).map_or(page.len(), |packed| packed.len());
    page.clear();
    length
}

fn cold(values: &[f64]) -> Result<usize, Box<dyn std::error::Error>> {
    let mut out = Vec::new();
    put_values(&mut out, values, Effort::Cold);
    check(&out, values)?;
    Ok(out.len())
}

/// That the bytes give back the values, bit for bit.
fn check(bytes: &[u8], values: &[f64]) -> Result<(), Box<dyn std::error::Error>> {
    let mut back = Vec::new();
    Values::open(bytes, values.len())?.all(&mut back)?;
    let same = back.len() == values.len() && back.iter().zip(values).all(|(a, b)| a.to_bits() == b.to_bits());
    if same { Ok(()) } else { Err("a column came back differently".into()) }
}

/// Prints the series of a source that take most.
fn list(source: &Source) -> Result<(), Box<dyn std::error::Error>> {
    let mut rows = Vec::new();
    for (name, values) in &source.series {
        let (mut ours, mut theirs) = (0, 0);
        for chunk in values.chunks(CHUNK_MAX) {
            ours += cold(chunk)?;
            theirs += peers::victoria_metrics(chunk)?;
        }
        rows.push((ours, theirs, values.len(), name));
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.0));
    for (ours, theirs, count, name) in rows.iter().take(60) {
        println!("  {ours:>8} bytes, VM {theirs:>8}, {count} values of {name}");
    }
    Ok(())
}
