//! A place on the broker for one test: raw topics and an installation of its own, told apart by a prefix.
//!
//! SEALOG_TEST_KAFKA=host:port names the broker; `tests/run` starts one and sets it.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ingestor::{Ingestor, Limits, Metrics};
use prometheus::Registry;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use runtime::{Deadline, Failure, Stop, SystemClock};
use schemas::avro::{Input, to_json};
use schemas::event::event_shape;
use schemas::hex;
use serde_json::Value;
use stream::kafka::{Kafka, MAX_MESSAGE_BYTES, Options, Topic};
use stream::{Batch, Lane, Limit, Log, topics};

pub const CHAINS: u32 = 2;
/// How long a slow broker may take for one step.
pub const PATIENCE: Duration = Duration::from_secs(60);
const ALL: Limit = Limit { records: usize::MAX, bytes: usize::MAX };

pub struct Site {
    pub kafka: Arc<Kafka>,
    pub address: String,
    pub prefix: String,
    /// What has been read of `audit.events`, and where each chain goes on.
    seen: Mutex<(Vec<Value>, [u64; CHAINS as usize])>,
}

/// The broker, or None where the test is to be skipped. CI tests everything.
#[allow(clippy::disallowed_methods, reason = "which broker to test against is the environment's to say")]
fn broker() -> Option<String> {
    let given = std::env::var("SEALOG_TEST_KAFKA").ok().filter(|given| !given.is_empty());
    if given.is_none() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI tests on Kafka, but there is no broker");
        // Past the harness, which would keep it to itself.
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: no Kafka broker; run tests/run, or set SEALOG_TEST_KAFKA");
    }
    given
}

impl Site {
    /// With Sealog's topics made.
    pub fn new() -> Option<Site> {
        let (address, prefix) = (broker()?, format!("t{}.", hex(&runtime::random_bytes::<6>())));
        let kafka = connect(&address, &prefix);
        let site = Site { kafka, address, prefix, seen: Mutex::default() };
        for topic in [topics::EVENTS, topics::REJECTED] {
            site.make(
                &site.kafka.topic_name(topic),
                CHAINS,
                &[("max.message.bytes", &MAX_MESSAGE_BYTES.to_string())],
            );
        }
        Some(site)
    }

    /// The name of a raw topic that no other test has.
    pub fn name(&self, what: &str) -> String {
        format!("raw-{}{what}", self.prefix)
    }

    /// Makes a raw topic of that name.
    pub fn raw(&self, what: &str, partitions: u32) -> String {
        let name = self.name(what);
        self.make(&name, partitions, &[]);
        name
    }

    pub fn make(&self, name: &str, partitions: u32, config: &[(&str, &str)]) {
        let config: BTreeMap<_, _> = config.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let topic = Topic { name: name.to_owned(), partitions, replicas: Some(1), config };
        let deadline = Deadline::after(PATIENCE);
        // One that is being deleted may still be in the way.
        while self.kafka.create_topics(std::slice::from_ref(&topic)).unwrap() != [name] {
            assert!(!deadline.passed(), "{name} was not made");
        }
    }

