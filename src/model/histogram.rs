//! A native histogram: how many observations fell into each of many buckets, at one instant.
//!
//! It is Prometheus' model. Buckets that nothing fell into are left out: spans say which are there.

use super::limits::{HISTOGRAM_BUCKETS_MAX, HISTOGRAM_SPANS_MAX};
use super::sample::{Sample, is_stale};

/// The schema of histograms whose bounds are given one by one.
pub const CUSTOM_SCHEMA: i32 = -53;
/// Schemas whose bounds grow by a factor of `2^(2^-schema)`.
pub const EXPONENTIAL_SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;

/// What is known of whether counts began anew before a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ResetHint {
    /// Nothing: it has to be seen from the counts.
    #[default]
    Unknown,
    /// They did.
    Reset,
    /// They did not.
    NoReset,
    /// The counts are a gauge's and may fall without that.
    Gauge,
}

/// A run of buckets that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// Buckets left out since the run before; of the first run, the index of its first bucket.
    pub offset: i32,
    /// Buckets of the run.
    pub length: u32,
}

/// The counts of a histogram: the buckets' are in the order of spans, each bucket's own.
#[derive(Debug, Clone)]
pub enum HistogramCounts {
    /// Of observations.
    Integer {
        /// All of them.
        count: u64,
        /// Those within the zero threshold.
        zero: u64,
        /// Of the buckets above zero.
        positive: Vec<u64>,
        /// Of the buckets below zero.
        negative: Vec<u64>,
    },
    /// Results of calculations, such as a rate's.
    Float {
        /// All observations.
        count: f64,
        /// Those within the zero threshold.
        zero: f64,
        /// Of the buckets above zero.
        positive: Vec<f64>,
        /// Of the buckets below zero.
        negative: Vec<f64>,
    },
}

/// A histogram at one instant.
#[derive(Debug, Clone)]
pub struct Histogram {
    /// Whether counts began anew before it.
    pub reset_hint: ResetHint,
    /// How bounds grow, or [`CUSTOM_SCHEMA`].
    pub schema: i32,
    /// Half the width of the bucket around zero.
    pub zero_threshold: f64,
    /// The sum of observations; the mark of staleness says that the series has ended.
    pub sum: f64,
    /// Which buckets above zero there are.
    pub positive_spans: Vec<Span>,
    /// Which buckets below zero there are.
    pub negative_spans: Vec<Span>,
    /// Upper bounds of a custom schema, without the last one, which is infinite.
    pub bounds: Vec<f64>,
    /// What fell into the buckets.
    pub counts: HistogramCounts,
}

/// Why a histogram is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HistogramError {
    /// The schema is none that there is.
    #[error("schema {0} is neither -4 to 52 nor -53")]
    Schema(i32),
    /// A span after the first one goes back.
    #[error("a span has a negative offset")]
    SpanOffset,
    /// Spans and counts disagree.
    #[error("the spans have {spans} buckets, but there are counts of {counts}")]
    SpanLength {
        /// Buckets of the spans.
        spans: u64,
        /// Counts.
        counts: usize,
    },
    /// There are too many.
    #[error("it has more than {HISTOGRAM_BUCKETS_MAX} buckets, spans or bounds; use a coarser schema")]
    TooManyBuckets,
    /// A count of a float histogram is below zero.
    #[error("a count is negative")]
    NegativeCount,
    /// The count is not what the buckets add up to.
    #[error("its buckets hold {buckets} observations, but its count is {count}")]
    Count {
        /// What the buckets add up to.
        buckets: u64,
        /// What it says.
        count: u64,
    },
    /// Custom bounds do not rise, or the last one is infinite or no number.
    #[error("its bounds do not rise, or are not finite")]
    Bounds,
    /// Spans go beyond the custom bounds.
    #[error("its spans go beyond its bounds")]
    BeyondBounds,
    /// A custom schema has a zero bucket or negative buckets.
    #[error("custom bounds allow neither a zero bucket nor negative buckets")]
    CustomExtras,
    /// An exponential schema has custom bounds.
    #[error("bounds are given, but its schema has its own")]
    ExtraBounds,
}

impl HistogramError {
    /// The reason in words that are the same for all histograms, for metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            HistogramError::Schema(_) => "unknown schema",
            HistogramError::SpanOffset => "negative span offset",
            HistogramError::SpanLength { .. } => "spans and buckets differ in number",
            HistogramError::TooManyBuckets => "too many buckets",
            HistogramError::NegativeCount => "negative count",
            HistogramError::Count { .. } => "buckets do not add up to the count",
            HistogramError::Bounds => "custom bounds do not rise",
            HistogramError::BeyondBounds => "spans beyond the custom bounds",
            HistogramError::CustomExtras => "custom bounds with a zero bucket or negative buckets",
            HistogramError::ExtraBounds => "custom bounds in an exponential schema",
        }
    }
}

