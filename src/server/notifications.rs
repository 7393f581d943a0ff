//! What the server has to say of itself to those who look at it: a list, and those who follow it.
//!
//! Invariants:
//! - A topic stands in the list at most once, while it lasts.
//! - At most [`limits::NOTIFICATION_SUBSCRIBERS_MAX`] peers follow; one that does not read is dropped.

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::model::{Timestamp, limits};

/// Changes that a follower may not have read yet.
const UNREAD_MAX: usize = 16;

/// What there may be to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Starting,
    ReloadFailed,
    Stopping,
}

impl Topic {
    fn text(self) -> &'static str {
        match self {
            Topic::Starting => "Evenkeel is starting and replays its log.",
            Topic::ReloadFailed => "Configuration reload has failed.",
            Topic::Stopping => "Evenkeel is shutting down and finishes what was begun.",
        }
    }
}

/// One of them, as Prometheus shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Notification {
    text: &'static str,
    date: String,
    active: bool,
}

#[derive(Debug, Default)]
struct Inner {
    lasting: Vec<(Topic, Notification)>,
    followers: Vec<Sender<Bytes>>,
    closed: bool,
}

/// The list and its followers.
#[derive(Debug, Default)]
pub(super) struct Notifications(Mutex<Inner>);

impl Notifications {
    /// A topic lasts from now on.
    pub(super) fn begin(&self, topic: Topic, at: Timestamp) {
        let mut inner = self.0.lock();
        if inner.lasting.iter().any(|(one, _)| *one == topic) {
            return;
        }
        let notification = Notification { text: topic.text(), date: at.to_string(), active: true };
        inner.tell(&notification);
        inner.lasting.push((topic, notification));
    }

    /// A topic lasts no longer.
    pub(super) fn end(&self, topic: Topic, at: Timestamp) {
        let mut inner = self.0.lock();
        let Some(place) = inner.lasting.iter().position(|(one, _)| *one == topic) else { return };
        let (_, mut notification) = inner.lasting.remove(place);
        (notification.active, notification.date) = (false, at.to_string());
        inner.tell(&notification);
    }

    pub(super) fn list(&self) -> Vec<Notification> {
        self.0.lock().lasting.iter().map(|(_, notification)| notification.clone()).collect()
    }

    /// Events from now on, those that last first; `None` if too many follow already.
    pub(super) fn follow(&self) -> Option<Receiver<Bytes>> {
        let mut inner = self.0.lock();
        inner.followers.retain(|follower| !follower.is_closed());
        if inner.closed || inner.followers.len() >= limits::NOTIFICATION_SUBSCRIBERS_MAX {
            return None;
        }
        let (follower, events) = channel(UNREAD_MAX);
        for (_, notification) in &inner.lasting {
            // There is room: fewer topics than unread events.
            let _ = follower.try_send(event(notification));
        }
        inner.followers.push(follower);
        Some(events)
    }

    /// Ends every follower's stream.
    pub(super) fn close(&self) {
        let mut inner = self.0.lock();
        inner.closed = true;
        inner.followers.clear();
    }
}

impl Inner {
    fn tell(&mut self, notification: &Notification) {
        let event = event(notification);
        self.followers.retain(|follower| follower.try_send(event.clone()).is_ok());
    }
}

/// A server-sent event.
fn event(notification: &Notification) -> Bytes {
    let json = serde_json::to_string(notification).unwrap_or_default();
    Bytes::from(format!("data: {json}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_listed_while_it_lasts_and_told_to_followers() {
        let all = Notifications::default();
        all.begin(Topic::Starting, Timestamp(0));
        all.begin(Topic::Starting, Timestamp(5));
        let mut events = all.follow().unwrap();
        all.end(Topic::Starting, Timestamp(1000));
        all.end(Topic::Starting, Timestamp(2000));
        assert!(all.list().is_empty());
        let mut seen = Vec::new();
        all.close();
        while let Ok(event) = events.try_recv() {
            seen.push(String::from_utf8(event.to_vec()).unwrap());
        }
        assert_eq!(
            seen,
            [
                "data: {\"text\":\"Evenkeel is starting and replays its log.\",\"date\":\"1970-01-01T00:00:00.000Z\",\"active\":true}\n\n",
                "data: {\"text\":\"Evenkeel is starting and replays its log.\",\"date\":\"1970-01-01T00:00:01.000Z\",\"active\":false}\n\n",
            ]
        );
        assert!(all.follow().is_none());
    }

    #[test]
    fn only_so_many_follow() {
        let all = Notifications::default();
        let followers: Vec<_> = std::iter::from_fn(|| all.follow()).collect();
        assert_eq!(followers.len(), limits::NOTIFICATION_SUBSCRIBERS_MAX);
        drop(followers);
        assert!(all.follow().is_some());
    }
}
