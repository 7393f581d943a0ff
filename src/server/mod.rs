//! The HTTP API and the web pages.
//!
//! Layer 7. Imports: `backtest`, `confidence`, `db`, `env`, `model`, `notify`, `promql`, `report`, `rules`, `slo`, `storage`, `wire`.
//! Does not know: files on disk.

mod accept;
mod admin;
mod answer;
mod api;
mod ask;
mod assets;
mod badge;
mod body;
mod bridge;
mod cors;
mod envelope;
mod federate;
mod gate;
mod guard;
mod list;
mod metrics;
mod notifications;
mod number;
mod pages;
mod panics;
mod params;
mod parts;
mod queries;
mod query_counts;
mod quick;
mod router;
mod serve;
mod site;
mod state;
mod targets;
mod transport;

pub use accept::ListenOptions;
pub use answer::answer_json;
pub use body::BodyLimits;
pub use queries::QueryOptions;
pub use serve::{BindError, bind, serve};
pub use state::{Changes, Doors, Hosts, NoSetup, Origins, RelabelStep, Reload, ServerOptions, ServerState, Setup};
pub use targets::{DroppedTarget, NoTargets, TargetHealth, TargetStatus, Targets};
pub use transport::HttpTransport;
