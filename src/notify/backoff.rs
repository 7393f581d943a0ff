//! How long to wait before the next attempt.

use crate::env::Rng;
use crate::model::{Millis, limits};
use std::time::Duration;

/// The first wait. A receiver that restarts is back in seconds.
const FIRST: Millis = Millis::seconds(1);

/// The wait after the `failures`th failure in a row: doubled each time, between half of it and all
/// of it by chance so that many senders do not come back at once, and never less than the receiver
/// asked for.
pub(super) fn wait(failures: u32, retry_after: Option<Duration>, rng: &mut Rng) -> Millis {
    let doubled = FIRST.0.saturating_mul(1 << failures.saturating_sub(1).min(30));
    let full = doubled.min(limits::NOTIFY_BACKOFF_MAX.0);
    let by_chance = full / 2 + (rng.unit() * (full / 2) as f64) as i64;
    let asked = retry_after.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
    Millis(by_chance.max(asked.min(limits::NOTIFY_RETRY_AFTER_MAX.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_honour_the_receiver() {
        let mut rng = Rng::new(1);
        let mut check = |failures: u32, asked: Option<u64>, least: i64, most: i64| {
            let got = wait(failures, asked.map(Duration::from_secs), &mut rng).0;
            assert!(least <= got && got <= most, "{failures} {asked:?}: {got}");
        };
        check(1, None, 500, 1_000);
        check(2, None, 1_000, 2_000);
        check(5, None, 8_000, 16_000);
        check(60, None, limits::NOTIFY_BACKOFF_MAX.0 / 2, limits::NOTIFY_BACKOFF_MAX.0);
        check(1, Some(30), 30_000, 30_000);
        check(1, Some(u64::MAX), limits::NOTIFY_RETRY_AFTER_MAX.0, limits::NOTIFY_RETRY_AFTER_MAX.0);
    }
}
