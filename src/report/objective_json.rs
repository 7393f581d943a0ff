//! How an objective stands, as JSON.

use serde::Serialize;

use crate::slo::{BlindCause, ObjectiveStatus, WindowBurn};

/// An objective's status in its JSON form. Instants are RFC 3339 in UTC, spans are seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectiveReport {
    /// The service.
    pub service: String,
    /// The objective's name.
    pub name: String,
    /// The promised share of good events.
    pub objective: f64,
    /// The rolling window as a duration text.
    pub window: String,
    /// Good events of the window.
    pub good: f64,
    /// All events of the window.
    pub total: f64,
    /// The share of bad events; `null` without events.
    pub error_ratio: Option<f64>,
    /// The budget.
    pub budget: BudgetReport,
    /// Each burn pair.
    pub burns: Vec<BurnReport>,
    /// When the last input was taken.
    pub last_input: Option<String>,
    /// How often input is expected.
    pub interval_seconds: Option<f64>,
    /// Series counted.
    pub series: usize,
    /// The expression that gives the error ratio.
    pub query: String,
    /// Why nothing can be said, if so.
    pub blind: Option<BlindReport>,
}

/// An error budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetReport {
    /// Bad events that the window may hold.
    pub total: f64,
    /// Bad events that it holds.
    pub spent: f64,
    /// The share that is left.
    pub left: f64,
    /// How long what is left lasts at the present burn rate.
    pub exhausted_in_seconds: Option<f64>,
}

/// A burn pair.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BurnReport {
    /// `page` or `ticket`.
    pub severity: String,
    /// The burn rate from which on it fires.
    pub threshold: f64,
    /// The long window.
    pub long: WindowReport,
    /// The short window.
    pub short: WindowReport,
    /// Since when it fires.
    pub firing_since: Option<String>,
}

/// A window's burn rate and what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WindowReport {
    /// Its length as a duration text.
    pub window: String,
    /// How much of it has been counted.
    pub covered_seconds: f64,
    /// Bad events.
    pub bad: f64,
    /// All events.
    pub n: f64,
    /// The burn rate; `null` without events.
    pub burn: Option<f64>,
    /// Its lower bound, one-sided at 99 %.
    pub burn_low: f64,
}

/// Why nothing can be said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BlindReport {
    /// `no_series`, `not_proven` or `input_stopped`.
    pub cause: String,
    /// The cause in words.
    pub reason: String,
    /// Since when.
    pub since: String,
}

impl ObjectiveReport {
    /// The report of a status.
    pub fn new(status: &ObjectiveStatus) -> ObjectiveReport {
        let burns = status.burns.iter().map(|burn| BurnReport {
            severity: burn.pair.severity.as_str().to_owned(),
            threshold: burn.pair.threshold,
            long: WindowReport::new(&burn.long),
            short: WindowReport::new(&burn.short),
            firing_since: burn.firing_since.map(|t| t.to_string()),
        });
        ObjectiveReport {
            service: status.service.clone(),
            name: status.name.clone(),
            objective: status.objective,
            window: status.window.to_string(),
            good: status.good,
            total: status.total,
            error_ratio: status.error_ratio,
            budget: BudgetReport {
                total: status.budget.total,
                spent: status.budget.spent,
                left: status.budget.left,
                exhausted_in_seconds: status.budget.exhausted_in.map(|span| span.as_seconds()),
            },
            burns: burns.collect(),
            last_input: status.last_input.map(|t| t.to_string()),
            interval_seconds: status.interval.map(|span| span.as_seconds()),
            series: status.series,
            query: status.query.clone(),
            blind: status.blind.as_ref().map(|blind| BlindReport {
                cause: cause(blind.cause).to_owned(),
                reason: blind.reason.clone(),
                since: blind.since.to_string(),
            }),
        }
    }
}

impl WindowReport {
    fn new(window: &WindowBurn) -> WindowReport {
        WindowReport {
            window: window.window.to_string(),
            covered_seconds: window.covered.as_seconds(),
            bad: window.bad,
            n: window.n,
            burn: window.burn,
            burn_low: window.burn_low,
        }
    }
}

fn cause(cause: BlindCause) -> &'static str {
    match cause {
        BlindCause::NoSeries => "no_series",
        BlindCause::NotProven => "not_proven",
        BlindCause::InputStopped => "input_stopped",
    }
}
