//! Native histograms: what their decoders are fed with at first, and what must hold whatever they get.

use std::sync::Arc;

use evenkeel::codec::{Cursor, Effort, put_histogram, put_histograms, take_histogram, take_histograms};
use evenkeel::model::{
    CUSTOM_SCHEMA, Histogram, HistogramCounts, HistogramSample, ResetHint, STALE_NAN, Span, Timestamp,
};

use super::targets::Target;

pub(super) fn targets() -> Vec<Target> {
    vec![Target::plain("histograms", column_seeds, column), Target::plain("histogram", row_seeds, row)]
}

/// The `n`th of a history whose counts grow.
pub(crate) fn growing(n: u64) -> Histogram {
    let positive = vec![n, 3 * n, n * n];
    Histogram {
        reset_hint: ResetHint::Unknown,
        schema: 3,
        zero_threshold: 1e-128,
        sum: n as f64 * 1.5,
        positive_spans: vec![Span { offset: -4, length: 1 }, Span { offset: 2, length: 2 }],
        negative_spans: vec![Span { offset: 0, length: 1 }],
        bounds: Vec::new(),
        counts: HistogramCounts::Integer {
            count: positive.iter().sum::<u64>() + 1,
            zero: 1,
            positive,
            negative: vec![0],
        },
    }
}

/// One at an instant.
pub(crate) fn sample(t: i64, histogram: Histogram) -> HistogramSample {
    HistogramSample { t: Timestamp(t), start: Timestamp(0), histogram: Arc::new(histogram) }
}

/// One of each kind.
pub(crate) fn kinds() -> Vec<Histogram> {
    let floats = HistogramCounts::Float { count: 2.5, zero: 0.0, positive: vec![0.5, 1.0, 1.0], negative: vec![0.0] };
    let custom = HistogramCounts::Integer { count: 3, zero: 0, positive: vec![1, 2], negative: Vec::new() };
    let bare = HistogramCounts::Integer { count: 0, zero: 0, positive: Vec::new(), negative: Vec::new() };
    let none = || Histogram {
        sum: f64::from_bits(STALE_NAN),
        positive_spans: Vec::new(),
        negative_spans: Vec::new(),
        counts: bare.clone(),
        ..growing(1)
    };
    vec![
        growing(7),
        Histogram { counts: floats, reset_hint: ResetHint::Gauge, ..growing(1) },
        Histogram {
            schema: CUSTOM_SCHEMA,
            zero_threshold: 0.0,
            positive_spans: vec![Span { offset: 1, length: 2 }],
            bounds: vec![0.25, 0.5, 4.0],
            counts: custom,
            ..none()
        },
        none(),
    ]
}

/// The count in two bytes, then the column.
fn column_seeds() -> Vec<Vec<u8>> {
    let long: Vec<Histogram> = (0..130).map(growing).collect();
    let mixed: Vec<Histogram> = (0..3).flat_map(|_| kinds()).collect();
    let columns = [long, mixed, Vec::new()];
    let column = |histograms: &Vec<Histogram>| {
        let mut out = (histograms.len() as u16).to_le_bytes().to_vec();
        put_histograms(&mut out, histograms, Effort::Young);
        out
    };
    columns.iter().map(column).collect()
}

fn column(bytes: &[u8]) -> Result<bool, String> {
    let Some((count, rest)) = bytes.split_first_chunk::<2>() else { return Ok(false) };
    let count = usize::from(u16::from_le_bytes(*count)) % 9000;
    let Ok(histograms) = take_histograms(rest, count) else { return Ok(false) };
    if histograms.len() != count {
        return Err(format!("{count} histograms asked for, {} read", histograms.len()));
    }
    // What was read can be written and read again.
    let mut out = Vec::new();
    put_histograms(&mut out, &histograms, Effort::Young);
    let again = take_histograms(&out, count).map_err(|error| format!("its own column: {error}"))?;
    let same = histograms.iter().zip(&again).all(|(a, b)| a.same_bits(b));
    if same { Ok(true) } else { Err("it reads back otherwise".to_owned()) }
}

fn row_seeds() -> Vec<Vec<u8>> {
    let row = |histogram: &Histogram| {
        let mut out = Vec::new();
        put_histogram(&mut out, histogram);
        out
    };
    kinds().iter().map(row).collect()
}

fn row(bytes: &[u8]) -> Result<bool, String> {
    let Ok(histogram) = take_histogram(&mut Cursor::new(bytes)) else { return Ok(false) };
    let _ = histogram.validate();
    let mut out = Vec::new();
    put_histogram(&mut out, &histogram);
    let again = take_histogram(&mut Cursor::new(&out)).map_err(|error| format!("its own bytes: {error}"))?;
    if again.same_bits(&histogram) { Ok(true) } else { Err("it reads back otherwise".to_owned()) }
}
