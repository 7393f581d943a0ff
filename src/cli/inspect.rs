//! `evenkeel inspect`, `verify` and `compact`: looks at stored files, and puts a stopped database in order.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};

use crate::env::disk::{Disk, RealDisk};
use crate::env::{Clock, SystemClock};
use crate::model::Timestamp;
use crate::storage::{self, CodecShare, Fact, Fault, FileReport, Inspection, PageShare, Share, Store, StoreOptions};

/// Tell what a file or a directory of Evenkeel holds; nothing is changed
#[derive(Args)]
#[command(
    after_help = "Examples:\n  evenkeel inspect evenkeel-data\n  evenkeel inspect --json evenkeel-data/blocks/00000012.block"
)]
pub(super) struct InspectArgs {
    /// A file or a directory
    path: PathBuf,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Check every byte of a stopped database, and that its parts say the same; nothing is changed
#[derive(Args)]
#[command(
    after_help = "Example: evenkeel verify evenkeel-data\n\nExit code 0: all is sound. 1: something is not, and was named."
)]
pub(super) struct VerifyArgs {
    /// Directory of a database that no process has open
    dir: PathBuf,
    /// The directory is a snapshot or a backup, which no process changes: take no lock
    #[arg(long)]
    snapshot: bool,
}

/// Merge the blocks of a stopped database into as few as possible
#[derive(Args)]
#[command(
    after_help = "Example: evenkeel compact evenkeel-data\n\nSamples older than the retention stay: only a server drops them."
)]
pub(super) struct CompactArgs {
    /// Directory of a database that no process has open
    dir: PathBuf,
}

