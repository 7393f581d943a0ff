//! Who is told: the webhooks of a receiver, and the Alertmanagers that alerts are handed to.

use crate::model::Millis;
use std::fmt;

use super::secret::Secret;

/// A named receiver of Alertmanager's configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Receiver {
    /// Its name; routes refer to it.
    pub name: String,
    /// Where its messages go. A receiver without any takes alerts and tells nobody.
    pub webhooks: Vec<Webhook>,
}

/// An address that takes Alertmanager's webhook message, version 4.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// The address; secret because many services put their token into it.
    pub url: Secret,
    /// How long one attempt may take.
    pub timeout: Millis,
    /// Alerts in one message; `0` means no bound.
    pub max_alerts: usize,
    /// Whether the end of an alert is told too.
    pub send_resolved: bool,
    /// How it is authenticated.
    pub authorization: Authorization,
    /// Further headers.
    pub headers: Vec<(String, Secret)>,
}

impl Webhook {
    /// A webhook with Alertmanager's defaults: resolved alerts are sent, every alert is in the message.
    pub fn new(url: &str) -> Webhook {
        Webhook {
            url: Secret::new(url),
            timeout: Millis::seconds(10),
            max_alerts: 0,
            send_resolved: true,
            authorization: Authorization::None,
            headers: Vec::new(),
        }
    }
}

/// An Alertmanager of `prometheus.yml` that alerts are handed to.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertmanagerTarget {
    /// Scheme, address and path prefix, without `/api/v2/alerts`.
    pub url: String,
    /// How long one attempt may take.
    pub timeout: Millis,
    /// How it is authenticated.
    pub authorization: Authorization,
    /// Further headers.
    pub headers: Vec<(String, Secret)>,
}

impl AlertmanagerTarget {
    /// The Alertmanager at `url`, with Prometheus' timeout of ten seconds.
    pub fn new(url: &str) -> AlertmanagerTarget {
        AlertmanagerTarget {
            url: url.trim_end_matches('/').to_owned(),
            timeout: Millis::seconds(10),
            authorization: Authorization::None,
            headers: Vec::new(),
        }
    }
}

/// What the `Authorization` header says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Authorization {
    /// There is none.
    #[default]
    None,
    /// A user name and a password (RFC 7617).
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A scheme and its credentials, mostly `Bearer` and a token.
    Credentials {
        /// The scheme.
        scheme: String,
        /// What follows it.
        credentials: Secret,
    },
}

impl Authorization {
    /// The header's value.
    pub fn header(&self) -> Option<String> {
        match self {
            Authorization::None => None,
            Authorization::Basic { username, password } => {
                Some(format!("Basic {}", base64(format!("{username}:{}", password.reveal()).as_bytes())))
            }
            Authorization::Credentials { scheme, credentials } => Some(format!("{scheme} {}", credentials.reveal())),
        }
    }
}

/// Standard Base64 with padding (RFC 4648 §4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit) & 0x3f) as usize;
            out.push(if digit <= three.len() { char::from(DIGITS[index]) } else { '=' });
        }
    }
    out
}

/// An address without user, path and query: what may be shown of it.
pub(super) struct Shown<'a>(pub(super) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", self.0));
        let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let host = host.rsplit('@').next().unwrap_or(host);
        if scheme.is_empty() { f.write_str(host) } else { write!(f, "{scheme}://{host}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_follows_the_test_vectors_of_rfc_4648() {
        let check = |text: &str, expected: &str| assert_eq!(base64(text.as_bytes()), expected);
        check("", "");
        check("f", "Zg==");
        check("fo", "Zm8=");
        check("foo", "Zm9v");
        check("foob", "Zm9vYg==");
        check("fooba", "Zm9vYmE=");
        check("foobar", "Zm9vYmFy");
    }

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        let check = |url: &str, expected: &str| assert_eq!(Shown(url).to_string(), expected);
        check("https://u:p@hooks.example.com/T0/B0/token?x=1", "https://hooks.example.com");
        check("http://127.0.0.1:9093", "http://127.0.0.1:9093");
        check("nonsense", "nonsense");
    }
}
