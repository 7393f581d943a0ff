//! One target of a job: its address, and the labels that all its series get.

use reqwest::Url;

use super::job::{Job, TargetGroup};
use super::relabel::relabel;
use crate::model::{DurationError, Labels, LabelsBuilder, LabelsError, Millis};

/// A place to scrape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) interval: Millis,
    pub(super) timeout: Millis,
    /// What every series of the target gets.
    pub(super) labels: Labels,
    /// What the configuration said, the `__…__` labels included.
    pub(super) discovered: Labels,
}

/// A target that cannot be scraped as it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The address does not make a URL.
    #[error("job \"{job}\": \"{address}\" is not the address of a target; write host:port without scheme and path")]
    Address {
        /// The job.
        job: String,
        /// The address as written.
        address: String,
    },
    /// The labels cannot name a series.
    #[error("job \"{job}\", target \"{address}\": {reason}")]
    Labels {
        /// The job.
        job: String,
        /// The address as written.
        address: String,
        /// What is wrong.
        reason: LabelsError,
    },
    /// A rule made an interval or a timeout that is none.
    #[error("job \"{job}\", target \"{address}\": {reason}")]
    Duration {
        /// The job.
        job: String,
        /// The address as written.
        address: String,
        /// What is wrong.
        reason: DurationError,
    },
}

/// All targets of a job, each once, without those that its rules leave out.
pub(super) fn targets_of(job: &Job) -> Result<Vec<Target>, TargetError> {
    let mut targets: Vec<Target> = Vec::new();
    for group in &job.targets {
        for address in &group.addresses {
            let target = target(job, group, address)?;
            // Two that differ only in what their rules took away are one.
            let is_new = |new: &Target| targets.iter().all(|old| (&old.url, &old.labels) != (&new.url, &new.labels));
            if let Some(target) = target.filter(is_new) {
                targets.push(target);
            }
        }
    }
    Ok(targets)
}

fn target(job: &Job, group: &TargetGroup, address: &str) -> Result<Option<Target>, TargetError> {
    let place = || (job.name.clone(), address.to_owned());
    let refuse = |reason| {
        let (job, address) = place();
        TargetError::Labels { job, address, reason }
    };
    let discovered = discovered(job, group, address).build().map_err(refuse)?;
    let Some(labels) = relabel(&discovered, &job.relabel).map_err(refuse)? else { return Ok(None) };
    let url = url(&labels, job).ok_or_else(|| {
        let (job, address) = place();
        TargetError::Address { job, address }
    })?;
    let duration = |name| {
        Millis::parse(labels.get(name)).map_err(|reason| {
            let (job, address) = place();
            TargetError::Duration { job, address, reason }
        })
    };
    let (interval, timeout) = (duration("__scrape_interval__")?, duration("__scrape_timeout__")?);
    let mut named = labels.builder();
    if named.get("instance").is_empty() {
        named.set("instance", labels.get("__address__"));
    }
    let labels = named.build().map_err(refuse)?.filter(|name| !name.starts_with("__"));
    Ok(Some(Target { url, interval, timeout, labels, discovered }))
}

/// The labels of the job's targets that its rules drop, as they were before the rules.
pub fn dropped_targets(job: &Job) -> Vec<Labels> {
    let pairs = job.targets.iter().flat_map(|group| group.addresses.iter().map(move |address| (group, address)));
    pairs
        .filter_map(|(group, address)| discovered(job, group, address).build().ok())
        .filter(|labels| matches!(relabel(labels, &job.relabel), Ok(None)))
        .collect()
}

fn discovered(job: &Job, group: &TargetGroup, address: &str) -> LabelsBuilder {
    let mut labels = LabelsBuilder::default();
    labels
        .set("job", &job.name)
        .set("__address__", address)
        .set("__scheme__", job.scheme.as_str())
        .set("__metrics_path__", &job.metrics_path)
        .set("__scrape_interval__", &job.interval.to_string())
        .set("__scrape_timeout__", &job.timeout.to_string());
    for (name, value) in &job.params {
        let label = format!("__param_{name}");
        // Of a parameter given several times the label shows the first, as in Prometheus.
        if labels.get(&label).is_empty() {
            labels.set(&label, value);
        }
    }
    for (name, value) in &group.labels {
        labels.set(name, value);
    }
    labels
}

fn url(labels: &Labels, job: &Job) -> Option<Url> {
    let address = labels.get("__address__");
    if address.is_empty() || address.contains(['/', '?', '#', '@', ' ']) {
        return None;
    }
    let mut url = Url::parse(&format!("{}://{address}", labels.get("__scheme__"))).ok()?;
    url.set_path(labels.get("__metrics_path__"));
    let params = params(labels, job);
    if !params.is_empty() {
        url.query_pairs_mut().extend_pairs(params);
    }
    Some(url)
}

