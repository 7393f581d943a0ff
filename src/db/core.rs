//! What one writer at a time moves: the rules, the objectives, the deploys.
//!
//! Invariants:
//! - Everything here changes only through [`Core::see`], one log entry after the other, so that a
//!   replay ends in the same state.
//! - A transition reaches the outbox before the sender of its sample is answered, and is durable there before the log
//!   lets go of what decided it.

use std::sync::Arc;

use crate::confidence::{Blindness, RuleInfo};
use crate::model::{Alert, Batch, Committed, Millis, Seq, Timestamp, Transition, TransitionKind, limits};
use crate::rules::{Evaluator, Outcome};
use crate::slo::Objectives;
use crate::storage::{Applied, Entry, ExemplarCounts, Store};

use super::audits::Prepared;
use super::decided::Definitions;
use super::deploys::Deploys;
use super::episodes::Happened;
use super::error::AppendError;
use super::ingest::{Inner, Receipt, Waiting};
use super::judge::rule_info;
use super::options::Watch;
use super::source::LiveSource;

/// Names of what a checkpoint carries for this layer.
pub(super) mod attachment {
    pub(in crate::db) const RULES: &str = "rules";
    pub(in crate::db) const RULES_TEXT: &str = "rules-text";
    pub(in crate::db) const OBJECTIVES: &str = "objectives";
    pub(in crate::db) const DEPLOYS: &str = "deploys";
}

/// How often the output of rules may give rise to further output in one go. Rules see to it that one decision
/// leads to others in few steps, and that none sets itself going; the bound is for time that passes meanwhile.
const DERIVED_ROUNDS_MAX: usize = 16;

/// How far behind the log's last entry deadlines are passed one by one; what lies further is passed
/// in one step. After an outage, an instant selector sees nothing fresh once the lookback is over, so
/// twice that tells every `for` that was running how it would have ended.
const STEPPED: Millis = Millis(2 * limits::LOOKBACK.0);

/// The state that follows the log.
pub(super) struct Core {
    pub(super) evaluator: Evaluator,
    pub(super) objectives: Objectives,
    pub(super) deploys: Deploys,
    /// Who was told that nothing is seen any more.
    pub(super) blindness: Blindness,
    /// What identifies the rules and objectives in force, so that a restart knows whether saved
    /// state can be replayed through them.
    pub(super) rules_text: String,
    /// The rules and objectives in force, for whoever asks by what something was decided.
    pub(super) definitions: Definitions,
    /// What the rules in force are, in the order of their groups, for whoever looks at all of them often.
    pub(super) rule_infos: Vec<Arc<RuleInfo>>,
    /// The deadline that the timer waits for.
    armed: Option<Timestamp>,
    /// The log's time of the last entry seen.
    pub(super) at: Timestamp,
    /// Whether the last deadline could be logged.
    time: Time,
    /// A comparison that waits to be made.
    pub(super) audit: Option<Prepared>,
    /// What has happened and is not in the record yet.
    pub(super) happened: Vec<Happened>,
}

/// Whether time can be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    Moves,
    Stands,
}

impl Core {
    pub(super) fn new(evaluator: Evaluator, objectives: Objectives, deploys: Deploys, rules_text: String) -> Core {
        Core {
            evaluator,
            objectives,
            deploys,
            blindness: Blindness::default(),
            rules_text,
            definitions: Definitions::default(),
            rule_infos: Vec::new(),
            armed: None,
            at: Timestamp::MIN,
            time: Time::Moves,
            audit: None,
            happened: Vec::new(),
        }
    }

    /// Takes note of what the rules and objectives in force are.
    pub(super) fn in_force(&mut self, watch: &Watch) {
        self.definitions = Definitions::of(watch);
        self.rule_infos = self.evaluator.briefs().map(|brief| Arc::new(rule_info(brief))).collect();
    }

    /// Commits a group from the queue and answers its senders. Time up to now passes first, so that
    /// a timer that was due is never overtaken by a sample.
    pub(super) fn commit(&mut self, inner: &Inner, group: Vec<Waiting>) {
        let now = inner.now();
        self.pass_time(inner, now);
        let queued = group.iter().map(|waiting| waiting.queued).min();
        let (entries, slots): (Vec<_>, Vec<_>) = group.into_iter().map(|waiting| (waiting.entry, waiting.slot)).unzip();
        match inner.store.commit(now, entries) {
            Err(error) => {
                let error = AppendError::from(error);
                slots.iter().for_each(|slot| slot.fill(Err(error.clone())));
            }
            Ok(applied) => {
                let derived = self.see_all(inner, &applied);
                if let Some(queued) = queued {
                    inner.program.decided(now, inner.clock.elapsed().saturating_sub(queued));
                }
                for (slot, applied) in slots.iter().zip(applied) {
                    slot.fill(Ok(receipt(applied)));
                }
                self.commit_derived(inner, derived);
            }
        }
        self.after(inner);
    }

