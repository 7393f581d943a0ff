//! From changes of alerts to the times in which each fired.

use std::collections::BTreeMap;

use crate::model::{Labels, TimeRange, Timestamp, Transition, TransitionKind};

/// A time in which an alert fired.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// The alert's labels.
    pub labels: Labels,
    /// Its texts when it began to fire.
    pub annotations: Labels,
    /// Since when its condition held.
    pub active_at: Timestamp,
    /// When it began to fire; before the range if it fired when that began.
    pub start: Timestamp,
    /// When it ended; absent if it fired when the range ended.
    pub end: Option<Timestamp>,
    /// The value when it began to fire.
    pub value: f64,
}

impl Span {
    /// The rule's name.
    pub fn rule(&self) -> &str {
        self.labels.get("alertname")
    }

    /// When it ended, at the latest.
    pub fn until(&self, range: TimeRange) -> Timestamp {
        self.end.unwrap_or(range.until)
    }
}

/// The times in which alerts fired, as far as they reach into a range, by their beginning.
pub fn spans(transitions: &[Transition], range: TimeRange) -> Vec<Span> {
    let mut open: BTreeMap<&Labels, Span> = BTreeMap::new();
    let mut all = Vec::new();
    for transition in transitions {
        let alert = &transition.alert;
        match transition.kind {
            TransitionKind::Firing => {
                let span = Span {
                    labels: alert.labels.clone(),
                    annotations: alert.annotations.clone(),
                    active_at: alert.active_at,
                    start: transition.at,
                    end: None,
                    value: alert.value,
                };
                open.entry(&alert.labels).or_insert(span);
            }
            TransitionKind::Resolved => {
                if let Some(span) = open.remove(&alert.labels) {
                    all.push(Span { end: Some(transition.at), ..span });
                }
            }
            TransitionKind::Pending => {
                // A firing alert whose rule now asks for more begins anew.
                if let Some(span) = open.remove(&alert.labels) {
                    all.push(Span { end: Some(transition.at), ..span });
                }
            }
            TransitionKind::Dropped => {}
        }
    }
    all.extend(open.into_values());
    all.retain(|span| span.start <= range.until && span.end.is_none_or(|end| end > range.after));
    all.sort_by(|a, b| (a.start, &a.labels).cmp(&(b.start, &b.labels)));
    all
}
