//! Evenkeel keeps a team's metrics, decides alerts and objectives as each sample arrives, and
//! says in one word whether customers are fine.
//!
//! The program `evenkeel` is a thin layer over this library. Inside a test suite the library runs
//! without threads, on a clock that moves when told to (`default-features = false` leaves the HTTP
//! server and all async code out):
//!
//! ```
//! use std::sync::Arc;
//!
//! use evenkeel::confidence::Verdict;
//! use evenkeel::config::parse_objectives;
//! use evenkeel::db::{Db, DbOptions, Threads};
//! use evenkeel::env::ManualClock;
//! use evenkeel::env::disk::MemoryDisk;
//! use evenkeel::model::{Batch, Labels, Sample, Timestamp};
//!
//! let objectives = "objectives: [{service: shop, name: answers, objective: 99.9, window: 30d, \
//!                   errors: 'requests_total{code=\"500\"}', total: requests_total}]";
//! let clock = Arc::new(ManualClock::new(1_800_000_000_000));
//! let mut options = DbOptions::new("shop");
//! options.watch.objectives = parse_objectives("slo.yml", objectives)?;
//! options.clock = Arc::clone(&clock) as _;
//! options.disk = Arc::new(MemoryDisk::default());
//! options.threads = Threads::None;
//! let db = Db::open(options)?;
//! assert_eq!(db.judgement().overall, Verdict::Blind);
//!
//! // Twenty minutes of fifty requests in five seconds, of which none fails and then one in five.
//! let (mut good, mut bad) = (0.0, 0.0);
//! for i in 0..240 {
//!     clock.advance(5_000);
//!     let failing = if i < 180 { 0.0 } else { 10.0 };
//!     (good, bad) = (good + 50.0 - failing, bad + failing);
//!     let mut batch = Batch::new();
//!     for (code, v) in [("200", good), ("500", bad)] {
//!         let labels = Labels::new([("__name__", "requests_total"), ("code", code)])?;
//!         batch.push(labels, Sample { t: db.now(), v });
//!     }
//!     // When this returns, the samples are stored and every rule and objective has seen them.
//!     db.append(batch)?;
//!     let expected = if i == 179 { Some(Verdict::Ok) } else { None };
//!     assert!(expected.is_none_or(|word| db.judgement().overall == word));
//! }
//! assert_eq!(db.judgement().overall, Verdict::Hurting);
//! assert_eq!(db.alerts()[0].labels.get("severity"), "page");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod codec;
pub mod env;
pub mod model;

pub mod promql;
pub mod stats;
pub mod storage;
pub mod template;
pub mod wire;

pub mod explain;
pub mod notify;
pub mod rules;

pub mod slo;

pub mod backtest;
pub mod confidence;
pub mod lint;

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
