//! What has to be told now, to whom, and when there is more to tell.

use crate::env::Request;
use crate::model::{Timestamp, limits};
use crate::notify::alertmanager;
use crate::notify::fingerprint::{AlertKey, Digest};
use crate::notify::group::{Group, GroupId};
use crate::notify::outbox::format::{Told, What};
use crate::notify::target::{Line, Speech, Target, TargetId};
use crate::notify::webhook::{self, Envelope, Reason, Shown};

use super::{Heard, Ledger};

/// Messages that one claim hands out: enough to spare scans, few enough that the last is not stale.
const CLAIM_MAX: usize = 32;

/// One message to be sent.
pub(crate) struct Job {
    pub(crate) target: TargetId,
    pub(crate) request: Request,
    pub(crate) group: String,
    pub(crate) told: Vec<(AlertKey, Told)>,
}

/// What a target has to be told, and when.
enum Due {
    Now(Vec<(AlertKey, What)>),
    At(Timestamp),
    Never,
}

impl Ledger {
    /// Messages to one target that is free, and takes its line. They are due at `now`.
    pub(crate) fn claim(&mut self, now: Timestamp) -> Vec<Job> {
        let Ledger { alerts, groups, .. } = self;
        for group in groups.values_mut() {
            group.flush(now, |key| alerts.get(&key).is_some_and(|alert| alert.resolved.is_some()));
        }
        let count = self.targets.len();
        for step in 0..count {
            let at = (self.turn + step) % count;
            if !self.targets[at].ready(now) {
                continue;
            }
            let jobs = self.jobs(&self.targets[at], now);
            if !jobs.is_empty() {
                self.targets[at].line = Line::Busy;
                self.turn = at + 1;
                return jobs;
            }
        }
        Vec::new()
    }

    fn jobs(&self, target: &Target, now: Timestamp) -> Vec<Job> {
        let job = |group: &str, body, alerts: Vec<(AlertKey, What)>| {
            let told: Vec<(AlertKey, Told)> = (alerts.into_iter())
                .filter_map(|(key, what)| Some((key, Told { what, firing: self.alerts.get(&key)?.firing.id.clone() })))
                .collect();
            let key = self.idempotency_key(target, group, &told);
            Job { target: target.id, request: target.request(body, &key), group: group.to_owned(), told }
        };
        match &target.speech {
            Speech::Alertmanager(_) => match self.due_alertmanager(target, now) {
                Due::Now(mut alerts) => {
                    alerts.truncate(limits::ALERTMANAGER_BATCH_MAX);
                    let body = alertmanager::body(&self.shown(&alerts), now, &self.options);
                    vec![job("", body, alerts)]
                }
                Due::At(_) | Due::Never => Vec::new(),
            },
            Speech::Webhook { receiver, webhook } => {
                let mine = self.groups.iter().filter(|(id, _)| id.receiver == *receiver);
                let mine = mine.filter(|(id, group)| !self.rests(id, group, now));
                let due = mine.filter_map(|(id, group)| match self.due_group(target, id, group, now) {
                    Due::Now(alerts) => {
                        let envelope = Envelope {
                            receiver,
                            group_key: &id.key,
                            group_labels: &group.labels,
                            external_url: &self.options.external_url,
                            max_alerts: webhook.max_alerts,
                            reason: self.reason(target, &id.key, &alerts),
                        };
                        let body = webhook::message(&envelope, self.shown(&alerts));
                        Some(job(&id.key, body, alerts))
                    }
                    Due::At(_) | Due::Never => None,
                });
                due.take(CLAIM_MAX).collect()
            }
        }
    }

    /// Whether nobody has to be told anything of a group now. Then it is not looked at before that may be otherwise: of
    /// thousands of groups each page concerns one.
    fn rests(&self, id: &GroupId, group: &Group, now: Timestamp) -> bool {
        let listeners = || self.targets.iter().filter(|target| target.receiver() == Some(&id.receiver));
        if group.rests(now).is_some() {
            let is_due = |target| matches!(self.due_group(target, id, group, now), Due::Now(_));
            debug_assert!(!listeners().any(is_due), "group {} was touched and is left to rest", id.key);
            return true;
        }
        let mut until = Timestamp::MAX;
        for target in listeners() {
            match self.due_group(target, id, group, now) {
                Due::Now(_) => return false,
                Due::At(at) => until = until.min(at),
                Due::Never => {}
            }
        }
        group.rest_until(until);
        until > now
    }

