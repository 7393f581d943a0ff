//! Opening, reloading and closing: which part starts when, and what a restart carries over.
//!
//! A restart with the same rules restores their state of the last checkpoint, fills their windows
//! from the store as it was there, and replays the rest of the log through the live path; what had
//! been decided is decided again, with the same identities, and the outbox drops what it knows. What rules made of
//! the last entries, if a crash came before it was logged, is logged then.
//! A restart with other rules replays the log into the store alone and then fills the new rules'
//! windows from it, so that a rule never pages for a past in which it did not exist; the state of
//! rules that stayed is carried over by their identity.

use std::collections::HashSet;
use std::hash::Hasher;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::MutexGuard;

use crate::confidence::Blindness;
use crate::env::Clock;
use crate::model::{
    Alert, AlertState, Batch, Labels, Seq, Timestamp, Transition, TransitionId, TransitionKind, limits,
};
use crate::notify::{Notifier, NotifyOptions};
use crate::promql::StartTimestamps;
use crate::rules::{Evaluator, RuleContext, Stopwatch, check_history};
use crate::slo::Objectives;
use crate::storage::{Entry, Replay, Store};

use super::Db;
use super::core::{Basis, Core, attachment, hand_over};
use super::deploys::Deploys;
use super::episodes::Episodes;
use super::error::{AppendError, OpenError};
use super::ingest::{Inner, Parts};
use super::options::{DbOptions, Threads, Watch};
use super::source::LiveSource;
use super::threads::Running;
use super::verdicts::Verdicts;

/// The database's clock, by which evaluations of rules are measured.
struct RuleTime(Arc<dyn Clock>);

impl Stopwatch for RuleTime {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Db {
    /// Opens the database in a directory and brings it to the state in which it stopped.
    ///
    /// # Errors
    /// Another process holds the directory, something stored cannot be read, or a rule or
    /// objective cannot be used.
    pub fn open(options: DbOptions) -> Result<Db, OpenError> {
        let begun = options.clock.elapsed();
        check_history(&options.watch.groups, &options.store.downsample).map_err(OpenError::History)?;
        let downsample = options.store.downsample.clone();
        let (store, mut replay) = Store::open(Arc::clone(&options.disk), &options.dir, options.store)?;
        let watch = options.watch;
        let notifier = Notifier::open(Arc::clone(&options.disk), &options.dir.join("outbox"), notify_options(&watch))?;
        let context = context(&watch, options.start_timestamps);
        let text = identity(&watch, context.start_timestamps);
        let same = replay.attachment(attachment::RULES_TEXT) == Some(text.as_bytes());
        let deploys = Deploys::restore(replay.attachment(attachment::DEPLOYS).unwrap_or_default());
        let evaluator = Evaluator::new(watch.groups.clone(), context)?;
        let objectives = Objectives::new(watch.objectives.clone())?;
        let mut core = Core::new(evaluator, objectives, deploys, text);
        core.in_force(&watch);
        core.blindness = Blindness::resume(notifier.firing());
        if same {
            warm_start(&mut core, &store, &replay)?;
        }
        let (mut transitions, mut made) = (Vec::new(), Made::default());
        while let Some(applied) = replay.next()? {
            if same {
                let outcome = core.see(&store, &applied);
                transitions.extend(outcome.transitions);
                made.take(applied.at(), outcome.derived);
            } else {
                core.see_note(&applied);
            }
        }
        let now = Timestamp(options.clock.now_ms());
        let alive_until = (store.snapshot().seq() > Seq(0)).then(|| store.snapshot().at());
        let verdicts = Verdicts::open(Arc::clone(&options.disk), &options.dir, alive_until, now);
        let ahead = store.snapshot().at() - Timestamp(options.clock.now_ms());
        if ahead > limits::CLOCK_BEHIND_MAX {
            tracing::warn!("the clock is {ahead} behind the log; time stands still for the rules until it catches up");
        }
        if !same {
            if store.snapshot().seq() == Seq(0) {
                // A new log has no time yet; its first entry says when it begins.
                store.commit(Timestamp(options.clock.now_ms()), vec![Entry::Tick]).map_err(AppendError::from)?;
            }
            warm_start(&mut core, &store, &replay)?;
            core.evaluator.adopt(store.known_series());
            core.objectives.adopt(store.known_series());
        }
        if let Err(error) = notifier.follow(store.snapshot().seq()) {
            tracing::error!("{error}");
        }
        if !same {
            let ended = ended(&notifier, &core);
            core.note_happened(store.snapshot().seq(), &ended);
            transitions.extend(ended);
        }
        let episodes = Episodes::open(Arc::clone(&options.disk), &options.dir);
        tracing::info!("{} in {:.3} s", replay.report(), (options.clock.elapsed() - begun).as_secs_f64());
        core.evaluator.measure_with(Arc::new(RuleTime(Arc::clone(&options.clock))));
        let inner = Arc::new(Inner::new(Parts {
            store,
            notifier,
            clock: options.clock,
            transport: options.transport,
            core,
            disk: options.disk,
            dir: options.dir,
            results_cache_bytes: options.results_cache_bytes,
            compaction_bytes_per_second: options.compaction_bytes_per_second,
            downsample,
            verdicts,
            episodes,
        }));
        inner.versions.lock().reload(watch.deploy_series);
        inner.critical.lock().reload(watch.critical);
        *inner.accuracy_targets.lock() = watch.accuracy;
        {
            let mut core = inner.core.lock();
            core.evaluator.audit_one_in(options.rule_audit_one_in);
            hand_over(&inner, &transitions, Basis::Present);
            core.record(&inner);
            // What is stored already is taken for known.
            core.commit_derived(&inner, made.derived);
            if !same {
                core.checkpoint_now(&inner);
            }
        }
        let threads = match options.threads {
            Threads::Own => Running::start(Arc::clone(&inner)).map_err(OpenError::Threads)?,
            Threads::None => Running::none(Arc::clone(&inner)),
        };
        Ok(Db { inner, threads: Arc::new(threads) })
    }

