//! Alertmanager's webhook message, version 4.

use std::cmp::Ordering;

use crate::model::{Labels, Timestamp};

use super::fingerprint::fingerprint;
use super::json::Json;
use super::outbox::format::What;

/// An alert as a message shows it.
pub(super) struct Shown<'a> {
    pub(super) what: What,
    /// With the external labels.
    pub(super) labels: &'a Labels,
    pub(super) annotations: &'a Labels,
    pub(super) starts_at: Timestamp,
    pub(super) ends_at: Option<Timestamp>,
    pub(super) expr: &'a str,
}

/// What stands around the alerts.
pub(super) struct Envelope<'a> {
    pub(super) receiver: &'a str,
    pub(super) group_key: &'a str,
    pub(super) group_labels: &'a Labels,
    pub(super) external_url: &'a str,
    pub(super) max_alerts: usize,
    pub(super) reason: Reason,
}

/// Why the message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// Nothing of the group was known to fire.
    First,
    /// More of it fires.
    Added,
    /// Some of it is over, some is not.
    SomeResolved,
    /// It is over.
    AllResolved,
    /// Nothing new, said again.
    Repeat,
}

impl Reason {
    /// Alertmanager's words for it, since its version 0.33.
    fn as_str(self) -> &'static str {
        match self {
            Reason::First => "first notification",
            Reason::Added => "new alerts added",
            Reason::SomeResolved => "some alerts resolved",
            Reason::AllResolved => "all alerts resolved",
            Reason::Repeat => "repeat interval elapsed",
        }
    }
}

/// The time that Go prints for none.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// The message's body. `alerts` is not empty; those beyond `max_alerts` are counted and left out.
pub(super) fn message(envelope: &Envelope<'_>, mut alerts: Vec<Shown<'_>>) -> Vec<u8> {
    let keep = if envelope.max_alerts == 0 { alerts.len() } else { envelope.max_alerts.min(alerts.len()) };
    let truncated = alerts.len() - keep;
    alerts.sort_by(shown_order);
    if truncated > 0 {
        // What still fires is the last to be left out.
        alerts.sort_by_key(|alert| alert.what == What::Resolved);
        alerts.truncate(keep);
        alerts.sort_by(shown_order);
    }
    let status = if alerts.iter().any(|alert| alert.what == What::Firing) { "firing" } else { "resolved" };
    let mut json = Json::new();
    json.object(|json| {
        json.key("receiver").string(envelope.receiver);
        json.key("status").string(status);
        json.key("alerts").array(|json| {
            for alert in &alerts {
                write_alert(json, alert, envelope.external_url);
            }
        });
        json.key("notification_reason").string(envelope.reason.as_str());
        json.key("groupLabels").labels(envelope.group_labels);
        json.key("commonLabels").labels(&common(alerts.iter().map(|alert| alert.labels)));
        json.key("commonAnnotations").labels(&common(alerts.iter().map(|alert| alert.annotations)));
        json.key("externalURL").string(envelope.external_url);
        json.key("version").string("4");
        json.key("groupKey").string(envelope.group_key);
        json.key("truncatedAlerts").number(truncated as u64);
    });
    json.into_bytes()
}

/// Alertmanager's order: by job, then by instance, those without one last; then those with fewer
/// labels, then label by label.
fn shown_order(a: &Shown<'_>, b: &Shown<'_>) -> Ordering {
    let (a, b) = (a.labels, b.labels);
    let by = |name| (a.get(name).is_empty(), a.get(name)).cmp(&(b.get(name).is_empty(), b.get(name)));
    by("job").then_with(|| by("instance")).then_with(|| a.len().cmp(&b.len())).then_with(|| a.cmp(b))
}

/// A time as Go prints it: no zeros at the fraction's end.
fn go_time(at: Timestamp) -> String {
    let text = at.to_string();
    match text.strip_suffix('Z') {
        Some(digits) => format!("{}Z", digits.trim_end_matches('0').trim_end_matches('.')),
        None => text,
    }
}

fn write_alert(json: &mut Json, alert: &Shown<'_>, external_url: &str) {
    json.object(|json| {
        json.key("status").string(match alert.what {
            What::Firing => "firing",
            What::Resolved => "resolved",
        });
        json.key("labels").labels(alert.labels);
        json.key("annotations").labels(alert.annotations);
        json.key("startsAt").string(&go_time(alert.starts_at));
        match (alert.what, alert.ends_at) {
            (What::Resolved, Some(at)) => json.key("endsAt").string(&go_time(at)),
            _ => json.key("endsAt").string(NO_TIME),
        };
        json.key("generatorURL").string(&generator_url(external_url, alert.expr));
        json.key("fingerprint").string(&format!("{:016x}", fingerprint(alert.labels)));
    });
}

/// The address of the expression's graph, as Prometheus writes it.
pub(super) fn generator_url(external_url: &str, expr: &str) -> String {
    let mut url = format!("{external_url}/graph?g0.expr=");
    for byte in expr.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => url.push(char::from(byte)),
            b' ' => url.push('+'),
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url.push_str("&g0.tab=1");
    url
}

