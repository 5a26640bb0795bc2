//! The gateway: takes events over HTTP and answers when they are durable.
//!
//! A request is read, split and normalized by the thread that serves its connection (`handler`, `body`, `prepare`),
//! written with others by the one appender (`appender`), and answered (`answer`), on demand once it is sealed or archived
//! (`point`, `follow`). tokio lives here and nowhere else.

mod answer;
mod appender;
mod body;
mod connections;
mod follow;
mod handler;
mod held;
mod http_metrics;
mod pages;
mod point;
mod prepare;
mod query;
mod recall;
mod refusal;
mod serving;
mod telemetry;
mod tls;
mod tokens;
mod waiting;
mod window;

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use prometheus::Registry;
use runtime::{Clock, Failure, Stop};
use stream::Stream;
use thiserror::Error;
use tracing::info;

use self::appender::{Appender, Message};
use self::connections::Server;
use self::follow::{Ask, Follower};
use self::handler::Shared;
use self::http_metrics::HttpMetrics;
use self::point::Points;
use self::serving::Serving;
use self::waiting::Waiting;
use crate::metrics::Metrics;
use crate::record::Limits;

pub use pages::{Page, Pages, PagesServer};
pub use point::Archived;
pub use telemetry::Telemetry;
pub use tls::Tls;
pub use tokens::{MIN_TOKEN_CHARS, Tokens, TokensError};

/// What a gateway takes, from whom, and how much of it.
pub struct GatewayConfig {
    /// How many chains there are. A producer's events go to the one that [`crate::route`] says.
    pub chains: u32,
    /// What an item may weigh and hold.
    pub limits: Limits,
    /// Bytes of one body.
    pub body_bytes: usize,
    /// Items of one body.
    pub items: usize,
    /// Bytes that may wait in the gateway; beyond, it answers 429.
    pub waiting_bytes: usize,
    /// How many of the items that came with an Idempotency-Key are remembered.
    pub window_items: usize,
    /// Who may send. None: everyone who reaches the listener, and it must be loopback.
    pub tokens: Option<Tokens>,
    /// The certificate, where the gateway itself ends TLS.
    pub tls: Option<Tls>,
    /// A proxy in front of the gateway ends TLS, and nobody else reaches it.
    pub behind_tls_proxy: bool,
    /// Open connections.
    pub max_connections: usize,
    /// The archive, for those who wait until their events are in it.
    pub archive: Option<Arc<dyn Archived>>,
    /// How long things may take.
    pub timeouts: Timeouts,
}

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For TLS to be agreed on.
    pub handshake: Duration,
    /// For a request's head, or between two requests.
    pub header: Duration,
    /// For a body.
    pub body: Duration,
    /// For a connection; after that it is closed once its request is answered.
    pub connection: Duration,
    /// For a request in flight to be answered once its connection is to be closed.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        let seconds = Duration::from_secs;
        Timeouts {
            handshake: seconds(10),
            header: seconds(30),
            body: seconds(60),
            connection: seconds(600),
            drain: seconds(5),
        }
    }
}

impl GatewayConfig {
    /// For so many chains, on loopback, with the limits that docs/SENDING.md states.
    pub fn new(chains: u32) -> GatewayConfig {
        GatewayConfig {
            chains,
            limits: Limits::default(),
            body_bytes: 32 << 20,
            items: 100_000,
            waiting_bytes: 128 << 20,
            window_items: 200_000,
            tokens: None,
            tls: None,
            behind_tls_proxy: false,
            max_connections: 1024,
            archive: None,
            timeouts: Timeouts::default(),
        }
    }

    /// Whether a gateway may listen there: beyond loopback it must ask who sends, and must not do so in the clear.
    pub fn check(&self, address: SocketAddr) -> Result<(), GatewayError> {
        if self.chains == 0 || self.waiting_bytes < self.body_bytes {
            return Err(GatewayError::Config(
                "it needs a chain, and room to wait for at least one whole body",
            ));
        }
        if address.ip().is_loopback() {
            return Ok(());
        }
        if self.tokens.is_none() {
            return Err(GatewayError::NeedsTokens(address));
        }
        if self.tls.is_none() && !self.behind_tls_proxy {
            return Err(GatewayError::NeedsTls(address));
        }
        Ok(())
    }
}

