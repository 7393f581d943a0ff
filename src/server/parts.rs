//! Bodies that are written part by part while their peer takes them.
//!
//! Invariants:
//! - At most one part is in memory beside what it is written from.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame};

/// How much text is written before the peer gets it: large enough that framing does not show, small
/// enough that writing one part does not hold up other requests.
pub(super) const PART_BYTES: usize = 64 * 1024;

/// Something that is written in parts.
pub(super) trait Parts: Send + Unpin + 'static {
    /// The next part, or `None` after the last.
    fn next_part(&mut self) -> Option<Vec<u8>>;
}

/// A body of parts.
pub(super) fn body_of(parts: impl Parts) -> Body {
    Body::new(PartsBody(parts))
}

struct PartsBody<P>(P);

impl<P: Parts> HttpBody for PartsBody<P> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.next_part().map(|part| Ok(Frame::data(Bytes::from(part)))))
    }
}
