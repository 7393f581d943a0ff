//! The steps of a range query as numbers: two queries of one step and alignment number the same instants alike.

use crate::model::{Millis, Timestamp};

/// Instants that lie a step apart; the one numbered zero lies less than a step after the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Grid {
    /// The instant numbered zero.
    phase: i64,
    step: i64,
}

impl Grid {
    /// The grid that has a step at `start`; `step` is positive.
    pub(super) fn new(start: Timestamp, step: Millis) -> Grid {
        Grid { phase: start.0.rem_euclid(step.0), step: step.0 }
    }

    /// The number of the last step at or before `t`.
    pub(super) fn at(self, t: Timestamp) -> i64 {
        t.0.saturating_sub(self.phase).div_euclid(self.step)
    }

    /// The instant of a step.
    pub(super) fn time(self, number: i64) -> Timestamp {
        Timestamp(number.saturating_mul(self.step).saturating_add(self.phase))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_one_alignment_share_their_steps() {
        let check = |start: i64, step: i64, number: i64| {
            let grid = Grid::new(Timestamp(start), Millis(step));
            assert_eq!((grid.at(Timestamp(start)), grid.time(number)), (number, Timestamp(start)), "{start} by {step}");
            assert_eq!(grid.at(Timestamp(start + step - 1)), number);
            assert_eq!(grid.at(Timestamp(start - 1)), number - 1);
            assert_eq!(grid, Grid::new(Timestamp(start + 7 * step), Millis(step)));
        };
        check(0, 10, 0);
        check(35, 10, 3);
        check(-35, 10, -4);
        check(1_700_000_000_123, 15_000, 113_333_333);
    }
}
