//! TLS for the gateway, where no proxy in front of it ends it.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::GatewayError;

/// A certificate chain and its key, as PEM. Never shown.
pub struct Tls {
    /// The certificate, then those that vouch for it.
    pub cert_pem: Vec<u8>,
    /// The key of the first.
    pub key_pem: Vec<u8>,
}

impl Tls {
    /// What accepts connections with them. HTTP/1.1 alone is spoken.
    pub(super) fn acceptor(&self) -> Result<TlsAcceptor, GatewayError> {
        let certs: Vec<_> = CertificateDer::pem_slice_iter(&self.cert_pem)
            .collect::<Result<_, _>>()
            .map_err(|_| GatewayError::Tls("the certificate is not PEM".to_owned()))?;
        // The parser's error could quote the key.
        let key = PrivateKeyDer::from_pem_slice(&self.key_pem)
            .map_err(|_| GatewayError::Tls("there is no private key in the key's PEM".to_owned()))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(certs, key))
            .map_err(|error| GatewayError::Tls(error.to_string()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
