//! Byte layout of native histograms: a column of them, and one by itself. `storage-format.md` describes
//! it; change both together.
//!
//! Invariants:
//! - What is put comes back bit for bit, if its spans fit its counts.
//! - Taking never panics; it makes no more histograms than the caller says, and no larger ones than
//!   the limits allow.

use std::borrow::Borrow;

use crate::codec::{
    CHUNK_MAX, Cursor, Damaged, Effort, Values, put_integers, put_signed, put_values, put_varint, take_integers,
};
use crate::model::limits::{HISTOGRAM_BUCKETS_MAX, HISTOGRAM_CHUNK_COUNTS_MAX, HISTOGRAM_SPANS_MAX};
use crate::model::{Histogram, HistogramCounts, ResetHint, Span};

const HINTS: [ResetHint; 4] = [ResetHint::Unknown, ResetHint::Reset, ResetHint::NoReset, ResetHint::Gauge];

/// What histograms that follow each other usually have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layout {
    float: bool,
    schema: i32,
    zero_threshold: u64,
    positive_spans: Vec<Span>,
    negative_spans: Vec<Span>,
    bounds: Vec<u64>,
}

impl Layout {
    fn of(histogram: &Histogram) -> Layout {
        Layout {
            float: matches!(histogram.counts, HistogramCounts::Float { .. }),
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold.to_bits(),
            positive_spans: histogram.positive_spans.clone(),
            negative_spans: histogram.negative_spans.clone(),
            bounds: histogram.bounds.iter().map(|bound| bound.to_bits()).collect(),
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.float));
        put_signed(out, i64::from(self.schema));
        out.extend(self.zero_threshold.to_le_bytes());
        for spans in [&self.positive_spans, &self.negative_spans] {
            put_varint(out, spans.len() as u64);
            for span in spans {
                put_signed(out, i64::from(span.offset));
                put_varint(out, u64::from(span.length));
            }
        }
        put_varint(out, self.bounds.len() as u64);
        for bound in &self.bounds {
            out.extend(bound.to_le_bytes());
        }
    }

    fn take(from: &mut Cursor<'_>) -> Result<Layout, Damaged> {
        let float = match from.u8()? {
            0 => false,
            1 => true,
            _ => return Err(Damaged("a mark is neither 0 nor 1")),
        };
        let schema = i32::try_from(from.signed()?).map_err(|_| Damaged("a schema is over 32 bits"))?;
        let zero_threshold = from.u64()?;
        let (positive_spans, negative_spans) = (take_spans(from)?, take_spans(from)?);
        let bound_count = from.length()?;
        if bound_count > HISTOGRAM_BUCKETS_MAX {
            return Err(Damaged("a histogram has too many bounds"));
        }
        let bounds = (0..bound_count).map(|_| from.u64()).collect::<Result<_, _>>()?;
        Ok(Layout { float, schema, zero_threshold, positive_spans, negative_spans, bounds })
    }

    /// Buckets above zero.
    fn positive(&self) -> usize {
        self.positive_spans.iter().map(|span| span.length as usize).sum()
    }

    /// All buckets.
    fn buckets(&self) -> usize {
        self.positive() + self.negative_spans.iter().map(|span| span.length as usize).sum::<usize>()
    }
}

fn take_spans(from: &mut Cursor<'_>) -> Result<Vec<Span>, Damaged> {
    let span_count = from.length()?;
    if span_count > HISTOGRAM_SPANS_MAX {
        return Err(Damaged("a histogram has too many spans"));
    }
    let mut buckets = 0;
    let mut spans = Vec::with_capacity(span_count);
    for _ in 0..span_count {
        let offset = i32::try_from(from.signed()?).map_err(|_| Damaged("a span is over 32 bits"))?;
        let length = u32::try_from(from.varint()?).map_err(|_| Damaged("a span is over 32 bits"))?;
        buckets += length as usize;
        if buckets > HISTOGRAM_BUCKETS_MAX {
            return Err(Damaged("a histogram has too many buckets"));
        }
        spans.push(Span { offset, length });
    }
    Ok(spans)
}

