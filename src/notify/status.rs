//! What can be said about delivery.

use crate::model::Timestamp;

/// How delivery stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NotifyStatus {
    /// One entry for each webhook and each Alertmanager.
    pub receivers: Vec<ReceiverStatus>,
    /// Alerts that are kept: firing, or with something still to tell.
    pub outbox_len: usize,
    /// Bytes of the outbox on disk.
    pub outbox_bytes: u64,
    /// Alerts that were given up because the outbox was full.
    pub dropped: u64,
    /// Bytes that were cut off when the outbox was opened: a torn or damaged end.
    pub cut_bytes: u64,
    /// Why the outbox could not be written, if the last attempt failed.
    pub disk_error: Option<String>,
}

/// How delivery to one receiver stands.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceiverStatus {
    /// The receiver's name, or `alertmanager`.
    pub name: String,
    /// Scheme and host of its address; the rest may be secret.
    pub address: String,
    /// Alerts of which it has still to be told something.
    pub pending: usize,
    /// Messages that it took since the start.
    pub sent: u64,
    /// Messages that it refused for good (4xx) since the start.
    pub refused: u64,
    /// Attempts that failed and are tried again, since the start.
    pub failed: u64,
    /// When it last took a message: the proof of delivery. Survives a restart.
    pub last_success: Option<Timestamp>,
    /// Since when every attempt fails.
    pub failing_since: Option<Timestamp>,
    /// What the last failed attempt said; none after a success.
    pub last_error: Option<String>,
    /// When the next attempt is due after a failure.
    pub retry_at: Option<Timestamp>,
}
