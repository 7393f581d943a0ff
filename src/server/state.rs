//! What every request may use: the database once it is open, and the doors to other parts.
//!
//! Invariants:
//! - The server listens before the database has replayed its log; until then everything but the
//!   health and the replay says 503.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::db::{Db, QueryError, QueryMeter};
use crate::env::{Clock, Host};
use crate::model::{Labels, Millis, Pattern, Timestamp, limits};
use crate::promql::EvalOptions;

use super::accept::{ConnectionCounts, ListenOptions};
use super::body::{BodyLimits, BodyReader};
use super::bridge::Bridge;
use super::envelope::{ApiError, ErrorType};
use super::notifications::{Notifications, Topic};
use super::queries::{Asked, Queries, QueryOptions, Ran};
use super::targets::Targets;

/// Reads the configuration again and takes it over.
pub trait Reload: Send + Sync {
    /// Returns when the new configuration is in force.
    ///
    /// # Errors
    /// The new configuration cannot be used; the old one stays in force.
    fn reload(&self) -> Result<(), String>;
}

/// Tells what is configured.
pub trait Setup: Send + Sync {
    /// The configuration file as it was read, without its secrets.
    fn config_text(&self) -> String;

    /// The configuration of a scrape pool; `None` if there is no such pool.
    fn pool_text(&self, pool: &str) -> Option<String>;

    /// What each relabeling rule of a pool makes of these labels; `None` if there is no such pool.
    fn relabel_steps(&self, pool: &str, labels: Labels) -> Option<Vec<RelabelStep>>;
}

/// What a relabeling rule made of labels.
#[derive(Debug, Clone, PartialEq)]
pub struct RelabelStep {
    /// The rule as it is configured.
    pub rule: Vec<(&'static str, String)>,
    /// The labels after it.
    pub output: Labels,
    /// Whether the target is kept.
    pub keep: bool,
}

/// Nothing is configured.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSetup;

impl Setup for NoSetup {
    fn config_text(&self) -> String {
        String::new()
    }

    fn pool_text(&self, _pool: &str) -> Option<String> {
        None
    }

    fn relabel_steps(&self, _pool: &str, _labels: Labels) -> Option<Vec<RelabelStep>> {
        None
    }
}

/// Origins whose pages may read the API.
#[derive(Debug, Clone)]
pub enum Origins {
    /// Every one, as Prometheus allows by default.
    Any,
    /// Those that the pattern matches as a whole.
    Matching(Pattern),
}

/// The last time that a configuration was taken, or was to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastReload {
    pub(super) at: Timestamp,
    pub(super) succeeded: bool,
}

/// Which `Host` names a request may carry. A name that an attacker's page resolves to this
/// machine must not reach the API (DNS rebinding).
#[derive(Debug, Clone)]
pub enum Hosts {
    /// Addresses, `localhost`, and these names.
    Only(Vec<String>),
    /// Every name: behind a proxy that checks, or on an open network on purpose.
    Any,
}

/// Who may mark deploys, delete series and reload the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// Peers on this machine.
    FromLoopback,
    /// Every peer.
    FromAnywhere,
}

/// How the server behaves.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Bounds on connections.
    pub listen: ListenOptions,
    /// Bounds on bodies.
    pub body: BodyLimits,
    /// Which `Host` names are answered.
    pub hosts: Hosts,
    /// Who may change things.
    pub changes: Changes,
    /// How long samples are kept, for those who ask.
    pub retention: Millis,
    /// Whether series may be deleted and snapshots taken over HTTP.
    pub admin_api: bool,
    /// Origins whose pages may read the API.
    pub origins: Origins,
    /// How queries are taken in.
    pub query: QueryOptions,
    /// The flags of the command line with their values, for those who ask.
    pub flags: Vec<(String, String)>,
}

impl Default for ServerOptions {
    fn default() -> ServerOptions {
        ServerOptions {
            listen: ListenOptions::default(),
            body: BodyLimits::default(),
            hosts: Hosts::Only(Vec::new()),
            changes: Changes::FromLoopback,
            retention: Millis::days(90),
            admin_api: false,
            origins: Origins::Any,
            query: QueryOptions::default(),
            flags: Vec::new(),
        }
    }
}

/// The doors to other parts.
pub struct Doors {
    /// What is scraped.
    pub targets: Arc<dyn Targets>,
    /// Reads the configuration again; `None` if there is none to read.
    pub reload: Option<Arc<dyn Reload>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The facts of this machine, for the process' own metrics.
    pub host: Arc<dyn Host>,
    /// What is configured.
    pub setup: Arc<dyn Setup>,
}