/// Appends a column of at most [`CHUNK_MAX`] histograms with at most
/// [`HISTOGRAM_CHUNK_COUNTS_MAX`] buckets together; it ends where its caller says.
///
/// The histograms must be sound ([`Histogram::validate`]) or marks of staleness.
pub fn put_histograms<H: Borrow<Histogram>>(out: &mut Vec<u8>, histograms: &[H], effort: Effort) {
    let histograms: Vec<&Histogram> = histograms.iter().map(Borrow::borrow).collect();
    let mut layouts: Vec<Layout> = Vec::new();
    let mut members: Vec<Vec<&Histogram>> = Vec::new();
    let mut places = Vec::with_capacity(histograms.len());
    let mut last = 0;
    for histogram in histograms.iter().copied() {
        let layout = Layout::of(histogram);
        // Most are as the one before, and few layouts are in a chunk.
        if layouts.get(last) != Some(&layout) {
            last = layouts.iter().position(|known| *known == layout).unwrap_or(layouts.len());
        }
        if last == layouts.len() {
            layouts.push(layout);
            members.push(Vec::new());
        }
        members[last].push(histogram);
        places.push(last as u64);
    }
    put_integers(out, &places);
    let hints: Vec<u64> = histograms.iter().map(|histogram| u64::from(hint_of(histogram))).collect();
    put_integers(out, &hints);
    put_column(out, &histograms.iter().map(|histogram| histogram.sum).collect::<Vec<_>>(), effort);
    put_varint(out, layouts.len() as u64);
    layouts.iter().for_each(|layout| layout.put(out));
    for (layout, members) in layouts.iter().zip(&members) {
        put_counts(out, layout, members, effort);
    }
}

fn hint_of(histogram: &Histogram) -> u8 {
    HINTS.iter().position(|hint| *hint == histogram.reset_hint).unwrap_or(0) as u8
}

/// Appends one histogram that says where it ends: hint, layout, sum, counts.
///
/// It must be sound ([`Histogram::validate`]) or a mark of staleness.
pub fn put_histogram(out: &mut Vec<u8>, histogram: &Histogram) {
    out.push(hint_of(histogram));
    Layout::of(histogram).put(out);
    out.extend(histogram.sum.to_bits().to_le_bytes());
    match &histogram.counts {
        HistogramCounts::Float { count, zero, positive, negative } => {
            let all = [count, zero].into_iter().chain(positive).chain(negative);
            all.for_each(|n| out.extend(n.to_bits().to_le_bytes()));
        }
        HistogramCounts::Integer { count, zero, positive, negative } => {
            put_varint(out, count.wrapping_sub(add_up(*zero, positive, negative)));
            put_varint(out, *zero);
            for buckets in [positive, negative] {
                let mut before = 0u64;
                for bucket in buckets {
                    put_signed(out, bucket.wrapping_sub(before) as i64);
                    before = *bucket;
                }
            }
        }
    }
}

/// Takes what [`put_histogram`] put.
///
/// # Errors
/// The data ends early or is malformed.
pub fn take_histogram(from: &mut Cursor<'_>) -> Result<Histogram, Damaged> {
    let reset_hint = *HINTS.get(usize::from(from.u8()?)).ok_or(Damaged("a reset hint is unknown"))?;
    let layout = Layout::take(from)?;
    let sum = from.f64()?;
    let (positive, negative) = (layout.positive(), layout.buckets() - layout.positive());
    let counts = if layout.float {
        let floats =
            |from: &mut Cursor<'_>, n: usize| (0..n).map(|_| from.f64()).collect::<Result<Vec<f64>, Damaged>>();
        HistogramCounts::Float {
            count: from.f64()?,
            zero: from.f64()?,
            positive: floats(from, positive)?,
            negative: floats(from, negative)?,
        }
    } else {
        let (rest, zero) = (from.varint()?, from.varint()?);
        let integers = |from: &mut Cursor<'_>, n: usize| {
            let mut before = 0u64;
            let next = |_| {
                before = before.wrapping_add(from.signed()? as u64);
                Ok(before)
            };
            (0..n).map(next).collect::<Result<Vec<u64>, Damaged>>()
        };
        let (positive, negative) = (integers(from, positive)?, integers(from, negative)?);
        let count = rest.wrapping_add(add_up(zero, &positive, &negative));
        HistogramCounts::Integer { count, zero, positive, negative }
    };
    Ok(Histogram {
        reset_hint,
        schema: layout.schema,
        zero_threshold: f64::from_bits(layout.zero_threshold),
        sum,
        positive_spans: layout.positive_spans,
        negative_spans: layout.negative_spans,
        bounds: layout.bounds.into_iter().map(f64::from_bits).collect(),
        counts,
    })
}

