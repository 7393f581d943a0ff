//! A window over a selector: for each of its series which samples lie inside.
//!
//! Invariants:
//! - A place tells which samples were inside the window when it was last looked at, and how often one among them was not
//!   at least what the one before it was. It moves on from there: each sample is passed twice, however long the window is.
//! - A slot's alarm is on as long as its value, as those who follow it need to know it, may change without a sample.

use std::hint::black_box;

use crate::model::{Millis, Sample, TimeRange, Timestamp};
use crate::promql::kernel::Resets;

use super::feed::{Feed, HISTOGRAM_NAN, Touched};
use super::guard::Guard;
use super::renumbering::Renumbering;
use super::samples::{View, Window, falls_to};
use super::timers::{Alarms, Timers, earliest};

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
    alarms: Alarms,
    /// How many series have a native histogram in their window, or ahead of it.
    carrying: u32,
    /// Whether several nodes follow it, none of which knows what the others need.
    is_shared: bool,
    changed: Vec<u32>,
    /// Of which samples have come, entered or left in this round.
    moved: Vec<u32>,
}

#[derive(Debug, Default)]
struct Slot {
    guard: Guard,
    place: Place,
    /// Whether it is to be looked at in this round.
    marked: bool,
    /// Whether samples have come, entered or left in this round, as far as it was looked at.
    moved: bool,
    /// Whether one of the samples stands for a native histogram.
    carries: bool,
}

/// Which samples lie in a window, by their positions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Place {
    from: u32,
    to: u32,
    /// How often a sample among them is not at least what the one before it is.
    falls: u32,
}

/// A window of one series as it moves on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glance<'a> {
    samples: View<'a>,
    /// From which times on counting is said to have begun when.
    starts: &'a [(Timestamp, Timestamp)],
    offset: Millis,
    reach: Reach,
    place: Place,
    pub(super) now: Timestamp,
}

impl<'a> Glance<'a> {
    /// The samples inside.
    pub(super) fn window(&self) -> Window<'a> {
        self.samples.window(self.samples.place(self.place.from)..self.samples.place(self.place.to))
    }

    /// From where to where it reaches.
    pub(super) fn range(&self) -> TimeRange {
        let until = self.now - self.offset;
        TimeRange { after: until - self.reach.span(), until }
    }

    /// What is known of resets between the samples inside.
    pub(super) fn resets(&self) -> Resets {
        if self.place.falls == 0 && !self.begins_inside() { Resets::None } else { Resets::Perhaps }
    }

    /// When the counting of each sample inside began, 0 where that is not known; nothing if it makes no difference to
    /// any function, now or later while no sample enters.
    pub(super) fn starts(&self) -> Option<Vec<Timestamp>> {
        let at = |sample: &Sample| {
            let known = self.starts.partition_point(|(from, _)| *from <= sample.t);
            self.starts[..known].last().map_or(Timestamp(0), |(_, start)| *start)
        };
        self.begins_inside().then(|| self.window().whole().iter().map(at).collect())
    }

    /// Whether counting began anew in the window, as far as it is told.
    fn begins_inside(&self) -> bool {
        if self.starts.is_empty() {
            return false;
        }
        let Some((first, last)) = self.window().first().zip(self.window().last()) else { return false };
        let known = self.starts.partition_point(|(from, _)| *from <= first.t);
        let is_before = |(_, start): &(Timestamp, Timestamp)| *start <= self.range().after;
        let begun_before = self.starts[..known].last().is_none_or(is_before);
        !begun_before || self.starts[known..].first().is_some_and(|(from, _)| *from <= last.t)
    }

    /// When the oldest sample leaves.
    pub(super) fn leaves(&self) -> Option<Timestamp> {
        self.window().first().map(|oldest| oldest.t + self.offset + self.reach.span())
    }

    /// When a sample leaves.
    pub(super) fn leaves_at(&self, sample: Sample) -> Timestamp {
        sample.t + self.offset + self.reach.span()
    }

    /// When a sample enters, or has entered.
    pub(super) fn enters_at(&self, sample: Sample) -> Timestamp {
        sample.t + self.offset
    }

    /// When another sample enters.
    pub(super) fn enters(&self) -> Option<Timestamp> {
        self.samples.get(self.samples.place(self.place.to)).map(|next| next.t + self.offset)
    }

    /// The newest sample, if it has not entered yet.
    pub(super) fn ahead(&self) -> Option<Sample> {
        self.samples.newest().filter(|newest| newest.t + self.offset > self.now)
    }

    /// The same window a moment before, if no sample has come or left since.
    pub(super) fn before(mut self) -> Glance<'a> {
        self.now = self.now - Millis(1);
        self
    }

    /// The same window later.
    pub(super) fn later(mut self, now: Timestamp) -> Glance<'a> {
        self.now = now;
        self.advance();
        self
    }

    fn advance(&mut self) {
        let (samples, Place { from, to, mut falls }) = (self.samples, self.place);
        let (mut from, mut to) = (samples.place(from), samples.place(to));
        while let Some(next) = samples.get(to).filter(|next| next.t + self.offset <= self.now) {
            let before = if to > from { samples.get(to - 1) } else { None };
            falls += u32::from(before.is_some_and(|before| falls_to(before, next)));
            to += 1;
        }
        if matches!(self.reach, Reach::Instant(_)) {
            // The older ones are seen no more.
            (from, falls) = (from.max(to.saturating_sub(1)), 0);
        }
        while from < to
            && let Some(first) = samples.get(from).filter(|first| first.t + self.offset + self.reach.span() <= self.now)
        {
            let after = if from + 1 < to { samples.get(from + 1) } else { None };
            falls -= u32::from(after.is_some_and(|after| falls_to(first, after)));
            from += 1;
        }
        self.place = Place { from: samples.position(from), to: samples.position(to), falls };
    }
}

