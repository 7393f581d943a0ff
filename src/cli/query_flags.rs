//! How `serve` takes in queries, under Prometheus' names.

use anyhow::{Context, bail};
use clap::Args;

use crate::model::{Millis, Pattern};
use crate::server::{Origins, QueryOptions};

/// The flags on queries.
#[derive(Args)]
pub(super) struct QueryFlags {
    /// Longest time that a query may take, its waiting included
    #[arg(long = "query.timeout", value_name = "DURATION", default_value = "2m", value_parser = duration)]
    timeout: Millis,
    /// Queries that run at once; further ones wait
    #[arg(long = "query.max-concurrency", value_name = "N", default_value_t = QueryOptions::default().at_once)]
    at_once: usize,
    /// Samples that one query may hold in memory; large queries run one at a time
    #[arg(long = "query.max-samples", value_name = "N", default_value_t = QueryOptions::default().samples_max)]
    samples_max: usize,
    /// How far back an instant selector looks for a sample
    #[arg(long = "query.lookback-delta", value_name = "DURATION", default_value = "5m", value_parser = duration)]
    lookback: Millis,
    /// Queries that take longer are logged; 0 logs none
    #[arg(long = "query.log-slower-than", value_name = "DURATION", default_value = "5s", value_parser = duration)]
    slow: Millis,
    /// Origins whose pages may read the API, as a regular expression
    #[arg(long = "web.cors.origin", value_name = "REGEX", default_value = ".*")]
    cors_origin: String,
}

fn duration(text: &str) -> Result<Millis, String> {
    Millis::parse(text).map_err(|error| error.to_string())
}

impl QueryFlags {
    pub(super) fn options(&self) -> anyhow::Result<QueryOptions> {
        if self.at_once == 0 || self.samples_max == 0 {
            bail!("--query.max-concurrency and --query.max-samples must be at least 1");
        }
        if self.timeout <= Millis::ZERO || self.lookback <= Millis::ZERO {
            bail!("--query.timeout and --query.lookback-delta must be longer than nothing");
        }
        Ok(QueryOptions {
            at_once: self.at_once,
            timeout: self.timeout,
            lookback: self.lookback,
            samples_max: self.samples_max,
            slow: self.slow,
            ..QueryOptions::default()
        })
    }

    pub(super) fn origins(&self) -> anyhow::Result<Origins> {
        if self.cors_origin == ".*" {
            return Ok(Origins::Any);
        }
        Ok(Origins::Matching(Pattern::new(&self.cors_origin).context("--web.cors.origin")?))
    }

    /// The flags with their values, as `status/flags` lists them.
    pub(super) fn list(&self) -> Vec<(String, String)> {
        let pairs = [
            ("query.timeout", self.timeout.to_string()),
            ("query.max-concurrency", self.at_once.to_string()),
            ("query.max-samples", self.samples_max.to_string()),
            ("query.lookback-delta", self.lookback.to_string()),
            ("query.log-slower-than", self.slow.to_string()),
            ("web.cors.origin", self.cors_origin.clone()),
        ];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
