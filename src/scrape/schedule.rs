//! When a target is due: spread over the interval, always at the same place of it.
//!
//! Invariants:
//! - A target's place depends on nothing but the target, so that a restart keeps its rhythm.

use std::hash::Hasher;
use std::sync::Arc;
use std::time::Duration;

use siphasher::sip::SipHasher13;
use tokio::sync::Notify;

use crate::env::Clock;
use crate::model::{Labels, Millis, Timestamp};

/// A scrape that begins this late still gets the instant at which it was due: evenly spaced
/// timestamps compress far better. Prometheus allows the same.
const LATE_MAX: Millis = Millis(2);
/// The longest sleep without a look at the clock, which may have been set.
const NAP_MAX: Duration = Duration::from_secs(10);

/// The rhythm of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rhythm {
    interval: Millis,
    offset: Millis,
}

impl Rhythm {
    pub(super) fn new(interval: Millis, url: &str, labels: &Labels) -> Rhythm {
        let interval = interval.max(Millis(1));
        let mut hasher = SipHasher13::new_with_keys(0x6576_656e_6b65_656c, 0);
        hasher.write(url.as_bytes());
        hasher.write(labels.as_text().as_bytes());
        let offset = Millis((hasher.finish() % interval.0.unsigned_abs()).cast_signed());
        Rhythm { interval, offset }
    }

    /// The first instant after `now` at which it is due.
    pub(super) fn next(&self, now: Timestamp) -> Timestamp {
        let into = Millis((now.0.wrapping_sub(self.offset.0)).rem_euclid(self.interval.0));
        now + (self.interval - into)
    }

    /// When it is due after `due`. A scrape that took longer than the interval is made up for at
    /// once, but only one of those that were missed.
    pub(super) fn following(&self, due: Timestamp, now: Timestamp) -> Timestamp {
        let following = self.next(due);
        if now - following < self.interval { following } else { self.next(now - self.interval) }
    }

    /// The timestamp of a scrape that was due at `due` and begins at `now`.
    pub(super) fn stamp(&self, due: Timestamp, now: Timestamp) -> Timestamp {
        let late = now - due;
        let close = Millis::ZERO <= late && late <= LATE_MAX.min(Millis(self.interval.0 / 100));
        if close { due } else { now }
    }
}

/// Waiting for an instant of a clock that may run fast, be set, or stand still until told to move.
#[derive(Clone)]
pub(super) struct Timer {
    clock: Arc<dyn Clock>,
    moved: Arc<Notify>,
}

impl Timer {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Timer {
        Timer { clock, moved: Arc::new(Notify::new()) }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp(self.clock.now_ms())
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Wakes everybody who waits, to look at the clock again.
    pub(super) fn clock_moved(&self) {
        self.moved.notify_waiters();
    }

    /// Waits until `due` and says when it was due after all: sooner, if the clock is set back.
    pub(super) async fn wait(&self, rhythm: Rhythm, mut due: Timestamp) -> Timestamp {
        loop {
            // Listen before looking, or a move between the two would be missed.
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if self.now() >= due {
                return due;
            }
            // The clock was set back: the next place in the rhythm is nearer now.
            due = due.min(rhythm.next(self.now()));
            match self.clock.real_wait_until(due.0) {
                Some(wait) => tokio::select! {
                    () = tokio::time::sleep(wait.min(NAP_MAX)) => {}
                    () = moved => {}
                },
                None => moved.await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_spread_and_keep_their_place() {
        let mut places = std::collections::HashSet::new();
        for i in 0..100 {
            let rhythm = Rhythm::new(Millis::seconds(15), &format!("http://host-{i}/metrics"), &Labels::empty());
            let first = rhythm.next(Timestamp(1_000_000));
            assert!(first > Timestamp(1_000_000) && first <= Timestamp(1_015_000));
            assert_eq!(rhythm.next(first), first + Millis::seconds(15));
            assert_eq!(rhythm.next(first + Millis(-1)), first);
            assert_eq!(rhythm.next(first + Millis(14_999)), first + Millis::seconds(15));
            assert_eq!(rhythm.following(first, first), first + Millis::seconds(15));
            assert_eq!(rhythm.following(first, first + Millis::seconds(20)), first + Millis::seconds(15));
            assert_eq!(rhythm.following(first, first + Millis::seconds(50)), first + Millis::seconds(45));
            places.insert(first.0 / 1000);
        }
        assert!(places.len() > 12, "{places:?}");
    }

    #[test]
    fn a_slightly_late_scrape_has_the_due_timestamp() {
        let rhythm = Rhythm::new(Millis::seconds(15), "u", &Labels::empty());
        let due = Timestamp(100_000);
        assert_eq!(rhythm.stamp(due, Timestamp(100_002)), due);
        assert_eq!(rhythm.stamp(due, Timestamp(100_003)), Timestamp(100_003));
        assert_eq!(rhythm.stamp(due, Timestamp(99_999)), Timestamp(99_999));
        let fast = Rhythm::new(Millis(100), "u", &Labels::empty());
        assert_eq!(fast.stamp(due, Timestamp(100_002)), Timestamp(100_002));
    }
}
