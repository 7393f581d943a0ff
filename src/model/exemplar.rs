//! A single observation that stands for many: a sample with a pointer to its trace.

use super::label::Labels;
use super::limits;
use super::sample::Sample;

/// An observation behind a sample of a counter or a histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemplar {
    /// What it points to, mostly a `trace_id`; may be empty.
    pub labels: Labels,
    /// When it was observed, and its value.
    pub sample: Sample,
}

/// An exemplar on its way in.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesExemplar {
    /// The series that it belongs to.
    pub series: Labels,
    /// The exemplar.
    pub exemplar: Exemplar,
}

/// An exemplar that is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExemplarError {
    /// Its labels are longer than OpenMetrics allows.
    #[error(
        "the labels of an exemplar have {chars} characters; at most {} are taken",
        limits::EXEMPLAR_LABEL_CHARS_MAX
    )]
    TooLong {
        /// Characters of all names and values.
        chars: usize,
    },
}

impl Exemplar {
    /// Whether it may be stored.
    ///
    /// # Errors
    /// Its labels are too long.
    pub fn check(&self) -> Result<(), ExemplarError> {
        let chars = self.labels.iter().map(|label| label.name.chars().count() + label.value.chars().count()).sum();
        if chars > limits::EXEMPLAR_LABEL_CHARS_MAX { Err(ExemplarError::TooLong { chars }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn labels_are_measured_in_characters() {
        let check = |value: &str| {
            let labels = Labels::new([("trace_id", value)]).unwrap();
            Exemplar { labels, sample: Sample { t: Timestamp(1), v: 1.0 } }.check()
        };
        assert_eq!(check(&"é".repeat(120)), Ok(()));
        assert_eq!(check(&"é".repeat(121)), Err(ExemplarError::TooLong { chars: 129 }));
    }
}
