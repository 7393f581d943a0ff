//! The accept loop: takes connections, bounds them, and ends them in good order.
//!
//! Invariants:
//! - No peer holds a connection without progress: the first request, each header, each pause
//!   between requests and each unread answer has a time limit.
//! - At most `connections_max` connections are open; one more is told so and closed.
//! - After the shutdown signal nothing new is taken, requests in flight may finish within `drain`.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::model::limits;

use super::guard::{GuardedStream, InFlight, Requests};

/// How long peers may take and how many there may be.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// Connections that may be open at once.
    pub connections_max: usize,
    /// Time for the first bytes of a connection and for each request's header.
    pub header_timeout: Duration,
    /// Time that a connection may rest between requests.
    pub idle_timeout: Duration,
    /// Time for a peer to take the next part of an answer.
    pub write_timeout: Duration,
    /// Time for requests in flight to finish after the shutdown signal.
    pub drain: Duration,
}

impl Default for ListenOptions {
    fn default() -> ListenOptions {
        ListenOptions {
            connections_max: limits::CONNECTIONS_MAX,
            header_timeout: limits::HEADER_TIMEOUT.to_std(),
            idle_timeout: limits::IDLE_TIMEOUT.to_std(),
            write_timeout: limits::WRITE_TIMEOUT.to_std(),
            drain: limits::DRAIN_TIMEOUT.to_std(),
        }
    }
}

/// The address of the peer, in a request's extensions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// What the accept loop has counted.
#[derive(Debug, Default)]
pub(super) struct ConnectionCounts {
    pub(super) open: AtomicUsize,
    pub(super) accepted: AtomicU64,
    pub(super) refused: AtomicU64,
}

/// Takes connections until `shutdown` resolves, then drains them.
pub(super) async fn accept_loop(
    listener: TcpListener,
    options: ListenOptions,
    router: Router,
    counts: Arc<ConnectionCounts>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let permits = Arc::new(Semaphore::new(options.connections_max));
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(pair) => pair,
            Err(error) => {
                // Usually too many open files: accepting again at once would spin.
                tracing::warn!(%error, "a connection could not be accepted; trying again");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        counts.accepted.fetch_add(1, Ordering::Relaxed);
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            counts.refused.fetch_add(1, Ordering::Relaxed);
            refuse(&stream);
            continue;
        };
        let connection = Connection {
            options: options.clone(),
            router: router.clone(),
            peer,
            open: Open::new(&counts, permit),
            stopped: stopped.clone(),
        };
        connections.spawn(connection.run(stream));
    }
    drop(listener);
    stop.send_replace(true);
    let drained = tokio::time::timeout(options.drain, async { while connections.join_next().await.is_some() {} });
    if drained.await.is_err() {
        tracing::warn!(left = connections.len(), "connections did not finish in time and were cut");
        connections.shutdown().await;
    }
}

/// Tells a peer that there are too many connections. Best effort: it must not cost a wait.
fn refuse(stream: &TcpStream) {
    const TEXT: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 46\r\nRetry-After: 1\r\nConnection: close\r\n\r\ntoo many connections are open; try again later";
    let _ = stream.try_write(TEXT);
}

/// One open connection's place in the counts.
struct Open {
    counts: Arc<ConnectionCounts>,
    _permit: OwnedSemaphorePermit,
}

impl Open {
    fn new(counts: &Arc<ConnectionCounts>, permit: OwnedSemaphorePermit) -> Open {
        counts.open.fetch_add(1, Ordering::Relaxed);
        Open { counts: Arc::clone(counts), _permit: permit }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.counts.open.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Connection {
    options: ListenOptions,
    router: Router,
    peer: SocketAddr,
    open: Open,
    stopped: watch::Receiver<bool>,
}

impl Connection {
    async fn run(mut self, stream: TcpStream) {
        // Answers are written whole; waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        let requests = Arc::new(Requests::default());
        let guarded =
            GuardedStream::new(stream, Arc::clone(&requests), self.options.header_timeout, self.options.write_timeout);
        let io = TokioIo::new(guarded);
        let service = Service { router: self.router.clone(), peer: self.peer, requests: Arc::clone(&requests) };
        let builder = http_builder(&self.options);
        let mut connection = pin!(builder.serve_connection(io, hyper::service::service_fn(move |r| service.call(r))));
        let mut watcher = pin!(idle(&self.options, &requests));
        let mut stopping = false;
        loop {
            tokio::select! {
                _ = connection.as_mut() => break,
                ended = watcher.as_mut(), if !stopping => match ended {
                    Idle::NeverAsked => break,
                    Idle::Resting => {
                        stopping = true;
                        connection.as_mut().graceful_shutdown();
                    }
                },
                _ = self.stopped.wait_for(|stop| *stop), if !stopping => {
                    stopping = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
        drop(self.open);
    }
}

fn http_builder(options: &ListenOptions) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.idle_timeout.max(options.header_timeout))
        .max_headers(limits::HEADERS_MAX)
        .max_buf_size(limits::HEADER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::HTTP2_STREAMS_MAX)
        .max_header_list_size(limits::HTTP2_HEADER_BYTES_MAX)
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(128)
        .max_send_buf_size(256 * 1024);
    builder
}

enum Idle {
    NeverAsked,
    Resting,
}

/// Resolves when the peer has not finished a first header in time, or rests for too long.
async fn idle(options: &ListenOptions, requests: &Requests) -> Idle {
    tokio::time::sleep(options.header_timeout).await;
    let mut seen = requests.begun();
    if seen == 0 {
        return Idle::NeverAsked;
    }
    loop {
        tokio::time::sleep(options.idle_timeout).await;
        let begun = requests.begun();
        if begun == seen && requests.resting() {
            return Idle::Resting;
        }
        seen = begun;
    }
}

/// The router, with what the connection adds to each request.
#[derive(Clone)]
struct Service {
    router: Router,
    peer: SocketAddr,
    requests: Arc<Requests>,
}

impl Service {
    fn call(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Counted>, Infallible>> + Send + use<> {
        let guard = InFlight::begin(&self.requests);
        let router = self.router.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Peer(self.peer));
        async move {
            let response = router.oneshot(request).await?;
            Ok(response.map(|body| Counted { body, _guard: guard }))
        }
    }
}

/// A body that holds its request in flight until it is written or dropped.
struct Counted {
    body: Body,
    _guard: InFlight,
}

impl HttpBody for Counted {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
