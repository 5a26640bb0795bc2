//! The gateway's server without its events: metrics and health of a stage that takes nothing over HTTP.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use prometheus::{IntGauge, Registry};
use runtime::Stop;
use tracing::info;

use super::connections::Server;
use super::serving::Serving;
use super::{GatewayError, Timeouts, Tls, handler};

const MOST_CONNECTIONS: usize = 64;

/// `GET /metrics` and `GET /healthz`, and nothing else.
pub struct Telemetry {
    /// What is shown.
    pub registry: Registry,
    /// The certificate, where this server itself ends TLS.
    pub tls: Option<Tls>,
    /// A proxy in front ends TLS, and nobody else reaches it.
    pub behind_tls_proxy: bool,
}

impl Telemetry {
    /// Whether it may listen there: what leaves the machine goes by TLS. Counts and times are no secret, so there are
    /// no tokens.
    pub fn check(&self, address: SocketAddr) -> Result<(), GatewayError> {
        match address.ip().is_loopback() || self.tls.is_some() || self.behind_tls_proxy {
            true => Ok(()),
            false => Err(GatewayError::NeedsTls(address)),
        }
    }

    /// Serves until `stop` is set.
    pub fn serve(self, listener: TcpListener, stop: &Stop) -> Result<(), GatewayError> {
        let address = listener.local_addr()?;
        self.check(address)?;
        let connections = IntGauge::new("connections", "Open connections")?;
        let server = Server {
            router: handler::telemetry(self.registry),
            tls: self.tls.as_ref().map(Tls::acceptor).transpose()?,
            timeouts: Timeouts::default(),
            max_connections: MOST_CONNECTIONS,
            connections,
        };
        let mut serving = Serving::begin(server, listener, 1)?;
        info!(%address, "metrics are served");
        while !stop.wait(Duration::from_secs(3_600)) {}
        serving.drain();
        serving.end();
        Ok(())
    }
}
