//! Answers to range queries that are kept: a dashboard asks for the same range again and again, a few steps later
//! each time, and only the steps that it has not seen are evaluated.
//!
//! Invariants:
//! - The answer is that of evaluating every step, bit for bit, annotations included. Only the bounds on what a query
//!   reads can tell the difference: with less to read, a query may be answered that would have been refused.
//! - Steps are kept that no sample in time can change any more, and reused if nothing late has touched what they
//!   look at since the snapshot that they were computed from. That is asked after the new snapshot is taken, so that
//!   nothing it shows goes unnoticed.
//! - Not kept: expressions without a [`promql::locality`], delayed dropping of names (which looks at
//!   all steps at once), whatever looks at downsampled time or at samples about to be past their retention.
//!
//! Annotations belong to the query as a whole, and it is not known which step gave one. Those of all steps are the
//! union of those of its parts; so what was noted of kept steps must be noted of the new ones again, or the kept steps
//! be all that is asked for. Otherwise everything is evaluated.

mod columns;
mod grid;
mod shelf;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use self::columns::{Columns, StepRange};
use self::grid::Grid;
use self::shelf::{Kept, Key, Shelf};
use super::meter::QueryMeter;
use crate::model::{Millis, TimeRange, Timestamp};
use crate::promql::{self, Answer, EvalError, EvalOptions, Expr, MatrixSeries, NameDropping, Value};
use crate::storage::{MetricSet, Snapshot, Store, Version};

/// The kept answers.
pub(super) struct ResultsCache {
    shelf: Mutex<Shelf>,
    hits: AtomicU64,
    partial_hits: AtomicU64,
    misses: AtomicU64,
    bypassed: AtomicU64,
    invalidated: AtomicU64,
    steps_reused: AtomicU64,
    steps_evaluated: AtomicU64,
}

/// What the cache has done and holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CacheStatus {
    /// Queries that needed no evaluation.
    pub(super) hits: u64,
    /// Queries of which some steps were kept.
    pub(super) partial_hits: u64,
    /// Queries of which every step was evaluated.
    pub(super) misses: u64,
    /// Queries that are not of a kind that is kept.
    pub(super) bypassed: u64,
    /// Kept answers that a late change had cut short when they were asked for.
    pub(super) invalidated: u64,
    pub(super) steps_reused: u64,
    pub(super) steps_evaluated: u64,
    pub(super) evicted: u64,
    pub(super) entries: usize,
    pub(super) bytes: usize,
}

/// A range query.
pub(super) struct RangeAsked<'q> {
    pub(super) text: &'q str,
    pub(super) expr: &'q Expr,
    pub(super) span: (Timestamp, Timestamp),
    pub(super) step: Millis,
    pub(super) options: &'q EvalOptions,
}

/// Evaluates the steps of a range.
type Evaluate<'e> = &'e dyn Fn((Timestamp, Timestamp)) -> Result<Answer, EvalError>;

/// What can be said of a query whose answer may be kept.
struct Plan {
    key: Key,
    steps: StepRange,
    metrics: MetricSet,
    /// How far beyond a step it looks.
    ahead: Millis,
}

/// What of a kept answer is right and asked for.
struct Usable {
    kept: Arc<Kept>,
    /// The last step that is right.
    valid_until: i64,
    reused: StepRange,
}

impl ResultsCache {
    /// Room for so many bytes; none if there is no room.
    pub(super) fn new(bytes_max: u64) -> Option<ResultsCache> {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        (bytes_max > 0).then(|| ResultsCache {
            shelf: Mutex::new(Shelf::new(bytes_max)),
            hits: AtomicU64::new(0),
            partial_hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            bypassed: AtomicU64::new(0),
            invalidated: AtomicU64::new(0),
            steps_reused: AtomicU64::new(0),
            steps_evaluated: AtomicU64::new(0),
        })
    }

