//! Random histories of a store beside a plain map: one seed is one history.
//!
//! Batches with new and old series, late, repeated, far-off and unusual samples; ticks and notes;
//! checkpoints, upkeep, restarts, processes that die, power cuts, full disks, single failures of the
//! disk, clocks that step, samples that age out.

use std::sync::Arc;

use evenkeel::env::Rng;
use evenkeel::env::disk::{Disk, MemoryDisk};
use evenkeel::model::{Batch, MatchOp, Matcher, Millis, STALE_NAN, Sample, TimeRange, Timestamp, limits};
use evenkeel::storage::{Applied, CommitError, Durability, Entry, Store, StoreOptions};
use evenkeel::testkit::{Contents, Fault, FaultyDisk, Loss, Names, TraceDisk};

use super::cases::{Found, Outcome, Tally};
use super::model::{End, Truth, difference, select};
use super::workload::{START, dir, labels, open, open_sound};

/// Runs seeds `first..first + n`.
pub(crate) fn run(first: u64, n: usize) -> Outcome {
    Outcome::of("random histories beside a map", n, |case, tally| {
        let seed = first + case as u64;
        tally.case();
        let command = "cargo run --release --example faults -- simulate";
        let repeat = || format!("seed {seed} (repeat: {command} --seed {seed} --rounds 1)");
        let run = std::panic::AssertUnwindSafe(|| one(seed, tally));
        match std::panic::catch_unwind(run) {
            Ok(done) => done.map_err(|found| format!("{}: {found}", repeat())),
            Err(panic) => {
                eprintln!("{}", repeat());
                std::panic::resume_unwind(panic)
            }
        }
    })
}

/// A history under way.
struct History {
    rng: Rng,
    memory: MemoryDisk,
    faulty: FaultyDisk,
    trace: TraceDisk,
    truth: Truth,
    now: Timestamp,
    series: u64,
    step: usize,
}

fn one(seed: u64, tally: &mut Tally) -> Result<(), Found> {
    let mut rng = Rng::new(seed);
    let options = StoreOptions {
        durability: match rng.below(5) {
            0 => Durability::Buffered,
            1 => Durability::Interval(Millis::seconds(1)),
            _ => Durability::Synced,
        },
        retention: [Millis::minutes(2), Millis::minutes(20), Millis::days(30)][rng.below(3) as usize],
        segment_bytes_max: 1 + rng.below(4000),
        flush_bytes: 1000 + rng.below(6000),
        out_of_order: Millis(rng.below(2) as i64 * 3000),
        reserve_bytes: 0,
        ..StoreOptions::default()
    };
    let series = 1 + rng.below(24);
    let mut history =
        History { now: START, series, step: 0, truth: Truth::new(options), ..History::on(rng, MemoryDisk::new())? };
    let mut store = history.reopen(End::Process)?;
    let steps = 20 + history.rng.below(160) as usize;
    for step in 0..steps {
        history.step = step;
        store = history.go_on(store, tally).map_err(|found| format!("step {step}: {found}"))?;
    }
    history.truth.check(&store.snapshot())?;
    drop(store);
    history.reopen(End::Process)?;
    history.reopen(End::Power).map(|_| ())
}

