//! What is known of every alert, and what each target was told of it. Pure: no disk, no clock.
//!
//! Invariants:
//! - A decision that is known is not taken twice: `position` never goes back.
//! - An alert stays until it is over and no target has to be told anything of it.
//! - The state is the fold of the outbox's records under the present options.

mod due;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Alert, Labels, Millis, Seq, Timestamp, Transition, TransitionId, TransitionKind, limits};

use super::alertmanager;
use super::fingerprint::AlertKey;
use super::group::{Group, GroupId, Member};
use super::options::NotifyOptions;
use super::outbox::format::{Answer, Position, Record, Sent, Told, What};
use super::status::{NotifyStatus, ReceiverStatus};
use super::target::{Target, TargetId};

pub(super) use due::Job;

/// Everything the notifier knows.
pub(super) struct Ledger {
    options: NotifyOptions,
    targets: Vec<Target>,
    alerts: BTreeMap<AlertKey, Tracked>,
    groups: BTreeMap<GroupId, Group>,
    conversations: BTreeMap<TargetId, BTreeMap<String, Conversation>>,
    position: Position,
    settled: Vec<u64>,
    /// Where the next claim begins to look, so that no target waits behind another for ever.
    turn: usize,
}

/// An alert.
struct Tracked {
    firing: Transition,
    resolved: Option<Transition>,
    /// With the external labels.
    labels: Labels,
    groups: Vec<GroupId>,
}

impl Tracked {
    /// Whether an Alertmanager that heard of it is told again: while it fires, and for a while after its end.
    fn is_told_after(&self, heard: &Heard) -> bool {
        let again = heard.at + alertmanager::RESEND;
        self.resolved.as_ref().is_none_or(|end| again <= end.at + alertmanager::ENDS_RESENT)
    }
}

/// What a target was told of a group.
#[derive(Default)]
struct Conversation {
    at: Timestamp,
    heard: BTreeMap<AlertKey, Heard>,
}

struct Heard {
    told: Told,
    at: Timestamp,
}

