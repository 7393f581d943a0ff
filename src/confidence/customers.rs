//! Whom it hurts: bad events of the last hour, and the group that had most of them.
//!
//! Invariants:
//! - Of a service one objective counts, that with the most bad events: availability and latency may mean the same requests.
//! - Only events count: neither slices of time nor composites, of which nobody can say how many they were.

use std::collections::BTreeMap;

use crate::model::Labels;
use crate::slo::{EVENTS, ObjectiveStatus};

use super::evidence::Evidence;

/// Bad events of the last hour.
#[derive(Debug, Clone, PartialEq)]
pub struct Customers {
    /// Of all services.
    pub bad_events: f64,
    /// The group that had most of them, of objectives that have groups.
    pub most: Option<MostHurt>,
}

/// A group of an objective with its bad events.
#[derive(Debug, Clone, PartialEq)]
pub struct MostHurt {
    /// Whose objective it is.
    pub service: String,
    /// The objective.
    pub objective: String,
    /// The labels that tell the group from others.
    pub group: Labels,
    /// Its bad events.
    pub bad_events: f64,
}

/// Whom it hurts.
pub fn customers(evidence: &Evidence<'_>) -> Customers {
    let counted = || evidence.objectives.iter().filter(|objective| counts_events(objective));
    let mut worst: BTreeMap<&str, f64> = BTreeMap::new();
    for objective in counted() {
        let bad = worst.entry(&objective.service).or_default();
        *bad = bad.max(objective.bad_in_hour);
    }
    let groups = counted().flat_map(|objective| objective.groups.iter().flat_map(|groups| &groups.budgets));
    let hurt = groups.filter(|group| group.bad_in_hour > 0.0);
    let most = hurt.max_by(|a, b| a.bad_in_hour.total_cmp(&b.bad_in_hour)).map(|group| MostHurt {
        service: group.service.clone(),
        objective: group.name.clone(),
        group: group.group.clone(),
        bad_events: group.bad_in_hour,
    });
    Customers { bad_events: worst.values().sum(), most }
}

fn counts_events(objective: &ObjectiveStatus) -> bool {
    objective.units == EVENTS
}
