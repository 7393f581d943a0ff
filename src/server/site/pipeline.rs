//! How the parts between a sample and a person are.

use crate::db::{Db, DbStatus};
use crate::model::Timestamp;
use crate::notify::ReceiverStatus;
use crate::rules::{Health, Mode, RuleKind, RuleStatus};
use crate::storage;

use crate::server::api;
use crate::server::pages;
use crate::server::pages::view::{Part, RuleRow, State};

/// Receivers, storage and rules.
pub(super) fn parts(db: &Db, now: Timestamp) -> Vec<Part> {
    let status = db.status();
    let mut parts: Vec<Part> = status.notify.receivers.iter().map(|receiver| receiver_part(receiver, now)).collect();
    if parts.is_empty() {
        parts.push(part("Receivers", State::Blind, "nobody is told: no receiver is configured".to_owned()));
    }
    if let Some(error) = &status.notify.disk_error {
        parts.push(part("Outbox", State::Blind, format!("notifications cannot be kept: {error}")));
    }
    parts.push(storage_part(&status, now));
    parts.extend(rules_part(db));
    parts
}

fn part(name: &str, state: State, text: String) -> Part {
    Part { name: name.to_owned(), state, text }
}

fn receiver_part(receiver: &ReceiverStatus, now: Timestamp) -> Part {
    let proof = match receiver.last_success {
        Some(at) => format!("delivered {}", pages::ago(now, at)),
        None => "no delivery yet, so unproven".to_owned(),
    };
    let (state, text) = match (receiver.failing_since, &receiver.last_error) {
        (Some(since), error) => {
            let why = error.as_deref().unwrap_or("no reason given");
            (State::Blind, format!("fails since {}: {why}; {} wait", pages::ago(now, since), receiver.pending))
        }
        (None, _) if receiver.refused > 0 && receiver.last_success.is_none() => {
            (State::Blind, format!("refused {} messages", receiver.refused))
        }
        (None, _) => (State::Ok, proof),
    };
    part(&format!("Receiver {}", receiver.name), state, text)
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
            (State::Ok, format!("{} series in {}B, {newest}", store.series, pages::number(bytes as f64)))
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
        (None, blind) => part("Rules", State::Blind, format!("{blind} of {count} have not matched any series yet")),
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