/// The pairs that all sets share.
fn common<'a>(sets: impl Iterator<Item = &'a Labels>) -> Labels {
    sets.fold(None, |shared: Option<Labels>, set| {
        Some(match shared {
            None => set.clone(),
            Some(shared) => shared.filter(|name| set.get(name) == shared.get(name)),
        })
    })
    .unwrap_or_else(Labels::empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::new(pairs.iter().copied()).unwrap()
    }

    fn shown<'a>(what: What, labels: &'a Labels, annotations: &'a Labels) -> Shown<'a> {
        let (starts_at, ends_at) = (Timestamp(1000), Some(Timestamp(2500)));
        Shown { what, labels, annotations, starts_at, ends_at, expr: "up == 0" }
    }

    #[test]
    fn the_message_is_alertmanagers_version_4() {
        let (a, b) = (labels(&[("alertname", "Down"), ("job", "a")]), labels(&[("alertname", "Down"), ("job", "b")]));
        let (text, other) = (labels(&[("summary", "<down>"), ("x", "1")]), labels(&[("summary", "<down>")]));
        let alerts =
            vec![shown(What::Resolved, &b, &other), shown(What::Firing, &a, &text), shown(What::Resolved, &b, &other)];
        let group = labels(&[("alertname", "Down")]);
        let envelope = Envelope {
            receiver: "team",
            group_key: "{}:{alertname=\"Down\"}",
            group_labels: &group,
            external_url: "http://m:9090",
            max_alerts: 2,
            reason: Reason::SomeResolved,
        };
        let expected = concat!(
            r#"{"receiver":"team","status":"firing","alerts":["#,
            r#"{"status":"firing","labels":{"alertname":"Down","job":"a"},"annotations":{"summary":"\u003cdown\u003e","x":"1"},"#,
            r#""startsAt":"1970-01-01T00:00:01Z","endsAt":"0001-01-01T00:00:00Z","#,
            r#""generatorURL":"http://m:9090/graph?g0.expr=up+%3D%3D+0\u0026g0.tab=1","fingerprint":"FP_A"},"#,
            r#"{"status":"resolved","labels":{"alertname":"Down","job":"b"},"annotations":{"summary":"\u003cdown\u003e"},"#,
            r#""startsAt":"1970-01-01T00:00:01Z","endsAt":"1970-01-01T00:00:02.5Z","#,
            r#""generatorURL":"http://m:9090/graph?g0.expr=up+%3D%3D+0\u0026g0.tab=1","fingerprint":"FP_B"}],"#,
            r#""notification_reason":"some alerts resolved","#,
            r#""groupLabels":{"alertname":"Down"},"commonLabels":{"alertname":"Down"},"#,
            r#""commonAnnotations":{"summary":"\u003cdown\u003e"},"externalURL":"http://m:9090","version":"4","#,
            r#""groupKey":"{}:{alertname=\"Down\"}","truncatedAlerts":1}"#,
        )
        .replace("FP_A", &format!("{:016x}", fingerprint(&a)))
        .replace("FP_B", &format!("{:016x}", fingerprint(&b)));
        assert_eq!(String::from_utf8(message(&envelope, alerts)).unwrap(), expected);
    }

    #[test]
    fn alerts_stand_in_alertmanagers_order_and_firing_ones_are_kept() {
        let sets = [
            labels(&[("job", "a"), ("instance", "1"), ("z", "1")]),
            labels(&[("job", "a"), ("instance", "2")]),
            labels(&[("job", "a"), ("instance", "2"), ("b", "1")]),
            labels(&[("job", "a"), ("instance", "2"), ("b", "2")]),
            labels(&[("job", "a"), ("a", "0")]),
            labels(&[("instance", "0"), ("a", "0")]),
        ];
        let empty = Labels::empty();
        let order = |what: [What; 6], max_alerts| {
            let alerts = (sets.iter().zip(what)).rev().map(|(set, what)| shown(what, set, &empty)).collect();
            let envelope = Envelope {
                receiver: "",
                group_key: "",
                group_labels: &empty,
                external_url: "",
                max_alerts,
                reason: Reason::First,
            };
            let text = String::from_utf8(message(&envelope, alerts)).unwrap();
            let mut places: Vec<(usize, usize)> = (sets.iter().enumerate())
                .filter_map(|(i, set)| Some((text.find(&format!("{:016x}", fingerprint(set)))?, i)))
                .collect();
            places.sort();
            places.into_iter().map(|(_, i)| i).collect::<Vec<_>>()
        };
        let (f, r) = (What::Firing, What::Resolved);
        assert_eq!(order([f, r, f, r, f, r], 0), [0, 1, 2, 3, 4, 5]);
        assert_eq!(order([r, r, f, r, f, f], 4), [0, 2, 4, 5]);
    }
}