impl Histogram {
    /// Whether it is the mark that its series has ended.
    pub fn is_stale(&self) -> bool {
        is_stale(self.sum)
    }

    /// Whether it is the same bit for bit: NaNs equal themselves, and zeros of either sign differ.
    pub fn same_bits(&self, other: &Histogram) -> bool {
        let same =
            |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
        let counts = match (&self.counts, &other.counts) {
            (
                HistogramCounts::Integer { count, zero, positive, negative },
                HistogramCounts::Integer { count: c, zero: z, positive: p, negative: n },
            ) => (count, zero, positive, negative) == (c, z, p, n),
            (
                HistogramCounts::Float { count, zero, positive, negative },
                HistogramCounts::Float { count: c, zero: z, positive: p, negative: n },
            ) => same(&[*count, *zero], &[*c, *z]) && same(positive, p) && same(negative, n),
            _ => false,
        };
        counts
            && (self.reset_hint, self.schema) == (other.reset_hint, other.schema)
            && same(&[self.zero_threshold, self.sum], &[other.zero_threshold, other.sum])
            && (&self.positive_spans, &self.negative_spans) == (&other.positive_spans, &other.negative_spans)
            && same(&self.bounds, &other.bounds)
    }

    /// How many counts of buckets it has.
    pub fn buckets(&self) -> usize {
        let (positive, negative) = self.lengths();
        positive + negative
    }

    /// Bytes that it takes in memory.
    pub fn bytes(&self) -> usize {
        let words = self.buckets() + self.positive_spans.len() + self.negative_spans.len() + self.bounds.len();
        size_of::<Histogram>() + 8 * words
    }

    /// For how many samples it counts where samples are limited for the memory that they take.
    pub fn weight(&self) -> usize {
        self.bytes() / size_of::<Sample>()
    }

    /// Checks what Prometheus checks before it stores a histogram, and our own limit.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), HistogramError> {
        if self.schema == CUSTOM_SCHEMA {
            self.validate_bounds()?;
        } else if !EXPONENTIAL_SCHEMAS.contains(&self.schema) {
            return Err(HistogramError::Schema(self.schema));
        } else if !self.bounds.is_empty() {
            return Err(HistogramError::ExtraBounds);
        }
        self.validate_layout()?;
        match &self.counts {
            HistogramCounts::Integer { count, zero, positive, negative } => {
                let all = positive.iter().chain(negative).chain([zero]);
                let buckets = all.fold(0u64, |sum, n| sum.saturating_add(*n));
                // An observation that is no number is counted, but falls into no bucket.
                let right = if self.sum.is_nan() { buckets <= *count } else { buckets == *count };
                if right { Ok(()) } else { Err(HistogramError::Count { buckets, count: *count }) }
            }
            HistogramCounts::Float { count, zero, positive, negative } => {
                let below = |n: &f64| *n < 0.0;
                let any = below(count) || below(zero) || positive.iter().chain(negative).any(below);
                if any { Err(HistogramError::NegativeCount) } else { Ok(()) }
            }
        }
    }

    /// Checks that there are not too many buckets, and that counts are there for those of the spans.
    pub(super) fn validate_layout(&self) -> Result<(), HistogramError> {
        let (positive, negative) = self.lengths();
        let spans = self.positive_spans.len().max(self.negative_spans.len());
        if positive + negative > HISTOGRAM_BUCKETS_MAX
            || spans > HISTOGRAM_SPANS_MAX
            || self.bounds.len() > HISTOGRAM_BUCKETS_MAX
        {
            return Err(HistogramError::TooManyBuckets);
        }
        validate_spans(&self.positive_spans, positive)?;
        validate_spans(&self.negative_spans, negative)
    }

    /// How many counts there are of buckets above zero, and below.
    fn lengths(&self) -> (usize, usize) {
        match &self.counts {
            HistogramCounts::Integer { positive, negative, .. } => (positive.len(), negative.len()),
            HistogramCounts::Float { positive, negative, .. } => (positive.len(), negative.len()),
        }
    }

    fn validate_bounds(&self) -> Result<(), HistogramError> {
        let negative = self.lengths().1;
        let zero = match &self.counts {
            HistogramCounts::Integer { zero, .. } => *zero != 0,
            HistogramCounts::Float { zero, .. } => *zero != 0.0,
        };
        if zero || self.zero_threshold != 0.0 || negative > 0 || !self.negative_spans.is_empty() {
            return Err(HistogramError::CustomExtras);
        }
        let rising = self.bounds.is_sorted_by(|a, b| a < b);
        if !rising || self.bounds.iter().any(|bound| bound.is_nan() || *bound == f64::INFINITY) {
            return Err(HistogramError::Bounds);
        }
        if self.positive_spans.iter().any(|span| span.offset < 0) {
            return Err(HistogramError::SpanOffset);
        }
        let reach: u64 =
            self.positive_spans.iter().map(|span| u64::from(span.offset.unsigned_abs()) + u64::from(span.length)).sum();
        if reach > self.bounds.len() as u64 + 1 { Err(HistogramError::BeyondBounds) } else { Ok(()) }
    }
}