    /// Lets time pass up to `now`: each deadline is logged as a tick of its own instant, however
    /// late it is noticed, so that decisions do not depend on how busy the machine was.
    pub(super) fn pass_time(&mut self, inner: &Inner, now: Timestamp) {
        let last = self.at.min(now);
        while let Some(due) = self.next_deadline().filter(|due| *due <= now) {
            let at = if due <= last + STEPPED { due.max(last) } else { now };
            if self.tick(inner, at) == Time::Stands {
                return;
            }
        }
    }

    /// Logs that time has moved to `at`, and shows it to rules and objectives.
    pub(super) fn tick(&mut self, inner: &Inner, at: Timestamp) -> Time {
        match inner.store.commit(at, vec![Entry::Tick]) {
            Ok(applied) => {
                if std::mem::replace(&mut self.time, Time::Moves) == Time::Stands {
                    tracing::info!("time goes on for the rules");
                }
                let derived = self.see_all(inner, &applied);
                self.commit_derived(inner, derived);
            }
            Err(error) => {
                if std::mem::replace(&mut self.time, Time::Stands) == Time::Moves {
                    tracing::warn!("time stands still for the rules, it cannot be logged: {error}");
                }
            }
        }
        self.time
    }

    /// The next instant at which something changes though nothing arrives.
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        match (self.evaluator.next_deadline(), self.objectives.next_deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Shows one log entry to everything that follows the log: the live path and the replay.
    pub(super) fn see(&mut self, store: &Store, applied: &Applied) -> Outcome {
        self.at = self.at.max(applied.at());
        let outcome = self.show(store, applied);
        self.note_happened(applied.seq(), &outcome.transitions);
        outcome
    }

    fn show(&mut self, store: &Store, applied: &Applied) -> Outcome {
        match applied {
            Applied::Transaction(committed) => self.see_transaction(store, committed),
            Applied::Tick { seq, at } => {
                let source = self.source(store, *seq, *at);
                let mut outcome = self.evaluator.tick(*seq, *at, &source);
                outcome.transitions.extend(self.objectives.tick(*seq, *at));
                outcome
            }
            Applied::Note { at, bytes, .. } => {
                self.deploys.observe(*at, bytes);
                nothing()
            }
            // A delete takes samples away from queries; what the rules decided on them stays decided.
            Applied::Exemplars { .. } | Applied::Metadata { .. } | Applied::Delete { .. } => nothing(),
        }
    }

    /// Shows a log entry only to what follows notes, for a replay through other rules.
    pub(super) fn see_note(&mut self, applied: &Applied) {
        if let Applied::Note { at, bytes, .. } = applied {
            self.deploys.observe(*at, bytes);
        }
    }

    /// Every alert that is pending or firing.
    pub(super) fn alerts(&self) -> Vec<Alert> {
        let mut alerts = self.evaluator.alerts();
        alerts.extend(self.objectives.alerts());
        alerts.extend(self.blindness.alerts().cloned());
        alerts
    }

    /// The store as rules see it with an entry of the log.
    pub(super) fn source<'s>(&self, store: &'s Store, seq: Seq, at: Timestamp) -> LiveSource<'s> {
        LiveSource { store, seq, at, start_timestamps: self.evaluator.start_timestamps() }
    }

    fn see_transaction(&mut self, store: &Store, committed: &Committed) -> Outcome {
        let source = self.source(store, committed.seq, committed.at);
        let mut outcome = self.evaluator.observe(committed, &source);
        outcome.transitions.extend(self.objectives.observe(committed));
        outcome
    }

    fn see_all(&mut self, inner: &Inner, applied: &[Applied]) -> Batch {
        let begun = inner.clock.elapsed();
        let (mut derived, mut transitions) = (Batch::new(), Vec::new());
        for entry in applied {
            let outcome = self.see(&inner.store, entry);
            self.prepare_audit(inner, entry);
            transitions.extend(outcome.transitions);
            derived.append(outcome.derived);
        }
        inner.counters.decided(inner.clock.elapsed().saturating_sub(begun));
        hand_over(inner, &transitions, Basis::Log);
        self.record(inner);
        derived
    }

    /// Notes what has happened; people are being told already. The next look at the verdict writes it down.
    pub(super) fn record(&mut self, inner: &Inner) {
        if !self.happened.is_empty() {
            inner.episodes.lock().take(std::mem::take(&mut self.happened));
        }
    }

    /// Stores what rules made, which other rules see in turn.
    pub(super) fn commit_derived(&mut self, inner: &Inner, mut derived: Batch) {
        for _ in 0..DERIVED_ROUNDS_MAX {
            if derived.is_empty() {
                return;
            }
            // At the time of what led to it: after an outage, that is long before now.
            derived = match inner.store.commit(self.at, vec![Entry::Transaction(derived)]) {
                Ok(applied) => {
                    applied.iter().for_each(warn_of_refused);
                    self.see_all(inner, &applied)
                }
                Err(error) => {
                    tracing::warn!("the output of rules cannot be stored: {error}");
                    return;
                }
            };
        }
        if !derived.is_empty() {
            tracing::error!("rules set each other going: their output is not stored any further");
        }
    }

    pub(super) fn after(&mut self, inner: &Inner) {
        let next = self.next_deadline();
        if next.is_some() && (self.armed.is_none() || next < self.armed) {
            inner.timer.ring();
        }
        self.armed = next;
        if inner.store.checkpoint_due() {
            self.begin_checkpoint(inner);
        }
    }

    /// Freezes the head together with the state that belongs to the same place of the log.
    pub(super) fn begin_checkpoint(&mut self, inner: &Inner) {
        // The log must not lose the entries that would decide again what is not kept elsewhere.
        if let Err(error) = inner.notifier.sync() {
            tracing::warn!("no checkpoint: {error}");
            return;
        }
        inner.episodes.lock().write();
        let attachments = vec![
            (attachment::RULES.to_owned(), self.evaluator.save()),
            (attachment::RULES_TEXT.to_owned(), self.rules_text.clone().into_bytes()),
            (attachment::OBJECTIVES.to_owned(), self.objectives.save()),
            (attachment::DEPLOYS.to_owned(), self.deploys.save()),
        ];
        match inner.store.begin_checkpoint(attachments) {
            Ok(true) => inner.upkeep.ring(),
            Ok(false) => {}
            Err(error) => tracing::warn!("a checkpoint cannot begin: {error}"),
        }
    }
}

