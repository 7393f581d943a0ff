//! What each page shows, as plain data: no database, no clock, no markup.

use crate::model::{Millis, TimeRange, Timestamp};
use crate::report::{Document, EpisodeReport, FiredReport, Told, WhyReport};
use crate::slo::BurnHistory;

pub(crate) use crate::confidence::Deploy;

/// A state as pages show it: a word, a shape and a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Ok,
    AtRisk,
    Hurting,
    Blind,
}

impl State {
    pub(crate) fn word(self) -> &'static str {
        match self {
            State::Ok => "OK",
            State::AtRisk => "AT RISK",
            State::Hurting => "HURTING",
            State::Blind => "BLIND",
        }
    }

    /// The name of its style.
    pub(crate) fn class(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::AtRisk => "risk",
            State::Hurting => "hurting",
            State::Blind => "blind",
        }
    }
}

/// The pages of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Overview,
    Alerts,
    Rules,
    Query,
    Targets,
    Coverage,
    Reports,
    None,
}

/// What stands around every page.
#[derive(Debug, Clone)]
pub(crate) struct Shell {
    pub(crate) title: String,
    pub(crate) place: Place,
    /// The overall verdict, shown in the tab's icon.
    pub(crate) state: Option<State>,
    pub(crate) now: Timestamp,
    /// Seconds after which the page renews itself; pages with a form do not.
    pub(crate) refresh_seconds: Option<u32>,
}

/// Why a verdict is what it is.
#[derive(Debug, Clone)]
pub(crate) struct Reason {
    pub(crate) state: State,
    pub(crate) text: String,
    pub(crate) service: Option<String>,
    pub(crate) since: Timestamp,
    /// The query that shows it.
    pub(crate) query: Option<String>,
    /// The numbers behind it, each with its name.
    pub(crate) facts: Vec<(String, String)>,
}

/// One thing that was measured, as a tile.
#[derive(Debug, Clone)]
pub(crate) struct Tile {
    pub(crate) label: String,
    pub(crate) value: String,
    pub(crate) note: String,
}

/// Values over time for one line of a chart.
#[derive(Debug, Clone, Default)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(Timestamp, f64)>,
}

/// Lines over time, and what went live meanwhile.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) range: TimeRange,
    pub(crate) deploys: Vec<Deploy>,
}

/// A service in the overview's table.
#[derive(Debug, Clone)]
pub(crate) struct ServiceRow {
    pub(crate) name: String,
    pub(crate) state: State,
    /// Of several the one with the least budget: `availability 99.9 % over 30d`
    pub(crate) objective: String,
    /// When the objective that waits longest had its last sample, and how often one comes.
    pub(crate) input: Option<(Timestamp, String)>,
    /// The share of the error budget that is left; below zero if overspent.
    pub(crate) budget_left: Option<f64>,
    /// The burn rate now, with its window.
    pub(crate) burn: Option<(f64, Millis)>,
    pub(crate) history: Option<BurnHistory>,
}

/// An alert.
#[derive(Debug, Clone)]
pub(crate) struct AlertRow {
    /// What its page is called; absent if it has none.
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    /// `firing`, `pending` or `resolved`.
    pub(crate) state: &'static str,
    pub(crate) severity: String,
    pub(crate) summary: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) since: Timestamp,
    pub(crate) value: f64,
    pub(crate) query: String,
}

/// A part of the machinery between a sample and a person.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) name: String,
    /// Absent if there is nothing to be well or not.
    pub(crate) state: Option<State>,
    pub(crate) text: String,
}

/// `/`: are customers fine, and can I trust this?
#[derive(Debug, Clone)]
pub(crate) struct Overview {
    pub(crate) state: State,
    pub(crate) sentence: String,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) tiles: Vec<Tile>,
    pub(crate) services: Vec<ServiceRow>,
    pub(crate) alerts: Vec<AlertRow>,
    pub(crate) deploys: Vec<Deploy>,
    /// Who is told, with the proof that it works.
    pub(crate) receivers: Vec<Part>,
    pub(crate) parts: Vec<Part>,
}

/// `/reports/accuracy`: did alerts tell of what was wrong, and of nothing else?
#[derive(Debug, Clone)]
pub(crate) struct Reports {
    pub(crate) accuracy: Document,
    /// Newest first.
    pub(crate) episodes: Vec<EpisodeReport>,
    /// Newest first.
    pub(crate) alerts: Vec<FiredReport>,
}

/// An objective on its service's page.
#[derive(Debug, Clone)]
pub(crate) struct Objective {
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) note: String,
    pub(crate) budget_left: Option<f64>,
    pub(crate) tiles: Vec<Tile>,
    pub(crate) history: Option<BurnHistory>,
    /// The chart's time axis.
    pub(crate) range: TimeRange,
    /// What fires now.
    pub(crate) told: Vec<Told>,
    /// What is measured, with the query that shows it.
    pub(crate) evidence: Vec<(String, String)>,
    /// The budgets of its groups.
    pub(crate) groups: Option<GroupsView>,
    /// Times in which events do not count.
    pub(crate) adjustments: Vec<AdjustmentRow>,
    /// Of a composite: its parts.
    pub(crate) parts: Vec<PartRow>,
}

/// A part of a composite.
#[derive(Debug, Clone)]
pub(crate) struct PartRow {
    pub(crate) service: String,
    pub(crate) name: String,
    /// Its share of all weights.
    pub(crate) weight: String,
    pub(crate) measured: String,
    pub(crate) budget_left: Option<f64>,
    /// Its share in what is bad, between 0 and 1.
    pub(crate) share_of_bad: f64,
}

