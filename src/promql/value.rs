//! What a query gives.

use std::sync::Arc;

use crate::model::{Histogram, HistogramSample, Labels, Sample, Timestamp};

/// The result of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number at the evaluation time.
    Scalar(Sample),
    /// A string at the evaluation time.
    String(Timestamp, String),
    /// One value for each series.
    Vector(Vec<VectorSample>),
    /// Several values for each series, sorted by labels unless the query orders them.
    Matrix(Vec<MatrixSeries>),
}

/// One element of an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSample {
    /// Which series.
    pub labels: Labels,
    /// The evaluation time.
    pub t: Timestamp,
    /// Its value.
    pub value: ElementValue,
}

impl VectorSample {
    /// The value, if it is a number.
    pub fn number(&self) -> Option<f64> {
        match self.value {
            ElementValue::Number(v) => Some(v),
            ElementValue::Histogram(_) => None,
        }
    }
}

/// The value of an element.
#[derive(Debug, Clone)]
pub enum ElementValue {
    /// A number.
    Number(f64),
    /// A native histogram; its counts are floats.
    Histogram(Arc<Histogram>),
}

impl PartialEq for ElementValue {
    /// Of numbers as usual, of histograms bit for bit.
    fn eq(&self, other: &ElementValue) -> bool {
        match (self, other) {
            (ElementValue::Number(a), ElementValue::Number(b)) => a == b,
            (ElementValue::Histogram(a), ElementValue::Histogram(b)) => a.same_bits(b),
            _ => false,
        }
    }
}

/// One series of a matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSeries {
    /// Which series.
    pub labels: Labels,
    /// Its numbers in the order of time.
    pub samples: Vec<Sample>,
    /// Its native histograms in the order of time, at other instants than the numbers.
    pub histograms: Vec<HistogramSample>,
}

impl MatrixSeries {
    /// Whether it has no value at all.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.histograms.is_empty()
    }
}

/// A result with what the user should know of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The result.
    pub value: Value,
    /// Something is probably wrong: `PromQL warning: …`.
    pub warnings: Vec<String>,
    /// Something is worth a look: `PromQL info: …`.
    pub infos: Vec<String>,
}
