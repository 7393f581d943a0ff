//! Which queries were over in a moment when they were last asked: a dashboard asks the same again, and for
//! those the way to another thread and back would take longer than the query.
//!
//! Invariants:
//! - At most one query runs as a quick one, and only for [`LONGEST`]: what holds an async thread any longer is
//!   begun anew on the queries' own threads.
//! - What is remembered takes the same memory however many queries there are.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::env::Clock;
use crate::promql::Deadline;

/// What a query may have taken to count as quick: some times what two changes of threads cost. The writing of an
/// answer's part holds an async thread about as long.
const QUICK: Duration = Duration::from_micros(2500);
/// Where a quick query that takes longer this time gives up.
const LONGEST: Duration = Duration::from_millis(6);
/// Queries that are remembered: the panels of many dashboards.
const REMEMBERED: usize = 4096;

/// The queries that were quick.
#[derive(Debug)]
pub(super) struct QuickQueries {
    hasher: RandomState,
    /// Identities of quick queries, each at its place; another one may take it.
    known: Vec<AtomicU64>,
    running: AtomicBool,
}

/// The identity of a question: its text, and how many points are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(u64);

/// The leave to run as a quick query; the next one may have it when this is dropped.
#[derive(Debug)]
pub(super) struct QuickTurn<'q>(&'q AtomicBool);

impl Drop for QuickTurn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl QuickQueries {
    /// None is known.
    pub(super) fn new() -> QuickQueries {
        let known = std::iter::repeat_with(AtomicU64::default).take(REMEMBERED).collect();
        QuickQueries { hasher: RandomState::new(), known, running: AtomicBool::new(false) }
    }

    /// The identity of a question.
    pub(super) fn identify(&self, text: &str, points: i64) -> Identity {
        // Zero stands for no query at all.
        Identity(self.hasher.hash_one((text, points)) | 1)
    }

    /// A turn, if the query was quick and no other one has it.
    pub(super) fn turn(&self, query: Identity) -> Option<QuickTurn<'_>> {
        if self.place(query).load(Ordering::Relaxed) != query.0 || self.running.swap(true, Ordering::Acquire) {
            return None;
        }
        Some(QuickTurn(&self.running))
    }

    /// Remembers how long a query took.
    pub(super) fn note(&self, query: Identity, took: Duration) {
        let place = self.place(query);
        if took <= QUICK {
            place.store(query.0, Ordering::Relaxed);
        } else {
            // Another one's memory stays.
            let _ = place.compare_exchange(query.0, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    fn place(&self, query: Identity) -> &AtomicU64 {
        &self.known[(query.0 >> 1) as usize % self.known.len()]
    }
}

/// The deadline of a quick query that begins now; it is also over when the query's own is.
pub(super) fn soon(clock: Arc<dyn Clock>, own: Deadline) -> Deadline {
    let ends = clock.elapsed() + LONGEST;
    Deadline::new(move || own.has_passed() || clock.elapsed() >= ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::ManualClock;

    #[test]
    fn quick_queries_are_known_until_they_are_slow() {
        let quick = QuickQueries::new();
        let (one, other) = (quick.identify("up", 1), quick.identify("up", 241));
        assert_ne!(one, other);
        assert!(quick.turn(one).is_none(), "nothing is known of it");
        quick.note(one, Duration::from_micros(300));
        assert!(quick.turn(other).is_none());
        let turn = quick.turn(one);
        assert!(turn.is_some() && quick.turn(one).is_none(), "one at a time");
        drop(turn);
        assert!(quick.turn(one).is_some());
        quick.note(one, Duration::from_millis(3));
        assert!(quick.turn(one).is_none());
    }

    #[test]
    fn a_quick_query_gives_up_soon() {
        let clock = Arc::new(ManualClock::new(0));
        let (never, over) = (Deadline::new(|| false), Deadline::new(|| true));
        let deadline = soon(clock.clone(), never);
        assert!(!deadline.has_passed());
        clock.advance(5);
        assert!(!deadline.has_passed());
        clock.advance(1);
        assert!(deadline.has_passed());
        assert!(soon(clock, over).has_passed());
    }
}