/// The job's parameters, of each the first value as the label has it; then those that only a label
/// knows.
fn params<'a>(labels: &'a Labels, job: &'a Job) -> Vec<(&'a str, &'a str)> {
    let mut from_labels: Vec<(&str, &str)> =
        labels.iter().filter_map(|label| Some((label.name.strip_prefix("__param_")?, label.value))).collect();
    let mut params: Vec<(&str, &str)> = Vec::new();
    for (name, value) in &job.params {
        if params.iter().any(|(n, _)| n == name) {
            params.push((name, value));
        } else if let Some(at) = from_labels.iter().position(|(n, _)| n == name) {
            params.push(from_labels.remove(at));
        } else if value.is_empty() {
            // An empty value cannot be a label.
            params.push((name, value));
        }
    }
    params.extend(from_labels);
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrape::{Relabel, RelabelAction, RelabelOptions};

    fn job(addresses: &[&str], labels: &[(&str, &str)]) -> Job {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
        Job::new("shop", vec![TargetGroup { addresses, labels }])
    }

    #[test]
    fn a_target_has_its_address_as_instance() {
        let targets = targets_of(&job(&["a:80", "b:80", "a:80"], &[("env", "prod")])).unwrap();
        let labels: Vec<_> = targets.iter().map(|target| target.labels.to_string()).collect();
        let expected =
            ["{env=\"prod\", instance=\"a:80\", job=\"shop\"}", "{env=\"prod\", instance=\"b:80\", job=\"shop\"}"];
        assert_eq!(labels, expected);
        assert_eq!(targets[0].url.as_str(), "http://a/metrics");
    }

    #[test]
    fn labels_override_what_the_job_says() {
        let labels = [("instance", "me"), ("job", "other"), ("__scheme__", "https"), ("__metrics_path__", "/m x")];
        let mut job = job(&["[::1]:9100"], &[labels.as_slice(), &[("__param_q", "z")]].concat());
        job.params = vec![("q".to_owned(), "a&b".to_owned()), ("q".to_owned(), "c".to_owned())];
        let target = &targets_of(&job).unwrap()[0];
        assert_eq!(target.labels.to_string(), "{instance=\"me\", job=\"other\"}");
        assert_eq!(target.url.as_str(), "https://[::1]:9100/m%20x?q=z&q=c");
    }

    #[test]
    fn rules_choose_and_rewrite_targets() {
        let rule = |source: &str, regex: &str, target: &str, replacement: &str, action| {
            Relabel::new(RelabelOptions {
                source_labels: vec![source.to_owned()],
                regex: regex.to_owned(),
                target_label: target.to_owned(),
                replacement: replacement.to_owned(),
                action,
                ..RelabelOptions::default()
            })
            .unwrap()
        };
        // The usual shape of a probe job: the target becomes a parameter of the prober.
        let mut job = job(&["https://example.org", "https://off.example.org"], &[("tier", "web")]);
        job.params = vec![("module".to_owned(), "http_2xx".to_owned())];
        job.relabel = vec![
            rule("__address__", ".*off.*", "", "", RelabelAction::Drop),
            rule("__address__", "(.*)", "__param_target", "$1", RelabelAction::Replace),
            rule("__param_target", "(.*)", "instance", "$1", RelabelAction::Replace),
            rule("none", "", "__address__", "127.0.0.1:9115", RelabelAction::Replace),
            rule("none", "", "__scrape_interval__", "7s", RelabelAction::Replace),
        ];
        let targets = targets_of(&job).unwrap();
        assert_eq!(targets.len(), 1);
        let dropped = dropped_targets(&job);
        assert_eq!((dropped.len(), dropped[0].get("__address__")), (1, "https://off.example.org"));
        assert_eq!(
            targets[0].url.as_str(),
            "http://127.0.0.1:9115/metrics?module=http_2xx&target=https%3A%2F%2Fexample.org"
        );
        assert_eq!(targets[0].labels.to_string(), r#"{instance="https://example.org", job="shop", tier="web"}"#);
        assert_eq!((targets[0].interval, targets[0].timeout), (Millis::seconds(7), Millis::seconds(10)));
        assert_eq!(targets[0].discovered.get("__address__"), "https://example.org");
    }

    #[test]
    fn addresses_with_more_than_host_and_port_are_refused() {
        for bad in ["", "http://a", "a/b", "a?b", "u@a", "a:x", "a b"] {
            let error = targets_of(&job(&[bad], &[])).unwrap_err();
            assert!(error.to_string().ends_with("write host:port without scheme and path"), "{error}");
        }
    }
}
