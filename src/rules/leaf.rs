//! A window over a selector: for each of its series which samples lie inside.
//!
//! Invariants:
//! - A place tells which samples were inside the window when it was last looked at, and how often a counter began anew
//!   among them. It moves on from there: each sample is passed twice, however long the window is.
//! - A slot's alarm is on as long as its value, as those who follow it need to know it, may change without a sample.

use crate::model::{Millis, Sample, TimeRange, Timestamp};
use crate::promql::kernel::{Resets, is_reset};

use super::feed::{Feed, HISTOGRAM_NAN, Touched};
use super::renumbering::Renumbering;
use super::timers::{Alarm, Target, Timers, earliest};

/// How far a selector sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reach {
    /// The newest sample of the lookback.
    Instant(Millis),
    /// All samples of a range.
    Range(Millis),
}

impl Reach {
    /// The length of the window.
    pub(super) fn span(self) -> Millis {
        match self {
            Reach::Instant(span) | Reach::Range(span) => span,
        }
    }
}

/// A window over a selector's series.
#[derive(Debug)]
pub(super) struct Leaf {
    feed: usize,
    offset: Millis,
    reach: Reach,
    slots: Vec<Slot>,
    /// How many series have a native histogram in their window, or ahead of it.
    carrying: u32,
    changed: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    alarm: Alarm,
    place: Place,
    marked: bool,
    /// Whether one of the samples stands for a native histogram.
    carries: bool,
}

/// Which samples lie in a window, by their positions.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    from: u32,
    to: u32,
    /// How often a sample among them is less than the one before it.
    resets: u32,
}

/// A window of one series as it moves on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glance<'a> {
    samples: &'a [Sample],
    base: u32,
    offset: Millis,
    reach: Reach,
    place: Place,
    pub(super) now: Timestamp,
}

impl<'a> Glance<'a> {
    /// The samples inside.
    pub(super) fn window(&self) -> &'a [Sample] {
        let at = |position: u32| position.wrapping_sub(self.base) as usize;
        &self.samples[at(self.place.from)..at(self.place.to)]
    }

    /// From where to where it reaches.
    pub(super) fn range(&self) -> TimeRange {
        let until = self.now - self.offset;
        TimeRange { after: until - self.reach.span(), until }
    }

    /// What is known of resets between the samples inside.
    pub(super) fn resets(&self) -> Resets {
        if self.place.resets == 0 { Resets::None } else { Resets::Perhaps }
    }

    /// When the oldest sample leaves.
    pub(super) fn leaves(&self) -> Option<Timestamp> {
        self.window().first().map(|oldest| oldest.t + self.offset + self.reach.span())
    }

    /// When another sample enters.
    pub(super) fn enters(&self) -> Option<Timestamp> {
        self.samples.get(self.place.to.wrapping_sub(self.base) as usize).map(|next| next.t + self.offset)
    }

    /// The same window later.
    pub(super) fn later(mut self, now: Timestamp) -> Glance<'a> {
        self.now = now;
        self.advance();
        self
    }

    fn advance(&mut self) {
        let Place { from, to, mut resets } = self.place;
        let at = |position: u32| position.wrapping_sub(self.base) as usize;
        let (mut from, mut to) = (at(from), at(to));
        while let Some(next) = self.samples.get(to).filter(|next| next.t + self.offset <= self.now) {
            resets += u32::from(to > from && is_reset(self.samples[to - 1], *next));
            to += 1;
        }
        if matches!(self.reach, Reach::Instant(_)) {
            // The older ones are seen no more.
            (from, resets) = (from.max(to.saturating_sub(1)), 0);
        }
        while from < to && self.samples[from].t + self.offset + self.reach.span() <= self.now {
            resets -= u32::from(from + 1 < to && is_reset(self.samples[from], self.samples[from + 1]));
            from += 1;
        }
        let position = |at: usize| self.base.wrapping_add(at as u32);
        self.place = Place { from: position(from), to: position(to), resets };
    }
}

impl Leaf {
    /// A window over a feed without series.
    pub(super) fn new(feed: usize, offset: Millis, reach: Reach) -> Leaf {
        Leaf { feed, offset, reach, slots: Vec::new(), carrying: 0, changed: Vec::new() }
    }