impl History {
    fn on(rng: Rng, memory: MemoryDisk) -> Result<History, Found> {
        let faulty = FaultyDisk::new(Arc::new(memory.clone()));
        let trace = TraceDisk::new(Arc::new(faulty.clone()), dir()).map_err(|error| error.to_string())?;
        let truth = Truth::new(StoreOptions::default());
        Ok(History { rng, memory, faulty, trace, truth, now: START, series: 0, step: 0 })
    }

    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.trace.clone())
    }

    fn go_on(&mut self, store: Store, tally: &mut Tally) -> Result<Store, Found> {
        let draw = self.rng.below(64);
        if std::env::var("EVENKEEL_TELL").is_ok() {
            let status = store.status();
            eprintln!(
                "{}: draw {draw}, {:?}, last entry {}, used {}, met {:?}, {:?}",
                self.step,
                self.truth.options.durability,
                status.last_seq.0,
                self.memory.used_bytes(),
                self.faulty.met(),
                status.health
            );
        }
        match draw {
            0 | 1 => return self.restart(store, tally),
            2 | 3 => return self.cut_power(store, tally),
            4 => self.fill_the_disk(tally),
            5 | 6 => {
                self.memory.set_capacity(None);
                self.faulty.heal();
            }
            7 => self.break_something(tally),
            8..12 => {
                if store.checkpoint_due() || self.rng.below(2) == 0 {
                    match store.begin_checkpoint(vec![("states".into(), vec![self.step as u8; 9])]) {
                        Ok(true) => self.truth.synced(),
                        // One is under way already.
                        Ok(false) => {}
                        Err(CommitError::Poisoned { .. }) => return self.restart(store, tally),
                        Err(error) => return Err(format!("begin_checkpoint: {error}")),
                    }
                    tally.add("checkpoints", 1);
                    if self.rng.below(2) == 0 {
                        let _ = store.finish_checkpoint();
                    }
                }
            }
            12..15 => {
                // May fail on a full or failing disk; then nothing has changed.
                let _ = store.finish_checkpoint();
                self.truth.check(&store.snapshot()).map_err(|found| format!("after a checkpoint: {found}"))?;
            }
            15..18 => {
                if let Ok(report) = store.maintain(self.now) {
                    tally.add("blocks merged", report.blocks_merged as u64);
                    tally.add("blocks dropped", report.blocks_dropped as u64);
                }
                if self.rng.below(2) == 0
                    && let Ok(report) = store.clean(self.now, &mut |_| ())
                {
                    tally.add("deletes worked off", report.deletes_done as u64);
                }
                self.truth.check(&store.snapshot()).map_err(|found| format!("after upkeep: {found}"))?;
            }
            18..22 => self.query(&store)?,
            22 => self.now = self.now + Millis(self.rng.below(90_000) as i64),
            23 => self.now = self.now - Millis(self.rng.below(30_000) as i64),
            24 => match store.sync() {
                Ok(()) => self.truth.synced(),
                Err(_) => return self.restart(store, tally),
            },
            _ => return self.commit(store, tally),
        }
        Ok(store)
    }

    fn reopen(&mut self, end: End) -> Result<Store, Found> {
        if end == End::Power {
            let loss = self.draw_loss();
            let image = self.trace.image(self.trace.changes(), loss);
            let next = History::on(self.rng.clone(), image)?;
            (self.memory, self.faulty, self.trace) = (next.memory, next.faulty, next.trace);
        }
        let store = match open(&self.disk(), &self.truth.options)? {
            Some(store) => store,
            None => {
                // A disk that is full or fails: it opens when it works again.
                self.memory.set_capacity(None);
                self.faulty.heal();
                open_sound(&self.disk(), &self.truth.options)?
            }
        };
        self.truth.settle(&store, end).map_err(|found| format!("after the end by {end:?}: {found}"))?;
        Ok(store)
    }

    fn draw_loss(&mut self) -> Loss {
        let seed = self.rng.bits();
        let contents = match self.rng.below(4) {
            0 => Contents::Lost,
            1 => Contents::Kept,
            2 => Contents::Torn(seed),
            _ => Contents::Scattered(seed),
        };
        let names = match self.rng.below(3) {
            0 => Names::Lost,
            1 => Names::Kept,
            _ => Names::Torn(seed),
        };
        Loss { contents, names }
    }

    fn restart(&mut self, store: Store, tally: &mut Tally) -> Result<Store, Found> {
        drop(store);
        tally.add("restarts", 1);
        self.reopen(End::Process)
    }

    fn cut_power(&mut self, store: Store, tally: &mut Tally) -> Result<Store, Found> {
        drop(store);
        tally.add("power cuts", 1);
        self.reopen(End::Power)
    }

    fn fill_the_disk(&mut self, tally: &mut Tally) {
        tally.add("full disks", 1);
        self.memory.set_capacity(Some(self.memory.used_bytes() + self.rng.below(3000)));
    }

    fn break_something(&mut self, tally: &mut Tally) {
        tally.add("disk failures", 1);
        let kinds =
            [std::io::ErrorKind::Other, std::io::ErrorKind::StorageFull, std::io::ErrorKind::ReadOnlyFilesystem];
        let kind = kinds[self.rng.below(3) as usize];
        let fault = match self.rng.below(5) {
            0 => Fault::Stop,
            1 | 2 => Fault::Short(kind),
            _ => Fault::Error(kind),
        };
        self.faulty.fail_at(self.faulty.operations() + self.rng.below(30), fault);
    }

    /// A random question.
    fn selection(&mut self) -> Result<(Vec<Matcher>, TimeRange), Found> {
        let choices = [
            ("job", MatchOp::Equal, "a"),
            ("job", MatchOp::NotEqual, "a"),
            ("job", MatchOp::Equal, ""),
            ("n", MatchOp::Match, "[1-5]"),
            ("n", MatchOp::NotMatch, "1|2"),
            ("__name__", MatchOp::Equal, "m"),
            ("__name__", MatchOp::Match, "m|other"),
        ];
        let picked = (0..self.rng.below(3)).map(|_| choices[self.rng.below(choices.len() as u64) as usize]);
        let matchers: Result<Vec<_>, _> =
            picked.collect::<Vec<_>>().into_iter().map(|(name, op, value)| Matcher::new(name, op, value)).collect();
        let matchers = matchers.map_err(|error| error.to_string())?;
        let until = self.now + Millis(3000 - self.rng.below(60_000) as i64);
        Ok((matchers, TimeRange { after: until - Millis(self.rng.below(100_000) as i64), until }))
    }

    fn query(&mut self, store: &Store) -> Result<(), Found> {
        let (matchers, range) = self.selection()?;
        let snapshot = store.snapshot();
        let expected = self.truth.shown.select(&self.truth.options, &matchers, range);
        if let Some(found) = difference(&select(&snapshot, &matchers, range)?, &expected) {
            return Err(format!("{matchers:?} {range:?}: {found}"));
        }
        let series = snapshot.series(&matchers, range).map_err(|error| error.to_string())?;
        match expected.iter().find(|(labels, _)| series.binary_search(labels).is_err()) {
            Some((labels, _)) => Err(format!("{matchers:?} {range:?}: series() does not name {labels}")),
            None => Ok(()),
        }
    }

    fn commit(&mut self, store: Store, tally: &mut Tally) -> Result<Store, Found> {
        self.now = self.now + Millis(self.rng.below(2000) as i64 - 100);
        let entries = 1 + self.rng.below(3);
        let mut group: Vec<Entry> = (0..entries)
            .map(|_| match self.rng.below(12) {
                0 => Entry::Tick,
                1 => Entry::Note(vec![self.step as u8; self.rng.below(40) as usize]),
                _ => Entry::Transaction(self.batch()),
            })
            .collect();
        if self.rng.below(24) == 0 {
            // Alone: the samples of a group are decided before any of it is applied.
            let (matchers, range) = self.selection()?;
            let range = if self.rng.below(3) == 0 { TimeRange::ALL } else { range };
            group = vec![Entry::Delete { matchers, range }];
            tally.add("deletes", 1);
        }
        // A snapshot is of its instant; looking at each would take most of the time.
        let before = (self.rng.below(16) == 0).then(|| store.snapshot());
        let shown = before.as_ref().map(|_| self.truth.clone());
        match store.commit(self.now, group.clone()) {
            Ok(applied) => {
                tally.add("entries", applied.len() as u64);
                self.acknowledge(&group, &applied)?;
            }
            Err(CommitError::Poisoned { .. }) => {
                self.truth.in_doubt(self.now, &group);
                self.truth.check(&store.snapshot()).map_err(|found| format!("after a failed sync: {found}"))?;
                let end = if self.rng.below(2) == 0 { End::Process } else { End::Power };
                drop(store);
                tally.add("opened after a failed sync or cut", 1);
                return self.reopen(end);
            }
            Err(CommitError::DiskFull { .. } | CommitError::Refused { .. }) => {
                tally.add("refused groups", 1);
                self.truth.check(&store.snapshot()).map_err(|found| format!("after a refused group: {found}"))?;
            }
            Err(error) => return Err(format!("a commit failed: {error}")),
        }
        if let (Some(snapshot), Some(shown)) = (before, shown) {
            shown.check(&snapshot).map_err(|found| format!("a snapshot has changed: {found}"))?;
        }
        Ok(store)
    }

    fn acknowledge(&mut self, group: &[Entry], applied: &[Applied]) -> Result<(), Found> {
        let only_ticks = group.iter().all(|entry| matches!(entry, Entry::Tick));
        let is_synced = self.truth.options.durability == Durability::Synced && !only_ticks;
        let refused = self.truth.acknowledge(self.now, group, is_synced);
        for (applied, expected) in applied.iter().zip(&refused) {
            let Applied::Transaction(committed) = applied else { continue };
            let counts: std::collections::BTreeMap<_, _> = committed.rejected.counts.iter().copied().collect();
            if counts != *expected {
                return Err(format!("refused {counts:?}, should have refused {expected:?}"));
            }
        }
        match applied.last().map(|last| (last.seq().0, last.at())) {
            Some(last) if last == (self.truth.shown.seq, self.truth.shown.at) => Ok(()),
            last => Err(format!("the last entry got {last:?}")),
        }
    }

    fn batch(&mut self) -> Batch {
        let mut batch = Batch::new();
        for _ in 0..self.rng.below(12) {
            let n = self.rng.below(self.series).to_string();
            let job = ["a", "b", ""][self.rng.below(3) as usize];
            let name = if self.rng.below(8) == 0 { "other" } else { "m" };
            let labels = labels([("__name__", name), ("n", n.as_str()), ("job", job)]);
            // Of some series mostly histograms, of some now and then.
            let rarely = if n.ends_with('3') { 2 } else { 12 };
            let (mut samples, mut histograms) = (Vec::new(), Vec::new());
            for _ in 0..=self.rng.below(3) {
                let sample = self.sample();
                if self.rng.below(rarely) == 0 {
                    histograms.push(super::histograms::any(&mut self.rng, sample.t));
                } else {
                    samples.push(sample);
                }
            }
            batch.push_mixed(labels, samples, histograms);
        }
        batch
    }

    fn sample(&mut self) -> Sample {
        let rng = &mut self.rng;
        let shift = match rng.below(20) {
            0 => limits::FUTURE_MAX.0 + 1 + rng.below(5) as i64,
            1 => -(rng.below(400_000) as i64),
            2..5 => rng.below(3000) as i64,
            _ => -(rng.below(8) as i64) * 500,
        };
        let v = match rng.below(6) {
            0 => f64::from_bits(STALE_NAN),
            1 => -0.0,
            2 => f64::from_bits(rng.bits()),
            3 => rng.below(10) as f64 / 10.0,
            _ => rng.below(1000) as f64,
        };
        Sample { t: self.now + Millis(shift), v }
    }
}
