//! Native histograms of a finer schema than we keep, brought to one that we do.
//!
//! Invariants:
//! - Each bucket of the result holds what the finer buckets inside of it held, and no other: bounds of a
//!   coarser schema are bounds of a finer one.

use super::histogram::{EXPONENTIAL_SCHEMAS, Histogram, HistogramCounts, HistogramError, Span};

/// Schemas that Prometheus knows as finer ones than it keeps.
const FINER_SCHEMAS: std::ops::RangeInclusive<i32> = 9..=52;

/// The buckets on one side of zero.
type Side<T> = (Vec<Span>, Vec<T>);

impl Histogram {
    /// The same in the finest schema that is kept, if its own is finer; `None` if it is not.
    ///
    /// # Errors
    /// Its spans and counts do not fit together.
    pub fn coarser(&self) -> Result<Option<Histogram>, HistogramError> {
        if !FINER_SCHEMAS.contains(&self.schema) {
            return Ok(None);
        }
        self.validate_layout()?;
        let levels = self.schema - EXPONENTIAL_SCHEMAS.end();
        let (positive_spans, negative_spans, counts) = match &self.counts {
            HistogramCounts::Integer { count, zero, positive, negative } => {
                let (positive_spans, positive) = merge(&self.positive_spans, positive, levels, u64::saturating_add);
                let (negative_spans, negative) = merge(&self.negative_spans, negative, levels, u64::saturating_add);
                let counts = HistogramCounts::Integer { count: *count, zero: *zero, positive, negative };
                (positive_spans, negative_spans, counts)
            }
            HistogramCounts::Float { count, zero, positive, negative } => {
                let (positive_spans, positive) = merge(&self.positive_spans, positive, levels, |a, b| a + b);
                let (negative_spans, negative) = merge(&self.negative_spans, negative, levels, |a, b| a + b);
                let counts = HistogramCounts::Float { count: *count, zero: *zero, positive, negative };
                (positive_spans, negative_spans, counts)
            }
        };
        let schema = *EXPONENTIAL_SCHEMAS.end();
        let bounds = self.bounds.clone();
        Ok(Some(Histogram { schema, positive_spans, negative_spans, bounds, counts, ..*self }))
    }
}

/// Buckets of a schema that is coarser by `levels`.
fn merge<T: Copy>(spans: &[Span], counts: &[T], levels: i32, add: impl Fn(T, T) -> T) -> Side<T> {
    let (mut merged, mut sums): Side<T> = (Vec::new(), Vec::new());
    let mut rest = counts.iter();
    // The index of the next finer bucket, and the one behind the last coarser bucket.
    let (mut index, mut end) = (0i64, 0i64);
    for span in spans {
        index += i64::from(span.offset);
        for count in rest.by_ref().take(span.length as usize) {
            // A bucket's index is that of its upper bound, which is the coarser bucket's or below it.
            let at = ((index - 1) >> levels) + 1;
            index += 1;
            match sums.last_mut() {
                Some(sum) if at < end => {
                    *sum = add(*sum, *count);
                    continue;
                }
                _ => sums.push(*count),
            }
            push_bucket(&mut merged, at - end);
            end = at + 1;
        }
    }
    (merged, sums)
}

/// Adds a bucket after a gap.
fn push_bucket(spans: &mut Vec<Span>, mut gap: i64) {
    match spans.last_mut() {
        Some(last) if gap == 0 => last.length += 1,
        _ => {
            // A gap of more than an offset can say has empty runs in it.
            while gap > i64::from(i32::MAX) {
                spans.push(Span { offset: i32::MAX, length: 0 });
                gap -= i64::from(i32::MAX);
            }
            spans.push(Span { offset: i32::try_from(gap).unwrap_or(i32::MIN), length: 1 });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::ResetHint;

    fn histogram(schema: i32, spans: &[(i32, u32)], counts: Vec<u64>) -> Histogram {
        let spans: Vec<Span> = spans.iter().map(|(offset, length)| Span { offset: *offset, length: *length }).collect();
        Histogram {
            reset_hint: ResetHint::Gauge,
            schema,
            zero_threshold: 0.001,
            sum: 5.0,
            positive_spans: spans.clone(),
            negative_spans: spans,
            bounds: vec![],
            counts: HistogramCounts::Integer {
                count: 2 * counts.iter().sum::<u64>(),
                zero: 0,
                positive: counts.clone(),
                negative: counts,
            },
        }
    }

    /// Index and count of each bucket.
    fn buckets(spans: &[Span], counts: &[u64]) -> BTreeMap<i64, u64> {
        let mut rest = counts.iter();
        let mut index = 0;
        let mut all = BTreeMap::new();
        for span in spans {
            index += i64::from(span.offset);
            for count in rest.by_ref().take(span.length as usize) {
                all.insert(index, *count);
                index += 1;
            }
        }
        all
    }

    #[test]
    fn every_bucket_goes_into_the_one_around_it() {
        let mut seed = 7u64;
        let mut below = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % n
        };
        for round in 0..500 {
            let schema = 9 + below(44) as i32;
            let far = [3, 50, 5_000, i32::MAX as u64][below(4) as usize];
            let mut spans = vec![(below(far) as i32 - (far / 2) as i32, below(5) as u32)];
            spans.extend((0..below(5)).map(|_| (below(far) as i32, below(5) as u32)));
            let counts: Vec<u64> = (0..spans.iter().map(|span| span.1).sum::<u32>()).map(|_| below(9)).collect();
            let fine = histogram(schema, &spans, counts.clone());
            let coarse = fine.coarser().unwrap().unwrap();
            assert_eq!((coarse.schema, coarse.validate()), (8, Ok(())), "round {round}: {fine:?}");
            let HistogramCounts::Integer { positive, negative, .. } = &coarse.counts else { panic!("{coarse:?}") };
            assert_eq!((positive, &coarse.positive_spans), (negative, &coarse.negative_spans));
            let factor = 1i64 << (schema - 8);
            let mut expected = BTreeMap::new();
            for (index, count) in buckets(&fine.positive_spans, &counts) {
                // The smallest coarser bound that is not below the bucket's own.
                let around = index.div_euclid(factor) + i64::from(index.rem_euclid(factor) > 0);
                *expected.entry(around).or_insert(0) += count;
            }
            assert_eq!(buckets(&coarse.positive_spans, positive), expected, "round {round}: {fine:?}");
        }
    }

    #[test]
    fn known_schemas_stay_and_unsound_ones_are_refused() {
        assert!(histogram(8, &[(0, 1)], vec![1]).coarser().unwrap().is_none());
        assert!(histogram(53, &[(0, 1)], vec![1]).coarser().unwrap().is_none());
        let error = histogram(9, &[(0, 2)], vec![1]).coarser().unwrap_err();
        assert_eq!(error, HistogramError::SpanLength { spans: 2, counts: 1 });
        let error = histogram(9, &[(0, 1), (-1, 1)], vec![1, 1]).coarser().unwrap_err();
        assert_eq!(error, HistogramError::SpanOffset);
    }
}