    /// Puts other rules, objectives and receivers in force, all of them or none. What stayed keeps
    /// its state; alerts of rules that are gone are resolved.
    ///
    /// # Errors
    /// A rule or objective cannot be used; then nothing has changed.
    pub fn reload(&self, watch: Watch) -> Result<(), OpenError> {
        let reloaded = self.try_reload(watch);
        self.note_reload(reloaded.as_ref().err().map(ToString::to_string).as_deref());
        reloaded
    }

    /// Notes that a configuration was taken, or why it could not even be read: the verdict tells of it until one is.
    pub fn note_reload(&self, error: Option<&str>) {
        self.inner.program.reloaded(self.inner.now(), error);
    }

    fn try_reload(&self, watch: Watch) -> Result<(), OpenError> {
        let inner = &*self.inner;
        check_history(&watch.groups, &inner.downsample).map_err(OpenError::History)?;
        Objectives::new(watch.objectives.clone())?;
        if let Some(routing) = &watch.notify.routing {
            routing.check()?;
        }
        let mut core = inner.core.lock();
        let now = inner.now();
        core.pass_time(inner, now);
        let start_timestamps = core.evaluator.start_timestamps();
        let source = LiveSource::now(&inner.store, start_timestamps).view();
        core.evaluator.reload(watch.groups.clone(), context(&watch, start_timestamps), &source)?;
        core.evaluator.adopt(inner.store.known_series());
        core.objectives.reload(watch.objectives.clone())?;
        core.objectives.adopt(inner.store.known_series());
        core.objectives.seed(now, &source).map_err(|error| OpenError::Read(error.to_string()))?;
        core.rules_text = identity(&watch, start_timestamps);
        core.in_force(&watch);
        inner.notifier.reload(notify_options(&watch))?;
        inner.versions.lock().reload(watch.deploy_series);
        inner.critical.lock().reload(watch.critical);
        *inner.accuracy_targets.lock() = watch.accuracy;
        core.pass_time(inner, now);
        core.checkpoint_now(inner);
        core.after(inner);
        MutexGuard::unlock_fair(core);
        inner.timer.ring();
        inner.wake_delivery();
        Ok(())
    }

    /// Tells the database that a manual clock has moved: passes the deadlines up to now, and wakes the
    /// delivery.
    pub fn time_moved(&self) {
        self.inner.tick_if_due();
        self.inner.wake_delivery();
    }

    /// Makes everything durable and ends the threads once the last handle is gone. With a checkpoint,
    /// so that a start with other rules finds the state of those that stay.
    ///
    /// # Errors
    /// The log cannot be synced.
    pub fn close(self) -> Result<(), AppendError> {
        // The checkpoint must not wait for a long merge.
        self.inner.store.interrupt();
        self.inner.store.sync()?;
        self.inner.core.lock().checkpoint_now(&self.inner);
        Ok(())
    }

