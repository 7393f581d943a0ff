//! The instants at which a sample comes into an expression or leaves it.

use std::ops::ControlFlow;

use crate::model::{Labels, Matcher, Millis, Sample, TimeRange, Timestamp};
use crate::promql::{Expr, ExprKind, Selector, SeriesSource, SourceError};

use super::focus::is_alike;

/// Series of a selector whose samples are looked at, and samples of all of them.
const SERIES_MAX: usize = 50;
const SAMPLES_MAX: usize = 5_000;

/// A selector that sees samples at their own times, shifted by `offset`, and for as long as `stays`.
#[derive(Debug)]
pub(super) struct Reach<'e> {
    matchers: &'e [Matcher],
    offset: Millis,
    stays: Millis,
}

/// The selectors of an expression of which it is known when their samples count.
pub(super) fn reaches<'e>(expr: &'e Expr, lookback: Millis, found: &mut Vec<Reach<'e>>) {
    let mut add = |selector: &'e Selector, stays: Millis| {
        if selector.shift.at.is_none() {
            found.push(Reach { matchers: &selector.matchers, offset: selector.shift.offset, stays });
        }
    };
    match &expr.kind {
        ExprKind::Selector(selector) => add(selector, lookback),
        ExprKind::Range { selector, range } => add(selector, *range),
        // What is evaluated at steps changes at steps.
        ExprKind::Subquery { .. } => {}
        _ => expr.children().into_iter().for_each(|child| reaches(child, lookback, found)),
    }
}

/// What is called with an instant, and with the series and the sample that comes then; a sample that goes is not given.
type Change<'c> = dyn FnMut(Timestamp, Option<(&Labels, Sample)>) + 'c;

/// Calls `each` with the instant, series and sample of all that comes or goes inside of a range.
fn each_change(
    source: &dyn SeriesSource,
    reach: &Reach<'_>,
    range: TimeRange,
    focus: Option<&Labels>,
    each: &mut Change<'_>,
) -> Result<(), SourceError> {
    let seen =
        TimeRange { after: range.after - reach.offset - reach.stays - Millis(1), until: range.until - reach.offset };
    let set = source.find(reach.matchers, seen, SAMPLES_MAX * 100)?;
    let alike = |at: &usize| focus.is_none_or(|focus| is_alike(focus, &set.labels(*at)));
    let wanted: Vec<usize> = (0..set.count()).filter(alike).take(SERIES_MAX).collect();
    let mut left = SAMPLES_MAX;
    set.read(&mut wanted.into_iter().map(|at| at..at + 1), &mut |at, samples, histograms| {
        let labels = set.labels(at);
        for sample in samples.iter().filter(|sample| seen.contains(sample.t)) {
            each(sample.t + reach.offset, Some((&labels, *sample)));
            each(sample.t + reach.offset + reach.stays, None);
            left = left.saturating_sub(1);
        }
        for sample in histograms {
            each(sample.t + reach.offset, None);
            each(sample.t + reach.offset + reach.stays, None);
            left = left.saturating_sub(1);
        }
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
}

/// The instants inside of a range at which samples come or go, in the order of time.
pub(super) fn changes(
    source: &dyn SeriesSource,
    reaches: &[Reach<'_>],
    range: TimeRange,
    focus: Option<&Labels>,
) -> Result<Vec<Timestamp>, SourceError> {
    let mut found = Vec::new();
    for reach in reaches {
        each_change(source, reach, range, focus, &mut |t, _| found.extend(range.contains(t).then_some(t)))?;
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The sample that came at an instant.
pub(super) fn arrived(
    source: &dyn SeriesSource,
    reaches: &[Reach<'_>],
    at: Timestamp,
    focus: Option<&Labels>,
) -> Result<Option<(Labels, Sample)>, SourceError> {
    let mut found = None;
    let range = TimeRange { after: at - Millis(1), until: at };
    for reach in reaches {
        each_change(source, reach, range, focus, &mut |t, sample| {
            if t == at && found.is_none() {
                found = sample.map(|(labels, sample)| (labels.clone(), sample));
            }
        })?;
    }
    Ok(found)
}
