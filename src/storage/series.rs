//! What the writer knows of each series: its newest sample, and who has been told of it.
//!
//! Invariant: there is one state for each series of the index, and for those of the group at hand.

use crate::model::limits::FUTURE_MAX;
use crate::model::{Millis, Rejection, Sample, SeriesRef, Timestamp};

use super::pages::{PAGE, Pages, place, series_at};

/// What is known of one series.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SeriesState {
    /// Its newest sample, by its value's bits, if it has one.
    t: Timestamp,
    bits: u64,
    present: bool,
    sampled: bool,
    /// Whether the newest is a native histogram, which has no such bits.
    histogram: bool,
    /// Whether that is the newest of all, blocks included.
    settled: bool,
    /// Whether the log or a series file says which labels its number stands for.
    pub(super) explained: bool,
    /// Whether upper layers have been told its labels.
    pub(super) met: bool,
    /// Fingerprints that lead to it besides that of its labels.
    pub(super) aliases: u8,
    /// The kind of its metric for those who ask what has changed; zero until that was needed.
    pub(super) bucket: u8,
}

/// What stands at an instant of a series.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seen {
    /// A sample.
    Number(Sample),
    /// A native histogram.
    Histogram(Timestamp),
}

impl Seen {
    /// When.
    pub(super) fn t(&self) -> Timestamp {
        match self {
            Seen::Number(sample) => sample.t,
            Seen::Histogram(t) => *t,
        }
    }
}

impl SeriesState {
    /// Takes note of a sample.
    pub(super) fn see(&mut self, sample: Sample) {
        if !self.sampled || self.t < sample.t {
            self.sampled = true;
            self.histogram = false;
            (self.t, self.bits) = (sample.t, sample.v.to_bits());
        }
    }

    /// Takes note of a native histogram.
    pub(super) fn see_histogram(&mut self, t: Timestamp) {
        if !self.sampled || self.t < t {
            (self.sampled, self.histogram) = (true, true);
            (self.t, self.bits) = (t, 0);
        }
    }

    /// Takes note of either.
    pub(super) fn see_any(&mut self, seen: Seen) {
        match seen {
            Seen::Number(sample) => self.see(sample),
            Seen::Histogram(t) => self.see_histogram(t),
        }
    }

    /// What was known of its newest sample is deleted; this one is left in the head, and of blocks nothing
    /// is known.
    pub(super) fn forget_newest(&mut self, left: Option<Seen>) {
        self.sampled = false;
        self.settled = false;
        left.into_iter().for_each(|seen| self.see_any(seen));
    }

    /// Whether the newest sample is known, blocks included.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Takes over what another state of the series knows of its newest sample.
    pub(super) fn know(&mut self, other: &SeriesState) {
        (self.t, self.bits, self.histogram) = (other.t, other.bits, other.histogram);
        (self.sampled, self.settled) = (other.sampled, other.settled);
    }

    /// From now on, no block has a newer sample.
    pub(super) fn settle(&mut self) {
        self.settled = true;
    }

    /// The time of the newest sample.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.sampled.then_some(self.t)
    }
}

/// All states, by number.
#[derive(Debug, Default)]
pub(super) struct SeriesStates {
    pages: Pages<StatePage>,
}

#[derive(Debug)]
struct StatePage {
    states: [SeriesState; PAGE],
    present: usize,
}

impl SeriesStates {
    /// The numbers that the log or a series file explains, in order.
    pub(super) fn explained(&self) -> impl Iterator<Item = u32> {
        let states = self.pages.iter().flat_map(|(page, found)| {
            found.states.iter().enumerate().map(move |(at, state)| (series_at(page, at), state))
        });
        states.filter(|(_, state)| state.explained).map(|(series, _)| series.0 as u32)
    }

    /// The first page of states from this number on: its number, and the states of its series.
    pub(super) fn page_from(&self, page: usize) -> Option<(usize, impl Iterator<Item = (SeriesRef, &SeriesState)>)> {
        let page = self.pages.first_from(page)?;
        let states = self.pages.get(page)?.states.iter().enumerate().filter(|(_, state)| state.present);
        Some((page, states.map(move |(at, state)| (series_at(page, at), state))))
    }

    /// The state of a series; one that has none yet gets an empty one.
    pub(super) fn entry(&mut self, series: SeriesRef) -> &mut SeriesState {
        let (page, at) = place(series);
        let empty = || StatePage { states: [SeriesState::default(); PAGE], present: 0 };
        let page = self.pages.entry(page, empty);
        let state = &mut page.states[at];
        page.present += usize::from(!state.present);
        state.present = true;
        state
    }

    /// The state of a series.
    pub(super) fn get(&self, series: SeriesRef) -> Option<&SeriesState> {
        let (page, at) = place(series);
        self.pages.get(page).map(|page| &page.states[at]).filter(|state| state.present)
    }

    /// The same for changing it.
    pub(super) fn get_mut(&mut self, series: SeriesRef) -> Option<&mut SeriesState> {
        let (page, at) = place(series);
        self.pages.get_mut(page).map(|page| &mut page.states[at]).filter(|state| state.present)
    }

    /// Forgets the state of a series; its number is not given out again.
    pub(super) fn remove(&mut self, series: SeriesRef) {
        let (number, at) = place(series);
        let Some(page) = self.pages.get_mut(number) else { return };
        page.present -= usize::from(page.states[at].present);
        page.states[at] = SeriesState::default();
        if page.present == 0 {
            self.pages.remove(number);
        }
    }
}

/// What becomes of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is stored.
    Store,
    /// It is stored unless there is something at its instant already, which has to be looked at.
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
    pub(super) fn new(at: Timestamp, too_old: Timestamp, out_of_order: Millis) -> Bounds {
        Bounds { too_old, far_future: at + FUTURE_MAX, out_of_order }
    }

    /// What becomes of a sample of a series in this state.
    pub(super) fn decide(&self, state: Option<&SeriesState>, sample: Sample) -> Decision {
        if sample.t > self.far_future {
            return Decision::Refuse(Rejection::FarFuture);
        }
        if sample.t <= self.too_old {
            return Decision::Refuse(Rejection::TooOld);
        }
        let Some(state) = state.filter(|state| state.newest().is_some_and(|newest| sample.t <= newest)) else {
            return Decision::Store;
        };
        if sample.t < state.t {
            let within = state.t - sample.t <= self.out_of_order;
            return if within { Decision::StoreLate } else { Decision::Refuse(Rejection::OutOfOrder) };
        }
        let same = state.bits == sample.v.to_bits() && !state.histogram;
        if same { Decision::Known } else { Decision::Refuse(Rejection::Duplicate) }
    }

    /// What becomes of a native histogram at `t` of a series in this state.
    pub(super) fn decide_histogram(&self, state: Option<&SeriesState>, t: Timestamp) -> Decision {
        // It is held to the bounds of a sample, whatever its value.
        match self.decide(state, Sample { t, v: 0.0 }) {
            Decision::Known | Decision::Refuse(Rejection::Duplicate) => match state {
                // A state does not say which histogram it has seen.
                Some(state) if state.histogram => Decision::StoreLate,
                _ => Decision::Refuse(Rejection::Duplicate),
            },
            decision => decision,
        }
    }

    /// What becomes of either.
    pub(super) fn decide_any(&self, state: Option<&SeriesState>, arriving: Seen) -> Decision {
        match arriving {
            Seen::Number(sample) => self.decide(state, sample),
            Seen::Histogram(t) => self.decide_histogram(state, t),
        }
    }
}
