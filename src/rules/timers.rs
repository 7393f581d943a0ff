//! What happens because time passes, in the order of time.
//!
//! Invariants:
//! - The owner of a target keeps the instant for which it is armed and passes it to every call;
//!   a target that was armed anew is recognised by that and ignored when its old instant comes.
//! - A bucket lives as long as one target is still armed for it, so the earliest bucket is the
//!   earliest deadline, exactly for alerts and groups.
//! - The deadlines of series move with nearly every sample, and mostly back. So series that lie side by
//!   side share an alarm, which stays where it is set and is set anew when it comes too early. Nothing is decided at an
//!   instant at which one came too early.
//!
//! The series of one scrape share their timestamps and so their deadlines: there are as many
//! buckets as there are targets and windows, not as there are series. A sorted map of buckets
//! knows the earliest deadline exactly, where a hashed wheel would have to search one slot for it
//! after each transaction.

use std::collections::BTreeMap;

use crate::model::{Labels, Timestamp};

use super::renumbering::Renumbering;

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// The windows of some series of a block must be looked at.
    Series { leaf: u32, block: u32 },
    /// A node follows the time of day.
    Node { node: u32 },
    /// `for` or `keep_firing_for` of an alert is over.
    Alert { rule: u32, labels: Labels },
    /// A group's interval is over.
    Group { group: u32 },
}

/// How many series share an alarm.
const BLOCK: usize = 64;

/// When series are due that lie side by side, as their owner keeps it.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    /// Of each series when it is due; the end of time if it is not.
    due: Vec<Timestamp>,
    /// Of each block when its alarm goes off, not after one of its series is due; the end of time if it is not set.
    set: Vec<Timestamp>,
}

impl Alarms {
    /// Makes room for so many series.
    pub(super) fn grow(&mut self, len: usize) {
        self.due.resize(len, Timestamp::MAX);
        self.set.resize(len.div_ceil(BLOCK), Timestamp::MAX);
    }

    /// How many series there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    /// Makes a series due at no time, for the moment.
    pub(super) fn put_off(&mut self, slot: u32) {
        self.due[slot as usize] = Timestamp::MAX;
    }

    /// Whether a series is due at some time.
    pub(super) fn is_on(&self, slot: u32) -> bool {
        self.due.get(slot as usize).is_some_and(|due| *due < Timestamp::MAX)
    }

    /// Makes a series due at `due`, unless it is earlier.
    pub(super) fn advance(&mut self, slot: u32, due: Timestamp, now: Timestamp, leaf: u32, timers: &mut Timers) {
        let own = &mut self.due[slot as usize];
        if due < *own {
            *own = due;
            let block = slot as usize / BLOCK;
            if due < self.set[block] {
                timers.advance(&mut self.set[block], due, now, || Target::Series { leaf, block: block as u32 });
            }
        }
    }

    /// The alarm of a block may have gone off at `t`: gives those of its series to `each` that are due.
    pub(super) fn goes_off(
        &mut self,
        (leaf, block): (u32, u32),
        t: Timestamp,
        timers: &mut Timers,
        mut each: impl FnMut(u32),
    ) {
        let at = block as usize;
        if self.set.get(at) != Some(&t) {
            return;
        }
        let mut next = Timestamp::MAX;
        let slots = at * BLOCK..self.due.len().min((at + 1) * BLOCK);
        for (due, slot) in self.due[slots.clone()].iter_mut().zip(slots) {
            if *due <= t {
                *due = Timestamp::MAX;
                each(slot as u32);
            }
            next = next.min(*due);
        }
        self.set[at] = Timestamp::MAX;
        if next < Timestamp::MAX {
            timers.advance(&mut self.set[at], next, t, || Target::Series { leaf, block });
        }
    }

    /// Follows the renumbering of the series.
    pub(super) fn renumber(&mut self, slots: &Renumbering, leaf: u32, now: Timestamp, timers: &mut Timers) {
        slots.retain(&mut self.due);
        self.set.drain(..).for_each(|set| timers.disarm(set));
        let due = std::mem::take(&mut self.due);
        self.grow(due.len());
        due.iter().zip(0..).for_each(|(due, slot)| self.advance(slot, *due, now, leaf, timers));
    }
}

/// All deadlines.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// Must be met to the millisecond.
    hard: BTreeMap<Timestamp, Bucket>,
    /// Are worked off at their own instants, but may be noticed later.
    soft: BTreeMap<Timestamp, Bucket>,
}

