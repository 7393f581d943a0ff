//! One scripted history of a store that does everything a store does, and how it is run on a disk that
//! fails.

use std::path::Path;
use std::sync::Arc;

use evenkeel::env::disk::Disk;
use evenkeel::model::{Batch, Labels, Millis, Sample, Timestamp};
use evenkeel::storage::{CommitError, Durability, Entry, MaintainError, Store, StoreOptions};

use super::cases::Found;
use super::histograms::growing;
use super::model::{End, Truth};

/// Where the stores of the campaigns lie.
pub(crate) fn dir() -> &'static Path {
    Path::new("/data")
}

/// The instant at which histories begin.
pub(crate) const START: Timestamp = Timestamp(1_700_000_000_000);

/// One step.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Entries of one group.
    Commit(Timestamp, Vec<Entry>),
    Begin,
    Finish,
    Maintain(Timestamp),
    Reopen,
}

/// Small segments; samples leave within the history.
pub(crate) fn options() -> StoreOptions {
    StoreOptions {
        segment_bytes_max: 600,
        retention: Millis::seconds(400),
        out_of_order: Millis::seconds(2),
        reserve_bytes: 0,
        ..StoreOptions::default()
    }
}

fn series(n: i64) -> Labels {
    labels([("__name__", "m"), ("n", n.to_string().as_str()), ("job", "campaign")])
}

/// Labels that a campaign has thought of.
pub(crate) fn labels<const N: usize>(pairs: [(&str, &str); N]) -> Labels {
    Labels::new(pairs).expect("different names, none of them empty")
}

fn transaction(samples: &[(i64, i64, f64)]) -> Entry {
    let mut batch = Batch::new();
    for (n, ms, v) in samples {
        batch.push(series(*n), Sample { t: START + Millis(*ms), v: *v });
    }
    Entry::Transaction(batch)
}

/// A series of histograms, which has samples now and then, and such a sample.
fn histograms(ms: i64, i: i64) -> Entry {
    let mut batch = Batch::new();
    batch.push_histogram(series(3), growing(START + Millis(ms + 2), i as u64));
    batch.push_histogram(series(50 + i / 20), growing(START + Millis(ms), i as u64));
    batch.push_mixed(
        series(50),
        (i % 4 == 0).then_some(Sample { t: START + Millis(ms + 1), v: i as f64 }),
        (i % 3 == 0).then(|| growing(START + Millis(ms - 1000), (i - 1).unsigned_abs())),
    );
    Entry::Transaction(batch)
}

/// Commits of old and new series in several segments, late and repeated samples, histograms, ticks and notes;
/// checkpoints, one of them open over a restart; a merge; samples and blocks past their retention.
pub(crate) fn history() -> Vec<Step> {
    let mut steps = Vec::new();
    let mut ms = 0;
    for i in 0..34i64 {
        ms = i * 1000 + if i >= 28 { 410_000 } else { 0 };
        let mut group = vec![transaction(&[
            (i / 8, ms, i as f64 * 2.5),
            (i / 8 + 1, ms, -0.1 * i as f64),
            (i / 8 + 2, ms + 1, 1e9 + i as f64),
        ])];
        match i % 5 {
            1 => group.push(transaction(&[(i / 8, ms - 500, 7.0), (i / 8, ms, i as f64 * 2.5), (9, ms, i as f64)])),
            2 => group.push(Entry::Note(vec![i as u8; 5])),
            3 => group.insert(0, Entry::Tick),
            4 => group.push(histograms(ms, i)),
            _ => {}
        }
        steps.push(Step::Commit(START + Millis(ms), group));
        match i {
            2 | 6 | 10 | 15 | 19 | 30 => steps.push(Step::Begin),
            3 | 7 | 11 | 17 | 20 | 31 => steps.push(Step::Finish),
            16 | 25 => steps.push(Step::Reopen),
            22 | 32 => steps.push(Step::Maintain(START + Millis(ms))),
            24 => steps.push(Step::Commit(START + Millis(ms), vec![Entry::Tick])),
            _ => {}
        }
    }
    steps.push(Step::Commit(START + Millis(ms + 900), vec![transaction(&[(0, ms + 900, 1.0), (70, ms + 900, 2.0)])]));
    steps
}

