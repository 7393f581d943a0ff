//! Long queries take turns, so that however many there are, writers and short queries find a processor.
//!
//! Invariant: a query that has run for [`LONG`] goes on only with a turn, which it keeps until it ends.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::env::Clock;
use crate::promql::Deadline;

/// A dashboard's queries are over by then.
const LONG: Duration = Duration::from_millis(250);
/// How often one that waits for its turn looks whether its time is over.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The turns of one database.
#[derive(Debug)]
pub(super) struct Turns {
    free: Mutex<usize>,
    freed: Condvar,
}

impl Turns {
    /// So many at once, at least one.
    pub(super) fn new(turns: usize) -> Arc<Turns> {
        Arc::new(Turns { free: Mutex::new(turns.max(1)), freed: Condvar::new() })
    }

    /// Waits for a turn; nothing if `over` says so before.
    fn wait(self: &Arc<Turns>, over: &dyn Fn() -> bool) -> Option<Turn> {
        let mut free = self.free.lock();
        while *free == 0 {
            if over() {
                return None;
            }
            self.freed.wait_for(&mut free, LOOK_EVERY);
        }
        *free -= 1;
        Some(Turn(Arc::clone(self)))
    }

    /// The deadline of a query that begins now, at which it also waits for its turn once it is long.
    pub(super) fn deadline(self: &Arc<Turns>, deadline: Option<Deadline>, clock: Arc<dyn Clock>) -> Deadline {
        let (turns, begun) = (Arc::clone(self), clock.elapsed());
        let turn: Mutex<Option<Turn>> = Mutex::new(None);
        Deadline::new(move || {
            let over = || deadline.as_ref().is_some_and(Deadline::has_passed);
            if over() {
                return true;
            }
            if clock.elapsed() - begun < LONG {
                return false;
            }
            // Whoever else works for this query waits here, too.
            let mut turn = turn.lock();
            if turn.is_none() {
                *turn = turns.wait(&over);
            }
            turn.is_none()
        })
    }
}

/// A turn; the next one has it when this is dropped.
struct Turn(Arc<Turns>);

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.free.lock() += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::env::ManualClock;

    #[test]
    fn long_queries_go_one_after_the_other() {
        let (turns, clock) = (Turns::new(1), Arc::new(ManualClock::new(0)));
        let impatient = Arc::new(AtomicBool::new(false));
        let gives_up = Arc::clone(&impatient);
        let first = turns.deadline(None, clock.clone());
        let patience = Deadline::new(move || gives_up.load(Ordering::Relaxed));
        let second = turns.deadline(Some(patience), clock.clone());
        assert!(!first.has_passed() && !second.has_passed(), "both are short");
        assert_eq!(*turns.free.lock(), 1);
        clock.advance(1000);
        assert!(!first.has_passed());
        assert_eq!(*turns.free.lock(), 0, "the first one has the turn");
        impatient.store(true, Ordering::Relaxed);
        assert!(second.has_passed(), "the other gets none before its time is over");
        impatient.store(false, Ordering::Relaxed);
        drop(first);
        assert!(!second.has_passed());
        drop(second);
        assert_eq!(*turns.free.lock(), 1);
    }
}
