//! Turns a panic in a handler into an answer, so that one request's bug is not everyone's.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::envelope::ApiError;

/// Middleware: a panic below becomes 500.
pub(super) async fn catch(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut answer = Box::pin(next.run(request));
    // A handler that panicked is dropped and never polled again, so what it left half-done in
    // its own frame is not seen by anyone.
    let caught =
        std::future::poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(context))) {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        });
    match caught.await {
        Ok(response) => response,
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            tracing::error!(path, text, "a request handler panicked");
            ApiError::internal("this request met a bug; the server goes on").into_response()
        }
    }
}