/// Appends the counts of histograms of one layout: a column for each bucket.
fn put_counts(out: &mut Vec<u8>, layout: &Layout, members: &[&Histogram], effort: Effort) {
    let (split, buckets) = (layout.positive(), layout.buckets());
    if layout.float {
        let rows = members.iter().filter_map(|histogram| match &histogram.counts {
            HistogramCounts::Float { count, zero, positive, negative } => Some((count, zero, positive, negative)),
            HistogramCounts::Integer { .. } => None,
        });
        let rows: Vec<_> = rows.collect();
        put_column(out, &rows.iter().map(|(count, ..)| **count).collect::<Vec<_>>(), effort);
        put_column(out, &rows.iter().map(|(_, zero, ..)| **zero).collect::<Vec<_>>(), effort);
        for i in 0..buckets {
            let bucket = rows.iter().map(|(_, _, positive, negative)| bucket(positive, negative, split, i));
            put_column(out, &bucket.collect::<Vec<_>>(), effort);
        }
    } else {
        let rows = members.iter().filter_map(|histogram| match &histogram.counts {
            HistogramCounts::Integer { count, zero, positive, negative } => Some((count, zero, positive, negative)),
            HistogramCounts::Float { .. } => None,
        });
        let rows: Vec<_> = rows.collect();
        // Usually nothing is left of the count, for it is what the buckets add up to.
        let rests =
            rows.iter().map(|(count, zero, positive, negative)| count.wrapping_sub(add_up(**zero, positive, negative)));
        put_integers(out, &rests.collect::<Vec<_>>());
        put_integers(out, &rows.iter().map(|(_, zero, ..)| **zero).collect::<Vec<_>>());
        for i in 0..buckets {
            let bucket = rows.iter().map(|(_, _, positive, negative)| bucket(positive, negative, split, i));
            put_integers(out, &bucket.collect::<Vec<_>>());
        }
    }
}

/// Bucket `i`, if those above zero are `split` and come first.
fn bucket<T: Copy + Default>(positive: &[T], negative: &[T], split: usize, i: usize) -> T {
    let bucket = if i < split { positive.get(i) } else { negative.get(i - split) };
    bucket.copied().unwrap_or_default()
}

fn add_up(zero: u64, positive: &[u64], negative: &[u64]) -> u64 {
    positive.iter().chain(negative).fold(zero, |sum, n| sum.wrapping_add(*n))
}

fn put_column(out: &mut Vec<u8>, values: &[f64], effort: Effort) {
    let mut column = Vec::new();
    put_values(&mut column, values, effort);
    put_varint(out, column.len() as u64);
    out.extend(column);
}

fn take_column(from: &mut Cursor<'_>, count: usize) -> Result<Vec<f64>, Damaged> {
    let length = from.length()?;
    let mut values = Vec::new();
    Values::open(from.bytes(length)?, count)?.all(&mut values)?;
    Ok(values)
}

