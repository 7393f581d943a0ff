//! What is kept beside samples: entries that bring none (exemplars, metadata, deletes) and when counting began. What
//! becomes of it when it is taken and when it is replayed.
//!
//! Invariants:
//! - Taking and replaying an entry leave the same behind.
//! - An entry that would say nothing new is not logged.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::codec::Damaged;
use crate::model::limits::TOMBSTONES_MAX;
use crate::model::{Matcher, MetricMetadata, Seq, SeriesExemplar, SeriesRef, StartChange, TimeRange, Timestamp};

use super::commit::{CommitError, Writer};
use super::entries::{
    Tombstone, deletion_from_bytes, deletion_to_bytes, exemplars_from_bytes, exemplars_to_bytes, metadata_from_bytes,
    metadata_to_bytes, starts_from_bytes, starts_to_bytes,
};
use super::exemplars::{ExemplarCounts, Exemplars};
use super::metadata::Metadata;
use super::options::StoreOptions;
use super::retention::Cutoff;
use super::series::{Seen, SeriesStates};
use super::starts::{StartChanges, Starts};
use super::store::{Applied, Entry, Inner, Store};
use super::wal::EntryKind;

/// What is kept beside samples.
#[derive(Debug)]
pub(super) struct Kept {
    exemplars: Exemplars,
    metadata: Metadata,
    pub(super) starts: Starts,
}

/// The same for the writer, all snapshots and the background work.
#[derive(Debug)]
pub(super) struct SharedKept {
    pub(super) lock: RwLock<Kept>,
}

/// What an entry changes once it is in the log.
#[derive(Debug)]
pub(super) enum Beside {
    Exemplars(Vec<Arc<SeriesExemplar>>),
    Metadata(Vec<Arc<MetricMetadata>>),
    Delete(Tombstone),
}

/// An entry that was looked at.
pub(super) struct Staged {
    pub(super) applied: Applied,
    /// How it stands in the log and what it changes; `None` if it says nothing new.
    pub(super) logged: Option<(EntryKind, Vec<u8>, Beside)>,
}

/// Names of what a checkpoint carries for the store itself.
mod attachment {
    pub(super) const EXEMPLARS: &str = "store.exemplars";
    pub(super) const METADATA: &str = "store.metadata";
    pub(super) const STARTS: &str = "store.starts";
}

impl Store {
    /// The exemplars inside `range` of the series that satisfy all matchers of one of `selectors`: one
    /// list a series, in the order of their labels, each in the order of time.
    pub fn exemplars(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Vec<Vec<Arc<SeriesExemplar>>> {
        self.inner.kept.lock.read().exemplars.select(selectors, range)
    }

    /// What up to `limit` metric families are, by name, all or one; different words on one, newest first.
    pub fn metadata(&self, family: Option<&str>, limit: usize) -> Vec<Vec<Arc<MetricMetadata>>> {
        self.inner.kept.lock.read().metadata.select(family, limit)
    }
}

impl Kept {
    /// Nothing yet, with the room that the options give.
    pub(super) fn new(options: &StoreOptions) -> Kept {
        Kept {
            exemplars: Exemplars::new(options.exemplars_max),
            metadata: Metadata::default(),
            starts: Starts::new(options.start_changes_max),
        }
    }

    /// All of it, for a checkpoint; cheap.
    pub(super) fn capture(&self) -> Captured {
        Captured { exemplars: self.exemplars.all().into(), metadata: self.metadata.all(), starts: self.starts.all() }
    }

