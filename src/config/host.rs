//! What `serve` watches when no configuration is given: this host, and Evenkeel itself.

use crate::model::Millis;

use super::error::ConfigError;
use super::files::{parse_objectives, parse_rules};
use super::options::Config;

const RULES: &str = include_str!("host/rules.yml");
const OBJECTIVES: &str = include_str!("host/objectives.yml");

/// The built-in configuration: rules and objectives for this host (service `host`) and for
/// Evenkeel (service `evenkeel`), collected every five seconds. It scrapes nothing and tells nobody.
///
/// # Errors
/// The texts that are compiled in do not parse, which a test rules out.
pub fn host() -> Result<Config, ConfigError> {
    Ok(Config {
        scrape_interval: Millis::seconds(5),
        scrape_timeout: Millis::seconds(5),
        evaluation_interval: Millis::seconds(15),
        rule_groups: parse_rules("built-in/host/rules.yml", RULES)?,
        objectives: parse_objectives("built-in/host/objectives.yml", OBJECTIVES)?,
        ..Config::default()
    })
}