    /// The answer of `evaluate` for the whole span, which sees `snapshot`.
    pub(super) fn answer(
        &self,
        asked: &RangeAsked<'_>,
        (store, snapshot): (&Store, &Snapshot),
        meter: &QueryMeter,
        evaluate: Evaluate<'_>,
    ) -> Result<Answer, EvalError> {
        let Some(plan) = plan(asked, snapshot) else {
            self.bypassed.fetch_add(1, Ordering::Relaxed);
            return evaluate(asked.span);
        };
        let found = self.shelf.lock().get(&plan.key);
        let usable = found.and_then(|(kept, version)| self.usable(&plan, store, kept, version));
        let reused = match &usable {
            Some(usable) => answer_from(&plan, asked, usable, evaluate)?,
            None => None,
        };
        let (usable, answer) = match (usable, reused) {
            (Some(usable), Some(answer)) => (Some(usable), answer),
            _ => (None, evaluate(asked.span)?),
        };
        self.count(&plan, usable.as_ref(), meter);
        self.keep(plan, usable, &answer, snapshot);
        Ok(answer)
    }

    /// What of a kept answer is still right.
    fn usable(&self, plan: &Plan, store: &Store, kept: Arc<Kept>, version: Version) -> Option<Usable> {
        let change = store.first_change(version, &plan.metrics);
        let untouched = plan.key.grid.at(change - plan.ahead - Millis(1));
        let valid_until = kept.steps.last.min(untouched);
        if valid_until < kept.steps.last {
            self.invalidated.fetch_add(1, Ordering::Relaxed);
        }
        let there = kept.steps.first <= plan.steps.first && plan.steps.first <= valid_until;
        let reused = StepRange { first: plan.steps.first, last: valid_until.min(plan.steps.last) };
        there.then_some(Usable { kept, valid_until, reused })
    }

    /// Keeps what no sample in time can change any more.
    fn keep(&self, plan: Plan, usable: Option<Usable>, answer: &Answer, snapshot: &Snapshot) {
        let Value::Matrix(series) = &answer.value else { return };
        let (grid, asked) = (plan.key.grid, plan.steps);
        let settled = grid.at(snapshot.settled_until() - plan.ahead).min(asked.last);
        let has_notes = !answer.warnings.is_empty() || !answer.infos.is_empty();
        let (old, first) = match &usable {
            Some(Usable { kept, valid_until, reused }) => {
                let whole = StepRange { first: kept.steps.first, last: asked.last };
                // What another panel with a longer range asks for stays, but not for ever.
                let trimmed = has_notes || whole.count() > 2 * asked.count();
                let first = if trimmed { asked.first } else { kept.steps.first };
                if *valid_until == kept.steps.last && settled <= kept.steps.last && first == kept.steps.first {
                    return self.shelf.lock().confirm(&plan.key, kept, snapshot.version());
                }
                (Some((kept, StepRange { first, last: reused.last })), first)
            }
            None => (None, asked.first),
        };
        // The kept steps before what was asked, and all that were reused, are right; the others are in the answer.
        let last = settled.max(old.map_or(settled, |(_, steps)| steps.last));
        let steps = StepRange { first, last };
        if steps.count() < 2 {
            return;
        }
        let nothing = Columns::default();
        let (columns, from) =
            old.map_or((&nothing, StepRange { first, last: first - 1 }), |(kept, steps)| (&kept.columns, steps));
        let new = StepRange { first: from.last + 1, last };
        let columns = Columns::joined((columns, from), (series, new), grid);
        let (warnings, infos) = (answer.warnings.clone(), answer.infos.clone());
        let kept = Kept { steps, columns, warnings, infos, noted: asked };
        self.shelf.lock().put(plan.key, kept, snapshot.version());
    }

