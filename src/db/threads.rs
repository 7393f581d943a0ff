//! The threads of an open database: timer, two deliverers, upkeep, the record of verdicts, which only call steps of others; and those
//! that share the work of a query.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rayon_core::{ThreadPool, ThreadPoolBuilder};

use crate::env::{Helper, lower_thread_priority};
use crate::model::Timestamp;
use crate::promql::{Parallel, Workers};

use super::ingest::Inner;
use super::wake::{Bell, Woken};

/// How often retention and compaction are looked at when no checkpoint asks for it.
const UPKEEP_EVERY: Duration = Duration::from_secs(60);

/// How often it is looked whether the verdict has changed, for the record.
const VERDICT_EVERY: Duration = Duration::from_secs(2);

/// With thousands of objectives it is looked more rarely, unless something fires or ends: it takes one of so many parts of a
/// processor's time.
const VERDICT_PATIENCE: u32 = 1000;

/// And no more rarely than this.
const VERDICT_EVERY_MAX: Duration = Duration::from_secs(10);

/// However much happens, so many times as long as a look took nobody looks, and at least this long.
const VERDICT_REST: u32 = 30;
const VERDICT_REST_MIN: Duration = Duration::from_millis(250);

/// Up to so many helpers are kept off the processor of who calls them. On larger machines another one is free.
const HELPERS_PLACED_MAX: usize = 7;

/// The shortest wait that is worth the call.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// Running threads; ended when dropped.
pub(super) struct Running {
    inner: Arc<Inner>,
    handles: Vec<JoinHandle<()>>,
    /// Who shares the work of queries, if the database may have threads.
    pub(super) workers: Option<Workers>,
    /// The same for queries that are known to be over soon.
    pub(super) quick_workers: Option<Workers>,
}

impl Running {
    /// Keeps nothing running: the caller steps.
    pub(super) fn none(inner: Arc<Inner>) -> Running {
        Running { inner, handles: Vec::new(), workers: None, quick_workers: None }
    }

    /// Starts the threads.
    pub(super) fn start(inner: Arc<Inner>) -> std::io::Result<Running> {
        let workers = |priority| Some(Workers::new(QueryThreads::new(processors() - 1, priority)));
        let (workers, quick_workers) = (workers(Priority::Lower), workers(Priority::Usual));
        let mut running = Running { inner, handles: Vec::new(), workers, quick_workers };
        running.spawn("evenkeel-timer", |inner| keep(inner, &inner.timer, Inner::tick_if_due))?;
        for n in 0..running.inner.delivery.len() {
            running.spawn("evenkeel-notify", move |inner| {
                keep(inner, &inner.delivery[n], |inner| inner.notifier.step(inner.now(), &*inner.transport));
            })?;
        }
        running.spawn("evenkeel-upkeep", |inner| {
            let mut bucket = Bucket::new(inner.compaction_bytes_per_second);
            while inner.upkeep.wait(Some(UPKEEP_EVERY)) == Woken::GoOn {
                inner.upkeep_step(&mut |bytes| pace(inner, &mut bucket, bytes));
            }
        })?;
        running.spawn("evenkeel-verdict", |inner| {
            let mut wait = VERDICT_EVERY;
            while inner.verdict.wait(Some(wait)) == Woken::GoOn {
                let begun = inner.clock.elapsed();
                inner.note_versions();
                inner.note_verdict();
                inner.note_told();
                let took = inner.clock.elapsed().saturating_sub(begun);
                // Alerts may come by the thousand: others have most of the time between two looks.
                if inner.pace.wait(Some((took * VERDICT_REST).max(VERDICT_REST_MIN))) == Woken::Closed {
                    return;
                }
                wait = (took * VERDICT_PATIENCE).clamp(VERDICT_EVERY, VERDICT_EVERY_MAX);
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

/// Those who share long work that no database is open for: as many threads as there are processors.
pub fn workers() -> Workers {
    Workers::new(QueryThreads::new(processors() - 1, Priority::Lower))
}

/// How many processors there are.
pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

/// Whom the machine prefers where threads outnumber its processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Priority {
    /// Not these: whoever stores samples goes first.
    Lower,
    /// These as well as others: who calls them waits for them, and not for long.
    Usual,
}

/// The threads that share work and have begun.
#[derive(Debug, Default)]
struct Helpers(Mutex<Vec<Helper>>);

impl Helpers {
    /// The calling thread is one.
    fn join(&self) {
        self.0.lock().push(Helper::current());
    }

    /// Lets them work beside the caller.
    fn keep_off_mine(&self) {
        self.0.lock().iter().for_each(Helper::keep_off_mine);
    }
}

/// Threads for parts of a query's work. All queries together have one fewer than there are processors, so that
/// writers find one: a query that gets none does its work by itself.
struct QueryThreads {
    priority: Priority,
    free: AtomicUsize,
    /// Those that have begun, where they are few.
    helpers: Arc<Helpers>,
    /// Begun with the first work that is shared; absent if the system gives no threads.
    pool: OnceLock<Option<ThreadPool>>,
}

impl QueryThreads {
    fn new(threads: usize, priority: Priority) -> QueryThreads {
        QueryThreads { priority, free: AtomicUsize::new(threads), helpers: Arc::default(), pool: OnceLock::new() }
    }

    fn pool(&self) -> Option<&ThreadPool> {
        let begin = || {
            let threads = self.free.load(Ordering::Relaxed);
            let builder = ThreadPoolBuilder::new().num_threads(threads).thread_name(|_| "evenkeel-query".to_owned());
            let (helpers, priority) = (Arc::clone(&self.helpers), self.priority);
            let begun = move |_| {
                if priority == Priority::Lower {
                    lower_thread_priority();
                }
                if threads <= HELPERS_PLACED_MAX {
                    helpers.join();
                }
            };
            builder.start_handler(begun).build().ok()
        };
        if self.free.load(Ordering::Relaxed) == 0 && self.pool.get().is_none() {
            return None;
        }
        self.pool.get_or_init(begin).as_ref()
    }

    /// Takes a thread, which is not to work on the caller's processor.
    fn take(&self) -> Option<Taken<'_>> {
        let taken = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(1));
        taken.ok()?;
        self.helpers.keep_off_mine();
        Some(Taken(self))
    }
}

/// A thread that somebody has; given back when dropped.
struct Taken<'t>(&'t QueryThreads);

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.free.fetch_add(1, Ordering::Relaxed);
    }
}

