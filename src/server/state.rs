//! What every request may use: the database once it is open, and the doors to other parts.
//!
//! Invariants:
//! - The server listens before the database has replayed its log; until then everything but the
//!   health and the replay says 503.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::db::Db;
use crate::env::{Clock, Host};
use crate::model::{Millis, Timestamp, limits};

use super::accept::{ConnectionCounts, ListenOptions};
use super::body::{BodyLimits, BodyReader};
use super::bridge::Bridge;
use super::envelope::{ApiError, ErrorType};
use super::targets::Targets;

/// Reads the configuration again and takes it over.
pub trait Reload: Send + Sync {
    /// Returns when the new configuration is in force.
    ///
    /// # Errors
    /// The new configuration cannot be used; the old one stays in force.
    fn reload(&self) -> Result<(), String>;
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
    bodies: BodyReader,
    connections: Arc<ConnectionCounts>,
}

impl ServerState {
    /// A state without a database: not ready.
    pub fn new(doors: Doors, options: ServerOptions) -> ServerState {
        ServerState(Arc::new(Inner {
            db: OnceLock::new(),
            stopping: AtomicBool::new(false),
            started: Timestamp(doors.clock.now_ms()),
            bodies: BodyReader::new(options.body.clone()),
            bridge: Bridge::new(limits::WRITES_AT_ONCE_MAX, limits::QUERIES_AT_ONCE_MAX),
            connections: Arc::default(),
            doors,
            options,
        }))
    }

    /// From now on the server is ready. A second database is ignored.
    pub fn ready(&self, db: Db) {
        let _ = self.0.db.set(db);
    }

    pub(super) fn stop(&self) {
        self.0.stopping.store(true, Ordering::Relaxed);
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

    pub(super) fn bodies(&self) -> &BodyReader {
        &self.0.bodies
    }

    pub(super) fn connections(&self) -> &Arc<ConnectionCounts> {
        &self.0.connections
    }

    /// Asks the database a question away from the async threads.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Db) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let db = self.db()?.clone();
        self.bridge().ask(move || question(&db)).await
    }
}