    /// What a webhook has to be told of a group: news, or after the repeat interval everything.
    fn due_group(&self, target: &Target, id: &GroupId, group: &Group, now: Timestamp) -> Due {
        let conversation = self.conversation(target.id, &id.key);
        let (mut firing, mut resolved) = (Vec::new(), Vec::new());
        let (mut news, mut known) = (false, false);
        for (key, member) in &group.members {
            let Some(tracked) = self.alerts.get(key) else { continue };
            let told = conversation.and_then(|c| c.heard.get(key)).map(|heard| &heard.told);
            let knows_firing = told.is_some_and(|told| told.what == What::Firing);
            let knows_end = told.is_some_and(|t| t.what == What::Resolved && t.firing == tracked.firing.id);
            match &tracked.resolved {
                None if member.firing_due || knows_firing => {
                    news |= !knows_firing;
                    known |= knows_firing;
                    firing.push((*key, What::Firing));
                }
                Some(_) if knows_firing && target.wants_resolved() && member.resolved_due => {
                    news = true;
                    resolved.push((*key, What::Resolved));
                }
                // It became due while its receiver could not be reached: it is told first that it
                // fired, then that it is over.
                Some(_) if !knows_firing && !knows_end && member.firing_due => {
                    news = true;
                    firing.push((*key, What::Firing));
                }
                _ => {}
            }
        }
        let repeat_at = conversation.map_or(Timestamp::MAX, |conversation| conversation.at + group.repeat);
        if news || (known && repeat_at <= now) {
            firing.append(&mut resolved);
            return Due::Now(firing);
        }
        let repeat_at = known.then_some(repeat_at);
        match repeat_at.into_iter().chain(group.flush_at).min() {
            Some(at) => Due::At(at),
            None => Due::Never,
        }
    }

    /// What an Alertmanager has to be told: news, and each minute again what still fires or ended not long ago.
    fn due_alertmanager(&self, target: &Target, now: Timestamp) -> Due {
        let conversation = self.conversation(target.id, "");
        let mut due = Vec::new();
        let mut next: Option<Timestamp> = None;
        for (key, tracked) in &self.alerts {
            let heard = conversation.and_then(|c| c.heard.get(key));
            let heard = heard.filter(|heard| heard.told.firing == tracked.firing.id);
            let what = if tracked.resolved.is_some() { What::Resolved } else { What::Firing };
            let at = match heard {
                Some(heard) if heard.told.what != what => now,
                Some(heard) if !tracked.is_told_after(heard) => continue,
                Some(heard) => heard.at + alertmanager::RESEND,
                None => now,
            };
            if at <= now {
                due.push((*key, what));
            } else {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        match next {
            _ if !due.is_empty() => Due::Now(due),
            Some(at) => Due::At(at),
            None => Due::Never,
        }
    }

    /// Why a target is told these alerts of a group.
    fn reason(&self, target: &Target, group: &str, alerts: &[(AlertKey, What)]) -> Reason {
        let fires = |heard: &Heard| heard.told.what == What::Firing;
        let knows = |key: &AlertKey| self.heard(target.id, group, *key).is_some_and(fires);
        let known = self.conversation(target.id, group).is_some_and(|c| c.heard.values().any(fires));
        if !known {
            Reason::First
        } else if alerts.iter().any(|(key, what)| *what == What::Firing && !knows(key)) {
            Reason::Added
        } else if alerts.iter().all(|(_, what)| *what == What::Resolved) {
            Reason::AllResolved
        } else if alerts.iter().any(|(_, what)| *what == What::Resolved) {
            Reason::SomeResolved
        } else {
            Reason::Repeat
        }
    }

    fn shown(&self, alerts: &[(AlertKey, What)]) -> Vec<Shown<'_>> {
        let alerts = alerts.iter().filter_map(|(key, what)| Some((self.alerts.get(key)?, *what)));
        alerts
            .map(|(tracked, what)| {
                let decided = tracked.resolved.as_ref().filter(|_| what == What::Resolved);
                let transition = decided.unwrap_or(&tracked.firing);
                let firing = &tracked.firing;
                Shown {
                    what,
                    labels: &tracked.labels,
                    annotations: &transition.alert.annotations,
                    starts_at: firing.alert.fired_at.unwrap_or(firing.at),
                    ends_at: decided.map(|t| t.alert.resolved_at.unwrap_or(t.at)),
                    expr: &transition.alert.expr,
                }
            })
            .collect()
    }

    /// The same for every attempt at the same message, also after a restart; another one for a repeat.
    fn idempotency_key(&self, target: &Target, group: &str, told: &[(AlertKey, Told)]) -> String {
        let last = self.conversation(target.id, group).map_or(Timestamp::MIN, |conversation| conversation.at);
        let start = Digest::new().number(target.id.0).text(group).number(last.0.cast_unsigned());
        let digest = told.iter().fold(start, |digest, (key, told)| {
            let what = u64::from(told.what == What::Resolved);
            digest.number(key.0).number(what).number(told.firing.seq.0).number(told.firing.key)
        });
        digest.hex()
    }

    /// When there is something to do next.
    pub(crate) fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let mut next: Option<Timestamp> = None;
        for target in self.targets.iter().filter(|target| target.line == Line::Free) {
            let dues: Vec<Due> = match target.receiver() {
                None => vec![self.due_alertmanager(target, now)],
                Some(receiver) => (self.groups.iter().filter(|(id, _)| id.receiver == receiver))
                    .map(|(id, group)| match group.rests(now) {
                        Some(Timestamp::MAX) => Due::Never,
                        Some(at) => Due::At(at),
                        None => self.due_group(target, id, group, now),
                    })
                    .collect(),
            };
            for due in dues {
                let at = match due {
                    Due::Now(_) => now,
                    Due::At(at) => at,
                    Due::Never => continue,
                };
                let at = target.retry_at.map_or(at, |retry| at.max(retry));
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        next
    }
}
