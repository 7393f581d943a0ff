//! What a database is opened with.

use std::path::PathBuf;
use std::sync::Arc;

use crate::confidence::{AccuracyTargets, CriticalServices};
use crate::env::disk::{Disk, RealDisk};
use crate::env::{Clock, Discard, SystemClock, Transport};
use crate::model::{Matcher, limits};
use crate::notify::NotifyOptions;
use crate::promql::StartTimestamps;
use crate::rules::RuleGroup;
use crate::slo::Objective;
use crate::storage::StoreOptions;

/// Whether the database moves by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Threads {
    /// Timers, delivery and upkeep run on threads of their own.
    #[default]
    Own,
    /// Nothing happens unless the caller steps: for virtual time and embedding.
    None,
}

/// What is watched and who is told: what may change while the database is open.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// Alerting and recording rules.
    pub groups: Vec<RuleGroup>,
    /// Objectives.
    pub objectives: Vec<Objective>,
    /// Series whose label `version` or `service_version` says what runs: a new one is marked as a deploy. None looks
    /// at none.
    pub deploy_series: Vec<Matcher>,
    /// Services that must be covered.
    pub critical: CriticalServices,
    /// What alerts should reach, for reports.
    pub accuracy: AccuracyTargets,
    /// Who is told, and what is added to alerts: external labels, the address of the pages.
    pub notify: NotifyOptions,
}

/// What a database is opened with.
#[derive(Clone)]
pub struct DbOptions {
    /// The directory; created if it is not there.
    pub dir: PathBuf,
    /// How samples are kept.
    pub store: StoreOptions,
    /// Rules, objectives and receivers.
    pub watch: Watch,
    /// Whether rules look at when the counting of samples began, if the store keeps that.
    pub start_timestamps: StartTimestamps,
    /// Memory for answers to range queries that are kept for the next time; 0 keeps none.
    pub results_cache_bytes: u64,
    /// Bytes that background work on blocks writes in a second at the most; 0 for any number.
    pub compaction_bytes_per_second: u64,
    /// Of how many evaluations of followed rules one is compared with what a query answers; 0 for none.
    pub rule_audit_one_in: u64,
    /// Whether threads are started.
    pub threads: Threads,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// How notifications leave.
    pub transport: Arc<dyn Transport>,
}

impl DbOptions {
    /// The defaults for a directory: the machine's clock and disk, no rules, nobody told.
    pub fn new(dir: impl Into<PathBuf>) -> DbOptions {
        DbOptions {
            dir: dir.into(),
            store: StoreOptions::default(),
            watch: Watch::default(),
            start_timestamps: StartTimestamps::Ignored,
            results_cache_bytes: limits::RESULTS_CACHE_BYTES,
            compaction_bytes_per_second: limits::COMPACTION_BYTES_PER_SECOND,
            rule_audit_one_in: limits::RULE_AUDIT_ONE_IN,
            threads: Threads::Own,
            clock: Arc::new(SystemClock::new()),
            disk: Arc::new(RealDisk),
            transport: Arc::new(Discard),
        }
    }
}