pub(super) fn inspect(args: InspectArgs) -> anyhow::Result<ExitCode> {
    let found = storage::inspect(&RealDisk, &args.path)?;
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&as_json(&found))?);
    } else {
        print_inspection(&found)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_inspection(found: &Inspection) -> anyhow::Result<()> {
    for file in &found.files {
        outln!("{}: {}, {} bytes", file.path.display(), file.kind.as_str(), file.bytes);
        for (name, fact) in &file.facts {
            outln!("  {name}: {}", in_words(fact));
        }
        for damage in &file.damage {
            outln!("  damaged: {damage}");
        }
    }
    outln!("series: {}", found.series);
    outln!("samples: {} in blocks, {} in the log", found.block_samples, found.log_samples);
    if found.block_histograms > 0 {
        outln!(
            "of those in blocks, native histograms: {} in {} chunks of {} bytes",
            found.block_histograms,
            found.histogram_chunks,
            found.histogram_bytes
        );
    }
    if let Some((first, last)) = found.span {
        outln!("from {first} to {last}");
    }
    if found.chunks.0 > 0 {
        outln!("chunks: {}, of them {} with one value", found.chunks.0, found.chunks.1);
    }
    // Sections of blocks come in a table of their own.
    let in_table = |part: &str| found.pages.iter().any(|share| part.strip_prefix("block: ") == Some(&share.section));
    for (part, bytes) in found.parts.iter().filter(|(part, bytes)| *bytes > 0 && !in_table(part)) {
        match part.starts_with("block") && found.block_samples > 0 {
            true => outln!("{part}: {bytes} bytes, {:.3} a sample", *bytes as f64 / found.block_samples as f64),
            false => outln!("{part}: {bytes} bytes"),
        }
    }
    print_codecs("values by codec, before pages are compressed", "chunks", "samples", &found.value_codecs)?;
    print_codecs("timestamps by codec, each column once", "columns", "stamps", &found.stamp_codecs)?;
    print_pages(found)?;
    let shares = |title: &str, shares: &[Share]| -> anyhow::Result<()> {
        if !shares.is_empty() {
            outln!("{title}");
        }
        for share in shares {
            let values = if share.values > 0 { format!(", {} values", share.values) } else { String::new() };
            outln!(
                "  {}: {} series{values}, {} samples, {} bytes of values",
                share.name,
                share.series,
                share.samples,
                share.value_bytes
            );
        }
        Ok(())
    };
    shares("largest metrics", &found.metrics)?;
    shares("largest labels", &found.labels)
}

fn print_codecs(title: &str, columns: &str, samples: &str, shares: &[CodecShare]) -> anyhow::Result<()> {
    if shares.is_empty() {
        return Ok(());
    }
    outln!("{title}");
    outln!("  {:<28} {columns:>19} {samples:>22} {:>22} {:>7} {:>10}", "", "bytes", "bits", "exceptions");
    let all = |of: fn(&CodecShare) -> u64| shares.iter().map(of).sum::<u64>();
    let (columns, samples, bytes) = (all(|s| s.columns), all(|s| s.samples), all(|s| s.bytes));
    for share in shares {
        outln!(
            "  {:<28} {:>10} {} {:>13} {} {:>13} {} {:>7.2} {:>10}",
            share.codec,
            share.columns,
            percent(share.columns, columns),
            share.samples,
            percent(share.samples, samples),
            share.bytes,
            percent(share.bytes, bytes),
            share.bytes as f64 * 8.0 / share.samples.max(1) as f64,
            share.exceptions,
        );
    }
    Ok(())
}

fn print_pages(found: &Inspection) -> anyhow::Result<()> {
    if found.pages.is_empty() {
        return Ok(());
    }
    outln!("pages of blocks");
    outln!("  {:<28} {:>10} {:>19} {:>13} {:>13} {:>10}", "", "pages", "zstd", "bytes", "unpacked", "a sample");
    for share in &found.pages {
        outln!(
            "  {:<28} {:>10} {:>10} {} {:>13} {:>13} {:>10.4}",
            share.section,
            share.pages,
            share.compressed,
            percent(share.compressed, share.pages),
            share.bytes,
            share.unpacked,
            share.bytes as f64 / found.block_samples.max(1) as f64,
        );
    }
    Ok(())
}

/// A part of a whole, eight characters wide.
fn percent(part: u64, whole: u64) -> String {
    format!("{:>6.2} %", part as f64 * 100.0 / whole.max(1) as f64)
}

fn in_words(fact: &Fact) -> String {
    match fact {
        Fact::Count(n) => n.to_string(),
        Fact::Bytes(n) => format!("{n} bytes"),
        Fact::Time(t) => t.to_string(),
        Fact::Text(text) => text.clone(),
    }
}

fn as_json(found: &Inspection) -> Value {
    let fact = |fact: &Fact| match fact {
        Fact::Count(n) | Fact::Bytes(n) => json!(n),
        Fact::Time(t) => json!(t.to_string()),
        Fact::Text(text) => json!(text),
    };
    let file = |file: &FileReport| {
        let facts: serde_json::Map<String, Value> =
            file.facts.iter().map(|(name, value)| (name.clone(), fact(value))).collect();
        let path = file.path.display().to_string();
        json!({"path": path, "kind": file.kind.as_str(), "bytes": file.bytes, "facts": facts, "damage": file.damage})
    };
    let share = |share: &Share| {
        json!({"name": share.name, "series": share.series, "samples": share.samples,
               "valueBytes": share.value_bytes, "values": share.values})
    };
    let codec = |share: &CodecShare| {
        json!({"codec": share.codec, "columns": share.columns, "samples": share.samples, "bytes": share.bytes,
               "exceptions": share.exceptions})
    };
    let pages = |share: &PageShare| {
        json!({"section": share.section, "pages": share.pages, "compressed": share.compressed,
               "bytes": share.bytes, "unpackedBytes": share.unpacked})
    };
    let parts: serde_json::Map<String, Value> =
        found.parts.iter().map(|(part, bytes)| (part.clone(), json!(bytes))).collect();
    json!({
        "files": found.files.iter().map(file).collect::<Vec<_>>(),
        "series": found.series,
        "blockSamples": found.block_samples,
        "blockHistograms": found.block_histograms,
        "logSamples": found.log_samples,
        "chunks": {"all": found.chunks.0, "oneValue": found.chunks.1},
        "valueCodecs": found.value_codecs.iter().map(codec).collect::<Vec<_>>(),
        "timestampCodecs": found.stamp_codecs.iter().map(codec).collect::<Vec<_>>(),
        "blockPages": found.pages.iter().map(pages).collect::<Vec<_>>(),
        "from": found.span.map(|(first, _)| first.to_string()),
        "to": found.span.map(|(_, last)| last.to_string()),
        "partBytes": parts,
        "metrics": found.metrics.iter().map(share).collect::<Vec<_>>(),
        "labels": found.labels.iter().map(share).collect::<Vec<_>>(),
    })
}

pub(super) fn verify(args: VerifyArgs) -> anyhow::Result<ExitCode> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    check_database(&*disk, &args.dir)?;
    let _lock = if args.snapshot { None } else { Some(lock(&*disk, &args.dir)?) };
    let bar = std::io::stderr().is_terminal();
    let mut shown = u64::MAX;
    let report = storage::verify(&disk, &args.dir, &mut |done, all| {
        let percent = done.saturating_mul(100) / all.max(1);
        if bar && percent != shown {
            shown = percent;
            let done = "=".repeat((percent / 2).min(50) as usize);
            let _ = write!(std::io::stderr(), "\r[{done:<50}] {percent} %");
        }
    })?;
    if bar {
        let _ = writeln!(std::io::stderr());
    }
    for fault in &report.faults {
        outln!("{}", fault_in_words(fault));
    }
    outln!(
        "{} files, {} bytes, {} log entries, {} samples: {}",
        report.files,
        report.bytes,
        report.entries,
        report.samples,
        if report.faults_found == 0 { "sound".to_owned() } else { format!("{} faults", report.faults_found) }
    );
    Ok(ExitCode::from(u8::from(report.faults_found > 0)))
}

