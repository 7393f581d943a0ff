//! Which queries run: how many at once, how many wait, and how much of memory each may take.
//!
//! Invariants:
//! - At most [`QueryOptions::at_once`] questions run side by side, each with at most
//!   [`QueryOptions::samples_small`] samples, and beside them one large one with up to
//!   [`QueryOptions::samples_max`]. So all queries together hold at most
//!   `at_once × samples_small + samples_max` samples, whatever is asked.
//! - A question that finds too many waiting is told so at once; one that waits gives up with its
//!   own timeout, or when its peer goes.
//! - Queries run on threads of their own with a lower priority than those that store samples, so
//!   that however many there are, they take only what ingestion leaves. One that was over in a moment when
//!   it was last asked runs where it was received, while no write and no other query is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::db::{Db, QueryError, QueryMeter};
use crate::env::{Clock, lower_thread_priority};
use crate::model::{Millis, limits};
use crate::promql::{Deadline, EvalError, EvalOptions, SourceError, StartTimestamps};

use super::bridge::Bridge;
use super::envelope::{ApiError, ErrorType};
use super::query_counts::{Outcome, QueryCounts};
use super::quick::{self, Identity, QuickQueries};

/// How queries are taken in.
#[derive(Debug, Clone)]
pub struct QueryOptions {
    /// Questions that run side by side.
    pub at_once: usize,
    /// Questions that may wait for their turn.
    pub waiting_max: usize,
    /// Time that one query may take, its waiting included.
    pub timeout: Millis,
    /// How far back an instant selector looks for a sample.
    pub lookback: Millis,
    /// Samples up to which queries run side by side.
    pub samples_small: usize,
    /// Samples that a query may hold; those above `samples_small` run one at a time.
    pub samples_max: usize,
    /// A query that takes longer is logged; zero logs none.
    pub slow: Millis,
    /// Whether queries look at when the counting of samples began.
    pub start_timestamps: StartTimestamps,
}

impl Default for QueryOptions {
    fn default() -> QueryOptions {
        QueryOptions {
            at_once: limits::QUERIES_AT_ONCE_MAX,
            waiting_max: limits::QUERIES_WAITING_MAX,
            timeout: limits::QUERY_TIMEOUT,
            lookback: limits::LOOKBACK,
            samples_small: limits::QUERY_SAMPLES_SMALL,
            samples_max: limits::QUERY_SAMPLES_MAX,
            slow: limits::QUERY_SLOW,
            start_timestamps: StartTimestamps::Ignored,
        }
    }
}

/// Admits queries and runs them.
pub(super) struct Queries {
    options: QueryOptions,
    places: Arc<Semaphore>,
    large: Arc<Semaphore>,
    waiting: AtomicUsize,
    counts: QueryCounts,
    quick: QuickQueries,
    clock: Arc<dyn Clock>,
    pool: Pool,
}

/// What is asked, and under which limits.
pub(super) struct Asked {
    /// How the log names it.
    pub(super) text: String,
    /// How many instants are asked for.
    pub(super) points: i64,
    pub(super) lookback: Millis,
    pub(super) deadline: Deadline,
    /// When the deadline comes, on the clock.
    pub(super) ends: Duration,
}

/// An answer and what it took.
pub(super) struct Ran<T> {
    pub(super) answer: T,
    pub(super) stats: QueryStats,
    /// The place of a large query; to be kept until its answer is sent.
    pub(super) held: Option<LargePlace>,
}

/// A place among the large queries; given back when dropped.
pub(super) struct LargePlace(#[expect(dead_code, reason = "held, never read")] OwnedSemaphorePermit);

/// What a query took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct QueryStats {
    pub(super) queued: Duration,
    pub(super) reading: Duration,
    pub(super) total: Duration,
    pub(super) samples: u64,
    /// Steps of a range that were kept from an earlier query, and steps that were evaluated.
    pub(super) steps: (u64, u64),
}