    /// Lets time pass if a deadline has come, delivers what is due, and does the upkeep. For a
    /// database without threads of its own.
    pub fn step(&self) {
        self.inner.tick_if_due();
        self.inner.note_versions();
        self.inner.note_verdict();
        self.inner.notifier.step(self.inner.now(), &*self.inner.transport);
        self.inner.note_told();
        self.inner.upkeep_step(&mut |_| ());
    }
}

fn context(watch: &Watch, start_timestamps: StartTimestamps) -> RuleContext {
    RuleContext {
        start_timestamps,
        external_labels: watch.notify.external_labels.clone(),
        external_url: watch.notify.external_url.clone(),
    }
}

/// A text that differs as soon as a rule or an objective does.
fn identity(watch: &Watch, start_timestamps: StartTimestamps) -> String {
    let mut hash = siphasher::sip::SipHasher13::new();
    hash.write(format!("{:?}{:?}{:?}", watch.groups, watch.objectives, watch.notify.external_labels).as_bytes());
    if start_timestamps == StartTimestamps::Used {
        hash.write(b"start timestamps");
    }
    format!("{:016x}", hash.finish())
}

impl Core {
    /// A checkpoint before anything else is taken: saved state and the rules that it belongs to should
    /// not part. On a full disk they do, until the upkeep succeeds; a restart before that finds other
    /// rules than were saved and fills theirs from the store. Better than not to open.
    pub(super) fn checkpoint_now(&mut self, inner: &Inner) {
        // One that is under way carries an earlier state, and as long as it is no other can begin.
        let done = inner.store.finish_checkpoint().and_then(|()| {
            self.begin_checkpoint(inner);
            inner.store.finish_checkpoint()
        });
        if let Err(error) = done {
            tracing::error!("the state of the rules cannot be saved yet, and is tried again: {error}");
        }
    }
}

/// What rules made of the last entries of the log. It follows them in the log at once, so that only entries of
/// the last instant can lack it.
#[derive(Default)]
struct Made {
    at: Option<Timestamp>,
    derived: Batch,
}

impl Made {
    fn take(&mut self, at: Timestamp, derived: Batch) {
        if self.at != Some(at) {
            *self = Made { at: Some(at), derived: Batch::new() };
        }
        self.derived.append(derived);
    }
}

/// The ends of alerts that receivers hold for firing though no rule or objective in force has them:
/// those of rules that are gone since the last run.
fn ended(notifier: &Notifier, core: &Core) -> Vec<Transition> {
    let alive: HashSet<Labels> = core.alerts().into_iter().map(|alert| alert.labels).collect();
    let gone = notifier.firing().into_iter().filter(|alert| !alive.contains(&alert.labels));
    let seq = notifier.position();
    let end = |alert: Alert| {
        let mut hash = siphasher::sip::SipHasher13::new();
        hash.write(format!("gone {} {}", alert.labels.as_text(), core.at.0).as_bytes());
        let id = TransitionId { seq, key: hash.finish() };
        let alert = Alert { state: AlertState::Resolved, resolved_at: Some(core.at), ..alert };
        Transition { id, kind: TransitionKind::Resolved, at: core.at, alert }
    };
    gone.map(end).collect()
}

/// Brings rules and objectives to where the checkpoint left them: state, and windows of the store.
/// A state that is damaged or of another version is left out, loudly.
fn warm_start(core: &mut Core, store: &Store, replay: &Replay) -> Result<(), OpenError> {
    let saved = |name| replay.attachment(name).filter(|bytes| !bytes.is_empty());
    let source = LiveSource::now(store, core.evaluator.start_timestamps());
    let (at, source) = (source.at, source.view());
    core.at = at;
    core.evaluator.seed(at, &source).map_err(|error| OpenError::Read(error.to_string()))?;
    if let Some(Err(error)) = saved(attachment::RULES).map(|bytes| core.evaluator.restore(bytes)) {
        tracing::error!("the state of the rules is lost, pending alerts start anew: {error}");
    }
    if let Some(Err(error)) = saved(attachment::OBJECTIVES).map(|bytes| core.objectives.restore(bytes)) {
        tracing::error!("the state of the objectives is lost, it is counted from history: {error}");
    }
    core.objectives.seed(at, &source).map_err(|error| OpenError::Read(error.to_string()))
}

/// What the notifier is told, with what it has to know of the rules.
fn notify_options(watch: &Watch) -> NotifyOptions {
    let mut options = watch.notify.clone();
    for group in &watch.groups {
        for rule in &group.rules {
            let interval = options.intervals.entry(rule.name().to_owned()).or_insert(group.interval);
            *interval = group.interval.max(*interval);
        }
    }
    options
}
