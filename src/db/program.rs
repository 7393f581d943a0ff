//! How the program itself is doing, as far as it decides whether anybody can be believed: its clock, its configuration,
//! its decisions.
//!
//! Invariants:
//! - It only watches; nothing that is decided rests on it.

use std::time::Duration;

use parking_lot::Mutex;

use crate::confidence::{ClockJump, ProgramHealth};
use crate::model::{Millis, Timestamp, limits};

/// A clock that is set by more than this between two looks has jumped; NTP's slewing moves it by milliseconds.
const JUMP_MIN: Millis = limits::CLOCK_BEHIND_MAX;
/// So long a jump is told of: the usual windows hold samples of before and after.
const JUMP_TOLD: Millis = Millis::minutes(10);
/// A decision that comes later than this after what decides it is late.
pub(super) const LATE_MIN: Millis = Millis::seconds(10);
/// So long one that came late is told of.
const LATE_TOLD: Millis = Millis::minutes(1);

/// What is remembered of it.
#[derive(Debug, Default)]
pub(super) struct Program(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// How far the clock was set when it was last looked at.
    set_by: Option<Millis>,
    jump: Option<ClockJump>,
    reload_failed: Option<(Timestamp, String)>,
    /// When a decision last came late, and how late.
    late: Option<(Timestamp, Millis)>,
}

impl Program {
    /// Notes how a reload ended.
    pub(super) fn reloaded(&self, now: Timestamp, error: Option<&str>) {
        let mut state = self.0.lock();
        state.reload_failed = match (error, state.reload_failed.take()) {
            (None, _) => None,
            (Some(error), before) => Some((before.map_or(now, |(since, _)| since), error.to_owned())),
        };
    }

    /// Notes how long an entry had waited when it was decided on.
    pub(super) fn decided(&self, now: Timestamp, waited: Duration) {
        let waited = Millis(i64::try_from(waited.as_millis()).unwrap_or(i64::MAX));
        if waited >= LATE_MIN {
            self.0.lock().late = Some((now, waited));
        }
    }

    /// How it is doing. The clock was set by `set_by` since it runs; the log is at `log`; the next deadline is `due`.
    pub(super) fn health(
        &self,
        now: Timestamp,
        set_by: Millis,
        log: Timestamp,
        due: Option<Timestamp>,
    ) -> ProgramHealth {
        let mut state = self.0.lock();
        let by = set_by - state.set_by.replace(set_by).unwrap_or(set_by);
        if by > JUMP_MIN || -by > JUMP_MIN {
            state.jump = Some(ClockJump { at: now, by });
            tracing::warn!("the clock has jumped by {by}");
        }
        // After a jump backwards an instant may lie ahead.
        let lately = |at: Timestamp, span: Millis| now - at <= span && at - now <= span;
        let overdue = due.map(|due| (due, now - due)).filter(|(_, by)| *by >= LATE_MIN);
        ProgramHealth {
            clock_jump: state.jump.filter(|jump| lately(jump.at, JUMP_TOLD)),
            clock_behind: Some(log - now).filter(|behind| *behind > limits::CLOCK_BEHIND_MAX),
            reload_failed: state.reload_failed.clone(),
            late: overdue.or(state.late.filter(|(at, _)| lately(*at, LATE_TOLD))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(program: &Program, now: i64, set_by: i64) -> ProgramHealth {
        program.health(Timestamp(now), Millis(set_by), Timestamp(now - 10), None)
    }

    #[test]
    fn a_jump_is_told_of_for_a_while_and_drift_is_none() {
        let program = Program::default();
        let jump = |now, set_by| look(&program, now, set_by).clock_jump.map(|jump| (jump.at.0, jump.by.0));
        assert_eq!(jump(0, -3_600_000), None, "what was before nobody knows");
        assert_eq!(jump(2000, -3_599_990), None);
        assert_eq!(jump(4000, -3_594_985), Some((4000, 5005)));
        assert_eq!(jump(6000, -3_594_985), Some((4000, 5005)));
        assert_eq!(jump(604_001, -3_594_985), None);
        assert_eq!(jump(700_000, -3_694_985), Some((700_000, -100_000)));
    }

    #[test]
    fn what_is_late_and_what_failed_is_told_until_it_is_not() {
        let program = Program::default();
        program.decided(Timestamp(0), Duration::from_secs(9));
        assert_eq!(look(&program, 5, 0), ProgramHealth::default());
        program.decided(Timestamp(1000), Duration::from_secs(12));
        assert_eq!(look(&program, 61_000, 0).late, Some((Timestamp(1000), Millis::seconds(12))));
        assert_eq!(look(&program, 61_001, 0).late, None);
        let due = |now| program.health(Timestamp(now), Millis::ZERO, Timestamp(now), Some(Timestamp(100_000))).late;
        assert_eq!((due(109_999), due(110_000)), (None, Some((Timestamp(100_000), LATE_MIN))));
        let behind = |log| program.health(Timestamp(0), Millis::ZERO, Timestamp(log), None).clock_behind;
        assert_eq!((behind(5000), behind(5001)), (None, Some(Millis(5001))));
        program.reloaded(Timestamp(5), Some("x"));
        program.reloaded(Timestamp(7), Some("y"));
        assert_eq!(look(&program, 9, 0).reload_failed, Some((Timestamp(5), "y".to_owned())));
        program.reloaded(Timestamp(9), None);
        assert_eq!(look(&program, 9, 0).reload_failed, None);
    }
}
