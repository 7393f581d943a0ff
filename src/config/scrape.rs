//! `scrape_configs`: what is scraped, how often and how.

use crate::model::{Labels, Millis, limits};
use crate::notify::{Authorization, Secret};

use super::error::ConfigError;
use super::http;
use super::loader::Loader;
use super::relabel::{self, Relabel};
use super::section::{Field, Section};

/// One entry of `scrape_configs`; what the file leaves out is filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct ScrapeJob {
    /// The value of the label `job`.
    pub name: String,
    /// From one scrape to the next.
    pub interval: Millis,
    /// How long one scrape may take.
    pub timeout: Millis,
    /// `http` or `https`.
    pub scheme: String,
    /// The path of the metrics, with its leading slash.
    pub metrics_path: String,
    /// Parameters of the query, in order.
    pub params: Vec<(String, String)>,
    /// Whether a label of the target's text wins over one of the job of the same name.
    pub honor_labels: bool,
    /// Whether timestamps in the target's text are believed.
    pub honor_timestamps: bool,
    /// Samples that one scrape may bring; zero for no limit.
    pub sample_limit: usize,
    /// Bytes of an answer after decompression.
    pub body_bytes_max: usize,
    /// The targets.
    pub targets: Vec<TargetGroup>,
    /// Rules for the targets.
    pub relabel: Vec<Relabel>,
    /// Rules for the samples.
    pub metric_relabel: Vec<Relabel>,
    /// How to log in.
    pub authorization: Authorization,
    /// Further headers.
    pub headers: Vec<(String, Secret)>,
    /// The format to assume of an answer whose content type says none, as Prometheus names it.
    pub fallback_protocol: Option<String>,
    /// The formats to ask for, the best first, as Prometheus names them; empty for the usual ones.
    pub protocols: Vec<String>,
    /// Whether native histograms are taken.
    pub native_histograms: bool,
    /// Whether classic histograms are taken beside native ones.
    pub always_classic_histograms: bool,
    /// Whether classic histograms become native ones with custom bounds.
    pub convert_classic_histograms: bool,
}

/// Targets that share labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetGroup {
    /// `host:port` of each target.
    pub addresses: Vec<String>,
    /// Labels that every series of these targets gets.
    pub labels: Labels,
}

/// The settings of `global` that jobs inherit.
#[derive(Debug, Clone)]
pub(super) struct Defaults {
    pub(super) interval: Millis,
    pub(super) timeout: Millis,
    pub(super) sample_limit: usize,
    pub(super) body_bytes_max: usize,
    pub(super) histograms: Histograms,
}

/// The keys that say how histograms are scraped.
#[derive(Debug, Clone, Default)]
pub(super) struct Histograms {
    protocols: Vec<String>,
    native: bool,
    always_classic: bool,
    convert_classic: bool,
}

impl Histograms {
    /// What a section says, and otherwise these.
    pub(super) fn read(&self, section: &mut Section<'_>) -> Result<Histograms, ConfigError> {
        let mut flag = |key, otherwise| section.get(key).map_or(Ok(otherwise), |field| field.boolean());
        let (native, always_classic, convert_classic) = (
            flag("scrape_native_histograms", self.native)?,
            flag("always_scrape_classic_histograms", self.always_classic)?,
            flag("convert_classic_histograms_to_nhcb", self.convert_classic)?,
        );
        let protocols = protocols(section)?.unwrap_or_else(|| self.protocols.clone());
        Ok(Histograms { protocols, native, always_classic, convert_classic })
    }
}

/// `scrape_protocols`
fn protocols(section: &mut Section<'_>) -> Result<Option<Vec<String>>, ConfigError> {
    let Some(field) = section.get("scrape_protocols") else { return Ok(None) };
    let mut protocols: Vec<String> = Vec::new();
    for item in field.list()? {
        let protocol = item.word()?;
        if !PROTOCOLS.contains(&protocol.as_str()) {
            return Err(item.error(format!("the protocol \"{protocol}\" is not read; use {}", PROTOCOLS.join(", "))));
        }
        if protocols.contains(&protocol) {
            return Err(item.error(format!("the protocol \"{protocol}\" stands twice; keep one")));
        }
        protocols.push(protocol);
    }
    if protocols.is_empty() {
        return Err(field.error(format!("it names no protocol; use some of {}", PROTOCOLS.join(", "))));
    }
    Ok(Some(protocols))
}

/// The formats that are read, as Prometheus names them.
const PROTOCOLS: [&str; 5] =
    ["PrometheusProto", "PrometheusText0.0.4", "PrometheusText1.0.0", "OpenMetricsText0.0.1", "OpenMetricsText1.0.0"];