impl Leaf {
    /// A window over a feed without series.
    pub(super) fn new(feed: usize, offset: Millis, reach: Reach) -> Leaf {
        Leaf {
            feed,
            offset,
            reach,
            slots: Vec::new(),
            alarms: Alarms::default(),
            carrying: 0,
            is_shared: false,
            changed: Vec::new(),
            moved: Vec::new(),
        }
    }

    /// Which feed it looks at.
    pub(super) fn feed(&self) -> usize {
        self.feed
    }

    /// Makes room for all series of its feed.
    pub(super) fn grow(&mut self, len: u32) {
        if self.slots.len() < len as usize {
            self.slots.resize_with(len as usize, Slot::default);
            self.alarms.grow(len as usize);
        }
    }

    /// Whether a slot waits for nothing. Between rounds.
    pub(super) fn is_vacant(&self, slot: u32) -> bool {
        !self.alarms.is_on(slot)
    }

    /// Follows the renumbering of the feed's slots. Between rounds.
    pub(super) fn renumber(&mut self, slots: &Renumbering, number: u32, now: Timestamp, timers: &mut Timers) {
        slots.retain(&mut self.slots);
        self.alarms.renumber(slots, number, now, timers);
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

    /// The alarm of a block may have gone off at `t`: those of its series that are due must be looked at in this round.
    pub(super) fn goes_off(&mut self, number: u32, block: u32, t: Timestamp, timers: &mut Timers) -> Touched {
        let (before, slots, changed) = (self.changed.len(), &mut self.slots, &mut self.changed);
        self.alarms.goes_off((number, block), t, timers, |slot| {
            if !std::mem::replace(&mut slots[slot as usize].marked, true) {
                changed.push(slot);
            }
        });
        if before == 0 && !self.changed.is_empty() { Touched::First } else { Touched::Not }
    }

    /// Has a series looked at in this round that got samples, even if none of them is inside the window yet: at which
    /// instants a value that moves is looked at must depend on nothing but samples.
    fn mark(&mut self, slot: u32) -> Touched {
        let own = &mut self.slots[slot as usize];
        if !std::mem::replace(&mut own.moved, true) {
            self.moved.push(slot);
        }
        if std::mem::replace(&mut own.marked, true) {
            return Touched::Not;
        }
        self.changed.push(slot);
        if self.changed.len() == 1 { Touched::First } else { Touched::Not }
    }

    /// The place of a series, as far as its samples were looked at.
    pub(super) fn position(&self, slot: u32) -> u32 {
        self.slots.get(slot as usize).map_or(0, |slot| slot.place.to)
    }

    /// Whether samples of a series have come, entered or left with this round.
    pub(super) fn has_moved(&self, slot: u32) -> bool {
        self.slots[slot as usize].moved
    }

    /// Notes that another node follows it.
    pub(super) fn share(&mut self) {
        self.is_shared = true;
    }

    /// Has a series that got samples looked at in this round, unless its guard lets them pass.
    pub(super) fn take(&mut self, slot: u32, number: u32, feed: &Feed, now: Timestamp, timers: &mut Timers) -> Touched {
        let own = &mut self.slots[slot as usize];
        if !own.marked && !own.guard.is_shut() && !feed.is_disordered(slot) && !feed.has_met_histogram() {
            let newest = feed.newest(slot);
            if let Some(due) = own.guard.pass(newest, self.offset, self.reach.span(), now) {
                self.alarms.put_off(slot);
                self.alarms.advance(slot, due, now, number, timers);
                return Touched::Not;
            }
        }
        self.mark(slot)
    }

    /// Sets the guard of a series that was looked at.
    pub(super) fn guard(&mut self, slot: u32, guard: Guard) {
        self.slots[slot as usize].guard = if self.is_shared { Guard::default() } else { guard };
    }

    /// The window of a series as it was when it was last looked at.
    fn at<'f>(&self, slot: u32, feed: &'f Feed, now: Timestamp) -> Glance<'f> {
        let samples = feed.samples(slot);
        let mut place = self.slots[slot as usize].place;
        let is_lost = |position: u32| samples.place(position) > samples.len();
        if place.falls == 0 && is_lost(place.from) {
            // Whatever is gone had left the window.
            place.from = samples.position(0);
        }
        if is_lost(place.from) || is_lost(place.to) || feed.is_disordered(slot) {
            place = Place { from: samples.position(0), to: samples.position(0), falls: 0 };
        }
        Glance { samples, starts: feed.starts(slot), offset: self.offset, reach: self.reach, place, now }
    }

    /// Looks at the window of a series at `now`.
    pub(super) fn look<'f>(&mut self, slot: u32, feed: &'f Feed, now: Timestamp) -> Glance<'f> {
        let mut glance = self.at(slot, feed, now);
        glance.advance();
        let own = &mut self.slots[slot as usize];
        if own.place != glance.place && !std::mem::replace(&mut own.moved, true) {
            self.moved.push(slot);
        }
        own.place = glance.place;
        if feed.has_met_histogram() {
            let samples = glance.samples;
            let ahead = samples.window(samples.place(glance.place.from)..samples.len()).whole();
            let carries = ahead.iter().any(|s| s.v.to_bits() == HISTOGRAM_NAN);
            self.carrying = self.carrying + u32::from(carries) - u32::from(own.carries);
            own.carries = carries;
        }
        glance
    }

    /// Reads what looks at some series will: they wait for memory together, instead of one after the other.
    pub(super) fn read_ahead(&self, slots: &[u32], feed: &Feed) {
        let place = |slot: &u32| self.slots[*slot as usize].place;
        let series = |slot: &u32| feed.first_position(*slot).wrapping_add(place(slot).from);
        black_box(slots.iter().map(series).fold(0, u32::wrapping_add));
        let ends = |slot: &u32| feed.samples(*slot).read_ahead([place(slot).from, place(slot).to]);
        black_box(slots.iter().map(ends).fold(0, i64::wrapping_add));
    }

    /// Begins to look at a series in a round: those who follow it set the alarm anew.
    pub(super) fn begin(&mut self, slot: u32, number: u32, feed: &Feed, now: Timestamp, timers: &mut Timers) {
        self.alarms.put_off(slot);
        let own = &mut self.slots[slot as usize];
        (own.marked, own.guard) = (false, Guard::default());
        if !feed.has_met_histogram() {
            return;
        }
        let glance = self.look(slot, feed, now);
        if self.slots[slot as usize].carries
            && let Some(due) = earliest(glance.leaves(), glance.enters())
        {
            self.wake(slot, number, due, now, timers);
        }
    }

    /// Has a series looked at in time.
    pub(super) fn wake(&mut self, slot: u32, number: u32, due: Timestamp, now: Timestamp, timers: &mut Timers) {
        self.alarms.advance(slot, due, now, number, timers);
    }

    /// Ends the round.
    pub(super) fn settle(&mut self) {
        self.changed.clear();
        self.moved.drain(..).for_each(|slot| self.slots[slot as usize].moved = false);
    }
}
