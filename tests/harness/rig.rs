//! Chainer and archiver over a stream and a store in memory, both of which can lose writes. What outlives a "process"
//! is here; the stages are made anew at each run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;

use archiver::Archiver;
use chainer::{Chainer, Policy};
use runtime::{Clock, Failure, Stop, SystemClock};
use schemas::framing::SCHEMA_HEADER;
use schemas::{AuditEvent, Head, Signing, event_schema_hash};
use store::Store;
use stream::{Batch, Log, topics};
use tempfile::TempDir;

pub const ORIGIN: &str = "acme.example/audit";

pub struct Rig {
    pub stream: stream::memory::Memory,
    pub store: store::memory::Memory,
    pub clock: Arc<dyn Clock>,
    pub policy: Policy,
    pub chains: u32,
    pub guards: TempDir,
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
        Rig {
            stream: stream::memory::Memory::new(&lanes, clock.clone()),
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
        }
    }

    pub fn begin(&self) -> Result<Vec<String>, Failure> {
        chainer::write_genesis(&self.stream, &self.store, self.guards.path(), ORIGIN, self.chains, &signing())
    }

    /// The name of chain 0.
    pub fn chain(&self) -> String {
        format!("{ORIGIN}/0")
    }

    /// How many events are sealed, as the last Head says.
    pub fn size(&self) -> u64 {
        let last = self.stream.last(&topics::sealed(0)).unwrap();
        last.last().map_or(0, |record| Head::parse(record.value.unwrap()).unwrap().size())
    }

    /// Appends events as the gateway does. Their ids are `e-<number>`.
    pub fn append(&self, chain: u32, numbers: std::ops::Range<u64>) {
        self.append_to(&self.stream, chain, numbers);
    }

    /// The same, to another stream.
    pub fn append_to(&self, log: &dyn Log, chain: u32, numbers: std::ops::Range<u64>) {
        let mut batch = Batch::new();
        let lane = batch.lane(&topics::events(chain));
        for n in numbers {
            let id = format!("e-{n}");
            let event = AuditEvent {
                id: &id,
                action: "test",
                received_at: self.clock.wall(),
                ..AuditEvent::default()
            };
            batch.push_with(lane, None, &[(SCHEMA_HEADER, event_schema_hash().bytes())], |out| {
                event.encode(out)
            });
        }
        log.append(&batch).unwrap();
    }

    pub fn chainer(&self) -> Chainer {
        Chainer {
            stream: Arc::new(self.stream.clone()),
            archive: Arc::new(self.store.clone()),
            guards: self.guards.path().to_owned(),
            signing: signing(),
            origin: ORIGIN.to_owned(),
            policy: self.policy.clone(),
            clock: self.clock.clone(),
            about: Vec::new(),
            metrics: chainer::Metrics::register(&prometheus::Registry::new()).unwrap(),
        }
    }

    pub fn archiver(&self) -> Archiver {
        Archiver {
            stream: Arc::new(self.stream.clone()),
            store: Arc::new(self.store.clone()),
            origin: ORIGIN.to_owned(),
            clock: self.clock.clone(),
            abandon: Stop::new(),
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
                archiver_stop.set();
                archiver.abandon.set();
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
