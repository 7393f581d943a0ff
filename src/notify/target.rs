//! One address that is told: a webhook of a receiver, or an Alertmanager.

use crate::env::{Request, Rng};
use crate::model::{Millis, Timestamp};
use std::time::Duration;

use super::backoff;
use super::fingerprint::Digest;
use super::options::NotifyOptions;
use super::receiver::{AlertmanagerTarget, Authorization, Shown, Webhook};
use super::secret::Secret;
use super::status::ReceiverStatus;

/// Who it is, by name and address: stays the same when other targets come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TargetId(pub(super) u64);

/// What is spoken with it.
#[derive(Debug, Clone)]
pub(super) enum Speech {
    /// Alertmanager's webhook message, for the receiver of this name.
    Webhook { receiver: String, webhook: Webhook },
    /// Alertmanager's API v2.
    Alertmanager(AlertmanagerTarget),
}

/// Whether a thread is speaking with it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Free,
    Busy,
}

/// An address and how delivery to it stands.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) id: TargetId,
    pub(super) speech: Speech,
    pub(super) line: Line,
    pub(super) retry_at: Option<Timestamp>,
    failures: u32,
    sent: u64,
    refused: u64,
    failed: u64,
    pub(super) last_success: Option<Timestamp>,
    failing_since: Option<Timestamp>,
    last_error: Option<String>,
}

impl Target {
    /// Every target that the options name.
    pub(super) fn all(options: &NotifyOptions) -> Vec<Target> {
        let receivers = options.routing.iter().flat_map(|routing| &routing.receivers);
        let webhooks = receivers.flat_map(|receiver| {
            receiver
                .webhooks
                .iter()
                .map(|webhook| Speech::Webhook { receiver: receiver.name.clone(), webhook: webhook.clone() })
        });
        let alertmanagers = options.alertmanagers.iter().cloned().map(Speech::Alertmanager);
        let mut targets: Vec<Target> = Vec::new();
        for speech in webhooks.chain(alertmanagers) {
            let (name, url) = speech.name_and_url();
            // The same address twice is two targets.
            let id = (0..)
                .map(|n| TargetId(Digest::new().text(name).text(url).number(n).short()))
                .find(|id| targets.iter().all(|target| target.id != *id));
            targets.extend(id.map(|id| Target::new(id, speech)));
        }
        targets
    }

    fn new(id: TargetId, speech: Speech) -> Target {
        Target {
            id,
            speech,
            line: Line::Free,
            retry_at: None,
            failures: 0,
            sent: 0,
            refused: 0,
            failed: 0,
            last_success: None,
            failing_since: None,
            last_error: None,
        }
    }

    /// Keeps what is known of the same target before a reload.
    pub(super) fn inherit(&mut self, earlier: Target) {
        let speech = self.speech.clone();
        *self = Target { speech, retry_at: None, ..earlier };
    }

    /// What its status is told under.
    pub(super) fn name(&self) -> &str {
        self.speech.name_and_url().0
    }

    /// The receiver whose groups it is told about; an Alertmanager has none.
    pub(super) fn receiver(&self) -> Option<&str> {
        match &self.speech {
            Speech::Webhook { receiver, .. } => Some(receiver),
            Speech::Alertmanager(_) => None,
        }
    }

    /// Whether it wants to hear that an alert is over.
    pub(super) fn wants_resolved(&self) -> bool {
        match &self.speech {
            Speech::Webhook { webhook, .. } => webhook.send_resolved,
            Speech::Alertmanager(_) => true,
        }
    }

    /// Whether an attempt may be made at `now`.
    pub(super) fn ready(&self, now: Timestamp) -> bool {
        self.line == Line::Free && self.retry_at.is_none_or(|at| at <= now)
    }

    /// The request that carries `body`.
    pub(super) fn request(&self, body: Vec<u8>, idempotency_key: &str) -> Request {
        let (url, timeout, authorization, more) = match &self.speech {
            Speech::Webhook { webhook: w, .. } => (w.url.reveal().to_owned(), w.timeout, &w.authorization, &w.headers),
            Speech::Alertmanager(a) => (format!("{}/api/v2/alerts", a.url), a.timeout, &a.authorization, &a.headers),
        };
        Request { url, headers: headers(authorization, more, idempotency_key), body, timeout: timeout.to_std() }
    }

    /// Notes that it took a message.
    pub(super) fn delivered(&mut self, now: Timestamp) {
        self.sent += 1;
        self.last_success = Some(now);
        self.failures = 0;
        self.failing_since = None;
        self.last_error = None;
        self.retry_at = None;
    }

    /// Notes that it refused a message for good: the next message is tried at once.
    pub(super) fn refused(&mut self, now: Timestamp, error: String) {
        self.refused += 1;
        self.failures = 0;
        self.failing_since.get_or_insert(now);
        self.last_error = Some(error);
        self.retry_at = None;
    }

    /// Notes that an attempt failed and is to be made again.
    pub(super) fn failed(&mut self, now: Timestamp, error: String, retry_after: Option<Duration>, rng: &mut Rng) {
        self.failed += 1;
        self.failures = self.failures.saturating_add(1);
        self.failing_since.get_or_insert(now);
        self.last_error = Some(error);
        let wait: Millis = backoff::wait(self.failures, retry_after, rng);
        self.retry_at = Some(now + wait);
    }

    /// How it stands.
    pub(super) fn status(&self, pending: usize) -> ReceiverStatus {
        let (name, url) = self.speech.name_and_url();
        ReceiverStatus {
            name: name.to_owned(),
            address: Shown(url).to_string(),
            pending,
            sent: self.sent,
            refused: self.refused,
            failed: self.failed,
            last_success: self.last_success,
            failing_since: self.failing_since,
            last_error: self.last_error.clone(),
            retry_at: self.retry_at,
        }
    }
}

impl Speech {
    fn name_and_url(&self) -> (&str, &str) {
        match self {
            Speech::Webhook { receiver, webhook } => (receiver, webhook.url.reveal()),
            Speech::Alertmanager(target) => ("alertmanager", &target.url),
        }
    }
}

fn headers(authorization: &Authorization, more: &[(String, Secret)], key: &str) -> Vec<(String, String)> {
    let own = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
    let mut headers: Vec<(String, String)> =
        own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    headers.extend(authorization.header().map(|value| ("Authorization".to_owned(), value)));
    headers.extend(more.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned())));
    headers
}
