//! What lies in a directory, by purpose.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::Outcome;
use crate::program::Kind;

/// Bytes by purpose.
#[derive(Default, Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Samples and what else is kept for good: sizes of the files.
    pub(crate) data: u64,
    /// Of the index alone, where it has files of its own.
    pub(crate) index: u64,
    /// Blocks of the file system below both.
    pub(crate) allocated: u64,
    /// Logs, caches and other things that do not grow with history.
    pub(crate) beside: u64,
}

impl Usage {
    /// Samples and index.
    pub(crate) fn kept(&self) -> u64 {
        self.data + self.index
    }

    /// Adds up a directory as a program uses it.
    pub(crate) fn of(kind: Kind, dir: &Path) -> Outcome<Usage> {
        let mut usage = Usage::default();
        let mut dirs = vec![dir.to_owned()];
        while let Some(at) = dirs.pop() {
            for entry in fs::read_dir(&at)? {
                let path = entry?.path();
                let metadata = fs::symlink_metadata(&path)?;
                if metadata.is_dir() {
                    dirs.push(path);
                    continue;
                }
                let name = path.strip_prefix(dir)?.to_string_lossy().into_owned();
                match purpose(kind, &name) {
                    Purpose::Data => usage.data += metadata.len(),
                    Purpose::Index => usage.index += metadata.len(),
                    Purpose::Beside => {
                        usage.beside += metadata.len();
                        continue;
                    }
                }
                usage.allocated += metadata.blocks() * 512;
            }
        }
        Ok(usage)
    }
}

enum Purpose {
    Data,
    Index,
    Beside,
}

/// What a file is for, by its name below the data directory.
fn purpose(kind: Kind, name: &str) -> Purpose {
    let first = name.split('/').next().unwrap_or_default();
    match kind {
        Kind::Evenkeel => match first {
            "wal" | "outbox" | "quarantine" => Purpose::Beside,
            // Labels of the series that the log speaks of, as in a Prometheus log's own checkpoint.
            _ if name.ends_with(".series") || name.ends_with(".attachments") => Purpose::Beside,
            _ => Purpose::Data,
        },
        Kind::Prometheus => match first {
            "wal" | "wbl" | "chunks_head" | "snapshots" | "lock" | "queries.active" => Purpose::Beside,
            _ if name.ends_with("/index") => Purpose::Index,
            _ => Purpose::Data,
        },
        Kind::VictoriaMetrics => match first {
            "cache" | "tmp" | "flock.lock" | "snapshots" => Purpose::Beside,
            _ if name.contains("indexdb") => Purpose::Index,
            _ => Purpose::Data,
        },
    }
}
