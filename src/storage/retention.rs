//! For how long samples are kept, and in how much room.
//!
//! Invariants:
//! - Of several rules that take a series, the first one counts; without one, the default.
//! - What is past its time is not shown; its bytes go when its block is dropped or written anew.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use crate::model::{Labels, Matcher, Millis, Timestamp};

use super::block::{Block, PageCache};
use super::changes::Contents;
use super::compact::Aim;
use super::maintain::{MaintainError, MaintainReport};
use super::manifest::Manifest;
use super::options::StoreOptions;
use super::store::Inner;
use super::tombstones::satisfies;

/// The part of a block's series that must be past their time before it is written anew without them: one
/// in so many. What remains goes with the next merge.
const REWRITE_SHARE: u32 = 4;

/// Series that are kept for another time than the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionRule {
    /// The series: those that satisfy all of them.
    pub matchers: Vec<Matcher>,
    /// For how long they are kept.
    pub keep: Millis,
}

/// For how long which series are kept.
#[derive(Debug, Clone)]
pub(super) struct Retention {
    default: Millis,
    rules: Vec<RetentionRule>,
    longest: Millis,
    shortest: Millis,
}

/// What is past its time at one instant.
#[derive(Debug, Clone)]
pub(super) struct Cutoff {
    retention: Arc<Retention>,
    at: Timestamp,
}

impl Retention {
    /// What the options say.
    pub(super) fn new(options: &StoreOptions) -> Retention {
        let all = || options.retention_rules.iter().map(|rule| rule.keep).chain([options.retention]);
        Retention {
            default: options.retention,
            rules: options.retention_rules.clone(),
            longest: all().max().unwrap_or(options.retention),
            shortest: all().min().unwrap_or(options.retention),
        }
    }

    /// For how long anything is kept.
    pub(super) fn longest(&self) -> Millis {
        self.longest
    }

    /// For how long a series is kept.
    pub(super) fn of(&self, labels: &Labels) -> Millis {
        self.rules.iter().find(|rule| satisfies(labels, &rule.matchers)).map_or(self.default, |rule| rule.keep)
    }
}

impl Cutoff {
    /// What is past its time at `at`.
    pub(super) fn new(retention: &Arc<Retention>, at: Timestamp) -> Cutoff {
        Cutoff { retention: Arc::clone(retention), at }
    }

    /// The instant at which it is asked.
    pub(super) fn at(&self) -> Timestamp {
        self.at
    }

    /// Samples at or before this are past the time of every series.
    pub(super) fn all(&self) -> Timestamp {
        self.at - self.retention.longest
    }

    /// Samples of this series at or before this are past their time.
    pub(super) fn of(&self, labels: &Labels) -> Timestamp {
        if self.retention.rules.is_empty() { self.all() } else { self.at - self.retention.of(labels) }
    }

    /// Whether a sample at `t` may be past the time of some series.
    pub(super) fn may_hide(&self, t: Timestamp) -> bool {
        t <= self.at - self.retention.shortest
    }

    /// Whether samples behind `t` that are not past the time of every series may be past that of some.
    pub(super) fn varies_after(&self, t: Timestamp) -> bool {
        self.retention.shortest < self.retention.longest && t < self.at - self.retention.shortest
    }

    /// The number of a block's series of which all samples are past their time.
    fn past(&self, block: &Block) -> u32 {
        let kept_past = |keep: Millis| block.last() <= self.at - keep;
        let mut cache = PageCache::default();
        // Where the index cannot be read, a read or a merge will tell.
        let Ok(mut reader) = block.ask(&mut cache) else { return 0 };
        let (mut taken, mut past) = (BTreeSet::new(), 0);
        for rule in &self.retention.rules {
            for position in reader.select(&rule.matchers).unwrap_or_default() {
                if taken.insert(position) && kept_past(rule.keep) {
                    past += 1;
                }
            }
        }
        if kept_past(self.retention.default) {
            past += block.series().saturating_sub(taken.len() as u32);
        }
        past
    }
}

impl Inner {
    /// Drops blocks of which nothing is kept, and writes those anew of which much is not.
    pub(super) fn drop_old(
        &self,
        manifest: &mut Manifest,
        cutoff: &Cutoff,
        pace: &mut dyn FnMut(u64),
        report: &mut MaintainReport,
    ) -> Result<(), MaintainError> {
        let blocks = Arc::clone(&self.shown.read().view.blocks);
        let (mut old, mut thinned) = (Vec::new(), Vec::new());
        for block in blocks.iter() {
            if block.last() <= cutoff.all() {
                old.push(Arc::clone(block));
            } else if cutoff.may_hide(block.last()) {
                match cutoff.past(block) {
                    past if past >= block.series() => old.push(Arc::clone(block)),
                    past if past.saturating_mul(REWRITE_SHARE) >= block.series() => thinned.push(Arc::clone(block)),
                    _ => {}
                }
            }
        }
        report.blocks_dropped += old.len();
        // All of it is past its time, and not shown any more.
        self.drop_blocks(manifest, &old, Contents::Same)?;
        for block in thinned {
            let lost = self.merge(manifest, std::slice::from_ref(&block), block.level(), Aim::Keep(cutoff), pace)?;
            self.put_away(&block, lost.iter().sum(), report)?;
            report.blocks_thinned += 1;
        }
        Ok(())
    }

    /// Drops the oldest blocks until everything together takes no more room than the options allow. The
    /// log and what stands beside the blocks count, but are not touched.
    pub(super) fn drop_over_size(
        &self,
        manifest: &mut Manifest,
        report: &mut MaintainReport,
    ) -> Result<(), MaintainError> {
        let limit = self.options.retention_bytes;
        if limit == 0 {
            return Ok(());
        }
        let mut used = self.bytes_on_disk()?;
        let mut blocks = Vec::clone(&self.shown.read().view.blocks);
        blocks.sort_by_key(|block| block.last());
        let mut over = Vec::new();
        for block in blocks {
            if used <= limit {
                break;
            }
            used = used.saturating_sub(block.bytes());
            over.push(block);
        }
        report.blocks_over_size += over.len();
        self.drop_blocks(manifest, &over, Contents::Changed)
    }

    fn drop_blocks(
        &self,
        manifest: &mut Manifest,
        old: &[Arc<Block>],
        contents: Contents,
    ) -> Result<(), MaintainError> {
        if !old.is_empty() {
            self.replace_blocks(manifest, old, None, (manifest.seq, contents))?;
            old.iter().for_each(|block| self.remove(&self.files.block(block.number())));
        }
        Ok(())
    }

    /// Bytes of the log, the blocks and what stands beside them.
    fn bytes_on_disk(&self) -> io::Result<u64> {
        let mut bytes = 0;
        for dir in [&self.files.wal, &self.files.blocks] {
            bytes += self.files.disk.list(dir)?.iter().map(|entry| entry.bytes).sum::<u64>();
        }
        Ok(bytes)
    }
}
