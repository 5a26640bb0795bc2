//! Connections: accepted up to a number, bounded in time, and let go when the gateway stops.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use prometheus::IntGauge;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use super::Timeouts;

/// What every connection is served with.
pub(super) struct Server {
    pub router: Router,
    pub tls: Option<TlsAcceptor>,
    pub timeouts: Timeouts,
    pub max_connections: usize,
    pub connections: IntGauge,
}

/// The largest head of a request, and what is read of a body at once.
const BUFFER_BYTES: usize = 64 << 10;
/// How long accepting rests when the system gives no more connections.
const REST: std::time::Duration = std::time::Duration::from_millis(100);

impl Server {
    /// Accepts until `stopping` says so, then waits for the connections to finish what they are at.
    pub async fn run(self, listener: TcpListener, mut stopping: watch::Receiver<bool>) {
        let server = Arc::new(self);
        let seats = Arc::new(Semaphore::new(server.max_connections));
        let mut open = JoinSet::new();
        loop {
            // Who finds no seat waits in the system's queue.
            let accepted = async {
                let seat = seats.clone().acquire_owned().await;
                (seat, listener.accept().await)
            };
            let (seat, accepted) = tokio::select! {
                biased;
                () = told(&mut stopping) => break,
                accepted = accepted => accepted,
            };
            while open.try_join_next().is_some() {}
            match accepted {
                Ok((socket, peer)) => {
                    let (server, stopping) = (server.clone(), stopping.clone());
                    open.spawn(async move {
                        server.connections.inc();
                        let _ = socket.set_nodelay(true);
                        server.greet(socket, peer, stopping).await;
                        server.connections.dec();
                        drop(seat);
                    });
                }
                Err(error) => {
                    warn!("cannot accept a connection: {error}");
                    sleep(REST).await;
                }
            }
        }
        drop(listener);
        while open.join_next().await.is_some() {}
    }

    async fn greet(&self, socket: TcpStream, peer: SocketAddr, stopping: watch::Receiver<bool>) {
        match &self.tls {
            None => self.serve(socket, peer, stopping).await,
            Some(tls) => match timeout(self.timeouts.handshake, tls.accept(socket)).await {
                Ok(Ok(secure)) => self.serve(secure, peer, stopping).await,
                Ok(Err(error)) => debug!("TLS with {peer}: {error}"),
                Err(_) => debug!("TLS with {peer}: too slow"),
            },
        }
    }

    /// Serves one connection, for as long as a connection may last: so one that reads no answers is let go too.
    async fn serve(
        &self,
        io: impl AsyncRead + AsyncWrite + Unpin,
        peer: SocketAddr,
        mut stopping: watch::Receiver<bool>,
    ) {
        let closing = watch::Sender::new(false);
        let service = WithPeer {
            router: TowerToHyperService::new(self.router.clone()),
            peer: peer.to_string().into(),
            closing: closing.subscribe(),
        };
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.timeouts.header)
            .max_buf_size(BUFFER_BYTES)
            // Who has sent all and says so still waits for the answer.
            .half_close(true)
            .serve_connection(TokioIo::new(io), service);
        let mut connection = pin!(connection);
        let mut old = pin!(sleep(self.timeouts.connection));
        let ended = tokio::select! {
            biased;
            ended = connection.as_mut() => ended,
            () = old.as_mut() => self.finish(connection.as_mut(), &closing).await,
            () = told(&mut stopping) => self.finish(connection.as_mut(), &closing).await,
        };
        if let Err(error) = ended {
            debug!("connection from {peer}: {error}");
        }
    }

    /// Lets the request in flight be answered, and no other come.
    async fn finish<I, S>(
        &self,
        mut connection: std::pin::Pin<&mut http1::Connection<I, S>>,
        closing: &watch::Sender<bool>,
    ) -> hyper::Result<()>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin,
        S: Service<Request<Incoming>, Response = axum::response::Response, Error = std::convert::Infallible>,
    {
        closing.send_replace(true);
        connection.as_mut().graceful_shutdown();
        timeout(self.timeouts.drain, connection).await.unwrap_or(Ok(()))
    }
}

/// Waits until the gateway is to stop; a sender that is gone means the same.
async fn told(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// The address at the other end of the connection.
#[derive(Clone)]
pub(super) struct Peer(pub Arc<str>);

/// Says when a connection is to be closed: what waits there is answered as it is.
#[derive(Clone)]
pub(super) struct Closing(watch::Receiver<bool>);

impl Closing {
    /// Waits until it is.
    pub async fn told(&mut self) {
        told(&mut self.0).await;
    }
}

/// The router, told who is at the other end.
struct WithPeer {
    router: TowerToHyperService<Router>,
    peer: Arc<str>,
    closing: watch::Receiver<bool>,
}

impl Service<Request<Incoming>> for WithPeer {
    type Response = axum::response::Response;
    type Error = std::convert::Infallible;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(Peer(self.peer.clone()));
        request.extensions_mut().insert(Closing(self.closing.clone()));
        self.router.call(request)
    }
}
