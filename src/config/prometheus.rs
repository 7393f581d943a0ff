//! The main file: `prometheus.yml` as it is, with keys of our own beside it.

use std::path::Path;

use crate::confidence::{AccuracyTargets, CriticalServices};
use crate::model::{DownsampleFault, DownsampleRule, Labels, Millis, limits};
use crate::notify::AlertmanagerTarget;
use crate::promql::parse_selector;
use crate::rules::{EvaluationMode, check_history};
use crate::slo::Objectives;

use super::error::ConfigError;
use super::loader::Loader;
use super::options::{Config, Durability, RetentionRule, StartTimestamps, StorageSettings};
use super::rule_file::{self, RuleDefaults};
use super::scrape::{self, Addresses, Defaults};
use super::section::{Field, Section};
use super::source::{Source, Variables};
use super::{accuracy, alertmanager, coverage, http, severity, slo_file, yaml};

/// Reads the main file and all that it names.
pub(super) fn read(path: &Path, loader: &mut Loader<'_>) -> Result<Config, ConfigError> {
    let source = loader.open(path, Variables::Expanded)?;
    let node = yaml::parse(&source)?;
    let what = "the configuration";
    let mut top = Section::of(&source, &node, what)?;
    let mut config = Config::default();
    let scrape_defaults = match top.get("global") {
        Some(field) => global(&field, &mut config, loader)?,
        None => scrape_defaults(&config),
    };
    refuse(&mut top)?;
    if let Some(field) = top.get("scrape_configs") {
        config.scrape = scrape::read(&field, scrape_defaults, loader)?;
    }
    if let Some(field) = top.get("rule_evaluation_mode") {
        config.rule_evaluation_mode = rule_file::mode(&field)?;
    }
    if let Some(field) = top.get("rule_audit_one_in") {
        config.rule_audit_one_in = field.count()? as u64;
    }
    if let Some(field) = top.get("deploy_series") {
        let text = field.text()?;
        config.deploy_series = match text.as_str() {
            "" => Vec::new(),
            text => parse_selector(text).map_err(|error| field.error(error.to_string()))?,
        };
    }
    if let Some(field) = top.get("coverage") {
        config.critical = coverage::read(&field, loader)?;
    }
    if let Some(field) = top.get("accuracy") {
        config.accuracy = accuracy::read(&field, loader)?;
    }
    if let Some(field) = top.get("rule_files") {
        rule_files(&field, &mut config, loader)?;
    }
    if let Some(field) = top.get("slo_files") {
        slo_files(&field, &mut config, loader)?;
    }
    if let Some(field) = top.get("severity") {
        config.severity = severity::read(&field, loader)?;
        severity::apply(&config.severity, &field, &mut config.objectives, loader)?;
        Objectives::new(config.objectives.clone()).map_err(|error| field.error(error.to_string()))?;
    }
    if let Some(field) = top.get("alerting") {
        config.alertmanagers = alerting(&field, loader)?;
    }
    if let Some(field) = top.get("alertmanager_file") {
        let path = super::loader::beside(&source.name, &field.word()?);
        let file = loader.open_named(&path, &field, Variables::Expanded)?;
        config.routing = Some(alertmanager::read(&file, loader)?);
    }
    if let Some(field) = top.get("storage") {
        config.storage = storage(&field, loader)?;
        check_history(&config.rule_groups, &config.storage.downsample).map_err(|message| field.error(message))?;
    }
    loader.notes.extend(top.finish(what)?);
    Ok(config)
}

fn refuse(top: &mut Section<'_>) -> Result<(), ConfigError> {
    top.refuse(&["scrape_config_files"], "write the jobs under scrape_configs")?;
    top.refuse(&["remote_write"], "remove it; samples are not passed on")?;
    top.refuse(&["remote_read"], "remove it; other stores are not read")?;
    top.refuse(&["otlp"], "remove it; OTLP is not received")?;
    top.refuse(&["tracing"], "remove it; no traces are sent")?;
    top.ignore(&["runtime"], "it tunes the Go runtime");
    Ok(())
}

fn scrape_defaults(config: &Config) -> Defaults {
    Defaults {
        interval: config.scrape_interval,
        timeout: config.scrape_timeout,
        sample_limit: 0,
        body_bytes_max: limits::BODY_DECODED_BYTES_MAX,
        histograms: scrape::Histograms::default(),
    }
}