impl Ledger {
    /// The names of the targets that would be told of an alert.
    pub(super) fn receivers_of(&self, alert: &Labels) -> Vec<String> {
        let takers = self.options.routing.iter().flat_map(|routing| routing.takers(alert));
        let receivers: Vec<&str> = takers.map(|taker| taker.route.receiver.as_str()).collect();
        let told = self.targets.iter().filter(|t| t.receiver().is_none_or(|receiver| receivers.contains(&receiver)));
        let mut names: Vec<String> = told.map(|target| target.name().to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether an alert of which these labels are known can come to anybody. Alertmanagers are told of all.
    pub(super) fn can_reach(&self, known: &Labels) -> bool {
        self.targets.iter().any(|target| target.receiver().is_none())
            || self.options.routing.as_ref().is_some_and(|routing| routing.can_reach(known))
    }

    pub(super) fn external_labels(&self) -> Labels {
        self.options.external_labels.clone()
    }

    pub(super) fn new(options: NotifyOptions, records: Vec<Record>) -> Ledger {
        let mut ledger = Ledger {
            targets: Vec::new(),
            alerts: BTreeMap::new(),
            groups: BTreeMap::new(),
            conversations: BTreeMap::new(),
            position: Position::default(),
            settled: Vec::new(),
            turn: 0,
            options: NotifyOptions::default(),
        };
        let mut last_success = BTreeMap::new();
        for record in records {
            ledger.replay(record, &mut last_success);
        }
        ledger.reload(options);
        for target in &mut ledger.targets {
            target.last_success = last_success.get(&target.id).copied();
        }
        ledger
    }

    fn replay(&mut self, record: Record, last_success: &mut BTreeMap<TargetId, Timestamp>) {
        match record {
            Record::Accepted(transitions) => {
                for transition in transitions {
                    self.advance(&transition.id);
                    self.hold(transition);
                }
            }
            Record::Sent(sent) => {
                let target = TargetId(sent.target);
                if sent.answer == Answer::Delivered {
                    last_success.insert(target, sent.at);
                }
                if !sent.told.is_empty() {
                    let told = sent.told.into_iter().map(|(alert, told)| (AlertKey(alert), told));
                    self.converse(target, sent.group, sent.at, told.collect());
                }
            }
            Record::Position(position) => self.position = position,
            Record::Settled(alerts) => {
                let alerts: BTreeSet<AlertKey> = alerts.into_iter().map(AlertKey).collect();
                self.alerts.retain(|key, _| !alerts.contains(key));
                for conversation in self.conversations.values_mut().flat_map(BTreeMap::values_mut) {
                    conversation.heard.retain(|key, _| !alerts.contains(key));
                }
            }
        }
    }

    /// Plans everything anew under other options; what was told stays told.
    pub(super) fn reload(&mut self, options: NotifyOptions) {
        let earlier = std::mem::replace(&mut self.targets, Target::all(&options));
        for target in earlier {
            if let Some(same) = self.targets.iter_mut().find(|t| t.id == target.id) {
                same.inherit(target);
            }
        }
        self.options = options;
        self.groups.clear();
        let mut keys: Vec<(TransitionId, AlertKey)> =
            self.alerts.iter().map(|(key, alert)| (alert.firing.id.clone(), *key)).collect();
        keys.sort();
        keys.iter().for_each(|(_, key)| self.place(*key));
        let Ledger { conversations, groups, alerts, targets, .. } = self;
        conversations.retain(|id, _| targets.iter().any(|target| target.id == *id));
        for target in targets {
            let Some(mine) = conversations.get_mut(&target.id) else { continue };
            mine.retain(|group, conversation| {
                conversation.heard.retain(|key, _| alerts.contains_key(key));
                target.receiver().is_none_or(|receiver| {
                    groups.contains_key(&GroupId { receiver: receiver.to_owned(), key: group.clone() })
                })
            });
        }
        keys.iter().for_each(|(_, key)| self.settle(*key));
    }

    /// The transitions that are to be told and not known yet, in the order of their ids.
    pub(super) fn fresh(&self, transitions: &[Transition]) -> Vec<Transition> {
        let mut fresh: Vec<Transition> = transitions
            .iter()
            .filter(|t| matches!(t.kind, TransitionKind::Firing | TransitionKind::Resolved) && !self.knows(&t.id))
            .cloned()
            .collect();
        fresh.sort_by(|a, b| a.id.cmp(&b.id));
        fresh.dedup_by(|a, b| a.id == b.id);
        fresh
    }

    fn knows(&self, id: &TransitionId) -> bool {
        id.seq < self.position.seq || (id.seq == self.position.seq && self.position.keys.contains(&id.key))
    }

    fn advance(&mut self, id: &TransitionId) {
        if id.seq > self.position.seq {
            self.position.seq = id.seq;
            self.position.keys.clear();
        }
        if id.seq == self.position.seq {
            self.position.keys.push(id.key);
        }
    }

    /// Takes transitions that [`Ledger::fresh`] gave.
    pub(super) fn take(&mut self, transitions: Vec<Transition>) {
        for transition in transitions {
            self.advance(&transition.id);
            let key = AlertKey::of(&transition.alert.labels);
            // What was due before this one; changes of one instant belong together.
            self.flush_groups_of(key, transition.at - Millis(1));
            let (kind, at) = (transition.kind, transition.at);
            let known = self.alerts.contains_key(&key);
            self.hold(transition);
            match kind {
                TransitionKind::Firing if known => self.fire_again(key, at),
                TransitionKind::Firing => self.place(key),
                _ => self.resolve(key, at),
            }
        }
        self.keep_bound();
    }

    fn hold(&mut self, transition: Transition) {
        let key = AlertKey::of(&transition.alert.labels);
        match (transition.kind, self.alerts.get_mut(&key)) {
            (TransitionKind::Firing, Some(tracked)) => {
                tracked.firing = transition;
                tracked.resolved = None;
            }
            (TransitionKind::Firing, None) => {
                let labels = transition.alert.labels.clone();
                self.alerts.insert(key, Tracked { firing: transition, resolved: None, labels, groups: Vec::new() });
            }
            // The end of an alert that nobody knows of need not be told.
            (_, tracked) => {
                if let Some(tracked) = tracked {
                    tracked.resolved = Some(transition);
                }
            }
        }
    }

    /// Puts an alert into its groups, with what its targets were told already.
    fn place(&mut self, key: AlertKey) {
        let Ledger { options, targets, alerts, groups, conversations, .. } = self;
        let Some(tracked) = alerts.get_mut(&key) else { return };
        tracked.labels = with_external(&tracked.firing.alert.labels, &options.external_labels);
        tracked.groups.clear();
        let takers = options.routing.iter().flat_map(|routing| routing.takers(&tracked.labels));
        for taker in takers {
            let (id, labels) = GroupId::of(&taker, &tracked.labels);
            let told: Vec<&Conversation> = (targets.iter())
                .filter(|target| target.receiver() == Some(&id.receiver))
                .filter_map(|target| conversations.get(&target.id)?.get(&id.key))
                .collect();
            let heard = told.iter().filter_map(|conversation| conversation.heard.get(&key));
            let known = heard.map(|h| &h.told).any(|t| t.what == What::Firing || t.firing == tracked.firing.id);
            let over = tracked.resolved.as_ref();
            // Whether it was due is not stored; telling one too many is the safe side.
            if !known && over.is_some_and(|over| over.at < tracked.firing.at + taker.route.group_wait) {
                continue;
            }
            let group = groups.entry(id.clone()).or_insert_with(|| Group::new(&taker, labels));
            told.iter().for_each(|conversation| group.told_at(conversation.at));
            match over {
                Some(over) => group.changed(over.at),
                None if !known => group.changed(tracked.firing.at),
                None => {}
            }
            let member = Member { firing_due: known || over.is_some(), resolved_due: false };
            group.put(key, member);
            if !tracked.groups.contains(&id) {
                tracked.groups.push(id);
            }
        }
    }

    fn fire_again(&mut self, key: AlertKey, at: Timestamp) {
        let Some(tracked) = self.alerts.get(&key) else { return };
        if tracked.groups.is_empty() {
            return self.place(key);
        }
        for id in &tracked.groups {
            if let Some(group) = self.groups.get_mut(id) {
                group.put(key, Member::default());
                group.changed(at);
            }
        }
    }

    fn resolve(&mut self, key: AlertKey, at: Timestamp) {
        let Some(tracked) = self.alerts.get(&key) else { return };
        for id in &tracked.groups {
            let told = (self.targets.iter())
                .filter(|target| target.receiver() == Some(&id.receiver))
                .filter_map(|target| self.conversation(target.id, &id.key))
                .filter_map(|conversation| conversation.heard.get(&key))
                .any(|heard| heard.told.what == What::Firing);
            let Some(group) = self.groups.get_mut(id) else { continue };
            if told || group.members.get(&key).is_some_and(|member| member.firing_due) {
                group.changed(at);
            } else {
                group.remove(key);
            }
        }
        self.settle(key);
    }

    fn flush_groups_of(&mut self, key: AlertKey, now: Timestamp) {
        let Ledger { alerts, groups, .. } = self;
        let Some(tracked) = alerts.get(&key) else { return };
        for id in &tracked.groups {
            if let Some(group) = groups.get_mut(id) {
                group.flush(now, |key| alerts.get(&key).is_some_and(|alert| alert.resolved.is_some()));
            }
        }
    }

    /// Lets go of an alert that is over and of which nobody has to be told any more.
    fn settle(&mut self, key: AlertKey) {
        let Some(tracked) = self.alerts.get(&key) else { return };
        if tracked.resolved.is_some() && !self.targets.iter().any(|target| self.owes(target, key, tracked)) {
            self.forget(key);
            self.settled.push(key.0);
        }
    }

    fn forget(&mut self, key: AlertKey) {
        let Some(tracked) = self.alerts.remove(&key) else { return };
        for id in &tracked.groups {
            if let Some(group) = self.groups.get_mut(id) {
                group.remove(key);
                if group.members.is_empty() {
                    self.groups.remove(id);
                }
            }
        }
        let groups = tracked.groups.iter().map(|id| id.key.as_str()).chain([""]);
        for group in groups {
            for conversations in self.conversations.values_mut() {
                let Some(conversation) = conversations.get_mut(group) else { continue };
                conversation.heard.remove(&key);
                if conversation.heard.is_empty() {
                    conversations.remove(group);
                }
            }
        }
    }

    /// Whether a target has still to be told something of an alert, now or later.
    fn owes(&self, target: &Target, key: AlertKey, tracked: &Tracked) -> bool {
        let open = |group: &str, member: Option<&Member>| {
            let heard = self.heard(target.id, group, key);
            let knows_firing = heard.is_some_and(|h| h.told.what == What::Firing);
            let knows_end = heard.is_some_and(|h| h.told.what == What::Resolved && h.told.firing == tracked.firing.id);
            match (&tracked.resolved, member) {
                (None, _) => !knows_firing,
                (Some(_), None) => !knows_end || heard.is_some_and(|heard| tracked.is_told_after(heard)),
                (Some(_), Some(_)) if knows_firing => target.wants_resolved(),
                (Some(_), Some(member)) => !knows_end && member.firing_due,
            }
        };
        match target.receiver() {
            None => open("", None),
            Some(receiver) => tracked.groups.iter().filter(|id| id.receiver == receiver).any(|id| {
                let member = self.groups.get(id).and_then(|group| group.members.get(&key));
                member.is_some() && open(&id.key, member)
            }),
        }
    }

    fn heard(&self, target: TargetId, group: &str, key: AlertKey) -> Option<&Heard> {
        self.conversation(target, group)?.heard.get(&key)
    }

    fn conversation(&self, target: TargetId, group: &str) -> Option<&Conversation> {
        self.conversations.get(&target)?.get(group)
    }

    /// Gives up alerts beyond the bound: the oldest that are over, then the oldest.
    fn keep_bound(&mut self) {
        let excess = self.alerts.len().saturating_sub(limits::OUTBOX_MAX);
        if excess == 0 {
            return;
        }
        let mut order: Vec<_> = (self.alerts.iter())
            .map(|(key, alert)| (alert.resolved.is_none(), alert.firing.id.clone(), *key))
            .collect();
        order.sort();
        for (_, _, key) in order.into_iter().take(excess) {
            self.forget(key);
            self.settled.push(key.0);
            self.position.dropped += 1;
        }
    }

    /// The target of a job, if a reload left it there.
    pub(super) fn target(&mut self, id: TargetId) -> Option<&mut Target> {
        self.targets.iter_mut().find(|target| target.id == id)
    }

    /// Notes an answer for good. What must be remembered of it is returned.
    pub(super) fn answered(&mut self, job: Job, answer: Answer, now: Timestamp) -> Option<Record> {
        let news = job
            .told
            .iter()
            .any(|(key, told)| self.heard(job.target, &job.group, *key).is_none_or(|heard| heard.told != *told));
        let keys: Vec<AlertKey> = job.told.iter().map(|(key, _)| *key).collect();
        let told = job.told.iter().map(|(key, told)| (key.0, told.clone())).collect();
        let record = Sent { target: job.target.0, group: job.group.clone(), at: now, answer, told };
        let repeat_counts = !job.group.is_empty();
        let present = job.told.into_iter().filter(|(key, _)| self.alerts.contains_key(key)).collect();
        self.converse(job.target, job.group, now, present);
        keys.into_iter().for_each(|key| self.settle(key));
        // An Alertmanager's resend is not worth a sync: after a restart it is sent at once.
        (news || repeat_counts).then_some(Record::Sent(record))
    }

    fn converse(&mut self, target: TargetId, group: String, at: Timestamp, told: Vec<(AlertKey, Told)>) {
        if told.is_empty() {
            return;
        }
        let receiver = self.targets.iter().find(|one| one.id == target).and_then(Target::receiver);
        let id = receiver.map(|receiver| GroupId { receiver: receiver.to_owned(), key: group.clone() });
        if let Some(group) = id.and_then(|id| self.groups.get(&id)) {
            group.touch();
        }
        let conversation = self.conversations.entry(target).or_default().entry(group).or_default();
        conversation.at = at;
        conversation.heard.extend(told.into_iter().map(|(key, told)| (key, Heard { told, at })));
    }

    /// Alerts that were settled since the last call, to be remembered.
    pub(super) fn settled(&mut self) -> Option<Record> {
        (!self.settled.is_empty()).then(|| Record::Settled(std::mem::take(&mut self.settled)))
    }

    /// The whole state, as records.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for tracked in self.alerts.values() {
            let both = std::iter::once(&tracked.firing).chain(&tracked.resolved);
            records.push(Record::Accepted(both.cloned().collect()));
        }
        let conversations = (self.conversations.iter())
            .flat_map(|(target, groups)| groups.iter().map(move |(group, conversation)| (target, group, conversation)));
        for (target, group, conversation) in conversations {
            let told = conversation.heard.iter().map(|(key, heard)| (key.0, heard.told.clone())).collect();
            // Refused, so that only the target's own record speaks of its last success.
            let (at, answer) = (conversation.at, Answer::Refused);
            records.push(Record::Sent(Sent { target: target.0, group: group.clone(), at, answer, told }));
        }
        for target in &self.targets {
            let (group, answer) = (String::new(), Answer::Delivered);
            let sent = |at| Record::Sent(Sent { target: target.id.0, group, at, answer, told: Vec::new() });
            records.extend(target.last_success.map(sent));
        }
        records.push(Record::Position(self.position.clone()));
        records
    }

