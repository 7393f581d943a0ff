//! What an objective would have been, as JSON and as lines for people.

use serde::{Deserialize, Serialize};

use crate::slo::WhatIf;

use super::budget_bar::budget_words;
use super::words::{number, percent};

/// An objective as it would stand, and what it would have alerted. Instants are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WhatIfReport {
    /// The promised share of good events.
    pub objective: f64,
    /// The window as a text.
    pub window: String,
    /// What is counted.
    pub units: String,
    /// From when on its history is stored.
    pub since: String,
    /// All events, or slices, of the window.
    pub total: f64,
    /// The bad ones of them.
    pub bad: f64,
    /// The share of good ones; `null` without events.
    pub attained: Option<f64>,
    /// The share of the budget that would be left.
    pub budget_left: f64,
    /// Pages since then.
    pub pages: usize,
    /// Tickets since then.
    pub tickets: usize,
    /// The alerts, oldest first, the newest hundred.
    pub alerts: Vec<WouldFireReport>,
}

/// An alert that would have fired.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WouldFireReport {
    /// `page`, `ticket`, or what the labels say.
    pub severity: String,
    /// From when.
    pub from: String,
    /// Until when; `null` if it would fire still.
    pub until: Option<String>,
    /// What it would have said.
    pub summary: String,
}

/// Alerts that are listed.
const ALERTS_MAX: usize = 100;

impl WhatIfReport {
    /// The report of an answer.
    pub fn new(what_if: &WhatIf) -> WhatIfReport {
        let status = &what_if.status;
        let pages = what_if.alerts.iter().filter(|alert| alert.pages).count();
        let listed = what_if.alerts.iter().skip(what_if.alerts.len().saturating_sub(ALERTS_MAX));
        WhatIfReport {
            objective: status.objective,
            window: status.window_text.clone(),
            units: status.units.clone(),
            since: what_if.since.to_string(),
            total: status.total,
            bad: status.total - status.good,
            attained: status.error_ratio.map(|ratio| 1.0 - ratio),
            budget_left: status.budget.left,
            pages,
            tickets: what_if.alerts.len() - pages,
            alerts: listed
                .map(|alert| WouldFireReport {
                    severity: alert.labels.get("severity").to_owned(),
                    from: alert.from.to_string(),
                    until: alert.until.map(|until| until.to_string()),
                    summary: alert.summary.clone(),
                })
                .collect(),
        }
    }
}

/// Both in two columns, and the alerts of the second.
pub fn what_if_text(as_is: &WhatIfReport, what_if: &WhatIfReport) -> String {
    let attained = |report: &WhatIfReport| report.attained.map_or_else(|| "nothing counted".to_owned(), percent);
    let column = |report: &WhatIfReport| {
        [
            percent(report.objective),
            report.window.clone(),
            format!("{} {}", number(report.total), report.units),
            number(report.bad),
            attained(report),
            budget_words(report.budget_left),
            report.pages.to_string(),
            report.tickets.to_string(),
        ]
    };
    let names = ["objective", "over", "counted", "bad", "attained", "budget left", "pages", "tickets"];
    let mut cells = vec![[String::new(), "as it is".to_owned(), "what if".to_owned()]];
    let columns = column(as_is).into_iter().zip(column(what_if));
    cells.extend(names.into_iter().zip(columns).map(|(name, (left, right))| [name.to_owned(), left, right]));
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    let mut text = String::new();
    for [name, left, right] in &cells {
        text.push_str(&format!("{name:first$}  {left:second$}  {right}\n"));
    }
    text.push_str(&format!("\nSamples are stored since {}.\n", what_if.since));
    for alert in &what_if.alerts {
        let until = alert.until.as_deref().unwrap_or("now");
        text.push_str(&format!("  {}  {} to {until}: {}\n", alert.severity, alert.from, alert.summary));
    }
    text
}
