//! The server's life: bind, serve, drain.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::accept::accept_loop;
use super::router::router;
use super::state::ServerState;

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {reason}; choose another address, or stop what holds this one")]
pub struct BindError {
    address: SocketAddr,
    reason: std::io::Error,
}

/// Takes an address to listen on; port 0 lets the system choose.
///
/// # Errors
/// Another program listens there, or the address is not this machine's.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|reason| BindError { address, reason })
}

/// Serves until `shutdown` resolves and what was begun is finished or out of time.
///
/// The server answers at once, but is ready only after [`ServerState::ready`].
pub async fn serve(listener: TcpListener, state: ServerState, shutdown: impl Future<Output = ()> + Send) {
    let options = state.options().listen.clone();
    let counts = Arc::clone(state.connections());
    let stopping = state.clone();
    let shutdown = async move {
        shutdown.await;
        stopping.stop();
    };
    accept_loop(listener, options, router(state), counts, shutdown).await;
}