fn global(field: &Field<'_>, config: &mut Config, loader: &mut Loader<'_>) -> Result<Defaults, ConfigError> {
    let mut section = field.section("global")?;
    if let Some(field) = section.get("scrape_interval") {
        config.scrape_interval = field.positive_duration()?;
    }
    match section.get("scrape_timeout") {
        Some(field) => {
            config.scrape_timeout = field.positive_duration()?;
            if config.scrape_timeout > config.scrape_interval {
                let (timeout, interval) = (config.scrape_timeout, config.scrape_interval);
                let message = format!("scrape_timeout {timeout} is longer than scrape_interval {interval}; shorten it");
                return Err(field.error(message));
            }
        }
        None => config.scrape_timeout = config.scrape_timeout.min(config.scrape_interval),
    }
    if let Some(field) = section.get("evaluation_interval") {
        config.evaluation_interval = field.positive_duration()?;
    }
    if let Some(field) = section.get("rule_query_offset") {
        config.rule_query_offset = field.duration()?;
    }
    if let Some(field) = section.get("external_labels") {
        config.external_labels = field.labels()?;
    }
    let mut defaults = scrape_defaults(config);
    if let Some(field) = section.get("sample_limit") {
        defaults.sample_limit = field.count()?;
    }
    if let Some(bytes) = scrape::body_bytes_max(&mut section)? {
        defaults.body_bytes_max = bytes;
    }
    defaults.histograms = defaults.histograms.read(&mut section)?;
    scrape::limits_refused(&mut section)?;
    section.ignore(
        &[
            "query_log_file",
            "scrape_failure_log_file",
            "metric_name_validation_scheme",
            "metric_name_escaping_scheme",
            "extra_scrape_metrics",
        ],
        "names are taken as they come, and no extra logs are written",
    );
    loader.notes.extend(section.finish("global")?);
    Ok(defaults)
}

fn rule_files(field: &Field<'_>, config: &mut Config, loader: &mut Loader<'_>) -> Result<(), ConfigError> {
    let defaults = RuleDefaults {
        interval: config.evaluation_interval,
        query_offset: config.rule_query_offset,
        mode: config.rule_evaluation_mode,
    };
    for item in field.list()? {
        for path in loader.matching(&item)? {
            let file = loader.open_named(&path, &item, Variables::Literal)?;
            let (groups, notes) = rule_file::read(&file, defaults)?;
            // A file that two patterns find counts once.
            if !config.rule_groups.iter().any(|group| group.file == file.name) {
                config.rule_groups.extend(groups);
                loader.notes.extend(notes);
            }
        }
    }
    Ok(())
}

fn slo_files(field: &Field<'_>, config: &mut Config, loader: &mut Loader<'_>) -> Result<(), ConfigError> {
    let mut read: Vec<String> = Vec::new();
    let mut adjustments = Vec::new();
    for item in field.list()? {
        for path in loader.matching(&item)? {
            let file: Source<'_> = loader.open_named(&path, &item, Variables::Expanded)?;
            if read.contains(&file.name) {
                continue;
            }
            let found = slo_file::read(&file)?;
            for objective in found.objectives {
                let (service, name) = (&objective.service, &objective.name);
                if config.objectives.iter().any(|o| o.service == *service && o.name == *name) {
                    let message = format!(
                        "{}: an objective \"{name}\" of \"{service}\" stands in another file already; rename one",
                        file.name
                    );
                    return Err(item.error(message));
                }
                config.objectives.push(objective);
            }
            adjustments.extend(found.adjustments);
            loader.notes.extend(found.notes);
            read.push(file.name);
        }
    }
    slo_file::adjust(&mut config.objectives, &adjustments);
    Objectives::new(config.objectives.clone()).map_err(|error| field.error(error.to_string()))?;
    Ok(())
}

fn alerting(field: &Field<'_>, loader: &mut Loader<'_>) -> Result<Vec<AlertmanagerTarget>, ConfigError> {
    let mut section = field.section("alerting")?;
    section.refuse(&["alert_relabel_configs"], "set labels in the rules")?;
    let mut targets = Vec::new();
    if let Some(field) = section.get("alertmanagers") {
        for item in field.list()? {
            targets.extend(alertmanagers(&item, loader)?);
        }
    }
    loader.notes.extend(section.finish("alerting")?);
    Ok(targets)
}

