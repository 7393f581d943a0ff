//! How long the value of a window holds while no sample comes.
//!
//! Invariants:
//! - Up to the instant that is given the function's value stays within the tolerance of what it is now, and there
//!   is one or there is none throughout. Without a tolerance it keeps every bit, but for values that move by
//!   themselves: those are due at the next whole second.

use crate::model::{Millis, Timestamp};
use crate::promql::Function;
use crate::promql::kernel::{self, Motion};

use super::leaf::Glance;
use super::timers::{earliest, next_soft_step, soft_step_before};

/// How many samples that leave or enter, or other breaks, are looked ahead over, where a value follows from a
/// window's ends; and where all of its samples have to be looked at.
const BREAKS_MAX: [usize; 2] = [3, 1];

/// A function of a window with its scalar arguments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windowed<'a> {
    pub(super) function: Function,
    pub(super) args: &'a [f64],
    /// By which share of itself a value may be off before it has to be known anew.
    pub(super) tolerance: f64,
}

/// A value and how long it holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Holding {
    pub(super) value: Option<f64>,
    /// When it has to be looked at again, if ever.
    pub(super) until: Option<Timestamp>,
    /// Whether it keeps every bit until then.
    pub(super) is_still: bool,
}

impl Windowed<'_> {
    fn at(&self, glance: &Glance<'_>) -> (Option<f64>, Motion) {
        kernel::moving(self.function, self.args, glance.window(), glance.resets(), glance.range())
    }

    /// The value at the time of a glance.
    pub(super) fn holding(&self, glance: Glance<'_>) -> Holding {
        let (value, mut motion) = self.at(&glance);
        let (mut seen, mut now, mut is_still) = (glance, value, true);
        // A value that is none can be off by nothing.
        let slack = value.map_or(0.0, |v| v.abs() * self.tolerance);
        let follows_from_ends = matches!(self.function, Function::Rate | Function::Increase | Function::Delta);
        let mut breaks = BREAKS_MAX[usize::from(!follows_from_ends)];
        loop {
            let turns = motion.until.map(|until| seen.now + (until - seen.range().until));
            let next = earliest(turns, earliest(seen.leaves(), seen.enters()));
            if motion.is_moving() {
                is_still = false;
                let due = crossing(value, now, motion.speed, slack, seen.now);
                if next.is_none_or(|next| due <= next) {
                    return Holding { value, until: Some(due), is_still };
                }
            }
            let Some(next) = next.filter(|_| breaks > 0) else { return Holding { value, until: next, is_still } };
            seen = seen.later(next);
            (now, motion) = self.at(&seen);
            let is_same = now.map(f64::to_bits) == value.map(f64::to_bits);
            let is_near = matches!((value, now), (Some(a), Some(b)) if slack > 0.0 && (a - b).abs() <= slack);
            if !is_same && !is_near {
                return Holding { value, until: Some(next), is_still };
            }
            is_still &= is_same;
            breaks -= 1;
        }
    }
}

/// The last whole second at which a value that moves from `now` on has not left the slack around `value`, or
/// the next one.
fn crossing(value: Option<f64>, now: Option<f64>, speed: f64, slack: f64, at: Timestamp) -> Timestamp {
    let soon = next_soft_step(at);
    let (Some(value), Some(now)) = (value, now) else { return soon };
    let millis = (slack - (now - value).abs()) / speed.abs();
    // Neither of a NaN nor of what is too far ahead to matter.
    if millis.is_nan() || millis < 1.0 {
        soon
    } else {
        soon.max(soft_step_before(at + Millis(millis.min(1e12) as i64)))
    }
}