/// Why a gateway does not start, or has ended.
#[derive(Debug, Error)]
pub enum GatewayError {
    /// It would take events from everyone.
    #[error(
        "{0} is not loopback, so everyone could send events there: configure a token file, or listen on 127.0.0.1"
    )]
    NeedsTokens(SocketAddr),
    /// It would take tokens in the clear.
    #[error(
        "{0} is not loopback, so tokens would travel there in the clear: configure a certificate, or say that a proxy ends TLS"
    )]
    NeedsTls(SocketAddr),
    /// A setting is impossible.
    #[error("the gateway's limits do not fit: {0}")]
    Config(&'static str),
    /// The certificate or key cannot be used.
    #[error("TLS: {0}")]
    Tls(String),
    /// The registry has these metrics already.
    #[error("cannot register the gateway's metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The system refuses.
    #[error("the gateway cannot serve: {0}")]
    Io(#[from] std::io::Error),
    /// The stream says that nothing may go on.
    #[error("the gateway has stopped: {0}")]
    Halted(Failure),
}

/// A gateway that is ready to serve.
pub struct Gateway {
    shared: Arc<Shared>,
    server: Server,
    appender: Appender,
    inbox: mpsc::Receiver<Message>,
    follower: Follower,
    asked: mpsc::Receiver<Ask>,
    /// Set by the appender when the stream says that nothing may go on.
    halt: Stop,
}

impl Gateway {
    /// A gateway in front of `stream`. Its metrics go to `registry`, and `GET /metrics` shows all that is there.
    pub fn new(
        config: GatewayConfig,
        stream: Arc<dyn Stream>,
        clock: Arc<dyn Clock>,
        registry: &Registry,
    ) -> Result<Gateway, GatewayError> {
        let metrics = HttpMetrics::register(registry)?;
        let (halt, (sender, inbox)) = (Stop::new(), mpsc::channel());
        let appender = Appender::new(
            stream.clone(),
            clock.clone(),
            (Metrics::register(registry, "http")?, metrics.repeated.clone()),
            (config.chains, config.window_items),
            halt.clone(),
        );
        let (ask, asked) = mpsc::channel();
        let nobody_waits = Arc::new(AtomicBool::new(false));
        let follower = Follower::new(stream, metrics.looked_for.clone(), nobody_waits.clone());
        let tls = config.tls.as_ref().map(Tls::acceptor).transpose()?;
        let (timeouts, max_connections) = (config.timeouts, config.max_connections);
        let connections = metrics.connections.clone();
        let shared = Arc::new(Shared {
            points: Points::new(
                ask,
                nobody_waits,
                config.archive.clone(),
                (config.chains, config.max_connections / 4),
            ),
            waiting: Waiting::new(config.waiting_bytes, metrics.waiting_bytes.clone()),
            config,
            clock,
            registry: registry.clone(),
            metrics,
            inbox: sender,
            pool: Mutex::new(Vec::new()),
            stopping: AtomicBool::new(false),
        });
        let router = handler::router(shared.clone());
        let server = Server { router, tls, timeouts, max_connections, connections };
        Ok(Gateway { shared, server, appender, inbox, follower, asked, halt })
    }

    /// The same with pages below `prefix`, which begins with a slash. They are shown to everyone who reaches the
    /// listener, as metrics are.
    pub fn with_pages(mut self, prefix: &'static str, pages: Arc<dyn Pages>) -> Gateway {
        self.server.router = self.server.router.merge(pages::router(prefix, pages));
        self
    }

    /// Serves until `stop` is set, then answers what is in flight and returns once all of it is durable. Or until
    /// the stream says that nothing may go on.
    pub fn serve(self, listener: TcpListener, stop: &Stop) -> Result<(), GatewayError> {
        let address = listener.local_addr()?;
        self.shared.config.check(address)?;
        let Gateway { shared, server, appender, inbox, follower, asked, halt } = self;
        let appending =
            thread::Builder::new().name("gateway-append".to_owned()).spawn(move || appender.run(&inbox))?;
        let following =
            thread::Builder::new().name("gateway-follow".to_owned()).spawn(move || follower.run(&asked))?;
        let mut serving = Serving::begin(server, listener, 2)?;
        info!(%address, "the gateway listens");

        while !halt.is_set() && !stop.wait(Duration::from_millis(100)) {}

        shared.stopping.store(true, Ordering::SeqCst);
        shared.points.end();
        serving.drain();
        // Whatever was handed over stands before this in the queue.
        let _ = shared.inbox.send(Message::End);
        let appended =
            appending.join().unwrap_or_else(|_| Err(Failure::Halt("the appender died".to_owned())));
        serving.end();
        let _ = following.join();
        info!(%address, "the gateway has stopped");
        appended.map_err(GatewayError::Halted)
    }
}