fn alertmanagers(item: &Field<'_>, loader: &mut Loader<'_>) -> Result<Vec<AlertmanagerTarget>, ConfigError> {
    let what = "an entry of alertmanagers";
    let mut section = item.section(what)?;
    section.refuse(&scrape::DISCOVERY, "list the Alertmanagers under static_configs")?;
    section.refuse(&["relabel_configs", "alert_relabel_configs"], "set labels in the rules")?;
    section.refuse(&["sigv4"], "use basic_auth or authorization")?;
    if let Some(field) = section.get("api_version")
        && field.text()? != "v2"
    {
        return Err(field.error("only version v2 of Alertmanager's API is spoken; write v2"));
    }
    let scheme = scrape::scheme(&mut section)?;
    let timeout = section.get("timeout").map(|f| f.positive_duration()).transpose()?.unwrap_or(Millis::seconds(10));
    let prefix = section.get("path_prefix").map(|f| f.text()).transpose()?.unwrap_or_default();
    let http = http::read(&mut section, loader)?;
    let groups = match section.get("static_configs") {
        Some(field) => scrape::static_configs(&field, Addresses::Final, loader)?,
        None => Vec::new(),
    };
    loader.notes.extend(section.finish(what)?);
    let addresses = groups.iter().flat_map(|group| &group.addresses);
    let target = |address: &String| AlertmanagerTarget {
        timeout,
        authorization: http.authorization.clone(),
        headers: http.headers.clone(),
        ..AlertmanagerTarget::new(&format!("{scheme}://{address}/{}", prefix.trim_matches('/')))
    };
    Ok(addresses.map(target).collect())
}

fn storage(field: &Field<'_>, loader: &mut Loader<'_>) -> Result<StorageSettings, ConfigError> {
    let mut section = field.section("storage")?;
    let mut storage = StorageSettings { retention_rules: Vec::new(), ..StorageSettings::default() };
    if let Some(field) = section.get("retention") {
        storage.retention = field.positive_duration()?;
    }
    if let Some(field) = section.get("retention_size") {
        storage.retention_bytes = field.bytes()?;
    }
    if let Some(field) = section.get("retention_rules") {
        for item in field.list()? {
            storage.retention_rules.push(retention_rule(&item, loader)?);
        }
    }
    if let Some(field) = section.get("results_cache") {
        storage.results_cache_bytes = field.bytes()?;
    }
    if let Some(field) = section.get("compaction_rate") {
        storage.compaction_bytes_per_second = field.bytes()?;
    }
    let downsample = section.get("downsample");
    if let Some(field) = section.get("durability") {
        storage.durability = durability(&field)?;
    }
    if let Some(field) = section.get("out_of_order") {
        storage.out_of_order = field.duration()?;
    }
    if let Some(field) = section.get("tsdb") {
        tsdb(&field, &mut storage, loader)?;
    }
    if let Some(field) = section.get("exemplars") {
        let mut inner = field.section("exemplars")?;
        if let Some(field) = inner.get("max_exemplars") {
            storage.exemplars_max = field.count()?;
        }
        loader.notes.extend(inner.finish("exemplars")?);
    }
    if let Some(field) = section.get("start_timestamps") {
        storage.start_timestamps = start_timestamps(&field)?;
    }
    loader.notes.extend(section.finish("storage")?);
    if let Some(field) = downsample {
        storage.downsample = downsample_rules(&field, &storage, loader)?;
    }
    // Last, so that a rule of the file for the same series counts.
    let scorecard = RetentionRule::scorecard();
    if scorecard.keep > storage.retention {
        storage.retention_rules.push(scorecard);
    }
    Ok(storage)
}

/// Entries `{match: SELECTOR, after: DURATION, resolution: DURATION}`, without `match` for all series.
fn downsample_rules(
    field: &Field<'_>,
    storage: &StorageSettings,
    loader: &mut Loader<'_>,
) -> Result<Vec<DownsampleRule>, ConfigError> {
    let what = "an entry of downsample";
    let (mut rules, mut places) = (Vec::new(), Vec::new());
    for item in field.list()? {
        let mut section = item.section(what)?;
        let (after, resolution) = (section.need("after", what)?, section.need("resolution", what)?);
        let matchers = match section.get("match") {
            Some(field) => parse_selector(&field.text()?).map_err(|error| field.error(error.to_string()))?,
            None => Vec::new(),
        };
        loader.notes.extend(section.finish(what)?);
        rules.push(DownsampleRule {
            matchers,
            after: after.positive_duration()?,
            resolution: resolution.positive_duration()?,
        });
        places.push((item, after, resolution));
    }
    let keep = storage.retention_rules.iter().map(|rule| rule.keep).fold(storage.retention, Millis::max);
    DownsampleRule::check(&rules, keep, storage.out_of_order).map_err(|error| {
        let (item, after, resolution) = &places[error.rule];
        let place = match error.fault {
            DownsampleFault::Rule => item,
            DownsampleFault::After => after,
            DownsampleFault::Resolution => resolution,
        };
        place.error(error.message)
    })?;
    Ok(rules)
}

