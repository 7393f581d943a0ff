//! The notifier: takes decisions durably, and tells them.
//!
//! Invariants:
//! - No lock is held while a request is on its way.
//! - A decision that could not be written is told all the same: people come before the record.
//! - What the outbox holds comes in the order in which it happened: who changes the ledger in a way that is written has
//!   the book first.

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
    /// What is durable; taken before the ledger, and held while the disk is waited for.
    book: Mutex<Book>,
    /// What is to be told. Nobody waits for anything while they hold it.
    ledger: Mutex<Ledger>,
}

/// The outbox, and how writing it goes.
struct Book {
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
        let book = Book { outbox, rng, cut_bytes, disk_error: None };
        Ok(Notifier { book: Mutex::new(book), ledger: Mutex::new(ledger) })
    }

    /// Takes transitions: firing and resolved ones are durable when it returns, and are told after that; those that are
    /// known already and other kinds are passed over. Calls must come in the order of the log.
    ///
    /// # Errors
    /// The outbox cannot be written. The transitions are taken and will be told even so, and
    /// [`Notifier::step`] goes on trying to write them down.
    pub fn accept(&self, transitions: &[Transition]) -> Result<(), AcceptError> {
        let mut book = self.book.lock();
        let fresh = self.ledger.lock().fresh(transitions);
        if fresh.is_empty() {
            return Ok(());
        }
        let written = book.outbox.append(&[Record::Accepted(fresh.clone())]);
        self.ledger.lock().take(fresh);
        self.keep(&mut book, written).map_err(|source| AcceptError { source })
    }

    /// The same of transitions that a start would decide again, for their grounds are durable: they may be told before
    /// they are so themselves, which the next [`Notifier::step`] or [`Notifier::sync`] sees to.
    ///
    /// # Errors
    /// As of [`Notifier::accept`].
    pub fn accept_logged(&self, transitions: &[Transition]) -> Result<(), AcceptError> {
        let mut book = self.book.lock();
        let fresh = self.ledger.lock().fresh(transitions);
        if fresh.is_empty() {
            return Ok(());
        }
        let written = book.outbox.write(&[Record::Accepted(fresh.clone())]);
        self.ledger.lock().take(fresh);
        match written {
            Ok(()) => Ok(()),
            written => self.keep(&mut book, written).map_err(|source| AcceptError { source }),
        }
    }

    /// Makes durable what was taken.
    ///
    /// # Errors
    /// The outbox cannot be written.
    pub fn sync(&self) -> Result<(), AcceptError> {
        let mut book = self.book.lock();
        let written = book.outbox.sync();
        self.keep(&mut book, written).map_err(|source| AcceptError { source })
    }

    /// The highest place in the log of which a decision was taken.
    pub fn position(&self) -> Seq {
        self.ledger.lock().position()
    }

    /// The alerts that receivers are to hold for firing.
    pub fn firing(&self) -> Vec<Alert> {
        self.ledger.lock().firing()
    }

    /// Goes on with a log whose last entry is `last`. If decisions of later entries are known, the log
    /// has lost them and gives their places to others, which must not pass for known.
    ///
    /// # Errors
    /// The outbox cannot be written; the log is followed even so.
    pub fn follow(&self, last: Seq) -> Result<(), AcceptError> {
        let mut book = self.book.lock();
        let Some(record) = self.ledger.lock().rewind(last) else { return Ok(()) };
        tracing::error!("the log ends at entry {}, before decisions that were told: it has lost entries", last.0);
        let written = book.outbox.append(&[record]);
        self.keep(&mut book, written).map_err(|source| AcceptError { source })
    }

    /// Sends what is due at `now`; returns when there is something to do next, if anything.
    ///
    /// May be called by several threads: each speaks with another target, so that a slow one does
    /// not hold up the rest.
    pub fn step(&self, now: Timestamp, transport: &dyn Transport) -> Option<Timestamp> {
        loop {
            let jobs = self.ledger.lock().claim(now);
            let Some(target) = jobs.first().map(|job| job.target) else { break };
            for job in jobs {
                let answer = transport.send(&job.request);
                if self.note(job, answer, now) == Go::Stop {
                    break;
                }
            }
            if let Some(target) = self.ledger.lock().target(target) {
                target.line = Line::Free;
            }
        }
        let mut book = self.book.lock();
        self.remember(&mut book, Vec::new());
        // The error stands in the status, and the next step tries again.
        let written = book.outbox.sync();
        let _ = self.keep(&mut book, written);
        let due = self.ledger.lock().next_due(now);
        let heal = book.outbox.broken().then_some(now + HEAL);
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
        self.ledger.lock().reload(options);
        Ok(())
    }

    /// The labels that are added to alerts that do not have them.
    pub fn external_labels(&self) -> Labels {
        self.ledger.lock().external_labels()
    }

    /// Who would be told of an alert: receivers that have an address, and Alertmanagers, by the names of their status.
    pub fn receivers_of(&self, alert: &Labels) -> Vec<String> {
        self.ledger.lock().receivers_of(alert)
    }

    /// Whether an alert with these labels, and others that are not known beforehand, can come to anybody: to a receiver that
    /// has an address, or an Alertmanager.
    pub fn can_reach(&self, known: &Labels) -> bool {
        self.ledger.lock().can_reach(known)
    }

    /// Who was told last of the alert with these labels: receiver, `firing` or `resolved`, and when. What is settled is
    /// not remembered.
    pub fn told_of(&self, labels: &Labels) -> Vec<(String, &'static str, Timestamp)> {
        self.ledger.lock().told_of(labels)
    }

    /// What can be said about delivery.
    pub fn status(&self) -> NotifyStatus {
        let book = self.book.lock();
        NotifyStatus {
            outbox_bytes: book.outbox.bytes(),
            cut_bytes: book.cut_bytes,
            disk_error: book.disk_error.clone(),
            ..self.ledger.lock().status()
        }
    }

    /// Notes how an attempt ended.
    fn note(&self, job: Job, answer: Result<Response, TransportError>, now: Timestamp) -> Go {
        let mut book = self.book.lock();
        let mut ledger = self.ledger.lock();
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
                    target.failed(now, error, retry_after, &mut book.rng);
                }
                return Go::Stop;
            }
        };
        let record = ledger.answered(job, answer, now);
        drop(ledger);
        self.remember(&mut book, record.into_iter().collect());
        go
    }

    /// Writes down what was told and settled.
    fn remember(&self, book: &mut Book, mut records: Vec<Record>) {
        records.extend(self.ledger.lock().settled());
        if !records.is_empty() && !book.outbox.broken() {
            let written = book.outbox.append(&records);
            // The error stands in the status, and the next step tries again.
            let _ = self.keep(book, written);
        }
    }

    /// Sees to it that the whole state is on disk after a write, by a new file if that failed.
    fn keep(&self, book: &mut Book, written: io::Result<()>) -> io::Result<()> {
        let outbox = &mut book.outbox;
        let result = if outbox.rewrite_due() {
            let records = self.ledger.lock().records();
            let rewritten = outbox.rewrite(&records);
            match (written, rewritten) {
                // The old file still has everything.
                (Ok(()), Err(_)) if !outbox.broken() => Ok(()),
                (_, rewritten) => rewritten,
            }
        } else {
            written
        };
        book.disk_error = result.as_ref().err().map(ToString::to_string);
        result
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

fn text_of(response: &Response) -> String {
    let body: String = response.body.trim().chars().take(BODY_SHOWN).collect();
    if body.is_empty() { format!("status {}", response.status) } else { format!("status {}: {body}", response.status) }
}
