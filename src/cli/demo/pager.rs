//! The receiver of the demo: takes webhooks on a port of loopback and notes when they came.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use tokio::sync::mpsc;

use crate::env::Clock;

/// Pages that may wait to be told; more than a demo ever sends.
const PAGES_MAX: usize = 256;

/// One alert of a webhook that arrived.
#[derive(Debug, Clone)]
pub(super) struct Page {
    /// Real time of its arrival.
    pub(super) arrived: Duration,
    /// Whether the alert is firing, and not resolved.
    pub(super) firing: bool,
    /// What the page says.
    pub(super) summary: String,
    /// The service that it is about.
    pub(super) service: String,
    /// `page` or `ticket`.
    pub(super) severity: String,
    /// When the alert fired, as the page says it.
    pub(super) starts_at: String,
}

/// Listens for pages.
pub(super) struct Pager {
    pub(super) address: SocketAddr,
    pub(super) pages: mpsc::Receiver<Page>,
}

#[derive(Clone)]
struct Inbox {
    clock: Arc<dyn Clock>,
    sender: mpsc::Sender<Page>,
}

impl Pager {
    pub(super) async fn listen(clock: Arc<dyn Clock>) -> anyhow::Result<Pager> {
        let (sender, pages) = mpsc::channel(PAGES_MAX);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/page", post(take)).with_state(Inbox { clock, sender });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Pager { address, pages })
    }
}

async fn take(State(inbox): State<Inbox>, body: String) {
    let arrived = inbox.clock.elapsed();
    let json: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    for alert in json["alerts"].as_array().into_iter().flatten() {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let page = Page {
            arrived,
            firing: alert["status"] == "firing",
            summary: text(&alert["annotations"]["summary"]),
            service: text(&alert["labels"]["service"]),
            severity: text(&alert["labels"]["severity"]),
            starts_at: text(&alert["startsAt"]),
        };
        // A demo that is over takes no more pages.
        let _ = inbox.sender.try_send(page);
    }
}
