//! The client of one bucket: where it connects, whom it trusts, who it is, and which clock it signs with.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials as Keys, Region, RequestChecksumCalculation,
    ResponseChecksumValidation, SharedCredentialsProvider, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::TimeSource;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TlsContextBuilder, TrustStore};
use runtime::Clock;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::runtime::Runtime;

use super::options::{Credentials, Options};
use crate::{Error, Kind, Result};

/// Where servers other than AWS say they are.
const REGION_OF_OTHERS: &str = "us-east-1";

/// What moves the bytes of all verbs. The verbs themselves run on their callers' threads.
pub(super) fn runtime(options: &Options) -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let made = builder.worker_threads(2).thread_name("s3").enable_io().enable_time().build();
    made.map_err(|error| Error::caused(Kind::Away, &options.bucket, "no thread could be started", error))
}

pub(super) async fn client(options: &Options, clock: Arc<dyn Clock>) -> Result<Client> {
    let (region, found) = look_around(options).await?;
    let timeouts = TimeoutConfig::builder().connect_timeout(options.timeouts.connect).build();
    let mut config = Builder::new()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http_client(options)?)
        .region(region)
        .force_path_style(options.path_style)
        .time_source(OurTime(clock))
        .sleep_impl(TokioSleep::new())
        .timeout_config(timeouts)
        // How often and for how long something is tried is said in one place: `attempt`.
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // Each write brings its SHA-256 itself; by default the client would send another sum behind the body.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenSupported);
    if let Some(endpoint) = &options.endpoint {
        config = config.endpoint_url(endpoint);
    }
    if let Credentials::Given { access_key, secret, session } = &options.credentials {
        config = config.credentials_provider(Keys::new(access_key, secret, session.clone(), None, "given"));
    }
    if let Some(found) = found {
        config = config.credentials_provider(found);
    }
    Ok(Client::from_conf(config.build()))
}

/// Looks for the region, if none is given, and where the credentials are to be found, each time that they are needed.
async fn look_around(options: &Options) -> Result<(Region, Option<SharedCredentialsProvider>)> {
    let given = match (&options.region, &options.endpoint) {
        (Some(region), _) => Some(Region::new(region.clone())),
        (None, Some(_)) => Some(Region::new(REGION_OF_OTHERS)),
        (None, None) => None,
    };
    let is_found = matches!(options.credentials, Credentials::Found);
    if let (Some(region), false) = (&given, is_found) {
        return Ok((region.clone(), None));
    }
    let loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(trusting(&options.bucket, None)?)
        .sleep_impl(TokioSleep::new());
    let loader = if is_found { loader } else { loader.no_credentials() };
    let loader = if let Some(region) = given { loader.region(region) } else { loader };
    let found = loader.load().await;
    match found.region() {
        Some(region) => Ok((region.clone(), found.credentials_provider())),
        None => {
            let what = "no region is known: set it, or the endpoint of a server that is not AWS";
            Err(Error::new(Kind::Refused, &options.bucket, what))
        }
    }
}

fn http_client(options: &Options) -> Result<SharedHttpClient> {
    let is_plain = options.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    match is_plain {
        // Nobody needs to be trusted, and a machine may have no authorities at all.
        true => Ok(secured(TlsContext::builder().with_trust_store(TrustStore::empty()), &options.bucket)?),
        false => trusting(&options.bucket, options.ca_pem.as_deref()),
    }
}

/// Over TLS it trusts these authorities alone, or those of the system.
fn trusting(bucket: &str, ca_pem: Option<&[u8]>) -> Result<SharedHttpClient> {
    let trust = match ca_pem {
        None => TrustStore::default(),
        Some(pem) => {
            check_authorities(pem).map_err(|why| Error::new(Kind::Refused, bucket, why))?;
            TrustStore::empty().with_pem_certificate(pem)
        }
    };
    secured(TlsContext::builder().with_trust_store(trust), bucket)
}

fn secured(tls: TlsContextBuilder, bucket: &str) -> Result<SharedHttpClient> {
    let tls = tls.build();
    let tls = tls.map_err(|error| Error::caused(Kind::Refused, bucket, "TLS could not be set up", error))?;
    let builder = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring));
    Ok(builder.tls_context(tls).build_https())
}

/// The client takes for granted that they can be read.
fn check_authorities(pem: &[u8]) -> Result<(), String> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("the authorities are not PEM: {error}"))?;
        store
            .add(certificate)
            .map_err(|error| format!("an authority's certificate cannot be used: {error}"))?;
    }
    match store.is_empty() {
        false => Ok(()),
        true => Err("the PEM of the authorities holds no certificate".to_owned()),
    }
}

/// The clock that locks are dated by signs too: a server that finds it wrong refuses the write.
struct OurTime(Arc<dyn Clock>);

impl TimeSource for OurTime {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(u64::try_from(self.0.wall().0).unwrap_or_default())
    }
}

impl fmt::Debug for OurTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OurTime")
    }
}
