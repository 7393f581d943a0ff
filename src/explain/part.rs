//! What is told of an expression.

use crate::model::{Labels, Millis, Sample, Timestamp};
use crate::promql::{BinaryOp, ElementValue};

/// An expression at an instant, taken apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The instant.
    pub at: Timestamp,
    /// The whole expression.
    pub root: Part,
    /// Why not everything was looked at, if it was not.
    pub unfinished: Option<String>,
}

/// A part of an expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The part as it is written.
    pub text: String,
    /// The instant at which it is evaluated.
    pub at: Timestamp,
    /// Its value.
    pub value: PartValue,
    /// Since when it holds, or does not: of comparisons, of set operators, and of the whole.
    pub turn: Option<Turn>,
    /// The pairs of values that a comparison compared, those that matter most first.
    pub compared: Vec<Compared>,
    /// How many pairs there are.
    pub compared_total: usize,
    /// The series of a selector with the samples that counted, those that matter most first.
    pub series: Vec<SeriesEvidence>,
    /// How many series there are.
    pub series_total: usize,
    /// Why it has no value, where that is decided here and not below.
    pub finding: Option<String>,
    /// What may help: what is there instead.
    pub hints: Vec<String>,
    /// The parts below, in the order of the text; constants are left out.
    pub children: Vec<Part>,
}

impl Part {
    /// Whether it gives nothing, or nothing that is true.
    pub fn is_empty(&self) -> bool {
        match &self.value {
            PartValue::Vector { total, .. } => *total == 0,
            PartValue::Windows => self.series_total == 0,
            PartValue::Scalar(_) => self.compared.iter().any(|pair| !pair.holds),
            PartValue::Failed(_) | PartValue::Skipped => false,
        }
    }

    /// The first part, from below, that says why there is nothing.
    pub fn first_finding(&self) -> Option<&Part> {
        let below = self.children.iter().filter(|child| child.is_empty()).find_map(Part::first_finding);
        below.or_else(|| self.finding.is_some().then_some(self))
    }
}

/// The value of a part.
#[derive(Debug, Clone, PartialEq)]
pub enum PartValue {
    /// Elements, those that matter most first.
    Vector {
        /// Some of them.
        elements: Vec<Element>,
        /// How many there are.
        total: usize,
    },
    /// A number.
    Scalar(f64),
    /// Windows of samples: see the series.
    Windows,
    /// It could not be evaluated.
    Failed(String),
    /// It was not looked at: there are too many parts, or time is over.
    Skipped,
}

/// One element of a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// Which.
    pub labels: Labels,
    /// Its value.
    pub value: ElementValue,
}

/// Since when a part is as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Whether it holds: gives something, and something that is true.
    pub holds: bool,
    /// The first instant of this, to the millisecond; absent if it is so as far back as was looked.
    pub since: Option<Timestamp>,
    /// How far back was looked.
    pub looked_back_to: Timestamp,
    /// How far apart the instants are that were looked at before the exact one was searched between two of them. A
    /// state that was shorter may have been missed.
    pub looked_every: Millis,
    /// The sample with which it turned, if one did that.
    pub sample: Option<(Labels, Sample)>,
}

/// Two values that were compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The labels of the left one, or of the right one if the left is a number.
    pub labels: Labels,
    /// The left value.
    pub lhs: f64,
    /// The operator.
    pub op: BinaryOp,
    /// The right value.
    pub rhs: f64,
    /// Whether the comparison holds.
    pub holds: bool,
}

impl Compared {
    /// How far apart the values are.
    pub fn distance(&self) -> f64 {
        (self.lhs - self.rhs).abs()
    }

    /// The values of the left side that would make it the other way round, in words: `≤ 0.05`.
    pub fn flips_at(&self) -> String {
        use BinaryOp::{Eq, Ge, Gt, Le, Lt, Ne};
        let against = match (self.op, self.holds) {
            (Gt, true) | (Le, false) => "≤",
            (Gt, false) | (Le, true) => ">",
            (Lt, true) | (Ge, false) => "≥",
            (Lt, false) | (Ge, true) => "<",
            (Eq, true) | (Ne, false) => "≠",
            _ => "=",
        };
        format!("{against} {}", crate::model::float_text(self.rhs))
    }
}

/// A series and what of it counted.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesEvidence {
    /// Which series.
    pub labels: Labels,
    /// Its samples that counted.
    pub window: WindowEvidence,
}

/// The samples of a series that counted.
#[derive(Debug, Clone, PartialEq)]
pub enum WindowEvidence {
    /// The one sample that an instant selector takes.
    Latest(Sample),
    /// The samples of a window.
    Window {
        /// How many.
        count: usize,
        /// The first.
        first: Sample,
        /// The last.
        last: Sample,
        /// The lowest value.
        min: f64,
        /// The highest value.
        max: f64,
        /// How often a value was below the one before: the resets of a counter.
        resets: usize,
    },
    /// Native histograms: how many, and when the last one came.
    Histograms {
        /// How many.
        count: usize,
        /// When the last one came.
        last: Timestamp,
    },
    /// The series ended inside of the window: a staleness marker is its last sample.
    Ended(Timestamp),
}