/// Opens and replays to the end. A crash is not damage, so a report of damage is a finding; a disk
/// that refuses is not.
pub(crate) fn open(disk: &Arc<dyn Disk>, options: &StoreOptions) -> Result<Option<Store>, Found> {
    let Ok((store, mut replay)) = Store::open(Arc::clone(disk), dir(), options.clone()) else { return Ok(None) };
    loop {
        match replay.next() {
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(_) => return Ok(None),
        }
    }
    match replay.report().damage.is_empty() {
        true => Ok(Some(store)),
        false => Err(format!("a start after a crash tells of damage: {}", replay.report())),
    }
}

/// Opens on a disk that works.
pub(crate) fn open_sound(disk: &Arc<dyn Disk>, options: &StoreOptions) -> Result<Store, Found> {
    open(disk, options)?.ok_or_else(|| match Store::open(Arc::clone(disk), dir(), options.clone()) {
        Ok(_) => "the first start failed, the second did not".to_owned(),
        Err(error) => format!("it does not open: {error}"),
    })
}

/// How often an operation is tried again on a disk that fails now and then.
const TRIES: usize = 6;

/// A history under way on a disk of which operations may fail.
pub(crate) struct Run<'a> {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) truth: Truth,
    /// Called after each failure that was noticed, before the next try.
    pub(crate) after_failure: Box<dyn FnMut() + 'a>,
    pub(crate) reopened: u64,
    pub(crate) refused: u64,
    pub(crate) merged: usize,
    pub(crate) dropped: usize,
}