    fn count(&self, plan: &Plan, usable: Option<&Usable>, meter: &QueryMeter) {
        let reused = usable.map_or(0, |usable| usable.reused.count());
        let evaluated = plan.steps.count() - reused;
        let outcome = match (reused, evaluated) {
            (0, _) => &self.misses,
            (_, 0) => &self.hits,
            _ => &self.partial_hits,
        };
        outcome.fetch_add(1, Ordering::Relaxed);
        self.steps_reused.fetch_add(reused, Ordering::Relaxed);
        self.steps_evaluated.fetch_add(evaluated, Ordering::Relaxed);
        meter.count_steps(reused, evaluated);
    }

    /// What it has done and holds.
    pub(super) fn status(&self) -> CacheStatus {
        let of = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let shelf = self.shelf.lock();
        CacheStatus {
            hits: of(&self.hits),
            partial_hits: of(&self.partial_hits),
            misses: of(&self.misses),
            bypassed: of(&self.bypassed),
            invalidated: of(&self.invalidated),
            steps_reused: of(&self.steps_reused),
            steps_evaluated: of(&self.steps_evaluated),
            evicted: shelf.evicted(),
            entries: shelf.len(),
            bytes: shelf.bytes(),
        }
    }
}

/// What has to be known to keep an answer; nothing if it is not of a kind that is kept.
fn plan(asked: &RangeAsked<'_>, snapshot: &Snapshot) -> Option<Plan> {
    let (options, (start, end)) = (asked.options, asked.span);
    if options.name_dropping == NameDropping::Delayed || asked.step <= Millis::ZERO || end < start {
        return None;
    }
    let local = promql::locality(asked.expr, options.lookback)?;
    let grid = Grid::new(start, asked.step);
    let steps = StepRange { first: grid.at(start), last: grid.at(end) };
    let range = TimeRange { after: start - local.back, until: end + local.ahead };
    if !snapshot.keeps_all_after(range.after) || snapshot.resolution(range) > Millis::ZERO {
        return None;
    }
    let EvalOptions { lookback, default_step, start_timestamps, .. } = *options;
    let key = Key { text: asked.text.into(), grid, lookback, default_step, start_timestamps };
    Some(Plan { key, steps, metrics: MetricSet::of(local.selectors), ahead: local.ahead })
}

/// The answer out of kept steps and new ones; nothing if it cannot be told that way.
fn answer_from(
    plan: &Plan,
    asked: &RangeAsked<'_>,
    usable: &Usable,
    evaluate: Evaluate<'_>,
) -> Result<Option<Answer>, EvalError> {
    let Usable { kept, reused, .. } = usable;
    let grid = plan.key.grid;
    let (new, warnings, infos) = if reused.last == plan.steps.last {
        let is_noted = kept.warnings.is_empty() && kept.infos.is_empty() || kept.noted == plan.steps;
        if !is_noted {
            return Ok(None);
        }
        (Vec::new(), kept.warnings.clone(), kept.infos.clone())
    } else {
        match evaluate((grid.time(reused.last + 1), asked.span.1)) {
            Ok(Answer { value: Value::Matrix(new), warnings, infos }) => (new, warnings, infos),
            // The whole range would fare no better.
            Err(error @ (EvalError::Source(_) | EvalError::TooManySamples | EvalError::Busy | EvalError::TimedOut)) => {
                return Err(error);
            }
            // Which fault is met first depends on the range.
            Ok(_) | Err(_) => return Ok(None),
        }
    };
    let again = |kept: &[String], new: &[String]| kept.iter().all(|note| new.contains(note));
    if !again(&kept.warnings, &warnings) || !again(&kept.infos, &infos) {
        return Ok(None);
    }
    let series = kept.columns.answer(*reused, new, grid);
    if series.iter().map(points).sum::<usize>() > asked.options.samples_max {
        return Ok(None);
    }
    Ok(Some(Answer { value: Value::Matrix(series), warnings, infos }))
}

fn points(series: &MatrixSeries) -> usize {
    let histograms = series.histograms.iter().map(|sample| promql::kernel::native_weight(&sample.histogram));
    series.samples.len() + histograms.sum::<usize>()
}
