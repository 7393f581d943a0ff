//! Forgetting series that are idle: their samples are in blocks, and memory is for those that get some.
//!
//! Invariants:
//! - A series stays known as long as the log or a generation in memory has a sample of it: a start needs its
//!   labels, and an older snapshot finds its samples through the index.
//! - Its number is forgotten everywhere and not given out again. Should it come back, it is as new: it is
//!   explained anew, and the blocks say what its newest sample is.
//! - One call takes a bounded part of the work: the writer waits meanwhile.

use std::sync::Arc;

use crate::model::{Fingerprint, SeriesRef, Timestamp};

use super::commit::Writer;
use super::head::Generation;
use super::pages::PAGE;
use super::retention::Cutoff;
use super::series::SeriesState;
use super::store::Store;

/// States that one call looks at.
const STATES: usize = 1 << 16;
/// Series after which a call ends, give or take a page.
const SERIES: usize = 4096;
/// Parts of the table of fingerprints that one call looks at, of 256.
const PARTS: usize = 4;
/// Series whose labels are read under one lock of the index.
const SERIES_PER_LOCK: usize = 256;

/// Series that left memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Retired {
    /// Their numbers, which mean nothing from now on.
    pub series: Vec<SeriesRef>,
    /// Whether the round goes on with the next call.
    pub more: bool,
}

/// How far a round has come.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// The page of states to go on with.
    page: usize,
    /// The part of the table of fingerprints to go on with, when all states were looked at.
    part: Option<usize>,
    /// Whether a series left that others than its own labels' fingerprint led to.
    aliases: bool,
}

impl Store {
    /// Forgets series without a sample for [`StoreOptions::idle`](super::StoreOptions::idle), or for as long
    /// as samples are kept, whose samples are all in blocks. Does a part of a round; until it says that there
    /// is no more of it, it is to be called again. Whoever keeps numbers of series forgets those that it
    /// gives before the next commit.
    pub fn retire(&self) -> Retired {
        // Dropped last: the samples of a generation should not be freed while the writer waits.
        let mut generations: Vec<Arc<Generation>> = Vec::new();
        let mut writer = self.inner.writer.lock();
        let Some(opened_at) = writer.opened_at else { return Retired::default() };
        generations.push(Arc::clone(&self.inner.shown.read().view.live));
        generations.extend(writer.generations.iter().filter_map(|earlier| earlier.upgrade()));
        if let Some(part) = writer.sweep.part {
            return Retired { series: Vec::new(), more: self.sweep(&mut writer, part) };
        }
        let cutoff = Cutoff::new(&self.inner.retention, writer.at).all();
        let before = cutoff.max(writer.at - self.inner.options.idle);
        let is_idle = |state: &SeriesState| state.newest().unwrap_or(Timestamp::MIN).max(opened_at) <= before;
        let in_memory = |series| generations.iter().any(|generation| generation.has(series));
        let (mut series, mut aliases, mut page) = (Vec::new(), false, Some(writer.sweep.page));
        for _ in 0..STATES / PAGE {
            let Some((found, states)) = page.and_then(|page| writer.states.page_from(page)) else {
                page = None;
                break;
            };
            for (number, state) in states.filter(|(number, state)| is_idle(state) && !in_memory(*number)) {
                aliases |= state.aliases > 0;
                series.push(number);
            }
            page = Some(found + 1);
            if series.len() >= SERIES {
                break;
            }
        }
        self.forget(&mut writer, &series);
        writer.sweep.aliases |= aliases;
        let more = match page {
            Some(page) => {
                writer.sweep.page = page;
                true
            }
            None if writer.sweep.aliases => {
                writer.sweep.part = Some(0);
                true
            }
            None => {
                writer.sweep = Sweep::default();
                false
            }
        };
        Retired { series, more }
    }

