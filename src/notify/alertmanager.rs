//! The request body of Alertmanager's `POST /api/v2/alerts`.

use crate::model::{Millis, Timestamp};

use super::json::Json;
use super::outbox::format::What;
use super::webhook::{Shown, generator_url};

/// How often a firing alert is sent again, as Prometheus does.
pub(super) const RESEND: Millis = Millis::minutes(1);

/// For how long the end of an alert is told again, as Prometheus does: an Alertmanager may have lost it.
pub(super) const ENDS_RESENT: Millis = Millis::minutes(15);

/// After how long without a resend Alertmanager takes a firing alert for resolved.
const VALID: Millis = Millis(4 * RESEND.0);

/// The request's body.
pub(super) fn body(alerts: &[Shown<'_>], now: Timestamp, external_url: &str) -> Vec<u8> {
    let mut json = Json::new();
    json.array(|json| {
        for alert in alerts {
            let ends_at = match (alert.what, alert.ends_at) {
                (What::Resolved, Some(at)) => at,
                _ => now + VALID,
            };
            json.object(|json| {
                json.key("labels").labels(alert.labels);
                json.key("annotations").labels(alert.annotations);
                json.key("startsAt").string(&alert.starts_at.to_string());
                json.key("endsAt").string(&ends_at.to_string());
                json.key("generatorURL").string(&generator_url(external_url, alert.expr));
            });
        }
    });
    json.into_bytes()
}
