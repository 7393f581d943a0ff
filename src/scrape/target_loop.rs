//! The life of one target: wait, ask, read, hand over, again and again until told to stop.
//!
//! Invariants:
//! - At most one scrape of a target is under way; one that takes long skips the instants it misses.
//! - What costs processor time or blocks runs outside the async threads.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use tokio::sync::watch;

use super::client::{self, Answer, FetchError, Question};
use super::collect::{Collect, Sink};
use super::cycle::{Cycle, Reading, Scraped};
use super::schedule::{Rhythm, Timer};
use super::status::{Health, StatusCell};
use crate::model::{Labels, Millis, Timestamp};

/// Everything that decides how a target is scraped. Equal plans are the same loop.
#[derive(Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) job: String,
    pub(super) labels: Labels,
    pub(super) discovered: Labels,
    pub(super) interval: Millis,
    pub(super) reading: Reading,
    pub(super) source: Source,
}

/// Where a target's samples come from.
#[derive(Clone)]
pub(super) enum Source {
    Http(Box<Question>),
    Local(Arc<dyn Collect>),
}

impl PartialEq for Source {
    fn eq(&self, other: &Source) -> bool {
        match (self, other) {
            (Source::Http(a), Source::Http(b)) => a == b,
            (Source::Local(a), Source::Local(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl Plan {
    pub(super) fn url(&self) -> String {
        match &self.source {
            Source::Http(question) => question.url.to_string(),
            Source::Local(_) => format!("local:{}", self.job),
        }
    }

    pub(super) fn timeout(&self) -> Millis {
        match &self.source {
            Source::Http(question) => question.timeout,
            Source::Local(_) => self.interval,
        }
    }
}

/// What all loops share.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) sink: Arc<dyn Sink>,
    pub(super) timer: Timer,
    pub(super) client: Client,
}

/// A target's loop in the making.
pub(super) struct TargetLoop {
    plan: Plan,
    around: Surroundings,
    status: Arc<StatusCell>,
    stop: watch::Receiver<bool>,
    rhythm: Rhythm,
    /// The next scrape.
    due: Timestamp,
}

/// What a scrape brought before it was read.
enum Brought {
    Answer(Result<Answer, FetchError>),
    Collected(Arc<dyn Collect>),
}

impl TargetLoop {
    /// A loop whose first scrape is at its next place in the interval.
    pub(super) fn new(
        plan: Plan,
        around: Surroundings,
        status: Arc<StatusCell>,
        stop: watch::Receiver<bool>,
    ) -> TargetLoop {
        let rhythm = Rhythm::new(plan.interval, &plan.url(), &plan.labels);
        let due = rhythm.next(around.timer.now());
        TargetLoop { plan, around, status, stop, rhythm, due }
    }

    /// Scrapes until told to stop; gives back the target's memory.
    pub(super) async fn run(mut self, mut cycle: Cycle) -> Cycle {
        let rhythm = self.rhythm;
        loop {
            self.due = tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => return cycle,
                due = self.around.timer.wait(rhythm, self.due) => due,
            };
            let due = self.due;
            let at = rhythm.stamp(due, self.around.timer.now());
            let start = self.around.timer.elapsed();
            let brought = match &self.plan.source {
                Source::Local(source) => Brought::Collected(Arc::clone(source)),
                Source::Http(question) => tokio::select! {
                    biased;
                    _ = self.stop.wait_for(|stop| *stop) => return cycle,
                    answer = client::fetch(&self.around.client, question) => Brought::Answer(answer),
                },
            };
            cycle = self.hand_over(cycle, brought, at, start).await;
            self.due = rhythm.following(due, self.around.timer.now());
        }
    }

    async fn hand_over(&self, mut cycle: Cycle, brought: Brought, at: Timestamp, start: Duration) -> Cycle {
        let (around, status) = (self.around.clone(), Arc::clone(&self.status));
        let body_bytes_max = match &self.plan.source {
            Source::Http(question) => question.body_bytes_max,
            Source::Local(_) => 0,
        };
        let done = tokio::task::spawn_blocking(move || {
            let took = || around.timer.elapsed().saturating_sub(start);
            let scraped = read(&mut cycle, brought, body_bytes_max, at, &took);
            let (samples, took) = (scraped.samples, took());
            let mut error = scraped.error;
            let written = around.sink.write(scraped.batch, scraped.beside);
            let rejected = match &written {
                Ok(rejected) => rejected.total(),
                Err(not_stored) => {
                    cycle.not_stored();
                    error.get_or_insert_with(|| not_stored.to_string());
                    0
                }
            };
            status.update(|status| {
                status.health = if error.is_none() { Health::Up } else { Health::Down };
                status.last_scrape = Some(at);
                status.last_duration = took;
                status.last_error = error.unwrap_or_default();
                status.samples = samples;
                status.rejected += rejected;
            });
            cycle
        });
        match done.await {
            Ok(cycle) => cycle,
            Err(_) => {
                // A source or the sink panicked. The target's memory is gone with it; the others
                // and the next scrape of this one are not.
                tracing::error!(job = self.plan.job, "a scrape ended in a panic; going on with the next");
                Cycle::new(self.plan.labels.clone(), self.plan.reading.clone())
            }
        }
    }
}

fn read(
    cycle: &mut Cycle,
    brought: Brought,
    body_bytes_max: usize,
    at: Timestamp,
    took: &dyn Fn() -> Duration,
) -> Scraped {
    match brought {
        Brought::Collected(source) => {
            let samples = source.collect(at);
            cycle.collected(samples, at, took())
        }
        Brought::Answer(answer) => {
            let answer = answer.and_then(|mut answer| client::unpack(&mut answer, body_bytes_max).map(|()| answer));
            match answer {
                Ok(answer) => cycle.scraped(&answer.body, answer.format, at, took()),
                Err(error) => cycle.failed(error.to_string(), at, took()),
            }
        }
    }
}