#[derive(Debug, Default)]
struct Bucket {
    armed: usize,
    targets: Vec<Target>,
}

/// Soft deadlines wait for the next multiple of this many milliseconds, so that a thousand
/// windows that move on do not make a thousand log entries.
const SOFT_STEP_MS: i64 = 1000;

/// Alarms go off at multiples of this many milliseconds. Less, and there are as many instants as series; more, and many
/// find at such an instant that a series will only be due: its next sample comes shortly before, mostly.
const ALARM_STEP_MS: i64 = 50;

impl Timers {
    /// Arms a target for `due`, or disarms it; `armed` is what the owner keeps.
    pub(super) fn arm(
        &mut self,
        armed: &mut Option<Timestamp>,
        due: Option<Timestamp>,
        target: impl FnOnce() -> Target,
    ) {
        if *armed == due {
            return;
        }
        let target = target();
        let hard = matches!(target, Target::Alert { .. } | Target::Group { .. });
        let buckets = if hard { &mut self.hard } else { &mut self.soft };
        if let Some(old) = *armed
            && let Some(bucket) = buckets.get_mut(&old)
        {
            bucket.armed -= 1;
            if bucket.armed == 0 {
                buckets.remove(&old);
            }
        }
        if let Some(due) = due {
            let bucket = buckets.entry(due).or_default();
            bucket.armed += 1;
            bucket.targets.push(target);
        }
        *armed = due;
    }

    /// Has an alarm go off earlier: at `due`, or shortly before, at an instant that many share.
    fn advance(&mut self, set: &mut Timestamp, due: Timestamp, now: Timestamp, target: impl FnOnce() -> Target) {
        self.disarm(*set);
        let early = Timestamp(due.0.div_euclid(ALARM_STEP_MS).saturating_mul(ALARM_STEP_MS));
        *set = if early > now { early } else { due };
        let bucket = self.soft.entry(*set).or_default();
        bucket.armed += 1;
        bucket.targets.push(target());
    }

    /// Has an alarm go off no more.
    fn disarm(&mut self, set: Timestamp) {
        if let Some(bucket) = self.soft.get_mut(&set) {
            bucket.armed -= 1;
            if bucket.armed == 0 {
                self.soft.remove(&set);
            }
        }
    }

    /// Takes out the targets of the earliest deadline that is not after `now`.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<(Timestamp, Vec<Target>)> {
        let due = self.next_step().filter(|due| *due <= now)?;
        let mut targets = self.hard.remove(&due).unwrap_or_default().targets;
        targets.append(&mut self.soft.remove(&due).unwrap_or_default().targets);
        Some((due, targets))
    }

    /// How many targets it keeps.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.hard.values().chain(self.soft.values()).map(|bucket| bucket.targets.len()).sum()
    }

    /// The earliest deadline.
    pub(super) fn next_step(&self) -> Option<Timestamp> {
        earliest(first(&self.hard), first(&self.soft))
    }

    /// When somebody should come back at the latest.
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let soft = first(&self.soft).map(|t| Timestamp(round_up(t.0)));
        earliest(first(&self.hard), soft)
    }
}

/// Whether an instant is a whole soft step.
pub(super) fn is_soft_step(now: Timestamp) -> bool {
    now.0 % SOFT_STEP_MS == 0
}

/// The next whole soft step after `now`.
pub(super) fn next_soft_step(now: Timestamp) -> Timestamp {
    Timestamp(round_up(now.0.saturating_add(1)))
}

fn round_up(t: i64) -> i64 {
    t.div_euclid(SOFT_STEP_MS).saturating_add(i64::from(t.rem_euclid(SOFT_STEP_MS) > 0)).saturating_mul(SOFT_STEP_MS)
}

fn first(buckets: &BTreeMap<Timestamp, Bucket>) -> Option<Timestamp> {
    buckets.first_key_value().map(|(due, _)| *due)
}

