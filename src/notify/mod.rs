//! Tells people: route, group, deliver, and remember what was sent.
//!
//! Layer 2. Imports: `codec`, `env`, `model`.
//! Does not know: rules, the query language, threads, the time of day.
//! When you change this, also touch: `storage-format.md`, if a record of the outbox changes.

mod alertmanager;
mod backoff;
mod fingerprint;
mod group;
mod group_key;
mod json;
mod ledger;
mod notifier;
mod options;
mod outbox;
mod receiver;
mod route;
mod secret;
mod status;
mod target;
mod webhook;

pub use notifier::{AcceptError, Notifier, OpenError};
pub use options::NotifyOptions;
pub use outbox::{OUTBOX_VERSION_READ_MIN, OUTBOX_VERSION_WRITTEN};
pub use receiver::{AlertmanagerTarget, Authorization, Receiver, Webhook};
pub use route::{GroupBy, Route, Routing, RoutingError};
pub use secret::Secret;
pub use status::{NotifyStatus, ReceiverStatus};
