//! Alertmanager's route tree: which receiver is told of an alert, and in which company.
//!
//! Invariants:
//! - An alert that reaches a route goes to that route's matching children, in order, until one
//!   without `continue` takes it; a route none of whose children match takes it itself.

use crate::model::{Labels, Matcher, Millis};

use super::group_key;
use super::receiver::Receiver;

/// The route tree and the receivers it names.
#[derive(Debug, Clone, PartialEq)]
pub struct Routing {
    /// The root, which takes every alert.
    pub route: Route,
    /// The receivers.
    pub receivers: Vec<Receiver>,
}

/// One node of the tree; what a file leaves out is already filled in from its parent.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The receiver's name.
    pub receiver: String,
    /// Conditions that an alert must satisfy, all of them.
    pub matchers: Vec<Matcher>,
    /// Whether the siblings behind this one get to see an alert that it took.
    pub continues: bool,
    /// What alerts must share to be told together.
    pub group_by: GroupBy,
    /// How long a new group waits for company; zero means told at once.
    pub group_wait: Millis,
    /// How long a group that was told about waits before it tells of a change; zero means told at once.
    pub group_interval: Millis,
    /// After how long a group that still fires is told again.
    pub repeat_interval: Millis,
    /// The children.
    pub routes: Vec<Route>,
}

impl Route {
    /// A root with Alertmanager's defaults: everything in one group, 30s, 5m, 4h.
    pub fn new(receiver: &str) -> Route {
        Route {
            receiver: receiver.to_owned(),
            matchers: Vec::new(),
            continues: false,
            group_by: GroupBy::Labels(Vec::new()),
            group_wait: Millis::seconds(30),
            group_interval: Millis::minutes(5),
            repeat_interval: Millis::hours(4),
            routes: Vec::new(),
        }
    }
}

/// What alerts must share to be told together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupBy {
    /// Every label, `['...']`: each alert by itself.
    All,
    /// These labels.
    Labels(Vec<String>),
}

impl GroupBy {
    /// The labels by which a group of this alert is known.
    pub(super) fn labels_of(&self, alert: &Labels) -> Labels {
        match self {
            GroupBy::All => alert.clone(),
            GroupBy::Labels(names) => alert.filter(|name| names.iter().any(|n| n == name)),
        }
    }
}

/// A route that takes an alert.
pub(super) struct Taker<'a> {
    pub(super) route: &'a Route,
    /// The path's matchers, as Alertmanager writes them: `{}/{severity="page"}`.
    pub(super) key: String,
}

impl Routing {
    /// Sees that every route names a receiver that there is.
    ///
    /// # Errors
    /// A name that no receiver has, or one that two receivers have.
    pub fn check(&self) -> Result<(), RoutingError> {
        for (index, receiver) in self.receivers.iter().enumerate() {
            if self.receivers[..index].iter().any(|earlier| earlier.name == receiver.name) {
                return Err(RoutingError::ReceiverTwice { name: receiver.name.clone() });
            }
        }
        self.check_route(&self.route)
    }

    fn check_route(&self, route: &Route) -> Result<(), RoutingError> {
        if !self.receivers.iter().any(|receiver| receiver.name == route.receiver) {
            return Err(RoutingError::UnknownReceiver { name: route.receiver.clone() });
        }
        route.routes.iter().try_for_each(|child| self.check_route(child))
    }

    /// The routes that take an alert, at least one.
    pub(super) fn takers(&self, alert: &Labels) -> Vec<Taker<'_>> {
        let mut takers = Vec::new();
        descend(&self.route, "{}", alert, &mut takers);
        takers
    }
}

fn descend<'a>(route: &'a Route, key: &str, alert: &Labels, takers: &mut Vec<Taker<'a>>) {
    let before = takers.len();
    for child in &route.routes {
        if !child.matchers.iter().all(|matcher| matcher.matches(alert.get(matcher.name()))) {
            continue;
        }
        let key = format!("{key}/{}", group_key::of_matchers(&child.matchers));
        descend(child, &key, alert, takers);
        if !child.continues {
            break;
        }
    }
    if takers.len() == before {
        takers.push(Taker { route, key: key.to_owned() });
    }
}

/// A route tree that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoutingError {
    /// A route names a receiver that there is not.
    #[error("a route names the receiver \"{name}\", which is not among the receivers; add it or correct the name")]
    UnknownReceiver {
        /// The name.
        name: String,
    },
    /// Two receivers of one name.
    #[error("two receivers are named \"{name}\"; rename one")]
    ReceiverTwice {
        /// The name.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MatchOp;

    fn child(receiver: &str, label: &str, value: &str) -> Route {
        let matcher = Matcher::new(label, MatchOp::Match, value).unwrap();
        Route { matchers: vec![matcher], ..Route::new(receiver) }
    }

    #[test]
    fn an_alert_goes_down_the_tree() {
        let mut page = child("page", "severity", "page");
        page.routes.push(child("db", "team", "db"));
        let audit = Route { continues: true, ..child("audit", "severity", "page|ticket") };
        let root = Route { routes: vec![audit, page, child("never", "severity", "page")], ..Route::new("all") };
        let receivers = ["all", "page", "db", "audit", "never"]
            .map(|name| Receiver { name: name.to_owned(), webhooks: Vec::new() })
            .to_vec();
        let routing = Routing { route: root, receivers };
        routing.check().unwrap();
        let check = |labels: &[(&str, &str)], expected: &[(&str, &str)]| {
            let alert = Labels::new(labels.iter().copied()).unwrap();
            let takers = routing.takers(&alert);
            let got: Vec<_> = takers.iter().map(|t| (t.route.receiver.as_str(), t.key.as_str())).collect();
            assert_eq!(got, expected, "{alert}");
        };
        check(&[("severity", "info")], &[("all", "{}")]);
        check(&[("severity", "ticket")], &[("audit", "{}/{severity=~\"page|ticket\"}")]);
        check(
            &[("severity", "page")],
            &[("audit", "{}/{severity=~\"page|ticket\"}"), ("page", "{}/{severity=~\"page\"}")],
        );
        check(
            &[("severity", "page"), ("team", "db")],
            &[("audit", "{}/{severity=~\"page|ticket\"}"), ("db", "{}/{severity=~\"page\"}/{team=~\"db\"}")],
        );
    }

    #[test]
    fn names_are_checked() {
        let mut routing = Routing { route: Route::new("a"), receivers: vec![] };
        assert_eq!(routing.check(), Err(RoutingError::UnknownReceiver { name: "a".to_owned() }));
        let receiver = Receiver { name: "a".to_owned(), webhooks: vec![] };
        routing.receivers = vec![receiver.clone(), receiver];
        assert_eq!(routing.check(), Err(RoutingError::ReceiverTwice { name: "a".to_owned() }));
    }
}
