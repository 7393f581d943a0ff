//! How a column is stored, for those who ask where bytes go rather than for numbers.

use std::fmt;

use super::integers::Order;

/// The layout of a column. Its text is the name that reports give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coding {
    /// Whether the numbers are distances from equidistant ticks.
    pub(super) on_grid: bool,
    pub(super) numbers: Numbers,
}

/// How the numbers of a column are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbers {
    /// One value.
    Constant,
    /// A first number and a step.
    Line,
    /// Bits side by side; of the orders of differences if all vectors have one.
    Packed(Option<Order>),
    /// pco, of differences.
    Coded(Order),
    /// pco, of doubles.
    CodedFloats,
    /// Doubles as they are.
    Raw,
}

impl Coding {
    /// All numbers are the same.
    pub const CONSTANT: Coding = Coding::of(Numbers::Constant);
    /// All steps are the same.
    pub const LINE: Coding = Coding::of(Numbers::Line);

    pub(super) const fn of(numbers: Numbers) -> Coding {
        Coding { on_grid: false, numbers }
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.on_grid {
            f.write_str("grid, ")?;
        }
        f.write_str(match self.numbers {
            Numbers::Constant => "constant",
            Numbers::Line => "linear",
            Numbers::Packed(Some(Order::Values)) => "packed, frame of reference",
            Numbers::Packed(Some(Order::Steps)) => "packed, delta",
            Numbers::Packed(Some(Order::Turns)) => "packed, delta of delta",
            Numbers::Packed(None) => "packed, orders by vector",
            Numbers::Coded(Order::Values) => "pco",
            Numbers::Coded(Order::Steps) => "pco, delta",
            Numbers::Coded(Order::Turns) => "pco, delta of delta",
            Numbers::CodedFloats => "pco, floats",
            Numbers::Raw => "raw floats",
        })
    }
}
