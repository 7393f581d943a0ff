//! Plays history through the evaluator.
//!
//! Invariants:
//! - Samples come in the order of their times; between two instants every deadline of the rules is a tick at its own
//!   instant, as the database logs them.
//! - What is decided does not depend on how history is cut into stretches, nor on who plays which part.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::model::{Batch, Committed, Millis, TimeRange, Timestamp, Transition, limits};
use crate::promql::{SeriesSamples, SeriesSource, SourceError, Until, Workers};
use crate::rules::{Evaluator, Outcome, RuleContext, RuleError, RuleGroup};

use super::ahead::{Ahead, NotAhead};
use super::history::{History, weight};
use super::plan::{Part, is_made, parts};

/// Parts that rules are cut into: more than most machines have processors, so that these end at about the same time.
const PARTS: usize = 16;
/// The first stretch of history that is read at once; it grows and shrinks with what it holds.
const STRETCH: Millis = Millis::hours(6);
const STRETCH_MIN: Millis = Millis::minutes(1);
const STRETCH_MAX: Millis = Millis::days(4);
/// Samples of one stretch of one part: 16 MB.
const STRETCH_SAMPLES_MAX: usize = 1_000_000;
/// Rounds of recorded series that lead to recorded series at one instant, as in the database.
const DERIVED_ROUNDS_MAX: usize = 8;

/// What to play.
pub struct Backtest<'a> {
    /// The rules.
    pub groups: &'a [RuleGroup],
    /// What they may refer to.
    pub context: &'a RuleContext,
    /// The history.
    pub source: &'a dyn SeriesSource,
    /// Decisions after its beginning and until its end are told.
    pub range: TimeRange,
    /// Who shares the work; absent: the caller does all of it.
    pub workers: Option<&'a Workers>,
    /// Whether what is queried at an interval is computed a stretch at a time.
    pub ahead: ComputeAhead,
}

/// How rules are computed that are queried at their group's interval. It changes nothing but the time that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ComputeAhead {
    /// A stretch of history at a time, where a rule sees the same that way.
    #[default]
    WherePossible,
    /// At each instant as it is played.
    Never,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Progress {
    /// The part of the work that is done, from 0 to 1.
    pub share: f64,
    /// Samples that were played.
    pub samples: u64,
}

/// What the rules decided.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Played {
    /// Changes of alerts, those before the range too that began less than the longest `for` before it, in the order of time.
    pub transitions: Vec<Transition>,
    /// Samples that were played, or computed with; one that several parts read counts for each.
    pub samples: u64,
    /// Samples that rules recorded.
    pub recorded: u64,
    /// Parts that were played beside each other.
    pub parts: usize,
    /// Rules that were computed ahead of the play.
    pub ahead: usize,
}

/// Why nothing could be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BacktestError {
    /// A rule cannot be used.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The history cannot be read.
    #[error("the history cannot be read: {0}")]
    Source(#[from] SourceError),
    /// A minute of the history is more than is held in memory.
    #[error("a minute of what the rules read is more than {limit} samples; name fewer series in their selectors")]
    TooMuch {
        /// The limit.
        limit: usize,
    },
}

