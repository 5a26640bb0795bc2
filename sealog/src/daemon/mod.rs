//! The processes: `sealog up` with all stages, and each stage by itself. They start from the archive towards the
//! sources, and stop the other way round, each when everything before it is done.

mod ending;
mod folder;
mod ground;
mod keeping;
mod parts;
mod proofs;
mod road;
#[cfg(feature = "kafka")]
mod shared;
mod telemetry;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use prometheus::Registry;
use runtime::{Ending, SystemClock};
use schemas::Vkey;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use store::Store;
use stream::{Stream, topics};

use self::ground::{Ground, Sealing};
use crate::config::Config;

#[cfg(feature = "s3")]
pub use folder::kept_origin;
pub use folder::{Folder, make_key, read_key};
pub use ground::{archive as open_archive, look_at_gateway};
#[cfg(feature = "kafka")]
pub use shared::{Stage, stage};
pub use telemetry::begin as begin_telemetry;

/// All stages, until a signal or a halt. `lay_over`: what is due is archived over junk, where otherwise that halts.
pub fn up(config: &Config, lay_over: bool) -> Result<ExitCode> {
    // Before anything is said: whoever reads that it is up may stop it at once.
    let signals = Signals::new([SIGINT, SIGTERM])?;
    let mut folder = Folder::take(&config.data_dir)?;
    let listener = ground::listen(config.http.listen, "--listen (http.listen)")?;
    let address = listener.local_addr()?;
    let gateway = ground::gateway(config)?;
    gateway.check(address)?;
    let scheme = if config.http.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{address}");
    folder.say_who(&url)?;
    #[cfg(feature = "kafka")]
    if let Some(kafka) = &config.kafka {
        return shared::up(config, kafka, &folder, (gateway, listener, &url), lay_over, signals);
    }
    #[cfg(not(feature = "kafka"))]
    if config.kafka.is_some() {
        anyhow::bail!("this build has no Kafka client: build with --features kafka, or leave [kafka] out");
    }
    let keeping = keeping::look(config)?;
    let (ground, store, sealing, place) = embedded_ground(config, &folder)?;
    let archiver = parts::archiver(&ground, store.clone(), Ending::Finish, lay_over)?;
    let mut parts = vec![
        parts::gateway(gateway, &ground, listener, Some(store.clone()))?,
        parts::chainer(config, &ground, store.clone(), sealing, Ending::Finish)?,
        parts::archiving(archiver.clone(), keeping),
    ];
    if config.trimmer.enabled {
        parts.push(parts::trimmer(config, &ground, store)?);
    }
    greet(&greeting(&url, config.chains, &place, ""));
    let ended = road::run(parts, signals);
    Ok(ending::embedded(&*ground.stream, config.chains, &archiver, &ended))
}

/// Where things are, and what was made just now.
struct Place {
    origin: String,
    archive: String,
    /// The same, as `verify` and `cat` are told.
    for_readers: [String; 2],
    key: PathBuf,
    key_is_new: bool,
    chains_are_new: bool,
    vkey: Vkey,
}

/// Opens the archive and the log, and makes key and genesis where there is nothing yet.
fn embedded_ground(config: &Config, folder: &Folder) -> Result<(Ground, Arc<dyn Store>, Sealing, Place)> {
    folder.keep_chains(config.chains)?;
    let (store, archive) = ground::archive(config)?;
    let stream: Arc<dyn Stream> = Arc::new(ground::embedded_log(config, folder)?);
    let origin = folder.origin(config.origin.as_deref())?;
    let mut nothing_sealed = true;
    for chain in 0..config.chains {
        nothing_sealed &= stream.last(&topics::sealed(chain))?.is_empty();
    }
    let (signing, key, key_is_new) = folder.key(config.chainer_key.as_deref(), nothing_sealed)?;
    let guards = folder.folder("guards")?;
    let begun = chainer::write_genesis(&*stream, &*store, &guards, &origin, config.chains, &signing)?;
    let place = Place {
        vkey: signing.vkey(&chainer::chain_origin(&origin, 0)),
        origin: origin.clone(),
        for_readers: ground::archive_for_readers(config, &archive),
        archive,
        key,
        key_is_new,
        chains_are_new: !begun.is_empty(),
    };
    let ground = Ground { stream, clock: Arc::new(SystemClock), origin, registry: Registry::new() };
    Ok((ground, store, Sealing { signing, guards }, place))
}

/// The first words: where things are, and what to try next. `between`: what stands between the stages, if it is ours
/// to name.
fn greeting(url: &str, chains: u32, place: &Place, between: &str) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "sealog".to_owned());
    let more = if chains > 1 { format!(" to {}", chains - 1) } else { String::new() };
    let new_chains = if place.chains_are_new { " (new)" } else { "" };
    let new_key = if place.key_is_new { " (new: keep a copy, it cannot be made again)" } else { "" };
    let Place { archive, for_readers: [to_verify, to_cat], origin, .. } = place;
    let key = place.key.display();
    format!(
        "Sealog {version} is up.
  events   {url}/v1/events{between}
  chain    {origin}/0{more}{new_chains}
  archive  {archive}
  as tlog  {url}/tlog/
  key      {key}{new_key}
  public   {vkey}

Try:
  curl {url}/v1/events -H 'content-type: application/json' -d '{{\"action\":\"user.login\",\"actor\":\"alice\"}}'
  {program} verify {to_verify}        # {when} later
  {program} cat {to_cat} --where action=user.login
Stop with Ctrl-C: what was acknowledged is sealed and archived first.",
        version = env!("CARGO_PKG_VERSION"),
        vkey = place.vkey,
        when = if between.is_empty() { "about five seconds" } else { "segment.max_age" },
    )
}

/// Whoever started us may have closed our output; that is no failure.
fn greet(words: &str) {
    let _ = writeln!(std::io::stdout(), "{words}");
}
