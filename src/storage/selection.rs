//! The series that a snapshot was asked for, found and not read yet.
//!
//! Invariant: what is read of a series is what [`Snapshot::select`] gives of it.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use super::content::Content;
use super::found::Found;
use super::snapshot::{One, ReadError, Snapshot, Source};
use crate::model::{HistogramSample, Labels, Sample, Summarized, Summary, TimeRange};

/// Series whose memory is fetched together before they are read one by one.
const FETCHED_AT_ONCE: usize = 32;

/// The parts of a range whose memory is fetched together.
fn fetched_together(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(FETCHED_AT_ONCE).map(move |start| start..(start + FETCHED_AT_ONCE).min(end))
}

/// What is called with the number, the samples and the native histograms of a series; it says whether it has enough.
pub type Visit<'v> = dyn FnMut(usize, &[Sample], &[HistogramSample]) -> ControlFlow<()> + 'v;

/// The series that satisfied matchers when a snapshot was asked, not read yet.
#[derive(Debug)]
pub struct Selection<'s> {
    snapshot: &'s Snapshot,
    range: TimeRange,
    found: Arc<Found<Source>>,
    is_sorted: bool,
}

impl<'s> Selection<'s> {
    /// Of what was found inside a range.
    pub(super) fn new(snapshot: &'s Snapshot, range: TimeRange, found: Arc<Found<Source>>) -> Selection<'s> {
        Selection { snapshot, range, found, is_sorted: false }
    }

    /// How many series there are; some may have no sample inside the range.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The series at a place of the order that was asked for.
    fn one(&self, at: usize) -> One<'_> {
        let series = if self.is_sorted { self.found.sorted()[at] as usize } else { at };
        One { found: &self.found, series }
    }

    /// The labels of a series.
    pub fn labels(&self, at: usize) -> Labels {
        self.one(at).labels()
    }

    /// Whether any of the series has a label of this name.
    pub fn has_name(&self, name: &str) -> bool {
        self.found.pairs.has_name(name)
    }

    /// The group of each series by those of its labels whose names are kept, and the labels of each group.
    pub fn groups(&self, keep: impl Fn(&str) -> bool) -> (Vec<u32>, Vec<Labels>) {
        let (group_of, groups) = self.found.groups(keep);
        match self.is_sorted {
            true => (self.found.sorted().iter().map(|series| group_of[*series as usize]).collect(), groups),
            false => (group_of, groups),
        }
    }

    /// Puts the series in the order of their labels.
    pub fn sort(&mut self) {
        self.is_sorted = true;
    }

    /// Calls `visit` with the samples and the native histograms of each series of these ranges, in the order of
    /// time, until it says that it has enough. What memory holds of a range is fetched together, a few dozen series
    /// at a time. Several threads may each read a part.
    ///
    /// # Errors
    /// Stored bytes are damaged.
    pub fn read(&self, which: &mut dyn Iterator<Item = Range<usize>>, visit: &mut Visit<'_>) -> Result<(), ReadError> {
        self.snapshot.ask(self.range, |asked| {
            let mut content = Content::default();
            for some in which.flat_map(fetched_together) {
                asked.fetch(&self.found, some.clone().map(|at| self.one(at).series));
                for at in some {
                    content.clear();
                    asked.content(self.one(at), &mut content)?;
                    if visit(at, &content.samples, &content.histograms).is_break() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }

    /// Calls `visit` with the summaries, in windows inside the range, of each of these series that has samples
    /// in any, until it says that it has enough: what [`Summary::of`] says of those samples, without reading most
    /// of them. It ends as well at a series that may have native histograms inside the range, of which a summary
    /// says nothing. Samples that were downsampled count as they were; those of an interval are where its last one
    /// is. The memory of a range is fetched together, and several threads may each read a part.
    ///
    /// # Errors
    /// A series has more than `samples_max` samples that are to be read, or stored bytes are damaged.
    pub fn summaries(
        &self,
        which: &mut dyn Iterator<Item = Range<usize>>,
        windows: &[TimeRange],
        samples_max: usize,
        visit: &mut dyn FnMut(usize, Vec<Summary>) -> ControlFlow<()>,
    ) -> Result<Summarized, ReadError> {
        self.snapshot.ask(self.range, |asked| {
            for some in which.flat_map(fetched_together) {
                asked.fetch(&self.found, some.clone().map(|at| self.one(at).series));
                for at in some {
                    let one = self.one(at);
                    if asked.touches_histograms(one)? {
                        return Ok(Summarized::NotHistograms);
                    }
                    let summaries = asked.summaries(one, windows, samples_max)?;
                    let there = summaries.iter().any(|summary| summary.count + summary.stale > 0);
                    if there && visit(at, summaries).is_break() {
                        return Ok(Summarized::Wholly);
                    }
                }
            }
            Ok(Summarized::Wholly)
        })
    }
}
