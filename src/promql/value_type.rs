//! The types of the language.

/// What an expression gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// A number.
    Scalar,
    /// A string.
    String,
    /// One value for each series.
    Vector,
    /// A window of values for each series.
    Matrix,
}

impl ValueType {
    /// The name used in error texts, as in Prometheus.
    pub fn as_str(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::String => "string",
            ValueType::Vector => "instant vector",
            ValueType::Matrix => "range vector",
        }
    }
}
