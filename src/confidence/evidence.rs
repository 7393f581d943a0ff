//! What a judgement rests on: everything that is known at one instant.

use std::sync::Arc;

use crate::model::{Alert, Millis, Timestamp};
use crate::slo::ObjectiveStatus;

use super::critical::CriticalGap;

/// Everything that is known at `now`.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The instant that is judged.
    pub now: Timestamp,
    /// When the program started.
    pub started_at: Timestamp,
    /// All objectives.
    pub objectives: &'a [ObjectiveStatus],
    /// Pending and firing alerts of alerting rules; those of objectives are in their status.
    pub alerts: &'a [Alert],
    /// All rule groups.
    pub groups: &'a [GroupHealth],
    /// All receivers, Alertmanagers among them.
    pub receivers: &'a [ReceiverHealth],
    /// All scrape jobs of which something is known.
    pub jobs: &'a [JobHealth],
    /// Whether samples are being stored.
    pub storage: &'a StorageHealth,
    /// How the program itself is doing.
    pub program: &'a ProgramHealth,
    /// Deployments, in any order.
    pub deploys: &'a [Deploy],
    /// What critical services lack.
    pub critical: &'a [CriticalGap],
}

/// How a rule group is doing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GroupHealth {
    /// Its name.
    pub name: String,
    /// The file that it comes from.
    pub file: String,
    /// Its rules.
    pub rules: Vec<RuleHealth>,
}

/// What a rule is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RuleInfo {
    /// The alert's or the recorded metric's name.
    pub name: String,
    /// The service that it speaks for, if its labels say so.
    pub service: Option<String>,
    /// Whether it is made to page.
    pub pages: bool,
    /// Its expression.
    pub query: String,
}

/// How a rule is doing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RuleHealth {
    /// What it is.
    pub about: Arc<RuleInfo>,
    /// Why its last evaluation failed, if it did.
    pub error: Option<String>,
    /// Since when it fails.
    pub failing_since: Option<Timestamp>,
    /// Whether one of its selectors has matched nothing so far. Rules for what has never happened yet are like this, so
    /// it is shown and does not decide.
    pub unmatched: bool,
    /// Whether no route leads from its alerts to anybody, whatever other labels they have.
    pub unrouted: bool,
}

impl RuleHealth {
    /// Whether it would page now: it can be evaluated, and what it selects is there.
    pub fn can_page(&self) -> bool {
        self.about.pages && self.error.is_none() && !self.unmatched
    }
}

/// How the program itself is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProgramHealth {
    /// The last time that the clock was set by much, if that was lately.
    pub clock_jump: Option<ClockJump>,
    /// How far the clock lies behind the log: until it has caught up time stands still for rules.
    pub clock_behind: Option<Millis>,
    /// Since when the configuration could not be reloaded, and why.
    pub reload_failed: Option<(Timestamp, String)>,
    /// A decision that came late, or has not come: since when it was due or came, and by how much.
    pub late: Option<(Timestamp, Millis)>,
}

/// A clock that was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockJump {
    /// When it was seen, by the clock as it is now.
    pub at: Timestamp,
    /// By how much; negative: back.
    pub by: Millis,
}

/// How many targets of a scrape job answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobHealth {
    /// The job.
    pub job: String,
    /// Its targets.
    pub targets: usize,
    /// Those of them that do not answer: name, and since when as far as is known.
    pub down: Vec<(String, Timestamp)>,
}

/// How delivery to a receiver is doing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReceiverHealth {
    /// Its name.
    pub name: String,
    /// Notifications that wait.
    pub pending: u64,
    /// When one was last taken by the other side.
    pub last_success: Option<Timestamp>,
    /// Since when every attempt fails.
    pub failing_since: Option<Timestamp>,
    /// How the last attempt failed.
    pub last_error: Option<String>,
}

/// Whether samples are being stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StorageHealth {
    /// They are.
    #[default]
    Healthy,
    /// Nothing can be written; what is stored can be read.
    ReadOnly {
        /// Why.
        reason: String,
        /// Since when, if known.
        since: Option<Timestamp>,
    },
    /// The log cannot be trusted with more until it is opened anew.
    Poisoned {
        /// Why.
        reason: String,
        /// Since when, if known.
        since: Option<Timestamp>,
    },
}

/// A version of a service that went live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deploy {
    /// The service.
    pub service: String,
    /// The version.
    pub version: String,
    /// When.
    pub at: Timestamp,
}
