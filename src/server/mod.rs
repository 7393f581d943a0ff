//! The HTTP API and the web pages.
//!
//! Layer 7. Imports: `confidence`, `db`, `env`, `model`, `notify`, `promql`, `rules`, `slo`, `storage`, `wire`.
//! Does not know: files on disk.

mod accept;
mod admin;
mod answer;
mod api;
mod ask;
mod assets;
mod body;
mod bridge;
mod envelope;
mod gate;
mod guard;
mod metrics;
mod number;
mod pages;
mod panics;
mod params;
mod router;
mod serve;
mod site;
mod state;
mod targets;

pub use accept::ListenOptions;
pub use body::BodyLimits;
pub use serve::{BindError, bind, serve};
pub use state::{Changes, Doors, Hosts, Reload, ServerOptions, ServerState};
pub use targets::{NoTargets, TargetHealth, TargetStatus, Targets};
