//! `sealog up`: all stages in one process. They start from the archive towards the gateway, and stop the other way
//! round, each when everything before it is done.

mod folder;
mod stages;
mod telemetry;

use std::io::Write;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use ingestor::gateway::{GatewayConfig, Tls, Tokens};
use runtime::SystemClock;
use schemas::Vkey;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use store::Store;
use store::directory::Directory;
use stream::Stream;
use stream::embedded::{Embedded, Options};
use stream::topics;

use self::stages::{Ground, Stages};
use crate::config::{Archive, Config};

pub use folder::{Folder, make_key, read_key};
pub use telemetry::begin as begin_telemetry;

/// Runs until a signal, or until a stage halts.
pub fn up(config: &Config) -> Result<ExitCode> {
    if let Some(kafka) = &config.kafka {
        bail!(
            "kafka.brokers = {:?} ({} raw topics, {} properties): this version runs its stages embedded only. Leave \
             [kafka] out",
            kafka.brokers,
            kafka.raw_topics.len(),
            kafka.properties.len()
        );
    }
    // Before anything is said: whoever reads that it is up may stop it at once.
    let signals = Signals::new([SIGINT, SIGTERM])?;
    let mut folder = Folder::take(&config.data_dir)?;
    let listener = listen(config)?;
    let address = listener.local_addr()?;
    let gateway = gateway(config)?;
    gateway.check(address)?;
    let scheme = if config.http.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{address}");
    folder.say_who(&url)?;
    let (ground, place) = ground(config, &folder)?;
    let stages = Stages::prepare(config, gateway, ground)?;
    // Whoever started us may have closed our output; that is no failure.
    let _ = writeln!(std::io::stdout(), "{}", greeting(&url, config.chains, &place));
    stages.run(listener, signals)
}

/// Where things are, and what was made just now.
struct Place {
    origin: String,
    archive: PathBuf,
    key: PathBuf,
    key_is_new: bool,
    chains_are_new: bool,
    vkey: Vkey,
}

/// Opens the archive and the log, and makes key and genesis where there is nothing yet.
fn ground(config: &Config, folder: &Folder) -> Result<(Ground, Place)> {
    let clock = Arc::new(SystemClock);
    folder.keep_chains(config.chains)?;
    let (store, archive) = open_archive(config)?;
    let stream: Arc<dyn Stream> = Arc::new(open_log(config, folder, clock.clone())?);
    let origin = folder.origin(config.origin.as_deref())?;
    let mut nothing_sealed = true;
    for chain in 0..config.chains {
        nothing_sealed &= stream.last(&topics::sealed(chain))?.is_empty();
    }
    let (signing, key, key_is_new) = folder.key(config.chainer_key.as_deref(), nothing_sealed)?;
    let guards = folder.folder("guards")?;
    let begun = chainer::write_genesis(&*stream, &*store, &guards, &origin, config.chains, &signing)?;
    let vkey = signing.vkey(&chainer::chain_origin(&origin, 0));
    let place =
        Place { origin: origin.clone(), archive, key, key_is_new, chains_are_new: !begun.is_empty(), vkey };
    Ok((Ground { stream, store, clock, origin, signing, guards }, place))
}

/// The first words: where things are, and what to try next.
fn greeting(url: &str, chains: u32, place: &Place) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "sealog".to_owned());
    let more = if chains > 1 { format!(" to {}", chains - 1) } else { String::new() };
    let new_chains = if place.chains_are_new { " (new)" } else { "" };
    let new_key = if place.key_is_new { " (new: keep a copy, it cannot be made again)" } else { "" };
    let (archive, key, origin) = (place.archive.display(), place.key.display(), &place.origin);
    format!(
        "Sealog {version} is up.
  events   {url}/v1/events
  chain    {origin}/0{more}{new_chains}
  archive  {archive}
  key      {key}{new_key}
  public   {vkey}

Try:
  curl {url}/v1/events -H 'content-type: application/json' -d '{{\"action\":\"user.login\",\"actor\":\"alice\"}}'
  {program} verify {archive}        # about five seconds later
  {program} cat {archive} --where action=user.login
Stop with Ctrl-C: what was acknowledged is sealed and archived first.",
        version = env!("CARGO_PKG_VERSION"),
        vkey = place.vkey,
    )
}

fn listen(config: &Config) -> Result<TcpListener> {
    let address = config.http.listen;
    TcpListener::bind(address).with_context(|| {
        format!("{address} cannot be listened on: give another address with --listen (http.listen), or port 0 for any")
    })
}

fn open_archive(config: &Config) -> Result<(Arc<dyn Store>, PathBuf)> {
    let path = match &config.archive {
        Archive::Directory(path) => path.clone().unwrap_or_else(|| config.data_dir.join("archive")),
        Archive::S3(url) => {
            bail!("archive.url = {url:?}: this version archives to a folder only: give file:DIR")
        }
    };
    // Only the folder inside our own data folder is made: elsewhere a missing one may be a disk that is not mounted.
    let make_root = path.starts_with(&config.data_dir);
    let store = Directory::open(&path, store::directory::Options { make_root })?;
    Ok((Arc::new(store), path))
}

fn open_log(config: &Config, folder: &Folder, clock: Arc<SystemClock>) -> Result<Embedded> {
    let lanes = [topics::EVENTS, topics::REJECTED, topics::SEALED].map(|topic| (topic, config.chains));
    let mut options = Options::new(&lanes, clock);
    options.file_bytes = config.log.file_bytes;
    options.max_lane_bytes = config.log.max_bytes;
    Ok(Embedded::open(&folder.folder("log")?, options)?)
}

/// What the gateway is told: the configuration's files are read here, once.
fn gateway(config: &Config) -> Result<GatewayConfig> {
    let http = &config.http;
    let read = |path: &std::path::Path| std::fs::read(path).with_context(|| path.display().to_string());
    let tokens = http.tokens.as_deref().map(|path| Tokens::load(path).context("http.tokens")).transpose()?;
    let tls = match &http.tls {
        Some((cert, key)) => Some(Tls { cert_pem: read(cert)?, key_pem: read(key)? }),
        None => None,
    };
    Ok(GatewayConfig {
        tokens,
        tls,
        behind_tls_proxy: http.behind_proxy,
        ..GatewayConfig::new(config.chains)
    })
}
