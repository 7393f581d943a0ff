//! One target of a job: its address, and the labels that all its series get.

use reqwest::Url;

use super::job::{Job, TargetGroup};
use crate::model::{Labels, LabelsBuilder, LabelsError};

/// A place to scrape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) url: Url,
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
}

/// All targets of a job, each once.
pub(super) fn targets_of(job: &Job) -> Result<Vec<Target>, TargetError> {
    let mut targets: Vec<Target> = Vec::new();
    for group in &job.targets {
        for address in &group.addresses {
            let target = target(job, group, address)?;
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
    }
    Ok(targets)
}

fn target(job: &Job, group: &TargetGroup, address: &str) -> Result<Target, TargetError> {
    let discovered = discovered(job, group, address);
    let refuse = |reason| TargetError::Labels { job: job.name.clone(), address: address.to_owned(), reason };
    let url = url(&discovered, job)
        .ok_or_else(|| TargetError::Address { job: job.name.clone(), address: address.to_owned() })?;
    let mut labels = discovered.clone();
    if labels.get("instance").is_empty() {
        labels.set("instance", discovered.get("__address__"));
    }
    let discovered = discovered.build().map_err(refuse)?;
    let labels = labels.build().map_err(refuse)?.filter(|name| !name.starts_with("__"));
    Ok(Target { url, labels, discovered })
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

fn url(labels: &LabelsBuilder, job: &Job) -> Option<Url> {
    let address = labels.get("__address__");
    if address.is_empty() || address.contains(['/', '?', '#', '@', ' ']) {
        return None;
    }
    let mut url = Url::parse(&format!("{}://{address}", labels.get("__scheme__"))).ok()?;
    url.set_path(labels.get("__metrics_path__"));
    let mut first = Vec::new();
    let params: Vec<(&str, &str)> = job
        .params
        .iter()
        .map(|(name, value)| {
            if first.contains(name) {
                return (name.as_str(), value.as_str());
            }
            first.push(name.clone());
            (name.as_str(), labels.get(&format!("__param_{name}")))
        })
        .collect();
    if !params.is_empty() {
        url.query_pairs_mut().extend_pairs(params);
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn addresses_with_more_than_host_and_port_are_refused() {
        for bad in ["", "http://a", "a/b", "a?b", "u@a", "a:x", "a b"] {
            let error = targets_of(&job(&[bad], &[])).unwrap_err();
            assert!(error.to_string().ends_with("write host:port without scheme and path"), "{error}");
        }
    }
}
