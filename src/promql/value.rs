//! What a query gives.

use crate::model::{Labels, Sample, Timestamp};

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
    /// Its value, dated with the evaluation time.
    pub sample: Sample,
}

/// One series of a matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSeries {
    /// Which series.
    pub labels: Labels,
    /// Its values in the order of time.
    pub samples: Vec<Sample>,
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
