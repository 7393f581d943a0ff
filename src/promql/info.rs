//! What `info` reads besides its argument: the conditions on info metrics, and the instants.

use super::ast::{Expr, ExprKind, Shift};
use super::plan::{Frame, Steps};
use crate::model::{Labels, MatchOp, Matcher, TimeRange, Timestamp};

/// The metric that describes targets, unless the query names another.
const TARGET_INFO: &str = "target_info";

/// Which info series, seen from when.
pub(super) struct InfoSelector {
    /// All conditions that are put to the store.
    pub(super) matchers: Vec<Matcher>,
    /// Those on the labels that are taken over.
    data: Vec<Matcher>,
    /// Those on the metric's name.
    names: Vec<Matcher>,
    /// The shifts around the first selector of the argument, the outermost first.
    shifts: Vec<Shift>,
}

impl InfoSelector {
    /// Of the arguments of a call.
    pub(super) fn of(args: &[Expr]) -> InfoSelector {
        let written: &[Matcher] = match args.get(1).map(|arg| &arg.kind) {
            Some(ExprKind::Selector(selector)) => &selector.matchers,
            _ => &[],
        };
        let (mut names, data): (Vec<Matcher>, Vec<Matcher>) =
            written.iter().cloned().partition(|matcher| matcher.name() == Labels::METRIC_NAME);
        if names.is_empty() {
            names.push(Matcher::equal(Labels::METRIC_NAME, TARGET_INFO));
        } else if names.iter().all(|matcher| matches!(matcher.op(), MatchOp::NotEqual | MatchOp::NotMatch)) {
            // Some of all metrics would be too many; info metrics end so by convention.
            names.extend(Matcher::new(Labels::METRIC_NAME, MatchOp::Match, ".+_info"));
        }
        let mut shifts = Vec::new();
        if let Some(arg) = args.first() {
            find_shifts(arg, &mut shifts);
        }
        let matchers = names.iter().chain(&data).cloned().collect();
        InfoSelector { matchers, data, names, shifts }
    }

    /// Whether a metric of this name is one of the info metrics themselves.
    pub(super) fn is_info(&self, metric: &str) -> bool {
        self.names.iter().all(|matcher| matcher.matches(metric))
    }

    /// Whether a label of an info series is taken over.
    pub(super) fn takes(&self, label: &str) -> bool {
        label != Labels::METRIC_NAME && (self.data.is_empty() || self.data.iter().any(|m| m.name() == label))
    }

    /// Whether a series without an info series is left out.
    pub(super) fn demands_label(&self) -> bool {
        self.data.iter().any(|matcher| !matcher.matches(""))
    }

    /// The instant at which the info series are seen for the step at `t`.
    pub(super) fn seen(&self, t: Timestamp, frame: &Frame) -> Timestamp {
        self.shifts.iter().fold(t, |t, shift| frame.seen(shift, t))
    }

    /// All instants that are looked at.
    pub(super) fn span(&self, steps: Steps, frame: &Frame) -> TimeRange {
        let after = self.seen(steps.first(), frame) - frame.lookback;
        TimeRange { after, until: self.seen(steps.last(), frame) }
    }
}

/// Finds the first selector and the shifts on the way to it.
fn find_shifts(expr: &Expr, shifts: &mut Vec<Shift>) -> bool {
    match &expr.kind {
        ExprKind::Selector(selector) | ExprKind::Range { selector, .. } => {
            shifts.push(selector.shift);
            return true;
        }
        ExprKind::Subquery { shift, .. } => shifts.push(*shift),
        _ => {}
    }
    let before = shifts.len();
    let found = expr.children().into_iter().any(|child| find_shifts(child, shifts));
    if !found {
        shifts.truncate(before.saturating_sub(usize::from(matches!(expr.kind, ExprKind::Subquery { .. }))));
    }
    found
}
