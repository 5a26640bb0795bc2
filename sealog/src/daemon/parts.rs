//! Each stage put together from the configuration and what it stands on.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use archiver::{Archiver, Trimmer};
use chainer::{Chainer, Policy};
use ingestor::gateway::{Gateway, GatewayConfig, Telemetry};
use ingestor::{Ingestor, Limits};
use runtime::{Ending, Failure};
use store::Store;

use super::ground::{Ground, Sealing};
use super::road::Part;
use crate::config::{Config, Kafka};

/// How many rejections of a chain the embedded log keeps for replay.
const KEEP_REJECTED: u64 = 1_000;
const HEARTBEAT_US: i64 = 3_600_000_000;

/// Events over HTTP.
pub fn gateway(config: GatewayConfig, ground: &Ground, listener: TcpListener) -> Result<Part> {
    let gateway = Gateway::new(config, ground.stream.clone(), ground.clock.clone(), &ground.registry)?;
    let serve =
        move |stop: &_| gateway.serve(listener, stop).map_err(|error| Failure::Halt(error.to_string()));
    Ok(Part::new("gateway", serve))
}

/// Metrics, of a process without a gateway.
pub fn telemetry(telemetry: Telemetry, listener: TcpListener) -> Part {
    let serve =
        move |stop: &_| telemetry.serve(listener, stop).map_err(|error| Failure::Halt(error.to_string()));
    Part::new("telemetry", serve)
}

/// Events from raw topics.
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

/// What archives.
pub fn archiver(ground: &Ground, store: Arc<dyn Store>, ending: Ending) -> Result<Arc<Archiver>> {
    Ok(Arc::new(Archiver {
        stream: ground.stream.clone(),
        store,
        origin: ground.origin.clone(),
        clock: ground.clock.clone(),
        ending,
        progress: Mutex::new(BTreeMap::new()),
        metrics: archiver::Metrics::register(&ground.registry)?,
    }))
}

/// What lets go.
pub fn trimmer(config: &Config, ground: &Ground, store: Arc<dyn Store>) -> Result<Part> {
    let after_us = config.trimmer.after_us;
    let trimmer = Trimmer {
        stream: ground.stream.clone(),
        store,
        clock: ground.clock.clone(),
        origin: ground.origin.clone(),
        chains: config.chains,
        keep_rejected: config.kafka.is_none().then_some(KEEP_REJECTED),
        trim_after: (after_us > 0).then(|| Duration::from_micros(after_us as u64)),
        wait_for: config.trimmer.wait_for.clone(),
        metrics: archiver::TrimmerMetrics::register(&ground.registry)?,
    };
    Ok(Part::new("trimmer", move |stop: &_| trimmer.run(stop)))
}
