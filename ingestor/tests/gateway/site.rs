//! A gateway at work on a port of its own, and a stream that counts, holds and fails.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use ingestor::gateway::{Gateway, GatewayConfig, GatewayError};
use prometheus::{Registry, TextEncoder};
use runtime::{Deadline, Stop, SystemClock};
use schemas::avro::{Input, to_json};
use schemas::event::event_shape;
use schemas::framing::{SCHEMA_HEADER, schema_of};
use schemas::{Hash, Link, Micros, SealedEvent, Seq, event_hash};
use serde_json::Value;
use stream::memory::Memory;
use stream::{Batch, Error, Groups, Kind, Lane, Limit, Log, Member, Result, Role, Stream, topics};

/// Memory whose appends can be held back.
#[derive(Clone)]
pub struct Gated(Arc<Inner>);

struct Inner {
    memory: Memory,
    appends: AtomicUsize,
    held: Mutex<bool>,
    hidden: Mutex<Option<Lane>>,
    freed: Condvar,
}

impl Gated {
    pub fn new(chains: u32) -> Gated {
        let lanes = [topics::EVENTS, topics::REJECTED, topics::SEALED].map(|topic| (topic, chains));
        let memory = Memory::new(&lanes, Arc::new(SystemClock));
        let (held, hidden) = (Mutex::new(false), Mutex::new(None));
        Gated(Arc::new(Inner { memory, appends: 0.into(), held, hidden, freed: Condvar::new() }))
    }

    pub fn memory(&self) -> &Memory {
        &self.0.memory
    }

    /// From now on appends wait; or no longer.
    pub fn hold(&self, hold: bool) {
        *self.0.held.lock().unwrap() = hold;
        self.0.freed.notify_all();
    }

    /// From now on this lane cannot be looked at.
    pub fn hide(&self, lane: &Lane) {
        *self.0.hidden.lock().unwrap() = Some(lane.clone());
    }

    /// Seals what was appended on chain 0 since the last time, as a chainer would, but for its Heads. Answers all links.
    pub fn seal(&self) -> Vec<Link> {
        let mut sealed: Vec<Link> = Vec::new();
        let done = records(self, &topics::sealed(0)).len();
        let mut batch = Batch::new();
        let lane = batch.lane(&topics::sealed(0));
        for (seq, record) in records(self, &topics::events(0)).iter().enumerate() {
            let (schema, event) = (record.headers.get(SCHEMA_HEADER).unwrap(), record.value.unwrap());
            let prev = sealed.last().map_or(Hash([0; 32]), Link::hash);
            let event_hash = event_hash(&schema_of(Some(schema)).unwrap(), event);
            let link = Link { seq: Seq(seq as u64), sealed_at: Micros(seq as i64 + 1), prev, event_hash };
            if seq >= done {
                batch.push_with(lane, None, &[(SCHEMA_HEADER, schema)], |out| {
                    SealedEvent::splice(out, &link, &link.hash(), event);
                });
            }
            sealed.push(link);
        }
        self.memory().append(&batch).unwrap();
        sealed
    }

    /// Appends asked for so far, those that wait included.
    pub fn appends(&self) -> usize {
        self.0.appends.load(Ordering::SeqCst)
    }
}

impl Log for Gated {
    fn append(&self, records: &Batch) -> Result<()> {
        // Lanes are written in this order: what is said to be rejected must be in the queue before.
        for pair in records.lanes().chunks(2) {
            let chain = pair[0].partition;
            assert_eq!(pair, [topics::rejected(chain), topics::events(chain)]);
        }
        self.0.appends.fetch_add(1, Ordering::SeqCst);
        let mut held = self.0.held.lock().unwrap();
        while *held {
            held = self.0.freed.wait(held).unwrap();
        }
        drop(held);
        self.0.memory.append(records)
    }

    fn read(&self, lane: &Lane, from: u64, into: &mut Batch, limit: Limit, wait: Duration) -> Result<()> {
        self.0.memory.read(lane, from, into, limit, wait)
    }

    fn last(&self, lane: &Lane) -> Result<Batch> {
        if self.0.hidden.lock().unwrap().as_ref() == Some(lane) {
            return Err(Error::new(Kind::Away, format!("{lane} is hidden")));
        }
        self.0.memory.last(lane)
    }

    fn trim(&self, lane: &Lane, before: u64) -> Result<()> {
        self.0.memory.trim(lane, before)
    }
}

impl Groups for Gated {
    fn join(&self, role: &Role) -> Result<Box<dyn Member>> {
        self.0.memory.join(role)
    }

    fn positions(&self, group: &str, lanes: &[Lane]) -> Result<Vec<Option<u64>>> {
        self.0.memory.positions(group, lanes)
    }
}

/// A gateway at work.
pub struct Site {
    pub address: SocketAddr,
    pub registry: Registry,
    stop: Stop,
    serving: Option<JoinHandle<Result<(), GatewayError>>>,
}

impl Site {
    pub fn start(stream: Arc<dyn Stream>, config: GatewayConfig) -> Site {
        let (registry, stop) = (Registry::new(), Stop::new());
        let gateway = Gateway::new(config, stream, Arc::new(SystemClock), &registry).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop_it = stop.clone();
        let serving = std::thread::spawn(move || gateway.serve(listener, &stop_it));
        Site { address, registry, stop, serving: Some(serving) }
    }

    /// Asks it to stop and goes on.
    pub fn ask_to_stop(&self) {
        self.stop.set();
    }

    pub fn stop(mut self) -> Result<(), GatewayError> {
        self.stop.set();
        self.serving.take().unwrap().join().unwrap()
    }

    /// Waits for it to end by itself.
    pub fn ended(mut self) -> Result<(), GatewayError> {
        self.serving.take().unwrap().join().unwrap()
    }

    pub fn metric(&self, name: &str) -> f64 {
        let text = TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.set();
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}

/// A gateway with the usual limits in front of a stream of one chain.
pub fn site() -> (Site, Gated) {
    site_with(|_| {})
}

pub fn site_with(change: impl FnOnce(&mut GatewayConfig)) -> (Site, Gated) {
    let mut config = GatewayConfig::new(1);
    change(&mut config);
    let stream = Gated::new(config.chains);
    (Site::start(Arc::new(stream.clone()), config), stream)
}

/// Everything on a lane of events.
pub fn events(log: &dyn Log, chain: u32) -> Vec<Value> {
    let json = |value: &[u8]| to_json(event_shape(), &mut Input::new("event", value)).unwrap();
    records(log, &topics::events(chain)).iter().map(|r| json(r.value.unwrap())).collect()
}

pub fn records(log: &dyn Log, lane: &Lane) -> Batch {
    let mut batch = Batch::new();
    let limit = Limit { records: usize::MAX, bytes: usize::MAX };
    log.read(lane, 0, &mut batch, limit, Duration::ZERO).unwrap();
    batch
}

/// Waits for a condition.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Deadline::after(Duration::from_secs(30));
    while !holds() {
        assert!(!deadline.passed(), "waited in vain for: {what}");
        Stop::new().wait(Duration::from_millis(2));
    }
}
