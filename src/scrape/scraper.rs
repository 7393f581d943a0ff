//! All targets: starts, keeps, hands on and ends their loops as the configuration changes.
//!
//! Invariants:
//! - A target whose plan did not change keeps its loop and its rhythm through a reload.
//! - A target that keeps its labels keeps its memory; only one that is gone gets its staleness
//!   markers. A stop of the program is no end of a target.

use std::sync::Arc;

use parking_lot::Mutex as SyncMutex;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use super::client::{Question, client};
use super::collect::{LocalJob, Sink};
use super::cycle::{Cycle, Reading};
use super::job::Job;
use super::schedule::Timer;
use super::status::{Health, StatusCell, TargetStatus};
use super::target::{TargetError, targets_of};
use super::target_loop::{Plan, Source, Surroundings, TargetLoop};
use crate::db::Beside;
use crate::env::Clock;
use crate::model::{Labels, LabelsError};
use crate::wire::HistogramReading;

/// Scrapes targets and collects local sources until stopped. Needs a tokio runtime around it.
pub struct Scraper {
    around: Surroundings,
    running: Mutex<Vec<Running>>,
    statuses: SyncMutex<Vec<Arc<StatusCell>>>,
}

/// Why the jobs were not taken. What ran before goes on.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    /// The HTTP client cannot be set up.
    #[error("cannot set up the HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// A target is written wrongly.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// A local source's name or instance cannot be a label.
    #[error("local job \"{job}\": {reason}")]
    Local {
        /// The job.
        job: String,
        /// What is wrong.
        reason: LabelsError,
    },
}

struct Running {
    plan: Plan,
    status: Arc<StatusCell>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Cycle>,
}

impl Running {
    fn start(plan: Plan, cycle: Cycle, around: &Surroundings) -> Running {
        let status = Arc::new(StatusCell::new(TargetStatus {
            job: plan.job.clone(),
            labels: plan.labels.clone(),
            discovered_labels: plan.discovered.clone(),
            url: plan.url(),
            interval: plan.interval,
            timeout: plan.timeout(),
            health: Health::Unknown,
            last_scrape: None,
            last_duration: std::time::Duration::ZERO,
            last_error: String::new(),
            samples: 0,
            rejected: 0,
        }));
        let (stop, stopped) = watch::channel(false);
        let target = TargetLoop::new(plan.clone(), around.clone(), Arc::clone(&status), stopped);
        Running { plan, status, stop, task: tokio::spawn(target.run(cycle)) }
    }

    /// Stops the loop; a scrape that is being stored is finished first.
    async fn stop(self) -> Option<Cycle> {
        self.stop.send_replace(true);
        self.task.await.ok()
    }
}

impl Scraper {
    /// A scraper without targets.
    ///
    /// # Errors
    /// The HTTP client cannot be set up.
    pub fn new(sink: Arc<dyn Sink>, clock: Arc<dyn Clock>) -> Result<Scraper, ScrapeError> {
        let around = Surroundings { sink, timer: Timer::new(clock), client: client()? };
        Ok(Scraper { around, running: Mutex::new(Vec::new()), statuses: SyncMutex::new(Vec::new()) })
    }

    /// Scrapes exactly these jobs and local sources from now on.
    ///
    /// # Errors
    /// A job is wrong; then everything goes on as before.
    pub async fn reload(&self, jobs: &[Job], local: &[LocalJob]) -> Result<(), ScrapeError> {
        let mut wanted = plans(jobs, local)?;
        let mut running = self.running.lock().await;
        let (kept, leaving): (Vec<_>, Vec<_>) = running.drain(..).partition(|one| wanted.contains(&one.plan));
        wanted.retain(|plan| kept.iter().all(|one| one.plan != *plan));
        *running = kept;
        let mut memories = Vec::new();
        for one in leaving {
            let labels = one.plan.labels.clone();
            if let Some(cycle) = one.stop().await {
                memories.push((labels, cycle));
            }
        }
        for plan in wanted {
            let memory = memories.iter().position(|(labels, _)| *labels == plan.labels);
            let cycle = match memory {
                Some(at) => memories.swap_remove(at).1.with_reading(plan.reading.clone()),
                None => Cycle::new(plan.labels.clone(), plan.reading.clone()),
            };
            running.push(Running::start(plan, cycle, &self.around));
        }
        *self.statuses.lock() = running.iter().map(|one| Arc::clone(&one.status)).collect();
        for (labels, cycle) in memories {
            self.end(labels, cycle).await;
        }
        Ok(())
    }

    /// Every target with its last scrape, by job and labels.
    pub fn targets(&self) -> Vec<TargetStatus> {
        let mut targets: Vec<_> = self.statuses.lock().iter().map(|status| status.get()).collect();
        targets.sort_by(|a, b| a.job.cmp(&b.job).then_with(|| a.labels.cmp(&b.labels)));
        targets
    }

    /// Looks at the clock again: for clocks that move only when told to.
    pub fn clock_moved(&self) {
        self.around.timer.clock_moved();
    }

    /// Stops all loops. No series ends by that: after a restart they go on.
    pub async fn stop(&self) {
        for one in self.running.lock().await.drain(..) {
            one.stop().await;
        }
        self.statuses.lock().clear();
    }

    async fn end(&self, labels: Labels, mut cycle: Cycle) {
        let batch = cycle.ended(self.around.timer.now());
        if batch.is_empty() {
            return;
        }
        let sink = Arc::clone(&self.around.sink);
        let written = tokio::task::spawn_blocking(move || sink.write(batch, Beside::default())).await;
        if !matches!(written, Ok(Ok(_))) {
            // The series then end by themselves, when nobody has seen a sample for the lookback.
            tracing::warn!(target_labels = %labels, "the end of a removed target's series was not stored");
        }
    }
}

/// The plans of all targets, each set of labels and address once.
fn plans(jobs: &[Job], local: &[LocalJob]) -> Result<Vec<Plan>, ScrapeError> {
    let mut plans: Vec<Plan> = Vec::new();
    for job in jobs {
        let reading = Reading {
            honor_labels: job.honor_labels,
            honor_timestamps: job.honor_timestamps,
            sample_limit: job.sample_limit,
            relabel: job.metric_relabel.clone(),
            histograms: job.histograms,
            start_timestamps: job.start_timestamps,
        };
        for target in targets_of(job)? {
            let question = Question {
                url: target.url,
                timeout: target.timeout,
                authorization: job.authorization.clone(),
                headers: job.headers.clone(),
                body_bytes_max: job.body_bytes_max,
                fallback_format: job.fallback_format,
                protocols: job.protocols.clone(),
            };
            plans.push(Plan {
                job: job.name.clone(),
                labels: target.labels,
                discovered: target.discovered,
                interval: target.interval,
                reading: reading.clone(),
                source: Source::Http(Box::new(question)),
            });
        }
    }
    for job in local {
        let labels = Labels::new([("job", job.name.as_str()), ("instance", job.instance.as_str())])
            .map_err(|reason| ScrapeError::Local { job: job.name.clone(), reason })?;
        plans.push(Plan {
            job: job.name.clone(),
            discovered: labels.clone(),
            labels,
            interval: job.interval,
            reading: Reading {
                honor_labels: false,
                honor_timestamps: true,
                sample_limit: 0,
                relabel: Vec::new(),
                histograms: HistogramReading::default(),
                start_timestamps: false,
            },
            source: Source::Local(Arc::clone(&job.source)),
        });
    }
    Ok(plans)
}