impl Backtest<'_> {
    /// Plays the history; `progress` is told now and then, by whoever plays.
    ///
    /// # Errors
    /// A rule cannot be used, or the history cannot be read.
    pub fn run(&self, progress: &(dyn Fn(Progress) + Sync)) -> Result<Played, BacktestError> {
        let parts = parts(self.groups, PARTS);
        let next = AtomicUsize::new(0);
        let state = Mutex::new((vec![0.0f64; parts.len()], 0u64));
        let results: Mutex<Vec<Option<Result<Played, BacktestError>>>> = Mutex::new(vec![None; parts.len()]);
        let work = |_| {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(part) = parts.get(at) else { return };
                let tell = |share: f64, samples: u64| {
                    let mut state = state.lock();
                    state.0[at] = share;
                    state.1 += samples;
                    let share = state.0.iter().sum::<f64>() / parts.len() as f64;
                    progress(Progress { share, samples: state.1 });
                };
                let played = self.play(part, &tell);
                results.lock()[at] = Some(played);
            }
        };
        match self.workers {
            Some(workers) => workers.run(parts.len(), &work),
            None => work(0),
        }
        let mut all = Played { parts: parts.len(), ..Played::default() };
        for played in results.into_inner().into_iter().flatten() {
            let played = played?;
            all.transitions.extend(played.transitions);
            all.samples += played.samples;
            all.recorded += played.recorded;
            all.ahead += played.ahead;
        }
        // Parts are in an order of their own; at one instant alerts are told in the order of their labels.
        all.transitions.sort_by(|a, b| (a.at, &a.alert.labels).cmp(&(b.at, &b.alert.labels)));
        Ok(all)
    }

    fn play(&self, part: &Part, tell: &dyn Fn(f64, u64)) -> Result<Played, BacktestError> {
        let told = Cell::new(0);
        let first = |share: f64, samples: u64| {
            told.set(told.get() + samples);
            tell(share, samples);
        };
        if self.ahead == ComputeAhead::WherePossible {
            match self.play_with(part, ComputeAhead::WherePossible, &first)? {
                Ok(played) => return Ok(played),
                Err(NotAhead) => tracing::debug!("rules are queried one instant after the other"),
            }
        }
        // What was told already is not told again.
        let again = |share: f64, samples: u64| {
            let before = told.get().min(samples);
            told.set(told.get() - before);
            tell(share, samples - before);
        };
        match self.play_with(part, ComputeAhead::Never, &again)? {
            Ok(played) => Ok(played),
            // Nothing was computed ahead.
            Err(NotAhead) => Ok(Played::default()),
        }
    }

    fn play_with(
        &self,
        part: &Part,
        how: ComputeAhead,
        tell: &dyn Fn(f64, u64),
    ) -> Result<Result<Played, NotAhead>, BacktestError> {
        let begin = self.range.after - part.lead;
        let mut player = Player {
            evaluator: Evaluator::new(part.groups.clone(), self.context.clone())?,
            history: History::new(begin),
            played: Played::default(),
        };
        player.evaluator.seed(begin, &Until(self.source, begin))?;
        let mut ahead = match how {
            ComputeAhead::WherePossible => Ahead::of(part, &mut player.evaluator),
            ComputeAhead::Never => Ahead::default(),
        };
        player.played.ahead = ahead.count();
        // What rules look back to at the beginning is read, and not played.
        let mut read_after = begin - part.reach;
        let mut at = begin;
        let mut stretch = STRETCH;
        let whole = (self.range.until - begin).0.max(1) as f64;
        while at < self.range.until {
            let end = (at + stretch).min(self.range.until);
            let series = match self.read(part, TimeRange { after: read_after, until: end }, begin) {
                Err(BacktestError::Source(SourceError::TooManySamples { .. })) if stretch > STRETCH_MIN => {
                    stretch = Millis(stretch.0 / 2).max(STRETCH_MIN);
                    continue;
                }
                Err(BacktestError::Source(SourceError::TooManySamples { limit })) => {
                    return Err(BacktestError::TooMuch { limit });
                }
                other => other?,
            };
            if weight(&series) < STRETCH_SAMPLES_MAX / 4 {
                stretch = Millis(stretch.0 * 2).min(STRETCH_MAX);
            }
            let samples: u64 = series.into_iter().map(|one| player.history.load(one, begin)).sum();
            let Player { history, evaluator, .. } = &mut player;
            match ahead.compute(part, (at, end), history, evaluator) {
                Ok(recorded) => player.played.recorded += recorded,
                Err(not) => return Ok(Err(not)),
            }
            player.play_until(end);
            player.played.samples += samples;
            let gone = player.history.forget(end - part.reach);
            player.evaluator.retire(&gone);
            player.evaluator.tidy();
            (at, read_after) = (end, end);
            tell((end - begin).0 as f64 / whole, samples);
        }
        Ok(Ok(player.played))
    }

    /// What the rules read of a stretch, each series once; of what they make, only what was there before they were
    /// played.
    fn read(&self, part: &Part, range: TimeRange, begin: Timestamp) -> Result<Vec<SeriesSamples>, BacktestError> {
        let mut all: Vec<SeriesSamples> = Vec::new();
        let mut left = STRETCH_SAMPLES_MAX;
        for matchers in &part.selectors {
            let too_many = SourceError::TooManySamples { limit: STRETCH_SAMPLES_MAX };
            let found = self.source.select(matchers, range, left)?;
            left = left.checked_sub(weight(&found)).ok_or(too_many)?;
            all.extend(found);
        }
        all.sort_by(|a, b| a.labels.cmp(&b.labels));
        all.dedup_by(|a, b| a.labels == b.labels);
        for series in &mut all {
            if is_made(&series.labels, &part.made) {
                series.samples.retain(|sample| sample.t <= begin);
                series.histograms.retain(|sample| sample.t <= begin);
            }
        }
        all.retain(|series| !series.samples.is_empty() || !series.histograms.is_empty());
        Ok(all)
    }
}

/// A part that is played.
struct Player {
    evaluator: Evaluator,
    history: History,
    played: Played,
}

impl Player {
    fn play_until(&mut self, end: Timestamp) {
        let Player { history, evaluator, .. } = self;
        history.begin(&|labels| evaluator.follows(labels));
        loop {
            let next = self.history.next_at().filter(|t| *t <= end);
            self.pass_time(next.unwrap_or(end));
            let Some(committed) = self.history.next(end) else { return };
            self.history.now = self.history.now.max(committed.at);
            self.observe(&committed);
        }
    }

    /// Every deadline until `until` is a tick at its own instant.
    fn pass_time(&mut self, until: Timestamp) {
        while let Some(due) = self.evaluator.next_deadline().filter(|due| *due <= until) {
            let last = self.history.now;
            // After a long silence of samples nothing is fresh, and the present comes at once, as after an outage.
            let at = if due <= last + limits::RULE_LATE_MAX { due.max(last) } else { due };
            self.history.now = at;
            let seq = self.history.next_seq();
            let outcome = self.evaluator.tick(seq, at, &self.history);
            self.take(outcome);
        }
    }

    fn observe(&mut self, committed: &Committed) {
        let outcome = self.evaluator.observe(committed, &self.history);
        self.take(outcome);
    }

    /// What was decided is kept; what was made is a transaction of its own.
    fn take(&mut self, outcome: Outcome) {
        self.played.transitions.extend(outcome.transitions);
        let mut derived: Batch = outcome.derived;
        for _ in 0..DERIVED_ROUNDS_MAX {
            if derived.is_empty() {
                return;
            }
            let committed = self.history.store(&derived);
            self.played.recorded += (committed.samples.len() + committed.histograms.len()) as u64;
            let outcome = self.evaluator.observe(&committed, &self.history);
            self.played.transitions.extend(outcome.transitions);
            derived = outcome.derived;
        }
    }
}
