//! How an objective stands, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::slo::{AdjustmentSpan, BlindCause, MeasuredTime, ObjectiveStatus, PartStatus, WindowBurn};

/// An objective's status in its JSON form. Instants are RFC 3339 in UTC, spans are seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveReport {
    /// The service.
    pub service: String,
    /// The objective's name.
    pub name: String,
    /// Of a group: the labels that tell it from others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub group: BTreeMap<String, String>,
    /// The promised share of good events.
    pub objective: f64,
    /// The window as a text: `30d`, `month in Europe/Berlin`.
    pub window: String,
    /// The present period, if the window follows the calendar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<PeriodReport>,
    /// What is counted: `events`, `slices of 1m`.
    pub units: String,
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
    /// How much of the time was measured; absent before the first sample, and of groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_coverage: Option<TimeCoverageReport>,
    /// Series counted.
    pub series: usize,
    /// The expression that gives the error ratio.
    pub query: String,
    /// Why nothing can be said, if so.
    pub blind: Option<BlindReport>,
    /// Times in which events do not count: those of the window, and the next to come.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adjustments: Vec<AdjustmentReport>,
    /// Of a composite: its parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<CompositePartReport>,
    /// The budgets of its groups, if it has groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<GroupsReport>,
}

/// A period of the calendar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeriodReport {
    /// When it began.
    pub begin: String,
    /// When the next one begins, with a new budget.
    pub end: String,
    /// Both in local time.
    pub text: String,
}

/// How much of the time was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimeCoverageReport {
    /// Of the window, or of the present period.
    pub window: MeasuredTimeReport,
    /// Of the last day.
    pub day: MeasuredTimeReport,
}

/// How much of a span was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredTimeReport {
    /// The time that samples stand for.
    pub measured_seconds: f64,
    /// The time that they should stand for: what lies after the first sample.
    pub expected_seconds: f64,
    /// The share that was measured.
    pub share: f64,
}

/// A time in which events do not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdjustmentReport {
    /// What happens then.
    pub name: String,
    /// When it begins.
    pub from: String,
    /// When it ends.
    pub until: String,
    /// Events that did not count.
    pub total: f64,
    /// The bad ones of them.
    pub bad: f64,
}

/// A part of a composite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompositePartReport {
    /// Whose objective it is.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its share of all weights.
    pub weight: f64,
    /// Its share of bad events; `null` without events.
    pub error_ratio: Option<f64>,
    /// How much of its own budget is left.
    pub budget_left: f64,
    /// Its share in what is bad of the composite.
    pub share_of_bad: f64,
    /// Whether nothing can be said of it.
    pub blind: bool,
}

/// The budgets of an objective's groups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupsReport {
    /// The labels by which they are told apart.
    pub by: Vec<String>,
    /// How many may have a budget of their own.
    pub most: usize,
    /// Those that have one, the one with the least left first.
    pub budgets: Vec<ObjectiveReport>,
    /// How many were heard lately that have none.
    pub without_budget: usize,
    /// Whether there are still more.
    pub more: bool,
    /// Events of the window that are in no group's budget, but in the total.
    pub total_without: f64,
    /// The bad ones of them.
    pub bad_without: f64,
}

/// An error budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// What its alert is told as: `page`, `ticket` or `log`; `null` if it does not fire.
    #[serde(default)]
    pub told_as: Option<String>,
}

/// A window's burn rate and what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
            told_as: burn.told_as.map(|told| told.as_str().to_owned()),
        });
        ObjectiveReport {
            service: status.service.clone(),
            name: status.name.clone(),
            group: status.group.iter().map(|label| (label.name.to_owned(), label.value.to_owned())).collect(),
            objective: status.objective,
            window: status.window_text.clone(),
            period: status.period.as_ref().map(|period| PeriodReport {
                begin: period.begin.to_string(),
                end: period.end.to_string(),
                text: period.text.clone(),
            }),
            units: status.units.clone(),
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
            time_coverage: status.time_coverage.map(|time| TimeCoverageReport {
                window: MeasuredTimeReport::new(&time.window),
                day: MeasuredTimeReport::new(&time.day),
            }),
            series: status.series,
            query: status.query.clone(),
            blind: status.blind.as_ref().map(|blind| BlindReport {
                cause: cause(blind.cause).to_owned(),
                reason: blind.reason.clone(),
                since: blind.since.to_string(),
            }),
            adjustments: status.adjustments.iter().map(AdjustmentReport::new).collect(),
            parts: status.parts.iter().map(CompositePartReport::new).collect(),
            groups: status.groups.as_ref().map(|groups| GroupsReport {
                by: groups.by.clone(),
                most: groups.most,
                budgets: groups.budgets.iter().map(ObjectiveReport::new).collect(),
                without_budget: groups.without_budget,
                more: groups.more,
                total_without: groups.total_without,
                bad_without: groups.bad_without,
            }),
        }
    }
}

impl MeasuredTimeReport {
    fn new(time: &MeasuredTime) -> MeasuredTimeReport {
        MeasuredTimeReport {
            measured_seconds: time.measured.as_seconds(),
            expected_seconds: time.expected.as_seconds(),
            share: time.share(),
        }
    }
}

impl AdjustmentReport {
    fn new(span: &AdjustmentSpan) -> AdjustmentReport {
        AdjustmentReport {
            name: span.name.clone(),
            from: span.from.to_string(),
            until: span.until.to_string(),
            total: span.total,
            bad: span.bad,
        }
    }
}

impl CompositePartReport {
    fn new(part: &PartStatus) -> CompositePartReport {
        CompositePartReport {
            service: part.service.clone(),
            name: part.name.clone(),
            weight: part.weight,
            error_ratio: part.error_ratio,
            budget_left: part.budget_left,
            share_of_bad: part.share_of_bad,
            blind: part.blind,
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
            burn_low: window.burn_low(),
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
