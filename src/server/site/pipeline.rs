//! How the parts between a sample and a person are.

use crate::db::{Db, DbStatus};
use crate::model::Timestamp;
use crate::notify::ReceiverStatus;
use crate::rules::{Health, Mode, RuleKind, RuleStatus};
use crate::storage;

use crate::server::api;
use crate::server::pages;
use crate::server::pages::view::{Part, RuleRow, State};

/// Who is told, with the proof that messages arrive.
pub(super) fn receivers(status: &DbStatus, now: Timestamp) -> Vec<Part> {
    let mut parts: Vec<Part> = status.notify.receivers.iter().map(|receiver| receiver_part(receiver, now)).collect();
    if parts.is_empty() {
        let text = "no receiver is configured, so nobody would be told".to_owned();
        parts.push(Part { name: "Nobody".to_owned(), state: None, text });
    }
    if let Some(error) = &status.notify.disk_error {
        parts.push(part("Outbox", State::Blind, format!("notifications cannot be kept: {error}")));
    }
    parts
}

/// Storage and rules.
pub(super) fn parts(db: &Db, status: &DbStatus, now: Timestamp) -> Vec<Part> {
    [storage_part(status, now)].into_iter().chain(rules_part(db)).collect()
}

fn part(name: &str, state: State, text: String) -> Part {
    Part { name: name.to_owned(), state: Some(state), text }
}

fn receiver_part(receiver: &ReceiverStatus, now: Timestamp) -> Part {
    let when = |t: Timestamp| format!("{}, {}", pages::stamp(now, t), pages::ago(now, t));
    let wait = match receiver.pending {
        0 => String::new(),
        n => format!("; it has still to be told of {n}"),
    };
    let (state, text) = match (receiver.failing_since, receiver.last_success) {
        (Some(since), _) => {
            let why = receiver.last_error.as_deref().unwrap_or("no reason given");
            (State::Blind, format!("fails since {}: {why}{wait}", when(since)))
        }
        (None, Some(at)) => (State::Ok, format!("took its last message at {}{wait}", when(at))),
        (None, None) if receiver.refused > 0 => {
            (State::Blind, format!("refused all of {} messages{wait}", receiver.refused))
        }
        (None, None) => {
            let text = format!("nothing delivered yet, so not proven{wait}");
            return Part { name: title(receiver), state: None, text };
        }
    };
    part(&title(receiver), state, text)
}

fn title(receiver: &ReceiverStatus) -> String {
    if receiver.address.is_empty() {
        receiver.name.clone()
    } else {
        format!("{} · {}", receiver.name, receiver.address)
    }
}

fn storage_part(status: &DbStatus, now: Timestamp) -> Part {
    let store = &status.store;
    let (state, text) = match &store.health {
        storage::Health::Healthy => {
            let bytes = store.wal_bytes + store.block_bytes;
            let newest = store.last_sample.map_or_else(
                || "no sample yet".to_owned(),
                |t| format!("newest sample {}", pages::ago(now, t.min(now))),
            );
            (State::Ok, format!("{} series in {}, {newest}", store.series, pages::bytes(bytes)))
        }
        storage::Health::ReadOnly { reason } => (State::Blind, format!("takes no writes: {reason}")),
        storage::Health::Poisoned { reason } => (State::Blind, format!("must be restarted: {reason}")),
    };
    part("Storage", state, text)
}

fn rules_part(db: &Db) -> Option<Part> {
    let groups = db.rule_groups();
    let rules = || groups.iter().flat_map(|group| &group.rules);
    let count = rules().count();
    if count == 0 {
        return None;
    }
    let failing: Vec<&str> =
        rules().filter(|rule| matches!(rule.health, Health::Err(_))).map(|rule| rule.name.as_str()).collect();
    let blind = rules().filter(|rule| rule.is_blind).count();
    Some(match (failing.first(), blind) {
        (Some(first), _) => {
            part("Rules", State::Blind, format!("{} of {count} fail, {first} among them", failing.len()))
        }
        (None, 0) => part("Rules", State::Ok, format!("{count} rules watch")),
        // It may be meant for what comes later; the list of rules says which it is.
        (None, blind) => part("Rules", State::Ok, format!("{count} rules watch, {blind} without any series so far")),
    })
}

/// The rules with their health.
pub(super) fn rules(db: &Db) -> Vec<RuleRow> {
    let groups = db.rule_groups();
    groups.iter().flat_map(|group| group.rules.iter().map(|rule| rule_row(&group.name, rule))).collect()
}

fn rule_row(group: &str, rule: &RuleStatus) -> RuleRow {
    let how = match &rule.mode {
        Mode::Incremental => "with each sample".to_owned(),
        Mode::Interval { reason } => format!("at an interval: {reason}"),
    };
    let (health, note) = match &rule.health {
        Health::Err(error) => (State::Blind, error.clone()),
        Health::Unknown => (State::Blind, "not evaluated yet".to_owned()),
        Health::Ok if rule.is_blind => (State::Blind, "a selector has not matched any series yet".to_owned()),
        Health::Ok => (State::Ok, how),
    };
    let state = match rule.kind {
        RuleKind::Alerting => api::rule_state(rule),
        RuleKind::Recording => "recording",
    };
    RuleRow {
        group: group.to_owned(),
        name: rule.name.clone(),
        state: state.to_owned(),
        health,
        note,
        query: rule.expr.clone(),
    }
}
