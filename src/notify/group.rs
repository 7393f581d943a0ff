//! A group: alerts of one route that are told together, and when.
//!
//! Invariants:
//! - A new group is told `group_wait` after its first alert; a change of a group that was told is
//!   told `group_interval` after the last telling.
//! - An alert that is over before it became due is not told; one that became due is told, even if
//!   it is over when its receiver comes back.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::model::{Labels, Millis, Timestamp};

use super::fingerprint::AlertKey;
use super::group_key;
use super::route::Taker;

/// Which group: the receiver, and Alertmanager's group key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GroupId {
    pub(super) receiver: String,
    pub(super) key: String,
}

impl GroupId {
    /// The group of the alert with these labels on the route that takes it.
    pub(super) fn of(taker: &Taker<'_>, alert: &Labels) -> (GroupId, Labels) {
        let labels = taker.route.group_by.labels_of(alert);
        let key = format!("{}:{}", taker.key, group_key::of_labels(&labels));
        (GroupId { receiver: taker.route.receiver.clone(), key }, labels)
    }
}

/// A group.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) labels: Labels,
    pub(super) members: BTreeMap<AlertKey, Member>,
    /// When the changes since the last telling become due.
    pub(super) flush_at: Option<Timestamp>,
    last_flush: Option<Timestamp>,
    /// Before this instant nobody has to be told anything of it, unless it is touched.
    quiet_until: Cell<Timestamp>,
    wait: Millis,
    interval: Millis,
    pub(super) repeat: Millis,
}

/// What of an alert may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Member {
    /// Its firing.
    pub(super) firing_due: bool,
    /// Its end.
    pub(super) resolved_due: bool,
}

impl Group {
    pub(super) fn new(taker: &Taker<'_>, labels: Labels) -> Group {
        Group {
            labels,
            members: BTreeMap::new(),
            flush_at: None,
            last_flush: None,
            quiet_until: Cell::new(Timestamp::MIN),
            wait: taker.route.group_wait,
            interval: taker.route.group_interval,
            repeat: taker.route.repeat_interval,
        }
    }

    /// Notes that who has to be told what may be something else than before.
    pub(super) fn touch(&self) {
        self.quiet_until.set(Timestamp::MIN);
    }

    /// Notes that nobody has to be told anything before an instant.
    pub(super) fn rest_until(&self, at: Timestamp) {
        self.quiet_until.set(at);
    }

    /// Until when nobody has to be told anything, if that is known and later than `now`.
    pub(super) fn rests(&self, now: Timestamp) -> Option<Timestamp> {
        Some(self.quiet_until.get()).filter(|until| *until > now)
    }

    /// Takes a member in, or one anew.
    pub(super) fn put(&mut self, key: AlertKey, member: Member) {
        self.members.insert(key, member);
        self.touch();
    }

    /// Lets a member go.
    pub(super) fn remove(&mut self, key: AlertKey) {
        self.members.remove(&key);
        self.touch();
    }

    /// Remembers a telling before the restart.
    pub(super) fn told_at(&mut self, at: Timestamp) {
        self.last_flush = self.last_flush.max(Some(at));
    }

    /// Plans the telling of a change at `at`; one that is planned already takes it along.
    pub(super) fn changed(&mut self, at: Timestamp) {
        self.touch();
        if self.flush_at.is_none() {
            self.flush_at = Some(match self.last_flush {
                None => at + self.wait,
                Some(last) => at.max(last + self.interval),
            });
        }
    }

    /// Makes the planned telling due if its time has come.
    pub(super) fn flush(&mut self, now: Timestamp, over: impl Fn(AlertKey) -> bool) {
        if self.flush_at.is_none_or(|at| at > now) {
            return;
        }
        for (key, member) in &mut self.members {
            member.firing_due = true;
            member.resolved_due = over(*key);
        }
        self.flush_at = None;
        self.last_flush = Some(now);
        self.touch();
    }
}
