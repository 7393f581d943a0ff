//! What a configuration says, everything that it leaves out filled in.

use std::path::{Path, PathBuf};

use crate::confidence::{AccuracyTargets, CriticalServices};
use crate::env::disk::Disk;
use crate::model::{DownsampleRule, Labels, Matcher, Millis, limits};
use crate::notify::{AlertmanagerTarget, Routing};
use crate::promql::parse_selector;
use crate::slo::{Objective, SeverityRow};

use super::error::ConfigError;
use super::loader::Loader;
use super::note::Note;
use super::prometheus;
use super::scrape::ScrapeJob;
use crate::rules::{EvaluationMode, RuleGroup};

/// A whole configuration. Printing it shows no secret.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// From one scrape to the next, where a job says nothing.
    pub scrape_interval: Millis,
    /// How long a scrape may take, where a job says nothing.
    pub scrape_timeout: Millis,
    /// How often rules that are not followed sample by sample are evaluated, where a group says nothing.
    pub evaluation_interval: Millis,
    /// When alerting rules decide, where a group says nothing.
    pub rule_evaluation_mode: EvaluationMode,
    /// Of how many evaluations of followed rules one is compared with what a query answers; 0 for none.
    pub rule_audit_one_in: u64,
    /// How far back of the present rules look, where a group says nothing.
    pub rule_query_offset: Millis,
    /// Series whose label `version` or `service_version` says what runs: a new one is marked as a deploy.
    pub deploy_series: Vec<Matcher>,
    /// Services that must be covered.
    pub critical: CriticalServices,
    /// What alerts should reach, for reports.
    pub accuracy: AccuracyTargets,
    /// Labels that are added to alerts.
    pub external_labels: Labels,
    /// What is scraped.
    pub scrape: Vec<ScrapeJob>,
    /// The rules of all rule files.
    pub rule_groups: Vec<RuleGroup>,
    /// The objectives of all objective files.
    pub objectives: Vec<Objective>,
    /// What their burn alerts are told as, the first row first; each objective has it as well.
    pub severity: Vec<SeverityRow>,
    /// Our own delivery.
    pub routing: Option<Routing>,
    /// Alertmanagers that alerts are handed to.
    pub alertmanagers: Vec<AlertmanagerTarget>,
    /// How samples are kept.
    pub storage: StorageSettings,
    /// Every file that was read, for watching.
    pub files: Vec<PathBuf>,
    /// Keys that were accepted and change nothing.
    pub notes: Vec<Note>,
}

/// How samples are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageSettings {
    /// For how long.
    pub retention: Millis,
    /// Series that are kept for another time; the first rule that takes a series counts. The last one is
    /// [`RetentionRule::scorecard`], unless everything is kept as long.
    pub retention_rules: Vec<RetentionRule>,
    /// Which series are kept at a lower resolution from which age on.
    pub downsample: Vec<DownsampleRule>,
    /// Bytes that everything together may take; 0 for any number.
    pub retention_bytes: u64,
    /// Memory for answers to range queries that are kept for the next time; 0 keeps none.
    pub results_cache_bytes: u64,
    /// Bytes that compaction writes in a second at the most; 0 for any number.
    pub compaction_bytes_per_second: u64,
    /// When an acknowledged sample is on disk.
    pub durability: Durability,
    /// How much older than its series' newest a sample may be.
    pub out_of_order: Millis,
    /// Exemplars that are kept in memory; 0 keeps none.
    pub exemplars_max: usize,
    /// What becomes of when counting began.
    pub start_timestamps: StartTimestamps,
}

impl Default for StorageSettings {
    fn default() -> StorageSettings {
        StorageSettings {
            retention: Millis::days(90),
            retention_rules: vec![RetentionRule::scorecard()],
            downsample: Vec::new(),
            retention_bytes: 0,
            results_cache_bytes: limits::RESULTS_CACHE_BYTES,
            compaction_bytes_per_second: limits::COMPACTION_BYTES_PER_SECOND,
            durability: Durability::Synced,
            out_of_order: Millis::ZERO,
            exemplars_max: limits::EXEMPLARS_MAX,
            start_timestamps: StartTimestamps::Ignored,
        }
    }
}

/// Series that are kept for another time than the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionRule {
    /// The series: those that satisfy all of them.
    pub matchers: Vec<Matcher>,
    /// For how long they are kept.
    pub keep: Millis,
}

/// The own series that say how well a team does: verdicts, budgets, coverage, accuracy.
const SCORECARD: &str = "{__name__=~\"evenkeel_(accuracy|adoption|confidence|coverage|customers|error_budget|objective_time_coverage|scorecard|verdict)(_.+)?\"}";
/// Thirteen months are 397 days at the most: the same month of last year is there to compare with.
const SCORECARD_KEPT: Millis = Millis::days(400);

impl RetentionRule {
    /// A year of the scorecard, and the month before it.
    pub fn scorecard() -> RetentionRule {
        // A constant that a test reads.
        RetentionRule { matchers: parse_selector(SCORECARD).unwrap_or_default(), keep: SCORECARD_KEPT }
    }
}

/// What becomes of what targets say of when the counting of their samples began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartTimestamps {
    /// Nothing: lines that say it are samples.
    #[default]
    Ignored,
    /// It is stored.
    Stored,
    /// It is stored, and queries and rules look at it.
    Used,
}

/// When an acknowledged sample is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before it is acknowledged.
    Synced,
    /// At most so long afterwards.
    Interval(Millis),
    /// When the operating system writes it.
    Buffered,
}

impl Config {
    /// Reads a configuration file and every file that it names.
    ///
    /// # Errors
    /// The first thing that is wrong, with its file, line and column.
    pub fn load(disk: &dyn Disk, path: &Path) -> Result<Config, ConfigError> {
        Config::load_with(disk, path, &|name| std::env::var(name).ok())
    }

    /// As [`Config::load`], with variables from elsewhere than the process' environment.
    ///
    /// # Errors
    /// The first thing that is wrong, with its file, line and column.
    pub fn load_with(
        disk: &dyn Disk,
        path: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, ConfigError> {
        let mut loader = Loader::new(disk, environment);
        let config = prometheus::read(path, &mut loader)?;
        Ok(Config { files: loader.files, notes: loader.notes, ..config })
    }
}
