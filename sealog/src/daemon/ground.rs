//! What the stages stand on, opened as the configuration names it: the stream between them, the archive, the key.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use ingestor::gateway::{GatewayConfig, Tls, Tokens};
use prometheus::Registry;
use runtime::{Clock, SystemClock};
use schemas::Signing;
use store::Store;
use store::directory::Directory;
use stream::embedded::{Embedded, Options};
use stream::{Stream, topics};

use super::Folder;
use crate::config::{Archive, Config, Http};

/// What every stage stands on.
pub struct Ground {
    /// The seam between the stages.
    pub stream: Arc<dyn Stream>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The base origin.
    pub origin: String,
    /// What Prometheus is shown.
    pub registry: Registry,
}

/// What the chainer alone has.
pub struct Sealing {
    /// The key.
    pub signing: Signing,
    /// The folder of the guards.
    pub guards: PathBuf,
}

/// The embedded log in the data folder.
pub fn embedded_log(config: &Config, folder: &Folder) -> Result<Embedded> {
    let lanes = [topics::EVENTS, topics::REJECTED, topics::SEALED].map(|topic| (topic, config.chains));
    let mut options = Options::new(&lanes, Arc::new(SystemClock));
    options.file_bytes = config.log.file_bytes;
    options.max_lane_bytes = config.log.max_bytes;
    Ok(Embedded::open(&folder.folder("log")?, options)?)
}

/// The archive, and where it is, as a command is told. A bucket is not asked for anything yet.
pub fn archive(config: &Config) -> Result<(Arc<dyn Store>, String)> {
    match &config.archive {
        Archive::Directory(path) => {
            let path = path.clone().unwrap_or_else(|| config.data_dir.join("archive"));
            // Only the folder inside our own data folder is made: elsewhere a missing one may be a disk that is not
            // mounted.
            let make_root = path.starts_with(&config.data_dir);
            let store = Directory::open(&path, store::directory::Options { make_root })?;
            Ok((Arc::new(store), path.display().to_string()))
        }
        #[cfg(feature = "s3")]
        Archive::S3(bucket) => Ok((Arc::new(crate::bucket::open(bucket)?), bucket.to_string())),
        #[cfg(not(feature = "s3"))]
        Archive::S3(bucket) => anyhow::bail!(
            "archive.url = \"{bucket}\": this build has no S3 client: build with --features s3, or give file:DIR"
        ),
    }
}

/// The archive as `verify` is told, and as `cat` is.
pub fn archive_for_readers(config: &Config, place: &str) -> [String; 2] {
    match &config.archive {
        Archive::Directory(_) => [place.to_owned(), place.to_owned()],
        Archive::S3(bucket) => {
            let there = bucket.for_readers();
            [there.clone() + &bucket.promise_for_readers(), there]
        }
    }
}

/// Where the chainer's key is.
#[cfg(feature = "kafka")]
pub fn key_path(config: &Config) -> PathBuf {
    config.chainer_key.clone().unwrap_or_else(|| config.data_dir.join("chainer.key"))
}

/// The key and guards that are there already: whoever seals on Kafka has them from `sealog init`.
#[cfg(feature = "kafka")]
pub fn sealing(config: &Config, folder: &Folder) -> Result<Sealing> {
    let (signing, ..) = folder
        .key(config.chainer_key.as_deref(), false)
        .context("on a new cluster `sealog init` makes key and chains")?;
    Ok(Sealing { signing, guards: folder.folder("guards")? })
}

/// Takes the port.
pub fn listen(address: SocketAddr, how_else: &str) -> Result<TcpListener> {
    TcpListener::bind(address).with_context(|| {
        format!("{address} cannot be listened on: give another address with {how_else}, or port 0 for any")
    })
}

/// What the gateway is told: the configuration's files are read here, once.
pub fn gateway(config: &Config) -> Result<GatewayConfig> {
    let tokens = config.http.tokens.as_deref();
    let tokens = tokens.map(|path| Tokens::load(path).context("http.tokens")).transpose()?;
    Ok(GatewayConfig {
        tokens,
        tls: tls(&config.http)?,
        behind_tls_proxy: config.http.behind_proxy,
        ..GatewayConfig::new(config.chains)
    })
}

/// Whether the gateway could begin with its configuration; nothing is listened on.
pub fn look_at_gateway(config: &Config) -> Result<SocketAddr> {
    gateway(config)?.check(config.http.listen)?;
    Ok(config.http.listen)
}

/// The certificate, where one is configured.
pub fn tls(http: &Http) -> Result<Option<Tls>> {
    let read = |path: &Path| std::fs::read(path).with_context(|| path.display().to_string());
    match &http.tls {
        Some((cert, key)) => Ok(Some(Tls { cert_pem: read(cert)?, key_pem: read(key)? })),
        None => Ok(None),
    }
}