impl<'a> Run<'a> {
    /// A history that has not begun.
    pub(crate) fn new(disk: Arc<dyn Disk>, options: StoreOptions) -> Run<'a> {
        Run {
            disk,
            truth: Truth::new(options),
            after_failure: Box::new(|| ()),
            reopened: 0,
            refused: 0,
            merged: 0,
            dropped: 0,
        }
    }

    /// Runs the steps until something fails: what the truth is then. As a process that dies.
    pub(crate) fn until_failure(&mut self, steps: &[Step]) -> Result<(), Found> {
        let Some(mut store) = open(&self.disk, &self.truth.options)? else { return Ok(()) };
        for step in steps {
            let done = match step {
                Step::Commit(at, group) => self.commit(&store, *at, group).is_ok(),
                Step::Begin => self.begin(&store),
                Step::Finish => store.finish_checkpoint().is_ok(),
                Step::Maintain(now) => store.maintain(*now).is_ok(),
                Step::Reopen => {
                    drop(store);
                    let Some(again) = open(&self.disk, &self.truth.options)? else { return Ok(()) };
                    self.truth.settle(&again, End::Process)?;
                    store = again;
                    true
                }
            };
            if !done {
                break;
            }
        }
        Ok(())
    }

    /// Runs all steps, trying again what failed and opening again a store that takes no more writes.
    pub(crate) fn through_failures(&mut self, steps: &[Step]) -> Result<Store, Found> {
        let store = self.reopen()?;
        steps.iter().try_fold(store, |store, step| self.go_on(store, step))
    }

    /// Runs one step, however often it has to be tried.
    pub(crate) fn go_on(&mut self, mut store: Store, step: &Step) -> Result<Store, Found> {
        match step {
            Step::Commit(at, group) => store = self.commit_in_the_end(store, *at, group)?,
            Step::Begin => {
                if !self.begin(&store) {
                    (self.after_failure)();
                    drop(store);
                    store = self.reopen()?;
                }
            }
            Step::Finish => self.try_again("finish_checkpoint", || store.finish_checkpoint())?,
            Step::Maintain(now) => {
                let (mut merged, mut dropped) = (0, 0);
                self.try_again("maintain", || {
                    let report = store.maintain(*now)?;
                    (merged, dropped) = (report.blocks_merged, report.blocks_dropped);
                    Ok::<(), MaintainError>(())
                })?;
                self.merged += merged;
                self.dropped += dropped;
            }
            Step::Reopen => {
                drop(store);
                store = self.reopen()?;
            }
        }
        self.truth.check(&store.snapshot())?;
        Ok(store)
    }

    fn try_again<E: std::fmt::Display>(
        &mut self,
        what: &str,
        mut act: impl FnMut() -> Result<(), E>,
    ) -> Result<(), Found> {
        let mut last = String::new();
        for _ in 0..TRIES {
            match act() {
                Ok(()) => return Ok(()),
                Err(error) => last = error.to_string(),
            }
            self.refused += 1;
            (self.after_failure)();
        }
        Err(format!("{what} fails on and on: {last}"))
    }

    fn commit(&mut self, store: &Store, at: Timestamp, group: &[Entry]) -> Result<(), CommitError> {
        let only_ticks = group.iter().all(|entry| matches!(entry, Entry::Tick));
        let is_synced = self.truth.options.durability == Durability::Synced && !only_ticks;
        match store.commit(at, group.to_vec()) {
            Ok(_) => {
                self.truth.acknowledge(at, group, is_synced);
                Ok(())
            }
            Err(error) => {
                if matches!(error, CommitError::Poisoned { .. }) {
                    self.truth.in_doubt(at, group);
                }
                Err(error)
            }
        }
    }

    fn commit_in_the_end(&mut self, mut store: Store, at: Timestamp, group: &[Entry]) -> Result<Store, Found> {
        for _ in 0..TRIES {
            let before = self.truth.shown.seq;
            let Err(error) = self.commit(&store, at, group) else { return Ok(store) };
            (self.after_failure)();
            if matches!(error, CommitError::Poisoned { .. }) {
                drop(store);
                store = self.reopen()?;
                // What was in doubt may be there, as a whole group or the first entries of it.
                if self.truth.shown.seq > before {
                    return Ok(store);
                }
            } else {
                self.refused += 1;
                self.truth
                    .check(&store.snapshot())
                    .map_err(|found| format!("a refused group left a trace: {found}"))?;
            }
        }
        Err("a commit fails on and on".to_owned())
    }

    fn begin(&mut self, store: &Store) -> bool {
        let begun = store.begin_checkpoint(vec![("a".to_owned(), vec![1, 2, 3])]);
        if begun == Ok(true) {
            self.truth.synced();
        }
        begun.is_ok()
    }

    fn reopen(&mut self) -> Result<Store, Found> {
        for _ in 0..TRIES {
            if let Some(store) = open(&self.disk, &self.truth.options)? {
                self.reopened += 1;
                self.truth.settle(&store, End::Process)?;
                return Ok(store);
            }
            (self.after_failure)();
        }
        Err("it does not open again".to_owned())
    }
}

/// Opens what a crash left, compares, goes on, and opens a second time: the same again.
pub(crate) fn recover(disk: &Arc<dyn Disk>, mut truth: Truth, end: End) -> Result<(), Found> {
    let store = open_sound(disk, &truth.options)?;
    truth.settle(&store, end)?;
    let at = truth.shown.at + Millis(10_000);
    let more = [transaction(&[(0, (at.0 - START.0).max(0), 4.5), (71, (at.0 - START.0).max(0), 4.5)])];
    drop(store);
    let store = open_sound(disk, &truth.options)?;
    truth.settle(&store, End::Process).map_err(|found| format!("the second start differs: {found}"))?;
    let at = at.max(START);
    store.commit(at, more.to_vec()).map_err(|error| format!("it takes no writes after a start: {error}"))?;
    truth.acknowledge(at, &more, truth.options.durability == Durability::Synced);
    truth.check(&store.snapshot())?;
    drop(store);
    truth.settle(&open_sound(disk, &truth.options)?, End::Process)
}