/// The earlier of two deadlines that may not exist.
pub(super) fn earliest(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_deadline_is_exact_when_targets_move() {
        let mut timers = Timers::default();
        let (mut a, mut b) = (None, None);
        let node = |node| move || Target::Node { node };
        timers.arm(&mut a, Some(Timestamp(1500)), node(1));
        timers.arm(&mut b, Some(Timestamp(1700)), node(2));
        assert_eq!(timers.next_step(), Some(Timestamp(1500)));
        assert_eq!(timers.next_deadline(), Some(Timestamp(2000)));
        timers.arm(&mut a, Some(Timestamp(9000)), node(1));
        assert_eq!(timers.next_step(), Some(Timestamp(1700)));
        timers.arm(&mut b, None, node(2));
        assert_eq!(timers.pop(Timestamp(8999)), None);
        assert_eq!(timers.pop(Timestamp(9000)), Some((Timestamp(9000), vec![Target::Node { node: 1 }])));
        assert_eq!(timers.next_step(), None);
    }

    #[test]
    fn alarms_that_are_put_off_are_set_anew_when_they_come() {
        let (mut timers, mut alarms) = (Timers::default(), Alarms::default());
        alarms.grow(100);
        let fire = |timers: &mut Timers, alarms: &mut Alarms, t: i64| {
            let (due, targets) = timers.pop(Timestamp(t)).unwrap();
            let mut gone = Vec::new();
            for target in targets {
                let Target::Series { leaf, block } = target else { panic!("{target:?}") };
                alarms.goes_off((leaf, block), due, timers, |slot| gone.push(slot));
            }
            (due.0, gone)
        };
        let set = |timers: &mut Timers, alarms: &mut Alarms, slot: u32, due: i64| {
            alarms.put_off(slot);
            alarms.advance(slot, Timestamp(due), Timestamp(10), 0, timers);
        };
        [(3, 30), (4, 20), (80, 25), (4, 40)].into_iter().for_each(|(s, t)| set(&mut timers, &mut alarms, s, t));
        assert_eq!((timers.next_step(), timers.size()), (Some(Timestamp(20)), 2), "one for each block");
        assert_eq!(fire(&mut timers, &mut alarms, 20), (20, vec![]));
        assert_eq!(fire(&mut timers, &mut alarms, 25), (25, vec![80]));
        assert_eq!(timers.next_step(), Some(Timestamp(30)));
        set(&mut timers, &mut alarms, 5, 28);
        assert_eq!(fire(&mut timers, &mut alarms, 30), (28, vec![5]), "what comes sooner is not missed");
        alarms.put_off(3);
        assert_eq!(fire(&mut timers, &mut alarms, 30), (30, vec![]));
        assert_eq!(fire(&mut timers, &mut alarms, 40), (40, vec![4]));
        assert!(timers.next_step().is_none() && !(0..100).any(|slot| alarms.is_on(slot)));
        set(&mut timers, &mut alarms, 7, 3720);
        assert_eq!(fire(&mut timers, &mut alarms, 4000), (3700, vec![]), "for all that are due soon after");
        assert_eq!(fire(&mut timers, &mut alarms, 4000), (3720, vec![7]));
    }

    #[test]
    fn alarms_follow_the_renumbering_of_their_series() {
        let (mut timers, mut alarms) = (Timers::default(), Alarms::default());
        alarms.grow(200);
        (0..200).for_each(|slot| alarms.advance(slot, Timestamp(500 + i64::from(slot)), Timestamp(0), 0, &mut timers));
        alarms.renumber(&Renumbering::new(200, |slot| slot >= 150), 0, Timestamp(0), &mut timers);
        assert_eq!((alarms.len(), timers.next_step()), (50, Some(Timestamp(650))));
        let (due, targets) = timers.pop(Timestamp(650)).unwrap();
        let mut gone = Vec::new();
        assert_eq!(targets, [Target::Series { leaf: 0, block: 0 }]);
        alarms.goes_off((0, 0), due, &mut timers, |slot| gone.push(slot));
        assert_eq!((gone, timers.next_step()), (vec![0], Some(Timestamp(651))));
    }

    #[test]
    fn alerts_are_met_to_the_millisecond() {
        let mut timers = Timers::default();
        let mut armed = None;
        timers.arm(&mut armed, Some(Timestamp(1234)), || Target::Group { group: 0 });
        assert_eq!(timers.next_deadline(), Some(Timestamp(1234)));
        assert_eq!(next_soft_step(Timestamp(1000)), Timestamp(2000));
        assert_eq!(next_soft_step(Timestamp(1001)), Timestamp(2000));
        assert_eq!(next_soft_step(Timestamp(-1)), Timestamp(0));
    }
}
