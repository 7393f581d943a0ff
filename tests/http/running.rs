//! A server for one test, on a port that the system chose.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use evenkeel::env::{ManualClock, RealHost};
use evenkeel::server::{Doors, NoSetup, NoTargets, ServerOptions, ServerState, bind, serve};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The instant at which every test's clock stands.
pub(crate) const NOW_MS: i64 = 1_795_446_202_000;

/// A server; ends with the test's runtime, or by [`Running::stop`].
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) state: ServerState,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// A server without a database.
    pub(crate) async fn start(options: ServerOptions) -> Running {
        Running::at(Arc::new(ManualClock::new(NOW_MS)), options).await
    }

    /// The same, by this clock.
    pub(crate) async fn at(clock: Arc<ManualClock>, options: ServerOptions) -> Running {
        let doors = Doors {
            targets: Arc::new(NoTargets),
            reload: None,
            clock,
            host: Arc::new(RealHost),
            setup: Arc::new(NoSetup),
        };
        Running::with(ServerState::new(doors, options)).await
    }

    pub(crate) async fn with(state: ServerState) -> Running {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(serve(listener, state.clone(), async move {
            let _ = stopped.await;
        }));
        Running { address, state, stop, task }
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.unwrap();
    }
}

/// Limits so short that a test meets them in no time.
pub(crate) fn impatient() -> ServerOptions {
    let mut options = ServerOptions::default();
    options.listen.header_timeout = Duration::from_millis(80);
    options.listen.idle_timeout = Duration::from_millis(160);
    options.body.pause = Duration::from_millis(80);
    options.body.total = Duration::from_millis(400);
    options
}
