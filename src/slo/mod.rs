//! Objectives: indicators, error budgets, burn rates.
//!
//! Layer 3. Imports: `codec`, `model`, `promql`, `stats`.
//! Does not know: storage, notification.
//!
//! Counters are followed sample by sample: each increase goes, at its own instant, into cumulative
//! counts whose differences are the burn rates of all windows. Alerts are decided at the instants of the
//! log and nowhere else. When you change what is saved, also touch: `format`
//! and `storage-format.md`.

mod adjustment;
mod alert;
mod burn;
mod calendar;
mod composite;
mod due;
mod episode;
mod events;
mod finder;
mod format;
mod grounds;
mod groups;
mod history;
mod input;
mod objective;
mod objectives;
mod outage;
mod pair;
mod saved;
mod schedule;
mod seed;
mod series;
mod severity;
mod slices;
mod standing;
mod status;
#[cfg(test)]
mod tests;
mod tiers;
mod time_coverage;
mod watch;
mod what_if;

pub use adjustment::Adjustment;
pub use burn::Companion;
pub use calendar::{Calendar, CalendarError, CalendarUnit};
pub use episode::{Episode, GroupShare, Spending, Suffered};
pub use events::{Events, Reading, Term};
pub use format::RestoreError;
pub use grounds::{Counted, CounterQuery, Grounds, Side};
pub use objective::{Comparison, Indicator, Objective, ObjectiveError, Part};
pub use objectives::Objectives;
pub use outage::{Outage, OutageError, OutageMessage, play_outage};
pub use pair::{BurnPair, Severity};
pub use schedule::{Schedule, ScheduleError};
pub use seed::SeedError;
pub use severity::{AlertSeverity, SeverityRow, TIER_LABEL};
pub use slices::{EVENTS, Method};
pub use standing::Standing;
pub use status::{
    AdjustmentSpan, Blind, BlindCause, Budget, BurnHistory, BurnPoint, BurnStatus, GroupsStatus, ObjectiveStatus,
    PartStatus, Period, WindowBurn,
};
pub use time_coverage::{MeasuredTime, TimeCoverage};
pub use what_if::{Change, WhatIf, WhatIfError, WouldFire, what_if};
