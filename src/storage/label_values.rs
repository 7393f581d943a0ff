//! Which labels series have, and whether there are any, without making the labels of each.
//!
//! Invariants:
//! - A series is looked at only as long as it could tell something new.
//! - New series wait for a part of the values in memory at the most, never for all of them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::model::{Matcher, TimeRange};

use super::snapshot::{Asked, One, ReadError, Snapshot};

/// Values that are read of the index under one lock.
const VALUES_PER_LOCK: usize = 1024;

impl Snapshot {
    /// Whether there is a series that satisfies all matchers and has samples inside `range`. One whose samples in
    /// a block surround the range without touching it may count.
    ///
    /// # Errors
    /// Stored bytes are damaged.
    pub fn has_series(&self, matchers: &[Matcher], range: TimeRange) -> Result<bool, ReadError> {
        self.ask(range, |asked| {
            if asked.hides_some() {
                let found = asked.matching(matchers)?;
                for series in 0..found.len() {
                    if asked.touches(One { found: &found, series })? {
                        return Ok(true);
                    }
                }
                return Ok(false);
            }
            let range = asked.range;
            let in_memory = self.index.lock.read().candidates(matchers);
            if in_memory.into_iter().rev().any(|series| asked.head_touches(series, range)) {
                return Ok(true);
            }
            for (block, reader) in &mut asked.blocks {
                for position in reader.select(matchers)? {
                    if block.is_inside(range) || reader.touches(position, range)? {
                        return Ok(true);
                    }
                }
            }
            Ok(false)
        })
    }

    /// The names of the labels of those series, sorted. Without matchers, names of a block that
    /// overlaps the range count even if their series have no sample in it.
    ///
    /// # Errors
    /// As [`Snapshot::has_series`].
    pub fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, ReadError> {
        self.ask(range, |asked| {
            if !matchers.is_empty() || asked.hides_some() {
                let found = asked.matching(matchers)?;
                let names = found.names(|series| asked.touches(One { found: &found, series }))?;
                return Ok(names.into_iter().map(str::to_owned).collect());
            }
            let mut names: BTreeSet<String> =
                asked.blocks.iter().flat_map(|(_, reader)| reader.label_names().map(str::to_owned)).collect();
            let in_memory: Vec<String> = self.index.lock.read().names().map(str::to_owned).collect();
            for name in in_memory {
                if names.contains(&name) {
                    continue;
                }
                let mut is_there = false;
                asked.head_values(&name, |_| {
                    is_there = true;
                    ControlFlow::Break(())
                });
                if is_there {
                    names.insert(name);
                }
            }
            Ok(names.into_iter().collect())
        })
    }

    /// The values that the label `name` has in those series, sorted. Without matchers, values of a
    /// block that overlaps the range count even if their series have no sample in it.
    ///
    /// # Errors
    /// As [`Snapshot::has_series`].
    pub fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, ReadError> {
        self.ask(range, |asked| {
            if !matchers.is_empty() || asked.hides_some() {
                let found = asked.matching(matchers)?;
                let values = found.values(name, |series| asked.touches(One { found: &found, series }))?;
                return Ok(values.into_iter().map(str::to_owned).collect());
            }
            let mut values = Vec::new();
            for (_, reader) in &mut asked.blocks {
                reader.label_values(name, &mut values)?;
            }
            asked.head_values(name, |value| {
                values.push(value);
                ControlFlow::Continue(())
            });
            values.sort_unstable();
            values.dedup();
            Ok(values)
        })
    }
}

impl Asked<'_> {
    /// Whether samples may be stored inside the range that are not to be seen, so that whether a series has any
    /// depends on its labels.
    fn hides_some(&self) -> bool {
        !self.snapshot.view.tombstones.is_empty() || self.snapshot.cutoff.varies_after(self.range.after)
    }

    /// Calls `take` with the values of a label that series in memory have inside the range, until it breaks. A
    /// value may come twice.
    fn head_values(&self, name: &str, mut take: impl FnMut(String) -> ControlFlow<()>) {
        let index = &self.snapshot.index.lock;
        let (mut passed, mut known_at) = (0, None);
        loop {
            let part = {
                let index = index.read();
                if known_at != Some(index.forgotten()) {
                    (passed, known_at) = (0, Some(index.forgotten()));
                }
                index.values(name, passed, VALUES_PER_LOCK)
            };
            if part.is_empty() {
                return;
            }
            passed += part.len();
            for (value, newest) in part {
                let touches = |series| self.head_touches(series, self.range);
                // A value that anybody still reports is mostly reported by the series that came last.
                let is_there = touches(newest) || {
                    let carriers = index.read().carriers(name, &value);
                    carriers.into_iter().rev().any(touches)
                };
                if is_there && take(value).is_break() {
                    return;
                }
            }
        }
    }
}
