//! Sums of histograms.
//!
//! Invariants:
//! - Each count of a sum is the exact sum of the terms' counts, rounded once.

use super::layout::{Fitted, Layout, MixedLayouts};
use super::{Bucket, FloatHistogram};
use crate::model::{ExactSum, ResetHint};

/// A result of several histograms, with what the user should know of how it came about.
#[derive(Debug, Clone)]
pub struct Combined {
    /// The result.
    pub histogram: FloatHistogram,
    /// Whether of some terms it is known that they began anew, and of others that they did not.
    pub resets_conflict: bool,
    /// Whether custom bounds were left out because not all terms have them.
    pub bounds_reconciled: bool,
}

/// The sum of histograms.
///
/// # Errors
/// Some have custom bounds and others have not.
pub fn native_sum<'a>(terms: impl Iterator<Item = &'a FloatHistogram>) -> Result<Combined, MixedLayouts> {
    combine(&terms.map(|term| (Sign::Plus, term)).collect::<Vec<_>>(), ExactSum::value)
}

/// The mean of histograms; finite even where their sum is too large for a float.
///
/// # Errors
/// As [`native_sum`].
pub fn native_mean<'a>(terms: impl Iterator<Item = &'a FloatHistogram>) -> Result<Combined, MixedLayouts> {
    let terms: Vec<_> = terms.map(|term| (Sign::Plus, term)).collect();
    let count = terms.len() as f64;
    combine(&terms, |sum| sum.mean(count))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Plus,
    Minus,
}

impl Sign {
    fn apply(self, v: f64) -> f64 {
        if self == Sign::Plus { v } else { -v }
    }
}

impl FloatHistogram {
    /// The sum of two.
    ///
    /// # Errors
    /// As [`native_sum`].
    pub fn plus(&self, other: &FloatHistogram) -> Result<Combined, MixedLayouts> {
        combine(&[(Sign::Plus, self), (Sign::Plus, other)], ExactSum::value)
    }

    /// The difference of two.
    ///
    /// # Errors
    /// As [`native_sum`].
    pub fn minus(&self, other: &FloatHistogram) -> Result<Combined, MixedLayouts> {
        combine(&[(Sign::Plus, self), (Sign::Minus, other)], ExactSum::value)
    }
}

/// The terms added up, each count read by `value`.
pub(super) fn combine(
    terms: &[(Sign, &FloatHistogram)],
    value: impl Fn(&ExactSum) -> f64,
) -> Result<Combined, MixedLayouts> {
    combine_within(terms, i32::MAX, value)
}

/// The same in a schema that is no finer than `coarsest`.
pub(super) fn combine_within(
    terms: &[(Sign, &FloatHistogram)],
    coarsest: i32,
    value: impl Fn(&ExactSum) -> f64,
) -> Result<Combined, MixedLayouts> {
    let mut layout = Layout::common(terms.iter().map(|(_, term)| *term))?;
    layout.schema = layout.schema.min(coarsest);
    let fitted: Vec<(Sign, Fitted<'_>)> = terms.iter().map(|(sign, term)| (*sign, layout.fit(term))).collect();
    let total = |counts: &mut dyn Iterator<Item = f64>| {
        let mut sum = ExactSum::new();
        counts.for_each(|count| sum.add(count));
        value(&sum)
    };
    let side = |buckets: for<'a> fn(&'a Fitted<'_>) -> &'a [Bucket]| {
        let mut all: Vec<Bucket> = Vec::new();
        for (sign, fitted) in &fitted {
            let signed = |bucket: &Bucket| Bucket { index: bucket.index, count: sign.apply(bucket.count) };
            all.extend(buckets(fitted).iter().map(signed));
        }
        all.sort_by_key(|bucket| bucket.index);
        let runs = all.chunk_by(|a, b| a.index == b.index);
        let summed =
            runs.map(|run| Bucket { index: run[0].index, count: total(&mut run.iter().map(|bucket| bucket.count)) });
        summed.filter(|bucket| bucket.count != 0.0).collect()
    };
    let (reset_hint, resets_conflict) = common_hint(terms.iter().map(|(_, term)| term.reset_hint));
    let histogram = FloatHistogram {
        reset_hint,
        schema: layout.schema,
        zero_threshold: layout.zero_threshold,
        zero_count: total(&mut fitted.iter().map(|(sign, one)| sign.apply(one.zero_count))),
        count: total(&mut terms.iter().map(|(sign, one)| sign.apply(one.count))),
        sum: total(&mut terms.iter().map(|(sign, one)| sign.apply(one.sum))),
        positive: side(|fitted| &fitted.positive),
        negative: side(|fitted| &fitted.negative),
        bounds: layout.bounds.clone(),
    };
    Ok(Combined { histogram, resets_conflict, bounds_reconciled: layout.reconciled })
}

/// What is known of a sum's resets, and whether its terms contradict each other. A gauge makes a
/// gauge of the sum; otherwise only what all agree on is known.
fn common_hint(hints: impl Iterator<Item = ResetHint> + Clone) -> (ResetHint, bool) {
    let any = |hint| hints.clone().any(|other| other == hint);
    let conflict = any(ResetHint::Reset) && any(ResetHint::NoReset);
    let first = hints.clone().next().unwrap_or_default();
    let hint = match any(ResetHint::Gauge) {
        true => ResetHint::Gauge,
        false if hints.clone().all(|hint| hint == first) => first,
        false => ResetHint::Unknown,
    };
    (hint, conflict)
}