    /// Which feed it looks at.
    pub(super) fn feed(&self) -> usize {
        self.feed
    }

    /// Makes room for all series of its feed.
    pub(super) fn grow(&mut self, len: u32) {
        let slot = || Slot { alarm: Alarm::OFF, place: Place::default(), marked: false, carries: false };
        self.slots.resize_with(len as usize, slot);
    }

    /// Whether a slot waits for nothing. Between rounds.
    pub(super) fn is_vacant(&self, slot: u32) -> bool {
        self.slots.get(slot as usize).is_none_or(|slot| !slot.alarm.is_on())
    }

    /// Follows the renumbering of the feed's slots. Between rounds.
    pub(super) fn renumber(&mut self, slots: &Renumbering) {
        slots.retain(&mut self.slots);
    }

    /// The slots to be looked at in this round.
    pub(super) fn changed(&self) -> &[u32] {
        &self.changed
    }

    /// How many slots it knows.
    #[cfg(test)]
    pub(super) fn len(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Whether the values of some samples in the windows are native histograms. Holds once every series that
    /// changed was looked at with [`Leaf::look`].
    pub(super) fn carries_histograms(&self) -> bool {
        self.carrying > 0
    }

    /// Whether an alarm that may have gone off is due; then its series must be looked at in this round.
    pub(super) fn goes_off(&mut self, slot: u32, due: Timestamp, target: Target, timers: &mut Timers) -> Touched {
        if !timers.goes_off(&mut self.slots[slot as usize].alarm, due, target) {
            return Touched::Not;
        }
        self.mark(slot)
    }

    /// Has a series looked at in this round. Of one that got samples even if none of them is inside the window yet: at
    /// which instants a value that moves is looked at must depend on nothing but samples.
    pub(super) fn mark(&mut self, slot: u32) -> Touched {
        if std::mem::replace(&mut self.slots[slot as usize].marked, true) {
            return Touched::Not;
        }
        self.changed.push(slot);
        if self.changed.len() == 1 { Touched::First } else { Touched::Not }
    }

    /// The window of a series as it was when it was last looked at.
    fn at<'f>(&self, slot: u32, feed: &'f Feed, now: Timestamp) -> Glance<'f> {
        let (samples, base) = feed.samples(slot);
        let mut place = self.slots[slot as usize].place;
        let is_lost = |position: u32| position.wrapping_sub(base) as usize > samples.len();
        if is_lost(place.from) || is_lost(place.to) || feed.is_disordered(slot) {
            place = Place { from: base, to: base, resets: 0 };
        }
        Glance { samples, base, offset: self.offset, reach: self.reach, place, now }
    }

    /// Looks at the window of a series at `now`.
    pub(super) fn look<'f>(&mut self, slot: u32, feed: &'f Feed, now: Timestamp) -> Glance<'f> {
        let mut glance = self.at(slot, feed, now);
        glance.advance();
        let own = &mut self.slots[slot as usize];
        own.place = glance.place;
        if feed.has_met_histogram() {
            let ahead = &glance.samples[glance.place.from.wrapping_sub(glance.base) as usize..];
            let carries = ahead.iter().any(|s| s.v.to_bits() == HISTOGRAM_NAN);
            self.carrying = self.carrying + u32::from(carries) - u32::from(own.carries);
            own.carries = carries;
        }
        glance
    }

    /// Begins to look at a series in a round: those who follow it set the alarm anew.
    pub(super) fn begin(&mut self, slot: u32, number: u32, feed: &Feed, now: Timestamp, timers: &mut Timers) {
        let own = &mut self.slots[slot as usize];
        own.alarm.put_off();
        own.marked = false;
        if !feed.has_met_histogram() {
            return;
        }
        let glance = self.look(slot, feed, now);
        if self.slots[slot as usize].carries
            && let Some(due) = earliest(glance.leaves(), glance.enters())
        {
            self.wake(slot, number, due, timers);
        }
    }

    /// Has a series looked at in time.
    pub(super) fn wake(&mut self, slot: u32, number: u32, due: Timestamp, timers: &mut Timers) {
        timers.advance(&mut self.slots[slot as usize].alarm, due, || Target::Series { leaf: number, slot });
    }

    /// Ends the round.
    pub(super) fn settle(&mut self) {
        self.changed.clear();
    }
}
