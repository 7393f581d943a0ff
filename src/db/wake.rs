//! A bell that one thread waits for and others ring.
//!
//! Invariants:
//! - A ring before the wait is not lost.
//! - After [`Bell::close`] nobody waits any more.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// A bell.
#[derive(Default)]
pub(super) struct Bell {
    state: Mutex<State>,
    rung: Condvar,
}

#[derive(Default)]
struct State {
    ringing: bool,
    closed: bool,
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Woken {
    /// Somebody rang, or the time is over.
    GoOn,
    /// The bell is closed for good.
    Closed,
}

impl Bell {
    /// Wakes the waiter, or lets its next wait end at once.
    pub(super) fn ring(&self) {
        self.state.lock().ringing = true;
        self.rung.notify_one();
    }

    /// Wakes the waiter for good.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.rung.notify_all();
    }

    /// Waits for a ring, at most as long as `limit` says.
    pub(super) fn wait(&self, limit: Option<Duration>) -> Woken {
        let mut state = self.state.lock();
        if !state.ringing && !state.closed {
            match limit {
                Some(limit) => {
                    self.rung.wait_for(&mut state, limit);
                }
                None => self.rung.wait(&mut state),
            }
        }
        state.ringing = false;
        if state.closed { Woken::Closed } else { Woken::GoOn }
    }
}
