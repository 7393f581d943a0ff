//! Saving the objectives' state, and continuing from it.
//!
//! Invariants:
//! - An objective is recognised by service, name and indicator; for another window its counts are
//!   carried over, for another indicator they are dropped.
//! - A state that cannot be read changes nothing.

use crate::model::{Millis, SeriesPlaces};

use super::composite::Composite;
use super::format::{self, RestoreError, SavedCounts, SavedObjective};
use super::objective::{Comparison, Indicator, Objective};
use super::objectives::Objectives;
use super::watch::Watch;

impl Objectives {
    /// The state as bytes, from which [`Objectives::restore`] continues.
    pub fn save(&self) -> Vec<u8> {
        format::write(&self.watches, &self.orphans, &self.composites)
    }

    /// Continues from a saved state. Objectives that it does not hold begin empty.
    ///
    /// # Errors
    /// The bytes are damaged or of another version; then nothing has changed.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), RestoreError> {
        let saved = format::read(bytes)?;
        self.forget_deadlines();
        self.watches.iter_mut().for_each(Watch::unbind);
        self.bindings = SeriesPlaces::default();
        self.orphans = saved.orphans;
        for old in saved.objectives {
            let same = |watch: &&mut Watch| {
                let Objective { service, name, indicator, .. } = &watch.objective;
                *service == old.service && *name == old.name && indicator.identity() == old.indicator
            };
            match self.watches.iter_mut().find(same) {
                Some(watch) => {
                    let shape = watch.objective.clone();
                    self.orphans.extend(watch.inherit(watch_of(old, shape)));
                }
                None => {
                    let shape = unknown(&old);
                    self.orphans.extend(watch_of(old, shape).alerts());
                }
            }
        }
        for old in saved.composites {
            let shape = Objective::new(&old.service, &old.name, 0.5, old.window, Indicator::Composite(Vec::new()));
            let mut composite = Composite::new(shape, Vec::new(), Vec::new());
            (composite.since, composite.decided, composite.pairs) = (old.since, old.decided, old.pairs);
            composite.burning = old.burning;
            let gone = self.inherit_composite(composite);
            self.orphans.extend(gone);
        }
        Ok(())
    }
}

/// An objective of which only the name is left: of one that is watched no more, only what fires is
/// of use, so any shape will do.
fn unknown(old: &SavedObjective) -> Objective {
    let nothing = Indicator::Threshold { gauge: Vec::new(), op: Comparison::Equal, bound: 0.0 };
    Objective::new(&old.service, &old.name, 0.5, Millis::days(1), nothing)
}

/// The watch that was saved, of an objective of this shape.
fn watch_of(old: SavedObjective, objective: Objective) -> Watch {
    let mut watch = counted(old.counted, objective);
    watch.objective.window = old.window;
    watch.objective.group_by = old.group_by;
    (watch.reckoning, watch.edges_of, watch.presence) = (old.reckoning, old.edges_of, old.presence);
    watch.series.dormant = old.cursors.into_iter().collect();
    watch.series.targets = old.targets.into_iter().collect();
    for (labels, group) in old.groups {
        let mut group = counted(group, watch.objective.of_group(&labels));
        (group.reckoning, group.edges_of) = (watch.reckoning.clone(), watch.edges_of.clone());
        group.plan();
        watch.groups.members.insert(labels, group);
    }
    watch.groups.beyond = old.beyond.into_iter().collect();
    (watch.groups.overflown, watch.groups.left_out) = (old.overflown, old.left_out);
    watch
}

fn counted(old: SavedCounts, objective: Objective) -> Watch {
    let mut watch = Watch::new(objective, Vec::new());
    watch.history = old.history;
    watch.since = old.since;
    watch.decided = old.decided;
    watch.input = old.input;
    watch.heard = old.heard;
    watch.waiting = old.waiting.into_iter().collect();
    watch.pairs = old.pairs;
    watch.burning = old.burning;
    watch.course = old.course;
    watch.slices = old.slices;
    watch.exclusions.taken = old.excluded.into_iter().collect();
    watch
}
