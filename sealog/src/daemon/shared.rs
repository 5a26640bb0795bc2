//! Processes that share the work with others through Kafka: one stage by itself, or all of them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use ingestor::gateway::{GatewayConfig, Telemetry};
use prometheus::Registry;
use runtime::{Ending, SystemClock};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use stream::topics;

use super::ground::{self, Ground};
use super::keeping::Keeping;
use super::road;
use super::{Folder, Place, ending, greet, greeting, keeping, parts};
use crate::cluster::Cluster;
use crate::config::{Config, Kafka};

/// A stage that can be a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Takes events over HTTP and from raw topics.
    Ingestor,
    /// Seals.
    Chainer,
    /// Archives. It may lay what is due over junk, if it is told to.
    Archiver { lay_over: bool },
    /// Lets go of what is archived.
    Trimmer,
}

impl Stage {
    /// Its command.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Ingestor => "ingestor",
            Stage::Chainer => "chainer",
            Stage::Archiver { .. } => "archiver",
            Stage::Trimmer => "trimmer",
        }
    }

    /// The topics of Sealog's that it uses, and so has rights on.
    fn uses(self) -> &'static [&'static str] {
        match self {
            Stage::Ingestor => &[topics::EVENTS, topics::REJECTED],
            Stage::Chainer | Stage::Archiver { .. } | Stage::Trimmer => &[topics::EVENTS, topics::SEALED],
        }
    }

    /// Where it shows its metrics if nobody says otherwise.
    fn metrics_port(self) -> u16 {
        match self {
            Stage::Ingestor => 7740,
            Stage::Chainer => 7741,
            Stage::Archiver { .. } => 7742,
            Stage::Trimmer => 7743,
        }
    }
}

/// All stages on Kafka.
pub fn up(
    config: &Config,
    kafka: &Kafka,
    folder: &Folder,
    (gateway, listener, url): (GatewayConfig, TcpListener, &str),
    lay_over: bool,
    signals: Signals,
) -> Result<ExitCode> {
    let (store, archive) = ground::archive(config)?;
    let keeping = keeping::look(config)?;
    let ground = connect(config, &[topics::EVENTS, topics::REJECTED, topics::SEALED])?;
    let sealing = ground::sealing(config, folder)?;
    let place = Place {
        origin: ground.origin.clone(),
        for_readers: ground::archive_for_readers(config, &archive),
        archive,
        key: ground::key_path(config),
        key_is_new: false,
        chains_are_new: false,
        vkey: sealing.signing.vkey(&chainer::chain_origin(&ground.origin, 0)),
    };
    let archiver = parts::archiver(&ground, store.clone(), Ending::Finish, lay_over)?;
    let mut parts = vec![parts::gateway(gateway, &ground, listener, Some(store.clone()))?];
    if !kafka.raw_topics.is_empty() {
        parts.push(parts::ingestor(config, kafka, &ground)?);
    }
    parts.push(parts::chainer(config, &ground, store.clone(), sealing, Ending::Finish)?);
    parts.push(parts::archiving(archiver, keeping));
    if config.trimmer.enabled {
        parts.push(parts::trimmer(config, &ground, store)?);
    }
    let between = format!("\n  kafka    {} {}", kafka.brokers, kafka.raw_topics.join(", "));
    greet(&greeting(url, config.chains, &place, between.trim_end()));
    Ok(ending::shared(&road::run(parts, signals)))
}

/// One stage. `listen`: where it shows its metrics, and the ingestor takes events.
pub fn stage(config: &Config, stage: Stage, listen: Option<SocketAddr>) -> Result<ExitCode> {
    let signals = Signals::new([SIGINT, SIGTERM])?;
    let Some(kafka) = &config.kafka else {
        bail!(
            "`sealog {}` shares its work with the other stages through Kafka: configure [kafka], or run all stages \
             with `sealog up`",
            stage.name()
        );
    };
    let address = match stage {
        Stage::Ingestor => listen.unwrap_or(config.http.listen),
        _ => listen
            .or(config.metrics_listen)
            .unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, stage.metrics_port()))),
    };
    let how_else =
        if stage == Stage::Ingestor { "--listen (http.listen)" } else { "--listen (metrics.listen)" };
    let listener = ground::listen(address, how_else)?;
    let address = listener.local_addr()?;
    let scheme = if config.http.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{address}");

    // The chainer alone has something of its own to guard.
    let mut folder = None;
    if stage == Stage::Chainer {
        let mut own = Folder::take(&config.data_dir)?;
        own.say_who(&url)?;
        folder = Some(own);
    }
    let parts = match (stage, &folder) {
        (Stage::Ingestor, _) => {
            let gateway = ground::gateway(config)?;
            gateway.check(address)?;
            let ground = connect(config, stage.uses())?;
            // Where the configuration names one: for those who wait for proofs.
            let archive = config.archive.is_named().then(|| ground::archive(config)).transpose()?;
            let archive = archive.map(|(store, _)| store);
            let mut parts = vec![parts::gateway(gateway, &ground, listener, archive)?];
            if !kafka.raw_topics.is_empty() {
                parts.push(parts::ingestor(config, kafka, &ground)?);
            }
            parts
        }
        (_, folder) => {
            let telemetry = Telemetry {
                registry: Registry::new(),
                tls: ground::tls(&config.http)?,
                behind_tls_proxy: config.http.behind_proxy,
            };
            telemetry.check(address)?;
            let (store, _) = ground::archive(config)?;
            let keeping = match stage {
                Stage::Archiver { .. } => keeping::look(config)?,
                _ => Keeping::Seen,
            };
            let ground = Ground { registry: telemetry.registry.clone(), ..connect(config, stage.uses())? };
            let sealing = folder.as_ref().map(|folder| ground::sealing(config, folder)).transpose()?;
            let work = match (stage, sealing) {
                (Stage::Archiver { lay_over }, _) => {
                    parts::archiving(parts::archiver(&ground, store, Ending::HandOver, lay_over)?, keeping)
                }
                (_, Some(sealing)) => parts::chainer(config, &ground, store, sealing, Ending::HandOver)?,
                (_, None) => parts::trimmer(config, &ground, store)?,
            };
            vec![work, parts::telemetry(telemetry, listener)]
        }
    };
    greet(&format!(
        "Sealog {} {} is up.\n  metrics  {url}/metrics\n  kafka    {}\nStop with Ctrl-C.",
        env!("CARGO_PKG_VERSION"),
        stage.name(),
        kafka.brokers
    ));
    Ok(ending::shared(&road::run(parts, signals)))
}

/// Kafka, once the topics that are used are seen to be right.
fn connect(config: &Config, uses: &[&str]) -> Result<Ground> {
    let cluster = Cluster::connect(config)?;
    cluster.refuse_wrong_topics(uses)?;
    if uses.contains(&topics::REJECTED) {
        cluster.refuse_missing_raw(config.kafka.as_ref().map_or(&[], |kafka| &kafka.raw_topics))?;
    }
    Ok(Ground {
        origin: cluster.origin().to_owned(),
        stream: Arc::new(cluster.into_stream()),
        clock: Arc::new(SystemClock),
        registry: Registry::new(),
    })
}