    pub fn delete(&self, name: &str) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address).set("allow.auto.create.topics", "false");
        let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let done = runtime.block_on(admin.delete_topics(&[name], &AdminOptions::new())).unwrap();
        assert_eq!(done, [Ok(name.to_owned())]);
        let deadline = Deadline::after(PATIENCE);
        while self.kafka.describe_topics(&[name]).unwrap()[0].found.is_some() {
            assert!(!deadline.passed(), "{name} was not deleted");
        }
    }

    /// Where the ingestors stand in partition 0 of a topic, and what they have left beside it.
    pub fn position_with_mark(&self, topic: &str) -> (i64, String) {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, 0);
        let found = self.group_client().committed_offsets(list, PATIENCE).unwrap();
        let found = found.find_partition(topic, 0).unwrap();
        (found.offset().to_raw().unwrap(), found.metadata().to_owned())
    }

    /// Sets it, as Kafka's own tools do.
    pub fn put_position(&self, topic: &str, (offset, beside): (i64, &str)) {
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition(topic, 0);
        element.set_offset(Offset::Offset(offset)).unwrap();
        element.set_metadata(beside);
        self.group_client().commit(&list, CommitMode::Sync).unwrap();
    }

    fn group_client(&self) -> BaseConsumer {
        let group = format!("{}{}", self.prefix, ingestor::GROUP);
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address).set("group.id", group).create().unwrap()
    }

    /// As a process does that starts anew: with a connection of its own.
    pub fn ingestor(&self, id: &str, topics: &[&str]) -> Ingestor {
        Ingestor {
            stream: connect(&self.address, &self.prefix),
            clock: Arc::new(SystemClock),
            metrics: Metrics::register(&Registry::new(), "kafka").unwrap(),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            id: id.to_owned(),
            chains: CHAINS,
            limits: Limits::default(),
        }
    }

    /// Events whose action is their text, one a record.
    pub fn put(&self, topic: &str, partition: u32, actions: &[&str]) {
        let mut batch = Batch::new();
        let lane = batch.lane(&Lane::new(topic, partition));
        for action in actions {
            batch.push(lane, None, &[], format!("{{\"action\":\"{action}\"}}").as_bytes());
        }
        self.kafka.append(&batch).unwrap();
    }

    /// All that is on `audit.events` now.
    pub fn events(&self) -> Vec<Value> {
        let mut seen = self.seen.lock().unwrap();
        let (events, at) = &mut *seen;
        for (chain, at) in (0..CHAINS).zip(at) {
            let mut batch = Batch::new();
            self.kafka.read(&topics::events(chain), *at, &mut batch, ALL, Duration::ZERO).unwrap();
            *at = batch.last().map_or(*at, |last| last.offset + 1);
            let json = |datum| to_json(event_shape(), &mut Input::new("event", datum)).unwrap();
            events.extend(batch.iter().map(|record| json(record.value.unwrap())));
        }
        events.clone()
    }

    pub fn actions(&self) -> Vec<String> {
        let mut actions: Vec<_> =
            self.events().iter().map(|event| event["action"].as_str().unwrap().to_owned()).collect();
        actions.sort();
        actions
    }

    /// What is on `audit.rejected` of a chain.
    pub fn rejected(&self) -> Batch {
        let (mut batch, deadline) = (Batch::new(), Deadline::after(PATIENCE));
        for chain in 0..CHAINS {
            let end = self.kafka.last(&topics::rejected(chain)).unwrap();
            let Some(end) = end.last().map(|last| last.offset) else { continue };
            let mut at = 0;
            while at <= end {
                assert!(!deadline.passed(), "audit.rejected was not read");
                let before = batch.len();
                self.kafka
                    .read(&topics::rejected(chain), at, &mut batch, ALL, Duration::from_millis(100))
                    .unwrap();
                at = if batch.len() > before { batch.last().unwrap().offset + 1 } else { at };
            }
        }
        batch
    }

    /// Runs the ingestor until `done`, or until it ends by itself.
    pub fn run_until(&self, ingestor: &Ingestor, mut done: impl FnMut() -> bool) -> Result<(), Failure> {
        let stop = Stop::new();
        thread::scope(|scope| {
            let running = scope.spawn(|| ingestor.run(&stop));
            let deadline = Deadline::after(PATIENCE);
            while !done() && !running.is_finished() && !deadline.passed() {
                stop.wait(Duration::from_millis(5));
            }
            let late = deadline.passed() && !running.is_finished();
            stop.set();
            let ended = running.join().unwrap();
            assert!(!late, "it did not come that far: {ended:?}, {} events", self.events().len());
            ended
        })
    }

    /// Runs it until there are so many events.
    pub fn run(&self, ingestor: &Ingestor, events: usize) -> Result<(), Failure> {
        self.run_until(ingestor, || self.events().len() >= events)
    }
}

fn connect(address: &str, prefix: &str) -> Arc<Kafka> {
    Arc::new(Kafka::connect(Options { prefix: prefix.to_owned(), ..Options::new(address) }).unwrap())
}
