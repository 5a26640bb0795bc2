//! A server on threads of its own, from its first connection to its last. tokio begins and ends here.

use std::net::TcpListener;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::warn;

use super::connections::Server;

/// A server that runs.
pub(super) struct Serving {
    tokio: Runtime,
    say_stop: watch::Sender<bool>,
    running: JoinHandle<()>,
    drain: Duration,
}

impl Serving {
    /// Serves what comes to `listener`.
    pub fn begin(server: Server, listener: TcpListener, threads: usize) -> std::io::Result<Serving> {
        listener.set_nonblocking(true)?;
        let tokio =
            Builder::new_multi_thread().worker_threads(threads).thread_name("http").enable_all().build()?;
        let (say_stop, stopping) = watch::channel(false);
        let drain = server.timeouts.drain + Duration::from_secs(1);
        let listener = tokio.block_on(async { tokio::net::TcpListener::from_std(listener) })?;
        let running = tokio.spawn(server.run(listener, stopping));
        Ok(Serving { tokio, say_stop, running, drain })
    }

    /// Takes no more requests and waits for those in flight. The threads live on until `end`.
    pub fn drain(&mut self) {
        let _ = self.say_stop.send(true);
        let running = &mut self.running;
        if self.tokio.block_on(async { timeout(self.drain, running).await }).is_err() {
            warn!("some clients did not take their answers in time");
        }
    }

    /// Ends the threads.
    pub fn end(self) {
        self.tokio.shutdown_timeout(Duration::from_secs(1));
    }
}
