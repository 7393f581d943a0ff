//! How a target fared last time: for the API and the pages.

use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;

use crate::model::{Labels, Millis, Timestamp};

/// Whether a target answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It was not scraped yet.
    Unknown,
    /// Its last scrape succeeded.
    Up,
    /// Its last scrape failed.
    Down,
}

impl Health {
    /// The word of Prometheus' API.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Down => "down",
        }
    }
}

/// A target and its last scrape.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetStatus {
    /// The job's name in the configuration.
    pub job: String,
    /// The labels of its series.
    pub labels: Labels,
    /// What the configuration said of it, the `__…__` labels included.
    pub discovered_labels: Labels,
    /// Where it is scraped; a source in this process has `local:` and its name.
    pub url: String,
    /// From one scrape to the next.
    pub interval: Millis,
    /// How long a scrape may take.
    pub timeout: Millis,
    /// Whether it answers.
    pub health: Health,
    /// When its last scrape began.
    pub last_scrape: Option<Timestamp>,
    /// How long that took.
    pub last_duration: Duration,
    /// Why that failed, or empty.
    pub last_error: String,
    /// Samples that it brought.
    pub samples: usize,
    /// Samples of it that the store refused.
    pub rejected: u64,
}

/// A status that its target's loop writes and everybody reads.
pub(super) struct StatusCell(Mutex<TargetStatus>);

impl StatusCell {
    pub(super) fn new(status: TargetStatus) -> StatusCell {
        StatusCell(Mutex::new(status))
    }

    pub(super) fn get(&self) -> TargetStatus {
        self.0.lock().clone()
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut TargetStatus)) {
        change(&mut self.0.lock());
    }
}

impl fmt::Debug for StatusCell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.lock().fmt(f)
    }
}
