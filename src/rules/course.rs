//! What `for` and `keep_firing_for` make of a condition that holds, or held.

use crate::model::{Millis, Timestamp};

/// Where an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The condition does not hold.
    Inactive,
    /// The condition holds, but not yet for as long as `for` asks.
    Pending,
    /// The condition has held long enough.
    Firing,
    /// The condition holds no more, and `keep_firing_for` keeps the alert.
    Kept,
}

impl Standing {
    /// The word used in JSON and pages.
    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Inactive => "inactive",
            Standing::Pending => "pending",
            Standing::Firing => "firing",
            Standing::Kept => "kept firing",
        }
    }
}

/// The life of an alert around an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// Where it stands.
    pub standing: Standing,
    /// Since when the condition holds, or since when it held last; absent if that is longer ago than was looked.
    pub active_at: Option<Timestamp>,
    /// When it began to fire, or will if the condition goes on; absent if it does and did not, or that is unknown.
    pub fires_at: Option<Timestamp>,
    /// Since when the condition holds no more.
    pub ceased_at: Option<Timestamp>,
    /// When it stopped firing, or will if the condition does not come back; absent if it did not fire.
    pub ends_at: Option<Timestamp>,
}

/// What becomes of a condition by the times at which it turned: `holds` at `at` since `since`, and before that, if it
/// does not hold now, it held from `before` on. Absent times are longer ago than was looked.
pub fn course(
    (hold, keep): (Millis, Millis),
    at: Timestamp,
    holds: bool,
    since: Option<Timestamp>,
    before: Option<Timestamp>,
) -> Course {
    if holds {
        let fires_at = since.map(|since| since + hold);
        // What holds for longer than was looked fires, unless it should hold for longer still: that is not known.
        let standing = if fires_at.is_none_or(|fires| fires <= at) { Standing::Firing } else { Standing::Pending };
        return Course { standing, active_at: since, fires_at, ceased_at: None, ends_at: None };
    }
    let idle =
        Course { standing: Standing::Inactive, active_at: before, fires_at: None, ceased_at: since, ends_at: None };
    let (Some(since), Some(before)) = (since, before) else { return idle };
    // `for` is over at its last instant, too: then the condition must still have held.
    if before + hold >= since {
        return if hold <= Millis::ZERO { kept(idle, before, since + keep, at) } else { idle };
    }
    kept(idle, before + hold, since + keep, at)
}

fn kept(idle: Course, fired: Timestamp, ends: Timestamp, at: Timestamp) -> Course {
    let standing = if at < ends { Standing::Kept } else { Standing::Inactive };
    Course { standing, fires_at: Some(fired), ends_at: Some(ends), ..idle }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_make_alerts() {
        let check =
            |(hold, keep): (i64, i64), holds: bool, since: Option<i64>, before: Option<i64>, expected: Course| {
                let times = (Millis(hold), Millis(keep));
                let found = course(times, Timestamp(100), holds, since.map(Timestamp), before.map(Timestamp));
                assert_eq!(found, expected, "for {hold}, keep {keep}, {holds} since {since:?}, before {before:?}");
            };
        let course = |standing, times: [Option<i64>; 4]| {
            let [active_at, fires_at, ceased_at, ends_at] = times.map(|time| time.map(Timestamp));
            Course { standing, active_at, fires_at, ceased_at, ends_at }
        };
        use Standing::{Firing, Inactive, Kept, Pending};
        check((0, 0), true, Some(90), None, course(Firing, [Some(90), Some(90), None, None]));
        check((10, 0), true, Some(90), None, course(Firing, [Some(90), Some(100), None, None]));
        check((11, 0), true, Some(90), None, course(Pending, [Some(90), Some(101), None, None]));
        check((11, 0), true, None, None, course(Firing, [None, None, None, None]));
        check((0, 0), false, Some(90), Some(80), course(Inactive, [Some(80), Some(80), Some(90), Some(90)]));
        check((0, 11), false, Some(90), Some(80), course(Kept, [Some(80), Some(80), Some(90), Some(101)]));
        check((9, 11), false, Some(90), Some(80), course(Kept, [Some(80), Some(89), Some(90), Some(101)]));
        check((10, 11), false, Some(90), Some(80), course(Inactive, [Some(80), None, Some(90), None]));
        check((10, 11), false, None, None, course(Inactive, [None, None, None, None]));
    }
}