fn nothing() -> Outcome {
    Outcome { transitions: Vec::new(), derived: Batch::new() }
}

/// What decisions rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Basis {
    /// Entries of the log: a start that does not find the decisions makes them again.
    Log,
    /// What is seen now.
    Present,
}

/// Hands decisions to the outbox, after the log entries that they rest on are durable, and has people told.
pub(super) fn hand_over(inner: &Inner, transitions: &[Transition], basis: Basis) {
    if transitions.is_empty() {
        return;
    }
    if let Err(error) = inner.store.sync() {
        tracing::error!("{error}");
    }
    let taken = match basis {
        Basis::Log => inner.notifier.accept_logged(transitions),
        Basis::Present => inner.notifier.accept(transitions),
    };
    inner.wake_delivery();
    if let Err(error) = taken {
        tracing::error!("{error}");
    }
    for transition in transitions {
        if matches!(transition.kind, TransitionKind::Firing | TransitionKind::Resolved) {
            tracing::info!(alert = %transition.alert.labels, at = %transition.at, "{:?}", transition.kind);
        }
    }
    inner.forget_words();
    inner.verdict.ring();
}

/// Rules may make what cannot be stored, such as a native histogram with negative counts.
fn warn_of_refused(applied: &Applied) {
    if let Applied::Transaction(Committed { rejected, .. }) = applied
        && let Some((labels, t, reason)) = &rejected.first
    {
        let (count, reason) = (rejected.total(), reason.as_str());
        tracing::warn!("{count} samples of rules are not stored, first {labels} at {t}: {reason}");
    }
}

fn receipt(applied: Applied) -> Receipt {
    match applied {
        Applied::Transaction(committed) => Receipt {
            seq: committed.seq,
            at: committed.at,
            stored: committed.samples.len(),
            histograms: committed.histograms.len(),
            coarsened: committed.coarsened,
            rejected: committed.rejected,
            exemplars: ExemplarCounts::default(),
        },
        Applied::Exemplars { seq, at, counts } => {
            Receipt { seq, at, stored: 0, histograms: 0, coarsened: 0, rejected: Default::default(), exemplars: counts }
        }
        Applied::Tick { seq, at }
        | Applied::Note { seq, at, .. }
        | Applied::Metadata { seq, at }
        | Applied::Delete { seq, at } => {
            let exemplars = ExemplarCounts::default();
            Receipt { seq, at, stored: 0, histograms: 0, coarsened: 0, rejected: Default::default(), exemplars }
        }
    }
}
