//! What is scraped, as the scraper tells it: the seam to a module of the same layer.

use std::time::Duration;

use crate::model::{Labels, Millis, Timestamp};

/// Tells which targets there are and how they are.
pub trait Targets: Send + Sync {
    /// All targets that are scraped now.
    fn targets(&self) -> Vec<TargetStatus>;

    /// The targets that relabeling rules leave out, with their pools.
    fn dropped(&self) -> Vec<DroppedTarget> {
        Vec::new()
    }
}

/// A target that relabeling rules leave out.
#[derive(Debug, Clone, PartialEq)]
pub struct DroppedTarget {
    /// The name of its job.
    pub pool: String,
    /// What the configuration said of it.
    pub discovered_labels: Labels,
}

/// Nothing is scraped.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoTargets;

impl Targets for NoTargets {
    fn targets(&self) -> Vec<TargetStatus> {
        Vec::new()
    }
}

/// How a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetHealth {
    /// Not scraped yet.
    Unknown,
    /// The last scrape brought samples.
    Up,
    /// The last scrape failed.
    Down,
}

impl TargetHealth {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            TargetHealth::Unknown => "unknown",
            TargetHealth::Up => "up",
            TargetHealth::Down => "down",
        }
    }
}

/// One target.
#[derive(Debug, Clone)]
pub struct TargetStatus {
    /// The name of its job.
    pub pool: String,
    /// Where it is scraped.
    pub url: String,
    /// The labels that its series get.
    pub labels: Labels,
    /// What the configuration said of it.
    pub discovered_labels: Labels,
    /// How it is.
    pub health: TargetHealth,
    /// Why the last scrape failed, or empty.
    pub last_error: String,
    /// When it was last scraped.
    pub last_scrape: Option<Timestamp>,
    /// How long that took.
    pub last_duration: Duration,
    /// How often it is scraped.
    pub interval: Millis,
    /// How long a scrape may take.
    pub timeout: Millis,
}