fn fault_in_words(fault: &Fault) -> String {
    let mut words = fault.file.display().to_string();
    if let Some(offset) = fault.offset {
        words.push_str(&format!(" at byte {offset}"));
    }
    if let Some(series) = &fault.series {
        words.push_str(&format!(", series {series}"));
    }
    if let Some((first, last)) = fault.range {
        words.push_str(&format!(", {first} to {last}"));
    }
    format!("{words}: {}", fault.what)
}

pub(super) fn check_database(disk: &dyn Disk, dir: &Path) -> anyhow::Result<()> {
    if !disk.list(dir)?.iter().any(|entry| entry.name == "MANIFEST" || entry.name == "wal") {
        bail!("{} holds no database", dir.display());
    }
    Ok(())
}

fn lock(disk: &dyn Disk, dir: &Path) -> anyhow::Result<Box<dyn Send + Sync>> {
    disk.lock(&dir.join("LOCK")).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => {
            anyhow::anyhow!("{} is open in another process; stop it, or verify a snapshot of it", dir.display())
        }
        _ => error.into(),
    })
}

pub(super) fn compact(args: CompactArgs) -> anyhow::Result<ExitCode> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    check_database(&*disk, &args.dir)?;
    // What is kept is the server's configuration to say, which this command does not read.
    let options = StoreOptions { retention: crate::model::Millis(i64::MAX / 4), ..StoreOptions::default() };
    let (store, mut replay) = Store::open(disk, &args.dir, options)?;
    while replay.next()?.is_some() {}
    let before = store.status();
    let report = store.compact_all(Timestamp(SystemClock::new().now_ms()), &mut |_| ())?;
    let after = store.status();
    outln!("{report}");
    outln!(
        "{} blocks of {} bytes are now {} of {} bytes",
        before.blocks,
        before.block_bytes,
        after.blocks,
        after.block_bytes
    );
    Ok(ExitCode::SUCCESS)
}
