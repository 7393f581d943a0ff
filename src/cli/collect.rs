//! What is collected inside this process, and the scraper's targets for the server.

use std::sync::Arc;

use crate::config::Config;
use crate::db::Db;
use crate::env::RealHost;
use crate::scrape::host::{HostCollector, hostname};
use crate::scrape::{self, Collect, LocalJob, Scraper};
use crate::server::{TargetHealth, TargetStatus};

/// Evenkeel itself, always, and the host if nothing else is configured.
pub(super) fn local_jobs(config: &Config, db: &Db, watches_host: bool) -> Vec<LocalJob> {
    let host = Arc::new(RealHost);
    let instance = hostname(&*host);
    let job = |name: &str, source: Arc<dyn Collect>| LocalJob {
        name: name.to_owned(),
        instance: instance.clone(),
        interval: config.scrape_interval,
        source,
    };
    let mut jobs = vec![job("evenkeel", Arc::new(db.clone()))];
    if watches_host {
        jobs.push(job("node", Arc::new(HostCollector::new(host))));
    }
    jobs
}

/// The scraper's targets as the server shows them.
pub(super) fn targets(scraper: &Scraper) -> Vec<TargetStatus> {
    scraper.targets().into_iter().map(target).collect()
}

fn target(status: scrape::TargetStatus) -> TargetStatus {
    TargetStatus {
        pool: status.job,
        url: status.url,
        labels: status.labels,
        discovered_labels: status.discovered_labels,
        health: match status.health {
            scrape::Health::Unknown => TargetHealth::Unknown,
            scrape::Health::Up => TargetHealth::Up,
            scrape::Health::Down => TargetHealth::Down,
        },
        last_error: status.last_error,
        last_scrape: status.last_scrape,
        last_duration: status.last_duration,
        interval: status.interval,
        timeout: status.timeout,
    }
}
