//! What happens because time passes, in the order of time.
//!
//! Invariants:
//! - The owner of a target keeps the instant for which it is armed and passes it to every call;
//!   a target that was armed anew is recognised by that and ignored when its old instant comes.
//! - A bucket lives as long as one target is still armed for it, so the earliest bucket is the
//!   earliest deadline, exactly for alerts and groups.
//! - The deadlines of series move with nearly every sample, and mostly back: an [`Alarm`] stays where it is set, and is set anew when it comes too early. Nothing is decided at an instant at which one came too early.
//!
//! The series of one scrape share their timestamps and so their deadlines: there are as many
//! buckets as there are targets and windows, not as there are series. A sorted map of buckets
//! knows the earliest deadline exactly, where a hashed wheel would have to search one slot for it
//! after each transaction.

use std::collections::BTreeMap;

use crate::model::{Labels, Timestamp};

/// What is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// The window of a series must be looked at.
    Series { leaf: u32, slot: u32 },
    /// A node follows the time of day.
    Node { node: u32 },
    /// `for` or `keep_firing_for` of an alert is over.
    Alert { rule: u32, labels: Labels },
    /// A group's interval is over.
    Group { group: u32 },
}

/// When a series is due, as its owner keeps it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Alarm {
    /// When it is due; the end of time if it is not.
    due: Timestamp,
    /// When it goes off, not after it is due; the end of time if it is not set.
    set: Timestamp,
}

impl Alarm {
    /// One that is not due.
    pub(super) const OFF: Alarm = Alarm { due: Timestamp::MAX, set: Timestamp::MAX };

    /// Makes it due at no time, for the moment.
    pub(super) fn put_off(&mut self) {
        self.due = Timestamp::MAX;
    }

    /// Whether it is due at some time.
    pub(super) fn is_on(self) -> bool {
        self.due < Timestamp::MAX
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

    /// Notes when an alarm is due.
    pub(super) fn set(&mut self, alarm: &mut Alarm, due: Option<Timestamp>, target: impl FnOnce() -> Target) {
        alarm.due = due.unwrap_or(Timestamp::MAX);
        if alarm.due >= alarm.set {
            return;
        }
        if let Some(bucket) = self.soft.get_mut(&alarm.set) {
            bucket.armed -= 1;
            if bucket.armed == 0 {
                self.soft.remove(&alarm.set);
            }
        }
        let bucket = self.soft.entry(alarm.due).or_default();
        bucket.armed += 1;
        bucket.targets.push(target());
        alarm.set = alarm.due;
    }

    /// Makes an alarm due at `due`, unless it is earlier.
    pub(super) fn advance(&mut self, alarm: &mut Alarm, due: Timestamp, target: impl FnOnce() -> Target) {
        if due < alarm.due {
            self.set(alarm, Some(due), target);
        }
    }

    /// An alarm may have gone off at `t`: whether it is due. One that came too early is set anew.
    pub(super) fn goes_off(&mut self, alarm: &mut Alarm, t: Timestamp, target: Target) -> bool {
        if alarm.set != t {
            return false;
        }
        alarm.set = Timestamp::MAX;
        if alarm.due == t {
            alarm.due = Timestamp::MAX;
            return true;
        }
        let due = alarm.is_on().then_some(alarm.due);
        self.set(alarm, due, || target);
        false
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

    /// Gives targets other numbers; those that `rename` refuses are armed no more.
    pub(super) fn rename(&mut self, rename: impl Fn(&mut Target) -> bool) {
        for bucket in self.soft.values_mut() {
            bucket.targets.retain_mut(&rename);
        }
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
    fn an_alarm_that_is_put_off_is_set_anew_when_it_comes() {
        let mut timers = Timers::default();
        let (mut alarm, target) = (Alarm::OFF, Target::Series { leaf: 0, slot: 0 });
        let set = |timers: &mut Timers, alarm: &mut Alarm, due: i64| {
            timers.set(alarm, (due > 0).then_some(Timestamp(due)), || target.clone());
        };
        [10, 20, 30].into_iter().for_each(|due| set(&mut timers, &mut alarm, due));
        assert_eq!((timers.next_step(), timers.size()), (Some(Timestamp(10)), 1));
        let fire = |timers: &mut Timers, alarm: &mut Alarm, t: i64| {
            let (due, targets) = timers.pop(Timestamp(t)).unwrap();
            let gone: Vec<bool> = targets.into_iter().map(|target| timers.goes_off(alarm, due, target)).collect();
            (due.0, gone)
        };
        assert_eq!(fire(&mut timers, &mut alarm, 10), (10, vec![false]));
        assert_eq!(timers.next_step(), Some(Timestamp(30)));
        set(&mut timers, &mut alarm, 25);
        assert_eq!(timers.next_step(), Some(Timestamp(25)), "what comes sooner is not missed");
        set(&mut timers, &mut alarm, 40);
        set(&mut timers, &mut alarm, 25);
        assert_eq!(fire(&mut timers, &mut alarm, 25), (25, vec![true]));
        assert!(timers.pop(Timestamp(100)).is_none() && !alarm.is_on());
        set(&mut timers, &mut alarm, 50);
        set(&mut timers, &mut alarm, 0);
        assert_eq!(fire(&mut timers, &mut alarm, 50), (50, vec![false]));
        assert!(timers.next_step().is_none());
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