/// Keys that tell where else to find targets.
pub(super) const DISCOVERY: [&str; 36] = [
    "file_sd_configs",
    "http_sd_configs",
    "dns_sd_configs",
    "kubernetes_sd_configs",
    "consul_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "aws_sd_configs",
    "ec2_sd_configs",
    "ecs_sd_configs",
    "elasticache_sd_configs",
    "lightsail_sd_configs",
    "msk_sd_configs",
    "rds_sd_configs",
    "azure_sd_configs",
    "gce_sd_configs",
    "digitalocean_sd_configs",
    "hetzner_sd_configs",
    "linode_sd_configs",
    "vultr_sd_configs",
    "scaleway_sd_configs",
    "openstack_sd_configs",
    "oci_sd_configs",
    "outscale_sd_configs",
    "ovhcloud_sd_configs",
    "ionos_sd_configs",
    "stackit_sd_configs",
    "nomad_sd_configs",
    "eureka_sd_configs",
    "marathon_sd_configs",
    "nerve_sd_configs",
    "serverset_sd_configs",
    "kuma_sd_configs",
    "puppetdb_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
];

/// Limits that are accepted as zero, which means none.
const LIMITS: [&str; 6] = [
    "target_limit",
    "label_limit",
    "label_name_length_limit",
    "label_value_length_limit",
    "keep_dropped_targets",
    "native_histogram_bucket_limit",
];

/// Reads every job.
pub(super) fn read(
    field: &Field<'_>,
    defaults: Defaults,
    loader: &mut Loader<'_>,
) -> Result<Vec<ScrapeJob>, ConfigError> {
    let mut jobs: Vec<ScrapeJob> = Vec::new();
    for item in field.list()? {
        let section = item.section("a scrape config")?;
        let place = section.fields().find(|f| f.key == "job_name").map_or(item.node.place, |f| f.node.place);
        let job = job(section, &defaults, loader)?;
        if jobs.iter().any(|earlier| earlier.name == job.name) {
            let message = format!("two scrape configs have the job_name \"{}\"; rename one", job.name);
            return Err(item.source.error(place, message));
        }
        jobs.push(job);
    }
    Ok(jobs)
}

fn job(mut section: Section<'_>, defaults: &Defaults, loader: &mut Loader<'_>) -> Result<ScrapeJob, ConfigError> {
    let what = "a scrape config";
    let name = section.need("job_name", what)?.word()?;
    let interval =
        section.get("scrape_interval").map(|f| f.positive_duration()).transpose()?.unwrap_or(defaults.interval);
    let timeout = match section.get("scrape_timeout") {
        Some(field) => {
            let timeout = field.positive_duration()?;
            if timeout > interval {
                let message = format!("scrape_timeout {timeout} is longer than scrape_interval {interval}; shorten it");
                return Err(field.error(message));
            }
            timeout
        }
        // As in Prometheus, an inherited timeout is cut to the interval.
        None => defaults.timeout.min(interval),
    };
    section.refuse(&DISCOVERY, "list the targets under static_configs")?;
    limits_refused(&mut section)?;
    section.ignore(
        &[
            "enable_compression",
            "track_timestamps_staleness",
            "scrape_failure_log_file",
            "metric_name_validation_scheme",
            "metric_name_escaping_scheme",
            "scrape_classic_histograms",
            "native_histogram_min_bucket_factor",
            "extra_scrape_metrics",
        ],
        "native histograms are taken as fine as they come, and no extra logs are written",
    );
    let histograms = defaults.histograms.read(&mut section)?;
    let http = http::read(&mut section, loader)?;
    let relabel = relabel::read(&mut section, "relabel_configs", loader)?;
    let addresses = if relabel.is_empty() { Addresses::Final } else { Addresses::Relabeled };
    let job = ScrapeJob {
        name,
        interval,
        timeout,
        scheme: scheme(&mut section)?,
        metrics_path: metrics_path(&mut section)?,
        params: params(&mut section)?,
        honor_labels: section.get("honor_labels").map(|f| f.boolean()).transpose()?.unwrap_or(false),
        honor_timestamps: section.get("honor_timestamps").map(|f| f.boolean()).transpose()?.unwrap_or(true),
        sample_limit: section.get("sample_limit").map(|f| f.count()).transpose()?.unwrap_or(defaults.sample_limit),
        body_bytes_max: body_bytes_max(&mut section)?.unwrap_or(defaults.body_bytes_max),
        targets: targets(&mut section, addresses, loader)?,
        relabel,
        metric_relabel: relabel::read(&mut section, "metric_relabel_configs", loader)?,
        authorization: http.authorization,
        headers: http.headers,
        fallback_protocol: fallback_protocol(&mut section)?,
        protocols: histograms.protocols,
        native_histograms: histograms.native,
        always_classic_histograms: histograms.always_classic,
        convert_classic_histograms: histograms.convert_classic,
    };
    loader.notes.extend(section.finish(what)?);
    Ok(job)
}