    /// Takes over what a checkpoint kept, of series that have a state; gives what of it cannot be read.
    pub(super) fn restore(&mut self, parts: &[(String, Vec<u8>)], states: &SeriesStates) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, bytes) in parts {
            let fault = match name.as_str() {
                attachment::EXEMPLARS => self.restore_exemplars(bytes).err().map(|why| ("the exemplars are", why)),
                attachment::METADATA => self.restore_metadata(bytes).err().map(|why| ("the metadata is", why)),
                attachment::STARTS => {
                    self.restore_starts(bytes, states).err().map(|why| ("when counting began is", why))
                }
                _ => None,
            };
            faults.extend(fault.map(|(what, why)| format!("{what} lost: {why}")));
        }
        faults
    }

    fn restore_exemplars(&mut self, bytes: &[u8]) -> Result<(), Damaged> {
        exemplars_from_bytes(bytes)?.into_iter().for_each(|one| self.exemplars.insert(Arc::new(one)));
        Ok(())
    }

    fn restore_metadata(&mut self, bytes: &[u8]) -> Result<(), Damaged> {
        metadata_from_bytes(bytes)?.into_iter().for_each(|one| self.metadata.insert(Arc::new(one)));
        Ok(())
    }

    fn restore_starts(&mut self, bytes: &[u8], states: &SeriesStates) -> Result<(), Damaged> {
        let known = starts_from_bytes(bytes)?.into_iter().filter(|change| states.get(change.series).is_some());
        known.for_each(|change| self.starts.insert(change, Timestamp::MIN));
        Ok(())
    }
}

/// What is kept, as it was when a checkpoint began.
pub(super) struct Captured {
    exemplars: Vec<Arc<SeriesExemplar>>,
    metadata: Vec<Arc<MetricMetadata>>,
    starts: Arc<StartChanges>,
}

impl Captured {
    /// As attachments; nothing of what there is nothing of.
    pub(super) fn to_parts(&self) -> Vec<(String, Vec<u8>)> {
        let mut parts = Vec::new();
        if !self.exemplars.is_empty() {
            let bytes = exemplars_to_bytes(self.exemplars.iter().map(|one| &**one));
            parts.push((attachment::EXEMPLARS.to_owned(), bytes));
        }
        if !self.metadata.is_empty() {
            let bytes = metadata_to_bytes(self.metadata.iter().map(|one| &**one));
            parts.push((attachment::METADATA.to_owned(), bytes));
        }
        if !self.starts.is_empty() {
            let change = |((series, t), start): (&(SeriesRef, Timestamp), &Timestamp)| StartChange {
                series: *series,
                t: *t,
                start: *start,
            };
            parts.push((attachment::STARTS.to_owned(), starts_to_bytes(self.starts.iter().map(change))));
        }
        parts
    }
}

impl Inner {
    /// Looks at an entry that is to be the one behind `last`; the kinds with samples are not for here.
    pub(super) fn stage_beside(&self, entry: Entry, last: Seq, at: Timestamp) -> Result<Option<Staged>, CommitError> {
        let seq = Seq(last.0 + 1);
        Ok(Some(match entry {
            Entry::Exemplars(given) => {
                let (chosen, counts) = self.kept.lock.read().exemplars.choose(given);
                if chosen.is_empty() {
                    return Ok(Some(Staged { applied: Applied::Exemplars { seq: last, at, counts }, logged: None }));
                }
                let payload = exemplars_to_bytes(chosen.iter().map(|one| &**one));
                let logged = Some((EntryKind::Exemplars, payload, Beside::Exemplars(chosen)));
                Staged { applied: Applied::Exemplars { seq, at, counts }, logged }
            }
            Entry::Metadata(given) => {
                let chosen = self.kept.lock.read().metadata.choose(given);
                if chosen.is_empty() {
                    return Ok(Some(Staged { applied: Applied::Metadata { seq: last, at }, logged: None }));
                }
                let payload = metadata_to_bytes(chosen.iter().map(|one| &**one));
                let logged = Some((EntryKind::Metadata, payload, Beside::Metadata(chosen)));
                Staged { applied: Applied::Metadata { seq, at }, logged }
            }
            Entry::Delete { matchers, range } => {
                if self.shown.read().view.tombstones.len() >= TOMBSTONES_MAX {
                    return Err(CommitError::TooManyDeletes);
                }
                let payload = deletion_to_bytes(range, &matchers);
                let tombstone = Tombstone { seq, range, matchers, blocks: BTreeSet::new() };
                let logged = Some((EntryKind::Delete, payload, Beside::Delete(tombstone)));
                Staged { applied: Applied::Delete { seq, at }, logged }
            }
            Entry::Transaction(_) | Entry::Write(_) | Entry::Tick | Entry::Note(_) => return Ok(None),
        }))
    }

