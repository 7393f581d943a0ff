//! The notifier: takes decisions durably, and tells them.
//!
//! Invariants:
//! - No lock is held while a request is on its way.
//! - A decision that could not be written is told all the same: people come before the record.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::env::disk::Disk;
use crate::env::{Response, Rng, Transport, TransportError};
use crate::model::{Alert, Labels, Millis, Seq, Timestamp, Transition};

use super::ledger::{Job, Ledger};
use super::options::NotifyOptions;
use super::outbox::format::{Answer, Record};
use super::outbox::{Outbox, OutboxError};
use super::route::RoutingError;
use super::status::NotifyStatus;
use super::target::Line;

/// When a failed write of the outbox is tried again.
const HEAL: Millis = Millis::seconds(5);
/// Bytes of an answer's body that an error text shows.
const BODY_SHOWN: usize = 200;

/// Takes alert transitions durably and tells receivers of them, at least once.
pub struct Notifier {
    inner: Mutex<Inner>,
}

struct Inner {
    ledger: Ledger,
    outbox: Outbox,
    rng: Rng,
    cut_bytes: u64,
    disk_error: Option<String>,
}

/// A notifier that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The routes do not fit the receivers.
    #[error(transparent)]
    Routing(#[from] RoutingError),
    /// The outbox cannot be read or created.
    #[error("the outbox in {dir} cannot be opened: {reason}")]
    Outbox {
        /// Its directory.
        dir: PathBuf,
        /// What stood against it.
        reason: String,
    },
}

/// Transitions that were taken, but are not durable yet.
#[derive(Debug, thiserror::Error)]
#[error(
    "the outbox cannot be written, so alerts are sent but would be lost or repeated by a crash: {source}; free space or repair the disk"
)]
pub struct AcceptError {
    source: io::Error,
}

impl Notifier {
    /// Opens the outbox in `dir`, a directory of its own, and goes on where it stopped.
    ///
    /// # Errors
    /// A route names a receiver that there is not, somebody else has the directory, or the outbox
    /// cannot be read or was written by a newer version.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, options: NotifyOptions) -> Result<Notifier, OpenError> {
        if let Some(routing) = &options.routing {
            routing.check()?;
        }
        let fail = |error: OutboxError| OpenError::Outbox { dir: dir.to_owned(), reason: error.to_string() };
        let (outbox, recovered) = Outbox::open(disk, dir).map_err(fail)?;
        let rng = Rng::new(options.seed);
        let ledger = Ledger::new(options, recovered.records);
        let cut_bytes = recovered.cut_bytes;
        let inner = Inner { ledger, outbox, rng, cut_bytes, disk_error: None };
        Ok(Notifier { inner: Mutex::new(inner) })
    }

    /// Takes transitions: firing and resolved ones are durable when it returns; those that are
    /// known already and other kinds are passed over. Calls must come in the order of the log.
    ///
    /// # Errors
    /// The outbox cannot be written. The transitions are taken and will be told even so, and
    /// [`Notifier::step`] goes on trying to write them down.
    pub fn accept(&self, transitions: &[Transition]) -> Result<(), AcceptError> {
        let mut inner = self.inner.lock();
        let fresh = inner.ledger.fresh(transitions);
        if fresh.is_empty() {
            return Ok(());
        }
        let written = inner.outbox.append(&[Record::Accepted(fresh.clone())]);
        inner.ledger.take(fresh);
        let durable = inner.keep(written);
        durable.map_err(|source| AcceptError { source })
    }

    /// The highest place in the log of which a decision was taken.
    pub fn position(&self) -> Seq {
        self.inner.lock().ledger.position()
    }

    /// The alerts that receivers are to hold for firing.
    pub fn firing(&self) -> Vec<Alert> {
        self.inner.lock().ledger.firing()
    }

    /// Goes on with a log whose last entry is `last`. If decisions of later entries are known, the log
    /// has lost them and gives their places to others, which must not pass for known.
    ///
    /// # Errors
    /// The outbox cannot be written; the log is followed even so.
    pub fn follow(&self, last: Seq) -> Result<(), AcceptError> {
        let mut inner = self.inner.lock();
        let Some(record) = inner.ledger.rewind(last) else { return Ok(()) };
        tracing::error!("the log ends at entry {}, before decisions that were told: it has lost entries", last.0);
        let written = inner.outbox.append(&[record]);
        inner.keep(written).map_err(|source| AcceptError { source })
    }

    /// Sends what is due at `now`; returns when there is something to do next, if anything.
    ///
    /// May be called by several threads: each speaks with another target, so that a slow one does
    /// not hold up the rest.
    pub fn step(&self, now: Timestamp, transport: &dyn Transport) -> Option<Timestamp> {
        self.inner.lock().heal();
        loop {
            let jobs = self.inner.lock().ledger.claim(now);
            let Some(target) = jobs.first().map(|job| job.target) else { break };
            for job in jobs {
                let answer = transport.send(&job.request);
                if self.inner.lock().note(job, answer, now) == Go::Stop {
                    break;
                }
            }
            if let Some(target) = self.inner.lock().ledger.target(target) {
                target.line = Line::Free;
            }
        }
        let mut inner = self.inner.lock();
        inner.remember(Vec::new());
        let due = inner.ledger.next_due(now);
        let heal = inner.outbox.broken().then_some(now + HEAL);
        due.into_iter().chain(heal).min()
    }

    /// Goes on under other options; what was told stays told.
    ///
    /// # Errors
    /// A route names a receiver that there is not; then nothing changes.
    pub fn reload(&self, options: NotifyOptions) -> Result<(), RoutingError> {
        if let Some(routing) = &options.routing {
            routing.check()?;
        }
        self.inner.lock().ledger.reload(options);
        Ok(())
    }

    /// The labels that are added to alerts that do not have them.
    pub fn external_labels(&self) -> Labels {
        self.inner.lock().ledger.external_labels()
    }

    /// Who would be told of an alert: receivers that have an address, and Alertmanagers, by the names of their status.
    pub fn receivers_of(&self, alert: &Labels) -> Vec<String> {
        self.inner.lock().ledger.receivers_of(alert)
    }

    /// Whether an alert with these labels, and others that are not known beforehand, can come to anybody: to a receiver that
    /// has an address, or an Alertmanager.
    pub fn can_reach(&self, known: &Labels) -> bool {
        self.inner.lock().ledger.can_reach(known)
    }

    /// Who was told last of the alert with these labels: receiver, `firing` or `resolved`, and when. What is settled is
    /// not remembered.
    pub fn told_of(&self, labels: &Labels) -> Vec<(String, &'static str, Timestamp)> {
        self.inner.lock().ledger.told_of(labels)
    }

    /// What can be said about delivery.
    pub fn status(&self) -> NotifyStatus {
        let inner = self.inner.lock();
        NotifyStatus {
            outbox_bytes: inner.outbox.bytes(),
            cut_bytes: inner.cut_bytes,
            disk_error: inner.disk_error.clone(),
            ..inner.ledger.status()
        }
    }
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}

