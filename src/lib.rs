//! Evenkeel keeps a team's metrics, decides alerts and objectives as each sample arrives, and
//! says in one word whether customers are fine.

pub mod codec;
pub mod env;
pub mod model;

pub mod promql;
pub mod stats;
pub mod storage;
pub mod template;
pub mod wire;

pub mod notify;
pub mod rules;

pub mod slo;

pub mod confidence;

pub mod db;

pub mod config;
pub mod report;
pub mod testkit;

#[cfg(feature = "server")]
pub mod scrape;
#[cfg(feature = "server")]
pub mod server;

#[cfg(feature = "server")]
pub mod cli;

/// How it is built and why, in prose.
pub mod docs {
    #[doc = include_str!("docs/architecture.md")]
    pub mod architecture {}
    #[doc = include_str!("docs/durability.md")]
    pub mod durability {}
    #[doc = include_str!("docs/decisions.md")]
    pub mod decisions {}
}