impl Queries {
    pub(super) fn new(options: QueryOptions, clock: Arc<dyn Clock>) -> Queries {
        Queries {
            places: Arc::new(Semaphore::new(options.at_once)),
            large: Arc::new(Semaphore::new(1)),
            waiting: AtomicUsize::new(0),
            counts: QueryCounts::default(),
            quick: QuickQueries::new(),
            pool: Pool::new(options.at_once + 1),
            clock,
            options,
        }
    }

    pub(super) fn options(&self) -> &QueryOptions {
        &self.options
    }

    pub(super) fn counts(&self) -> &QueryCounts {
        &self.counts
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn running(&self) -> usize {
        let large = 1 - self.large.available_permits().min(1);
        self.options.at_once.saturating_sub(self.places.available_permits()) + large
    }

    /// Runs a query: at once if it is known to be quick, else side by side with others while it is small, else
    /// alone among the large ones.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        db: &Db,
        bridge: &Bridge,
        asked: Asked,
        query: impl Fn(&Db, &EvalOptions, &QueryMeter) -> Result<T, QueryError> + Send + Sync + 'static,
    ) -> Result<Result<Ran<T>, QueryError>, ApiError> {
        let begun = self.clock.elapsed();
        let mut watch = Watch { counts: &self.counts, ended: false };
        let identity = self.quick.identify(&asked.text, asked.points);
        if !bridge.is_writing()
            && let Some(ran) = self.run_here(db, &asked, identity, &query)
        {
            watch.ended = true;
            return Ok(ran);
        }
        let query = Arc::new(query);
        let meter = Arc::new(QueryMeter::default());
        let evaluate = |samples_max: usize, place: OwnedSemaphorePermit| {
            let options = EvalOptions {
                lookback: asked.lookback,
                samples_max,
                start_timestamps: self.options.start_timestamps,
                deadline: Some(asked.deadline.clone()),
                ..EvalOptions::default()
            };
            let (db, query, meter) = (db.clone(), Arc::clone(&query), Arc::clone(&meter));
            let clock = Arc::clone(&self.clock);
            self.pool.run(move || {
                let begun = clock.elapsed();
                let result = query(&db, &options, &meter);
                (result, place, clock.elapsed().saturating_sub(begun))
            })
        };
        let place = self.wait_for(&self.places, asked.ends).await?;
        let mut queued = self.clock.elapsed().saturating_sub(begun);
        let small = self.options.samples_small.min(self.options.samples_max);
        let (mut result, mut place, mut took) = evaluate(small, place).await?;
        let mut held = None;
        if is_too_large(&result) && small < self.options.samples_max {
            drop(place);
            let waits = self.clock.elapsed();
            place = self.wait_for(&self.large, asked.ends).await?;
            queued += self.clock.elapsed().saturating_sub(waits);
            (result, place, took) = evaluate(self.options.samples_max, place).await?;
            held = Some(LargePlace(place));
        } else {
            drop(place);
        }
        let total = self.clock.elapsed().saturating_sub(begun);
        let (samples, reading) = meter.read();
        let stats = QueryStats { queued, reading, total, samples, steps: meter.steps() };
        watch.ended = true;
        self.quick.note(identity, took);
        self.note(&asked.text, &stats, &result);
        Ok(result.map(|answer| Ran { answer, stats, held }))
    }

    /// Runs a query on this thread if it was quick the last time and nothing else is under way. Nothing: it is
    /// to be run elsewhere.
    fn run_here<T>(
        &self,
        db: &Db,
        asked: &Asked,
        identity: Identity,
        query: &impl Fn(&Db, &EvalOptions, &QueryMeter) -> Result<T, QueryError>,
    ) -> Option<Result<Ran<T>, QueryError>> {
        let _turn = if self.running() == 0 { self.quick.turn(identity) } else { None }?;
        let _place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let (begun, meter) = (self.clock.elapsed(), QueryMeter::default());
        let options = EvalOptions {
            lookback: asked.lookback,
            samples_max: self.options.samples_small.min(self.options.samples_max),
            start_timestamps: self.options.start_timestamps,
            deadline: Some(quick::soon(Arc::clone(&self.clock), asked.deadline.clone())),
            workers: db.quick_workers(),
            ..EvalOptions::default()
        };
        let result = query(db, &options, &meter);
        let total = self.clock.elapsed().saturating_sub(begun);
        self.quick.note(identity, total);
        let too_long = matches!(result, Err(QueryError::Eval(EvalError::TimedOut)));
        if too_long || is_too_large(&result) {
            return None;
        }
        let (samples, reading) = meter.read();
        let steps = meter.steps();
        let stats = QueryStats { queued: Duration::ZERO, reading, total, samples, steps };
        self.note(&asked.text, &stats, &result);
        Some(result.map(|answer| Ran { answer, stats, held: None }))
    }

