//! Native histograms that a campaign has thought of.

use std::sync::Arc;

use evenkeel::env::Rng;
use evenkeel::model::{
    CUSTOM_SCHEMA, Histogram, HistogramCounts, HistogramSample, ResetHint, STALE_NAN, Span, Timestamp,
};

/// A sound histogram of `step`, one of a history in which counts grow.
pub(crate) fn growing(t: Timestamp, step: u64) -> HistogramSample {
    let positive = vec![step, 3 * step / 2, 7];
    let count = positive.iter().sum::<u64>() + 2 + step % 5;
    let histogram = Histogram {
        reset_hint: ResetHint::Unknown,
        schema: 1,
        zero_threshold: 0.001,
        sum: step as f64 * 0.75,
        positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 4, length: 1 }],
        negative_spans: vec![Span { offset: 1, length: 1 }],
        bounds: Vec::new(),
        counts: HistogramCounts::Integer { count, zero: 2, positive, negative: vec![step % 5] },
    };
    HistogramSample { t, start: Timestamp(0), histogram: Arc::new(histogram) }
}

/// Any: of every kind, now and then a mark of staleness, and now and then not sound.
pub(crate) fn any(rng: &mut Rng, t: Timestamp) -> HistogramSample {
    let mut histogram = match rng.below(3) {
        0 => return growing(t, rng.below(4)),
        1 => floats(rng),
        _ => custom(rng),
    };
    match rng.below(16) {
        0 => histogram.sum = f64::from_bits(STALE_NAN),
        1 => histogram.schema = 60,
        2 => histogram.positive_spans.push(Span { offset: 0, length: 1 }),
        _ => {}
    }
    HistogramSample { t, start: Timestamp(0), histogram: Arc::new(histogram) }
}

fn floats(rng: &mut Rng) -> Histogram {
    let mut draw = |n: u64| (0..n).map(|_| rng.below(3) as f64 / 2.0).collect::<Vec<f64>>();
    let (positive, negative) = (draw(2), draw(3));
    Histogram {
        reset_hint: [ResetHint::Reset, ResetHint::NoReset, ResetHint::Gauge][rng.below(3) as usize],
        schema: rng.below(13) as i32 - 4,
        zero_threshold: 0.0,
        sum: f64::from_bits(rng.bits()),
        positive_spans: vec![Span { offset: rng.below(9) as i32 - 4, length: 2 }],
        negative_spans: vec![Span { offset: 0, length: 1 }, Span { offset: rng.below(3) as i32, length: 2 }],
        bounds: Vec::new(),
        counts: HistogramCounts::Float { count: rng.below(5) as f64, zero: -0.0, positive, negative },
    }
}

fn custom(rng: &mut Rng) -> Histogram {
    let positive: Vec<u64> = (0..2).map(|_| rng.below(3)).collect();
    Histogram {
        reset_hint: ResetHint::Unknown,
        schema: CUSTOM_SCHEMA,
        zero_threshold: 0.0,
        sum: rng.below(3) as f64,
        positive_spans: vec![Span { offset: rng.below(2) as i32, length: 2 }],
        negative_spans: Vec::new(),
        bounds: vec![-1.0, 0.5, 10.0],
        counts: HistogramCounts::Integer { count: positive.iter().sum(), zero: 0, positive, negative: Vec::new() },
    }
}