impl Parallel for QueryThreads {
    fn run(&self, parts: usize, work: &(dyn Fn(usize) + Sync)) {
        // A system that gives no threads leaves the work to those who are there.
        let Some(pool) = self.pool() else { return work(0) };
        pool.in_place_scope(|scope| {
            for part in 1..parts {
                // Who is taken waits for work, and begins at once.
                let Some(taken) = self.take() else { break };
                scope.spawn(move |_| {
                    let _taken = taken;
                    work(part);
                });
            }
            work(0);
        });
    }
}

/// Bytes that may be written: so many more with each second, and never more saved up than one second gives.
struct Bucket {
    bytes_per_second: u64,
    /// When, on the clock's steady time, all that was written is paid for.
    paid_at: Duration,
}

impl Bucket {
    fn new(bytes_per_second: u64) -> Bucket {
        Bucket { bytes_per_second, paid_at: Duration::ZERO }
    }

    /// How long to wait after so many bytes were written.
    fn wait_after(&mut self, bytes: u64, now: Duration) -> Option<Duration> {
        if self.bytes_per_second == 0 {
            return None;
        }
        let saved = now.saturating_sub(Duration::from_secs(1));
        self.paid_at = self.paid_at.max(saved) + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
        self.paid_at.checked_sub(now).filter(|wait| *wait >= WAIT_MIN)
    }
}

/// Holds the background work back to its rate, and a moment for writers that wait. A checkpoint that waits
/// for the work to end holds all new samples in memory, so then it goes on as fast as it can.
fn pace(inner: &Inner, bucket: &mut Bucket, bytes: u64) {
    let wait = bucket.wait_after(bytes, inner.clock.elapsed());
    if inner.store.checkpoint_pending() {
        return;
    }
    if let Some(wait) = wait.or_else(|| inner.is_busy().then_some(WAIT_MIN)) {
        inner.pace.wait(Some(wait));
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
        inner.store.interrupt();
        for bell in
            [&inner.timer, &inner.upkeep, &inner.pace, &inner.sync, &inner.verdict].into_iter().chain(&inner.delivery)
        {
            bell.close();
        }
        for handle in self.handles.drain(..) {
            if handle.join().is_err() {
                tracing::error!("a thread of the database panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_queries_together_have_so_many_threads() {
        let threads = QueryThreads::new(2, Priority::Lower);
        let (calls, inner_calls) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let barrier = std::sync::Barrier::new(3);
        threads.run(8, &|_| {
            calls.fetch_add(1, Ordering::Relaxed);
            // All three are here at once, so none is free for others.
            barrier.wait();
            threads.run(8, &|_| {
                inner_calls.fetch_add(1, Ordering::Relaxed);
            });
            barrier.wait();
        });
        assert_eq!((calls.into_inner(), inner_calls.into_inner()), (3, 3));
        assert_eq!(threads.free.into_inner(), 2);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn helpers_of_quick_queries_have_the_priority_of_others() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let own = nice();
        for (priority, expected) in [(Priority::Usual, own), (Priority::Lower, own.max(10))] {
            let (threads, seen) = (QueryThreads::new(1, priority), Mutex::new(Vec::new()));
            let barrier = std::sync::Barrier::new(2);
            threads.run(2, &|part| {
                seen.lock().push((part, nice()));
                barrier.wait();
            });
            let mut seen = seen.into_inner();
            seen.sort_unstable();
            assert_eq!(seen, [(0, own), (1, expected)]);
        }
    }

    #[test]
    fn a_bucket_gives_its_rate_and_saves_up_one_second() {
        let ms = Duration::from_millis;
        let mut bucket = Bucket::new(1000);
        assert_eq!(bucket.wait_after(1000, ms(60_000)), None, "a second's worth is there at the beginning");
        assert_eq!(bucket.wait_after(500, ms(60_000)), Some(ms(500)));
        assert_eq!(bucket.wait_after(0, ms(60_499)), Some(ms(1)));
        assert_eq!(bucket.wait_after(0, ms(60_500)), None);
        assert_eq!(bucket.wait_after(100, ms(60_600)), None);
        assert_eq!(bucket.wait_after(1100, ms(99_000)), Some(ms(100)));
        assert_eq!(Bucket::new(0).wait_after(u64::MAX, ms(0)), None);
    }
}