/// Whether the target gets its next message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Go {
    On,
    Stop,
}

impl Inner {
    /// Notes how an attempt ended.
    fn note(&mut self, job: Job, answer: Result<Response, TransportError>, now: Timestamp) -> Go {
        let Inner { ledger, rng, .. } = self;
        let (answer, go) = match answer {
            Ok(response) if (200..300).contains(&response.status) => {
                if let Some(target) = ledger.target(job.target) {
                    target.delivered(now);
                }
                (Answer::Delivered, Go::On)
            }
            // Too many requests and a timeout at the other end pass; other 4xx answers do not.
            Ok(response) if (400..500).contains(&response.status) && !matches!(response.status, 408 | 429) => {
                if let Some(target) = ledger.target(job.target) {
                    target.refused(now, text_of(&response));
                }
                (Answer::Refused, Go::On)
            }
            other => {
                let (error, retry_after) = match other {
                    Ok(response) => (text_of(&response), response.retry_after),
                    Err(error) => (error.to_string(), None),
                };
                if let Some(target) = ledger.target(job.target) {
                    target.failed(now, error, retry_after, rng);
                }
                return Go::Stop;
            }
        };
        let record = self.ledger.answered(job, answer, now);
        self.remember(record.into_iter().collect());
        go
    }

    /// Writes down what was told and settled.
    fn remember(&mut self, mut records: Vec<Record>) {
        records.extend(self.ledger.settled());
        if !records.is_empty() && !self.outbox.broken() {
            let written = self.outbox.append(&records);
            // The error stands in the status, and the next step tries again.
            let _ = self.keep(written);
        }
    }

    fn heal(&mut self) {
        if self.outbox.broken() {
            let _ = self.keep(Ok(()));
        }
    }

    /// Sees to it that the whole state is on disk after a write, by a new file if that failed.
    fn keep(&mut self, written: io::Result<()>) -> io::Result<()> {
        let result = if self.outbox.rewrite_due() {
            let rewritten = self.outbox.rewrite(&self.ledger.records());
            match (written, rewritten) {
                // The old file still has everything.
                (Ok(()), Err(_)) if !self.outbox.broken() => Ok(()),
                (_, rewritten) => rewritten,
            }
        } else {
            written
        };
        self.disk_error = result.as_ref().err().map(ToString::to_string);
        result
    }
}

fn text_of(response: &Response) -> String {
    let body: String = response.body.trim().chars().take(BODY_SHOWN).collect();
    if body.is_empty() { format!("status {}", response.status) } else { format!("status {}: {body}", response.status) }
}
