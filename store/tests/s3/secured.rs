//! Over TLS, to a server whose certificate an authority of its own has signed.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials as Keys, Region};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use runtime::SystemClock;
use store::s3::{Options, S3, Timeouts};
use store::versions::fitting;
use store::{Keep, Kind, Object, Store, Tag};

use super::server::{Make, Server};
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

/// Whoever may put can lay what nobody else can even look at over evidence (SSE-C, which servers take over TLS alone).
/// What is below it is found, and the right bytes can be laid over it. versitygw knows of no such keys.
#[test]
fn what_lies_under_somebodys_own_key_is_laid_over_like_any_junk() {
    let Some(site) = Site::on(Make::Minio) else { return };
    let site = Site { server: Arc::new(Server::start(site.server.make, &["--tls"], &[])) };
    let options = site.options();
    let store = site.store(options.clone());
    let evidence = store.put_new("segments/0", b"evidence", Keep::Evidence).unwrap();
    lay_over_under_a_key(&site.server, &options.bucket, "segments/0");

    for range in [None, Some(0..2)] {
        assert_eq!(kind(store.get("segments/0", None, range, 100)), Kind::Refused);
    }
    let is_right = |object: &Object| (object.bytes == b"evidence").then_some(());
    let find = || fitting(&store, "segments/0", 100, is_right).unwrap().unwrap().0.version;
    assert_eq!(find(), evidence);

    assert_eq!(kind(store.put_new("segments/0", b"evidence", Keep::Evidence)), Kind::Exists);

    let newest = store.get("segments/0", None, Some(0..0), 0).unwrap();
    assert_ne!(newest.version, evidence);
    assert!(newest.lock.is_some(), "the bucket locks by itself");
    let other = Tag("\"0123\"".to_owned());
    assert_eq!(kind(store.replace_if("segments/0", Some(&other), b"again", Keep::Evidence)), Kind::Changed);
    assert_eq!(kind(store.replace_if("segments/0", None, b"again", Keep::Evidence)), Kind::Changed);
    let laid = store.replace_if("segments/0", Some(&newest.tag), b"evidence", Keep::Evidence).unwrap();
    assert_eq!(find(), laid);
    let stale = store.replace_if("segments/0", Some(&newest.tag), b"again", Keep::Evidence);
    assert_eq!(kind(stale), Kind::Changed);
}

fn lay_over_under_a_key(server: &Server, bucket: &str, key: &str) {
    const OWN_KEY: [u8; 32] = [7; 32];
    const ITS_MD5: [u8; 16] =
        [0xcb, 0x81, 0xc0, 0x10, 0x50, 0x98, 0x5a, 0xeb, 0xc0, 0x5d, 0x61, 0x53, 0xb4, 0x0d, 0x50, 0xa6];
    let trust = TrustStore::empty().with_pem_certificate(server.ca_pem.clone().unwrap());
    let tls = TlsContext::builder().with_trust_store(trust).build().unwrap();
    let http = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    let config = aws_sdk_s3::config::Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http.tls_context(tls).build_https())
        .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
        .retry_config(RetryConfig::disabled())
        .endpoint_url(&server.url)
        .region(Region::new("us-east-1"))
        .force_path_style(true)
        .credentials_provider(Keys::new(&server.access, &server.secret, None, None, "root"));
    let client = Client::from_conf(config.build());
    let put = client.put_object().bucket(bucket).key(key).body(ByteStream::from_static(b"sealed off"));
    let put = put.sse_customer_algorithm("AES256").sse_customer_key(STANDARD.encode(OWN_KEY));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(put.sse_customer_key_md5(STANDARD.encode(ITS_MD5)).send()).unwrap();
}