/// What every request may use.
#[derive(Clone)]
pub struct ServerState(Arc<Inner>);

struct Inner {
    db: OnceLock<Db>,
    stopping: AtomicBool,
    doors: Doors,
    options: ServerOptions,
    started: Timestamp,
    bridge: Bridge,
    queries: Queries,
    reloaded: Mutex<LastReload>,
    notifications: Notifications,
    bodies: BodyReader,
    connections: Arc<ConnectionCounts>,
    federate_left_out: AtomicU64,
}

impl ServerState {
    /// Native histograms that answers of `/federate` left out for want of a word.
    pub(super) fn federate_left_out(&self) -> &AtomicU64 {
        &self.0.federate_left_out
    }

    /// A state without a database: not ready.
    pub fn new(doors: Doors, options: ServerOptions) -> ServerState {
        let started = Timestamp(doors.clock.now_ms());
        let notifications = Notifications::default();
        notifications.begin(Topic::Starting, started);
        ServerState(Arc::new(Inner {
            db: OnceLock::new(),
            stopping: AtomicBool::new(false),
            started,
            reloaded: Mutex::new(LastReload { at: started, succeeded: true }),
            bodies: BodyReader::new(options.body.clone()),
            bridge: Bridge::new(limits::WRITES_AT_ONCE_MAX, limits::QUESTIONS_AT_ONCE_MAX),
            queries: Queries::new(options.query.clone(), Arc::clone(&doors.clock)),
            notifications,
            federate_left_out: AtomicU64::new(0),
            connections: Arc::default(),
            doors,
            options,
        }))
    }

    /// From now on the server is ready. A second database is ignored.
    pub fn ready(&self, db: Db) {
        let _ = self.0.db.set(db);
        self.notifications().end(Topic::Starting, self.now());
    }

    /// Notes how a reload ended, for those who ask.
    pub fn note_reload<T, E: fmt::Display>(&self, result: &Result<T, E>) {
        if let Ok(db) = self.db() {
            db.note_reload(result.as_ref().err().map(ToString::to_string).as_deref());
        }
        let mut last = self.0.reloaded.lock();
        last.succeeded = result.is_ok();
        if result.is_ok() {
            last.at = self.now();
            self.notifications().end(Topic::ReloadFailed, self.now());
        } else {
            self.notifications().begin(Topic::ReloadFailed, self.now());
        }
    }

    pub(super) fn last_reload(&self) -> LastReload {
        *self.0.reloaded.lock()
    }

    pub(super) fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
        self.notifications().begin(Topic::Stopping, self.now());
        self.notifications().close();
    }

    pub(super) fn stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }

    /// The database, or 503 while it is not open.
    pub(super) fn db(&self) -> Result<&Db, ApiError> {
        self.0.db.get().ok_or_else(|| {
            ApiError::new(ErrorType::Unavailable, "the log is still being replayed; try again in a moment")
        })
    }

    pub(super) fn doors(&self) -> &Doors {
        &self.0.doors
    }

    pub(super) fn options(&self) -> &ServerOptions {
        &self.0.options
    }

    pub(super) fn started(&self) -> Timestamp {
        self.0.started
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp(self.0.doors.clock.now_ms())
    }

    pub(super) fn bridge(&self) -> &Bridge {
        &self.0.bridge
    }

    pub(super) fn queries(&self) -> &Queries {
        &self.0.queries
    }

    pub(super) fn notifications(&self) -> &Notifications {
        &self.0.notifications
    }

    pub(super) fn bodies(&self) -> &BodyReader {
        &self.0.bodies
    }

    pub(super) fn connections(&self) -> &Arc<ConnectionCounts> {
        &self.0.connections
    }

    /// Runs a query; see [`Queries::run`].
    pub(super) async fn query<T: Send + 'static>(
        &self,
        asked: Asked,
        query: impl Fn(&Db, &EvalOptions, &QueryMeter) -> Result<T, QueryError> + Send + Sync + 'static,
    ) -> Result<Result<Ran<T>, QueryError>, ApiError> {
        self.queries().run(self.db()?, self.bridge(), asked, query).await
    }

    /// Asks a question about stored series, on a query's place.
    pub(super) async fn search<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Db) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let db = self.db()?.clone();
        self.queries().ask(move || question(&db)).await
    }

    /// Asks the database a question that it answers from memory, away from the async threads.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Db) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let db = self.db()?.clone();
        self.bridge().ask(move || question(&db)).await
    }
}
