//! Budgets, verdicts and accuracy as text, JSON, tables and SVG charts.
//!
//! Layer 6. Imports: `backtest`, `confidence`, `db`, `explain`, `model`, `promql`, `rules`, `slo`.
//! Does not know: HTTP, files, the clock.
//!
//! Pure functions from what is known to what is shown. The charts carry no style of their own beyond
//! `currentColor` and class names, so that a page decides how dark and light look: `chart` (all but the bar),
//! `axis`, `base`, `grid`, `legend`, `long`, `short`, `line` with `c0` to `c7`, `threshold` and `told` with `page`
//! or `ticket`, `deploy`, `now`, `nothing`, and `budget-bar` with `bar-left` and `bar-spent`.

mod accuracy_json;
mod accuracy_text;
mod badge;
mod budget_bar;
mod burn_chart;
mod coverage_json;
mod deploy_marks;
mod document;
mod episode_json;
mod evidence_json;
mod evidence_text;
mod frame;
mod held_words;
mod junit;
mod line_chart;
mod objective_json;
mod objective_text;
mod scale;
mod sparkline;
mod svg;
mod verdict_json;
mod verdict_text;
mod what_if;
mod why_json;
mod why_text;
mod words;

pub use accuracy_json::{
    AccuracyReport, ClaimReport, ClassReport, QuantileReport, RuleReport, ShareReport, SpreadReport,
};
pub use accuracy_text::episodes_document;
pub use badge::badge;
pub use budget_bar::{budget_bar, budget_words};
pub use burn_chart::{BurnChart, Told, burn_chart};
pub use coverage_json::{BlindSpotReport, CoverageReport, ServiceCoverageReport, blind_spots_text, coverage_text};
pub use document::{Document, Table};
pub use episode_json::{DeployReport, EpisodeReport, FiredReport, GroupShareReport, ToldReport};
pub use evidence_json::{
    ChangedSample, ClaimedReport, ContradictionReport, CountedReport, CounterReport, CountsReport, DecidedReport,
    DefinitionReport, EvidenceReport, PackSeriesReport, ReplayReport, ToldAlertReport,
};
pub use evidence_text::{evidence_text, replay_text};
pub use frame::ChartSize;
pub use held_words::{HeldReport, HeldWordsReport, ServiceHeldReport};
pub use junit::{JunitCase, JunitSuite, junit_xml};
pub use line_chart::{LineChart, line_chart};
pub use objective_json::{
    AdjustmentReport, BlindReport, BudgetReport, BurnReport, CompositePartReport, GroupsReport, ObjectiveReport,
    PeriodReport, WindowReport,
};
pub use objective_text::{objective_text, traffic_text};
pub use sparkline::sparkline;
pub use verdict_json::{ConfidenceReport, FactReport, FactorReport, ReasonReport, ServiceReport, VerdictReport};
pub use verdict_text::{Colour, nagios_text, verdict_lines, verdict_text};
pub use what_if::{WhatIfReport, WouldFireReport, what_if_text};
pub use why_json::{
    ComparedReport, ElementReport, PartReport, SampleReport, SeriesReport, TurnReport, WhyAlert, WhyReport, WhyRule,
};
pub use why_text::why_text;
