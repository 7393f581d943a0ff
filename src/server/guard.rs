//! A peer's stream with time limits that hyper does not keep.
//!
//! Invariants:
//! - A header that has begun is whole within its limit. (hyper's one limit covers the pause
//!   between requests too, where more patience is due.)
//! - An answer is taken bit by bit: any byte written restarts the clock, so a slow but living
//!   reader is served.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// The requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Requests {
    begun: AtomicU64,
    in_flight: AtomicUsize,
}

impl Requests {
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    pub(super) fn resting(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) == 0
    }
}

/// Counts a request as in flight until its answer is written or given up.
pub(super) struct InFlight(Arc<Requests>);

impl InFlight {
    pub(super) fn begin(requests: &Arc<Requests>) -> InFlight {
        requests.begun.fetch_add(1, Ordering::Relaxed);
        requests.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(requests))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the bytes of a connection turned out to be.
#[derive(PartialEq)]
enum Protocol {
    Unknown,
    Http1,
    Http2,
}

/// A stream that gives up on a peer that does not go on.
pub(super) struct GuardedStream {
    stream: TcpStream,
    requests: Arc<Requests>,
    protocol: Protocol,
    header_timeout: Duration,
    /// Runs while a header is incomplete; with the requests begun before it.
    header: Option<(u64, Pin<Box<Sleep>>)>,
    write_timeout: Duration,
    /// Runs while a write waits for the peer.
    write: Option<Pin<Box<Sleep>>>,
}

impl GuardedStream {
    pub(super) fn new(
        stream: TcpStream,
        requests: Arc<Requests>,
        header_timeout: Duration,
        write_timeout: Duration,
    ) -> GuardedStream {
        GuardedStream {
            stream,
            requests,
            protocol: Protocol::Unknown,
            header_timeout,
            header: None,
            write_timeout,
            write: None,
        }
    }

    fn note_bytes(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.protocol == Protocol::Unknown {
            self.protocol = if bytes.starts_with(b"PRI") { Protocol::Http2 } else { Protocol::Http1 };
        }
        if self.protocol == Protocol::Http1 && self.header.is_none() && self.requests.resting() {
            self.header = Some((self.requests.begun(), Box::pin(sleep(self.header_timeout))));
        }
    }

    fn poll_header(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some((before, limit)) = &mut self.header else { return Ok(()) };
        if self.requests.begun() != *before {
            self.header = None;
            return Ok(());
        }
        match limit.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::TimedOut, "the header did not arrive in time")),
            Poll::Pending => Ok(()),
        }
    }

    fn watch_write<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.write = None;
            return polled;
        }
        let timeout = self.write_timeout;
        match self.write.get_or_insert_with(|| Box::pin(sleep(timeout))).as_mut().poll(context) {
            Poll::Ready(()) => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not take its answer")))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_header(context)?;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.note_bytes(&buffer.filled()[before..]);
        polled
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch_write(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.watch_write(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