    /// What can be said about delivery.
    pub(super) fn status(&self) -> NotifyStatus {
        let receivers: Vec<ReceiverStatus> = (self.targets.iter())
            .map(|target| {
                let owed = self.alerts.iter().filter(|(key, tracked)| self.owes(target, **key, tracked));
                target.status(owed.count())
            })
            .collect();
        NotifyStatus {
            receivers,
            outbox_len: self.alerts.len(),
            dropped: self.position.dropped,
            ..NotifyStatus::default()
        }
    }

    /// Who was told last what of the alert with these labels, and when.
    pub(super) fn told_of(&self, labels: &Labels) -> Vec<(String, &'static str, Timestamp)> {
        let key = AlertKey::of(labels);
        let mut found = Vec::new();
        let Some(tracked) = self.alerts.get(&key) else { return found };
        for (id, conversations) in &self.conversations {
            let name = self.targets.iter().find(|target| target.id == *id).map(|target| target.status(0).name);
            let groups = tracked.groups.iter().map(|group| group.key.as_str()).chain([""]);
            for heard in groups.filter_map(|group| conversations.get(group)?.heard.get(&key)) {
                let what = if heard.told.what == What::Firing { "firing" } else { "resolved" };
                found.push((name.clone().unwrap_or_else(|| "a receiver that is gone".to_owned()), what, heard.at));
            }
        }
        found
    }

    /// The alerts that fire.
    pub(super) fn firing(&self) -> Vec<Alert> {
        let firing = self.alerts.values().filter(|tracked| tracked.resolved.is_none());
        firing.map(|tracked| tracked.firing.alert.clone()).collect()
    }

    /// Forgets which decisions behind entry `last` are known; gives what must be remembered of that.
    pub(super) fn rewind(&mut self, last: Seq) -> Option<Record> {
        if self.position.seq <= last {
            return None;
        }
        self.position.seq = Seq(last.0 + 1);
        self.position.keys.clear();
        Some(Record::Position(self.position.clone()))
    }

    /// The highest place in the log of which a decision was taken.
    pub(super) fn position(&self) -> Seq {
        self.position.seq
    }
}

/// An alert's labels, with those external ones that it does not have.
fn with_external(labels: &Labels, external: &Labels) -> Labels {
    if external.is_empty() {
        return labels.clone();
    }
    let mut builder = external.builder();
    for label in labels.iter() {
        builder.set(label.name, label.value);
    }
    // Only too many labels can fail; then the alert goes out as it is.
    builder.build().unwrap_or_else(|_| labels.clone())
}