    fn forget(&self, writer: &mut Writer, series: &[SeriesRef]) {
        let mut removed: Vec<(SeriesRef, Fingerprint)> = Vec::with_capacity(series.len());
        for part in series.chunks(SERIES_PER_LOCK) {
            let index = self.inner.index.lock.read();
            removed.extend(part.iter().filter_map(|series| Some((*series, index.fingerprint(*series)?))));
        }
        // Only the writer changes the index, and it waits.
        for part in removed.chunks(SERIES_PER_LOCK) {
            self.inner.index.lock.write().remove(part);
        }
        self.inner.kept.lock.write().starts.remove(series);
        series.iter().for_each(|series| writer.states.remove(*series));
    }

    /// Removes fingerprints that lead nowhere any more; they take room and nothing else. Gives whether there
    /// is more to do.
    fn sweep(&self, writer: &mut Writer, from: usize) -> bool {
        for part in from..from + PARTS {
            if !self.inner.index.lock.write().sweep(part) {
                writer.sweep = Sweep::default();
                return false;
            }
        }
        writer.sweep.part = Some(from + PARTS);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::env::disk::{Disk, MemoryDisk};
    use crate::model::{Batch, Labels, Millis, RawBatchBuilder, Sample, TimeRange};
    use crate::storage::{Applied, Entry, StoreOptions};

    use super::*;

    fn open(disk: &Arc<dyn Disk>) -> Store {
        let options = StoreOptions { idle: Millis::minutes(10), reserve_bytes: 0, ..StoreOptions::default() };
        let (store, mut replay) = Store::open(Arc::clone(disk), Path::new("/data"), options).unwrap();
        while replay.next().unwrap().is_some() {}
        assert!(replay.report().damage.is_empty(), "{}", replay.report());
        store
    }

    fn pod(n: i64) -> Labels {
        Labels::new([("__name__", "up"), ("pod", n.to_string().as_str())]).unwrap()
    }

    fn read_pod(bytes: &[u8], _: usize, _: usize) -> Result<Labels, String> {
        let text = String::from_utf8_lossy(bytes);
        Ok(pod(text.trim().parse().map_err(|_| text.clone().into_owned())?))
    }

    fn commit(store: &Store, at: i64, entry: Entry) -> crate::model::Committed {
        match store.commit(Timestamp(at), vec![entry]).unwrap().remove(0) {
            Applied::Transaction(committed) => committed,
            other => panic!("{other:?}"),
        }
    }

    fn append(store: &Store, n: i64, at: i64, v: f64) -> crate::model::Committed {
        let mut batch = Batch::new();
        batch.push(pod(n), Sample { t: Timestamp(at), v });
        commit(store, at, Entry::Transaction(batch))
    }

    /// The same in the bytes of a sender, in one of two spellings.
    fn write(store: &Store, n: i64, at: i64) {
        let spelling = if n % 2 == 0 { format!(" {n}") } else { format!("{n} ") };
        let mut raw = RawBatchBuilder::default();
        raw.push_sample(Sample { t: Timestamp(at), v: 1.0 });
        raw.push_series(spelling.as_bytes(), 0, 0);
        assert_eq!(commit(store, at, Entry::Write(raw.finish(spelling.into(), read_pod))).samples.len(), 1);
    }

    fn checkpoint(store: &Store) {
        store.begin_checkpoint(Vec::new()).unwrap();
        store.finish_checkpoint().unwrap();
    }

    fn retire(store: &Store) -> Vec<SeriesRef> {
        let (mut all, mut rounds) = (Vec::new(), 0);
        loop {
            let retired = store.retire();
            all.extend(retired.series);
            rounds += 1;
            assert!(rounds < 1000, "a round ends");
            if !retired.more {
                return all;
            }
        }
    }

    /// Series in the index, states, and fingerprints.
    fn sizes(store: &Store) -> (usize, usize, usize) {
        let writer = store.inner.writer.lock();
        let (mut states, mut page) = (0, 0);
        while let Some((found, all)) = writer.states.page_from(page) {
            (states, page) = (states + all.count(), found + 1);
        }
        let index = store.inner.index.lock.read();
        (index.len(), states, index.fingerprints_len())
    }

    const MINUTE: i64 = 60_000;

    #[test]
    fn what_churns_takes_no_more_than_what_is_there() {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let mut store = open(&disk);
        let mut retired = 0;
        for minute in 0..720 {
            // One stays, of the others each lives for five minutes.
            write(&store, -2, minute * MINUTE);
            for n in 0..20 {
                write(&store, (minute / 5) * 20 + n, minute * MINUTE + n);
            }
            if minute % 10 == 9 {
                checkpoint(&store);
                retired += retire(&store).len();
                let (series, states, fingerprints) = sizes(&store);
                assert_eq!(states, series);
                // A start meets what the series files name still, and counts from there.
                if !(366..390).contains(&minute) {
                    assert!(series <= 1 + 20 * 5, "{series} series in minute {minute}");
                    assert_eq!(fingerprints, 2 * series, "in minute {minute}");
                }
            }
            if minute == 365 {
                drop(store);
                store = open(&disk);
            }
        }
        assert!(retired > 144 * 20 - 100, "{retired}");
        store.commit(Timestamp(740 * MINUTE), vec![Entry::Tick]).unwrap();
        assert_eq!((retire(&store).len(), sizes(&store)), (41, (0, 0, 0)), "nothing is left in the log");
        assert_eq!(store.snapshot().series(&[], TimeRange::ALL).unwrap().len(), 1 + 144 * 20);
        drop(store);
        let store = open(&disk);
        assert_eq!(store.snapshot().series(&[], TimeRange::ALL).unwrap().len(), 1 + 144 * 20);
    }

    #[test]
    fn a_series_stays_while_the_log_or_a_snapshot_has_it_and_comes_back_by_its_labels() {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let store = open(&disk);
        let first = append(&store, 1, 0, 1.0);
        append(&store, 2, 30 * MINUTE, 1.0);
        assert_eq!(retire(&store), [], "the log has it");
        let held = store.snapshot();
        store.begin_checkpoint(Vec::new()).unwrap();
        append(&store, 2, 31 * MINUTE, 1.0);
        assert_eq!(retire(&store), [], "the checkpoint needs it");
        store.finish_checkpoint().unwrap();
        assert_eq!(retire(&store), [], "a snapshot has it");
        assert_eq!(held.series(&[], TimeRange::ALL).unwrap().len(), 2);
        drop(held);
        let old = first.new_series[0].0;
        assert_eq!(retire(&store), [old]);
        // What is stored stays known.
        assert!(append(&store, 1, 0, 1.0).samples.is_empty());
        assert_eq!(append(&store, 1, 0, 2.0).rejected.total(), 1);
        assert_eq!(append(&store, 1, -1, 2.0).rejected.total(), 1);
        assert_eq!(sizes(&store).0, 1, "what is refused makes no series known");
        let again = append(&store, 1, 40 * MINUTE, 2.0);
        assert!(again.new_series.len() == 1 && again.new_series[0].0 > old);
        assert_eq!(append(&store, 1, 39 * MINUTE, 2.0).rejected.total(), 1);
        let shown = store.snapshot().select(&[], TimeRange::ALL, 100).unwrap();
        assert_eq!(shown.iter().map(|series| series.samples.len()).collect::<Vec<_>>(), [2, 2]);
        drop(store);
        // A start counts from its first entry on.
        let store = open(&disk);
        assert_eq!(store.snapshot().select(&[], TimeRange::ALL, 100).unwrap(), shown);
        assert_eq!(retire(&store), []);
        append(&store, 3, 500 * MINUTE, 1.0);
        checkpoint(&store);
        assert_eq!(retire(&store), []);
        append(&store, 3, 511 * MINUTE, 1.0);
        assert_eq!(retire(&store).len(), sizes(&store).0 + 1);
        assert_eq!(sizes(&store).0, 1);
    }
}
