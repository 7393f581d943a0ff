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

    /// Whether an alert with these labels, and others that are not known yet, can come to a receiver with an address.
    pub(super) fn can_reach(&self, known: &Labels) -> bool {
        self.leads_on(&self.route, known)
    }

    fn leads_on(&self, route: &Route, known: &Labels) -> bool {
        let mut taken = false;
        for child in &route.routes {
            let unknown = |matcher: &&Matcher| known.get(matcher.name()).is_empty();
            let (open, told): (Vec<&Matcher>, Vec<&Matcher>) = child.matchers.iter().partition(unknown);
            if !told.into_iter().all(|matcher| matcher.matches(known.get(matcher.name()))) {
                continue;
            }
            if self.leads_on(child, known) {
                return true;
            }
            // What a child takes for certain does not come to the route itself, nor to siblings if it keeps it.
            taken |= open.is_empty();
            if open.is_empty() && !child.continues {
                break;
            }
        }
        let addressed = |receiver: &Receiver| receiver.name == route.receiver && !receiver.webhooks.is_empty();
        !taken && self.receivers.iter().any(addressed)
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
    fn what_is_known_of_an_alert_tells_whether_it_can_reach_anybody() {
        let page = child("nobody", "severity", "page");
        let audit = Route { continues: true, ..child("nobody", "severity", "audit") };
        let mut ticket = child("nobody", "severity", "ticket");
        ticket.routes.push(child("on-call", "team", "db"));
        let root = Route {
            routes: vec![page, audit, ticket, child("on-call", "severity", "audit"), child("nobody", "team", "web")],
            ..Route::new("on-call")
        };
        let addressed = vec![crate::notify::Webhook::new("http://127.0.0.1:1/")];
        let receivers = vec![
            Receiver { name: "on-call".to_owned(), webhooks: addressed },
            Receiver { name: "nobody".to_owned(), webhooks: Vec::new() },
        ];
        let routing = Routing { route: root, receivers };
        let check = |labels: &[(&str, &str)], expected: bool| {
            let known = Labels::new(labels.iter().copied()).unwrap();
            assert_eq!(routing.can_reach(&known), expected, "{known}");
            // Whoever takes an alert for certain is reached.
            let certain = routing.takers(&known).iter().any(|taker| taker.route.receiver == "on-call");
            assert!(!certain || expected, "{known}");
        };
        check(&[], true);
        check(&[("severity", "info")], true);
        check(&[("severity", "page")], false);
        check(&[("severity", "audit")], true);
        // The team is not known: it may be the one for whom somebody is there.
        check(&[("severity", "ticket")], true);
        check(&[("severity", "ticket"), ("team", "web")], false);
        check(&[("severity", "info"), ("team", "web")], false);
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
