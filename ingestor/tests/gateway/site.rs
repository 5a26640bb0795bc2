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
use serde_json::Value;
use stream::memory::Memory;
use stream::{Batch, Groups, Lane, Limit, Log, Member, Result, Role, Stream, topics};

/// Memory whose appends can be held back.
#[derive(Clone)]
pub struct Gated(Arc<Inner>);

struct Inner {
    memory: Memory,
    appends: AtomicUsize,
    held: Mutex<bool>,
    freed: Condvar,
}

impl Gated {
    pub fn new(chains: u32) -> Gated {
        let lanes = [(topics::EVENTS, chains), (topics::REJECTED, chains)];
        let memory = Memory::new(&lanes, Arc::new(SystemClock));
        Gated(Arc::new(Inner { memory, appends: 0.into(), held: Mutex::new(false), freed: Condvar::new() }))
    }

    pub fn memory(&self) -> &Memory {
        &self.0.memory
    }

    /// From now on appends wait; or no longer.
    pub fn hold(&self, hold: bool) {
        *self.0.held.lock().unwrap() = hold;
        self.0.freed.notify_all();
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
