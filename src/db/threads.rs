//! The threads of an open database: timer, two deliverers, upkeep. Each only calls steps of others.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::model::Timestamp;

use super::ingest::Inner;
use super::wake::{Bell, Woken};

/// How often retention and compaction are looked at when no checkpoint asks for it.
const UPKEEP_EVERY: Duration = Duration::from_secs(60);

/// Running threads; ended when dropped.
pub(super) struct Running {
    inner: Arc<Inner>,
    handles: Vec<JoinHandle<()>>,
}

impl Running {
    /// Keeps nothing running: the caller steps.
    pub(super) fn none(inner: Arc<Inner>) -> Running {
        Running { inner, handles: Vec::new() }
    }

    /// Starts the threads.
    pub(super) fn start(inner: Arc<Inner>) -> std::io::Result<Running> {
        let mut running = Running { inner, handles: Vec::new() };
        running.spawn("evenkeel-timer", |inner| keep(inner, &inner.timer, Inner::tick_if_due))?;
        for n in 0..running.inner.delivery.len() {
            running.spawn("evenkeel-notify", move |inner| {
                keep(inner, &inner.delivery[n], |inner| inner.notifier.step(inner.now(), &*inner.transport));
            })?;
        }
        running.spawn("evenkeel-upkeep", |inner| {
            while inner.upkeep.wait(Some(UPKEEP_EVERY)) == Woken::GoOn {
                inner.upkeep_step();
            }
        })?;
        if let Some(every) = running.inner.store.sync_interval() {
            running.spawn("evenkeel-sync", move |inner| {
                while inner.sync.wait(Some(every.to_std())) == Woken::GoOn {
                    if let Err(error) = inner.store.sync() {
                        tracing::error!("{error}");
                    }
                }
            })?;
        }
        Ok(running)
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce(&Inner) + Send + 'static) -> std::io::Result<()> {
        let inner = Arc::clone(&self.inner);
        self.handles.push(std::thread::Builder::new().name(name.to_owned()).spawn(move || run(&inner))?);
        Ok(())
    }
}

/// Steps, waits until the step's next instant or for the bell, and steps again.
fn keep(inner: &Inner, bell: &Bell, step: impl Fn(&Inner) -> Option<Timestamp>) {
    loop {
        let next = step(inner);
        let wait = next.and_then(|at| inner.clock.real_wait_until(at.0));
        if bell.wait(wait) == Woken::Closed {
            return;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let inner = &self.inner;
        for bell in [&inner.timer, &inner.upkeep, &inner.sync].into_iter().chain(&inner.delivery) {
            bell.close();
        }
        for handle in self.handles.drain(..) {
            if handle.join().is_err() {
                tracing::error!("a thread of the database panicked");
            }
        }
    }
}