/// A time in which events do not count.
#[derive(Debug, Clone)]
pub(crate) struct AdjustmentRow {
    pub(crate) name: String,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
    /// What it took, in words.
    pub(crate) text: String,
}

/// The budgets of an objective's groups.
#[derive(Debug, Clone)]
pub(crate) struct GroupsView {
    /// The labels by which they are told apart: `route, tenant`
    pub(crate) by: String,
    /// Those with the least left.
    pub(crate) rows: Vec<GroupRow>,
    /// What is not in the rows, in words.
    pub(crate) note: String,
}

/// A group of an objective.
#[derive(Debug, Clone)]
pub(crate) struct GroupRow {
    /// `/pay, gold`: the values of its labels.
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) measured: String,
    pub(crate) events: String,
    pub(crate) budget_left: Option<f64>,
    /// The fastest burn, with its window.
    pub(crate) burn: Option<(String, Millis)>,
    pub(crate) query: String,
}

/// `/services/{name}`: how is this service doing against what was promised?
#[derive(Debug, Clone)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) reasons: Vec<Reason>,
    /// The span of the charts.
    pub(crate) span: Millis,
    pub(crate) objectives: Vec<Objective>,
    pub(crate) alerts: Vec<AlertRow>,
    pub(crate) deploys: Vec<Deploy>,
}

/// `/rules`: what watches?
#[derive(Debug, Clone)]
pub(crate) struct RulesPage {
    pub(crate) groups: Vec<RuleGroupView>,
}

/// A group of rules.
#[derive(Debug, Clone)]
pub(crate) struct RuleGroupView {
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) interval: String,
    /// When it decides, in words.
    pub(crate) mode: String,
    pub(crate) rules: Vec<RuleLine>,
}

/// A rule in a list.
#[derive(Debug, Clone)]
pub(crate) struct RuleLine {
    pub(crate) id: String,
    pub(crate) name: String,
    /// `firing`, `pending`, `inactive`, `unknown` or `recording`.
    pub(crate) state: String,
    pub(crate) health: State,
    /// How it is evaluated, in words.
    pub(crate) class: String,
    pub(crate) note: String,
    /// What the last evaluation cost and gave.
    pub(crate) cost: String,
    pub(crate) last: Option<Timestamp>,
    pub(crate) alerts: usize,
    pub(crate) query: String,
}

/// An evaluation of a rule.
#[derive(Debug, Clone)]
pub(crate) struct EvaluationRow {
    pub(crate) at: Timestamp,
    pub(crate) took: String,
    pub(crate) series: usize,
    pub(crate) samples: String,
    pub(crate) error: String,
}

/// `/rules/{id}`: what does this rule decide, and why?
#[derive(Debug, Clone)]
pub(crate) struct RulePage {
    pub(crate) line: RuleLine,
    pub(crate) group: String,
    /// The expression over several lines.
    pub(crate) pretty: String,
    pub(crate) tiles: Vec<Tile>,
    /// Labels and annotations as written.
    pub(crate) texts: Vec<(String, String)>,
    pub(crate) is_alerting: bool,
    pub(crate) alerts: Vec<AlertRow>,
    pub(crate) evaluations: Vec<EvaluationRow>,
    pub(crate) chart: Option<Chart>,
    /// The time that is asked for, as it was written.
    pub(crate) at: String,
    pub(crate) why: Option<WhyReport>,
    /// Why there is no explanation.
    pub(crate) failure: Option<String>,
}

/// Somebody who was told of an alert.
#[derive(Debug, Clone)]
pub(crate) struct ToldRow {
    pub(crate) receiver: String,
    /// `firing` or `resolved`.
    pub(crate) what: &'static str,
    pub(crate) at: Timestamp,
}

/// `/alerts/{id}`: why did it fire, what decided it, who was told?
#[derive(Debug, Clone)]
pub(crate) struct AlertPage {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) told: Vec<ToldRow>,
    /// The time that is asked for, as it was written.
    pub(crate) at: String,
    pub(crate) why: Option<WhyReport>,
    /// Why there is no explanation.
    pub(crate) failure: Option<String>,
}

/// A rule with its health, under `/alerts`.
#[derive(Debug, Clone)]
pub(crate) struct RuleRow {
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) health: State,
    pub(crate) note: String,
    pub(crate) query: String,
}

/// `/alerts`: what fires, what waits, and which rules watch.
#[derive(Debug, Clone)]
pub(crate) struct Alerts {
    pub(crate) alerts: Vec<AlertRow>,
    pub(crate) rules: Vec<RuleRow>,
}

/// `/query`: what does this expression give?
#[derive(Debug, Clone)]
pub(crate) struct Query {
    pub(crate) text: String,
    pub(crate) span: Millis,
    pub(crate) outcome: Option<Outcome>,
}

/// What a query gave.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// An error, with a caret under its place where there is one.
    Failed(String),
    Found {
        /// Series and value at the end of the span.
        rows: Vec<(String, String)>,
        /// How many rows there are in all.
        total: usize,
        notes: Vec<String>,
        chart: Chart,
    },
}

/// A target in `/targets`.
#[derive(Debug, Clone)]
pub(crate) struct TargetRow {
    pub(crate) pool: String,
    pub(crate) url: String,
    pub(crate) labels: String,
    pub(crate) state: State,
    pub(crate) last: Option<Timestamp>,
    pub(crate) duration: String,
    pub(crate) error: String,
}
