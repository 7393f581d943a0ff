//! The request body of Alertmanager's `POST /api/v2/alerts`.

use crate::model::{Millis, Timestamp};

use super::json::Json;
use super::options::NotifyOptions;
use super::outbox::format::What;
use super::webhook::{Shown, generator_url};

/// How often a firing alert is sent again, as Prometheus does.
pub(super) const RESEND: Millis = Millis::minutes(1);

/// For how long the end of an alert is told again, as Prometheus does: an Alertmanager may have lost it.
pub(super) const ENDS_RESENT: Millis = Millis::minutes(15);

/// After how long without a resend Alertmanager takes a firing alert for resolved: as in Prometheus, four times what lies
/// between two sends or two evaluations of its rule.
fn valid_for(alert: &Shown<'_>, options: &NotifyOptions) -> Millis {
    let interval = options.intervals.get(alert.labels.get("alertname")).copied().unwrap_or(Millis::ZERO);
    Millis(interval.max(RESEND).0.saturating_mul(4))
}

/// The request's body.
pub(super) fn body(alerts: &[Shown<'_>], now: Timestamp, options: &NotifyOptions) -> Vec<u8> {
    let mut json = Json::new();
    json.array(|json| {
        for alert in alerts {
            let ends_at = match (alert.what, alert.ends_at) {
                (What::Resolved, Some(at)) => at,
                _ => now + valid_for(alert, options),
            };
            json.object(|json| {
                json.key("labels").labels(alert.labels);
                json.key("annotations").labels(alert.annotations);
                json.key("startsAt").string(&alert.starts_at.to_string());
                json.key("endsAt").string(&ends_at.to_string());
                json.key("generatorURL").string(&generator_url(&options.external_url, alert.expr));
            });
        }
    });
    json.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Labels;

    #[test]
    fn a_firing_alert_is_valid_for_four_evaluations_or_sends() {
        let check = |interval: Option<i64>, minutes: i64| {
            let labels = Labels::new([("alertname", "A")]).unwrap();
            let mut options = NotifyOptions::default();
            options.intervals.extend(interval.map(|seconds| ("A".to_owned(), Millis::seconds(seconds))));
            let (annotations, expr) = (Labels::empty(), "up == 0");
            let (what, starts_at, ends_at) = (What::Firing, Timestamp(0), None);
            let shown = Shown { what, labels: &labels, annotations: &annotations, starts_at, ends_at, expr };
            let body = String::from_utf8(body(&[shown], Timestamp(0), &options)).unwrap();
            let expected = format!("\"endsAt\":\"{}\"", Timestamp(0) + Millis::minutes(minutes));
            assert!(body.contains(&expected), "{body} has no {expected}");
        };
        check(None, 4);
        check(Some(15), 4);
        check(Some(300), 20);
    }
}
