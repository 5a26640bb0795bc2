//! Each stage put together from the configuration and what it stands on.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use archiver::{Archiver, KeepEvents, Trimmer};
use chainer::{Chainer, Policy};
use ingestor::gateway::{Archived, Gateway, GatewayConfig, Telemetry};
use ingestor::{Ingestor, Limits};
use runtime::{Ending, Failure};
use store::Store;

use super::ground::{Ground, Sealing};
use super::keeping::Keeping;
use super::proofs::Proofs;
use super::road::Part;
use crate::config::{Config, Kafka};
use crate::tiles::TlogPages;

/// How many rejections of a chain the embedded log keeps for replay.
const KEEP_REJECTED: u64 = 1_000;
const HEARTBEAT_US: i64 = 3_600_000_000;

/// Events over HTTP. `archive`: for those who wait until their events are there, and to be shown as transparency logs.
pub fn gateway(
    config: GatewayConfig,
    ground: &Ground,
    listener: TcpListener,
    archive: Option<Arc<dyn Store>>,
) -> Result<Part> {
    let chains = (0..config.chains).map(|chain| chainer::chain_origin(&ground.origin, chain));
    let origins: Vec<String> = chains.collect();
    let logs = archive.clone().map(|store| TlogPages::new(store, move || Ok(origins.clone())));
    let proofs = archive.map(|store| Proofs::new(store, &ground.origin, config.chains));
    let archive = proofs.map(|proofs| Arc::new(proofs) as Arc<dyn Archived>);
    let config = GatewayConfig { archive, ..config };
    let mut gateway = Gateway::new(config, ground.stream.clone(), ground.clock.clone(), &ground.registry)?;
    if let Some(logs) = logs {
        gateway = gateway.with_pages("/tlog", logs);
    }
    let serve =
        move |stop: &_| gateway.serve(listener, stop).map_err(|error| Failure::Halt(error.to_string()));
    Ok(Part::new("gateway", serve))
}

/// Metrics, of a process without a gateway.
#[cfg_attr(not(feature = "kafka"), allow(dead_code))]
pub fn telemetry(telemetry: Telemetry, listener: TcpListener) -> Part {
    let serve =
        move |stop: &_| telemetry.serve(listener, stop).map_err(|error| Failure::Halt(error.to_string()));
    Part::new("telemetry", serve)
}

/// Events from raw topics.
#[cfg_attr(not(feature = "kafka"), allow(dead_code))]
pub fn ingestor(config: &Config, kafka: &Kafka, ground: &Ground) -> Result<Part> {
    let ingestor = Ingestor {
        stream: ground.stream.clone(),
        clock: ground.clock.clone(),
        metrics: ingestor::Metrics::register(&ground.registry, "kafka")?,
        topics: kafka.raw_topics.clone(),
        id: format!("{}/ingestor/{}", ground.origin, kafka.ingestor_id),
        chains: config.chains,
        limits: Limits::default(),
    };
    Ok(Part::new("ingestor", move |stop: &_| ingestor.run(stop)))
}

/// What seals.
pub fn chainer(
    config: &Config,
    ground: &Ground,
    archive: Arc<dyn Store>,
    sealing: Sealing,
    ending: Ending,
) -> Result<Part> {
    let segment = &config.segment;
    let policy = Policy {
        max_events: segment.max_events,
        max_bytes: segment.max_bytes,
        max_age_us: segment.max_age_us,
        max_idle_us: segment.max_idle_us,
        heartbeat_us: HEARTBEAT_US,
    };
    let max_idle = segment.max_idle_us.map_or_else(|| "off".to_owned(), |us| us.to_string());
    let about = [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("host", runtime::host_name()),
        ("chains", config.chains.to_string()),
        ("segment.max_events", segment.max_events.to_string()),
        ("segment.max_bytes", segment.max_bytes.to_string()),
        ("segment.max_age_us", segment.max_age_us.to_string()),
        ("segment.max_idle_us", max_idle),
    ];
    let chainer = Chainer {
        stream: ground.stream.clone(),
        archive,
        guards: sealing.guards,
        signing: sealing.signing,
        origin: ground.origin.clone(),
        policy,
        clock: ground.clock.clone(),
        ending,
        about: about.map(|(key, value)| (key.to_owned(), value)).to_vec(),
        metrics: chainer::Metrics::register(&ground.registry)?,
    };
    Ok(Part::new("chainer", move |stop: &_| chainer.run(stop)))
}

/// What archives. `lay_over`: over junk, where otherwise it halts.
pub fn archiver(
    ground: &Ground,
    store: Arc<dyn Store>,
    ending: Ending,
    lay_over: bool,
) -> Result<Arc<Archiver>> {
    Ok(Arc::new(Archiver {
        stream: ground.stream.clone(),
        store,
        origin: ground.origin.clone(),
        clock: ground.clock.clone(),
        lay_over,
        ending,
        progress: Mutex::new(BTreeMap::new()),
        metrics: archiver::Metrics::register(&ground.registry)?,
    }))
}

/// It begins once its archive is seen to keep what it is given.
pub fn archiving(archiver: Arc<Archiver>, keeping: Keeping) -> Part {
    Part::new("archiver", move |stop: &_| match keeping.wait(stop, archiver.ending)? {
        true => archiver.run(stop),
        false => Ok(()),
    })
}

/// What lets go.
pub fn trimmer(config: &Config, ground: &Ground, store: Arc<dyn Store>) -> Result<Part> {
    let (after_us, retries_us) = (config.trimmer.after_us, config.trimmer.retries_us);
    let keep_events = KeepEvents {
        time: Duration::from_micros(retries_us as u64),
        // What a gateway looks at when it starts.
        records: (GatewayConfig::new(config.chains).window_items / config.chains as usize) as u64,
        // Most of the room is for what is not archived.
        bytes: config.kafka.is_none().then_some(config.log.max_bytes / 8),
    };
    let trimmer = Trimmer {
        stream: ground.stream.clone(),
        store,
        clock: ground.clock.clone(),
        origin: ground.origin.clone(),
        chains: config.chains,
        keep_rejected: config.kafka.is_none().then_some(KEEP_REJECTED),
        keep_events: (retries_us > 0).then_some(keep_events),
        trim_after: (after_us > 0).then(|| Duration::from_micros(after_us as u64)),
        wait_for: config.trimmer.wait_for.clone(),
        metrics: archiver::TrimmerMetrics::register(&ground.registry)?,
    };
    Ok(Part::new("trimmer", move |stop: &_| trimmer.run(stop)))
}
