//! `notifications`: what the server has to say of itself, as a list and as a stream of events.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};
use tokio::sync::mpsc::Receiver;

use crate::server::envelope::success;
use crate::server::state::ServerState;

/// `GET /api/v1/notifications`
pub(super) async fn list(State(state): State<ServerState>) -> Response {
    success(state.notifications().list())
}

/// `GET /api/v1/notifications/live`: server-sent events; 204 if too many peers follow already, as in
/// Prometheus.
pub(super) async fn live(State(state): State<ServerState>) -> Response {
    match state.notifications().follow() {
        Some(events) => ([(header::CONTENT_TYPE, "text/event-stream")], Body::new(Events(events))).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

struct Events(Receiver<Bytes>);

impl HttpBody for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|event| event.map(|event| Ok(Frame::data(event))))
    }
}
