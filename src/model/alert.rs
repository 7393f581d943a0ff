//! An alert, its states, and the change of state that people are told about.

use super::label::Labels;
use super::series::Seq;
use super::time::Timestamp;

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlertState {
    /// The condition holds, but not yet for as long as `for` asks.
    Pending,
    /// The condition has held long enough; people are told.
    Firing,
    /// The condition held and holds no more.
    Resolved,
}

impl AlertState {
    /// The word used in JSON, labels and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            AlertState::Pending => "pending",
            AlertState::Firing => "firing",
            AlertState::Resolved => "resolved",
        }
    }
}

/// One instance of an alerting rule or of an objective's burn alert.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its identity: the result's labels, the rule's labels and `alertname`.
    pub labels: Labels,
    /// Texts for people, templates filled in.
    pub annotations: Labels,
    /// Where it stands.
    pub state: AlertState,
    /// The value of the expression when last seen true.
    pub value: f64,
    /// Since when the condition holds.
    pub active_at: Timestamp,
    /// Since when it fires.
    pub fired_at: Option<Timestamp>,
    /// Since when it is resolved.
    pub resolved_at: Option<Timestamp>,
    /// Since when `keep_firing_for` alone keeps it firing.
    pub keep_firing_since: Option<Timestamp>,
    /// The expression that decided it.
    pub expr: String,
}

/// The identity of a [`Transition`]: the same decision has the same one in every replay.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransitionId {
    /// The place in the log of the transaction or tick that decided it.
    pub seq: Seq,
    /// A hash of rule, labels and kind.
    pub key: u64,
}

/// What happened to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransitionKind {
    /// It became pending.
    Pending,
    /// It began to fire.
    Firing,
    /// It stopped firing.
    Resolved,
    /// It was pending and its condition ceased.
    Dropped,
}

/// A change of an alert's state, decided at one place of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// Its identity.
    pub id: TransitionId,
    /// What happened.
    pub kind: TransitionKind,
    /// When, in the log's time.
    pub at: Timestamp,
    /// The alert after the change.
    pub alert: Alert,
}