/// Takes `count` histograms that are all of `bytes`.
///
/// # Errors
/// The data ends early or is malformed.
pub fn take_histograms(bytes: &[u8], count: usize) -> Result<Vec<Histogram>, Damaged> {
    if count > CHUNK_MAX {
        return Err(Damaged("a chunk has more histograms than any that is written"));
    }
    let mut from = Cursor::new(bytes);
    let places = take_integers(&mut from, count)?;
    let hints = take_integers(&mut from, count)?;
    let sums = take_column(&mut from, count)?;
    let layout_count = from.length()?;
    if layout_count > count {
        return Err(Damaged("a column has more layouts than histograms"));
    }
    let layouts: Vec<Layout> = (0..layout_count).map(|_| Layout::take(&mut from)).collect::<Result<_, _>>()?;
    let mut sizes = vec![0usize; layout_count];
    for place in &places {
        *usize::try_from(*place)
            .ok()
            .and_then(|place| sizes.get_mut(place))
            .ok_or(Damaged("a layout is missing"))? += 1;
    }
    let all: usize = layouts.iter().zip(&sizes).map(|(layout, size)| layout.buckets() * size).sum();
    if all > HISTOGRAM_CHUNK_COUNTS_MAX {
        return Err(Damaged("a chunk has more buckets than any that is written"));
    }
    let mut counts = Vec::with_capacity(layout_count);
    for (layout, size) in layouts.iter().zip(sizes) {
        counts.push(take_counts(&mut from, layout, size)?.into_iter());
    }
    from.end()?;
    let mut histograms = Vec::with_capacity(count);
    for ((place, hint), sum) in places.into_iter().zip(hints).zip(sums) {
        let layout = &layouts[place as usize];
        histograms.push(Histogram {
            reset_hint: *HINTS.get(hint as usize).ok_or(Damaged("a reset hint is unknown"))?,
            schema: layout.schema,
            zero_threshold: f64::from_bits(layout.zero_threshold),
            sum,
            positive_spans: layout.positive_spans.clone(),
            negative_spans: layout.negative_spans.clone(),
            bounds: layout.bounds.iter().map(|bits| f64::from_bits(*bits)).collect(),
            counts: counts[place as usize].next().ok_or(Damaged("a layout is missing"))?,
        });
    }
    Ok(histograms)
}