/// Refuses limits that are not kept.
pub(super) fn limits_refused(section: &mut Section<'_>) -> Result<(), ConfigError> {
    for key in LIMITS {
        if let Some(field) = section.get(key)
            && field.text()? != "0"
        {
            let message = format!("\"{key}\" is not supported yet: use sample_limit and body_size_limit");
            return Err(field.source.error(field.key_place, message));
        }
    }
    Ok(())
}

/// `body_size_limit`; zero means the most that is ever taken.
pub(super) fn body_bytes_max(section: &mut Section<'_>) -> Result<Option<usize>, ConfigError> {
    let Some(field) = section.get("body_size_limit") else { return Ok(None) };
    let bytes = usize::try_from(field.bytes()?).unwrap_or(usize::MAX);
    Ok(Some(if bytes == 0 { limits::BODY_DECODED_BYTES_MAX } else { bytes.min(limits::BODY_DECODED_BYTES_MAX) }))
}

/// `scheme`: http or https.
pub(super) fn scheme(section: &mut Section<'_>) -> Result<String, ConfigError> {
    let Some(field) = section.get("scheme") else { return Ok("http".to_owned()) };
    let scheme = field.word()?.to_ascii_lowercase();
    if scheme == "http" || scheme == "https" {
        return Ok(scheme);
    }
    Err(field.error(format!("the scheme \"{scheme}\" is neither http nor https; write one of them")))
}

fn metrics_path(section: &mut Section<'_>) -> Result<String, ConfigError> {
    let path = section.get("metrics_path").map(|f| f.word()).transpose()?.unwrap_or_else(|| "/metrics".to_owned());
    Ok(if path.starts_with('/') { path } else { format!("/{path}") })
}

fn params(section: &mut Section<'_>) -> Result<Vec<(String, String)>, ConfigError> {
    let mut params = Vec::new();
    let Some(field) = section.get("params") else { return Ok(params) };
    for param in field.section("params")?.fields() {
        for value in param.list()? {
            params.push((param.key.to_owned(), value.text()?));
        }
    }
    Ok(params)
}

fn fallback_protocol(section: &mut Section<'_>) -> Result<Option<String>, ConfigError> {
    let Some(field) = section.get("fallback_scrape_protocol") else { return Ok(None) };
    let protocol = field.word()?;
    if PROTOCOLS.contains(&protocol.as_str()) {
        return Ok(Some(protocol));
    }
    Err(field.error(format!("the protocol \"{protocol}\" is not read; use one of {}", PROTOCOLS.join(", "))))
}

/// What the words under `targets` are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addresses {
    /// Where to ask.
    Final,
    /// Anything that rules make an address of, as the URLs that a blackbox exporter is given.
    Relabeled,
}

fn targets(
    section: &mut Section<'_>,
    addresses: Addresses,
    loader: &mut Loader<'_>,
) -> Result<Vec<TargetGroup>, ConfigError> {
    section.get("static_configs").map_or(Ok(Vec::new()), |field| static_configs(&field, addresses, loader))
}

/// `static_configs`: targets and their labels.
pub(super) fn static_configs(
    field: &Field<'_>,
    kind: Addresses,
    loader: &mut Loader<'_>,
) -> Result<Vec<TargetGroup>, ConfigError> {
    let mut groups = Vec::new();
    for item in field.list()? {
        let mut section = item.section("a static config")?;
        let targets = section.get("targets").map(|f| f.list()).transpose()?.unwrap_or_default();
        let mut addresses = Vec::new();
        for target in targets {
            let address = target.word()?;
            if kind == Addresses::Final && address.contains('/') {
                let message = format!(
                    "\"{address}\" is not an address; write host:port, and the rest as scheme and metrics_path"
                );
                return Err(target.error(message));
            }
            addresses.push(address);
        }
        let labels = section.get("labels").map(|f| f.labels()).transpose()?.unwrap_or_else(Labels::empty);
        loader.notes.extend(section.finish("a static config")?);
        groups.push(TargetGroup { addresses, labels });
    }
    Ok(groups)
}