fn validate_spans(spans: &[Span], counts: usize) -> Result<(), HistogramError> {
    if spans.iter().skip(1).any(|span| span.offset < 0) {
        return Err(HistogramError::SpanOffset);
    }
    let buckets = spans.iter().map(|span| u64::from(span.length)).sum();
    if buckets == counts as u64 { Ok(()) } else { Err(HistogramError::SpanLength { spans: buckets, counts }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Histogram {
        Histogram {
            reset_hint: ResetHint::Unknown,
            schema: 3,
            zero_threshold: 1e-128,
            sum: 18.4,
            positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 3, length: 1 }],
            negative_spans: vec![Span { offset: 0, length: 1 }],
            bounds: vec![],
            counts: HistogramCounts::Integer { count: 12, zero: 2, positive: vec![1, 5, 3], negative: vec![1] },
        }
    }

    fn custom() -> Histogram {
        Histogram {
            schema: CUSTOM_SCHEMA,
            zero_threshold: 0.0,
            negative_spans: vec![],
            positive_spans: vec![Span { offset: 1, length: 2 }],
            bounds: vec![0.5, 1.0],
            counts: HistogramCounts::Integer { count: 4, zero: 0, positive: vec![1, 3], negative: vec![] },
            ..sound()
        }
    }

    #[test]
    fn what_prometheus_refuses_is_refused() {
        let integer = |count, positive: &[u64]| HistogramCounts::Integer {
            count,
            zero: 2,
            positive: positive.to_vec(),
            negative: vec![1],
        };
        let float = |count, positive: &[f64]| HistogramCounts::Float {
            count,
            zero: 2.0,
            positive: positive.to_vec(),
            negative: vec![1.0],
        };
        let back = vec![Span { offset: 0, length: 1 }, Span { offset: -1, length: 2 }];
        let empty = Span { offset: 0, length: 0 };
        let far = vec![Span { offset: 2, length: 2 }];
        for (histogram, expected) in [
            (sound(), Ok(())),
            (custom(), Ok(())),
            (Histogram { schema: 9, ..sound() }, Err(HistogramError::Schema(9))),
            (Histogram { positive_spans: back, ..sound() }, Err(HistogramError::SpanOffset)),
            (
                Histogram { counts: integer(12, &[9]), ..sound() },
                Err(HistogramError::SpanLength { spans: 3, counts: 1 }),
            ),
            (
                Histogram { counts: integer(13, &[1, 5, 3]), ..sound() },
                Err(HistogramError::Count { buckets: 12, count: 13 }),
            ),
            (Histogram { counts: integer(13, &[1, 5, 3]), sum: f64::NAN, ..sound() }, Ok(())),
            (Histogram { counts: float(9.0, &[1.0, 2.0, 0.5]), ..sound() }, Ok(())),
            (Histogram { counts: float(9.0, &[1.0, -2.0, 0.5]), ..sound() }, Err(HistogramError::NegativeCount)),
            (Histogram { bounds: vec![1.0], ..sound() }, Err(HistogramError::ExtraBounds)),
            (Histogram { bounds: vec![1.0, 0.5], ..custom() }, Err(HistogramError::Bounds)),
            (Histogram { bounds: vec![1.0, f64::INFINITY], ..custom() }, Err(HistogramError::Bounds)),
            (Histogram { positive_spans: far, ..custom() }, Err(HistogramError::BeyondBounds)),
            (Histogram { zero_threshold: 0.1, ..custom() }, Err(HistogramError::CustomExtras)),
            (
                Histogram { counts: integer(0, &[0; HISTOGRAM_BUCKETS_MAX]), ..sound() },
                Err(HistogramError::TooManyBuckets),
            ),
            (
                Histogram { negative_spans: vec![empty; 4096], ..sound() },
                Err(HistogramError::SpanLength { spans: 0, counts: 1 }),
            ),
            (Histogram { negative_spans: vec![empty; 4097], ..sound() }, Err(HistogramError::TooManyBuckets)),
        ] {
            assert_eq!(histogram.validate(), expected, "{histogram:?}");
        }
    }
}
