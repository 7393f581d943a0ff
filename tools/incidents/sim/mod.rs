//! Services whose failures are known, what alerts make of their samples, and how good that was.
//!
//! Everything follows from a seed. What is wrong and when is drawn first (`plan`), requests and failures are drawn from
//! it (`traffic`) and counted by counters that restart, begin late and are scraped with gaps (`samples`). The truth
//! (`truth`) is computed from the probabilities, never from what an alert said. The same samples go through our own
//! objectives in an embedded database (`ours`) and through the rules of Sloth and Pyrra (`peers`); `score` compares.

pub(crate) mod draw;
pub(crate) mod low;
pub(crate) mod ours;
pub(crate) mod peers;
pub(crate) mod plan;
pub(crate) mod samples;
pub(crate) mod score;
pub(crate) mod service;
pub(crate) mod table;
pub(crate) mod traffic;
pub(crate) mod truth;

use evenkeel::model::{Millis, Timestamp};

/// The first instant of every simulation: a Monday, at midnight.
pub(crate) const START: Timestamp = Timestamp(1_767_571_200_000);

/// The steps in which requests are drawn.
pub(crate) const STEP: Millis = Millis::seconds(5);

/// Whose alert it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Urgency {
    Page,
    Ticket,
}

/// A time in which an alert fired.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fired {
    pub(crate) urgency: Urgency,
    pub(crate) name: String,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
}
