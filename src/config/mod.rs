//! Files to options: a `prometheus.yml` with keys of our own, and the files that it names.
//!
//! Layer 6. Imports: `backtest`, `confidence`, `env`, `model`, `notify`, `promql`, `rules`, `slo`, `template`.
//! Does not know: HTTP, the database, who uses the options.
//! When you change this, also touch: `host/*.yml`, if a form of file changes.

mod accuracy;
mod alertmanager;
mod coverage;
mod episode_file;
mod error;
mod expand;
mod files;
mod glob;
mod host;
mod http;
mod loader;
mod matchers;
mod nearest;
mod note;
mod options;
mod prometheus;
mod relabel;
mod rule_file;
mod rule_place;
mod rule_test_file;
mod scrape;
mod section;
mod severity;
mod shown;
mod slo_file;
mod source;
mod summary;
mod yaml;

pub use crate::notify::{Authorization, Secret};
pub use error::ConfigError;
pub use files::{
    load_episodes, load_objectives, load_routing, load_rule_tests, load_rules, parse_objectives, parse_rule_tests,
    parse_rules,
};
pub use host::host;
pub use note::Note;
pub use options::{Config, Durability, RetentionRule, StartTimestamps, StorageSettings};
pub use relabel::Relabel;
pub use rule_place::{RulePlace, load_rule_places};
pub use rule_test_file::{
    AlertCase, AlertMatching, ExpectedAlert, ExpectedSample, ExprCase, InputSeries, RuleTest, RuleTestFile,
};
pub use scrape::{ScrapeJob, TargetGroup};
pub use shown::shown;
