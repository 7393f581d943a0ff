//! Collects samples: targets over HTTP, this host, and the program itself.
//!
//! Layer 7. Imports: `config`, `db`, `env`, `model`, `notify`, `wire`.
//! Does not know: rules, receivers, the HTTP server. A sink takes what is collected.
//! When you change this, also touch: `config`, which fills in a job's options.

mod client;
mod collect;
mod configured;
mod created;
mod cycle;
mod families;
pub mod host;
mod job;
mod relabel;
mod schedule;
mod scraper;
mod status;
mod target;
mod target_loop;

pub use collect::{Collect, LocalJob, Sink, SinkError};
pub use job::{Encoding, Job, Protocol, Scheme, TargetGroup};
pub use relabel::{Relabel, RelabelAction, RelabelError, RelabelOptions, relabel_steps};
pub use scraper::{ScrapeError, Scraper};
pub use status::{Health, TargetStatus};
pub use target::{TargetError, dropped_targets};
