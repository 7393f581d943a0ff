//! What the notifier is told to do.

use std::collections::BTreeMap;

use crate::model::{Labels, Millis};

use super::receiver::AlertmanagerTarget;
use super::route::Routing;

/// Where alerts go and what is added to them.
#[derive(Debug, Clone, PartialEq)]
pub struct NotifyOptions {
    /// Our own delivery: Alertmanager's route tree and receivers.
    pub routing: Option<Routing>,
    /// Alertmanagers that alerts are handed to.
    pub alertmanagers: Vec<AlertmanagerTarget>,
    /// The address at which people reach this program, without a slash at its end.
    pub external_url: String,
    /// Labels that are added to an alert that does not have them.
    pub external_labels: Labels,
    /// Of alerts, by name, how often their rule's group is evaluated: Alertmanagers are told how long they are valid.
    pub intervals: BTreeMap<String, Millis>,
    /// The seed of the jitter between attempts.
    pub seed: u64,
}

impl Default for NotifyOptions {
    fn default() -> NotifyOptions {
        NotifyOptions {
            routing: None,
            alertmanagers: Vec::new(),
            external_url: String::new(),
            external_labels: Labels::empty(),
            intervals: BTreeMap::new(),
            seed: 0,
        }
    }
}
