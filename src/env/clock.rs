//! What time it is: the only place that asks the machine.
//!
//! Times are milliseconds since the Unix epoch, so that this layer stays below `model`.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of time.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch, UTC. May step when the machine's clock is set.
    fn now_ms(&self) -> i64;

    /// Time since some fixed instant; never steps back. For measuring, not for dating.
    fn elapsed(&self) -> Duration;

    /// By how many milliseconds it was set forward, or back, since it was made: what it shows beyond the time that has
    /// passed, which a machine that sleeps does not count.
    fn set_by_ms(&self) -> i64;

    /// How long to wait, in real time, until the clock shows `ms`. `None`: it will not get there
    /// by itself (a manual clock), so the waiter must be woken.
    fn real_wait_until(&self, ms: i64) -> Option<Duration>;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
    began_ms: i64,
}

impl SystemClock {
    /// The machine's clock.
    pub fn new() -> SystemClock {
        SystemClock { start: Instant::now(), began_ms: machine_ms() }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        machine_ms()
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn set_by_ms(&self) -> i64 {
        let passed = i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX);
        machine_ms().saturating_sub(self.began_ms).saturating_sub(passed)
    }

    fn real_wait_until(&self, ms: i64) -> Option<Duration> {
        Some(Duration::from_millis(u64::try_from(ms.saturating_sub(self.now_ms())).unwrap_or(0)))
    }
}

/// What the machine's clock shows.
fn machine_ms() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    }
}

/// A clock that runs `speed` times as fast as the machine's, from an instant of choice.
#[derive(Debug)]
pub struct ScaledClock {
    start: Instant,
    origin_ms: i64,
    speed: f64,
}

impl ScaledClock {
    /// Starts at `origin_ms` and runs `speed` times as fast as real time; `speed` is positive.
    pub fn new(origin_ms: i64, speed: f64) -> ScaledClock {
        ScaledClock { start: Instant::now(), origin_ms, speed: speed.max(f64::MIN_POSITIVE) }
    }
}

impl Clock for ScaledClock {
    fn now_ms(&self) -> i64 {
        self.origin_ms + (self.start.elapsed().as_secs_f64() * 1000.0 * self.speed) as i64
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn set_by_ms(&self) -> i64 {
        0
    }

    fn real_wait_until(&self, ms: i64) -> Option<Duration> {
        let virtual_ms = ms.saturating_sub(self.now_ms()).max(0);
        Some(Duration::from_secs_f64((virtual_ms as f64 / 1000.0 / self.speed).min(86_400.0)))
    }
}

/// A clock that moves only when told to.
#[derive(Debug)]
pub struct ManualClock {
    now_ms: AtomicI64,
    origin_ms: i64,
    set_by_ms: AtomicI64,
}

impl ManualClock {
    /// Stands at `now_ms`.
    pub fn new(now_ms: i64) -> ManualClock {
        ManualClock { now_ms: AtomicI64::new(now_ms), origin_ms: now_ms, set_by_ms: AtomicI64::new(0) }
    }

    /// Moves to `now_ms`; never back.
    pub fn set(&self, now_ms: i64) {
        self.now_ms.fetch_max(now_ms, Ordering::SeqCst);
    }

    /// Moves forward.
    pub fn advance(&self, ms: i64) {
        self.now_ms.fetch_add(ms.max(0), Ordering::SeqCst);
    }

    /// Is set forward or back, as the machine's clock may be: no time passes by it.
    pub fn jump(&self, ms: i64) {
        self.set_by_ms.fetch_add(ms, Ordering::SeqCst);
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn elapsed(&self) -> Duration {
        let shown = self.now_ms() - self.origin_ms;
        Duration::from_millis(u64::try_from(shown - self.set_by_ms()).unwrap_or(0))
    }

    fn set_by_ms(&self) -> i64 {
        self.set_by_ms.load(Ordering::SeqCst)
    }

    fn real_wait_until(&self, ms: i64) -> Option<Duration> {
        (ms <= self.now_ms()).then_some(Duration::ZERO)
    }
}