/// `{match: SELECTOR, keep: DURATION}`
fn retention_rule(item: &Field<'_>, loader: &mut Loader<'_>) -> Result<RetentionRule, ConfigError> {
    let what = "an entry of retention_rules";
    let mut section = item.section(what)?;
    let (selector, keep) = (section.need("match", what)?, section.need("keep", what)?);
    let matchers = parse_selector(&selector.text()?).map_err(|error| selector.error(error.to_string()))?;
    let keep = keep.positive_duration()?;
    loader.notes.extend(section.finish(what)?);
    Ok(RetentionRule { matchers, keep })
}

/// `synced`, `buffered`, or how long an acknowledged sample may wait for its sync.
fn durability(field: &Field<'_>) -> Result<Durability, ConfigError> {
    match field.word()?.as_str() {
        "synced" => Ok(Durability::Synced),
        "buffered" => Ok(Durability::Buffered),
        other => match Millis::parse(other) {
            Ok(interval) if interval > Millis::ZERO => Ok(Durability::Interval(interval)),
            _ => Err(field.error(format!(
                "the durability \"{other}\" is not known; write synced, buffered or the time between two syncs, like 100ms"
            ))),
        },
    }
}

fn start_timestamps(field: &Field<'_>) -> Result<StartTimestamps, ConfigError> {
    match field.word()?.as_str() {
        "ignored" => Ok(StartTimestamps::Ignored),
        "stored" => Ok(StartTimestamps::Stored),
        "used" => Ok(StartTimestamps::Used),
        other => Err(field.error(format!("\"{other}\" is not known here; write ignored, stored or used"))),
    }
}

/// Prometheus' own storage section.
fn tsdb(field: &Field<'_>, storage: &mut StorageSettings, loader: &mut Loader<'_>) -> Result<(), ConfigError> {
    let mut section = field.section("tsdb")?;
    if let Some(field) = section.get("out_of_order_time_window") {
        storage.out_of_order = field.duration()?;
    }
    if let Some(field) = section.get("retention") {
        let mut inner = field.section("retention")?;
        if let Some(field) = inner.get("time") {
            storage.retention = field.positive_duration()?;
        }
        if let Some(field) = inner.get("size") {
            storage.retention_bytes = field.bytes()?;
        }
        inner.refuse(&["percentage"], "set size")?;
        loader.notes.extend(inner.finish("retention")?);
    }
    section.ignore(&["stale_series_compaction_threshold", "chunk_encoding"], "the store chooses it itself");
    loader.notes.extend(section.finish("tsdb")?);
    Ok(())
}

/// What says by convention which version runs: `build_info` of an instrumented program, `target_info` of OpenTelemetry.
const DEPLOY_SERIES: &str = "{__name__=~\"(.+_)?build_info|target_info\"}";

impl Default for Config {
    fn default() -> Config {
        Config {
            scrape_interval: Millis::minutes(1),
            scrape_timeout: Millis::seconds(10),
            evaluation_interval: Millis::minutes(1),
            rule_evaluation_mode: EvaluationMode::Ingest,
            rule_audit_one_in: limits::RULE_AUDIT_ONE_IN,
            rule_query_offset: Millis::ZERO,
            deploy_series: parse_selector(DEPLOY_SERIES).unwrap_or_default(),
            critical: CriticalServices::default(),
            accuracy: AccuracyTargets::default(),
            external_labels: Labels::empty(),
            scrape: Vec::new(),
            rule_groups: Vec::new(),
            objectives: Vec::new(),
            severity: Vec::new(),
            routing: None,
            alertmanagers: Vec::new(),
            storage: StorageSettings::default(),
            files: Vec::new(),
            notes: Vec::new(),
        }
    }
}
