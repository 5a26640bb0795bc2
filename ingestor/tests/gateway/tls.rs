//! TLS, ended by the gateway itself.

use std::net::TcpStream;
use std::sync::Arc;

use ingestor::gateway::{Gateway, GatewayConfig, GatewayError, Tls};
use prometheus::Registry;
use runtime::SystemClock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::client::{Client, connect};
use crate::site::{Gated, events, site_with};

/// Made for these tests, for localhost, until 2126.
const CERT: &[u8] = include_bytes!("tls/cert.pem");
const KEY: &[u8] = include_bytes!("tls/key.pem");

fn tls(cert: &[u8], key: &[u8]) -> Option<Tls> {
    Some(Tls { cert_pem: cert.to_vec(), key_pem: key.to_vec() })
}

#[test]
fn events_are_taken_over_tls_and_in_the_clear_no_more() {
    let (site, stream) = site_with(|config| config.tls = tls(CERT, KEY));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(CERT).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut client = Client::over(StreamOwned::new(session, TcpStream::connect(site.address).unwrap()));
    let head = [("content-type", "application/json")];
    assert_eq!(client.ask("POST /v1/events", &head, b"{}").status, 202);
    assert_eq!(client.ask("POST /v1/events", &head, b"{}").status, 202);
    assert_eq!(events(&stream, 0).len(), 2);
    assert!(connect(site.address).try_ask("GET /healthz", &[], b"").is_err());
}

#[test]
fn what_is_no_certificate_or_key_is_refused_and_not_shown() {
    for (cert, key) in [(&b"none"[..], KEY), (CERT, b"none"), (KEY, KEY), (CERT, CERT)] {
        let config = GatewayConfig { tls: tls(cert, key), ..GatewayConfig::new(1) };
        let made = Gateway::new(config, Arc::new(Gated::new(1)), Arc::new(SystemClock), &Registry::new());
        let Err(error @ GatewayError::Tls(_)) = made else { panic!("taken") };
        assert!(!error.to_string().contains("MII"), "{error}");
    }
}
