//! Chainer and archiver over a stream and a store in memory, both of which can lose writes. What outlives a "process"
//! is here; the stages are made anew at each run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;

use archiver::Archiver;
use chainer::{Chainer, Policy};
use prometheus::Registry;
use runtime::{Clock, Failure, Stop, SystemClock};
use schemas::framing::SCHEMA_HEADER;
use schemas::{AuditEvent, Head, Micros, Signing, event_schema_hash};
use store::Store;
use stream::memory::Memory;
use stream::{Batch, Log, Stream, topics};
use tempfile::TempDir;

pub const ORIGIN: &str = "acme.example/audit";

pub struct Rig<S = Memory> {
    pub stream: Arc<S>,
    pub store: store::memory::Memory,
    pub clock: Arc<dyn Clock>,
    pub policy: Policy,
    pub chains: u32,
    pub guards: TempDir,
    /// Of the chainer that was made last.
    pub registry: Mutex<Registry>,
}

pub fn signing() -> Signing {
    Signing::from_seed(&[7; 32])
}

impl Rig {
    pub fn new(chains: u32) -> Rig {
        Rig::with_clock(chains, Arc::new(SystemClock))
    }

    pub fn with_clock(chains: u32, clock: Arc<dyn Clock>) -> Rig {
        let lanes = [topics::EVENTS, topics::REJECTED, topics::SEALED].map(|topic| (topic, chains));
        Rig::on(Memory::new(&lanes, clock.clone()), chains, clock)
    }
}

impl<S: Stream + 'static> Rig<S> {
    /// Over any stream that has the topics.
    pub fn on(stream: S, chains: u32, clock: Arc<dyn Clock>) -> Rig<S> {
        Rig {
            stream: Arc::new(stream),
            store: store::memory::Memory::new(clock.clone()),
            clock,
            policy: Policy {
                max_events: 10,
                max_bytes: 64 << 20,
                max_age_us: 3_600_000_000,
                max_idle_us: None,
                heartbeat_us: 3_600_000_000,
            },
            chains,
            guards: tempfile::tempdir().unwrap(),
            registry: Mutex::default(),
        }
    }

    pub fn begin(&self) -> Result<Vec<String>, Failure> {
        chainer::write_genesis(
            &*self.stream,
            &self.store,
            self.guards.path(),
            ORIGIN,
            self.chains,
            &signing(),
        )
    }

    /// The name of chain 0.
    pub fn chain(&self) -> String {
        format!("{ORIGIN}/0")
    }

    /// How many events of chain 0 are sealed, as its last Head says.
    pub fn size(&self) -> u64 {
        self.size_of(0)
    }

    /// The same of any chain.
    pub fn size_of(&self, chain: u32) -> u64 {
        let last = self.stream.last(&topics::sealed(chain)).unwrap();
        last.last().map_or(0, |record| Head::parse(record.value.unwrap()).unwrap().size())
    }

    /// Appends events as the gateway does. Their ids are `e-<number>`.
    pub fn append(&self, chain: u32, numbers: std::ops::Range<u64>) {
        self.append_named("e", chain, numbers);
    }

    /// The same, their ids `<name>-<number>`.
    pub fn append_named(&self, name: &str, chain: u32, numbers: std::ops::Range<u64>) {
        append(&*self.stream, name, chain, numbers, self.clock.wall());
    }

    pub fn chainer(&self) -> Chainer {
        let registry = Registry::new();
        let metrics = chainer::Metrics::register(&registry).unwrap();
        *self.registry.lock().unwrap() = registry;
        Chainer {
            stream: self.stream.clone(),
            archive: Arc::new(self.store.clone()),
            guards: self.guards.path().to_owned(),
            signing: signing(),
            origin: ORIGIN.to_owned(),
            policy: self.policy.clone(),
            clock: self.clock.clone(),
            ending: runtime::Ending::Finish,
            about: Vec::new(),
            metrics,
        }
    }

    /// What the chainer says under that name, over all chains.
    pub fn metric(&self, name: &str) -> f64 {
        metric(&self.registry.lock().unwrap(), name, None).unwrap_or(0.0)
    }

    pub fn archiver(&self) -> Archiver {
        Archiver {
            stream: self.stream.clone(),
            store: Arc::new(self.store.clone()),
            origin: ORIGIN.to_owned(),
            clock: self.clock.clone(),
            lay_over: false,
            ending: runtime::Ending::Finish,
            progress: Mutex::new(BTreeMap::new()),
            metrics: archiver::Metrics::register(&prometheus::Registry::new()).unwrap(),
        }
    }

    /// One process: chainer and archiver side by side until everything that is there is sealed and archived.
    pub fn run(&self) -> Result<(), Failure> {
        self.run_while(|| {})
    }

    /// The same, and `meanwhile` happens while they run.
    pub fn run_while(&self, meanwhile: impl FnOnce()) -> Result<(), Failure> {
        let (chainer, archiver) = (self.chainer(), self.archiver());
        let (chainer_stop, archiver_stop) = (Stop::new(), Stop::new());
        thread::scope(|scope| {
            let archiving = scope.spawn(|| archiver.run(&archiver_stop));
            let sealing = scope.spawn(|| chainer.run(&chainer_stop));
            // A test that fails in between must still end the stages, or nobody hears of it.
            let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(meanwhile)).err();
            chainer_stop.set();
            if let Some(failed) = failed {
                archiver_stop.abandon();
                std::panic::resume_unwind(failed);
            }
            let sealed = sealing.join().unwrap();
            archiver_stop.set();
            let archived = archiving.join().unwrap();
            sealed.and(archived)
        })
    }

    pub fn store(&self) -> &dyn Store {
        &self.store
    }
}

/// What stands in the registry under that name: the sum over all that have this among their labels. None: nothing does.
pub fn metric(registry: &Registry, name: &str, label: Option<&str>) -> Option<f64> {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name)?;
    let metrics = family.get_metric().iter();
    let labelled =
        metrics.filter(|m| label.is_none_or(|label| m.get_label().iter().any(|pair| pair.value() == label)));
    labelled.map(|m| m.get_gauge().get_value() + m.get_counter().get_value()).reduce(|sum, next| sum + next)
}

/// Appends events `<name>-<number>` to any stream.
pub fn append(log: &dyn Log, name: &str, chain: u32, numbers: std::ops::Range<u64>, received_at: Micros) {
    let mut batch = Batch::new();
    let lane = batch.lane(&topics::events(chain));
    for n in numbers {
        let id = format!("{name}-{n}");
        let event = AuditEvent { id: &id, action: "test", received_at, ..AuditEvent::default() };
        batch.push_with(lane, None, &[(SCHEMA_HEADER, event_schema_hash().bytes())], |out| event.encode(out));
    }
    log.append(&batch).unwrap();
}
