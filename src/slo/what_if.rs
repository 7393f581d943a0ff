//! What an objective would have been: another target, window or method, played over stored history.
//!
//! Nothing that runs is touched. Each sample counts as having come at its own time, and decisions are taken at those
//! times alone, so that an alert may end a sample later than it would have live.

use crate::model::{Labels, Millis, Timestamp, Transition, TransitionKind};
use crate::promql::SeriesSource;

use super::calendar::Calendar;
use super::objective::{Objective, ObjectiveError};
use super::objectives::Objectives;
use super::pair::Severity;
use super::seed::SeedError;
use super::slices::Method;
use super::status::ObjectiveStatus;

/// What of an objective is to be otherwise; what is absent stays.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Change {
    /// The promised share of good events.
    pub objective: Option<f64>,
    /// A rolling window.
    pub window: Option<Millis>,
    /// Periods of the calendar.
    pub calendar: Option<Calendar>,
    /// What the budget is made of.
    pub method: Option<Method>,
}

impl Change {
    /// The objective with the change.
    pub fn of(&self, objective: &Objective) -> Objective {
        let mut changed = objective.clone();
        changed.objective = self.objective.unwrap_or(changed.objective);
        changed.method = self.method.unwrap_or(changed.method);
        if let Some(window) = self.window {
            (changed.window, changed.calendar) = (window, None);
        }
        if let Some(calendar) = &self.calendar {
            (changed.window, changed.calendar) = (calendar.length(), Some(calendar.clone()));
        }
        changed
    }
}

/// An alert that would have fired.
#[derive(Debug, Clone, PartialEq)]
pub struct WouldFire {
    /// Its labels.
    pub labels: Labels,
    /// Whether it is a page, however its labels call that.
    pub pages: bool,
    /// What it would have said.
    pub summary: String,
    /// From when.
    pub from: Timestamp,
    /// Until when; absent if it would fire still.
    pub until: Option<Timestamp>,
}

/// An objective as it would stand now, and what it would have alerted.
#[derive(Debug, Clone, PartialEq)]
pub struct WhatIf {
    /// How it would stand.
    pub status: ObjectiveStatus,
    /// From when on its history is stored.
    pub since: Timestamp,
    /// The alerts since then, oldest first.
    pub alerts: Vec<WouldFire>,
}

/// A question that cannot be answered.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WhatIfError {
    /// There is no such objective.
    #[error("there is no objective {0}; /api/v1/objectives lists those that there are")]
    Unknown(String),
    /// The change makes an objective that cannot be kept.
    #[error("{0}")]
    Objective(#[from] ObjectiveError),
    /// The history cannot be read.
    #[error("{0}")]
    History(#[from] SeedError),
}

/// Plays the stored history up to `at` through an objective; through a composite by its `parts`, which are kept over the
/// same time.
///
/// # Errors
/// It cannot be kept, or the history cannot be read.
pub fn what_if(
    objective: &Objective,
    parts: &[Objective],
    at: Timestamp,
    source: &dyn SeriesSource,
) -> Result<WhatIf, WhatIfError> {
    let mut all = parts.to_vec();
    for part in &mut all {
        (part.window, part.calendar) = (objective.window, objective.calendar.clone());
    }
    all.push(objective.clone());
    let mut alone = Objectives::new(all)?;
    let transitions = match objective.indicator.parts() {
        [] => alone.play(at, source)?,
        _ => alone.play_composite(at, source)?,
    };
    // Composites come last.
    let status = alone.statuses(at).remove(parts.len());
    let since = status.counted_since.unwrap_or(at);
    // Of pages and tickets the windows differ, whatever the labels of the severity say.
    let paging: Vec<String> = status
        .burns
        .iter()
        .map(|burn| burn.pair)
        .filter(|pair| pair.severity == Severity::Page)
        .map(|pair| pair.long.to_string())
        .collect();
    let mut alerts = alerts(transitions);
    for alert in &mut alerts {
        alert.pages = match alert.labels.get("severity") {
            "page" => true,
            "ticket" | "log" => false,
            _ => paging.iter().any(|window| window == alert.labels.get("window")),
        };
    }
    Ok(WhatIf { status, since, alerts })
}

fn alerts(transitions: Vec<Transition>) -> Vec<WouldFire> {
    let mut alerts: Vec<WouldFire> = Vec::new();
    for Transition { kind, at, alert, .. } in transitions {
        match kind {
            TransitionKind::Firing => {
                let summary = alert.annotations.get("summary").to_owned();
                alerts.push(WouldFire { labels: alert.labels, pages: false, summary, from: at, until: None });
            }
            TransitionKind::Resolved => {
                let open = alerts.iter_mut().rev().find(|fired| fired.labels == alert.labels && fired.until.is_none());
                if let Some(fired) = open {
                    fired.until = Some(at);
                }
            }
            TransitionKind::Pending | TransitionKind::Dropped => {}
        }
    }
    alerts
}

impl Objectives {
    /// The objectives that a composite is made of, as they are defined.
    pub fn definitions_of_parts(&self, of: &Objective) -> Vec<Objective> {
        let parts = of.indicator.parts().iter();
        parts.filter_map(|part| self.definition(&part.service, &part.name)).cloned().collect()
    }

    /// The objectives of a service as they are defined.
    pub fn definitions_of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = &'a Objective> {
        let of_composites = self.composites.iter().map(|composite| &composite.objective);
        let all = self.watches.iter().map(|watch| &watch.objective).chain(of_composites);
        all.filter(move |objective| objective.service == service)
    }

    /// The objective of that name as it is defined.
    pub fn definition(&self, service: &str, name: &str) -> Option<&Objective> {
        self.definitions().find(|objective| objective.service == service && objective.name == name)
    }

    /// All objectives as they are defined, composites last.
    pub fn definitions(&self) -> impl Iterator<Item = &Objective> {
        let of_composites = self.composites.iter().map(|composite| &composite.objective);
        self.watches.iter().map(|watch| &watch.objective).chain(of_composites)
    }
}