fn take_counts(from: &mut Cursor<'_>, layout: &Layout, size: usize) -> Result<Vec<HistogramCounts>, Damaged> {
    let positive_count = layout.positive();
    if layout.float {
        let mut columns = (0..layout.buckets() + 2).map(|_| take_column(from, size)).collect::<Result<Vec<_>, _>>()?;
        let buckets = columns.split_off(2);
        let float = |i: usize| {
            let mut positive: Vec<f64> = buckets.iter().map(|column| column[i]).collect();
            let negative = positive.split_off(positive_count);
            HistogramCounts::Float { count: columns[0][i], zero: columns[1][i], positive, negative }
        };
        return Ok((0..size).map(float).collect());
    }
    let mut columns = (0..layout.buckets() + 2).map(|_| take_integers(from, size)).collect::<Result<Vec<_>, _>>()?;
    let buckets = columns.split_off(2);
    let integer = |i: usize| {
        let mut positive: Vec<u64> = buckets.iter().map(|column| column[i]).collect();
        let negative = positive.split_off(positive_count);
        let zero = columns[1][i];
        let count = columns[0][i].wrapping_add(add_up(zero, &positive, &negative));
        HistogramCounts::Integer { count, zero, positive, negative }
    };
    Ok((0..size).map(integer).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(histograms: &[Histogram]) -> usize {
        let mut length = 0;
        for effort in [Effort::Young, Effort::Cold] {
            let mut out = Vec::new();
            put_histograms(&mut out, histograms, effort);
            let back = take_histograms(&out, histograms.len()).unwrap();
            assert_eq!(back.len(), histograms.len());
            for (a, b) in back.iter().zip(histograms) {
                assert!(a.same_bits(b), "{a:?} instead of {b:?}");
            }
            length = out.len();
        }
        let mut rows = Vec::new();
        histograms.iter().for_each(|histogram| put_histogram(&mut rows, histogram));
        let mut from = Cursor::new(&rows);
        for histogram in histograms {
            let back = take_histogram(&mut from).unwrap();
            assert!(back.same_bits(histogram), "{back:?} instead of {histogram:?}");
        }
        assert_eq!(from.remaining(), 0);
        length
    }

    /// A latency histogram whose buckets grow by up to `steps[i]` from one to the next.
    fn growing(count: usize, steps: &[u64]) -> Vec<Histogram> {
        let mut buckets = vec![0u64; steps.len()];
        let mut next = |i: usize| {
            for (j, (bucket, step)) in buckets.iter_mut().zip(steps).enumerate() {
                *bucket += (i as u64 * 7 + j as u64 * 13) % (step + 1);
            }
            let all: u64 = buckets.iter().sum();
            Histogram {
                reset_hint: if i == 0 { ResetHint::Unknown } else { ResetHint::NoReset },
                schema: 3,
                zero_threshold: 2.938735877055719e-39,
                sum: all as f64 * 0.25,
                positive_spans: vec![
                    Span { offset: -7, length: 3 },
                    Span { offset: 2, length: steps.len() as u32 - 3 },
                ],
                negative_spans: vec![],
                bounds: vec![],
                counts: HistogramCounts::Integer { count: all, zero: 0, positive: buckets.clone(), negative: vec![] },
            }
        };
        (0..count).map(&mut next).collect()
    }

    fn stale() -> Histogram {
        Histogram {
            reset_hint: ResetHint::Unknown,
            schema: 0,
            zero_threshold: 0.0,
            sum: f64::from_bits(crate::model::STALE_NAN),
            positive_spans: vec![],
            negative_spans: vec![],
            bounds: vec![],
            counts: HistogramCounts::Integer { count: 0, zero: 0, positive: vec![], negative: vec![] },
        }
    }

    #[test]
    fn a_growing_histogram_takes_some_bits_a_bucket() {
        check(&[]);
        let mut histograms = growing(120, &[3, 9, 20, 50, 30, 9, 3, 1]);
        assert!(histograms.iter().all(|histogram| histogram.validate() == Ok(())));
        histograms.push(stale());
        assert!(histograms[120].is_stale());
        let length = check(&histograms);
        assert!(length < 120 * 8 * 6 / 8 + 200, "{length} bytes");
    }

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        proptest::collection::vec((-5i32..100, 0u32..6).prop_map(|(offset, length)| Span { offset, length }), 0..4)
    }

    fn any_histogram() -> impl Strategy<Value = Histogram> {
        let scalars = (0usize..4, -60i32..10, any::<u64>(), any::<u64>(), any::<bool>(), any::<u64>());
        (scalars, spans(), spans(), proptest::collection::vec(any::<u64>(), 0..4)).prop_map(
            |((hint, schema, zero_threshold, sum, float, seed), positive_spans, negative_spans, bounds)| {
                let size = |spans: &[Span]| u64::from(spans.iter().map(|span| span.length).sum::<u32>());
                let (positive, negative) = (size(&positive_spans), size(&negative_spans));
                let integer = |i: u64| seed.wrapping_mul(2 * i + 1) >> (seed % 64);
                let double = |i: u64| f64::from_bits(seed.wrapping_mul(2 * i + 1));
                let counts = if float {
                    HistogramCounts::Float {
                        count: double(100),
                        zero: double(101),
                        positive: (0..positive).map(double).collect(),
                        negative: (0..negative).map(double).collect(),
                    }
                } else {
                    HistogramCounts::Integer {
                        count: integer(100),
                        zero: integer(101),
                        positive: (0..positive).map(integer).collect(),
                        negative: (0..negative).map(integer).collect(),
                    }
                };
                Histogram {
                    reset_hint: HINTS[hint],
                    schema,
                    zero_threshold: f64::from_bits(zero_threshold),
                    sum: f64::from_bits(sum),
                    positive_spans,
                    negative_spans,
                    bounds: bounds.into_iter().map(f64::from_bits).collect(),
                    counts,
                }
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn any_histograms_come_back(parts in proptest::collection::vec((any_histogram(), 1usize..20), 0..8)) {
            let repeated = parts.into_iter().flat_map(|(histogram, times)| vec![histogram; times]);
            check(&repeated.collect::<Vec<_>>());
        }

        #[test]
        fn damage_never_panics(
            flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..9),
            cut in any::<usize>(),
            count in 0usize..200,
        ) {
            let mut out = Vec::new();
            put_histograms(&mut out, &growing(50, &[1, 5, 9, 4]), Effort::Young);
            for (place, n) in flips {
                let place = place % out.len();
                out[place] ^= n;
            }
            let mut row = Vec::new();
            put_histogram(&mut row, &growing(3, &[1, 5, 9, 4])[2]);
            let place = cut % row.len();
            row[place] ^= count as u8;
            let _ = take_histogram(&mut Cursor::new(&row));
            let _ = take_histogram(&mut Cursor::new(&row[..place]));
            let _ = take_histograms(&out, 50);
            let _ = take_histograms(&out[..cut % out.len()], count);
        }

        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300), count in 0usize..9000) {
            let _ = take_histograms(&bytes, count);
            let _ = take_histogram(&mut Cursor::new(&bytes));
        }
    }
}
