//! Alertmanager's webhook message, version 4.

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
}

/// The time that Go prints for none.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// The message's body. `alerts` is not empty; those beyond `max_alerts` are counted and left out.
pub(super) fn message(envelope: &Envelope<'_>, alerts: &[Shown<'_>]) -> Vec<u8> {
    let keep = if envelope.max_alerts == 0 { alerts.len() } else { envelope.max_alerts.min(alerts.len()) };
    let (alerts, truncated) = alerts.split_at(keep);
    let status = if alerts.iter().any(|alert| alert.what == What::Firing) { "firing" } else { "resolved" };
    let mut json = Json::new();
    json.object(|json| {
        json.key("receiver").string(envelope.receiver);
        json.key("status").string(status);
        json.key("alerts").array(|json| {
            for alert in alerts {
                write_alert(json, alert, envelope.external_url);
            }
        });
        json.key("groupLabels").labels(envelope.group_labels);
        json.key("commonLabels").labels(&common(alerts.iter().map(|alert| alert.labels)));
        json.key("commonAnnotations").labels(&common(alerts.iter().map(|alert| alert.annotations)));
        json.key("externalURL").string(envelope.external_url);
        json.key("version").string("4");
        json.key("groupKey").string(envelope.group_key);
        json.key("truncatedAlerts").number(truncated.len() as u64);
    });
    json.into_bytes()
}

fn write_alert(json: &mut Json, alert: &Shown<'_>, external_url: &str) {
    json.object(|json| {
        json.key("status").string(match alert.what {
            What::Firing => "firing",
            What::Resolved => "resolved",
        });
        json.key("labels").labels(alert.labels);
        json.key("annotations").labels(alert.annotations);
        json.key("startsAt").string(&alert.starts_at.to_string());
        match (alert.what, alert.ends_at) {
            (What::Resolved, Some(at)) => json.key("endsAt").string(&at.to_string()),
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

    #[test]
    fn the_message_is_alertmanagers_version_4() {
        let (a, b) = (labels(&[("alertname", "Down"), ("job", "a")]), labels(&[("alertname", "Down"), ("job", "b")]));
        let (text, other) = (labels(&[("summary", "down"), ("x", "1")]), labels(&[("summary", "down")]));
        let shown = |what, labels, annotations| Shown {
            what,
            labels,
            annotations,
            starts_at: Timestamp(1000),
            ends_at: Some(Timestamp(2500)),
            expr: "up == 0",
        };
        let alerts =
            [shown(What::Firing, &a, &text), shown(What::Resolved, &b, &other), shown(What::Resolved, &a, &other)];
        let group = labels(&[("alertname", "Down")]);
        let envelope = Envelope {
            receiver: "team",
            group_key: "{}:{alertname=\"Down\"}",
            group_labels: &group,
            external_url: "http://m:9090",
            max_alerts: 2,
        };
        let expected = concat!(
            r#"{"receiver":"team","status":"firing","alerts":["#,
            r#"{"status":"firing","labels":{"alertname":"Down","job":"a"},"annotations":{"summary":"down","x":"1"},"#,
            r#""startsAt":"1970-01-01T00:00:01.000Z","endsAt":"0001-01-01T00:00:00Z","#,
            r#""generatorURL":"http://m:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1","fingerprint":"FP_A"},"#,
            r#"{"status":"resolved","labels":{"alertname":"Down","job":"b"},"annotations":{"summary":"down"},"#,
            r#""startsAt":"1970-01-01T00:00:01.000Z","endsAt":"1970-01-01T00:00:02.500Z","#,
            r#""generatorURL":"http://m:9090/graph?g0.expr=up+%3D%3D+0&g0.tab=1","fingerprint":"FP_B"}],"#,
            r#""groupLabels":{"alertname":"Down"},"commonLabels":{"alertname":"Down"},"#,
            r#""commonAnnotations":{"summary":"down"},"externalURL":"http://m:9090","version":"4","#,
            r#""groupKey":"{}:{alertname=\"Down\"}","truncatedAlerts":1}"#,
        )
        .replace("FP_A", &format!("{:016x}", fingerprint(&a)))
        .replace("FP_B", &format!("{:016x}", fingerprint(&b)));
        assert_eq!(String::from_utf8(message(&envelope, &alerts)).unwrap(), expected);
    }
}
