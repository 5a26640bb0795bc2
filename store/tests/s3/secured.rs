//! Over TLS, to a server whose certificate an authority of its own has signed.

use std::sync::Arc;
use std::time::Duration;

use runtime::SystemClock;
use store::s3::{Options, S3, Timeouts};
use store::{Keep, Kind, Store};

use super::server::Server;
use super::{Site, kind, open};

/// It is the only one that is trusted, and must be given.
pub fn a_servers_own_authority_is_trusted_if_it_is_given(site: &Site) {
    let site = Site { server: Arc::new(Server::start(site.server.make, &["--tls"], &[])) };
    assert!(site.server.url.starts_with("https://"));
    let options = site.options();
    let store = site.store(options.clone());
    let body = vec![7; 3 << 20];
    store.put_new("segments/0", &body, Keep::Evidence).unwrap();
    assert!(store.get("segments/0", None, None, u64::MAX).unwrap().bytes == body);

    let other = Server::start(site.server.make, &["--tls"], &[]);
    let timeouts = Timeouts { whole: Duration::from_secs(1), ..Timeouts::default() };
    let mistaken = open(Options { ca_pem: other.ca_pem.clone(), timeouts, ..options.clone() });
    let error = mistaken.get("segments/0", None, None, u64::MAX).unwrap_err();
    assert_eq!(error.kind(), Kind::Away, "{error}");
    assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");
    for bad in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let options = Options { ca_pem: Some(bad.into()), ..options.clone() };
        assert_eq!(kind(S3::open(options, Arc::new(SystemClock)).map(drop)), Kind::Refused, "{bad:?}");
    }
}
