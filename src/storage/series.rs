//! What the writer knows of each series: its newest sample, and where the log explains it.
//!
//! Invariant: there is one state for each number that the index has given out.

use crate::model::limits::FUTURE_MAX;
use crate::model::{Millis, Rejection, Sample, SeriesRef, Timestamp};

use super::index::slot;

/// What is known of one series.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SeriesState {
    /// Its newest sample, by its value's bits.
    newest: Option<(Timestamp, u64)>,
    /// Whether that is the newest of all, blocks included.
    settled: bool,
    /// Whether the log or a series file says which labels its number stands for.
    pub(super) explained: bool,
    /// Whether upper layers have been told its labels.
    pub(super) met: bool,
    /// The group of entries in which it was saved for taking back.
    pub(super) saved_in: u64,
}

impl SeriesState {
    /// Takes note of a sample.
    pub(super) fn see(&mut self, sample: Sample) {
        if self.newest.is_none_or(|(t, _)| t < sample.t) {
            self.newest = Some((sample.t, sample.v.to_bits()));
        }
    }

    /// Whether the newest sample is known, blocks included.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Takes over what another state of the series knows of its newest sample.
    pub(super) fn know(&mut self, other: &SeriesState) {
        (self.newest, self.settled) = (other.newest, other.settled);
    }

    /// From now on, no block has a newer sample.
    pub(super) fn settle(&mut self) {
        self.settled = true;
    }

    /// The time of the newest sample.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.newest.map(|(t, _)| t)
    }
}

/// All states, by number.
#[derive(Debug, Default)]
pub(super) struct SeriesStates {
    states: Vec<SeriesState>,
}

impl SeriesStates {
    /// The numbers that the log or a series file explains, in order.
    pub(super) fn explained(&self) -> impl Iterator<Item = u32> {
        (0..).zip(&self.states).filter(|(_, state)| state.explained).map(|(number, _)| number)
    }

    /// The state of a series; one that has none yet gets an empty one.
    pub(super) fn entry(&mut self, series: SeriesRef) -> &mut SeriesState {
        let slot = slot(series);
        if self.states.len() <= slot {
            self.states.resize(slot + 1, SeriesState::default());
        }
        &mut self.states[slot]
    }

    /// The state of a series.
    pub(super) fn get(&self, series: SeriesRef) -> Option<&SeriesState> {
        self.states.get(slot(series))
    }

    /// Forgets every state from number `next` on.
    pub(super) fn truncate(&mut self, next: u32) {
        self.states.truncate(next as usize);
    }
}

/// What becomes of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is stored.
    Store,
    /// It is stored unless there is one at its instant already.
    StoreLate,
    /// It is there already, bit for bit.
    Known,
    /// It is refused.
    Refuse(Rejection),
}

/// The bounds that samples are held to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Samples at or before this are too old.
    pub(super) too_old: Timestamp,
    /// Samples after this are too far ahead.
    pub(super) far_future: Timestamp,
    /// How much older than its series' newest a sample may be.
    pub(super) out_of_order: Millis,
}

impl Bounds {
    /// The bounds at log time `at`.
    pub(super) fn new(at: Timestamp, retention: Millis, out_of_order: Millis) -> Bounds {
        Bounds { too_old: at - retention, far_future: at + FUTURE_MAX, out_of_order }
    }

    /// What becomes of a sample of a series in this state.
    pub(super) fn decide(&self, state: Option<&SeriesState>, sample: Sample) -> Decision {
        if sample.t > self.far_future {
            return Decision::Refuse(Rejection::FarFuture);
        }
        if sample.t <= self.too_old {
            return Decision::Refuse(Rejection::TooOld);
        }
        match state.and_then(|state| state.newest) {
            Some((newest, bits)) if sample.t == newest && bits == sample.v.to_bits() => Decision::Known,
            Some((newest, _)) if sample.t == newest => Decision::Refuse(Rejection::Duplicate),
            Some((newest, _)) if sample.t < newest => {
                let within = newest - sample.t <= self.out_of_order;
                if within { Decision::StoreLate } else { Decision::Refuse(Rejection::OutOfOrder) }
            }
            _ => Decision::Store,
        }
    }
}
