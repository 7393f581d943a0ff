//! A job of the configuration as a job to scrape.

use super::job::{Job, Protocol, Scheme, TargetGroup};
use super::relabel::{Relabel, RelabelAction, RelabelError, RelabelOptions};
use crate::config::{self, ScrapeJob};
use crate::wire::HistogramReading;

impl TryFrom<&ScrapeJob> for Job {
    type Error = RelabelError;

    /// The same job.
    ///
    /// # Errors
    /// A relabeling rule cannot be applied.
    fn try_from(job: &ScrapeJob) -> Result<Job, RelabelError> {
        let group = |group: &config::TargetGroup| TargetGroup {
            addresses: group.addresses.clone(),
            labels: group.labels.iter().map(|label| (label.name.to_owned(), label.value.to_owned())).collect(),
        };
        let rules = |rules: &[config::Relabel]| rules.iter().map(rule).collect::<Result<Vec<_>, _>>();
        Ok(Job {
            name: job.name.clone(),
            interval: job.interval,
            timeout: job.timeout,
            scheme: if job.scheme == "https" { Scheme::Https } else { Scheme::Http },
            metrics_path: job.metrics_path.clone(),
            params: job.params.clone(),
            honor_labels: job.honor_labels,
            honor_timestamps: job.honor_timestamps,
            sample_limit: job.sample_limit,
            body_bytes_max: job.body_bytes_max,
            targets: job.targets.iter().map(group).collect(),
            authorization: job.authorization.clone(),
            headers: job.headers.clone(),
            relabel: rules(&job.relabel)?,
            metric_relabel: rules(&job.metric_relabel)?,
            fallback_format: job.fallback_protocol.as_deref().and_then(Protocol::of).map(Protocol::encoding),
            protocols: protocols(job),
            histograms: HistogramReading {
                native: job.native_histograms,
                always_classic: job.always_classic_histograms,
                convert_classic: job.convert_classic_histograms,
            },
            start_timestamps: false,
        })
    }
}

/// What the file asks for; without a word on it texts, and protobuf before them if histograms need it.
fn protocols(job: &ScrapeJob) -> Vec<Protocol> {
    if !job.protocols.is_empty() {
        return job.protocols.iter().filter_map(|name| Protocol::of(name)).collect();
    }
    let proto = (job.native_histograms || job.convert_classic_histograms).then_some(Protocol::Proto);
    proto.into_iter().chain(Protocol::TEXTS).collect()
}

fn rule(rule: &config::Relabel) -> Result<Relabel, RelabelError> {
    let action =
        RelabelAction::parse(&rule.action).ok_or_else(|| RelabelError::Action { action: rule.action.clone() })?;
    Relabel::new(RelabelOptions {
        source_labels: rule.source_labels.clone(),
        separator: rule.separator.clone(),
        regex: rule.regex.clone(),
        modulus: rule.modulus,
        target_label: rule.target_label.clone(),
        replacement: rule.replacement.clone(),
        action,
    })
}