    /// Takes over what a logged entry changes.
    pub(super) fn apply_beside(&self, beside: Beside, writer: &mut Writer) {
        match beside {
            Beside::Exemplars(all) => {
                let mut kept = self.kept.lock.write();
                all.into_iter().for_each(|one| kept.exemplars.insert(one));
            }
            Beside::Metadata(all) => {
                let mut kept = self.kept.lock.write();
                all.into_iter().for_each(|one| kept.metadata.insert(one));
            }
            Beside::Delete(mut tombstone) => {
                let (matchers, range, seq) = (tombstone.matchers.clone(), tombstone.range, tombstone.seq);
                self.show(|view| {
                    tombstone.blocks.extend(view.blocks.iter().map(|block| block.number()));
                    Arc::make_mut(&mut view.tombstones).add(tombstone);
                });
                self.forget_newest(writer, &matchers, range, seq);
            }
        }
    }

    /// Keeps changes of when counting began; `at` is the log's time.
    pub(super) fn keep_starts(&self, changes: &[StartChange], at: Timestamp) {
        if changes.is_empty() {
            return;
        }
        let cutoff = Cutoff::new(&self.retention, at).all();
        let mut kept = self.kept.lock.write();
        changes.iter().for_each(|change| kept.starts.insert(*change, cutoff));
    }

    /// Reads the payload of an entry without samples and takes it over.
    pub(super) fn replay_beside(
        &self,
        kind: EntryKind,
        payload: &[u8],
        (seq, at): (Seq, Timestamp),
    ) -> (Applied, Result<(), Damaged>) {
        let mut writer = self.writer.lock();
        match kind {
            EntryKind::Exemplars => {
                let read = exemplars_from_bytes(payload).map(|all| all.into_iter().map(Arc::new).collect::<Vec<_>>());
                let stored = read.as_ref().map_or(0, Vec::len);
                let counts = ExemplarCounts { stored, ..ExemplarCounts::default() };
                let done = read.map(|all| self.apply_beside(Beside::Exemplars(all), &mut writer));
                (Applied::Exemplars { seq, at, counts }, done)
            }
            EntryKind::Metadata => {
                let read = metadata_from_bytes(payload);
                let take = |all: Vec<_>| Beside::Metadata(all.into_iter().map(Arc::new).collect());
                (Applied::Metadata { seq, at }, read.map(|all| self.apply_beside(take(all), &mut writer)))
            }
            _ => {
                let read = deletion_from_bytes(payload);
                let take =
                    |(range, matchers)| Beside::Delete(Tombstone { seq, range, matchers, blocks: BTreeSet::new() });
                (Applied::Delete { seq, at }, read.map(|deletion| self.apply_beside(take(deletion), &mut writer)))
            }
        }
    }

    /// Series of which something may be deleted: what was known of their newest samples is known no more.
    fn forget_newest(&self, writer: &mut Writer, matchers: &[Matcher], range: TimeRange, seq: Seq) {
        let view = Arc::clone(&self.shown.read().view);
        for (series, labels) in self.index.select(matchers) {
            let state = writer.states.entry(series);
            if !state.newest().is_some_and(|newest| range.contains(newest)) {
                continue;
            }
            let cover = view.tombstones.cover(&labels, TimeRange::ALL, seq);
            let (mut left, mut histograms) = (Vec::new(), Vec::new());
            view.head_samples(series, &cover, TimeRange::ALL, seq, &mut left);
            view.head_histograms(series, &cover, TimeRange::ALL, seq, &mut histograms);
            let left = left.into_iter().map(Seen::Number);
            let left = left.chain(histograms.into_iter().map(|histogram| Seen::Histogram(histogram.t)));
            state.forget_newest(left.max_by_key(Seen::t));
        }
    }
}