    /// Runs a question about stored series on a query's place.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let ends = self.clock.elapsed() + self.options.timeout.to_std();
        let place = self.wait_for(&self.places, ends).await?;
        let (result, place) = self.pool.run(move || (work(), place)).await?;
        drop(place);
        Ok(result)
    }

    async fn wait_for(&self, places: &Arc<Semaphore>, ends: Duration) -> Result<OwnedSemaphorePermit, ApiError> {
        if let Ok(place) = Arc::clone(places).try_acquire_owned() {
            return Ok(place);
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.options.waiting_max {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.counts.refused();
            let text = format!("{} queries wait for their turn already; try again later", self.options.waiting_max);
            return Err(ApiError::new(ErrorType::TooManyRequests, text));
        }
        let _turn = Turn(&self.waiting);
        let left = ends.saturating_sub(self.clock.elapsed());
        match tokio::time::timeout(left, Arc::clone(places).acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(ApiError::new(ErrorType::Unavailable, "the server is stopping")),
            Err(_) => Err(ApiError::new(ErrorType::Timeout, "query timed out in query queue")),
        }
    }

    /// Counts a query that has ended, and logs it if it was slow.
    fn note<T>(&self, text: &str, stats: &QueryStats, result: &Result<T, QueryError>) {
        let outcome = match result {
            Ok(_) => Outcome::Answered,
            Err(QueryError::Eval(EvalError::TimedOut)) => Outcome::TimedOut,
            Err(_) if is_too_large(result) => Outcome::TooLarge,
            Err(_) => Outcome::Failed,
        };
        self.counts.ended(outcome, stats);
        let slow = self.options.slow.to_std();
        if slow > Duration::ZERO && stats.total >= slow {
            self.counts.slow();
            let shown = &text[..text.floor_char_boundary(limits::QUERY_LOGGED_BYTES_MAX)];
            tracing::warn!(
                query = shown,
                seconds = stats.total.as_secs_f64(),
                queued = stats.queued.as_secs_f64(),
                reading = stats.reading.as_secs_f64(),
                samples = stats.samples,
                outcome = outcome.as_str(),
                "a slow query"
            );
        }
    }
}

fn is_too_large<T>(result: &Result<T, QueryError>) -> bool {
    matches!(
        result,
        Err(QueryError::Eval(EvalError::TooManySamples | EvalError::Source(SourceError::TooManySamples { .. })))
    )
}

/// One among those that wait.
struct Turn<'a>(&'a AtomicUsize);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Notices a query that is dropped before its end: its peer has gone.
struct Watch<'a> {
    counts: &'a QueryCounts,
    ended: bool,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.counts.abandoned();
        }
    }
}

/// Threads for questions, of lower priority.
struct Pool(Option<Runtime>);

impl Pool {
    fn new(threads: usize) -> Pool {
        let built = tokio::runtime::Builder::new_current_thread()
            .max_blocking_threads(threads)
            .thread_name("query")
            .on_thread_start(lower_thread_priority)
            .build();
        if let Err(error) = &built {
            tracing::warn!("queries share their threads with writes, own ones cannot be made: {error}");
        }
        Pool(built.ok())
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let done = match &self.0 {
            Some(own) => own.spawn_blocking(work),
            None => tokio::task::spawn_blocking(work),
        };
        match done.await {
            Ok(result) => Ok(result),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(ApiError::new(ErrorType::Unavailable, "the server is stopping")),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(own) = self.0.take() {
            own.shutdown_background();
        }
    }
}
